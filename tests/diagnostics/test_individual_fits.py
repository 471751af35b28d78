"""Everybody's observations and curves."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import Case, IndividualFits, answer
from pkpd.errors import UsageError

from .conftest import UNITS, fit_of

DOSES = """
[parameters]
cl = { typical = 2, unit = "L/h", iiv = 0.09, times = "WT / 70" }
v = { typical = 20, unit = "L" }
[covariates]
WT = { unit = "kg", reference = 70 }
[routes.iv]
into = "a"
[dynamics]
equations = '''
d/dt(a) = -cl / v * a
cp = a / v
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""


def test_curves_are_those_of_the_closed_form():
    fit = fit_of("population")
    found = answer(Case(fit=fit), IndividualFits()).data
    own = fit["subjects"]["individual"]
    dose = dict(zip(fit.data.columns["ID"][fit.data.columns["EVID"] == 1],
                    fit.data.columns["AMT"][fit.data.columns["EVID"] == 1]))  # fmt: skip
    typical = {name: float(fit.estimates["value"].sel(parameter=name)) for name in ("ka", "cl", "v")}
    for who in fit["etas"]["subject"].values:
        mine = found["line_id"].values == who
        t = found["line_x"].values[mine]
        assert len(t) >= 101 and (np.diff(t) > 0).all()
        for line, values in (("line_ipred", dict(zip(own["parameter"].values, own.sel(subject=who).values))),
                             ("line_pred", typical)):  # fmt: skip
            ka, cl, v = (values[name] for name in ("ka", "cl", "v"))
            f = dose[who] / v * ka / (ka - cl / v) * (np.exp(-cl / v * t) - np.exp(-ka * t))
            assert np.allclose(found[line].values[mine], f, rtol=1e-6, atol=1e-9)
    assert np.allclose(found["dose_time"], 0) and found.sizes["dose"] == 12


def rows_of(people):
    """Two boluses, then three more by ADDL; records in the middle of a dosing interval."""
    table = {name: [] for name in ("ID", "TIME", "AMT", "EVID", "MDV", "DV", "II", "ADDL", "WT")}
    for k in range(people):
        for time, amount, addl in ((0, 100, 0), (1, 0, 0), (12, 50, 3), (15, 0, 0), (40, 0, 0), (60, 0, 0)):
            cells = (k, time, amount, amount > 0, amount > 0, 0 if amount else 1.5, 12 * (addl > 0), addl, 70 + 10 * k)
            for name, cell in zip(table, cells):
                table[name].append(float(cell))
    return table


def test_every_dose_shows_in_the_curve():
    data = pkpd.read_data(rows_of(3), units=UNITS)
    fit = pkpd.fit(pkpd.Model(DOSES), data, pkpd.FOCE(max_iterations=0, covariance=None))
    found = answer(Case(fit=fit), IndividualFits()).data
    assert np.allclose(found["dose_time"].values.reshape(3, -1), [0, 12, 24, 36, 48])
    for k in range(3):
        mine = found["line_id"].values == fit["etas"]["subject"].values[k]
        t, f = found["line_x"].values[mine], found["line_ipred"].values[mine]
        rate = float(fit["subjects"]["individual"].values[k, 0]) * (70 + 10 * k) / 70 / 20
        expected = sum(
            amount / 20 * np.where(t >= at, np.exp(-rate * (t - at)), 0)
            for at, amount in zip((0, 12, 24, 36, 48), (100, 50, 50, 50, 50))
        )
        away = np.abs(t[:, None] - np.array([0, 12, 24, 36, 48])).min(axis=1) > 1e-9
        assert np.allclose(f[away], expected[away], rtol=1e-7)
        assert ((t > 23.9) & (t < 24)).any() and ((t > 24) & (t < 26)).any()


def test_the_worst_subject_is_named():
    data = fit_of("population").data
    columns = {name: data.columns[name] for name in ("ID", "TIME", "AMT", "EVID", "MDV")}
    wild = np.random.default_rng(1).normal(0, 4, data.rows) * (data.columns["ID"] == "7")
    dv = data.columns["DV"] + np.where(data.columns["EVID"] == 0, wild, 0)
    planted = pkpd.read_data({**columns, "DV": dv}, units={k: v for k, v in UNITS.items() if k != "WT"})
    fit = pkpd.fit(pkpd.load("theophylline_boeckmann1994"), planted, pkpd.FOCE(max_iterations=0, covariance=None))
    found = answer(Case(fit=fit), IndividualFits())
    own = fit.records["IWRES"].values[fit.records["ID"].values == "7"]
    assert (
        f"follows ID 7 worst: the root of its mean squared IWRES is {np.sqrt((own**2).mean()):.2f}" in found.caption()
    )


def test_pages_axes_and_what_is_hidden():
    fit = fit_of("censored")
    found = answer(Case(fit=fit), IndividualFits(per_page=5, axes="free", log=True))
    assert found.pages == 3
    drawn = found.figure(1).axes
    assert drawn[0].get_yscale() == "log" and [ax.get_title(loc="left") for ax in drawn][:2] == ["ID 6", "ID 7"]
    rings = int(
        np.isnan(fit.records["RES"].values[np.isin(fit.records["ID"].values, ["6", "7", "8", "9", "10"])]).sum()
    )
    assert f"Rings: {rings} censored records" in found.caption(1)
    one = answer(Case(fit=fit_of("population")), IndividualFits())
    limits = {ax.get_ylim() for ax in one.figure().axes}
    assert len(limits) == 1
    assert len({ax.get_ylim() for ax in answer(Case(fit=fit), IndividualFits(axes="free")).figure().axes}) > 6


def test_one_record_and_one_subject():
    data = pkpd.read_data({"ID": [1, 1], "TIME": [0, 1], "AMT": [100, 0], "EVID": [1, 0], "MDV": [1, 0],
                           "DV": [0, 4.4], "WT": [70, 70]}, units=UNITS)  # fmt: skip
    fit = pkpd.fit(pkpd.Model(DOSES), data, pkpd.FOCE(max_iterations=0, covariance=None))
    found = answer(Case(fit=fit), IndividualFits())
    assert found.pages == 1 and "ID 1" in found.caption()
    found.figure()


def test_what_has_no_meaning_is_refused():
    for options, words in (({"per_page": 0}, "per_page is 0"), ({"axes": "own"}, "axes is 'own'"), ({"log": 1}, "log")):
        with pytest.raises(UsageError, match=words):
            IndividualFits(**options)
    with pytest.raises(UsageError, match="output is 'ce'"):
        answer(Case(fit=fit_of("population")), IndividualFits(output="ce"))
