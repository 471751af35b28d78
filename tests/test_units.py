"""Units: reading, comparing, converting, and what is not a unit."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest

from pkpd.errors import UnitError
from pkpd.units import DIMENSIONLESS, Unit, convert, factor, read, same, tidy


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("mg/L", "ng/mL", 1000.0),
        ("d", "h", 24.0),
        ("wk", "d", 7.0),
        ("L/min", "L/h", 60.0),
        ("mg", "ug", 1000.0),
        ("kg", "g", 1000.0),
        ("nmol/mL", "umol/L", 1.0),
        ("%", "1", 0.01),
        ("uM", "nmol/mL", 1.0),
        ("L/h/kg", "mL/min/kg", 1000 / 60),
        ("kg**0.75", "g**0.75", 1000**0.75),
        ("mmHg", "Pa", 133.322387415),
        ("hours", "min", 60.0),
    ],
)
def test_factor(a, b, expected):
    assert factor(a, b) == pytest.approx(expected, rel=1e-12)
    assert factor(b, a) == pytest.approx(1 / expected, rel=1e-12)


def test_powers_of_ten_are_exact():
    assert factor("mg/L", "ng/mL") == 1000.0
    assert convert(0.25305, "mg/L", "ng/mL") == 0.25305 * 1000.0


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("mg/L", "ug/mL", True),
        ("mg/L", "ng/mL", False),
        ("mg", "mmol", False),
        ("1", "", True),
        ("%", "1", False),
        ("µg", "ug", True),
        ("mg/(L*h)", "mg/L/h", True),
        ("1/h", "h**-1", True),
        ("m^2", "m**2", True),
    ],
)
def test_same(a, b, expected):
    assert same(a, b) is expected
    assert (read(a) == read(b)) is expected


def test_algebra_keeps_the_words():
    assert str(read("L/h") * read("mg/L")) == "mg/h"
    assert str(read("mg/h") / read("mg")) == "1/h"
    assert str(read("mg") ** Fraction(1, 2)) == "mg**0.5"
    assert read("mg") / read("mg") == DIMENSIONLESS
    assert repr(read("mg/L")) == "Unit('mg/L')"
    assert hash(read("mg/L")) == hash(read("ug/mL"))
    assert read("mg") != "mg"


def test_text_of_a_unit_reads_back():
    for text in ("mg", "L/h/kg", "ng*h/mL", "kg**0.75", "1/min", "mm**(1/2)", "kg**-0.5", "%"):
        assert read(str(read(text))) == read(text)


@pytest.mark.parametrize(
    "text",
    [
        "L//h",
        "m**",
        "(mg",
        "mg)",
        "70kg",
        "__import__('os')",
        "a.b",
        "mg L",
        "m**999",
        "m**(1/0)",
        "mg**x",
        "/h",
        "mg*",
    ],
)
def test_not_a_unit(text):
    with pytest.raises(UnitError, match="is not a unit"):
        read(text)


@pytest.mark.parametrize("text", ["mgg", "lib", "hh", "qwertz"])
def test_unknown_words(text):
    with pytest.raises(UnitError, match=f"`{text}` is not a unit"):
        read(text)


def test_unknown_word_gets_a_suggestion():
    with pytest.raises(UnitError, match="Did you mean `mg`"):
        read("mgg")


def test_units_with_another_zero_are_refused():
    with pytest.raises(UnitError, match="does not count from zero"):
        read("degC")


def test_long_and_odd_input_is_refused_quickly():
    with pytest.raises(UnitError, match="too long"):
        read("h" * 100_000)
    with pytest.raises(UnitError, match="is a text"):
        read(3)  # type: ignore[arg-type]


def test_different_kinds_cannot_be_converted():
    with pytest.raises(UnitError) as caught:
        factor("mg", "umol")
    assert "mg measures mass, umol measures substance" in str(caught.value)
    assert "molar mass" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ug/mL", "µg/mL"),
        ("m**2", "m²"),
        ("1", ""),
        ("ng*h/mL", "ng·h/mL"),
        ("mg/L", "mg/L"),
        ("min", "min"),
        ("%", "%"),
    ],
)
def test_tidy(text, shown):
    assert tidy(text) == shown


def test_a_unit_is_given_back_as_it_is():
    unit = read("mg")
    assert read(unit) is unit
    assert isinstance(unit, Unit)


def test_common_units_do_not_import_pint():
    code = "import sys; from pkpd.units import factor; factor('mg/L', 'ng/mL'); print('pint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
