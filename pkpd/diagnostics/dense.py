"""Predictions between the records: everybody's curve on a fine grid of times, in one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd import engine
from pkpd.data import Evid
from pkpd.data.events import Events
from pkpd.likelihood.match import which_output
from pkpd.likelihood.observations import with_rows
from pkpd.likelihood.problem import Problem

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["Grid", "dose_times", "individual_values", "make_grid"]

#: Where, between a dose and the next one, curves are looked at besides; the last place is just before the next dose.
_WITHIN = (0.0, 0.04, 0.1, 0.2, 0.4, 0.7, 0.999)
#: More times than these, for all, are too many to look at each dose so closely.
_MOST = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Times for everybody, and where these stand among what the engine gives.

    Parameters
    ----------
    schedule : engine.Schedule
    program : engine.Program
    subject : (m,) int
    time : (m,) float
        On the clock of the data, which runs on where TIME starts again.
    output : (m,) int
        Of the model.
    place : (m,) int
        Among the engine's records.
    """

    schedule: engine.Schedule
    program: engine.Program
    subject: np.ndarray
    time: np.ndarray
    output: np.ndarray
    place: np.ndarray

    def predict(
        self, values: np.ndarray, *, sensitivities: tuple[str, ...] = (), threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Give predictions (m,), and derivatives (m, D), at natural values (S, P) of each subject."""
        got = engine.predict(self.program, self.schedule, values, sensitivities=sensitivities, threads=threads)
        return got.f[self.place], None if got.df is None else got.df[self.place]


def make_grid(problem: Problem, points: int, outputs: list[int]) -> Grid:
    """Give a grid: so many times evenly from the first row of each subject to its last, and more after each dose."""
    events = problem.events
    low, high = events.time[events.start[:-1]], events.time[events.start[1:] - 1]
    people = len(low)
    spread = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, points)
    who, doses = dose_times(events)
    last = np.append(who[1:] != who[:-1], True)[: len(who)]
    after = np.where(last, high[who], np.append(doses[1:], 0.0)[: len(who)]) if len(who) else doses
    within = np.array(_WITHIN if len(who) * len(_WITHIN) <= _MOST else (0.0, 0.999))
    near = doses[:, None] + np.maximum(after - doses, 0.0)[:, None] * within
    subject = np.concatenate([np.repeat(np.arange(people), points), np.repeat(who, len(within)), events.subject])
    time = np.concatenate([spread.ravel(), near.ravel(), events.time])
    time = np.clip(time, low[subject], high[subject])
    order = np.lexsort((time, subject))
    subject, time = subject[order], time[order]
    new = np.append(True, (np.diff(subject) > 0) | (np.diff(time) > 0))
    subject, time = subject[new], time[new]
    meant = which_output(problem.model, events.outputs)
    own = {int(k): j for j, k in reversed(list(enumerate(meant)))}
    subject, time, output = (
        np.tile(subject, len(outputs)), np.tile(time, len(outputs)), np.repeat(outputs, len(time)),
    )  # fmt: skip
    at = _after(events, subject, time)
    order = np.lexsort((output, time, subject))
    subject, time, output, at = subject[order], time[order], output[order], at[order]
    which = np.array([own[int(k)] for k in outputs])[np.searchsorted(outputs, output)]
    grown, _, added = with_rows(events, at, time, which, subject=subject)
    number = np.cumsum(grown.evid == Evid.OBSERVATION) - 1
    return Grid(schedule=engine.bind(problem.program, grown), program=problem.program, subject=subject, time=time,
                output=output, place=number[added])  # fmt: skip


def dose_times(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """Give whose each dose is, and when it is given, additional ones up to the subject's last row; in their order."""
    rows = np.flatnonzero(np.isin(events.evid, (Evid.DOSE, Evid.RESET_DOSE)))
    end = events.time[events.start[1:] - 1][events.subject[rows]]
    interval = np.where(events.ii[rows] > 0, events.ii[rows], np.inf)
    count = 1 + np.minimum(events.addl[rows], np.floor((end - events.time[rows]) / interval)).astype(int).clip(0)
    which = np.repeat(np.arange(len(rows)), count)
    number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    time = events.time[rows][which] + np.where(number > 0, number * events.ii[rows][which], 0.0)
    who = events.subject[rows][which]
    order = np.lexsort((time, who))
    return who[order], time[order]


def individual_values(case: Case) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Give the problem, each subject in its class, and natural values of the engine: individual and typical, (S, P).

    Of fits without random effects both are the same. NaN: a subject whose fit failed.
    """
    population, problem = case.population, case.population.problem
    if population.mixture is not None and "mixture" in case.fit.tree.children:
        place = {name: k for k, name in enumerate(population.mixture.names)}
        said = case.fit["mixture"]["most_probable"].sel(subject=list(problem.subjects)).values
        problem = problem.in_class(np.array([place[str(name)] for name in said]))
    effects, names = population.effects, problem.program.parameters
    people, z = len(problem.subjects), population.start[: len(population.effects.typical)]
    b = np.zeros((people, len(effects.names)))
    typical, _ = effects.natural(effects.arguments(z, b), names)
    if "etas" in case.fit.tree.children:
        own = case.fit["etas"]["eta"].sel(subject=list(problem.subjects))
        known = set(own["effect"].values.tolist())
        for k, name in enumerate(effects.names):
            if name in known:
                b[:, k] = own.sel(effect=name).values
        individual, _ = effects.natural(effects.arguments(z, b), names)
        return problem, individual, typical
    own = case.fit["subjects"]["individual"].sel(subject=list(problem.subjects))
    individual = typical.copy()
    for k, name in enumerate(names):
        if name in own["parameter"].values:
            individual[:, k] = own.sel(parameter=name).values
    return problem, individual, individual


def _after(events: Events, subject: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The row before which a time stands, after all rows of its subject at that time."""
    low, high = events.time[events.start[:-1]], events.time[events.start[1:] - 1]
    width = 2.0 * np.where(high > low, high - low, 1.0)
    key = events.subject + (events.time - low[events.subject]) / width[events.subject]
    return np.searchsorted(key, subject + (time - low[subject]) / width[subject], side="right")
