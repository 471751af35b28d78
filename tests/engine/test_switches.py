"""Model event times: where a comparison of time changes its answer, the solver stops, exactly, by every method."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.engine.graph import Graph, Node
from pkpd.engine.switches import Switches
from pkpd.errors import MismatchError
from pkpd.model.equation import parse_expression
from pkpd.model.model import Model
from tests.engine.draws import Row, events_of
from tests.reference import reference_predict

METHODS = ["auto", "explicit", "rosenbrock"]
#: A little saturable loss makes the equations non-linear: then `auto` is not the exact method.
KINDS = ["linear", "not linear"]

TEXT = """
title = "model event times"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
[parameters]
k1 = { typical = 0.1, unit = "1/h", transform = "none" }
k2 = { typical = 0.5, unit = "1/h", transform = "none" }
ts = { typical = 5.0, unit = "h", transform = "none" }
vm = { typical = 0.0, unit = "mg/h", transform = "none" }
[constants]
km = { value = 40.0, unit = "mg" }
hour = { value = 1.0, unit = "h" }
kilo = { value = 1.0, unit = "kg" }
[routes]
iv = { into = "a" }
[dynamics]
equations = '''
k = RATE
y = a LOOK
d/dt(a) = -k * a LOSS
'''
[outputs]
y = { unit = "mg" }
"""
K1, K2, TS = 0.1, 0.5, 5.0


@lru_cache
def model(rate: str = "k1 if t < ts else k2", kind: str = "linear", look: str = "") -> Model:
    loss = "" if kind == "linear" else "- vm * a / (km + a)"
    return Model(TEXT.replace("RATE", rate).replace("LOSS", loss).replace("LOOK", look))


def looks(*times: float) -> list[Row]:
    return [{"TIME": t, "EVID": 0, "WT": 70.0} for t in times]


def dose(time: float = 0.0, **more: float) -> Row:
    return {"TIME": time, "EVID": 1, "AMT": 100.0, "WT": 70.0} | more


def solve(
    what: Model, rows: list[Row], *, ts: float = TS, vm: float = 0.0, rtol: float = 1e-10, **options: Any
) -> Prediction:
    program = compile_model(what)
    got = predict(program, bind(program, events_of(rows)), [K1, K2, ts, vm], rtol=rtol, **options)
    got.raise_failures()
    return got


def decayed(times: np.ndarray, ts: float, start: float = 0.0) -> np.ndarray:
    """100 mg at `start`, lost at K1 until `ts`, then at K2."""
    at = np.clip(ts, start, None)
    return 100 * np.exp(-K1 * (np.minimum(times, at) - start) - K2 * np.maximum(times - at, 0))


# -- what a switch is --------------------------------------------------------------------------------------------------


def compared(text: str) -> list[tuple[float, bool]]:
    """The thresholds of an expression with ts = 5 and wt = 70: when, and whether at that time already."""
    from pkpd.engine.graph import UNARY

    g = Graph()
    names = {"t": g.leaf("time"), "ts": g.leaf("parameter", 0), "wt": g.leaf("covariate", 0), "x": g.leaf("state", 0)}
    switches = Switches(g, names["t"])
    g.lower(parse_expression(text), names, switches)
    known = {names["ts"]: 5.0, names["wt"]: 70.0}

    def value(node: Node) -> float:
        if node.op == "const":
            return node.value
        if node in known:
            return known[node]
        args = [value(a) for a in node.args]
        binary = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}
        return -args[0] if node.op == "neg" else binary[node.op](*args) if node.op in binary else UNARY[node.op](*args)

    return [(value(t.time), t.inclusive) for t in switches.thresholds]


@pytest.mark.parametrize(
    ("text", "thresholds"),
    {
        "t < ts": [(5.0, True)],
        "t >= ts": [(5.0, True)],
        "t > ts": [(5.0, False)],
        "t <= ts": [(5.0, False)],
        "ts > t": [(5.0, True)],
        "ts <= t": [(5.0, True)],
        "ts < t": [(5.0, False)],
        "t >= 2 * ts + 1": [(11.0, True)],
        "2 * t - ts < 1 - t": [(2.0, True)],
        "t / 24 > 2": [(48.0, False)],
        "-t < -ts": [(5.0, False)],
        "t < log(wt / 70)": [(0.0, True)],
        "t > 3 and t <= ts or not t < 1": [(3.0, False), (5.0, False), (1.0, True)],
        "(1 if t < ts else 2) + (3 if t >= ts else 4)": [(5.0, True)],
        "t - t < ts": [],
        "t == ts": [],
        "t * ts < 3": [],
        "ts / t < 3": [],
        "t < x": [],
        "t * t < ts": [],
        "x < ts": [],
    }.items(),
)
def test_what_a_switch_is(text: str, thresholds: list[tuple[float, bool]]):
    assert compared(text) == thresholds


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_that_changes_once(kind: str, method: str):
    times = np.array([0.0, 4.9, 5.0, 5.1, 17.0])
    got = solve(model(kind=kind), [dose(), *looks(*times)], method=method)
    np.testing.assert_allclose(got.f, decayed(times, TS), rtol=1e-8)
    if method == "auto":
        assert got.method[0].startswith("exact") == (kind == "linear"), "piecewise linear is linear between events"
        assert kind != "linear" or got.steps[0] == 2


@pytest.mark.parametrize("ts", [-np.inf, -1e300, -5.0, 0.0, 1e-12, 16.999999999, 17.0, 17.5, 1e4, np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_before_the_start_after_the_end_and_never(ts: float, method: str):
    times = np.array([0.0, 1.0, 17.0])
    got = solve(model(), [dose(), *looks(*times)], ts=ts, method=method)
    np.testing.assert_allclose(got.f, decayed(times, ts), rtol=1e-8)


@pytest.mark.parametrize(
    ("method", "ts"),
    [
        ("auto", 1e9),
        ("rosenbrock", 1e9),
        *(("auto", ts) for ts in (1e30, 1e300)),
        ("explicit", 1e9),
        ("rosenbrock", 1e15),
    ],
)
def test_a_switch_in_the_far_future(method: str, ts: float):
    times = np.array([0.0, 1.0, 17.0])
    got = solve(model(), [dose(), *looks(*times)], ts=ts, method=method, rtol=1e-8)
    np.testing.assert_allclose(got.f, decayed(times, np.inf), rtol=1e-7)


def test_a_time_that_is_no_number_is_named():
    program = compile_model(model("k1 if t < log(ts / hour) * hour else k2"))
    schedule = bind(program, events_of([dose(), *looks(1.0)], [dose(), *looks(1.0)]))
    got = predict(program, schedule, [[K1, K2, -5.0, 0.0], [K1, K2, 5.0, 0.0]])
    (failure,) = got.failures
    assert failure.subject == "1" and "model event time is not a number" in failure.cause
    assert np.isnan(got.f[0]) and got.f[1] == pytest.approx(100 * np.exp(-0.1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("op", "at_it"), [("<", K2), ("<=", K1), (">", K1), (">=", K2)])
def test_at_the_very_time(op: str, at_it: float, method: str):
    """An observation exactly there sees what the comparison says of that time."""
    rate = f"k1 if t {op} ts else k2" if "<" in op else f"k2 if t {op} ts else k1"
    what = model(rate, look=" + k / k1 * km")
    for start in (0.0, TS):  # there, the observation is at the first row; the switch is at the start
        times = np.array([t for t in (0.0, 5.0, 9.0) if t >= start])
        got = solve(what, [dose(start), *looks(*times)], method=method).f
        rates = np.where(times < TS, K1, np.where(times > TS, K2, at_it))
        np.testing.assert_allclose(got, decayed(times, TS, start) + 40 * rates / K1, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_an_expression_for_the_time_and_a_choice_in_a_choice(method: str):
    rate = "(k1 if t < ts else k2) if t < 2 * ts + hour else (2 * k1 if t <= 3 * ts else k1)"
    times = np.array([4.0, 5.0, 10.0, 11.0, 13.0, 15.0, 30.0])
    got = solve(model(rate), [dose(), *looks(*times)], method=method).f
    lost = np.interp(times, [0, 5, 11, 15, 30], np.cumsum([0, 5 * K1, 6 * K2, 4 * 2 * K1, 15 * K1]))
    np.testing.assert_allclose(got, 100 * np.exp(-lost), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_two_switches_at_one_time(method: str):
    """One includes the time and one does not; a dose and an observation stand there as well."""
    rate = "(k1 if t < ts else k2) + (0 * k1 if t <= ts else 3 * k1)"
    rows = [dose(), *looks(5.0), dose(5.0), *looks(5.0, 8.0)]
    got = solve(model(rate), rows, method=method).f
    half = 100 * np.exp(-0.5)
    np.testing.assert_allclose(got, [half, half + 100, (half + 100) * np.exp(-3 * 0.8)], rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_time_from_a_covariate(kind: str, method: str):
    what = model("k1 if t < ts * WT / (70 * kilo) else k2", kind)
    program = compile_model(what)
    people = [[row | {"WT": w} for row in [dose(), *looks(3.0, 12.0)]] for w in (35.0, 70.0, 140.0)]
    got = predict(program, bind(program, events_of(*people)), [K1, K2, TS, 0.0], method=method, rtol=1e-10)
    wanted = [decayed(np.array([3.0, 12.0]), ts) for ts in (2.5, 5.0, 10.0)]
    np.testing.assert_allclose(got.f, np.concatenate(wanted), rtol=1e-8)


@pytest.mark.parametrize("carry", ["nocb", "locf", "linear"])
def test_a_time_that_would_move_is_refused(carry: str):
    program = compile_model(model("k1 if t < ts * WT / (70 * kilo) else k2"))
    rows = [dose(), *looks(3.0), dose(5.0, WT=80.0), *looks(12.0)]
    with pytest.raises(MismatchError, match="comparison of time in the model depends on `WT`"):
        bind(program, events_of(rows, carry=carry))
    bind(program, events_of([row | {"WT": 80.0} for row in rows], carry=carry))


HAND = """
title = "zero-order absorption"
[units]
time = "h"
amount = "mg"
[parameters]
k = { typical = 0.2, unit = "1/h" }
dur = { typical = 3.0, unit = "h" }
lag = { typical = 1.5, unit = "h" }
[constants]
amount = { value = 100.0, unit = "mg" }
km = { value = 30.0, unit = "mg" }
vm = { value = 5.0, unit = "mg/h" }
[routes]
po = { into = "a", cmt = 1, duration = "dur", lag = "lag" }
other = { into = "b", cmt = 2 }
[dynamics]
equations = '''
rate = amount / dur if t >= lag and t < lag + dur else 0 * amount / dur
y = a
z = b
d/dt(a) = -k * a LOSS
d/dt(b) = rate - k * b LOSS
'''
[outputs]
y = { unit = "mg", dvid = 1 }
z = { unit = "mg", dvid = 2 }
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_zero_order_absorption_by_hand(kind: str, method: str):
    """What RATE = -2 does, written as equations: numbers and sensitivities."""
    loss = ("", "") if kind == "linear" else ("- vm * a / (km + a)", "- vm * b / (km + b)")
    text = HAND.replace("* a LOSS", f"* a {loss[0]}").replace("* b LOSS", f"* b {loss[1]}")
    program = compile_model(Model(text))
    given: Row = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "RATE": -2.0, "CMT": 1}
    looked: list[Row] = [{"TIME": t, "EVID": 0, "DVID": n} for t in (1.0, 1.5, 2.0, 4.5, 4.6, 20.0) for n in (1, 2)]
    events = events_of([given, *looked])
    got = predict(program, bind(program, events), [0.2, 3.0, 1.5], method=method, rtol=1e-10, sensitivities=True)
    got.raise_failures()
    assert got.df is not None
    np.testing.assert_allclose(got.f[1::2], got.f[::2], rtol=1e-8)
    np.testing.assert_allclose(got.df[1::2], got.df[::2], rtol=1e-6, atol=1e-7)
    assert got.f[-1] > 0.1


