"""Every shipped model by every method: one answer, and an error that falls as the tolerance does.

A guard that hides a wrong answer behind a fast run would show here.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import Program, bind, compile_model, predict
from pkpd.engine.schedule import Schedule
from tests.library.test_models import NAMES, load, routes, table
from tests.reference import reference_predict

TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)
METHODS = ("auto", "explicit", "rosenbrock")
#: Linear, but with so many states that integrating them is faster.
LARGE = ("ketamine_simons2022",)


@cache
def ready(name: str) -> tuple[Program, Schedule, Events, np.ndarray]:
    """A model with some doses by each of its routes in turn, and times before, at, between and long after them."""
    model = load(name)
    hour = {"h": 1.0, "min": 60.0, "d": 1 / 24}[model.time_unit]
    plan = Regimen(())
    for i, route in enumerate(routes(name)):
        given = table(name).get("routes", {}).get(route, {})
        modelled = isinstance(given, dict) and ("duration" in given or "rate" in given)
        over = 0.5 * hour if i % 2 == 0 and not modelled else None
        plan += Dose(10.0, route=route, time=(1.0 + 3 * i) * hour, over=over, every=8 * hour, n=3)
    times = hour * np.array([0.0, 0.5, 1.0, 1.02, 1.2, 1.5, 2.0, 4.0, 4.1, 7.3, 9.0, 12.0, 17.5, 25.0, 40.0, 90.0])
    known = {one.name: one.reference or 1.0 for one in model.covariates.values()}
    events = Events.from_regimens([("1", plan, times, known)], time_unit=model.time_unit)
    program = compile_model(model)
    values = np.array([model.parameters[p].typical for p in program.parameters])
    return program, bind(program, events), events, values


def solve(name: str, method: str, rtol: float) -> np.ndarray:
    """All outputs at all times, (times, outputs)."""
    program, schedule, _, values = ready(name)
    got = predict(program, schedule, values, method=method, rtol=rtol, max_steps=400_000)
    got.raise_failures()
    return got.f.reshape(schedule.records, -1)


@cache
def truth(name: str) -> np.ndarray:
    return solve(name, "rosenbrock", 1e-13)


def error(name: str, method: str, rtol: float) -> float:
    """The largest error of any output, of its own size."""
    wanted = truth(name)
    return float((np.abs(solve(name, method, rtol) - wanted).max(axis=0) / np.abs(wanted).max(axis=0)).max())


@pytest.mark.parametrize("name", NAMES)
def test_all_methods_give_one_answer(name: str):
    errors = {method: error(name, method, 1e-11) for method in METHODS}
    assert max(errors.values()) < 1e-9, errors


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_the_error_falls_with_the_tolerance(name: str, method: str):
    errors = [error(name, method, rtol) for rtol in TOLERANCES]
    for loose, tight in pairwise(errors):
        assert tight <= max(2 * loose, 1e-12), errors
    for rtol, found in zip(TOLERANCES, errors, strict=True):
        assert found < 100 * rtol + 1e-12, errors
    assert errors[-1] < 1e-8, errors


@pytest.mark.parametrize("name", NAMES)
def test_what_is_linear_is_solved_exactly(name: str):
    program, schedule, _, values = ready(name)
    got = predict(program, schedule, values)
    states = tuple(program.model.states)
    if name in LARGE:
        assert program.linear == states and "exact" not in got.method[0]
    elif states and program.linear == states:
        assert list(got.method) == ["exact"]
        assert error(name, "auto", 1e-4) < 1e-11
    else:
        assert got.method[0].startswith("exact + ") == bool(program.linear)


@pytest.mark.parametrize("name", [name for name in NAMES if name in ("theophylline_boeckmann1994", "tolerance")])
def test_the_answer_is_that_of_the_slow_reference(name: str):
    program, _, events, values = ready(name)
    wanted = reference_predict(program.model, events, values).reshape(len(truth(name)), -1)
    np.testing.assert_allclose(truth(name), wanted, rtol=1e-8, atol=1e-9 * np.abs(wanted).max())
