"""Reference numbers that a fit is held to: stated in its fit.toml, shown in its report, looked at by ``check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import Finding, suggestion

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.model import Model
    from pkpd.reporting.content import Section

__all__ = ["Held", "Reference", "compare", "estimable", "findings", "section", "summary"]

_COLUMNS = {
    "value": "estimate of {}",
    "se": "standard error of {}",
    "transformed": "{}, on its scale",
    "transformed_se": "standard error of {}, on its scale",
}
_ERRORS = {"value": "se", "transformed": "transformed_se"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Numbers for the same fit from elsewhere; `within`, `relative` and `errors` together say how far ours may lie.

    Parameters
    ----------
    source
        Where they are printed.
    within
        How far ours may lie from them.
    relative
        The same as a share of them.
    errors
        The same in our standard errors, for estimates.
    why
        The reason for that.
    subject
        Whose they are, where each subject has a fit of its own.
    objective
        -2 log L of the estimator, without n log(2 pi), as NONMEM prints it.
    marginal
        The exact -2 log L at the estimates, in the same convention.
    value, se
        Estimates by parameter, and their standard errors.
    transformed, transformed_se
        The same on the scale of each parameter: logarithms, for a log-normal one.
    """

    source: str
    within: float = 0.0
    relative: float = 0.0
    errors: float = 0.0
    why: str = ""
    subject: str = ""
    objective: float | None = None
    marginal: float | None = None
    value: dict[str, float] = field(default_factory=dict)
    se: dict[str, float] = field(default_factory=dict)
    transformed: dict[str, float] = field(default_factory=dict)
    transformed_se: dict[str, float] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, dict[str, float]]:
        """The columns of estimates that hold something."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return {name: numbers for name, numbers in columns.items() if numbers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One reference number beside ours.

    Parameters
    ----------
    what, source : str
    theirs, ours, allowed : float
        Theirs, ours, and how far they may lie apart.
    """

    what: str
    source: str
    theirs: float
    ours: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether ours is close enough; never where there is none."""
        return abs(self.ours - self.theirs) <= self.allowed * (1 + 1e-9)

    def __str__(self) -> str:
        return f"{self.what} is {self.ours:.6g}, reference {self.theirs:.10g} (allowed: {self.allowed:.2g})"


def estimable(model: Model) -> list[str]:
    """Give the names of what a fit of the model may estimate."""
    return [*model.parameters, *(n for o in model.outputs.values() for n in o.residual_names), *model.variance_names]


def findings(references: Sequence[Reference], model: Model, *, alone: bool) -> list[Finding]:
    """Everything that is wrong with what a plan holds a fit to; `alone`: each subject has a fit of its own."""
    found: list[Finding] = []
    names = estimable(model)
    for number, one in enumerate(references, start=1):
        where = f"fit.toml, [[reference]] {number}"
        if not one.named and one.objective is None and one.marginal is None:
            columns = ", ".join(("objective", "marginal", *_COLUMNS))
            found.append(Finding(code="empty", where=where, what="it holds no number.", expected=f"Any of: {columns}."))
        tolerances = (one.within, one.relative, one.errors)
        if min(tolerances) < 0 or max(tolerances) <= 0:
            found.append(
                Finding(
                    code="tolerance",
                    where=where,
                    what="within is {:g}, relative {:g}, errors {:g}.".format(*tolerances),
                    expected="One of them above 0, none below.",
                    remedy="Give half a unit of the last digit printed.",
                )
            )
        elsewhere = one.objective is not None or one.marginal is not None or one.se or one.transformed_se
        if one.errors and elsewhere:
            found.append(
                Finding(
                    code="tolerance",
                    where=where,
                    what="errors are given for more than estimates.",
                    expected="value or transformed: only estimates have standard errors.",
                    remedy="Give the others a [[reference]] of their own.",
                )
            )
        if one.subject and not alone:
            found.append(
                Finding(
                    code="subject",
                    where=where,
                    what=f"subject is {one.subject!r}, but this estimator gives one fit for all.",
                    remedy="Leave it out.",
                )
            )
        if alone and one.named and not one.subject:
            found.append(
                Finding(
                    code="subject",
                    where=where,
                    what="it is not said whose numbers these are.",
                    expected="Each subject has a fit of its own here.",
                    remedy='Add subject = "1".',
                )
            )
        for column, numbers in one.named.items():
            for name in numbers:
                if name not in names:
                    found.append(
                        Finding(
                            code="unknown-name",
                            where=f"{where}, {column}",
                            what=f"there is no `{name}`.",
                            expected=f"One of: {', '.join(names)}.",
                            remedy=suggestion(name, names) or "Name one of these.",
                        )
                    )
    return found


def compare(fit: Fit, references: Sequence[Reference]) -> list[Held]:
    """Put ours beside every reference number."""
    held: list[Held] = []
    for one in references:

        def add(what: str, theirs: float, ours: float, error: float = 0.0, one: Reference = one) -> None:
            allowed = one.within + one.relative * abs(theirs) + one.errors * error
            held.append(Held(what=what, source=one.source, theirs=theirs, ours=ours, allowed=allowed))

        if one.objective is not None:
            add("objective", one.objective, fit.ofv)
        if one.marginal is not None:
            known = "marginal" in fit.verdict
            add("exact -2 log L", one.marginal, float(fit.verdict["marginal"].item()) if known else np.nan)
        table = fit.estimates
        if one.subject:
            if one.subject not in table["subject"].values.tolist():
                for column, numbers in one.named.items():
                    for name, theirs in numbers.items():
                        add(f"{_COLUMNS[column].format(name)}, {one.subject}", theirs, np.nan)
                continue
            table = table.sel(subject=one.subject)
        for column, numbers in one.named.items():
            for name, theirs in numbers.items():
                words = _COLUMNS[column].format(name) + (f", {one.subject}" if one.subject else "")
                error = float(table[_ERRORS[column]].sel(parameter=name)) if one.errors else 0.0
                add(words, theirs, float(table[column].sel(parameter=name)), error)
    return held


def summary(held: Sequence[Held]) -> str:
    """Say how many reference numbers come out, and name those that do not; nothing where none were stated."""
    if not held:
        return ""
    missed = [one for one in held if not one.holds]
    lines = [f"Reference numbers: {len(held) - len(missed)} of {len(held)} come out."]
    return "\n".join([*lines, *(f"  NOT AS IN THE REFERENCE: {one} ({one.source})" for one in missed)])


def section(references: Sequence[Reference], held: Sequence[Held]) -> Section:
    """Give the section of the report."""
    from pkpd.reporting.content import Column, Paragraph, Section, Table

    rows, groups, strong = [], [], []
    source = ""
    for number, one in enumerate(held):
        if one.source != source:
            source = one.source
            groups.append((number, source))
        if not one.holds:
            strong.append(number)
        apart = one.ours - one.theirs
        rows.append((one.what, one.theirs, one.ours, apart, one.allowed, "yes" if one.holds else "NO"))
    whys = tuple(dict.fromkeys(f"{one.source}: {one.why}" for one in references if one.why))
    table = Table(
        name="reference",
        caption="Reference numbers for this fit, ours beside them, and how far ours may lie from them.",
        columns=(
            Column(name="number", kind="text"),
            Column(name="reference", digits=7),
            Column(name="here", digits=7),
            Column(name="difference", digits=2),
            Column(name="allowed", digits=2),
            Column(name="holds", kind="name"),
        ),
        rows=tuple(rows),
        groups=tuple(groups),
        strong=tuple(strong),
        notes=whys,
    )
    good = sum(one.holds for one in held)
    blocks = (Paragraph(f"{good} of {len(held)} reference numbers come out."), table)
    return Section(title="Reference numbers", blocks=blocks)
