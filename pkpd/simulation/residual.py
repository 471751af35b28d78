"""Observations beside predictions: residual errors drawn by the law of the likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data import read_data
from pkpd.errors import Finding, MismatchError, SolveError, UsageError, raise_all
from pkpd.likelihood import Prediction, Problem, make_problem
from pkpd.likelihood.discrete import Discrete, Levels
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population
from pkpd.model.kind import Binary, Count, Score
from pkpd.streams import check_seed

if TYPE_CHECKING:
    from pkpd.model import Model, Output
    from pkpd.simulation.covariates import Covariates

__all__ = ["Observer", "check_drawable", "observer", "stand_in", "what_is_drawn"]

SUFFIX = "_observed"


def stand_in(output: Output) -> float:
    """Give a value that an observation of an output may have, until it is drawn."""
    law = Discrete.of(output, {name: k for k, name in enumerate(output.residual_names)})
    return 1.0 if law is None else float(law.levels[0]) if isinstance(law, Levels) else 0.0


def what_is_drawn(output: Output) -> tuple[str, str]:
    """Say what the law of an output asks of predictions (after "A model that can be solved"), and what to do."""
    kind, name = output.kind, output.name
    if isinstance(kind, Score) and kind.scale == "score":
        return (
            f", in whom {name} stays between {kind.lower:g} and {kind.upper:g}, as scores do",
            f"Hold {name} within the range, as min(max(..., {kind.lower:g}), {kind.upper:g}) does, or write its "
            'equations on the logit scale (scale = "latent").',
        )
    if isinstance(kind, Binary) and kind.scale == "probability":
        return f", in whom {name} is a probability", 'Write its equation on the logit scale (scale = "logit").'
    if isinstance(kind, Count):
        return f", in whom {name}, the mean of a count, is not below 0", "Keep it above 0, as exp() does."
    if output.log is not None:
        return (
            f", in whom {name} is above 0, as its log-normal error asks",
            f"Give {name} another error.",
        )
    return "", "Look at the equations, and at covariates that are drawn beyond what they allow."


def check_drawable(model: Model, outputs: Iterable[str], where: str) -> None:
    """Refuse outputs whose observations no law can draw.

    Raises
    ------
    MismatchError
        One has no residual error, or is an event or a likelihood of its own.
    """
    found = []
    for output in (model.outputs[name] for name in outputs if name in model.outputs):
        law = Discrete.of(output, {name: k for k, name in enumerate(output.residual_names)})
        if law is not None and not law.draws:
            found.append((f"`{output.name}` cannot be drawn: {output.law}.", "Leave this output out."))
        elif law is None and not output.residual_names:
            found.append(
                (f"`{output.name}` has no residual error.", f"Give add, prop or log to [outputs] {output.name}.")
            )
    if found:
        raise_all(
            MismatchError,
            [
                Finding(
                    code="no error",
                    where=where,
                    what=what,
                    expected="Outputs whose law says how observations scatter around predictions.",
                    remedy=remedy,
                )
                for what, remedy in found
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given(Problem):
    """A problem whose predictions are known already."""

    f: np.ndarray

    def predict(self, values: np.ndarray, **_: Any) -> Prediction:
        """Give the known predictions, whatever the parameters."""
        return Prediction(f=self.f, df=None, solved=None, expected=self.f)  # type: ignore[arg-type]


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
            name = self.outputs[output]
            asked, remedy = what_is_drawn(self.person.problem.model.outputs[name])
            raise SolveError(
                f"`{name}` is {f[at]:g}, where nothing can be observed under its law.",
                where=f"simulate(residual=True), subject {subjects[subject] + 1}",
                expected=f"A model that can be solved for everybody{asked}.",
                remedy=f"{remedy} Or leave these times out.",
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
        There is no seed; nothing among `observed` is an output; or residual SDs are correlated with parameters.
    MismatchError
        An output has no law to draw from.
    """
    from pkpd.estimation.population import population_of

    where = "simulate(residual=True)"
    seed = check_seed(seed, why="residual error is drawn at random")
    outputs = tuple(name for name in observed if name in model.outputs)
    if not outputs:
        raise UsageError(
            "No output is simulated.", where=where, expected="Outputs, which are what is observed.",
            remedy="Name one in observe.",
        )  # fmt: skip
    check_drawable(model, outputs, where)
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
        "DV": [stand_in(model.outputs[name]) for name in outputs] * records,
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
