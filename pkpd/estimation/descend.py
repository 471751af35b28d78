"""Down to a minimum by a quasi-Newton method (BFGS) with exact gradients, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

__all__ = ["EDGE", "STOPPED", "Descent", "Point", "descend", "stopped"]

#: Why a descent ended that somebody interrupted.
STOPPED = "stopped by hand"
EDGE = "the objective has an edge there, along which the search creeps"
_SUFFICIENT, _SHORTEST, _LONGEST = 1e-4, 1e-7, 2.0
#: A search that has fallen by less than so many tolerances in so many iterations is as low as its slopes can tell.
_STILL, _ITERATIONS = 100, 25
#: A search that begins anew so many times, each time after a fall of less, creeps along an edge of the objective.
_ANEW, _CREEP = 4, 0.05


class Point(Protocol):
    """An objective at one place."""

    @property
    def objective(self) -> float:
        """Its value; infinite where there is none."""
        ...

    @property
    def gradient(self) -> np.ndarray:
        """Its derivatives, (X,)."""
        ...

    @property
    def information(self) -> np.ndarray:
        """What half of its second derivatives may be, (X, X): the squares of the subjects' slopes."""
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
    size: np.ndarray | None = None,
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
    size : (X,) float, optional
        What counts as a change of each by 1, for the longest step and the first guess: 1 for logarithms.
    """
    size = np.ones(len(start)) if size is None else size
    x = np.clip(start, lower, upper)
    here = look(x)
    trace = [(here.objective, x.copy())]
    if not np.isfinite(here.objective):
        return Descent(x=x, point=here, hessian=np.eye(len(x)), decrement=np.inf, iterations=0, settled=False,
                       reason="the records have no likelihood at the start", trace=trace)  # fmt: skip
    gradient, reset = here.gradient, hessian is None
    renewed, last = 0, np.inf
    hessian = _first_guess(here.information, size) if hessian is None else hessian
    for iteration in range(most + 1):
        if not np.isfinite(gradient).all():
            return Descent(x=x, point=here, hessian=hessian, decrement=np.inf, iterations=iteration, settled=False,
                           reason="the slopes of the objective are no numbers", trace=trace)  # fmt: skip
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
        if len(trace) > _ITERATIONS and trace[-1 - _ITERATIONS][0] - here.objective < _STILL * tolerance:
            return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=iteration,
                           settled=decrement <= 1000 * tolerance, reason="the objective hardly falls any more",
                           trace=trace)  # fmt: skip
        there, step = _search(look, x, here, gradient, direction, lower, upper, size)
        if there is None:
            if reset:
                return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=iteration,
                               settled=decrement <= 100 * tolerance, reason="no step leads further down",
                               trace=trace)  # fmt: skip
            renewed, last = renewed + 1 if last - here.objective < _CREEP else 1, here.objective
            if renewed > _ANEW:
                return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=iteration,
                               settled=decrement <= 100 * tolerance, reason=EDGE, trace=trace)  # fmt: skip
            hessian, reset = _first_guess(here.information, size), True
            continue
        x = x + step
        here = there
        trace.append((here.objective, x.copy()))
        change = here.gradient - gradient
        gradient = gradient + change
        hessian, reset = _update(hessian, step, change), False
    return Descent(x=x, point=here, hessian=hessian, decrement=decrement, iterations=most, settled=False,
                   reason=f"{most} iterations were not enough", trace=trace)  # fmt: skip


def stopped(x: np.ndarray, point: Point, iterations: int, size: np.ndarray) -> Descent:
    """Give a descent that was stopped by hand, with the lowest point so far."""
    return Descent(x=x, point=point, hessian=_first_guess(point.information, size), decrement=float("nan"),
                   iterations=iterations, settled=False, reason=STOPPED, trace=[(point.objective, x)])  # fmt: skip


def _first_guess(information: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Second derivatives from what is known of half of them; what that says nothing of is taken as 1."""
    values, vectors = np.linalg.eigh(2 * np.nan_to_num(information) * np.outer(size, size))
    values = np.maximum(values, max(1e-6 * values[-1], 1.0) if len(values) else 1.0)
    return (vectors * values) @ vectors.T / np.outer(size, size)


def _search(
    look: Callable[[np.ndarray], Point],
    x: np.ndarray,
    here: Point,
    gradient: np.ndarray,
    direction: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    size: np.ndarray,
) -> tuple[Point | None, np.ndarray]:
    """Take the longest share of a direction, no step beyond `_LONGEST` sizes, that leads down enough."""
    share = min(1.0, _LONGEST / max(float(np.abs(direction / size).max()), 1e-300))
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
