"""Draw the pictures of the page on events from what the engine says: ``python docs/event_figures.py``.

Above, the prediction; below, the doses where they go in: a triangle for what goes in at once, a bar for an infusion
(its height is its rate). A hollow triangle stands where a late dose was given. What is pale belongs to the train before
the record of a steady state.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from event_examples import EXAMPLES
from event_runs import Course, Example, Floats, Mark, program_of, run, with_times

import pkpd
from pkpd import plots
from pkpd.engine import bind, predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parent / "img"
LOOKS: list[dict[str, Any]] = [
    {"color": plots.COLOURS["blue"], "linewidth": 1.8},
    {"color": plots.COLOURS["vermilion"], "linewidth": 1.4, "linestyle": (0, (5, 1.6))},
    {"color": plots.COLOURS["green"], "linewidth": 1.4, "linestyle": (0, (1.5, 1.4))},
]
#: What stands beside the observations that an example's rows ask for: (text, alignment, shift in points).
BESIDE = {
    "order": [("sees all before it", "right", (-8, -3)), ("sees only what follows the reset", "left", (8, 7))],
    "observations": [
        ("row before the dose", "right", (-8, -4)),
        ("row after the dose", "left", (8, 3)),
        ("", "left", (0, 0)),
    ],
}


def draw(name: str) -> Figure:
    """Draw one example."""
    return SPECIAL[name]() if name in SPECIAL else standard(name)


def standard(name: str) -> Figure:
    """Draw the first output of every ID above its doses."""
    example = EXAMPLES[name]
    courses = run(example)
    height = 0.3 * lanes(example)
    figure = plots.figure(2, 1, width=6.4, height=2.45 + height, sharex=True, height_ratios=[1.75, height])
    above, below = figure.axes
    for i, (who, label) in enumerate(example.labels.items()):
        above.plot(*shown(courses[who], example), label=label, **LOOKS[i])
    beside = iter(BESIDE.get(name, []))
    for look, who in zip(LOOKS, example.labels, strict=False):
        for time, values in courses[who].seen:
            value = next(iter(values.values()))
            ring = {"markeredgecolor": look["color"], "markeredgewidth": 1.4, "markersize": 5.5}
            above.plot(time, value, "o", color="white", **ring)
            text, side, shift = next(beside, ("", "left", (0, 0)))
            above.annotate(text, (time, value), shift, textcoords="offset points", ha=side, va="center", fontsize=8)
    above.set_ylabel(label_of(example))
    finish(above, below, example)
    doses(below, example)
    return figure


def shown(course: Course, example: Example) -> tuple[Floats, Floats]:
    """Times and values of the first name, as far as they are drawn."""
    values = next(iter(course.values.values()))
    inside = course.time <= example.until
    return course.time[inside], values[inside]


def label_of(example: Example) -> str:
    """Name and unit of the first output."""
    output = next(iter(pkpd.Model(example.model).outputs.values()))
    return f"{output.label}\n({output.unit})"


def finish(above: Axes, below: Axes, example: Example) -> None:
    """Set limits, ticks and words that every picture has."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    above.set_ylim(example.floor, above.get_ylim()[1] * (1.06 if example.floor == 0 else 1.0))
    above.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    margin = (example.until - example.start) * 0.02
    above.set_xlim(example.start - margin, example.until + margin)
    below.xaxis.set_major_locator(MultipleLocator(example.step))
    below.set_xlabel("time (h)")
    for axes in (above, below):
        axes.grid(visible=True, axis="x", color="#EDEDED")
        for time, text in example.lines.items():
            axes.axvline(time, color="0.45", linewidth=0.9, linestyle=(0, (4, 3)))
            if axes is above:
                axes.text(time, 0.97, f"  {text}", transform=axes.get_xaxis_transform(), va="top", fontsize=8.5)
    words = above.get_legend_handles_labels()[1]
    if len(words) > 1:
        legend(above, len(words))


def legend(axes: Axes, columns: int) -> None:
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=columns, frameon=False, handlelength=1.8, fontsize=8.5
    )


def lane_of(mark: Mark, example: Example) -> int:
    """The lane that a dose is drawn in."""
    return list(example.labels).index(mark.who) if mark.lane is None else mark.lane


def lanes(example: Example) -> int:
    """How many lanes there are."""
    return 1 + max(lane_of(mark, example) for mark in example.marks)


def doses(axes: Axes, example: Example) -> None:
    """Draw the doses."""
    rates = [mark.amount for mark in example.marks if mark.end is not None]
    for mark in example.marks:
        ink, floor = LOOKS[list(example.labels).index(mark.who)]["color"], -float(lane_of(mark, example))
        if mark.end is None:
            bolus(axes, mark, ink, floor)
        else:
            bar(axes, mark, ink, floor, 0.66 * mark.amount / max(rates))
        if mark.given is not None:
            given(axes, mark, ink, floor)
    axes.set_ylim(0.92 - lanes(example), 0.98)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("doses", rotation=0, ha="right", va="center")


def bolus(axes: Axes, mark: Mark, ink: str, floor: float) -> None:
    """Draw a dose that goes in at once, where it arrives; a cross if it never does."""
    look = {"markersize": 7, "alpha": 0.3 if mark.past else 1.0}
    axes.plot(mark.time, floor + 0.24, marker="v" if mark.amount else "x", color=ink, linestyle="none", **look)
    text = f"{mark.amount:g} mg" if mark.text is None else mark.text
    axes.annotate(text, (mark.time, floor + 0.24), (7, 0), textcoords="offset points", va="center", fontsize=8)


