"""Down to a minimum by a quasi-Newton method (BFGS) with exact gradients, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

__all__ = ["STOPPED", "Descent", "Point", "descend", "stopped"]

#: Why a descent ended that somebody interrupted.
STOPPED = "stopped by hand"
_SUFFICIENT, _SHORTEST, _LONGEST = 1e-4, 1e-10, 2.0


class Point(Protocol):
    """An objective at one place."""

    @property
    def objective(self) -> float:
        """Its value; infinite where there is none."""
        ...

    @property
    def slopes(self) -> np.ndarray:
        """Derivatives, (S, X): of the part of each subject. Their sum is the gradient."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """Where a descent ended.

    Parameters
    ----------
    x : (X,) float
    point : Point
        The objective there.
    hessian : (X, X) float
        What the search learned of second derivatives.
    decrement : float
        How much the objective could still fall, as that says.
    iterations : int
    settled : bool
        Whether it ended at a minimum, as far as the tolerance tells.
    reason : str
        Why it ended.
    trace : list of (objective, x)
    """

    x: np.ndarray
    point: Point
    hessian: np.ndarray
    decrement: float
    iterations: int
    settled: bool
    reason: str
    trace: list[tuple[float, np.ndarray]] = field(default_factory=list)


def descend(
    look: Callable[[np.ndarray], Point],
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    tolerance: float,
    most: int,
    watch: Callable[[int, float], None] | None = None,
    hessian: np.ndarray | None = None,
) -> Descent:
    """Go down from a start.

    The first second derivatives are those that the subjects' own slopes suggest (the sum of their squares, as Berndt,
    Hall, Hall and Hausman do); each step corrects them. What stands at a bound and pulls outwards is left there.

    Parameters
    ----------
    look
        Gives the objective at x; its slopes are asked for only where a step is taken.
    start, lower, upper : (X,) float
    tolerance : float
        The descent ends where the objective could fall by less.
    most : int
        Iterations; 0 only looks.
    watch
        Told the iteration and the objective.
    hessian : (X, X) float, optional
        Second derivatives near the start, positive definite, in place of the first guess.
    """
    x = np.clip(start, lower, upper)
    here = look(x)
    trace = [(here.objective, x.copy())]
    slopes = here.slopes
    gradient, reset = slopes.sum(axis=0), hessian is None
    hessian = _first_guess(slopes) if hessian is None else hessian
    for iteration in range(most + 1):
        free = ~(((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0)))
        direction = np.zeros_like(x)
        direction[free] = -np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        decrement = float(-0.5 * gradient @ direction)
        if watch is not None:
            watch(iteration, here.objective)
        if decrement <= tolerance:
            return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=iteration, settled=True,
                           reason="", trace=trace)  # fmt: skip
        if iteration == most:
            break
        there, step = _search(look, x, here, gradient, direction, lower, upper)
        if there is None:
            if reset:
                return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=iteration,
                               settled=decrement <= 100 * tolerance, reason="no step leads further down",
                               trace=trace)  # fmt: skip
            hessian, reset = _first_guess(slopes), True
            continue
        x = x + step
        here, slopes = there, there.slopes
        trace.append((here.objective, x.copy()))
        change = slopes.sum(axis=0) - gradient
        gradient = gradient + change
        hessian, reset = _update(hessian, step, change), False
    return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=most, settled=False,
                   reason=f"{most} iterations were not enough", trace=trace)  # fmt: skip


def stopped(x: np.ndarray, point: Point, iterations: int) -> Descent:
    """Give a descent that was stopped by hand, with the lowest point so far."""
    return Descent(x=x, point=point, hessian=_first_guess(point.slopes), decrement=float("nan"), iterations=iterations,
                   settled=False, reason=STOPPED, trace=[(point.objective, x)])  # fmt: skip


def _first_guess(slopes: np.ndarray) -> np.ndarray:
    """Second derivatives from the slopes of -2 log L of each subject; what they say nothing of is taken as 1."""
    squares = 0.5 * np.nan_to_num(slopes).T @ np.nan_to_num(slopes)
    values, vectors = np.linalg.eigh(squares)
    values = np.maximum(values, max(1e-6 * values[-1], 1.0) if len(values) else 1.0)
    return (vectors * values) @ vectors.T


def _search(
    look: Callable[[np.ndarray], Point],
    x: np.ndarray,
    here: Point,
    gradient: np.ndarray,
    direction: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> tuple[Point | None, np.ndarray]:
    """Take the longest share of a direction, no step beyond `_LONGEST`, that leads down enough."""
    share = min(1.0, _LONGEST / max(float(np.abs(direction).max()), 1e-300))
    while share > _SHORTEST:
        step = np.clip(x + share * direction, lower, upper) - x
        slope = float(gradient @ step)
        there = look(x + step)
        rounding = 1e-12 * max(1.0, abs(here.objective))
        if there.objective <= here.objective + _SUFFICIENT * slope + rounding:
            return there, step
        shorter = 0.25
        if np.isfinite(there.objective):  # the minimum of the parabola through what is known
            bend = there.objective - here.objective - slope
            shorter = min(0.5, max(0.1, -slope / (2 * bend))) if bend > 0 else 0.25
        share *= shorter
    return None, np.zeros_like(x)


def _update(hessian: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """BFGS, damped as Powell does where the curvature along the step is not positive."""
    along = hessian @ step
    expected, seen = float(step @ along), float(step @ change)
    if expected <= 0.0 or not np.isfinite(seen):
        return hessian
    if seen < 0.2 * expected:
        weight = 0.8 * expected / (expected - seen)
        change = weight * change + (1 - weight) * along
        seen = float(step @ change)
    return hessian - np.outer(along, along) / expected + np.outer(change, change) / seen
