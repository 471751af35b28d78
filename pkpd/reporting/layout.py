"""How a table fits a printed page: widths of its columns, size of its type, upright or lengthwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkpd.reporting.content import Column, Table
from pkpd.reporting.markup import plain
from pkpd.reporting.tables import NONE, shown

__all__ = ["ACROSS", "ALONG", "BOX", "MARGIN", "MM", "Layout", "fitted"]

MM = 72 / 25.4
MARGIN = 20 * MM
ACROSS = 210 * MM - 2 * MARGIN  # points of text on an upright A4 page
ALONG = 297 * MM - 2 * MARGIN  # on one that lies
BOX = 22.0  # points that the frame of a box takes
GAP = 9.0  # points between two columns
SIZE = 8.5  # points of a table's type
_SCALES = (1.0, 0.95, 0.9, 0.85, 0.8)  # 6.8 points is the smallest that reads well
_LAST = (0.75, 0.7, 0.65, 0.6, 0.55, 0.5)  # for what would be cut off otherwise
_FEW = 12  # rows of a table that is rather set in the first of these than given a page of its own
_TEXT = 95.0  # points below which a column of sentences becomes a tower
_HEADING = 58.0  # points over which a heading breaks in two lines
_LONGEST = 22  # characters of a word that is not broken

# Widths of characters in thousandths of the type size, in the text faces used; what is not named takes 560.
_WIDTHS = {
    **dict.fromkeys("0123456789", 510),
    **dict.fromkeys("ijltfI.,:;'|!()[]-/`", 335),
    **dict.fromkeys("racesz", 480),
    **dict.fromkeys("bdghknopquvxy", 540),
    **dict.fromkeys("mw%", 800),
    **dict.fromkeys("MW@", 960),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ", 690),
    **dict.fromkeys("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", 350),
    **dict.fromkeys(" \N{NO-BREAK SPACE}", 255),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a table is set.

    Parameters
    ----------
    widths : tuple of float
        Points of each column, with the gap after it.
    gap : float
        Points of that gap.
    size : float
        Points of its type.
    turned : bool
        Whether it takes a page that lies.
    """

    widths: tuple[float, ...]
    gap: float
    size: float
    turned: bool


def fitted(table: Table, *, room: float = ACROSS, turn: bool = True) -> Layout:
    """Fit a table into a page: as it is if it can be, else in smaller type, names broken, or on a page that lies.

    Numbers keep their lines; columns of text share what is left.

    Parameters
    ----------
    table : Table
    room : float
        Points that it may take on an upright page.
    turn : bool
        Whether it may take a page that lies.
    """
    needs = [_need(column, [row[at] for row in table.rows]) for at, column in enumerate(table.columns)]
    whole = [(most if c.kind == "name" else least, most) for c, (least, most) in zip(table.columns, needs, strict=True)]
    tries = [(whole, scale, False, room) for scale in _SCALES] + [(needs, scale, False, room) for scale in _SCALES]
    if len(table.rows) <= _FEW:
        tries.append((needs, _LAST[0], False, room))
    if turn:
        tries += [(whole, scale, True, ALONG) for scale in _SCALES] + [(needs, scale, True, ALONG) for scale in _SCALES]
    tries += [(needs, scale, turn, ALONG if turn else room) for scale in _LAST]
    fits = (one for one in tries if one[1] * sum(least + GAP for least, _ in one[0]) <= one[3])
    columns, scale, turned, wide = next(fits, tries[-1])
    shared = _shared([((least + GAP) * scale, (most + GAP) * scale) for least, most in columns], wide)
    return Layout(widths=tuple(shared), gap=GAP * scale, size=SIZE * scale, turned=turned)


def _need(column: Column, values: Sequence[object]) -> tuple[float, float]:
    """The least points that a column can do with, and the most that it can use."""
    cells = [plain(shown(value, column)) for value in values]
    if not any(cell and cell != NONE for cell in cells) and not column.name:
        return -GAP, -GAP
    heading = max(_width(plain(column.name), strong=True), _width(column.unit))
    most = own = max([_width(cell) for cell in cells], default=0.0)
    words = [word[:_LONGEST] for text in (plain(column.name), *cells) for word in text.split()]
    word = max([_width(word, strong=True) for word in words], default=0.0)
    if column.kind == "text":
        most = max(most, heading)
        return min(most, max(_TEXT, word)), most
    most = max(own, min(heading, _HEADING), word)
    if column.kind == "number":
        word = max([own, *(_width(one, strong=True) for one in plain(column.name).split())])
    return word, most


def _width(text: str, *, strong: bool = False) -> float:
    """Points that a text takes in one line, rather too many than too few."""
    wide = max((sum(_WIDTHS.get(c, 560) for c in line) for line in text.split("\n")), default=0)
    return wide / 1000 * SIZE * (1.12 if strong else 1.0)


def _shared(columns: Sequence[tuple[float, float]], room: float) -> list[float]:
    """Give each column its least, and share the rest by how much more each can use."""
    least = sum(low for low, _ in columns)
    wish = sum(high - low for low, high in columns)
    part = 1.0 if wish <= 0 else min(1.0, max(0.0, (room - least) / wish))
    return [low + part * (high - low) for low, high in columns]
