"""Random records of every kind against the plain reference, which shares no code with the engine."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.read import read_data
from pkpd.engine import bind, compile_model, predict
from pkpd.model.model import Model
from tests.reference import reference_predict

MODEL = """
title = "three ways in"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 1.1, unit = "L/h", times = "(WT / 70) ** 0.75" }
v = { typical = 20.0, unit = "L" }
ka = { typical = 1.5, unit = "1/h" }
lag = { typical = 1.0, unit = "h", transform = "none" }
f = { typical = 1.0, unit = "1" }
dur = { typical = 2.0, unit = "h" }
[routes]
gut = { into = "gut", cmt = 1 }
central = { into = "central", cmt = 2, lag = "lag", bioavailability = "f" }
slow = { into = "central", cmt = 3, lag = "lag", bioavailability = "f", duration = "dur" }
[dynamics]
equations = '''
cp = central / v
d/dt(gut) = -ka * gut
d/dt(central) = ka * gut - cl * cp
'''
[outputs]
cp = { unit = "mg/L" }
"""


def records(rng):
    """Doses, resets, steady states, changes of weight and observations, at times that often coincide."""
    rows, time = [], 0.0
    for _ in range(rng.integers(4, 10)):
        time += float(rng.choice([0, 0, 1, 2.5, 7]))
        kind = int(rng.choice([0, 0, 0, 1, 1, 1, 2, 3, 4]))
        row = {"TIME": time, "EVID": kind, "WT": float(rng.choice([50, 70, 90])) if rng.random() < 0.5 else "."}
        if kind in (1, 4):
            cmt = int(rng.choice([1, 2, 3]))
            row |= {"CMT": cmt, "AMT": 100.0, "ADDL": int(rng.choice([0, 0, 2, 3]))}
            row |= {"II": float(rng.choice([3, 5, 12])), "SS": int(rng.choice([0, 0, 1, 2]))}
            if rng.random() < 0.4:
                row["RATE"] = float(rng.choice([0, 10, 40]))
            elif rng.random() < 0.3:
                row["DUR"] = float(rng.choice([1, 3, 5, 12, 20]))
            elif cmt == 3 and rng.random() < 0.5:
                row["RATE"] = -2
            if row["SS"] and rng.random() < 0.15:
                row |= {"AMT": 0, "RATE": 10.0, "ADDL": 0, "II": 0, "SS": 1}
                row.pop("DUR", None)
        rows.append(row)
    return [*rows, {"TIME": time + 3.0, "EVID": 0, "WT": 70}]


@pytest.mark.filterwarnings("ignore:.* is not used for them:pkpd.errors.PkpdWarning")
@pytest.mark.parametrize("seed", range(40))
def test_equal_to_the_reference(seed):
    rng = np.random.default_rng(seed)
    rows = [{"WT": 70} | row for row in records(rng)]
    names = sorted({name for row in rows for name in row})
    columns = {"ID": [1] * len(rows)} | {name: [row.get(name, ".") for row in rows] for name in names}
    events = read_data(columns, carry=str(rng.choice(["nocb", "locf"]))).events()
    model = Model(MODEL).set(
        lag=float(rng.choice([0, 1, 2.5, 6])), f=float(rng.choice([1, 0.4, 2])), dur=float(rng.choice([1, 4]))
    )
    values = np.array([p.typical for p in model.parameters.values()])
    program = compile_model(model)
    got = predict(program, bind(program, events), values, rtol=1e-9)
    assert not got.failures
    wanted = reference_predict(model, events, values, linear=True)
    np.testing.assert_allclose(got.f, wanted, rtol=1e-7, atol=1e-8, err_msg=str(events))
