"""Between natural values and the scale of the search."""

from __future__ import annotations

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.likelihood import make_problem
from pkpd.model import Parameter


def mixed() -> Coordinates:
    own = (
        Parameter(name="cl", typical=3.0, lower=0.5, upper=20.0),
        Parameter(name="f", typical=0.7, lower=0.0, upper=1.0, transform="logit"),
        Parameter(name="e0", typical=-2.0, lower=-10.0, transform="none"),
        Parameter(name="v", typical=10.0),
    )
    return Coordinates(parameters=own, count=4, free=np.array([True, True, True, False]))


def test_there_and_back():
    own = mixed()
    z = own.forward(own.initial)
    np.testing.assert_allclose(z, [np.log(3), np.log(0.7 / 0.3), -2, np.log(10)])
    np.testing.assert_allclose(own.inverse(np.stack([z, z])), [own.initial] * 2)
    steps = 1e-6 * np.eye(4)
    numbers = [(own.inverse(z + s)[k] - own.inverse(z - s)[k]) / 2e-6 for k, s in enumerate(steps)]
    np.testing.assert_allclose(own.slope(z), numbers, rtol=1e-8)


def test_limits_of_the_search():
    lower, upper = mixed().limits()
    np.testing.assert_allclose(lower, [np.log(0.5), -np.inf, -10, -np.inf])
    np.testing.assert_allclose(upper, [np.log(20), np.inf, np.inf, np.inf])


def test_what_is_free(two_exponentials, decline):
    problem = make_problem(two_exponentials.fix("a2"), decline)
    assert Coordinates.of(problem, residuals_free=False).free_names == ("a1", "l1", "l2")
    assert Coordinates.of(problem, residuals_free=True).free_names == ("a1", "l1", "l2", "cp.add")


def test_runaways_come_back_to_numbers():
    np.testing.assert_array_equal(mixed().within_reach(np.array([-900.0, 70.0, -900.0])), [-60, 60, -900])


def test_without():
    held = mixed().without(np.array([False, True, False]))
    assert held.free_names == ("cl", "e0")
