"""Events meet a program: names become slots, additional doses are written out.

`pkpd.engine.rules` checks first that they fit.

The order of what happens at one time to one subject, which decides what an observation sees:

1. ends of infusions;
2. doses that arrive late (a lag) or are additional (ADDL);
3. the records, in the order of their rows: a dose before an observation in the file is seen by it, one after is not;
   a reset comes before the dose of its own row.

Covariates hold backward from a row to the one before (``nocb``) or forward to the next (``locf``). An additional dose
is as late as its record says; what else it takes from covariates is what is in force at its own time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pkpd.data.events import Evid, Mode
from pkpd.engine.rules import Floats, Ints, Meaning, dosing_rows, endless, understand, way_in
from pkpd.engine.workspace import COVARIATES, ENDLESS, INSTEAD, OBSERVATION, ON_TOP, OVERLAP, RESET, STEADY, WITHOUT_END

if TYPE_CHECKING:
    from pkpd.data.events import Events
    from pkpd.engine.program import Program


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What happens to a batch of subjects, in slots of one program; all arrays are C-contiguous.

    Items (observations, resets, new covariate values) and doses are sorted by subject and time; subject s has the
    items ``item_start[s]:item_start[s + 1]`` and the doses ``dose_start[s]:dose_start[s + 1]``.
    `pkpd.engine.workspace.Batch` names the arrays.

    Attributes
    ----------
    subjects : tuple of str
    records : int
        Number of observations; they keep the order of the rows.
    record_row : (records,) int array
        Row of the events.
    record_subject : (records,) int array
    record_output : (records,) int array
        Index into the program's observables; -1: all of them.
    arrays : dict
        The arrays that the solver reads.
    moving_covariates : bool
        Covariates go from row to row on straight lines.
    """

    subjects: tuple[str, ...]
    records: int
    record_row: Ints
    record_subject: Ints
    record_output: Ints
    arrays: dict[str, npt.NDArray[Any]]
    time_unit: str
    moving_covariates: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Give the fields alone: a copy has addresses of its own."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def addresses(self) -> dict[str, int]:
        """Where the arrays are."""
        return {name: array.ctypes.data for name, array in self.arrays.items()}

    @cached_property
    def most_events(self) -> int:
        """The most events that a subject can have: every dose may start and end."""
        items, doses = np.diff(self.arrays["item_start"]), np.diff(self.arrays["dose_start"])
        most = int((items + 2 * doses).max(initial=0))
        # A train at steady state may leave infusions that run, and doses on their way.
        return most + 2 * OVERLAP * self.most_doses if self.steady else most

    @property
    def steady(self) -> bool:
        """Whether any record asks for a steady state."""
        return len(self.arrays["steady_row"]) > 0

    @cached_property
    def most_doses(self) -> int:
        """The most doses of a subject."""
        return int(np.diff(self.arrays["dose_start"]).max(initial=0))


def bind(program: Program, events: Events) -> Schedule:
    """Let events meet a program.

    Parameters
    ----------
    program
        From `compile_model`.
    events
        Doses, observations and covariates; converted to the model's units.

    Raises
    ------
    MismatchError
        With all that does not fit: unknown routes, outputs and covariates, units, rules of dosing.
    """
    return _Binding(program, events.in_time_unit(program.model.time_unit)).schedule()


