"""The verb ``find_start``: starting values from the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pkpd.data import Dataset
from pkpd.errors import CannotFit
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.seek import seek
from pkpd.estimation.sound import check_likelihood
from pkpd.likelihood import make_problem
from pkpd.likelihood.density import CensoringMethod, Density
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.population import Population
from pkpd.model import Model
from pkpd.streams import addresses

__all__ = ["Start", "find_start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Starting values, and what they come from.

    Parameters
    ----------
    values : dict of str to float
        For ``fit(start=...)``: typical values, residual parameters and variances that are estimated.
    objective : float
        -2 log L without n log(2 pi), if nobody differed.
    note : str
        What was done.
    others : tuple of dict
        Other places, the better first: a model may explain the records in several ways.
    """

    values: dict[str, float]
    objective: float
    note: str
    others: tuple[dict[str, float], ...] = field(default=())

    def __str__(self) -> str:
        return self.note


def find_start(
    model: Model, data: Dataset, *, fixed: Sequence[str] = (), censoring: CensoringMethod = "M3", places: int = 4
) -> Start:
    """Find starting values from the data.

    As if nobody differed, some thousand sets of typical values are solved at once: on lines through the values of the
    model, in boxes around them, and around what the units of the parameters and the sizes of doses, times and
    observations suggest. The best few are led to where the likelihood is greatest. Bounds are kept, and nothing is
    drawn at random.

    Parameters
    ----------
    model : Model
    data : Dataset
    fixed : sequence of str
        What to hold at its value, besides what the model fixes.
    censoring : "M1", "M2", "M3" or "M4"
        What becomes of censored records.
    places : int
        How many to give at most, the first included.

    Raises
    ------
    MismatchError
        Model and data do not go together; all that is wrong is listed.
    CannotFit
        Nothing is free, or no place explains the records.

    Examples
    --------
    ::

        start = pkpd.find_start(model, data)
        fit = pkpd.fit(model, data, pkpd.FOCE(), start=start.values)
    """
    from pkpd.estimation.fit import prepare

    if places < 1:
        raise CannotFit(f"places is {places}.", where="find_start(places=...)", expected="1 or more.")
    model, held = prepare(model, {}, tuple(fixed))
    problem = make_problem(model, data, held=held, occasions=any(p.iov > 0 for p in model.parameters.values()))
    problem = problem.take(np.argsort(addresses(problem.subjects), kind="stable"))
    effects = Effects.of(model, problem.residual_parameters, problem.residuals.used, problem.program.occasions)
    if not effects.typical:
        raise CannotFit(
            "nothing is left to estimate.",
            where=problem.where,
            expected="At least one parameter is free.",
            remedy="Free a parameter: model.free(...).",
        )
    density = Density.of(problem.observations, problem.residuals, method=censoring)
    population = Population(problem=problem, effects=effects, density=density)
    quantities = Quantities.of(population)
    found = seek(population, quantities, places)
    if not found:
        w = effects.arguments(effects.start, np.zeros((len(problem.subjects), len(effects.names))))
        check_likelihood(population, effects.start, population.value(w))
        raise CannotFit(
            "no set of typical values explains the records.",
            where=problem.where,
            expected="Predictions that are numbers, with a residual SD above 0.",
            remedy="Check units, doses and routes, or start nearer to the data.",
        )
    own = quantities.coordinates
    sets = [dict(zip(own.names, quantities.natural(place.x).tolist(), strict=True)) for place in found]
    free = [name for name, is_free in zip(own.names, own.free, strict=True) if is_free and "," not in name]
    first, *others = [{name: values[name] for name in free} for values in sets]
    said = ", ".join(f"{name} = {first[name]:.4g}" for name in free)
    also = f" {len(others)} other place{'s' * (len(others) != 1)} looked at as well." if others else ""
    return Start(
        values=first,
        objective=found[0].objective,
        note=f"Starts: found from the data, as if nobody differed (-2 log L {found[0].objective:.4f}): {said}.{also}",
        others=tuple(others),
    )
