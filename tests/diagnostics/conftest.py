"""Fits that diagnostics are asked of: each of another kind."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import pkpd

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
SCORES = """
title = "scores, a count and yes or no"
[parameters]
base = { typical = 0.4, unit = "1", transform = "none", iiv = 0.5 }
slope = { typical = -0.5, unit = "1/h", transform = "none" }
rate = { typical = 2, unit = "1", iiv = 0.1 }
[dynamics]
equations = '''
vas = 100 / (1 + exp(-(base + slope * t)))
fits = rate
better = 1 / (1 + exp(-(base - slope * t)))
'''
[outputs]
vas = { unit = "1", dvid = 1, score = { lower = 0, upper = 100, step = 5, sd = 0.8 } }
fits = { unit = "1", dvid = 2, count = {} }
better = { unit = "1", dvid = 3, binary = {} }
"""

HAZARD = """
[parameters]
rate = { typical = 0.1, unit = "1/h", iiv = 0.1 }
[covariates]
TRT = { reference = 0 }
[dynamics]
equations = '''
h = rate * exp(-0.7 * TRT)
'''
[outputs]
h = { unit = "1/h", event = {} }
"""


def events(people=40, seed=3, factor=1.0):
    """Events at an exponential time, half of the people on a treatment; some leave before."""
    rng = np.random.default_rng(seed)
    rows = {column: [] for column in ("ID", "TIME", "DV", "TRT", "ARM", "EVID")}
    for person in range(people):
        treated = person % 2
        time = rng.exponential(factor * 10 * np.exp(0.7 * treated))
        left = rng.uniform(5, 30)
        for when, dv, evid in ((0, ".", 2), (min(time, left), float(time < left), 0)):
            for column, cell in zip(rows, (person, when, dv, treated, ("placebo", "drug")[treated], evid)):
                rows[column].append(cell)
    return pkpd.read_data(rows)


@cache
def theophylline():
    data = pkpd.read_data("fits/theophylline_foce/data.csv", units=UNITS)
    return pkpd.load("theophylline_boeckmann1994"), data


@cache
def fit_of(name: str) -> pkpd.Fit:
    if name == "population":
        return pkpd.fit(*theophylline(), pkpd.FOCE())
    if name == "censored":
        model, data = theophylline()
        table = {column: data.columns[column] for column in ("ID", "TIME", "AMT", "EVID", "MDV")}
        dv = np.where(data.columns["DV"] < 2, 2.0, data.columns["DV"])
        given = {**table, "DV": dv, "WT": data.covariates["WT"], "CENS": (data.columns["DV"] < 2).astype(int)}
        return pkpd.fit(model, pkpd.read_data(given, units=UNITS), pkpd.Laplace(covariance=None))
    if name == "individual":
        return pkpd.fit(*theophylline(), pkpd.Individual())
    if name == "pooled":
        return pkpd.fit(*theophylline(), pkpd.Pooled())
    if name == "kinds":
        rng = np.random.default_rng(5)
        rows = {column: [] for column in ("ID", "TIME", "DV", "DVID", "ARM")}
        for person in range(24):
            eta = rng.normal(0, 0.7)
            for time in (0.0, 1.0, 2.0, 3.0):
                mean = 0.4 + eta - 0.5 * time
                score = np.round(100 / (1 + np.exp(-mean - 0.8 * rng.normal())) / 5) * 5
                yes = rng.random() < 1 / (1 + np.exp(-(0.4 + eta + 0.5 * time)))
                for number, value in enumerate((score, rng.poisson(2.0), float(yes)), start=1):
                    for column, cell in zip(rows, (person, time, value, number, "ab"[person % 2])):
                        rows[column].append(cell)
        return pkpd.fit(pkpd.Model(SCORES), pkpd.read_data(rows), pkpd.Laplace(covariance=None))
    if name == "events":
        return pkpd.fit(pkpd.Model(HAZARD), events(), pkpd.Laplace(covariance=None))
    raise KeyError(name)


FITS = ("population", "censored", "individual", "pooled", "kinds", "events")


@pytest.fixture(params=FITS)
def any_fit(request) -> pkpd.Fit:
    return fit_of(request.param)


@pytest.fixture
def population() -> pkpd.Fit:
    return fit_of("population")
