"""Variances and residual SDs that run to 0: their logarithms run without end, and slopes vanish on the way.

A search on the logarithm of a variance cannot tell a minimum at 0 from a standstill: both have no slope. Here each
small one is set to as good as 0. Where that is no worse, it is held there and the others are searched once more; and it
is tried again from a usual size, because a search that came too near 0 does not come back by itself.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pkpd.estimation.descend import Descent
from pkpd.estimation.outer import Look, Outer
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood.population import Population

__all__ = ["collapse"]

#: A variance below this share of a usual one may have run to 0; what stands for 0; where it is tried again.
_SMALL, _NOTHING, _AGAIN = 0.02, 1e-12, 0.1
#: A part of the residual SD below this share of the whole may have run to 0; the factor by which it is made smaller.
_SLIGHT, _LESS = 0.3, 1e-4
#: An objective that is worse by no more than this is as good; a gain that counts.
_WORSE, _GAIN = 1e-5, 1e-3


class _Descend(Protocol):
    def __call__(
        self, start: np.ndarray, lower: np.ndarray | None = None, upper: np.ndarray | None = None
    ) -> Descent: ...


def collapse(
    population: Population, quantities: Quantities, found: Descent, look: Outer, search: _Descend
) -> tuple[Descent, np.ndarray, list[str]]:
    """Deal with what has run to 0 where a search ended.

    Parameters
    ----------
    population, quantities
        What was searched.
    found : Descent
        Its end.
    look : Outer
        Gives the objective at a place.
    search
        Searches from a start, within bounds.

    Returns
    -------
    descent : Descent
        Where the objective is least, to 1e-3, with what has run to 0 held there.
    gone : (X,) bool
        What that is.
    said : list of str
        What was done.
    """
    gone, said = np.zeros(len(found.x), dtype=bool), []
    if not np.isfinite(found.point.objective):
        return found, gone, said
    for place, floor, usual in _small(population, quantities, found):
        x = found.x.copy()
        x[place] = floor
        lower, upper = (limit.copy() for limit in quantities.limits())
        if floor < lower[place]:
            continue
        held = gone.copy()
        held[place] = True
        # Only what is no worse at 0 is searched there: the others may follow.
        look.last = None  # modes near by lead nowhere from so far
        if look(x).objective > found.point.objective + _WORSE:
            continue
        lower[held] = upper[held] = x[held]
        there = search(x, lower, upper)
        if there.point.objective > found.point.objective + _WORSE:
            continue
        back = x.copy()
        back[place] = usual
        lower[place], upper[place] = (limit[place] for limit in quantities.limits())
        again = search(back, lower, upper)
        name = _name(quantities, place)
        if again.settled and again.point.objective < there.point.objective - _GAIN:
            gain = found.point.objective - again.point.objective
            said.append(f"{name} had come near 0; tried again from a larger value, the objective fell by {gain:.4g}.")
            found = again
        else:
            found, gone = there, held
    return found, gone, said


def _small(population: Population, quantities: Quantities, found: Descent) -> list[tuple[int, float, float]]:
    """Give what is small: its place among the X, what stands for 0 there, and a usual value."""
    effects, x = population.effects, found.x
    at = len(effects.typical)
    values = dict(zip(quantities.coordinates.names, quantities.natural(x), strict=True))
    kind = {p.name: p for p in effects.parameters}
    places = []
    for group in effects.covariance.free:
        for i, name in enumerate(group.names):
            place = at + i * (i + 1) // 2 + i
            plain = name in kind and kind[name].transform not in ("log", "logit")
            size = float(kind[name].size(kind[name].forward(values[name]))) or 1.0 if plain else 1.0
            whole = values[f"{group.kind}.{name}"]
            own = float(np.exp(2 * x[place]))
            if own < _SMALL * size**2 or (i and own < 1e-4 * whole):
                places.append((place, float(np.log(size * _NOTHING**0.5)), float(np.log(size * _AGAIN**0.5))))
        at += group.count
    assert isinstance(found.point, Look)
    modes = found.point.marginal.modes
    residuals, records = population.density.residuals, population.subject
    psi, _, _ = effects.residual(modes.at.w)
    sd = residuals.spread(modes.at.f, psi[records]).sd * np.sqrt(residuals.people)
    for o, law in enumerate(residuals.laws):
        rows = np.flatnonzero((residuals.output == o) & np.isnan(residuals.known))
        if law.add is None or law.prop is None or not rows.size:
            continue
        for term in (law.add, law.prop):
            name = residuals.names[term]
            if name not in effects.typical:
                continue
            part = psi[records[rows], term]
            if term == law.prop:
                part = sd[rows] - psi[records[rows], law.add] if law.combined == 1 else np.sqrt(
                    np.maximum(sd[rows] ** 2 - psi[records[rows], law.add] ** 2, 0.0)
                )  # fmt: skip
            if np.median(part / sd[rows]) < _SLIGHT:
                place = effects.typical.index(name)
                usual = float(np.median(sd[rows])) if term == law.add else 0.1
                places.append((place, float(x[place] + np.log(_LESS)), float(np.log(usual))))
    return sorted(places)


def _name(quantities: Quantities, place: int) -> str:
    return quantities.coordinates.names[np.flatnonzero(quantities.coordinates.free)[place]]
