"""A report, run again: whether somebody else, elsewhere, gets the same numbers."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.data.layout import text_table
from pkpd.errors import FitFileError
from pkpd.project.run import REPORT, RESULT, run
from pkpd.project.single import estimators
from pkpd.reporting.seal import Sealed, open_report, shown_tables

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation import Fit

__all__ = ["Replayed", "replay"]

#: Tables that say when and with what a report was made.
_OTHERWISE = ("provenance",)
#: Groups that a fit alone does not make again: they were asked for after it.
_LATER = ("posterior", "sample_stats", "bootstrap", "sir", "leave_one_out", "prior_sensitivity")
_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One variable of the results, then and now.

    Parameters
    ----------
    name : str
        ``"estimates/value"``.
    count, same : int
        Numbers or texts, and how many of them are the same to the last bit.
    digits : int
        Significant digits in which the others agree at least; 17 where all are the same.
    where : str
        The worst, with both values; empty where all are the same.
    """

    name: str
    count: int
    same: int
    digits: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What running a report again has shown.

    Parameters
    ----------
    report : Path
    intact : bool
        Whether the report is what was written, to the last character.
    versions : dict of str to (str, str)
        What it was made with, and what it was run with now, where they differ.
    compared : tuple of Compared
        Every variable of the results.
    cells : tuple of str
        Cells of the tables of the report that read otherwise now.
    not_run : tuple of str
        Parts of the results that were not made again.
    """

    report: Path
    intact: bool
    versions: dict[str, tuple[str, str]]
    compared: tuple[Compared, ...]
    cells: tuple[str, ...]
    not_run: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the report is intact, and every number in it reads the same."""
        return self.intact and not self.cells and all(one.count for one in self.compared)

    def __str__(self) -> str:
        count, same = (sum(getattr(one, name) for one in self.compared) for name in ("count", "same"))
        lines = [
            f"{self.report}: {'it agrees.' if self.agrees else 'IT DOES NOT AGREE.'}",
            "The report is what was written, to the last character."
            if self.intact
            else "THE REPORT WAS ALTERED after it was written: its seal does not fit.",
            f"{same:,} of {count:,} values of the results are the same to the last bit.",
        ]
        other = [one for one in self.compared if one.same < one.count]
        if other:
            table = {
                "VARIABLE": [one.name for one in other],
                "VALUES": [str(one.count) for one in other],
                "SAME": [str(one.same) for one in other],
                "DIGITS": [str(one.digits) for one in other],
                "WORST": [one.where for one in other],
            }
            lines += ["The others, and in how many digits they agree at least:",
                      text_table(table, left=("VARIABLE", "WORST"))]  # fmt: skip
        lines.append(f"{len(self.cells)} cells of its tables read otherwise now{':' if self.cells else '.'}")
        lines += [f"  {cell}" for cell in self.cells[:_LISTED]]
        lines += [f"  … and {len(self.cells) - _LISTED} more"] if len(self.cells) > _LISTED else []
        if self.not_run:
            lines.append(f"Not run again: {', '.join(self.not_run)}.")
        for name, (then, now) in self.versions.items():
            lines.append(f"{name} was {then}, is {now}.")
        return "\n".join(lines)


def replay(
    report: str | os.PathLike[str], *, folder: str | os.PathLike[str] | None = None, data: Dataset | None = None
) -> Replayed:
    """Run a report again, in a clean folder, from what it carries, and compare every number.

    Parameters
    ----------
    report : path
        An HTML report that :func:`pkpd.report` or ``pkpd run`` wrote.
    folder : path, optional
        Where to run it: a folder that does not exist, or is empty. A temporary one when left out.
    data : Dataset, optional
        What was fitted, where the report does not carry it.

    Returns
    -------
    Replayed

    Raises
    ------
    FitFileError
        This is no report that could be run again, the folder holds something, or the data are missing.
    """
    path = Path(report)
    carried = open_report(path)
    if folder is not None:
        return _replayed(path, carried, _clean(Path(folder)), data)
    with tempfile.TemporaryDirectory(prefix="replay-") as place:
        return _replayed(path, carried, Path(place), data)


def _replayed(path: Path, carried: Sealed, folder: Path, data: Dataset | None) -> Replayed:
    from pkpd.estimation import Fit, load_fit

    before = folder / ".before.nc"
    before.write_bytes(carried.files[RESULT])
    old = load_fit(before).tree
    before.unlink()
    later: tuple[str, ...] = ()
    if carried.kind == "folder":
        for name, content in carried.files.items():
            if name != RESULT:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        run(folder)
        new, text = load_fit(folder / RESULT).tree, (folder / REPORT).read_text(encoding="utf-8")
    else:
        from pkpd.reporting.report import report as write

        fitted = _refit(Fit(tree=old), data, path)
        new = fitted.tree
        later = tuple(name for name in _LATER if name in old.children and name not in new.children)
        text = write(fitted, folder / REPORT).read_text(encoding="utf-8")
    versions = {
        str(name).removeprefix("version_"): (str(value), str(new.attrs.get(name, "none")))
        for name, value in old.attrs.items()
        if str(name).startswith("version_") and str(new.attrs.get(name)) != str(value)
    }
    return Replayed(
        report=path,
        intact=carried.intact,
        versions=versions,
        compared=tuple(_compare(old, new, later)),
        cells=tuple(_cells(shown_tables(carried.text), shown_tables(text))),
        not_run=later,
    )


