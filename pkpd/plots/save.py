"""Figures become files, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pkpd.errors import DataError
from pkpd.plots.style import house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
# A date inside the file would make every run a new file.
_UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def save(drawing: Figure | Axes, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a file; the same figure gives the same bytes.

    Parameters
    ----------
    drawing : matplotlib.figure.Figure or matplotlib.axes.Axes
    path : path
        The ending chooses the format: ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    DataError
        The ending is none of the three, or the folder cannot be written to.
    """
    from matplotlib.axes import Axes

    target = Path(path)
    ending = target.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise DataError(
            f"`{target.name}` ends in no format that a figure is written in.",
            where=str(target),
            expected="A name that ends in .png, .svg or .pdf.",
            remedy=f"Write {target.stem or 'figure'}.png.",
        )
    figure = drawing.get_figure(root=True) if isinstance(drawing, Axes) else drawing
    assert figure is not None
    with house_style():
        unfinished = target.with_name(f".{target.stem}.{os.getpid()}.{ending}")
        try:
            figure.savefig(unfinished, format=ending, metadata=_UNDATED[ending])
            unfinished.replace(target)
        except OSError as error:
            raise DataError(
                f"The figure cannot be written: {error.strerror or error}.",
                where=str(target),
                expected="A folder that exists and can be written to.",
                remedy="Choose another folder, or change its permissions.",
            ) from error
        finally:
            with suppress(OSError):
                unfinished.unlink()
    return target
