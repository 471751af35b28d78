"""Effects that are linear but for what drives them, beside exact kinetics: by collocation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.polynomial import legendre, polynomial

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.engine.tableaus import RADAU, radau
from pkpd.model.model import Model

# -- the method --------------------------------------------------------------------------------------------------------


def weights(method) -> np.ndarray:
    """Its matrix A, put together again."""
    blocks = np.diag(np.array([method.values[0], *np.repeat(method.values[1::2], 2)]))
    for i, beta in enumerate(method.values[2::2]):
        blocks[1 + 2 * i, 2 + 2 * i], blocks[2 + 2 * i, 1 + 2 * i] = beta, -beta
    return method.transform @ np.linalg.inv(blocks) @ method.inverse


def test_three_stages_are_those_of_the_book():
    """Hairer and Wanner, Solving Ordinary Differential Equations II, table IV.5.6."""
    r = np.sqrt(6.0)
    method = radau(3)
    np.testing.assert_allclose(method.c, [(4 - r) / 10, (4 + r) / 10, 1.0], rtol=1e-14)
    wanted = [
        [(88 - 7 * r) / 360, (296 - 169 * r) / 1800, (-2 + 3 * r) / 225],
        [(296 + 169 * r) / 1800, (88 + 7 * r) / 360, (-2 - 3 * r) / 225],
        [(16 - r) / 36, (16 + r) / 36, 1 / 9],
    ]
    np.testing.assert_allclose(weights(method), wanted, rtol=1e-12)


def test_seven_stages_have_order_thirteen():
    a, c = weights(RADAU), RADAU.c
    for k in range(1, 8):
        np.testing.assert_allclose(a @ c ** (k - 1), c**k / k, rtol=1e-12, atol=1e-16)
    assert [k for k in range(1, 16) if abs(a[-1] @ c ** (k - 1) - 1 / k) < 1e-14] == list(range(1, 14))


def test_the_polynomial_goes_through_the_points():
    rng = np.random.default_rng(1)
    p = np.concatenate([[0.0], rng.standard_normal(7)])  # of degree seven, 0 at the start
    w = RADAU.inverse @ polynomial.polyval(RADAU.c, p)
    np.testing.assert_allclose(w @ RADAU.dense, p[1:], rtol=1e-10)
    assert RADAU.start @ w == pytest.approx(p[1], rel=1e-11)


def test_what_is_missed_at_the_start_is_the_error_of_the_polynomial():
    """Of y' = t^7, whose derivative is no polynomial of degree six: what is missed is known, and the error is."""
    z = weights(RADAU) @ RADAU.c**7
    inside = np.linspace(0.0, 1.0, 1001)
    w = RADAU.inverse @ z
    error = np.abs(polynomial.polyval(inside, [0.0, *(w @ RADAU.dense)]) - inside**8 / 8).max()
    assert error == pytest.approx(RADAU.missed * abs(RADAU.start @ w), rel=1e-4)


# -- predictions -------------------------------------------------------------------------------------------------------

TEXT = """
title = "kinetics that drive an effect"
[parameters]
ka = { typical = 1.0, unit = "1/h" }
k = { typical = 0.2, unit = "1/h" }
kout = { typical = 0.15, unit = "1/h" }
a50 = { typical = 3.0, unit = "mg" }
gamma = { typical = 1.7, unit = "1" }
tau = { typical = 2.0, unit = "h" }
[routes]
oral = { into = "depot" }
iv = { into = "central" }
[dynamics]
equations = '''
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - k * central
drive = DRIVE
d/dt(delay) = (drive - delay) / tau
d/dt(r) = kout * (1 - delay) - kout * r
r(0) = 1
'''
[outputs]
r = {}
"""
SIGMOID = "central**gamma / (a50**gamma + central**gamma)"
DRIVES = {
    "sigmoid": SIGMOID,
    "root": "(central / a50)**0.3",
    "ramp": "max(0, central - a50) / (4 * a50)",
    "switch": "0.5 if central > a50 else 0",
    "rhythm": f"{SIGMOID} * (1 + 0.5 * cos(0.26 * t / tau * 2))",
}


@lru_cache
def model(drive: str) -> Model:
    return Model(TEXT.replace("DRIVE", DRIVES[drive]))


def solve(drive: str, plan, times, *, values: dict[str, float] | None = None, **options) -> Prediction:
    program = compile_model(model(drive))
    schedule = bind(program, Events.from_regimens([("1", plan, times, {})]))
    typical = {name: p.typical for name, p in model(drive).parameters.items()} | (values or {})
    return predict(program, schedule, list(typical.values()), **options)


