"""Rounding is not followed: where a parameter does not matter, and wherever the clock stands."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.engine import bind, predict
from tests.engine.draws import Drawn, Row, events_of, program_of, run

VALUES = {"lag": 0.137, "f": 1.0, "dur": 1.0, "rin": 3.0, "a0": 7.0, "ka": 1.0, "k": 0.2, "ke0": 0.5, "e50": 40.0}
VALUES |= {"gamma": 1.5, "kout": 0.3, "r0": 100.0}
#: The parameters that a response under a constant infusion depends on.
MATTER = ("f", "k", "e50", "gamma", "r0")


def under_infusion(drawn: Drawn, rate: float) -> np.ndarray:
    """The response under a constant infusion, and its derivatives, by complex steps."""

    def response(f, k, e50, gamma, r0):
        x = (f * rate / (k * 50 / 70 * e50)) ** gamma
        return r0 * (1 - 0.9 * x / (1 + x))

    values = np.array([drawn.values[name] for name in MATTER])
    slopes = [response(*(values + 1e-30j * unit)).imag / 1e-30 for unit in np.eye(len(MATTER))]
    return np.array([response(*values), *slopes])


@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-11])
@pytest.mark.parametrize("method", ["auto", "explicit", "rosenbrock"])
@pytest.mark.parametrize("r0", [1.0, 100.0, 1e7])
def test_parameters_that_cancel_at_a_steady_state(r0: float, method: str, rtol: float):
    """Five infusions run at any time: nothing moves, and neither the absorption nor how fast it all goes matters."""
    drawn = Drawn("turnover", VALUES | {"r0": r0})
    dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 7.4, "II": 6.0, "SS": 1, "DUR": 30.0, "WT": 50.0}
    rows = [dose, {"TIME": 0.03125, "EVID": 0, "WT": 50.0}]
    got = run(drawn, rows, rtol=rtol, method=method, sensitivities=True)
    assert got.df is not None
    names = list(drawn.model.parameters)
    wanted = under_infusion(drawn, 7.4 / 6)
    found = np.array([got.f[0], *(got.df[0, names.index(name)] for name in MATTER)])
    np.testing.assert_allclose(found, wanted, rtol=100 * rtol)
    others = [i for i, name in enumerate(names) if name not in MATTER]
    np.testing.assert_allclose(got.df[0, others] / r0, 0.0, atol=100 * rtol)
    assert got.steps[0] < 20_000


@pytest.mark.parametrize("rtol", [1e-8, 1e-11])
def test_the_unit_of_a_response_does_not_matter(rtol: float):
    """It rests until a dose arrives late; then only what is left of its sensitivities' terms depends on its size."""
    rows: list[Row] = [{"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 100.0, "RATE": 0.0, "WT": 70.0}]
    rows += [{"TIME": time, "EVID": 0, "WT": 70.0} for time in (5.0, 20.0, 50.0)]
    f, slopes, steps = [], [], []
    for r0 in (1.0, 100.0, 1e4, 1e8):
        drawn = Drawn("turnover", VALUES | {"lag": 10.0, "a0": 0.01, "r0": r0})
        got = run(drawn, rows, rtol=rtol, sensitivities=["k", "gamma", "kout"])
        assert got.df is not None
        f.append(got.f / r0)
        slopes.append(got.df / r0)
        steps.append(int(got.steps[0]))
    for other in range(1, 4):
        np.testing.assert_allclose(f[other], f[0], rtol=10 * rtol)
        np.testing.assert_allclose(slopes[other], slopes[0], rtol=100 * rtol, atol=100 * rtol * 1e-3)
    assert max(steps) < 1.1 * min(steps), steps


@pytest.mark.parametrize("method", ["explicit", "rosenbrock"])
@pytest.mark.parametrize("start", [0.0, 30.1, 1e4 + 0.1, 1e6 + 0.1])
def test_steps_are_what_the_clock_shows(start: float, method: str):
    """The clock's rounding in each of a hundred steps does not add up: only that of the two rows is left."""
    drawn = Drawn("network 1", {"lag": 0.0, "f": 1.0, "dur": 1.0, "rin": 1.0, "a0": 7.0, "k10": 20.0})
    rows: list[Row] = [{"TIME": start + t, "EVID": e, "WT": 70.0} for t, e in ((0.0, 3), (0.5, 0))]
    program, schedule = program_of(drawn.model), bind(program_of(drawn.model), events_of(rows))
    got = predict(program, schedule, drawn.vector, method=method, rtol=1e-13)
    wanted = 7.0 * np.exp(-20.0 * (rows[1]["TIME"] - rows[0]["TIME"]))
    np.testing.assert_allclose(got.f, wanted, rtol=1e-11)