class _Binding:
    """The work of `bind`."""

    def __init__(self, program: Program, events: Events) -> None:
        self.program, self.model = program, program.model
        self.events = events
        self.meaning: Meaning = understand(program, events)

    def schedule(self) -> Schedule:
        events, covariates = self.events, self.meaning.covariates
        subject = events.subject
        # Whoever shares the batch: nobody's numbers may depend on whether others' covariates change.
        count = len(self.model.covariates)
        moving = events.carry == "linear" and count > 0
        if moving:  # the occasion, which comes after the covariates, steps
            lines = _lines(subject, events.time, covariates[:, :count])
            covariates = np.column_stack([lines, covariates[:, count:]])
        records = events.records
        arrays: dict[str, npt.NDArray[Any]] = {"covariates": covariates, "first_row": events.start[:-1]}
        arrays["start_time"] = events.time[events.start[:-1]] if len(events) else np.zeros(0)
        arrays |= self._items(subject, records, covariates)
        arrays |= self._doses(dosing_rows(events), subject, moving)
        arrays["record_output"] = self.meaning.output[records]
        kept = {name: np.ascontiguousarray(a, _kind(a)) for name, a in arrays.items()}
        return Schedule(
            subjects=events.subjects,
            records=len(records),
            record_row=records,
            record_subject=subject[records],
            record_output=kept["record_output"],
            arrays=kept,
            time_unit=self.model.time_unit,
            moving_covariates=moving,
        )

    def _items(self, subject: Ints, records: Ints, covariates: Floats) -> dict[str, npt.NDArray[Any]]:
        """Observations, resets and changes of covariates, each a (time, key, kind, index) of a subject."""
        e = self.events
        resets = np.flatnonzero(np.isin(e.evid, (Evid.RESET, Evid.RESET_DOSE)))
        changed = np.flatnonzero(_changes(subject, covariates))
        backward = e.carry == "nocb"
        before = changed - 1 if backward else changed
        kinds = [(records, records, 0.0, OBSERVATION, np.arange(len(records)))]
        kinds.append((resets, resets, -0.25, RESET, resets))
        steady = np.flatnonzero(e.ss != 0)
        kinds.append((steady, steady, -0.1, STEADY, np.arange(len(steady))))
        kinds.append((changed, before, 0.5 if backward else -0.5, COVARIATES, changed))
        who = np.concatenate([subject[rows] for rows, *_ in kinds])
        time = np.concatenate([e.time[at] for _, at, *_ in kinds])
        key = np.concatenate([at + shift for _, at, shift, *_ in kinds])
        kind = np.concatenate([np.full(len(rows), code) for rows, _, _, code, _ in kinds])
        index = np.concatenate([i for *_, i in kinds])
        order = np.lexsort((key, time, who))
        return {
            "item_start": _starts(who, len(e.subjects)),
            "item_time": time[order],
            "item_key": key[order].astype(float),
            "item_kind": kind[order],
            "item_index": index[order],
            "steady_row": steady,
            "steady_interval": e.ii[steady],
            "steady_kind": np.where(endless(e)[steady], WITHOUT_END, np.where(e.ss[steady] == 2, ON_TOP, INSTEAD)),
        }

    def _doses(self, dosing: Ints, subject: Ints, moving: bool) -> dict[str, npt.NDArray[Any]]:
        """Every dose into every state, additional doses written out as far as the last row of their subject."""
        e, model = self.events, self.model
        routes, factor = self.meaning.routes, self.meaning.factor
        position = self.program.position(moving)
        ways = [(name, way) for name, route in model.routes.items() for way in route.inputs]
        of_route = {name: [i for i, (n, _) in enumerate(ways) if n == name] for name in model.routes}
        widths = np.array([len(of_route[r.name]) if r else 0 for r in routes], np.int64)
        end = e.time[e.start[1:] - 1] if len(e) else np.zeros(0)
        last = end[subject[dosing]] if len(dosing) else np.zeros(0)
        ii = e.ii[dosing]
        useful = np.floor(np.divide(last - e.time[dosing], ii, out=np.zeros(len(dosing)), where=ii > 0) + 1e-9)
        times = 1 + np.minimum(e.addl[dosing], np.maximum(useful, 0)).astype(np.int64)
        row, number = _spread(dosing, times)
        row_of, way_number = _spread(np.arange(len(row)), widths[e.route[row]] if len(row) else widths[:0])
        row, number = row[row_of], number[row_of]
        table = np.zeros((max(len(routes), 1), max(int(widths.max(initial=0)), 1)), np.int64)
        for i, route in enumerate(routes):
            if route is not None:
                table[i, : widths[i]] = of_route[route.name]
        way = table[e.route[row], way_number] if len(row) else np.zeros(0, np.int64)
        time = np.asarray(e.time[row] + number * e.ii[row], float)
        mode = np.zeros(len(row), np.int64)
        kinds = way * len(Mode) + e.mode[row]
        for kind in np.unique(kinds):
            i, m = divmod(int(kind), len(Mode))
            mode[kinds == kind] = way_in(ways[i][1], m)
        mode[endless(e)[row]] = ENDLESS
        order = np.lexsort((row, time, subject[row]))
        pick = {name: value[order] for name, value in {"row": row, "number": number, "way": way}.items()}
        row, first = pick["row"], pick["number"] == 0
        at = row.copy()
        later = ~first
        at[later] = self._in_force(subject[row[later]], time[order][later], row[later])
        return {
            "dose_start": _starts(subject[row], len(e.subjects)),
            "dose_time": time[order],
            "dose_key": np.where(first, row, -1.0),
            "dose_record": row,
            "dose_record_time": np.asarray(e.time[row], float),
            "dose_row": at,
            "dose_input": pick["way"],
            "dose_mode": mode[order],
            "dose_amount": e.amt[row] * factor[row],
            "dose_rate": e.rate[row] * factor[row],
            "dose_duration": e.dur[row],
            "input_state": np.array([position[w.into] for _, w in ways] or [0], np.int64),
        }

    def _in_force(self, subject: Ints, time: Floats, fallback: Ints) -> Ints:
        """The row whose covariates hold at a time that is not itself a row."""
        e = self.events
        if not self.meaning.covariates.shape[1] or not len(subject):
            return fallback
        rows = len(e)
        who = np.concatenate([e.subject, subject])
        when = np.concatenate([e.time, time])
        # In order of time, a query comes after the rows of its time (locf) or before them (nocb; on a line too, unless
        # there is a row at this very time, to whose first the line leads).
        query = np.concatenate([np.zeros(rows), np.full(len(subject), 1.0 if e.carry == "locf" else -1.0)])
        order = np.lexsort((query, when, who))
        is_row = order < rows
        if e.carry != "nocb":
            seen = np.maximum.accumulate(np.where(is_row, order, -1))
        else:
            far = np.where(is_row, order, np.iinfo(np.int64).max)
            seen = np.minimum.accumulate(far[::-1])[::-1]
        found = np.empty(len(order), np.int64)
        found[order] = seen
        first, last = e.start[:-1][subject], e.start[1:][subject] - 1
        at = np.clip(found[rows:], first, last)
        if e.carry == "linear":
            following = np.minimum(at + 1, last)
            at = np.where(e.time[following] == time, following, at)
        return at


