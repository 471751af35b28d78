"""Compound EVID codes of RxODE, by its own tables of examples."""

from __future__ import annotations

import pytest

from pkpd.data import Mode, read_data
from pkpd.errors import DataError


def read(*rows: dict, **more):
    names = dict.fromkeys(name for row in rows for name in row)
    names = dict.fromkeys(["ID", *names])
    return read_data({name: [row.get(name, 1 if name == "ID" else ".") for row in rows] for name in names}, **more)


def seen(time: float) -> dict:
    return {"TIME": time, "EVID": 0, "AMT": 0, "DV": 1}


@pytest.mark.parametrize(("code", "route"), [(101, "#1"), (201, "#2"), (9901, "#99"), (109901, "#199")])
def test_doses(code: int, route: str):
    data = read({"TIME": 0, "EVID": code, "AMT": 100}, seen(1))
    assert data.columns["EVID"].tolist() == [1, 0]
    assert (data.columns["ROUTE"][0], data.columns["AMT"][0]) == (route, 100)
    assert data.notes == (f"Legacy EVID translated in 1 row: {code} (dose, CMT {route[1:]}).",)


@pytest.mark.parametrize(("code", "mode"), [(10101, Mode.RATE), (20101, Mode.DURATION)])
def test_infusions_are_turned_on_and_off(code: int, mode: Mode):
    data = read({"TIME": 0, "EVID": code, "AMT": 50}, seen(1), {"TIME": 1.5, "EVID": code, "AMT": -50}, seen(2))
    assert data.columns["EVID"].tolist() == [1, 0, 2, 0]
    assert data.columns["AMT"].tolist() == [75, 0, 0, 0]
    assert data.columns["MODE"][0] == mode
    events = data.events()
    assert (events.rate[0], events.dur[0]) == ((50, 0) if mode == Mode.RATE else (0, 1.5))
    assert any("one row each" in note for note in data.notes)


def test_two_infusions_at_once_and_one_after_the_other():
    rate = [(0, 10), (1, 20), (4, -10), (5, -20), (6, 10), (8, -10)]
    data = read(*({"TIME": t, "EVID": 10101, "AMT": a} for t, a in rate))
    assert data.columns["AMT"].tolist() == [40, 80, 0, 0, 20, 0]
    assert data.columns["EVID"].tolist() == [1, 1, 2, 2, 1, 2]


def test_each_person_and_compartment_has_infusions_of_its_own():
    data = read(
        {"ID": 1, "TIME": 0, "EVID": 10101, "AMT": 5}, {"ID": 1, "TIME": 0, "EVID": 10201, "AMT": 5},
        {"ID": 1, "TIME": 1, "EVID": 10201, "AMT": -5}, {"ID": 1, "TIME": 2, "EVID": 10101, "AMT": -5},
        {"ID": 2, "TIME": 0, "EVID": 10101, "AMT": 5}, {"ID": 2, "TIME": 4, "EVID": 10101, "AMT": -5},
    )  # fmt: skip
    assert data.columns["AMT"].tolist() == [10, 5, 0, 0, 20, 0]


def test_clock_times_keep_the_unit_of_time():
    data = read(
        {"TIME": "9:00", "EVID": 10101, "AMT": 2}, {"TIME": "9:30", "EVID": 10101, "AMT": -2}, units={"TIME": "min"}
    )
    assert (data.columns["AMT"][0], data.columns["RATE"][0]) == (60, 2)


@pytest.mark.parametrize(("on", "off", "mode"), [(90101, 70101, 4), (80101, 60101, 5)])
def test_modelled_rate_and_duration(on: int, off: int, mode: int):
    data = read({"TIME": 0, "EVID": on, "AMT": 50}, {"TIME": 0, "EVID": off, "AMT": 50}, seen(1))
    assert data.columns["EVID"].tolist() == [1, 2, 0]
    assert (data.columns["AMT"].tolist(), data.columns["MODE"][0]) == ([50, 0, 0], mode)


