"""Equations: text into expressions, through an allow-list; nothing in the text is ever run.

Three statements are understood, one a line (a line goes on while a bracket is open; ``#`` starts a comment)::

    name = expression            # an assignment; names are defined before they are used
    d/dt(state) = expression     # a differential equation
    state(0) = expression        # where a state starts (0 otherwise)

Expressions are a small part of Python's: numbers, names (dotted if included), ``+ - * / **``, comparisons,
``and or not``, ``a if condition else b`` and the functions of :data:`pkpd.model.expression.FUNCTIONS`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pkpd.errors import Finding, ModelSyntaxError, caret, raise_all
from pkpd.model.expression import FUNCTIONS, Expr
from pkpd.model.grammar import NAME, Place, SyntaxProblem, read_expression

__all__ = ["RESERVED", "Equations", "Place", "Source", "parse_equations", "parse_expression"]

MAX_CHARACTERS = 10_000  # of one equation
RESERVED = frozenset(
    {"t", "d", "dt", "dose", "true", "false", *FUNCTIONS, *(word for word in keyword.kwlist if word.islower())}
)

_LEFT = {
    "derivative": re.compile(rf"d\s*/\s*dt\s*\(\s*({NAME})\s*\)"),
    "initial": re.compile(rf"({NAME})\s*\(\s*0(?:\.0*)?\s*\)"),
    "assignment": re.compile(rf"({NAME})"),
}
_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    return text.split("\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a text stands: its file, the line and column of its first character (from 1), the text of the file."""

    text: str
    file: str | None = None
    line: int = 1
    column: int = 1
    within: str | None = None

    def where(self, line: int, column: int) -> str:
        """Give ``file:line:column`` for a place in this text."""
        at = f"{line + self.line - 1}:{column + (self.column - 1 if line == 1 else 0)}"
        return f"{self.file}:{at}" if self.file else f"line {at.replace(':', ', column ')}"

    def excerpt(self, line: int, column: int) -> str:
        """Give the line with a caret under the column."""
        if self.within is None:
            return caret(_lines(self.text)[line - 1], column)
        lines = _lines(self.within)
        number = min(line + self.line - 2, len(lines) - 1)
        return caret(lines[number], column + (self.column - 1 if line == 1 else 0))

    def finding(self, code: str, what: str, place: Place, **parts: str | None) -> Finding:
        """Give a finding that points at `place`."""
        return Finding(
            code=code,
            what=what,
            where=self.where(place.line, place.column),
            excerpt=self.excerpt(place.line, place.column),
            **parts,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """Equations, read.

    Parameters
    ----------
    assignments
        (name, expression), in the order of the text, which is the order in which they are computed.
    derivatives
        Expression of each state's derivative, in the order of the text.
    initials
        Expression of each start value that was given.
    places
        Where each expression stands, by ``("assignment" | "derivative" | "initial", name)``; not compared.
    source
        The text that was read; not compared.
    """

    assignments: tuple[tuple[str, Expr], ...] = ()
    derivatives: Mapping[str, Expr] = field(default_factory=dict)
    initials: Mapping[str, Expr] = field(default_factory=dict)
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict, compare=False, repr=False)
    source: Source | None = field(default=None, compare=False, repr=False)


def parse_expression(text: str, *, file: str | None = None, line: int = 1, column: int = 1) -> Expr:
    """Read one expression.

    Parameters
    ----------
    text
        Such as ``"(WT / 70) ** 0.75"``.
    file, line, column
        Where the text stands, for messages.

    Raises
    ------
    ModelSyntaxError
        The text is not an expression; the message points at the place.
    """
    return place_expression(text, file=file, line=line, column=column)[0]


def place_expression(
    text: str, *, file: str | None = None, line: int = 1, column: int = 1, within: str | None = None
) -> tuple[Expr, Place, Source]:
    """Read one expression, and tell where its parts stand; `within` is the text of the file."""
    source = Source(text=text, file=file, line=line, column=column, within=within)
    try:
        _limit(text, 1)
        expr, place = read_expression(_without_comments(text), 1, 1)
    except SyntaxProblem as problem:
        raise _error(source, problem) from None
    return expr, place, source


