"""What a report is made of: sections of paragraphs, tables, figures and equations, with no thought of HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pkpd.errors import PkpdError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["Block", "Box", "Column", "Content", "Equations", "Figure", "Listing", "Paragraph", "Section", "Table"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text.

    ``**strong**``, ``*emphasis*`` and code in backticks are marked up; a blank line starts a new paragraph.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name
        Its heading.
    unit
        Its unit, shown under the heading.
    digits
        Significant digits of its numbers as shown; the CSV file keeps them all.
    decimals
        Decimals instead of significant digits, for columns whose numbers should line up.
    kind
        ``"number"`` is set flush right, ``"text"`` flush left and wrapped, ``"name"`` flush left in one line.
    """

    name: str
    unit: str = ""
    digits: int = 4
    decimals: int | None = None
    kind: Literal["number", "text", "name"] = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; written beside the report as ``<name>.csv``.

    Parameters
    ----------
    name
        Name of the file, lower case with underscores.
    caption
        What the table says, in a sentence.
    columns, rows
        Headings, and for each row one value a column: a number, a text, a pair of numbers (an interval), True/False,
        or None where there is none.
    notes
        Lines set small under the table.
    strong
        Numbers of the rows to be set in bold.
    groups
        Headings inside the table: (number of the row that follows, text). In the CSV file they become a first column.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    strong: tuple[int, ...] = ()
    groups: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name, "table")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise PkpdError(
                    f"row {number + 1} of the table `{self.name}` has {len(row)} values.",
                    expected=f"One for each of its {len(self.columns)} columns.",
                    remedy="Give None where there is no value.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing; written beside the report as ``<name>.svg``.

    Parameters
    ----------
    name
        Name of the file, lower case with underscores.
    draw
        Makes the matplotlib figure when it is needed.
    caption
        What is seen, and which uncertainty a band holds.
    alt
        What is seen, for those who cannot see it; the caption when left out.
    """

    name: str
    draw: Callable[[], Drawing]
    caption: str
    alt: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name, "figure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """Equations as MathML, one a line, under a caption."""

    mathml: tuple[str, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Text set as it is (a file, a print-out), folded away on the screen until asked for."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Blocks in a frame, for what a hurried reader must not miss."""

    title: str
    blocks: tuple[Block, ...]


Block = Paragraph | Table | Figure | Equations | Listing | Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Blocks under a heading; `short` is the heading in the list of contents."""

    title: str
    blocks: tuple[Block, ...]
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A whole report.

    Parameters
    ----------
    title, subtitle
        At its head.
    sections
        In order.
    stamp
        What identifies the run (name, hashes, version), repeated at the foot and under every figure and table.
    """

    title: str
    sections: tuple[Section, ...]
    subtitle: str = ""
    stamp: str = ""
    language: str = field(default="en")

    def __post_init__(self) -> None:
        for kind, names in (("table", [t.name for t in self.tables]), ("figure", [f.name for f in self.figures])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise PkpdError(
                    f"more than one {kind} of the report is called `{twice[0]}`.",
                    expected=f"Each {kind} has a name of its own, which becomes its file.",
                    remedy="Rename one of them.",
                )

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table, in order."""
        return tuple(block for block in self._walk() if isinstance(block, Table))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, in order."""
        return tuple(block for block in self._walk() if isinstance(block, Figure))

    @property
    def numbers(self) -> dict[str, int]:
        """The number of every table and figure, by ``"table NAME"`` and ``"figure NAME"``: the same in every format."""
        counted = {f"table {table.name}": number for number, table in enumerate(self.tables, start=1)}
        return counted | {f"figure {one.name}": number for number, one in enumerate(self.figures, start=1)}

    def _walk(self) -> Iterator[Block]:
        for section in self.sections:
            yield from _flat(section.blocks)


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Box):
            yield from _flat(block.blocks)
        else:
            yield block


def _check_name(name: str, kind: str) -> None:
    if not _NAME.fullmatch(name):
        raise PkpdError(
            f"`{name}` cannot be the name of a {kind}.",
            expected="Lower-case letters, digits and underscores, a letter first: it becomes a file name.",
            remedy=f"Rename the {kind}.",
        )
