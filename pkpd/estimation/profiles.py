"""Profile likelihood of a population fit: how far a quantity can go before the data object.

The interval of a quantity c holds all values at which the objective, minimised over everything else, lies less than a
quantile of chi-square above its minimum: 3.84 for 95 %. Its ends do not depend on the scale, and need no symmetry.

Venzon DJ, Moolgavkar SH. A method for computing profile-likelihood-based confidence intervals. Applied Statistics
1988;37:87-94. doi:10.2307/2347496
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from pkpd.errors import CannotFit, check_options, suggestion
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.enlarge import dataset, enlarged
from pkpd.estimation.hold import Held, HeldLook, hold
from pkpd.estimation.outer import Outer
from pkpd.estimation.recall import Recalled, recall
from pkpd.progress import stages

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["Profile", "profile"]

#: How exactly an end meets its quantile; how many looks one side may take; how much further a step may lead.
_MET, _MOST, _FURTHER = 1e-6, 60, 3.0
#: An interval is open where the estimation scale has been followed so far: a factor of e^12, or 1,000 half-widths.
_REACH_LOG, _REACH_PLAIN = 12.0, 1e3
#: A minimum lower than that of the fit by more is told.
_LOWER = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How to profile.

    Parameters
    ----------
    parameters : tuple of str, optional
        What to profile, by the names of ``fit.estimates``; None: all that was estimated.
    level : float
        Of the intervals.
    points : int
        Points of a curve between the estimate and an end, in equal steps of the root of the objective.
    tolerance : float
        The search over the other quantities ends where the objective could fall by less.
    """

    parameters: tuple[str, ...] | None = None
    level: float = 0.95
    points: int = 2
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if self.parameters is not None:
            object.__setattr__(self, "parameters", tuple(self.parameters))
        check_options(
            "Profile",
            ("level", self.level, 0 < self.level < 1, "A share between 0 and 1."),
            ("points", self.points, self.points >= 0, "0 or more."),
            ("tolerance", self.tolerance, self.tolerance > 0, "A number above 0."),
        )


def profile(fit: Fit, data: Dataset, how: Profile | None = None, *, interval: Literal["profile"] | None = None) -> Fit:
    """Give a population fit with the profile likelihood of its quantities, in the group ``profile``.

    Ctrl-C ends the work with the quantities that are done.

    Parameters
    ----------
    fit : Fit
        Of a population, converged.
    data : Dataset
        What was fitted; the Fit keeps its digest only.
    how : Profile, optional
    interval : "profile", optional
        Puts these intervals into ``estimates``, in place of what was there.

    Returns
    -------
    Fit
        A new one. An end that the data leave open is the bound of the quantity, 0 or infinite, and is marked so.

    Raises
    ------
    CannotFit, MismatchError
        The fit is not of the kind, or these are other data.
    """
    from scipy.stats import chi2

    how = how or Profile()
    known = recall(fit, data, "profile(fit, data)")
    chosen = _chosen(known, how)
    for number in chosen:
        hold(known.quantities, number)  # refuses now what cannot be held
    hessian, _ = known.curvature()
    quantile = float(chi2.ppf(how.level, 1))
    curves, asked = [], len(chosen)
    with stages() as advance:
        try:
            for done, number in enumerate(chosen):
                sides = []
                for side in (-1, 1):
                    stage = (f"profile of {known.names[number]}", 2 * done + (side > 0), 2 * len(chosen))
                    follow = _Side(known=known, how=how, number=number, side=side, quantile=quantile, hessian=hessian)
                    sides.append(follow.run(partial(advance, *stage)))
                curves.append((sides[0], sides[1]))
        except KeyboardInterrupt:
            if not curves:
                raise
    chosen = chosen[: len(curves)]
    group = _laid_out(known, how, chosen, curves)
    names = ", ".join(known.names[number] for number in chosen)
    text = f"{100 * how.level:g} % profile likelihood" + ("" if len(chosen) == len(known.names) else f" of {names}")
    return enlarged(fit, {"profile": group}, notes=_notes(known, chosen, curves, asked),
                    limits=group if interval else None, text=text)  # fmt: skip


