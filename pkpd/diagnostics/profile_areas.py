"""Areas, extremes and terminal slopes of many profiles at once: arrays alone, no subjects, no units.

Profiles are rows, padded with NaN at their ends. Conventions are those of PKNCA (Denney, Duvvuri and Buckeridge 2015,
doi:10.1007/s10928-015-9432-2) and of Gabrielsson and Weiner 2012, doi:10.1007/978-1-62703-050-2_16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Areas", "Slopes", "drop_blq", "slopes_of", "start_at_zero"]


def drop_blq(time: np.ndarray, conc: np.ndarray, rules: tuple[str | float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Apply the rules for values of 0 before the first, between, and after the last quantified value.

    Parameters
    ----------
    time, conc : (n, m) float array
        NaN where a profile has no more.
    rules : three of "keep" (as 0), "drop", or a number to put there
        First, middle, last.

    Returns
    -------
    time, conc : (n, m) float array
        What is left, packed to the left.
    """
    seen = np.isfinite(conc)
    above = seen & (conc > 0)
    begun = np.cumsum(above, axis=1) > 0
    ended = np.cumsum(above[:, ::-1], axis=1)[:, ::-1] == 0
    keep, value = seen.copy(), conc.copy()
    for rule, where in zip(rules, (~begun, begun & ~ended, begun & ended)):
        own = where & seen & ~above
        if rule == "drop":
            keep &= ~own
        elif rule != "keep":
            value[own] = float(rule)
    order = np.argsort(~keep, axis=1, kind="stable")
    kept = np.take_along_axis(keep, order, 1)
    packed = [np.where(kept, np.take_along_axis(one, order, 1), np.nan) for one in (time, value)]
    return packed[0], packed[1]


