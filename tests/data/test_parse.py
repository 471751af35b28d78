"""From cells to numbers and labels."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.findings import Findings
from pkpd.data.parse import parse
from pkpd.data.table import read_table


def parsed(columns: dict, **rename):
    table = read_table(columns, (".", "NA", ""))
    found = Findings(table.origin, table.rows)
    return parse(table, rename, found), found


@pytest.mark.parametrize(
    ("cells", "labels"),
    [([1, 1.0, "1", "1.0"], ["1"] * 4), (["001", "A-1", 2.5], ["001", "A-1", "2.5"]), ([None], [""])],
)
def test_ids_written_differently_are_the_same(cells: list, labels: list):
    assert parsed({"ID": cells, "TIME": 0})[0].labels["ID"] == labels


def test_numbers_covariates_and_text():
    found, _ = parsed({"TIME": ["0", "+1.5e0"], "DV": [None, ".5"], "wt": [70, "."], "SEX": ["F", "M"], "a b": 1})
    assert found.numbers["TIME"].tolist() == [0, 1.5]
    assert np.array_equal(found.numbers["DV"], [np.nan, 0.5], equal_nan=True)
    assert np.array_equal(found.covariates["WT"], [70, np.nan], equal_nan=True)
    assert len(found.notes) == 3, "no ID, SEX is text, `a b` is no plain word"


def test_what_a_row_gets_that_says_nothing():
    found, _ = parsed({"TIME": 0, "ADDL": [None, "2"], "N": [None, 4]})
    assert found.numbers["ADDL"].tolist() == [0, 2]
    assert found.numbers["N"].tolist() == [1, 4]


def test_a_name_of_another_program_gives_way_to_ours():
    found, _ = parsed({"TIME": [0], "DUR": [1], "TINF": [2]})
    assert found.numbers["DUR"].tolist() == [1]
    assert found.covariates["TINF"].tolist() == [2]


def test_two_columns_of_dates():
    _, found = parsed({"TIME": ["9:00"], "DATE": ["2024-01-01"], "DAT1": ["1/1/2024"]})
    assert [finding.code for finding in found.all()] == ["date"]
