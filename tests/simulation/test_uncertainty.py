"""Draws of the typical values."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, UsageError
from pkpd.simulation.uncertainty import typical_values


def typical(lower: float = 4.8, upper: float = 5.3, rse: str = ", rse = 0.1"):
    return typical_values(
        pkpd.Model(
            f"""
[parameters]
cl = {{ typical = 5.0, unit = "L/h", lower = {lower}, upper = {upper}{rse} }}
v = {{ typical = 50.0, unit = "L"{rse} }}
[routes]
iv = {{ into = "central" }}
[dynamics]
equations = '''
d/dt(central) = -cl / v * central
'''
[outputs]
central = {{ unit = "mg" }}
"""
        )
    )


def test_a_draw_depends_on_its_number_alone_even_where_bounds_reject() -> None:
    known = typical()
    whole = known.draw(3, np.arange(200))
    assert np.all((np.exp(whole[:, 0]) >= 4.8) & (np.exp(whole[:, 0]) <= 5.3))
    for numbers in ([0], [199, 7], range(50, 120)):
        assert np.array_equal(known.draw(3, np.array(numbers)), whole[list(numbers)])


def test_bounds_that_leave_no_room() -> None:
    with pytest.raises(CannotFit, match="fell outside the bounds"):
        typical(lower=4.9999999, upper=5.0000001).draw(3, np.arange(50))


def test_nothing_to_draw_from_is_said_even_where_nobody_is_drawn() -> None:
    with pytest.raises(UsageError, match="does not say how well"):
        typical(rse="").draw(3, np.arange(0))