def start_at_zero(
    time: np.ndarray, conc: np.ndarray, bolus: np.ndarray, follows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put a value at time 0 where none was seen, in a first column of its own.

    After a bolus it is that of the logarithmic line through the first two values, or the first value where they do not
    fall; a 0 seen at time 0 is taken for the sample before the dose. After another dose of the same drug it is the
    lowest value of the interval; otherwise 0.

    Returns
    -------
    time, conc : (n, m + 1) float array
    made : (n,) bool array
        Where the value was not seen. Elsewhere the first column is NaN and to be skipped.
    """
    n = len(time)
    t, c = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    first = time[:, 0] if time.shape[1] else np.full(n, np.nan)
    before = bolus & (first == 0) & (conc[:, 0] <= 0) if time.shape[1] else np.zeros(n, dtype=bool)
    time, conc = time.copy(), conc.copy()
    time[before, :-1], conc[before, :-1] = time[before, 1:], conc[before, 1:]
    time[before, -1], conc[before, -1] = np.nan, np.nan
    t[:, : time.shape[1]], c[:, : time.shape[1]] = time[:, :2], conc[:, :2]
    made = np.isfinite(t[:, 0]) & (t[:, 0] > 0)
    with np.errstate(all="ignore"):
        slope = np.log(c[:, 0] / c[:, 1]) / (t[:, 1] - t[:, 0])
        back = np.where((slope > 0) & np.isfinite(slope), c[:, 0] * np.exp(slope * t[:, 0]), c[:, 0])
        lowest = np.min(np.where(np.isfinite(conc), conc, np.inf), axis=1, initial=np.inf)
    value = np.where(bolus, back, np.where(follows, lowest, 0.0))
    start = np.where(made, 0.0, np.nan)[:, None], np.where(made, value, np.nan)[:, None]
    return np.hstack([start[0], time]), np.hstack([start[1], conc]), made


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """Terminal slopes, (n,) each; NaN where there is none.

    Parameters
    ----------
    lambda_z, intercept : float array
        Of ln C = intercept - lambda_z t.
    r_squared, adj_r_squared : float array
    points : int array
        Taken; 0 where there is no slope.
    first : float array
        Time of the first point taken.
    available : int array
        Points that could be taken.
    """

    lambda_z: np.ndarray
    intercept: np.ndarray
    r_squared: np.ndarray
    adj_r_squared: np.ndarray
    points: np.ndarray
    first: np.ndarray
    available: np.ndarray


def slopes_of(time: np.ndarray, conc: np.ndarray, usable: np.ndarray, *, least: int, tie: float) -> Slopes:
    """Fit the terminal slope: the last points whose adjusted r2 is best, more points where it is as good within `tie`.

    Parameters
    ----------
    time, conc : (n, m) float array
    usable : (n, m) bool array
        Points that may be taken.
    least : int
        Fewest points.
    tie : float
        How much less the adjusted r2 of more points may be.
    """
    n = len(time)
    ok = usable & np.isfinite(time) & (conc > 0)
    end = np.max(np.where(ok, time, -np.inf), axis=1, initial=-np.inf)
    end = np.where(np.isfinite(end), end, 0.0)
    x = np.where(ok, time - end[:, None], 0.0)
    y = np.where(ok, np.log(np.where(ok, conc, 1.0)), 0.0)
    count, sx, sy, sxx, sxy, syy = (_from_right(v) for v in (ok * 1.0, x, y, x * x, x * y, y * y))
    with np.errstate(all="ignore"):
        over = count * sxx - sx**2
        down = count * syy - sy**2
        cross = count * sxy - sx * sy
        r2 = cross**2 / (over * down)
        adjusted = np.where(count > 2, 1 - (1 - r2) * (count - 1) / (count - 2), -np.inf)
        fits = ok & (count >= least) & np.isfinite(adjusted)
        best = np.max(np.where(fits, adjusted, -np.inf), axis=1, initial=-np.inf)
        good = fits & (cross < 0) & (adjusted > best[:, None] - tie)
    found = good.any(axis=1)
    k = np.argmax(good, axis=1) if time.shape[1] else np.zeros(n, dtype=int)
    taken = ok & (np.arange(time.shape[1]) >= k[:, None]) & found[:, None]
    with np.errstate(all="ignore"):  # once more, around the means
        size = taken.sum(axis=1)
        mx, my = (np.where(taken, v, 0.0).sum(axis=1) / size for v in (x, y))
        dx, dy = np.where(taken, x - mx[:, None], 0.0), np.where(taken, y - my[:, None], 0.0)
        slope = (dx * dy).sum(axis=1) / (dx * dx).sum(axis=1)
        r2 = np.minimum((dx * dy).sum(axis=1) ** 2 / ((dx * dx).sum(axis=1) * (dy * dy).sum(axis=1)), 1.0)
        rows = np.arange(n)
        return Slopes(
            lambda_z=-slope, intercept=my - slope * (mx + end), r_squared=r2,
            adj_r_squared=1 - (1 - r2) * (size - 1) / np.where(size > 2, size - 2, np.nan), points=size,
            first=np.where(found, time[rows, k], np.nan) if time.shape[1] else np.full(n, np.nan),
            available=ok.sum(axis=1),
        )  # fmt: skip


def _from_right(values: np.ndarray) -> np.ndarray:
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Areas under profiles up to any time.

    Parameters
    ----------
    time, conc : (n, m) float array
        From time 0 to the last value above 0, NaN before and after.
    method : "linear", "lin-up/log-down" or "lin-log"
        The trapezoids: straight; logarithmic where values fall; logarithmic after the highest value.
    lambda_z : (n,) float array
        After the last value.
    """

    time: np.ndarray
    conc: np.ndarray
    method: str
    lambda_z: np.ndarray

    def logarithmic(self) -> np.ndarray:
        """Tell which trapezoids are logarithmic, (n, m - 1) bool."""
        c1, c2 = self.conc[:, :-1], self.conc[:, 1:]
        positive = (c1 > 0) & (c2 > 0) & (c1 != c2)
        if self.method == "linear":
            return np.zeros_like(positive)
        if self.method == "lin-up/log-down":
            return positive & (c2 < c1)
        top = np.argmax(np.where(np.isfinite(self.conc), self.conc, -np.inf), axis=1)
        return positive & (np.arange(c1.shape[1]) >= top[:, None])

    def pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the areas under C and under t C between neighbours, (n, m - 1) each; 0 where there are none."""
        return _trapezoids(self.time[:, :-1], self.time[:, 1:], self.conc[:, :-1], self.conc[:, 1:], self.logarithmic())

    def at(self, when: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the area from 0 to a time, and the concentration there, (n,) each; NaN where neither is known.

        Between two values the concentration lies on the curve of their trapezoid, after the last on the terminal slope.
        """
        areas, _ = self.pieces()
        time, rows = self.time, np.arange(len(self.time))
        ends = np.max(np.where(np.isfinite(time), time, -np.inf), axis=1, initial=-np.inf)
        last = np.argmax(np.where(np.isfinite(time), time, -np.inf), axis=1)
        inside = np.where(np.isfinite(time), time, np.inf) <= when[:, None]
        k = np.minimum(np.max(np.where(inside, np.arange(time.shape[1]), 0), axis=1), time.shape[1] - 2)
        whole = (areas * (np.arange(areas.shape[1]) < k[:, None])).sum(axis=1)
        t1, t2, c1, c2 = time[rows, k], time[rows, k + 1], self.conc[rows, k], self.conc[rows, k + 1]
        curved = self.logarithmic()[rows, k]
        with np.errstate(all="ignore"):
            share = (when - t1) / (t2 - t1)
            c = np.where(curved, c1 * (c2 / c1) ** share, c1 + share * (c2 - c1))
            piece, _ = _trapezoids(t1, when, c1, c, curved & (c != c1))
            clast = self.conc[rows, last]
            left = np.exp(-self.lambda_z * (when - ends))
            total, beyond = areas.sum(axis=1), clast * (1 - left) / self.lambda_z
            area = np.where(when == ends, total, np.where(when > ends, total + beyond, whole + piece))
            value = np.where(when == ends, clast, np.where(when > ends, clast * left, c))
        known = np.isfinite(ends) & np.isfinite(when) & (when >= 0)
        return np.where(known, area, np.nan), np.where(known, value, np.nan)


def _trapezoids(
    t1: np.ndarray, t2: np.ndarray, c1: np.ndarray, c2: np.ndarray, logarithmic: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        width = t2 - t1
        fall = np.log(c1 / c2)
        area = np.where(logarithmic, width * (c1 - c2) / fall, width * (c1 + c2) / 2)
        moment = np.where(
            logarithmic,
            (t1 * c1 - t2 * c2) * width / fall + (c1 - c2) * (width / fall) ** 2,
            width * (t1 * c1 + t2 * c2) / 2,
        )
    return np.nan_to_num(area), np.nan_to_num(moment)
