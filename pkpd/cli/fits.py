"""``pkpd run | check | report | replay | new``: folders of fits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pkpd.cli.screen import stages
from pkpd.errors import UsageError

_FLAG = Parameter(negative="", show_default=False)


def run(folder: Path, /) -> int:
    """Fit what a folder asks for and write its report.

    Reads `fit.toml` and the data it names; writes `result.nc`, `report.html`, `tables/` and `figures/` into the folder,
    all of them or none.

    Parameters
    ----------
    folder
        A folder with a `fit.toml`, such as `fits/ketamine_fatigue`.
    """
    from pkpd import project

    try:
        with stages() as advance:
            outcome = project.run(folder, on_progress=advance)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Nothing was written into {folder}; what was there before is still there.") from None
    print(outcome)
    for path in outcome.files:
        if path.parent == outcome.folder:
            print(f"Wrote {path}", file=sys.stderr)
    beside = len(outcome.files) - sum(path.parent == outcome.folder for path in outcome.files)
    if beside:
        print(f"Wrote {beside} tables and figures beside it", file=sys.stderr)
    return 0


def check(
    path: Path = Path("fits"), /, *, rerun: Annotated[bool, _FLAG] = False, freshen: Annotated[bool, _FLAG] = False
) -> int:
    """Tell whether the results of a folder are those of its inputs.

    One line for each folder: fresh; stale (an input has changed); differs (the same inputs give other numbers); never
    run; broken. The exit code is 0 if all are fresh, else 1.

    Parameters
    ----------
    path
        A folder with a `fit.toml`, or one that holds such folders; `fits` when left out.
    rerun
        Also fit again where the inputs have not changed, and compare the estimates.
    freshen
        Then run every folder that is not fresh.
    """
    from pkpd import project

    found = project.check(path, rerun=rerun)
    for one in found:
        print(one)
    stale = [one for one in found if not one.is_fresh]
    if not freshen:
        return 1 if stale else 0
    for one in stale:
        run(one.folder)
    return 0


def report(
    fit: Path,
    /,
    *,
    to: Path | None = None,
    format: Annotated[
        tuple[Literal["html", "pdf", "docx", "zip"], ...], Parameter(negative="", show_default=False)
    ] = (),
) -> int:
    """Write the report of a fit that was saved: for the screen, for paper, for Word, or everything in a ZIP.

    Parameters
    ----------
    fit
        A file that `Fit.save` wrote (.nc), or a folder that was run, whose own report it then is.
    to
        The file to write; its ending chooses the format. Left out, beside the fit.
    format
        The format when `--to` is left out; may be given several times. `html` when left out.
    """
    if to is not None and format:
        raise UsageError(
            "`--to` and `--format` are both given.",
            where="pkpd report",
            expected="One of them: the ending of the file chooses the format too.",
            remedy=f"Leave out --format to write {to}, or leave out --to.",
        )
    from pkpd import project

    written = project.report(fit, [to] if to is not None else format or ("html",))
    for path in written:
        print(f"Wrote {path}", file=sys.stderr)
    if fit.is_dir() and not project.is_kept(fit):
        print(f"This is the report of the fit alone: `pkpd run {fit}` makes that of the folder.", file=sys.stderr)
    return 0


def replay(report: Path, /, *, into: Path | None = None) -> int:
    """Run a report again, from what it carries, and say digit by digit whether the numbers agree.

    The exit code is 0 if the report is what was written and every number in it reads the same, else 1.

    Parameters
    ----------
    report
        An HTML report that `pkpd run` or `pkpd report` wrote.
    into
        Where to run it: a folder that does not exist, or is empty. When left out, a temporary one.
    """
    from pkpd import project

    found = project.replay(report, folder=into)
    print(found)
    return 0 if found.agrees else 1


def new(folder: Path, /, *, like: str = "ketamine_fatigue") -> int:
    """Make a folder for a fit of your own, from the inputs of a shipped one.

    Copies `fit.toml`, the data and the model files; change them, then `pkpd run` the folder.

    Parameters
    ----------
    folder
        The folder to make; it must not hold anything yet.
    like
        The shipped fit to start from.
    """
    from pkpd import library

    for path in library.copy_fit(like, folder):
        print(path)
    print(f"Change these, then: pkpd run {folder}", file=sys.stderr)
    return 0