def parse_equations(
    text: str, *, file: str | None = None, line: int = 1, column: int = 1, within: str | None = None
) -> Equations:
    """Read equations.

    Parameters
    ----------
    text
        One statement a line, as this module's description says.
    file, line, column
        Where the text stands, for messages.
    within
        The text of the file, whose lines messages show.

    Returns
    -------
    Equations
        What was read. That names are defined is checked where all names are known, in the model.

    Raises
    ------
    ModelSyntaxError
        Some statements cannot be read; each is listed with line, column and caret.
    """
    source = Source(text=text, file=file, line=line, column=column, within=within)
    assignments: list[tuple[str, Expr]] = []
    derivatives: dict[str, Expr] = {}
    initials: dict[str, Expr] = {}
    places: dict[tuple[str, str], Place] = {}
    seen: dict[tuple[str, str], int] = {}
    findings: list[Finding] = []
    for start, statement in _statements(text):
        try:
            kind, name, expr, place = _read_statement(statement, start)
            key = (kind, name)
            if key in seen:
                raise SyntaxProblem(
                    f"{_left_text(kind, name)} is given twice, first in line {seen[key] + source.line - 1}.",
                    start,
                    1 + len(statement) - len(statement.lstrip()),
                    remedy="Keep one of them.",
                )
            seen[key] = start
        except SyntaxProblem as problem:
            findings.append(_problem_finding(source, problem))
            continue
        places[key] = place
        if kind == "assignment":
            assignments.append((name, expr))
        else:
            (derivatives if kind == "derivative" else initials)[name] = expr
    if findings:
        raise_all(ModelSyntaxError, findings)
    return Equations(
        assignments=tuple(assignments), derivatives=derivatives, initials=initials, places=places, source=source
    )


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Give (line number, text) of each statement; an open bracket joins lines."""
    pending: list[str] = []
    start = depth = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.split("#", 1)[0].rstrip()
        if not pending:
            if not line.strip():
                continue
            start = number
        pending.append(line)
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        if depth <= 0:
            yield start, "\n".join(pending)
            pending, depth = [], 0
    if pending:  # a bracket that is never closed: reading the statement says where it opens
        yield start, "\n".join(pending)


def _read_statement(statement: str, line: int) -> tuple[str, str, Expr, Place]:
    _limit(statement, line)
    equals = _EQUALS.search(statement)
    indent = 1 + len(statement) - len(statement.lstrip())
    if equals is None or "\n" in statement[: equals.start()]:
        raise SyntaxProblem(
            "this line is not an equation.",
            line,
            indent,
            expected="An equation is `name = …`, `d/dt(state) = …` or `state(0) = …`.",
        )
    left = statement[: equals.start()].strip()
    found = [(kind, match) for kind, pattern in _LEFT.items() if (match := pattern.fullmatch(left))]
    if not found:
        raise SyntaxProblem(
            f"`{_short(left)}` cannot stand left of `=`.",
            line,
            indent,
            expected="An equation is `name = …`, `d/dt(state) = …` or `state(0) = …`.",
        )
    kind, match = found[0]
    name = match.group(1)
    if name in RESERVED:
        raise SyntaxProblem(
            f"`{name}` is a word of the language and cannot be defined.", line, indent, remedy="Choose another name."
        )
    expr, place = read_expression(statement[equals.end() :], line, equals.end() + 1)
    return kind, name, expr, place


def _left_text(kind: str, name: str) -> str:
    return {"assignment": f"`{name}`", "derivative": f"`d/dt({name})`", "initial": f"`{name}(0)`"}[kind]


def _limit(text: str, line: int) -> None:
    if len(text) > MAX_CHARACTERS:
        raise SyntaxProblem(
            f"an equation of {len(text)} characters is too long.",
            line,
            1,
            expected=f"At most {MAX_CHARACTERS} are read.",
            remedy="Split it into several assignments.",
        )


def _without_comments(text: str) -> str:
    return "\n".join(line.split("#", 1)[0] for line in text.split("\n"))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


def _problem_finding(source: Source, problem: SyntaxProblem) -> Finding:
    return source.finding("syntax", problem.what, problem.place, expected=problem.expected, remedy=problem.remedy)


def _error(source: Source, problem: SyntaxProblem) -> ModelSyntaxError:
    finding = _problem_finding(source, problem)
    return ModelSyntaxError(
        finding.what,
        where=finding.where,
        expected=finding.expected,
        remedy=finding.remedy,
        excerpt=finding.excerpt,
    )
