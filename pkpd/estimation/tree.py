"""Lay out what an estimator found as one tree of labelled arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.labelled import to_xarray
from pkpd.estimation.base import Outcome
from pkpd.estimation.uncertainty import correlation, natural_errors
from pkpd.estimation.verdict import worst
from pkpd.likelihood import Problem, log_density
from pkpd.model.kind import Event
from pkpd.schema import VARIABLES, describe

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMAT", "lay_out"]

FORMAT = "pkpd fit 1"


def lay_out(problem: Problem, estimator: Any, outcome: Outcome, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Give the tree of a fit; `attrs` are added to those of the root."""
    import xarray as xr

    if outcome.classes is not None:
        problem = problem.in_class(outcome.classes)
    ipred = _predict(problem, outcome, outcome.individual)
    alike = outcome.typical is outcome.individual
    pred = ipred if alike else _predict(problem, outcome, outcome.typical)
    groups = {
        "estimates": _estimates(outcome),
        "covariance": _covariance(outcome),
        "verdict": _verdict(outcome),
        "subjects": _subjects(problem, outcome, ipred),
        "records": _records(problem, outcome, pred, ipred),
        "data": to_xarray(problem.data),
    }
    if outcome.trace:
        groups["trace"] = _path(outcome, outcome.trace, "trace", "iteration")
    if outcome.starts:
        groups["starts"] = _path(outcome, outcome.starts, "starts", "start")
    groups |= outcome.groups_of_results
    tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = _attributes(problem, estimator, outcome) | dict(attrs)
    return tree


def _estimates(outcome: Outcome) -> xr.Dataset:
    own = outcome.coordinates
    z = own.forward(outcome.values)
    transformed_se, se = natural_errors(own, z, outcome.covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        rse = 100 * se / np.abs(outcome.values)
    at_bound = np.array([[name in verdict.at_bounds for name in own.names] for verdict in outcome.verdicts])
    shared = {
        "initial": own.initial,
        "fixed": ~own.free & ~_follows(outcome),
        "unit": np.array([p.unit for p in own.parameters]),
        "transform": np.array([p.transform for p in own.parameters]),
        "label": np.array([p.label for p in own.parameters]),
    }
    separate = {
        "value": outcome.values,
        "se": se,
        "rse": rse,
        "lower": outcome.lower,
        "upper": outcome.upper,
        "transformed": z,
        "transformed_se": transformed_se,
        "at_bound": at_bound,
    }
    if outcome.prior is not None and outcome.prior.any():
        shared["prior"], shared["prior_share"] = outcome.prior, outcome.prior_share
    dataset = _dataset(outcome, "estimates", separate, shared)
    dataset.attrs = {"interval": outcome.interval}
    return dataset


def _follows(outcome: Outcome) -> np.ndarray:
    """Say which quantities were not searched for, and yet estimated: residual SDs that follow from the squares."""
    variance = np.diagonal(outcome.covariance, axis1=-2, axis2=-1)
    return np.any(np.nan_to_num(variance) > 0, axis=0) & ~outcome.coordinates.free


def _covariance(outcome: Outcome) -> xr.Dataset:
    own, there = outcome.coordinates, outcome.covariance
    slope = own.slope(own.forward(outcome.values))
    columns = {
        "covariance": there,
        "correlation": correlation(there),
        "natural": slope[..., :, None] * there * slope[..., None, :],
    }
    return _dataset(outcome, "covariance", columns, {})


def _verdict(outcome: Outcome) -> xr.Dataset:
    columns: dict[str, Any] = {
        "status": np.array([v.status.value for v in outcome.verdicts]),
        "message": np.array([v.message for v in outcome.verdicts]),
        "null_directions": np.array(["\n".join(v.null_directions) for v in outcome.verdicts]),
        "objective": outcome.objective,
        **outcome.numbers,
    }
    for name in ("gradient", "decrement", "rank", "free", "condition", "evaluations", "starts_at_best", "basins"):
        columns[name] = np.array([getattr(v, name) for v in outcome.verdicts])
    return _dataset(outcome, "verdict", columns, {})


def _subjects(problem: Problem, outcome: Outcome, ipred: np.ndarray) -> xr.Dataset:
    import xarray as xr

    count, seen, laws = outcome.coordinates.count, problem.observations, problem.residuals
    total = outcome.parts
    if total is None:
        at, own = laws.spread(ipred, outcome.residual[seen.subject]), laws.observed(seen.dv)
        each = -2 * log_density(own, at) + np.where(laws.logarithmic, 2 * own, 0.0)
        total = np.bincount(seen.subject, weights=each, minlength=len(problem.subjects))
    coords = {"subject": np.array(problem.subjects), "parameter": np.array(outcome.coordinates.names[:count])}
    return xr.Dataset(
        {
            "individual": (("subject", "parameter"), outcome.individual[:, :count], describe("subjects", "individual")),
            "objective": (("subject",), total, describe("subjects", "objective")),
        },
        coords,
    )


def _predict(problem: Problem, outcome: Outcome, values: np.ndarray) -> np.ndarray:
    """Predict at natural values (S, P), where some subjects may have none: their records stay NaN."""
    known = np.atleast_1d(np.isfinite(values).all(axis=1))
    stand_in = np.zeros(values.shape[1])  # what an occasion adds comes after the model's own
    stand_in[: outcome.coordinates.count] = outcome.coordinates.initial[: outcome.coordinates.count]
    f = problem.predict(np.where(known[:, None], values, stand_in)).expected
    return np.where(known[problem.observations.subject], f, np.nan)


def _records(problem: Problem, outcome: Outcome, pred: np.ndarray, ipred: np.ndarray) -> xr.Dataset:
    import xarray as xr

    seen, laws = problem.observations, problem.residuals
    psi, own = outcome.residual[seen.subject], laws.observed(seen.dv)
    (ipred, mean, sd), (pred, typical_mean, typical_sd) = laws.moments(ipred, psi), laws.moments(pred, psi)
    own, dv = (np.where(seen.censored, np.nan, values) for values in (own, seen.dv))  # a limit leaves no residual
    change = np.asarray(np.isfinite(seen.ref))
    # Events are counted, whatever the unit of their hazard.
    each = np.array(["1" if isinstance(o.kind, Event) else o.unit for o in problem.model.outputs.values()])
    unit = np.where(change, "%", each[seen.output])
    columns: dict[str, Any] = {
        "ID": np.array(problem.subjects)[seen.subject],
        "TIME": seen.time,
        "DV": seen.dv,
        "DVID": np.array(list(problem.model.outputs))[seen.output],
        "PRED": pred,
        "IPRED": ipred,
        "RES": dv - pred,
        "IRES": dv - ipred,
        "WRES": (own - typical_mean) / typical_sd,
        "IWRES": (own - mean) / sd,
        "SD": sd,
        **outcome.columns,
        "N": seen.count,
        "UNIT": unit,
        "ROW": seen.row,
        **seen.labels,
    }
    if "WRES" in outcome.columns:  # of what is no measured amount there is no linearised model
        columns["WRES"] = np.where(laws.discrete, (own - typical_mean) / typical_sd, outcome.columns["WRES"])
    if change.any():
        columns["REF"] = seen.ref
    units = {
        "time": problem.data.time_unit or problem.model.time_unit,
        "output": str(unit[0]) if unit.size and np.all(unit == unit[0]) else None,
    }
    return xr.Dataset(
        {
            name: ("record", column, describe("records", name, units.get(VARIABLES["records", name].unit)))
            for name, column in columns.items()
        },
        {"record": np.arange(seen.dv.size)},
    )


def _path(outcome: Outcome, steps: list[tuple[str, float, np.ndarray]], group: str, dim: str) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            "group": (dim, np.array([step[0] for step in steps]), describe(group, "group")),
            "objective": (dim, np.array([step[1] for step in steps]), describe(group, "objective")),
            "value": ((dim, "parameter"), np.array([step[2] for step in steps]), describe(group, "value")),
        },
        {dim: np.arange(len(steps)), "parameter": np.array(outcome.coordinates.names)},
    )


