"""Plain-text and HTML tables as this room prints them: numbers short, missing values as NONMEM's ``.``."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSING = "."


def short(value: Any, digits: int = 6) -> str:
    """Write a value as a person does: ``0.666667``, ``84``, ``.`` where there is none.

    Examples
    --------
    >>> short(84.0), short(2 / 3), short(None), short(float("nan"))
    ('84', '0.666667', '.', '.')
    """
    if value is None:
        return MISSING
    if isinstance(value, str):
        return value or MISSING
    number = float(value)
    if math.isnan(number):
        return MISSING
    return f"{number:.{digits}g}"


def count(number: int, noun: str) -> str:
    """Write a number of things: ``1 dose``, ``12 doses``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def text_table(columns: Mapping[str, Sequence[str]], *, left: Iterable[str] = ()) -> str:
    """Set strings as a table with a header line; columns named in `left` are set flush left, the others flush right."""
    flush_left = set(left)
    widths = {name: max(len(name), *(len(cell) for cell in cells), 1) for name, cells in columns.items()}
    height = max((len(cells) for cells in columns.values()), default=0)

    def line(cells: Iterable[tuple[str, str]]) -> str:
        padded = (text.ljust(widths[n]) if n in flush_left else text.rjust(widths[n]) for n, text in cells)
        return "  ".join(padded).rstrip()

    lines = [line((name, name) for name in columns)]
    lines += [line((name, cells[i]) for name, cells in columns.items()) for i in range(height)]
    return "\n".join(lines)


def html_table(columns: Mapping[str, Sequence[str]], caption: str = "") -> str:
    """Set the same table for a notebook."""
    height = max((len(cells) for cells in columns.values()), default=0)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(cells[i])}</td>" for cells in columns.values()) + "</tr>"
        for i in range(height)
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
