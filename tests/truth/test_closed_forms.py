"""The engine against closed forms of linear compartments: one to three of them, every input, chains and their sums.

The forms themselves are evaluated to 40 digits (`tests/truth/exponentials.py`); the engine meets them to 1e-7 by every
method. Where seven digits are printed, the forms are also checked against those.
"""

from __future__ import annotations

from functools import lru_cache

import mpmath
import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict
from pkpd.engine.predict import METHODS
from pkpd.model.model import Model
from tests.truth.exponentials import Big, Exponentials, mammillary

TIMES = [1.0, 4.0, 12.0, 24.0, 48.0]
AFTER = [0.0, 1.0, 4.0, 12.0, 24.0]
HEAD = """
title = "closed form"
[units]
time = "h"
amount = "mg"
"""
#: One to three compartments, two inputs, and an effect site and a metabolite behind them.
MAMMILLARY = """
[parameters]
cl = { typical = 1.0, unit = "L/h" }
v1 = { typical = 20.0, unit = "L" }
PERIPHERALS
ka = { typical = 1.3, unit = "1/h" }
ke0 = { typical = 0.5, unit = "1/h" }
km = { typical = 0.2, unit = "1/h" }
split = { typical = 0.4, unit = "1", transform = "logit", lower = 0, upper = 1 }
tlag = { typical = 1.5, unit = "h" }
span = { typical = 6.0, unit = "h" }
[routes]
oral = { into = "depot" }
iv = { into = "central" }
[routes.both]
inputs = [
  { into = "depot", bioavailability = "split" },
  { into = "central", bioavailability = "1 - split", duration = "span", lag = "tlag" },
]
[dynamics]
equations = '''
cp = central / v1
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp FLOWS
EXCHANGE
d/dt(ce) = ke0 * (cp - ce)
d/dt(metabolite) = cl * cp - km * metabolite
'''
[outputs]
cp = { unit = "mg/L", dvid = 1 }
ce = { unit = "mg/L", dvid = 2 }
metabolite = { unit = "mg", dvid = 3 }
"""
ONE: dict[str, tuple[float, float]] = {}
TWO = {"2": (4.0, 200.0)}
THREE = {"2": (3.0, 12.0), "3": (0.7, 300.0)}


def mammillary_model(others: dict[str, tuple[float, float]], cl: float, v1: float, ka: float) -> Model:
    """Write the model out."""
    parameters = "".join(
        f'q{i} = {{ typical = {q}, unit = "L/h" }}\nv{i} = {{ typical = {v}, unit = "L" }}\n'
        for i, (q, v) in others.items()
    )
    flows = "".join(f" - q{i} * (cp - p{i} / v{i})" for i in others)
    exchange = "".join(f"d/dt(p{i}) = q{i} * (cp - p{i} / v{i})\n" for i in others)
    text = HEAD + MAMMILLARY.replace("PERIPHERALS", parameters).replace("FLOWS", flows).replace("EXCHANGE", exchange)
    return Model(text).set(cl=cl, v1=v1, ka=ka)


@lru_cache
def compiled(model: Model):
    return compile_model(model)


def run(model: Model, plan: Dose | Regimen, times, output: str, method: str) -> np.ndarray:
    """Predict one output for one person with the model's own values."""
    events = Events.from_regimens([("1", plan, np.asarray(times, float), {})], outputs=[output])
    program = compiled(model)
    typical = [p.typical for p in model.parameters.values()]
    got = predict(program, bind(program, events), typical, rtol=1e-10, method=method)
    got.raise_failures()
    return got.f


#: name: (peripherals, cl, v1, ka)
SETTINGS = {
    "one": (ONE, 1.0, 20.0, 1.3),
    "two": (TWO, 1.0, 10.0, 1.3),
    "three": (THREE, 2.0, 8.0, 0.9),
    "three, slow absorption": (THREE, 2.0, 8.0, 0.05),
    "ka = ke": (ONE, 8.0, 20.0, 0.4),
    "ka all but ke": (ONE, 8.0, 20.0, 0.4 * (1 + 1e-9)),
    "ka near ke": (ONE, 8.0, 20.0, 0.39999),
}


def forms(setting: str) -> dict[str, Exponentials]:
    """The amount in the central compartment after a unit dose, by route."""
    others, cl, v1, ka = SETTINGS[setting]
    central = mammillary(cl, v1, *others.values())
    # Equal rates: a difference in the 20th digit stands for the limit, which is continuous.
    depot = Exponentials(((mpmath.mpf(1), mpmath.mpf(ka) * (1 + mpmath.mpf(10) ** -20)),))
    oral = Exponentials(())
    for weight, rate in central.terms:
        fed = depot.then(ka, rate)
        oral = Exponentials(oral.terms + tuple((weight * w, r) for w, r in fed.terms))
    return {"iv": central, "oral": oral}