PLANS = {
    "tablets": Regimen.every(12, amount=10, n=5, route="oral"),
    "infusions": Regimen.every(24, amount=20, n=3, over=2, route="iv"),
    "both at once": Regimen.every(24, amount=10, n=2, route="oral") + Dose(15, time=24, route="iv"),
}
TIMES = np.sort(np.random.default_rng(3).uniform(0, 90, 60))
#: By how many times a tolerance may be missed. A jump is seen only where a step ends.
MOST = {"sigmoid": 10, "root": 30, "ramp": 30, "switch": 300, "rhythm": 10}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("drive", DRIVES)
def test_the_error_follows_the_tolerance(drive: str, plan: str):
    """At times between the ends of steps as well; smooth or not."""
    wanted = solve(drive, PLANS[plan], TIMES, rtol=1e-13, method="explicit", max_steps=10**7).f
    errors = {}
    for rtol in (1e-3, 1e-5, 1e-7, 1e-9):
        got = solve(drive, PLANS[plan], TIMES, rtol=rtol)
        assert got.method[0] == "exact + collocation"
        errors[rtol] = float(np.abs(got.f - wanted).max())
    assert all(error < MOST[drive] * rtol for rtol, error in errors.items()), errors


def test_the_last_term_of_a_polynomial():
    """Of y' = P_6, Legendre's polynomial on [0, 1], whose last term is 1: the integral of P_7 is at most 0.0195."""
    p6 = legendre.legint(np.eye(7)[6], lbnd=-1)
    w = RADAU.inverse @ (legendre.legval(2 * RADAU.c - 1, p6) / 2)
    inside = np.linspace(-1, 1, 4001)
    most = np.abs(legendre.legval(inside, legendre.legint(np.eye(8)[7], lbnd=-1))).max() / 2
    assert abs(RADAU.last @ w) == pytest.approx(0.75 * most, rel=1e-5)


def test_a_steep_drive_inside_a_long_step_is_seen():
    """A sigmoid so steep that it is nearly a switch, passed long after the dose."""
    values = {"gamma": 25.0, "a50": 0.5, "k": 0.1}
    wanted = solve("sigmoid", Dose(10, route="iv"), TIMES, values=values, rtol=1e-12, method="explicit").f
    for rtol in (1e-3, 1e-5, 1e-7):
        got = solve("sigmoid", Dose(10, route="iv"), TIMES, values=values, rtol=rtol).f
        assert np.abs(got - wanted).max() < 3 * rtol


def test_few_steps_where_all_is_smooth():
    many = solve("sigmoid", PLANS["tablets"], TIMES, rtol=1e-7, method="explicit").steps[0]
    assert solve("sigmoid", PLANS["tablets"], TIMES, rtol=1e-7).steps[0] < many / 5


def test_observations_change_nothing():
    alone = solve("sigmoid", PLANS["tablets"], [90.0]).f[-1]
    assert solve("sigmoid", PLANS["tablets"], [*TIMES, 90.0]).f[-1] == alone


@pytest.mark.parametrize("kout", [1e-6, 3e2, 1e7])
def test_a_fast_or_slow_effect_needs_no_more_steps(kout: float):
    usual = solve("sigmoid", PLANS["tablets"], TIMES)
    got = solve("sigmoid", PLANS["tablets"], TIMES, values={"kout": kout})
    wanted = solve("sigmoid", PLANS["tablets"], TIMES, values={"kout": kout}, rtol=1e-12, method="rosenbrock")
    np.testing.assert_allclose(got.f, wanted.f, rtol=1e-7)
    assert got.steps[0] < 2 * usual.steps[0]


@pytest.mark.parametrize("k", [1.0, 1e2, 1e4])
def test_a_short_pulse_before_a_long_silence_is_not_missed(k: float):
    """A drug that is gone at once; the effect is looked at once, much later."""
    plan, values = Dose(10, time=1000, route="iv"), {"k": k, "kout": 1e-3, "tau": 50.0}
    got = solve("sigmoid", plan, [2000.0], values=values, rtol=1e-7)
    wanted = solve("sigmoid", plan, [2000.0], values=values, rtol=1e-12, method="rosenbrock")
    assert abs(got.f[0] - wanted.f[0]) < 1e-6 * abs(1 - wanted.f[0])


def test_who_is_eligible():
    """A rest whose own coefficients stay what they are; otherwise the explicit pair serves."""
    usual = "d/dt(r) = kout * (1 - delay) - kout * r"
    others = {
        "d/dt(r) = kout - kout * (1 + delay) * r": "exact + explicit",
        "d/dt(r) = kout * (1 - delay) - kout * r * (1 + drive)": "exact + explicit",
        "d/dt(r) = kout * (1 - delay) - kout * r * (2 + sin(t / tau))": "exact + explicit",
        "d/dt(r) = kout * (1 - delay + 0.1 * sin(t / tau)) - kout * r": "exact + collocation",
        "d/dt(r) = kout * (1 - delay) - (kout if t < tau else 2 * kout) * r": "exact + collocation",
    }
    assert usual in TEXT
    for equation, method in others.items():
        program = compile_model(Model(TEXT.replace("DRIVE", SIGMOID).replace(usual, equation)))
        schedule = bind(program, Events.from_regimens([("1", PLANS["tablets"], [5.0, 50.0], {})]))
        values = [p.typical for p in program.model.parameters.values()]
        got = predict(program, schedule, values)
        assert got.method.tolist() == [method], equation
        np.testing.assert_allclose(got.f, predict(program, schedule, values, method="rosenbrock").f, rtol=1e-6)
