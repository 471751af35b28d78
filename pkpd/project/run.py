"""Run a folder, tell whether its results are fresh, and bring it up to date."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from pkpd.errors import FitFileError, PkpdError
from pkpd.project.comparison import Comparison
from pkpd.project.plan import Plan, read_toml
from pkpd.project.single import Single
from pkpd.project.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.estimation import Fit
    from pkpd.project.comparison import Progress
    from pkpd.reporting.content import Content

__all__ = ["Freshness", "Outcome", "check", "freshen", "run"]

RESULT = "result.nc"
REPORT = "report.html"
KEPT = "report.json.gz"
_SAME = 1e-4  # estimates closer than this, relative to their size or a hundredth of their standard error, are the same

State = Literal["fresh", "stale", "differs", "never run", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run wrote.

    Parameters
    ----------
    folder : Path
    files : tuple of Path
    summary : str
        What a reader wants to know first, as text.
    """

    folder: Path
    files: tuple[Path, ...]
    summary: str

    def __str__(self) -> str:
        return self.summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Whether the results of a folder are those of its inputs.

    Parameters
    ----------
    folder : Path
    state : str
        ``"fresh"``; ``"stale"``: an input has changed; ``"differs"``: the same inputs give other numbers, or the
        numbers are not those of the references in fit.toml; ``"never run"``; ``"broken"``: the folder cannot be
        read.
    why : str
    """

    folder: Path
    state: State
    why: str

    @property
    def is_fresh(self) -> bool:
        """Whether nothing needs to be done."""
        return self.state == "fresh"

    def __str__(self) -> str:
        return f"{self.folder}: {self.state}" + (f" ({self.why})" if self.why else "")


def run(folder: str | os.PathLike[str], *, on_progress: Callable[[str, int, int], None] | None = None) -> Outcome:
    """Fit what a folder asks for and write ``result.nc``, ``report.html``, ``tables/`` and ``figures/`` into it.

    ``report.json.gz`` keeps the report for :func:`report`.

    Parameters
    ----------
    folder : path
        With a ``fit.toml``.
    on_progress : callable, optional
        Told ``(what is being done, steps finished, steps in all)``.

    Raises
    ------
    FitFileError
        The folder has no sound ``fit.toml``, or cannot be written to.
    PkpdError
        The data or the chosen model are wrong, or cannot be fitted.
    KeyboardInterrupt
        Ctrl-C: nothing is written, and what was there before is still there.
    """
    from pkpd.reporting import render, write_all
    from pkpd.reporting.kept import kept_bytes
    from pkpd.reporting.seal import sealed
    from pkpd.reporting.write import check_writable, tree_bytes

    work = _open(Path(folder))
    work.check()
    check_writable(work.folder)
    inputs = _inputs(work)
    tree, content, summary = work.perform(inputs, on_progress)
    _check_ended(tree)
    tree.attrs = {**tree.attrs, **{f"input_{name}": value for name, value in inputs.items()}}
    if on_progress is not None:
        on_progress("writing the report", 1, 1)
    result, given = tree_bytes(tree), _given(work)
    files: dict[str, Any] = {RESULT: result, **render(content, REPORT)}
    drawings = {figure.name: files[f"figures/{figure.name}.svg"] for figure in content.figures}
    files[KEPT] = kept_bytes(content, drawings, given, result)
    files[REPORT] = sealed(files[REPORT].decode(), result, tree.attrs, given).encode()
    written = write_all(work.folder, files)
    return Outcome(folder=work.folder, files=tuple(written), summary=summary)


def _given(work: Work) -> dict[str, bytes]:
    """Everything in a folder from which its results were made, for whoever runs it again."""
    names = [path for path in sorted(work.folder.iterdir()) if path.suffix in (".toml", ".csv") and path.is_file()]
    return {path.name: path.read_bytes() for path in names} | {work.file: _bytes(work.folder / work.file)}


def _check_ended(tree: xr.DataTree) -> None:
    """Keep estimates at which somebody interrupted a fit from taking the place of results."""
    from pkpd.estimation.verdict import BY_HAND

    said = tree["verdict"].to_dataset()["message"].values.ravel().tolist() if "verdict" in tree.children else []
    if any(BY_HAND in message for message in said):
        raise KeyboardInterrupt


def check(path: str | os.PathLike[str], *, rerun: bool = False) -> list[Freshness]:
    """Tell whether a folder, or each folder inside it, is fresh.

    Parameters
    ----------
    path : path
        A folder with a ``fit.toml``, or one that holds such folders.
    rerun : bool
        Fit the chosen model again where the inputs have not changed, and compare the estimates.

    Raises
    ------
    FitFileError
        There is no folder with a ``fit.toml``.
    """
    return [_freshness(folder, rerun=rerun) for folder in folders(path)]


def freshen(
    path: str | os.PathLike[str], *, on_progress: Callable[[str, int, int], None] | None = None
) -> list[Outcome]:
    """Run every folder that is not fresh."""
    return [run(one.folder, on_progress=on_progress) for one in check(path) if not one.is_fresh]


def folders(path: str | os.PathLike[str]) -> list[Path]:
    """The folders with a ``fit.toml`` that a path stands for.

    Raises
    ------
    FitFileError
        There is none.
    """
    place = Path(path)
    if (place / "fit.toml").is_file():
        return [place]
    found = sorted(file.parent for file in place.glob("*/fit.toml")) if place.is_dir() else []
    if not found:
        raise FitFileError(
            "there is no fit.toml here." if place.is_dir() else "there is no such folder.",
            where=str(place),
            expected="A folder with a fit.toml, or one that holds such folders.",
            remedy="Check the path; `pkpd new` makes a folder.",
        )
    return found


class Work(Protocol):
    """What a fit.toml asks for: one fit (`Single`), or candidates that are compared (`Comparison`)."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        ...

    @property
    def file(self) -> str:
        """The data file, in the folder."""
        ...

    def check(self) -> None:
        """Raise what is wrong before anything is fitted."""
        ...

    def models(self) -> str:
        """A hash of every model that the results depend on."""
        ...

    def perform(self, inputs: dict[str, str], progress: Progress | None) -> tuple[xr.DataTree, Content, str]:
        """Do it: the tree of results, the content of the report, and a summary as text."""
        ...

    def misses(self, tree: xr.DataTree) -> list[str]:
        """The reference numbers that results do not reproduce, in words."""
        ...

    def refit(self) -> Fit:
        """The fit whose estimates stand in the results, once more."""
        ...


