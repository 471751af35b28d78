from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.findings import SHOWN, Findings
from pkpd.errors import DataError


def test_in_order_of_rows_with_place():
    found = Findings("theo.csv", [2, 3], ["1", "2"])
    found.row("a", 1, "AMT", "second.")
    found.row("b", np.int64(0), None, "first.", "Expected.", "Do this.")
    assert [f.where for f in found.all()] == ["theo.csv, row 2, ID 1", "theo.csv, row 3, ID 2, column AMT"]
    with pytest.raises(DataError) as error:
        found.stop_if_any()
    assert len(error.value.findings) == 2


def test_many_of_a_kind_are_counted():
    found = Findings("theo.csv", range(100))
    for row in range(100):
        found.row("text", row, "DV", "wrong.")
    assert len(found.all()) == SHOWN + 1
    assert found.all()[-1].what == f"{100 - SHOWN} more rows like this."


def test_what_could_not_be_read_is_left_alone_and_nothing_else():
    found = Findings("theo.csv", range(3))
    found.row("text", 1, "AMT", "not a number.")
    found.close_reading()
    found.row("amount", 1, "AMT", "no amount.")
    found.row("rate", 1, "DUR", "does not go with AMT.")
    found.row("addl", 1, "ADDL", "negative.")
    found.row("amount", 2, "AMT", "no amount.")
    assert [f.code for f in found.all()] == ["text", "addl", "amount"]


def test_rows_that_are_only_counted_are_left_alone_too():
    found = Findings("theo.csv", range(20))
    for row in range(20):
        found.row("text", row, "AMT", "not a number.")
    found.close_reading()
    found.row("amount", 19, "AMT", "no amount.")
    assert len(found.all()) == SHOWN + 1


def test_nothing_wrong():
    Findings("theo.csv", []).stop_if_any()
