"""Where the observations of a case lie among data drawn from the model, lot by lot of subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pkpd.diagnostics.prediction_errors import decorrelated, places, shares, with_ends
from pkpd.errors import MismatchError
from pkpd.streams import addresses, uniforms

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["Placing"]

#: Numbers that are decorrelated together; other draws that are treated as observations: numbers, and data sets at most.
_TOGETHER, _KEPT, _OTHERS = 4_000_000, 20_000_000, 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placing:
    """Places of records among draws, subject after subject. Made by :meth:`of`, filled by :meth:`look`.

    Parameters
    ----------
    case : Case
    count : int
        Draws that make the places, K.
    seed : int
    decorrelation : "cholesky", "eigen" or "none"
    omit : bool
        Whether censored records are left out.
    amount, used : (n,) bool
        Which records are amounts; which are looked at.
    columns : dict of (n,) float
        EPRED, PD, NPD, PDE and NPDE; NaN where there is none.
    z : (R, n) float
        The same of R other draws, treated as the observations are: NPDE where a record has one, otherwise NPD.
    unscattered, tangled : list of int
        By lot, records whose draws are all the same or have no value, and subjects that cannot be decorrelated.
    """

    case: Case
    count: int
    seed: int
    decorrelation: str
    omit: bool
    amount: np.ndarray
    used: np.ndarray
    columns: dict[str, np.ndarray]
    z: np.ndarray
    unscattered: list[int] = field(default_factory=list)
    tangled: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case, *, n: int, seed: int, decorrelation: str, censored: str) -> Placing:
        """Make ready for `n` data sets, and refuse so few that they have no covariance to decorrelate by."""
        records, size = case.records, len(case.records["DV"])
        amount = np.isin(records["DVID"], [name for name, output in case.outputs.items() if output.kind is None])
        used = np.isfinite(records["DV"]) & ~np.isin(records["DVID"], case.not_drawn)
        used &= ~case.censored | (censored != "omit")
        most = np.bincount(case.population.subject[used & amount], minlength=1)
        if decorrelation != "none" and most.max() >= n:
            raise MismatchError(
                f"subject {case.population.problem.subjects[int(most.argmax())]} has {most.max()} records, and {n} "
                "data sets are drawn.",
                where="NPDE(n=...)",
                expected="More data sets than any subject has records: they are decorrelated by their covariance.",
                remedy=f'Draw more, such as n={10 * int(most.max())}; or take decorrelation="none".',
            )
        others = int(np.clip(_KEPT // max(size, 1), 50, _OTHERS))
        return cls(
            case=case, count=n, seed=seed, decorrelation=decorrelation, omit=censored == "omit",
            amount=amount, used=used, z=np.full((others, size), np.nan, dtype=np.float32),
            columns={name: np.full(size, np.nan) for name in ("EPRED", "PD", "NPD", "PDE", "NPDE")},
        )  # fmt: skip

    def fill(self) -> Placing:
        """Look at everybody."""
        for rows, drawn in self.case.replicates_of_subjects(self.count + len(self.z), self.seed):
            self.look(rows, drawn)
        return self

    def look(self, rows: np.ndarray, drawn: np.ndarray) -> None:
        """Place the records `rows` (m,) of some subjects, and other draws; `drawn` (K + R, m) may be written over."""
        rows, drawn = rows[self.used[rows]], drawn[:, self.used[rows]]
        if not rows.size:
            return
        subject = self.case.population.subject
        drawn = _complete(drawn, subject[rows])
        count = self.count
        with np.errstate(invalid="ignore"):
            scattered = np.asarray(np.ptp(drawn[:count], axis=0) > 0)
        self.unscattered.append(int((~scattered).sum()))
        self.columns["EPRED"][rows] = drawn[:count].mean(axis=0)
        rows, drawn = rows[scattered], drawn[:, scattered]
        if not rows.size:
            return
        plain = ~self.amount[rows] | (self.decorrelation == "none")
        y, pd, drawn = self._placed(rows, drawn)
        self.columns["PD"][rows] = with_ends(pd, count)
        self.columns["NPD"][rows] = special.ndtri(self.columns["PD"][rows])
        if plain.any():
            steps = ~self.amount[rows[plain]]
            chance = self._chance("equal draws", rows[plain], len(drawn)) if steps.any() else None
            self.z[:, rows[plain]] = places(drawn[count:, plain], drawn[:count, plain], chance)
        own = np.flatnonzero(~plain)
        if not own.size:
            return
        for index in _of_equal_length(subject[rows[own]], len(drawn)):
            columns = own[index]
            draws = np.moveaxis(drawn[:, columns], 0, 1)
            values = np.concatenate([y[columns][:, None], draws[:, count:]], axis=1)
            turned, draws, sound = decorrelated(values, draws[:, :count], self.decorrelation)  # type: ignore[arg-type]
            self.tangled.append(int((~sound).sum()))
            where = rows[columns[sound]].ravel()
            values, draws = (np.moveaxis(each[sound], 1, 0).reshape(each.shape[1], -1) for each in (turned, draws))
            self.columns["PDE"][where] = with_ends(shares(values[0], draws), count)
            self.z[:, where] = places(values[1:], draws)
        self.columns["NPDE"][rows] = special.ndtri(self.columns["PDE"][rows])

    def _placed(self, rows: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give observations, their PD, and draws, where what is beyond a limit was placed at random beyond it."""
        seen, count, amount = self.case.population.problem.observations, self.count, self.amount[rows]
        y, censored = self.case.records["DV"][rows].astype(float), self.case.censored[rows]
        chance = np.where(amount, 0.0, self._chance("places", rows)) if not amount.all() else None
        pd = shares(y, drawn[:count], chance)
        low, high = (
            np.where(amount, limit[rows], sign * np.inf) for limit, sign in zip(self.case.limits, (-1, 1), strict=True)
        )
        limited = np.flatnonzero(np.isfinite(low) | np.isfinite(high) | censored)
        if self.omit or not limited.size:
            return y, pd, drawn
        draws = drawn[:, limited]
        ordered = np.sort(draws[:count], axis=0)
        own = np.flatnonzero(censored[limited])
        where = limited[own]
        ends = [(draws[:count, own] < end[rows[where]]).mean(axis=0) for end in (seen.lower, seen.upper)]
        pd[where] = ends[0] + self._chance("censored records", rows[where]) * (ends[1] - ends[0])
        y[where] = _at(ordered[:, own], pd[where][None])[0]
        below, above = draws < low[limited], draws > high[limited]
        if below.any() or above.any():
            u = self._chance("censored draws", rows[limited], len(draws))
            place = np.where(below, u * below[:count].mean(axis=0), 1 - u * above[:count].mean(axis=0))
            drawn[:, limited] = np.where(below | above, _at(ordered, place), draws)
        return y, pd, drawn

    def _chance(self, purpose: str, rows: np.ndarray, count: int = 0) -> np.ndarray:
        """Give a uniform number for every record of `rows`, (m,); with a count, for each of so many draws, (K, m)."""
        subject = self.case.population.subject
        who, place = np.unique(subject[rows], return_inverse=True)
        within = rows - np.searchsorted(subject, subject[rows])
        address = addresses([self.case.population.problem.subjects[s] for s in who])
        replicates = np.arange(1, count + 1) if count else np.zeros(1, dtype=int)
        found = uniforms(
            self.seed, f"prediction errors: {purpose}", np.tile(address, len(replicates)),
            np.repeat(replicates, len(who)), int(within.max(initial=0)) + 1,
        )  # fmt: skip
        found = found.reshape(len(replicates), len(who), -1)[:, place, within]
        return found if count else found[0]


