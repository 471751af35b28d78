from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import Dose, Events, Evid, Mode, Regimen
from pkpd.errors import DataError, DoseError


def one(regimen, times=(), covariates=None, **more) -> Events:
    return Events.from_regimens([("1", regimen, times, covariates or {})], **more)


def test_doses_come_before_observations_at_one_time():
    events = one(Dose(10) + Dose(20, time=2), [2, 0, 1])
    assert events.time.tolist() == [0, 0, 1, 2, 2]
    assert events.evid.tolist() == [Evid.DOSE, 0, 0, Evid.DOSE, 0]
    assert events.records.tolist() == [1, 2, 4]


def test_each_output_has_a_row_at_each_time():
    events = one(Dose(10), [1, 2], outputs=["cp", "ce"])
    assert events.output.tolist() == [-1, 0, 1, 0, 1]
    assert events.outputs == ("cp", "ce")
    assert one(Dose(10), [1, 2]).output.tolist() == [-1, -1, -1]


def test_modes():
    regimen = Dose(1) + Dose(1, over=0) + Dose(1, over=2) + Dose(1, rate=3) + Dose(0, rate=5, ss=1)
    events = one(regimen)
    assert events.mode.tolist() == [Mode.AUTO, Mode.BOLUS, Mode.DURATION, Mode.RATE, Mode.RATE]
    assert events.dur.tolist() == [0, 0, 2, 0, 0]
    assert events.rate.tolist() == [0, 0, 0, 3, 5]


def test_repeats_stay_on_one_row():
    events = one(Dose(1, every=12, n=3, ss=1))
    assert (events.ii[0], events.addl[0], events.ss[0]) == (12, 2, 1)


def test_routes_and_units_are_numbered():
    events = one(Dose(1, route="iv", unit="mg") + Dose(1) + Dose(1, route="iv", unit="ug"), [1])
    assert events.routes == ("iv", "")
    assert events.route.tolist() == [0, 1, 0, -1]
    assert events.units == ("mg", None, "ug")
    assert events.dose_unit.tolist() == [0, 1, 2, -1]


def test_amounts_per_kg_are_resolved():
    events = Events.from_regimens([(str(w), "0.5 mg/kg iv", [1], {"WT": w}) for w in (60, 80)])
    assert events.amt.tolist() == [30, 0, 40, 0]
    assert events.covariate_values[:, 0].tolist() == [60, 60, 80, 80]
    grams = Events.from_regimens([("1", "0.5 mg/kg iv", [1], {"WT": 60e3})], covariate_units={"WT": "g"})
    assert grams.amt[0] == pytest.approx(30)
    with pytest.raises(DoseError, match="needs the covariate WT"):
        one("0.5 mg/kg iv")


@pytest.mark.parametrize(
    ("carry", "amounts"), [("nocb", [70, 80, 80]), ("locf", [70, 70, 80]), ("linear", [70, 70 + 40 / 6, 80])]
)
def test_a_changing_weight_changes_the_doses(carry: str, amounts: list):
    events = one(Dose(1, per="WT", every=4, n=3), [], {"WT": {0: 70, 6: 80}}, carry=carry)
    assert events.amt[events.evid == Evid.DOSE].tolist() == amounts
    assert (events.evid == Evid.OTHER).sum() == 2


def test_time_units():
    events = Events.from_regimens([("1", "35 mg iv over 40 min", [10], {})], time_unit="min")
    assert (events.dur[0], events.time_unit) == (pytest.approx(40), "min")
    hours = events.in_time_unit("h")
    assert hours.dur[0] == pytest.approx(2 / 3)
    assert hours.time.tolist() == pytest.approx([0, 1 / 6])
    assert one(Dose(1, over=3)).in_time_unit("min").dur[0] == 3
    assert one(Regimen.read("1 mg iv", "min"), [1]).time_unit == "min"


def test_take_is_a_subset_another_order_or_copies():
    events = Events.from_regimens([("a", Dose(1), [1, 2], {"WT": 1}), ("b", Dose(2), [3], {"WT": 2})])
    taken = events.take([1, 0, 1], subjects=["x", "y", "z"])
    assert taken.subjects == ("x", "y", "z")
    assert taken.start.tolist() == [0, 2, 5, 7]
    assert taken.amt.tolist() == [2, 0, 1, 0, 0, 2, 0]
    assert taken.covariate_values[:, 0].tolist() == [2, 2, 1, 1, 1, 2, 2]
    assert events.take([]).time.shape == (0,)


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        one(Dose(1)).time[0] = 3


@pytest.mark.parametrize("times", [[np.nan], [1, np.inf]])
def test_times_are_numbers(times: list):
    with pytest.raises(DataError, match="observation time"):
        one(Dose(1), times)


@pytest.mark.parametrize("value", [np.nan, "heavy", {}, {0: np.nan}])
def test_covariates_are_numbers(value):
    with pytest.raises(DataError, match="covariate WT"):
        one(Dose(1), [1], {"WT": value})


def test_rows_out_of_order_are_refused():
    events = one(Dose(1), [1, 2])
    with pytest.raises(DataError, match="comes after") as error:
        type(events)(**{n: getattr(events, n) for n in events.__dataclass_fields__} | {"time": [0, 2, 1]})
    assert "ID 1" in str(error.value)


def test_prints():
    text = str(one(Dose(35, unit="mg", route="iv", over=2), [1], {"WT": 70}, outputs=["cp"]))
    assert text.splitlines() == [
        "Events(1 subject, 2 rows, 1 observation)",
        "ID  TIME  EVID  AMT  UNIT  ROUTE  DUR  OUTPUT  WT",
        " 1     0     1   35  mg    iv       2  .       70",
        " 1     1     0    .  .     .        .  cp      70",
    ]
    many = Events.from_regimens([(str(i), Dose(1), [1, 2], {}) for i in range(30)])
    assert "more rows" in str(many)
    assert str(Events.from_regimens([])).startswith("Events(0 subjects")
