"""The errors of the package: each says where, what, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NoReturn

__all__ = [
    "CannotFit",
    "DataError",
    "DoseError",
    "Finding",
    "FitError",
    "FitFileError",
    "MismatchError",
    "ModelError",
    "ModelSyntaxError",
    "PkpdError",
    "PkpdWarning",
    "SolveError",
    "UnitError",
    "UsageError",
    "caret",
    "check_options",
    "did_you_mean",
    "raise_all",
    "suggestion",
]

LISTED = 20  # findings in the text of an error; `findings` holds all
EXCERPT_WIDTH = 110  # a longer line is cut around its caret, so that a message stays readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth a look.

    Parameters
    ----------
    code
        A short stable name of the rule, such as ``"unit"`` or ``"undefined"``.
    severity
        ``"error"`` stops the work, ``"warning"`` does not.
    where, what, expected, remedy
        The four parts of a message.
    excerpt
        Lines of source with a caret, as :func:`caret` makes them.
    """

    code: str
    what: str
    severity: Literal["error", "warning"] = "error"
    where: str | None = None
    expected: str | None = None
    remedy: str | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        return _lay_out(self.what, self.where, self.expected, self.remedy, self.excerpt)


class PkpdError(Exception):
    """Base of every error that the package raises on purpose.

    Parameters
    ----------
    what
        What is wrong, with the value. May be left out when `findings` are given.
    where
        File, line and column; row and column; subject; or parameter.
    expected
        What was expected, with the list of what exists.
    remedy
        What to do.
    excerpt
        Lines of source with a caret, as :func:`caret` makes them.
    findings
        All that is wrong, when it is more than one thing.
    """

    def __init__(
        self,
        what: str = "",
        *,
        where: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
        excerpt: str | None = None,
        findings: Iterable[Finding] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.remedy = remedy
        self.excerpt = excerpt
        self.findings: tuple[Finding, ...] = tuple(findings)

    def __str__(self) -> str:
        if not self.findings:
            return _lay_out(self.what, self.where, self.expected, self.remedy, self.excerpt)
        count = len(self.findings)
        head = self.what or ("" if count == 1 else f"{count} things are wrong.")
        start = [_lay_out(head, self.where, self.expected, self.remedy, self.excerpt)] if head else []
        listed = [str(finding) for finding in self.findings[:LISTED]]
        rest = [f"… and {count - LISTED} more."] if count > LISTED else []
        return "\n\n".join(start + listed + rest)

    def as_finding(self, code: str = "error", where: str | None = None) -> Finding:
        """Give this error as a finding; `where` is used if the error has no place of its own."""
        return Finding(
            code=code,
            what=self.what,
            where=self.where or where,
            expected=self.expected,
            remedy=self.remedy,
            excerpt=self.excerpt,
        )


class PkpdWarning(UserWarning):
    """Something that can be done, and is perhaps not what was meant."""


class ModelError(PkpdError):
    """A model that cannot be."""


class ModelSyntaxError(ModelError):
    """Text of a model that cannot be read."""


class UnitError(ModelError):
    """A unit that is not known, or does not fit."""


class DataError(PkpdError):
    """Data that cannot be."""


class DoseError(PkpdError):
    """A dose that cannot be given."""


class MismatchError(PkpdError):
    """A model and data that do not go together; `findings` holds all that is wrong."""


class SolveError(PkpdError):
    """Equations that could not be solved for somebody."""


class FitError(PkpdError):
    """A fit that failed."""


class CannotFit(FitError):
    """An estimator that cannot honour what was asked."""


class FitFileError(FitError):
    """A file of results that cannot be read or written."""


class UsageError(PkpdError):
    """A command that was called wrongly; the command line ends with exit code 2."""


def raise_all(cls: type[PkpdError], findings: Sequence[Finding], what: str = "") -> NoReturn:
    """Raise one error of class `cls` that lists all `findings`.

    A single finding becomes a plain error with the same four parts.
    """
    if len(findings) == 1 and not what:
        only = findings[0]
        error = cls(only.what, where=only.where, expected=only.expected, remedy=only.remedy, excerpt=only.excerpt)
        raise error
    raise cls(what, findings=findings)


def check_options(verb: str, *options: tuple[str, object, bool, str]) -> None:
    """Refuse options that have no meaning, all at once.

    Parameters
    ----------
    verb
        Of which function or class.
    options
        Name, value, whether that has a meaning, and what was expected.

    Raises
    ------
    UsageError
        Some have none.
    """
    found = [
        Finding(
            code=name,
            where=f"{verb}({name}=...)",
            what=f"{name} is {value!r}.",
            expected=expected,
            remedy="Leave it out for what is usual.",
        )
        for name, value, sound, expected in options
        if not sound
    ]
    if found:
        raise_all(UsageError, found)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Give the known name nearest to `name`, or None if none is near.

    Examples
    --------
    >>> did_you_mean("centrl", ["depot", "central"])
    'central'
    """
    lowered = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower()[:100], lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Give the sentence "Did you mean `x`?", or None if no known name is near."""
    near = did_you_mean(name, known)
    return f"Did you mean `{near}`?" if near is not None else None


def caret(line: str, column: int) -> str:
    """Give a line of source, indented, with a caret under `column` (counted from 1)."""
    text = line.replace("\t", " ").rstrip()
    stripped = text.lstrip()
    at = max(column - 1 - (len(text) - len(stripped)), 0)
    if len(stripped) > EXCERPT_WIDTH:
        start = max(0, at - EXCERPT_WIDTH // 2)
        head = "… " if start else ""
        tail = " …" if start + EXCERPT_WIDTH < len(stripped) else ""
        stripped = head + stripped[start : start + EXCERPT_WIDTH] + tail
        at = at - start + len(head)
    return f"    {stripped}\n    {' ' * at}^"


def _lay_out(what: str, where: str | None, expected: str | None, remedy: str | None, excerpt: str | None) -> str:
    lines = [f"{where}: {what}" if where else what]
    if excerpt:
        lines.append(excerpt)
    rest = " ".join(part for part in (expected, remedy) if part)
    if rest:
        lines.append("  " + rest)
    return "\n".join(lines)
