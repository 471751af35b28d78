"""The figure of work against precision: ``python -m tests.benchmarks.figure``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd import plots
from tests.benchmarks.run import RESULTS
from tests.benchmarks.scan import WANTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IMAGE = Path(__file__).resolve().parents[2] / "docs" / "img" / "work_precision.svg"
PANELS = {
    "nine": "Nine states: kinetics and effect",
    "stiff": "The same, stiff (ke0 × 500)",
    "sensitivities": "The same, derivatives to 8 parameters",
    "oral": "Two compartments, oral",
}
LOOKS = {
    "lsoda": ("LSODA", "black", "s", "--"),
    "lsoda-lean": ("LSODA, zero derivatives left out", "purple", "D", "--"),
    "explicit": ("explicit", "orange", "^", "-"),
    "rosenbrock": ("Rosenbrock", "green", "v", "-"),
    "auto": ("auto", "vermilion", "o", "-"),
    "exact": ("exact", "blue", "*", "-"),
}
#: Errors below are drawn here: the reference knows no better.
FLOOR = 1e-12


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats in both error and time, sorted by error."""
    best: list[tuple[float, float]] = []
    for error, cpu in sorted(points):
        if not best or cpu < best[-1][1]:
            best.append((error, cpu))
    return best


def draw(results: dict[str, Any], path: str | Path | None = None) -> Figure:
    """Time against true error, one panel a model, one line a method; written to `path` if given.

    Parameters
    ----------
    results
        As in ``results.json``.
    path
        A file that ends in ``.svg``, ``.png`` or ``.pdf``.
    """
    shown = {name: title for name, title in PANELS.items() if name in results["cases"]}
    rows = -(-len(shown) // 2)
    figure = plots.figure(rows, min(2, len(shown)), width=7.4, height=0.7 + 2.6 * rows)
    used: dict[str, Any] = {}
    for axes, (name, title) in zip(figure.axes, shown.items()):
        used |= _panel(axes, results["cases"][name], title)
    for axes in figure.axes[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("true error, largest over subjects, times and outputs", fontsize=9.5)
    figure.supylabel("CPU ms per 1,000 subjects, one thread", fontsize=9.5)
    order = [method for method in LOOKS if method in used]
    figure.legend(
        [used[method] for method in order],
        [LOOKS[method][0] for method in order],
        loc="outside upper center",
        ncols=len(order),
        fontsize=8.5,
        frameon=False,
        columnspacing=1.2,
    )
    if path is not None:
        plots.save(figure, path)
    return figure


def _panel(axes: Axes, case: dict[str, Any], title: str) -> dict[str, Any]:
    """One model; the lines drawn, by method."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    lines = {}
    for method, (_, colour, mark, dash) in LOOKS.items():
        rows = [row for row in case["rows"] if row["method"] == method and row["error"] is not None]
        points = [(max(row["error"], FLOOR), 1e6 * row["cpu"] / case["subjects"]) for row in rows]
        if not points:
            continue
        best = front(points)
        ink = plots.COLOURS[colour]
        axes.plot(*zip(*points), color=ink, marker=mark, linestyle="none", markersize=2.5, alpha=0.3)
        (lines[method],) = axes.plot(*zip(*best), color=ink, marker=mark, linestyle=dash, linewidth=1.3, markersize=4)
    axes.axvline(WANTED, color="0.55", linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(1e-13, 2e-2))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.2, high * 1.2)
    axes.set_title(title, fontsize=9.5)
    return lines


def main() -> None:
    """Draw what was measured last."""
    draw(json.loads(RESULTS.read_text(encoding="utf-8")), IMAGE)


if __name__ == "__main__":
    main()
