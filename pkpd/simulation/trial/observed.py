"""The observations of a trial, drawn by the law of the likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd import units
from pkpd.data import Dataset, Evid
from pkpd.errors import MismatchError, SolveError
from pkpd.likelihood import Observations, make_problem
from pkpd.likelihood.redraw import simulate_population
from pkpd.simulation.residual import check_drawable, stand_in, what_is_drawn
from pkpd.simulation.source import read_source
from pkpd.simulation.trial.rows import check_chance, keep, sealed, stayed, whole
from pkpd.streams import check_seed

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.likelihood.population import Population
    from pkpd.model import Model
    from pkpd.simulation.source import Source
    from pkpd.simulation.trial.design import Trial

__all__ = ["simulate_trial"]


def simulate_trial(
    trial: Trial, given: Model | Fit, *, seed: int, replicate: int, uncertainty: bool, threads: int | None
) -> Dataset:
    """Give data as the trial might bring them; see :meth:`Trial.simulate`."""
    seed = check_seed(seed, why="what is observed is drawn at random", where="Trial.simulate(seed=...)")
    check_chance(trial, seed, replicate, "Trial.simulate")
    source = read_source(given)
    data = whole(trial, seed, replicate)
    rows = np.flatnonzero(data.columns["EVID"] == Evid.OBSERVATION)
    columns = {name: column.copy() for name, column in data.columns.items()}
    check_drawable(source.model, trial.visits, "Trial.simulate()")
    _check_limits(trial, source.model)
    for name in trial.visits:
        own = rows[columns["DVID"][rows] == name]
        columns["DV"][own] = stand_in(source.model.outputs[name]) if name in source.model.outputs else 0.0
    columns["MDV"][rows] = 0
    data = replace(data, columns=columns)
    population = _population(source.model, data, threads)
    x = _outer(population, source, seed, replicate, uncertainty)
    drawn = simulate_population(population, x, seed=seed, replicate=replicate, purpose="trial").problem.observations
    _check_drawn(drawn, source.model)
    outputs = list(source.model.outputs.values())
    said = {name: trial.units.get(name, source.model.outputs[name].unit) for name in trial.visits}
    factor = np.array([units.factor(one.unit, said[one.name]) if one.name in said else 1.0 for one in outputs])
    limit = columns["LLOQ"][rows]
    columns = {name: column.copy() for name, column in data.columns.items()}
    columns["CENS"][rows] = drawn.censored
    columns["DV"][rows] = np.where(drawn.censored, limit, drawn.dv * factor[drawn.output])
    notes = [f"Simulated from {source.model.name} ({source.origin}), seed {seed}, replicate {replicate}."]
    if uncertainty:
        notes += ["Typical values are drawn too.", *source.typical.notes]
    data = replace(data, columns=columns, units={**data.units, "DV": said}, notes=tuple(notes))
    return sealed(keep(data, stayed(trial, seed, replicate)))


def _population(model: Model, data: Dataset, threads: int | None) -> Population:
    """Give the model and the design with random effects and the laws of the observations."""
    from pkpd.estimation.population import population_of

    problem = make_problem(model, data, occasions=True)
    return population_of(problem, censoring="M3", threads=threads, where="Trial.simulate()", alike=True)


def _outer(population: Population, source: Source, seed: int, replicate: int, uncertainty: bool) -> np.ndarray:
    """Give the outer parameters: those of the model, with typical values that are drawn where it is asked for."""
    x = population.start.copy()
    if uncertainty:
        (drawn,) = source.typical.draw(seed, np.array([replicate - 1]))
        there = dict(zip(source.model.parameters, drawn))
        for k, name in enumerate(population.effects.typical):
            x[k] = there.get(name, x[k])
    return x


def _check_limits(trial: Trial, model: Model) -> None:
    for name in trial.lloq:
        kind = model.outputs[name].kind if name in model.outputs else None
        if kind is not None:
            raise MismatchError(
                f"`{name}` is a {kind.key}, and has a limit of quantification.",
                where="Trial.simulate(), lloq",
                expected="Limits of measured amounts; the ends of a score are part of its law.",
                remedy=f"Leave out the limit of {name}.",
            )


def _check_drawn(drawn: Observations, model: Model) -> None:
    """Refuse observations that are no numbers, with who, when, and what their law asks for."""
    wrong = np.flatnonzero(~np.isfinite(drawn.dv))
    if wrong.size:
        output = list(model.outputs.values())[drawn.output[wrong[0]]]
        asked, remedy = what_is_drawn(output)
        raise SolveError(
            f"{wrong.size} of {drawn.dv.size} observations have no value, the first of {output.name}.",
            where=f"Trial.simulate(), {drawn.where(int(wrong[0]))}",
            expected=f"A model that can be solved for everybody{asked}.",
            remedy=f"{remedy} To look at the people: pkpd.simulate(model, regimen, n=..., seed=...).",
        )
