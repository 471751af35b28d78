"""Effects of covariates against a reference subject."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import Case, Forest, answer
from pkpd.diagnostics.forest import of_subject
from pkpd.errors import UsageError

COVARIATES = """
[parameters]
cl = { typical = 3, unit = "L/h", iiv = 0.04, times = "(WT / 70) ** 0.75" }
v = { typical = 30, unit = "L", iiv = 0.04, shift = "sexeffect * SEX" }
sexeffect = { typical = 0.3, unit = "1", transform = "none" }
slope = { typical = 0.01, unit = "1", transform = "none" }
[covariates]
WT = { unit = "1", reference = 70 }
SEX = { unit = "1" }
AGE = { unit = "1" }
[routes.iv]
into = "a"
[dynamics]
equations = '''
size = AGE / 40
clage = cl * size ** slope
k = clage / v
d/dt(a) = -k * a
cp = a / v
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""


def fitted(people=24, **options):
    rng = np.random.default_rng(2)
    rows = {name: [] for name in ("ID", "TIME", "AMT", "EVID", "MDV", "DV", "WT", "SEX", "AGE")}
    for k in range(people):
        wt, sex, age = rng.uniform(50, 100), float(k % 2), rng.uniform(20, 70)
        cl = 3 * (wt / 70) ** 0.75 * (age / 40) ** 0.01 * np.exp(0.2 * rng.normal())
        v = 30 * np.exp(0.3 * sex + 0.2 * rng.normal())
        for time in (0.0, 0.5, 2.0, 6.0, 12.0, 24.0):
            dv = 300 / v * np.exp(-cl / v * time) * (1 + 0.1 * rng.normal())
            first = float(time == 0)
            for name, cell in zip(rows, (k, time, 300 * first, first, first, dv, wt, sex, age)):
                rows[name].append(cell)
    data = pkpd.read_data(rows, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    return pkpd.fit(pkpd.Model(COVARIATES), data, pkpd.FOCE(**options))


@pytest.fixture(scope="module")
def fit():
    return fitted(covariance="R")


def test_effects_are_read_however_they_are_stated(fit):
    diagnosis = answer(Case(fit=fit), Forest())
    found = diagnosis.data
    value = {name: float(fit.estimates["value"].sel(parameter=name)) for name in ("sexeffect", "slope")}
    ids = fit.data.columns["ID"]
    first = {name: np.array([column[ids == who][0] for who in fit.data.ids])
             for name, column in fit.data.covariates.items()}  # fmt: skip
    assert found["quantity"].values.tolist() == ["cl", "cl", "v", "clage", "clage"]
    ends = np.percentile(first["WT"], (5, 95))
    assert np.allclose(found["value"].values[:2], ends)
    assert np.allclose(found["ratio"].values[:2], (ends / 70) ** 0.75)
    assert np.allclose(found["lower"].values[:2], found["ratio"].values[:2])  # a fixed effect is known
    sex = found["ratio"].values[2] if found["value"].values[2] == 1 else 1 / found["ratio"].values[2]
    assert np.isclose(sex, np.exp(value["sexeffect"]))
    old = np.percentile(first["AGE"], (5, 95)) / np.median(first["AGE"])
    assert np.allclose(found["ratio"].values[3:], old ** value["slope"])
    assert np.isclose(found["beyond"].values[1], (first["WT"] >= ends[1]).mean())


def test_intervals_are_those_of_the_delta_method(fit):
    found = answer(Case(fit=fit), Forest(level=0.9)).data
    se = fit.estimates["se"]
    sign = 1 if found["value"].values[2] == 1 else -1
    effect = sign * float(fit.estimates["value"].sel(parameter="sexeffect"))
    reach = 1.6448536 * float(se.sel(parameter="sexeffect"))
    assert np.allclose([found["lower"].values[2], found["upper"].values[2]], np.exp([effect - reach, effect + reach]))
    ages = np.log(found["value"].values[3:] / float(found.attrs["reference"].split("AGE ")[1].split(",")[0]))
    width = np.abs(ages) * 1.6448536 * float(se.sel(parameter="slope"))
    own = np.log(found["upper"].values[3:] / found["lower"].values[3:]) / 2
    assert np.allclose(own, width, rtol=2e-3)


def test_draws_of_a_bootstrap_are_used(fit):
    sampled = pkpd.sir(fit, fit.data, pkpd.SIR(seed=1, samples=200, resamples=100))
    found = answer(Case(fit=sampled), Forest()).data
    assert "draws of sir" in found.attrs["how"]
    draws = sampled["posterior"]["sexeffect"].values.ravel()
    sign = 1 if found["value"].values[2] == 1 else -1
    expected = np.quantile(np.exp(sign * draws), (0.025, 0.975))
    assert np.allclose([found["lower"].values[2], found["upper"].values[2]], expected)


def test_values_and_reference_of_the_caller(fit):
    diagnosis = answer(Case(fit=fit), Forest(values={"WT": (40, 140)}, reference={"WT": 80, "SEX": 0}, band=(0.5, 2.0)))
    assert np.allclose(diagnosis.data["ratio"], (np.array([40, 140]) / 80) ** 0.75)
    assert "Of 2 intervals 2 lie inside the band" in diagnosis.caption()
    assert "The largest effect is that of WT 40 on cl: 0.59 times" in diagnosis.caption()
    diagnosis.figure()


def test_subjects_are_those_of_the_engine(fit):
    model = fit.model
    values = {name: p.typical for name, p in model.parameters.items()}
    own = of_subject(model, values, {"WT": 55.0, "SEX": 1.0, "AGE": 66.0})
    sim = pkpd.simulate(model, "300 mg iv", times=[1.0, 5.0], covariates={"WT": 55.0, "SEX": 1.0, "AGE": 66.0})
    y = sim["cp"].values.ravel()
    assert np.allclose(y, 300 / own["v"] * np.exp(-own["clage"] / own["v"] * np.array([1.0, 5.0])), rtol=1e-7)


def test_what_cannot_be_asked(fit):
    with pytest.raises(UsageError, match="`HT` is no covariate"):
        answer(Case(fit=fit), Forest(values={"HT": (1,)}))
    with pytest.raises(UsageError, match="band is"):
        Forest(band=(1.25, 0.8))
    with pytest.raises(UsageError, match="no covariate differs"):
        answer(Case(fit=fit), Forest(values={}))


def test_without_standard_errors_there_is_no_interval():
    found = answer(Case(fit=fitted(people=6, covariance=None, max_iterations=0)), Forest())
    assert np.isnan(found.data["lower"].values[2]) and "have no interval" in found.caption()