#: name: (dose, times, concentration of the form after 1 mg at a time)
INPUTS = {
    "bolus": (Dose(100, route="iv"), TIMES, lambda f, t: f["iv"].bolus(t)),
    "oral": (Dose(100, route="oral"), TIMES, lambda f, t: f["oral"].bolus(t)),
    "infusion": (Dose(100, over=10, route="iv"), TIMES, lambda f, t: f["iv"].infusion(t, 10)),
    "infusion into the depot": (Dose(100, over=3, route="oral"), TIMES, lambda f, t: f["oral"].infusion(t, 3)),
    "steady bolus": (Dose(100, every=24, n=2, ss=1, route="iv"), AFTER, lambda f, t: f["iv"].steady_bolus(t % 24, 24)),
    "steady oral": (
        Dose(100, every=24, n=2, ss=1, route="oral"), AFTER, lambda f, t: f["oral"].steady_bolus(t % 24, 24),
    ),
    "steady infusion": (
        Dose(100, every=24, over=10, n=2, ss=1, route="iv"), AFTER,
        lambda f, t: f["iv"].steady_infusion(t % 24, 10, 24),
    ),
    "steady infusions that overlap": (
        Dose(100, every=8, over=20, n=4, ss=1, route="iv"), AFTER, lambda f, t: f["iv"].steady_infusion(t % 8, 20, 8),
    ),
    "first-order and zero-order": (
        Dose(100, route="both"), TIMES, lambda f, t: f["oral"].bolus(t) * 0.4 + f["iv"].infusion(t - 1.5, 6) * 0.6,
    ),
    "first-order and zero-order, steady": (
        Dose(100, every=24, n=2, ss=1, route="both"), AFTER,
        lambda f, t: f["oral"].steady_bolus(t % 24, 24) * 0.4 + f["iv"].steady_infusion((t - 1.5) % 24, 6, 24) * 0.6,
    ),
}  # fmt: skip
#: 100 mg, 20 L, ka = ke = 0.4 per h, at 3 h.
EQUAL_RATES = "1.807165"
#: An effect site behind C = 5 exp(-0.05 t), ke0 0.5 per h.
EFFECT_TIMES, EFFECT_SITE = [1.0, 4, 12, 24], "1.914993 3.796641 3.035183 1.673267"
#: Input at ktr 2 per h after four equal steps, 100 mg.
TRANSIT_TIMES, TRANSIT_RATES = [0.5, 1.0, 1.5, 3.0], "12.26265 36.08941 44.80836 17.84702"
PRINTED = {
    ("one", "bolus"): "4.756147 4.093654 2.744058 1.505971 0.4535898",
    ("one", "oral"): "3.529228 4.228714 2.853820 1.566210 0.4717334",
    ("one", "infusion"): "0.4877058 1.812692 3.560258 1.953911 0.5885067",
    ("one", "steady oral"): "2.241266 5.661186 6.063707 4.083853 2.241266",
    ("two", "bolus"): "6.093984 1.538822 0.3202682 0.2868722 0.2613591",
    ("two", "oral"): "5.437393 2.258525 0.3341899 0.2877564 0.2621405",
    ("two", "steady infusion"): "3.294579 4.069274 5.006114 4.114570 3.294579",
}


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_concentration(setting: str, given: str):
    others, cl, v1, ka = SETTINGS[setting]
    model = mammillary_model(others, cl, v1, ka)
    plan, times, form = INPUTS[given]
    unit = forms(setting)
    wanted = np.array([float(100 / mpmath.mpf(v1) * form(unit, t)) for t in times])
    if (setting, given) in PRINTED:
        check_printed(wanted, PRINTED[setting, given])
    for method in METHODS:
        np.testing.assert_allclose(run(model, plan, times, "cp", method), wanted, rtol=1e-7, err_msg=method)


def check_printed(wanted: np.ndarray, printed: str) -> None:
    """Half a unit of the last digit printed."""
    for value, text in zip(wanted, printed.split(), strict=True):
        assert abs(value - float(text)) <= 0.5001 * 10.0 ** -len(text.partition(".")[2]), text


