"""Whatever happens to one person of a batch, nobody else's numbers change, not in the last bit.

Batches of 21 fill two groups of eight lanes and part of a third, so that every lane, and a group begun late, is met.
"""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.engine import bind, predict
from pkpd.engine.predict import METHODS
from pkpd.model.model import Model
from tests.engine.draws import Row, events_of, network, nonlinear, program_of

PEOPLE = 21
#: Grows without bound from a large dose: 1 / n falls by g per hour.
EXPLOSIVE = Model("""
title = "explosive"
[units]
time = "h"
amount = "mg"
[parameters]
k = { typical = 0.3, unit = "1/h" }
g = { typical = 1e-3, unit = "1/mg/h", transform = "none" }
lag = { typical = 0.5, unit = "h", transform = "none" }
[routes]
iv = { into = "n", cmt = 1, lag = "lag" }
[dynamics]
equations = "d/dt(n) = g * n ** 2 - k * n"
[outputs]
n = { unit = "mg" }
""")
#: What goes wrong, and the cause that is given for it: model, parameters of the one, rows of the one.
TROUBLES = {
    "a parameter that is no number": ("turnover", {"k": np.nan}, {}, "is not a number"),
    "an infinite parameter": ("turnover", {"kout": np.inf}, {}, "is not a number"),
    "a start that is no number": ("turnover", {"r0": np.nan}, {}, "is not a number"),
    "a negative lag": ("turnover", {"lag": -1.0}, {}, "a dose cannot be given"),
    "an infinite lag": ("turnover", {"lag": np.inf}, {}, "is not a number"),
    "no steady state": ("saturable", {"vmax": 1.0, "k10": 0.0}, {"AMT": 900.0, "SS": 1.0, "CMT": 2}, "no steady state"),
    "an explosion": ("explosive", {"g": 50.0}, {}, "step size"),
    "a linear network that is no number": ("network 3", {"k12": np.nan}, {}, "is not a number"),
    "an overflow": ("network 2", {"k12": 1e308, "k21": 1e308}, {}, ""),
}  # fmt: skip


def model_of(name: str) -> Model:
    if name == "explosive":
        return EXPLOSIVE
    return network(int(name[-1])) if name.startswith("network") else nonlinear(name)


def batch(name: str) -> tuple[Model, np.ndarray, list[list[Row]]]:
    """Twenty-one people who differ in their values, their times and what they are given."""
    model = model_of(name)
    rng = np.random.default_rng(4)
    typical = np.array([p.typical for p in model.parameters.values()])
    typical[list(model.parameters).index("lag")] = 0.5
    values = typical * np.exp(0.2 * rng.standard_normal((PEOPLE, len(typical))))
    subjects = []
    for i in range(PEOPLE):
        dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 20.0 + i, "II": 12.0, "ADDL": i % 3, "SS": float(i % 2)}
        dose |= {"RATE": 0.0 if i % 4 else 15.0, "WT": 70.0}
        looks: list[Row] = [{"TIME": t, "EVID": 0, "WT": 70.0} for t in np.sort(rng.uniform(0, 40, 2 + i % 4))]
        subjects.append([dose, *looks])
    return model, values, subjects


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_failure_at_any_position_disturbs_nobody(trouble: str, method: str):
    name, wrong, row, cause = TROUBLES[trouble]
    if method == "exact" and not name.startswith("network"):
        pytest.skip("the exact method is for linear equations")
    model, values, subjects = batch(name)
    program = program_of(model)
    names = list(model.parameters)
    options = {"sensitivities": names[:1] + names[-1:], "rtol": 1e-6, "method": method, "max_steps": 5000}
    wanted = predict(program, bind(program, events_of(*subjects)), values, **options)
    assert not wanted.failures and wanted.df is not None
    for position in range(PEOPLE):
        ill, rows = values.copy(), [list(r) for r in subjects]
        for parameter, value in wrong.items():
            ill[position, names.index(parameter)] = value
        rows[position][0] = rows[position][0] | row
        schedule = bind(program, events_of(*rows))
        got = predict(program, schedule, ill, **options)
        (failure,) = got.failures
        assert failure.subject == str(position + 1) and cause in failure.cause, str(failure)
        assert set(failure.values) == set(names) and np.isfinite(failure.time)
        own = schedule.record_subject == position
        assert got.df is not None and np.isnan(got.f[own]).all() and np.isnan(got.df[own]).all()
        np.testing.assert_array_equal(got.f[~own], wanted.f[~own], err_msg=f"position {position}")
        np.testing.assert_array_equal(got.df[~own], wanted.df[~own], err_msg=f"position {position}")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["turnover", "saturable", "network 3"])
def test_alone_is_as_in_company(name: str, method: str):
    if method == "exact" and not name.startswith("network"):
        pytest.skip("the exact method is for linear equations")
    model, values, subjects = batch(name)
    program = program_of(model)
    schedule = bind(program, events_of(*subjects))
    together = predict(program, schedule, values, sensitivities=True, rtol=1e-6, method=method)
    for i, rows in enumerate(subjects):
        alone = predict(
            program, bind(program, events_of(rows)), values[i], sensitivities=True, rtol=1e-6, method=method
        )  # fmt: skip
        own = schedule.record_subject == i
        assert alone.df is not None and together.df is not None
        np.testing.assert_array_equal(alone.f, together.f[own])
        np.testing.assert_array_equal(alone.df, together.df[own])
