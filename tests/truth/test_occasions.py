"""An occasion whose clock starts again at EVID 3 or 4 is a person of its own: nothing of the one before is left."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import read_data
from pkpd.engine import bind, compile_model, predict
from pkpd.model.model import Model
from tests.reference import reference_predict

MODEL = Model(
    """
    title = "one compartment"
    [units]
    time = "h"
    amount = "mg"
    [parameters]
    ka = { typical = 1.5, unit = "1/h" }
    cl = { typical = 1.1, unit = "L/h" }
    v = { typical = 20, unit = "L" }
    lag = { typical = 3, unit = "h" }
    [routes]
    gut = { into = "gut", cmt = 1 }
    central = { into = "central", cmt = 2, lag = "lag" }
    [dynamics]
    equations = '''
    cp = central / v
    d/dt(gut) = -ka * gut
    d/dt(central) = ka * gut - cl * cp
    '''
    [outputs]
    cp = { unit = "mg/L" }
    """
)
NAMES = ("TIME", "EVID", "AMT", "RATE", "CMT", "II", "ADDL", "SS")
SEEN = [(t, 0, 0, 0, 2, 0, 0, 0) for t in (0.5, 4.0, 9.0)]
OCCASIONS = [
    [(0, 1, 100, 0, 1, 6, 5, 0), (1, 1, 50, 5, 2, 0, 0, 0), (8, 1, 70, 0, 2, 0, 0, 0)],  # doses to come, on their way
    [(0, 4, 100, 0, 1, 6, 2, 1)],
    [(0.25, 4, 30, 10, 2, 0, 0, 0)],
    [(0, 3, 0, 0, 2, 0, 0, 0), (0, 1, 80, 0, 1, 0, 0, 0)],
]


def table(occasions: list[int], apart: bool) -> dict:
    rows = [(1 + apart * k, *row) for k in occasions for row in sorted(OCCASIONS[k] + SEEN, key=lambda row: row[0])]
    columns = dict(zip(("ID", *NAMES), map(list, zip(*rows))))
    return columns | {"DV": 1}


@pytest.mark.parametrize("order", [[0, 1], [0, 3, 2], [1, 2, 3, 1], [2, 2]])
def test_as_if_they_were_different_people(order: list[int]):
    together = read_data(table(order, apart=False))
    values = np.array([p.typical for p in MODEL.parameters.values()])
    program = compile_model(MODEL)
    got = predict(program, bind(program, together.events()), values).f
    alone = []
    for k in order:
        one = read_data(table([k], apart=True)).events()
        alone.append(predict(program, bind(program, one), values).f)
    np.testing.assert_allclose(got, np.concatenate(alone), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        got, reference_predict(MODEL, together.events(), values, linear=True), rtol=1e-7, atol=1e-9
    )
    assert together.observations["TIME"].tolist() == [0.5, 4.0, 9.0] * len(order)
