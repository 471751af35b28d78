"""Draws of the estimates, as ArviZ reads them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pkpd

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}


@pytest.mark.parametrize("way", ["sir", "bootstrap"])
def test_arviz_sums_up_what_is_saved(way, tmp_path):
    stats = pytest.importorskip("arviz_stats")
    data = pkpd.read_data("fits/theophylline_foce/data.csv", units=UNITS)
    fit = pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data, pkpd.FOCE())
    if way == "sir":
        found = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=60, resamples=30, rounds=1))
    else:
        found = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=8))
    path = tmp_path / "draws.nc"
    found.save(path)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert tree["posterior"].to_dataset().sizes["chain"] == 1
        table = stats.summary(tree, kind="stats", round_to="none")
        draws = tree["posterior"].to_dataset().load()
    own = found.estimates["parameter"].values[~found.estimates["fixed"].values]
    assert set(table.index) == set(own)
    for name in own:
        assert np.isclose(float(table.loc[name, "mean"]), float(draws[name].mean()), rtol=1e-6)
