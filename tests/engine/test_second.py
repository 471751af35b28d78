"""Second derivatives, against closed forms and through events."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict, predict_second
from pkpd.model.model import Model

BOLUS = """
title = "one compartment"
[units]
time = "h"
amount = "mg"
[parameters]
k = { typical = 0.3, unit = "1/h" }
v = { typical = 12.0, unit = "L" }
tlag = { typical = 0.5, unit = "h" }
[routes]
iv = { into = "central", lag = "tlag" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -k * central
'''
[outputs]
cp = { unit = "mg/L" }
"""


@pytest.mark.parametrize(("method", "accuracy"), [("exact", 1e-9), ("explicit", 1e-6), ("rosenbrock", 1e-6)])
def test_against_the_closed_form(method, accuracy):
    """C = D / v exp(-k (t - tlag)), also at observations before and after, with every pair of parameters."""
    program = compile_model(Model(BOLUS))
    times = np.array([0.7, 2.0, 9.0])
    events = Events.from_regimens([("1", Dose(100, route="iv"), times, {})] * 3, outputs=["cp"])
    values = np.array([[0.3, 12.0, 0.5], [0.05, 3.0, 0.1], [2.0, 40.0, 0.6]])
    prediction, d2f = predict_second(program, bind(program, events), values, method=method)
    k, v, lag = (np.repeat(values[:, i], 3) for i in range(3))
    since = np.tile(times, 3) - lag
    c = 100 / v * np.exp(-k * since)
    wanted = np.empty((9, 3, 3))
    wanted[:, 0, 0], wanted[:, 1, 1], wanted[:, 2, 2] = c * since**2, 2 * c / v**2, c * k**2
    wanted[:, 0, 1] = wanted[:, 1, 0] = c * since / v
    wanted[:, 0, 2] = wanted[:, 2, 0] = c - c * k * since
    wanted[:, 1, 2] = wanted[:, 2, 1] = -c * k / v
    np.testing.assert_allclose(prediction.f, c, rtol=1e-8)
    scale = np.abs(wanted).max(axis=0)
    np.testing.assert_allclose(d2f / scale, wanted / scale, atol=accuracy)


def test_through_every_event_they_are_differences_of_the_first(everything, people):
    program = compile_model(everything)
    schedule = bind(program, people)
    values = np.array([p.typical for p in everything.parameters.values()])
    some = ("cl", "ka", "tlag", "dur", "rin", "f1", "ec50")
    _, d2f = predict_second(program, schedule, values, sensitivities=some)
    assert d2f.shape == (schedule.records, 7, 7)
    np.testing.assert_allclose(d2f, np.swapaxes(d2f, -1, -2))
    i, j = some.index("cl"), some.index("tlag")
    step = 1e-4 * values[0]
    slopes = []
    for sign in (1, -1):
        moved = values.copy()
        moved[0] += sign * step
        slopes.append(predict(program, schedule, moved, sensitivities=some, rtol=1e-11).df)
    change = (slopes[0] - slopes[1])[..., j] / (2 * step)
    np.testing.assert_allclose(d2f[..., i, j], change, atol=2e-4 * np.abs(change).max())


def test_who_fails_has_none():
    program = compile_model(Model(BOLUS))
    events = Events.from_regimens(
        [(str(i), Regimen.every(12, amount=100, n=2, route="iv"), [1.0], {}) for i in range(2)]
    )
    prediction, d2f = predict_second(program, bind(program, events), [[0.3, 12.0, 0.5], [np.nan, 12.0, 0.5]])
    assert len(prediction.failures) == 1
    assert np.isfinite(d2f[0]).all() and np.isnan(d2f[1]).all()
