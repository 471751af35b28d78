"""Files of a report: made in full beside their place first, so that nothing half-written is ever found there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pkpd.errors import FitFileError
from pkpd.reporting.content import Content
from pkpd.reporting.html import html_text, svg_bytes
from pkpd.reporting.tables import csv_text

__all__ = ["check_writable", "render", "write_all"]


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


def write_all(folder: Path, files: Mapping[str, bytes | Callable[[Path], None]]) -> list[Path]:
    """Write files into a folder, all of them or none.

    They are made in a hidden folder beside their places; only when all are there do they take these, one by one.

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
        The folder cannot be written to, or the disk is full.
    """
    place: Path | None = None
    try:
        place = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
        for name, content in files.items():
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(target)
            else:
                target.write_bytes(content)
        written = []
        for name in files:
            final = folder / name
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(place / name, final)
            written.append(final)
        return written
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before any work is done for it.

    Raises
    ------
    FitFileError
    """
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
