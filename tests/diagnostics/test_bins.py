"""Bins that are found, and quantiles without bins."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from pkpd.diagnostics.bins import bin_edges, check_bins, natural_breaks
from pkpd.diagnostics.regression_quantiles import regression_quantiles, spline
from pkpd.errors import UsageError

NOMINAL = np.array([0.5, 1, 2, 4, 8, 12, 24])


def test_nominal_times_are_found_though_people_came_early_or_late():
    rng = np.random.default_rng(3)
    x = (NOMINAL * rng.normal(1, 0.03, (20, 7))).ravel()
    inner = bin_edges(x, "auto")[1:-1]
    assert len(inner) == 6
    assert all(a < edge < b for a, edge, b in zip(NOMINAL, inner, NOMINAL[1:]))
    assert len(bin_edges(np.tile(NOMINAL, 30), "auto")) == 8


def test_breaks_are_the_best_of_all():
    rng = np.random.default_rng(1)
    x = np.sort(rng.gamma(1.0, 5.0, 12))
    small = 0.1 * np.median(x - x[0])
    z = np.log1p((x - x[0]) / small)

    def inside(ends):
        parts = np.split(z, ends)
        return sum(((part - part.mean()) ** 2).sum() for part in parts)

    best = min(combinations(range(1, 12), 3), key=inside)
    found = natural_breaks(x, 4)
    assert np.allclose(found, [(x[e - 1] + x[e]) / 2 for e in best])


def test_every_record_lies_in_one_bin():
    rng = np.random.default_rng(2)
    for x in (
        rng.uniform(0, 24, 500),
        np.array([3.0, 3.0]),
        np.array([1.0, 2.0]),
        rng.integers(0, 3, 40).astype(float),
    ):
        for bins in ("auto", 1, 5):
            edges = bin_edges(x, bins)
            which = np.digitize(x, edges)
            assert which.min() >= 1 and which.max() <= len(edges) - 1


@pytest.mark.parametrize("bins", ["many", 0, -2, True, (1.0,), (2.0, 1.0), 3.5, None])
def test_what_are_no_bins_is_refused(bins):
    with pytest.raises(UsageError, match="bins is"):
        check_bins(bins, "here")


def test_regression_quantiles_reach_the_minimum_of_linear_programming():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 24, 150))
    y = (10 * np.exp(-0.1 * x) * np.exp(0.4 * rng.normal(size=(2, 150)))).reshape(2, 150)
    levels = np.array([0.1, 0.5, 0.9])
    found = regression_quantiles(x, y, levels, x, 5)
    design = spline(x, np.quantile(x, np.linspace(0, 1, 5)))
    n, p = design.shape
    assert p == 5
    for r in range(2):
        for k, level in enumerate(levels):
            cost = np.concatenate([np.zeros(2 * p), np.full(n, level), np.full(n, 1 - level)])
            equal = np.hstack([design, -design, np.eye(n), -np.eye(n)])
            least = linprog(cost, A_eq=equal, b_eq=y[r], method="highs").fun
            left = y[r] - found[r, k]
            assert np.where(left > 0, level * left, (level - 1) * left).sum() < 1.01 * least


def test_what_is_below_a_limit_counts_as_below():
    rng = np.random.default_rng(4)
    x = np.sort(rng.uniform(0, 1, 400))
    y = 5 + rng.normal(size=400)
    hidden = np.where(y < 4.5, -np.inf, y)
    at = np.linspace(0, 1, 9)
    whole, part = (regression_quantiles(x, one[None], np.array([0.5, 0.9]), at, 3) for one in (y, hidden))
    assert np.allclose(whole, part, atol=0.02)


def test_splines_are_straight_beyond_their_knots():
    basis = spline(np.array([10.0, 11.0, 12.0]), np.array([0.0, 1.0, 4.0, 9.0]))
    assert np.allclose(np.diff(basis, 2, axis=0), 0, atol=1e-9)