def bar(axes: Axes, mark: Mark, ink: str, floor: float, height: float) -> None:
    """Draw an infusion; its height is its rate."""
    assert mark.end is not None
    box = {"bottom": floor + 0.04, "align": "edge", "edgecolor": "none", "zorder": 2}
    axes.bar(mark.time, height, mark.end - mark.time, color=ink, alpha=0.18 if mark.past else 0.55, **box)
    text = f"{mark.amount:g} mg/h for {mark.end - mark.time:g} h" if mark.text is None else mark.text
    place = (mark.end, floor + 0.04 + height / 2)
    axes.annotate(text, place, (5, 0), textcoords="offset points", va="center", fontsize=8)


def given(axes: Axes, mark: Mark, ink: str, floor: float) -> None:
    """Mark when a late dose was given, and lead to where it arrives."""
    assert mark.given is not None
    pale = 0.4 if mark.past else 1.0
    ring = {"markerfacecolor": "white", "markeredgecolor": ink, "markersize": 6.5, "alpha": pale, "zorder": 3}
    axes.plot(mark.given, floor + 0.66, marker="v", linestyle="none", **ring)
    axes.plot([mark.given, mark.time], [floor + 0.66, floor + 0.3], color=ink, lw=0.8, linestyle=":", alpha=pale)


def carry() -> Figure:
    """Draw the three rules for covariates between rows, and what follows from each."""
    example = EXAMPLES["carry"]
    figure = plots.figure(2, 1, width=6.4, height=3.6, sharex=True, height_ratios=[1.6, 1.0])
    above, below = figure.axes
    looks = {"nocb": "carried back (nocb)", "locf": "carried on (locf)", "linear": "on lines (linear)"}
    for look, (rule, label) in zip(LOOKS, looks.items(), strict=True):
        course = run(replace(example, carry=rule), ("cp", "CRCL"))["1"]
        above.plot(*shown(course, example), label=label, **look)
        below.plot(course.time, course.values["CRCL"], **look)
    table = example.table
    below.plot([float(t) for t in table["TIME"]], [float(c) for c in table["CRCL"]], "o", color="black", markersize=4.5)
    above.set_ylabel(label_of(example))
    below.set_ylabel("CRCL\n(mL/min)")
    finish(above, below, example)
    below.set_ylim(0, 112)
    return figure


def switch() -> Figure:
    """Draw a model event time, and the derivative to it beside differences."""
    example = EXAMPLES["switch"]
    columns, _ = with_times(example.table, example.times)
    program = program_of(example.model, "cp")
    events = pkpd.read_data(columns).events()
    schedule = bind(program, events)
    values = np.array([p.typical for p in pkpd.Model(example.model).parameters.values()])
    at = program.parameters.index("tsw")
    answer = predict(program, schedule, values, sensitivities=["tsw"], rtol=1e-10)
    assert answer.df is not None
    time = events.time[schedule.record_row]
    step = np.zeros(len(values))
    step[at] = 1e-3
    up, down = (predict(program, schedule, values + sign * step, rtol=1e-10).f for sign in (1, -1))
    figure = plots.figure(2, 1, width=6.4, height=3.6, sharex=True, height_ratios=[1.4, 1.0])
    above, below = figure.axes
    above.plot(time, answer.f, **LOOKS[0])
    below.plot(time, answer.df[:, 0], **LOOKS[0], label="of the engine")
    some = slice(50, None, 100)
    below.plot(
        time[some], ((up - down) / 2e-3)[some], "o", color=LOOKS[1]["color"], markersize=3.6, label="by differences"
    )
    above.set_ylabel(label_of(example))
    below.set_ylabel("derivative\nto tsw (mg/L/h)")
    finish(above, below, example)
    low, high = float(np.min(answer.df)), float(np.max(answer.df))
    below.set_ylim(min(1.4 * low, -0.02), max(0.02, 1.4 * high))
    below.legend(loc="lower left", handlelength=1.8, frameon=False, fontsize=8.5)
    return figure


def additional_covariate() -> Figure:
    """Draw doses whose bioavailability follows a covariate."""
    figure = standard("additional-covariate")
    above, below = figure.axes
    course = run(EXAMPLES["additional-covariate"], ("cp", "FOOD"))["1"]
    for axes in (above, below):
        axes.fill_between(
            course.time,
            0,
            1,
            where=(course.values["FOOD"] > 0).tolist(),
            transform=axes.get_xaxis_transform(),
            color="#F0E442",
            alpha=0.35,
            linewidth=0,
            zorder=0,
        )
    above.text(15, 0.92, "FOOD = 1", transform=above.get_xaxis_transform(), fontsize=8, ha="center", va="top")
    return figure


def occasions() -> Figure:
    """Draw an occasion after another, with both clocks."""
    figure = standard("occasions")
    below = figure.axes[1]
    below.set_xticks([0, 6, 12, 18, 24, 30, 36], ["0", "6", "12", "18\n0", "24\n6", "30\n12", "36\n18"])
    below.set_xlabel("time that runs on; below it, TIME of the file in the second occasion (h)")
    return figure


SPECIAL = {
    "carry": carry,
    "switch": switch,
    "additional-covariate": additional_covariate,
    "occasions": occasions,
}


def main() -> None:
    """Draw all of them."""
    for name in EXAMPLES:
        print(plots.save(draw(name), IMAGES / f"event-{name}.svg"))


if __name__ == "__main__":
    main()
