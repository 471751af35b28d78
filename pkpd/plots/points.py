"""Clouds of points that stay readable and quick, few or many: dots, faint dots, then counts in cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from pkpd.plots.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hover_labels", "points", "trend"]

#: From here on dots become a picture inside the figure; from here on, cells that say how many there are.
_PICTURE, _CELLS = 2_000, 20_000
_hover: WeakKeyDictionary[Figure, dict[str, list[str]]] = WeakKeyDictionary()


def points(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    *,
    colour: str = COLOURS["blue"],
    hollow: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    name: str | None = None,
    marker: str = "o",
    size: float = 14.0,
    cells: bool = True,
) -> None:
    """Draw a cloud of points.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, y : (n,) float
        Points without a number are left out.
    colour : str
    hollow : (n,) bool, optional
        Which are drawn as rings: censored ones, whose value is a limit.
    labels : sequence of str, optional
        What a reader who points at one is told, where the figure can be pointed at.
    name : str, optional
        For the legend.
    marker : str
    size : float
        Area in points squared.
    cells : bool
        Whether very many points become cells of a colour that says how many lie there.
    """
    seen = np.isfinite(x) & np.isfinite(y)
    ring = np.zeros(len(x), dtype=bool) if hollow is None else np.asarray(hollow, dtype=bool)
    count = int(seen.sum())
    if cells and count > _CELLS:
        _cells(ax, x[seen], y[seen], colour)
        return
    faint = float(np.clip(12 / np.sqrt(max(count, 1)), 0.12, 0.75))
    for these, style in (
        (seen & ~ring, {"facecolors": colour, "edgecolors": "none", "alpha": faint}),
        (seen & ring, {"facecolors": "none", "edgecolors": colour, "linewidths": 0.8, "alpha": min(1.0, faint + 0.25)}),
    ):
        if not these.any():
            continue
        drawn = ax.scatter(x[these], y[these], s=size if count <= _PICTURE else 5.0, marker=marker, zorder=2, **style)
        drawn.set_rasterized(count > _PICTURE)
        if labels is not None and count <= _PICTURE:
            _label(ax, drawn, [labels[k] for k in np.flatnonzero(these).tolist()])
    if name is not None:
        ax.scatter([], [], s=20, marker=marker, facecolors=colour, edgecolors="none", label=name)


def trend(x: np.ndarray, y: np.ndarray, *, span: float = 0.75, at: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """Give a smooth line through a cloud of points: local lines, robust against single points.

    Cleveland WS. Robust locally weighted regression and smoothing scatterplots. J Am Stat Assoc 1979;74:829-836.
    doi:10.1080/01621459.1979.10481038

    Parameters
    ----------
    x, y : (n,) float
    span : float
        Share of the points that a local line sees.
    at : int
        Places at which it is computed, at quantiles of x.

    Returns
    -------
    x, y : (m,) float
        Empty where fewer than 10 points, or fewer than 4 different x, are there.
    """
    seen = np.isfinite(x) & np.isfinite(y)
    x, y = x[seen], y[seen]
    if len(x) > _CELLS:  # enough to see a line
        chosen = np.linspace(0, len(x) - 1, _CELLS).astype(int)
        order = np.argsort(x, kind="stable")[chosen]
        x, y = x[order], y[order]
    if len(x) < 10 or len(np.unique(x)) < 4:
        return np.zeros(0), np.zeros(0)
    places = np.unique(np.quantile(x, np.linspace(0, 1, at)))
    near = max(int(np.ceil(span * len(x))), 4)
    robust = np.ones(len(x))
    line = np.zeros(len(places))
    for _ in range(3):
        line = _local_lines(places, x, y, robust, near)
        left = np.abs(y - np.interp(x, places, line))
        scale = 6 * np.median(left)
        if not scale > 0:
            break
        robust = np.clip(1 - (left / scale) ** 2, 0, None) ** 2
    return places, line


def hover_labels(figure: Figure) -> dict[str, list[str]]:
    """Give what readers may be told of the points of a figure: by the id of the group in its SVG, in their order."""
    return dict(_hover.get(figure, {}))


def _local_lines(places: np.ndarray, x: np.ndarray, y: np.ndarray, robust: np.ndarray, near: int) -> np.ndarray:
    distance = np.abs(x - places[:, None])
    width = np.partition(distance, min(near, len(x)) - 1, axis=1)[:, min(near, len(x)) - 1]
    width = np.maximum(width * (1 + 1e-9), 1e-12 * (1 + np.abs(places)))
    weight = np.clip(1 - (distance / width[:, None]) ** 3, 0, None) ** 3 * robust
    total = weight.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    centre = (weight @ x) / total
    mean = (weight @ y) / total
    spread = (weight * (x - centre[:, None]) ** 2).sum(axis=1)
    slope = (weight * (x - centre[:, None]) * y).sum(axis=1) / np.where(spread > 0, spread, np.inf)
    return mean + slope * (places - centre)


def _cells(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    shades = LinearSegmentedColormap.from_list("count", ["#EDF3F8", colour, "#06263D"])
    scales: Any = {"xscale": ax.get_xscale(), "yscale": ax.get_yscale()}
    drawn = ax.hexbin(x, y, gridsize=70, cmap=shades, norm=LogNorm(), mincnt=1, linewidths=0.1, zorder=1, **scales)
    drawn.set_rasterized(True)


def _label(ax: Axes, drawn: Any, labels: list[str]) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    known = _hover.setdefault(figure, {})
    drawn.set_gid(f"hover-{len(known) + 1}")
    known[drawn.get_gid()] = labels
