"""Results in files: netCDF, written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pkpd.errors import FitFileError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read", "write", "write_whole"]

#: The command that writes a file with one.
_COMMAND = {"fit": "run", "study": "study"}


def write(tree: xr.DataTree, path: Path, *, noun: str = "fit") -> None:
    """Write a tree to a netCDF file, whole or not at all.

    Parameters
    ----------
    tree : xarray.DataTree
    path : Path
    noun : str
        What it is, for messages.

    Raises
    ------
    FitFileError
        The file cannot be written; what was there before is still there.
    """
    write_whole(path, lambda temporary: tree.to_netcdf(temporary, engine="h5netcdf"), what=f"the {noun}")


def write_whole(path: Path, put: Callable[[Path], object], *, what: str) -> None:
    """Write a file whole or not at all: to a temporary one beside it first, which then takes its place.

    Parameters
    ----------
    path : Path
    put
        Writes to the path that it is given.
    what : str
        For messages.

    Raises
    ------
    FitFileError
        The file cannot be written; what was there before is still there.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        put(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files that only their owner can read; a result is as readable as any other new file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise FitFileError(
            f"{what} cannot be written: {error.strerror or error}.",
            where=str(path),
            expected=f"A folder that exists and can be written to; {path.parent} is "
            f"{'a folder' if path.parent.is_dir() else 'none'}.",
            remedy="Choose another path, or change the permissions.",
        ) from error
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def read(path: Path, *, noun: str, form: str) -> xr.DataTree:
    """Read a tree from a netCDF file, into memory.

    Parameters
    ----------
    path : Path
    noun : str
        What it should be, for messages.
    form : str
        What the attribute ``format`` of its root says then.

    Raises
    ------
    FitFileError
        There is no such file, or it does not hold a whole result of the kind.
    """
    import xarray as xr

    if not path.is_file():
        raise FitFileError(
            "there is no such file.",
            where=str(path),
            expected=f"A netCDF file with a {noun}.",
            remedy=f"Check the path; {noun.title()}.save and `pkpd {_COMMAND[noun]}` write such files.",
        )
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            # Every node into memory: what is loaded must not depend on the file any more.
            tree = xr.DataTree.from_dict({node.path: node.to_dataset(inherit=False).load() for node in opened.subtree})
    except Exception as error:  # h5py tells of damage in many ways, RuntimeError and KeyError among them
        raise FitFileError(
            f"the file is damaged, or no netCDF file ({_first_line(error)}).",
            where=str(path),
            expected=f"A netCDF file as {noun.title()}.save writes it.",
            remedy=f"Run the {noun} again.",
        ) from error
    found = tree.attrs.get("format", "not said")
    if found != form:
        other = str(found).split()[1] if re.fullmatch(r"pkpd (fit|study) \d+", str(found)) else None
        raise FitFileError(
            f"this is not a {noun}: its format is {found!r}.",
            where=str(path),
            expected=f"The attribute format is {form!r}.",
            remedy=f"Read it with pkpd.{other.title()}.load." if other else "Open other netCDF files with xarray.",
        )
    return tree


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
