"""From cells to numbers and labels, column by column."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pkpd.data.clock import elapsed_hours, is_clock
from pkpd.data.columns import ALIASES, DATES, LABELS, MEANING, NUMBERS, WHOLE
from pkpd.data.findings import Findings
from pkpd.data.table import Cell, Table
from pkpd.errors import did_you_mean, suggestion

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")  # D: how Fortran writes an exponent
_BELOW = re.compile(r"<.*|blq|bql|bloq|bdl|nd|l?loq", re.IGNORECASE)  # <0.1, BLQ
_NOT_A_NUMBER = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(slots=True)
class Parsed:
    """Numbers (R,) float by column, labels (list of R str) by column, covariates (R,) float by name."""

    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    covariates: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    clock: bool = False


def parse(table: Table, columns: Mapping[str, str | None], found: Findings) -> Parsed:
    """Read every column for what it is; what cannot be read goes to `found`."""
    parsed = Parsed(notes=list(table.notes))
    cells = _named(table, columns, found, parsed.notes)
    for name in LABELS:
        if name in cells:
            parsed.labels[name] = [_label(cell) for cell in cells.pop(name)]
    if "ID" not in parsed.labels:
        parsed.labels["ID"] = ["1"] * len(table.rows)
        parsed.notes.append("No ID column: all rows are taken as one subject, `1`.")
    found.ids = parsed.labels["ID"]
    dates = [name for name in DATES if name in cells]
    if len(dates) > 1:
        found.table("date", f"two columns of dates: {', '.join(dates)}.", None, "Keep one of them.")
    date_cells = cells.pop(dates[0]) if dates else None
    for name in dates[1:]:
        cells.pop(name)
    if "TIME" in cells and (date_cells is not None or is_clock(cells["TIME"])):
        times = elapsed_hours(cells.pop("TIME"), date_cells, dates[0] if dates else "", found.ids, found)
        parsed.numbers["TIME"], parsed.clock = times, True
        parsed.notes.append("TIME is hours since the first row of each subject, from clock times.")
    for name in [name for name in NUMBERS if name in cells]:
        parsed.numbers[name] = _numbers(cells.pop(name), name, found)
    for name, column in cells.items():
        _covariate(name, column, parsed, found)
    return parsed


def _named(
    table: Table, columns: Mapping[str, str | None], found: Findings, notes: list[str]
) -> dict[str, Sequence[Cell]]:
    """Give the cells by our names: renamed as asked, upper case, other programs' names understood."""
    for theirs, ours in columns.items():
        if theirs not in table.names:
            hint = suggestion(theirs, table.names)
            if ours in table.names:
                hint = f'Write it the other way round: columns={{"{ours}": "{theirs}"}}.'
            found.table(
                "columns",
                f"there is no column `{theirs}` to be read as {ours}.",
                f"Columns of the table: {', '.join(table.names)}.",
                hint or "Name one of these.",
            )
    named: dict[str, Sequence[Cell]] = {}
    written: dict[str, str] = {}
    for theirs, column in zip(table.names, table.cells):
        ours = columns.get(theirs, theirs.upper())
        if ours is None:
            continue
        ours = ours.upper()
        if theirs not in columns and ours not in MEANING and ours in ALIASES and ALIASES[ours] not in _upper(table):
            notes.append(f"Column {theirs} is read as {ALIASES[ours]}.")
            ours = ALIASES[ours]
        if not re.fullmatch(r"[A-Z_]\w*", ours):
            notes.append(f"Column `{theirs}` is not used: its name is not a plain word.")
            continue
        if ours in named:
            found.table(
                "duplicate",
                f"two columns are {ours}: `{written[ours]}` and `{theirs}`.",
                None,
                f'Delete one, or leave it out with columns={{"{theirs}": None}}.',
            )
            continue
        named[ours], written[ours] = column, theirs
    if "TIME" not in named:
        near = did_you_mean("TIME", table.names) or next(iter(table.names), "time")
        found.table(
            "columns",
            "there is no column TIME.",
            f"Columns of the table: {', '.join(table.names) or 'none'}.",
            f'Say which it is: columns={{"{near}": "TIME"}}.',
        )
        found.stop_if_any()
    return named


def _upper(table: Table) -> set[str]:
    return {name.upper() for name in table.names}


def _label(cell: Cell) -> str:
    """Give a name or number as text: 1, 1.0 and "1" are the same subject."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return f"{cell:.15g}"
    if re.fullmatch(r"\d\.\d+[EDed][-+]\d\d", cell):  # a number as NONMEM's tables write it
        return f"{float(cell.upper().replace('D', 'E')):.15g}"
    return re.sub(r"^(\d+)\.0*$", r"\1", cell)


def _numbers(cells: Sequence[Cell], name: str, found: Findings) -> np.ndarray:
    values = np.full(len(cells), NUMBERS.get(name, float("nan")))
    remedy = "Correct the cell, or write . where it is missing."
    said = f"{name}: {MEANING[name]}." if name in MEANING else None
    if name == "DV":
        remedy += " Answers in words need numbers: yes is 1 and no 0; levels are such as 0, 1, 2."
    for row, cell in enumerate(cells):
        if cell is None:
            if name == "TIME":
                found.row("time", row, name, "the time is missing.", None, "Give every row a time.")
            continue
        if isinstance(cell, str):
            if _NOT_A_NUMBER.fullmatch(cell):
                found.row(
                    "nan", row, name, f"`{cell}` where a number is needed.", None, "Write . where a value is missing."
                )
                continue
            if not _NUMBER.fullmatch(cell):
                hint = "Decimals are written with a point." if re.fullmatch(r"[-+]?\d+,\d+", cell) else None
                if name == "DV" and _BELOW.fullmatch(cell):
                    hint = "Below a limit, an observation has CENS 1 and the limit in LLOQ, or MDV 1 to leave it out."
                found.row("text", row, name, f"`{cell}` is not a number.", hint or said, remedy)
                continue
        value = float(cell.upper().replace("D", "E") if isinstance(cell, str) else cell)
        if math.isinf(value):
            found.row("nan", row, name, f"`{cell}` is not finite.", None, "Correct the cell.")
        elif name in WHOLE and value != int(value):
            found.row("whole", row, name, f"{cell} is not a whole number.", None, remedy)
        else:
            values[row] = value
    return values


def _covariate(name: str, cells: Sequence[Cell], parsed: Parsed, found: Findings) -> None:
    """Take a column of numbers as a covariate; one of texts is set aside, with a note; a mixture is wrong."""
    present = [cell for cell in cells if cell is not None]
    texts = [c for c in present if isinstance(c, str) and not (_NUMBER.fullmatch(c) or _NOT_A_NUMBER.fullmatch(c))]
    if not present:
        parsed.notes.append(f"Column {name} is empty and not used.")
    elif len(texts) == len(present):
        parsed.notes.append(f"Column {name} holds text and is not used.")
    else:
        parsed.covariates[name] = _numbers(cells, name, found)
