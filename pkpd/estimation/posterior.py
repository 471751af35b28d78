"""Each subject given a population that is known: its most probable parameters, and how well these are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.assemble import reordered
from pkpd.estimation.base import Outcome
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.individuals import effects_of_subjects, residual_columns
from pkpd.estimation.population import population_of
from pkpd.estimation.uncertainty import wald
from pkpd.estimation.verdict import Status, Verdict
from pkpd.likelihood import Feature, Problem
from pkpd.likelihood.density import CensoringMethod
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.marginal import Prior
from pkpd.likelihood.modes import Modes, curvature_at, find_modes
from pkpd.likelihood.population import Population
from pkpd.schema import describe
from pkpd.streams import addresses, normals

__all__ = ["MAP"]

#: Shrinkage of fewer subjects says nothing.
_FEW = 10
#: Starts lie so many SDs of the population around 0; their random numbers.
_WIDE, _SEED = 1.5, 31
#: Modes whose -2 log densities, or random effects in posterior SDs, differ by less are the same; one that is higher
#: than the best by less than this matters.
_SAME, _APART, _MATTERS = 1e-4, 0.1, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MAP:
    """Estimate the parameters of each subject from its records and a population that is known.

    Nothing of the population is estimated: typical values, Omega and residual error are those of the model, such as
    ``fit.model`` of a finished fit. The random effects of a subject are the mode of their density given its records
    (maximum a posteriori; empirical Bayes estimates; MAXEVAL=0 with POSTHOC in NONMEM), their covariance is the inverse
    of the second derivatives there. A subject without records has the typical values, as sure as the population is
    narrow. Sheiner LB, Beal SL. Bayesian individualization of pharmacokinetics: simple implementation and comparison
    with non-Bayesian methods. J Pharm Sci 1982;71:1344-1348. doi:10.1002/jps.2600711209

    Parameters
    ----------
    starts : int
        Searches for the mode of each subject: from 0, and from random effects drawn from a wider population.
    level : float
        Of the intervals, which take the population as known.
    censoring : "M1", "M2", "M3" or "M4"
        What becomes of censored records, see :class:`pkpd.likelihood.Density`.
    threads : int, optional
        None: as many as there are processors. The numbers do not depend on it.

    Examples
    --------
    >>> MAP(level=0.9).starts
    5
    """

    handles: ClassVar[frozenset[Feature]] = frozenset({
        Feature.CHANGES,
        Feature.OUTPUTS,
        Feature.CENSORING,
        Feature.OCCASIONS,
        Feature.STUDENT,
        Feature.KINDS,
        Feature.PRIORS,
        Feature.UNSEEN,
    })  # fmt: skip

    starts: int = 5
    level: float = 0.95
    censoring: CensoringMethod = "M3"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, wrong, expected in (
            ("starts", self.starts < 1, "1 or more."),
            ("level", not 0 < self.level < 1, "A share between 0 and 1."),
            ("censoring", self.censoring not in get_args(CensoringMethod),
             f"One of {', '.join(get_args(CensoringMethod))}."),
            ("threads", self.threads is not None and self.threads < 1, "1 or more, or None for all cores."),
        ):  # fmt: skip
            if wrong:
                raise CannotFit(f"{name} is {getattr(self, name)!r}.", where=f"MAP({name}=...)", expected=expected)

    def run(self, problem: Problem) -> Outcome:
        """Fit a problem; see :func:`pkpd.fit`."""
        order = np.argsort(addresses(problem.subjects), kind="stable")
        population = population_of(problem.take(order), censoring=self.censoring, threads=self.threads, where="MAP()")
        outcome, back = self._run(population), np.argsort(order)
        outcome = reordered(outcome, problem, order)
        return replace(
            outcome,
            groups=problem.subjects,
            values=outcome.values[back],
            lower=outcome.lower[back],
            upper=outcome.upper[back],
            covariance=outcome.covariance[back],
            objective=outcome.objective[back],
            numbers={name: column[back] for name, column in outcome.numbers.items()},
            verdicts=tuple(outcome.verdicts[s] for s in back),
        )

    def _run(self, population: Population) -> Outcome:
        effects, problem = population.effects, population.problem
        x = population.start
        prior = Prior.at(population, x)
        found = _search(population, prior, self.starts)
        modes = found.modes
        shape = curvature_at(population, modes, prior.precision)
        variance = np.linalg.inv(shape)
        lines = _lines(effects)
        own = Coordinates(parameters=effects.parameters, count=effects.count, free=np.asarray(lines.any(axis=1)))
        people = len(problem.subjects)
        z = own.forward(own.initial) + modes.b @ lines.T
        covariance = lines @ variance @ lines.T
        lower, upper = wald(own, z, covariance, self.level, np.inf)
        w, typical = effects.arguments(prior.z, modes.b), effects.arguments(prior.z, np.zeros_like(modes.b))
        n = np.bincount(population.subject[~population.density.left_out], minlength=people)
        groups = effects_of_subjects(population, x, replace(modes, hessian=shape))
        if people < _FEW:
            nothing = (("effect",), np.full(len(effects.names), np.nan))
            which = ("shrinkage", "shrinkage_variance")
            groups["omega"] = groups["omega"].assign({name: (*nothing, describe("omega", name)) for name in which})
        return Outcome(
            coordinates=own,
            groups=problem.subjects,
            by_subject=True,
            values=own.inverse(z),
            lower=lower,
            upper=upper,
            covariance=covariance,
            objective=2 * modes.value,
            objective_name="-2 log density of records and random effects, at the most probable ones, without constants",
            interval=f"{100 * self.level:g} % of a subject given its records and the population, normal on the "
            "estimation scale",
            verdicts=tuple(_judge(found, shape, s, self.starts, int(n[s])) for s in range(people)),
            numbers={"records": n, "degrees_of_freedom": n},
            individual=effects.natural(w, problem.program.parameters)[0],
            typical=effects.natural(typical, problem.program.parameters)[0],
            residual=effects.residual(w)[0],
            notes=_notes(found, problem.subjects, n),
            parts=2 * modes.value,
            groups_of_results=groups,
            columns=residual_columns(population, x, modes),
            compared=False,
        )


def _lines(effects: Effects) -> np.ndarray:
    """What random effects between people do to the K quantities, transformed: ones, (K, d)."""
    names = [p.name for p in effects.parameters]
    found = np.zeros((len(names), len(effects.names)))
    for row, name in zip(effects.to_effect, (*effects.engine, *names[effects.count :]), strict=True):
        if name in names:
            found[names.index(name)] = row
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The best modes, and what else the starts led to.

    Parameters
    ----------
    modes : Modes
    better : (S,) float
        How much lower -2 log density is there than where the start at 0 leads; infinite where that leads nowhere.
    second : (S,) float
        How much higher it is at the next best other mode; infinite if there is none.
    at_best, basins : (S,) int
        How many starts ended at the best, and at how many different modes they ended.
    """

    modes: Modes
    better: np.ndarray
    second: np.ndarray
    at_best: np.ndarray
    basins: np.ndarray


