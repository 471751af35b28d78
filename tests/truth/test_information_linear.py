"""Expected information in closed form: people who differ around a mean, and an exponential decline of one person."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.model import Model

MEAN, BETWEEN, SD = 5.0, 0.7, 0.8
TEXT = f"""
title = "a mean"
[units]
time = "h"
[parameters]
mu = {{ typical = {MEAN}, unit = "mg/L", transform = "none", iiv = {BETWEEN} }}
[dynamics]
equations = "y = mu"
[outputs]
y = {{ unit = "mg/L", add = {SD} }}
"""
ARMS = {"few": pkpd.Arm((), [1, 2], n=30), "many": pkpd.Arm((), [1, 2, 3, 4, 5], n=7)}


def balanced(n: int, k: int) -> np.ndarray:
    """Of a mean, the SD of k records of each of n people, and the variance between people.

    Searle SR, Casella G, McCulloch CE. Variance components. New York: Wiley; 1992: with the expected mean
    square l = sd^2 + k between, the information of the variances is k^2 / (2 l^2), k / (2 l^2) and
    ((k - 1) / sd^4 + 1 / l^2) / 2 for each person.
    """
    square = SD**2 + k * BETWEEN
    of_sd, both, of_between = 0.5 * ((k - 1) / SD**4 + 1 / square**2), k / (2 * square**2), k**2 / (2 * square**2)
    by_sd = 2 * SD  # d sd^2 / d sd
    return n * np.array([
        [k / square, 0, 0],
        [0, of_sd * by_sd**2, both * by_sd],
        [0, both * by_sd, of_between],
    ])  # fmt: skip


WANTED = balanced(30, 2) + balanced(7, 5)


@pytest.mark.parametrize("full", [False, True])
def test_people_around_a_mean(full: bool):
    known = pkpd.information(Model(TEXT), ARMS, full=full)
    assert known.names == ("mu", "y.add", "iiv.mu")
    np.testing.assert_allclose(known["information"].values, WANTED, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(known["se"], np.sqrt(np.diagonal(np.linalg.inv(WANTED))), rtol=1e-10)
    assert known.criterion() == pytest.approx(np.linalg.det(WANTED) ** (1 / 3), rel=1e-10)
    others = np.linalg.det(WANTED[:2, :2])
    assert known.criterion("iiv.mu") == pytest.approx(np.linalg.det(WANTED) / others, rel=1e-10)
    assert known.open == ()
    assert known.data.attrs["people"] == 37
    assert known.data.attrs["samples"] == 95


def test_lines_through_anybody_are_the_same_lines():
    known = pkpd.information(Model(TEXT), ARMS, pkpd.FOCE(), draws=5, seed=1)
    np.testing.assert_allclose(known["information"].values, WANTED, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(known["information_error"], 0, atol=1e-9)


@pytest.mark.parametrize("method", [pkpd.Laplace(), pkpd.Quadrature(nodes=3)], ids=repr)
def test_mean_square_of_scores(method):
    """The likelihood is exact by both: what is left is the error of the draws, which they tell."""
    known = pkpd.information(Model(TEXT), ARMS, method, draws=4000, seed=3)
    error = known["information_error"].values
    off = (known["information"].values - WANTED) / error
    assert np.abs(off).max() < 3.5
    assert (error / np.sqrt(np.outer(np.diagonal(WANTED), np.diagonal(WANTED))) < 0.05).all()
    se = np.sqrt(np.diagonal(np.linalg.inv(WANTED)))
    assert (np.abs(known["se"].values - se) < 3.5 * known["se_error"].values).all()
    assert (known["se_error"].values < 0.05 * se).all()


def test_the_errors_of_the_draws_are_what_they_say():
    """Over seeds the elements scatter as their errors tell."""
    runs = [pkpd.information(Model(TEXT), ARMS, pkpd.Laplace(), draws=200, seed=seed) for seed in range(40)]
    for name, error in (("information", "information_error"), ("se", "se_error")):
        scatter = np.std([run[name].values for run in runs], axis=0, ddof=1)
        told = np.mean([run[error].values for run in runs], axis=0)
        ratio = (scatter / told)[told > 0]
        assert (ratio > 0.6).all() and (ratio < 1.6).all()


DECLINE = """
title = "a decline"
[units]
time = "h"
[parameters]
a = { typical = 10, unit = "mg/L" }
k = { typical = 0.25, unit = "1/h" }
[dynamics]
equations = "y = a * exp(-k * t)"
[outputs]
y = { unit = "mg/L", add = 0.3, fixed_error = true }
"""


def test_one_person_alone():
    """Without differences between people: F' F / sd^2."""
    times = np.array([0.5, 3.0, 7.0])
    known = pkpd.information(Model(DECLINE), pkpd.Arm((), times, n=4))
    f = np.exp(-0.25 * times)
    slopes = np.array([f, -10 * times * f])
    np.testing.assert_allclose(known["information"].values, 4 * slopes @ slopes.T / 0.09, rtol=1e-9)


def test_the_best_times_of_a_decline():
    """At once, and 1 / k later: Box GEP, Lucas HL. Biometrika 1959;46:77-90. doi:10.1093/biomet/46.1-2.77."""
    grid = np.arange(0, 20.01, 0.25)
    chosen = pkpd.choose_times(Model(DECLINE), pkpd.Arm((), [1, 2], n=1), grid)
    assert chosen.design["all"].times == {"y": [0.0, 4.0]}
    f = np.exp(-0.25 * 4)
    want = 4 * 10 * f / 0.09  # det F = 10 t exp(-k t)
    assert chosen.criterion == pytest.approx(want, rel=1e-9)


def test_the_best_times_for_the_rate_alone():
    """Ds of k in a exp(-k t): the variance of log(y) in a line, weights y^2; by all pairs of the grid."""
    grid = np.arange(0, 20.01, 0.25)
    chosen = pkpd.choose_times(Model(DECLINE), pkpd.Arm((), [1, 2], n=1), grid, parameters=["k"])
    first, last = np.meshgrid(grid, grid)
    weights = np.exp(-0.5 * first), np.exp(-0.5 * last)
    with np.errstate(invalid="ignore"):
        tells = 100 / 0.09 * weights[0] * weights[1] * (first - last) ** 2 / (weights[0] + weights[1])
    i, j = np.unravel_index(np.argmax(tells), tells.shape)
    assert chosen.design["all"].times == {"y": sorted([grid[i], grid[j]])}
    assert chosen.criterion == pytest.approx(tells.max(), rel=1e-9)