def _chosen(known: Recalled, how: Profile) -> list[int]:
    if how.parameters is None:
        return list(range(len(known.names)))
    for name in how.parameters:
        if name not in known.names:
            raise CannotFit(
                f"`{name}` was not estimated.",
                where="Profile(parameters=...)",
                expected=f"Some of {', '.join(known.names)}.",
                remedy=suggestion(name, known.names) or "Name one of these.",
            )
    return [known.names.index(name) for name in how.parameters]


@dataclass(slots=True)
class _Point:
    """One place of a curve: the held value, the others, the rise of the objective, and its slope."""

    c: float
    y: np.ndarray
    rise: float
    slope: float


@dataclass(slots=True)
class _Side:
    """One side of a curve, followed from the estimate outwards."""

    known: Recalled
    how: Profile
    number: int
    side: int
    quantile: float
    hessian: np.ndarray | None
    points: list[_Point] = field(default_factory=list)
    end: float = float("nan")
    open: bool = False
    lost: bool = False

    def run(self, tick: Callable[[], None]) -> _Side:
        """Follow the curve to its end."""
        known, held, outer = self.known, hold(self.known.quantities, self.number), self.known.outer()
        y, start = held.split(known.x)
        limits = known.quantities.limits()
        bounds, edge = [np.delete(limit, held.place) for limit in limits], limits[self.side > 0][held.place]
        bent, along, width = self._first_guess(held, y, start)
        here = _Point(start, y, 0.0, 0.0)
        self.points = [here]
        goals = [self.quantile * (k / (self.how.points + 1)) ** 2 for k in range(1, self.how.points + 2)]
        reach = max(_REACH_LOG, 4 * width) if self._bent_scale else _REACH_PLAIN * width
        inner, outside = start, np.inf
        c = start + self.side * min(width * np.sqrt(goals[0] / self.quantile), abs(edge - start))
        for _ in range(_MOST):
            tick()
            if c == start:  # the estimate stands at its bound
                break
            near = min(self.points, key=lambda point: abs(point.c - c))
            there, bent = self._look(outer, held, near.y + along * (c - near.c), near.y, c, bounds, bent)
            rise = np.inf
            if there is not None:
                along = (there.y - here.y) / (there.c - here.c)
                here, rise = there, there.rise
                self.points.append(there)
            if rise > self.quantile:
                outside = abs(c - start)
            else:
                inner = c
            while len(goals) > 1 and rise >= 0.8 * goals[0]:
                goals.pop(0)
            if abs(rise - self.quantile) <= _MET:
                self.end = c
                return self
            if rise < self.quantile and (c == edge or abs(c - start) >= reach):
                break
            c = start + self.side * self._next(there, abs(c - start), abs(inner - start), outside, goals[0])
            c = min(c, edge) if self.side > 0 else max(c, edge)
        else:
            self.lost = True
            return self
        self.open, self.end = True, edge if np.isfinite(edge) else self.side * np.inf
        return self

    @property
    def _place(self) -> int:
        """Among the N quantities of the table."""
        return int(np.flatnonzero(self.known.quantities.coordinates.free)[self.number])

    @property
    def _bent_scale(self) -> bool:
        return self.known.quantities.coordinates.parameters[self._place].transform != "none"

    def _first_guess(self, held: Held, y: np.ndarray, c: float) -> tuple[np.ndarray | None, np.ndarray, float]:
        """Second derivatives by y, how y moves with c, and the half-width, from the parabola at the estimates."""
        size = 1.0 if self._bent_scale else max(abs(c), 1e-3)
        if self.hessian is None:
            return None, np.zeros_like(y), 0.1 * size
        _, by_y, by_c = held.join(y, c)
        bent, mixed = by_y.T @ self.hessian @ by_y, by_y.T @ self.hessian @ by_c
        along = -np.linalg.solve(bent, mixed) if y.size else np.zeros(0)
        curvature = float(by_c @ self.hessian @ by_c + mixed @ along)
        width = np.sqrt(2 * self.quantile / curvature) if curvature > 0 else np.inf
        if self._bent_scale and width > 2.0:  # so far a parabola says nothing
            return bent, np.zeros_like(y), 1.0
        return bent, along, width

    def _look(
        self,
        outer: Outer,
        held: Held,
        y: np.ndarray,
        safe: np.ndarray,
        c: float,
        bounds: list[np.ndarray],
        bent: np.ndarray | None,
    ) -> tuple[_Point | None, np.ndarray | None]:
        """Minimise over what is free; from a neighbour where the place ahead of it cannot be computed."""
        for start in (y, safe):
            look = held.look(outer, np.clip(start, *bounds), c)
            if np.isfinite(look.objective):
                break
        else:
            return None, bent
        most, tolerance = 200, self.how.tolerance

        def search(start: np.ndarray, hessian: np.ndarray | None) -> Descent:
            return descend(
                lambda at: held.look(outer, at, c), start, *bounds, tolerance=tolerance, most=most, hessian=hessian
            )

        found = search(start, bent)
        revived, changed = self.known.revived(np.insert(found.x, held.place, np.inf))
        if changed:  # away from the estimates a variance of 0 may be one no more
            other = np.delete(revived, held.place)
            if np.isfinite(held.look(outer, other, c).objective):
                again = search(other, None)
                found = again if again.point.objective < found.point.objective else found
        assert isinstance(found.point, HeldLook)
        rise = found.point.objective - self.known.objective
        return _Point(c, found.x, rise, found.point.slope), found.hessian if found.settled else None

    def _next(self, at: _Point | None, now: float, inner: float, outside: float, goal: float) -> float:
        """How far to look next: the root of the rise is nearly a straight line, and its slope is known."""
        ahead = np.inf
        if at is not None and at.rise > 0:
            root = np.sqrt(at.rise)
            slope = self.side * at.slope / (2 * root)
            ahead = now + (np.sqrt(goal) - root) / slope if slope > 0 else np.inf
        if np.isfinite(outside):
            inside = inner < ahead < outside
            return ahead if inside else 0.5 * (inner + outside)
        return float(np.clip(ahead, 1.05 * now, _FURTHER * now))