def _refit(fit: Fit, data: Dataset | None, path: Path) -> Fit:
    """Fit again what a fit says of itself."""
    from pkpd.estimation import fit as fit_again
    from pkpd.model import Model

    if data is None and "data" not in fit.tree.children:
        raise FitFileError(
            "the report does not carry the data.", where=str(path),
            expected=f"{fit.attrs['data']}, with the digest {str(fit.attrs['data_digest'])[:12]}.",
            remedy="Read them, and give them: pkpd.project.replay(report, data=...).",
        )  # fmt: skip
    given = fit.data if data is None else data
    if given.digest != fit.attrs["data_digest"]:
        raise FitFileError(
            f"{given.origin} ({given.digest[:12]}) is not what was fitted.", where=str(path),
            expected=f"{fit.attrs['data']}, with the digest {str(fit.attrs['data_digest'])[:12]}.",
            remedy="Read the same file with the same options.",
        )  # fmt: skip
    name = str(fit.attrs["estimator"]).split("(", 1)[0]
    call = ast.parse(f"{name}({fit.attrs['estimator_options']})", mode="eval").body
    assert isinstance(call, ast.Call)
    kind = estimators()[name]
    estimator = kind(**{str(word.arg): ast.literal_eval(word.value) for word in call.keywords})
    model = Model(str(fit.attrs["model"]))
    table = fit.estimates
    names = table["parameter"].values[table["fixed"].values].tolist()
    residual = [name for output in model.outputs.values() for name in output.residual_names if name in names]
    profiled = "profile" in fit.tree.children and "profile" in str(fit.attrs["interval"])
    return fit_again(model, given, estimator, fixed=residual, intervals="profile" if profiled else "wald")


def _compare(old: xr.DataTree, new: xr.DataTree, later: tuple[str, ...]) -> Iterator[Compared]:
    for group, node in old.children.items():
        if group == "data" or group in later:
            continue
        other = new.children[group].to_dataset() if group in new.children else None
        for name, then in node.to_dataset().data_vars.items():
            now = None if other is None or name not in other else other[name]
            yield _compared(f"{group}/{name}", then.values, None if now is None else now.values)


def _compared(name: str, then: np.ndarray, now: np.ndarray | None) -> Compared:
    if now is None or now.shape != then.shape:
        return Compared(name=name, count=then.size, same=0, digits=0, where="it is not there" if now is None else
                        f"{then.shape} then, {now.shape} now")  # fmt: skip
    if then.dtype.kind != "f":
        same = np.asarray(then.astype(str) == now.astype(str)).ravel()
        worst = "" if same.all() else f"{then.ravel()[~same][0]} then, {now.ravel()[~same][0]} now"
        return Compared(name=name, count=then.size, same=int(same.sum()), digits=17 if same.all() else 0, where=worst)
    a, b = then.ravel(), np.asarray(now, dtype=float).ravel()
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return Compared(name=name, count=a.size, same=a.size, digits=17, where="")
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), 1.0, apart))
    k = int(np.argmax(apart))
    digits = int(np.clip(np.floor(-np.log10(apart[k])), 0, 16)) if apart[k] > 0 else 16
    return Compared(name=name, count=a.size, same=int(same.sum()), digits=digits,
                    where=f"{a[k]!r} then, {b[k]!r} now".replace("np.float64(", "").replace(")", ""))  # fmt: skip


def _cells(old: dict[str, list[list[str]]], new: dict[str, list[list[str]]]) -> Iterator[str]:
    """Say which cells differ."""
    for name, rows in old.items():
        if name in _OTHERWISE:
            continue
        again = new.get(name)
        if again is None or [len(row) for row in again] != [len(row) for row in rows]:
            yield f"table {name}: {'it is not there now' if again is None else 'it has another shape now'}"
            continue
        for number, (then, now) in enumerate(zip(rows, again), start=1):
            for cell, other in zip(then, now):
                if cell != other:
                    yield f"table {name}, row {number} ({then[0]}): {cell} in the report, {other} now"


def _clean(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FitFileError(
            "it holds something already." if folder.is_dir() else "this is a file.", where=str(folder),
            expected="A folder that does not exist yet, or is empty.", remedy="Choose another one.",
        )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FitFileError(
            f"it cannot be made: {error.strerror or error}.", where=str(folder), remedy="Choose another place."
        ) from error
    return folder
