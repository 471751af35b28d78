"""From one or many least-squares solutions to an Outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.labelled import from_xarray, to_xarray
from pkpd.errors import PkpdError
from pkpd.estimation.base import Outcome
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.judge import Solution
from pkpd.estimation.settings import Settings
from pkpd.estimation.uncertainty import interval_text
from pkpd.estimation.verdict import Status, Verdict
from pkpd.likelihood import Problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["alone", "failed", "gather"]

_OBJECTIVE = "-2 log L, exact, without n log(2 pi)"


def gather(problem: Problem, settings: Settings, solutions: Mapping[str, Solution], *, by_subject: bool) -> Outcome:
    """Put the solutions of all groups side by side."""
    all_ = list(solutions.values())
    coordinates = Coordinates.of(problem, residuals_free=settings.error == "estimated")
    values = np.array([s.values for s in all_])
    count, people = coordinates.count, len(problem.subjects)
    per_subject = values if by_subject else np.repeat(values, people, axis=0)
    own = per_subject[:, :count]
    freedom = np.array([s.degrees_of_freedom for s in all_])
    same = bool(np.all(freedom == freedom[0]))
    interval = interval_text(settings.interval, settings.level, freedom[0], scaled=settings.error == "scaled")
    if not same:
        interval = interval.replace(f"t with {freedom[0]:g} df", "t with n - p df")
    return Outcome(
        coordinates=coordinates,
        groups=tuple(solutions),
        by_subject=by_subject,
        values=values,
        lower=np.array([s.lower for s in all_]),
        upper=np.array([s.upper for s in all_]),
        covariance=np.array([s.covariance for s in all_]),
        objective=np.array([s.objective for s in all_]),
        objective_name=_OBJECTIVE,
        interval=interval,
        verdicts=tuple(s.verdict for s in all_),
        numbers={
            "sum_of_squares": np.array([s.sum_of_squares for s in all_]),
            "sigma": np.array([s.sigma for s in all_]),
            "records": np.array([s.records for s in all_]),
            "degrees_of_freedom": freedom,
        },
        individual=own,
        typical=own,
        residual=per_subject[:, count:],
        notes=_notes(problem, settings, all_),
        trace=[(name, *step) for name, s in solutions.items() for step in s.trace],
        starts=[(name, *start) for name, s in solutions.items() for start in s.starts] if settings.starts > 1 else [],
        lmfit={name: s.lmfit for name, s in solutions.items() if s.lmfit is not None},
    )


def _notes(problem: Problem, settings: Settings, solutions: list[Solution]) -> tuple[str, ...]:
    """Say how the residual error was treated."""
    if settings.error == "estimated":
        return ("Residual parameters: estimated with the others by maximum likelihood (extended least squares).",)
    if settings.error == "known":
        return ("Residual SDs: taken as they stand in the model and the data.",)
    notes = ["Residual SDs: one factor, from the weighted residual sum of squares over n - p."]
    if problem.residuals.follow_prediction:
        notes.append("Weights follow the prediction; they were iterated until they settled.")
    done = [s for s in solutions if np.isfinite(s.sigma)]
    if len(done) > 1:
        df = sum(s.degrees_of_freedom for s in done)
        pooled = np.sqrt(sum(s.sum_of_squares for s in done) / df)
        used = [p for p, is_used in zip(problem.residual_parameters, problem.residuals.used) if is_used]
        one = used[0] if len(used) == 1 and not problem.residuals.has_known else None
        factor = f"the factor is {pooled:.4g}"
        what = f"{one.name} is {pooled * one.typical:.4g}{'' if one.unit == '1' else ' ' + one.unit}" if one else factor
        notes.append(f"Over all subjects {what}, on {df:g} degrees of freedom.")
    return tuple(notes)


def failed(problem: Problem, settings: Settings, error: PkpdError) -> Solution:
    """Give the place of a subject that could not be fitted: no numbers, and the reason."""
    coordinates = Coordinates.of(problem, residuals_free=settings.error == "estimated")
    k = len(coordinates.names)
    nothing = np.full(k, np.nan)
    return Solution(
        values=nothing,
        lower=nothing,
        upper=nothing,
        covariance=np.full((k, k), np.nan),
        objective=np.nan,
        sum_of_squares=np.nan,
        sigma=np.nan,
        records=problem.observations.dv.size,
        degrees_of_freedom=np.nan,
        verdict=Verdict(
            status=Status.FAILED,
            message=str(error),
            free=int(coordinates.free.sum()),
            starts=settings.starts,
            starts_at_best=0,
            basins=0,
        ),
    )


def alone(tree: xr.DataTree, subject: str, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Give what a fit of each subject holds of one of them, as the tree of a fit of its own."""
    import xarray as xr

    found = {}
    for name, node in tree.children.items():
        group = node.to_dataset()
        if name == "omega":  # the population's
            continue
        if name == "records":
            group = group.isel(record=group["ID"].values == subject)
        elif name == "data":
            group = to_xarray(from_xarray(group)[subject])
        elif "group" in group:
            group = group.isel({group["group"].dims[0]: group["group"].values == subject})
        elif "subject" in group.dims:
            group = group.sel(subject=subject if name in ("estimates", "covariance", "verdict") else [subject])
        found[f"/{name}"] = (
            group.drop_vars("subject") if "subject" in group.coords and not group["subject"].dims else group
        )
    own = xr.DataTree.from_dict(found)
    verdict = found["/verdict"]
    own.attrs = {
        **tree.attrs,
        "status": str(verdict["status"].item()),
        "objective": float(verdict["objective"].item()),
        "aic": float("nan"),
        "bic": float("nan"),
        **attrs,
    }
    return own
