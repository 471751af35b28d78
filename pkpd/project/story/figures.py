"""The drawings of a report on a study: each function gives a matplotlib figure in the house style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.plots import COLOURS, figure
from pkpd.plots.style import INK, QUIET, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.project.attribution import Share
    from pkpd.project.profile import Profile
    from pkpd.project.what_if import Imagined

__all__ = [
    "curves",
    "days_axis",
    "exposure_over_time",
    "fit_panels",
    "forest",
    "interval_bars",
    "parameter_profiles",
    "part_profiles",
    "points",
    "raw_data",
    "residuals",
    "scenario",
    "zero_line",
]

_SHADES = (COLOURS["blue"], "#4F9BC9", "#9CC4DE")  # from the narrowest interval to the widest
_CHI2_95 = 3.841458820694124


def days_axis(ax: Axes, until: float, unit: str) -> float:
    """Label a time axis in days where it is long; give the factor from the model's unit to that of the axis."""
    from pkpd.units import factor

    hours = until * factor(unit, "h")
    if hours > 60:
        ax.set_xlabel("days after the infusion")
        ax.set_xticks(_ticks(hours / 24))
        return factor(unit, "d")
    ax.set_xlabel("hours after the infusion")
    return factor(unit, "h")


def _ticks(days: float) -> list[int]:
    step = next(s for s in (1, 2, 7, 14, 28) if days / s <= 9)
    return list(range(0, int(days) + 1, step))


def zero_line(ax: Axes) -> None:
    """Where nothing has changed."""
    ax.axhline(0, color=QUIET, linewidth=0.8, zorder=1)


def raw_data(series: Sequence[Mapping[str, Any]], *, unit: str, label: str) -> Figure:
    """The means as published, with the standard error that the assumed SD gives them."""
    drawing = figure(1, 1, width=6.4, height=3.5)
    ax = drawing.axes[0]
    zero_line(ax)
    shift = np.linspace(-0.12, 0.12, len(series))
    for one, dx in zip(series, shift, strict=True):
        style: dict[str, Any] = {"color": one["colour"], "marker": one["marker"], "linestyle": "none"}
        for sure in (True, False):
            at = [i for i, known in enumerate(one["known"]) if known is sure]
            if at:
                x, y, se = (np.array([one[name][i] for i in at]) for name in ("x", "y", "se"))
                face: dict[str, Any] = {} if sure else {"markerfacecolor": "white"}
                name = f"{one['name']} (n = {one['n']})" if sure else None
                ax.errorbar(x + dx, y, yerr=se, label=name, elinewidth=1.0, capsize=0, markersize=6.5, **style, **face)
    ax.set_xlabel(label)
    ax.set_ylabel(f"change of the mean ({unit})")
    ax.set_xticks(sorted({x for one in series for x in one["x"]} | {0}))
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return drawing


def fit_panels(panels: Sequence[Mapping[str, Any]], *, unit: str, time_unit: str) -> Figure:
    """One panel a curve: the model, with the other candidates behind it, and the data."""
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    drawing = figure(rows, columns, width=6.8, height=2.5 * rows + 0.3, sharex=True, sharey=True, squeeze=False)
    for ax, panel in zip(drawing.axes, panels, strict=False):
        by = days_axis(ax, panel["until"], time_unit)
        zero_line(ax)
        for curve in panel["others"]:
            ax.plot(panel["times"] * by, curve, color="#B4B4B4", linewidth=0.9, zorder=2)
        ax.plot(panel["times"] * by, panel["curve"], color=panel["colour"], zorder=3)
        for known in (True, False):
            at = np.array([k is known for k in panel["known"]], dtype=bool)
            if at.any():
                ax.errorbar(
                    panel["x"][at] * by,
                    panel["y"][at],
                    yerr=panel["se"][at],
                    fmt="o",
                    color=INK,
                    markerfacecolor=INK if known else "white",
                    markersize=5,
                    elinewidth=0.9,
                    zorder=4,
                )
        ax.set_title(panel["title"])
    for ax in drawing.axes[len(panels) :]:
        ax.set_visible(False)
    for number, ax in enumerate(drawing.axes[: len(panels)]):
        if number % columns == 0:
            ax.set_ylabel(f"change ({unit})")
        if number < len(panels) - columns:
            ax.set_xlabel("")
    return drawing


