"""What the estimators that maximise an approximate likelihood of a population have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.assemble import assemble, reordered
from pkpd.estimation.base import Outcome
from pkpd.estimation.descend import STOPPED, Descent, descend, stopped
from pkpd.estimation.outer import Approximation, Look, Outer
from pkpd.estimation.precision import CovarianceMethod, Precision, find_precision
from pkpd.estimation.progress import progress
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.verdict import BY_HAND, Status, Verdict
from pkpd.likelihood import Feature, Problem
from pkpd.likelihood.density import CensoringMethod, Density
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.population import Population
from pkpd.streams import addresses

__all__ = ["ForPopulations", "PopulationEstimator", "check_start"]

#: A slope of the objective, times the standard error of its parameter, above which a minimum is not believed.
_FLAT = 0.01
#: A variance below this says that nobody differs.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPopulations(ABC):
    """What every estimator of a population can be told.

    Parameters
    ----------
    covariance : "sandwich", "R", "S" or None
        How standard errors are made: r^-1 s r^-1, r^-1 or s^-1, of the observed information r and the squares of
        slopes s; None for none.
    level : float
        Of the confidence intervals.
    censoring : "M1", "M2", "M3" or "M4"
        What becomes of censored records, see :class:`pkpd.likelihood.Density`.
    threads : int, optional
        None: as many as there are processors. The numbers do not depend on it.
    """

    handles: ClassVar[frozenset[Feature]] = frozenset({
        Feature.CHANGES,
        Feature.OUTPUTS,
        Feature.CENSORING,
        Feature.OCCASIONS,
    })  # fmt: skip

    covariance: CovarianceMethod | None = "sandwich"
    level: float = 0.95
    censoring: CensoringMethod = "M3"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.covariance is not None and self.covariance not in get_args(CovarianceMethod):
            self._refuse("covariance", f"One of {', '.join(get_args(CovarianceMethod))}, or None.")
        if not 0 < self.level < 1:
            self._refuse("level", "A share between 0 and 1.")
        if self.censoring not in get_args(CensoringMethod):
            self._refuse("censoring", f"One of {', '.join(get_args(CensoringMethod))}.")
        if self.threads is not None and self.threads < 1:
            self._refuse("threads", "1 or more, or None for all cores.")

    def _refuse(self, name: str, expected: str) -> None:
        raise CannotFit(
            f"{name} is {getattr(self, name)!r}.", where=f"{type(self).__name__}({name}=...)", expected=expected
        )

    def run(self, problem: Problem) -> Outcome:
        """Fit a problem; see :func:`pkpd.fit`."""
        # In an order of their own, so that sums over subjects do not depend on the order of the file by a single bit.
        order = np.argsort(addresses(problem.subjects), kind="stable")
        return reordered(self._run(self.population(problem.take(order))), problem, order)

    @abstractmethod
    def _run(self, population: Population) -> Outcome:
        """Fit a population whose subjects stand in an order of their own."""

    def population(self, problem: Problem) -> Population:
        """Give the problem with the effects of its model and the density of its records."""
        effects = Effects.of(
            problem.model, problem.residual_parameters, problem.residuals.used, problem.program.occasions
        )
        if not effects.names:
            raise CannotFit(
                "no parameter differs between people.",
                where=f"{type(self).__name__}(), model {problem.model.name}",
                expected="At least one parameter with iiv, a variance between people, or iov, one between occasions.",
                remedy="Give iiv to a parameter, or use Pooled().",
            )
        density = Density.of(problem.observations, problem.residuals, method=self.censoring)
        return Population(problem=problem, effects=effects, density=density, threads=self.threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationEstimator(ForPopulations):
    """Fit a population by maximising an approximation of its likelihood; slopes are exact.

    Parameters
    ----------
    covariance, level, censoring, threads
        See :class:`ForPopulations`.
    tolerance : float
        The search ends where the objective could fall by less.
    max_iterations : int
        0 evaluates at the starting values.
    """

    tolerance: float = 1e-6
    max_iterations: int = 500

    def __post_init__(self) -> None:
        ForPopulations.__post_init__(self)
        if not self.tolerance > 0:
            self._refuse("tolerance", "A number above 0.")
        if self.max_iterations < 0:
            self._refuse("max_iterations", "0 or more.")

    @property
    @abstractmethod
    def title(self) -> str:
        """The approximation in words."""

    @abstractmethod
    def approximation(self, population: Population) -> Approximation:
        """Give the approximation to maximise, or refuse what it cannot honour."""

    def _run(self, population: Population) -> Outcome:
        effects = population.effects
        quantities, outer = Quantities.of(effects), Outer(population, self.approximation(population))
        start = np.concatenate([effects.start, effects.covariance.start])
        lower, upper = quantities.limits()
        check_start(population, outer(start))
        iterations, late = -1, ""

        def watch(iteration: int, _: float) -> None:
            nonlocal iterations
            iterations = iteration
            tick()

        with progress("Searching") as tick:
            try:
                found = descend(
                    outer, start, lower, upper, tolerance=self.tolerance, most=self.max_iterations, watch=watch
                )
            except KeyboardInterrupt:
                if outer.best is None:
                    raise
                found = stopped(outer.best.x, outer.best, max(iterations, 0))
            at_bound = (found.x <= lower) | (found.x >= upper)
            known = None
            if self.covariance is not None and np.isfinite(found.point.objective) and found.reason != STOPPED:
                try:
                    known = find_precision(
                        lambda x: outer(x).slopes, found.x, ~at_bound, self.covariance, quantities.size(found.x)
                    )
                except KeyboardInterrupt:
                    late = f" {BY_HAND} before the standard errors were known."
        verdict = _judge(self, outer, quantities, found, known)
        verdict = replace(verdict, message=verdict.message + late)
        assert isinstance(found.point, Look)
        trace = [(value, quantities.natural(x)) for value, x in found.trace]
        return assemble(self, population, quantities, found.point, known, verdict, trace, title=self.title)


def check_start(population: Population, first: Look) -> None:
    """Refuse a start from which there is no way, with whom it concerns."""
    lost = np.flatnonzero(~np.isfinite(first.marginal.each))
    if not lost.size:
        return
    problem = population.problem
    zero = np.zeros((len(problem.subjects), len(population.effects.names)))
    k = len(population.effects.typical)
    values, _ = population.effects.natural(population.effects.arguments(first.x[:k], zero), problem.program.parameters)
    problem.predict(values).raise_failures()
    who = ", ".join(problem.subjects[s] for s in lost[:5]) + (f" and {lost.size - 5} more" if lost.size > 5 else "")
    raise CannotFit(
        f"the records of {who} have no likelihood at the starting values.",
        where=problem.where,
        expected="A residual SD above 0 for every record, and predictions above 0 under a log-normal error.",
        remedy="Change the starting values, or the law of the residual error.",
    )


def _judge(
    estimator: PopulationEstimator, outer: Outer, quantities: Quantities, found: Descent, known: Precision | None
) -> Verdict:
    """Whether the fit may be believed."""
    own = quantities.coordinates
    lower, upper = quantities.limits()
    free = [own.names[place] for place in np.flatnonzero(own.free)]
    at_bound = (found.x <= lower) | (found.x >= upper)
    gradient = 0.5 * found.point.slopes.sum(axis=0)
    errors = np.sqrt(np.diagonal(np.linalg.inv(0.5 * found.hessian)))
    steep = float(np.abs(gradient * errors)[~at_bound].max(initial=0.0))
    natural = quantities.natural(found.x)[own.free]
    vanished = [n.startswith(("iiv.", "iov.")) and "," not in n and v < _NOTHING for n, v in zip(free, natural)]
    bounds = tuple(name for name, *is_at in zip(free, at_bound, vanished, strict=True) if any(is_at))
    status, message = Status.CONVERGED, "The search ended at a minimum."
    if estimator.max_iterations == 0:
        status, message = Status.NOT_CONVERGED, "Nothing was searched: the objective stands at the starting values."
    elif found.reason == STOPPED:
        status = Status.NOT_CONVERGED
        message = f"{BY_HAND} after {found.iterations} iterations: the estimates so far."
    elif not found.settled or steep > _FLAT:
        status = Status.NOT_CONVERGED
        ran_out = found.iterations >= estimator.max_iterations
        remedy = "Raise max_iterations, or try other starts." if ran_out else "Try other starts."
        message = f"The search ended without a minimum: {found.reason or 'the slope is not 0'}. {remedy}"
    elif known is not None and known.reason and "subjects" not in known.reason:
        status = Status.NOT_IDENTIFIED
        message = f"There are no standard errors: {known.reason}. Fix a parameter, or take out a random effect."
    elif bounds:
        status = Status.AT_BOUND
        message = f"At a bound: {', '.join(bounds)}."
        if any(vanished):
            message += " A variance that has run to 0 is best taken out of the model (iiv = 0)."
    eigenvalues = known.eigenvalues if known is not None else np.zeros(0)
    usable = eigenvalues.size and np.isfinite(eigenvalues).all() and eigenvalues.min() > 0
    return Verdict(
        status=status,
        message=message,
        gradient=steep,
        decrement=found.decrement,
        rank=int((eigenvalues > 1e-8).sum()),
        free=len(found.x),
        condition=float(eigenvalues.max() / eigenvalues.min()) if usable else float("nan"),
        at_bounds=bounds,
        evaluations=outer.solved,
    )