def test_steady_state():
    data = read({"TIME": 0, "EVID": 110, "AMT": 50, "II": 24}, {"TIME": 12, "EVID": 120, "AMT": 100, "II": 24})
    assert data.columns["SS"].tolist() == [1, 2]
    infusion = read({"TIME": 0, "EVID": 10110, "AMT": 5, "II": 24}, {"TIME": 10, "EVID": 10101, "AMT": -5})
    assert (infusion.columns["SS"].tolist(), infusion.columns["AMT"].tolist()) == ([1, 0], [50, 0])
    endless = read({"TIME": 0, "EVID": 10140, "AMT": 5}, seen(1))
    assert (endless.columns["AMT"][0], endless.columns["RATE"][0], endless.columns["SS"][0]) == (0, 5, 1)


def test_repeated():
    data = read({"TIME": 0, "EVID": 101, "AMT": 5, "ADDL": 3, "II": 12}, seen(30))
    assert (data.columns["ADDL"][0], data.columns["II"][0]) == (3, 12)
    data = read({"TIME": 0, "EVID": 10101, "AMT": 5, "ADDL": 3, "II": 12},
                {"TIME": 2, "EVID": 10101, "AMT": -5, "ADDL": 3, "II": 12})  # fmt: skip
    assert (data.columns["AMT"].tolist(), data.columns["ADDL"].tolist()) == ([10, 0], [3, 0])


REFUSED = [
    ({"EVID": -1}, "-1 has no meaning"),
    ({"EVID": 102}, "102 has no meaning"),
    ({"EVID": 30101}, "30101 has no meaning"),
    ({"EVID": 5}, "5 sets a compartment to the amount, in rxode2; there is no such event here"),
    ({"EVID": 7}, "7 is a dose that is counted but not given"),
    ({"EVID": 8}, "8 sets a compartment to the amount, in mrgsolve"),
    ({"EVID": 9}, "9 is a mark"),
    ({"EVID": 40}, "40 is a modelled event time of RxODE"),
    ({"EVID": 40101}, "40101 sets a compartment to the amount"),
    ({"EVID": 50101}, "50101 multiplies a compartment"),
    ({"EVID": 130}, "130 turns a compartment off"),
    ({"EVID": 150}, "150 is a dose that is counted but not given"),
    ({"EVID": 160}, "160 is a dose that is given but not counted"),
    ({"EVID": 109, "II": 24}, "109 is part of a steady state that was split for a lag"),
    ({"EVID": 140}, "140 is a steady state without a rate of its own"),
    ({"EVID": 110}, "a steady state without the time between doses"),
    ({"EVID": 10101}, "the infusion (10101) is never turned off"),
    ({"EVID": 10101, "AMT": -5}, "turns off an infusion that is not running"),
    ({"EVID": 60101}, "60101, AMT 5, turns off an infusion that is not running"),
    ({"EVID": 101, "AMT": -5}, "-5 is negative"),
    ({"EVID": 101, "CMT": 2}, "101 says compartment 1, but CMT is 2"),
    ({"EVID": 101, "RATE": 5}, "RATE: 5 beside the legacy code 101"),
    ({"EVID": 110, "SS": 2, "II": 4}, "SS: 2 beside the legacy code 110, which says SS 1"),
]


@pytest.mark.parametrize(("row", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_not_followed_is_refused_by_name(row: dict, says: str):
    with pytest.raises(DataError) as error:
        read({"TIME": 0, "AMT": 5} | row)
    assert says in str(error.value)
    assert error.value.remedy


def test_infusions_that_do_not_add_up():
    with pytest.raises(DataError, match="never turned off"):
        read({"ID": 1, "TIME": 0, "EVID": 10101, "AMT": 5}, {"ID": 2, "TIME": 1, "EVID": 10101, "AMT": -5})
    with pytest.raises(DataError, match="turned off at 0, when it begins"):
        read({"TIME": 0, "EVID": 10101, "AMT": 5}, {"TIME": 0, "EVID": 10101, "AMT": -5})
    with pytest.raises(DataError, match="0, but 3 where the infusion is turned on"):
        read({"TIME": 0, "EVID": 10101, "AMT": 5, "ADDL": 3, "II": 12}, {"TIME": 1, "EVID": 10101, "AMT": -5})
