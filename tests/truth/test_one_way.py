"""Population fits of a layout with a closed form: estimates, three covariances, profiles, bootstrap, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t as student

import pkpd
from pkpd.estimation import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.recall import recall
from pkpd.estimation.replicates import Refit
from tests.one_way import QUANTILE, Exact, as_data, drawn, one_way_model

Y = drawn(3, 20, 5)
EXACT = Exact(Y)


@pytest.fixture(scope="module")
def fits() -> dict[str, pkpd.Fit]:
    return {name: pkpd.fit(one_way_model(), as_data(Y), FOCE(covariance=name)) for name in ("R", "S", "sandwich")}


def test_estimates(fits):
    value = fits["R"].estimates["value"].values
    np.testing.assert_allclose(value, [EXACT.means.mean(), EXACT.sigma2**0.5, EXACT.omega2], rtol=2e-4)
    assert fits["R"].ofv == pytest.approx(EXACT.least, abs=1e-6)


@pytest.mark.parametrize("name", ["R", "S", "sandwich"])
def test_covariance(fits, name: str):
    exact = EXACT.covariances()[name]
    scale = np.sqrt(np.diagonal(exact))
    found = fits[name].covariance["covariance"].values
    np.testing.assert_allclose(found / np.outer(scale, scale), exact / np.outer(scale, scale), atol=1e-3)


@pytest.mark.parametrize("estimator", [FO(), FOCE(), Laplace(), Quadrature(nodes=3)], ids=repr)
def test_profile_ends(estimator):
    data = as_data(Y)
    found = pkpd.profile(pkpd.fit(one_way_model(), data, estimator), data)["profile"]
    ends = {"theta": EXACT.theta_ends(), "y.add": EXACT.sigma_ends(), "iiv.theta": EXACT.omega2_ends()}
    for name, (low, high) in ends.items():
        assert float(found["lower"].sel(parameter=name)) == pytest.approx(low, rel=1e-5)
        assert float(found["upper"].sel(parameter=name)) == pytest.approx(high, rel=1e-5)
    assert not found["lower_open"].any() and not found["upper_open"].any()


def test_a_profile_is_the_exact_one_all_along():
    data = as_data(Y)
    found = pkpd.profile(
        pkpd.fit(one_way_model(), data, FOCE()), data, pkpd.Profile(parameters=["iiv.theta"], points=4)
    )
    line = found["profile"].sel(parameter="iiv.theta")
    for value, rise in zip(line["value"].values, line["objective"].values, strict=True):
        assert np.isnan(value) or rise == pytest.approx(EXACT.omega2_rise(value), abs=2e-6)


def test_a_variance_that_may_be_0_has_an_open_end():
    many = (Exact(drawn(seed, 12, 3, omega=0.4, sigma=1.0)) for seed in range(50))
    exact = next(one for one in many if one.omega2 > 0.05 and one.omega2_rise(1e-12) < QUANTILE)
    data = as_data(exact.y)
    fit = pkpd.profile(pkpd.fit(one_way_model(), data, FOCE()), data, interval="profile")
    found = fit["profile"].sel(parameter="iiv.theta")
    assert bool(found["lower_open"]) and float(found["lower"]) == 0.0
    assert not bool(found["upper_open"])
    assert "leave open: iiv.theta below" in str(fit)


@pytest.mark.parametrize("method", ["case", "parametric"])
def test_bootstrap_se(method: str):
    data = as_data(Y)
    found = pkpd.bootstrap(
        pkpd.fit(one_way_model(), data, FOCE()), data, pkpd.Bootstrap(seed=5, draws=200, method=method)
    )["bootstrap"]
    m, n = Y.shape
    exact = (EXACT.between / (n * m**2)) ** 0.5 if method == "case" else (EXACT.scale / (n * m)) ** 0.5
    # The Monte Carlo error of an SD from 200 draws is 5 %.
    assert float(found["se"].sel(parameter="theta")) == pytest.approx(exact, rel=0.17)
    assert abs(float(found["bias"].sel(parameter="theta"))) < 4 * exact / 200**0.5
    assert found.attrs["failed"] == 0 and found.attrs["duplicates"] == 0


@pytest.fixture(scope="module")
def flat() -> np.ndarray:
    """Observations whose estimate of omega^2 is 0, though not far from where it would not be."""
    many = (drawn(seed, 12, 3, omega=0.4, sigma=1.0) for seed in range(80))
    return next(y for y in many if 0.8 < Exact(y).scale / Exact(y).sigma2 < 0.95)


def bounded(exact: Exact, shift: float = 0.0) -> float:
    """The least objective with omega^2 >= 0, theta held so far from the mean."""
    m, n = exact.y.shape
    square = exact.between + n * m * shift**2
    sigma2 = exact.sigma2
    if square / m < sigma2:
        sigma2 = (exact.within + square) / (m * n)
        return exact.objective(exact.means.mean() + shift, sigma2, 0.0)
    return exact.objective(exact.means.mean() + shift, sigma2, (square / m - sigma2) / n)


def test_a_variance_of_0_is_found_again_along_a_profile(flat):
    exact, data = Exact(flat), as_data(flat)
    found = pkpd.profile(pkpd.fit(one_way_model(), data, FOCE()), data, pkpd.Profile(parameters=["theta"]))["profile"]
    reach = brentq(lambda shift: bounded(exact, shift) - bounded(exact) - QUANTILE, 0.0, 5.0, xtol=1e-12)
    assert bounded(exact, reach) < exact.objective(exact.means.mean() + reach, exact.sigma2, 0.0) - 0.01
    assert found["lower"].item() == pytest.approx(exact.means.mean() - reach, abs=1e-4 * reach)
    assert found["upper"].item() == pytest.approx(exact.means.mean() + reach, abs=1e-4 * reach)


def test_a_variance_of_0_is_found_again_in_a_bootstrap(flat):
    data = as_data(flat)
    known = recall(pkpd.fit(one_way_model(), data, FOCE()), data, "test")
    refit = Refit(known=known, population=known.population, strata=np.zeros(12, dtype=int),
                  hessian=known.curvature()[0], seed=1, parametric=False, most=200)  # fmt: skip
    above = 0
    for number in range(10):
        exact = Exact(flat[refit.draw_subjects(number)])
        found = refit(number)
        assert found.sound and found.objective == pytest.approx(bounded(exact), abs=1e-4)
        above += exact.omega2 > 0.02
    assert above >= 2


@pytest.mark.slow
def test_coverage_of_profiles():
    m, count, hits = 8, 200, 0
    for seed in range(count):
        data = as_data(drawn(1000 + seed, m, 4, omega=2.0))
        fit = pkpd.fit(one_way_model(), data, FOCE(covariance=None))
        found = pkpd.profile(fit, data, pkpd.Profile(parameters=["theta"], points=0))["profile"]
        hits += bool(found["lower"].item() <= 10.0 <= found["upper"].item())
    # The rise of the profile is m log(1 + T^2 / (m - 1)), T of Student's law: coverage is known, and less than 95 %.
    share = 1 - 2 * student.sf(np.sqrt((m - 1) * np.expm1(QUANTILE / m)), m - 1)
    assert 0.90 < share < 0.95
    assert abs(hits / count - share) < 3 * np.sqrt(share * (1 - share) / count)
