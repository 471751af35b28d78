"""A slow, plain engine: the textbook reading of a model and its events, for the fast one to be compared with.

One subject at a time, one row at a time, SciPy's solver between any two things that happen. Nothing here is shared
with ``pkpd.engine``. What happens at one time happens in this order: infusions end; doses arrive that are late (lag)
or additional (ADDL); then the rows, in the order in which they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from pkpd import units
from pkpd.data import Events, Evid, Mode
from pkpd.model.expression import evaluate
from pkpd.model.model import Model
from pkpd.model.route import Input, Route

RTOL = 1e-11
ENOUGH_CYCLES = 5000


def reference_predict(
    model: Model, events: Events, values: np.ndarray, *, observe: Sequence[str] | None = None, linear: bool = False
) -> np.ndarray:
    """Predict every observation.

    Parameters
    ----------
    model : Model
    events : Events
    values : (S, P) or (P,) array
        Individual values on their natural scale, columns in the order of ``model.parameters``; the covariate factor
        of a parameter (`times`) is applied here.
    observe : names of outputs, assignments or states; the model's outputs if not given.
    linear : bool
        The equations are linear in the states: advance by a matrix exponential instead of a solver.

    Returns
    -------
    (records,) array of each record's own output, or (records, outputs) if records do not say which they are.
    """
    events = events.in_time_unit(model.time_unit)
    names = list(observe if observe is not None else model.outputs)
    table = np.broadcast_to(np.atleast_2d(values), (len(events.subjects), len(model.parameters)))
    everything = np.vstack(
        [
            _Person(model, events, slice(*events.start[s : s + 2]), table[s], linear).predict(names)
            for s in range(len(events.subjects))
        ]
    )
    numbers = {f"#{output.dvid}": name for name, output in model.outputs.items()}
    wanted = [numbers.get(name, name) or names[0] for name in events.outputs]
    own = events.output[events.records]
    if len(names) == 1:
        return everything[:, 0]
    if (own < 0).any():
        return everything
    return everything[np.arange(len(own)), [names.index(wanted[i]) for i in own]]


Covariates = dict[str, float] | Callable[[float], dict[str, float]]


@dataclass
class _Arrival:
    """A dose on its way into one state."""

    time: float
    state: int
    amount: float  # that reaches the state
    duration: float  # 0: at once


@dataclass
class _Person:
    model: Model
    events: Events
    rows: slice
    values: np.ndarray
    linear: bool
    pending: list[_Arrival] = field(default_factory=list)
    running: list[tuple[float, int, float]] = field(default_factory=list)  # end, state, rate

    def __post_init__(self) -> None:
        self.states = list(self.model.derivatives)
        e = self.events
        self.time = e.time[self.rows]
        self.covariates = []
        for row in range(*self.rows.indices(len(e))):
            known = {}
            for name, covariate in self.model.covariates.items():
                i = e.covariates.index(name)
                factor = units.factor(e.covariate_units[i] or covariate.unit, covariate.unit)
                known[name] = float(e.covariate_values[row, i]) * factor
            self.covariates.append(known)

    # -- the walk over the rows ---------------------------------------------------------------------------------------

    def predict(self, names: Sequence[str]) -> np.ndarray:
        e, first = self.events, self.rows.start
        seen = []
        y = self.initial(0)
        for i, time in enumerate(self.time):
            row = first + i
            if i:
                y = self.advance(y, self.time[i - 1], time, self.between(i))
            if e.evid[row] in (Evid.RESET, Evid.RESET_DOSE):
                self.pending, self.running = [], []
                y = self.initial(i)
            if e.evid[row] in (Evid.DOSE, Evid.RESET_DOSE):
                y = self.give(y, i, row)
            if e.evid[row] == Evid.OBSERVATION:
                known = self.at(time, y, self.covariates[i])
                seen.append([known[name] for name in names])
        return np.array(seen, dtype=float).reshape(-1, len(names))

    def between(self, i: int) -> Covariates:
        """Give the covariates in force between rows i - 1 and i: constant, or a function of time."""
        if self.events.carry == "linear" and self.covariates[i] != self.covariates[i - 1]:
            return lambda time: self.on_the_line(i, time)
        return self.covariates[i if self.events.carry == "nocb" else i - 1]

    def on_the_line(self, i: int, time: float) -> dict[str, float]:
        """Give the covariates at a time between rows i - 1 and i, on the line between them."""
        share = (time - self.time[i - 1]) / (self.time[i] - self.time[i - 1])
        before, after = self.covariates[i - 1], self.covariates[i]
        return {name: before[name] + share * (after[name] - before[name]) for name in after}

    def in_force(self, time: float) -> dict[str, float]:
        """Give the covariates in force at a time that need not be a row's."""
        if self.events.carry == "linear":
            i = int(np.searchsorted(self.time, time, side="left"))
            if 0 < i < len(self.time) and self.time[i] > time:
                return self.on_the_line(i, time)
            return self.covariates[min(i, len(self.time) - 1)]
        if self.events.carry == "nocb":
            i = int(np.searchsorted(self.time, time, side="left"))
        else:
            i = int(np.searchsorted(self.time, time, side="right")) - 1
        return self.covariates[min(max(i, 0), len(self.time) - 1)]

    # -- the equations ------------------------------------------------------------------------------------------------

    def parameters(self, covariates: dict[str, float]) -> dict[str, float]:
        known = dict(covariates) | {name: constant.value for name, constant in self.model.constants.items()}
        for value, (name, parameter) in zip(self.values, self.model.parameters.items()):
            factor = 1.0 if parameter.times is None else float(evaluate(parameter.times, known))
            known[name] = float(value) * factor
        return known

    def at(self, time: float, y: np.ndarray, covariates: dict[str, float]) -> dict[str, float]:
        """Give every name its value at one time."""
        known = self.parameters(covariates) | {"t": time} | dict(zip(self.states, map(float, y)))
        for name, expr in self.model.assignments:
            known[name] = float(evaluate(expr, known))
        return known

    def slope(self, time: float, y: np.ndarray, covariates: Covariates, inflow: np.ndarray) -> np.ndarray:
        known = self.at(time, y, covariates(time) if callable(covariates) else covariates)
        return np.array([float(evaluate(self.model.derivatives[s], known)) for s in self.states]) + inflow

    def initial(self, i: int) -> np.ndarray:
        known = self.without_states(self.covariates[i])
        return np.array([float(evaluate(self.model.initials[s], known)) if s in self.model.initials else 0.0
                         for s in self.states])  # fmt: skip

    def without_states(self, covariates: dict[str, float]) -> dict[str, float]:
        """Give every name its value that does not need the states."""
        known = self.parameters(covariates)
        for name, expr in self.model.assignments:
            try:
                known[name] = float(evaluate(expr, known))
            except KeyError:
                pass
        return known

    # -- time goes on -------------------------------------------------------------------------------------------------

    def advance(self, y: np.ndarray, start: float, end: float, covariates: Covariates) -> np.ndarray:
        """Go from `start` to `end`, stopping wherever a dose arrives or an infusion ends; all due by `end` is done."""
        while True:
            stops = [arrival.time for arrival in self.pending] + [stop for stop, _, _ in self.running]
            stop = min([end, *(s for s in stops if s > start)])
            y = self.solve(y, start, stop, covariates)
            start = stop
            self.running = [infusion for infusion in self.running if infusion[0] > start]
            y = self.arrive(y, start)
            if start >= end:
                return y

    def arrive(self, y: np.ndarray, now: float) -> np.ndarray:
        """Let everything arrive that is due."""
        y = y.copy()
        for arrival in [a for a in self.pending if a.time <= now]:
            self.pending.remove(arrival)
            if arrival.duration > 0:
                self.running.append((arrival.time + arrival.duration, arrival.state, arrival.amount / arrival.duration))
            else:
                y[arrival.state] += arrival.amount
        return y

    def solve(self, y: np.ndarray, start: float, end: float, covariates: Covariates) -> np.ndarray:
        inflow = np.zeros(len(y))
        for _, state, rate in self.running:
            inflow[state] += rate
        if end <= start or not len(y):
            return y
        if self.linear and not callable(covariates):
            # dy/dt = A y + b  is  d(y, 1)/dt = [[A, b], [0, 0]] (y, 1)
            n = len(y)
            b = self.slope(start, np.zeros(n), covariates, inflow)
            a = np.column_stack([self.slope(start, unit, covariates, inflow) - b for unit in np.eye(n)])
            system = np.block([[a, b[:, None]], [np.zeros((1, n + 1))]])
            return (expm(system * (end - start)) @ np.append(y, 1.0))[:n]
        size = max(np.abs(y).max(), np.abs(inflow).max() * (end - start), 1e-3)
        solution = solve_ivp(
            lambda t, x: self.slope(t, x, covariates, inflow), (start, end), y, method="DOP853", rtol=RTOL,
            atol=1e-13 * size, first_step=min(end - start, 1e-3),
        )  # fmt: skip
        if not solution.success:
            raise RuntimeError(f"the reference failed at t = {solution.t[-1]}: {solution.message}")
        return solution.y[:, -1]

    # -- doses --------------------------------------------------------------------------------------------------------

    def route(self, row: int) -> tuple[Route, float]:
        """Give the route of a dosing row, and what turns its amount into the route's unit."""
        e, routes = self.events, self.model.routes
        name = e.routes[e.route[row]]
        numbers = {f"#{route.cmt}": route for route in routes.values()}
        route = next(iter(routes.values())) if name == "" and len(routes) == 1 else routes.get(name) or numbers[name]
        wanted = route.unit or self.model.amount_unit
        return route, units.factor(e.units[e.dose_unit[row]] or wanted, wanted)

    def give(self, y: np.ndarray, i: int, row: int) -> np.ndarray:
        """Record a dosing row: the steady state it asks for, its own dose, the additional ones."""
        e, now = self.events, float(self.events.time[row])
        route, factor = self.route(row)
        if e.ss[row]:
            y = self.steady_state(y, i, row)
            if e.amt[row] == 0:
                return y  # the endless infusion ends at its record
        for number in range(int(e.addl[row]) + 1):
            when = now + number * float(e.ii[row])
            covariates = self.covariates[i] if number == 0 else self.in_force(when)
            for way in route.inputs:
                self.pending.append(self.arrival(row, way, factor, when, covariates))
        # What has no lag is there at once: a row after this one sees it.
        return self.arrive(y, now)

    def arrival(self, row: int, way: Input, factor: float, when: float, covariates: dict[str, float]) -> _Arrival:
        e = self.events
        amount = float(e.amt[row]) * factor
        known = {**self.without_states(covariates), "dose": amount}
        # An additional dose is as late as its record says.
        recorded = {**self.without_states(self.covariates[row - self.rows.start]), "dose": amount}

        def said(name: str, default: float, known: dict[str, float] = known) -> float:
            expr = getattr(way, name)
            return default if expr is None else float(evaluate(expr, known))

        scale, lag, share = said("scale", 1.0), said("lag", 0.0, recorded), said("bioavailability", 1.0)
        mode = Mode(int(e.mode[row]))
        if mode == Mode.AUTO:
            mode = (
                Mode.MODELLED_RATE
                if way.rate is not None
                else Mode.MODELLED_DURATION
                if way.duration is not None
                else Mode.BOLUS
            )
        if mode in (Mode.RATE, Mode.MODELLED_RATE):
            rate = float(e.rate[row]) * factor if mode == Mode.RATE else said("rate", np.nan)
            duration = share * amount / rate  # F changes the duration
        elif mode in (Mode.DURATION, Mode.MODELLED_DURATION):
            duration = float(e.dur[row]) if mode == Mode.DURATION else said("duration", np.nan)  # F changes the rate
        else:
            duration = 0.0
        return _Arrival(when + lag, self.states.index(way.into), scale * share * amount, duration)

    def steady_state(self, y: np.ndarray, i: int, row: int) -> np.ndarray:
        """Give the state that an endless train of this dose leaves at its record, by repeating it.

        The train is already late by its lag, and its last infusions go on after the record. SS = 1 puts it in the
        place of everything; SS = 2 adds what the train changes to what is there.
        """
        e, now, every = self.events, float(self.events.time[row]), float(self.events.ii[row])
        covariates = self.covariates[i]
        base = self.initial(i)
        train = _Person(self.model, e, self.rows, self.values, self.linear)
        if e.amt[row] == 0:
            found = train.endless_infusion(base, row, covariates)
        else:
            found = train.endless_doses(base, row, every, now, covariates)
        if e.ss[row] == 1:
            self.pending, self.running = train.pending, train.running
            return found
        alone = _Person(self.model, e, self.rows, self.values, self.linear).settle(base, now, covariates)
        self.pending += train.pending
        self.running += train.running
        return y + found - alone

    def endless_doses(
        self, y: np.ndarray, row: int, every: float, now: float, covariates: dict[str, float]
    ) -> np.ndarray:
        """Repeat a dose every `every` until nothing changes from one cycle to the next; the last cycle ends `now`."""
        route, factor = self.route(row)
        memory = 2
        for way in route.inputs:
            one = self.arrival(row, way, factor, 0.0, covariates)
            memory = max(memory, int((one.time + one.duration) / every) + 2)
        # Cycle after cycle on the same clock, [now - every, now]: what is under way moves back by one cycle.
        for cycle in range(ENOUGH_CYCLES):
            before = y
            self.pending = [_Arrival(a.time - every, a.state, a.amount, a.duration) for a in self.pending]
            self.running = [(end - every, state, rate) for end, state, rate in self.running]
            for way in route.inputs:
                self.pending.append(self.arrival(row, way, factor, now - every, covariates))
            y = self.arrive(y, now - every)
            y = self.advance(y, now - every, now, covariates)
            if cycle > memory and np.all(np.abs(y - before) <= 1e-13 * np.abs(y).max()):
                break
        return y

    def endless_infusion(self, y: np.ndarray, row: int, covariates: dict[str, float]) -> np.ndarray:
        """Infuse for ever."""
        route, factor = self.route(row)
        rates = []
        for way in route.inputs:
            scale = 1.0 if way.scale is None else float(evaluate(way.scale, self.without_states(covariates)))
            rates.append((np.inf, self.states.index(way.into), scale * float(self.events.rate[row]) * factor))
        self.running = rates
        y = self.settle(y, float(self.events.time[row]), covariates)
        self.running = []
        return y

    def settle(self, y: np.ndarray, now: float, covariates: dict[str, float]) -> np.ndarray:
        """Wait, in ever longer spans, until nothing changes."""
        span = 1.0
        for _ in range(60):
            before = y
            y = self.solve(y, now - span, now, covariates)
            if np.all(np.abs(y - before) <= 1e-12 * np.abs(y).max()):
                return y
            span = min(2 * span, 1e4)
        return y
