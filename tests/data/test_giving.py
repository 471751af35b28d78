"""Doses added to a data set: Dataset.give."""

from __future__ import annotations

import pytest

from pkpd.data import Regimen, read_data
from pkpd.errors import DataError, DoseError


@pytest.fixture
def data():
    table = {
        "ID": ["a", "a", "a", "b", "b"],
        "TIME": [0, 1, 2, 0, 1],
        "AMT": [10, ".", ".", 20, "."],
        "DUR": [2, ".", ".", ".", "."],
        "DV": [".", 3, 2, ".", 4],
        "WT": [70, ".", ".", 80, "."],
        "ARM": ["1", "1", "1", "2", "2"],
    }
    return read_data(table, units={"TIME": "h", "AMT": "mg", "WT": "kg"})


def test_to_everybody(data):
    given = data.give("0.5 mg/kg ketamine iv over 30 min at 1 h")
    events = given.events()
    assert events.time.tolist() == [0, 1, 1, 2, 0, 1, 1]
    assert events.amt.tolist() == [10, 35, 0, 0, 20, 40, 0]
    assert events.dur.tolist() == [2, 0.5, 0, 0, 0, 0.5, 0]
    assert events.source_row.tolist() == [0, -1, 1, 2, 3, -1, 4]
    assert given.observations["DV"].tolist() == data.observations["DV"].tolist()


def test_by_id_and_by_arm(data):
    assert data.give({"a": "1 mg iv"}).rows == data.rows + 1
    assert data.give({"1": "1 mg iv", "2": "2 mg iv; 3 mg iv at 1 h"}, by="ARM").rows == data.rows + 3


def test_before_the_first_row():
    data = read_data({"TIME": [24, 72], "DV": [1, 2], "DVID": "vas"}, units={"TIME": "h"})
    events = data.give("1 mg iv then 2 mg iv at day 14").events()
    assert events.time.tolist() == [0, 24, 72, 336]


def test_a_dose_belongs_to_the_occasion_that_it_begins():
    """Not to the first: what is seen of a dose comes after it."""
    table = {"ID": 1, "TIME": [0, 24, 168, 192], "DV": [1, 2, 3, 4], "OCC": [1, 1, 2, 2], "PERIOD": [1, 1, 2, 2],
             "ARM": ["a", "a", "b", "b"]}  # fmt: skip
    text = "1 mg iv at 0 h; 2 mg iv at 24 h; 3 mg iv at 167 h; 4 mg iv at day 9"
    given = read_data(table, units={"TIME": "h"}).give(text)
    doses = given.columns["EVID"] == 1
    for name, want in (("OCC", [1, 1, 2, 2]), ("PERIOD", [1, 1, 2, 2]), ("ARM", ["a", "a", "b", "b"])):
        assert given.columns[name][doses].tolist() == want


def test_no_dose_is_a_regimen():
    assert Regimen.read("No  dose") == Regimen((), time_unit="h") and not Regimen.of("no dose").count


def test_times_are_converted():
    data = read_data({"TIME": [10, 20], "DV": 1}, units={"TIME": "min"})
    assert data.give(Regimen.read("1 mg iv over 1 h", "h")).events().dur[0] == pytest.approx(60)
    assert data.give("1 mg iv over 1 h").events().dur[0] == pytest.approx(60)


@pytest.mark.parametrize(
    ("regimens", "by", "says"),
    [({"c": "1 mg"}, "ID", "nobody has ID `c`"), ({"a": "1 mg"}, "TIME", "`TIME` cannot say")],
)
def test_to_nobody(data, regimens, by, says):
    with pytest.raises(DataError) as error:
        data.give(regimens, by=by)
    assert says in str(error.value)


def test_needs_the_covariate():
    with pytest.raises(DoseError, match="needs the covariate WT"):
        read_data({"TIME": [1], "DV": 1}).give("1 mg/kg iv")
