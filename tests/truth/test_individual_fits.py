"""Theophylline, every subject alone: R's nls on the data set Theoph.

Source: Pinheiro JC, Bates DM. Mixed-Effects Models in S and S-PLUS (2000), chapter 8: nlsList(SSfol, Theoph), dose in
mg/kg. The tolerance is half a unit of the last printed digit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pkpd import Fit, Individual, fit, read_data
from pkpd.model import Model
from tests.truth.digits import check_printed

FOLDER = Path(__file__).parents[2] / "fits" / "theophylline_individual"
# subject: lKe, lKa, lCl
ESTIMATES = """
6 -2.31 .152 -2.97 | 7 -2.28 -.386 -2.96 | 8 -2.39 .319 -3.07 | 11 -2.32 1.348 -2.86 | 3 -2.51 .898 -3.23
2 -2.29 .664 -3.11 | 4 -2.44 .158 -3.29 | 9 -2.45 2.182 -3.42 | 12 -2.25 -.183 -3.17 | 10 -2.60 -.363 -3.43
5 -2.43 .386 -3.13"""
SUBJECT_1 = {"ke": "-2.9196", "ka": "0.5752", "cl": "-3.9159"}
SUBJECT_1_ERRORS = {"ke": "0.1709", "ka": "0.1728", "cl": "0.1273"}
SUBJECT_1_SD, POOLED_SD = "0.73195", ".700"
LINES = [line.split() for line in ESTIMATES.replace("\n", "|").split("|") if line.strip()]


@cache
def fitted() -> Fit:
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    return fit(Model(FOLDER / "model.toml"), read_data(FOLDER / "data.csv", units=units), Individual())


@pytest.fixture
def result() -> Fit:
    return fitted()


def of(result: Fit, subject: str, variable: str) -> dict[str, float]:
    row = result.estimates[variable].sel(subject=subject)
    return dict(zip(row["parameter"].values.tolist(), row.values.tolist()))


def test_subject_1_with_standard_errors(result):
    check_printed(of(result, "1", "transformed"), SUBJECT_1)
    check_printed(of(result, "1", "transformed_se"), SUBJECT_1_ERRORS)
    check_printed(of(result, "1", "value"), {"cp.add": SUBJECT_1_SD})
    assert result.verdict["degrees_of_freedom"].sel(subject="1") == 8


@pytest.mark.parametrize(("subject", "ke", "ka", "cl"), LINES, ids=[line[0] for line in LINES])
def test_every_other_subject(result, subject, ke, ka, cl):
    check_printed(of(result, subject, "transformed"), {"ke": ke, "ka": ka, "cl": cl})


def pooled_sd(result: Fit) -> float:
    return float(np.sqrt(result.verdict["sum_of_squares"].sum() / result.verdict["degrees_of_freedom"].sum()))


def test_pooled_residual_sd(result):
    assert result.verdict["degrees_of_freedom"].sum().item() == 96
    check_printed({"sd": pooled_sd(result)}, {"sd": POOLED_SD})
    assert "cp.add is 0.7002 mg/L, on 96 degrees of freedom" in str(result)


def test_everybody_converged(result):
    assert result.status == "converged"
    assert result.verdict["decrement"].max() < 1e-8
    assert (result.verdict["rank"] == 3).all()


def test_lmfit_says_the_same(result):
    own = result.lmfit["1"].params
    names = ("log_ke", "log_ka", "log_cl")
    check_printed({n: own[n].value for n in names}, dict(zip(names, ("-2.9196", "0.5752", "-3.9159"))))
    check_printed({n: own[n].stderr for n in names}, dict(zip(names, ("0.1709", "0.1728", "0.1273"))))
    assert result.lmfit["1"].nfree == 8


def test_the_same_data_in_absolute_doses_and_volumes():
    """Another parameterisation of the same curve leaves the same residual SD, and log v = lCl - lKe per kg."""
    models = FOLDER.parents[1] / "models"
    data = read_data(FOLDER / "data.csv", units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})["1"]
    other = fit(Model(models / "theophylline_boeckmann1994.toml"), data, Individual())
    check_printed(of(other, "1", "value"), {"cp.add": "0.73195"})
    v = other.estimates["value"].sel(subject="1", parameter="v").item()
    assert np.log(v / 79.6) == pytest.approx(-3.9159 + 2.9196, abs=2e-4)
