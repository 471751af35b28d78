"""A report as one HTML file that holds everything it shows and prints well."""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from html import unescape
from importlib.resources import files
from typing import Any

from pkpd.errors import PkpdError
from pkpd.plots import house_style
from pkpd.reporting.content import Block, Box, Content, Equations, Figure, Listing, Paragraph, Table
from pkpd.reporting.markup import paragraphs, plain, runs
from pkpd.reporting.tables import shown

__all__ = ["html_text", "inches", "plain_entities", "svg_bytes"]

_REM_PER_INCH = 6.6  # text in figures is then about as large as that of tables


def html_text(content: Content, drawings: dict[str, bytes] | None = None) -> str:
    """Give the whole report as the text of one HTML file.

    Parameters
    ----------
    content : Content
    drawings : dict, optional
        SVG by the name of its figure, where they have been drawn already.

    Returns
    -------
    str
        Equations are MathML, figures SVG inside the file; nothing is fetched when it is read.
    """
    import pkpd

    numbers = content.numbers
    drawn = dict(drawings or {})
    sections = [
        {
            "id": _anchor(section.title, number),
            "title": section.title,
            "short": section.short or section.title,
            "blocks": [_prepared(block, numbers, drawn) for block in section.blocks],
        }
        for number, section in enumerate(content.sections, start=1)
    ]
    return _template().render(
        content=content, sections=sections, style=_markup(_resource("report.css")), version=pkpd.__version__
    )


def svg_bytes(figure: Figure) -> bytes:
    """Draw a figure and give it as SVG."""
    with house_style():
        drawing = figure.draw()
        out = io.BytesIO()
        drawing.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _prepared(block: Block, numbers: dict[str, int], drawn: dict[str, bytes]) -> dict[str, Any]:
    """Turn a block into what the template needs."""
    if isinstance(block, Paragraph):
        return {
            "kind": "paragraph",
            "html": _markup("\n".join(f"<p>{_inline(part)}</p>" for part in paragraphs(block.text))),
        }
    if isinstance(block, Table):
        headings = dict(block.groups)
        rows = [
            {
                "heading": _markup(_inline(headings[number])) if number in headings else "",
                "strong": number in block.strong,
                "cells": [
                    {"kind": column.kind, "html": _markup(_inline(shown(value, column)))}
                    for value, column in zip(row, block.columns, strict=True)
                ],
            }
            for number, row in enumerate(block.rows)
        ]
        columns = [{"name": _markup(_inline(c.name)), "unit": c.unit, "kind": c.kind} for c in block.columns]
        notes = [_markup(_inline(note)) for note in block.notes]
        return {
            "kind": "table",
            "name": block.name,
            "number": numbers[f"table {block.name}"],
            "caption": _markup(_inline(block.caption)),
            "columns": columns,
            "headed": any(column.name for column in block.columns),
            "rows": rows,
            "notes": notes,
        }
    if isinstance(block, Figure):
        svg = drawn[block.name] if block.name in drawn else svg_bytes(block)
        return {
            "kind": "figure",
            "name": block.name,
            "number": numbers[f"figure {block.name}"],
            "caption": _markup(_inline(block.caption)),
            "alt": plain(block.alt or block.caption),
            "source": "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii"),
            "width": round(inches(svg) * _REM_PER_INCH, 2),
        }
    if isinstance(block, Equations):
        return {
            "kind": "equations",
            "caption": _markup(_inline(block.caption)),
            "lines": [_markup(_checked_mathml(line)) for line in block.mathml],
        }
    if isinstance(block, Listing):
        return {"kind": "listing", "title": block.title, "text": block.text}
    assert isinstance(block, Box)
    inner = [_prepared(b, numbers, drawn) for b in block.blocks]
    return {"kind": "box", "title": block.title, "blocks": inner}


def _inline(text: str) -> str:
    """Escape a text and mark it up."""
    from markupsafe import escape

    found = []
    for run in runs(text):
        html = str(escape(run.text))
        for on, tag in ((run.code, "code"), (run.emphasis, "em"), (run.strong, "strong")):
            html = f"<{tag}>{html}</{tag}>" if on else html
        found.append(f'<a href="{escape(run.link)}">{html}</a>' if run.link else html)
    return "".join(found)


def plain_entities(text: str) -> str:
    """Replace HTML's named entities, which XML does not know, by the characters they stand for."""
    kept = {"amp", "lt", "gt", "quot", "apos"}
    return re.sub(r"&([A-Za-z]\w*);", lambda m: m[0] if m[1] in kept else unescape(m[0]), text)


def _checked_mathml(text: str) -> str:
    """Let MathML through as it is: elements and text, and nothing that a browser would run or fetch."""
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(plain_entities(text))
    except ElementTree.ParseError as error:
        raise PkpdError(
            f"an equation is not MathML: {error}.", expected="One <math> element.", remedy="Give Model.mathml()."
        ) from error
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if not re.fullmatch(r"m[a-z]+|semantics", tag) or any(_unsafe(name) for name in element.attrib):
            raise PkpdError(
                f"an equation holds the element <{tag}>, which is not MathML.",
                expected="Presentation MathML.",
                remedy="Give Model.mathml().",
            )
    return text


def _unsafe(attribute: str) -> bool:
    return attribute.lower().startswith("on") or attribute.rpartition("}")[2].lower() in ("href", "src", "actiontype")


def inches(svg: bytes) -> float:
    """Give the width at which an SVG was drawn."""
    found = re.search(rb'<svg[^>]*?\bwidth="([\d.]+)pt"', svg)
    return float(found[1]) / 72 if found else 6.4


def _anchor(title: str, number: int) -> str:
    return f"s{number}-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _resource(name: str) -> str:
    return (files("pkpd.reporting") / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False, lstrip_blocks=True)
    return environment.from_string(_resource("report.html.j2"))
