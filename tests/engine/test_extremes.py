"""Inputs at the edge of what numbers can say: each is answered rightly, or refused with its cause."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.model.model import Model
from tests.engine.draws import Row, events_of

TEXT = """
title = "one compartment"
[units]
time = "h"
amount = "mg"
[parameters]
k = { typical = 0.1, unit = "1/h", transform = "none" }
ka = { typical = 1.0, unit = "1/h", transform = "none" }
lag = { typical = 0.0, unit = "h", transform = "none" }
vm = { typical = 0.0, unit = "mg/h", transform = "none" }
[constants]
km = { value = 5.0, unit = "mg" }
[routes]
iv = { into = "a", cmt = 1, lag = "lag" }
oral = { into = "depot", cmt = 2, lag = "lag" }
[dynamics]
equations = '''
y = a
d/dt(depot) = -ka * depot
d/dt(a) = ka * depot - k * a LOSS
'''
[outputs]
y = { unit = "mg" }
"""
#: The exact method; the general path; linear kinetics beside an equation that is not linear (whose vm is 0).
PATHS = {
    "exact": ("", "auto"),
    "explicit": ("", "explicit"),
    "stiff": ("", "rosenbrock"),
    "hybrid": ("- vm * a / (km + a)", "auto"),
}
EVERY = pytest.mark.parametrize("path", PATHS)


@lru_cache
def model(loss: str) -> Model:
    return Model(TEXT.replace("LOSS", loss))


def solve(path: str, rows: list[Row], *, k: float = 0.1, ka: float = 1.0, lag: float = 0.0, **options) -> Prediction:
    loss, method = PATHS[path]
    program = compile_model(model(loss))
    return predict(program, bind(program, events_of(rows)), [k, ka, lag, 0.0], method=method, **options)


def given(time: float = 0.0, amount: float = 100.0, **more: float) -> Row:
    return {"TIME": time, "EVID": 1, "AMT": amount, "CMT": 1} | more


def looks(*times: float) -> list[Row]:
    return [{"TIME": float(t), "EVID": 0} for t in times]


def check(got: Prediction, wanted, rtol: float = 1e-7) -> None:
    got.raise_failures()
    np.testing.assert_allclose(got.f, wanted, rtol=rtol, atol=0)


def fell(*times: float, k: float = 0.1, amount: float = 100.0) -> np.ndarray:
    return amount * np.exp(-k * np.array(times))


# -- time --------------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("start", [-1e6, -20.0, 1e5, 1e9])
def test_wherever_the_clock_stands(path: str, start: float):
    rows = [given(start), *looks(start, start + 1, start + 5, start + 30)]
    check(solve(path, rows), fell(0, 1, 5, 30), rtol=1e-6)


@EVERY
def test_all_at_one_time(path: str):
    rows = [given(2.0, 1.0), given(2.0, 1.0), *looks(2.0, 2.0), given(2.0, 1.0), *looks(2.0)]
    check(solve(path, rows), [2.0, 2.0, 3.0])


@EVERY
@pytest.mark.parametrize("rows", [looks(3.0), [given(3.0)], [{"TIME": 1.0, "EVID": 2}], [{"TIME": 1.0, "EVID": 3}]])
def test_a_single_row(path: str, rows: list[Row]):
    check(solve(path, rows), np.zeros(sum(not row["EVID"] for row in rows)))


@EVERY
def test_nothing_to_look_at(path: str):
    got = solve(path, [given(), given(12.0)], sensitivities=True)
    assert got.f.shape == (0,) and got.df is not None and got.df.shape == (0, 4) and not got.failures


@EVERY
def test_people_with_nothing_beside_others(path: str):
    program = compile_model(model(PATHS[path][0]))
    people = [[given()], looks(1.0), [given(), *looks(1.0)], [{"TIME": 5.0, "EVID": 2}]]
    got = predict(program, bind(program, events_of(*people)), [0.1, 1.0, 0.0, 0.0], method=PATHS[path][1])
    check(got, [0.0, 100 * np.exp(-0.1)])


@EVERY
def test_doses_after_the_last_look(path: str):
    check(solve(path, [given(), *looks(1.0), given(2.0, II=1.0, ADDL=50), given(1e4)]), fell(1.0))


@pytest.mark.parametrize("path", ["exact", "explicit", "stiff", "hybrid"])
def test_doses_long_after_the_last_look(path: str):
    check(solve(path, [given(), *looks(1.0), given(1e7)]), fell(1.0))


@pytest.mark.parametrize("after", [{"EVID": 2}, ({"EVID": 1, "AMT": 1.0, "CMT": 1})])
def test_what_fails_after_the_last_look_is_nobodys_loss(after: Row):
    """It explodes at 10 h; nobody asks beyond 5 h."""
    text = TEXT.replace("- k * a LOSS", "+ k * a * a / km")
    program = compile_model(Model(text))
    rows = [given(amount=10.0), *looks(1.0, 4.0), after | {"TIME": 50.0}]
    got = predict(program, bind(program, events_of(rows)), [0.05, 1.0, 0.0, 0.0])
    check(got, 1 / (0.1 - 0.01 * np.array([1.0, 4.0])))


def test_a_hundred_thousand_observations():
    times = np.linspace(0, 100, 100_001)
    events = events_of([given(), *looks(*times)])
    for loss, method in PATHS.values():
        program = compile_model(model(loss))
        check(predict(program, bind(program, events), [0.1, 1.0, 0.0, 0.0], method=method), fell(*times), rtol=1e-6)


# -- amounts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "amount"),
    [("exact", a) for a in (1e-300, 1e-100, 1e-20, 1e-9, 1e100, 1e300)]
    + [(p, a) for p in ("explicit", "stiff", "hybrid") for a in (1e-4, 1e100, 1e300)]
    + [(p, a) for p in ("explicit", "hybrid") for a in (1e-20, 1e-12, 1e-9)],
)
def test_amounts_of_every_size(path: str, amount: float):
    """Down to a thousandth of the dose."""
    rows = [given(amount=amount), *looks(0.0, 1.0, 20.0, 69.0)]
    check(solve(path, rows), fell(0, 1, 20, 69, amount=amount), rtol=1e-7)


# -- how long, how late, how often -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "start", "over"),
    [(p, 0.0, over) for p in PATHS for over in (1e-12, 1e-9)]
    + [(p, 1e3, 1e-6) for p in PATHS]
    + [(p, s, over) for p in PATHS for s, over in ((1e3, 1e-12), (1e5, 1e-9), (1e5, 1e-12), (1e9, 1e-9))],
)
def test_an_infusion_of_no_time_is_a_bolus(path: str, start: float, over: float):
    rows = [given(start, DUR=over), *looks(start + 1, start + 5)]
    check(solve(path, rows), fell(1, 5), rtol=1e-6)


@EVERY
def test_an_infusion_of_a_century(path: str):
    rows = [given(amount=1e6, DUR=1e6), *looks(10.0, 1e5, 1e6, 1e6 + 10)]
    check(solve(path, rows, max_steps=1_000_000), [10 * (1 - np.exp(-1)), 10, 10, 10 * np.exp(-1)])


@EVERY
@pytest.mark.parametrize("lag", [1e6, 1e300])
def test_a_dose_that_comes_after_all(path: str, lag: float):
    check(solve(path, [given(), *looks(0.0, 5.0)], lag=lag), [0.0, 0.0])


@EVERY
def test_five_thousand_doses_a_millisecond_apart(path: str):
    times = np.array([0.0005, 1.0003, 4.9996, 10.0])
    began = np.arange(5001) * 1e-3
    wanted = [np.sum(np.exp(-0.1 * (t - began[began <= t]))) for t in times]
    check(solve(path, [given(amount=1.0, II=1e-3, ADDL=5000), *looks(*times)], max_steps=1_000_000), wanted)


# -- steady state ------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("k", [10.0, 1e-3, 5.8e-6, 8.3e-7])  # the last: a half-life of 95 years, 1e5 doses
def test_a_half_life_of_years(path: str, k: float):
    rows = [given(SS=1, II=12.0), *looks(0.0, 1.0)]
    wanted = np.array([1.0, np.exp(-k)]) * 100 / -np.expm1(-12 * k)
    got = solve(path, rows, k=k)
    if got.failures and path != "exact" and k < 1e-6:
        assert "no steady state" in got.failures[0].cause, "so much can be more than the search will take for steady"
    else:
        check(got, wanted, rtol=1e-6)


@EVERY
@pytest.mark.parametrize("cmt", [1, 2])
def test_without_elimination_there_is_no_steady_state(path: str, cmt: int):
    got = solve(path, [given(SS=1, II=12.0, CMT=cmt), *looks(0.0, 5.0)], k=0.0)
    (failure,) = got.failures
    assert "no steady state" in failure.cause and np.isnan(got.f).all()


@pytest.mark.parametrize("path", ["exact", "explicit", "stiff", "hybrid"])
def test_an_infusion_without_end_into_what_does_not_end(path: str):
    rows = [given(amount=0.0, RATE=1.0, SS=1, CMT=2), *looks(0.0, 5.0)]
    got = solve(path, rows, k=0.0)
    (failure,) = got.failures
    assert "steady state" in failure.cause or "steps" in failure.cause
    assert np.isnan(got.f).all()


@EVERY
@pytest.mark.parametrize("lag", [12.0, 24.0, 24.5, 12.0 * 63])
def test_a_train_later_than_its_interval(path: str, lag: float):
    rows = [given(1000.0, SS=1, II=12.0), *looks(1000.25, 1003.0)]
    since = (np.array([0.25, 3.0]) - lag) % 12.0
    check(solve(path, rows, lag=lag), fell(*since) / -np.expm1(-1.2))


@pytest.mark.parametrize("intervals", [1, 2])
def test_a_lag_less_than_the_clock_can_tell_over_an_interval(intervals: int):
    """In a process of its own: it must not come to harm."""
    script = (
        "from tests.engine.test_extremes import given, looks, solve\n"
        f"got = solve('exact', [given(1e6, SS=1, II=12.0), *looks(1e6 + 0.5)], lag={intervals * (12 + 2.4e-11)!r})\n"
        "print(got.f[0])\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == pytest.approx(100 * np.exp(-0.05) / -np.expm1(-1.2), rel=1e-7)


@EVERY
def test_too_much_under_way_is_said(path: str):
    for lag, over in ((1e6, 0.0), (0.0, 12.0 * 70)):
        rows = [given(SS=1, II=12.0, RATE=100 / over if over else 0.0), *looks(1.0)]
        if over:
            with pytest.raises(Exception, match="overlap"):
                solve(path, rows)
            continue
        (failure,) = solve(path, rows, lag=lag).failures
        assert "overlap" in failure.cause


# -- fast parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ka", "rtol"),
    [
        (1e3, 1e-4),
        (1e5, 1e-6),
        (1e8, 1e-8),
        *((ka, r) for ka, r in ((1e6, 1e-4), (1e8, 1e-6))),
    ],
)
def test_what_is_looked_at_inside_a_fast_beginning(ka: float, rtol: float):
    times = np.array([0.001, 0.01, 0.1, 0.3, 0.5, 2.0])
    rows = [given(CMT=2), *looks(*times, 720.0)]
    got = solve("stiff", rows, ka=ka, rtol=rtol)
    got.raise_failures()
    wanted = 100 * ka / (ka - 0.1) * (np.exp(-0.1 * times) - np.exp(-ka * times))
    np.testing.assert_allclose(got.f[:-1], wanted, rtol=100 * rtol)
