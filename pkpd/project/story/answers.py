"""Chapters that answer the question: the drug's part, what cannot be, and what other regimens would do."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from pkpd.project.analysis import Analysis
from pkpd.project.attribution import Share, standard_error
from pkpd.project.story import figures
from pkpd.project.story.data_view import DataView
from pkpd.project.story.words import listed
from pkpd.project.what_if import Imagined
from pkpd.reporting import Column, Figure, Paragraph, Section, Table

__all__ = ["attribution", "exposure", "what_if"]

_CORRELATIONS = (0.0, 0.25, 0.5, 0.75)


def attribution(analysis: Analysis, view: DataView) -> Section | None:
    """The drug's part under each candidate and each assumed SD, and under the variants that were asked for it."""
    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    if asked is None:
        return None
    blocks: list[Any] = []
    if plan.text.attribution:
        blocks.append(Paragraph(plan.text.attribution))
    groups: list[tuple[str, list[tuple[str, tuple[Share, ...]]]]] = [
        ("Candidates", [(one.short, analysis.shares[key]) for key, one in analysis.compared.items()])
    ]
    for one, variants in analysis.sensitivity:
        if one.attribute == "interval":
            groups.append((one.title, [(v.case.name, v.shares) for v in variants if v.fitted is not None]))
    for k, label in enumerate(asked.labels):
        rows, headings = [], []
        for title, cases in groups:
            headings.append((len(rows), title))
            rows += [
                (name, *_numbers(shares[k]), *(shares[k].interval(asked.level, sd) for sd in view.sds))
                for name, shares in cases
            ]
        blocks.append(
            Table(
                name=f"attribution_{re.sub('[^a-z0-9]+', '_', label.lower())}",
                caption=f"{asked.drug.capitalize()}'s part of the change at {label} ({plan.focus.title}), with "
                f"{100 * asked.level:g} % "
                "profile-likelihood intervals under each assumed SD.",
                columns=(
                    Column(name="fit", kind="text"),
                    Column(name="whole change", unit=plan.spread.unit, decimals=1),
                    Column(name=f"{asked.drug}'s part", unit="points", decimals=1),
                    Column(name="share", unit="%", decimals=0),
                    *(
                        Column(name=f"interval, SD {sd:g} {plan.spread.unit}", unit="points", decimals=1)
                        for sd in view.sds
                    ),
                ),
                rows=tuple(rows),
                groups=tuple(headings),
                notes=(
                    "Negative: less fatigue. An interval that ends at 0.0 ends at what the structure can do: one "
                    "effect "
                    "that rises and falls cannot help on one day and harm on another. A dash: the part can move "
                    "without any "
                    "prediction changing, and its interval ends where bounds of the parameters stop it (∞: nowhere).",
                ),
            )
        )
    chosen = analysis.shares[plan.model]
    blocks.append(
        Figure(
            name="attribution",
            draw=partial(
                figures.forest,
                groups,
                labels=asked.labels,
                level=asked.level,
                sds=view.sds,
                whole=[share.whole for share in chosen],
                drug=asked.drug,
            ),
            caption=f"{asked.drug.capitalize()}'s part at each time: best fit (circle) and {100 * asked.level:g} "
            f"% intervals for an "
            f"SD of {listed([f'{sd:g}' for sd in view.sds])} {plan.spread.unit} (thick to thin). Solid line: no "
            f"part. Dashed line: the "
            "whole fall of the chosen model.",
        )
    )
    blocks.append(
        Figure(
            name="attribution_profiles",
            draw=partial(figures.part_profiles, chosen, sds=view.sds, drug=asked.drug),
            caption=f"The profile likelihoods behind the intervals, chosen model: how much worse the best fit "
            f"becomes when "
            f"{asked.drug}'s part is held at each value. Dashed: the rise that bounds a {100 * asked.level:g} % "
            f"interval. A jump "
            "at zero: the effect would have to change its sign, at every time at once.",
        )
    )
    blocks.append(_correlated(analysis, view))
    return Section(title=f"How much is {asked.drug}'s?", short="Attribution", blocks=tuple(blocks))


def _numbers(share: Share) -> tuple[Any, ...]:
    if not share.determined:
        return share.whole, None, None
    return share.whole, share.part, 100 * share.part / share.whole if share.whole else None


def _correlated(analysis: Analysis, view: DataView) -> Table:
    """The standard error of the part if means of the same people correlate."""
    plan, asked = analysis.study.plan, analysis.study.plan.attribution
    assert asked is not None
    chosen = analysis.chosen
    groups = [str(one) for one in chosen.fit.records["ID"].values]
    rows = tuple(
        (
            correlation,
            *(
                standard_error(chosen, share.slope, correlation=correlation, groups=groups)
                for share in analysis.shares[plan.model]
            ),
        )
        for correlation in _CORRELATIONS
    )
    return Table(
        name="correlated_errors",
        caption=f"Standard error of {asked.drug}'s part if the errors of means of the same people correlate (SD "
        f"{plan.spread.sd:g} {plan.spread.unit}, linear approximation).",
        columns=(
            Column(name="correlation", digits=2),
            *(Column(name=label, unit="points", decimals=1) for label in asked.labels),
        ),
        rows=rows,
        notes=("The fits assume 0: no correlation is published.",),
    )


