"""The exact maximum likelihood of a population by importance sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import xarray as xr

from pkpd.estimation.assemble import assemble
from pkpd.estimation.base import Outcome
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.outer import Look, Outer, Penalised
from pkpd.estimation.population import ForPopulations, check_start
from pkpd.estimation.precision import Precision, find_precision, rank_and_condition
from pkpd.estimation.progress import progress
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.sound import check_population
from pkpd.estimation.verdict import Status, Verdict
from pkpd.likelihood import Feature
from pkpd.likelihood.importance import Proposals, Sampled, Scores, tail_index
from pkpd.likelihood.marginal import Prior, conditional
from pkpd.likelihood.modes import curvature_at, find_modes
from pkpd.likelihood.population import Population
from pkpd.likelihood.priors import Priors
from pkpd.schema import describe
from pkpd.streams import check_seed

__all__ = ["Importance"]

#: The search begins with an eighth of the draws, not fewer than these, until the objective could fall by less.
_SHARE, _FEWEST, _ROUGH = 8, 100, 0.1
#: It is led there by FOCE, until that could fall by less; the logarithm of an SD that falls by more has vanished.
_NEAR, _GONE = 1.0, 2.0
#: Stages with few draws; iterations with the same draws; the share of its effective draws that everybody keeps there.
_STAGES, _SAME, _KEPT = 4, 10, 0.3
#: A variance below this says that nobody differs.
_NOTHING = 1e-6
#: Draws of all subjects that one look may take.
_MOST = 5_000_000
#: Effective draws below which a subject is not believed, and the heaviest tail of its weights; the largest Monte Carlo
#: error, in standard errors.
_EFFECTIVE, _HEAVY, _SURE = 20, 0.7, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance(ForPopulations):
    """Fit a population by its exact likelihood, sampled by importance, for any number of random effects.

    Random effects are drawn around the most probable ones of each subject, from Student's t with 5 degrees of freedom.
    With the draws held the likelihood is a smooth sum, whose slopes are exact, by Fisher's identity; a quasi-Newton
    search goes down on it. Then new draws are laid over the new modes, by the same random numbers, until that changes
    nothing any more. Rough steps of FOCE lead near.

    The likelihood is that of METHOD=IMP of NONMEM, which maximises it by steps of the EM algorithm: Bauer RJ. NONMEM
    tutorial part II. CPT: Pharmacometrics & Systems Pharmacology 2019;8:538-556. doi:10.1002/psp4.12422

    Parameters
    ----------
    seed : int
        Same seed, same bits: for any number of threads, and any order of subjects.
    draws : int
        Of each subject.
    error : float, optional
        The Monte Carlo error of the objective that is aimed at: draws are raised until it is reached.
    tolerance : float
        The search ends where the objective could fall by less.
    max_iterations : int
        0 evaluates at the starting values.
    covariance, level, censoring, threads
        See :class:`~pkpd.estimation.population.ForPopulations`.

    Examples
    --------
    >>> Importance(seed=1, draws=300).draws
    300
    """

    handles: ClassVar[frozenset[Feature]] = ForPopulations.handles | {Feature.PRIORS}

    seed: int | None = None
    draws: int = 1000
    error: float | None = None
    tolerance: float = 1e-4
    max_iterations: int = 200

    def __post_init__(self) -> None:
        ForPopulations.__post_init__(self)
        check_seed(self.seed, why="random effects are drawn", where="Importance(seed=...)")
        if self.draws < 50:
            self._refuse("draws", "50 or more.")
        if self.error is not None and not self.error > 0:
            self._refuse("error", "A number above 0, or None.")
        if not self.tolerance > 0:
            self._refuse("tolerance", "A number above 0.")
        if self.max_iterations < 0:
            self._refuse("max_iterations", "0 or more.")

    def _run(self, population: Population) -> Outcome:
        quantities = Quantities.of(population)
        start = population.start
        if self.max_iterations > 0:
            check_population(population, quantities)
        outer = Outer(population, conditional(population))
        check_start(population, outer(start))
        with progress("Sampling") as tick:
            search = _Search(self, population, quantities, tick)
            found = search.run(start)
            stage, x = search.stage, found.x
            lower, upper = quantities.limits()
            at_bound = (x <= lower) | (x >= upper)
            here, known = stage(x), None
            if self.covariance is not None and np.isfinite(here.objective):
                known = find_precision(stage, x, ~at_bound, self.covariance, quantities.size(x))
        tails = tail_index(here.sampled.share)
        verdict = self._judge(quantities, search, found, here, tails, known, at_bound)
        near = outer(x)
        # The modes are those of the joint density, which know of no approximation; the parts are those sampled.
        look = Look(outer=outer, x=x, marginal=replace(near.marginal, each=here.sampled.each))
        trace = [(value, quantities.natural(x)) for value, x in search.trace]
        title = f"importance sampling with {len(stage.proposals.b)} draws a subject"
        outcome = assemble(self, population, quantities, look, known, verdict, trace, title=title)
        people = population.problem.subjects
        columns = {
            "objective_error": here.sampled.errors,
            "effective": here.sampled.effective,
            "largest_share": here.sampled.share.max(axis=0),
            "tail_index": tails,
        }
        group = xr.Dataset(
            {name: ("subject", column, describe("importance", name)) for name, column in columns.items()},
            {"subject": np.array(people)},
        )
        return replace(
            outcome,
            groups_of_results={**outcome.groups_of_results, "importance": group},
            notes=(_said(people, here.sampled, tails), *outcome.notes),
        )

    def _judge(
        self,
        quantities: Quantities,
        search: _Search,
        found: Descent,
        here: _Sample,
        tails: np.ndarray,
        known: Precision | None,
        at_bound: np.ndarray,
    ) -> Verdict:
        """Whether the fit may be believed."""
        own, sampled = quantities.coordinates, here.sampled
        names = [own.names[place] for place in np.flatnonzero(own.free)]
        natural = quantities.natural(found.x)[own.free]
        gone = [n.startswith(("iiv.", "iov.")) and "," not in n and v < _NOTHING for n, v in zip(names, natural)]
        bounds = tuple(name for name, *is_at in zip(names, at_bound, gone, strict=True) if any(is_at))
        gradient = 0.5 * here.gradient
        inverse = np.linalg.inv(0.5 * found.hessian)
        if known is not None and known.eigenvalues.min(initial=1.0) > 1e-8:
            inverse = np.zeros_like(inverse)
            inverse[np.ix_(~at_bound, ~at_bound)] = np.linalg.inv(known.r)
        errors = np.sqrt(np.diagonal(inverse))
        steep = float(np.abs(gradient * errors)[~at_bound].max(initial=0.0))
        wander = np.sqrt(np.maximum(np.diagonal(inverse @ (0.25 * here.scores.noise) @ inverse), 0.0))
        noise = np.divide(wander, errors, out=np.zeros_like(wander), where=(errors > 0) & ~at_bound)
        worst = float(noise.max(initial=0.0))
        whose = f" ({names[int(noise.argmax())]})" if names else ""
        said = f"Monte Carlo errors are at most {worst:.2g} standard errors{whose}."
        weak = _weak(sampled, tails)
        people = search.population.problem.subjects
        status, message = Status.CONVERGED, said
        if weak.size:
            who = ", ".join(people[s] for s in weak[:5]) + (f" and {weak.size - 5} more" if weak.size > 5 else "")
            status = Status.NOT_CONVERGED
            message = (
                f"The likelihood of {who} hangs on few draws: {sampled.effective[weak].min():.3g} effective ones, "
                f"tail index up to {tails[weak].max():.2g}. Raise draws, or use SAEM()."
            )
        elif self.error is not None and sampled.error > self.error:
            status = Status.NOT_CONVERGED
            message = f"The error of the objective is {sampled.error:.2g}, with as many draws as are allowed."
        elif self.max_iterations == 0:
            status, message = Status.NOT_CONVERGED, "Nothing was searched: the objective stands at the starting values."
        elif not found.settled:
            status = Status.NOT_CONVERGED
            remedy = "Raise max_iterations, or try other starts." if search.left == 0 else "Raise draws."
            message = f"The search ended without a minimum: {found.reason}. {remedy}"
        elif known is not None and known.open:
            status = Status.NOT_IDENTIFIED
            message = f"There are no standard errors: {known.reason}. Fix a parameter, or take out a random effect."
        elif worst > _SURE:
            status, message = Status.NOT_CONVERGED, f"{said} Raise draws."
        elif bounds:
            status, message = Status.AT_BOUND, f"At a bound: {', '.join(bounds)}. {said}"
            if any(gone):
                message += " A variance that has run to 0 is best taken out of the model (iiv = 0)."
        rank, condition = rank_and_condition(known)
        return Verdict(
            status=status,
            message=message,
            gradient=steep,
            decrement=found.decrement,
            rank=rank,
            free=len(found.x),
            condition=condition,
            at_bounds=bounds,
            evaluations=search.solved,
        )


def _weak(sampled: Sampled, tails: np.ndarray) -> np.ndarray:
    """Whose weights are bad: hardly an effective draw, or a heavy tail (Vehtari and others 2024) that matters."""
    heavy = (tails > _HEAVY) & (sampled.effective < 0.5 * len(sampled.share))
    return np.flatnonzero(heavy | (sampled.effective < _EFFECTIVE))


def _said(people: tuple[str, ...], sampled: Sampled, tails: np.ndarray) -> str:
    """The weights in a sentence."""
    few, much, far = int(sampled.effective.argmin()), int(sampled.share.max(axis=0).argmax()), int(tails.argmax())
    return (
        f"Monte Carlo error of the objective {sampled.error:.2g}. Of {len(sampled.b)} draws a subject at least "
        f"{sampled.effective[few]:.0f} are effective ({people[few]}); the largest share of one is "
        f"{sampled.share[:, much].max():.2g} ({people[much]}), the largest tail index {tails[far]:.2f} ({people[far]})."
    )


@dataclass(slots=True)
class _Stage:
    """The objective with draws that are held; infinite where they no longer stand for the random effects."""

    proposals: Proposals
    least: np.ndarray
    solved: int = 0

    def __call__(self, x: np.ndarray) -> _Sample:
        prior = Prior.at(self.proposals.population, x)
        self.solved += 1
        return _Sample(self, x.copy(), prior, self.proposals.weigh(prior))


@dataclass(slots=True)
class _Sample(Penalised):
    """The sampled objective at one place, and that of the priors."""

    stage: _Stage
    x: np.ndarray
    prior: Prior
    sampled: Sampled
    _scores: Scores | None = field(default=None)

    @property
    def objective(self) -> float:
        """-2 log L without n log(2 pi)."""
        kept = (self.sampled.effective >= self.stage.least).all()
        return self.sampled.objective + self.priors.value(self.x) if kept else np.inf

    @property
    def scores(self) -> Scores:
        """The derivatives."""
        if self._scores is None:
            self.stage.solved += 1
            self._scores = self.stage.proposals.scores(self.prior, self.sampled)
        return self._scores

    @property
    def slopes(self) -> np.ndarray:
        """Derivatives of every subject's part, (S, X)."""
        return self.scores.gradient

    @property
    def priors(self) -> Priors:
        """The priors of the population."""
        return self.stage.proposals.population.priors


