"""A report as a PDF, set by Typst: pages, a list of contents, bookmarks, tables that go on over pages."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pkpd.reporting.content import Block, Box, Content, Equations, Figure, Listing, Paragraph, Table
from pkpd.reporting.extra import needed
from pkpd.reporting.html import inches, svg_bytes
from pkpd.reporting.layout import ACROSS, ALONG, BOX, MARGIN, fitted
from pkpd.reporting.markup import paragraphs, plain, runs
from pkpd.reporting.mathml import typst_math
from pkpd.reporting.tables import shown

__all__ = ["pdf_bytes", "png_bytes"]


_FEW = 8  # rows of a table that is not broken over two pages
_TAGGED = 20_000  # cells whose tags, 300 bytes each, are worth their place
_TALL = 700  # characters of a cell that may go on over a page
_LINE = 100  # characters of a word in a listing that may be broken
_LONG = 18  # characters of a word in a table that may be broken


def pdf_bytes(content: Content, drawings: dict[str, bytes] | None = None) -> bytes:
    """Give the whole report as the bytes of one PDF file.

    Parameters
    ----------
    content : Content
    drawings : dict, optional
        SVG by the name of its figure, where they have been drawn already.

    Returns
    -------
    bytes
        A4 with page numbers, without a date: the same content gives the same bytes. Tagged for screen readers, unless
        its tables have more than 20 000 cells, whose tags would take many megabytes.

    Raises
    ------
    FitError
        The extra ``print`` is not installed.
    """
    drawn = dict(drawings or {})
    drawn |= {figure.name: svg_bytes(figure) for figure in content.figures if figure.name not in drawn}
    numbers = content.numbers
    told = {
        "title": content.title,
        "subtitle": _runs(content.subtitle),
        "stamp": content.stamp,
        "language": content.language,
        "across": ACROSS,
        "along": ALONG,
        "margin": MARGIN,
        "sections": [
            {
                "title": f"{number}. {section.title}",
                "blocks": [_told(block, numbers, drawn, ACROSS) for block in section.blocks],
            }
            for number, section in enumerate(content.sections, start=1)
        ],
    }
    sources = {f"{name}.svg": svg for name, svg in drawn.items()}
    sources["content.json"] = json.dumps(told, ensure_ascii=False).encode()
    cells = sum(len(table.rows) * len(table.columns) for table in content.tables)
    main = (files("pkpd.reporting") / "report.typ").read_bytes()
    return _compiled(main, sources, format="pdf", timestamp=0, pdf_tags=cells <= _TAGGED)


def png_bytes(svg: bytes, dots: int = 200) -> bytes:
    """Draw an SVG as PNG with so many dots an inch."""
    page = b'#set page(width: auto, height: auto, margin: 0pt)\n#image("drawing.svg")'
    return _compiled(page, {"drawing.svg": svg}, format="png", ppi=float(dots))


def _compiled(main: bytes, sources: dict[str, bytes], **options: Any) -> bytes:
    typst = needed("typst")
    with tempfile.TemporaryDirectory(prefix="pkpd-") as place:
        folder = Path(place)
        for name, content in {"main.typ": main, **sources}.items():
            (folder / name).write_bytes(content)
        made = typst.compile(folder / "main.typ", root=folder, font_paths=_fonts(), ignore_system_fonts=True, **options)
    return made


@cache
def _fonts() -> Any:
    """Give Typst's own fonts and those of matplotlib, in which figures are drawn: the same on every machine."""
    import matplotlib

    own = Path(matplotlib.get_data_path(), "fonts", "ttf")
    return needed("typst").Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[own])


def _told(block: Block, numbers: dict[str, int], drawn: dict[str, bytes], room: float) -> dict[str, Any]:
    """Turn a block into what the template needs."""
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "parts": [_runs(part) for part in paragraphs(block.text)]}
    if isinstance(block, Table):
        layout = fitted(block, room=room, turn=room == ACROSS)
        headings = dict(block.groups)
        return {
            "kind": "table",
            "number": numbers[f"table {block.name}"],
            "caption": _runs(block.caption),
            "columns": [{"name": _runs(c.name), "unit": c.unit, "kind": c.kind} for c in block.columns],
            "headed": any(column.name for column in block.columns),
            "widths": layout.widths,
            "size": layout.size,
            "gap": layout.gap,
            "turned": layout.turned,
            "long": len(block.rows) > _FEW,
            "tall": any(isinstance(value, str) and len(value) > _TALL for row in block.rows for value in row),
            "rows": [
                {
                    "heading": _runs(headings[number]) if number in headings else None,
                    "strong": number in block.strong,
                    "cells": [
                        _runs(shown(value, column), cell=True) for value, column in zip(row, block.columns, strict=True)
                    ],
                }
                for number, row in enumerate(block.rows)
            ],
            "notes": [_runs(note) for note in block.notes],
        }
    if isinstance(block, Figure):
        return {
            "kind": "figure",
            "number": numbers[f"figure {block.name}"],
            "caption": _runs(block.caption),
            "alt": plain(block.alt or block.caption),
            "file": f"{block.name}.svg",
            "width": 72 * inches(drawn[block.name]),
        }
    if isinstance(block, Equations):
        return {
            "kind": "equations",
            "caption": _runs(block.caption),
            "lines": [typst_math(mathml) for mathml in block.mathml],
        }
    if isinstance(block, Listing):
        rows = [_breakable(row, _LINE) for row in block.text.rstrip("\n").split("\n")]
        return {"kind": "listing", "title": block.title, "rows": rows}
    assert isinstance(block, Box)
    inner = [_told(one, numbers, drawn, room - BOX) for one in block.blocks]
    return {"kind": "box", "title": block.title, "blocks": inner}


def _runs(text: str, *, cell: bool = False) -> list[Any]:
    """Give a text as runs; plain ones are their text alone."""
    found: list[Any] = []
    for run in runs(text):
        words = _breakable(run.text, _LONG) if cell else run.text
        if run.strong or run.emphasis or run.code or run.link:
            styles = {"strong": run.strong, "emphasis": run.emphasis, "code": run.code}
            found.append({"text": words, "link": run.link, **styles})
        else:
            found.append(words)
    return found


def _breakable(text: str, longest: int) -> str:
    """Let hashes and paths break anywhere: they would stick out of a narrow column."""
    zero = "\N{ZERO WIDTH SPACE}"
    return " ".join(zero.join(word) if len(word) > longest else word for word in text.split(" "))
