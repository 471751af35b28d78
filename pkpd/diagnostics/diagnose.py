"""The verb ``diagnose``: one question to a fit, and the answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.diagnostics.case import Case
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.errors import MismatchError, UsageError, suggestion
from pkpd.estimation import Fit
from pkpd.plots import house_style
from pkpd.plots.stamp import settle, stamp

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from pkpd.data import Dataset

__all__ = ["Diagnosis", "answer", "diagnose", "every"]


def diagnose(fit: Fit, diagnostic: Diagnostic, *, data: Dataset | None = None, threads: int | None = None) -> Diagnosis:
    """Ask one question of a fit.

    Parameters
    ----------
    fit : Fit
    diagnostic : Diagnostic
        Which, with its options: ``VPC(seed=1)``, ``GoodnessOfFit()``.
    data : Dataset, optional
        What was fitted, where the fit does not hold it.
    threads : int, optional
        Of the engine. The numbers do not depend on it.

    Returns
    -------
    Diagnosis
        Its ``data`` are everything that is drawn; ``figure()`` draws, ``caption()`` says what is seen.

    Raises
    ------
    UsageError
        This is no fit, or no diagnostic.
    MismatchError
        The question cannot be asked of this fit, with every reason; or these are other data.
    """
    _check(fit, diagnostic)
    return answer(Case(fit=fit, given=data, threads=threads), diagnostic)


def answer(case: Case, diagnostic: Diagnostic) -> Diagnosis:
    """Ask one question of a case, whose parts are then there for the next."""
    reasons = diagnostic.unmet(case)
    name = type(diagnostic).__name__
    if reasons:
        raise MismatchError(
            f"{name} cannot be asked of this fit. {' '.join(reasons)}",
            where=f"diagnose({case.fit.attrs['model_name']}, {name})",
            expected=f"{diagnostic.question}",
            remedy="pkpd.diagnostics.every(fit) lists what can be asked of it.",
        )
    found = diagnostic.compute(case)
    found.attrs |= {
        "diagnostic": repr(diagnostic),
        "question": diagnostic.question,
        "run": case.fit.run,
        "data_digest": case.fit.attrs["data_digest"],
        "created": case.fit.attrs["created"],
    }
    return Diagnosis(diagnostic=diagnostic, data=found)


def every(fit: Fit, *, data: Dataset | None = None) -> dict[type[Diagnostic], list[str]]:
    """Give every diagnostic of the package, with the reasons why it cannot be asked of this fit: none if it can."""
    import pkpd.diagnostics as room

    case = Case(fit=fit, given=data)
    found = {}
    for name in room.DIAGNOSTICS:
        kind = getattr(room, name)
        found[kind] = [reason for need in kind.needs if (reason := need(case))]
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Diagnosis:
    """The answer to one question.

    Parameters
    ----------
    diagnostic : Diagnostic
        The question, with its options.
    data : xarray.Dataset
        Everything that is drawn and said.
    """

    diagnostic: Diagnostic
    data: xr.Dataset

    @property
    def pages(self) -> int:
        """How many figures there are."""
        return self.diagnostic.pages(self.data)

    def figure(self, page: int = 0) -> Figure:
        """Draw one page, counted from 0, stamped with the run, the data and the date."""
        if not 0 <= page < self.pages:
            raise UsageError(
                f"there is no page {page}.", where=f"{type(self.diagnostic).__name__}.figure(page=...)",
                expected=f"0 to {self.pages - 1}.", remedy="`pages` says how many there are.",
            )  # fmt: skip
        attrs = self.data.attrs
        with house_style():
            drawing = self.diagnostic.draw(self.data, page)
            stamp(drawing, f"run {attrs['run']} · data {str(attrs['data_digest'])[:10]} · {str(attrs['created'])[:10]}")
            settle(drawing)
        return drawing

    def figures(self) -> Iterator[Figure]:
        """Draw all pages."""
        return (self.figure(page) for page in range(self.pages))

    def caption(self, page: int = 0) -> str:
        """What is seen on a page, and what it says here."""
        return self.diagnostic.caption(self.data, page)

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the figures (``.png``, ``.svg``, ``.pdf``; several pages are numbered) or the data (``.nc``).

        Raises
        ------
        FitFileError, DataError
            The file cannot be written.
        """
        from pkpd.estimation.file import write_whole
        from pkpd.plots import save

        target = Path(path)
        if target.suffix == ".nc":
            write_whole(target, lambda part: self.data.to_netcdf(part, engine="h5netcdf"), what="the diagnosis")
            return [target]
        if self.pages == 1:
            return [save(self.figure(), target)]
        return [
            save(drawing, target.with_name(f"{target.stem}_{number}{target.suffix}"))
            for number, drawing in enumerate(self.figures(), start=1)
        ]

    def __repr__(self) -> str:
        return f"Diagnosis({self.data.attrs['diagnostic']} of run {self.data.attrs['run']})"

    def __str__(self) -> str:
        captions = [self.caption(page) for page in range(min(self.pages, 3))]
        rest = [f"… and {self.pages - 3} more pages"] if self.pages > 3 else []
        return "\n".join([self.diagnostic.title, self.diagnostic.question, *captions, *rest])

    def _repr_png_(self) -> bytes:
        import io

        out = io.BytesIO()
        with house_style():
            self.figure().savefig(out, format="png")
        return out.getvalue()


def _check(fit: Any, diagnostic: Any) -> None:
    import pkpd.diagnostics as room

    if not isinstance(fit, Fit):
        raise UsageError(
            f"the first argument is a {type(fit).__name__}.", where="diagnose(fit, diagnostic)", expected="A Fit.",
            remedy="pkpd.fit(...) makes one, pkpd.load_fit(path) reads one.",
        )  # fmt: skip
    if not isinstance(diagnostic, Diagnostic):
        name = diagnostic.__name__ if isinstance(diagnostic, type) else str(diagnostic)
        known = room.DIAGNOSTICS
        raise UsageError(
            f"{name} is no diagnostic." if name not in known else f"{name} is a class.",
            where="diagnose(fit, diagnostic)",
            expected=f"An object: {', '.join(f'{one}()' for one in known)}.",
            remedy=f"Write pkpd.diagnostics.{name}()." if name in known else suggestion(name, known),
        )
