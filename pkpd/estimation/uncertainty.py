"""How well the estimates are known: standard errors and confidence intervals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pkpd.estimation.coordinates import Coordinates

if TYPE_CHECKING:
    import lmfit.model

__all__ = ["Interval", "correlation", "interval_text", "natural_errors", "profile", "sigma_limits", "wald"]

Interval = Literal["wald", "profile"]


def natural_errors(coordinates: Coordinates, z: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give standard errors on the estimation and on the natural scale (delta method), (..., K) each.

    Parameters
    ----------
    z : (..., K) float
        Estimates on the estimation scale.
    covariance : (..., K, K) float
        Their covariance there; zero for what was held, NaN for what the data do not fix.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    transformed = np.sqrt(np.where(variance > 0, variance, np.nan))
    return transformed, transformed * np.abs(coordinates.slope(z))


def correlation(covariance: np.ndarray) -> np.ndarray:
    """Give the correlation that belongs to a covariance (..., K, K); NaN for what was held or is not fixed."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    sd = np.sqrt(np.where(variance > 0, variance, np.nan))
    return covariance / (sd[..., :, None] * sd[..., None, :])


def quantile(level: float, degrees_of_freedom: float) -> float:
    """Give the two-sided quantile of Student's t; of the normal distribution for infinite degrees of freedom."""
    from scipy.stats import norm, t

    tail = 0.5 + level / 2
    return float(norm.ppf(tail) if np.isinf(degrees_of_freedom) else t.ppf(tail, degrees_of_freedom))


def wald(
    coordinates: Coordinates, z: np.ndarray, covariance: np.ndarray, level: float, degrees_of_freedom: float
) -> tuple[np.ndarray, np.ndarray]:
    """Give intervals that are symmetric on the estimation scale, as natural values, (K,) each.

    So the interval of a log-transformed parameter stays above zero, that of a logit one within its bounds.
    """
    error, _ = natural_errors(coordinates, z, covariance)
    reach = quantile(level, degrees_of_freedom) * error
    return coordinates.inverse(z - reach), coordinates.inverse(z + reach)


def profile(
    coordinates: Coordinates, z: np.ndarray, result: lmfit.model.ModelResult, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Give profile-likelihood intervals by lmfit's ``conf_interval``, as natural values, (K,) each.

    The end of an interval that the data leave open is the bound of the parameter, or infinite. NaN: the parameter was
    held, has no standard error to start from, or its profile is too ragged to be followed.
    """
    names = [name for name, parameter in result.params.items() if parameter.vary]
    places = np.flatnonzero(coordinates.free)
    ends = np.full((2, z.size), np.nan)
    for name, k in zip(names, places):
        if result.params[name].stderr:
            ends[:, k] = _one_profile(result, name, level) if len(names) > 1 else _only_profile(result, name, level)
    lower, upper = coordinates.limits()
    low, high = np.maximum(ends[0], lower), np.minimum(ends[1], upper)
    known = ~np.isnan(ends).any(axis=0)
    natural = coordinates.inverse(np.where(known, low, z)), coordinates.inverse(np.where(known, high, z))
    return np.where(known, natural[0], np.nan), np.where(known, natural[1], np.nan)


def sigma_limits(level: float, degrees_of_freedom: float) -> tuple[float, float]:
    """Give the factors from an SD to the ends of its interval: df * estimate**2 / true**2 is chi-squared."""
    from scipy.stats import chi2

    ends = chi2.ppf([0.5 + level / 2, 0.5 - level / 2], degrees_of_freedom)
    return float(np.sqrt(degrees_of_freedom / ends[0])), float(np.sqrt(degrees_of_freedom / ends[1]))


def interval_text(kind: Interval, level: float, degrees_of_freedom: float, *, scaled: bool) -> str:
    """Say how the intervals were made."""
    if kind == "profile":
        test = "F test" if scaled else "likelihood ratio"
        return f"{100 * level:g} % profile likelihood ({test})"
    law = "normal" if np.isinf(degrees_of_freedom) else f"t with {degrees_of_freedom:g} df"
    return f"{100 * level:g} % Wald on the estimation scale ({law})"


def _one_profile(result: Any, name: str, level: float) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lmfit warns where an interval is open; the infinite end says it
        try:
            rows = result.conf_interval(p_names=[name], sigmas=[level])[name]
        except ValueError:  # from scipy's root finder, where the profile is not monotonic
            return np.nan, np.nan
    return rows[0][1], rows[-1][1]


def _only_profile(result: Any, name: str, level: float) -> tuple[float, float]:
    """Give the interval of a fit with one free parameter, where nothing is left to minimise (lmfit wants two)."""
    from scipy.optimize import brentq

    centre, error = result.params[name].value, result.params[name].stderr
    best = float(result.residual @ result.residual)
    scale = best / result.nfree if result.scale_covar else 1.0
    allowed = quantile(level, result.nfree if result.scale_covar else np.inf) ** 2

    def excess(value: float) -> float:
        rows = result.model.objective.residuals(np.array([value]))
        return float(rows @ rows - best) / scale - allowed

    ends = []
    for side in (-1, 1):
        for step in (1, 2, 4, 8, 16, 32, 64):
            end = centre + side * step * error * np.sqrt(allowed)
            if excess(end) > 0:
                ends.append(brentq(excess, min(centre, end), max(centre, end), xtol=1e-10))
                break
        else:
            ends.append(side * np.inf)
    return ends[0], ends[1]
