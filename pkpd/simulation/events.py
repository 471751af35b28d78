"""When events happen: their times drawn from the hazard of a model, at the design of a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd import units
from pkpd.data import Dataset, Events, Evid
from pkpd.engine import bind, predict
from pkpd.errors import Finding, MismatchError, SolveError, raise_all
from pkpd.likelihood import Problem, make_problem
from pkpd.likelihood.hazard import Exposure, event_outputs, watched
from pkpd.likelihood.observations import with_rows
from pkpd.likelihood.redraw import draw_people, draw_places, with_observations
from pkpd.model.observed import is_likelihood
from pkpd.simulation.source import read_source
from pkpd.streams import addresses, check_seed, uniforms

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.likelihood.observations import Observations
    from pkpd.likelihood.population import Population
    from pkpd.model import Model

__all__ = ["simulate_events"]

#: Pieces into which a follow-up is cut, beside its own rows, to find where an event lies.
_PIECES = 32
#: How near the hazard summed up has to come to where an event happens; steps that may take.
_NEAR, _STEPS = 1e-9, 80
#: Events of one subject before its hazard is refused.
_MOST = 10_000


def simulate_events(
    given: Model | Fit,
    data: Dataset,
    *,
    seed: int,
    replicate: int = 0,
    repeated: bool = False,
    visits: bool = False,
    threads: int | None = None,
) -> Dataset:
    """Draw when events happen to the people of a data set, and what else is observed of them.

    Everybody has random effects drawn from the model, and the doses and covariates of the data. The follow-up of an
    output with events goes from the subject's first row to its last record of that output. An event happens where the
    hazard, summed up by the engine, reaches an exponential number: found by Newton's method, to the tolerance of the
    engine. Observations of other outputs are drawn by their laws at their times, and censored as those of the data are.

    Parameters
    ----------
    given : Model or Fit
        A fit draws at its estimates.
    data : Dataset
        The design; what its records of events say does not matter, but DV has to be 0 or 1.
    seed, replicate : int
        Which random numbers: each is a function of these and of the name of the subject.
    repeated : bool
        Whether events go on happening; otherwise the first ends the follow-up of its output.
    visits : bool
        Whether events are noted at the records of the design alone (DV 1, CENS 1 where some have happened since the
        one before); otherwise at their own time.
    threads : int, optional

    Returns
    -------
    Dataset
        With the rows of the design, on which nothing is observed of events now (EVID 2), and those of the events: DV 1
        at each, DV 0 at the end of a follow-up that goes on to its end.

    Raises
    ------
    MismatchError
        The data do not go with the model, hold no record of an output with events, hold one of an output that is its
        own log likelihood, or their TIME starts again.
    SolveError
        The hazard cannot be summed up for somebody.
    """
    seed = check_seed(seed, why="the times of events are drawn at random", where="simulate_events(seed=...)")
    model = read_source(given).model
    problem = make_problem(model, data, occasions=True)
    _check(model, problem, data)
    population = _population(problem, threads)
    purpose = "simulate_events"
    drawn, values, psi = draw_people(population, population.start, seed=seed, replicate=replicate, purpose=purpose)
    got = drawn.predict(values, threads=threads)
    got.raise_failures()
    u = draw_places(population, seed=seed, replicate=replicate, purpose=purpose)
    y = population.density.draw(got.f, psi[population.subject], u)
    seen = with_observations(population, y).problem.observations
    happened = {}
    for k in np.intersect1d(event_outputs(model), seen.output):
        follow = _FollowUp.of(drawn, int(k), values, threads)
        name = f"{purpose}: {list(model.outputs)[k]}"
        happened[int(k)] = follow.times(*follow.draw(name, seed, replicate, repeated))
    return _written(data, problem, seen, happened, repeated=repeated, visits=visits)


def _population(problem: Problem, threads: int | None) -> Population:
    from pkpd.estimation.population import population_of

    return population_of(problem, censoring="M3", threads=threads, where="simulate_events()", alike=True)


def _check(model: Model, problem: Problem, data: Dataset) -> None:
    """Refuse designs of which nothing can be drawn."""
    found, seen = [], problem.observations
    outputs = list(model.outputs.values())
    for k in np.unique(seen.output):
        if is_likelihood(outputs[k]):
            found.append(
                Finding(
                    code="likelihood",
                    where=seen.where(int(np.flatnonzero(seen.output == k)[0])),
                    what=f"{outputs[k].name} is its own log likelihood, which does not say how to draw.",
                    remedy=f"Leave out the rows of {outputs[k].name}.",
                )
            )
    if not np.isin(event_outputs(model), seen.output).any():
        names = [outputs[k].name for k in event_outputs(model)]
        found.append(
            Finding(
                code="events",
                where=data.origin,
                what="there is no record of an event.",
                expected=f"Records of {' or '.join(names)} (DV 0 or 1) that say how long it is watched."
                if names
                else "A model with an output of the kind event.",
                remedy="Add one at the end of the follow-up of each subject, with DV 0.",
            )
        )
    if (data.clock != data.columns["TIME"]).any():
        found.append(
            Finding(
                code="time",
                where=data.origin,
                what="TIME starts again within a subject.",
                expected="One clock for the times of events.",
                remedy="Let TIME go on.",
            )
        )
    if found:
        raise_all(MismatchError, found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _FollowUp:
    """How long everybody is watched for the events of one output, and the hazard that is gone through meanwhile.

    Times are in the unit of the model.

    Parameters
    ----------
    problem : Problem
    events : Events
    output : int
    values : (S, P) float
    threads : int or None
    begins, ends : (S,) float
        NaN for those who are not watched.
    total : (S,) float
        The hazard of the whole follow-up.
    """

    problem: Problem
    events: Events
    output: int
    values: np.ndarray
    threads: int | None
    begins: np.ndarray
    ends: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, problem: Problem, output: int, values: np.ndarray, threads: int | None) -> _FollowUp:
        """Give that of an output of a problem, at parameters (S, P)."""
        model, seen = problem.model, problem.observations
        events = problem.events.in_time_unit(model.time_unit)
        own = np.flatnonzero(seen.output == output)
        ends = np.full(len(problem.subjects), np.nan)
        # Records of a subject are in order of time, on the clock of the events.
        engine = np.flatnonzero(events.evid == Evid.OBSERVATION)
        ends[seen.subject[own]] = events.time[engine[problem.record[own]]]
        begins = np.where(np.isfinite(ends), events.time[events.start[:-1]], np.nan)
        found = cls(
            problem=problem, events=events, output=output, values=values, threads=threads, begins=begins, ends=ends,
            total=np.zeros(len(ends)),
        )  # fmt: skip
        watched_ = np.flatnonzero(np.isfinite(ends))
        total = np.zeros(len(ends))
        total[watched_] = found.summed(watched_, ends[watched_])[0]
        return replace(found, total=total)

    def summed(self, who: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum up the hazard of subjects (m,) from the beginning up to times (m,); give the hazard there, too."""
        order = np.lexsort((time, who))
        subject, when, events = who[order], time[order], self.events
        at = _places(events, subject, when)
        names = list(self.problem.model.outputs)
        outputs = (*events.outputs, names[self.output])
        own, _, added = with_rows(
            replace(events, outputs=outputs), at, when, np.full(at.size, len(outputs) - 1), subject=subject
        )
        kinds = np.full(at.size, self.output)
        own, kept, places = watched(own, self.problem.model, [self.output], added, kinds)
        number = np.append(np.cumsum(own.evid == Evid.OBSERVATION) - 1, -1)
        exposure = Exposure(ends=number[np.where(places >= 0, places, -1)])
        program = self.problem.program
        solved = predict(program, bind(program, own), self.values, threads=self.threads)
        solved.raise_failures()
        gained, hazard = exposure.since(solved.f), solved.f[number[kept[added]]]
        if (hazard < 0).any() or not np.isfinite(hazard).all() or (gained < -_NEAR).any():
            s = int(subject[np.flatnonzero(~(hazard >= 0) | (gained < -_NEAR))[0]])
            raise SolveError(
                f"the hazard {names[self.output]} is below 0, or no number.",
                where=f"simulate_events(), ID {self.problem.subjects[s]}",
                expected="A hazard of 0 or more at every time.",
                remedy="Check the equations, and the values of the parameters.",
            )
        rising = np.cumsum(gained)
        first = np.searchsorted(subject, subject)
        back = np.empty(order.size, dtype=np.int64)
        back[order] = np.arange(order.size)
        return (rising - (rising - gained)[first])[back], hazard[back]

    def draw(self, purpose: str, seed: int, replicate: int, repeated: bool) -> tuple[np.ndarray, np.ndarray]:
        """Give what the hazard has to reach for each event that happens: whose it is, and how much, (m,) each."""
        address = addresses(self.problem.subjects)
        number, wide = np.full(len(address), replicate), 1
        while True:
            steps = -np.log(uniforms(seed, purpose, address, number, wide))
            goals = np.cumsum(steps, axis=1)
            if not repeated or (goals[:, -1] > self.total).all():
                break
            wide *= 2
            if wide > _MOST:
                s = int(np.argmax(self.total))
                raise SolveError(
                    f"{self.total[s]:g} events are expected of ID {self.problem.subjects[s]}.",
                    where="simulate_events(repeated=True)",
                    expected=f"Fewer than {_MOST} of everybody.",
                    remedy="Check the hazard and its unit.",
                )
        who, place = np.nonzero(goals <= self.total[:, None])
        return who, goals[who, place]

    def times(self, who: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give whose event it is and its time, (m,) each, where the hazard summed up reaches the goals."""
        low, high = self._bracket(who, goal)
        at = 0.5 * (low + high)
        for _ in range(_STEPS if who.size else 0):
            reached, hazard = self.summed(who, at)
            off = reached - goal
            low, high = np.where(off < 0, at, low), np.where(off < 0, high, at)
            if (np.abs(off) <= _NEAR * (1 + goal)).all():
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                step = at - off / hazard
            at = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        return who, at

    def _bracket(self, who: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Between which times of a grid the goals are reached."""
        people = np.flatnonzero(np.isfinite(self.ends))
        share = np.linspace(0, 1, _PIECES + 1)
        grid = self.begins[people, None] + share * (self.ends - self.begins)[people, None]
        grid[:, -1] = self.ends[people]
        subject = np.repeat(people, grid.shape[1])
        reached = self.summed(subject, grid.ravel())[0].reshape(grid.shape)
        row = np.searchsorted(people, who)
        place = np.clip((reached[row] < goal[:, None]).sum(axis=1), 1, _PIECES)
        return grid[row, place - 1], grid[row, place]


def _places(events: Events, subject: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Give the first row of each subject (m,) that is not before its time (m,); the end of its rows if all are."""
    who = np.concatenate([events.subject, subject])
    when = np.concatenate([events.time, time])
    asked = np.repeat([1, 0], [len(events), subject.size])  # what is asked for comes first at its time
    order = np.lexsort((asked, when, who))
    before = np.empty(order.size, dtype=np.int64)
    before[order] = np.cumsum(order < len(events))
    return before[len(events) :]


def _written(
    data: Dataset,
    problem: Problem,
    seen: Observations,
    happened: dict[int, tuple[np.ndarray, np.ndarray]],
    *,
    repeated: bool,
    visits: bool,
) -> Dataset:
    """Give the data with what was drawn: observations `seen`, and for every output whose event it is, and its time."""
    model, events = problem.model, data.events()
    rows = np.flatnonzero((data.columns["EVID"] == Evid.OBSERVATION) & (data.columns["MDV"] == 0))
    columns = {name: column.copy() for name, column in data.columns.items()}
    per_unit = units.factor(data.time_unit, model.time_unit) if data.time_unit else 1.0
    _observed(columns, rows, seen, _factors(data, model, events, rows, seen))
    more: list[dict[str, np.ndarray]] = []
    for k, (who, when) in happened.items():
        mine = np.flatnonzero(seen.output == k)
        own, subject, time = rows[mine], seen.subject[mine], columns["TIME"][rows[mine]]
        off = own
        if visits:
            number = _since(subject, time, who, when / per_unit)
            columns["DV"][own], columns["CENS"][own] = number > 0, number > 0
            before = np.cumsum(number > 0) - (number > 0)
            later = before > before[np.searchsorted(subject, subject)]
            off = own[later & (not repeated)]
        columns["EVID"][off], columns["MDV"][off], columns["CENS"][off] = Evid.OTHER, 1, 0
        columns["DV"][off] = np.nan
        if not visits:
            people, first = np.unique(subject, return_index=True)
            last = np.searchsorted(subject, people, side="right") - 1
            until = np.ones(people.size, dtype=bool) if repeated else ~np.isin(people, who)
            at = np.concatenate([own[first[np.searchsorted(people, who)]], own[last[until]]])
            dv = np.repeat([1.0, 0.0], [who.size, int(until.sum())])
            new = {name: column[at] for name, column in columns.items()}
            new["TIME"] = np.concatenate([when / per_unit, time[last[until]]])
            new |= {"DV": dv, "EVID": 0 * at, "MDV": 0 * at, "CENS": 0 * at, "ROW": 0 * at - 1}
            more.append(new)
    whole = {name: np.concatenate([columns[name], *(new[name] for new in more)]) for name in columns}
    added = len(whole["TIME"]) - data.rows
    place = {name: i for i, name in enumerate(data.ids)}
    who = np.array([place[name] for name in whole["ID"].tolist()], dtype=np.int64)
    order = np.lexsort((np.arange(who.size), whole["TIME"], who))
    made = replace(
        data,
        columns={name: column[order] for name, column in whole.items()},
        covariates={n: np.append(v, np.full(added, np.nan))[order] for n, v in data.covariates.items()},
        origin=f"{data.origin}, simulated",
        path=None,
        notes=(*data.notes, f"Simulated from {model.name}."),
    )
    return replace(made, sha256=made.digest)


def _factors(data: Dataset, model: Model, events: Events, rows: np.ndarray, seen: Observations) -> np.ndarray:
    """What turns the unit of the data into that of the output, for every record (n,)."""
    found = np.ones(rows.size)
    named = np.array([*events.outputs, ""])[events.output[rows]]
    outputs = list(model.outputs.values())
    for name in np.unique(named):
        own = np.flatnonzero(named == name)
        unit = data.dv_unit(str(name))
        if unit is not None:
            found[own] = units.factor(unit, outputs[seen.output[own[0]]].unit)
    return found


def _observed(columns: dict[str, np.ndarray], rows: np.ndarray, seen: Observations, factor: np.ndarray) -> None:
    """Write observations as columns of NONMEM's kind say them."""
    factor = np.where(np.isfinite(seen.ref), 1.0, factor)  # a change is in percent
    low = seen.censored & np.isneginf(seen.lower)
    value = np.where(seen.censored, np.where(low, seen.upper, seen.lower), seen.dv)
    columns["DV"][rows] = value / factor
    columns["CENS"][rows] = np.where(seen.censored, np.where(low, 1, -1), 0)


def _since(subject: np.ndarray, time: np.ndarray, who: np.ndarray, when: np.ndarray) -> np.ndarray:
    """How many events (m,) lie between each record (n,) and the one before of its subject; both in order of subject."""
    everyone = np.concatenate([subject, who])
    order = np.lexsort((np.repeat([1, 0], [subject.size, who.size]), np.concatenate([time, when]), everyone))
    risen = np.empty(order.size, dtype=np.int64)
    risen[order] = np.cumsum(order >= subject.size)
    upto = risen[: subject.size]
    follows = np.zeros(subject.size, dtype=bool)
    follows[1:] = subject[1:] == subject[:-1]
    start = np.searchsorted(np.sort(who), subject)  # events of the subjects before
    return upto - np.where(follows, np.roll(upto, 1), start)
