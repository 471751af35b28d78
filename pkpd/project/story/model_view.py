"""The chosen model, set out: equations by origin, and every parameter with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from pkpd.project.analysis import Analysis
from pkpd.project.story.data_view import DataView
from pkpd.reporting import Column, Equations, Paragraph, Section, Table
from pkpd.reporting.html import plain_entities

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.model import Model

__all__ = ["equation_groups", "model_section"]

_MATHML = "http://www.w3.org/1998/Math/MathML"


def model_section(analysis: Analysis, view: DataView) -> Section:
    """Equations, estimates, what was held."""
    plan, chosen = analysis.study.plan, analysis.chosen
    model = chosen.model
    blocks: list[Any] = [Paragraph(f"**{model.title}.** {plan.text.model}".strip())]
    groups = dict(equation_groups(model))
    for origin, lines in groups.items():
        caption = "The model itself" if origin == "" else f"`{origin}`: {_title(analysis, origin)}"
        blocks.append(Equations(mathml=lines, caption=caption))
    if plan.text.structure:
        blocks.append(Paragraph(plan.text.structure))
    blocks += [_estimates(analysis), _held(analysis), _constants(model)]
    return Section(title="Model", blocks=tuple(block for block in blocks if block is not None))


def equation_groups(model: Model) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The equations as MathML, one element a line, by the included model they come from (``""``: the model's own)."""
    names = [name for name, _ in model.assignments] + [*model.derivatives] + [*model.initials]
    ElementTree.register_namespace("", _MATHML)
    root = ElementTree.fromstring(plain_entities(model.mathml()))
    rows = list(root.iter(f"{{{_MATHML}}}mtr"))
    own = [row for row in rows if row in list(next(root.iter(f"{{{_MATHML}}}mtable")))]
    found: dict[str, list[str]] = {"": []}
    for name, row in zip(names, own, strict=True):
        line = ElementTree.Element(f"{{{_MATHML}}}math", {"display": "inline", "displaystyle": "true"})
        holder = ElementTree.SubElement(line, f"{{{_MATHML}}}mrow")
        for cell in row:
            holder.extend(list(cell))
        origin = name.rpartition(".")[0]
        _shorten(line, origin)
        found.setdefault(origin, []).append(ElementTree.tostring(line, encoding="unicode"))
    for origin, lines in found.items():
        yield origin, tuple(lines)


def _shorten(line: ElementTree.Element, origin: str) -> None:
    """Show names inside an included model without its own prefix."""
    for element in line.iter():
        if origin and (element.text or "").startswith(f"{origin}."):
            element.text = (element.text or "").removeprefix(f"{origin}.")


def _title(analysis: Analysis, origin: str) -> str:
    """The title of an included model, from the file that names it."""
    import tomllib

    from pkpd import library

    candidate = analysis.chosen.candidate
    path = analysis.study.folder / candidate.file
    content = tomllib.loads(path.read_text(encoding="utf-8") if path.is_file() else library.read(candidate.file))
    entry = content.get("include", {}).get(origin, origin)
    name = entry if isinstance(entry, str) else entry.get("model", origin)
    beside = path.parent / (name if name.endswith(".toml") else f"{name}.toml")
    text = beside.read_text(encoding="utf-8") if beside.is_file() else library.read(name)
    inner = tomllib.loads(text)
    reference = str(inner.get("reference", ""))
    return f"{inner.get('title', name)}. {reference}".strip()


def _estimates(analysis: Analysis) -> Table:
    chosen = analysis.chosen
    table = chosen.fit.estimates
    model = chosen.model
    rows = []
    for name in chosen.free:
        one = table.sel(parameter=name)
        rows.append(
            (
                name,
                model.parameters[name].label,
                float(one["value"]),
                "" if model.parameters[name].unit == "1" else model.parameters[name].unit,
                float(one["se"]),
                float(one["rse"]),
                (float(one["lower"]), float(one["upper"])),
                (model.parameters[name].lower, model.parameters[name].upper),
            )
        )
    return Table(
        name="estimates",
        caption="What was estimated.",
        columns=(
            Column(name="parameter", kind="name"),
            Column(name="meaning", kind="text"),
            Column(name="estimate"),
            Column(name="unit", kind="name"),
            Column(name="SE", digits=3),
            Column(name="RSE", unit="%", digits=3),
            Column(name="95 % interval", digits=3),
            Column(name="bounds", digits=3),
        ),
        rows=tuple(_bounded(row) for row in rows),
        notes=(
            f"Intervals: {chosen.fit.estimates.attrs.get('interval', '')}, by lmfit's `conf_interval`. Standard "
            f"errors are "
            "symmetric and, with so few data, only a rough guide. No between-subject variability: the data are means.",
            *_open_ends(chosen.fit),
        ),
    )


def _open_ends(fit: Fit) -> list[str]:
    ends = fit.open_ends()
    said = ", ".join(f"{name} {side}" for name, side in ends.items())
    return [f"Open, since the data set no limit before the bound: {said}."] if ends else []


def _bounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    low, high = row[-1]
    ends = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    return (*row[:-1], ends)


def _held(analysis: Analysis) -> Table:
    chosen = analysis.chosen
    held = [p for p in chosen.model.parameters.values() if p.name not in chosen.free]
    held.sort(key=lambda p: p.name.rpartition(".")[0] == "")  # the model's own come last; the rest keeps its order
    rows: list[tuple[Any, ...]] = []
    groups = []
    for p in held:
        origin = p.name.rpartition(".")[0]
        text = f"`{origin}`: {_title(analysis, origin)}" if origin else "The model itself"
        if text not in [title for _, title in groups]:
            groups.append((len(rows), text))
        rows.append((p.name, p.label, p.typical, "" if p.unit == "1" else p.unit, p.source))
    return Table(
        name="held",
        caption="What was held, with its source. Kinetics are those of published models; weight and other "
        "covariates act "
        "on them as their models say.",
        columns=(
            Column(name="parameter", kind="name"),
            Column(name="meaning", kind="text"),
            Column(name="value"),
            Column(name="unit", kind="name"),
            Column(name="source", kind="text"),
        ),
        rows=tuple(rows),
        groups=tuple(groups),
    )


def _constants(model: Model) -> Table | None:
    rows = tuple(
        (c.name, c.label, c.value, "" if c.unit == "1" else c.unit, c.source) for c in model.constants.values()
    )
    if not rows:
        return None
    return Table(
        name="constants",
        caption="Constants.",
        columns=(
            Column(name="constant", kind="name"),
            Column(name="meaning", kind="text"),
            Column(name="value"),
            Column(name="unit", kind="name"),
            Column(name="source", kind="text"),
        ),
        rows=rows,
    )
