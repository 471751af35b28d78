from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import Dose, Regimen, read_data
from pkpd.errors import DataError

TABLE = {
    "ID": ["a", "a", "a", "b", "b"],
    "TIME": [0, 1, 2, 0, 1],
    "AMT": [10, ".", ".", 20, "."],
    "DUR": [2, ".", ".", ".", "."],
    "ROUTE": ["iv", ".", ".", "oral", "."],
    "DV": [".", 3, 2, ".", 4],
    "WT": [70, ".", ".", 80, "."],
    "ARM": ["1", "1", "1", "2", "2"],
}
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}


@pytest.fixture
def data():
    return read_data(TABLE, units=UNITS)


def test_subjects(data):
    assert len(data) == 2
    assert data.ids == ("a", "b")
    assert "a" in data and "c" not in data
    assert [subject.id for subject in data] == ["a", "b"]
    assert data["b"].ids == ("b",)
    assert data[["a", "b"]].rows == 5
    assert read_data({"ID": [1, 2], "TIME": 0, "DV": 1})[1].ids == ("1",)


def test_nobody(data):
    with pytest.raises(DataError, match="there is no subject `c`") as error:
        data["c"]
    assert "Subjects: a, b." in str(error.value)


def test_a_subject_knows_its_regimen_and_covariates(data):
    first = data.subjects[0]
    assert first.regimen == Regimen((Dose(10, over=2, route="iv", unit="mg"),), time_unit="h")
    assert first.covariates == {"WT": 70}
    assert first.observations["DV"].tolist() == [3, 2]
    assert "Subject(a: 1 subject" in repr(first)


def test_repeats_and_rates_come_back_as_a_regimen():
    table = {
        "TIME": [0, 0, 1],
        "AMT": [10, 5, 0],
        "RATE": [2, 0, 3],
        "II": [12, 0, 0],
        "ADDL": [2, 0, 0],
        "SS": [2, 0, 1],
    }
    doses = read_data(table).subjects[0].regimen.doses
    assert doses == (Dose(10, rate=2, every=12, n=3, ss=2), Dose(5, over=0), Dose(0, rate=3, ss=1, time=1))


def test_observations_are_in_the_order_of_the_events(data):
    seen = data.observations
    events = data.events()
    assert seen["ID"].tolist() == ["a", "a", "b"]
    assert seen["TIME"].tolist() == events.time[events.records].tolist()
    assert seen["ROW"].tolist() == events.source_row[events.records].tolist() == [1, 2, 4]
    assert seen["N"].tolist() == [1, 1, 1]
    assert np.isnan(seen["SD"]).all()
    assert seen["ARM"].tolist() == ["1", "1", "2"]
    with pytest.raises(ValueError, match="read-only"):
        seen["DV"][0] = 0


def test_events(data):
    events = data.events()
    assert events.subjects == ("a", "b")
    assert events.start.tolist() == [0, 3, 5]
    assert events.routes == ("iv", "oral")
    assert events.units == ("mg",)
    assert events.outputs == ("",)
    assert events.covariate_values[:, 0].tolist() == [70, 70, 70, 80, 80]
    assert events.covariate_units == ("kg",)
    assert (events.time_unit, events.origin) == ("h", "the table")


def test_summary_rows_keep_what_they_are():
    data = read_data({"TIME": [24, 72], "DV": [-38.7, -21.0], "N": 4, "SD": [20, "."], "REF": 0, "PERIOD": 1, "OCC": 2})
    seen = data.observations
    assert (seen["N"].tolist(), seen["REF"].tolist(), seen["PERIOD"].tolist()) == ([4, 4], [0, 0], [1, 1])


def test_hashes():
    one, same, other = read_data(TABLE), read_data(TABLE), read_data(TABLE | {"WT": 60})
    assert one.sha256 == same.sha256 != other.sha256
    assert one.digest == same.digest != other.digest
    assert one["a"].digest != one.digest
    assert one["a"].sha256 == one.sha256, "the source is the same"


def test_exclude(data):
    left = data.exclude([2])
    assert left.observations["MDV"].tolist() == [0, 1, 0]
    assert data.observations["MDV"].tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="row 0 is not an observation"):
        data.exclude([0])


def test_prints(data):
    lines = str(data).splitlines()
    assert lines[0] == "the table: 2 subjects, 5 rows, 2 doses, 3 observations"
    assert (
        lines[1]
        == "Covariates between rows (nocb: the next value holds back to the row before, as in NONMEM): WT 70 to 80 kg"
    )
    assert lines[2] == "Units: TIME h, AMT mg, DV mg/L, WT kg"
    assert lines[3].split() == ["ID", "ARM", "TIME", "EVID", "AMT", "ROUTE", "UNIT", "DUR", "DV", "WT"]
    assert len(lines) == 4 + 5
    assert repr(data) == "Dataset(the table: 2 subjects, 5 rows, 2 doses, 3 observations)"
    assert "<table>" in data._repr_html_()
    assert "… 8 more rows" in str(read_data({"TIME": range(20), "DV": 1}))
