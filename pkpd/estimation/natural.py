"""How large a parameter may be, by its unit: made of the times, the doses and the observations of the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pkpd import units
from pkpd.data import Evid
from pkpd.errors import UnitError
from pkpd.likelihood import Problem
from pkpd.model.kind import Event, Likelihood

__all__ = ["natural_sizes"]


def natural_sizes(problem: Problem, centre: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Give the sizes of parameters, on the scale of the search, (K,).

    A clearance in L/h is of the size of a dose over an observation over a time, if doses are in mg and observations in
    mg/L. What has no unit, a unit that these do not make, or no logarithm stays where `centre` (K,) has it.

    Parameters
    ----------
    problem : Problem
    centre : (K,) float
    names : sequence of str
        K names of parameters of the model or of the residual error.
    """
    known = _known(problem)
    dimensions = sorted({name for unit, _ in known for name, _ in unit.dims})
    basis = np.array([[float(dict(unit.dims).get(name, 0)) for unit, _ in known] for name in dimensions])
    sizes = np.log([size * unit.factor for unit, size in known])
    found = centre.copy()
    for k, name in enumerate(names):
        parameter = problem.model.parameters.get(name)
        if parameter is None or parameter.transform != "log":
            continue
        try:
            unit = units.read(parameter.unit)
        except UnitError:
            continue
        own = dict(unit.dims)
        if not own or not set(own) <= set(dimensions):
            continue
        wanted = np.array([float(own.get(dimension, 0)) for dimension in dimensions])
        shares = np.linalg.lstsq(basis, wanted, rcond=None)[0]
        if np.allclose(basis @ shares, wanted, atol=1e-9):
            found[k] = shares @ sizes - np.log(unit.factor)
    return found


def _known(problem: Problem) -> list[tuple[units.Unit, float]]:
    """Give the units in which the data speak, each with a usual size."""
    model, seen, events = problem.model, problem.observations, problem.events
    times = np.diff(np.unique(seen.time))
    span = float(np.ptp(seen.time))
    candidates = [(model.time_unit, float(np.sqrt(times.min() * span)) if times.size else 1.0)]
    doses = events.amt[np.isin(events.evid, [Evid.DOSE, Evid.RESET_DOSE]) & (events.amt > 0)]
    if doses.size:
        candidates.append((model.amount_unit, float(np.median(doses))))
    for k, output in enumerate(model.outputs.values()):
        values = np.abs(seen.dv[(seen.output == k) & np.isfinite(seen.dv) & (seen.dv != 0)])
        if values.size and not isinstance(output.kind, (Event, Likelihood)):
            candidates.append((output.unit, float(np.median(values))))
    found = []
    for text, size in candidates:
        try:
            unit = units.read(text)
        except UnitError:
            continue
        if unit.dims:
            found.append((unit, size))
    return found
