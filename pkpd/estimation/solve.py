"""Fit one set of values to the records of one problem by least squares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pkpd.errors import CannotFit, SolveError
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.judge import Run, Solution, judge
from pkpd.estimation.objective import REFUSED, Objective, Point
from pkpd.estimation.search import search
from pkpd.estimation.settings import Settings
from pkpd.estimation.starts import draw_starts
from pkpd.likelihood import Problem

__all__ = ["compile_for", "solve"]

# Rounds after which weights, or the SDs that a search refers to, must have settled.
_ROUNDS = 100
# Minima of -2 log L closer together than this are equal.
_EQUAL = 1e-5


def compile_for(problem: Problem, settings: Settings) -> None:
    """Compile what a search will call, sensitivities included, by solving the model once at its starting values."""
    coordinates = Coordinates.of(problem, residuals_free=settings.error == "estimated")
    Objective(problem, coordinates).at(coordinates.forward(coordinates.initial)[coordinates.free])


def solve(problem: Problem, settings: Settings, tick: Callable[[], None] | None = None) -> Solution:
    """Find the values of greatest likelihood (or least squares) for all records of a problem together.

    `tick` is called whenever the model is solved.

    Raises
    ------
    CannotFit
        Nothing to estimate, too few records, no error where one is needed, or a fit that cannot move.
    SolveError
        The model cannot be solved at the starting values.
    """
    coordinates = Coordinates.of(problem, residuals_free=settings.error == "estimated")
    _check_counts(problem, coordinates, settings)
    start = coordinates.forward(coordinates.initial)[coordinates.free]
    _check_start(problem, coordinates, start)
    runs: list[Run] = []
    reasons: list[SolveError | CannotFit] = []
    for candidate in draw_starts(coordinates, settings.starts, settings.seed, settings.spread, problem.subjects):
        try:
            runs.append(_climb(problem, coordinates, candidate, settings, tick))
        except (SolveError, CannotFit) as error:
            reasons.append(error)  # a random start may lie where the model cannot be solved; others may lead on
    if not runs:
        if len(reasons) == 1:
            raise reasons[0]
        raise CannotFit(
            f"none of {len(reasons)} starts led anywhere. The first: {reasons[0].what}",
            where=problem.where,
            expected="At least one search ends where the likelihood is a number.",
            remedy="Start nearer to the data, or bound the parameters.",
        )
    # Of equal minima (the two of flip-flop kinetics, for instance), the one found first: from the model's own values.
    least = min(run.deviance for run in runs)
    best = next(run for run in runs if run.deviance <= least + _EQUAL)
    return judge(problem, coordinates, settings, best, runs)


def _climb(
    problem: Problem,
    coordinates: Coordinates,
    start: np.ndarray,
    settings: Settings,
    tick: Callable[[], None] | None,
) -> Run:
    """Search from one start, in as many rounds as the weights, or the reference of the SDs, need to settle."""
    scaled = settings.error == "scaled"
    follows = problem.residuals.follow_prediction
    moves = not scaled and (follows or bool(coordinates.free[coordinates.count :].any()))
    z, evaluations, path = start, 0, []
    point = Objective(problem, coordinates).at(start)
    _check_sound(problem, point, "starts")
    sd = point.spread.sd
    room, settled = 40.0, False
    for _ in range(_ROUNDS):
        objective = Objective(
            problem,
            coordinates,
            weights=sd if scaled else None,
            reference=sd if moves else None,
            room=room,
            tick=tick,
        )
        z, result = search(
            objective,
            z,
            method=settings.method,
            scale_covar=scaled,
            max_evaluations=settings.max_evaluations,
        )
        evaluations += objective.evaluations
        path += objective.path
        point = objective.at(z)
        _check_sound(problem, point, "ended")
        if not (follows if scaled else moves):
            settled = True
            break
        before, sd = sd, objective.spread_at(z).sd
        if not ((sd > 0) & (sd < np.inf)).all():
            raise _astray(problem, point.f, sd, "ended")
        settled = bool(np.all(np.abs(np.log(sd / before)) < (1e-8 if scaled else 1e-4))) and room < 40
        if settled:
            break
        room = 4.0
    return Run(
        z=z,
        objective=objective,
        lmfit=result,
        point=point,
        sigma=float(np.sqrt(point.u @ point.u / (point.u.size - z.size))) if scaled else np.nan,
        evaluations=evaluations,
        settled=settled,
        path=path,
    )


def _check_sound(problem: Problem, point: Point, what: str) -> None:
    """Refuse a point where the likelihood, or its slope, is not a number; `what` the search does there."""
    if not point.is_sound:
        raise _astray(problem, point.f, point.spread.sd, what)


def _astray(problem: Problem, f: np.ndarray, sd: np.ndarray, what: str) -> CannotFit:
    """Say that a search is where the likelihood is not a number, by the record with the smallest SD."""
    worst = int(np.argmin(np.where(sd > 0, sd, 0.0)))
    return CannotFit(
        f"the search {what} where the likelihood is not a number: {f[worst]:g} is predicted, with an SD of "
        f"{sd[worst]:g}.",
        where=problem.observations.where(worst),
        expected="Predictions and SDs that are finite, and SDs above 0 (a proportional SD vanishes with its "
        "prediction).",
        remedy="Start nearer to the data, try several starts, bound the parameters, or let the error have an additive "
        "part.",
    )


def _check_counts(problem: Problem, coordinates: Coordinates, settings: Settings) -> None:
    n, count = problem.observations.dv.size, int(coordinates.free.sum())
    if count == 0:
        raise CannotFit(
            "nothing is left to estimate.",
            where=problem.where,
            expected=f"At least one of {', '.join(coordinates.names)} is free.",
            remedy="Free a parameter: model.free(...).",
        )
    if n < count + (settings.error == "scaled"):
        raise CannotFit(
            f"{n} record{'s' * (n != 1)} cannot give {count} estimates"
            f"{' and a residual SD' if settings.error == 'scaled' else ''}.",
            where=problem.where,
            expected=f"Free are {', '.join(coordinates.free_names)}.",
            remedy="Fix some of them" + (", or fit several subjects together." if len(problem.subjects) == 1 else "."),
        )


def _check_start(problem: Problem, coordinates: Coordinates, start: np.ndarray) -> None:
    """Refuse a start from which no search can begin, and say why."""
    own = coordinates.initial[: coordinates.count]
    problem.predict(np.broadcast_to(own, (len(problem.subjects), own.size))).raise_failures()
    point = Objective(problem, coordinates).at(start)
    bad = np.flatnonzero(~(point.spread.sd > 0) | ~(np.abs(point.u) < REFUSED))
    if bad.size:
        first = bad[0]
        raise CannotFit(
            f"the residual SD is {point.spread.sd[first]:g} where {point.f[first]:g} is predicted"
            f"{f' (and at {bad.size - 1} more records)' if bad.size > 1 else ''}.",
            where=problem.observations.where(first),
            expected="Every record has a prediction with an SD above 0.",
            remedy="Leave such records out (MDV = 1), start nearer to the data, or let the error have an additive "
            "part.",
        )
    if not np.any(point.weighted):
        raise CannotFit(
            "the fit cannot move: no prediction depends on any free parameter at the start.",
            where=problem.where,
            expected=f"Free are {', '.join(coordinates.free_names)}.",
            remedy="Look for doses that reach nothing, records before the first dose, or starting values so far off "
            "that the curve is flat.",
        )
