"""What many replicates say of an estimator: bias, precision, coverage, tests, each with its Monte Carlo error.

Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Statistics in Medicine
2019;38:2074-2102. doi:10.1002/sim.8086
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.estimation.enlarge import dataset
from pkpd.estimation.replicates import SOUND
from pkpd.simulation.studies.piece import LAWS, Replicate, Work, kind_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["binomial", "laid_out"]

_LEVEL = 0.95


def binomial(hits: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the ends of the exact 95 % interval of a share, by Clopper and Pearson.

    Biometrika 1934;26:404-413. doi:10.1093/biomet/26.4.404
    """
    from scipy.stats import beta

    tail = (1 - _LEVEL) / 2
    with np.errstate(invalid="ignore"):
        lower = np.where(hits == 0, 0.0, beta.ppf(tail, hits, count - hits + 1))
        upper = np.where(hits == count, 1.0, beta.ppf(1 - tail, hits + 1, count - hits))
    none = count == 0
    return np.where(none, np.nan, lower), np.where(none, np.nan, upper)


def laid_out(
    work: Work, done: Sequence[Replicate], truth: Mapping[str, float], alpha: float, attrs: Mapping[str, Any]
) -> dict[str, xr.Dataset]:
    """Give the groups of a study."""
    named = {"estimator": np.array(list(work.estimators)), "model": np.array(list(work.models))}
    kinds = np.array([kind_of(one) for one in work.intervals])
    whole = {**named, "parameter": np.array(work.names), "interval": kinds, "law": np.array(LAWS)}
    columns = {name: np.array([getattr(one, name) for one in done]) for name in Replicate.__slots__ if name != "number"}
    true = np.array([truth.get(name, np.nan) for name in work.names])
    sound = np.isin(columns["status"], SOUND)
    summary = {
        "truth": true,
        "fits": np.full(sound.shape[1:], len(done)),
        "sound": sound.sum(axis=0),
        "fit_seconds": _mean(columns["seconds"]),
        **_precision(columns, sound, true),
        **_coverage(columns, sound, true),
    }
    without_law = {name: one for name, one in whole.items() if name != "law"}
    groups = {
        "study": dataset("study", summary, without_law, attrs),
        "study_replicates": dataset(
            "study_replicates", columns, {"replicate": np.array([one.number for one in done]), **whole}, {}
        ),
    }
    if work.null:
        coords = {**named, "law": whole["law"]}
        groups["study_tests"] = dataset("study_tests", _tests(columns["p"], alpha), coords, {"alpha": alpha})
    return groups


def _precision(columns: Mapping[str, np.ndarray], sound: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    value = np.where(sound[..., None], columns["value"], np.nan)
    count = (~np.isnan(value)).sum(axis=0)
    mean, bias = _mean(value), _mean(value - true)
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.nansum((value - mean) ** 2, axis=0) / np.where(count > 1, count - 1, np.nan))
        relative = np.where(true == 0, np.nan, 100 * bias / true)
    return {
        "count": count,
        "mean": mean,
        "bias": bias,
        "bias_error": sd / np.sqrt(np.maximum(count, 1)),
        "relative_bias": relative,
        "rmse": np.sqrt(_mean((value - true) ** 2)),
        "sd": sd,
        "mean_se": _mean(np.where(np.isfinite(columns["se"]) & sound[..., None], columns["se"], np.nan)),
    }


def _coverage(columns: Mapping[str, np.ndarray], sound: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    lower, upper = columns["lower"], columns["upper"]
    known = ~np.isnan(lower) & ~np.isnan(upper) & ~np.isnan(true) & sound[..., None, None]
    count, hits = known.sum(axis=0), (known & (lower <= true) & (true <= upper)).sum(axis=0)
    low, high = binomial(hits, count)
    share = np.where(count > 0, hits / np.maximum(count, 1), np.nan)
    return {"coverage": share, "coverage_lower": low, "coverage_upper": high, "intervals": count}


def _tests(p: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
    known = ~np.isnan(p)
    count, hits = known.sum(axis=0), (known & (p <= alpha)).sum(axis=0)
    low, high = binomial(hits, count)
    share = np.where(count > 0, hits / np.maximum(count, 1), np.nan)
    return {"tests": count, "rejected": share, "rejected_lower": low, "rejected_upper": high}


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over replicates of what is there; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
