"""A model as a scientist would want it printed: where it comes from, its table of parameters, its equations."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from pkpd.model.expression import number_text, to_text
from pkpd.model.parameter import Parameter
from pkpd.model.write import equation_lines

if TYPE_CHECKING:
    from pkpd.model.model import Model
    from pkpd.model.route import Input, Route

Table = tuple[list[str], list[list[str]]]
WIDTH = 100
LONG_SOURCE = 24  # a longer one goes below the table
RIGHT = {"typical", "value", "share", "reference", "CV %", "IOV %", "RSE %", "dvid", "cmt"}


def show(model: Model) -> str:
    """Give a model as text, for a terminal."""
    head = _wrapped(model.title or model.name, "")
    blocks = [f"{head}\n{'=' * max(len(line) for line in head.splitlines())}"]
    about = [_wrapped(model.reference, "")] if model.reference else []
    about += [_wrapped(f"{key}: {value}", "  ") for key, value in model.source.items()]
    about.append(f"{model.name}: time in {model.time_unit}, doses in {model.amount_unit}")
    blocks.append("\n".join(about))
    for title, table in tables(model):
        heads, rows, notes = _footnotes(*table)
        blocks.append("\n".join([title, _grid(heads, rows), *notes]))
        if title == "Parameters" and model.blocks:
            blocks[-1] += "\n" + "\n".join(f"  {line}" for line in correlations(model))
    lines = equation_lines(model.assignments, model.derivatives, model.initials)
    if lines:
        blocks.append("Equations\n" + "\n".join(f"  {line}" for line in lines))
    return "\n\n".join(blocks)


def show_html(model: Model) -> str:
    """Give a model as HTML, for a notebook or a report; the equations are MathML."""
    blocks = [f"<h3>{escape(model.title or model.name)}</h3>"]
    if model.reference:
        blocks.append(f"<p>{escape(model.reference)}</p>")
    blocks.append(_html_source(model))
    blocks += [f"<h4>{title}</h4>{_html_table(*table)}" for title, table in tables(model)]
    if model.blocks:
        blocks.append(f"<p>{'<br>'.join(escape(line) for line in correlations(model))}</p>")
    if model.assignments or model.derivatives:
        blocks.append(f"<h4>Equations</h4>{model.mathml()}")
    return f'<div class="pkpd-model">{"".join(blocks)}</div>'


def tables(model: Model) -> list[tuple[str, Table]]:
    """Give the tables of a model: title, column heads, rows of text; a column that says nothing is left out."""
    found = [
        ("Parameters", _parameters(model)),
        ("Constants", (
            ["name", "value", "unit", "label", "source"],
            [[c.name, number(c.value), _unit(c.unit), c.label, c.source] for c in model.constants.values()],
        )),
        ("Covariates", (
            ["name", "reference", "unit", "label"],
            [[c.name, "" if c.reference is None else number(c.reference), _unit(c.unit), c.label]
             for c in model.covariates.values()],
        )),
        ("Needed from elsewhere", (
            ["name", "unit", "label"], [[n.name, _unit(n.unit), n.label] for n in model.needs.values()],
        )),
        ("States", (
            ["name", "unit", "label"], [[s.name, _unit(s.unit), s.label] for s in model.states.values()],
        )),
        ("Routes", (
            ["name", "dose", "cmt", "into", "label"],
            [[r.name, r.unit or model.amount_unit, "" if r.cmt is None else str(r.cmt), _inputs(r), r.label]
             for r in model.routes.values()],
        )),
        ("Outputs", (
            ["name", "unit", "dvid", "residual error", "label"],
            [[o.name, _unit(o.unit), "" if o.dvid is None else str(o.dvid), o.law, o.label]
             for o in model.outputs.values()],
        )),
        ("Mixture", (
            ["name", "share", "label", "source"],
            [[name, number(share), model.mixture[name].label, model.mixture[name].source]
             for name, share in model.shares.items()],
        )),
        ("Priors", (
            ["name", "value", "known", "source"],
            [[p.name, _mode(p.value), p.known, p.source] for p in model.priors.values()],
        )),
    ]  # fmt: skip
    return [(title, _without_empty(*table)) for title, table in found if table[1]]


def correlations(model: Model) -> list[str]:
    """Give the correlations between people and between occasions, one pair a line."""
    lines = []
    for block in model.blocks:
        matrix = block.matrix()
        for i, one in enumerate(block.parameters):
            for j in range(i):
                r = matrix[i, j] / (matrix[i, i] * matrix[j, j]) ** 0.5
                said = ", block fixed" if block.fixed else ""
                lines.append(f"correlation of {block.parameters[j]} and {one} between {block.between}: {r:.3g}{said}")
    return lines


def number(value: float) -> str:
    """Give a number as one prints it: to six digits."""
    return f"{value:.6g}" if abs(value) < 1e-4 or abs(value) >= 1e6 else number_text(float(f"{value:.6g}"))


def _mode(value: float | tuple[tuple[float, ...], ...]) -> str:
    if isinstance(value, tuple):
        return "; ".join(", ".join(number(one) for one in row) for row in value)
    return number(value)


def _parameters(model: Model) -> Table:
    heads = ["name", "typical", "unit", "", "CV %", "IOV %", "RSE %", "bounds", "shift", "times", "label", "source"]
    rows = [
        [
            p.name,
            number(p.typical),
            _unit(p.unit),
            "fixed" if p.fixed else "",
            _variability(p),
            f"{100 * p.iov**0.5:.3g}" + " fixed" * p.fixed_iov if p.iov else "",
            f"{100 * p.rse:.3g}" if p.rse is not None else "",
            _bounds(p),
            *(to_text(expr) if (expr := p.effects.get(key)) is not None else "" for key in ("shift", "times")),
            p.label,
            p.source,
        ]
        for p in model.parameters.values()
    ]
    return heads, rows


def _variability(p: Parameter) -> str:
    if not p.iiv:
        return ""
    said = f"{100 * p.cv:.3g}" if p.cv is not None else f"SD {p.iiv**0.5:.3g} ({_scale(p)})"
    return said + " fixed" * p.fixed_iiv


def _bounds(p: Parameter) -> str:
    natural = 0.0 if p.positive else -float("inf")
    if p.lower == natural and p.upper == float("inf"):
        return ""
    return f"{p.lower:g} to {p.upper:g}" + (" (logit)" if p.transform == "logit" else "")


def _scale(p: Parameter) -> str:
    return p.transform if p.shape is None else f"Box-Cox, shape {p.shape:g}"


def _inputs(route: Route) -> str:
    return "; ".join(_input(one) for one in route.inputs)


def _input(one: Input) -> str:
    modelled = ", ".join(f"{key} = {to_text(expr)}" for key, expr in one.expressions())
    return f"{one.into} ({modelled})" if modelled else one.into


def _unit(text: str) -> str:
    return "" if text in ("", "1") else text


def _without_empty(heads: list[str], rows: list[list[str]]) -> Table:
    keep = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    return [heads[index] for index in keep], [[row[index] for index in keep] for row in rows]


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, subsequent_indent=indent)


def _footnotes(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """Put long sources below the table, each once."""
    if "source" not in heads:
        return heads, rows, []
    column = heads.index("source")
    long = [text for text in dict.fromkeys(row[column] for row in rows) if len(text) > LONG_SOURCE]
    marks = {text: f"[{index}]" for index, text in enumerate(long, start=1)}
    rows = [[marks.get(cell, cell) if index == column else cell for index, cell in enumerate(row)] for row in rows]
    return heads, rows, [textwrap.indent(_wrapped(f"{mark} {text}", "    "), "  ") for text, mark in marks.items()]


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads))]
    lines = []
    for row in (heads, *rows):
        cells = [
            cell.rjust(width) if head in RIGHT else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _html_source(model: Model) -> str:
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in model.source.items())
    return f"<dl>{items}</dl>" if items else ""


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' style=text-align:right' if name in RIGHT else ''}>{escape(cell)}</td>"
            for name, cell in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