def exposure(analysis: Analysis, view: DataView, *, which: int) -> Section:
    """Concentrations beside what an effect would need."""
    one, found = analysis.exposure[which]
    blocks: list[Any] = []
    if one.text:
        blocks.append(Paragraph(one.text))
    late = next((k for k, t in enumerate(one.times) if t >= 24), len(one.times) - 1)
    rows = tuple((c.title, *map(float, c.at), 100 * float(c.at[late] / (one.needed + c.at[late]))) for c in found)
    blocks.append(
        Table(
            name=f"exposure_{one.name}",
            caption=one.caption,
            columns=(
                Column(name="kinetic model", kind="text"),
                *(Column(name=f"{t:.3g} h", unit=one.unit, digits=3) for t in one.times),
                Column(name=f"effect left at {one.times[late]:g} h", unit="% of the largest", digits=2),
            ),
            rows=rows,
            notes=(f"Effect: C / (C + EC50) with the {one.needed_text}, {one.needed:g} {one.unit}. Dose: {one.dose}.",),
        )
    )
    curves = {c.model: (c.times, c.curve) for c in found}
    blocks.append(
        Figure(
            name=f"exposure_{one.name}",
            draw=partial(
                figures.exposure_over_time, curves, unit=one.unit, needed=one.needed, needed_text=one.needed_text
            ),
            caption="Concentrations by each kinetic model (typical person), and the concentration with half of "
            "the largest effect.",
        )
    )
    return Section(title=one.title or one.caption, short=one.name.replace("_", " ").capitalize(), blocks=tuple(blocks))


def what_if(analysis: Analysis, view: DataView) -> Section | None:
    """Other regimens: figures, and how low and how long."""
    plan, asked = analysis.study.plan, analysis.study.plan.what_if
    if asked is None:
        return None
    blocks: list[Any] = [Paragraph(asked.text)] if asked.text else []
    blocks.append(_durations(analysis, view))
    for one in analysis.imagined:
        others = listed(list(one.others)) if one.others else ""
        thin = f" Thin lines: {others}, without a band." if others else ""
        blocks.append(
            Figure(
                name=f"what_if_{one.scenario.name}",
                draw=partial(
                    figures.scenario,
                    one,
                    interval=asked.interval,
                    target=asked.target - 100,
                    unit=plan.spread.unit,
                    time_unit=view.time_unit,
                ),
                caption=f"**{one.scenario.title}.** {one.scenario.caption} Left: the drug alone; right: with the "
                f"common course "
                f"of a first period. Line: estimate; band: {100 * asked.interval:g} % of {asked.draws} draws, holding "
                f"{_uncertainty(analysis, one)}. Dashed: {asked.target_text}.{thin}".replace("  ", " "),
            )
        )
    return Section(title="What if?", blocks=tuple(blocks))


def _uncertainty(analysis: Analysis, one: Imagined) -> str:
    plan, asked = analysis.study.plan, analysis.study.plan.what_if
    assert asked is not None
    held = f"; {listed(list(asked.hold))} held" if asked.hold else ""
    return (
        f"{one.uncertainty} ({listed(list(one.fitted.free))} from the fit under an SD of {plan.spread.sd:g} "
        f"{plan.spread.unit}{held}), no between-subject variability, no uncertainty about the structure"
    )


def _durations(analysis: Analysis, view: DataView) -> Table:
    plan, asked = analysis.study.plan, analysis.study.plan.what_if
    assert asked is not None
    tail = (1 - asked.interval) / 2
    level = asked.target - 100
    rows: list[tuple[Any, ...]] = []
    headings = []
    for one in analysis.imagined:
        headings.append((len(rows), f"{one.scenario.title} (simulated for {one.scenario.until:g} {view.time_unit})"))
        for index, arm in enumerate(one.arms):
            own, draws = one.own[index], one.own_draws[index]
            others = [f"{name} {float(one.below(curve[index], level)):.0f}" for name, curve in one.others.items()]
            rows.append(
                (
                    arm,
                    float(own.min()),
                    _interval(draws.min(axis=-1), tail),
                    float(one.times[own.argmin()]),
                    float(one.below(own, level)),
                    _interval(one.below(draws, level), tail),
                    "; ".join(others) or None,
                    float(one.below(one.total[index], level)),
                    _interval(one.below(one.total_draws[index], level), tail),
                )
            )
    unit = view.time_unit
    share = f"{100 * asked.interval:g} %"
    return Table(
        name="what_if",
        caption=f"How low and how long: lowest point, and time spent {asked.target_text} or lower.",
        columns=(
            Column(name="regimen", kind="text"),
            Column(name="lowest, drug alone", unit="points", decimals=1),
            Column(name=f"{share} interval", unit="points", decimals=1),
            Column(name="lowest at", unit=unit, digits=4),
            Column(name="time below, drug alone", unit=unit, decimals=0),
            Column(name=f"{share} interval", unit=unit, decimals=0),
            Column(name="time below by other candidates", unit=unit, kind="text"),
            Column(name="time below, with the course", unit=unit, decimals=0),
            Column(name=f"{share} interval", unit=unit, decimals=0),
        ),
        rows=tuple(rows),
        groups=tuple(headings),
        notes=(
            "The window for a programme that needs fatigue to be that low is the time below. With the common course it "
            "includes what would come without the drug, and it cannot be longer than what was simulated. "
            "Repeated doses: all "
            "windows together.",
            f"Intervals hold parameter uncertainty only; draws: {asked.draws}, seed {plan.seed}.",
        ),
    )


def _interval(values: np.ndarray, tail: float) -> tuple[float, float]:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
