"""A lag that follows a covariate: an additional dose is as late as its record, whatever holds at its own time."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkpd.engine import Prediction, Program, bind, compile_model, predict
from pkpd.engine.predict import METHODS
from pkpd.errors import PkpdWarning
from pkpd.model.model import Model
from tests.engine.draws import ROUTES, Row, close, dose_rows, events_of, examples, regimens
from tests.reference import reference_predict

TEXT = """
title = "routes that follow the weight"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
[parameters]
lag = { typical = 1.7, unit = "h", times = "WT / 70" }
f = { typical = 0.8, unit = "1", times = "70 / WT" }
dur = { typical = 2.0, unit = "h", times = "(WT / 70) ** 2" }
rin = { typical = 20.0, unit = "mg/h", times = "70 / WT" }
ka = { typical = 1.3, unit = "1/h" }
k = { typical = 0.15, unit = "1/h", times = "1 * WT / 70" }
ROUTES
[dynamics]
equations = '''
y = central
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - k * central
'''
[outputs]
y = { unit = "mg" }
""".replace("ROUTES", ROUTES.replace("FIRST", "depot").replace("LAST", "central"))
#: Everything follows the weight, each in its own way; or the lag alone.
FOLLOWING = Model(TEXT)
LATE = Model(re.sub(r', times = "(70 / WT|\(WT|1 \*)[^"]*"', "", TEXT))
CARRIES = ["nocb", "locf", "linear"]


def values_of(**some: float) -> np.ndarray:
    typical = {name: p.typical for name, p in FOLLOWING.parameters.items()}
    return np.array(list((typical | some).values()))


@lru_cache
def program_of(model: Model) -> Program:
    return compile_model(model)


def solve(rows: list[Row], values: np.ndarray, carry: str, model: Model = FOLLOWING, **options) -> Prediction:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)  # a route's modelled duration is not always used
        schedule = bind(program_of(model), events_of(rows, carry=carry))
    got = predict(program_of(model), schedule, values, **options)
    got.raise_failures()
    return got


@pytest.mark.parametrize("carry", CARRIES)
@examples(20)
@given(rows=regimens(), lag=st.floats(0.01, 12.0))
def test_agrees_with_the_reference(carry: str, rows: list[Row], lag: float):
    """Every kind of record, steady states with additional doses among them."""
    values = values_of(lag=lag)
    wanted = reference_predict(FOLLOWING, events_of(rows, carry=carry), values, linear=True)
    given_amount = max(row.get("AMT", 0.0) for row in rows)
    for method in METHODS:
        if method != "exact" or carry != "linear":
            close(solve(rows, values, carry, method=method, rtol=1e-11).f, wanted, 1e-8, method, given_amount)


@pytest.mark.parametrize("carry", CARRIES)
@examples(10)
@given(rows=regimens(steady=(0, 0, 1), apart=True), lag=st.floats(0.1, 12.0))
def test_sensitivities_are_differences(carry: str, rows: list[Row], lag: float):
    values = values_of(lag=lag)
    got = solve(rows, values, carry, sensitivities=True, rtol=1e-11)
    assert got.df is not None
    for j, name in enumerate(FOLLOWING.parameters):
        step = 2e-4 * values[j]  # so little that no dose passes an observation

        def at(shift: int, j: int = j, step: float = step) -> np.ndarray:
            moved = values.copy()
            moved[j] += shift * step
            return solve(rows, moved, carry, method="explicit", rtol=1e-13).f

        wanted = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
        scale = np.max(np.abs(wanted)) + 1e-3 * np.max(np.abs(got.f)) / values[j] + 1e-12
        np.testing.assert_allclose(got.df[:, j] / scale, wanted / scale, atol=1e-6, err_msg=name)


#: Doses at 0, 4, ... 16 h; the weight is 70 kg at the record, and another at every additional dose.
TIMES = np.array([0.5, 2.5, 4.5, 5.5, 6.5, 8.5, 9.5, 10.5, 12.5, 13.5, 16.5, 17.5, 21.0])
WEIGHTS = {"nocb": [140.0] * 13, "locf": [140.0] * 13, "linear": list(70.0 + 17.5 * TIMES)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("carry", CARRIES)
def test_late_as_the_record_and_the_rest_of_their_own_time(carry: str, method: str):
    """What arrives stays (k is next to 0) and all at once (ka is large): the amount is a sum over doses."""
    if method == "exact" and carry == "linear":
        return
    dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 100.0, "II": 4.0, "ADDL": 4, "RATE": 0.0, "WT": 70.0}
    rows = [dose, *({"TIME": t, "EVID": 0, "WT": w} for t, w in zip(TIMES, WEIGHTS[carry], strict=True))]
    given_at = 4.0 * np.arange(5)
    weight = 70.0 + 17.5 * given_at if carry == "linear" else np.array([70.0] + 4 * [140.0])
    arrived = given_at + 1.0 <= TIMES[:, None]
    wanted = (arrived * 100.0 * 0.8 * 70.0 / weight).sum(axis=1)
    got = solve(rows, values_of(lag=1.0, ka=60.0, k=1e-12), carry, method=method, rtol=1e-9).f
    np.testing.assert_allclose(got, wanted, rtol=1e-7)


@pytest.mark.parametrize("carry", CARRIES)
@examples(20)
@given(row=dose_rows(steady=(0, 1, 2)), lag=st.floats(0.01, 30.0))
def test_the_weight_of_the_record_alone_counts_for_the_lag(carry: str, row: Row, lag: float):
    """Where nothing else follows the weight: also at steady state, and where the lag is longer than the interval."""
    times = [0.3, 1.7, 5.1, 11.9, 24.0, 40.0, 71.0]
    looks: list[Row] = [{"TIME": t, "EVID": 0} for t in times]
    rows: list[Row] = [r | {"WT": w} for r, w in zip([row, *looks], [70, 60, 95, 50, 80, 55, 90, 85], strict=True)]
    still = [r | {"WT": 70.0} for r in rows]
    wanted = solve(still, values_of(lag=lag), "nocb", LATE, sensitivities=True, rtol=1e-10)
    got = solve(rows, values_of(lag=lag), carry, LATE, sensitivities=True, rtol=1e-10)
    assert got.df is not None
    assert wanted.df is not None
    close(got.f, wanted.f, 1e-8)
    close(got.df, wanted.df, 1e-7)
