"""A population from its subjects' own estimates: the standard and the global two-stage method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np

from pkpd.errors import CannotFit, Finding, raise_all
from pkpd.estimation.assemble import assemble
from pkpd.estimation.base import Outcome
from pkpd.estimation.complete import natural_of
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.outer import Look, Outer, Penalised
from pkpd.estimation.population import ForPopulations, check_start
from pkpd.estimation.precision import Precision, find_precision, rank_and_condition
from pkpd.estimation.progress import progress
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.verdict import Status, Verdict
from pkpd.likelihood import Feature
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.marginal import Marginal, Prior, foce
from pkpd.likelihood.modes import Modes, find_modes, joint
from pkpd.likelihood.population import Population
from pkpd.likelihood.priors import Priors
from pkpd.likelihood.variance import Covariance, Group

__all__ = ["TwoStage"]

TwoStageMethod = Literal["standard", "global"]

#: SD of a prior that says nothing, beside a parameter of size 1; an SE of a subject above which it says nothing either.
_FLAT, _LOST = 1e4, 5.0
_TOLERANCE, _MOST = 1e-8, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStage(ForPopulations):
    """Fit every subject alone, then the population to their estimates. For rich data.

    The first stage fits all parameters of each subject at once, under residual parameters that all share. These
    maximise the restricted likelihood, which has the subjects' parameters integrated out under a flat prior (Laplace's
    method): for an SD that is the sum of squares over records less parameters.

    ``standard`` takes mean and covariance of the estimates, with S - 1, as if they were the parameters themselves: so
    variances hold the errors of the estimates, too. ``global`` knows of these errors: the estimates are normal around
    the population's mean with covariance Omega plus their own, and mean and Omega maximise that likelihood, which is
    where the EM algorithm of the source leads, too: Steimer JL, Mallet A, Golmard JL, Boisvieux JF. Alternative
    approaches to estimation of population pharmacokinetic parameters: comparison with the nonlinear mixed-effect model.
    Drug Metab Rev 1984;15:265-292. doi:10.3109/03602538409015066

    Neither maximises the likelihood of the population. The objective is that likelihood at the estimates, by quadrature
    or importance sampling; no AIC or BIC is made of it.

    Parameters
    ----------
    method : "standard" or "global"
    covariance, level, censoring, threads
        See :class:`~pkpd.estimation.population.ForPopulations`; R and S are those of the likelihood of the individual
        estimates, and of the restricted likelihood for residual parameters.

    Examples
    --------
    >>> TwoStage(method="global").method
    'global'
    """

    handles: ClassVar[frozenset[Feature]] = frozenset({Feature.CHANGES, Feature.OUTPUTS, Feature.CENSORING})

    method: TwoStageMethod = "standard"

    def __post_init__(self) -> None:
        ForPopulations.__post_init__(self)
        if self.method not in get_args(TwoStageMethod):
            self._refuse("method", f"One of {', '.join(get_args(TwoStageMethod))}.")

    def _run(self, population: Population) -> Outcome:
        _check(population)
        effects, quantities = population.effects, Quantities.of(population)
        lower, upper = quantities.limits()
        # Typical values come first: d of the model, each with its random effect, then residual parameters.
        d, k = len(effects.names), len(effects.typical)
        order = np.array([effects.typical.index(name) for name in effects.names], dtype=int)
        outer = Outer(replace(population, effects=_unrelated(effects), priors=Priors()), foce)
        # On the way from the typical person to a subject alone, the population of the model lends a hand.
        prior = Prior.at(population, population.start)
        near = find_modes(population, prior.z, prior.precision, np.zeros((len(population.problem.subjects), d)))
        outer.last = (effects.start[d:], Marginal(each=2 * near.value, modes=near))
        check_start(outer.population, outer(effects.start[d:]))
        with progress("Fitting subjects") as tick:
            first = descend(outer, effects.start[d:], lower[d:k], upper[d:k], tolerance=_TOLERANCE, most=_MOST,
                            watch=lambda *_: tick())  # fmt: skip
        assert isinstance(first.point, Look)
        alone = first.point.marginal.modes
        information = 0.5 * (alone.hessian + np.swapaxes(alone.hessian, 1, 2))
        own = _Own(
            covariance=effects.covariance,
            order=order,
            values=effects.start[order] + alone.b,
            errors=np.linalg.inv(information),
            known=self.method == "standard",
        )
        start, second = own.moments(), None
        ends = np.r_[0:d, k : len(lower)]
        if self.method == "global":
            second = descend(own, start, lower[ends], upper[ends], tolerance=_TOLERANCE, most=_MOST)
            start = second.x
        x = np.concatenate([start[:d], first.x, start[d:]])
        at_bound = (x <= lower) | (x >= upper)
        known = None
        if self.covariance is not None:
            size = quantities.size(x)
            known = _together(
                find_precision(own, start, ~at_bound[ends], self.covariance, size[ends]),
                find_precision(outer, first.x, ~at_bound[d:k], self.covariance, size[d:k]),
                ends,
                np.arange(d, k),
            )
        verdict = self._judge(population, quantities, x, first, second, own, known, at_bound, outer.solved)
        look = Look(outer=Outer(population, foce), x=x, marginal=self._modes(population, own, x, information))
        trace = [] if second is None else [
            (value, quantities.natural(np.concatenate([y[:d], first.x, y[d:]]))) for value, y in second.trace
        ]  # fmt: skip
        outcome = assemble(
            self, population, quantities, look, known, verdict, trace, note="of the individual estimates"
        )
        said = "Two stages: no likelihood of the population was maximised; the objective is that at the estimates."
        return replace(outcome, compared=False, notes=(said, *outcome.notes))

    def _modes(self, population: Population, own: _Own, x: np.ndarray, information: np.ndarray) -> Marginal:
        """Give the random effects: those of the individual estimates, or of these drawn towards the population."""
        prior, b = Prior.at(population, x), own.values - x[own.order]
        hessian = information
        if self.method == "global":
            hessian = information + prior.precision
            b = np.linalg.solve(hessian, (information @ b[..., None]))[..., 0]
        at = population.slopes(population.effects.arguments(prior.z, b))
        modes = Modes(b=b, at=at, value=joint(at, b, prior.precision), hessian=hessian, decrement=np.zeros(len(b)),
                      iterations=0)  # fmt: skip
        return Marginal(each=2 * modes.value, modes=modes)

    def _judge(
        self,
        population: Population,
        quantities: Quantities,
        x: np.ndarray,
        first: Descent,
        second: Descent | None,
        own: _Own,
        known: Precision | None,
        at_bound: np.ndarray,
        solved: int,
    ) -> Verdict:
        """Whether the fit may be believed."""
        assert isinstance(first.point, Look)
        coordinates, modes = quantities.coordinates, first.point.marginal.modes
        names = [coordinates.names[place] for place in np.flatnonzero(coordinates.free)]
        bounds = tuple(name for name, is_at in zip(names, at_bound, strict=True) if is_at)
        errors = np.sqrt(np.diagonal(own.errors, axis1=1, axis2=2)) / quantities.size(x)[own.order]
        people = population.problem.subjects
        lost = np.flatnonzero(~modes.settled | (own.known & (errors > _LOST).any(axis=1)))
        status = Status.CONVERGED
        message = "Every subject was fitted, and the population to their estimates."
        if lost.size:
            who = ", ".join(people[s] for s in lost[:5]) + (f" and {lost.size - 5} more" if lost.size > 5 else "")
            status = Status.NOT_CONVERGED
            message = f"The records of {who} alone do not fix its parameters. " + (
                'Use method="global", or FOCE().' if own.known else "Try other starting values, or FOCE()."
            )
        elif not first.settled or (second is not None and not second.settled):
            ended = first if not first.settled else second
            assert ended is not None
            status, message = Status.NOT_CONVERGED, f"The search ended without a minimum: {ended.reason}."
        elif known is not None and known.open:
            status = Status.NOT_IDENTIFIED
            message = f"There are no standard errors: {known.reason}. Fix a parameter, or take out a random effect."
        elif bounds:
            status, message = Status.AT_BOUND, f"At a bound: {', '.join(bounds)}."
        rank, condition = rank_and_condition(known)
        return Verdict(
            status=status,
            message=message,
            decrement=max(first.decrement, 0.0 if second is None else second.decrement),
            rank=rank,
            free=len(x),
            condition=condition,
            at_bounds=bounds,
            evaluations=solved,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """The individual estimates, and how likely they are: normal around the mean.

    Parameters
    ----------
    covariance : Covariance
        Omega.
    order : (d,) int
        The typical value of each random effect.
    values : (S, d) float
        The estimates, transformed.
    errors : (S, d, d) float
        Their covariance.
    known : bool
        Whether they are taken as if they had no error.
    """

    covariance: Covariance
    order: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    known: bool

    def moments(self) -> np.ndarray:
        """Give mean and covariance, (X,)."""
        mean = np.empty(len(self.order))
        mean[self.order] = self.values.mean(axis=0)
        around = np.atleast_2d(np.cov(self.values.T))
        groups = self.covariance.groups
        matrices = [around[np.ix_(group.places[0], group.places[0])] for group in groups]
        return np.concatenate([mean, self.covariance.numbers(natural_of(groups, matrices))])

    def __call__(self, x: np.ndarray) -> _Likely:
        d = len(self.order)
        variance = self.covariance.matrix(x[d:]) + (0.0 if self.known else self.errors) + np.zeros_like(self.errors)
        inverse = np.linalg.inv(variance)
        away = self.values - x[self.order]
        pull = (inverse @ away[..., None])[..., 0]
        each = np.linalg.slogdet(variance)[1] + (away * pull).sum(axis=1)
        slopes = np.empty((len(each), len(x)))
        slopes[:, self.order] = -2 * pull
        moved = self.covariance.slopes(x[d:])
        slopes[:, d:] = np.einsum("sij,qji->sq", inverse, moved) - np.einsum("si,qij,sj->sq", pull, moved, pull)
        return _Likely(x=x.copy(), objective=float(each.sum()), slopes=slopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Likely(Penalised):
    """-2 log L of the individual estimates without constants, and the slopes of every subject's part, (S, X)."""

    x: np.ndarray
    objective: float
    slopes: np.ndarray  # type: ignore[assignment]

    @property
    def priors(self) -> Priors:
        """None: they are refused."""
        return Priors()


