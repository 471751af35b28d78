"""What must hold before events can be given to a model: names, units, covariates, rules of dosing, all at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pkpd import units
from pkpd.data.events import Evid, Mode
from pkpd.engine import occasions
from pkpd.engine.workspace import OVERLAP
from pkpd.errors import Finding, MismatchError, PkpdWarning, did_you_mean
from pkpd.model.expression import evaluate, names, to_text

if TYPE_CHECKING:
    from pkpd.data.events import Events
    from pkpd.engine.program import Program
    from pkpd.model.route import Input, Route

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: Findings of one kind that are listed one by one; the rest are counted.
_MOST = 8
#: How the model's own rate or duration is asked for, and the key of an input that says it.
_MODELLED = {"rate": Mode.MODELLED_RATE, "duration": Mode.MODELLED_DURATION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the names and values of events mean to a program; R rows, C covariates of the model.

    Attributes
    ----------
    output : (R,) int array
        Index into the program's observables; -1: all of them, or no observation.
    covariates : (R, C) float array
        In the model's units; then the number of the occasion, where the program knows occasions.
    routes : tuple of (Route or None)
        What each of the events' routes is; None where no dose uses the name.
    factor : (R,) float array
        What turns a row's amount into the unit of its route.
    """

    output: Ints
    covariates: Floats
    routes: tuple[Route | None, ...]
    factor: Floats


def understand(program: Program, events: Events) -> Meaning:
    """Hold events, in the model's time unit, against a program.

    Raises
    ------
    MismatchError
        With everything that does not fit: unknown routes, outputs and covariates, units, rules of dosing.

    Warns
    -----
    PkpdWarning
        Where rows of data say how fast a dose goes in, though the model says so too: the model's rate or duration is
        not used for them. (A regimen that says so means it.)
    """
    return _Rules(program, events).meaning()


def dosing_rows(events: Events) -> Ints:
    """Rows that give a dose, in order."""
    return np.flatnonzero(np.isin(events.evid, (Evid.DOSE, Evid.RESET_DOSE)))


def endless(events: Events) -> npt.NDArray[np.bool_]:
    """Rows that ask for the steady state of an infusion without end."""
    return (events.ss != 0) & (events.amt == 0) & (events.rate > 0)


def way_in(way: Input, mode: int) -> int:
    """How a dose goes in through an input (`Mode`): what the record says, else what the model says."""
    if mode != Mode.AUTO:
        return mode
    return next((int(m) for key, m in _MODELLED.items() if getattr(way, key) is not None), int(Mode.BOLUS))


