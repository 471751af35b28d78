"""Predictions against the plain reference; sensitivities against differences; subjects never touch one another."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose
from pkpd.engine import bind, compile_model, predict
from pkpd.errors import SolveError
from pkpd.model.model import Model
from tests.reference import reference_predict

METHODS = ["explicit", "rosenbrock", "auto"]


@pytest.fixture(scope="module")
def ready(everything, people):
    program = compile_model(everything)
    values = np.array([p.typical for p in everything.parameters.values()])
    spread = np.exp(0.2 * np.random.default_rng(3).standard_normal((5, len(values))))
    table = values * spread
    table[:, list(everything.parameters).index("f1")] = [0.6, 0.7, 0.5, 0.9, 0.4]
    return program, bind(program, people), table


@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_the_reference(everything, people, ready, method):
    program, schedule, values = ready
    got = predict(program, schedule, values, method=method, rtol=1e-9)
    assert not got.failures
    np.testing.assert_allclose(got.f, reference_predict(everything, people, values), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["explicit", "rosenbrock"])
def test_error_falls_with_tolerance(ready, method):
    program, schedule, values = ready
    truth = predict(program, schedule, values, rtol=1e-12, method="explicit").f
    errors = [
        np.max(np.abs(predict(program, schedule, values, rtol=r, method=method).f - truth)) for r in (1e-4, 1e-6, 1e-8)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize("method", ["explicit", "rosenbrock"])
def test_sensitivities_equal_differences(ready, method):
    """Through lag, bioavailability, rate, duration, initial state and covariate factors."""
    program, schedule, values = ready
    exact = predict(program, schedule, values, sensitivities=True, rtol=1e-9, method=method)
    assert exact.df is not None
    for j, name in enumerate(program.parameters):
        step = 1e-4 * values[:, j]
        up, down = values.copy(), values.copy()
        up[:, j] += step
        down[:, j] -= step
        difference = predict(program, schedule, up, rtol=1e-12).f - predict(program, schedule, down, rtol=1e-12).f
        difference /= (2 * step)[schedule.record_subject]
        scale = np.max(np.abs(difference)) + 1e-12
        np.testing.assert_allclose(exact.df[:, j] / scale, difference / scale, atol=3e-6, err_msg=name)


def test_sensitivities_to_some_parameters_only(ready):
    program, schedule, values = ready
    every = predict(program, schedule, values, sensitivities=True)
    some = predict(program, schedule, values, sensitivities=["ke0", "cl"])
    assert some.wrt == ("ke0", "cl")
    columns = [program.parameters.index(n) for n in some.wrt]
    np.testing.assert_allclose(some.df, every.df[:, columns], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads_order_and_neighbours_change_no_bit(everything, people, ready, threads):
    program, _, values = ready
    order = np.random.default_rng(5).permutation(np.repeat(np.arange(5), 120))
    crowd = people.take(order, subjects=[str(i) for i in range(len(order))])
    schedule = bind(program, crowd)
    got = predict(program, schedule, values[order], threads=threads)
    for s in range(5):
        alone = predict(program, bind(program, people.take([s])), values[[s]]).f
        for copy in np.flatnonzero(order == s):
            np.testing.assert_array_equal(got.f[schedule.record_subject == copy], alone)


@pytest.mark.parametrize("method", ["explicit", "rosenbrock", "auto"])
def test_a_failure_disturbs_nobody_at_any_position(people, ready, method):
    program, _, values = ready
    who = np.arange(20) % 5
    crowd = bind(program, people.take(who, subjects=[f"s{i}" for i in range(20)]))
    good = predict(program, crowd, values[who], method=method)
    for position in range(20):
        table = values[who].copy()
        table[position, 0] = np.nan
        bad = predict(program, crowd, table, method=method)
        (failure,) = bad.failures
        assert failure.subject == f"s{position}" and "cl is not a number" in str(failure)
        hit = crowd.record_subject == position
        assert np.all(np.isnan(bad.f[hit]))
        np.testing.assert_array_equal(bad.f[~hit], good.f[~hit])


def test_a_dose_that_cannot_be_given_is_a_failure_with_its_reason(ready):
    program, schedule, values = ready
    table = values.copy()
    table[2, program.parameters.index("dur")] = -1.0
    got = predict(program, schedule, table)
    (failure,) = got.failures
    assert "duration" in failure.cause and failure.values["dur"] == -1.0
    with pytest.raises(SolveError, match="Subject 3"):
        got.raise_failures()


def test_wrong_arguments_are_refused(ready):
    program, schedule, values = ready
    with pytest.raises(SolveError, match="shape"):
        predict(program, schedule, values[:, :3])
    with pytest.raises(SolveError, match="rosenbrock"):
        predict(program, schedule, values, method="lsoda")
    with pytest.raises(SolveError, match="ke0"):
        predict(program, schedule, values, sensitivities=["keo"])


def test_a_route_may_depend_on_the_dose_given():
    """Bioavailability that falls with the dose: each dose has its own, in the unit of the route."""
    model = Model(
        """
        title = "saturable uptake"
        [units]
        time = "h"
        amount = "mg"
        [parameters]
        k = { typical = 0.1, unit = "1/h" }
        half = { typical = 50, unit = "mg" }
        [routes]
        oral = { into = "a", bioavailability = "half / (half + dose)" }
        [dynamics]
        equations = "d/dt(a) = -k * a"
        [outputs]
        a = { unit = "mg" }
        """
    )
    program = compile_model(model)
    plan = Dose(50) + Dose(150_000, unit="ug", time=10)
    schedule = bind(program, Events.from_regimens([("1", plan, [10 - 1e-9, 10.0], {})], outputs=["a"]))
    got = predict(program, schedule, [0.1, 50.0], sensitivities=True)
    first = 50 * 0.5 * np.exp(-1.0)
    np.testing.assert_allclose(got.f, [first, first + 150 * 50 / 200], rtol=1e-8)
    np.testing.assert_allclose(got.df[1, 1], 50 * 50 / 100**2 * np.exp(-1.0) + 150 * 150 / 200**2, rtol=1e-7)