def _changes(subject: Ints, covariates: Floats) -> npt.NDArray[np.bool_]:
    """Rows whose covariates differ from those of the row before, of the same subject."""
    changed = np.zeros(len(covariates), bool)
    if len(covariates):
        changed[1:] = (subject[1:] == subject[:-1]) & np.any(covariates[1:] != covariates[:-1], axis=1)
    return changed


def _lines(subject: Ints, time: Floats, covariates: Floats) -> Floats:
    """For each row the line to the next: (R, 2 C + 1) values, slopes, and the time at which the values hold."""
    slopes = np.zeros_like(covariates)
    span = np.diff(time)
    joined = (subject[1:] == subject[:-1]) & (span > 0)
    slopes[:-1][joined] = np.diff(covariates, axis=0)[joined] / span[joined, None]
    return np.column_stack([covariates, slopes, time])


def _spread(values: Ints, times: Ints) -> tuple[Ints, Ints]:
    """Each value so many times, and which repetition each is."""
    ends = np.cumsum(times)
    number = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - times, times)
    return np.repeat(values, times), number


def _starts(who: Ints, subjects: int) -> Ints:
    """Where each subject's entries begin, once they are sorted by subject."""
    return np.concatenate([[0], np.cumsum(np.bincount(who, minlength=subjects))]).astype(np.int64)


def _kind(array: npt.NDArray[Any]) -> type:
    return np.float64 if array.dtype.kind == "f" else np.int64
