"""Profile intervals of few people held to an exact likelihood: random intercepts, unbalanced, with a slope in time.

y_ij = a + eta_i + b t_ij + eps_ij is normal with a covariance matrix that is known, so that -2 log L and its profiles
follow from linear algebra and a search that shares nothing with the package.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

import pkpd
from pkpd.model import Model
from tests.one_way import QUANTILE

TEXT = """
name = "line"
[parameters]
a = { typical = 8.0, transform = "none", iiv = 2.0 }
b = { typical = 0.5, unit = "1/h", transform = "none" }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { add = 0.7 }
"""
COUNTS = (3, 5, 2, 6, 4, 3, 5, 4, 2, 6)


@pytest.fixture(scope="module")
def seen() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(8)
    times = [np.sort(rng.uniform(0, 6, n)).round(2) for n in COUNTS]
    return [(t, (10 + 1.3 * rng.normal() + 0.4 * t + 0.8 * rng.standard_normal(len(t))).round(3)) for t in times]


def objective(x: np.ndarray, seen: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """-2 log L without n log(2 pi) at a, b, log sigma and log omega^2."""
    total, s2, o2 = 0.0, np.exp(2 * x[2]), np.exp(x[3])
    for t, y in seen:
        n, r = len(t), y - x[0] - x[1] * t
        # The determinant and the inverse of s2 I + o2 1 1'.
        total += (n - 1) * np.log(s2) + np.log(s2 + n * o2) + (r @ r - o2 * r.sum() ** 2 / (s2 + n * o2)) / s2
    return total


def least(seen: list, start: np.ndarray, held: int | None = None) -> tuple[float, np.ndarray]:
    free = np.array([k for k in range(4) if k != held])

    def at(y: np.ndarray) -> float:
        x = start.copy()
        x[free] = y
        return objective(x, seen)

    found = minimize(at, start[free], method="BFGS", options={"gtol": 1e-9})
    found = minimize(at, found.x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000})
    x = start.copy()
    x[free] = found.x
    return float(found.fun), x


def ends(seen: list, k: int) -> tuple[float, float]:
    lowest, x = least(seen, np.array([10.0, 0.4, np.log(0.8), np.log(1.7)]))

    def rise(c: float) -> float:
        start = x.copy()
        start[k] = c
        return least(seen, start, k)[0] - lowest - QUANTILE

    found = []
    for side in (-1, 1):
        reach = 0.2
        while rise(x[k] + side * reach) < 0:
            reach *= 1.7
        found.append(brentq(rise, *sorted((x[k], x[k] + side * reach)), xtol=1e-8))
    return found[0], found[1]


@pytest.mark.parametrize("estimator", [pkpd.FOCE(), pkpd.Laplace(), pkpd.Quadrature(nodes=3)], ids=repr)
def test_ends_of_profiles_are_exact_and_those_of_wald_are_not(seen, estimator):
    table = {
        "ID": [k + 1 for k, (t, _) in enumerate(seen) for _ in t],
        "TIME": np.concatenate([t for t, _ in seen]).tolist(),
        "DV": np.concatenate([y for _, y in seen]).tolist(),
    }
    data = pkpd.read_data(table)
    fit = pkpd.fit(Model(TEXT), data, estimator, intervals="profile")
    wald = pkpd.fit(Model(TEXT), data, estimator)
    assert fit.attrs["interval"] == "95 % profile likelihood" and "Wald" in wald.attrs["interval"]
    for k, name in enumerate(("a", "b", "y.add", "iiv.a")):
        exact = np.array(ends(seen, k))
        natural = exact if k < 2 else np.exp(exact)
        own, other = (one.estimates.sel(parameter=name) for one in (fit, wald))
        for end, is_ in zip(("lower", "upper"), natural, strict=True):
            assert float(own[end]) == pytest.approx(is_, rel=1e-4, abs=1e-4)
        if name == "iiv.a":  # lopsided even on its logarithm: the parabola is no profile
            apart = np.abs(np.log([float(other[end]) for end in ("lower", "upper")]) - exact)
            assert apart.max() > 0.1
