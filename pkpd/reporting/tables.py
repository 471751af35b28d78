"""Numbers as a reader wants them, and tables as CSV files."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from pkpd.reporting.content import Column, Table

__all__ = ["NONE", "csv_text", "number", "shown"]

MINUS = "\N{MINUS SIGN}"
INFINITY = "\N{INFINITY}"
NONE = "\N{EN DASH}"


def number(value: float, digits: int = 4, decimals: int | None = None) -> str:
    """Write a number: `digits` significant digits or `decimals` decimals, a true minus sign, powers as ``1.2×10⁻⁵``.

    Examples
    --------
    >>> number(-38.7), number(0.25306), number(0.00001234), number(float("inf")), number(-0.04, decimals=1)
    ('−38.7', '0.2531', '1.234×10⁻⁵', '∞', '0.0')
    """
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return INFINITY if value > 0 else MINUS + INFINITY
    if decimals is not None:
        text = f"{value:.{decimals}f}"
        if float(text) == 0:
            text = text.lstrip("-")
        return text.replace("-", MINUS)
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text.replace("-", MINUS)
    mantissa, exponent = text.split("e")
    power = int(exponent)
    if 0 <= power < 6:
        return f"{value:.0f}".replace("-", MINUS)
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{raised}".replace("-", MINUS)


def shown(value: Any, column: Column) -> str:
    """Write one cell: numbers by the column's digits, a pair as an interval, nothing as a dash.

    Examples
    --------
    >>> shown((-54.61, -1.83), Column(name="interval", decimals=1)), shown(None, Column(name="x"))
    ('−54.6 to −1.8', '–')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        low, high = (number(float(end), column.digits, column.decimals) for end in value)
        return f"{low} to {high}"
    return number(float(value), column.digits, column.decimals)


def csv_text(table: Table) -> str:
    """Give a table as CSV: full precision, units in the headings, an interval as two columns, nothing as nothing."""
    ranges = [any(isinstance(row[c], tuple) for row in table.rows) for c in range(len(table.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = ["group"] if table.groups else []
    for column, is_range in zip(table.columns, ranges, strict=True):
        unit = f" ({column.unit})" if column.unit else ""
        header += [f"{column.name} low{unit}", f"{column.name} high{unit}"] if is_range else [f"{column.name}{unit}"]
    writer.writerow(header)
    headings = dict(table.groups)
    group = ""
    for number_, row in enumerate(table.rows):
        group = headings.get(number_, group)
        cells: list[str] = [group] if table.groups else []
        for value, is_range in zip(row, ranges, strict=True):
            parts = (value if isinstance(value, tuple) else (value, value)) if is_range else (value,)
            cells += [_plain(part) for part in parts]
        writer.writerow(cells)
    return out.getvalue()


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int) else f"{float(value):.12g}"
