"""Steady state: equal to very many cycles, for everybody and every derivative; no steady state is said to be none."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose
from pkpd.engine import bind, compile_model, predict
from pkpd.model.model import Model

ROUTES = ["oral", "iv", "slow", "steady"]


@pytest.fixture(scope="module")
def program(everything):
    return compile_model(everything)


@pytest.fixture(scope="module")
def values(everything):
    return np.array([p.typical for p in everything.parameters.values()])


def observe(dose, times, before=1e-9):
    return Events.from_regimens([("1", Dose(before, route="iv") + dose, times, {"WT": 62.0})], outputs=["cp", "r"])


@pytest.mark.parametrize("method", ["explicit", "rosenbrock"])
@pytest.mark.parametrize("over", [None, 2.0, 6.0, 20.0])
@pytest.mark.parametrize("route", ROUTES)
def test_equals_many_cycles(program, values, route, over, method):
    """Non-linear effect, lag, bioavailability, modelled rates and durations; infusions that overlap."""
    cycles = 80
    times = 6.0 * cycles + np.array([0.0, 0.3, 1.0, 2.9, 6.0, 11.0])
    train = observe(Dose(40, route=route, over=over, every=6, n=cycles + 2), times)
    steady = observe(Dose(40, route=route, over=over, every=6, n=2, ss=1, time=6.0 * cycles), times)
    wanted = predict(program, bind(program, train), values, rtol=1e-10).f
    got = predict(program, bind(program, steady), values, method=method, rtol=1e-9)
    assert not got.failures
    np.testing.assert_allclose(got.f, wanted, rtol=3e-7, atol=1e-8)


@pytest.mark.parametrize("ss", [1, 2])
@pytest.mark.parametrize("route", ROUTES)
def test_sensitivities_equal_differences(program, values, route, ss):
    dose = Dose(40, route=route, every=6, n=2, ss=ss, time=10)
    schedule = bind(program, observe(dose, [10.0, 10.5, 13.0, 18.0], before=30))
    exact = predict(program, schedule, values, sensitivities=True, rtol=1e-9)
    assert exact.df is not None
    for j, name in enumerate(program.parameters):
        step = 1e-4 * values[j]
        up, down = values.copy(), values.copy()
        up[j] += step
        down[j] -= step
        # One method for both: what is left of a steady state's tolerance then cancels.
        values_up, values_down = (predict(program, schedule, v, rtol=1e-13, method="explicit").f for v in (up, down))
        difference = (values_up - values_down) / (2 * step)
        scale = np.max(np.abs(difference)) + 1e-6 * np.max(np.abs(exact.f)) / values[j]
        np.testing.assert_allclose(exact.df[:, j] / scale, difference / scale, atol=5e-6, err_msg=name)


def test_on_top_adds_to_what_is_there():
    """SS = 2 in a linear model: superposition."""
    model = Model(
        """
        title = "one compartment"
        [units]
        time = "h"
        amount = "mg"
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
    program = compile_model(model)
    times = [24.0, 30.0]
    dose = Dose(500, over=20) + Dose(100, every=12, ss=2, time=24)
    got = predict(program, bind(program, Events.from_regimens([("1", dose, times, {})], outputs=["a"])), [0.05]).f
    k, since = 0.05, np.array(times)
    first = 25 / k * (1 - np.exp(-20 * k)) * np.exp(-k * (since - 20))
    train = 100 * np.exp(-k * (since - 24)) / (1 - np.exp(-12 * k))
    np.testing.assert_allclose(got, first + train, rtol=1e-7)


def test_accumulation_without_bound_is_a_failure_with_its_reason():
    model = Model(
        """
        title = "saturated elimination"
        [units]
        time = "h"
        amount = "mg"
        [parameters]
        vmax = { typical = 2, unit = "mg/h" }
        km = { typical = 5, unit = "mg" }
        [routes]
        iv = { into = "a" }
        [dynamics]
        equations = "d/dt(a) = -vmax * a / (km + a)"
        [outputs]
        a = { unit = "mg" }
        """
    )
    program = compile_model(model)
    plan = Dose(100, every=12, ss=1)
    schedule = bind(program, Events.from_regimens([("1", plan, [1.0], {}), ("2", plan, [1.0], {})], outputs=["a"]))
    got = predict(program, schedule, [[2.0, 5.0], [20.0, 5.0]])
    (failure,) = got.failures
    assert failure.subject == "1" and "steady state" in failure.cause
    assert np.isnan(got.f[0]) and got.f[1] > 0
