"""An analysis becomes the content of a report: which tables, which figures, which words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pkpd.plots import COLOURS
from pkpd.project.analysis import Analysis
from pkpd.project.story import figures
from pkpd.project.story.answers import attribution, exposure, what_if
from pkpd.project.story.appendix import assumptions, identifiability, origin
from pkpd.project.story.comparison import candidates, sensitivity
from pkpd.project.story.data_view import DataView
from pkpd.project.story.model_view import model_section
from pkpd.project.story.words import between, points, share_sentence, verdict_on
from pkpd.reporting import Box, Column, Content, Figure, Paragraph, Section, Table
from pkpd.reporting.tables import number

__all__ = ["tell"]


def tell(analysis: Analysis, provenance: dict[str, str]) -> Content:
    """Give the content of the report.

    Parameters
    ----------
    analysis : Analysis
    provenance : dict
        What identifies the run: hashes, versions, date, by name.
    """
    plan, view = analysis.study.plan, DataView(analysis)
    makers: tuple[Callable[[Analysis, DataView], Section | None], ...] = (
        _summary,
        _data,
        model_section,
        _fit,
        candidates,
        attribution,
        *(partial(exposure, which=k) for k in range(len(plan.exposure))),
        identifiability,
        what_if,
        sensitivity,
        assumptions,
        _limits,
        partial(origin, provenance=provenance),
    )
    sections = [make(analysis, view) for make in makers]
    return Content(
        title=plan.title,
        subtitle=f"{provenance['folder']}, {provenance['date']}, pkpd {provenance['pkpd']}",
        sections=tuple(section for section in sections if section is not None),
        stamp=f"{provenance['folder']}: inputs {provenance['inputs'][:16]}, data {provenance['data'][:16]}, "
        f"pkpd {provenance['pkpd']}, {provenance['date']}",
    )


def _summary(analysis: Analysis, view: DataView) -> Section:
    plan = analysis.study.plan
    blocks: list[Any] = [Paragraph(f"**Question.** {plan.question}")]
    if plan.text.answer:
        blocks.append(Paragraph(f"**Answer.** {plan.text.answer}"))
    asked = plan.attribution
    if asked is not None:
        shares = analysis.shares[plan.model]
        for share in shares:
            blocks.append(Paragraph(share_sentence(asked.drug, share, asked.level, view.sds, plan.spread.sd)))
        blocks.append(Paragraph(_across(analysis, view)))
    if plan.text.consequence:
        blocks.append(Paragraph(f"**Consequence.** {plan.text.consequence}"))
    inside: list[Any] = [Box(title="In short", blocks=tuple(blocks))]
    if plan.context:
        inside.insert(0, Paragraph(plan.context))
    if asked is not None:
        inside.append(
            Figure(
                name="in_short",
                draw=partial(_in_short, analysis, view),
                caption=f"Left: {plan.focus.title}. The line is the chosen model, the dashed line the same without "
                f"{asked.drug}; what lies between them is {asked.drug}'s part. Points: published means (filled) and "
                f"inferred ones (open), with the standard errors that {view.sd_text} between people "
                f"gives. Right: {asked.drug}'s part with its {100 * asked.level:g} % profile-likelihood intervals; the "
                "wider the assumed SD, the thinner and paler the bar. Dashed lines: the whole fall.",
                alt="Fitted time course with and without ketamine, and intervals of ketamine's part at each time.",
            )
        )
    return Section(title="Summary", blocks=tuple(inside))


def _across(analysis: Analysis, view: DataView) -> str:
    """What other candidates and other assumptions make of it."""
    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    assert asked is not None
    named = [(one.short, analysis.shares[key]) for key, one in analysis.compared.items()]
    named += [
        (f"{s.title}: {v.case.name}", v.shares)
        for s, variants in analysis.sensitivity
        if s.attribute != "no"
        for v in variants
        if v.fitted is not None
    ]
    found: list[str] = []
    chosen = analysis.shares[plan.model]
    for k, label in enumerate(asked.labels):
        cells = [(100 * s[k].part / s[k].whole, name) for name, s in named if s[k].determined and s[k].whole]
        (low, least), (high, most) = min(cells), max(cells)
        ends = [
            s[k].interval(asked.level, plan.spread.sd) for _, s in named if s[k].profile is not None and s[k].determined
        ]
        ends = [(a, b) for a, b in ends if np.isfinite([a, b]).all()]
        widest = (min(a for a, _ in ends), max(b for _, b in ends))
        found.append(
            f"{label[:1].upper()}{label[1:]}: best fits from {number(max(low, 0.0), decimals=0)} % ({least}) to "
            f"{number(high, decimals=0)} % ({most}) "
            f"of the fall; their intervals together {between(*widest)}. {verdict_on(*widest, chosen[k].whole)}"
        )
    return (
        f"**Other structures and assumptions** ({len(analysis.compared)} candidates, "
        f"{len(named) - len(analysis.compared)} "
        f"variants, SD {plan.spread.sd:g} {plan.spread.unit}). {' '.join(found)} Most of these fit the data "
        f"equally well; this "
        "spread comes on top of the intervals above."
    )


def _in_short(analysis: Analysis, view: DataView) -> Any:
    from pkpd.plots import figure

    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    assert asked is not None
    drawing = figure(1, 2, width=7.0, height=3.4, gridspec_kw={"width_ratios": [1.25, 1]})
    left, right = drawing.axes
    by = figures.days_axis(left, plan.focus.until, view.time_unit)
    chosen = analysis.chosen
    without = analysis.study.curve(chosen, plan.focus.subject, analysis.times, remove=asked.remove)
    base = 100 * (without / without[0] - 1)
    curve = analysis.curves[plan.model]
    figures.zero_line(left)
    left.fill_between(analysis.times * by, base, curve, color=COLOURS["blue"], alpha=0.16, linewidth=0)
    left.plot(analysis.times * by, curve, color=COLOURS["blue"])
    left.plot(analysis.times * by, base, color=COLOURS["blue"], linewidth=1.2, linestyle=(0, (4, 2)))
    figures.points(left, view.focus_points(), by)
    left.set_ylabel(f"change ({plan.spread.unit})")
    figures.interval_bars(right, analysis.shares[plan.model], level=asked.level, sds=view.sds)
    right.set_xlabel(f"{asked.drug}'s part (points)")
    return drawing


def _data(analysis: Analysis, view: DataView) -> Section:
    plan = analysis.study.plan
    blocks: list[Any] = []
    if plan.text.data:
        blocks.append(Paragraph(plan.text.data))
    blocks += [
        view.table(),
        Figure(
            name="data",
            draw=partial(figures.raw_data, view.series(), unit=plan.spread.unit, label=plan.data.label_text),
            caption=f"The means before any model. Bars: standard errors under {view.sd_text} between "
            "people, which is assumed. Open symbols: inferred.",
        ),
        Paragraph(f"**The assumed standard deviation.** {plan.spread.why}"),
    ]
    return Section(title="Data", blocks=tuple(blocks))


def _fit(analysis: Analysis, view: DataView) -> Section:
    plan, chosen = analysis.study.plan, analysis.chosen
    rows = view.fit_rows()
    blocks: list[Any] = []
    peak_time, depth = analysis.lowest[plan.model]
    status = chosen.fit.status
    blocks.append(
        Paragraph(
            f"Weighted least squares on {plan.row_sets[plan.rows].title} "
            f"({len(rows)} means, {len(chosen.free)} estimates; weights n/SD²): {status}. "
            f"In {plan.focus.title[:1].lower()}{plan.focus.title[1:]}, the lowest point of the model lies at "
            f"{peak_time:.0f} {view.time_unit} ({points(depth)} {plan.spread.unit}). Sum of squares χ² = "
            f"{chosen.misfit:.3f} "
            f"under {view.sd_text}, with {len(rows) - len(chosen.free)} degree"
            f"{'s' * (len(rows) - len(chosen.free) != 1)} of freedom."
        )
    )
    blocks.append(
        Table(
            name="fit",
            caption="Observed and predicted means. The standard error is the assumed SD over the root of n.",
            columns=(
                *(Column(name=name, kind="name") for name in view.headings),
                Column(name="n", digits=3),
                Column(name="observed", unit=plan.spread.unit, decimals=1),
                Column(name="predicted", unit=plan.spread.unit, decimals=1),
                Column(name="residual", unit="points", decimals=1),
                Column(name="standard error", unit="points", decimals=1),
                Column(name="residual / SE", decimals=2),
            ),
            rows=tuple(
                (*r["names"], r["n"], r["dv"], r["pred"], r["dv"] - r["pred"], r["se"], r["wres"]) for r in rows
            ),
        )
    )
    others = view.prediction_rows()
    if others:
        blocks.append(
            Table(
                name="not_fitted",
                caption="What the model expects where no value was fitted: inferred values, and visits whose "
                "means were "
                "never published.",
                columns=(
                    *(Column(name=name, kind="name") for name in view.headings),
                    Column(name="observed", unit=plan.spread.unit, decimals=1),
                    Column(name="predicted", unit=plan.spread.unit, decimals=1),
                    Column(name="mark", kind="name"),
                ),
                rows=tuple((*r["names"], r["dv"], r["pred"], r["mark"]) for r in others),
            )
        )
    blocks.append(
        Figure(
            name="fit",
            draw=partial(figures.fit_panels, view.panels(), unit=plan.spread.unit, time_unit=view.time_unit),
            caption="The chosen model (colour), the other candidates (grey), and the published means with the standard "
            f"errors that {view.sd_text} gives. Open: inferred, not fitted here.",
        )
    )
    blocks.append(
        Figure(
            name="residuals",
            draw=partial(
                figures.residuals,
                [r["spoken"] for r in rows],
                np.array([r["wres"] for r in rows]),
                [r["colour"] for r in rows],
            ),
            caption="Weighted residuals. Under the assumed SD almost all would lie between −2 and 2.",
        )
    )
    if plan.text.fit:
        blocks.append(Paragraph(plan.text.fit))
    return Section(title="The fit", blocks=tuple(blocks))


def _limits(analysis: Analysis, view: DataView) -> Section | None:
    text = analysis.study.plan.text.limits
    return Section(title="Limits", blocks=(Paragraph(text),)) if text else None
