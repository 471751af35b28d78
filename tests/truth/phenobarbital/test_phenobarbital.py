"""Phenobarbital: NONMEM's FOCE with interaction on routine data, with many doses and two covariates.

Data: Grasela TH, Donn SM. Neonatal population pharmacokinetics of phenobarbital derived from routine clinical data. Dev
Pharmacol Ther 1985;8:374-383. NONMEM's output (7.4.2, and 7.5.1 for the subjects): as published with Pharmpy and its
tests (GitHub, pharmpy/pharmpy: pheno_real.mod, .ext and .lst, pheno.phi); numbers only are carried.

CL = THETA(1) WGT exp(ETA(1)); V = THETA(2) WGT (1 + THETA(3) where APGR < 5) exp(ETA(2)); Y = F + F EPS(1).
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.model import Model

HERE = Path(__file__).parent
TEXT = """
title = "Phenobarbital, one compartment, newborns"
[covariates]
WGT = { unit = "kg" }
APGR = { unit = "1" }
[parameters]
cl = { typical = 0.00469307, unit = "L/h", iiv = 0.0309626, times = "WGT" }
v = { typical = 1.00916, unit = "L", iiv = 0.031128, times = "WGT" }
low = { typical = 0.1, transform = "none", lower = -0.99 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
volume = v * (1 + low if APGR < 5 else 1)
cp = central / volume
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", prop = SIGMA }
"""
#: The variance of EPS(1) at the start; an SD stands in the model.
START = 0.0130865
AT_START, AT_END = 587.36644134661617, 586.27605628188053
MINIMUM = {
    "cl": 4.69555e-3, "v": 0.984258, "low": 0.158920,
    "iiv.cl": 0.0293508, "iiv.v": 0.0279060, "cp.prop": 0.115069,
}  # fmt: skip
#: The R, S sandwich; the last of the SD, which NONMEM prints beside that of the variance.
ERRORS = {
    "cl": 2.10036e-4, "v": 0.0268952, "low": 0.0837623,
    "iiv.cl": 0.0134153, "iiv.v": 7.47651e-3, "cp.prop": 9.90444e-3,
}  # fmt: skip


def rows_of(name: str) -> list[dict[str, str]]:
    with open(HERE / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@lru_cache
def seen() -> Dataset:
    return read_data(HERE / "data.csv", units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WGT": "kg"})


@lru_cache
def model() -> Model:
    return Model(TEXT.replace("SIGMA", repr(START**0.5)))


@lru_cache
def fitted() -> pkpd.Fit:
    return pkpd.fit(model(), seen(), pkpd.FOCE())


@lru_cache
def held() -> pkpd.Fit:
    return pkpd.fit(model().set(MINIMUM), seen(), pkpd.FOCE(max_iterations=0, covariance=None))


@lru_cache
def at_start() -> pkpd.Fit:
    return pkpd.fit(model(), seen(), pkpd.FOCE(max_iterations=0, covariance=None))


def column(name: str) -> dict[str, float]:
    return dict(zip(fitted().estimates["parameter"].values.tolist(), fitted().estimates[name].values, strict=True))


def test_the_rows_are_all_there():
    """The counts that NONMEM prints; the sums are those of the file."""
    rows = rows_of("data.csv")
    doses, seen_ = ([float(row[name]) for row in rows if row[name] != "."] for name in ("AMT", "DV"))
    assert (len(rows), len({row["ID"] for row in rows}), len(doses), len(seen_)) == (744, 59, 589, 155)
    assert (sum(doses), sum(seen_)) == pytest.approx((3929.2, 3964.3))


def test_objective_at_the_starting_values():
    assert at_start().ofv == pytest.approx(AT_START, abs=1e-5)


def test_objective_at_the_printed_estimates():
    assert held().ofv == pytest.approx(AT_END, abs=1e-5)


def test_effects_and_objectives_of_the_subjects_at_the_printed_estimates():
    rows = rows_of("nonmem.csv")
    names, printed = [row["ID"] for row in rows], {key: [float(row[key]) for row in rows] for key in rows[0]}
    assert len(names) == 59
    eta = held()["etas"]["eta"].sel(subject=names)
    for effect, wanted in zip(eta.transpose("effect", "subject").values, ("ETA1", "ETA2"), strict=True):
        np.testing.assert_allclose(effect, printed[wanted], atol=1e-5)
    own = held()["subjects"]["objective"].sel(subject=names)
    np.testing.assert_allclose(own, printed["OBJ"], atol=1e-4)


def test_the_minimum():
    assert fitted().status == "converged"
    assert fitted().ofv == pytest.approx(AT_END, abs=1e-5)
    values = column("value")
    for name, value in MINIMUM.items():
        assert values[name] == pytest.approx(value, rel=5e-4), name


def test_standard_errors():
    """NONMEM's rest on differences; two of its versions lie up to 0.03 % apart."""
    errors = column("se")
    for name, printed in ERRORS.items():
        assert errors[name] == pytest.approx(printed, rel=3e-3), name


def test_shrinkage():
    """Of eta as 1 - SD / omega and as 1 - variance / omega^2 (7.4.2); of epsilon by the root of the mean square."""
    for name, printed in (("shrinkage", (0.47130, 0.12839)), ("shrinkage_variance", (0.72048, 0.24030))):
        np.testing.assert_allclose(fitted()["omega"][name], printed, atol=5e-5)
    own = fitted().records["IWRES"].values
    assert 1.0 - np.nanmean(own**2) ** 0.5 == pytest.approx(0.21198, abs=2e-5)
