"""Events in time: their hazard summed up by the engine, and what each record adds to the log likelihood.

The package adds a state H to the model for every output with events, d/dt H = hazard, and observes it at every record
of that output. With dH the hazard summed up since the subject's record before (since its first row, for the first one),

==========================  ====================  ==========================================
record                      says                  adds to the log likelihood
==========================  ====================  ==========================================
DV 0                        none since then       ``-dH``
DV 1                        one, now              ``log h - dH``
DV 1, CENS 1                one, some time since  ``log(1 - exp(-dH))``
==========================  ====================  ==========================================

so that events may repeat, several outputs compete, and what was before the first row is taken as given. A hazard may be
infinite at time 0, as Weibull's is with a shape below 1: for the sum alone, `t` is a trace above 0 then. Andersen PK,
Borgan O, Gill RD, Keiding N. Statistical Models Based on Counting Processes. Springer, 1993.
doi:10.1007/978-1-4612-4348-9
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.data import Events, Evid
from pkpd.errors import Finding
from pkpd.likelihood.match import which_output
from pkpd.likelihood.observations import Observations, with_rows
from pkpd.model import Model
from pkpd.model.expression import COMPARISONS, Call, Expr, Name
from pkpd.model.expression import names as names_of
from pkpd.model.kind import Event
from pkpd.model.parameter import Constant
from pkpd.model.small import State

if TYPE_CHECKING:
    from pkpd.data import Dataset

__all__ = ["Exposure", "cumulative", "event_findings", "event_outputs", "log_chance", "watched", "with_hazards"]

#: A hazard summed up may fall by so much, beside what it has come to, without being refused: that is rounding.
_ROUNDING = 1e-9
#: In units of time. Of a Weibull hazard of shape 0.3 the sum misses 1e-6 of what it is after one scale; any time above
#: 1e-4 stays what it is, to the bit.
_TRACE = Constant(name="time.trace", value=1e-20, unit="1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Where the engine sums up the hazard behind each of n records.

    Parameters
    ----------
    ends : (n, E) int
        The engine's records: that of H at the record, that at the record before, and those just before resets in
        between, which set H to 0; -1 for none. All -1 where the record is of another kind.
    """

    ends: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The records of events."""
        return np.flatnonzero(self.ends[:, 0] >= 0)

    def subset(self, rows: np.ndarray, shift: np.ndarray | int = 0) -> Exposure:
        """Give that of some records, whose engine's records have moved by `shift`."""
        own = self.ends[rows]
        return Exposure(ends=np.where(own >= 0, own + np.reshape(shift, (-1, 1)), -1))

    def since(self, f: np.ndarray) -> np.ndarray:
        """Sum up (m, ...): what the engine's records `f` (N, ...) have gained since the record before."""
        own = self.ends[self.rows]
        there = (own >= 0).reshape(*own.shape, *[1] * (f.ndim - 1))
        each = np.where(there, f[own], 0.0)
        return each[:, 0] - each[:, 1] + each[:, 2:].sum(axis=1)


def event_outputs(model: Model) -> list[int]:
    """Give the indices of the outputs that are hazards."""
    return [k for k, output in enumerate(model.outputs.values()) if isinstance(output.kind, Event)]


def cumulative(model: Model, name: str) -> str:
    """Give the name of the state that sums up a hazard; no name of the model."""
    found = f"{name}.cumulative"
    while found in model.known_names:
        found += "_"
    return found


def with_hazards(model: Model, outputs: list[int]) -> tuple[Model, tuple[str, ...]]:
    """Give the model with a state for each of these outputs that sums it up, and what is to be observed of it."""
    if not outputs:
        return model, tuple(model.outputs)
    names = list(model.outputs)
    added = {cumulative(model, names[k]): names[k] for k in outputs}
    later: dict[str, Expr] = {"t": Call("+", (Name("t"), Name(_TRACE.name)))}
    for name, expr in model.assignments:
        if names_of(expr) & later.keys():
            later[name] = _later(expr, later)
    hazards = {state: later.get(hazard, Name(hazard)) for state, hazard in added.items()}
    trace = {_TRACE.name: replace(_TRACE, unit=model.time_unit)} if len(later) > 1 else {}
    whole = model.replace(
        derivatives={**model.derivatives, **hazards},
        states={**model.states, **{state: State(name=state, unit="1") for state in added}},
        constants={**model.constants, **trace},
    )
    return whole, (*names, *added)


def _later(expr: Expr, moved: Mapping[str, Expr]) -> Expr:
    """Put what is later by a trace in the place of names, but where times are compared: that is when things happen."""
    if isinstance(expr, Name):
        return moved.get(expr.name, expr)
    if isinstance(expr, Call) and expr.op not in COMPARISONS:
        return Call(expr.op, tuple(_later(arg, moved) for arg in expr.args))
    return expr


