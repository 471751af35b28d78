"""The whole public sets of dosing events that NONMEM 7.5 was run on (see README.md beside this file).

NONMEM prints five digits: half a unit of the last one is 5e-5 of a number that begins with 1.
"""

from __future__ import annotations

import csv
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from pkpd.data.dataset import Dataset
from pkpd.data.read import read_data
from pkpd.engine import Schedule, bind, compile_model, predict
from pkpd.engine.predict import METHODS
from pkpd.errors import PkpdWarning
from pkpd.model.model import Model

HERE = Path(__file__).parent
MODEL = """
title = "NONMEM comparison set"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
LAGT = { unit = "h" }
BIOAV = { unit = "1" }
DUR2 = { unit = "h" }
[parameters]
cl = { typical = 1.1, unit = "L/h", times = "(WT / 70) ** 0.75" }
v = { typical = 20.0, unit = "L" }
ka = { typical = 1.5, unit = "1/h" }
[constants]
ug = { value = 1000.0, unit = "ug/mg" }
[routes]
gut = { into = "gut", cmt = 1 }
central = { into = "central", cmt = 2, lag = "LAGT", bioavailability = "BIOAV", duration = "DUR2" }
[dynamics]
equations = '''
cp = ug * central / v
d/dt(gut) = -ka * gut
d/dt(central) = ka * gut - cl * central / v
'''
[outputs]
cp = { unit = "ug/L" }
"""
SETS = {"doses.csv": "nonmem.csv", "doses_more.csv": "nonmem_more.csv"}
CARRIED = ("LAGT", "BIOAV", "DUR2")


def rows_of(name: str) -> list[dict[str, str]]:
    with open(HERE / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


TITLES = {row["ID"]: row["TITLE"] for name in SETS for row in rows_of(name)}
PRINTED = {
    case: np.array([float(row[case] or "nan") for row in table])
    for table in map(rows_of, SETS.values())
    for case in table[0]
    if case != "TIME"
}


def records(case: str) -> list[dict[str, float]]:
    """Doses of a case and observations at 0, 1, ..., 130; lag and share hold until the next dose says more."""
    found = [
        {name: float(value) for name, value in row.items() if name != "TITLE"}
        for file in SETS
        for row in rows_of(file)
        if row["ID"] == case
    ]
    doses = list(found)
    for time in range(131):
        said = max((d for d in doses if d["TIME"] <= time), key=lambda d: d["TIME"])
        carried = {name: said[name] for name in CARRIED}
        if case == "102":
            carried["LAGT"] = 0.0
        nothing = dict.fromkeys(("EVID", "AMT", "SS", "II", "ADDL", "RATE"), 0.0)
        found.append({"ID": float(case), "TIME": float(time), "CMT": 2.0, **nothing, **carried})
    return sorted(found, key=lambda row: (row["TIME"], row["EVID"] == 0))


@lru_cache
def program():
    return compile_model(Model(MODEL))


def bound(data: Dataset) -> Schedule:
    """Let the data meet the model; that most doses do not use its duration is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        return bind(program(), data.events())


@lru_cache
def predicted(method: str) -> dict[str, np.ndarray]:
    """Run all cases as one data set."""
    rows = [row for case in PRINTED for row in records(case)]
    columns: dict[str, list] = {name: [row[name] for row in rows] for name in rows[0]}
    whole = ("ID", "EVID", "CMT", "SS", "ADDL")
    data = read_data(columns | {n: [int(x) for x in columns[n]] for n in whole} | {"WT": [70.0] * len(rows)})
    schedule = bound(data)
    got = predict(program(), schedule, [1.1, 20.0, 1.5], rtol=1e-9, method=method)
    assert not got.failures
    return {name: got.f[schedule.record_subject == s] for s, name in enumerate(schedule.subjects)}


def named(cases) -> list:
    """Each case with its number and title."""
    return [pytest.param(case, id=f"{case}: {TITLES[case]}") for case in cases]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", named(PRINTED))
def test_case(case: str, method: str):
    printed = PRINTED[case]
    shown = np.isfinite(printed)
    np.testing.assert_allclose(predicted(method)[case][shown], printed[shown], rtol=5e-5, atol=1e-9)


LATE = [case for case, printed in PRINTED.items() if np.isnan(printed).any()]


@pytest.mark.parametrize("case", named(LATE))
def test_a_lag_beyond_the_interval_leaves_the_endless_train(case: str):
    """Where NONMEM extrapolates: each steady state is the train's, late by its lag, as if it had always been given."""
    got = predicted("auto")[case]
    assert (got > 0).all()
    k, wanted = 1.1 / 20.0, np.zeros(131)
    doses = [row for row in records(case) if row["SS"]]
    for time in range(131):
        reset = max(d["TIME"] for d in doses if d["SS"] == 1 and d["TIME"] <= time)
        for d in doses:
            if reset <= d["TIME"] <= time:
                wanted[time] += train(d, (time - d["TIME"] - d["LAGT"]) % d["II"], k) * 1000.0 / 20.0
    hidden = np.isnan(PRINTED[case])
    np.testing.assert_allclose(got[hidden], wanted[hidden], rtol=1e-6)


def train(dose: dict[str, float], since: float, k: float) -> float:
    """Amount after an endless train of one-compartment doses, `since` the last began (less than the interval)."""
    left = 1.0 - np.exp(-k * dose["II"])
    given = dose["BIOAV"] * dose["AMT"]
    if not dose["RATE"]:
        return given * np.exp(-k * since) / left
    rate, total = dose["RATE"], given / dose["RATE"]
    amount, age = 0.0, since
    while age < total:  # infusions that still run
        amount += rate / k * (1.0 - np.exp(-k * age))
        age += dose["II"]
    # the first that has ended, and all before it
    return amount + rate / k * (np.exp(k * total) - 1.0) * np.exp(-k * age) / left


def with_changing_weight(method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the case of covariates that change: times, what NONMEM printed, what is predicted."""
    rows = rows_of("covariates.csv")
    time, weight, printed = (np.array([float(row[n]) for row in rows]) for n in ("TIME", "WT", "CP"))
    n = len(rows) + 1
    first = {"AMT": 100.0, "EVID": 1, "CMT": 1, "II": 24.0, "ADDL": 3, "BIOAV": 1.0}
    columns = {name: [value, *[0] * (n - 1)] for name, value in first.items()} | {
        "TIME": [0.0, *time], "WT": [weight[0], *weight], "LAGT": [0.0] * n, "DUR2": [0.0] * n,
    }  # fmt: skip
    columns["CMT"], columns["BIOAV"] = [1, *[2] * (n - 1)], [1.0] * n
    data = read_data(columns | {"ID": [1] * n, "RATE": [0.0] * n})
    got = predict(program(), bound(data), [1.1, 20.0, 1.5], rtol=1e-9, method=method)
    return time, printed, got.f


@pytest.mark.parametrize("method", METHODS)
def test_covariates_that_change_hold_backward(method: str):
    """CL follows the weight of the row that ends an interval; the doses at 24, 48 and 72 h are additional ones."""
    _, printed, got = with_changing_weight(method)
    np.testing.assert_allclose(got, printed, rtol=5e-5, atol=1e-9)