def curves(
    times: np.ndarray,
    named: Mapping[str, np.ndarray],
    data: Mapping[str, Any],
    *,
    unit: str,
    time_unit: str,
    strong: str = "",
    title: str = "",
    floor: float | None = None,
) -> Figure:
    """Several models of one curve, with its data; `floor` cuts the axis where curves leave the scale of the score."""
    drawing = figure(1, 1, width=6.8, height=3.6)
    ax = drawing.axes[0]
    by = days_axis(ax, float(times[-1]), time_unit)
    zero_line(ax)
    for index, (name, values) in enumerate(named.items()):
        style = look(index)
        ax.plot(times * by, values, label=name, **style, linewidth=2.4 if name == strong else 1.4)
    points(ax, data, by)
    ax.set_ylabel(f"change ({unit})")
    if floor is not None and min(float(v.min()) for v in named.values()) < floor:
        ax.set_ylim(bottom=floor)
    if title:
        ax.set_title(title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return drawing


def points(ax: Axes, data: Mapping[str, Any], by: float) -> None:
    """The data of one curve: filled where published, open where inferred."""
    for known in (True, False):
        at = np.array([k is known for k in data["known"]], dtype=bool)
        if at.any():
            ax.errorbar(
                data["x"][at] * by,
                data["y"][at],
                yerr=data["se"][at],
                fmt="o",
                color=INK,
                markerfacecolor=INK if known else "white",
                markersize=5.5,
                elinewidth=0.9,
                zorder=5,
                label="published" if known else "inferred",
            )


def residuals(names: Sequence[str], values: np.ndarray, colours: Sequence[str]) -> Figure:
    """Weighted residuals, row by row."""
    drawing = figure(1, 1, width=6.4, height=0.34 * len(names) + 0.9)
    ax = drawing.axes[0]
    place = np.arange(len(names))[::-1]
    ax.axvline(0, color=QUIET, linewidth=0.8)
    ax.hlines(place, 0, values, color=list(colours), linewidth=1.4)
    ax.scatter(values, place, color=list(colours), zorder=3)
    ax.set_yticks(place, list(names))
    ax.set_ylim(-0.7, len(names) - 0.3)
    reach = max(1.0, 1.15 * float(np.abs(values).max()))
    ax.set_xlim(-reach, reach)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", visible=True)
    ax.set_xlabel("observed − predicted, in assumed standard errors")
    return drawing


def forest(
    groups: Sequence[tuple[str, Sequence[tuple[str, Sequence[Share]]]]],
    *,
    labels: Sequence[str],
    level: float,
    sds: Sequence[float],
    whole: Sequence[float],
    drug: str,
) -> Figure:
    """The drug's part, case by case, one panel a time, with intervals under each assumed SD."""
    lines = sum(len(cases) + 1 for _, cases in groups)
    drawing = figure(1, len(labels), width=7.0, height=0.245 * lines + 1.15, sharey=True, squeeze=False)
    ordered = sorted(sds, reverse=True)
    for k, ax in enumerate(drawing.axes):
        ax.axvline(0, color=INK, linewidth=0.9)
        ax.axvline(whole[k], color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        place, ticks, names = 0.0, [], []
        for title, cases in groups:
            ticks.append(place)
            names.append(title)
            place -= 1
            for name, shares in cases:
                share = shares[k]
                if not np.isfinite(share.interval(level, min(sds))).all():
                    ax.text(0.5 * whole[k], place, "anything", ha="center", va="center", fontsize=7.5, color=QUIET)
                    ticks.append(place)
                    names.append(name)
                    place -= 1
                    continue
                for row, sd in enumerate(ordered):
                    low, high = np.clip(share.interval(level, sd), -150, 150)
                    ax.plot([low, high], [place] * 2, color=_SHADES[len(ordered) - 1 - row], linewidth=1.4 + 1.9 * row,
                            solid_capstyle="butt", zorder=2)  # fmt: skip
                if share.determined:
                    ax.plot(share.part, place, "o", color="white", markeredgecolor=INK, markersize=4.6, zorder=4)
                ticks.append(place)
                names.append(name)
                place -= 1
        ax.set_ylim(place + 0.3, 0.7)
        # What the data do not determine may reach far beyond the axis.
        sure = [s[k] for _, cases in groups for _, s in cases if s[k].determined]
        ends = [end for share in sure for end in share.interval(level, max(sds))] + [whole[k]]
        room = 0.06 * (max(ends) - min(ends))
        ax.set_xlim(min(ends) - room, max(ends) + room)
        ax.set_title(labels[k])
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        if k == 0:
            ax.set_yticks(ticks, names)
            heads = {title for title, _ in groups}
            for text in ax.get_yticklabels():
                text.set_fontsize(8)
                if text.get_text() in heads:
                    text.set_fontweight("bold")
    drawing.supxlabel(f"{drug}'s part (points)", fontsize=9.5)
    return drawing


def interval_bars(ax: Axes, shares: Sequence[Share], *, level: float, sds: Sequence[float]) -> None:
    """The drug's part at each time, one bar for each assumed SD, and the whole change."""
    ax.axvline(0, color=INK, linewidth=0.9)
    ordered = sorted(sds)
    for k, share in enumerate(shares):
        top = -k * (len(ordered) + 1.6)
        ax.plot(
            [share.whole] * 2, [top + 0.6, top - len(ordered) + 0.4], color=INK, linewidth=0.9, linestyle=(0, (4, 2))
        )
        ax.text(share.whole, top + 0.75, "whole fall", ha="center", va="bottom", fontsize=7.5, color=QUIET)
        for row, sd in enumerate(ordered):
            low, high = share.interval(level, sd)
            ax.plot(
                [low, high], [top - row] * 2, color=_SHADES[row % 3], linewidth=5.2 - 1.4 * row, solid_capstyle="butt"
            )
            ax.plot(share.part, top - row, "o", color="white", markeredgecolor=INK, markersize=4.6, zorder=4)
    ticks = [-k * (len(ordered) + 1.6) - row for k in range(len(shares)) for row in range(len(ordered))]
    names = [f"{share.label}, SD {sd:g} %" for share in shares for sd in ordered]
    ax.set_yticks(ticks, names)
    ax.set_ylim(min(ticks) - 0.8, 2.1)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", visible=True)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def part_profiles(shares: Sequence[Share], *, sds: Sequence[float], drug: str) -> Figure:
    """How the sum of squares rises as the drug's part is held at other values, under each assumed SD."""
    drawing = figure(1, len(shares), width=6.8, height=3.0, sharey=True, squeeze=False)
    for ax, share in zip(drawing.axes, shares, strict=True):
        for index, sd in enumerate(sorted(sds)):
            if share.profile is not None:
                rise = share.profile.rise * (share.sd / sd) ** 2
                ax.plot(share.profile.values, rise, label=f"SD {sd:g} %", marker=".", markersize=3, **look(index))
        ax.axhline(_CHI2_95, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        ax.axvline(0, color=QUIET, linewidth=0.8)
        ax.set_ylim(0, 8)
        ax.set_title(share.label)
        ax.set_xlabel(f"{drug}'s part (points)")
    drawing.axes[0].set_ylabel("rise of χ² above its minimum")
    drawing.axes[-1].legend(loc="upper right")
    return drawing


def parameter_profiles(found: Mapping[str, tuple[Profile, str]]) -> Figure:
    """The same for each parameter, on the scale on which it was estimated."""
    columns = min(len(found), 4)
    rows = -(-len(found) // columns)
    drawing = figure(rows, columns, width=6.8, height=2.3 * rows + 0.2, sharey=True, squeeze=False)
    for ax, (name, (one, unit)) in zip(drawing.axes, found.items(), strict=False):
        ax.plot(one.values, one.rise, color=COLOURS["blue"], marker=".", markersize=3)
        ax.axhline(_CHI2_95, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        ax.plot(one.centre, 0, "o", color=INK, markersize=4, clip_on=False, zorder=4)
        ax.set_ylim(0, 6)
        ax.set_xlabel(f"{name} ({unit})" if unit not in ("", "1") else name)
    for ax in drawing.axes[len(found) :]:
        ax.set_visible(False)
    for row in range(rows):
        drawing.axes[row * columns].set_ylabel("rise of χ²")
    return drawing


def scenario(one: Imagined, *, interval: float, target: float, unit: str, time_unit: str) -> Figure:
    """What a regimen would do: the drug's own part with its band and other candidates; the whole with its band."""
    drawing = figure(1, 2, width=7.0, height=3.5, sharey=True)
    tail = (1 - interval) / 2
    until = float(one.times[-1])
    panels = (
        ("own", "the drug alone", one.own, one.own_draws),
        ("total", "with the common course", one.total, one.total_draws),
    )
    lowest = min(0.0, target)
    for ax, (kind, title, point, draws) in zip(drawing.axes, panels, strict=True):
        by = days_axis(ax, until, time_unit)
        zero_line(ax)
        ax.axhline(target, color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)))
        for index, arm in enumerate(one.arms):
            style = look(index)
            low, high = np.quantile(draws[index], [tail, 1 - tail], axis=0)
            ax.fill_between(one.times * by, low, high, color=style["color"], alpha=0.14, linewidth=0)
            ax.plot(one.times * by, point[index], label=arm, **style)
            lowest = min(lowest, float(low.min()), float(point[index].min()))
            if kind == "own":
                for curve in one.others.values():
                    ax.plot(one.times * by, curve[index], color=style["color"], linewidth=0.7, alpha=0.75)
                    lowest = min(lowest, float(curve[index].min()))
        ax.set_title(title)
    drawing.axes[0].set_ylim(bottom=max(lowest * 1.05, -110.0))
    drawing.axes[0].set_ylabel(f"change ({unit})")
    drawing.axes[0].legend(loc="lower right")
    return drawing


def exposure_over_time(
    named: Mapping[str, tuple[np.ndarray, np.ndarray]], *, unit: str, needed: float, needed_text: str
) -> Figure:
    """Concentrations on a logarithmic axis, and the one that an effect needs."""
    drawing = figure(1, 1, width=6.4, height=3.1)
    ax = drawing.axes[0]
    for index, (name, (times, values)) in enumerate(named.items()):
        shown = np.where(values > 1e-5, values, np.nan)
        ax.plot(times, shown, label=name, **look(index))
    ax.axhline(needed, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    ax.text(72, needed * 1.25, needed_text, ha="right", va="bottom", fontsize=8)
    ax.set_yscale("log")
    ax.set_ylim(1e-5, None)
    ax.set_xticks(range(0, 73, 12))
    ax.set_xlabel("hours after the start of the infusion")
    ax.set_ylabel(f"concentration ({unit})")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return drawing
