"""The peer of population fits: FOCE with interaction as one would write it with NumPy and SciPy, a subject at a time.

One compartment with first-order absorption in closed form, log-normal parameters, a diagonal Omega and an additive
error. The inner problems are solved by BFGS with differences, the outer one too; derivatives of predictions are
differences. No code is shared with the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

__all__ = ["Person", "fit_plain", "objective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One dose by mouth at time 0, and what was seen."""

    dose: float
    times: np.ndarray
    seen: np.ndarray


def _concentration(person: Person, log_values: np.ndarray) -> np.ndarray:
    ka, cl, v = np.exp(log_values)
    ke = cl / v
    t = person.times
    return person.dose * ka / (v * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))


def _joint(eta: np.ndarray, person: Person, theta: np.ndarray, omega: np.ndarray, sd: float) -> float:
    """Minus twice the log density of records and random effects, without constants."""
    left = (person.seen - _concentration(person, theta + eta)) / sd
    return float(left @ left + 2 * len(left) * np.log(sd) + (eta**2 / omega).sum() + np.log(omega).sum())


def objective(x: np.ndarray, people: list[Person], modes: list[np.ndarray]) -> float:
    """Give -2 log L by FOCE with interaction without n log(2 pi), at ln ka, ln CL, ln V, ln omega^2 and ln SD.

    `modes` are where to look for the most probable random effects; they are replaced by what was found.
    """
    theta, omega, sd = x[:3], np.exp(x[3:6]), float(np.exp(x[6]))
    total = 0.0
    for i, person in enumerate(people):
        found = minimize(_joint, modes[i], args=(person, theta, omega, sd), method="BFGS", options={"gtol": 1e-6})
        modes[i] = found.x
        step = 1e-5
        slopes = np.column_stack([
            (
                _concentration(person, theta + found.x + step * unit)
                - _concentration(person, theta + found.x - step * unit)
            )
            / (2 * step)
            for unit in np.eye(3)
        ])  # fmt: skip
        hessian = slopes.T @ slopes / sd**2 + np.diag(1 / omega)
        total += found.fun + np.linalg.slogdet(hessian)[1]
    return total


def fit_plain(people: list[Person], start: np.ndarray) -> OptimizeResult:
    """Give the minimum from a start (7,)."""
    modes = [np.zeros(3) for _ in people]
    return minimize(objective, start, args=(people, modes), method="BFGS", options={"gtol": 1e-2, "eps": 1e-4})
