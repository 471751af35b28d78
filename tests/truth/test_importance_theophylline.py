"""Theophylline by importance sampling: within its Monte Carlo error of the exact maximum of the likelihood, 118.102.

The maximum is that of adaptive quadrature with 9 nodes along each random effect; see `test_saem_theophylline`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.estimation import Importance, Quadrature

PUBLIC = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not PUBLIC.exists(), reason="the public data sets are not there")
MINIMUM = 118.102


@lru_cache
def theophylline() -> Dataset:
    """The public file, as it comes."""
    return read_data(PUBLIC / "theo_sd.csv")


@lru_cache
def fitted(estimator) -> pkpd.Fit:
    model = pkpd.load("theophylline_boeckmann1994")
    model = model.replace(parameters={name: replace(p, iiv=0.1) for name, p in model.parameters.items()})
    model = model.set({"ka": 1.5, "cl": 2.5, "v": 30, "cp.add": 1.0})
    return pkpd.fit(model, theophylline(), estimator)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_exact_maximum(seed):
    exact, found = fitted(Quadrature(nodes=9)), fitted(Importance(seed=seed, draws=2000))
    assert found.status == "converged"
    error = exact.estimates.se.values
    away = (found.estimates.value.values - exact.estimates.value.values) / error
    assert np.abs(away).max() < 0.1
    assert found.estimates.se.values == pytest.approx(error, rel=0.05)
    sure = float((found["importance"]["objective_error"] ** 2).sum()) ** 0.5
    assert sure < 0.07
    assert found.ofv == pytest.approx(MINIMUM, abs=3 * sure)
    # Whatever the sampled value, the likelihood at the estimates is hardly below its maximum.
    assert -0.002 < found.verdict["marginal"].item() - MINIMUM < 0.02
