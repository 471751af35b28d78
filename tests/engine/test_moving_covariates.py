"""Covariates on straight lines between their rows (``carry="linear"``), against the plain reference and differences."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.errors import SolveError
from pkpd.model.model import Model
from tests.engine.draws import Row, events_of
from tests.reference import reference_predict

METHODS = ["auto", "explicit", "rosenbrock"]
TEXT = """
title = "weight changes"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
CR = { unit = "1" }
[parameters]
cl = { typical = 3.0, unit = "L/h", times = "(WT / 70) ** 0.75 / CR" }
v = { typical = 20.0, unit = "L", times = "WT / 70" }
ka = { typical = 1.3, unit = "1/h" }
lag = { typical = 0.5, unit = "h", times = "WT / 70" }
f = { typical = 0.6, unit = "1", times = "CR" }
dur = { typical = 2.0, unit = "h", times = "70 / WT" }
kout = { typical = 0.2, unit = "1/h" }
half = { typical = 2.0, unit = "mg/L" }
[routes]
oral = { into = "depot", cmt = 1, lag = "lag", bioavailability = "f" }
iv = { into = "central", cmt = 2 }
slow = { into = "central", cmt = 3, duration = "dur", bioavailability = "f" }
[dynamics]
equations = '''
cp = central / v
EFFECT
d/dt(central) = ka * depot - cl * cp
d/dt(depot) = -ka * depot
'''
[outputs]
cp = { unit = "mg/L", dvid = 1 }
"""
EFFECT = "d/dt(r) = kout * (1 - cp / (half + cp) - r)\nr(0) = 1"


def model(kind: str) -> Model:
    """Linear in its states, or with an effect that is not."""
    if kind == "linear":
        return Model(TEXT.replace("EFFECT", "").replace("kout = {", "kx = {").replace("half = {", "hx = {"))
    return Model(TEXT.replace("EFFECT", EFFECT) + 'r = { unit = "1", dvid = 2 }\n')


def values_of(what: Model) -> np.ndarray:
    return np.array([p.typical for p in what.parameters.values()])


def draw(seed: int, outputs: int = 1, *, apart: bool = False) -> list[Row]:
    """Doses by all routes, additional ones too; covariates that move, stay, and jump at times that come twice."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    time, weight, cr = 0.0, 70.0, 1.0
    for _ in range(rng.integers(4, 9)):
        time += float(rng.choice([0.0, 0.7, 2.0, rng.uniform(0.1, 9.0)]))
        weight = weight if rng.random() < 0.4 else float(rng.uniform(50, 95))
        cr = cr if rng.random() < 0.6 else float(rng.uniform(0.5, 2.0))
        row: Row = {"TIME": time, "EVID": float(rng.choice([0, 1, 1, 2])), "WT": weight, "CR": cr}
        if row["EVID"] == 1:
            cmt = int(rng.integers(1, 4))
            row |= {"CMT": cmt, "AMT": float(rng.uniform(20, 200)), "II": float(rng.uniform(0.5, 5.0))}
            row |= {
                "ADDL": float(rng.choice([0, 2, 5])),
                "RATE": {1: 0.0, 2: float(rng.choice([0.0, 40.0])), 3: -2.0}[cmt],
            }
        elif row["EVID"] == 0:
            row["DVID"] = float(rng.integers(1, outputs + 1))
        rows.append(row)
    for gap in rng.uniform(0.1, 8.0, 4):
        time += float(gap)
        rows.append({"TIME": time, "EVID": 0, "WT": float(rng.uniform(50, 95)), "CR": cr, "DVID": float(outputs)})
    if apart:  # nothing is looked at when something else happens
        rows = [row if row["EVID"] else row | {"TIME": row["TIME"] + 0.0371} for row in rows]
        rows.sort(key=lambda row: row["TIME"])
    return rows


def solve(what: Model, *subjects: list[Row], values=None, **options) -> Prediction:
    program = compile_model(what)
    schedule = bind(program, events_of(*subjects, carry="linear"))
    got = predict(program, schedule, values_of(what) if values is None else values, **options)
    got.raise_failures()
    return got


@pytest.mark.parametrize("kind", ["linear", "not linear"])
@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_the_reference(kind: str, seed: int):
    what = model(kind)
    rows = draw(seed, len(what.outputs))
    wanted = reference_predict(what, events_of(rows, carry="linear"), values_of(what))
    for method in METHODS:
        got = solve(what, rows, rtol=1e-10, method=method)
        np.testing.assert_allclose(got.f, wanted, rtol=1e-8, atol=1e-9 * np.abs(wanted).max(), err_msg=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "not linear"])
