"""The slow reference engine against NONMEM 7.5.1 and against closed forms.

NONMEM's predictions are those of the public comparison set mrgsolve/nmtests, printed with five digits or more:
agreement to 5e-5. The closed forms are exact, printed with seven digits: agreement to 1e-6 of what is printed.
"""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import read_data
from pkpd.model.model import Model
from tests.reference import reference_predict

NONMEM = 5e-5

# Lag, bioavailability and the modelled duration act on doses into the central compartment only.
ORAL = """
title = "one compartment with first-order absorption"
[parameters]
cl = { typical = 1.1, unit = "L/h", times = "(WT / 70) ** 0.75" }
v = { typical = 20, unit = "L" }
ka = { typical = 1.5, unit = "1/h" }
lag = { typical = 0, unit = "h", transform = "none" }
f = { typical = 1, transform = "none" }
dur = { typical = 1, unit = "h" }
[constants]
ug_per_mg = { value = 1000, unit = "ug/mg" }
[covariates]
WT = { unit = "kg", reference = 70 }
[routes]
gut = { into = "depot", cmt = 1 }
central = { into = "central", cmt = 2, lag = "lag", bioavailability = "f" }
slow = { into = "central", cmt = 3, lag = "lag", bioavailability = "f", duration = "dur" }
[dynamics]
equations = '''
cp = ug_per_mg * central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl / v * central
'''
[outputs]
cp = { unit = "ug/L", prop = 0.1 }
"""

# Number of the case, parameters, doses (EVID 1 at time 0 unless said), {time: Cp}
CASES = {
    1: ({}, [{"CMT": 1, "AMT": 100, "II": 24, "ADDL": 3}],
        "1 3754.438 2 4391.248 24 1386.515 25 5066.754 72 1855.846 73 5510.968 130 290.1035"),
    2: ({"lag": 12.13, "f": 2.23}, [{"CMT": 2, "AMT": 100, "II": 24, "ADDL": 3}],
        "12 0 13 10629.04 37 13468.43 61 14226.93 85 14429.55 130 1214.434"),
    3: ({}, [{"CMT": 2, "AMT": 100, "RATE": 10, "II": 24, "ADDL": 3}],
        "5 2185.708 10 3845.911 24 1780.707 82 5221.053 96 2417.416"),
    4: ({"f": 0.5}, [{"CMT": 2, "AMT": 480, "RATE": 10}], "12 4392.261 24 6662.406 48 1779.764"),
    5: ({"f": 0.5, "dur": 48}, [{"CMT": 3, "AMT": 480, "RATE": -2}], "24 3331.203 48 4221.085 72 1127.601"),
    6: ({}, [{"CMT": 1, "AMT": 100, "RATE": 100 / 12, "II": 24, "ADDL": 3}], "12 3511.183 24 1963.794 84 4869.743"),
    7: ({"lag": 4.15}, [{"CMT": 2, "AMT": 100, "RATE": 10, "II": 24, "ADDL": 3}],
        "4 0 5 415.2186 14 3802.461 24 2237.279 86 5188.995"),
    9: ({"lag": 3.16, "f": 0.412}, [{"CMT": 2, "AMT": 100, "RATE": 10, "II": 24, "ADDL": 3, "SS": 1}],
        "0 1002.742 3 850.219 7 2413.116 24 1002.742 79 2413.116"),
    11: ({}, [{"CMT": 2, "AMT": 100, "RATE": 2, "II": 12, "ADDL": 3, "SS": 1}],
         "0 7498.889 12 7498.889 47 7511.677 108 1050.436"),
    14: ({}, [{"CMT": 2, "AMT": 100, "RATE": 10, "II": 10, "ADDL": 8, "SS": 1}],
         "0 9090.909 50 9090.909 90 9090.909 129 1064.255"),
    16: ({"lag": 5, "f": 0.412}, [{"CMT": 2, "AMT": 100, "II": 24, "ADDL": 3}],
         "4 0 5 2060 29 2610.299 77 2796.573"),
    20: ({}, [{"CMT": 1, "AMT": 100, "RATE": 50, "II": 12, "ADDL": 2},
              {"TIME": 50, "EVID": 4, "CMT": 1, "AMT": 120, "II": 12, "ADDL": 3}],
         "1 1181.014 13 3864.986 49 2474.772 50 0 51 4505.325 62 3219.143 86 5742.908 100 5542.86"),
    22: ({}, [{"EVID": 4, "CMT": 1, "AMT": 100, "II": 12, "ADDL": 2, "SS": 1}],
         "0 5552.368 1 9009.672 24 5552.368 36 5552.368 108 105.8454"),
    29: ({}, [{"CMT": 1, "AMT": 0, "RATE": 100, "SS": 1}], "0 90909.09 1 88547.06 10 54446.35 130 74.06707"),
}  # fmt: skip


