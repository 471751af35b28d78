"""Observations beside predictions: residual errors drawn by the law of the likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data import read_data
from pkpd.errors import SolveError, UsageError
from pkpd.likelihood import Prediction, Problem, make_problem
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population
from pkpd.streams import check_seed

if TYPE_CHECKING:
    from pkpd.model import Model
    from pkpd.simulation.covariates import Covariates

__all__ = ["Observer", "observer"]

SUFFIX = "_observed"
RESIDUAL = "residual error"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given(Problem):
    """A problem whose predictions are known already."""

    f: np.ndarray

    def predict(self, values: np.ndarray, **_: Any) -> Prediction:
        """Give the known predictions, whatever the parameters."""
        return Prediction(f=self.f, df=None, solved=None)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observer:
    """Draws what would be observed where predictions are known.

    Parameters
    ----------
    outputs : tuple of str
        O outputs with a residual error.
    person : Population
        One person with a record of every output at every time in every arm.
    seed : int
    """

    outputs: tuple[str, ...]
    person: Population
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """O names of what is observed."""
        return tuple(f"{name}{SUFFIX}" for name in self.outputs)

    def draw(self, f: np.ndarray, draws: range, subjects: range) -> np.ndarray:
        """Give the observations of some subjects in some draws.

        Parameters
        ----------
        f : (A, d, n, T, O) float
            Predictions of the outputs.
        draws, subjects : range
            Who they are; the numbers of each depend on nobody else.

        Returns
        -------
        (A, d, n, T, O) float

        Raises
        ------
        SolveError
            The law has no value for a prediction, such as a log-normal one that is not above 0.
        """
        arms, _, count, times, outputs = f.shape
        problem = self.person.problem
        rows, copy = problem.records_of(np.zeros(count, dtype=np.int64))
        seen = replace(
            problem.observations.subset(rows), people=tuple(str(subject + 1) for subject in subjects), subject=copy
        )
        known = {one.name: getattr(problem, one.name) for one in fields(Problem)}
        known |= {"observations": seen, "residuals": problem.residuals.subset(rows)}
        density = self.person.density.subset(rows)
        found = np.empty_like(f)
        for d, draw in enumerate(draws):
            # The records of a person: arm by arm, time by time, output by output.
            own = np.ascontiguousarray(f[:, d].transpose(1, 0, 2, 3)).reshape(-1)
            here = replace(self.person, problem=_Given(**known, f=own), density=density)
            drawn = simulate_population(here, here.start, seed=self.seed, replicate=draw, purpose="residual error")
            y = drawn.problem.observations.dv.reshape(count, arms, times, outputs)
            found[:, d] = y.transpose(1, 0, 2, 3)
        self._check(found, f, subjects)
        return found

    def _check(self, found: np.ndarray, f: np.ndarray, subjects: range) -> None:
        wrong = np.argwhere(~np.isfinite(found))
        if len(wrong):
            _, _, subject, _, output = at = tuple(wrong[0])
            raise SolveError(
                f"`{self.outputs[output]}` is {f[at]:g}, where nothing can be observed under its residual error.",
                where=f"simulate(residual=True), subject {subjects[subject] + 1}",
                expected="Predictions that the law allows: above 0 for a log-normal error.",
                remedy="Leave these times out (a log-normal error allows no prediction of 0), or give the output "
                "another error.",
            )


def observer(
    model: Model, observed: tuple[str, ...], covariates: Covariates, *, arms: int, times: int, seed: int | None
) -> Observer:
    """Give what draws the observations of a simulation.

    Parameters
    ----------
    model : Model
    observed : tuple of str
        What the simulation gives; the outputs among them are observed.
    covariates : Covariates
    arms, times : int
        How many there are.
    seed : int or None

    Raises
    ------
    UsageError
        There is no seed; nothing among `observed` is an output, or one has no residual error; or residual SDs are
        correlated with parameters.
    """
    from pkpd.estimation.population import population_of

    where = "simulate(residual=True)"
    seed = check_seed(seed, why="residual error is drawn at random")
    outputs = tuple(name for name in observed if name in model.outputs)
    without = [name for name in outputs if not model.outputs[name].residual_names]
    if not outputs or without:
        raise UsageError(
            f"`{without[0]}` has no residual error." if without else "No output is simulated.",
            where=where,
            expected="Outputs with a residual error.",
            remedy=f"Give add, prop or log to [outputs] {without[0]}." if without else "Name one in observe.",
        )
    for block in model.blocks:
        own = [name for name in block.parameters if name in outputs]
        if block.kind == "iiv" and own and len(own) < len(block.parameters):
            raise UsageError(
                f"the residual SD of {', '.join(own)} goes with parameters of a person (a block of omega).",
                where=where,
                expected="Random effects on residual SDs that stand alone.",
                remedy="Simulate a Trial: its people have all their random effects together.",
            )
    taken = [f"{name}{SUFFIX}" for name in outputs if f"{name}{SUFFIX}" in observed]
    if taken:
        raise UsageError(
            f"`{taken[0]}` is in the model already.", where=where, expected=f"No name with {SUFFIX}.",
            remedy="Rename it in the model, or leave it out of observe.",
        )  # fmt: skip
    records = arms * times
    table: Mapping[str, Any] = {
        "ID": ["1"] * (records * len(outputs)),
        "TIME": np.repeat(np.arange(records, dtype=float), len(outputs)),
        "DV": np.ones(records * len(outputs)),
        "DVID": list(outputs) * records,
    }
    own = {**covariates.shared, **{name: float(values[0]) for name, values in covariates.each.items()}}
    own = {name: own[name] for name in model.covariates if name in own}
    data = read_data(table)
    data = replace(data, covariates={name: np.full(data.rows, value) for name, value in own.items()})
    person = population_of(
        make_problem(model.replace(mixture={}) if model.mixture else model, data),
        censoring="M3",
        threads=None,
        where=where,
        alike=True,
    )
    return Observer(outputs=outputs, person=person, seed=seed)
