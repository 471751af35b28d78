"""Simulations written to a file while they are computed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pkpd
from pkpd.errors import DataError, SolveError, UsageError
from pkpd.simulation import size
from pkpd.simulation.store import FORMATS, NetCDF

MODEL = pkpd.Model(
    """
title = "one compartment"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 5.0, unit = "L/h", iiv = 0.09, rse = 0.1 }
v = { typical = 50.0, unit = "L", iiv = 0.04, times = "WT / 70" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""
)
ARMS = {"a": "1 mg/kg iv", "b": "50 mg iv over 1 h; 10 mg iv every 6 h x 2 at 8 h"}
WHO: dict[str, Any] = {
    "times": [0.0, 0.5, 1.0, 6.0, 24.0],
    "n": 23,
    "seed": 5,
    "uncertainty": 3,
    "covariates": {"WT": np.linspace(50, 90, 23)},
    "observe": ["cp", "central"],
}
WHOLE = pkpd.simulate(MODEL, ARMS, **WHO)


def target(folder: Path, suffix: str) -> Path:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    return folder / f"sim{suffix}"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("chunk, threads", [(None, None), (1, 1), (5, 2), (23, 8), (50, 1), (10**6, 2)])
def test_the_same_as_in_memory_to_the_last_bit(
    suffix: str, chunk: int | None, threads: int | None, tmp_path: Path
) -> None:
    path = target(tmp_path, suffix)
    with pkpd.simulate(MODEL, ARMS, to=path, chunk=chunk, threads=threads, **WHO) as sim:
        assert sim.load().identical(WHOLE)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_reader_opens_it_and_values_stay_in_the_file(suffix: str, tmp_path: Path) -> None:
    import xarray as xr

    path = target(tmp_path, suffix)
    with pkpd.simulate(MODEL, ARMS, to=str(path), chunk=5, **WHO) as sim:
        assert not sim["cp"].variable._in_memory
        some = sim["cp"].sel(arm="b", subject=[3, 17], time=6.0)
        assert np.array_equal(some.values, WHOLE["cp"].sel(arm="b", subject=[3, 17], time=6.0).values)
        assert not sim["cp"].variable._in_memory
        assert pkpd.attain(sim, "cp > 0.4").identical(pkpd.attain(WHOLE, "cp > 0.4"))
        assert pkpd.sustain(sim, "cp > 0.4").identical(pkpd.sustain(WHOLE, "cp > 0.4"))
        assert not sim["cp"].variable._in_memory
    with xr.open_dataset(path) as plain:
        assert plain.load().identical(WHOLE)
        assert set(plain["cp"].coords) == {"arm", "regimen", "draw", "subject", "WT", "time"}


def test_without_chance_and_with_notes(tmp_path: Path) -> None:
    typical: dict[str, Any] = {"times": [0, 1]}
    with pkpd.simulate(MODEL, "50 mg iv", to=tmp_path / "typical.nc", **typical) as sim:
        assert sim.load().identical(pkpd.simulate(MODEL, "50 mg iv", **typical))
    alike: dict[str, Any] = {"times": [0, 1], "n": 9, "seed": 1, "observe": "WT"}
    with pkpd.simulate(MODEL, "50 mg iv", to=tmp_path / "alike.nc", chunk=2, **alike) as sim:
        assert "WT is the same in every subject" in sim.attrs["notes"]
        assert sim.load().identical(pkpd.simulate(MODEL, "50 mg iv", **alike))


def test_a_seed_larger_than_files_can_hold(tmp_path: Path) -> None:
    with pkpd.simulate(MODEL, "50 mg iv", times=[1], n=2, seed=2**70, to=tmp_path / "sim.nc") as sim:
        assert sim.attrs["seed"] == str(2**70)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_is_interrupted_leaves_nothing(
    suffix: str, error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = target(tmp_path, suffix)
    store = FORMATS[suffix][1]
    write = store.write

    def interrupted(self: Any, name: str, where: tuple[slice, ...], values: np.ndarray) -> None:
        if where[1].start > 0:
            raise error
        assert os.listdir(tmp_path) and not path.exists()
        write(self, name, where, values)

    monkeypatch.setattr(store, "write", interrupted)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else DataError
    with pytest.raises(expected) as told:
        pkpd.simulate(MODEL, ARMS, to=path, chunk=5, **WHO)
    assert os.listdir(tmp_path) == []
    if expected is DataError:
        assert "No space left on device" in str(told.value) and str(path) in str(told.value)


def test_an_earlier_simulation_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "sim.nc"
    pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=path).close()
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"sim\.nc(.|\n)*There is something here already(.|\n)*overwrite=True"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=path)
    blows_up = pkpd.Model(
        "[parameters]\nk = { typical = 1.0, unit = '1/h/mg' }\n[routes]\niv = { into = 'a' }\n"
        "[dynamics]\nequations = 'd/dt(a) = k * a * a'\n[outputs]\na = { unit = 'mg' }\n"
    )
    with pytest.raises(SolveError):
        pkpd.simulate(blows_up, "1 mg iv", times=[0, 2], to=path, overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_overwriting_when_allowed(suffix: str, tmp_path: Path) -> None:
    path = target(tmp_path, suffix)
    pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=path).close()
    with pkpd.simulate(MODEL, ARMS, to=path, overwrite=True, **WHO) as sim:
        assert sim.load().identical(WHOLE)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_no_simulation_is_never_overwritten(suffix: str, tmp_path: Path) -> None:
    path = target(tmp_path, suffix)
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is no simulation"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=path, overwrite=True)
    assert (path / "thesis.txt").exists()


@pytest.mark.parametrize("name", ["sim.csv", "sim", "sim.nc.gz"])
def test_a_suffix_that_is_no_format(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"`{name}` ends in no format(.|\n)*\.nc \(netCDF\) or \.zarr \(Zarr\)"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=tmp_path / name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=tmp_path / "nowhere" / "sim.nc")


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(size.shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    monkeypatch.setattr(NetCDF, "__init__", lambda *_: pytest.fail("begun all the same"))
    with pytest.raises(DataError, match=r"would take 3\.2 MB: 100,000 subjects(.|\n)*1 MB"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], n=100_000, seed=1, to=tmp_path / "sim.nc")


def test_zarr_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"not installed(.|\n)*pip install(.|\n)*sim\.nc"):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], to=tmp_path / "sim.zarr")


def test_beyond_memory_there_is_a_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "machine_memory", lambda: 1000)
    with pytest.raises(UsageError, match="to="):
        pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], n=100, seed=1)
    with pkpd.simulate(MODEL, "50 mg iv", times=[0, 1], n=100, seed=1, to=tmp_path / "sim.nc") as sim:
        assert sim.sizes["subject"] == 100


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_number_of_subjects(suffix: str, tmp_path: Path) -> None:
    import tracemalloc

    path = target(tmp_path, suffix)

    def peak(subjects: int) -> int:
        tracemalloc.start()
        try:
            options: dict[str, Any] = {"times": range(25), "n": subjects, "seed": 1, "chunk": 500}
            pkpd.simulate(MODEL, "50 mg iv", to=path, overwrite=True, **options).close()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)
    small, large = peak(1000), peak(8000)
    # Eight bytes for the label of a subject, a few times over; its values alone are 200.
    assert large - small < 7000 * 60
