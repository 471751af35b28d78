from __future__ import annotations

import pytest

from pkpd.data import Dose, Regimen
from pkpd.errors import DoseError


def test_every():
    assert Regimen.every(84, amount=35, n=8, over=2 / 3, route="iv") == Regimen(
        (Dose(35, every=84, n=8, over=2 / 3, route="iv"),)
    )


def test_a_sum_is_sorted_and_keeps_the_order_at_one_time():
    a, b, c = Dose(1, time=5), Dose(2), Dose(3)
    assert (a + b + c).doses == (b, c, a)
    assert (Regimen((a,)) + Regimen((b,)) + c).doses == (b, c, a)


def test_shift_repeat_scale():
    two = Dose(1) + Dose(2, time=1, rate=4)
    assert [d.time for d in two.shift(10)] == [10, 11]
    assert [d.time for d in two.repeat(3, every=24)] == [0, 1, 24, 25, 48, 49]
    assert [(d.amount, d.rate) for d in two.scale(2)] == [(2, None), (4, 8)]
    assert two.repeat(3, every=24).count == 6


def test_written_out():
    assert [d.time for d in Regimen.every(12, amount=1, n=3).expand()] == [0, 12, 24]
    assert Regimen.every(12, amount=1, n=3).last == 24


def test_time_units_are_converted_or_taken_over():
    hours = Regimen((Dose(10, time=2, over=1, every=24, n=2),), time_unit="h")
    minutes = hours.in_time_unit("min")
    assert minutes.doses[0] == Dose(10, time=120, over=60, every=1440, n=2)
    assert Regimen((Dose(10, rate=6),), time_unit="h").in_time_unit("min").doses[0].rate == pytest.approx(0.1)
    assert (minutes + hours).time_unit == "min"
    assert (minutes + hours).doses[0] == (minutes + hours).doses[1]
    assert Regimen((Dose(1, over=3),)).in_time_unit("min").doses[0].over == 3


def test_of_takes_what_a_user_writes():
    dose = Dose(35, route="iv", unit="mg")
    assert Regimen.of(dose) == Regimen((dose,)) == Regimen.of([dose])
    assert Regimen.of("35 mg iv", "min").doses == (dose,)
    assert Regimen.of(Regimen((dose,))) == Regimen((dose,))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda r: r.shift(float("nan")),
        lambda r: r.repeat(0, every=2),
        lambda r: r.repeat(2, every=0),
        lambda r: r.scale(0),
        lambda r: r.scale(-1),
        lambda r: r.in_time_unit("mg"),
        lambda r: Regimen((1,)),
        lambda r: Regimen((), time_unit="parsec"),
    ],
)
def test_refusals(wrong):
    with pytest.raises(DoseError):
        wrong(Regimen((Dose(1, time=1),), time_unit="h"))


def test_prints_as_a_nonmem_table():
    regimen = Regimen.every(84, amount=35, n=8, over=2 / 3, route="iv") + Dose(0.5, unit="mg/kg", route="nasal", time=3)
    assert str(regimen).splitlines() == [
        "Regimen of 9 doses",
        "TIME  AMT  UNIT   ROUTE       DUR  II  ADDL",
        "   0   35  .      iv     0.666667  84     7",
        "   3  0.5  mg/kg  nasal         .   .     .",
    ]
    assert str(Regimen(())) == "Regimen of no dose"
    assert "<table>" in regimen._repr_html_()
    assert repr(Regimen.read("35 mg iv over 40 min")) == "Regimen(35 mg iv over 0.666667 h)"
