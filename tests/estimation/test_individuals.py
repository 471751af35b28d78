"""What belongs to the subjects of a fit, in closed form: random effects, their shrinkage, conditional residuals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.estimation.population import population_of
from pkpd.likelihood import make_problem
from pkpd.likelihood.redraw import simulate_population
from pkpd.model import Model
from tests.one_way import TEXT, as_data, drawn, one_way_model

OMEGA, ADD, THETA = 2.0, 0.7, 8.0


@pytest.mark.parametrize("estimator", [pkpd.FOCE, pkpd.FO, pkpd.Laplace], ids=lambda estimator: estimator.__name__)
def test_residuals_and_shrinkage_of_means(estimator):
    y = drawn(2, 12, 3)
    fit = pkpd.fit(one_way_model(), as_data(y), estimator(max_iterations=0, covariance=None))
    variance = OMEGA + ADD**2 * np.eye(3)
    values, vectors = np.linalg.eigh(variance)
    wanted = (y - THETA) @ (vectors / np.sqrt(values)) @ vectors.T
    np.testing.assert_allclose(fit.records["CWRES"].values, wanted.ravel(), atol=1e-8)
    eta = 3 * OMEGA / (3 * OMEGA + ADD**2) * (y.mean(axis=1) - THETA)
    np.testing.assert_allclose(fit["etas"]["eta"].values[:, 0], eta, atol=1e-8)
    omega = fit["omega"]
    share = eta.var(ddof=1) / OMEGA
    assert float(omega["shrinkage_variance"][0]) == pytest.approx(1 - share, abs=1e-8)
    assert float(omega["shrinkage"][0]) == pytest.approx(1 - np.sqrt(share), abs=1e-8)


@pytest.mark.parametrize("more", ["", ", t = 3", ", iiv = 0.5", ", t = 3, iiv = 0.5"])
def test_drawn_records_follow_their_law(more):
    """Student's t, and SDs that differ between people, in the draws of a parametric bootstrap."""
    model = Model(TEXT.replace("iiv = 2.0", "iiv = 1e-12").replace("add = 0.7", "add = 0.7" + more))
    own = population_of(make_problem(model, as_data(drawn(1, 4000, 1))), censoring="M3", threads=None, where="test")
    found = simulate_population(own, own.start, seed=1, replicate=0, purpose="test")
    law = stats.t(3) if "t = 3" in more else stats.norm()
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    nodes = nodes * (0.5**0.5 if "iiv" in more else 0.0)

    def cdf(z: np.ndarray) -> np.ndarray:
        return law.cdf(np.multiply.outer(z, np.exp(-nodes))) @ (weights / weights.sum())

    assert stats.kstest((found.problem.observations.dv - THETA) / ADD, cdf).pvalue > 0.01


def test_weighted_residuals_stand_over_the_sd_of_their_own_prediction():
    y = drawn(2, 12, 3)
    model = Model(TEXT.replace("add = 0.7", "add = 0.3, prop = 0.1"))
    records = pkpd.fit(model, as_data(y), pkpd.FOCE(max_iterations=0, covariance=None)).records
    ipred = records["IPRED"].values
    assert np.ptp(ipred) > 1 and np.ptp(records["PRED"].values) == 0.0
    np.testing.assert_allclose(records["IWRES"].values, (y.ravel() - ipred) / np.hypot(0.3, 0.1 * ipred))
    wres = _decorrelated(y - THETA, np.ones((12, 3)), np.full((12, 3), np.hypot(0.3, 0.1 * THETA)))
    np.testing.assert_allclose(records["WRES"].values, wres.ravel())
    np.testing.assert_allclose(records["CWRES"].values, wres.ravel())  # the model is a straight line in eta
    with_interaction = _decorrelated(y - THETA, np.ones((12, 3)), np.hypot(0.3, 0.1 * ipred.reshape(12, 3)))
    np.testing.assert_allclose(records["CWRESI"].values, with_interaction.ravel())


@pytest.mark.parametrize("error", ["prop = 0.2", "add = 0.3, prop = 0.1", "log = 0.2"])
@pytest.mark.parametrize("estimator", [pkpd.FOCE(max_iterations=0, covariance=None),
                                       pkpd.FOCE(max_iterations=0, covariance=None, interaction=False)])  # fmt: skip
def test_conditional_residuals_of_curves(error, estimator):
    """Of y = theta exp(eta) at equal times: the derivative with respect to eta is the individual prediction."""
    y = np.abs(drawn(2, 12, 3))
    text = TEXT.replace('transform = "none", iiv = 2.0', 'transform = "log", iiv = 0.05').replace("add = 0.7", error)
    fit = pkpd.fit(Model(text), as_data(y), estimator)
    eta = fit["etas"]["eta"].values
    ipred, ones = THETA * np.exp(eta), np.ones((12, 3))

    def sd(f: np.ndarray) -> np.ndarray:
        return {"prop": 0.2 * f, "add ": np.hypot(0.3, 0.1 * f), "log ": 0.2 * np.ones_like(f)}[error[:4]]

    if error.startswith("log"):  # log y = log theta + eta: a straight line, and one SD for all
        wanted = _decorrelated(np.log(y / THETA), ones, 0.2 * ones, omega=0.05)
        np.testing.assert_allclose(fit.records["CWRES"].values, wanted.ravel(), atol=1e-7)
        assert "CWRESI" not in fit.records
        return
    left = y - ipred * (1 - eta)
    lines = ipred * ones
    wanted = {
        "WRES": _decorrelated(y - THETA, THETA * ones, sd(THETA * ones), omega=0.05),
        "CWRES": _decorrelated(left, lines, sd(THETA * ones), omega=0.05),
        "CWRESI": _decorrelated(left, lines, sd(lines), omega=0.05),
    }
    for name, column in wanted.items():
        np.testing.assert_allclose(fit.records[name].values, column.ravel(), atol=1e-7)


def _decorrelated(left: np.ndarray, lines: np.ndarray, sd: np.ndarray, omega: float = OMEGA) -> np.ndarray:
    """V^-1/2 left, subject by subject."""
    found = []
    for own, a, s in zip(left, lines, sd, strict=True):
        values, vectors = np.linalg.eigh(omega * np.outer(a, a) + np.diag(s**2))
        found.append(vectors @ ((vectors.T @ own) / np.sqrt(values)))
    return np.array(found)
