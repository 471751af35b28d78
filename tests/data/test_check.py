"""Every rule, broken once: the message says row, ID, what, what was expected and what to do."""

from __future__ import annotations

import pytest

from pkpd.data import read_data
from pkpd.errors import DataError

DOSE = {"ID": 1, "TIME": 0, "EVID": 1, "AMT": 10}
SEEN = {"ID": 1, "TIME": 1, "EVID": 0, "DV": 5}


def rows(*rows: dict) -> dict:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, ".") for row in rows] for name in names}


BROKEN = [
    ([DOSE | {"AMT": -5}], "row 0, ID 1, column AMT: -5 is negative"),
    ([DOSE | {"AMT": "."}], "column AMT: the dose has no amount"),
    ([DOSE | {"AMT": 0}], "column AMT: the amount of the dose is 0"),
    ([DOSE | {"AMT": 0, "RATE": 5}], "column AMT: the amount of the dose is 0"),
    ([DOSE | {"AMT": "10mg"}], "row 0, ID 1, column AMT: `10mg` is not a number"),
    ([DOSE | {"AMT": "nan"}], "column AMT: `nan` where a number is needed"),
    ([DOSE | {"AMT": "1e999"}], "`1e999` is not finite"),
    ([DOSE | {"AMT": "1_000"}], "`1_000` is not a number"),
    ([DOSE | {"AMT": "1,5"}], "Decimals are written with a point"),
    ([SEEN | {"AMT": 5}], "on a row that is no dose (EVID 0)"),
    ([DOSE | {"RATE": -3}], "column RATE: -3 has no meaning"),
    ([DOSE | {"DUR": -1}], "column DUR: -1 is negative"),
    ([DOSE | {"DUR": 2, "RATE": 3}], "do not go with AMT 10"),
    ([DOSE | {"DUR": 2, "RATE": -2}], "do not go with AMT 10"),
    ([DOSE | {"CMT": -1}], "column CMT: -1 is negative"),
    ([DOSE | {"ADDL": 3}], "column ADDL: 3 more doses without the time between them"),
    ([DOSE | {"ADDL": -3, "II": 12}], "column ADDL: -3 is negative"),
    ([DOSE | {"ADDL": 1.5, "II": 12}], "column ADDL: 1.5 is not a whole number"),
    ([DOSE | {"ADDL": 2, "II": -12}], "column II: -12 is negative"),
    ([DOSE | {"SS": 1}], "a steady state without the time between doses"),
    ([DOSE | {"SS": 3, "II": 12}], "column SS: 3 has no meaning"),
    ([DOSE | {"AMT": 0, "RATE": 5, "SS": 1, "ADDL": 2, "II": 12}], "an endless infusion"),
    ([DOSE | {"EVID": 12345}], "column EVID: 12345 has no meaning"),
    ([DOSE | {"EVID": 5}], "column EVID: 5 sets a compartment to the amount, in rxode2; there is no such event"),
    ([DOSE | {"AMT": 0, "RATE": -2, "SS": 1}], "the amount of the dose is 0, with RATE -2 and SS 1"),
    ([DOSE | {"AMT": 0, "RATE": 5, "SS": 1, "II": 12}], "cannot be repeated (ADDL 0, II 12)"),
    ([{"ID": 1, "TIME": 0, "RATE": 5}], "RATE 5 without an amount: neither a dose nor an observation"),
    ([DOSE | {"EVID": 2, "AMT": ".", "CMT": -2}], "column CMT: -2 turns a compartment off"),
    ([DOSE | {"DV": 3, "MDV": 0}], "MDV 0 says that DV 3 counts, but the row is a dose"),
    ([DOSE | {"EVID": 3, "AMT": ".", "DV": 3, "MDV": 0}], "but the row is no observation"),
    ([DOSE | {"EVID": 0.5}], "column EVID: 0.5 is not a whole number"),
    ([SEEN | {"TIME": "."}], "column TIME: the time is missing"),
    ([SEEN | {"TIME": "noon"}], "column TIME: `noon` is not a number"),
    ([SEEN, SEEN | {"TIME": 0.5}], "column TIME: 0.5 comes after 1"),
    ([SEEN, DOSE], "only a reset (EVID 3 or 4) starts it again"),
    ([SEEN, DOSE | {"EVID": 4}, SEEN | {"REF": 0}], "it is not clear in which occasion 0 lies"),
    ([SEEN, SEEN | {"ID": 2}, SEEN], "column ID: 1 comes back after other subjects"),
    ([SEEN | {"ID": "."}], "column ID: the ID is missing"),
    ([SEEN | {"DV": ".", "MDV": 0}], "the observation is missing, but MDV is 0"),
    ([SEEN | {"MDV": 2}], "column MDV: 2 has no meaning"),
    ([SEEN | {"CENS": 2}], "column CENS: 2 has no meaning"),
    ([SEEN | {"DV": ".", "CENS": 1, "ULOQ": 10}], "neither DV nor the limit"),
    ([SEEN | {"LLOQ": 3, "ULOQ": 2}], "3 is not below ULOQ 2"),
    ([SEEN | {"N": 0}], "column N: 0 is not greater than 0"),
    ([SEEN | {"SD": 0}], "column SD: 0 is not greater than 0"),
    ([SEEN | {"N": 4, "SD": 10, "SE": 10}], "SE 10 is not SD 10 / √4"),
    ([SEEN | {"DV": "<0.1"}], "Below a limit, an observation has CENS 1 and the limit in LLOQ"),
    ([SEEN | {"WT": "heavy"}, SEEN | {"WT": 70}], "column WT: `heavy` is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_rules(table: list[dict], says: str):
    with pytest.raises(DataError) as error:
        read_data(rows(*table))
    assert says in str(error.value)
    for finding in error.value.findings or [error.value]:
        assert finding.where
        assert finding.remedy


def test_everything_is_said_at_once():
    with pytest.raises(DataError) as error:
        read_data(rows(DOSE | {"AMT": -5}, SEEN | {"DV": "x"}, DOSE | {"RATE": -3, "ADDL": 2, "TIME": 0.5}))
    assert {finding.code for finding in error.value.findings} == {"amount", "text", "order", "rate", "addl"}
    assert str(error.value).startswith("5 things are wrong.")


def test_a_cell_that_cannot_be_read_hides_nothing_else_in_its_row():
    with pytest.raises(DataError) as error:
        read_data(rows(DOSE | {"AMT": 0, "RATE": 5, "SS": 1, "ADDL": 2, "WT": "heavy"}, SEEN | {"WT": 70}))
    assert [finding.code for finding in error.value.findings] == ["text", "ss"]


@pytest.mark.parametrize("table", [{"TIME": []}, {"ID": [], "TIME": [], "DV": []}])
def test_no_rows(table: dict):
    with pytest.raises(DataError, match="there are no rows"):
        read_data(table)


GOOD = [
    [DOSE, SEEN],
    [DOSE | {"EVID": 4, "RATE": 5, "SS": 1, "II": 12, "ADDL": 3}, SEEN],
    [DOSE | {"AMT": 0, "RATE": 5, "SS": 1}, SEEN],
    [DOSE, {"ID": 1, "TIME": 1, "EVID": 3}, {"ID": 1, "TIME": 1, "EVID": 2, "WT": 70}, SEEN],
    [SEEN | {"N": 4, "SD": 10, "SE": 5, "REF": 0}],
    [SEEN | {"CENS": -1, "ULOQ": 10, "DV": "."}],
    [DOSE | {"MDV": 0, "DV": "."}, SEEN],
    [SEEN, DOSE | {"EVID": 4}, SEEN],
]


def test_what_is_not_used_is_noted():
    notes = read_data(rows(DOSE | {"DV": 3, "MDV": 1}, SEEN | {"ADDL": 3, "II": 12, "RATE": 5})).notes
    assert notes == (
        "DV is not used on 1 row that is no observation.",
        "RATE is not used on 1 row that is no dose.",
        "II is not used on 1 row that is no dose.",
        "ADDL is not used on 1 row that is no dose.",
    )


@pytest.mark.parametrize("table", GOOD)
def test_what_is_right_passes(table: list[dict]):
    assert read_data(rows(*table)).events()


def test_zero_in_place_of_a_limit_is_not_taken_for_one():
    """BLQ 1 with DV 0 and no LLOQ would say: below 0. On a logarithmic scale 0 is a limit like any other."""
    with pytest.raises(DataError, match="Write the limit of quantification in LLOQ"):
        read_data({"TIME": [1, 2], "DV": [3, 0], "BLQ": [0, 1]})
    read_data({"TIME": [1, 2], "DV": [3, 0], "BLQ": [0, 1], "LLOQ": 0.5})
    read_data({"TIME": [1, 2], "DV": [-0.5, 0], "CENS": [0, 1]})


def test_what_is_a_slip_more_often_than_not_is_noted():
    data = read_data(
        {"ID": [1, 1, 1, 2], "TIME": [0, 1, 1, 1], "AMT": [10, 0, 0, 0], "DV": [".", 3, 4, 5], "EVID": [1, 0, 0, 0]}
    )
    assert data.notes == (
        "No dose: 1 subject with observations (2).",
        "Observed more than once at one time: 1 row (first: ID 1 at 1); each counts.",
    )
    assert read_data({"TIME": [0, 1], "DV": [3, 4]}).notes == ("No ID column: all rows are taken as one subject, `1`.",)


def test_names_of_monolix():
    data = read_data({"SUBJID": [7, 7], "TIME": [0, 1], "ADM": [2, "."], "AMT": [5, "."], "Y": [".", 3], "OBSID": 1})
    assert (data.ids, data.columns["ROUTE"][0], data.columns["DVID"][1], data.columns["DV"][1]) == (
        ("7",),
        "#2",
        "#1",
        3,
    )
    assert "Column ADM is read as CMT." in data.notes
