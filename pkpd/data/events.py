"""Regimens and observation times made explicit: the rows an engine walks, subject by subject, sorted by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from pkpd import units
from pkpd.data.covariates import check_carry
from pkpd.data.dose import Dose
from pkpd.data.layout import count, short, text_table
from pkpd.data.regimen import Regimen
from pkpd.errors import DataError


class Evid(IntEnum):
    """What a row is (NONMEM's EVID)."""

    OBSERVATION = 0
    DOSE = 1
    OTHER = 2
    RESET = 3
    RESET_DOSE = 4


class Mode(IntEnum):
    """How fast a dose goes in."""

    AUTO = 0  # at once, unless the route's input models a duration or a rate
    BOLUS = 1
    RATE = 2  # the rate is given: bioavailability changes the duration
    DURATION = 3  # the duration is given: bioavailability changes the rate
    MODELLED_RATE = 4  # NONMEM's RATE = -1
    MODELLED_DURATION = 5  # NONMEM's RATE = -2


ROW_FIELDS = {
    "time": float,
    "evid": np.int8,
    "amt": float,
    "rate": float,
    "dur": float,
    "ii": float,
    "addl": np.int64,
    "ss": np.int8,
    "mode": np.int8,
    "route": np.int64,
    "dose_unit": np.int64,
    "output": np.int64,
    "source_row": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Doses, observations, resets and covariates of a batch of subjects, as columns.

    Rows of one subject lie together, in order of time; rows at one time keep the order in which they were written.
    All arrays are read-only. R is the number of rows, S of subjects, C of covariates.

    Parameters
    ----------
    subjects : tuple of str
        Who, S names.
    start : (S + 1,) int array
        Subject s has the rows ``start[s]:start[s + 1]``.
    time : (R,) float array
        In `time_unit`.
    evid : (R,) int8 array
        See :class:`Evid`.
    amt, rate, dur, ii : (R,) float arrays
        Amount (in the row's dose unit), rate (amount per time unit), duration and interval (time units); 0 where none.
    addl, ss : (R,) int arrays
        Doses that follow the first; steady state 0, 1 or 2.
    mode : (R,) int8 array
        See :class:`Mode`.
    route : (R,) int array
        Index into `routes`; -1 on rows that are not doses.
    dose_unit : (R,) int array
        Index into `units`; -1 on rows that are not doses.
    output : (R,) int array
        Index into `outputs`; -1: all outputs (on an observation), or no observation at all.
    source_row : (R,) int array
        Row of the file; -1 where there is no file.
    routes : tuple of str
        As the user wrote them; ``""``: the model's only route; ``"#2"``: the route with CMT number 2.
    units : tuple of (str or None)
        Units of amounts; None: the unit of the model's route.
    outputs : tuple of str
        As the user wrote them; ``""``: the model's only output; ``"#1"``: the output with DVID 1.
    covariates : tuple of str
        C names.
    covariate_values : (R, C) float array
        The value in force at each row, already carried; NaN where a subject has none.
    covariate_units : tuple of (str or None)
        C units; None: the unit that the model states.
    carry : "nocb", "locf" or "linear"
        What holds between two rows: the value of the later one, that of the earlier one, or the line between them.
    time_unit : str or None
        None: the time unit of the model.
    origin : str
        Where the rows come from, for messages.
    """

    subjects: tuple[str, ...]
    start: np.ndarray
    time: np.ndarray
    evid: np.ndarray
    amt: np.ndarray
    rate: np.ndarray
    dur: np.ndarray
    ii: np.ndarray
    addl: np.ndarray
    ss: np.ndarray
    mode: np.ndarray
    route: np.ndarray
    dose_unit: np.ndarray
    output: np.ndarray
    source_row: np.ndarray
    routes: tuple[str, ...]
    units: tuple[str | None, ...]
    outputs: tuple[str, ...]
    covariates: tuple[str, ...]
    covariate_values: np.ndarray
    covariate_units: tuple[str | None, ...]
    carry: str = "nocb"
    time_unit: str | None = None
    origin: str = "the regimen"

    def __post_init__(self) -> None:
        check_carry(self.carry, self.origin)
        _freeze(self, "start", np.int64)
        for name, kind in ROW_FIELDS.items():
            _freeze(self, name, kind)
        _freeze(self, "covariate_values", float)
        rows = len(self.time)
        assert len(self.start) == len(self.subjects) + 1 and self.start[0] == 0 and self.start[-1] == rows
        assert all(len(getattr(self, name)) == rows for name in ROW_FIELDS)
        assert self.covariate_values.shape == (rows, len(self.covariates)) and len(self.covariate_units) == len(
            self.covariates
        )
        steps = np.diff(self.time)
        within = np.ones(max(rows - 1, 0), dtype=bool)
        inner = self.start[1:-1]
        within[inner[(inner > 0) & (inner < rows)] - 1] = False
        bad = np.flatnonzero(within & ~(steps >= 0))
        if len(bad):
            row = int(bad[0]) + 1
            raise DataError(
                f"time {short(self.time[row])} comes after {short(self.time[row - 1])}.",
                where=self.where(row),
                expected="The rows of one subject are in order of time.",
                remedy="Sort the rows of each subject by time.",
            )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.time)

    @property
    def records(self) -> np.ndarray:
        """Rows of the observations (evid 0), in order: int array."""
        return np.flatnonzero(self.evid == Evid.OBSERVATION)

    @property
    def subject(self) -> np.ndarray:
        """(R,) int array: index of the subject of each row."""
        return np.repeat(np.arange(len(self.subjects)), np.diff(self.start))

    def where(self, row: int) -> str:
        """Say the place of a row in words, for messages: ``theo.csv, row 14, ID 2``."""
        subject = self.subjects[int(np.searchsorted(self.start, row, side="right")) - 1]
        if self.source_row[row] >= 0:
            return f"{self.origin}, row {self.source_row[row]}, ID {subject}"
        unit = f" {self.time_unit}" if self.time_unit else ""
        return f"{self.origin}, ID {subject}, time {short(self.time[row])}{unit}"

    def take(self, index: Sequence[int] | np.ndarray, subjects: Sequence[str] | None = None) -> Events:
        """Give the events of the subjects at `index` (a subset, another order, or copies).

        Examples
        --------
        >>> one = Events.from_regimens([("1", Dose(10), [1, 2], {})])
        >>> one.take([0, 0], subjects=["a", "b"]).time
        array([0., 1., 2., 0., 1., 2.])
        """
        which = np.asarray(index, dtype=np.int64)
        lengths = np.diff(self.start)[which]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.start[:-1][which] - start[:-1], lengths) + np.arange(start[-1])
        names = tuple(self.subjects[i] for i in which) if subjects is None else tuple(subjects)
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in ROW_FIELDS}
        return replace(self, subjects=names, start=start, covariate_values=self.covariate_values[rows], **columns)

    def in_time_unit(self, unit: str) -> Events:
        """Give the same events with times in `unit`; events without a time unit are taken to be in `unit` already."""
        if self.time_unit is None or self.time_unit == unit:
            return replace(self, time_unit=unit)
        by = units.factor(self.time_unit, unit)
        return replace(
            self, time=self.time * by, dur=self.dur * by, ii=self.ii * by, rate=self.rate / by, time_unit=unit
        )

    @classmethod
    def from_regimens(
        cls,
        people: Iterable[tuple[str, Regimen | Dose | str, Iterable[float], Mapping[str, Any]]],
        *,
        outputs: Sequence[str] | None = None,
        carry: str = "nocb",
        time_unit: str | None = None,
        covariate_units: Mapping[str, str] | None = None,
        origin: str = "the regimen",
    ) -> Events:
        """Make the events of people who take regimens and are observed at given times.

        Parameters
        ----------
        people : iterable of (name, regimen, times, covariates)
            The times are in `time_unit`. A covariate is a number, or a mapping ``{time: value}`` where it changes.
        outputs : sequence of str, optional
            What is observed at each time, one row each; None: all outputs, in one row.
        carry : "nocb", "locf" or "linear"
            How a covariate that changes is carried between its times: the next value back, the last value on, or on a
            straight line; before the first time and after the last it is level.
        time_unit : str, optional
            Unit of the times; regimens in another unit are converted. None: that of the first regimen that states one.
        covariate_units : mapping, optional
            Units of the covariates; a dose per kg converts by them.
        origin : str
            Where this comes from, for messages.

        Raises
        ------
        DoseError
            If a dose per covariate unit cannot be resolved.
        DataError
            If a time or a covariate is not a number.

        Notes
        -----
        The clock starts at 0, or at the first time before it. At one time, doses come before observations. A dose
        per covariate unit takes the value in force when each dose is given.
        """
        from pkpd.data.gather import Rows

        known = dict(covariate_units or {})
        given = [
            (str(name), Regimen.of(regimen, time_unit or "h"), times, dict(values))
            for name, regimen, times, values in people
        ]
        stated = time_unit or next((regimen.time_unit for _, regimen, _, _ in given if regimen.time_unit), None)
        names = tuple(dict.fromkeys(name for _, _, _, values in given for name in values))
        table = Rows(covariates=names, outputs=None if outputs is None else tuple(outputs))
        check_carry(carry, origin)
        for name, regimen, times, values in given:
            plan = regimen.in_time_unit(stated) if stated else regimen
            table.add_subject(name, plan, times, values, carry, known, f"{origin}, ID {name}")
        return table.events(
            carry=carry, time_unit=stated, origin=origin, covariate_units=tuple(known.get(name) for name in names)
        )

    def columns(self) -> dict[str, list[str]]:
        """Give the NONMEM-style table that is printed, as text by column."""
        dosing = np.isin(self.evid, (Evid.DOSE, Evid.RESET_DOSE))
        pick = [self.subjects[s] for s in self.subject]

        def numbers(values: np.ndarray) -> list[str]:
            return [short(v) if d and v else "." for v, d in zip(values, dosing, strict=True)]

        table = {
            "ID": pick,
            "TIME": [short(t) for t in self.time],
            "EVID": [str(e) for e in self.evid],
            "AMT": numbers(self.amt),
            "UNIT": [short(self.units[u]) if d else "." for u, d in zip(self.dose_unit, dosing, strict=True)],
            "ROUTE": [short(self.routes[r]) if d else "." for r, d in zip(self.route, dosing, strict=True)],
            "RATE": numbers(self.rate),
            "DUR": numbers(self.dur),
            "II": numbers(self.ii),
            "ADDL": numbers(self.addl),
            "SS": numbers(self.ss),
            "OUTPUT": [short(self.outputs[o]) if o >= 0 else "." for o in self.output],
        }
        for c, name in enumerate(self.covariates):
            table[name] = [short(v) for v in self.covariate_values[:, c]]
        return {n: cells for n, cells in table.items() if n in ("ID", "TIME", "EVID") or set(cells) - {"."}}

    def __repr__(self) -> str:
        counts = (len(self.subjects), "subject"), (len(self), "row"), (len(self.records), "observation")
        return f"Events({', '.join(count(number, noun) for number, noun in counts)})"

    def __str__(self) -> str:
        most = 40
        table = self.columns() if len(self) <= most else self.take(np.arange(self._subjects_within(most))).columns()
        shown = len(table["ID"])
        rest = "" if shown >= len(self) else f"\n… {len(self) - shown} more rows"
        return f"{self!r}\n{text_table(table, left=('UNIT', 'ROUTE', 'OUTPUT'))}{rest}"

    def _subjects_within(self, rows: int) -> int:
        return max(1, int(np.searchsorted(self.start, rows, side="right")) - 1)


def _freeze(owner: Any, name: str, kind: Any) -> None:
    array = np.array(getattr(owner, name), dtype=kind)
    array.setflags(write=False)
    object.__setattr__(owner, name, array)
