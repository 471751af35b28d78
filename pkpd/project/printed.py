"""The report of a folder, or of a fit that was saved, as files of the formats asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pkpd.errors import FitFileError
from pkpd.project.run import KEPT, RESULT

__all__ = ["is_kept", "report"]


def report(path: str | os.PathLike[str], to: Sequence[str | os.PathLike[str]] = ("html",)) -> list[Path]:
    """Write the report of a folder that was run, or of a fit that was saved.

    A folder gives its own report, with what its fit.toml asked, as the run made it; a file gives that of its fit, as
    :func:`pkpd.report` does. So does a folder whose report was not kept, or belongs to other results.

    Parameters
    ----------
    path : path
        A folder with a ``result.nc``, or a file that :meth:`pkpd.Fit.save` wrote.
    to : sequence
        Formats (``"html"``, ``"pdf"``, ``"docx"``, ``"zip"``), written beside the fit; or paths, with such endings.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    FitFileError
        There is no result, or a file cannot be written, or its format needs an extra that is not installed.
    """
    from pkpd.estimation import load_fit
    from pkpd.reporting.formats import FORMATS, check_target, write_report
    from pkpd.reporting.kept import read_kept
    from pkpd.reporting.report import describe

    for one in to:
        if one not in FORMATS:
            check_target(Path(one))
    place = Path(path)
    result = place / RESULT if place.is_dir() else place
    if place.is_dir() and not result.is_file():
        raise FitFileError(
            f"there is no {RESULT} in this folder.",
            where=str(place),
            expected="A folder that was run, or a file of a fit.",
            remedy=f"`pkpd run {place}`, if it has a fit.toml.",
        )
    fit = load_fit(result)
    kept = read_kept(place / KEPT, result) if place.is_dir() else None
    content, drawings, given = kept or (describe(fit), {}, {})
    stem = "report" if kept else result.stem
    targets = [result.with_name(f"{stem}.{one}") if one in FORMATS else Path(one) for one in to]
    for target in targets:
        check_target(target)
    return [write_report(content, target, fit, drawings, given) for target in targets]


def is_kept(folder: Path) -> bool:
    """Whether a folder keeps the report of the results that it holds."""
    from pkpd.reporting.kept import read_kept

    return read_kept(folder / KEPT, folder / RESULT) is not None
