"""Reading and computing `that` of a check."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.errors import ModelError, UnitError
from pkpd.model.model import Check, Model
from pkpd.simulation.check import evaluate, run_checks

MODEL = Model(
    """
title = "one compartment"
[parameters]
ka = { typical = 1.3, unit = "1/h" }
cl = { typical = 1.0, unit = "L/h" }
v = { typical = 20.0, unit = "L" }
[routes]
iv = { into = "central" }
oral = { into = "depot" }
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''
[outputs]
cp = { unit = "mg/L" }
"""
)
KA, K = 1.3, 0.05
PEAK = np.log(KA / K) / (KA - K)


def oral(t):
    return 100 * KA / 20 / (KA - K) * (np.exp(-K * t) - np.exp(-KA * t))


@pytest.mark.parametrize(
    ("dose", "that", "unit", "expected"),
    [
        ("100 mg iv", "at(cp, 0)", "mg/L", 5.0),
        ("100 mg iv", "at( cp , 1e1 )", "ng/mL", 5000 * np.exp(-0.5)),
        ("100 mg iv", "cmax(cp)", "mg/L", 5.0),
        ("100 mg iv", "tmax(cp)", "h", 0.0),
        ("100 mg iv", "cmin(cp, 0, 24)", "mg/L", 5 * np.exp(-1.2)),
        ("100 mg iv", "halflife(cp, 10, 20)", "min", 60 * np.log(2) / K),
        ("100 mg iv", "auc(cp, 0, 1000)", "mg*h/L", 100.0),
        ("100 mg iv", "auc(cp, 0, 1000)", "ng*min/mL", 6e6),
        ("100 mg oral", "cmax(cp)", "mg/L", oral(PEAK)),
        ("100 mg oral", "tmax(cp)", "min", 60 * PEAK),
        ("100 mg iv over 10 h", "cmax(cp)", "mg/L", 10 * (1 - np.exp(-0.5))),
        ("100 mg iv over 10 h", "tmax(cp)", "h", 10.0),
        ("100 mg iv; 200 mg iv at 30 h", "cmax(cp)", "mg/L", 10 + 5 * np.exp(-1.5)),
        ("100 mg iv; 200 mg iv at 30 h", "auc(cp, 0, 1000)", "mg*h/L", 300.0),
    ],
)
def test_numbers(dose, that, unit, expected):
    loose = that.startswith("tmax")  # the top of a smooth curve is flat
    assert evaluate(MODEL, dose, that, unit=unit) == pytest.approx(expected, rel=1e-4 if loose else 1e-7, abs=1e-9)


def test_without_a_dose():
    assert evaluate(MODEL, "", "cmax(cp)") == 0


def test_states_start_at_time_0():
    started = Model("""
[parameters]
a0 = { typical = 100.0, unit = "mg" }
k = { typical = 0.05, unit = "1/h" }
[dynamics]
equations = '''
a(0) = a0
d/dt(a) = -k * a
left = a
'''
[outputs]
left = { unit = "mg" }
""")
    assert evaluate(started, "", "at(left, 10)") == pytest.approx(100 * np.exp(-0.5), rel=1e-8)


@pytest.mark.parametrize(
    ("that", "part"),
    [
        ("cmax", "is not understood"),
        ("cmaks(cp)", "Did you mean `cmax`"),
        ("cmax(cq)", "Outputs: cp."),
        ("at(cp)", "at(output, time)"),
        ("auc(cp, 3)", "auc(output, from, to)"),
        ("auc(cp, 5, 3)", "`from` is before `to`"),
        ("at(cp, 1e)", "at(output, time)"),
        ("__import__('os')", "is not understood"),
    ],
)
def test_refuses(that, part):
    with pytest.raises(ModelError) as error:
        evaluate(MODEL, "100 mg iv", that)
    assert part in str(error.value)


def test_refuses_a_unit_that_does_not_fit():
    with pytest.raises(UnitError):
        evaluate(MODEL, "100 mg iv", "cmax(cp)", unit="h")


def test_run_checks():
    right = Check(dose="100 mg iv", that="cmax(cp)", equals=5.0, unit="mg/L", rtol=1e-6)
    wrong = Check(dose="100 mg iv", that="cmax(cp)", equals=5.1, unit="mg/L", rtol=1e-3)
    found = run_checks(MODEL.replace(checks=(right, wrong)))
    assert [one.passed for one in found] == [True, False]
    assert found[0].check == right
    assert found[1].value == pytest.approx(5.0)
