"""Data files and tables become data sets; everything wrong with them is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pkpd import units as unit_room
from pkpd.data.check import check
from pkpd.data.comments import leave_out
from pkpd.data.covariates import check_carry
from pkpd.data.dataset import Dataset
from pkpd.data.findings import Findings
from pkpd.data.parse import parse
from pkpd.data.records import interpret
from pkpd.data.table import read_table
from pkpd.errors import DataError, Finding, UnitError, raise_all, suggestion


def read_data(
    source: str | Path | Mapping[str, Any] | Any,
    *,
    units: Mapping[str, str | Mapping[str, str]] | None = None,
    columns: Mapping[str, str | None] | None = None,
    carry: str = "nocb",
    missing: Sequence[str] = (".", "NA", ""),
) -> Dataset:
    """Read a data set with NONMEM's columns from a csv file, a pandas or xarray object, or a dict of columns.

    Parameters
    ----------
    source : path, DataFrame, xarray.Dataset or mapping
        A file has a line of column names (quoted or not, any case), separated by commas, tabs, semicolons or spaces.
        Lines that begin with ``#`` or ``@`` are left out, and, with a note, lines that begin with ``C`` where all
        others begin with a number, and rows that a column IGN, IGNORE or C marks.
    units : mapping, optional
        Units of columns, such as ``{"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}``; for several outputs
        ``"DV": {"1": "mg/L", "2": "ng/mL"}``. What is not stated is taken to be in the model's units.
    columns : mapping, optional
        Other names: theirs to ours, such as ``{"conc": "DV"}``; None leaves a column out.
    carry : "nocb", "locf" or "linear"
        How a covariate holds between rows: the next value back (NONMEM's rule), the last value on, or on a straight
        line from one value to the next.
    missing : sequence of str
        Cells that say nothing.

    Returns
    -------
    Dataset
        Columns that are no column of NONMEM's are covariates if they hold numbers; if they hold text they are left
        out, with a note.

    Raises
    ------
    DataError
        With every row that breaks a rule: where, what, what was expected, what to do.

    Examples
    --------
    >>> data = read_data({"TIME": [0, 1, 2], "AMT": [100, ".", "."], "DV": [".", 4.5, 3.1]})
    >>> data
    Dataset(the table: 1 subject, 3 rows, 1 dose, 2 observations)
    """
    table = leave_out(read_table(source, missing), columns or {})
    check_carry(carry, table.origin)
    found = Findings(table.origin, table.rows)
    parsed = parse(table, columns or {}, found)
    found.close_reading()
    stated = dict(units or {})
    if parsed.clock:
        unit = str(stated.setdefault("TIME", "h"))
        parsed.numbers["TIME"] = parsed.numbers["TIME"] * _time_factor(unit, table.origin)
    records = interpret(parsed, found)
    check(records, found, parsed.notes)
    found.stop_if_any()

    _check_units(stated, parsed.covariates, records, table.origin)
    amount_unit = str(stated.get("AMT", ""))
    doses = records["ROUTE"] if len(records["ROUTE"]) else np.zeros(0, dtype=str)
    records["UNIT"] = np.full(len(doses), amount_unit)
    records["ROW"] = np.array(table.rows, dtype=np.int64)
    return Dataset(
        columns=records,
        covariates=parsed.covariates,
        units=stated,
        carry=carry,
        origin=table.origin,
        path=table.path,
        sha256=table.sha256,
        notes=tuple(parsed.notes),
    )


_WITH_UNITS = ("TIME", "AMT", "DV")


def _check_units(
    stated: Mapping[str, Any], covariates: Mapping[str, np.ndarray], records: Mapping[str, np.ndarray], origin: str
) -> None:
    findings: list[Finding] = []
    can = (*_WITH_UNITS, *covariates)
    for name, unit in stated.items():
        if name not in can:
            what = f"units: there is no column {name} that has a unit."
            expected = f"Columns with units: {', '.join(can)}."
            remedy = suggestion(name, can) or "Name one of these."
            findings.append(Finding(code="units", where=origin, what=what, expected=expected, remedy=remedy))
        elif name == "DV" and isinstance(unit, Mapping):
            findings += _outputs_without(unit, records["DVID"], origin)
            findings += [f for text in unit.values() for f in _not_a_unit(name, text, origin)]
        else:
            findings += _not_a_unit(name, unit, origin)
    if findings:
        raise_all(DataError, findings)


def _outputs_without(unit: Mapping[str, str], dvid: np.ndarray, origin: str) -> list[Finding]:
    known = sorted({str(name).lstrip("#") for name in dvid} - {""})
    return [
        Finding(
            code="units",
            where=origin,
            what=f"units: no observation has DVID {key}.",
            expected=f"DVID: {', '.join(known) or 'none'}.",
            remedy="Name one of these.",
        )
        for key in unit
        if str(key).lstrip("#") not in known
    ]


def _not_a_unit(name: str, text: Any, origin: str) -> list[Finding]:
    kind = " of time" if name == "TIME" else ""
    try:
        unit_room.factor(text, "h") if kind else unit_room.read(text)
    except (UnitError, TypeError, AttributeError) as error:
        what = f"units: `{text}` is not a unit{kind}."
        remedy = getattr(error, "remedy", None) or "Give it as text, such as mg/L."
        return [Finding(code="units", where=f"{origin}, column {name}", what=what, remedy=remedy)]
    return []


def _time_factor(unit: str, origin: str) -> float:
    try:
        return unit_room.factor("h", unit)
    except UnitError as error:
        raise DataError(
            f"units: `{unit}` is not a unit of time.",
            where=f"{origin}, column TIME",
            remedy=error.remedy or "Give it as h or min.",
        ) from error