class _Search:
    """Stage after stage: descents with draws that are held, then laid anew."""

    def __init__(
        self, options: Importance, population: Population, quantities: Quantities, tick: Callable[[], None]
    ) -> None:
        self.options, self.population, self.quantities, self.tick = options, population, quantities, tick
        self.left, self.before = options.max_iterations, 0
        self.trace: list[tuple[float, np.ndarray]] = []
        self.near = np.zeros((len(population.problem.subjects), len(population.effects.names)))
        self.stage = self.lay(population.start, _FEWEST)

    @property
    def solved(self) -> int:
        """How often the objective was looked at."""
        return self.before + self.stage.solved

    def lay(self, x: np.ndarray, draws: int) -> _Stage:
        """Draw around the modes at x."""
        assert self.options.seed is not None
        prior = Prior.at(self.population, x)
        modes = find_modes(self.population, prior.z, prior.precision, self.near)
        self.near, seed = modes.b, self.options.seed
        shape = curvature_at(self.population, modes, prior.precision)
        drawn = Proposals.around(self.population, prior.z, modes.b, shape, draws=draws, seed=seed)
        stage = _Stage(drawn, np.zeros(len(self.near)))
        stage.least = _KEPT * stage(x).sampled.effective
        return stage

    def approach(self, start: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Give where FOCE leads roughly; a variance that vanishes on the way stands as before."""
        outer = Outer(self.population, conditional(self.population))
        found = descend(outer, start, lower, upper, tolerance=_NEAR, most=self.left, watch=lambda *_: self.tick())
        self.before += outer.solved
        self.trace += found.trace
        self.left = max(self.left - found.iterations, 1)
        return self.revived(found.x, start)

    def revived(self, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Give x with Omega as before where a rough search has led a variance to 0: from there is no way back."""
        k = len(self.population.effects.typical)
        elements = self.population.effects.covariance.elements
        diagonal = np.array([row == column for _, row, column in elements], dtype=bool)
        gone = (diagonal & (x[k:] < before[k:] - _GONE)).any()
        return np.concatenate([x[:k], before[k:]]) if gone else x

    def run(self, start: np.ndarray) -> Descent:
        """Give where the last descent ended."""
        options = self.options
        lower, upper = self.quantities.limits()
        people = len(self.near)
        draws, tolerance = options.draws, options.tolerance
        if self.left:
            draws, tolerance = max(_FEWEST, options.draws // _SHARE), max(_ROUGH, options.tolerance)
        x, hessian = np.clip(start, lower, upper), None
        if self.left:
            x = self.approach(x, lower, upper)
        near, stages = x, 0
        while True:
            self.before += self.stage.solved
            self.stage = self.lay(x, draws)
            found = descend(self.stage, x, lower, upper, tolerance=tolerance, most=min(self.left, _SAME),
                            watch=lambda *_: self.tick(), hessian=hessian)  # fmt: skip
            self.trace += found.trace[bool(self.trace) :]
            x, hessian = found.x, found.hessian
            self.left -= len(found.trace) - 1
            still, stages = len(found.trace) == 1, stages + 1
            rough = draws < options.draws
            if not still and self.left > 0 and not (rough and stages == _STAGES):
                continue
            if rough:
                draws, tolerance = options.draws, options.tolerance
                x, hessian = self.revived(x, near), None
                continue
            if options.error is None:
                return found
            now = self.stage(x).sampled.error
            more = min(int(np.ceil(1.1 * draws * (now / options.error) ** 2)), _MOST // people)
            if now <= options.error or more <= draws:
                return found
            draws = more
