"""The objective of a population fit as the search sees it: every look starts from the modes of the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pkpd.likelihood.marginal import Marginal
from pkpd.likelihood.population import Population

__all__ = ["Look", "Outer"]

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
        Such as :func:`pkpd.likelihood.marginal.foce`.
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

    def __call__(self, x: np.ndarray) -> Look:
        """Look at the objective."""
        return Look(outer=self, x=x.copy(), marginal=self._find(x))

    def _find(self, x: np.ndarray, **options: Any) -> Marginal:
        people, effects = len(self.population.problem.subjects), self.population.effects
        start, metric = np.zeros((people, len(effects.names))), None
        if self.last is not None:
            at, known = self.last
            start, metric = known.modes.b, known.bent
            if known.modes_x is not None:
                ahead = start + np.einsum("six,x->si", known.modes_x, x - at)
                start = np.where(np.isfinite(ahead), ahead, start)
        found = self.approximation(self.population, x, start, metric=metric, **options)
        self.solved += found.modes.iterations + 1
        return found

    def slopes(self, x: np.ndarray, known: Marginal) -> Marginal:
        """Give the same with its slopes, and remember it."""
        self.last = (x, known)
        found = self._find(x, gradient=True)
        self.last = (x, found)
        if self.best is None or found.objective < self.best.objective:
            self.best = Look(outer=self, x=x.copy(), marginal=found)
        return found


@dataclass(slots=True)
class Look:
    """The objective at one place; slopes are computed when they are asked for."""

    outer: Outer
    x: np.ndarray
    marginal: Marginal

    @property
    def objective(self) -> float:
        """-2 log L without n log(2 pi)."""
        return self.marginal.objective

    @property
    def slopes(self) -> np.ndarray:
        """Derivatives of every subject's part, (S, X)."""
        if self.marginal.gradient is None:
            self.marginal = self.outer.slopes(self.x, self.marginal)
        assert self.marginal.gradient is not None
        return self.marginal.gradient
