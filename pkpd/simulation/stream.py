"""A simulation larger than memory: computed in blocks, each written to a file as soon as it is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import DataError
from pkpd.simulation.blocks import Contrast, block_shape, compute_blocks
from pkpd.simulation.setting import Setting
from pkpd.simulation.size import check_disk
from pkpd.simulation.store import format_of, open_lazily, remove

if TYPE_CHECKING:
    import xarray as xr


def check_target(to: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Give the path to write to, before any work is done for it.

    Raises
    ------
    UsageError
        Its name ends in no format that is known.
    DataError
        Something is there already, the folder cannot be written to, or a library is missing.
    """
    path = Path(to)
    format_of(path)
    if path.exists() and not overwrite:
        raise DataError(
            "There is something here already.",
            where=str(path),
            expected="A name that is not taken: a simulation is not overwritten by chance.",
            remedy="Choose another name, remove it, or allow it (overwrite=True; `--overwrite` on the command line).",
        )
    if path.exists() and not _is_of_its_format(path):
        raise DataError(
            "What is here is no simulation.",
            where=str(path),
            expected="To overwrite: a netCDF file (.nc), or a folder that is a Zarr store (.zarr).",
            remedy="Choose another name, or remove it yourself.",
        )
    # An empty folder is made and removed: permissions alone do not tell on every file system.
    probe = _beside(path, "probe")
    with _told(path):
        probe.mkdir()
    probe.rmdir()
    return path


def stream(
    setting: Setting,
    path: Path,
    *,
    chunk: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Compute a simulation into a file, and open it.

    What is written stands under another name until it is whole, and then takes the place of `path`.

    Parameters
    ----------
    setting : Setting
    path : Path
        From :func:`check_target`.
    chunk, threads, device, on_progress
        See :func:`~pkpd.simulation.blocks.compute_blocks`.

    Returns
    -------
    xarray.Dataset
        Its values are read from the file when they are asked for; close it when done.

    Raises
    ------
    DataError
        The file cannot be written, or the disk is full.
    """
    import xarray as xr

    check_disk(setting, path)
    unfinished = _beside(path, "unfinished")
    draws, subjects = block_shape(setting, chunk, device)
    store = None
    try:
        with _told(path):
            coordinates = xr.Dataset(coords=setting.coordinates(), attrs=setting.attributes())
            pieces = {"draw": draws, "subject": subjects}
            store = format_of(path)(unfinished, coordinates, setting.variables(), pieces)
        contrast = Contrast(setting)
        blocks = compute_blocks(setting, chunk=chunk, threads=threads, device=device, on_progress=on_progress)
        for block in blocks:
            contrast.see(block)
            with _told(path):
                for o, name in enumerate(setting.names):
                    where = (slice(None), block.draws, block.subjects, slice(None))
                    store.write(name, where, np.ascontiguousarray(block.values[..., o]))
                store.write("individual", (block.draws, block.subjects, slice(None)), block.individuals)
        with _told(path):
            store.finish(setting.attributes(contrast.notes()))
            _replace(unfinished, path)
    except BaseException:
        if store is not None:
            with suppress(Exception):  # what could not be written cannot be closed either
                store.close()
        with suppress(OSError):
            remove(unfinished)
        raise
    return open_lazily(path)


def _is_of_its_format(path: Path) -> bool:
    if path.suffix.lower() == ".zarr":
        return any((path / name).is_file() for name in (".zgroup", "zarr.json"))
    return path.is_file()


def _replace(made: Path, path: Path) -> None:
    """Put what was made in the place of what may be there: one name or the other always stands for a whole thing."""
    if not path.is_dir() and not made.is_dir():
        made.replace(path)
        return
    before = _beside(path, "before")
    if path.exists():
        path.replace(before)
    try:
        made.replace(path)
    except OSError:
        if before.exists():
            before.replace(path)
        raise
    remove(before)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{what}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in words that a file could not be written."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The file cannot be written: {error.strerror or error}.",
            where=str(path),
            expected="A folder that exists and can be written to, with room for the values.",
            remedy="Choose another folder, change its permissions, or make room.",
        ) from error
