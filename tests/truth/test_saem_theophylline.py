"""Theophylline by SAEM: within its Monte Carlo error of the exact maximum of the likelihood.

12 subjects, one compartment by mouth, log-normal ka, CL and V, additive error (Boeckmann, Sheiner and Beal 1994). The
maximum is that of adaptive quadrature with 9 nodes along each random effect.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.estimation import SAEM, Quadrature

DATA = Path(__file__).parents[2] / "fits" / "theophylline_individual" / "data.csv"


@lru_cache
def theophylline() -> Dataset:
    return read_data(DATA, units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})


@lru_cache
def fitted(estimator) -> pkpd.Fit:
    model = pkpd.load("theophylline_boeckmann1994")
    model = model.replace(parameters={name: replace(p, iiv=0.1) for name, p in model.parameters.items()})
    model = model.set({"ka": 1.5, "cl": 2.5, "v": 30, "cp.add": 1.0})
    return pkpd.fit(model, theophylline(), estimator)


@pytest.fixture(scope="module")
def exact() -> pkpd.Fit:
    return fitted(Quadrature(nodes=9))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_exact_maximum(exact, seed):
    found = fitted(SAEM(seed=seed))
    assert found.tree.attrs["status"] == "converged"
    error = exact.estimates.se.values
    away = (found.estimates.value.values - exact.estimates.value.values) / error
    # Three chains of twelve people, 200 iterations: about 0.05 standard errors, most for the small variances.
    assert np.abs(away).max() < 0.2
    assert np.sqrt((away**2).mean()) < 0.1
    assert found.estimates.se.values == pytest.approx(error, rel=0.1)
    # 0.002 is the error of quadrature.
    assert -0.002 < found.tree.attrs["objective"] - exact.tree.attrs["objective"] < 0.05


def test_the_mean_of_seeds(exact):
    """Whatever is left of the way from the start would be left in every seed."""
    fits = [fitted(SAEM(seed=seed)) for seed in (1, 2, 3)]
    mean = np.mean([fit.estimates.value.values for fit in fits], axis=0)
    away = (mean - exact.estimates.value.values) / exact.estimates.se.values
    assert np.abs(away).max() < 0.12
