"""Rows that a file marks as comments, as NONMEM's IGNORE reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkpd.data.table import Cell, Table

# NONMEM's IGNORE=C: a C before the first cell, or instead of it.
_MARK = re.compile(r"[Cc](\s*[-+.\d].*)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")
_SHOWN = 8


def comment_lines(first_cells: Iterable[tuple[int, Cell]]) -> list[int]:
    """Give the numbers of the lines that begin with C in a table whose other lines begin with a number.

    Parameters
    ----------
    first_cells : iterable of (line number, cell)
        The first cell of each line; None where it is missing.

    Examples
    --------
    >>> comment_lines([(2, "1"), (3, "C1"), (4, "C"), (5, "2")])
    [3, 4]
    >>> comment_lines([(2, "C1"), (3, "C2")])
    []
    """
    known = [(line, str(cell) if cell is not None else "") for line, cell in first_cells]
    marked = [line for line, cell in known if _MARK.fullmatch(cell)]
    others = [cell for _, cell in known if not _MARK.fullmatch(cell)]
    return marked if others and all(not cell or _NUMBER.fullmatch(cell) for cell in others) else []


def leave_out(table: Table, columns: Mapping[str, str | None]) -> Table:
    """Leave out the rows that a column IGN, IGNORE or C marks, and the column.

    A row is marked by anything but 0 in IGN or IGNORE, by the letter C in a column C that holds nothing else. A column
    that `columns` names is left alone.
    """
    for place, name in enumerate(table.names):
        if name in columns or name.upper() not in ("IGN", "IGNORE", "C"):
            continue
        cells = table.cells[place]
        if name.upper() == "C":
            if {str(cell).upper() for cell in cells if cell is not None} != {"C"}:
                continue
            kept = [row for row, cell in enumerate(cells) if cell is None]
        else:
            kept = [row for row, cell in enumerate(cells) if cell is None or _is_zero(cell)]
        gone = [table.rows[row] for row in sorted(set(range(len(cells))) - set(kept))]
        table = replace(
            table,
            names=tuple(n for i, n in enumerate(table.names) if i != place),
            cells=tuple([column[row] for row in kept] for i, column in enumerate(table.cells) if i != place),
            rows=tuple(table.rows[row] for row in kept),
            notes=(*table.notes, *([left_out(gone, f"marked by the column {name}")] if gone else [])),
        )
        return leave_out(table, columns)
    return table


def left_out(rows: list[int], why: str) -> str:
    """Say which rows were left out, as a note."""
    shown = ", ".join(map(str, rows[:_SHOWN])) + (", …" if len(rows) > _SHOWN else "")
    return f"Left out ({why}): {'row' if len(rows) == 1 else 'rows'} {shown}."


def _is_zero(cell: Cell) -> bool:
    try:
        return float(cell or 0) == 0
    except ValueError:
        return False
