"""The objective of a population fit as the search sees it: every look starts from the modes of the last."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pkpd.likelihood.marginal import Marginal
from pkpd.likelihood.mixture import by_class
from pkpd.likelihood.population import Population
from pkpd.likelihood.priors import Priors

__all__ = ["Look", "Outer", "Penalised"]

#: Gives an approximation at x, from a start for the modes and second derivatives near by; with its slopes or without.
Approximation = Callable[..., Marginal]


@dataclass(slots=True)
class Outer:
    """An approximation of the likelihood of a population, with what is remembered from look to look.

    What is remembered only makes the next look faster: modes are found to the same precision wherever the search
    for them starts.

    Parameters
    ----------
    population : Population
    approximation : callable
        Such as :func:`pkpd.likelihood.marginal.foce`; of a mixture it is taken for each class.
    solved : int
        How often the model was solved for everybody.
    last, best
        Where slopes were asked for last, and where the objective was lowest of such places.
    """

    population: Population
    approximation: Approximation
    solved: int = 0
    last: tuple[np.ndarray, Marginal] | None = field(default=None)
    best: Look | None = field(default=None)

    def __post_init__(self) -> None:
        self.approximation = by_class(self.population, self.approximation)

    def __call__(self, x: np.ndarray) -> Look:
        """Look at the objective."""
        return Look(outer=self, x=x.copy(), marginal=self._find(x))

    def _find(self, x: np.ndarray, **options: Any) -> Marginal:
        people, effects = len(self.population.problem.subjects), self.population.effects
        start, metric = np.zeros((people, len(effects.names))), None
        if self.last is not None:
            at, known = self.last
            start, metric = known.ahead(x - at)
        found = self.approximation(self.population, x, start, metric=metric, **options)
        self.solved += found.modes.iterations + 1
        return found

    def slopes(self, x: np.ndarray, known: Marginal) -> Marginal:
        """Give the same with its slopes, and remember it."""
        self.last = (x, known)
        found = self._find(x, gradient=True)
        self.last = (x, found)
        here = Look(outer=self, x=x.copy(), marginal=found)
        if self.best is None or here.objective < self.best.objective:
            self.best = here
        return found


class Penalised(ABC):
    """An objective of parts that subjects have, and of priors: what follows from the slopes of both."""

    __slots__ = ()
    x: np.ndarray

    @property
    @abstractmethod
    def slopes(self) -> np.ndarray:
        """Derivatives of every subject's part of -2 log L, (S, X)."""

    @property
    @abstractmethod
    def priors(self) -> Priors:
        """The priors."""

    @property
    def gradient(self) -> np.ndarray:
        """Derivatives of the objective, (X,)."""
        return self.slopes.sum(axis=0) + self.priors.gradient(self.x)

    @property
    def information(self) -> np.ndarray:
        """The squares of the subjects' slopes of -log L, and the information of the priors, (X, X)."""
        slopes = np.nan_to_num(self.slopes)
        return 0.25 * slopes.T @ slopes + self.priors.information(self.x)


@dataclass(slots=True)
class Look(Penalised):
    """The objective at one place: -2 log L, and that of the priors; slopes are computed when they are asked for."""

    outer: Outer
    x: np.ndarray
    marginal: Marginal

    @property
    def objective(self) -> float:
        """-2 log L without n log(2 pi), and -2 log density of the priors."""
        return self.marginal.objective + self.priors.value(self.x)

    @property
    def slopes(self) -> np.ndarray:
        """Derivatives of every subject's part of -2 log L, (S, X)."""
        if self.marginal.gradient is None:
            self.marginal = self.outer.slopes(self.x, self.marginal)
        assert self.marginal.gradient is not None
        return self.marginal.gradient

    @property
    def priors(self) -> Priors:
        """The priors of the population."""
        return self.outer.population.priors