def _at(ordered: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Give the draw below which a share lies, of ordered ones (K, n); shares are (r, n)."""
    index = np.clip((share * len(ordered)).astype(int), 0, len(ordered) - 1)
    return np.take_along_axis(ordered, index, axis=0)


def _complete(drawn: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Put others of a subject's draws in the place of those that have no value; `drawn` is (K, m)."""
    bad = ~np.isfinite(drawn)
    if not bad.any():
        return drawn
    _, first, place = np.unique(who, return_index=True, return_inverse=True)
    lost = np.logical_or.reduceat(bad, first, axis=1)
    sound = np.maximum((~lost).sum(axis=0), 1)
    order = np.argsort(lost, axis=0, kind="stable")
    other = np.take_along_axis(order, np.arange(len(drawn))[:, None] % sound, axis=0)
    return np.take_along_axis(drawn, np.where(lost, other, np.arange(len(drawn))[:, None])[:, place], axis=0)


def _of_equal_length(subject: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Give the records of subjects with equally many of them, (S, m) indices, so many subjects that memory is kept."""
    _, first, length = np.unique(subject, return_index=True, return_counts=True)
    for size in np.unique(length):
        mine = first[length == size]
        for lot in np.array_split(mine, max(1, len(mine) * int(size) * count // _TOGETHER)):
            if lot.size:
                yield lot[:, None] + np.arange(size)