def _unrelated(effects: Effects) -> Effects:
    """Give the effects where nothing relates the subjects but their residual error: a prior that says nothing."""
    d = len(effects.names)
    by_name = {p.name: p for p in effects.parameters}
    plain = np.array([by_name[name].transform == "none" for name in effects.names], dtype=bool)
    size = np.array([max(1.0, abs(by_name[name].typical)) for name in effects.names])
    wide = np.diag((_FLAT * np.where(plain, size, 1.0)) ** 2)
    group = Group(names=effects.names, start=wide, places=np.arange(d)[None], fixed=True, kind="iiv")
    return replace(
        effects,
        typical=effects.typical[d:],
        base=effects.base + effects.to_typical[:, :d] @ effects.start[:d],
        to_typical=effects.to_typical[:, d:],
        start=effects.start[d:],
        covariance=Covariance(groups=(group,), size=d),
    )


def _together(one: Precision, other: Precision, ones: np.ndarray, others: np.ndarray) -> Precision:
    """Give what is known of both: two likelihoods that share nothing."""
    count, reached = len(ones) + len(others), (len(one.r), len(other.r))
    covariance = np.zeros((count, count))
    covariance[np.ix_(ones, ones)], covariance[np.ix_(others, others)] = one.covariance, other.covariance
    r, s = np.zeros((sum(reached),) * 2), np.zeros((sum(reached),) * 2)
    for place, known in ((slice(0, reached[0]), one), (slice(reached[0], None), other)):
        r[place, place], s[place, place] = known.r, known.s
    return Precision(
        r=r,
        s=s,
        covariance=covariance,
        eigenvalues=np.concatenate([one.eigenvalues, other.eigenvalues]),
        reason=one.reason or other.reason,
        few=one.few if one.reason else other.few,
    )


