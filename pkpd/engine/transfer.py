"""The subjects' data on their way to a GPU and back, in pieces that fit its memory.

The arrays of a batch lie in a few long ones there. What belongs to the schedule is sent apart from the rest and stays
for the next call, since blocks of subjects often share one. The solver's indices are what they are on the processor:
where entry 0 of an array would be is stated, although what lies before the piece is not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pkpd.engine.schedule import Schedule
from pkpd.engine.workspace import Batch

Arrays = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
#: The long arrays: parameters and what else changes from call to call, the schedule, the predictions.
LONG = ("numbers", "whole", "plan_numbers", "plan_whole", "results")
#: Arrays of the batch, by what they have an entry for; all others are taken whole.
_PER = {
    "subject": ("values", "worth", "first_row", "start_time", "verdict", "end_time", "steps"),
    "start": ("item_start", "dose_start"),
    "item": ("item_time", "item_key", "item_kind", "item_index"),
    "dose": tuple(name for name in Batch._fields if name.startswith("dose_") and name != "dose_start"),
    "row": ("covariates", "mode_row"),
    "record": ("record_output", "f", "df"),
    "steady": ("steady_row", "steady_interval", "steady_kind"),
    "mode": ("modes",),
}
_GROUP = {name: group for group, names in _PER.items() for name in names}
_RESULTS = ("f", "df")
_VERDICTS = ("end_time", "verdict", "steps")
#: Bytes of a schedule that may stay on the GPU between calls.
_MOST_KEPT = 4e9


@dataclass(frozen=True, slots=True)
class _Plan:
    """A schedule that was sent: for which subjects, where its arrays are, and the two long ones they are in."""

    schedule: Schedule
    ends: tuple[int, int]
    places: dict[str, int]
    sent: tuple[Any, Any]


#: The one that was sent last.
_kept: list[_Plan] = []


def long_of(schedule: Schedule, arrays: Arrays) -> dict[str, str]:
    """In which of the long arrays each array of a batch lies."""
    found = {}
    for name, array in arrays.items():
        kind = "whole" if array.dtype == np.int64 else "numbers"
        found[name] = "results" if name in _RESULTS else f"plan_{kind}" if name in schedule.arrays else kind
    return found


def pieces(schedule: Schedule, arrays: Arrays, room: float) -> Iterator[Ints]:
    """The subjects in ``arrays["order"]``, in pieces whose data take at most `room` bytes; at least one each."""
    before = _bytes_before(schedule, arrays)
    order = arrays["order"]
    start = 0
    while start < len(order):
        # A piece takes what belongs to all subjects from its first to its last.
        ends = before[order[start:] + 1] - before[order[start]]
        count = max(int(np.searchsorted(ends, room, side="right")), 1)
        yield order[start : start + count]
        start += count


def _bytes_before(schedule: Schedule, arrays: Arrays) -> npt.NDArray[np.float64]:
    """The bytes of the data of all subjects before each, (subjects + 1,)."""
    subjects = len(schedule.subjects)
    starts = _starts(schedule, arrays, np.arange(subjects + 1))
    total = np.zeros(subjects + 1)
    for name, group in _GROUP.items():
        total += 8.0 * _width(arrays[name]) * starts[group]
    return total


def _width(array: npt.NDArray[Any]) -> int:
    return math.prod(array.shape[1:])


def _starts(schedule: Schedule, arrays: Arrays, subject: Ints) -> dict[str, Ints]:
    """Where the entries of subjects begin, by what there is an entry for."""
    row = np.append(arrays["first_row"], len(arrays["covariates"]))[subject]
    modes = len(arrays["modes"])
    first_mode = arrays["mode_row"][arrays["first_row"]]
    return {
        "subject": subject,
        "start": subject,
        "item": arrays["item_start"][subject],
        "dose": arrays["dose_start"][subject],
        "row": row,
        "record": np.searchsorted(schedule.record_subject, subject),
        "steady": np.searchsorted(arrays["steady_row"], row),
        "mode": np.append(first_mode, modes)[subject],
    }


class Transfer:
    """The data of one piece.

    Attributes
    ----------
    places : array
        For each field of `Batch`, where its entry 0 would be in its long array.
    sent : tuple
        The long arrays on the GPU, in the order of `LONG`.
    """

    def __init__(self, cuda: Any, schedule: Schedule, arrays: Arrays, piece: Ints, threads: int) -> None:
        ends = _starts(schedule, arrays, np.array([piece[0], piece[-1] + 1]))
        self._ends = {group: (int(a), int(b)) for group, (a, b) in ends.items()}
        self._ends["start"] = self._ends["subject"][0], self._ends["subject"][1] + 1
        if len(arrays["modes"]) == 1:
            self._ends["mode"] = 0, 1
        # Neighbouring threads take neighbouring subjects: a thread's own are its turns.
        turns = [piece[thread::threads] for thread in range(min(threads, len(piece)))]
        self._arrays = dict(arrays) | {"order": np.concatenate(turns)}
        lies = long_of(schedule, arrays)
        names = {long: [n for n in Batch._fields if lies.get(n) == long] for long in LONG}
        self._at: dict[str, int] = {}
        plan = self._plan(cuda, schedule, names["plan_numbers"], names["plan_whole"])
        numbers, whole = (self._packed(names[long], self._at) for long in ("numbers", "whole"))
        a, b = self._ends["subject"]
        results = self._results(cuda, names["results"], everybody=len(piece) == b - a)
        self.sent = (cuda.to_device(numbers), cuda.to_device(whole), *plan, results)
        self._from = {name: self.sent[LONG.index(lies[name])] for name in (*_RESULTS, *_VERDICTS)}
        self.places = np.array([self._at.get(name, 0) for name in Batch._fields], np.int64)

    def take(self) -> None:
        """Put what the GPU has found where it belongs."""
        for name in (*_RESULTS, *_VERDICTS):
            here = self._part(name)
            if len(here):
                start = self._at[name] + self._ends[_GROUP[name]][0] * _width(self._arrays[name])
                self._from[name][start : start + len(here)].copy_to_host(here)

    def _part(self, name: str) -> npt.NDArray[Any]:
        """The piece's part of an array, one-dimensional."""
        array = self._arrays[name]
        a, b = self._ends.get(_GROUP.get(name, ""), (0, len(array)))
        return array[a:b].reshape(-1)

    def _packed(self, names: Sequence[str], places: dict[str, int]) -> npt.NDArray[Any]:
        """Arrays one after the other; where the entry 0 of each would be goes to `places`."""
        parts, filled = [self._part(name) for name in names], 0
        for name, part in zip(names, parts, strict=True):
            first = self._ends.get(_GROUP.get(name, ""), (0, 0))[0]
            places[name] = filled - first * _width(self._arrays[name])
            filled += len(part)
        return np.concatenate(parts)

    def _plan(self, cuda: Any, schedule: Schedule, numbers: Sequence[str], whole: Sequence[str]) -> tuple[Any, Any]:
        """The schedule's part on the GPU: it may be there from an earlier call."""
        ends = self._ends["subject"]
        for plan in _kept[:]:
            if plan.schedule is schedule and plan.ends == ends:
                self._at |= plan.places
                return plan.sent
        _kept.clear()
        places: dict[str, int] = {}
        packed = self._packed(numbers, places), self._packed(whole, places)
        self._at |= places
        sent = cuda.to_device(packed[0]), cuda.to_device(packed[1])
        if packed[0].nbytes + packed[1].nbytes <= _MOST_KEPT:
            _kept[:] = [_Plan(schedule, ends, places, sent)]
        return sent

    def _results(self, cuda: Any, names: Sequence[str], *, everybody: bool) -> Any:
        """Room for predictions; those of subjects who are not solved now are sent, to come back as they are."""
        if not everybody:
            return cuda.to_device(self._packed(names, self._at))
        filled = 0
        for name in names:
            self._at[name] = filled - self._ends["record"][0] * _width(self._arrays[name])
            filled += len(self._part(name))
        return cuda.device_array(max(filled, 1), np.float64)
