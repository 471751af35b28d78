"""Fits in files: written whole or not at all, and read back the same."""

from __future__ import annotations

import os

import pytest
import xarray as xr

from pkpd import Fit, FitFileError, Individual, fit, load_fit


def test_there_and_back(tmp_path, pooled, individual):
    for result in (pooled, individual):
        result.save(tmp_path / "a.nc")
        again = load_fit(tmp_path / "a.nc")
        assert again.identical(result)
        assert str(again) == str(result)
        assert not again.lmfit
    assert os.listdir(tmp_path) == ["a.nc"]


def test_a_fit_with_several_starts_and_a_failed_subject(tmp_path, oral, doses):
    from pkpd import read_data

    columns = {name: doses.columns[name].astype(object) for name in ("ID", "TIME", "AMT", "DV", "EVID")}
    keep = [not (who == "3" and time > 0.6) for who, time in zip(columns["ID"], columns["TIME"])]
    data = read_data({name: column[keep] for name, column in columns.items()})
    result = fit(oral, data, Individual(starts=3, seed=1))
    assert result.status == "failed"
    result.save(tmp_path / "a.nc")
    assert load_fit(tmp_path / "a.nc").identical(result)


def test_plain_xarray_opens_it(tmp_path, pooled):
    pooled.save(tmp_path / "a.nc")
    with xr.open_datatree(tmp_path / "a.nc") as tree:
        assert tree["estimates"]["value"].sel(parameter="l1").item() == pooled.estimates["value"][1].item()


def test_saving_takes_the_place_of_an_older_file(tmp_path, pooled):
    path = tmp_path / "a.nc"
    path.write_text("old")
    pooled.save(path)
    assert Fit.load(path).identical(pooled)
    assert path.stat().st_mode & 0o077 == 0o666 & ~_umask() & 0o077


@pytest.mark.parametrize("place", ["no/such/folder/a.nc", "file/a.nc"])
def test_a_folder_that_cannot_be_written(tmp_path, pooled, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(FitFileError, match="cannot be written") as caught:
        pooled.save(tmp_path / place)
    assert caught.value.where and caught.value.expected and caught.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path, pooled):
    tmp_path.chmod(0o500)
    with pytest.raises(FitFileError, match="Permission denied"):
        pooled.save(tmp_path / "a.nc")


def test_nothing_half_written_stays(tmp_path, pooled, monkeypatch):
    path = tmp_path / "a.nc"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FitFileError, match="No space left"):
        pooled.save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.nc"]


def test_no_such_file(tmp_path):
    with pytest.raises(FitFileError, match="no such file"):
        load_fit(tmp_path / "a.nc")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_a_truncated_file(tmp_path, pooled, share):
    path = tmp_path / "a.nc"
    pooled.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FitFileError) as caught:
        load_fit(path)
    assert str(path) in str(caught.value)


def test_a_foreign_file(tmp_path):
    (tmp_path / "a.nc").write_text("ID,TIME,DV\n1,0,2\n")
    with pytest.raises(FitFileError, match="damaged, or no netCDF"):
        load_fit(tmp_path / "a.nc")
    xr.Dataset({"x": ("t", [1.0, 2.0])}).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with pytest.raises(FitFileError, match="not a fit"):
        load_fit(tmp_path / "b.nc")
    with pytest.raises(FitFileError, match="no such file"):
        load_fit(tmp_path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_loaded_fit_does_not_need_its_file(tmp_path, pooled):
    path = tmp_path / "fit.nc"
    pooled.save(path)
    loaded = Fit.load(path)
    path.unlink()
    assert loaded.identical(pooled)
    assert str(loaded).splitlines()[0] == str(pooled).splitlines()[0]
