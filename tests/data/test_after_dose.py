"""Time after the last dose."""

from __future__ import annotations

import numpy as np

import pkpd
from pkpd.data import time_after_dose


def test_doses_of_the_file_and_additional_ones():
    table = {
        "ID": ["a"] * 7 + ["b"] * 3, "TIME": [-1, 0, 2, 12, 24, 25, 40, 0, 0, 5],
        "EVID": [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], "AMT": [".", 10, *["."] * 6, 10, "."],
        "ADDL": [".", 2, *["."] * 8], "II": [".", 12, *["."] * 8],
        "DV": [1, ".", 1, 1, 1, 1, 1, 1, ".", 1],
    }  # fmt: skip
    found = time_after_dose(pkpd.read_data(table))
    # Doses of a at 0, 12 and 24 h: what is seen at 12 and 24 h are troughs. b was seen at 0 before its dose.
    assert np.allclose(found, [np.nan, 0, 2, 12, 12, 1, 16, np.nan, 0, 5], equal_nan=True)


def test_the_clock_runs_on_over_a_reset():
    table = {
        "ID": ["a"] * 4, "TIME": [0, 3, 0, 2], "EVID": [1, 0, 4, 0], "AMT": [10, ".", 10, "."], "DV": [".", 1, ".", 1],
    }  # fmt: skip
    assert np.allclose(time_after_dose(pkpd.read_data(table)), [0, 3, 0, 2])
