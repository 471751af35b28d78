"""Populations that are not as they should be: each is fitted as it must be, or refused with who, where, what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, DataError, MismatchError, ModelError
from pkpd.model import Model

TEXT = """
title = "into the gut, or the vein"
[parameters]
ka = { typical = 1.0, unit = "1/h", KA }
cl = { typical = 4.0, unit = "L/h", iiv = 0.09 CL }
v = { typical = 30.0, unit = "L", iiv = 0.05 }
[routes]
oral = { into = "depot" }
iv = { into = "central" }
COVARIATES
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''
OMEGA
[outputs]
cp = { unit = "mg/L", ERROR }
"""
WEIGHT = {"COVARIATES": '[covariates]\nWT = { unit = "kg" }', "CL": ', times = "(WT / 70) ** 0.75"'}
ADD = {"ERROR": "prop = 0.1, add = 0.05"}
LOG = {"ERROR": "log = 0.1"}
Row = dict


def model(**changes: str) -> Model:
    text = TEXT
    for name, own in ({"KA": "fixed = true", "ERROR": "prop = 0.1"} | changes).items():
        text = text.replace(name, own)
    return Model(text.replace("COVARIATES", "").replace("OMEGA", "").replace(" CL }", " }"))


def rows(people: int = 12, times: tuple[float, ...] = (0.5, 2.0, 5.0, 9.0, 16.0), size: float = 1.0) -> list[Row]:
    """Drawn from the model, by a fixed seed."""
    rng, found = np.random.default_rng(4), []
    for i in range(people):
        cl, v = np.array([4.0, 30.0]) * np.exp(rng.standard_normal(2) * [0.3, 0.22])
        found.append({"ID": f"p{i}", "TIME": 0.0, "EVID": 1, "AMT": 100.0, "ROUTE": "iv", "DV": None})
        for t in times:
            y = size * 100 / v * np.exp(-cl / v * t) * (1 + 0.1 * rng.standard_normal())
            found.append({"ID": f"p{i}", "TIME": t, "EVID": 0, "AMT": None, "ROUTE": None, "DV": y})
    return found


def data(own: list[Row]) -> pkpd.Dataset:
    names = list(dict.fromkeys(name for row in own for name in row))
    return pkpd.read_data({name: [row.get(name) for row in own] for name in names})


def changed(change: Callable[[Row], object], own: list[Row] | None = None) -> list[Row]:
    own = rows() if own is None else own
    for row in own:
        change(row)
    return own


def before_the_dose(dv: float) -> list[Row]:
    found: list[Row] = []
    for row in rows():
        early = {**row, "TIME": -1.0, "EVID": 0, "AMT": None, "ROUTE": None, "DV": dv}
        found += [early, row] if row["EVID"] else [row]
    return found


def fit(own: Model, seen: list[Row], **options) -> pkpd.Fit:
    return pkpd.fit(own, data(seen), pkpd.FOCE(covariance=None, **options))


@lru_cache
def usual() -> pkpd.Fit:
    return fit(model(), rows())


def test_the_usual_case_is_fitted():
    assert usual().status == "converged"


def omega(covariance: float) -> str:
    return f'[[omega]]\nparameters = ["cl", "v"]\ncovariance = [[0.09], [{covariance}, 0.05]]'


def test_omega_that_is_no_covariance_matrix():
    with pytest.raises(ModelError, match=r"omega of cl, v.*not positive definite"):
        model(OMEGA=omega(0.2))


def test_omega_that_is_all_but_singular_is_replaced():
    good = fit(model(OMEGA=omega(0.01)), rows())
    poor = fit(model(OMEGA=omega(0.067082)), rows())
    assert poor.ofv == pytest.approx(good.ofv, abs=1e-3)
    assert "all but singular" in poor.attrs["notes"]


REFUSED = {
    "a parameter without records": (
        model(KA="fixed = false"), rows(), CannotFit, r"parameter ka.*no record depends on ka.*Fix ka"),
    "a random effect without records": (
        model(KA="iiv = 0.1"), rows(), CannotFit, r"no record depends on ka.*ka and iiv\.ka"),
    "a random effect without records, its parameter fixed": (
        model(KA="iiv = 0.1, fixed = true"), rows(), CannotFit, r"no record depends on ka.*iiv\.ka"),
    "one record each": (
        model(), rows(times=(2.0,)), CannotFit, r"nobody has two records.*cp\.prop.*iiv\.cl.*fixed="),
    "one subject": (
        model(), rows(people=1), CannotFit, r"ID p0 alone has records.*Individual\(\)"),
    "fewer records than estimates": (
        model(), rows(people=2, times=(2.0, 5.0)), CannotFit, r"4 records cannot give 5 estimates.*Fix some"),
    "everything censored": (
        model(), changed(lambda r: r.update(CENS=1 - r["EVID"], LLOQ=9.0, DV=None if r["EVID"] else 9.0)), CannotFit,
        r"row 1, ID p0.*all 60 records of cp are beyond a limit.*columns CENS"),
    "equal observations": (
        model(), changed(lambda r: r.update(DV=None if r["EVID"] else 1.0)), CannotFit,
        r"row 1, ID p0.*all 60 observations of cp are 1.*Check the column DV"),
    "one occasion": (
        model(CL=", iov = 0.04"), changed(lambda r: r.update(OCC=1)), CannotFit,
        r"nobody has two occasions.*cl.*OCC.*iov = 0"),
    "0 before the dose, proportional": (
        model(), before_the_dose(0.0), CannotFit, r"row 0, ID p0, time -1.*0 predicted, SD 0.*MDV = 1"),
    "0 before the dose, combined": (
        model(**ADD), before_the_dose(0.0), CannotFit, r"row 0, ID p0, time -1 and 11 more.*cp\.add may.*MDV = 1"),
    "0 before the dose, log-normal": (
        model(**LOG), before_the_dose(0.0), MismatchError, r"row 0, ID p0, time -1: DV is 0.*MDV = 1"),
    "above 0 before the dose, log-normal": (
        model(**LOG), before_the_dose(0.1), CannotFit, r"row 0, ID p0, time -1.*DV 0\.1, 0 predicted.*MDV = 1"),
    "below 0, log-normal": (
        model(**LOG), [*rows()[:3], {**rows()[3], "DV": -0.2}, *rows()[4:]], MismatchError, r"row 3.*DV is -0\.2"),
    "a covariate without values": (
        model(**WEIGHT), changed(lambda r: r.update(WT=None)), MismatchError, r"covariate `WT`"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    own, seen, error, said = REFUSED[case]
    with pytest.raises(error, match=f"(?s){said}"):
        fit(own, seen)


@pytest.mark.parametrize(
    ("row", "change", "said"),
    [
        (4, {"DV": None, "MDV": 0}, r"row 4, ID p0, column DV.*missing, but MDV is 0.*MDV 1"),
        (3, {"DV": "abc"}, r"row 3, ID p0, column DV: `abc` is not a number"),
        (3, {"DV": "<0.5"}, r"row 3, ID p0, column DV: `<0\.5` is not a number.*CENS 1"),
    ],
)
def test_observations_that_are_none(row, change, said):
    own = changed(lambda r: r.update(MDV=r["EVID"]))
    own[row].update(change)
    with pytest.raises(DataError, match=f"(?s){said}"):
        data(own)


def test_a_subject_that_comes_back():
    again = [{**row, "TIME": row["TIME"] + 50} for row in rows(people=2) if not row["EVID"]]
    with pytest.raises(DataError, match=r"(?s)row 12, ID p0, column ID: p0 comes back.*Sort by ID and TIME"):
        data(rows(people=2) + again)


def same(found: pkpd.Fit, shift: float = 0.0) -> None:
    assert found.status == "converged"
    assert found.ofv == pytest.approx(usual().ofv + shift, abs=1e-3)


def test_what_changes_nothing():
    lone = {"ID": "zz", "TIME": 0.0, "EVID": 1, "AMT": 100.0, "ROUTE": "iv", "DV": None}
    same(fit(model(), [*rows(), lone]))
    late = [
        each
        for k, row in enumerate(rows())
        for each in ([row, {**lone, "ID": row["ID"], "TIME": 99.0}] if k % 6 == 5 else [row])
    ]
    same(fit(model(), late))
    same(fit(model(**WEIGHT), changed(lambda r: r.update(WT=80.0))))


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_units_huge_or_small(size):
    """-2 log L of n densities in other units is 2 n log(size) more; the start is found from the data."""
    found = fit(model(), rows(size=size))
    same(found, 2 * 60 * np.log(size))
    assert "found from the data" in found.attrs["notes"]


def test_identical_subjects_do_not_differ():
    found = fit(model(), [{**row, "ID": f"p{i}"} for i in range(8) for row in rows(people=1)])
    assert found.status == "at a bound"
    assert "iiv.cl" in found.message and "iiv.v" in found.message and "(iiv = 0)" in found.message
    assert "copies" in pkpd.fit(model(), data([{**row, "ID": f"p{i}"} for i in range(8) for row in rows(people=1)]),
                                pkpd.FOCE()).message  # fmt: skip


def test_some_sparse_some_censored_some_twice_at_once():
    sparse = [row for k, row in enumerate(rows()) if k // 6 > 3 or k % 6 < 2]
    assert fit(model(), sparse).status == "converged"
    cut = changed(lambda r: r.update(CENS=int(r["ID"] == "p3" and not r["EVID"]), LLOQ=0.5))
    assert fit(model(), changed(lambda r: r.update(DV=0.5 if r["CENS"] else r["DV"]), cut)).status == "converged"
    assert fit(model(), rows(times=(0.5, 2.0, 2.0, 5.0, 9.0, 16.0))).status == "converged"
