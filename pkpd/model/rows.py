"""Reading the rows of a TOML table: values of the right kind, no key left over, all findings kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkpd.errors import Finding, ModelError, PkpdError, did_you_mean, suggestion
from pkpd.model.equation import Place, Source, place_expression
from pkpd.model.expression import Expr
from pkpd.model.locate import Located

MAX_FINDINGS = 200


class Reading:
    """What a file has given so far: findings, and where things stand.

    Parameters
    ----------
    located
        The text of the file; None if the content came as a mapping.
    file
        Name of the file, for messages.
    folder
        Folder of the file, for includes; None if it came from nowhere.
    """

    def __init__(self, located: Located | None, file: str | None, folder: Path | None) -> None:
        self.located = located
        self.file = file
        self.folder = folder
        self.findings: list[Finding] = []
        self.places: dict[tuple[str, ...], tuple[Source, Place]] = {}
        self.broken: set[str] = set()  # names whose row could not be read, so that nobody calls them undefined

    @property
    def whole(self) -> str | None:
        """The text of the file, if there is one."""
        return self.located.source.text if self.located is not None else None

    def find(self, path: tuple[str, ...], what: str, code: str = "file", **parts: str | None) -> None:
        """Note that something is wrong at `path`."""
        if self.located is not None:
            self.findings.append(self.located.source.finding(code, what, self.located.place(path), **parts))
        else:
            self.findings.append(Finding(code=code, what=what, where=" ".join(path) or None, **parts))  # type: ignore[arg-type]

    def take(self, path: tuple[str, ...], error: PkpdError) -> None:
        """Note an error as a finding, at `path` if it has no place in the file."""
        if error.findings:
            self.findings.extend(error.findings)
        elif error.excerpt is not None or self.located is None:
            self.findings.append(error.as_finding("syntax" if error.excerpt else "value", " ".join(path)))
        else:
            what = f"{error.where}: {error.what}" if error.where else error.what
            self.find(path, what, "value", expected=error.expected, remedy=error.remedy)

    def mark(self, path: tuple[str, ...]) -> None:
        """Keep the place of a row."""
        if self.located is not None:
            self.places[path] = (self.located.source, self.located.place(path))


class Row:
    """One table of the file, from which values are taken by key; :meth:`close` refuses what is left.

    Parameters
    ----------
    reading
        Where findings go.
    path
        Keys that lead to this table.
    content
        The table; anything else is a finding.
    """

    def __init__(self, reading: Reading, path: tuple[str, ...], content: Any) -> None:
        self.reading = reading
        self.path = path
        self.fine = isinstance(content, Mapping)
        self.content: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
        self.asked: dict[str, None] = {}
        if not self.fine:
            reading.find(path, f"`{path[-1]}` is {_kind(content)}.", expected="A table of keys was expected.")

    def _get(self, key: str, wanted: type | tuple[type, ...], kind: str, default: Any) -> Any:
        self.asked[key] = None
        if key not in self.content:
            return default
        value = self.content[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self.wrong(key, f"`{key}` is {_kind(value)}.", expected=f"{kind} was expected.")
            return default
        return value

    def wrong(self, key: str, what: str, *, expected: str | None = None, remedy: str | None = None) -> None:
        """Note that the value of `key` is wrong."""
        self.fine = False
        self.reading.find((*self.path, key), what, expected=expected, remedy=remedy)

    def text(self, key: str, default: str = "") -> str:
        """Take a text."""
        return self._get(key, str, "A text in quotes", default)

    def number(self, key: str, default: Any = None) -> Any:
        """Take a number as float."""
        value = self._get(key, (int, float), "A number", default)
        try:
            return value if value is default else float(value)
        except OverflowError:
            self.wrong(key, f"`{key}` is too large a number.", expected="Numbers go up to 1.8e308.")
            return default

    def whole(self, key: str) -> int | None:
        """Take a whole number."""
        return self._get(key, int, "A whole number", None)

    def flag(self, key: str, default: bool = False) -> bool:
        """Take true or false."""
        return self._get(key, bool, "true or false", default)

    def rows(self, key: str) -> list[Any]:
        """Take a list."""
        return self._get(key, list, "A list in [ ]", [])

    def numbers(self, key: str) -> tuple[float, ...]:
        """Take a list of numbers."""
        listed = self.rows(key)
        if not all(type(value) in (int, float) for value in listed):
            self.wrong(key, f"`{key}` is not made of numbers.", expected="Such as [0, 1, 2].",
                       remedy="Give every one a number.")  # fmt: skip
            return ()
        return tuple(float(value) for value in listed)

    def triangle(self, key: str) -> tuple[tuple[float, ...], ...]:
        """Take rows of numbers."""
        rows = self.rows(key)
        if not all(isinstance(row, list) and all(type(v) in (int, float) for v in row) for row in rows):
            self.wrong(key, f"`{key}` is not made of rows of numbers.", expected="Such as [[0.06], [0.01, 0.04]].")
            return ()
        return tuple(tuple(float(v) for v in row) for row in rows)

    def table(self, key: str) -> Mapping[str, Any]:
        """Take a table inside this one."""
        return self._get(key, Mapping, "A table", {})

    def needed(self, key: str, what: str) -> bool:
        """Tell whether `key` is there; if not, that is a finding."""
        if key not in self.content and self.fine:
            self.fine = False
            if did_you_mean(key, (str(other) for other in self.content)) not in (None, "unit", "label"):
                return False  # the key that is there instead is a finding of its own
            self.reading.find(self.path, f"`{self.path[-1]}` has no `{key}`.", expected=what, remedy=f"Add {key}.")
        return key in self.content

    def expression(self, key: str) -> Expr | None:
        """Take an expression: a text, or a number. Its place is kept under the row's path and `key`."""
        self.asked[key] = None
        value = self.content.get(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        if not isinstance(value, str):
            self.wrong(key, f"`{key}` is {_kind(value)}.", expected="An expression as a text was expected.")
            return None
        path = (*self.path, key)
        at = self.reading.located.text_place(path, value) if self.reading.located else Place(1, 1)
        try:
            expr, place, source = place_expression(
                value, file=self.reading.file, line=at.line, column=at.column, within=self.reading.whole
            )
        except PkpdError as error:
            self.fine = False
            self.reading.take(path, error)
            return None
        self.reading.places[path] = (source, place)
        return expr

    def make(self, cls: type, **values: Any) -> Any:
        """Make an object from what was read; None if the row is not fine or the object refuses."""
        if not self.fine:
            return None
        try:
            made = cls(**values)
        except PkpdError as error:
            self.fine = False
            self.reading.take(self.path, error)
            return None
        self.reading.mark(self.path)
        return made

    def close(self) -> None:
        """Refuse the keys that nobody asked for."""
        for key in map(str, self.content):
            if len(self.reading.findings) >= MAX_FINDINGS:
                return  # this is no model file; nobody reads more
            if key not in self.asked:
                dotted = f'A dotted name goes in quotes: "{self.path[-1]}.{key}" = …' if len(self.path) == 2 else None
                self.reading.find(
                    (*self.path, key),
                    f"`{key}` is not a key of {'[' + '.'.join(self.path) + ']' if self.path else 'a model file'}.",
                    "unknown-key",
                    expected=f"Keys: {', '.join(self.asked)}.",
                    remedy=suggestion(key, self.asked)
                    or (dotted if isinstance(self.content.get(key), Mapping) else None),
                )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, int | float):
        return f"the number {value:g}" if abs(value) < 1e300 else "a very large number"
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else f"{value!r}"[:40]


def by_name(key: str, rows: Any) -> dict[str, Any]:
    """Give rows, listed or by name, by their own names."""
    if isinstance(rows, Mapping):
        wrong = [name for name, row in rows.items() if row.name != name]
        if wrong:
            raise ModelError(f"the row `{wrong[0]}` of {key} is called `{rows[wrong[0]].name}`.")
        return dict(rows)
    found: dict[str, Any] = {}
    for row in rows:
        if row.name in found:
            raise ModelError(f"`{row.name}` stands twice in {key}.", remedy="Keep one of them.")
        found[row.name] = row
    return found
