"""Files that a command writes: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pkpd.errors import DataError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; it takes the place of `path` when the block ends without an error.

    Raises
    ------
    DataError
        The folder cannot be written to, or the disk is full.
    """
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises
    ------
    DataError
        The folder is not there or cannot be written to, or the name is that of a folder.
    """
    if path.is_dir():
        raise DataError(
            "This is a folder.", where=str(path), expected="The name of a file.", remedy="Add a name to it."
        )
    # An empty file is made and removed: permissions alone do not tell on every file system.
    probe = path.with_name(f".{path.stem}.{os.getpid()}.probe")
    try:
        probe.touch()
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _cannot_write(path: Path, error: OSError) -> DataError:
    return DataError(
        f"The file cannot be written: {error.strerror or error}.",
        where=str(path),
        expected="A folder that exists and can be written to.",
        remedy="Choose another folder, or change its permissions.",
    )
