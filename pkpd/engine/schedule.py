"""Events meet a program: names become slots, additional doses are written out, everything is checked at once.

The order of what happens at one time to one subject, which decides what an observation sees:

1. ends of infusions;
2. doses that arrive late (a lag) or are additional (ADDL);
3. the records, in the order of their rows: a dose before an observation in the file is seen by it, one after is not;
   a reset comes before the dose of its own row.

Covariates hold backward from a row to the one before (``nocb``) or forward to the next (``locf``). What an additional
dose takes from covariates is what is in force at its own time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pkpd import units
from pkpd.data.events import Evid, Mode
from pkpd.engine.workspace import COVARIATES, ENDLESS, INSTEAD, OBSERVATION, ON_TOP, OVERLAP, RESET, STEADY, WITHOUT_END
from pkpd.errors import Finding, MismatchError, did_you_mean
from pkpd.model.expression import evaluate, names, to_text

if TYPE_CHECKING:
    from pkpd.data.events import Events
    from pkpd.engine.program import Program
    from pkpd.model.route import Input, Route

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: Findings of one kind that are listed one by one; the rest are counted.
_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """

    subjects: tuple[str, ...]
    records: int
    record_row: Ints
    record_subject: Ints
    record_output: Ints
    arrays: dict[str, npt.NDArray[Any]]
    time_unit: str

    @property
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

    @property
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
    return _Binding(program, events).schedule()