@pytest.mark.parametrize("seed", range(4))
def test_sensitivities_are_differences(seed: int, kind: str, method: str):
    what = model(kind)
    rows, values = draw(100 + seed, len(what.outputs), apart=True), values_of(what)
    got = solve(what, rows, rtol=1e-10, method=method, sensitivities=True)
    assert got.df is not None
    for j in range(len(values)):
        step = 2e-4 * values[j]
        ends = []
        for shift in (-2, -1, 1, 2):
            moved = values.copy()
            moved[j] += shift * step
            ends.append(solve(what, rows, values=moved, rtol=1e-13, method="explicit").f)
        wanted = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * step)
        scale = np.abs(wanted).max() + 1e-3 * np.abs(got.f).max() / values[j]
        np.testing.assert_allclose(got.df[:, j] / scale, wanted / scale, atol=1e-6, err_msg=str(what.parameters))


def test_what_a_dose_takes_from_its_time():
    """A lag, a bioavailability and a duration that follow the weight: that of the dose's own time, on the line."""
    what = model("linear")
    ka, v, cl = 1e6, 20.0, 1e-9  # what arrives stays, at once: cp is what has been taken up, over v
    values = dict(zip(what.parameters, values_of(what), strict=True)) | {
        "ka": ka,
        "v": v,
        "cl": cl,
        "f": 0.5,
        "lag": 0.5,
    }
    dose: Row = {
        "TIME": 0.0,
        "EVID": 1,
        "CMT": 1,
        "AMT": 100.0,
        "II": 2.0,
        "ADDL": 5.0,
        "RATE": 0.0,
        "WT": 70.0,
        "CR": 1.0,
    }
    looks: list[Row] = [{"TIME": 10.0, "EVID": 0, "WT": 140.0, "CR": 2.0, "DVID": 1.0}]
    looks += [{"TIME": 12.0, "EVID": 0, "WT": 140.0, "CR": 2.0, "DVID": 1.0}]
    got = solve(what, [dose, *looks], values=list(values.values()), method="rosenbrock").f
    # Doses at 0, 2 ... 10 with CR = 1, 1.2 ... 2 arrive at 0.5, 2.6 ... 11: the sixth after 10 h.
    shares = 0.5 * (1 + np.arange(6) / 5)
    wanted = [100 * shares[:5].sum() / (v * 2), 100 * shares.sum() / (v * 2)]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_closed_form_of_a_rate_that_rises(method: str):
    """With the weight on the clearance alone the logarithm of the amount falls by a parabola."""
    text = TEXT.replace("EFFECT", "").replace("(WT / 70) ** 0.75 / CR", "WT / 70")
    what = Model(
        text.replace('v = { typical = 20.0, unit = "L", times = "WT / 70" }', 'v = { typical = 20.0, unit = "L" }')
    )
    rows: list[Row] = [
        {"TIME": 0.0, "EVID": 1, "CMT": 2, "AMT": 100.0, "RATE": 0.0, "WT": 70.0, "CR": 1.0},
        {"TIME": 4.0, "EVID": 0, "WT": 140.0, "CR": 1.0},
        {"TIME": 4.0, "EVID": 0, "WT": 35.0, "CR": 1.0},  # a jump
        {"TIME": 10.0, "EVID": 0, "WT": 35.0, "CR": 1.0},
    ]
    lost = 3.0 / 20.0 * np.array([4 * 1.5, 4 * 1.5, 4 * 1.5 + 6 * 0.5])
    np.testing.assert_allclose(solve(what, rows, method=method, rtol=1e-10).f, 5 * np.exp(-lost), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_doses_reach_their_states_in_whatever_order_these_stand(method: str):
    depot = "d/dt(depot) = -ka * depot"
    text = TEXT.replace("EFFECT", "").replace(depot, "").replace("cp = central / v", "cp = central / v\n" + depot)
    what, rows = Model(text), draw(1)
    wanted = solve(model("linear"), rows, rtol=1e-10)
    np.testing.assert_allclose(solve(what, rows, rtol=1e-10, method=method).f, wanted.f, rtol=1e-8)


def test_covariates_that_stay_give_what_they_give_by_another_rule():
    """The rule decides how a subject is solved, not whether its covariates happen to change."""
    what = model("linear")
    rows = [row | {"WT": 80.0, "CR": 1.1} for row in draw(5)]
    got = solve(what, rows, rtol=1e-10)
    assert list(got.method) != ["exact"]
    program = compile_model(what)
    nocb = predict(program, bind(program, events_of(rows, carry="nocb")), values_of(what))
    assert list(nocb.method) == ["exact"]
    np.testing.assert_allclose(got.f, nocb.f, rtol=1e-8, atol=1e-10)


def test_only_what_moves_is_integrated():
    """A covariate of the output alone leaves the equations as they are; the exact method says why it cannot."""
    text = TEXT.replace("EFFECT", "").replace(', times = "(WT / 70) ** 0.75 / CR"', "")
    text = text.replace('unit = "L", times = "WT / 70" }', 'unit = "L" }')
    text = text.replace("cp = central / v", "cp = central / v * 70 * kilo / WT").replace(
        "- cl * cp", "- cl / v * central"
    )
    what = Model(text.replace("[routes]", '[constants]\nkilo = { value = 1.0, unit = "kg" }\n[routes]'))
    rows = draw(3)
    wanted = reference_predict(what, events_of(rows, carry="linear"), values_of(what))
    np.testing.assert_allclose(solve(what, rows, rtol=1e-10).f, wanted, rtol=1e-8, atol=1e-10)
    with pytest.raises(SolveError, match="move along a line"):
        solve(model("linear"), rows, method="exact")


@pytest.mark.parametrize("steady", [{"II": 12.0}, {"II": 12.0, "RATE": 50.0}, {"AMT": 0.0, "RATE": 10.0}])
def test_a_train_at_steady_state_has_the_covariates_of_its_record(steady: dict[str, float]):
    what = model("linear")
    dose: Row = {"TIME": 10.0, "EVID": 1, "CMT": 2, "AMT": 100.0, "RATE": 0.0, "SS": 1.0, "WT": 60.0, "CR": 1.0}
    rows = [{"TIME": 0.0, "EVID": 2, "WT": 70.0, "CR": 1.0}, dose | steady]
    rows += [
        {"TIME": t, "EVID": 0, "WT": w, "CR": 1.0, "DVID": 1.0} for t, w in ((10.5, 61.0), (12.0, 90.0), (20.0, 50.0))
    ]
    wanted = reference_predict(what, events_of(rows, carry="linear"), values_of(what))
    np.testing.assert_allclose(solve(what, rows, rtol=1e-8).f, wanted, rtol=1e-6)


@pytest.mark.parametrize("ss", [1.0, 2.0])
def test_a_train_at_steady_state_before_covariates_that_stay(ss: float):
    """Where they do not move after the record there is nothing to ask."""
    what = model("linear")
    dose: Row = {
        "TIME": 10.0,
        "EVID": 1,
        "CMT": 2,
        "AMT": 100.0,
        "RATE": 30.0,
        "II": 8.0,
        "SS": ss,
        "WT": 60.0,
        "CR": 1.0,
    }
    rows = [{"TIME": 0.0, "EVID": 2, "WT": 70.0, "CR": 1.0}, dose]
    rows += [{"TIME": t, "EVID": 0, "WT": w, "CR": 1.0, "DVID": 1.0} for t, w in ((14.0, 60.0), (20.0, 50.0))]
    wanted = reference_predict(what, events_of(rows, carry="linear"), values_of(what))
    np.testing.assert_allclose(solve(what, rows, rtol=1e-10).f, wanted, rtol=1e-8)


@pytest.mark.parametrize("still", [True, False])
def test_nobody_touches_anybody(still: bool):
    """Bit for bit the same, alone or beside people whose covariates move."""
    what = model("linear")
    people = [draw(200 + i) for i in range(12)]
    if still:
        people[4] = [row | {"WT": 80.0, "CR": 1.1} for row in people[4]]
    program = compile_model(what)
    schedule = bind(program, events_of(*people, carry="linear"))
    together = predict(program, schedule, values_of(what), sensitivities=["cl", "lag"])
    for i, rows in enumerate(people):
        alone = solve(what, rows, sensitivities=["cl", "lag"])
        own = schedule.record_subject == i
        assert alone.method[0] == together.method[i]
        assert alone.df is not None and together.df is not None
        np.testing.assert_array_equal(alone.f, together.f[own])
        np.testing.assert_array_equal(alone.df, together.df[own])
