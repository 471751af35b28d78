"""Where a key or a text stands in a TOML file, since Python's reader keeps no lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkpd.model.equation import Place, Source

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True, slots=True)
class _Row:
    """The lines of one ``key = value``: from `start` to before `end` (from 0)."""

    start: int
    end: int


class Located:
    """A TOML text in which paths of keys are found again.

    Parameters
    ----------
    text
        The file.
    file
        Its name, for messages.
    """

    def __init__(self, text: str, file: str | None) -> None:
        self.source = Source(text=text, file=file)
        self.lines = text.split("\n")
        self._rows: dict[tuple[str, ...], _Row] = {}
        self._scan()

    def _scan(self) -> None:
        table: tuple[str, ...] = ()
        counts: dict[tuple[str, ...], int] = {}
        closing: str | None = None
        last: tuple[str, ...] | None = None
        for number, line in enumerate(self.lines):
            if closing is not None:  # inside a text of several lines
                if closing in line:
                    closing = None
                continue
            if match := _HEADER.match(line):
                if last is not None:
                    self._close(last, number)
                table = _split(match.group(2))
                if match.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, str(counts[table]))
                self._rows.setdefault(table, _Row(number, number + 1))
                last = None
            elif match := _KEY.match(line):
                if last is not None:
                    self._close(last, number)
                last = (*table, *_split(match.group(1)))
                self._rows.setdefault(last, _Row(number, number + 1))
                for quotes in ("'''", '"""'):
                    if line.count(quotes) == 1:
                        closing = quotes
        if last is not None:
            self._close(last, len(self.lines))

    def _close(self, path: tuple[str, ...], end: int) -> None:
        self._rows[path] = _Row(self._rows[path].start, end)

    def place(self, path: tuple[str, ...]) -> Place:
        """Give the place of a key; of its table, or of the file's start, if the key itself is not found."""
        for length in range(len(path), 0, -1):
            row = self._rows.get(path[:length])
            if row is None:
                continue
            line, column = row.start, len(self.lines[row.start]) - len(self.lines[row.start].lstrip())
            for key in path[length:]:  # keys inside an inline table, one inside the other
                line, column = self._inner(key, row, line, column)
            return Place(line + 1, column + 1)
        return Place(1, 1)

    def _inner(self, key: str, row: _Row, line: int, column: int) -> tuple[int, int]:
        pattern = re.compile(rf"""(?<![\w-])["']?{re.escape(key)}["']?\s*=(?!=)""")
        start = column + 1
        for number in range(line, row.end):
            if match := pattern.search(self.lines[number], start):
                return number, match.start()
            start = 0
        return line, column

    def text_place(self, path: tuple[str, ...], text: str) -> Place:
        """Give the place of the first character of a text value."""
        key = self.place(path)
        number = key.line - 1
        rest = self.lines[number]
        equals = rest.find("=", key.column - 1)
        for quotes in ("'''", '"""'):
            opened = rest.find(quotes, equals)
            if opened >= 0 and not rest[equals + 1 : opened].strip():
                # a line break right after the quotes is not part of the text
                return Place(key.line + 1, 1) if opened + 3 == len(rest.rstrip("\r")) else Place(key.line, opened + 4)
        first = text.split("\n", 1)[0]
        opened = rest.find(first, equals + 1)
        return Place(key.line, (opened if opened >= 0 else key.column - 1) + 1)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""", dotted))
