"""Likelihood-ratio tests: laws, what is nested, and the parametric bootstrap held to an exact test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import f as fisher

import pkpd
from pkpd.errors import CannotFit, FitFileError, MismatchError, UsageError
from pkpd.estimation import FOCE, Laplace
from pkpd.estimation import likelihood_ratio as room
from pkpd.estimation.nested import Law, nesting
from pkpd.estimation.recall import recall
from pkpd.likelihood.redraw import simulate_population
from pkpd.model import Model
from tests.one_way import TEXT, as_data, drawn, one_way_model

Y = drawn(3, 8, 4)
LINE = TEXT.replace("theta = {", 'beta = { typical = 0.1, unit = "1/h", transform = "none" }\ntheta = {').replace(
    "0 * t", "beta * t"
)
TWO = """
name = "two_lines"
[parameters]
a = { typical = 8.0, transform = "none", iiv = 1.0 }
b = { typical = 1.0, unit = "1/h", transform = "none"SECOND }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { add = 0.7 }
"""
BLOCK = """
[[omega]]
parameters = ["a", "b"]
covariance = [[1.0], [0.2, 1.0]]
"""


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return as_data(Y)


@pytest.fixture(scope="module")
def small(data) -> pkpd.Fit:
    return pkpd.fit(one_way_model(), data, FOCE())


@pytest.fixture(scope="module")
def large(data) -> pkpd.Fit:
    return pkpd.fit(Model(LINE), data, FOCE())


def ratio(y: np.ndarray) -> tuple[float, float]:
    """The likelihood ratio of no slope, and its exact p: in a balanced layout only squares within subjects change."""
    m, n = y.shape
    t = np.arange(n) - np.arange(n).mean()
    inner = y - y.mean(axis=1, keepdims=True)
    before = (inner**2).sum()
    after = before - (inner @ t).sum() ** 2 / (m * (t @ t))
    df = m * (n - 1) - 1
    return m * (n - 1) * np.log(before / after), float(fisher.sf((before / after - 1) * df, 1, df))


@pytest.mark.parametrize(
    ("law", "critical"),
    [
        (Law(inside=1, edge=0), 3.841),
        (Law(inside=0, edge=1), 2.706),
        (Law(inside=1, edge=1), 5.138),
        (Law(inside=2, edge=1), 7.045),
    ],
)  # fmt: skip
def test_laws_have_the_published_quantiles(law: Law, critical: float):
    assert law.beyond(critical) == pytest.approx(0.05, abs=1e-4)
    # Means by integrating the tail.
    grid = np.linspace(1e-5, 80, 200_001)
    tail = np.array([law.beyond(t) for t in grid[::20]])
    assert np.trapezoid(tail, grid[::20]) == pytest.approx(law.mean, abs=3e-3)


def test_a_variance_of_0_is_half_of_the_time_0():
    law = Law(inside=0, edge=1)
    assert law.beyond(0.0) == 1.0 and law.beyond(1e-3) < 0.5
    assert np.isnan(Law(inside=0, edge=2, known=False).beyond(1.0))


def test_chi_square(small, large, data):
    test = pkpd.compare(small, large)
    exact, _ = ratio(Y)
    assert test.statistic == pytest.approx(exact, abs=1e-5)
    assert test.p_chi_square == test.p_law == pytest.approx(chi2.sf(exact, 1), abs=1e-6)
    assert test.df == 1 and test.extra == ("beta",) and np.isnan(test.p)
    assert "Fewer than 30 subjects" in str(test)
    assert pkpd.compare(small, large, data).statistic == pytest.approx(exact, abs=1e-5)


def test_the_bootstrap_is_the_exact_test(small, large, data):
    n = 120
    test = pkpd.compare(small, large, data, n=n, seed=4)
    known = recall(small, data, "test")
    assert test.replicates is not None
    drawn_ = [simulate_population(known.population, known.x, seed=4, replicate=r, purpose="compare") for r in range(n)]
    inside = [ratio(one.problem.observations.dv.reshape(Y.shape)) for one in drawn_]
    found = test.replicates["statistic"].values
    np.testing.assert_allclose(found, [one for one, _ in inside], atol=2e-4)
    statistic, exact = ratio(Y)
    assert test.p == (1 + np.sum(found >= statistic - 1e-4)) / (1 + n)
    assert abs(test.p - exact) < 4 * test.p_error
    assert test.p_error == pytest.approx((test.p * (1 - test.p) / (n + 1)) ** 0.5)
    assert test.bartlett == pytest.approx(1 / found.mean())
    assert test.p_bartlett == pytest.approx(chi2.sf(statistic * test.bartlett, 1), rel=1e-4)
    assert "data sets drawn" in str(test) and "Fewer than 30" not in str(test)


def test_any_threads_any_order_any_number(data):
    fits = [
        [pkpd.fit(model, data, FOCE(threads=threads)) for model in (one_way_model(), Model(LINE))] for threads in (1, 2)
    ]
    one, two = (pkpd.compare(*pair, data, n=3, seed=1).replicates for pair in fits)
    more = pkpd.compare(*fits[0], data, n=5, seed=1).replicates
    assert one is not None and two is not None and more is not None
    assert one.identical(two)
    np.testing.assert_array_equal(more["statistic"].values[:3], one["statistic"].values)
    assert not set(pkpd.compare(*fits[0], data, n=2, seed=2).replicates["hash"].values) & set(one["hash"].values)


def test_what_was_begun_goes_on(small, large, data, tmp_path, monkeypatch):
    path, true = tmp_path / "work.npz", room._Work.__call__
    whole = pkpd.compare(small, large, data, n=6, seed=1)

    def stopped(self, number):
        if number == 4:
            raise KeyboardInterrupt
        return true(self, number)

    monkeypatch.setattr(room._Work, "__call__", stopped)
    part = pkpd.compare(small, large, data, n=6, seed=1, checkpoint=path)
    assert "stopped by hand after 4 of 6" in str(part)
    monkeypatch.setattr(room._Work, "__call__", true)
    again = pkpd.compare(small, large, data, n=6, seed=1, checkpoint=path)
    assert again.replicates.identical(whole.replicates) and again.p == whole.p
    with pytest.raises(FitFileError, match="other work"):
        pkpd.compare(small, large, data, n=6, seed=2, checkpoint=path)


def test_failures_are_listed_and_bounded(small, large, data, monkeypatch):
    true = room.search_again

    def search(known, population, **options):
        if population.problem.observations.dv[0] > Y.mean():
            raise np.linalg.LinAlgError("Singular matrix")
        return true(known, population, **options)

    monkeypatch.setattr(room, "search_again", search)
    test = pkpd.compare(small, large, data, n=8, seed=1)
    failed = test.replicates["status"].values == "failed"
    assert 0 < failed.sum() < 8 and set(test.replicates["message"].values[failed]) == {"Singular matrix"}
    assert np.isnan(test.replicates["statistic"].values[failed]).all()
    assert test.p_worst == pytest.approx((test.p * (9 - failed.sum()) + failed.sum()) / 9)
    assert f"{failed.sum()} of 8 data sets could not be fitted" in str(test)


@pytest.fixture(scope="module")
def lines() -> dict[str, pkpd.Fit]:
    rng = np.random.default_rng(3)
    y = 10 + rng.standard_normal((12, 1)) + (2 + 0.6 * rng.standard_normal((12, 1))) * np.arange(4)
    data = as_data(y + 0.5 * rng.standard_normal((12, 4)))
    texts = {
        "one": TWO.replace("SECOND", ""),
        "two": TWO.replace("SECOND", ", iiv = 1.0"),
        "block": TWO.replace("SECOND", ", iiv = 1.0") + BLOCK,
    }
    return {name: pkpd.fit(Model(text), data, FOCE()) for name, text in texts.items()} | {"data": data}


def test_a_variance_of_0_is_at_the_edge(lines):
    one, two, block, data = (lines[name] for name in ("one", "two", "block", "data"))
    assert str(nesting(one, two, {}).law) == "a 50:50 mixture of chi-square with 0 and 1 df"
    assert nesting(one, block, {}).law == Law(inside=1, edge=1)
    assert nesting(two, block, {}).law == Law(inside=1, edge=0)
    test = pkpd.compare(one, two, data)
    assert test.p_law == pytest.approx(test.p_chi_square / 2) and "50:50" in str(test)
    drawn_ = pkpd.compare(one, two, data, n=12, seed=1)
    assert (drawn_.replicates["statistic"] >= 0).all() and drawn_.p == pytest.approx(1 / 13)
    # About half of the variances are estimated as 0.
    assert 1 <= (drawn_.replicates["statistic"] < 1e-3).sum() <= 11


def test_what_is_fixed_in_the_smaller_is_known(data, large):
    held = pkpd.fit(Model(LINE), data, FOCE(), start={"beta": 0.3}, fixed=["beta"])
    lies = nesting(held, large, {})
    assert lies.null == {"beta": 0.3} and not lies.guessed
    assert pkpd.compare(held, large, data).statistic > 0


def test_a_model_that_is_no_case_of_the_other(data):
    other = Model(LINE.replace("beta * t", "(1.0 + beta) * t").replace("(1.0 + beta)", "(beta + one)").replace(
        "[dynamics]", '[constants]\none = { value = 1.0, unit = "1/h" }\n[dynamics]'))  # fmt: skip
    fits = [pkpd.fit(model, data, FOCE()) for model in (one_way_model(), other)]
    with pytest.raises(MismatchError, match="one model is a case of the other"):
        pkpd.compare(*fits, data)
    assert pkpd.compare(*fits, data, null={"beta": -1.0}).statistic == pytest.approx(ratio(Y)[0], abs=1e-5)


def test_all_that_is_wrong_is_said_at_once(small, large, data):
    other = pkpd.fit(Model(LINE), as_data(Y + 1), Laplace())
    with pytest.raises(MismatchError) as caught:
        pkpd.compare(small, other)
    assert "other data" in str(caught.value) and "other approximations" in str(caught.value)
    with pytest.raises(MismatchError, match="estimates beta, and the larger does not"):
        pkpd.compare(large, small)
    with pytest.raises(MismatchError, match="no more than the smaller"):
        pkpd.compare(small, small)
    with pytest.raises(MismatchError, match="null names `gamma`"):
        pkpd.compare(small, large, null={"gamma": 0})
    for wrong in ({"n": 0, "seed": 1}, {"n": True, "seed": 1}, {"n": 5}, {"seed": 1}, {"n": 5, "seed": 1}):
        with pytest.raises(UsageError):
            pkpd.compare(small, large, *([] if wrong == {"n": 5, "seed": 1} else [data]), **wrong)
    with pytest.raises(CannotFit, match="a Model is given where a fit should be"):
        pkpd.compare(one_way_model(), large)
    with pytest.raises(CannotFit):
        pkpd.compare(pkpd.fit(one_way_model(), data, pkpd.Pooled()), large)
