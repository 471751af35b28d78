"""How numbers are drawn that should be standard normal: against an axis, by quantiles, and as a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.diagnostics.records import grouped, labelled
from pkpd.plots.labels import plain_log, tick_step
from pkpd.plots.points import points, trend
from pkpd.plots.style import COLOURS, INK, QUIET, look, marker

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["against", "against_time", "distribution", "quantiles", "settled", "symmetric"]

#: So many quantiles are drawn one by one; of more, all the outer ones and some between.
_QUANTILES, _OUTER = 1500, 200
#: Logarithmic axes where the largest of what is positive is more times the smallest.
_WIDE = 30.0
_SHADE = "#D9DEE3"


def against(ax: Axes, own: xr.Dataset, x: str, z: str, label: str, *, smooth: bool = True) -> None:
    """Draw numbers `z` of some records against `x`, with lines at 0 and ±1.96 and a smooth line."""
    across, values, censored = settled(own[x].values), own[z].values, own["CENS"].values
    positive = across[np.isfinite(across) & np.isfinite(values)]
    if positive.size and positive.min() > 0 and positive.max() > _WIDE * positive.min():
        ax.set_xlim(positive.min() / 1.15, positive.max() * 1.15)
        plain_log(ax, "x")
    logarithmic = ax.get_xscale() == "log"
    ax.axhline(0, color=INK, linewidth=0.9, zorder=3)
    for edge in (-1.96, 1.96):
        ax.axhline(edge, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
    names, said = grouped(own), labelled(own)
    for k, name in enumerate(names):
        mine = own["group"].values == name
        points(ax, np.where(mine, across, np.nan), np.where(mine, values, np.nan), colour=look(k)["color"],
               hollow=censored, labels=said, name=name or None, marker=marker(k), cells=len(names) == 1)  # fmt: skip
    if smooth:
        scale = (np.log, np.exp) if logarithmic else (np.asarray, np.asarray)
        seen = np.isfinite(across) & np.isfinite(values)
        line = trend(scale[0](across[seen]), values[seen])
        ax.plot(scale[1](line[0]), line[1], color=COLOURS["vermilion"], linewidth=1.7, zorder=4)
    if len(np.unique(positive)) == 1:
        ax.set_xlim(positive[0] - 0.1 * abs(positive[0]) - 0.1, positive[0] + 0.1 * abs(positive[0]) + 0.1)
    ax.set_xlabel(label)


def settled(x: np.ndarray) -> np.ndarray:
    """Give numbers that differ by rounding alone one value."""
    seen = x[np.isfinite(x)]
    if seen.size and np.ptp(seen) <= 1e-8 * np.abs(seen).max():
        return np.where(np.isfinite(x), np.median(seen), np.nan)
    return x


def against_time(ax: Axes, unit: str) -> None:
    """Give an axis of time ticks that people count time in."""
    from matplotlib.ticker import MultipleLocator

    if ax.get_xscale() == "log":
        return
    low, high = ax.get_xlim()
    step = tick_step(high - low, unit)
    if step is not None:
        ax.xaxis.set_major_locator(MultipleLocator(step))


def symmetric(ax: Axes, z: np.ndarray) -> None:
    """Give the vertical axis ends that lie as far below 0 as above."""
    z = z[np.isfinite(z)]
    end = 1.06 * max(3.0, float(np.abs(z).max(initial=0.0)))
    ax.set_ylim(-end, end)


def quantiles(ax: Axes, z: np.ndarray) -> None:
    """Draw the ordered numbers against quantiles of the standard normal distribution, with their 95 % band.

    The band is exact, place by place: the k-th of n uniform numbers is Beta(k, n + 1 - k) distributed.
    """
    from scipy import special, stats

    z = np.sort(z[np.isfinite(z)])
    n = len(z)
    if not n:
        _nothing(ax)
        return
    k = np.arange(1, n + 1)
    if n > _QUANTILES:
        inner = np.linspace(_OUTER, n - _OUTER, _QUANTILES - 2 * _OUTER).astype(int)
        k = np.unique(np.concatenate([k[:_OUTER], inner, k[-_OUTER:]]))
    expected = special.ndtri((k - 0.5) / n)
    low, high = (special.ndtri(stats.beta.ppf(share, k, n + 1 - k)) for share in (0.025, 0.975))
    wide = np.concatenate([[expected[0] - 0.15], expected, [expected[-1] + 0.15]])
    lower, upper = (np.concatenate([side[:1], side, side[-1:]]) for side in (low, high))
    ax.fill_between(wide, lower, upper, color=_SHADE, linewidth=0, zorder=1.5)
    line = np.array([wide[0], wide[-1]])
    ax.plot(line, line, color=INK, linewidth=0.9, zorder=3)
    inside = (z[k - 1] >= low) & (z[k - 1] <= high)
    dots = {"linestyle": "none", "marker": "o", "markersize": 3.4 if n <= 300 else 2.4, "markeredgewidth": 0}
    ax.plot(expected[inside], z[k - 1][inside], color=COLOURS["blue"], zorder=4, **dots)
    ax.plot(expected[~inside], z[k - 1][~inside], color=COLOURS["vermilion"], zorder=4, **dots)
    ax.set_xlabel("standard normal quantile")


def distribution(ax: Axes, z: np.ndarray) -> None:
    """Draw a histogram under the standard normal density, with the 95 % band of each column (binomial)."""
    from scipy import special, stats

    z = z[np.isfinite(z)]
    n = len(z)
    if not n:
        _nothing(ax)
        return
    end = float(np.clip(np.abs(z).max(), 3.0, 6.0))
    count = int(np.clip(np.ceil(2 * n ** (1 / 3)), 6, 40))
    edges = np.linspace(-end, end, count + 1)
    width = edges[1] - edges[0]
    clipped = np.clip(z, edges[0], edges[-1])
    seen = np.histogram(clipped, edges)[0] / (n * width)
    upto = special.ndtr(edges)
    upto[0], upto[-1] = 0.0, 1.0
    low, high = (stats.binom.ppf(share, n, np.diff(upto)) / (n * width) for share in (0.025, 0.975))
    middle = (edges[1:] + edges[:-1]) / 2
    ax.bar(
        middle,
        seen,
        width=(0.94 if count <= 20 else 1.0) * width,
        color=COLOURS["sky"],
        linewidth=0,
        alpha=0.75,
        zorder=2,
    )
    x = np.linspace(-end, end, 161)
    for k in range(count):
        ax.fill_between(edges[k : k + 2], low[k], high[k], color=INK, alpha=0.13, linewidth=0, zorder=2.5)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=INK, linewidth=1.2, zorder=3)
    ax.set_ylabel("density")


def _nothing(ax: Axes) -> None:
    ax.text(0.5, 0.5, "no record", ha="center", va="center", color=QUIET, transform=ax.transAxes)