def test_the_limit_of_equal_rates():
    """100 / 20 * 0.4 * 3 * exp(-0.4 * 3): the same form, without any difference of rates."""
    check_printed(np.array([6 * np.exp(-1.2)]), EQUAL_RATES)
    assert float(5 * forms("ka = ke")["oral"].bolus(3)) == pytest.approx(6 * np.exp(-1.2), rel=1e-12)


@pytest.mark.parametrize("given", ["bolus", "oral", "infusion", "steady oral", "steady infusion"])
@pytest.mark.parametrize("setting", ["one", "two", "three"])
def test_what_comes_after(setting: str, given: str):
    """An effect site (Ce' = ke0 (C - Ce)) and a metabolite (M' = CL C - km M) behind the kinetics."""
    others, cl, v1, ka = SETTINGS[setting]
    model = mammillary_model(others, cl, v1, ka)
    plan, times, form = INPUTS[given]
    for output, rate_in, rate_out in (("ce", 0.5 / v1, 0.5), ("metabolite", cl / v1, 0.2)):
        unit = {route: f.then(mpmath.mpf(rate_in), mpmath.mpf(rate_out)) for route, f in forms(setting).items()}
        wanted = [float(100 * form(unit, t)) for t in times]
        for method in METHODS:
            got = run(model, plan, times, output, method)
            np.testing.assert_allclose(got, wanted, rtol=1e-7, err_msg=f"{output}, {method}")


def test_effect_compartment_as_printed():
    """C = 5 exp(-0.05 t), ke0 0.5."""
    form = mammillary(1.0, 20.0).then(mpmath.mpf("0.025"), mpmath.mpf("0.5"))
    check_printed(np.array([float(100 * form.bolus(t)) for t in EFFECT_TIMES]), EFFECT_SITE)
    for method in METHODS:
        got = run(mammillary_model(ONE, 1.0, 20.0, 1.3), Dose(100, route="iv"), EFFECT_TIMES, "ce", method)
        check_printed(got, EFFECT_SITE)


CHAIN = """
[parameters]
ktr = { typical = 2.0, unit = "1/h" }
k = { typical = 0.3, unit = "1/h" }
[routes]
oral = { into = "a0" }
[dynamics]
equations = '''
rate = ktr * a3
d/dt(a0) = -ktr * a0
d/dt(a1) = ktr * (a0 - a1)
d/dt(a2) = ktr * (a1 - a2)
d/dt(a3) = ktr * (a2 - a3)
d/dt(central) = rate - k * central
'''
[outputs]
rate = { unit = "mg/h" }
central = { unit = "mg" }
"""


@pytest.mark.parametrize("k", [0.3, 2.0])
def test_transit_chain(k: float):
    """Four equal steps: a gamma density, dose ktr (ktr t)^3 exp(-ktr t) / 3!; k = ktr adds a fifth."""
    times = TRANSIT_TIMES
    rate = [100 * 2.0 * (2 * t) ** 3 * np.exp(-2 * t) / 6 for t in times]
    check_printed(np.array(rate), TRANSIT_RATES)
    central = [float(gamma_fed(mpmath.mpf(2), 3, mpmath.mpf(k), t) * 100) for t in times]
    model = Model(HEAD + CHAIN).set(k=k)
    for method in METHODS:
        np.testing.assert_allclose(run(model, Dose(100), times, "rate", method), rate, rtol=1e-7, err_msg=method)
        np.testing.assert_allclose(run(model, Dose(100), times, "central", method), central, rtol=1e-7, err_msg=method)


def gamma_fed(ktr, n, k, t) -> Big:
    """Amount, at time t, of what a unit gamma density feeds and rate k empties (erf-like in the incomplete gamma)."""
    if ktr == k:
        return (ktr * t) ** (n + 1) * mpmath.exp(-ktr * t) / mpmath.factorial(n + 1)
    lower = mpmath.gammainc(n + 1, 0, (ktr - k) * t, regularized=True)
    return (ktr / (ktr - k)) ** (n + 1) * mpmath.exp(-k * t) * lower


def test_infusions_that_join():
    """200 loaded, then 10/h in ten infusions of 100 h, k = 0.05: the amount stays 200."""
    model = mammillary_model(ONE, 1.0, 20.0, 1.3)
    plan = Dose(200, route="iv") + Regimen.every(100, amount=1000, n=10, over=100, route="iv")
    for method in METHODS:
        got = run(model, plan, np.linspace(0, 1000, 173), "cp", method)
        np.testing.assert_allclose(got, 10.0, rtol=1e-9, err_msg=method)
