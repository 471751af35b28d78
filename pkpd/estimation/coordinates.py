"""The scale on which a fit searches: natural values to unbounded ones and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pkpd.likelihood import Problem
from pkpd.model import Parameter

__all__ = ["Coordinates"]

# A logarithm that has run further than this has run away; its exponential must stay a number above 0.
_ENDLESS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """Everything that has a value: the model's parameters, then those of the residual error.

    ``K`` in all, the first ``count`` of them the model's. Values are natural; ``z`` are values on the estimation
    scale, where a log-transformed parameter is its logarithm.

    Parameters
    ----------
    parameters : tuple of Parameter
        K of them. Those of the residual error have the transform log (standard deviations) or none (exponents).
    count : int
        How many belong to the model.
    free : (K,) bool
        What the search may move.
    """

    parameters: tuple[Parameter, ...]
    count: int
    free: np.ndarray

    @classmethod
    def of(cls, problem: Problem, *, residuals_free: bool) -> Coordinates:
        """Give the coordinates of a problem; `residuals_free` says whether the search moves residual parameters."""
        own = tuple(problem.model.parameters.values())
        error = tuple(problem.residual_parameters)
        used = problem.residuals.used
        free = [not p.fixed for p in own]
        free += [residuals_free and not p.fixed and is_used for p, is_used in zip(error, used)]
        return cls(parameters=own + error, count=len(own), free=np.array(free, dtype=bool))

    @property
    def names(self) -> tuple[str, ...]:
        """K names."""
        return tuple(p.name for p in self.parameters)

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of what the search moves."""
        return tuple(p.name for p, free in zip(self.parameters, self.free) if free)

    @property
    def initial(self) -> np.ndarray:
        """Natural values before the fit, (K,)."""
        return np.array([p.typical for p in self.parameters], dtype=float)

    def forward(self, values: Iterable[float] | np.ndarray) -> np.ndarray:
        """Give natural values (..., K) on the estimation scale."""
        return self._each("forward", values)

    def inverse(self, z: Iterable[float] | np.ndarray) -> np.ndarray:
        """Give values (..., K) of the estimation scale as natural ones."""
        return self._each("inverse", z)

    def slope(self, z: Iterable[float] | np.ndarray) -> np.ndarray:
        """Give the derivative of the natural values with respect to those of the estimation scale, (..., K)."""
        return self._each("d_inverse", z)

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the bounds on the estimation scale, (K,) each; infinite where there is none."""
        lower, upper = np.full(len(self.parameters), -np.inf), np.full(len(self.parameters), np.inf)
        for k, p in enumerate(self.parameters):
            if p.transform == "logit":
                continue  # the transform itself keeps to its bounds
            if p.transform == "boxcox":  # its scale may end where the value is 0 or without limit
                lower[k], upper[k] = p.forward(p.lower), p.forward(p.upper)
                continue
            if p.lower is not None and (p.transform == "none" or p.lower > 0):
                lower[k] = p.forward(p.lower)
            if p.upper is not None and np.isfinite(p.upper):
                upper[k] = p.forward(p.upper)
        return lower, upper

    def size(self, z: np.ndarray) -> np.ndarray:
        """Say what counts as a change of each of the K quantities near `z` (K,): 1, or the size of a plain value."""
        pairs = zip(self.parameters, z, self.forward(self.initial), strict=True)
        size = np.array([max(p.size(now), p.size(before)) for p, now, before in pairs])
        return np.where(size > 0, size, 1.0)

    def within_reach(self, z: np.ndarray) -> np.ndarray:
        """Give free values (F,) with those that have run away brought back to where they are still numbers."""
        free = [p.transform for p, is_free in zip(self.parameters, self.free) if is_free]
        return np.where([t in ("none", "boxcox") for t in free], z, np.clip(z, -_ENDLESS, _ENDLESS))

    def without(self, chosen: np.ndarray) -> Coordinates:
        """Give the coordinates with some of the free quantities, (F,) bool, held."""
        free = self.free.copy()
        free[np.flatnonzero(free)[chosen]] = False
        return replace(self, free=free)

    def _each(self, method: str, values: Iterable[float] | np.ndarray) -> np.ndarray:
        given = np.asarray(values, dtype=float)
        out = np.empty_like(given)
        with np.errstate(over="ignore"):  # a wild trial step; the engine refuses what is infinite
            for k, p in enumerate(self.parameters):
                out[..., k] = getattr(p, method)(given[..., k])
        return out
