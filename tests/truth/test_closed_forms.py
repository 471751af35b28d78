"""The engine against closed forms of linear compartments, Michaelis-Menten (Lambert W), effect site and turnover.

The printed values are those of the formulas below, given to seven digits; here the engine meets the formulas
themselves, so that other doses, times and parameters are covered by the same functions.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import lambertw

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict
from pkpd.model.model import Model

TIMES = [1.0, 4.0, 12.0, 24.0, 48.0]
AFTER = [0.0, 1.0, 4.0, 12.0, 24.0]
HEAD = """
title = "closed form"
[units]
time = "h"
amount = "mg"
"""
ONE = (
    HEAD
    + """
[parameters]
cl = { typical = 1.0, unit = "L/h" }
v = { typical = 20.0, unit = "L" }
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
)
TWO = (
    HEAD
    + """
[parameters]
cl = { typical = 1.0, unit = "L/h" }
v1 = { typical = 10.0, unit = "L" }
q = { typical = 4.0, unit = "L/h" }
v2 = { typical = 200.0, unit = "L" }
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
)

# Model, dose, times, expected: seven digits.
PRINTED = {
    "one, bolus": (ONE, Dose(100, route="iv"), TIMES, [4.756147, 4.093654, 2.744058, 1.505971, 0.4535898]),
    "one, oral": (ONE, Dose(100, route="oral"), TIMES, [3.529228, 4.228714, 2.853820, 1.566210, 0.4717334]),
    "one, infusion": (
        ONE,
        Dose(100, over=10, route="iv"),
        TIMES,
        [0.4877058, 1.812692, 3.560258, 1.953911, 0.5885067],
    ),
    "one, oral, steady state": (
        ONE,
        Dose(100, every=24, n=2, ss=1, route="oral"),
        AFTER,
        [2.241266, 5.661186, 6.063707, 4.083853, 2.241266],
    ),
    "two, bolus": (TWO, Dose(100, route="iv"), TIMES, [6.093984, 1.538822, 0.3202682, 0.2868722, 0.2613591]),
    "two, oral": (TWO, Dose(100, route="oral"), TIMES, [5.437393, 2.258525, 0.3341899, 0.2877564, 0.2621405]),
    "two, infusion, steady state": (
        TWO,
        Dose(100, every=24, over=10, n=2, ss=1, route="iv"),
        AFTER,
        [3.294579, 4.069274, 5.006114, 4.114570, 3.294579],
    ),
}


def run(text, dose, times, values=None, **options):
    model = Model(text).set(values or {})
    program = compile_model(model)
    times = np.asarray(times, float)
    schedule = bind(program, Events.from_regimens([("1", dose, times, {})], outputs=[next(iter(model.outputs))]))
    got = predict(program, schedule, [p.typical for p in model.parameters.values()], rtol=1e-10, **options)
    got.raise_failures()
    return got.f


@pytest.mark.parametrize("method", ["explicit", "rosenbrock"])
@pytest.mark.parametrize("case", PRINTED)
def test_printed_values(case, method):
    text, dose, times, expected = PRINTED[case]
    # Seven digits: half a unit of the last one is 5e-7 of a number that begins with 1.
    assert run(text, dose, times, method=method) == pytest.approx(expected, rel=5e-7)


@pytest.mark.parametrize("ka", [0.4, 0.4 * (1 + 1e-9), 0.39999])
def test_absorption_as_fast_as_elimination(ka):
    """ka = ke: 100 / 20 * 0.4 * 3 * exp(-0.4 * 3) = 1.807165; nothing is divided by the difference."""
    (got,) = run(ONE, Dose(100, route="oral"), [3.0], {"cl": 8.0, "ka": ka})
    assert got == pytest.approx(1.807165 if ka != 0.39999 else 1.807147, rel=2e-5 if ka == 0.39999 else 2e-7)


def test_michaelis_menten():
    text = (
        HEAD
        + """
[parameters]
vmax = { typical = 2.0, unit = "mg/L/h" }
km = { typical = 1.0, unit = "mg/L" }
c0 = { typical = 10.0, unit = "mg/L" }
[dynamics]
equations = '''
d/dt(c) = -vmax * c / (km + c)
c(0) = c0
'''
[outputs]
c = { unit = "mg/L" }
"""
    )
    model = Model(text)
    program = compile_model(model)
    times = np.array([1.0, 2, 4, 5, 6, 8])
    schedule = bind(program, Events.from_regimens([("1", Regimen(()), times, {})], outputs=["c"]))
    got = predict(program, schedule, [2.0, 1.0, 10.0], rtol=1e-10).f
    assert got == pytest.approx([8.198619, 6.440049, 3.153934, 1.745528, 0.6833432, 0.02419499], rel=5e-7)
    assert got == pytest.approx(np.real(lambertw(10 * np.exp(10 - 2 * times))), rel=1e-8)


def test_effect_compartment():
    """C = 5 exp(-0.05 t) and ke0 0.5: Ce = 5 ke0 / (ke0 - k) (exp(-k t) - exp(-ke0 t))."""
    text = (
        HEAD
        + """
[parameters]
k = { typical = 0.05, unit = "1/h" }
ke0 = { typical = 0.5, unit = "1/h" }
v = { typical = 20.0, unit = "L" }
[routes]
iv = { into = "a" }
[dynamics]
equations = '''
d/dt(a) = -k * a
d/dt(ce) = ke0 * (a / v - ce)
'''
[outputs]
ce = { unit = "mg/L" }
"""
    )
    got = run(text, Dose(100, route="iv"), [1.0, 4, 12, 24])
    assert got == pytest.approx([1.914993, 3.796641, 3.035183, 1.673267], rel=2e-7)


def test_indirect_response():
    """Kin inhibited at a constant concentration: an exponential approach to 10 * (1 - 0.9 * 8 / (2 + 8)) = 2.8."""
    text = (
        HEAD
        + """
[parameters]
r0 = { typical = 10.0, unit = "1" }
kout = { typical = 0.1, unit = "1/h" }
imax = { typical = 0.9, unit = "1" }
ic50 = { typical = 2.0, unit = "mg/L" }
c = { typical = 8.0, unit = "mg/L" }
[dynamics]
equations = '''
d/dt(r) = kout * r0 * (1 - imax * c / (ic50 + c)) - kout * r
r(0) = r0
'''
[outputs]
r = { unit = "1" }
"""
    )
    got = run(text, Regimen(()), [1.0, 6, 12, 24, 500])
    assert got == pytest.approx([9.314829, 6.751444, 4.968598, 3.453169, 2.8], rel=2e-7)


def test_infusions_that_join():
    """200 loaded, then 10/h in ten infusions of 100 h, k = 0.05: the amount stays 200."""
    text = (
        HEAD
        + """
[parameters]
k = { typical = 0.05, unit = "1/h" }
[routes]
iv = { into = "a" }
[dynamics]
equations = "d/dt(a) = -k * a"
[outputs]
a = { unit = "mg" }
"""
    )
    plan = Dose(200, route="iv") + Regimen.every(100, amount=1000, n=10, over=100, route="iv")
    assert run(text, plan, np.linspace(0, 1000, 173)) == pytest.approx(200.0, rel=1e-9)