def model_and_values(**changed: float) -> tuple[Model, np.ndarray]:
    model = Model(ORAL)
    return model, np.array([changed.get(name, p.typical) for name, p in model.parameters.items()])


def table(doses: list[dict], times: list[float]) -> dict[str, list]:
    """Write rows of doses and observations, sorted by time, doses first."""
    rows = [{"TIME": 0, "EVID": 1, **dose} for dose in doses] + [{"TIME": t, "EVID": 0} for t in times]
    rows.sort(key=lambda row: (row["TIME"], row["EVID"] == 0))
    names = sorted({name for row in rows for name in row})
    return {"ID": [1] * len(rows), "WT": [70] * len(rows)} | {n: [row.get(n, ".") for row in rows] for n in names}


def digits(ours: np.ndarray, theirs: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        agree = -np.log10(np.abs(ours - theirs) / np.abs(theirs))
    return f"\nours   {ours}\ntheirs {theirs}\ndigits {np.round(agree, 1)}"


@pytest.mark.parametrize("linear", [True, False], ids=["expm", "ode"])
@pytest.mark.parametrize("case", CASES)
def test_nonmem(case: int, linear: bool):
    changed, doses, printed = CASES[case]
    pairs = np.array(printed.split(), dtype=float).reshape(-1, 2)
    model, values = model_and_values(**changed)
    events = read_data(table(doses, pairs[:, 0].tolist())).events()
    ours = reference_predict(model, events, values, linear=linear)
    assert np.allclose(ours, pairs[:, 1], rtol=NONMEM, atol=1e-9), digits(ours, pairs[:, 1])


@pytest.mark.parametrize(
    ("carry", "printed"),
    [
        ("nocb", [4077.769, 3273.455, 2669.055, 2144.242]),
        ("locf", [4213.456, 3318.327, 2655.477, 2165.158]),
    ],
)
def test_covariates_that_change(carry: str, printed: list[float]):
    data = {
        "ID": 1, "TIME": [0, 4, 8, 12, 16], "EVID": [1, 0, 0, 0, 0], "AMT": [100, 0, 0, 0, 0], "CMT": 1,
        "II": [24, 0, 0, 0, 0], "ADDL": [3, 0, 0, 0, 0], "WT": [62.65, 79.43, 71.21, 63.35, 69.55],
    }  # fmt: skip
    model, values = model_and_values()
    ours = reference_predict(model, read_data(data, carry=carry).events(), values)
    assert np.allclose(ours, printed, rtol=NONMEM), digits(ours, np.array(printed))


def test_a_covariate_on_a_line_has_the_integral_of_the_line():
    """A' = -k WT A leaves exp(-k times the area under WT)."""
    text = """
    title = "a rate that follows a covariate"
    [units]
    time = "h"
    amount = "mg"
    [covariates]
    WT = { unit = "1", reference = 1 }
    [parameters]
    k = { typical = 0.1, unit = "1/h", times = "WT" }
    [routes]
    iv = { into = "a" }
    [dynamics]
    equations = "d/dt(a) = -k * a"
    [outputs]
    a = { unit = "mg" }
    """
    data = {"ID": 1, "TIME": [0, 2, 4, 10, 12], "AMT": [100, 0, 0, 0, 0], "WT": [1, ".", 3, 0.5, "."], "DV": 1,
            "EVID": [1, 0, 0, 0, 0]}  # fmt: skip
    events = read_data(data, carry="linear").events()
    area = np.array([3.0, 8.0, 8 + 6 * 1.75, 8 + 6 * 1.75 + 1])
    for linear in (True, False):
        ours = reference_predict(Model(text), events, np.array([0.1]), linear=linear)
        assert np.allclose(ours, 100 * np.exp(-0.1 * area), rtol=1e-9)


def test_a_modelled_rate_is_a_given_rate():
    text = ORAL.replace('duration = "dur"', 'rate = "dur"').replace('dur = { typical = 1, unit = "h" }',
                                                                'dur = { typical = 10, unit = "mg/h" }')  # fmt: skip
    model = Model(text)
    values = np.array([p.typical for p in model.parameters.values()])
    given, modelled = (
        reference_predict(
            model, read_data(table([{"CMT": cmt, "AMT": 100, "RATE": rate}], [1, 5, 10, 24])).events(), values
        )
        for cmt, rate in ((2, 10), (3, -1))
    )
    assert np.array_equal(given, modelled)


def test_ss_2_adds_to_what_is_there():
    model, values = model_and_values()
    times = [13, 24, 36, 50]
    first = {"CMT": 2, "AMT": 50}
    second = {"TIME": 12, "CMT": 1, "AMT": 100, "II": 12, "ADDL": 2}

    def cp(*doses: dict) -> np.ndarray:
        return reference_predict(model, read_data(table(list(doses), times)).events(), values, linear=True)

    together = cp(first, {**second, "SS": 2})
    assert np.allclose(together, cp(first) + cp({**second, "SS": 1}), rtol=1e-9)
    assert np.allclose(cp(first, {**second, "SS": 1}), cp({**second, "SS": 1}), rtol=1e-9)


def test_a_reset_cancels_infusions_and_late_doses():
    model, values = model_and_values(lag=6)
    running = {"CMT": 2, "AMT": 100, "RATE": 5}
    late = {"TIME": 5, "CMT": 2, "AMT": 100}
    ours = reference_predict(
        model, read_data(table([running, late, {"TIME": 10, "EVID": 3}], [8, 10, 12, 20])).events(), values
    )
    assert ours[0] > 0
    assert np.array_equal(ours[1:], [0, 0, 0])


# ------------------------------------------------------------------------------------------------------ closed forms

ONE = """
[parameters]
cl = { typical = 1, unit = "L/h" }
v = { typical = 20, unit = "L" }
ka = { typical = 1.3, unit = "1/h" }
[routes]
oral = { into = "depot" }
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''
[outputs]
cp = { unit = "mg/L" }
"""
TWO = """
[parameters]
cl = { typical = 1, unit = "L/h" }
v1 = { typical = 10, unit = "L" }
q = { typical = 4, unit = "L/h" }
v2 = { typical = 200, unit = "L" }
ka = { typical = 1.3, unit = "1/h" }
[routes]
oral = { into = "depot" }
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v1
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp - q * (cp - peripheral / v2)
d/dt(peripheral) = q * (cp - peripheral / v2)
'''
[outputs]
cp = { unit = "mg/L" }
"""
SINGLE, STEADY = [1, 4, 12, 24, 48], [0, 1, 4, 12, 24]
CLOSED = [
    (ONE, {"ROUTE": "iv"}, SINGLE, "4.756147 4.093654 2.744058 1.505971 0.4535898"),
    (ONE, {"ROUTE": "oral"}, SINGLE, "3.529228 4.228714 2.853820 1.566210 0.4717334"),
    (ONE, {"ROUTE": "iv", "DUR": 10}, SINGLE, "0.4877058 1.812692 3.560258 1.953911 0.5885067"),
    # The dose at 24 h after the dose is the next one; its last moment is seen by leaving it out.
    (ONE, {"ROUTE": "oral", "SS": 1, "II": 24}, STEADY, "2.241266 5.661186 6.063707 4.083853 2.241266"),
    (TWO, {"ROUTE": "iv"}, SINGLE, "6.093984 1.538822 0.3202682 0.2868722 0.2613591"),
    (TWO, {"ROUTE": "oral"}, SINGLE, "5.437393 2.258525 0.3341899 0.2877564 0.2621405"),
    (TWO, {"ROUTE": "iv", "DUR": 10, "SS": 1, "II": 24}, STEADY, "3.294579 4.069274 5.006114 4.114570 3.294579"),
]


@pytest.mark.parametrize(("text", "dose", "times", "printed"), CLOSED)
def test_closed_forms(text: str, dose: dict, times: list[float], printed: str):
    model = Model(text)
    values = np.array([p.typical for p in model.parameters.values()])
    events = read_data(table([{"AMT": 100, **dose}], times)).events()
    theirs = np.array(printed.split(), dtype=float)
    ours = reference_predict(model, events, values, linear="SS" in dose)
    assert np.allclose(ours, theirs, rtol=1e-6), digits(ours, theirs)


OTHER = [
    # Michaelis-Menten; effect compartment; indirect response I
    ("""
[parameters]
vmax = { typical = 2, unit = "mg/L/h" }
km = { typical = 1, unit = "mg/L" }
c0 = { typical = 10, unit = "mg/L" }
[dynamics]
equations = '''
c(0) = c0
d/dt(c) = -vmax * c / (km + c)
'''
[states]
c = { unit = "mg/L" }
[outputs]
c = { unit = "mg/L" }
""", [1, 2, 4, 5, 6, 8], "8.198619 6.440049 3.153934 1.745528 0.6833432 0.02419499"),
    ("""
[parameters]
ke0 = { typical = 0.5, unit = "1/h" }
c0 = { typical = 5, unit = "mg/L" }
k = { typical = 0.05, unit = "1/h" }
[dynamics]
equations = '''
c = c0 * exp(-k * t)
d/dt(ce) = ke0 * (c - ce)
'''
[outputs]
ce = { unit = "mg/L" }
""", [1, 4, 12, 24], "1.914993 3.796641 3.035183 1.673267"),
    ("""
[parameters]
kout = { typical = 0.1, unit = "1/h" }
r0 = { typical = 10, unit = "1" }
imax = { typical = 0.9 }
ic50 = { typical = 2, unit = "mg/L" }
c = { typical = 8, unit = "mg/L" }
[dynamics]
equations = '''
r(0) = r0
d/dt(r) = r0 * kout * (1 - imax * c / (ic50 + c)) - kout * r
'''
[outputs]
r = { unit = "1" }
""", [1, 6, 12, 24, 1000], "9.314829 6.751444 4.968598 3.453169 2.8"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "times", "printed"), OTHER, ids=["michaelis-menten", "effect", "response"])
def test_other_closed_forms(text: str, times: list[float], printed: str):
    model = Model(text)
    values = np.array([p.typical for p in model.parameters.values()])
    ours = reference_predict(model, read_data({"TIME": [0, *times]}).events(), values)[1:]
    theirs = np.array(printed.split(), dtype=float)
    assert np.allclose(ours, theirs, rtol=1e-6), digits(ours, theirs)


def test_infusions_that_join():
    model = Model(ONE).set(cl=1, v=20)  # k = 0.05 1/h
    doses = [{"ROUTE": "iv", "AMT": 200}, {"ROUTE": "iv", "AMT": 1000, "RATE": 10, "II": 100, "ADDL": 9}]
    times = [0, 50, 100, 150, 555, 1000]
    values = np.array([p.typical for p in model.parameters.values()])
    ours = reference_predict(model, read_data(table(doses, times)).events(), values)
    assert np.allclose(ours * 20, 200, rtol=1e-9)


def test_additional_doses_are_doses_written_out():
    model, values = model_and_values(lag=1.5, f=0.7)
    times = [0, 1.5, 5, 13.5, 24, 30]
    short = [{"CMT": 2, "AMT": 100, "RATE": 20, "II": 12, "ADDL": 2}]
    long = [{"TIME": 12 * k, "CMT": 2, "AMT": 100, "RATE": 20} for k in range(3)]
    first, second = (
        reference_predict(model, read_data(table(doses, times)).events(), values, linear=True)
        for doses in (short, long)
    )
    assert np.allclose(first, second, rtol=1e-12, atol=1e-9)


def test_steady_state_is_many_cycles():
    model, values = model_and_values(lag=3)
    dose = {"CMT": 2, "AMT": 100, "RATE": 10, "II": 24}
    steady = reference_predict(
        model, read_data(table([{**dose, "SS": 1}], [0, 2, 5, 20])).events(), values, linear=True
    )
    many = reference_predict(
        model, read_data(table([{**dose, "ADDL": 60}], [1440, 1442, 1445, 1460])).events(), values, linear=True
    )
    assert np.allclose(steady, many, rtol=1e-9)


def test_a_lag_longer_than_the_interval_at_steady_state():
    """The train is endless and shifted: the state just before the first dose of the record is that of any cycle."""
    model, values = model_and_values(lag=30)
    dose = {"CMT": 2, "AMT": 100, "II": 24, "ADDL": 4}
    times = [0, 5, 7, 23, 24, 29, 31, 47]
    ours = reference_predict(model, read_data(table([{**dose, "SS": 1}], times)).events(), values, linear=True)
    assert (ours > 0).all()
    assert np.allclose(ours[[0, 1, 2, 3]], ours[[4, 5, 6, 7]], rtol=1e-9)