class _Binding:
    """The work of `bind`, with its findings."""

    def __init__(self, program: Program, events: Events) -> None:
        self.program = program
        self.model = program.model
        self.events = events.in_time_unit(self.model.time_unit)
        self.findings: list[Finding] = []

    def schedule(self) -> Schedule:
        events = self.events
        dosing = np.flatnonzero(np.isin(events.evid, (Evid.DOSE, Evid.RESET_DOSE)))
        output = self._outputs()
        covariates = self._covariates()
        self._check_factors(covariates)
        self._check_doses(dosing)
        route_of_row, factor = self._routes(dosing)
        if self.findings:
            raise MismatchError(f"the data and the model `{self.model.name}` do not fit.", findings=self.findings)
        subject = events.subject
        records = events.records
        arrays: dict[str, npt.NDArray[Any]] = {"covariates": covariates, "first_row": events.start[:-1]}
        arrays["start_time"] = events.time[events.start[:-1]] if len(events) else np.zeros(0)
        arrays |= self._items(subject, records, covariates)
        arrays |= self._doses(dosing, route_of_row, factor, subject)
        arrays["record_output"] = output[records]
        kept = {name: np.ascontiguousarray(a, _kind(a)) for name, a in arrays.items()}
        return Schedule(
            subjects=events.subjects,
            records=len(records),
            record_row=records,
            record_subject=subject[records],
            record_output=kept["record_output"],
            arrays=kept,
            time_unit=self.model.time_unit,
        )

    # -- names -----------------------------------------------------------------------------------------------------
    def _outputs(self) -> Ints:
        """Index of the observable of each row."""
        names = self.program.observables
        by_number = {f"#{o.dvid}": o.name for o in self.model.outputs.values() if o.dvid is not None}
        found = np.full(len(self.events.outputs) + 1, -1, np.int64)
        for i, name in enumerate(self.events.outputs):
            if name == "" and len(names) == 1:
                found[i] = 0
                continue
            meant = by_number.get(name, name)
            if meant in names:
                found[i] = names.index(meant)
                continue
            shown = "no name, though the model has several outputs" if name == "" else f"`{name}`"
            numbers = "".join(f", {number} is {out}" for number, out in by_number.items())
            self._find(
                "output",
                f"an observation of {shown}.",
                expected=f"Outputs of the model: {', '.join(names)}{numbers}.",
                remedy=_suggest(name, names) or "Give a DVID column, or name the output.",
                row=self._first(self.events.output, i),
            )
        return found[self.events.output]

    def _covariates(self) -> Floats:
        """Values of the model's covariates by row, in the model's units."""
        events, model = self.events, self.model
        values = np.empty((len(events), len(model.covariates)))
        for j, (name, covariate) in enumerate(model.covariates.items()):
            if name not in events.covariates:
                self._find(
                    "covariate",
                    f"the covariate `{name}`{_in(covariate.unit)} is missing.",
                    expected=f"The model uses {', '.join(model.covariates)}.",
                    remedy=f"Give a column {name}, or covariates={{'{name}': ...}}"
                    + (f" (the model's reference is {covariate.reference:g})." if covariate.reference else "."),
                )
                continue
            i = events.covariates.index(name)
            column = events.covariate_values[:, i]
            unit = events.covariate_units[i]
            if unit is not None and covariate.unit:
                column = self._converted(column, unit, covariate.unit, f"covariate {name}")
            bad = np.flatnonzero(~np.isfinite(column))
            for row in bad[:_MOST]:
                self._find("covariate", f"{name} is not a number.", remedy="Give a value for every subject.", row=row)
            values[:, j] = column
        return values

    def _check_factors(self, covariates: Floats) -> None:
        """The factor of a parameter that is positive must be positive for the covariates of every row."""
        if self.findings or not len(self.events):
            return
        known = dict(zip(self.model.covariates, covariates.T, strict=True))
        for parameter in self.model.parameters.values():
            if parameter.times is None or parameter.transform == "none":
                continue
            with np.errstate(all="ignore"):
                factor = np.broadcast_to(evaluate(parameter.times, known), len(self.events))
            bad = np.flatnonzero(~((factor > 0) & np.isfinite(factor)))
            if not len(bad):
                continue
            row = int(bad[0])
            values = ", ".join(f"{n} = {known[n][row]:g}" for n in sorted(names(parameter.times)) if n in known)
            self._find(
                "covariate",
                f"the factor of `{parameter.name}`, {to_text(parameter.times)}, is {factor[row]:g} at {values}.",
                expected=f"`{parameter.name}` is positive, so its factor is positive.",
                remedy="The model was not made for such a value: check it, or use another model.",
                row=row,
            )

    def _converted(self, values: Floats, unit: str, wanted: str, what: str) -> Floats:
        try:
            return values * units.factor(unit, wanted)
        except Exception as error:  # a UnitError joins the other findings
            self._find("unit", f"{what}: {error}")
            return values

    def _routes(self, dosing: Ints) -> tuple[list[Route | None], Floats]:
        """The route of each name in the events, and what turns each dosing row's amount into the route's unit."""
        events, model = self.events, self.model
        by_number = {f"#{r.cmt}": r for r in model.routes.values() if r.cmt is not None}
        routes: list[Route | None] = []
        for i, name in enumerate(events.routes):
            route = model.routes.get(name) or by_number.get(name)
            if route is None and name == "" and len(model.routes) == 1:
                route = next(iter(model.routes.values()))
            routes.append(route)
            if route is None and np.any(events.route[dosing] == i):
                numbers = "".join(f", {number} is {r.name}" for number, r in by_number.items())
                said = "no route is named, though the model has several" if name == "" else f"`{name}` leads nowhere"
                known = ", ".join(model.routes) + numbers if model.routes else "none: the model takes no doses"
                self._find(
                    "route",
                    f"a dose: {said}.",
                    expected=f"Routes of the model: {known}.",
                    remedy=_suggest(name, tuple(model.routes)) or "Name one of them.",
                    row=self._first(np.where(np.isin(np.arange(len(events)), dosing), events.route, -2), i),
                )
        factor = np.ones(len(events))
        pairs = {(int(r), int(u)) for r, u in zip(events.route[dosing], events.dose_unit[dosing], strict=True)}
        for r, u in sorted(pairs):
            route, unit = routes[r], events.units[u] if u >= 0 else None
            if route is None or unit is None:
                continue
            rows = dosing[(events.route[dosing] == r) & (events.dose_unit[dosing] == u)]
            wanted = route.unit or model.amount_unit
            factor[rows] = self._converted(np.ones(len(rows)), unit, wanted, f"a dose by `{route.name}`")
        return routes, factor

    # -- rules -----------------------------------------------------------------------------------------------------
    def _check_doses(self, dosing: Ints) -> None:
        e = self.events
        endless = _endless(e)
        rules: list[tuple[str, npt.NDArray[np.bool_], Callable[[int], str], str]] = [
            ("amount", ~(e.amt > 0) & ~endless, lambda r: f"AMT is {e.amt[r]:g}.", "Give an amount above 0."),
            ("addl", (e.addl > 0) & ~(e.ii > 0), lambda r: f"ADDL is {e.addl[r]} but II is {e.ii[r]:g}.", "Give II."),
            ("addl", e.addl < 0, lambda r: f"ADDL is {e.addl[r]}.", "Give 0 or more additional doses."),
            (
                "steady state",
                (e.ss != 0) & ~(e.ii > 0) & ~endless,
                lambda r: f"SS is {e.ss[r]} but II is {e.ii[r]:g}.",
                "Give the interval of the doses that lead to it.",
            ),
            (
                "steady state",
                endless & ((e.addl > 0) | (e.mode == Mode.MODELLED_DURATION)),
                lambda r: "a steady-state infusion (AMT 0) with additional doses, or with a modelled duration.",
                "It ends at its record: give ADDL 0 and a rate.",
            ),
            (
                "rate",
                (e.mode == Mode.RATE) & ~(e.rate > 0),
                lambda r: f"RATE is {e.rate[r]:g}.",
                "Give a rate above 0, or none for a bolus.",
            ),
            (
                "duration",
                (e.mode == Mode.DURATION) & ~(e.dur >= 0),
                lambda r: f"DUR is {e.dur[r]:g}.",
                "Give a duration above 0, or none for a bolus.",
            ),
        ]
        for code, wrong, say, remedy in rules:
            rows = dosing[wrong[dosing]]
            for row in rows[:_MOST]:
                self._find(code, say(int(row)), remedy=remedy, row=int(row))
            if len(rows) > _MOST:
                self._find(code, f"the same in {len(rows) - _MOST} more rows.")

    def _mode(self, way: Input, mode: int, row: int) -> int:
        """How a dose goes in through this input: what the record says, else what the model says."""
        modelled = {"rate": Mode.MODELLED_RATE, "duration": Mode.MODELLED_DURATION}
        if mode == Mode.AUTO:
            return next((int(m) for key, m in modelled.items() if getattr(way, key) is not None), int(Mode.BOLUS))
        for key, wanted in modelled.items():
            if mode == wanted and getattr(way, key) is None:
                self._find(
                    key,
                    f"RATE is {-1 if key == 'rate' else -2}, but the input into `{way.into}` has no {key}.",
                    expected=f"RATE = -1 needs a modelled rate, -2 a modelled duration; `{way.into}` has neither "
                    "or the other.",
                    remedy=f"Give the route's input a {key}, or the record a rate.",
                    row=row,
                )
        return mode

    # -- tables ----------------------------------------------------------------------------------------------------
    def _items(self, subject: Ints, records: Ints, covariates: Floats) -> dict[str, npt.NDArray[Any]]:
        """Observations, resets and changes of covariates, each a (time, key, kind, index) of a subject."""
        e = self.events
        resets = np.flatnonzero(np.isin(e.evid, (Evid.RESET, Evid.RESET_DOSE)))
        same_subject = subject[1:] == subject[:-1] if len(e) else np.zeros(0, bool)
        changed = 1 + np.flatnonzero(same_subject & np.any(covariates[1:] != covariates[:-1], axis=1))
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
            "steady_kind": np.where(_endless(e)[steady], WITHOUT_END, np.where(e.ss[steady] == 2, ON_TOP, INSTEAD)),
        }

    def _doses(
        self, dosing: Ints, routes: list[Route | None], factor: Floats, subject: Ints
    ) -> dict[str, npt.NDArray[Any]]:
        """Every dose into every state, additional doses written out as far as the last row of their subject."""
        e, model = self.events, self.model
        position = {name: i for i, name in enumerate(model.states)}
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
        for i, m in {(int(i), int(m)) for i, m in zip(way, e.mode[row], strict=True)}:
            which = (way == i) & (e.mode[row] == m)
            mode[which] = self._mode(ways[i][1], m, int(row[which][0]))
        if self.findings:
            raise MismatchError(f"the data and the model `{model.name}` do not fit.", findings=self.findings)
        mode[_endless(e)[row]] = ENDLESS
        order = np.lexsort((row, time, subject[row]))
        pick = {name: value[order] for name, value in {"row": row, "number": number, "way": way}.items()}
        row, first = pick["row"], pick["number"] == 0
        at = np.where(first, row, self._in_force(subject[row], time[order], row))
        return {
            "dose_start": _starts(subject[row], len(e.subjects)),
            "dose_time": time[order],
            "dose_key": np.where(first, row, -1.0),
            "dose_record": row,
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
        if not self.model.covariates or not len(subject):
            return fallback
        rows = len(e)
        who = np.concatenate([e.subject, subject])
        when = np.concatenate([e.time, time])
        # In order of time, a query comes after the rows of its time (locf) or before them (nocb).
        query = np.concatenate([np.zeros(rows), np.full(len(subject), 1.0 if e.carry == "locf" else -1.0)])
        order = np.lexsort((query, when, who))
        is_row = order < rows
        if e.carry == "locf":
            seen = np.maximum.accumulate(np.where(is_row, order, -1))
        else:
            far = np.where(is_row, order, np.iinfo(np.int64).max)
            seen = np.minimum.accumulate(far[::-1])[::-1]
        found = np.empty(len(order), np.int64)
        found[order] = seen
        first, last = e.start[:-1][subject], e.start[1:][subject] - 1
        return np.clip(found[rows:], first, last)

    # -- findings --------------------------------------------------------------------------------------------------
    def _first(self, column: npt.NDArray[Any], value: int) -> int | None:
        rows = np.flatnonzero(column == value)
        return int(rows[0]) if len(rows) else None

    def _find(
        self, code: str, what: str, *, expected: str | None = None, remedy: str | None = None, row: int | None = None
    ) -> None:
        where = self.events.where(int(row)) if row is not None else self.events.origin
        self.findings.append(Finding(code=code, where=where, what=what, expected=expected, remedy=remedy))


def _endless(e: Events) -> npt.NDArray[np.bool_]:
    """Rows that ask for the steady state of an infusion without end."""
    return (e.ss != 0) & (e.amt == 0) & (e.rate > 0)


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


def _suggest(name: str, known: tuple[str, ...]) -> str | None:
    hint = did_you_mean(name, known)
    return f"Did you mean `{hint}`?" if hint else None


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""
