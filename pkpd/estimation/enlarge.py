"""A Fit with more in it: groups that were computed after it was finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.schema import VARIABLES, describe

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.estimation.fit import Fit

__all__ = ["dataset", "draws_of", "enlarged"]


def dataset(
    group: str, columns: Mapping[str, np.ndarray], coords: Mapping[str, np.ndarray], attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Give a group, with the dimensions and meanings that the table of names says."""
    import xarray as xr

    made = {name: (VARIABLES[group, name].dims, column, describe(group, name)) for name, column in columns.items()}
    return xr.Dataset(made, coords=dict(coords), attrs=dict(attrs))


def draws_of(names: Sequence[str], natural: np.ndarray, draw: np.ndarray, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Give the group ``posterior``: a variable for each quantity, by chain (one) and draw; `natural` is (D, N)."""
    import xarray as xr

    made = {name: (("chain", "draw"), natural[None, :, k]) for k, name in enumerate(names)}
    return xr.Dataset(made, coords={"chain": np.arange(1), "draw": draw}, attrs=dict(attrs))


def enlarged(
    fit: Fit, groups: Mapping[str, xr.Dataset], *, notes: Sequence[str], limits: xr.Dataset | None, text: str
) -> Fit:
    """Give a new Fit with groups added, or in place of groups of that name.

    Parameters
    ----------
    notes : sequence of str
        Added to those of the fit.
    limits : Dataset, optional
        Whose ``lower`` and ``upper`` by ``parameter`` take the place of those of the estimates.
    text : str
        How these limits were made.
    """
    import xarray as xr

    tree = fit.tree.copy()
    for name, group in groups.items():
        tree[name] = xr.DataTree(dataset=group)
    old = [note for note in str(tree.attrs["notes"]).splitlines() if note]
    tree.attrs["notes"] = "\n".join([*old, *(note for note in notes if note not in old)])
    if limits is not None:
        table = tree["estimates"].to_dataset().copy(deep=True)
        free = int((~table["fixed"]).sum())
        for end in ("lower", "upper"):
            for name in limits["parameter"].values.tolist():
                table[end].loc[{"parameter": name}] = float(limits[end].sel(parameter=name))
        if limits.sizes["parameter"] < free:
            text = f"{text}; of the others {fit.attrs['interval']}"
        table.attrs["interval"] = tree.attrs["interval"] = text
        tree["estimates"] = xr.DataTree(dataset=table)
    return replace(fit, tree=tree)
