"""What rows mean, seen through read_data."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import Mode, read_data
from pkpd.errors import DataError
from pkpd.likelihood.observations import between


def rows(*rows: dict) -> dict:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, ".") for row in rows] for name in names}


def test_evid_is_inferred():
    data = read_data(rows({"TIME": 0, "AMT": 5, "DV": "."}, {"TIME": 1, "AMT": 0, "DV": 3}, {"TIME": 2}))
    assert data.columns["EVID"].tolist() == [1, 0, 0]
    assert data.columns["MDV"].tolist() == [1, 0, 1]
    assert any("predicted, not fitted" in note for note in data.notes)


def test_an_endless_infusion_is_a_dose_without_amount():
    data = read_data(rows({"TIME": 0, "AMT": 0, "RATE": 5, "SS": 1}))
    assert data.columns["EVID"].tolist() == [1]


@pytest.mark.parametrize(
    ("given", "mode", "field"),
    [
        ({}, Mode.AUTO, None),
        ({"RATE": 0}, Mode.BOLUS, None),
        ({"DUR": 0}, Mode.BOLUS, None),
        ({"RATE": 2}, Mode.RATE, "RATE"),
        ({"DUR": 2}, Mode.DURATION, "DUR"),
        ({"TINF": 2}, Mode.DURATION, "DUR"),
        ({"RATE": -1}, Mode.MODELLED_RATE, None),
        ({"RATE": -2}, Mode.MODELLED_DURATION, None),
        ({"RATE": 5, "DUR": 2}, Mode.RATE, "RATE"),
    ],
)
def test_how_a_dose_goes_in(given: dict, mode: Mode, field: str | None):
    data = read_data(rows({"TIME": 0, "EVID": 1, "AMT": 10, **given}))
    assert data.columns["MODE"].tolist() == [mode]
    events = data.events()
    assert (events.rate[0] > 0) == (field == "RATE")
    if field == "DUR":
        assert events.dur[0] == 2


def test_routes_by_number_and_by_name():
    data = read_data(
        rows(
            {"TIME": 0, "AMT": 1, "CMT": 2, "ROUTE": "."},
            {"TIME": 1, "AMT": 1, "CMT": 2, "ROUTE": "iv"},
            {"TIME": 2, "AMT": 1, "CMT": 0},
            {"TIME": 3, "AMT": 1, "CMT": "depot"},
            {"TIME": 4, "DV": 1, "CMT": 2},
        )
    )
    assert data.columns["ROUTE"].tolist() == ["#2", "iv", "", "depot", ""]
    assert data.events().routes == ("#2", "iv", "", "depot")


def test_outputs_by_number_and_by_name():
    data = read_data({"TIME": [0, 1, 2, 3], "DV": 1, "DVID": ["1", 2.0, "vas", "."]})
    assert data.columns["DVID"].tolist() == ["#1", "#2", "vas", ""]
    assert data.events().outputs == ("#1", "#2", "vas", "")


def test_outputs_told_apart_by_cmt_only_are_refused():
    with pytest.raises(DataError, match="no column DVID"):
        read_data({"TIME": [0, 1], "DV": 1, "CMT": [2, 3]})
    assert any("CMT 2" in note for note in read_data({"TIME": [0, 1], "DV": 1, "CMT": 2}).notes)


def test_dose_and_observation_in_one_row_are_refused():
    with pytest.raises(DataError, match="in one row"):
        read_data(rows({"TIME": 0, "AMT": 5, "DV": 3}))
    assert read_data(rows({"TIME": 0, "AMT": 5, "DV": 0})).columns["EVID"].tolist() == [1]


def test_censored_observations_need_no_dv_where_the_limit_is_known():
    data = read_data({"TIME": [0, 1], "DV": [".", 0.1], "CENS": 1, "LLOQ": 0.1})
    assert data.columns["MDV"].tolist() == [0, 0]
    assert np.isnan(data.columns["DV"][0])


def test_limit_is_the_other_end_as_in_monolix_and_nlmixr2():
    """Lower where CENS is 1, upper where it is -1; on a row that was seen (nlmixr2: M2), the side of DV it lies on."""
    rows = {"TIME": [1, 2, 3, 4, 5], "DV": [0.5, 20, 3, 4, 2], "CENS": [1, -1, 0, 0, 1], "LIMIT": [0, 50, 0.5, 9, None]}
    data = read_data(rows)
    assert np.array_equal(data.columns["LLOQ"], [0, np.nan, 0.5, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(data.columns["ULOQ"], [np.nan, 50, np.nan, 9, np.nan], equal_nan=True)
    lower, upper = between(*(data.columns[name] for name in ("CENS", "DV", "LLOQ", "ULOQ")))
    assert (lower[:2].tolist(), upper[:2].tolist()) == ([0, 20], [0.5, 50])
    with pytest.raises(DataError, match="0 beside LLOQ"):
        read_data({"TIME": [1], "DV": [0.5], "CENS": [1], "LIMIT": [0], "LLOQ": [0.5]})
