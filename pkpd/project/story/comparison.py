"""Chapters that set fits side by side: the candidates, and what changes when one thing is changed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pkpd.project.analysis import Analysis, Variant
from pkpd.project.plan import Sensitivity
from pkpd.project.story import figures
from pkpd.project.story.data_view import DataView
from pkpd.reporting import Column, Figure, Paragraph, Section, Table
from pkpd.reporting.tables import number

__all__ = ["candidates", "sensitivity"]

_FLOOR = -75.0  # where a curve that leaves the data far behind is cut off


def candidates(analysis: Analysis, view: DataView) -> Section:
    """The candidates in numbers, in words, and as curves."""
    from scipy.stats import chi2

    plan = analysis.study.plan
    keys = list(analysis.compared)
    blocks: list[Any] = []
    if plan.text.comparison:
        blocks.append(Paragraph(plan.text.comparison))
    rows, expected, extra = [], [], view.rows
    fitted_rows = [k for k, row in enumerate(extra) if row["fitted"]]
    for key in keys:
        one = analysis.compared[key]
        predicted = view.predictions(one)
        freedom = len(fitted_rows) - int(one.fit.verdict["rank"])
        rows.append(
            (
                one.title,
                len(one.free),
                int(one.fit.verdict["rank"]),
                one.misfit * plan.spread.sd**2,
                one.misfit,
                float(chi2.sf(one.misfit, freedom)) if freedom > 0 else None,
                *_lowest(analysis.lowest[key], plan.focus.until - plan.focus.start),
                one.fit.status,
            )
        )
        expected.append((one.title, *(predicted[extra[k]["index"]] for k in fitted_rows)))
    failed = [(plan.candidates[key].title, *[None] * (len(rows[0]) - 2), why) for key, why in analysis.failures.items()]
    short = [extra[k]["spoken"] for k in fitted_rows]
    blocks.append(
        Table(
            name="candidates",
            caption="The candidates, fitted to the same means with the same weights.",
            columns=(
                Column(name="candidate", kind="text"),
                Column(name="estimated"),
                Column(name="rank"),
                Column(name="Σ n·residual²", unit="points²", decimals=1),
                Column(name="χ²", decimals=3),
                Column(name="p", digits=2),
                Column(name="lowest at", unit=view.time_unit, digits=3),
                Column(name="lowest", unit=plan.spread.unit, decimals=1),
                Column(name="status", kind="name"),
            ),
            rows=tuple(rows + failed),
            strong=(keys.index(plan.model),),
            notes=(
                f"χ²: sum of squares under {view.sd_text}; p: probability of a larger one if the "
                "candidate is true, with (means − rank) degrees of freedom. Rank: how many of the estimates the "
                "means determine. "
                f"Lowest: of the curve in focus ({plan.focus.title}). No information criterion is given: with "
                f"five means "
                "and four estimates its correction for small samples is not defined.",
            ),
        )
    )
    observed = ("observed", *(extra[k]["dv"] for k in fitted_rows))
    blocks.append(
        Table(
            name="candidates_predictions",
            caption="What each candidate predicts for the fitted means.",
            columns=(
                Column(name="candidate", kind="text"),
                *(Column(name=name, unit=plan.spread.unit, decimals=1) for name in short),
            ),
            rows=(observed, *expected),
            strong=(0,),
        )
    )
    words = [(analysis.compared[key].title, plan.candidates[key].explains, plan.candidates[key].fails) for key in keys]
    blocks.append(
        Table(
            name="candidates_in_words",
            caption="What each candidate can and cannot explain.",
            columns=(
                Column(name="candidate", kind="text"),
                Column(name="explains", kind="text"),
                Column(name="cannot explain, or needs", kind="text"),
            ),
            rows=tuple(words),
            strong=(keys.index(plan.model),),
        )
    )
    named = {analysis.compared[key].short: analysis.curves[key] for key in keys}
    blocks.append(_curves("candidates", analysis, view, analysis.times, named, analysis.chosen.short,
                          "All candidates in the curve in focus. Most pass through the same means, and differ where "
                          "nobody was asked."))  # fmt: skip
    return Section(title="Candidates", blocks=tuple(blocks))


def sensitivity(analysis: Analysis, view: DataView) -> Section | None:
    """One table for each thing that was changed, with its curves."""
    plan = analysis.study.plan
    blocks: list[Any] = []
    for one, variants in analysis.sensitivity:
        blocks.append(Paragraph(f"**{one.title}.** {one.caption}"))
        blocks.append(variant_table(analysis, view, one, variants))
        named = {}
        for variant in variants:
            if variant.fitted is not None:
                level = analysis.study.curve(variant.fitted, plan.focus.subject, analysis.times)
                named[variant.case.name] = 100 * (level / level[0] - 1)
        blocks.append(_curves(one.name, analysis, view, analysis.times, named, "", f"{one.title}: {plan.focus.title}."))
        if one.note:
            blocks.append(Paragraph(one.note))
    return (
        Section(title="What changes when one thing is changed", short="Sensitivity", blocks=tuple(blocks))
        if blocks
        else None
    )


def variant_table(analysis: Analysis, view: DataView, one: Sensitivity, variants: tuple[Variant, ...]) -> Table:
    """Fits that differ in one thing, side by side."""
    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    labels = asked.labels if one.attribute != "no" and asked is not None else ()
    rows = []
    for variant in variants:
        fitted = variant.fitted
        if fitted is None:
            rows.append((variant.case.name, *[None] * (4 + len(one.show) + len(labels)), variant.failure))
            continue
        parts = [share.part if share.determined else None for share in variant.shares[: len(labels)]]
        counted = int(analysis.study.counts(fitted.rows).sum())
        rows.append(
            (
                variant.case.name,
                counted,
                fitted.misfit,
                *_lowest(variant.lowest, plan.focus.until - plan.focus.start),
                *(float(fitted.model.parameters[name].typical) for name in one.show),
                *parts,
                fitted.fit.status,
            )
        )
    drug = asked.drug if asked is not None else ""
    return Table(
        name=f"sensitivity_{one.name}",
        caption=one.title + ".",
        columns=(
            Column(name="case", kind="text"),
            Column(name="means"),
            Column(name="χ²", decimals=3),
            Column(name="lowest at", unit=view.time_unit, digits=3),
            Column(name="lowest", unit=plan.spread.unit, decimals=1),
            *(Column(name=name, unit=_unit(analysis, one, name), digits=3) for name in one.show),
            *(Column(name=f"{drug}, {label}", unit="points", decimals=1) for label in labels),
            Column(name="status", kind="name"),
        ),
        rows=tuple(rows),
        notes=(f"χ² under {view.sd_text}.",),
    )


def _unit(analysis: Analysis, one: Sensitivity, name: str) -> str:
    key = one.candidate or analysis.study.plan.model
    parameters = analysis.study.model(analysis.study.plan.candidates[key]).parameters
    unit = parameters[name].unit if name in parameters else ""
    return "" if unit == "1" else unit


def _lowest(found: tuple[float, float], until: float) -> tuple[Any, float]:
    """Time and depth of the lowest point; a curve that still falls at the end has no lowest point."""
    time, depth = found
    return ("still falling" if time > 0.995 * until else time), depth


def _curves(
    name: str,
    analysis: Analysis,
    view: DataView,
    times: np.ndarray,
    named: dict[str, np.ndarray],
    strong: str,
    caption: str,
) -> Figure:
    plan = analysis.study.plan
    lowest = min((float(v.min()) for v in named.values()), default=0.0)
    cut = f" Curves below {number(_FLOOR)} are cut off." if lowest < _FLOOR else ""
    return Figure(
        name=f"curves_{name}",
        draw=partial(
            figures.curves,
            times - times[0],
            named,
            view.focus_points(),
            unit=plan.spread.unit,
            time_unit=view.time_unit,
            strong=strong,
            floor=_FLOOR,
        ),
        caption=f"{caption}{cut} Bars: standard errors under {view.sd_text}.",
    )
