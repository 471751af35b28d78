from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkpd.data import Dose, Regimen
from pkpd.data.sentence import read_sentence, read_time
from pkpd.errors import DoseError


@pytest.mark.parametrize(
    ("text", "doses"),
    [
        ("0.5 mg/kg iv over 40 min", [Dose(0.5, unit="mg/kg", route="iv", over=40 / 60)]),
        ("56 mg nasal every 84 h x 8", [Dose(56, unit="mg", route="nasal", every=84, n=8)]),
        ("35mg iv over 40min", [Dose(35, unit="mg", route="iv", over=40 / 60)]),
        ("35 mg", [Dose(35, unit="mg")]),
        ("100 mg iv bolus", [Dose(100, unit="mg", route="iv", over=0)]),
        ("100 mg iv at 10 mg/h", [Dose(100, unit="mg", route="iv", rate=10)]),
        ("1 g iv at 10 mg/min at 3 h", [Dose(1, unit="g", route="iv", rate=0.6, time=3)]),
        ("10 ug oral every day ×8 from 24 h", [Dose(10, unit="ug", route="oral", every=24, n=8, time=24)]),
        ("10 mg gut every 2 weeks 4 times", [Dose(10, unit="mg", route="gut", every=336, n=4)]),
        ("10 mg iv every 12 h at steady state", [Dose(10, unit="mg", route="iv", every=12, ss=1)]),
        ("10 mg of ketamine oral at day 3", [Dose(10, unit="mg", route="ketamine.oral", time=72)]),
        ("10 mg iv infusion over 2 h", [Dose(10, unit="mg", route="iv", over=2)]),
        ("1 mg iv; 2 mg oral;", [Dose(1, unit="mg", route="iv"), Dose(2, unit="mg", route="oral")]),
        ("1 mg iv and 2 mg oral", [Dose(1, unit="mg", route="iv"), Dose(2, unit="mg", route="oral")]),
        (
            "0.5 mg/kg ketamine iv over 40 min then 0.045 mg/kg midazolam iv over 40 min at day 14",
            [
                Dose(0.5, unit="mg/kg", route="ketamine.iv", over=40 / 60),
                Dose(0.045, unit="mg/kg", route="midazolam.iv", over=40 / 60, time=336),
            ],
        ),
    ],
)
def test_reads(text: str, doses: list[Dose]):
    read = read_sentence(text, "h")
    assert list(map(repr, read)) == list(map(repr, doses))  # to six digits


def test_times_are_converted_to_the_unit_asked_for():
    (dose,) = read_sentence("1 mg iv over 2 h every day x 2 at 3 h", "min")
    assert (dose.over, dose.every, dose.time) == pytest.approx((120, 1440, 180))


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("iv", 1, "`iv` is not understood here"),
        ("35 iv over 40 min", 4, "`iv` is not a unit of amount"),
        ("35 h iv", 4, "`h` is not a unit of amount"),
        ("-5 mg iv", 1, "An amount of -5 cannot be"),
        ("0 mg iv", 1, "greater than 0"),
        ("nan mg iv", 1, "`nan` is not understood"),
        ("1e999 mg iv", 1, "An amount of 1e999 cannot be"),
        ("0,5 mg iv", 2, "Decimals have a point"),
        ("35 mg iv over", 14, "The text ends too early"),
        ("35 mg iv over 40 mns", 18, "Did you mean `mins`?"),
        ("35 mg iv over -3 h", 15, "A duration of -3 cannot be"),
        ("35 mg iv ovr 40 min", 10, "Did you mean `over`?"),
        ("35 mg/lb iv", 7, "per kg (body weight, WT)"),
        ("35 mg iv every 84 h", 10, "how many doses"),
        ("35 mg iv every 84 h x 0", 23, "A number of doses of 0"),
        ("35 mg iv every 84 h x 1.5", 23, "whole number"),
        ("35 mg iv at 3", 14, "unit of time is missing"),
        ("35 mg iv then 3 mg iv", 15, "not said when"),
        ("35 mg iv at 1 h; 3 mg iv", 18, "not said when"),
        ("35 mg iv and 3 mg iv at 3 h", 14, "Say when for both"),
        ("35 mg a b c", 11, "one word too many"),
        ("35 mg iv over 3 h over 4 h", 19, "says again"),
        ("35 mg iv at 3 mg/kg/h", 15, "per the same thing"),
        ("35 mg iv at 3 nmol/h", 15, "does not fit"),
        ("35 mg iv over 2 h at 10 mg/h", 1, "Give one"),
        ("35 mg iv $", 10, "`$` is not understood"),
    ],
)
def test_points_at_what_is_wrong(text: str, column: int, says: str):
    with pytest.raises(DoseError) as error:
        read_sentence(text, "h")
    message = str(error.value)
    assert says in message
    assert message.startswith(f"the dose, column {column}: ")
    assert message.splitlines()[2] == " " * (3 + column) + "^"


@pytest.mark.parametrize("text", ["", "   "])
def test_no_dose(text: str):
    with pytest.raises(DoseError, match="no dose in this text"):
        read_sentence(text, "h")


def test_unknown_time_unit_of_the_model():
    with pytest.raises(DoseError, match="`mg` is not a unit of time"):
        read_sentence("35 mg", "mg")


WORDS = [
    "35",
    "mg",
    "/",
    "kg",
    "iv",
    "over",
    "40",
    "min",
    "every",
    "x",
    "8",
    "at",
    "day",
    "then",
    ";",
    "-",
    "h",
    "(",
    "é",
]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_any_text_is_a_regimen_or_an_error_in_plain_words(text: str):
    try:
        regimen = Regimen.read(text)
    except DoseError as error:
        assert str(error)
    else:
        assert regimen.count >= 1


@given(
    st.floats(1e-3, 1e4), st.sampled_from([None, "WT"]), st.sampled_from([None, "iv", "ketamine.iv"]),
    st.sampled_from([None, 0.0, 2.5]), st.sampled_from([(None, 1), (84.0, 8)]), st.floats(0, 1000),
)  # fmt: skip
def test_what_is_printed_reads_back(amount, per, route, over, repeats, time):
    every, n = repeats
    dose = Dose(amount, unit="mg", per=per, route=route, over=over, every=every, n=n, time=time)
    (back,) = read_sentence(dose.sentence("h"), "h")
    assert back.amount == pytest.approx(dose.amount, rel=1e-5)
    assert back.time == pytest.approx(dose.time, rel=1e-5)
    assert (back.per, back.route, back.over, back.every, back.n) == (per, route, over, every, n)


def test_steady_state_in_any_case_and_of_its_own_dose():
    (dose,) = Regimen.read("35 mg iv every 24 h at Steady State").doses
    assert (dose.ss, dose.every) == (1, 24)
    with pytest.raises(DoseError, match="how many doses"):
        Regimen.read("35 mg iv every 24 h; 20 mg iv every 12 h at steady state")


@pytest.mark.parametrize(("text", "hours"), [("40 min", 2 / 3), ("-1 h", -1.0), ("day 14", 336.0), ("2 weeks", 336.0)])
def test_a_time_alone(text: str, hours: float) -> None:
    assert read_time(text, "h") == pytest.approx(hours)


@pytest.mark.parametrize("text", ["", "40", "soon", "40 min 3", "3 mg"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(DoseError):
        read_time(text, "h")
