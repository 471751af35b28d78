"""The engine against closed forms of equations that are not linear in the states, or not autonomous.

Michaelis-Menten elimination (Lambert W), growth laws, turnover at a constant concentration, and a gamma density of
input written with the time. Formulas are evaluated to 40 digits; the engine meets them to 1e-7 by every method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict
from pkpd.engine.predict import METHODS
from pkpd.model.model import Model
from tests.truth.test_closed_forms import HEAD, TRANSIT_RATES, check_printed, gamma_fed

mpmath.mp.dps = 40


@dataclass(frozen=True, slots=True)
class Form:
    """What is given to a model, when it is looked at, the closed form there, and what a source prints of it."""

    model: Model
    plan: Dose | Regimen
    times: Any
    wanted: Sequence[Any]
    printed: str | None = None


def run(model: Model, plan: Dose | Regimen, times, method: str) -> np.ndarray:
    program = compile_model(model)
    output = next(iter(model.outputs))
    schedule = bind(program, Events.from_regimens([("1", plan, np.asarray(times, float), {})], outputs=[output]))
    got = predict(program, schedule, [p.typical for p in model.parameters.values()], rtol=1e-10, method=method)
    got.raise_failures()
    return got.f


def general_methods() -> list[str]:
    """Every method that solves any equations."""
    return ["auto", *(name for name in METHODS if name != "exact")]


SATURATION = """
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


def michaelis_menten(vmax: float, km: float, c0: float) -> Form:
    """C = km W(c0 / km exp((c0 - vmax t) / km)) (Schnell and Mendoza 1997)."""
    times = [1.0, 2, 4, 5, 6, 8]
    if km == 0.05:
        times = times[:-2]  # afterwards nothing is left: 1e-16 and less
    x = [mpmath.mpf(c0) / km * mpmath.exp((mpmath.mpf(c0) - vmax * mpmath.mpf(t)) / km) for t in times]
    printed = "8.198619 6.440049 3.153934 1.745528 0.6833432 0.02419499" if km == 1.0 else None
    model = Model(HEAD + SATURATION).set(vmax=vmax, km=km, c0=c0)
    return Form(model, Regimen(()), times, [km * mpmath.lambertw(v).real for v in x], printed)


def michaelis_menten_after_boluses() -> Form:
    """The same law from dose to dose: what is left of one is where the next begins."""
    text = SATURATION.replace("c(0) = c0\n", "").replace(
        "[dynamics]", '[states]\nc = { unit = "mg/L" }\n[routes]\niv = { into = "c", unit = "mg/L" }\n[dynamics]'
    )
    text = text.replace('c0 = { typical = 10.0, unit = "mg/L" }\n', "")
    left, wanted = mpmath.mpf(0), []
    for _ in range(4):
        left += 10
        left = mpmath.lambertw(left * mpmath.exp(left - 6)).real  # 3 h at vmax 2, km 1
        wanted.append(left)
    plan = Regimen.every(3, amount=10, n=4, route="iv")
    model = Model(HEAD + text)
    # A dose at the time of an observation is given first, so observe just before: the law is smooth there.
    times = np.array([3.0, 6, 9, 12]) - 1e-9
    return Form(model, plan, times, wanted)


TURNOVER = """
[parameters]
r0 = { typical = 10.0, unit = "1" }
kout = { typical = 0.1, unit = "1/h" }
top = { typical = 0.9, unit = "1" }
c50 = { typical = 2.0, unit = "mg/L" }
c = { typical = 8.0, unit = "mg/L" }
[dynamics]
equations = '''
effect = top * c / (c50 + c)
d/dt(r) = kout * r0 PRODUCTION - kout * r LOSS
r(0) = r0
'''
[outputs]
r = { unit = "1" }
"""
KINDS = {
    "I, less production": ("* (1 - effect)", "", 0.9),
    "II, less loss": ("", "* (1 - effect)", 0.9),
    "III, more production": ("* (1 + effect)", "", 3.0),
    "IV, more loss": ("", "* (1 + effect)", 3.0),
}


def turnover_at_a_constant_concentration(kind: str) -> Form:
    """An exponential approach, at the rate of loss, to production over loss (Dayneka, Garg and Jusko 1993)."""
    production, loss, top = KINDS[kind]
    effect = mpmath.mpf(top) * 8 / 10
    sign = -1 if "less" in kind else 1
    made = 10 * (1 + sign * effect) if production else mpmath.mpf(10)
    lost = 1 + sign * effect if loss else mpmath.mpf(1)
    times = [1.0, 6, 12, 24, 2000]
    wanted = [made / lost + (10 - made / lost) * mpmath.exp(-lost * t / 10) for t in times]
    model = Model(HEAD + TURNOVER.replace("PRODUCTION", production).replace("LOSS", loss)).set(top=top)
    printed = "9.314829 6.751444 4.968598 3.453169 2.8" if kind[:2] == "I," else None
    return Form(model, Regimen(()), times, wanted, printed)


