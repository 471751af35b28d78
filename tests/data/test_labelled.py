"""A data set as labelled arrays, and back."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pkpd
from pkpd.data.labelled import from_xarray, to_xarray


def test_what_goes_in_comes_out_through_a_file(tmp_path):
    table = {
        "ID": ["a", "a", "a", "b", "b"], "TIME": [0, 1, 2.5, 0, 3], "AMT": [100, ".", ".", 50, "."],
        "EVID": [1, 0, 0, 1, 0], "DV": [".", 3.25, 1.5, ".", 2], "ARM": ["x", "x", "x", "y", "y"],
        "DVID": [".", "cp", "pd", ".", "cp"], "LLOQ": [".", 0.5, ".", ".", 0.5], "WT": [70, 70, 71, 55, 55],
        "AGE": [30, ".", ".", 41, "."],
    }  # fmt: skip
    units = {"TIME": "h", "AMT": "mg", "WT": "kg", "DV": {"cp": "mg/L", "pd": "%"}}
    data = pkpd.read_data(table, units=units, carry="locf")
    path = tmp_path / "rows.nc"
    to_xarray(data).to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as rows:
        again = from_xarray(rows.load())
    assert again.digest == data.digest
    assert again.carry == "locf" and again.sha256 == data.sha256 and again.notes == data.notes
    assert again.dv_unit("pd") == "%"
    for name, column in data.columns.items():
        assert again.columns[name].dtype.kind == column.dtype.kind
        assert np.array_equal(again.columns[name], column, equal_nan=column.dtype.kind == "f"), name


def test_a_fit_holds_what_was_fitted():
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    data = pkpd.read_data("fits/theophylline_individual/data.csv", units=units)
    fit = pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data, pkpd.Individual())
    assert fit.data.digest == data.digest
    assert fit.of("3").data.ids == ("3",)
    bare = fit.without_data()
    assert "data" not in bare.tree.children and "data" in fit.tree.children
    with pytest.raises(pkpd.FitError, match="does not hold its data"):
        _ = bare.data
