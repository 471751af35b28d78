"""Dosing events against NONMEM 7.5.1, from the public comparison set of the mrgsolve project (metrumresearchgroup).

Model: one compartment with first-order absorption, CL 1.1, V 20, KA 1.5; Cp = 1000 A2 / V. Lag and bioavailability act
on doses into the central compartment. NONMEM prints five digits: agreement is asked to 5e-5 relative. Here lag,
bioavailability and duration are parameters; the whole set, with them as covariates, is in `nmtests/`.
"""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.read import read_data
from pkpd.engine import bind, compile_model, predict
from pkpd.engine.predict import METHODS
from pkpd.model.model import Model

MODEL = """
title = "NONMEM comparison set"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 1.1, unit = "L/h", times = "(WT / 70) ** 0.75" }
v = { typical = 20.0, unit = "L" }
ka = { typical = 1.5, unit = "1/h" }
lag = { typical = 0.0, unit = "h", transform = "none" }
f = { typical = 1.0, unit = "1" }
d2 = { typical = 48.0, unit = "h" }
[constants]
ug = { value = 1000.0, unit = "ug/mg" }
[routes]
gut = { into = "gut", cmt = 1 }
central = { into = "central", cmt = 2, lag = "lag", bioavailability = "f"DURATION }
[dynamics]
equations = '''
cp = ug * central / v
d/dt(gut) = -ka * gut
d/dt(central) = ka * gut - cl * central / v
'''
[outputs]
cp = { unit = "ug/L" }
"""

D = {"TIME": 0.0, "AMT": 100.0, "EVID": 1, "CMT": 2, "RATE": 0.0, "II": 0.0, "ADDL": 0, "SS": 0, "WT": 70.0}
TRAIN = {"II": 24.0, "ADDL": 3}
CASES = {
    "1 bolus into gut": (
        [{"CMT": 1, **TRAIN}],
        {},
        {1: 3754.438, 2: 4391.248, 24: 1386.515, 25: 5066.754, 72: 1855.846, 73: 5510.968, 130: 290.1035},
    ),
    "2 lag and F": (
        [TRAIN],
        {"lag": 12.13, "f": 2.23},
        {12: 0, 13: 10629.04, 37: 13468.43, 61: 14226.93, 85: 14429.55, 130: 1214.434},
    ),
    "3 infusion": (
        [{"RATE": 10.0, **TRAIN}],
        {},
        {5: 2185.708, 10: 3845.911, 24: 1780.707, 82: 5221.053, 96: 2417.416},
    ),
    "4 F makes an infusion longer": (
        [{"AMT": 480.0, "RATE": 10.0}],
        {"f": 0.5},
        {12: 4392.261, 24: 6662.406, 48: 1779.764},
    ),
    "5 modelled duration": (
        [{"AMT": 480.0, "RATE": -2.0}],
        {"f": 0.5, "d2": 48.0},
        {24: 3331.203, 48: 4221.085, 72: 1127.601},
    ),
    "6 infusion into gut": (
        [{"CMT": 1, "RATE": 100 / 12, **TRAIN}],
        {},
        {12: 3511.183, 24: 1963.794, 84: 4869.743},
    ),
    "7 infusion with lag": (
        [{"RATE": 10.0, **TRAIN}],
        {"lag": 4.15},
        {4: 0, 5: 415.2186, 14: 3802.461, 24: 2237.279, 86: 5188.995},
    ),
    "9 steady state with lag and F": (
        [{"RATE": 10.0, "SS": 1, **TRAIN}],
        {"lag": 3.16, "f": 0.412},
        {0: 1002.742, 3: 850.219, 7: 2413.116, 24: 1002.742, 79: 2413.116},
    ),
    "11 steady state, infusions longer than the interval": (
        [{"RATE": 2.0, "SS": 1, "II": 12.0, "ADDL": 3}],
        {},
        {0: 7498.889, 12: 7498.889, 47: 7511.677, 108: 1050.436},
    ),
    "14 steady state, infusions as long as the interval": (
        [{"RATE": 10.0, "SS": 1, "II": 10.0, "ADDL": 8}],
        {},
        {0: 9090.909, 50: 9090.909, 90: 9090.909, 129: 1064.255},
    ),
    "22 reset, dose and steady state": (
        [{"CMT": 1, "EVID": 4, "SS": 1, "II": 12.0, "ADDL": 2}],
        {},
        {0: 5552.368, 1: 9009.672, 24: 5552.368, 36: 5552.368, 108: 105.8454},
    ),
    "29 infusion without end, until now": (
        [{"CMT": 1, "AMT": 0.0, "RATE": 100.0, "SS": 1}],
        {},
        {0: 90909.09, 1: 88547.06, 10: 54446.35, 130: 74.06707},
    ),
    "16 bolus with lag, seen at its own time": (
        [TRAIN],
        {"lag": 5.0, "f": 0.412},
        {4: 0, 5: 2060, 29: 2610.299, 77: 2796.573},
    ),
    "20 reset and dose": (
        [
            {"CMT": 1, "RATE": 50.0, "II": 12.0, "ADDL": 2},
            {"TIME": 50.0, "EVID": 4, "AMT": 120.0, "CMT": 1, "II": 12.0, "ADDL": 3},
        ],
        {},
        {1: 1181.014, 13: 3864.986, 49: 2474.772, 50: 0, 51: 4505.325, 62: 3219.143, 86: 5742.908, 100: 5542.86},
    ),
}


def run(doses, values, times, carry="nocb", weights=None, method="auto"):
    rows = [{**D, **dose} for dose in doses]
    rows += [{**D, "TIME": t, "AMT": 0.0, "EVID": 0} for t in times]
    rows.sort(key=lambda r: r["TIME"])
    for row, weight in zip(rows, weights or [], strict=False):
        row["WT"] = weight
    frame = {name: np.array([row[name] for row in rows]) for name in D}
    frame["ID"] = np.ones(len(rows), int)
    frame["DV"] = np.zeros(len(rows))
    modelled = any(dose.get("RATE") == -2.0 for dose in doses)
    model = Model(MODEL.replace("DURATION", ', duration = "d2"' if modelled else "")).set(values)
    program = compile_model(model)
    schedule = bind(program, read_data(frame, carry=carry).events())
    return predict(program, schedule, [p.typical for p in model.parameters.values()], method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_case(case, method):
    doses, values, expected = CASES[case]
    got = run(doses, values, list(expected), method=method)
    assert not got.failures
    np.testing.assert_allclose(got.f, list(expected.values()), rtol=5e-5, atol=1e-6, err_msg=case)


#: Weights at 0, 4, 8, 12 and 16 h, and what follows at the last four of these times from each rule.
WEIGHTS, WEIGHED = [62.65, 79.43, 71.21, 63.35, 69.55], [4, 8, 12, 16]
CARRIED = {
    "nocb": [4077.769, 3273.455, 2669.055, 2144.242],
    "locf": [4213.456, 3318.327, 2655.477, 2165.158],
}


def carried(carry: str) -> np.ndarray:
    return run([{"CMT": 1, "II": 24.0, "ADDL": 3}], {}, WEIGHED, carry, WEIGHTS).f


@pytest.mark.parametrize("carry", CARRIED)
def test_covariates_are_carried_by_the_rule_asked_for(carry):
    np.testing.assert_allclose(carried(carry), CARRIED[carry], rtol=5e-5)
