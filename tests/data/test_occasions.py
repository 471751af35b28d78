"""TIME may start again where a reset begins a new occasion."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import OCCASION, Events, read_data, with_occasions
from pkpd.data.occasions import restarts, running_time
from pkpd.errors import DataError

CROSSOVER = {
    "ID": [1, 1, 1, 1, 1, 1, 2, 2],
    "TIME": [0, 2, 24, 0, 1, 24, 0, 5],
    "EVID": [1, 0, 0, 4, 0, 0, 1, 0],
    "AMT": [10, 0, 0, 20, 0, 0, 30, 0],
    "DV": [".", 1, 2, ".", 3, 4, ".", 5],
    "OCC": [1, 1, 1, 2, 2, 2, 1, 1],
}


def test_the_clock_runs_on_inside_and_time_stays_as_written():
    data = read_data(CROSSOVER)
    assert data.events().time.tolist() == [0, 2, 24, 24, 25, 48, 0, 5]
    assert data.observations["TIME"].tolist() == [2, 24, 1, 24, 5]
    (note,) = data.notes
    assert note.startswith("TIME starts again at 1 reset of 1 subject (first: 0 after 24, ID 1).")
    assert data["1"].subjects[0].regimen.columns()["TIME"] == ["0", "24"]


def test_several_occasions_and_a_reset_that_does_not_start_again():
    ids, evid = np.array(["1"] * 7), np.array([1, 0, 3, 0, 4, 0, 4])
    time = np.array([0.0, 5, 8, 10, 2, 4, 0])
    assert restarts(ids, time, evid).tolist() == [4, 6]
    assert running_time(ids, time, evid).tolist() == [0, 5, 8, 10, 10, 12, 12]
    assert running_time(ids[:0], time[:0], evid[:0]).tolist() == []


def test_only_a_reset_starts_it_again():
    with pytest.raises(DataError, match="only a reset"):
        read_data(CROSSOVER | {"EVID": [1, 0, 0, 1, 0, 0, 1, 0]})


def test_doses_are_not_added_where_their_time_has_two_meanings():
    data = read_data(CROSSOVER)
    with pytest.raises(DataError, match="in which occasion") as error:
        data.give("5 mg")
    assert error.value.where == "the table, row 3, ID 1"
    assert data.give({"2": "5 mg"}).rows == data.rows + 1


def test_subsets_keep_their_clock():
    assert read_data(CROSSOVER)[["2", "1"]].events().time.tolist() == [0, 2, 24, 24, 25, 48, 0, 5]


def two_people() -> Events:
    return Events.from_regimens([(n, "10 mg iv", [1, 2], {"WT": 70.0}) for n in "ab"], covariate_units={"WT": "kg"})


def test_each_row_gets_its_occasion_beside_its_covariates():
    events = with_occasions(two_people(), np.array([1, 1, 2, 1, 2, 3]))
    assert events.covariates == ("WT", OCCASION) and events.covariate_units == ("kg", None)
    assert events.covariate_values[:, 1].tolist() == [1, 1, 2, 1, 2, 3]
    assert events.covariate_values[:, 0].tolist() == [70] * 6
    assert events.take([1]).covariate_values[:, 1].tolist() == [1, 2, 3]
    again = with_occasions(events, np.ones(6))
    assert again.covariates == ("WT", OCCASION) and again.covariate_values[:, 1].tolist() == [1] * 6


@pytest.mark.parametrize("wrong", [0, -1, 1.5, np.nan, np.inf])
def test_an_occasion_that_is_no_number_of_one_is_refused(wrong):
    with pytest.raises(DataError, match="the occasion is") as error:
        with_occasions(two_people(), [1, 1, 2, 1, wrong, 3])
    assert error.value.where == "the regimen, ID b, time 1 h" and error.value.remedy


@pytest.mark.parametrize("wrong", [[1, 1, 1], [[1] * 6], 1])
def test_occasions_that_are_not_one_for_each_row_are_refused(wrong):
    with pytest.raises(DataError, match="have the shape") as error:
        with_occasions(two_people(), wrong)
    assert "(6,)" in str(error.value)