def watched(
    events: Events, model: Model, outputs: list[int], rows: np.ndarray, output: np.ndarray
) -> tuple[Events, np.ndarray, np.ndarray]:
    """Observe the sums at each record of an event, and just before each reset.

    Parameters
    ----------
    events : Events
    model : Model
        As the user has it.
    outputs : list of int
        Those of its outputs that are hazards.
    rows : (n,) int
        The row of the events at which each record stands.
    output : (n,) int
        The model's output of each record.

    Returns
    -------
    events : Events
    kept : (R,) int
        Where each old row stands now.
    places : (n, E) int
        The rows of the sums, as in :class:`Exposure`.
    """
    resets = np.flatnonzero(np.isin(events.evid, (Evid.RESET, Evid.RESET_DOSE)))
    first = len(events.outputs)
    at, which, own = [], [], {}
    for number, k in enumerate(outputs):
        own[k] = np.flatnonzero(output == k)
        at.append(np.concatenate([rows[own[k]], resets]))
        which.append(np.full(len(at[-1]), first + number))
    every = np.concatenate(at)
    names = list(model.outputs)
    named = tuple(name or names[0] for name in events.outputs)  # without a name only where there is one output
    events = replace(events, outputs=(*named, *(cumulative(model, names[k]) for k in outputs)))
    start, subject = events.start, events.subject
    events, kept, added = with_rows(events, every, events.time[every], np.concatenate(which))
    values = events.covariate_values.copy()
    values[added] = values[kept[every]]  # no time passes in between
    events = replace(events, covariate_values=values)
    most, taken, found = 0, 0, []
    for k in outputs:
        mine, here = rows[own[k]], added[taken : taken + own[k].size + resets.size]
        taken += len(here)
        follows = np.zeros(mine.size, dtype=bool)
        follows[1:] = subject[mine[1:]] == subject[mine[:-1]]
        before = np.where(follows, np.roll(mine, 1), start[subject[mine]] - 1)
        low, high = np.searchsorted(resets, before, side="right"), np.searchsorted(resets, mine)
        between = low[:, None] + np.arange(int((high - low).max(initial=0)))
        of_resets = np.append(here[mine.size :], -1)[np.where(between < high[:, None], between, -1)]
        now = here[: mine.size]
        found.append((own[k], np.column_stack([now, np.where(follows, np.roll(now, 1), -1), of_resets])))
        most = max(most, of_resets.shape[1])
    places = np.full((output.size, 2 + most), -1)
    for records, part in found:
        places[records, : part.shape[1]] = part
    return events, kept, places


def log_chance(
    happened: np.ndarray,
    censored: np.ndarray,
    hazard: np.ndarray,
    total: np.ndarray,
    slope: np.ndarray | None,
    total_slope: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Give what records add to the log likelihood (m,), and its derivatives (m, D).

    Parameters
    ----------
    happened, censored : (m,) bool
        Whether there was an event, and whether its time is not known.
    hazard, total : (m,) float
        At the time of the record, and summed up since the one before.
    slope, total_slope : (m, D) float or None
        Their derivatives.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sound = (hazard >= 0) & (total >= -_ROUNDING * (1 + np.abs(total)))
        total = np.where(sound, np.maximum(total, 0.0), np.nan)
        exact = happened & ~censored
        value = np.where(exact, np.log(np.where(sound, hazard, np.nan)) - total, -total)
        value = np.where(censored, np.log(-np.expm1(-total)), value)
        if slope is None or total_slope is None:
            return value, None
        found = np.where(censored[:, None], total_slope / np.expm1(total)[:, None], -total_slope)
        return value, found + np.where(exact[:, None], slope / hazard[:, None], 0.0)


def event_findings(
    model: Model, data: Dataset, events: Events, rows: np.ndarray, seen: Observations, outputs: list[int]
) -> list[Finding]:
    """Find what hazards cannot be summed up over, and events of which nothing is known.

    Parameters
    ----------
    model, data, events
    rows : (n,) int
        The row of the events at which each record stands.
    seen : Observations
        The n records.
    outputs : list of int
        The outputs that are hazards.
    """
    names, found = list(model.outputs), []

    def find(code: str, at: np.ndarray, what: str, expected: str, remedy: str) -> None:
        if at.size:
            where = events.where(int(at[0])) + (f" (and {at.size - 1} more)" if at.size > 1 else "")
            found.append(Finding(code=code, where=where, what=what, expected=expected, remedy=remedy))

    who = np.isin(events.subject, seen.subject[np.isin(seen.output, outputs)])
    find("steady state", np.flatnonzero((events.ss != 0) & who),
         f"a dose at steady state (SS), and {', '.join(names[k] for k in outputs)} is the hazard of events.",
         "A hazard is summed up from the first row on: its sum has no steady state.",
         "Give the doses that lead up to it (ADDL) instead.")  # fmt: skip
    begins = events.time[events.start[:-1]][seen.subject] == events.time[rows]
    for k in outputs:
        own = seen.output == k
        later = np.zeros(len(events.subjects), dtype=bool)
        later[seen.subject[own & ~begins]] = True
        first = own & (rows == events.start[:-1][seen.subject])
        late = np.flatnonzero(own & begins & (~later[seen.subject] | (first & (seen.dv != 0))))
        find("follow-up", rows[late], f"nothing says since when {names[k]} was watched: this is the first time of the "
             "subject.", "A row before it, where the follow-up begins: its hazard is summed up from there.",
             f"Add a row at that time: with EVID 2, or with DV 0 of {names[k]}.")  # fmt: skip
    meant = np.append(which_output(model, events.outputs), -1)[events.output]
    column = data.columns
    lost = (column["EVID"] == Evid.OBSERVATION) & (column["CENS"] != 0) & np.isnan(column["DV"])
    find("missing", np.flatnonzero(lost & np.isin(meant, outputs)), "CENS is not 0, and DV is empty.",
         "DV 1 and CENS 1 for an event at an unknown time since the record before.",
         "Write DV 1, or CENS 0.")  # fmt: skip
    return found