class _Rules:
    """The work of `understand`, with its findings."""

    def __init__(self, program: Program, events: Events) -> None:
        self.program = program
        self.model = program.model
        self.events = events
        self.findings: list[Finding] = []

    def meaning(self) -> Meaning:
        dosing = dosing_rows(self.events)
        output = self._outputs()
        covariates = self._covariates()
        self._factors(covariates)
        self._event_times(covariates)
        self._doses(dosing)
        routes, factor = self._routes(dosing)
        self._modelled(dosing, routes)
        self._overlaps(dosing, routes)
        if self.findings:
            raise MismatchError(f"the data and the model `{self.model.name}` do not fit.", findings=self.findings)
        self._warn_of_unused(dosing, routes)
        return Meaning(output=output, covariates=covariates, routes=tuple(routes), factor=factor)

    # -- names and units -------------------------------------------------------------------------------------------
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
            shown = "no name, though the model has several outputs" if name == "" else _said(name, "DVID")
            rows = np.flatnonzero(self.events.output == i)
            numbers = "".join(f", {_said(number, 'DVID')} is {out}" for number, out in by_number.items())
            self._find(
                "output",
                f"an observation of {shown}.",
                expected=f"Outputs of the model: {', '.join(names)}{numbers}.",
                remedy=_suggest(name, names)
                or (
                    f"Say which output it is: dvid = {name[1:]} in its row of [outputs]."
                    if name.startswith("#")
                    else "Give a DVID column, or name the output."
                ),
                row=int(rows[0]) if len(rows) else None,
                rows=len(rows),
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
        return np.column_stack([values, occasions.column(self.program, events, self.findings)])

    def _factors(self, covariates: Floats) -> None:
        """Effects of covariates are numbers for those of every row; the factor of what is positive is positive."""
        if self.findings or not len(self.events):
            return
        model = self.model
        seen = dict(zip(model.covariates, covariates.T))
        known = (
            seen
            | {n: c.value for n, c in model.constants.items()}
            | {n: p.typical for n, p in model.parameters.items()}
        )
        for parameter in model.parameters.values():
            for key, expr in parameter.effects.items():
                with np.errstate(all="ignore"):
                    found = np.broadcast_to(evaluate(expr, known), len(self.events))
                positive = key == "times" and parameter.transform != "none"
                bad = np.flatnonzero(~(np.isfinite(found) & ((found > 0) | (not positive))))
                if not len(bad):
                    continue
                row, what = int(bad[0]), "factor" if key == "times" else "shift"
                values = ", ".join(f"{n} = {seen[n][row]:g}" for n in sorted(names(expr)) if n in seen)
                self._find(
                    "covariate",
                    f"the {what} of `{parameter.name}`, {to_text(expr)}, is {found[row]:g} at {values}.",
                    expected=f"`{parameter.name}` is positive, so its factor is positive." if positive else "A number.",
                    remedy="The model was not made for such a value: check it, or use another model.",
                    row=row,
                )

    def _event_times(self, covariates: Floats) -> None:
        """A model event time that follows a covariate is one time only if the covariate stays what it is."""
        subject = self.events.subject
        for j in self.program.switching_covariates:
            column = covariates[:, j]
            moved = 1 + np.flatnonzero((subject[1:] == subject[:-1]) & (column[1:] != column[:-1]))
            if len(moved):
                name = list(self.model.covariates)[j]
                self._find(
                    "event time",
                    f"a comparison of time in the model depends on `{name}`, which changes from "
                    f"{column[moved[0] - 1]:g} to {column[moved[0]]:g}.",
                    expected="A model event time is one time for a subject.",
                    remedy=f"Use the subject's first {name} in all rows, or another covariate that does not change.",
                    row=int(moved[0]),
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
            rows = dosing[events.route[dosing] == i]
            if route is None and len(rows):
                numbers = "".join(f", {_said(number, 'CMT')} is {r.name}" for number, r in by_number.items())
                said = (
                    "no route is named, though the model has several"
                    if name == ""
                    else f"{_said(name, 'CMT')} leads nowhere"
                )
                known = ", ".join(model.routes) + numbers if model.routes else "none: the model takes no doses"
                self._find(
                    "route",
                    f"a dose: {said}.",
                    expected=f"Routes of the model: {known}.",
                    remedy=self._new_route(name) or _suggest(name, tuple(model.routes)) or _number_of(name),
                    row=int(rows[0]),
                    rows=len(rows),
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

    def _new_route(self, name: str) -> str | None:
        """The lines that make a state a place for doses, where `name` is that of a state or its number."""
        states = list(self.model.states)
        number = int(name[1:]) if name[:1] == "#" and name[1:].isdigit() else 0
        if number and number <= len(states):
            name, which = states[number - 1], f"`{states[number - 1]}`, state {number} of the model,"
            free = all(route.cmt != number and route.name != name for route in self.model.routes.values())
        else:
            which, free = f"The state `{name}`", name in self.model.states
        if not free:
            return None
        unit = self.model.states[name].unit
        other = bool(unit) and not units.same(unit, self.model.amount_unit)
        said = f', unit = "{unit}"' if other else ""
        line = f'{name} = {{ into = "{name}"' + (f", cmt = {number}" if number else "") + said + " }"
        more = f' and, under [states], {name} = {{ unit = "{unit}" }}' if other else ""
        return f"{which} has no route. To give doses into it, write under [routes]: {line}{more}."

    # -- rules of dosing -------------------------------------------------------------------------------------------
    def _doses(self, dosing: Ints) -> None:
        e = self.events
        without_end = endless(e)
        rules: list[tuple[str, npt.NDArray[np.bool_], Callable[[int], str], str]] = [
            ("amount", ~(e.amt > 0) & ~without_end, lambda r: f"AMT is {e.amt[r]:g}.", "Give an amount above 0."),
            ("addl", (e.addl > 0) & ~(e.ii > 0), lambda r: f"ADDL is {e.addl[r]} but II is {e.ii[r]:g}.", "Give II."),
            ("addl", e.addl < 0, lambda r: f"ADDL is {e.addl[r]}.", "Give 0 or more additional doses."),
            (
                "steady state",
                (e.ss != 0) & ~(e.ii > 0) & ~without_end,
                lambda r: f"SS is {e.ss[r]} but II is {e.ii[r]:g}.",
                "Give the interval of the doses that lead to it.",
            ),
            (
                "steady state",
                without_end & ((e.addl > 0) | (e.mode == Mode.MODELLED_DURATION)),
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

    def _modelled(self, dosing: Ints, routes: list[Route | None]) -> None:
        """RATE -1 and -2 need a model that says the rate or the duration."""
        e = self.events
        for key, mode in _MODELLED.items():
            for r, route in enumerate(routes):
                rows = dosing[(e.route[dosing] == r) & (e.mode[dosing] == mode)]
                if route is None or not len(rows):
                    continue
                for way in (way for way in route.inputs if getattr(way, key) is None):
                    self._find(
                        key,
                        f"RATE is {-1 if key == 'rate' else -2}, but the input into `{way.into}` has no {key}.",
                        expected="RATE -1 needs a modelled rate, RATE -2 a modelled duration.",
                        remedy=f'Say it in the route, {route.name} = {{ into = "{way.into}", {key} = ... }}, or write '
                        "the rate in the data.",
                        row=int(rows[0]),
                        rows=len(rows),
                    )

    def _overlaps(self, dosing: Ints, routes: list[Route | None]) -> None:
        """At steady state only so many doses may overlap: found here where the events give the duration."""
        e = self.events
        with np.errstate(divide="ignore", invalid="ignore"):
            lasts = np.where(e.mode == Mode.DURATION, e.dur, np.where(e.mode == Mode.RATE, e.amt / e.rate, 0.0))
        # Bioavailability changes the duration of an infusion whose rate is given.
        sure = np.array([r is not None and all(w.bioavailability is None for w in r.inputs) for r in routes] or [False])
        known = (e.mode == Mode.DURATION) | sure[e.route]
        rows = dosing[(known & (e.ss != 0) & (e.ii > 0) & (lasts > OVERLAP * e.ii))[dosing]]
        if len(rows):
            row = int(rows[0])
            self._find(
                "steady state",
                f"an infusion over {lasts[row]:g} every {e.ii[row]:g}: {lasts[row] / e.ii[row]:.0f} of them overlap at "
                "steady state.",
                expected=f"At most {OVERLAP} doses overlap.",
                remedy="Correct II or how long it lasts; an infusion without end is AMT 0, SS 1 and its RATE.",
                row=row,
                rows=len(rows),
            )

    def _warn_of_unused(self, dosing: Ints, routes: list[Route | None]) -> None:
        """Say where data overrule a rate or duration that the model has."""
        e = self.events
        said = {Mode.BOLUS: "say RATE 0, a bolus", Mode.RATE: "say their rate", Mode.DURATION: "say their duration"}
        rows = dosing[e.source_row[dosing] >= 0]
        for r, mode in sorted({(int(r), int(m)) for r, m in zip(e.route[rows], e.mode[rows], strict=True)}):
            route = routes[r]
            if route is None or mode not in said:
                continue
            for way, key in ((way, key) for way in route.inputs for key in _MODELLED if getattr(way, key) is not None):
                warnings.warn(
                    # The same words for every subset of the data, so that they are shown once.
                    f"{e.origin}: doses by `{route.name}` {said[Mode(mode)]}; the {key} that the model has for "
                    f"`{way.into}` is not used for them. Write RATE {-1 if key == 'rate' else -2} where it is meant.",
                    PkpdWarning,
                    stacklevel=2,
                )

    # -- findings --------------------------------------------------------------------------------------------------
    def _find(
        self,
        code: str,
        what: str,
        *,
        expected: str | None = None,
        remedy: str | None = None,
        row: int | None = None,
        rows: int = 1,
    ) -> None:
        """Add what is wrong in one row, or in that and others."""
        where = self.events.where(int(row)) if row is not None else self.events.origin
        where += f" (and {rows - 1} more)" if rows > 1 else ""
        self.findings.append(Finding(code=code, where=where, what=what, expected=expected, remedy=remedy))


def _suggest(name: str, known: tuple[str, ...]) -> str | None:
    hint = did_you_mean(name, known)
    return f"Did you mean `{hint}`?" if hint else None


def _said(name: str, column: str) -> str:
    """A name as the data have it: ``#2`` is the number 2 in a column."""
    return f"{column} {name[1:]}" if name.startswith("#") else f"`{name}`"


def _number_of(name: str) -> str:
    numbered = name.startswith("#")
    return f"Write cmt = {name[1:]} in the route that is meant, or name a route." if numbered else "Name one of them."


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""