def _check(population: Population) -> None:
    """Refuse what two stages cannot honour, all of it at once."""
    problem, effects = population.problem, population.effects
    found: list[Finding] = []

    def refuse(names: list[str], what: str, expected: str, remedy: str) -> None:
        if names:
            found.append(
                Finding(
                    code="cannot-fit",
                    where=f"TwoStage(), {problem.where}",
                    what=what.format(", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")),
                    expected=expected,
                    remedy=remedy,
                )
            )

    own, residual = problem.model.parameters, problem.residuals.names
    free = [name for name in effects.typical if name not in residual]
    refuse([name for name in free if name not in effects.names], "{} has no variance between people.",
           "Every free parameter is estimated in every subject, and differs between them.",
           "Give it iiv, or fix it.")  # fmt: skip
    refuse([name for name in effects.names if name in own and name not in free], "{} is fixed, and has iiv.",
           "The mean of what differs between people is estimated.", "Free it, or take out its iiv.")  # fmt: skip
    refuse([name for name in effects.names if name not in own], "{} differs between people.",
           "Residual parameters that all subjects share.", "Take out its iiv, or use FOCE().")  # fmt: skip
    refuse([name for name, p in own.items() if p.iov > 0], "{} differs between occasions.",
           "Parameters that a subject keeps.", "Set iov = 0, or use FOCE().")  # fmt: skip
    d, people, density = len(effects.names), len(problem.subjects), population.density
    count = np.bincount(population.subject[~density.censored], minlength=people)
    refuse([problem.subjects[s] for s in np.flatnonzero(count < d)],
           f"fewer observed records than the {d} parameters: subject {{}}.",
           "As many records of each subject as parameters.", "Leave these subjects out, or use FOCE().")  # fmt: skip
    if count.sum() <= people * d and len(effects.typical) > len(free):
        refuse(["residual error"], "there are no more records than parameters, which leaves none for the {}.",
               "More records than parameters.", "Fix the residual parameters, or use FOCE().")  # fmt: skip
    widest = max(len(group.names) for group in effects.covariance.groups)
    refuse([f"{people}"] if people <= widest else [],
           f"{{}} subjects cannot tell a covariance matrix of {widest} random effects.",
           f"More than {widest} subjects.", "Take out covariances, or use Individual().")  # fmt: skip
    if found:
        raise_all(CannotFit, found)
