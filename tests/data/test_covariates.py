from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.covariates import at_times, check_carry, fill
from pkpd.errors import DataError

NAN = np.nan


@pytest.mark.parametrize(
    ("carry", "filled"),
    [
        ("nocb", [1, 3, 3, 3, 5, 5, NAN, NAN]),
        ("locf", [1, 1, 3, 3, 5, 5, NAN, NAN]),
        ("linear", [1, 1.5, 3, 3, 5, 5, NAN, NAN]),
    ],
)
def test_gaps_are_filled_within_a_subject(carry: str, filled: list):
    values = np.array([[1, NAN, 3, NAN, NAN, 5, NAN, NAN]]).T
    start, time = np.array([0, 4, 6, 8]), np.array([0, 1, 4, 5, 0, 1, 0, 1.0])
    assert np.array_equal(fill(values, start, carry, time)[:, 0], filled, equal_nan=True)
    assert np.isnan(values).sum() == 5, "the input is left alone"


def test_a_line_between_two_values_at_one_time_is_no_line():
    """Two values at one time are a jump; a gap between them takes the first."""
    values = np.array([[1, NAN, 5, NAN, 9]]).T
    filled = fill(values, np.array([0, 5]), "linear", np.array([2.0, 2, 2, 3, 4]))
    assert filled[:, 0].tolist() == [1, 1, 5, 7, 9]


@pytest.mark.parametrize(
    ("carry", "values"), [("nocb", [1, 1, 2, 2, 2]), ("locf", [1, 1, 1, 2, 2]), ("linear", [1, 1, 1.5, 2, 2])]
)
def test_values_at_other_times(carry: str, values: list):
    assert at_times({0: 1, 4: 2}, np.array([-1, 0, 2, 4, 9]), carry).tolist() == values


def test_unknown_rule():
    with pytest.raises(DataError, match="`spline` is not a rule") as error:
        check_carry("spline", "theo.csv")
    assert error.value.where == "theo.csv"
