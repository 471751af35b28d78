"""A table as it was written: cells not yet understood, with the row numbers a user counts by."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkpd.data.comments import comment_lines, left_out
from pkpd.data.findings import Findings
from pkpd.errors import DataError, suggestion

Cell = str | float | None
_NOT_ROWS = ("#", "@", "TABLE NO.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells by column; None where a cell is missing.

    Parameters
    ----------
    origin : str
        Name of the file, or what kind of table it is, for messages.
    path : Path or None
        Of the file.
    sha256 : str
        Of the file's bytes, or of the cells of a table in memory.
    names : tuple of str
        Column names as written.
    cells : tuple of list
        One list a column.
    rows : tuple of int
        Row numbers: lines of a file (the header is usually line 1), positions from 0 in a table in memory.
    notes : tuple of str
        What was left out.
    """

    origin: str
    path: Path | None
    sha256: str
    names: tuple[str, ...]
    cells: tuple[Sequence[Cell], ...]
    rows: tuple[int, ...]
    notes: tuple[str, ...] = ()


def read_table(source: Any, missing: Sequence[str]) -> Table:
    """Read a csv file, or take a pandas or xarray object or a dict of columns.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has rows of unequal length.
    """
    if isinstance(source, (str, Path)):
        return _read_file(Path(source), frozenset(missing))
    if hasattr(source, "to_dataframe"):  # xarray
        source = source.to_dataframe().reset_index()
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # pandas
        names = [str(name) for name in source.columns]
        return _in_memory("the data frame", names, [source.iloc[:, i].tolist() for i in range(len(names))], missing)
    if isinstance(source, Mapping):
        columns = {str(name): values for name, values in source.items()}
        lengths = {name: len(v) for name, v in columns.items() if not isinstance(v, str) and hasattr(v, "__len__")}
        height = max(lengths.values(), default=1)
        uneven = {name: n for name, n in lengths.items() if n != height}
        if uneven:
            raise DataError(
                "columns have unequal lengths: " + ", ".join(f"{name} {n}" for name, n in lengths.items()) + ".",
                where="the table",
                expected="A column has one value a row, or a single value for all rows.",
                remedy="Make the columns equally long.",
            )
        return _in_memory(
            "the table",
            list(columns),
            [list(v) if name in lengths else [v] * height for name, v in columns.items()],
            missing,
        )
    raise DataError(
        f"{type(source).__name__} is not a table.",
        where="read_data",
        expected="A path of a csv file, a pandas DataFrame, an xarray Dataset, or a dict of columns.",
        remedy="Give one of these.",
    )


def _read_file(path: Path, missing: frozenset[str]) -> Table:
    origin = path.name
    try:
        raw = path.read_bytes()
    except OSError as error:
        near = [p.name for p in path.parent.glob("*.csv")] if path.parent.is_dir() else []
        what = "is a folder." if path.is_dir() else "does not exist." if not path.exists() else f"{error.strerror}."
        raise DataError(
            f"the file {what}",
            where=str(path),
            expected=f"Files there: {', '.join(sorted(near)[:10])}." if near else None,
            remedy=suggestion(path.name, near) or "Give the path of a csv file.",
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"byte {raw[error.start]:#04x} is not UTF-8 text.",
            where=f"{origin}, row {row}",
            expected="A csv file is plain text in UTF-8.",
            remedy="Save it as CSV UTF-8.",
        ) from error
    if "\0" in text:
        raise DataError(
            "the file holds binary data.",
            where=origin,
            expected="A csv file is plain text.",
            remedy="Save it as CSV UTF-8.",
        )
    records = list(_records(text))
    if not records:
        raise DataError(
            "the file is empty.",
            where=origin,
            expected="A first line with column names, then the rows.",
            remedy="Check the path, and that the file was written to its end.",
        )
    (line, names), body = records[0], records[1:]
    while names and not names[-1] and all(len(cells) < len(names) or not cells[-1] for _, cells in body):
        names = names[:-1]  # a spreadsheet's trailing commas
        body = [(n, cells[: len(names)]) for n, cells in body]
    _check_header(origin, line, names)
    gone = comment_lines((n, cells[0] if cells and cells[0] not in missing else None) for n, cells in body)
    body = [(n, cells) for n, cells in body if n not in set(gone)]
    found = Findings(origin, [n for n, _ in body])
    for row, (_, cells) in enumerate(body):
        if len(cells) != len(names):
            found.row(
                "cells",
                row,
                None,
                f"{len(cells)} cells, but the header names {len(names)} columns.",
                None,
                "Give every row one cell a column; quote text that holds a comma.",
            )
    found.stop_if_any()
    columns = tuple(
        [None if not cells[i] or cells[i] in missing else cells[i] for _, cells in body] for i in range(len(names))
    )
    return Table(
        origin=origin,
        path=path.resolve(),
        sha256=hashlib.sha256(raw).hexdigest(),
        names=tuple(names),
        cells=columns,
        rows=tuple(n for n, _ in body),
        notes=(left_out(gone, "the line begins with C"),) if gone else (),
    )


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells, without blank lines, comments and titles of NONMEM tables."""
    lines = ["" if line.lstrip().startswith(_NOT_ROWS) else line for line in text.splitlines()]
    header = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in ",\t;" if mark in header), " ")
    if delimiter == " ":
        lines = [line.strip() for line in lines]
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [cell.strip() for cell in cells]


def _check_header(origin: str, line: int, names: list[str]) -> None:
    if any(re.fullmatch(r"[-+.\d]+", name) for name in names):
        raise DataError(
            f"the first line holds values ({', '.join(names[:4])}), not column names.",
            where=f"{origin}, row {line}",
            expected="The first line names the columns, such as ID,TIME,AMT,DV.",
            remedy="Write the column names in a first line (in NONMEM they stand in $INPUT).",
        )
    if "" in names:
        raise DataError(
            f"column {names.index('') + 1} has no name.",
            where=f"{origin}, row {line}",
            expected="The first line names every column.",
            remedy="Name it, or delete the column.",
        )


def _in_memory(origin: str, names: list[str], columns: list[list[Any]], missing: Sequence[str]) -> Table:
    cells = tuple([_plain(value, missing) for value in column] for column in columns)
    digest = hashlib.sha256(repr((names, cells)).encode()).hexdigest()
    height = len(cells[0]) if cells else 0
    return Table(origin=origin, path=None, sha256=digest, names=tuple(names), cells=cells, rows=tuple(range(height)))


def _plain(value: Any, missing: Sequence[str]) -> Cell:
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, str):
        return None if value.strip() in missing else value.strip()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return None if math.isnan(number) else number
