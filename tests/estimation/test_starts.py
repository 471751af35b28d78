"""Starting values by chance: addressed, inside bounds, and around the model's own."""

from __future__ import annotations

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.starts import draw_starts
from pkpd.model import Parameter

OWN = (
    Parameter(name="cl", typical=3.0, lower=2.0, upper=20.0),
    Parameter(name="e0", typical=100.0, transform="none"),
    Parameter(name="v", typical=10.0),
)
PLACE = Coordinates(parameters=OWN, count=3, free=np.array([True, True, False]))


def test_the_first_is_the_models_own():
    first, *others = draw_starts(PLACE, 3, 1, 1.0, ["a"])
    np.testing.assert_array_equal(first, [np.log(3), 100])
    assert len(others) == 2
    assert not np.array_equal(others[0], others[1])


def test_more_starts_leave_the_earlier_ones_alone():
    np.testing.assert_array_equal(draw_starts(PLACE, 3, 1, 1.0, ["a"]), draw_starts(PLACE, 7, 1, 1.0, ["a"])[:3])


def test_seed_and_subjects_decide():
    same, seed, who = (
        draw_starts(PLACE, 2, s, 1.0, names)[1] for s, names in ((1, ["a", "b"]), (2, ["a", "b"]), (1, ["a", "c"]))
    )
    assert not np.array_equal(same, seed)
    assert not np.array_equal(same, who)
    np.testing.assert_array_equal(same, draw_starts(PLACE, 2, 1, 1.0, ["a", "b"])[1])


def test_spread_and_bounds():
    drawn = np.array(draw_starts(PLACE, 400, 1, 0.5, ["a"])[1:])
    assert drawn[:, 0].min() >= np.log(2.0)
    assert 40 < drawn[:, 1].std() < 60  # half the size of a value without transform
