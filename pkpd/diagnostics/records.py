"""What diagnostics of records share: which records, in which groups, on which axes, with which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import UsageError, suggestion
from pkpd.model.kind import Count, Score
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.diagnostics.case import Case

__all__ = [
    "GROUPINGS",
    "grouped",
    "groups_of",
    "labelled",
    "measured",
    "measured_outputs",
    "page_of",
    "records_of",
    "span",
    "unit_text",
]


@dataclass(frozen=True, slots=True)
class _Groupings:
    """The columns that may tell records apart."""

    columns: tuple[str, ...]

    def check(self, by: str, where: str) -> None:
        """Refuse what is none of them."""
        if by not in ("auto", "none", *self.columns):
            raise UsageError(
                f"by is {by!r}.", where=where, expected=f"One of auto, none, {', '.join(self.columns)}.",
                remedy=suggestion(by, self.columns) or 'Leave it out for "auto".',
            )  # fmt: skip


GROUPINGS = _Groupings(("ARM", "PERIOD", "SEQUENCE", "OCC"))
#: More groups than can be told apart by colour are not told apart unless asked for.
_MOST = 6


def measured_outputs(case: Case) -> list[str]:
    """Outputs that are amounts, scores or counts: their observations can be held against predictions on one axis."""
    return [
        name for name, output in case.outputs.items() if output.kind is None or isinstance(output.kind, (Score, Count))
    ]


def measured(case: Case) -> str:
    """Observations that are amounts, scores or counts."""
    if measured_outputs(case):
        return ""
    kinds = ", ".join(f"{name} ({output.kind.key})" for name, output in case.outputs.items() if output.kind)
    return f"Nothing was observed that has a size: {kinds}."


def groups_of(case: Case, by: str, rows: np.ndarray) -> np.ndarray:
    """Name the group of every record of `rows`, (m,); empty names where there is one."""
    records = case.records
    asked = ("ARM", "PERIOD") if by == "auto" else () if by == "none" else (by,)
    parts = []
    for column in asked:
        if column not in records:
            continue
        said = records[column][rows]
        names = np.array(["" if value in ("", 0) else str(value) for value in said.tolist()])
        if len(np.unique(names)) > 1:
            parts.append(names if column == "ARM" else np.array([f"{column.lower()} {n}" if n else "" for n in names]))
    if by not in ("auto", "none") and not parts:
        known = [one for one in GROUPINGS.columns if one in records and len(np.unique(records[one][rows])) > 1]
        raise UsageError(
            f"{by} does not tell records apart.", where="by=...", expected=f"One of {', '.join(known) or 'none'}.",
            remedy='Leave it out for "auto".',
        )  # fmt: skip
    if by == "auto" and len(parts) == 2 and len(np.unique(parts[0] + parts[1])) > _MOST:
        parts = parts[:1]
    if by == "auto" and parts and len(np.unique(parts[0])) > _MOST:
        parts = []
    made = [", ".join(filter(None, each)) for each in zip(*parts)]
    return np.array(made, dtype=object if not made else None).astype(str) if parts else np.full(len(rows), "")


def records_of(case: Case, columns: Sequence[str], *, by: str, outputs: Sequence[str] | None = None) -> xr.Dataset:
    """Give records of measured outputs: the columns asked for, ID, TIME, DVID, UNIT, CENS and the group.

    The attribute `outputs` names the outputs, a line each, `bounded` those that are scores.
    """
    import xarray as xr

    names = measured_outputs(case) if outputs is None else list(outputs)
    records, table = case.records, case.fit.records
    rows = np.flatnonzero(np.isin(records["DVID"], names))
    made = {
        name: ("record", records[name][rows], table[name].attrs)
        for name in dict.fromkeys(("ID", "TIME", "DVID", "UNIT", *columns))
        if name in records
    }
    made["CENS"] = ("record", case.censored[rows], {"long_name": "the value is a limit"})
    made["group"] = ("record", groups_of(case, by, rows), {"long_name": "what the record belongs to"})
    attrs = {
        "outputs": "\n".join(names),
        "bounded": "\n".join(name for name in names if isinstance(case.outputs[name].kind, Score)),
        "time_unit": case.time_unit,
    }
    return xr.Dataset(made, {"record": rows}, attrs)


def page_of(found: xr.Dataset, page: int) -> tuple[xr.Dataset, str]:
    """Give the records of the output of a page, and its unit."""
    name = found.attrs["outputs"].split("\n")[page]
    own = found.isel(record=np.flatnonzero(found["DVID"].values == name))
    units = np.unique(own["UNIT"].values.astype(str))
    return own, tidy(str(units[0])) if len(units) == 1 else ""


def grouped(own: xr.Dataset) -> list[str]:
    """Name the groups, in their order."""
    return list(dict.fromkeys(own["group"].values.tolist()))


def labelled(own: xr.Dataset) -> list[str]:
    """Say of every record what a reader who points at it is told."""
    unit, time = str(own.attrs.get("time_unit", "")), own["TIME"].values
    return [
        f"ID {who}, {when:.6g} {unit}: {value:.4g}{f' ({group})' if group else ''}"
        for who, when, value, group in zip(own["ID"].values, time, own["DV"].values, own["group"].values)
    ]


def span(values: np.ndarray, *, logarithmic: bool) -> tuple[float, float]:
    """Give the ends of an axis that shows all values with a little room."""
    values = values[np.isfinite(values)]
    if not values.size:
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        room = max((high / low) ** 0.04, 1.05)
        return low / room, high * room
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def unit_text(unit: str) -> str:
    """Give a unit as it stands behind a name on an axis."""
    return f" ({unit})" if unit and unit != "1" else ""
