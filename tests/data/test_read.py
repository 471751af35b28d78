from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkpd.data import Dataset, read_data
from pkpd.errors import DataError

PUBLIC = Path(__file__).parents[3] / "shared" / "data"
TABLE = {"ID": [1, 1, 2, 2], "TIME": [0, 1, 0, 1], "AMT": [10, 0, 20, 0], "DV": [0, 3, 0, 4], "WT": [70, ".", 80, "."]}


@pytest.mark.skipif(not PUBLIC.exists(), reason="the public data sets are not there")
def test_theophylline_as_nonmem_has_it():
    data = read_data(PUBLIC / "theo_sd.csv", units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})
    assert (len(data), data.rows) == (12, 144)
    assert len(data.observations["DV"]) == 132
    assert data.events().amt.max() == pytest.approx(320.65)
    assert data["2"].subjects[0].covariates == {"WT": 72.4}
    assert repr(read_data(PUBLIC / "theo_md.csv")) == (
        "Dataset(theo_md.csv: 12 subjects, 348 rows, 84 doses, 264 observations)"
    )


@pytest.mark.skipif(not PUBLIC.exists(), reason="the public data sets are not there")
def test_theophylline_as_r_has_it():
    data = read_data(PUBLIC / "Theoph_R.csv", columns={"conc": "DV", "Dose": None})
    given = data.give("4.02 mg/kg oral")
    assert given["1"].events().amt[0] == pytest.approx(319.992)


def test_names_in_any_case_and_of_other_programs():
    data = read_data({"Subject": [1, 1], "time": [0, 1], "Amt": [5, "."], "dv": [".", 2], "wt": 70})
    assert data.ids == ("1",)
    assert list(data.covariates) == ["WT"]
    assert any("Subject is read as ID" in note for note in data.notes)


def test_columns_are_renamed_or_left_out():
    data = read_data({"t": [0, 1], "conc": [1, 2], "x": [1, "y"]}, columns={"t": "TIME", "conc": "DV", "x": None})
    assert data.observations["DV"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"cnc": "DV"}, "Did you mean `conc`?"),
        ({"DV": "conc"}, 'Write it the other way round: columns={"conc": "DV"}.'),
    ],
)
def test_wrong_names(columns: dict, says: str):
    with pytest.raises(DataError) as error:
        read_data({"TIME": [0, 1], "conc": [1, 2]}, columns=columns)
    assert says in str(error.value)


def test_duplicate_columns():
    with pytest.raises(DataError, match="two columns are DV: `dv` and `DV`"):
        read_data({"TIME": [0], "dv": [1], "DV": [2]})


def test_time_is_needed():
    with pytest.raises(DataError, match="there is no column TIME"):
        read_data({"ID": [1], "DV": [2]})


def test_clock_times_and_dates():
    data = read_data({"DATE": ["2024-01-31", "2024-02-01"], "TIME": ["9:30", "10:00"], "DV": 1}, units={"TIME": "min"})
    assert data.columns["TIME"].tolist() == [0, 24.5 * 60]
    assert data.time_unit == "min"
    assert read_data({"TIME": ["9:30", "10:00"], "DV": 1}).time_unit == "h"


def test_text_columns_are_set_aside_with_a_note():
    data = read_data({"TIME": [0, 1], "DV": 1, "SOURCE": ["a", "b"], "EMPTY": "."})
    assert not data.covariates
    assert [note for note in data.notes if "SOURCE" in note or "EMPTY" in note]


def test_missing_values_are_what_the_user_says():
    data = read_data({"TIME": [0, 1], "DV": [1, -99], "MDV": [0, 1]}, missing=["-99"])
    assert data.columns["DV"][1] == -99, "a number in memory is a number"
    with pytest.raises(DataError, match=r"`\.` is not a number"):
        read_data({"TIME": [0, 1], "DV": ["1", "."]}, missing=["-99"])


def test_units():
    data = read_data(
        TABLE | {"DVID": ["cp", "cp", "vas", "vas"]}, units={"DV": {"cp": "mg/L", "vas": "%"}, "AMT": "mg"}
    )
    assert (data.dv_unit("cp"), data.dv_unit("vas"), data.dv_unit("")) == ("mg/L", "%", None)
    assert data.events().units == ("mg",)
    assert read_data(TABLE, units={"DV": "mg/L"}).dv_unit("#1") == "mg/L"


@pytest.mark.parametrize(
    ("units", "says"),
    [
        ({"DVV": "mg/L"}, "Did you mean `DV`?"),
        ({"DV": "mgg"}, "`mgg` is not a unit."),
        ({"TIME": "mg"}, "`mg` is not a unit of time."),
        ({"DV": {"3": "mg"}}, "no observation has DVID 3"),
        ({"WT": 5}, "`5` is not a unit"),
    ],
)
def test_wrong_units(units: dict, says: str):
    with pytest.raises(DataError) as error:
        read_data(TABLE, units=units)
    assert says in str(error.value)


def test_carry_is_nocb_unless_said():
    table = {"TIME": [0, 1, 2, 3], "DV": 1, "WT": [1, ".", 3, "."]}
    assert read_data(table).events().covariate_values[:, 0].tolist() == [1, 3, 3, 3]
    assert read_data(table, carry="locf").events().covariate_values[:, 0].tolist() == [1, 1, 3, 3]
    assert read_data(table, carry="linear").events().covariate_values[:, 0].tolist() == [1, 2, 3, 3]
    with pytest.raises(DataError, match="`spline` is not a rule"):
        read_data(table, carry="spline")


CELLS = st.sampled_from(["1", "0", "-1", "2.5", ".", "", "x", "9:30", "nan", "1e400", '"', "#", "101", "é", "=1+1"])
NAMES = st.sampled_from(
    ["ID", "TIME", "DV", "AMT", "EVID", "RATE", "ADDL", "II", "SS", "CMT", "WT", "DATE", "DVID", "", "1"]
)


@given(st.lists(NAMES, min_size=1, max_size=6), st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=6))
def test_any_file_is_data_or_an_error_in_plain_words(tmp_path_factory, names: list, rows: list):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_text("\n".join(",".join(cells) for cells in [names, *rows]))
    try:
        data = read_data(path)
    except DataError as error:
        assert str(error)
    else:
        assert isinstance(data, Dataset)
        assert np.isfinite(data.events().time).all()
        assert str(data)
