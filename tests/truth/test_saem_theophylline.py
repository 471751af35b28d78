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
from scipy.optimize import minimize
from scipy.special import logsumexp

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


def test_the_exact_likelihood_written_apart(exact):
    """-2 log L at the maximum, by the closed form and Gauss-Hermite nodes laid around modes that a simplex found."""
    value = dict(
        zip(exact.estimates["parameter"].values.tolist(), exact.estimates["value"].values.tolist(), strict=True)
    )
    typical = np.log([value[name] for name in ("ka", "cl", "v")])
    variance = np.array([value[f"iiv.{name}"] for name in ("ka", "cl", "v")])
    roots, weights = np.polynomial.hermite_e.hermegauss(15)
    grid = np.stack(np.meshgrid(roots, roots, roots, indexing="ij"), -1).reshape(-1, 3)
    weight = np.einsum("i,j,k->ijk", weights, weights, weights).ravel() / (2 * np.pi) ** 1.5
    total = 0.0
    for rows in _people():
        dose, times, seen = rows

        def joint(eta: np.ndarray, dose: float = dose, times=times, seen=seen) -> np.ndarray:
            """-log of the density of records and effects (m, 3), without log(2 pi) of the records."""
            ka, cl, v = np.exp(typical + np.atleast_2d(eta)).T[:, :, None]
            k = cl / v
            f = dose * ka / (v * (ka - k)) * (np.exp(-k * times) - np.exp(-ka * times))
            misfit = (((seen - f) / value["cp.add"]) ** 2).sum(axis=1) / 2 + len(seen) * np.log(value["cp.add"])
            return misfit + (np.atleast_2d(eta) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=1) / 2

        mode = minimize(lambda eta: float(joint(eta)[0]), np.zeros(3), method="Nelder-Mead",
                        options={"xatol": 1e-7, "fatol": 1e-10}).x  # fmt: skip
        step, bent = 1e-4 * np.eye(3), np.empty((3, 3))
        for i in range(3):
            for j in range(3):
                ends = [joint(mode + a * step[i] + b * step[j])[0] * a * b for a in (1, -1) for b in (1, -1)]
                bent[i, j] = sum(ends) / 4e-8
        spread = np.linalg.cholesky(np.linalg.inv(bent))
        logs = -joint(mode + grid @ spread.T) + (grid**2).sum(axis=1) / 2 + 1.5 * np.log(2 * np.pi)
        total += -2 * (logsumexp(logs, b=weight) + np.log(np.diagonal(spread)).sum())
    assert total == pytest.approx(exact.verdict["marginal"].item(), abs=3 * exact.verdict["marginal_error"].item())
    assert total == pytest.approx(118.102, abs=2e-3)


def _people() -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Dose, times and concentrations of each person."""
    table = [line.split(",") for line in DATA.read_text(encoding="utf-8").splitlines() if line[:1].isdigit()]
    found = []
    for who in dict.fromkeys(row[0] for row in table):
        mine = [row for row in table if row[0] == who]
        seen = [(float(row[1]), float(row[3])) for row in mine if row[4] == "0"]
        found.append((float(next(row[2] for row in mine if row[4] == "1")), *np.array(seen).T))
    return found
