"""Clock times and calendar dates, turned into hours since a subject's first row."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np

from pkpd.data.findings import Findings
from pkpd.data.table import Cell

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
# The order of the parts in NONMEM's date columns, where the year does not come first by itself.
_ORDER = {"DATE": "mdy", "DAT1": "dmy", "DAT2": "ymd", "DAT3": "ydm"}


def is_clock(cells: Sequence[Cell]) -> bool:
    """Tell whether any cell is a clock time such as 9:30."""
    return any(isinstance(cell, str) and _CLOCK.fullmatch(cell) for cell in cells)


def elapsed_hours(
    times: Sequence[Cell], dates: Sequence[Cell] | None, date_column: str, ids: Sequence[str], found: Findings
) -> np.ndarray:
    """Give hours since the first row of each subject, (R,), NaN where a cell is not understood (and reported)."""
    hours = np.array([_hours(cell, row, found) for row, cell in enumerate(times)])
    if dates is not None:
        hours += 24.0 * np.array([_days(cell, date_column, row, found) for row, cell in enumerate(dates)])
    first: dict[str, float] = {}
    for row, subject in enumerate(ids):
        first.setdefault(subject, hours[row])
    return hours - np.array([first[subject] for subject in ids])


def _hours(cell: Cell, row: int, found: Findings) -> float:
    expected = "Clock times are hours:minutes or hours:minutes:seconds, from 0:00 to 23:59:59."
    if isinstance(cell, str):
        match = _CLOCK.fullmatch(cell)
        if match:
            hour, minute, second = int(match[1]), int(match[2]), float(match[3] or 0)
            if hour < 24 and minute < 60 and second < 60:
                return hour + minute / 60 + second / 3600
        try:
            cell = float(cell)
        except ValueError:
            pass
    if isinstance(cell, float) and 0 <= cell < 24:
        return cell
    found.row(
        "clock",
        row,
        "TIME",
        f"`{cell}` is not a time of day." if cell is not None else "the time is missing.",
        expected,
        'Write every TIME as a clock time, or as a number and leave the dates out: columns={"DATE": None}.',
    )
    return float("nan")


def _days(cell: Cell, column: str, row: int, found: Findings) -> float:
    if isinstance(cell, float) and cell == int(cell):
        return cell
    text = "" if cell is None else str(cell)
    if re.fullmatch(r"-?\d+", text):
        return float(text)
    parts = re.fullmatch(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})", text)
    if parts:
        fields = (parts[1], parts[3], parts[4])
        order = "ymd" if len(parts[1]) == 4 and column != "DAT3" else _ORDER[column]
        by = dict(zip(order, fields))
        year = int(by["y"]) + (_century(int(by["y"])) if len(by["y"]) == 2 else 0)
        if len(by["y"]) in (2, 4):
            try:
                return float(datetime.date(year, int(by["m"]), int(by["d"])).toordinal())
            except ValueError:
                pass
    found.row(
        "date",
        row,
        column,
        f"`{text}` is not a date." if text else "the date is missing.",
        "A date is year-month-day (2024-01-31), a day number, or in NONMEM's order "
        "(DATE month/day/year, DAT1 day/month/year, DAT2 year/month/day, DAT3 year/day/month).",
        "Write dates as 2024-01-31.",
    )
    return float("nan")


def _century(year: int) -> int:
    """A year of two digits is of 1950 to 2049."""
    return 1900 if year >= 50 else 2000