def _open(folder: Path) -> Work:
    """Read the fit.toml of a folder: a table [candidates] makes it a comparison."""
    table = read_toml(folder / "fit.toml")
    if "candidates" in table:
        return Comparison(study=Study(folder=folder, plan=Plan.of(table)))
    return Single.open(folder, table)


def _inputs(work: Work) -> dict[str, str]:
    """Hashes of all that the results depend on."""
    import pkpd

    found = {
        "plan": _sha256((work.folder / "fit.toml").read_bytes()),
        "data": _sha256(_bytes(work.folder / work.file)),
        "models": work.models(),
        "pkpd": pkpd.__version__,
    }
    return {"inputs": _sha256("\n".join(f"{k} {v}" for k, v in found.items()).encode()), **found}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FitFileError(
            f"the data cannot be read: {error.strerror or error}.",
            where=str(path),
            expected="The file that [data] names.",
            remedy="Check `file` under [data].",
        ) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _freshness(folder: Path, *, rerun: bool) -> Freshness:
    from pkpd.estimation import load_fit

    if not (folder / RESULT).is_file():
        return Freshness(folder=folder, state="never run", why=f"there is no {RESULT}")
    try:
        work = _open(folder)
        now = _inputs(work)
        tree = load_fit(folder / RESULT).tree
    except PkpdError as error:
        return Freshness(folder=folder, state="broken", why=" ".join(str(error).split()))
    then = {name: str(tree.attrs.get(f"input_{name}", "")) for name in now}
    changed = [name for name in now if name != "inputs" and now[name] != then[name]]
    if changed:
        words = {"plan": "fit.toml", "data": work.file, "models": "a model", "pkpd": "the version of pkpd"}
        return Freshness(folder=folder, state="stale", why=f"changed: {', '.join(words[name] for name in changed)}")
    missing = [name for name in (REPORT,) if not (folder / name).is_file()]
    if missing:
        return Freshness(folder=folder, state="stale", why=f"missing: {', '.join(missing)}")
    differences = work.misses(tree) + (list(_differences(work, tree)) if rerun else [])
    if differences:
        return Freshness(folder=folder, state="differs", why="; ".join(differences))
    return Freshness(folder=folder, state="fresh", why="")


def _differences(work: Work, tree: xr.DataTree) -> Iterator[str]:
    """What the fit, done again, gives otherwise."""
    again, before = work.refit().estimates, tree["estimates"].to_dataset()
    new, old = again["value"], before["value"].reindex_like(again["value"])
    error = before["se"].reindex_like(new).fillna(0.0)
    apart = ~(abs(new - old) <= _SAME * abs(old) + 0.01 * error)
    for place in np.argwhere(apart.values):
        where = {name: str(new[name].values[i]) for name, i in zip(new.dims, place, strict=True)}
        at = tuple(place)
        yield f"{', '.join(where.values())} is {new.values[at]:.6g}, was {old.values[at]:.6g}"