def _dataset(
    outcome: Outcome, group: str, separate: Mapping[str, np.ndarray], shared: Mapping[str, np.ndarray]
) -> xr.Dataset:
    """Give a dataset of variables that each group has (G first) and of those that all share."""
    import xarray as xr

    coords: dict[str, Any] = {"parameter": np.array(outcome.coordinates.names)}
    if group == "covariance":
        coords["parameter_"] = coords["parameter"]
    if group == "verdict":
        coords = {}
    lead = ("subject",) if outcome.by_subject else ()
    if outcome.by_subject:
        coords["subject"] = np.array(outcome.groups)
    variables = {}
    for name, array in separate.items():
        own = array if outcome.by_subject else array[0]
        variables[name] = (lead + VARIABLES[group, name].dims, own, describe(group, name))
    for name, array in shared.items():
        variables[name] = (VARIABLES[group, name].dims, array, describe(group, name))
    return xr.Dataset(variables, coords)


def _attributes(problem: Problem, estimator: Any, outcome: Outcome) -> dict[str, Any]:
    n, free = outcome.numbers["records"], int(outcome.coordinates.free.sum())
    total = float(np.nansum(outcome.objective))
    counted = len(outcome.groups) * (free + int(_follows(outcome).any()))
    # What does not compare, such as a path, does not count for the numbers.
    options = {field.name: getattr(estimator, field.name) for field in fields(estimator) if field.compare}
    defaults = {field.name: field.default for field in fields(estimator)}
    said = [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
    # A probability is whole; only densities lack the constant.
    points = float(np.nansum(n)) - float(np.nansum(outcome.numbers.get("probabilities", 0.0)))
    deviance = float(np.nansum(outcome.numbers.get("likelihood", total))) + points * np.log(2 * np.pi)
    return {
        "format": FORMAT,
        "model_name": problem.model.name,
        "estimator": f"{type(estimator).__name__}({', '.join(said)})",
        "estimator_options": ", ".join(f"{name}={value!r}" for name, value in options.items()),
        "status": worst([v.status for v in outcome.verdicts]).value,
        "objective": total,
        "objective_name": outcome.objective_name,
        "aic": deviance + 2 * counted if outcome.compared else float("nan"),
        "bic": deviance + counted * np.log(float(np.nansum(n))) if outcome.compared else float("nan"),
        "interval": outcome.interval,
        "notes": "\n".join((*outcome.notes, *problem.data.notes)),
        "seed": -1 if options.get("seed") is None else int(options["seed"]),
        "model": problem.model.text,
        "model_hash": problem.model.hash,
        "data": problem.data.origin,
        "data_hash": problem.data.sha256,
        "data_digest": problem.data.digest,
    }
