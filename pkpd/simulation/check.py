"""The numbers that a model's source prints, computed again: ``cmax(cp)`` after ``35 mg iv over 40 min``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pkpd import units
from pkpd.data.events import Events
from pkpd.data.regimen import Regimen
from pkpd.errors import ModelError, suggestion
from pkpd.model.model import Check, Model

__all__ = ["FUNCTIONS", "Checked", "evaluate", "run_checks"]

FUNCTIONS = {
    "at": "at(output, time): the value at a time",
    "cmax": "cmax(output[, from, to]): the largest value",
    "tmax": "tmax(output[, from, to]): the time of the largest value",
    "cmin": "cmin(output[, from, to]): the smallest value",
    "auc": "auc(output, from, to): the area under the curve",
    "halflife": "halflife(output, from, to): the half-life of the fall between two times",
}
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(\s*([A-Za-z_][\w.]*)\s*((?:,\s*[-+.\deE]+\s*)*)\)\s*")
_WINDOW_H = 24.0  # how long after the last dose cmax, tmax and cmin look, unless told
_RTOL = 1e-11  # of the solver: a half-life is read off values that are tiny beside the peak
_RATIO = 1.4  # of the widths of neighbouring panels: an exponential of any rate is smooth on each
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


class Checked(NamedTuple):
    """A check, the value found (in the check's unit), and whether it lies within the tolerance."""

    check: Check
    value: float
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    function: str
    output: str
    numbers: tuple[float, ...]


def run_checks(model: Model) -> list[Checked]:
    """Compute every check of a model for the typical person, in the order of the file.

    Raises
    ------
    ModelError
        A check asks for what the model does not have.
    """
    found = []
    for check in model.checks:
        value = evaluate(model, check.dose, check.that, covariates=check.covariates, unit=check.unit)
        found.append(Checked(check, value, abs(value - check.equals) <= check.rtol * abs(check.equals)))
    return found


def evaluate(
    model: Model,
    dose: Regimen | str,
    that: str,
    *,
    covariates: Mapping[str, float] | None = None,
    unit: str | None = None,
) -> float:
    """Compute one number of a simulated profile of the typical person.

    Parameters
    ----------
    model
        The model.
    dose
        A regimen, or its text; empty for none.
    that
        A function of an output: ``"cmax(cp)"``, ``"at(cp, 6)"``; the functions are listed in :data:`FUNCTIONS`.
        Times are in the model's time unit. Without a window, cmax, tmax and cmin look from time 0 to 24 h after the
        last dose has gone in.
    covariates
        Values by name; the model's reference values stand for the rest.
    unit
        Unit of the result; None for the model's own.

    Raises
    ------
    ModelError
        `that` is not understood, or names no output of the model.
    UnitError
        The result has no such unit.
    """
    question = _read(that, model)
    regimen = Regimen.read(dose, time_unit=model.time_unit) if isinstance(dose, str) and dose.strip() else dose
    regimen = regimen.in_time_unit(model.time_unit) if isinstance(regimen, Regimen) else Regimen(())
    values = {name: one.reference for name, one in model.covariates.items() if one.reference is not None}
    curve = _Curve(model, regimen, {**values, **(covariates or {})}, question.output)
    value, own = _answer(question, curve, model)
    return value * units.factor(own, unit) if unit else value


def _read(that: str, model: Model) -> _Question:
    match = _CALL.fullmatch(that)
    if match is None:
        raise ModelError(
            f"`{that}` is not understood.",
            where=f"model {model.name}, a check",
            expected="A function of an output: " + "; ".join(FUNCTIONS.values()) + ".",
            remedy='Write it as in "cmax(cp)" or "at(cp, 6)".',
        )
    function, output, rest = match.groups()
    if function not in FUNCTIONS:
        raise ModelError(
            f"`{function}` is not a function of checks.",
            where=f"model {model.name}, `{that}`",
            expected="Functions: " + "; ".join(FUNCTIONS.values()) + ".",
            remedy=suggestion(function, FUNCTIONS),
        )
    if output not in model.outputs:
        raise ModelError(
            f"`{output}` is not an output.",
            where=f"model {model.name}, `{that}`",
            expected=f"Outputs: {', '.join(model.outputs)}.",
            remedy=suggestion(output, model.outputs),
        )
    try:
        numbers = tuple(float(text) for text in rest.split(",")[1:])
    except ValueError:
        numbers = ()
    wanted = {"at": (1,), "auc": (2,), "halflife": (2,)}.get(function, (0, 2))
    if len(numbers) not in wanted or (len(numbers) == 2 and not numbers[0] < numbers[1]):
        raise ModelError(
            f"`{that}` has other numbers than its function takes.",
            where=f"model {model.name}",
            expected=FUNCTIONS[function] + ".",
            remedy=f"Times are in {model.time_unit}, and `from` is before `to`.",
        )
    return _Question(function=function, output=output, numbers=numbers)


class _Curve:
    """An output of the typical person as a function of time."""

    def __init__(self, model: Model, regimen: Regimen, covariates: Mapping[str, float], output: str) -> None:
        from pkpd import engine

        self.engine = engine
        self.program = engine.compile_model(model)
        self.typical = np.array([[model.parameters[name].typical for name in self.program.parameters]])
        self.regimen, self.covariates, self.output = regimen, covariates, output
        self.time_unit = model.time_unit
        self.covariate_units = {name: one.unit for name, one in model.covariates.items()}
        # where doses start and end: between these times the curve is smooth, except for modelled lags and durations
        doses = [one for dose in regimen for one in dose.expand()]
        ends = [dose.time + (dose.over or (dose.amount / dose.rate if dose.rate else 0.0)) for dose in doses]
        self.stops = sorted({0.0, *(dose.time for dose in doses), *ends})
        self.last = max(self.stops)

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """Values at `times` (any order), shape of `times`."""
        # time 0 is always there: the states start at the first row
        flat, back = np.unique(np.append(0.0, times), return_inverse=True)
        events = Events.from_regimens(
            [("1", self.regimen, flat, dict(self.covariates))],
            outputs=[self.output],
            time_unit=self.time_unit,
            covariate_units=self.covariate_units,
        )
        prediction = self.engine.predict(self.program, self.engine.bind(self.program, events), self.typical, rtol=_RTOL)
        prediction.raise_failures()
        return np.asarray(prediction.f)[back[1:]].reshape(np.shape(times))

    def panels(self, start: float, end: float) -> np.ndarray:
        """Edges between `start` and `end` that grow geometrically away from every stop."""
        inside = [start, *(stop for stop in self.stops if start < stop < end), end]
        edges = [np.array([start])]
        for left, right in pairwise(inside):
            count = int(np.ceil(np.log(1e6) / np.log(_RATIO)))
            edges.append(left + (right - left) * np.append(_RATIO ** np.arange(-count, 0.0), 1.0))
        return np.concatenate(edges)


def _answer(question: _Question, curve: _Curve, model: Model) -> tuple[float, str]:
    """Give the value and its unit."""
    unit, time = model.outputs[question.output].unit, model.time_unit
    if question.function == "at":
        return float(curve(np.array(question.numbers))[0]), unit
    if question.function == "halflife":
        first, last = curve(np.array(question.numbers))
        return float(np.log(2) * (question.numbers[1] - question.numbers[0]) / np.log(first / last)), time
    if question.function == "auc":
        return _area(curve, *question.numbers), time if unit == "1" else f"{unit}*{time}"
    start, end = question.numbers or (0.0, curve.last + _WINDOW_H * units.factor("h", time))
    lowest = question.function == "cmin"
    at, value = _largest(lambda t: -curve(t) if lowest else curve(t), curve.panels(start, end))
    return (at, time) if question.function == "tmax" else (-value if lowest else value, unit)


def _area(curve: _Curve, start: float, end: float) -> float:
    """Integrate by Gauss-Legendre on the panels, halved until the result stands."""
    edges, before = curve.panels(start, end), np.nan
    for _ in range(5):
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        values = curve(middle[:, None] + half[:, None] * _NODES)
        area = float(np.sum(values * _WEIGHTS * half[:, None]))
        if abs(area - before) <= 1e-8 * abs(area):
            break
        edges, before = np.sort(np.concatenate([edges, middle])), area
    return area


def _largest(curve: Callable[[np.ndarray], Any], edges: np.ndarray) -> tuple[float, float]:
    """Find the largest value on a grid, then on ever finer grids around it."""
    grid = np.unique(np.concatenate([edges, np.linspace(edges[0], edges[-1], 400)]))
    for _ in range(8):
        values = curve(grid)
        best = int(np.argmax(values))
        left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        at, value = float(grid[best]), float(values[best])
        # the best point stays in the grid: a peak at the end of an infusion is a corner
        grid = np.unique(np.concatenate([np.linspace(left, right, 21), [at]]))
    return at, value
