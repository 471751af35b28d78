"""From where a search ended to a solution: covariance, intervals, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.identify import Identification, identify
from pkpd.estimation.objective import Objective, Point
from pkpd.estimation.settings import Settings
from pkpd.estimation.uncertainty import profile, sigma_limits, wald
from pkpd.estimation.verdict import Status, Verdict
from pkpd.likelihood import Problem

if TYPE_CHECKING:
    import lmfit.model

__all__ = ["Run", "Solution", "judge"]

# -2 log L within this of a minimum is at the minimum: no statistic notices.
_FLAT = 1e-4
# Starts that end closer together than this, in -2 log L, have found the same minimum.
_SAME_BASIN = 1e-3
# A step that moves nothing by more than this, relative to its size, is no step: data without noise, for instance.
_STILL = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where one start ended.

    Parameters
    ----------
    z : (F,) float
        The free quantities on the estimation scale.
    objective : Objective
        The last one searched.
    lmfit : lmfit.model.ModelResult
    point : Point
        The likelihood at `z`.
    sigma : float
        Factor on the weights if they are scaled, else NaN.
    evaluations : int
    settled : bool
        Whether weights, or the reference of the SDs, have settled.
    path : list of (float, (K,) float)
    """

    z: np.ndarray
    objective: Objective
    lmfit: lmfit.model.ModelResult
    point: Point
    sigma: float
    evaluations: int
    settled: bool
    path: list[tuple[float, np.ndarray]]

    @property
    def deviance(self) -> float:
        """-2 log L, for a factor sigma of greatest likelihood where the SDs are scaled."""
        n = self.point.u.size
        if np.isnan(self.sigma):
            return self.point.deviance
        rss = max(float(self.point.u @ self.point.u), 1e-300)
        return n * np.log(rss / n) + n + 2 * float(np.log(self.point.spread.sd).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One fit: values of all K quantities, how well they are known, and the verdict.

    Parameters
    ----------
    values, lower, upper : (K,) float
        Estimates and confidence limits, natural. Residual SDs include the factor `sigma`.
    covariance : (K, K) float
        On the estimation scale. Zero for what was held, NaN for what the data do not fix.
    objective : float
        -2 log L of the observations without n log(2 pi).
    sum_of_squares, sigma : float
        Of the weighted residuals; the factor on all residual SDs (1 unless they are scaled).
    records : int
    degrees_of_freedom : float
        Records less estimated parameters if the SDs are scaled, else infinite.
    verdict : Verdict
    lmfit : lmfit.model.ModelResult or None
        None if the fit failed.
    trace, starts : list of (objective, (K,) values)
        The path of the best search; where each start ended.
    """

    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    covariance: np.ndarray
    objective: float
    sum_of_squares: float
    sigma: float
    records: int
    degrees_of_freedom: float
    verdict: Verdict
    lmfit: lmfit.model.ModelResult | None = None
    trace: list[tuple[float, np.ndarray]] = field(default_factory=list)
    starts: list[tuple[float, np.ndarray]] = field(default_factory=list)


def judge(problem: Problem, coordinates: Coordinates, settings: Settings, best: Run, runs: list[Run]) -> Solution:
    """Give the solution that the best of several runs has found.

    Parameters
    ----------
    coordinates : Coordinates
        What was free in the search.
    best : Run
    runs : list of Run
        All of them, `best` included.
    """
    scaled, free = settings.error == "scaled", coordinates.free
    variance = best.sigma**2 if scaled else 1.0
    at_bound = _at_bound(coordinates, best)
    inside = ~at_bound
    z = coordinates.forward(coordinates.initial)
    z[free] = coordinates.within_reach(best.z)
    size = coordinates.size(z)[free][inside]
    known = identify(best.point.weighted[:, inside], best.point.pseudo_residuals, coordinates.without(at_bound), size)
    searched = np.full((best.z.size, best.z.size), np.nan)
    searched[np.ix_(inside, inside)] = known.covariance * variance
    _publish(best.lmfit, searched)

    covariance = np.zeros((z.size, z.size))
    covariance[np.ix_(free, free)] = searched
    df = float(best.point.u.size - best.z.size) if scaled else np.inf
    follow = _scaled_residuals(coordinates, problem) if scaled else np.zeros(z.size, dtype=bool)
    if scaled:
        z[follow] += np.log(max(best.sigma, 1e-300))
        covariance[np.ix_(follow, follow)] = 0.5 / df  # the variance of log sigma; one factor moves them all
    lower, upper = wald(coordinates, z, covariance, settings.level, df)
    if settings.interval == "profile":
        ends = profile(coordinates, z, best.lmfit, settings.level)
        lower[free], upper[free] = ends[0][free], ends[1][free]
    values = np.where(free | follow, coordinates.inverse(z), coordinates.initial)
    if scaled:
        low, high = sigma_limits(settings.level, df)
        lower[follow], upper[follow] = values[follow] * low, values[follow] * high
    return Solution(
        values=values,
        lower=lower,
        upper=upper,
        covariance=covariance,
        objective=best.deviance + problem.residuals.log_jacobian(problem.observations.dv),
        sum_of_squares=float(best.point.u @ best.point.u),
        sigma=best.sigma if scaled else 1.0,
        records=best.point.u.size,
        degrees_of_freedom=df,
        verdict=_verdict(coordinates, settings, best, runs, known, at_bound, size),
        lmfit=best.lmfit,
        trace=best.path,
        starts=[(run.deviance, run.objective.values(run.z)) for run in runs],
    )


def _verdict(
    coordinates: Coordinates,
    settings: Settings,
    best: Run,
    runs: list[Run],
    known: Identification,
    at_bound: np.ndarray,
    size: np.ndarray,
) -> Verdict:
    variance = max(best.sigma**2, 1e-300) if settings.error == "scaled" else 1.0
    gradient = best.point.gradient[~at_bound] / variance
    decrement = max(float(-gradient @ known.step), 0.0)
    error = np.sqrt(np.nan_to_num(np.diag(known.covariance)) * variance)
    bounds = tuple(name for name, at in zip(coordinates.free_names, at_bound) if at)
    deviances = np.sort([run.deviance for run in runs])
    numbers: dict[str, Any] = {
        "gradient": float(np.abs(gradient * error).max(initial=0.0)),
        "decrement": decrement,
        "rank": known.rank,
        "free": int(coordinates.free.sum()),
        "condition": known.condition,
        "at_bounds": bounds,
        "null_directions": known.words,
        "evaluations": sum(run.evaluations for run in runs),
        "starts": settings.starts,
        "starts_at_best": int((deviances < deviances[0] + _SAME_BASIN).sum()),
        "basins": 1 + int((np.diff(deviances) > _SAME_BASIN).sum()),
    }
    still = np.abs(known.step / size).max(initial=0.0) <= _STILL
    if not best.settled or not (decrement <= _FLAT or still):
        status = Status.NOT_CONVERGED
        message = (
            f"The search stopped where -2 log L could still fall by about {decrement:.2g}. Allow more evaluations "
            "(max_evaluations), start elsewhere, or try several starts."
        )
    elif known.words:
        status = Status.NOT_IDENTIFIED
        message = " ".join(known.words) + " Fix what is open, or simplify the model."
    elif bounds:
        status = Status.AT_BOUND
        message = " ".join(_of_bound(coordinates, name) for name in bounds)
        message += " The standard errors of the others hold it there."
    else:
        status = Status.CONVERGED
        message = f"-2 log L cannot fall by more than about {decrement:.1g}."
    return Verdict(status=status, message=message, **numbers)


def _at_bound(coordinates: Coordinates, best: Run) -> np.ndarray:
    """Say which free quantities lie on a bound, or have run to the end of their scale, (F,) bool."""
    lower, upper = (limit[coordinates.free] for limit in coordinates.limits())
    reach = 1e-5 * (1 + np.abs(best.z))
    bound = (best.z - lower < reach) | (upper - best.z < reach)
    for j, k in enumerate(np.flatnonzero(coordinates.free)):
        transform = coordinates.parameters[k].transform
        if transform == "logit":
            bound[j] |= abs(best.z[j]) > 16  # closer to a bound than 1e-7 of the way
        elif transform == "log" and k >= coordinates.count:
            # a residual SD that no longer counts: its share of every SD has vanished
            bound[j] |= bool(np.abs(best.point.log_sd_z[:, j]).max() < 1e-4)
    return bound


def _of_bound(coordinates: Coordinates, name: str) -> str:
    k = coordinates.names.index(name)
    if k >= coordinates.count:
        return f"{name} has run to 0: the data ask for no such error. Leave it out of the model."
    p = coordinates.parameters[k]
    return f"{name} is at a bound ({p.lower:g} to {p.upper:g} {p.unit}). Widen the bound, or fix it."


def _scaled_residuals(coordinates: Coordinates, problem: Problem) -> np.ndarray:
    """Say which of the K quantities the factor sigma multiplies: the residual SDs in use, but no exponent."""
    used = (False,) * coordinates.count + problem.residuals.used
    return np.array([u and not p.name.endswith(".power") for u, p in zip(used, coordinates.parameters)], dtype=bool)


def _publish(result: Any, covariance: np.ndarray) -> None:
    """Give lmfit's result the covariance of the verdict: one set of standard errors, wherever one looks."""
    names = result.var_names
    sd = np.sqrt(np.diag(covariance))
    result.covar = covariance
    result.errorbars = bool(np.isfinite(sd).all())
    for i, name in enumerate(names):
        parameter = result.params[name]
        parameter.stderr = float(sd[i]) if np.isfinite(sd[i]) else None
        parameter.correl = {
            other: float(covariance[i, j] / (sd[i] * sd[j]))
            for j, other in enumerate(names)
            if j != i and np.isfinite(covariance[i, j])
        }