def turnover_that_rests() -> Form:
    model = Model(HEAD + TURNOVER.replace("PRODUCTION", "* (1 - effect)").replace("LOSS", "")).set(c=1e-300)
    return Form(model, Regimen(()), [1.0, 24, 5000], [10.0, 10.0, 10.0])


GROWTH = """
[parameters]
g = { typical = 0.2, unit = "1/h" }
n0 = { typical = 0.01, unit = "1" }
cap = { typical = 50.0, unit = "1" }
[dynamics]
equations = '''
d/dt(n) = LAW
n(0) = n0
'''
[outputs]
n = { unit = "1" }
"""


def gompertz_growth() -> Form:
    times = [1.0, 5, 20, 100]
    start = mpmath.log(mpmath.mpf("0.01") / 50)
    wanted = [50 * mpmath.exp(start * mpmath.exp(-mpmath.mpf("0.2") * t)) for t in times]
    return Form(Model(HEAD + GROWTH.replace("LAW", "g * n * log(cap / n)")), Regimen(()), times, wanted)


def logistic_growth() -> Form:
    times = [1.0, 5, 20, 60, 200]
    wanted = [50 / (1 + 4999 * mpmath.exp(-mpmath.mpf("0.2") * t)) for t in times]
    return Form(Model(HEAD + GROWTH.replace("LAW", "g * n * (1 - n / cap)")), Regimen(()), times, wanted)


TRANSIT = """
[parameters]
given = { typical = 100.0, unit = "mg" }
n = { typical = 3.0, unit = "1" }
below = { typical = 6.0, unit = "1" }
ktr = { typical = 2.0, unit = "1/h" }
k = { typical = 0.3, unit = "1/h" }
[dynamics]
equations = '''
rate = given * ktr * (ktr * t) ** n * exp(-ktr * t) / below
d/dt(central) = rate - k * central
'''
[outputs]
OUTPUT
"""


def transit_input_written_with_the_time(n: float, output: str) -> Form:
    """Input given ktr (ktr t)^n exp(-ktr t) / n! for any n (Savic et al. 2007)."""
    times = [0.5, 1.0, 1.5, 3.0, 10.0]
    below = float(mpmath.gamma(n + 1))
    if output == "rate":
        wanted = [100 * 2 * (2 * mpmath.mpf(t)) ** n * mpmath.exp(-2 * t) / below for t in times]
    else:
        wanted = [100 * gamma_fed(mpmath.mpf(2), mpmath.mpf(n), mpmath.mpf("0.3"), t) for t in times]
    line = {"rate": 'rate = { unit = "mg/h" }', "central": 'central = { unit = "mg" }'}[output]
    model = Model(HEAD + TRANSIT.replace("OUTPUT", line)).set(n=n, below=below)
    printed = f"0 {TRANSIT_RATES}" if (n, output) == (3.0, "rate") else None
    return Form(model, Regimen(()), [0.0, *times], [0.0, *wanted], printed)


#: name: closed form
FORMS: dict[str, Callable[[], Form]] = {
    "Michaelis-Menten, km 1": partial(michaelis_menten, 2.0, 1.0, 10.0),
    "Michaelis-Menten, km 0.05": partial(michaelis_menten, 2.0, 0.05, 10.0),
    "Michaelis-Menten, km 40": partial(michaelis_menten, 3.0, 40.0, 10.0),
    "Michaelis-Menten, four boluses": michaelis_menten_after_boluses,
    **{f"Turnover {kind}": partial(turnover_at_a_constant_concentration, kind) for kind in KINDS},
    "Turnover that rests": turnover_that_rests,
    "Gompertz growth": gompertz_growth,
    "Logistic growth": logistic_growth,
    **{
        f"Transit input, n = {n:g}, {output}": partial(transit_input_written_with_the_time, n, output)
        for n in (3.0, 4.37, 0.5)
        for output in ("rate", "central")
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_form(name: str):
    form = FORMS[name]()
    wanted = np.array([float(x) for x in form.wanted])
    if form.printed:
        check_printed(wanted[: len(form.printed.split())], form.printed)
    for method in general_methods():
        got = run(form.model, form.plan, form.times, method)
        np.testing.assert_allclose(got, wanted, rtol=1e-7, err_msg=method)