def _search(population: Population, prior: Prior, starts: int) -> _Found:
    """Search from 0, and from places far and wide, for all subjects together."""
    people, d = len(population.problem.subjects), len(population.effects.names)
    who = np.tile(addresses(population.problem.subjects), starts - 1)
    number = np.repeat(np.arange(starts - 1), people)
    wide = _WIDE * np.linalg.cholesky(np.linalg.inv(prior.precision))
    drawn = normals(_SEED, "starts of modes", who, number, d) @ wide.T
    start = np.concatenate([np.zeros((people, d)), drawn])
    ends = find_modes(population.repeat(starts), prior.z, prior.precision, start)
    value = np.where(ends.settled, 2 * ends.value, np.inf).reshape(starts, people)
    b = ends.b.reshape(starts, people, d)
    first = value[0]
    best = np.where(value.min(axis=0) < first - _SAME, value.argmin(axis=0), 0)
    modes = find_modes(population, prior.z, prior.precision, b[best, np.arange(people)])
    away = b - modes.b
    far = np.sqrt(np.einsum("gsi,sij,gsj->gs", away, modes.hessian, away))
    above = value - 2 * modes.value
    other = np.isfinite(value) & ((above > _SAME) | (far > _APART))
    basins = [1 + len(np.unique(np.round(value[other[:, s], s], 3))) for s in range(people)]
    with np.errstate(invalid="ignore"):
        better = np.where(best > 0, first - 2 * modes.value, 0.0)
    return _Found(
        modes=modes,
        better=better,
        second=np.where(other, above, np.inf).min(axis=0),
        at_best=(np.isfinite(value) & ~other).sum(axis=0),
        basins=np.array(basins),
    )


def _judge(found: _Found, shape: np.ndarray, s: int, starts: int, records: int) -> Verdict:
    """Whether the mode of a subject may be believed."""
    modes = found.modes
    status, message = Status.CONVERGED, "The search ended at a mode."
    if not records:
        message = "There is no record: the population's values, as sure as the population is narrow."
    if not np.isfinite(modes.value[s]):
        status, message = Status.FAILED, "Its records have no likelihood at the population's values."
    elif not modes.settled[s]:
        status, message = Status.NOT_CONVERGED, "The search for the mode did not end. Raise starts."
    eigenvalues = np.linalg.eigvalsh(shape[s])
    return Verdict(
        status=status,
        message=message,
        decrement=float(modes.decrement[s]),
        rank=len(eigenvalues),
        free=len(eigenvalues),
        condition=float(eigenvalues[-1] / eigenvalues[0]),
        evaluations=modes.iterations + 1,
        starts=starts,
        starts_at_best=int(found.at_best[s]),
        basins=int(found.basins[s]),
    )


def _notes(found: _Found, subjects: tuple[str, ...], records: np.ndarray) -> tuple[str, ...]:
    """Whose posterior is not as simple as one hill."""
    notes = ["Population values are taken as known: intervals are those of a subject given its records."]
    for which, said in (
        (found.better > 0, "The most probable random effects lie on another hill than the one next to 0"),
        (found.second < _MATTERS, f"Another mode is nearly as probable (-2 log density less than {_MATTERS:g} higher), "
                                  "and the interval does not cover it"),
        (records == 0, "No record, so the population's values"),
    ):  # fmt: skip
        if which.any():
            notes.append(f"{said}: {', '.join(subjects[s] for s in np.flatnonzero(which))}.")
    return tuple(notes)
