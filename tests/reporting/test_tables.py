"""Numbers and tables as they are shown and as they are written."""

from __future__ import annotations

import csv
import io

import pytest

from pkpd.reporting.content import Column, Table
from pkpd.reporting.tables import csv_text, number, shown


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (84.0, {}, "84"),
        (-0.0, {"decimals": 1}, "0.0"),
        (-38.7, {"decimals": 1}, "−38.7"),
        (123456.0, {"digits": 3}, "123456"),
        (1.21e-19, {"digits": 3}, "1.21×10⁻¹⁹"),
        (float("nan"), {}, "–"),
        (float("-inf"), {}, "−∞"),
    ],
)
def test_numbers_are_written_for_people(value, options, text):
    assert number(value, **options) == text


def test_cells_know_what_they_hold():
    column = Column(name="x", decimals=1)
    assert shown(None, column) == "–"
    assert shown(True, column) == "yes"
    assert shown("text", column) == "text"
    assert shown((-1.0, 2.0), column) == "−1.0 to 2.0"


def test_csv_keeps_every_digit_and_splits_intervals():
    table = Table(
        name="t",
        caption="",
        columns=(Column(name="case", kind="text"), Column(name="part", unit="%", decimals=0), Column(name="interval")),
        rows=(("a, b", 1 / 3, (0.1, float("inf"))), ("c", None, None)),
        groups=((1, "second"),),
    )
    header, first, second = list(csv.reader(io.StringIO(csv_text(table))))
    assert header == ["group", "case", "part (%)", "interval low", "interval high"]
    assert first == ["", "a, b", "0.333333333333", "0.1", "inf"]
    assert second == ["second", "c", "", "", ""]
