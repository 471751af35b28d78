"""What the estimators that maximise an approximate likelihood of a population have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.assemble import assemble, reordered
from pkpd.estimation.base import Outcome
from pkpd.estimation.basins import End, Minimum, Search
from pkpd.estimation.believe import believe
from pkpd.estimation.descend import STOPPED, Point, stopped
from pkpd.estimation.outer import Approximation, Look, Outer
from pkpd.estimation.precision import CovarianceMethod, Precision, find_precision
from pkpd.estimation.progress import progress
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.sound import check_likelihood, check_population
from pkpd.estimation.verdict import BY_HAND
from pkpd.likelihood import Feature, Problem
from pkpd.likelihood.density import CensoringMethod, Density
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.population import Mixture, Population
from pkpd.likelihood.priors import Priors
from pkpd.streams import addresses

__all__ = ["ForPopulations", "PopulationEstimator", "check_start", "population_of"]


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
        Feature.STUDENT,
        Feature.KINDS,
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
        where = f"{type(self).__name__}()"
        return population_of(problem, censoring=self.censoring, threads=self.threads, where=where)


def population_of(
    problem: Problem, *, censoring: CensoringMethod, threads: int | None, where: str, alike: bool = False
) -> Population:
    """Give a problem with the effects of its model and the density of its records; `where` begins what is refused.

    With `alike`, people may all be the same.
    """
    effects = Effects.of(problem.model, problem.residual_parameters, problem.residuals.used, problem.program.occasions)
    if not effects.names and not alike:
        other = "Laplace" if Feature.KINDS in problem.features else "Pooled"
        raise CannotFit(
            "no parameter differs between people.",
            where=f"{where}, model {problem.model.name}",
            expected="At least one parameter with iiv, a variance between people, or iov, one between occasions.",
            remedy=f"Give iiv to a parameter, or use {other}().",
        )
    df = [output.t for output in problem.model.outputs.values()]
    density = Density.of(problem.observations, problem.residuals, method=censoring, df=df)
    return Population(
        problem=problem,
        effects=effects,
        density=density,
        threads=threads,
        priors=Priors.of(problem.model, effects),
        mixture=Mixture.of(problem.model),
    )


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
    starts : int
        How many places to search from: the given values, then others found from the data. The best end is given, and
        all are told. With 1, others are searched from only where the given values lead nowhere.
    """

    handles: ClassVar[frozenset[Feature]] = ForPopulations.handles | {Feature.PRIORS, Feature.MIXTURE}

    tolerance: float = 1e-6
    max_iterations: int = 500
    starts: int = 1

    def __post_init__(self) -> None:
        ForPopulations.__post_init__(self)
        if not self.tolerance > 0:
            self._refuse("tolerance", "A number above 0.")
        if self.max_iterations < 0:
            self._refuse("max_iterations", "0 or more.")
        if self.starts < 1:
            self._refuse("starts", "1 or more.")
        if self.starts > 1 and self.max_iterations == 0:
            self._refuse("starts", "1, where nothing is searched (max_iterations=0).")

    def population(self, problem: Problem) -> Population:
        """Give the problem with the effects of its model and the density of its records.

        Where least squares cannot fit them, people need not differ.
        """
        where, alike = f"{type(self).__name__}()", Feature.KINDS in problem.features
        return population_of(problem, censoring=self.censoring, threads=self.threads, where=where, alike=alike)

    @property
    @abstractmethod
    def title(self) -> str:
        """The approximation in words."""

    def titled(self, population: Population) -> str:
        """Give the approximation in words, as it is for this population."""
        return self.title

    @abstractmethod
    def approximation(self, population: Population) -> Approximation:
        """Give the approximation to maximise, or refuse what it cannot honour."""

    def _run(self, population: Population) -> Outcome:
        quantities, outer = Quantities.of(population), Outer(population, self.approximation(population))
        if self.max_iterations > 0:
            check_population(population, quantities)
        iterations, late = 0, ""

        def watch(iteration: int, _: float) -> None:
            nonlocal iterations
            iterations += iteration > 0
            tick()

        with progress("Searching") as tick:
            search = Search(population, quantities, outer, self.tolerance, self.max_iterations, self.starts, watch)
            try:
                found = search.run()
            except KeyboardInterrupt:
                if outer.best is None:
                    raise
                found = _so_far(search, outer.best, iterations)
            check_start(population, found.descent.point)
            known, at_bound = None, _at_bound(quantities, found)
            try:
                known = self._known(outer, quantities, found)
                better = search.refine(found, known, at_bound | found.collapsed)
                if better is not None:
                    found, known, at_bound = (
                        better,
                        self._known(outer, quantities, better),
                        _at_bound(quantities, better),
                    )
            except KeyboardInterrupt:
                late = f" {BY_HAND} before the standard errors were known."
        verdict = believe(self.max_iterations, outer, quantities, found, known, at_bound)
        verdict = replace(verdict, message=verdict.message + late)
        trace = [(value, quantities.natural(x)) for value, x in found.descent.trace]
        assert isinstance(found.descent.point, Look)
        title = self.titled(population)
        outcome = assemble(self, population, quantities, found.descent.point, known, verdict, trace, title=title)
        ends = [("population", e.descent.point.objective, quantities.natural(e.descent.x)) for e in found.ends]
        return replace(outcome, notes=(*found.notes, *outcome.notes), starts=ends if len(ends) > 1 else [])

    def _known(self, outer: Outer, quantities: Quantities, found: Minimum) -> Precision | None:
        """Give how well the estimates are known."""
        x, point = found.descent.x, found.descent.point
        if self.covariance is None or not np.isfinite(point.objective) or found.descent.reason == STOPPED:
            return None
        free = ~(_at_bound(quantities, found) | found.collapsed)
        return find_precision(outer, x, free, self.covariance, quantities.size(x))


def _at_bound(quantities: Quantities, found: Minimum) -> np.ndarray:
    """Which outer parameters stand at a bound of their own, (X,) bool."""
    x, (lower, upper) = found.descent.x, quantities.limits()
    return (x <= lower) | (x >= upper)


def _so_far(search: Search, best: Look, iterations: int) -> Minimum:
    """Give the lowest place of searches that were stopped by hand."""
    descent = stopped(best.x, best, iterations, search.quantities.size(best.x))
    end = End(label="the searches so far", start=search.given, descent=descent)
    return Minimum(descent=descent, collapsed=np.zeros(len(best.x), dtype=bool), ends=(end,), notes=tuple(search.notes))


def check_start(population: Population, first: Point) -> None:
    """Refuse a start from which there is no way, with whom it concerns."""
    assert isinstance(first, Look)
    check_likelihood(population, first.x[: len(population.effects.typical)], first.marginal.each)
