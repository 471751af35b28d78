"""Chapters that let a reader check: what the data fix, what was assumed, and where everything comes from."""

from __future__ import annotations

import platform
from functools import partial
from typing import Any

import numpy as np

from pkpd.project.analysis import Analysis
from pkpd.project.story import figures
from pkpd.project.story.data_view import DataView
from pkpd.reporting import Column, Figure, Listing, Paragraph, Section, Table
from pkpd.reporting.tables import number

__all__ = ["assumptions", "identifiability", "origin"]


def identifiability(analysis: Analysis, view: DataView) -> Section:
    """Rank, singular values, correlations, profiles, in numbers and in words."""
    plan, chosen = analysis.study.plan, analysis.chosen
    blocks: list[Any] = []
    if plan.text.identifiability:
        blocks.append(Paragraph(plan.text.identifiability))
    rows = []
    for one in analysis.compared.values():
        verdict = one.fit.verdict
        jacobian = one.objective.jacobian(one.z)
        scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)
        singular = np.linalg.svd(jacobian / scale, compute_uv=False)
        words = str(verdict["null_directions"].item()).replace("\n", " ")
        rows.append(
            (
                one.title,
                len(one.free),
                int(verdict["rank"]),
                ", ".join(number(s / singular[0], 2) for s in singular),
                float(verdict["condition"]),
                words or "",
            )
        )
    blocks.append(
        Table(
            name="rank",
            caption="How many numbers the means determine: rank and singular values of the weighted "
            "sensitivities, each "
            "parameter scaled to the same strength.",
            columns=(
                Column(name="candidate", kind="text"),
                Column(name="estimated"),
                Column(name="rank"),
                Column(name="singular values, relative", kind="text"),
                Column(name="condition number", digits=3),
                Column(name="what is left open", kind="text"),
            ),
            rows=tuple(rows),
        )
    )
    names = list(chosen.free)
    correlation = chosen.fit.covariance["correlation"].sel(parameter=names, parameter_=names).values
    blocks.append(
        Table(
            name="correlation",
            caption="Correlation of the estimates of the chosen model, on the scale on which they were estimated.",
            columns=(Column(name="", kind="name"), *(Column(name=name, decimals=2) for name in names)),
            rows=tuple((name, *(float(v) for v in row)) for name, row in zip(names, correlation, strict=True)),
        )
    )
    model = chosen.model
    shown = {
        name if model.parameters[name].transform == "none" else f"{model.parameters[name].transform} {name}": (
            one,
            model.parameters[name].unit if model.parameters[name].transform == "none" else "",
        )
        for name, one in analysis.profiles.items()
    }
    blocks.append(
        Figure(
            name="parameter_profiles",
            draw=partial(figures.parameter_profiles, shown),
            caption="Profile likelihood of each estimate of the chosen model: the best fit with it held at each "
            "value. A curve "
            "that does not reach the dashed line on one side leaves that side open. "
            f"SD {plan.spread.sd:g} {plan.spread.unit}.",
        )
    )
    return Section(title="What the data determine", short="Identifiability", blocks=tuple(blocks))


def assumptions(analysis: Analysis, view: DataView) -> Section | None:
    """What was assumed, why, how it was tested, and what follows if it is wrong."""
    rows = tuple((a.what, a.why, a.tested, a.if_wrong) for a in analysis.study.plan.assumptions)
    if not rows:
        return None
    names = ("assumption", "why", "tested by", "if it is wrong")
    table = Table(
        name="assumptions",
        caption="Assumptions.",
        columns=tuple(Column(name=name, kind="text") for name in names),
        rows=rows,
    )
    return Section(title="Assumptions", blocks=(table,))


def origin(analysis: Analysis, view: DataView, *, provenance: dict[str, str]) -> Section:
    """Versions, hashes, seeds, settings, and the files themselves."""
    chosen, plan = analysis.chosen, analysis.study.plan
    attrs = chosen.fit.attrs
    verdict = chosen.fit.verdict
    rows = list(provenance.items())
    rows += [
        ("estimator", str(attrs["estimator"])),
        ("objective", f"{attrs['objective']:.6f} ({attrs['objective_name']})"),
        ("status", f"{chosen.fit.status}. {chosen.fit.message}".strip()),
        ("largest scaled gradient", f"{float(verdict['gradient']):.2g}"),
        ("starts that reached the best fit", f"{int(verdict['starts_at_best'])} of {plan.search.starts}"),
        ("seed", str(plan.seed)),
        ("solver", "pkpd engine, relative tolerance 1e-8, sensitivities in the error control"),
        ("hardware", f"{platform.system()}, {platform.machine()}"),
        (
            "libraries",
            ", ".join(
                f"{k.removeprefix('version_')} {v}" for k, v in sorted(attrs.items()) if k.startswith("version_")
            ),
        ),
    ]
    blocks: list[Any] = [
        Table(
            name="provenance",
            caption="Where the numbers come from.",
            columns=(Column(name="", kind="name"), Column(name="", kind="text")),
            rows=tuple(rows),
        )
    ]
    if plan.text.analysis_plan:
        blocks.append(Paragraph(plan.text.analysis_plan))
    blocks.append(
        Paragraph("Every table stands beside this file as CSV, every figure as SVG; `result.nc` holds the fit.")
    )
    blocks.append(Listing(title="The chosen model, as text", text=chosen.model.text))
    blocks.append(Listing(title="The chosen fit, as printed", text=str(chosen.fit)))
    blocks.append(Listing(title="fit.toml", text=(analysis.study.folder / "fit.toml").read_text(encoding="utf-8")))
    return Section(title="Provenance", blocks=tuple(blocks))
