"""Formats that a simulation is written in while it is computed: netCDF and Zarr."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pkpd.errors import DataError, UsageError

if TYPE_CHECKING:
    import xarray as xr

Variables = Mapping[str, tuple[tuple[str, ...], tuple[int, ...], Mapping[str, Any]]]


class Store(Protocol):
    """A file, or a folder, that is made whole with its coordinates and then filled piece by piece."""

    def __init__(self, path: Path, coordinates: xr.Dataset, variables: Variables, pieces: Mapping[str, int]) -> None:
        """Make it.

        Parameters
        ----------
        path : Path
            Where; nothing is there yet.
        coordinates : xarray.Dataset
            Coordinates alone, with the attributes of the whole.
        variables : mapping of str to (dims, shape, attributes)
            What is to come, of float64.
        pieces : mapping of str to int
            Along which dimensions it comes in pieces, and how long they are.
        """
        ...

    def write(self, name: str, where: tuple[slice, ...], values: np.ndarray) -> None:
        """Fill a part of a variable."""
        ...

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes of the whole, and close."""
        ...

    def close(self) -> None:
        """Let go of it; what was not finished may be broken."""
        ...


class NetCDF:
    """One netCDF-4 file; the arrays lie in it as they do in memory, so that every part is quick to read."""

    def __init__(self, path: Path, coordinates: xr.Dataset, variables: Variables, pieces: Mapping[str, int]) -> None:
        import h5netcdf

        coordinates.to_netcdf(path, engine="h5netcdf")
        self.path = path
        self.file = h5netcdf.File(path, "a")
        for name, (dims, _, attributes) in variables.items():
            variable = self.file.create_variable(name, dims, "f8")
            variable.attrs.update(_attributes(coordinates, dims, attributes))

    def write(self, name: str, where: tuple[slice, ...], values: np.ndarray) -> None:
        """Fill a part of a variable."""
        self.file.variables[name][where] = values

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes of the whole, and close."""
        self.file.attrs.update(attributes)
        self.file.close()
        with self.path.open("rb") as written:
            os.fsync(written.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class Zarr:
    """A folder in the Zarr format, version 2, which every reader of Zarr understands; compressed piece by piece."""

    def __init__(self, path: Path, coordinates: xr.Dataset, variables: Variables, pieces: Mapping[str, int]) -> None:
        import numcodecs
        import zarr

        coordinates.to_zarr(path, zarr_format=2, consolidated=False)
        self.group = zarr.open_group(path, mode="r+", zarr_format=2)
        self.path = path
        for name, (dims, shape, attributes) in variables.items():
            self.group.create_array(
                name,
                shape=shape,
                chunks=tuple(min(pieces.get(dim, length), length) for dim, length in zip(dims, shape)),
                dtype="f8",
                fill_value=np.nan,
                # Bits of one significance together: the upper ones of numbers that are alike compress.
                compressors=numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE),
                attributes={"_ARRAY_DIMENSIONS": list(dims), **_attributes(coordinates, dims, attributes)},
            )
        self.arrays: dict[str, Any] = {name: self.group[name] for name in variables}

    def write(self, name: str, where: tuple[slice, ...], values: np.ndarray) -> None:
        """Fill a part of a variable."""
        self.arrays[name][where] = values

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes of the whole."""
        import zarr

        self.group.attrs.update(attributes)
        zarr.consolidate_metadata(str(self.path), zarr_format=2)

    def close(self) -> None:
        """Nothing is held open."""


FORMATS: dict[str, tuple[str, type[Store]]] = {".nc": ("netCDF", NetCDF), ".zarr": ("Zarr", Zarr)}


def format_of(path: Path) -> type[Store]:
    """Find the format that the suffix of a name stands for.

    Raises
    ------
    UsageError
        It stands for none.
    DataError
        What writes the format is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = " or ".join(f"{end} ({name})" for end, (name, _) in FORMATS.items())
        raise UsageError(
            f"`{path.name}` ends in no format that a simulation is written in.",
            where=str(path),
            expected=f"A name that ends in {known}.",
            remedy=f"Write {path.stem or 'sim'}.nc.",
        )
    if suffix == ".zarr":
        from importlib.util import find_spec

        if find_spec("zarr") is None:
            raise DataError(
                "The library that writes Zarr is not installed.",
                where=str(path),
                expected="zarr 3.1 or later.",
                remedy='pip install "pkpd-timecourse[zarr]"; or write netCDF, which needs nothing else: '
                f"{path.stem}.nc.",
            )
    return FORMATS[suffix][1]


def open_lazily(path: Path) -> xr.Dataset:
    """Open what was written: the values are read when they are asked for."""
    import xarray as xr

    engine: Any = "zarr" if path.suffix.lower() == ".zarr" else "h5netcdf"
    # Our times are numbers in a unit, not dates.
    return xr.open_dataset(path, engine=engine, chunks=None, decode_times=False)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _attributes(coordinates: xr.Dataset, dims: tuple[str, ...], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a variable, with the coordinates that lie along it, as the CF conventions have them."""
    along = [
        str(name)
        for name, array in coordinates.coords.items()
        if name not in coordinates.dims and set(array.dims) <= set(dims)
    ]
    return {**attributes, **({"coordinates": " ".join(along)} if along else {})}
