"""Where records are put together: bins of an axis, given or found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pkpd.errors import UsageError

__all__ = ["bin_edges", "check_bins", "natural_breaks"]

#: Different places from which on breaks are looked for among quantiles of the axis.
_PLACES = 200
#: Found bins: share of the spread that may be left inside, how many there are at most, and how few records they hold.
_INSIDE, _MOST, _FEWEST = 0.01, 15, 8
#: One bin more is always taken where it leaves less than this share of what was inside.
_GAIN = 0.4


def check_bins(bins: object, where: str) -> None:
    """Refuse what are no bins: ``"auto"``, ``"none"``, a number of them, or rising edges."""
    sound = bins in ("auto", "none") if isinstance(bins, str) else False
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool):
        sound = bins >= 1
    elif isinstance(bins, Sequence) and not isinstance(bins, str):
        edges = [float(edge) for edge in bins]
        sound = len(edges) >= 2 and bool(np.all(np.diff(edges) > 0))
    if not sound:
        raise UsageError(
            f"bins is {bins!r}.", where=where,
            expected='"auto", "none" (regression quantiles), a number of bins, or two or more rising edges.',
            remedy='Leave it out for "auto".',
        )  # fmt: skip


def bin_edges(x: np.ndarray, bins: str | int | Sequence[float]) -> np.ndarray:
    """Give the edges of bins, (B + 1,), rising: a bin holds what is not below its left edge and below its right one.

    Found ones lie half-way between neighbouring records; the outer ones, at the first and the last record.
    """
    x = np.sort(x[np.isfinite(x)])
    if not isinstance(bins, (str, int, np.integer)):
        return np.array([float(edge) for edge in bins])
    places = np.unique(x)
    if len(places) == 1:
        return np.array([places[0], np.nextafter(places[0], np.inf)])
    count = None if bins == "auto" else min(int(bins), len(places))
    inner = natural_breaks(x, count)
    return np.array([places[0], *inner, np.nextafter(places[-1], np.inf)])


def natural_breaks(x: np.ndarray, count: int | None = None) -> list[float]:
    """Give the places between groups of sorted numbers that are as narrow as groups of that number can be.

    The sum of squares inside groups is least (exactly, by dynamic programming) on the scale log(1 + x / m), where m is
    a tenth of the median distance from the smallest: early times, which lie close together, are told apart as well.

    Fisher WD. On grouping for maximum homogeneity. J Am Stat Assoc 1958;53:789-798. doi:10.1080/01621459.1958.10501479

    Parameters
    ----------
    x : (n,) float
        Rising, with two different numbers at least.
    count : int, optional
        Groups; left out, as few as leave a hundredth of the spread inside, and more as long as one more leaves much
        less; at most 15, with 8 numbers in each on average unless there are no more than 15 different ones.
    """
    places, times = np.unique(x, return_counts=True)
    if len(places) > _PLACES:
        places = np.unique(np.quantile(x, np.linspace(0, 1, _PLACES)))
        times = np.bincount(np.searchsorted(places, x, side="right").clip(1) - 1, minlength=len(places))
    above = places - places[0]
    small = 0.1 * float(np.median(np.repeat(above, np.maximum(times, 1)))) or float(above[-1])
    z = np.log1p(above / small)
    most = count or (len(places) if len(places) <= _MOST else max(1, min(_MOST, len(x) // _FEWEST)))
    w = np.concatenate([[0], np.cumsum(times)]).astype(float)
    s = np.concatenate([[0], np.cumsum(times * z)])
    q = np.concatenate([[0], np.cumsum(times * z**2)])

    def inside(first: np.ndarray, end: int) -> np.ndarray:
        """Sum of squares of the places from each of `first` to before `end`."""
        n = np.maximum(w[end] - w[first], 1e-300)
        return np.maximum(q[end] - q[first] - (s[end] - s[first]) ** 2 / n, 0.0)

    size = len(places)
    best = np.full((most + 1, size + 1), np.inf)
    best[0, 0] = 0.0
    origin = np.zeros((most + 1, size + 1), dtype=int)
    for k in range(1, most + 1):
        for end in range(k, size + 1):
            first = np.arange(k - 1, end)
            total = best[k - 1, first] + inside(first, end)
            place = int(np.argmin(total))
            best[k, end], origin[k, end] = total[place], first[place]
    whole = float(best[1, size])
    left = best[1:, size]
    enough = np.flatnonzero(left <= _INSIDE * whole)
    gains = np.flatnonzero(left[1:] < _GAIN * left[:-1])
    groups = count or max(int(enough[0]) + 1 if enough.size else most, int(gains[-1]) + 2 if gains.size else 1)
    ends, end = [], size
    for k in range(groups, 0, -1):
        end = int(origin[k, end])
        ends.append(end)
    return [float(places[e - 1] + places[e]) / 2 for e in sorted(ends) if e > 0]
