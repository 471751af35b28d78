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
    np.testing.assert_allclose(records["WRES"].values, (y.ravel() - THETA) / np.hypot(0.3, 0.1 * THETA))