def _laid_out(known: Recalled, how: Profile, chosen: list[int], curves: list[tuple[_Side, _Side]]) -> xr.Dataset:
    """The group ``profile``."""
    own = known.quantities.coordinates
    lines = []
    for number, (low, high) in zip(chosen, curves, strict=True):
        held = hold(known.quantities, number)
        points = {p.c: p for p in [*low.points, *high.points]}
        lines.append([(held.join(points[c].y, c)[0], points[c].rise) for c in sorted(points)])
    width = max(len(line) for line in lines)
    rise = np.full((len(lines), width), np.nan)
    others = np.full((len(lines), width, len(own.names)), np.nan)
    for i, line in enumerate(lines):
        rise[i, : len(line)] = [r for _, r in line]
        others[i, : len(line)] = [known.quantities.natural(x) for x, _ in line]
    places = np.array([low._place for low, _ in curves])
    ends = [
        np.array(
            [own.parameters[p].inverse(sides[k].end) for p, sides in zip(places, curves, strict=True)], dtype=float
        )
        for k in (0, 1)
    ]
    columns = {
        "value": others[np.arange(len(places)), :, places],
        "objective": rise,
        "others": others,
        "lower": ends[0],
        "upper": ends[1],
        "lower_open": np.array([low.open for low, _ in curves]),
        "upper_open": np.array([high.open for _, high in curves]),
    }
    names = [known.names[number] for number in chosen]
    coords = {"parameter": np.array(names), "parameter_": np.array(own.names), "point": np.arange(width)}
    return dataset("profile", columns, coords, {"level": how.level, "quantile": curves[0][0].quantile})


def _notes(known: Recalled, chosen: list[int], curves: list[tuple[_Side, _Side]], asked: int) -> list[str]:
    """What a reader of the profiles should know."""
    found, open_ends, lost = [known.note] if known.note else [], [], []
    if len(curves) < asked:
        found.append(f"The profiles were stopped by hand after {len(curves)} of {asked} quantities.")
    for number, (low, high) in zip(chosen, curves, strict=True):
        name = known.names[number]
        sides = [word for word, side in (("below", low), ("above", high)) if side.open]
        open_ends += [f"{name} {' and '.join(sides)}"] if sides else []
        lost += [name] if low.lost or high.lost else []
        least = min(p.rise for p in [*low.points, *high.points])
        if least < -_LOWER:
            found.append(
                f"The profile of {name} found an objective lower by {-least:.3g}: fit again from other starts."
            )
    if open_ends:
        found.append(f"Profile intervals that the data leave open: {', '.join(open_ends)}.")
    if lost:
        found.append(f"Profiles too ragged to be followed to an end: {', '.join(lost)}.")
    return found
