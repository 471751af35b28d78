"""The covariates of the subjects of a fit: numbers and groups, one value for each subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.units import tidy

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["People", "first_values", "people_of"]

#: Values of a covariate that make groups: at most so many, each of two people on average, whole numbers.
_LEVELS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What subjects are.

    Parameters
    ----------
    ids : tuple of str
        S names, in the order of the data.
    covariates : dict of str to (S,) float
        First value of each that differs between people; of groups, their number from 0. NaN where there is none.
    groups : dict of str to tuple of str
        Names of the groups of those that are no numbers.
    constant : tuple of str
        Covariates that are the same for all.
    changing : tuple of str
        Those that change within a subject.
    units : dict of str to str
    """

    ids: tuple[str, ...]
    covariates: dict[str, np.ndarray]
    groups: dict[str, tuple[str, ...]]
    constant: tuple[str, ...]
    changing: tuple[str, ...]
    units: dict[str, str]

    def label(self, name: str) -> str:
        """Name and unit, as on an axis."""
        unit = tidy(self.units.get(name, ""))
        return f"{name} ({unit})" if unit and unit != "1" and name not in self.groups else name


def people_of(case: Case) -> People:
    """Give what subjects are: the covariates of the data, then ARM and SEQUENCE."""
    data = case.data
    ids = data.ids
    place = {who: k for k, who in enumerate(ids)}
    who = np.array([place[name] for name in data.columns["ID"].tolist()])
    numbers, groups, constant, changing = {}, {}, [], []
    for name, column in data.covariates.items():
        first, moves = _first(column, who, len(ids))
        if moves:
            changing.append(name)
        levels = np.unique(first[np.isfinite(first)])
        if len(levels) < 2:
            constant += [name] if len(levels) else []
            continue
        if len(levels) <= _LEVELS and 2 * len(levels) <= len(ids) and bool((levels == np.round(levels)).all()):
            groups[name] = tuple(f"{level:g}" for level in levels)
            numbers[name] = np.where(np.isfinite(first), np.searchsorted(levels, first), np.nan)
        else:
            numbers[name] = first
    for name in ("ARM", "SEQUENCE"):
        levels, codes = np.unique(data.columns[name], return_inverse=True)
        own, moves = _first(codes.astype(float), who, len(ids))
        if not moves and 1 < len(levels) <= _LEVELS:
            groups[name] = tuple(str(level) or "none" for level in levels)
            numbers[name] = own
    units = {str(name): str(unit) for name, unit in data.units.items() if isinstance(unit, str)}
    return People(ids=ids, covariates=numbers, groups=groups, constant=tuple(constant), changing=tuple(changing),
                  units=units)  # fmt: skip


def first_values(case: Case, name: str) -> np.ndarray:
    """Give the first value of a covariate of every subject, (S,); NaN where there is none."""
    data = case.data
    place = {who: k for k, who in enumerate(data.ids)}
    who = np.array([place[one] for one in data.columns["ID"].tolist()])
    return _first(data.covariates[name], who, len(place))[0]


def _first(column: np.ndarray, who: np.ndarray, people: int) -> tuple[np.ndarray, bool]:
    """First value of each subject, and whether one has another later."""
    first = np.full(people, np.nan)
    rows = np.flatnonzero(np.isfinite(column))[::-1]
    first[who[rows]] = column[rows]  # the last to be written is the first
    return first, bool((column[rows] != first[who[rows]]).any())
