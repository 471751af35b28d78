"""Files of a report: made in full beside their place first, so that nothing half-written is ever found there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pkpd.errors import FitFileError
from pkpd.reporting.content import Content
from pkpd.reporting.html import html_text, svg_bytes
from pkpd.reporting.tables import csv_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_writable", "render", "tree_bytes", "write_all"]


def render(content: Content, html: str = "report.html", *, beside: bool = True) -> dict[str, bytes]:
    """Give the files of a report by their names.

    Parameters
    ----------
    content : Content
    html : str
        Name of the HTML file.
    beside : bool
        Whether the tables (``tables/<name>.csv``) and figures (``figures/<name>.svg``) become files of their own too.
    """
    drawings = {figure.name: svg_bytes(figure) for figure in content.figures}
    files = {html: html_text(content, drawings).encode()}
    if beside:
        files |= {f"figures/{name}.svg": svg for name, svg in drawings.items()}
        files |= {f"tables/{table.name}.csv": csv_text(table).encode() for table in content.tables}
    return files


def tree_bytes(tree: xr.DataTree) -> bytes:
    """Give a tree as the bytes of a netCDF file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.nc"
        tree.to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def write_all(folder: Path, files: Mapping[str, bytes | Callable[[Path], None]]) -> list[Path]:
    """Write files into a folder, all of them or none.

    They are made in a hidden folder beside their places; only when all are there do they take these, one by one.
    If one of them cannot, those that stood there before come back.

    Parameters
    ----------
    folder : Path
        Exists already.
    files : mapping
        Name (with ``/`` for folders inside) to bytes, or to a function that writes to the path it is given.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    FitFileError
        The folder cannot be written to, something stands in the place of a file, or the disk is full.
    """
    for name in files:
        _check_target(folder, name)
    place: Path | None = None
    try:
        place = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
        new, old = place / "new", place / "old"
        for name, content in files.items():
            target = new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(target)
            else:
                target.write_bytes(content)
        for name in files:
            if os.path.lexists(folder / name):
                _keep(folder / name, old / name)
        _move(folder, list(files), new, old)
        return [folder / name for name in files]
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _check_target(folder: Path, name: str) -> None:
    """Refuse a file whose place is taken by a folder, or whose folder is a file."""
    final = folder / name
    if final.is_dir():
        raise FitFileError(
            "the results cannot be written: this is a folder.",
            where=str(final),
            expected="A file, or nothing, at this place.",
            remedy="Move the folder away, or give it another name.",
        )
    for parent in final.parents:
        if parent == folder:
            return
        if os.path.lexists(parent) and not parent.is_dir():
            raise FitFileError(
                "the results cannot be written: this is a file.",
                where=str(parent),
                expected="A folder, or nothing, at this place.",
                remedy="Move the file away, or give it another name.",
            )


def _keep(path: Path, copy: Path) -> None:
    """Give a file a second name, so that it can come back; a copy where the file system has no links."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, copy, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(path, copy, follow_symlinks=False)


def _move(folder: Path, names: Sequence[str], new: Path, old: Path) -> None:
    """Move files to their places; if one cannot be moved, those before it are taken back."""
    moved: list[str] = []
    made: list[Path] = []
    try:
        for name in names:
            final = folder / name
            missing = [parent for parent in final.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir(exist_ok=True)
                made.append(parent)
            os.replace(new / name, final)
            moved.append(name)
    except BaseException:
        for name in moved:
            with suppress(OSError):
                if os.path.lexists(old / name):
                    os.replace(old / name, folder / name)
                else:
                    (folder / name).unlink()
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before any work is done for it.

    Raises
    ------
    FitFileError
        It cannot be written to, or a file stands where the folder of the figures or the tables would be.
    """
    for inside in ("figures", "tables"):
        _check_target(folder, f"{inside}/any")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-"):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> FitFileError:
    return FitFileError(
        f"the results cannot be written: {error.strerror or error}.",
        where=str(folder),
        expected="A folder that exists and can be written to.",
        remedy="Change its permissions, or copy the folder to a place of your own and run it there.",
    )
