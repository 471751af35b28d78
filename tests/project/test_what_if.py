"""Other regimens."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.project.plan import Plan
from pkpd.project.study import Study
from pkpd.project.what_if import imagine, time_below


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, -2, 0], 1.0),
        ([-2, -2, -2], 2.0),
        ([0, 0, 0], 0.0),
        ([0, -1, 0], 0.0),
        ([-1, -1, -1], 2.0),
        ([0, -4, -4], 1.75),
    ],
)
def test_time_below_a_level(values, expected):
    assert time_below(np.array([0.0, 1.0, 2.0]), np.array(values, float), -1.0) == pytest.approx(expected)


def test_twice_the_dose_has_twice_the_effect(folder):
    study = Study(folder=folder, plan=Plan.read(folder / "fit.toml"))
    chosen, nothing = study.fit("linear"), study.fit("nothing")
    (one,) = imagine(study, chosen, {"linear": chosen, "nothing": nothing})
    assert one.own.shape == (2, 25) and one.own_draws.shape == (2, 50, 25)
    assert one.own[1, 1:] == pytest.approx(2 * one.own[0, 1:], rel=1e-6)
    assert one.others["No drug"] == pytest.approx(0)
    assert one.uncertainty == "parameter uncertainty"
    spread = one.own_draws[:, :, 6].std(axis=1)
    assert spread[1] == pytest.approx(2 * spread[0], rel=1e-6)
    again = imagine(study, chosen, {"linear": chosen, "nothing": nothing})[0]
    assert np.array_equal(again.own_draws, one.own_draws)