# -- sensitivities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_sensitivities_in_closed_form(kind: str, method: str):
    times = np.array([0.0, 4.0, 5.5, 17.0])
    got = solve(model(kind=kind), [dose(), *looks(*times)], method=method, sensitivities=True)
    f = decayed(times, TS)
    wanted = [-np.minimum(times, TS) * f, -np.maximum(times - TS, 0) * f, (K2 - K1) * (times > TS) * f]
    assert got.df is not None
    np.testing.assert_allclose(got.df[:, :3], np.transpose(wanted), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_sensitivities_are_differences(kind: str, method: str):
    """Several switches, also two that move apart, infusions that run across them, a dose between."""
    rate = "(k1 if t < ts else k2) + (k1 if 2 * t > 3 * ts - hour else k2) * (1 if t <= ts / (2 * hour * k2) else 2)"
    what = model(rate, kind)
    rows = [dose(RATE=20.0), *looks(3.0), dose(6.0, RATE=9.0, II=5.0, ADDL=1.0), *looks(6.5, 7.7, 11.3, 30.0)]
    vm = 0.0 if kind == "linear" else 8.0
    got = solve(what, rows, vm=vm, ts=5.1, method=method, sensitivities=True)
    program = compile_model(what)
    schedule = bind(program, events_of(rows))
    assert got.df is not None
    for j, value in enumerate([K1, K2, 5.1, vm]):
        step = 1e-4 * max(value, 1e-2)
        ends = []
        for shift in (-2, -1, 1, 2):
            values = np.array([K1, K2, 5.1, vm])
            values[j] += shift * step
            ends.append(predict(program, schedule, values, rtol=1e-13, method="explicit").f)
        wanted = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * step)
        np.testing.assert_allclose(got.df[:, j], wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


# -- beside other events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("time", [0.0, 2.0, 5.0, 20.0])
def test_a_train_at_steady_state_knows_no_clock(time: float, method: str):
    """Switches stay as they are at the record, for the whole train."""
    rows = [dose(time, SS=1, II=12.0), *looks(time, time + 4.0, time + 10.0)]
    got = solve(model(), rows, method=method).f
    k = K1 if time < TS else K2
    at = np.array([time, time + 4.0, time + 10.0])
    np.testing.assert_allclose(got, decayed(at, TS, time) / (1 - np.exp(-12 * k)), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_does_not_turn_a_switch_back(method: str):
    rows = [dose(), {"TIME": 8.0, "EVID": 3, "WT": 70.0}, dose(8.0), *looks(9.0)]
    np.testing.assert_allclose(solve(model(), rows, method=method).f, 100 * np.exp(-K2), rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_slow_reference(kind: str):
    rate = "k1 if t < ts else (k2 if t <= 2 * ts + hour else 2 * k1)"
    rows = [dose(RATE=15.0), *looks(3.0, 5.0, 6.0), dose(11.0), *looks(11.0, 12.0, 25.0)]
    what = model(rate, kind)
    vm = 0.0 if kind == "linear" else 8.0
    wanted = reference_predict(what, events_of(rows), np.array([K1, K2, TS, vm]))
    # Its solver steps over the switch, and finds it by its error estimate only.
    np.testing.assert_allclose(solve(what, rows, vm=vm).f, wanted, rtol=1e-6)


def test_nobody_touches_anybody():
    """Each lane has its own switches; bit for bit the same in any company."""
    what = model("k1 if t < ts * WT / (70 * kilo) else k2", "not linear")
    program = compile_model(what)
    people = [
        [r | {"WT": 20.0 + 5 * i} for r in [dose(RATE=20.0 * (i % 2)), *looks(1.0, 9.0, 15.0)]] for i in range(20)
    ]
    values = np.array([[K1, K2, 5.0 + i % 3, 4.0] for i in range(20)])
    values[7, 2] = np.nan
    for wrt in ([], ["ts", "k2"]):
        got = predict(program, bind(program, events_of(*people)), values, rtol=1e-6, sensitivities=wrt)
        assert [f.subject for f in got.failures] == ["8"]
        for i in range(20):
            if i != 7:
                alone = predict(program, bind(program, events_of(people[i])), values[i], rtol=1e-6, sensitivities=wrt)
                np.testing.assert_array_equal(alone.f, got.f[3 * i : 3 * i + 3])
                if alone.df is not None and got.df is not None:
                    np.testing.assert_array_equal(alone.df, got.df[3 * i : 3 * i + 3])
