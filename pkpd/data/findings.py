"""All that is wrong with a table, gathered while it is read and checked, told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index
from typing import SupportsIndex

from pkpd.errors import DataError, Finding, raise_all

_UNREADABLE = ("text", "nan", "whole", "time", "clock", "date")
# What cannot be judged where a cell of a column could not be read.
_FOLLOWS: dict[str, tuple[str | None, ...]] = {
    "EVID": ("AMT", "RATE", "DUR", "II", "ADDL", "SS", "CMT", "DV", "MDV", "CENS", "N", "SD", "SE", "TIME", None),
    "AMT": ("EVID", "RATE", "DUR", "DV", "MDV", None),
    "RATE": ("AMT", "DUR", "SS"),
    "DUR": ("AMT", "RATE"),
    "II": ("ADDL", "SS"),
    "ADDL": ("II", "SS"),
    "SS": ("AMT", "II", "ADDL", "RATE"),
    "DV": ("MDV", "CENS", None),
    "MDV": ("DV", None),
    "CENS": ("DV",),
    "LLOQ": ("CENS",),
    "ULOQ": ("CENS", "LLOQ"),
    "SD": ("SE",),
    "N": ("SE",),
    "DATE": ("TIME",),
}
SHOWN = 5  # of one kind; the rest is counted, so that a shifted column does not print a thousand lines


@dataclass(slots=True)
class Findings:
    """Findings about the rows of one table.

    Parameters
    ----------
    origin : str
        Name of the file or table.
    rows : sequence of int
        Number of each row as the user counts it.
    ids : list of str
        ID of each row, filled in when known.
    unreadable : set of (int, str or None)
        Row and column of cells that could not be read, and of what follows from them: no further rule is held against
        them.
    reading : bool
        Whether cells are still being read.
    """

    origin: str
    rows: Sequence[int]
    ids: Sequence[str] = ()
    kept: dict[tuple[str, str | None], list[tuple[int, Finding]]] = field(default_factory=dict)
    more: dict[tuple[str, str | None], int] = field(default_factory=dict)
    unreadable: set[tuple[int, str | None]] = field(default_factory=set)
    reading: bool = True

    def row(
        self,
        code: str,
        at: SupportsIndex,
        column: str | None,
        what: str,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Add something wrong in one row (its position in the table)."""
        row = index(at)
        if self.reading and code in _UNREADABLE:
            self.unreadable |= {(row, name) for name in (column, *_FOLLOWS.get(str(column), ()))}
        elif (row, column) in self.unreadable:
            return
        key = (code, column)
        found = self.kept.setdefault(key, [])
        if len(found) == SHOWN:
            self.more[key] = self.more.get(key, 0) + 1
            return
        where = f"{self.origin}, row {self.rows[row]}"
        if row < len(self.ids) and self.ids[row]:
            where += f", ID {self.ids[row]}"
        if column:
            where += f", column {column}"
        found.append((row, Finding(code=code, where=where, what=what, expected=expected, remedy=remedy)))

    def table(self, code: str, what: str, expected: str | None = None, remedy: str | None = None) -> None:
        """Add something wrong with the whole table."""
        finding = Finding(code=code, where=self.origin, what=what, expected=expected, remedy=remedy)
        self.kept.setdefault((code, what), []).append((-1, finding))

    def close_reading(self) -> None:
        """Say that reading is over: from here on, what could not be read, and what follows from it, is left alone."""
        self.reading = False

    def all(self) -> list[Finding]:
        """List the findings in order of rows, with a line for those of a kind that are only counted."""
        listed = [finding for _, finding in sorted(self._kept(), key=lambda pair: pair[0])]
        for (code, column), number in self.more.items():
            place = f", column {column}" if column else ""
            rows = "row" if number == 1 else "rows"
            listed.append(Finding(code=code, where=f"{self.origin}{place}", what=f"{number} more {rows} like this."))
        return listed

    def stop_if_any(self) -> None:
        """Raise one DataError with all findings, if there are any."""
        listed = self.all()
        if listed:
            raise_all(DataError, listed)

    def _kept(self) -> list[tuple[int, Finding]]:
        return [pair for found in self.kept.values() for pair in found]
