from __future__ import annotations

import math

import pytest

from pkpd.data import Dose
from pkpd.data.dose import resolve
from pkpd.errors import DoseError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"amount": -5}, "The amount is -5."),
        ({"amount": 0}, "The amount is 0."),
        ({"amount": math.nan}, "not a finite number"),
        ({"amount": math.inf}, "not a finite number"),
        ({"amount": "35"}, "not a finite number"),
        ({"amount": True}, "not a finite number"),
        ({"amount": 1, "time": math.nan}, "time is nan"),
        ({"amount": 1, "over": -1}, "duration (over) is -1"),
        ({"amount": 1, "rate": 0}, "The rate is 0."),
        ({"amount": 1, "over": 1, "rate": 1}, "Both a duration"),
        ({"amount": 1, "every": 12}, "without a number"),
        ({"amount": 1, "every": -12, "n": 2}, "interval (every) is -12"),
        ({"amount": 1, "n": 3}, "without the time between"),
        ({"amount": 1, "n": 0}, "n is 0"),
        ({"amount": 1, "n": 1.5, "every": 2}, "not a whole number"),
        ({"amount": 1, "ss": 3}, "ss is 3"),
        ({"amount": 1, "ss": 1}, "needs the time between doses"),
        ({"amount": 0, "rate": 5, "ss": 1, "n": 2}, "cannot be repeated"),
        ({"amount": 1, "unit": "mgg"}, "`mgg` is not a unit"),
        ({"amount": 1, "route": ""}, "not a name"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, says: str):
    amount = arguments.pop("amount")
    with pytest.raises(DoseError) as error:
        Dose(amount, **arguments)
    assert says in str(error.value)
    assert "Dose(" in str(error.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(DoseError) as error:
        Dose(-1, over=-1, n=0)
    assert len(error.value.findings) == 3


def test_an_endless_infusion_has_no_amount():
    assert Dose(0, rate=5, ss=1).amount == 0


def test_a_dose_is_a_value():
    assert Dose(35, route="iv") == Dose(35.0, route="iv")
    assert hash(Dose(35)) == hash(Dose(35.0))


def test_mg_per_kg_is_short_for_per_weight():
    assert Dose(0.5, unit="mg/kg") == Dose(0.5, unit="mg", per="WT")


@pytest.mark.parametrize(
    ("dose", "sentence"),
    [
        (Dose(35, over=2 / 3, route="iv", unit="mg"), "35 mg iv over 0.666667 h"),
        (Dose(0.5, route="ketamine.iv", unit="mg/kg", over=0), "0.5 mg/kg ketamine iv bolus"),
        (Dose(56, route="nasal", unit="mg", every=84, n=8, time=3), "56 mg nasal every 84 h x 8 from 3 h"),
        (Dose(10, unit="mg", rate=2, every=12, ss=1), "10 mg at 2 mg/h every 12 h at steady state"),
    ],
)
def test_sentences(dose: Dose, sentence: str):
    assert dose.sentence("h") == sentence


def test_repr_can_be_evaluated():
    dose = Dose(0.5, time=3, route="iv", over=2, unit="mg", per="WT", every=12, n=3, ss=2)
    assert eval(repr(dose)) == dose


def test_written_out_doses():
    dose = Dose(10, every=12, n=3, ss=1, time=2)
    assert [(d.time, d.ss, d.n) for d in dose.expand()] == [(2, 1, 1), (14, 0, 1), (26, 0, 1)]
    assert dose.addl == 2
    assert dose.last == 26


def test_resolve_multiplies_the_covariate_in():
    dose = Dose(0.5, unit="mg/kg", rate=0.1)
    found = resolve(dose, {"WT": 70}, {}, "here")
    assert (found.amount, found.rate, found.per, found.unit) == (35, 7, None, "mg")
    assert resolve(dose, {"WT": 70000}, {"WT": "g"}, "here").amount == pytest.approx(35)


@pytest.mark.parametrize("covariates", [{}, {"AGE": 30}, {"WT": math.nan}, {"WT": -1}])
def test_resolve_needs_the_covariate(covariates: dict):
    with pytest.raises(DoseError, match="needs the covariate WT") as error:
        resolve(Dose(0.5, unit="mg/kg"), covariates, {}, "ID 7")
    assert error.value.where == "ID 7"


def test_resolve_refuses_a_unit_that_does_not_fit():
    with pytest.raises(DoseError, match="needs WT in kg"):
        resolve(Dose(0.5, unit="mg/kg"), {"WT": 70}, {"WT": "h"}, "here")
