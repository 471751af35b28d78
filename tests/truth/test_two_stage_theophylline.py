"""Theophylline by two stages: every subject's curve by scipy's least squares, then their means and covariances.

One compartment by mouth, dose per kg as in the file (Boeckmann, Sheiner and Beal 1994). With one additive error the
estimates of a subject do not depend on its size: they are least squares. The global method is held to the EM algorithm
of Steimer and others (1984), written here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

import pkpd
from pkpd.data import read_data
from pkpd.estimation import TwoStage

PUBLIC = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not PUBLIC.exists(), reason="the public data sets are not there")
NAMES = ("ka", "cl", "v")


def fitted(method) -> pkpd.Fit:
    model = pkpd.load("theophylline_boeckmann1994")
    model = model.replace(parameters={name: replace(p, iiv=0.1) for name, p in model.parameters.items()})
    model = model.set({"ka": 1.5, "cl": 2.5, "v": 30, "cp.add": 1.0})
    return pkpd.fit(model, read_data(PUBLIC / "theo_sd.csv"), TwoStage(method=method, covariance="R"))


@lru_cache
def curves() -> tuple[np.ndarray, np.ndarray, float]:
    """Logarithms of ka, CL and V of each subject, the inverse of J'J, and the residual variance."""
    data = read_data(PUBLIC / "theo_sd.csv")
    own, inverse, squares, records = [], [], 0.0, 0
    who = data.columns["ID"].astype(str)
    for name in data.ids:
        rows = {key: data.columns[key][who == name] for key in ("TIME", "AMT", "DV", "EVID")}
        dose = rows["AMT"][rows["EVID"] == 1].sum()
        t, y = rows["TIME"][rows["EVID"] == 0], rows["DV"][rows["EVID"] == 0]

        def left(x: np.ndarray, t=t, y=y, dose=dose) -> np.ndarray:
            ka, cl, v = np.exp(x)
            return y - dose * ka / (v * (ka - cl / v)) * (np.exp(-cl / v * t) - np.exp(-ka * t))

        found = optimize.least_squares(left, np.log([1.5, 2.5, 30]), jac="3-point", xtol=1e-14, ftol=1e-14, gtol=1e-12)
        own.append(found.x)
        inverse.append(np.linalg.inv(found.jac.T @ found.jac))
        squares, records = squares + 2 * found.cost, records + len(t)
    return np.array(own), np.array(inverse), squares / (records - 3 * len(own))


def table(fit: pkpd.Fit, kind: str) -> np.ndarray:
    return np.array([float(fit.estimates["value"].sel(parameter=f"{kind}{name}")) for name in NAMES])


def test_standard():
    own, _, variance = curves()
    fit = fitted("standard")
    assert fit.status == "converged"
    np.testing.assert_allclose(np.log(table(fit, "")), own.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(table(fit, "iiv."), own.var(axis=0, ddof=1), rtol=1e-4)
    # The restricted likelihood takes expected second derivatives at each mode, which least squares do, too.
    assert float(fit.estimates["value"].sel(parameter="cp.add")) == pytest.approx(variance**0.5, rel=1e-4)
    assert fit.verdict["marginal"].item() > 118.102


def test_global():
    own, inverse, variance = curves()
    precision = np.linalg.inv(variance * inverse)
    mean, omega = own.mean(axis=0), np.diag(own.var(axis=0))
    for _ in range(3000):
        within = np.linalg.inv(precision + np.linalg.inv(omega))
        pull = (precision @ own[..., None])[..., 0] + np.linalg.solve(omega, mean)
        drawn = (within @ pull[..., None])[..., 0]
        mean = drawn.mean(axis=0)
        omega = np.diag((within.mean(axis=0) + (drawn - mean).T @ (drawn - mean) / len(own)).diagonal())
    fit = fitted("global")
    assert fit.status == "converged"
    np.testing.assert_allclose(np.log(table(fit, "")), mean, atol=1e-4)
    np.testing.assert_allclose(table(fit, "iiv."), np.diagonal(omega), rtol=2e-3)
    assert 118.102 < fit.verdict["marginal"].item() < 120
