"""Profile likelihoods of what a model predicts: how bad the fit must become for a quantity to have another value.

The sum of squares is minimised with the quantity held at one value after the other, starting from the estimates. One
parameter is given up for that: whatever the others are, it takes the value at which the quantity is as wanted, and the
search goes over the others. With known weights, the rise of the sum of squares above its minimum is a likelihood ratio,
chi-squared with one degree of freedom.

Source: Kreutz C, Raue A, Timmer J. Likelihood based observability analysis and confidence intervals for predictions of
dynamic models. BMC Syst Biol 2012;6:120. doi:10.1186/1752-0509-6-120
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pkpd.estimation.objective import Objective

__all__ = ["Profile", "Quantity", "profile"]

Quantity = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From free values on the estimation scale (F,) to a value and its derivatives (F,)."""

_MOST_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The rise of the sum of squares along a quantity.

    Parameters
    ----------
    centre : float
        Its value at the estimates.
    values, rise : (M,) float
        Values in rising order, and how much the sum of squares lies above its minimum there.
    at : (M, F) float
        The free values at each of them, on the estimation scale.
    limits : (float, float)
        How far it was followed.
    """

    centre: float
    values: np.ndarray
    rise: np.ndarray
    at: np.ndarray
    limits: tuple[float, float] = (-np.inf, np.inf)

    def interval(self, allowed: float) -> tuple[float, float]:
        """Values at which the rise is `allowed`: by linear interpolation of its root.

        A side that never rises so far ends where the model can go no further, or at infinity if it was still going when
        it reached the limits.
        """
        root, wanted = np.sqrt(np.maximum(self.rise, 0.0)), np.sqrt(allowed)
        here = int(np.argmin(np.abs(self.values - self.centre)))
        ends = []
        for side in (-1, 1):
            indices = range(here, -1, -1) if side < 0 else range(here, len(self.values))
            end, before = self.values[here], here
            for i in indices:
                if root[i] >= wanted:
                    share = (wanted - root[before]) / (root[i] - root[before]) if root[i] > root[before] else 1.0
                    end = self.values[before] + share * (self.values[i] - self.values[before])
                    break
                end, before = self.values[i], i
            else:
                limit = self.limits[0 if side < 0 else 1]
                if np.isfinite(limit) and abs(end - limit) < 1e-9 * max(1.0, abs(limit)):
                    end = side * np.inf
            ends.append(float(end))
        return ends[0], ends[1]


def profile(
    objective: Objective,
    start: np.ndarray,
    quantity: Quantity,
    *,
    until: float,
    step: float,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Profile:
    """Follow a quantity to both sides until the sum of squares has risen enough.

    Parameters
    ----------
    objective : Objective
        With known weights.
    start : (F,) float
        The estimates of the free parameters, on the estimation scale.
    quantity : callable
    until : float
        Rise of the sum of squares at which to stop.
    step : float
        First step of the quantity.
    limits : (float, float)
        Where to stop in any case.
    """
    rows = objective.residuals(start)
    best = float(rows @ rows)
    centre, slope = quantity(start)
    held = _Held(objective=objective, quantity=quantity, given=_choose(objective, start, slope))
    sides: list[list[tuple[float, float, np.ndarray]]] = []
    for side in (-1.0, 1.0):
        found: list[tuple[float, float, np.ndarray]] = []
        value, stride, z, rise = centre, step, start, 0.0
        before = None
        for _ in range(_MOST_STEPS):
            bound = limits[0] if side < 0 else limits[1]
            target = max(value - stride, bound) if side < 0 else min(value + stride, bound)
            if target == value:
                break
            # The path is nearly straight: the next point lies beyond the last two.
            guess = z if before is None else z + (z - before[1]) * (target - value) / (value - before[0])
            z_new, cost, reached = held.minimise(guess, target, 1e-5 * step)
            close = 0.02 * stride
            if abs(reached - target) > close or cost - best - rise > 0.35 * until:
                # The path may have run into a corner, where the quantity hardly moves; from the estimates it may not.
                other = held.minimise(start, target, 1e-5 * step)
                if abs(other[2] - target) <= close and (abs(reached - target) > close or other[1] < cost):
                    z_new, cost, reached = other
            if abs(reached - target) > close:  # the model cannot get there
                if stride > 0.02 * step:
                    stride /= 3
                    continue
                break
            gained = max(cost - best, 0.0)
            if gained - rise > 0.35 * until and stride > 0.05 * step:  # too coarse to interpolate
                stride /= 2
                continue
            before = (value, z)
            value, z, rise = target, z_new, gained
            found.append((value, rise, z))
            if rise >= until:
                break
            if gained < 0.15 * until * len(found):
                stride *= 1.3
        sides.append(found)
    path = sides[0][::-1] + [(centre, 0.0, start)] + sides[1]
    return Profile(
        centre=centre,
        values=np.array([p[0] for p in path]),
        rise=np.array([p[1] for p in path]),
        at=np.array([p[2] for p in path]),
        limits=limits,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """The problem with one parameter given up so that a quantity keeps a value.

    `given` is the index of that parameter among the F free ones.
    """

    objective: Objective
    quantity: Quantity
    given: int

    def minimise(self, z: np.ndarray, target: float, tolerance: float) -> tuple[np.ndarray, float, float]:
        """Minimise the sum of squares with the quantity at `target`; give where, the sum, and the value reached."""
        from scipy.optimize import least_squares

        lower, upper = (limit[self.objective.coordinates.free] for limit in self.objective.coordinates.limits())
        others = np.arange(z.size) != self.given
        inside = 1e-9 * np.where(np.isfinite(upper - lower), upper - lower, 1.0)
        z = np.clip(z, lower + inside, upper - inside)
        seen: dict[bytes, tuple[np.ndarray, np.ndarray, np.ndarray, float]] = {}
        last = z.copy()

        def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
            # Values and derivatives come in one go; the search asks for them one after the other.
            if x.tobytes() not in seen:
                seen.clear()
                full = last.copy()
                full[others] = x
                full, reached, slope = self._solve(full, target, tolerance, lower, upper)
                last[self.given] = full[self.given]
                point = self.objective.at(full)
                own = -point.mean_z
                table = own[:, others] - np.outer(own[:, self.given], slope[others] / slope[self.given])
                rows = point.u if abs(reached - target) <= 10 * tolerance else np.full(point.u.size, np.nan)
                seen[x.tobytes()] = np.nan_to_num(rows, nan=1e3), np.nan_to_num(table), full, reached
            return seen[x.tobytes()]

        if not others.any():
            rows, _, full, reached = at(z[others])
            return full, float(rows @ rows), reached
        found = least_squares(
            lambda x: at(x)[0],
            z[others],
            lambda x: at(x)[1],  # pyright: ignore[reportArgumentType]
            bounds=(lower[others], upper[others]),
            x_scale="jac",
            ftol=1e-6,
            xtol=1e-6,
            gtol=1e-10,
            max_nfev=40,
        )
        rows, _, full, reached = at(found.x)
        return full, float(rows @ rows), reached

    def _solve(
        self, z: np.ndarray, target: float, tolerance: float, lower: np.ndarray, upper: np.ndarray
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Newton's method on the parameter given up; one step where the quantity is linear in it."""
        k = self.given
        value, slope = self.quantity(z)
        for _ in range(12):
            if abs(value - target) <= tolerance or slope[k] == 0:
                break
            z = z.copy()
            z[k] = np.clip(z[k] - (value - target) / slope[k], lower[k], upper[k])
            value, slope = self.quantity(z)
        return z, value, slope


def _choose(objective: Objective, z: np.ndarray, slope: np.ndarray) -> int:
    """The parameter to give up: the one that moves the quantity most, first among those without a transform.

    Predictions are often linear in these. How much it can move is judged by the precision that the data give it alone.
    """
    strength = np.abs(slope) / np.maximum(np.linalg.norm(objective.at(z).mean_z, axis=0), 1e-12)
    free = [p for p, is_free in zip(objective.coordinates.parameters, objective.coordinates.free) if is_free]
    plain = np.array([p.transform == "none" for p in free])
    if np.any(strength[plain] > 1e-6 * strength.max()):
        strength = np.where(plain, strength, 0.0)
    return int(np.argmax(strength))
