"""A Dataset as labelled arrays, and back: how a fit keeps what it was fitted to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.dataset import COLUMNS, Dataset
from pkpd.schema import describe

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_xarray", "to_xarray"]


def to_xarray(data: Dataset) -> xr.Dataset:
    """Give the rows of a Dataset by the dimension ``row``.

    Columns that say the same in all rows stand in the attribute ``same``, so that a small data set stays small.
    """
    import xarray as xr

    same, varied = {}, {}
    for name, column in data.columns.items():
        first = column[:1]
        constant = column.dtype.kind != "U" and np.array_equal(column, np.broadcast_to(first, column.shape), True)
        if data.rows and (constant or (column.dtype.kind == "U" and (column == first).all())):
            same[name] = first.item()
        else:
            varied[name] = ("row", column, describe("data", name))
    covariates = {name: ("row", column, {"covariate": 1}) for name, column in data.covariates.items()}
    units = {name: dict(unit) if hasattr(unit, "items") else unit for name, unit in data.units.items()}
    attrs = {
        "same": json.dumps(same),
        "units": json.dumps(units),
        "carry": data.carry,
        "origin": data.origin,
        "sha256": data.sha256,
        "notes": "\n".join(data.notes),
    }
    return xr.Dataset({**varied, **covariates}, {"row": np.arange(data.rows)}, attrs)


def from_xarray(rows: xr.Dataset) -> Dataset:
    """Give the Dataset that :func:`to_xarray` laid out: with the same digest."""
    same: dict[str, Any] = json.loads(rows.attrs["same"])
    count = rows.sizes["row"]
    columns = {
        name: np.full(count, same[name]) if name in same else np.asarray(rows[name].values).copy() for name in COLUMNS
    }
    covariates = {
        str(name): np.asarray(values.values, dtype=float).copy()
        for name, values in rows.data_vars.items()
        if "covariate" in values.attrs
    }
    return Dataset(
        columns=columns,
        covariates=covariates,
        units=json.loads(rows.attrs["units"]),
        carry=str(rows.attrs["carry"]),
        origin=str(rows.attrs["origin"]),
        path=None,
        sha256=str(rows.attrs["sha256"]),
        notes=tuple(note for note in str(rows.attrs["notes"]).splitlines() if note),
    )
