"""Intervals from draws: percentiles, and percentiles corrected for bias and acceleration."""

from __future__ import annotations

import numpy as np

__all__ = ["acceleration", "bca", "percentile"]


def percentile(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the ends between which a share `level` of the draws (D, K) lies, (K,) each."""
    tail = 0.5 * (1 - level)
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def acceleration(influence: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Give how fast standard errors change with the estimates, (K,): a sixth of the skewness of the influences.

    Parameters
    ----------
    influence : (S, K) float
        What each subject does to each estimate, per unit of its weight (the infinitesimal jackknife).
    strata : (S,) int
        Where subjects are drawn by strata, only what differs within them counts.

    Notes
    -----
    Efron B. Better bootstrap confidence intervals. Journal of the American Statistical Association 1987;82:171-185,
    equation 7.3. doi:10.1080/01621459.1987.10478410
    """
    own = influence.copy()
    for stratum in np.unique(strata):
        own[strata == stratum] -= own[strata == stratum].mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (own**3).sum(axis=0) / (6 * (own**2).sum(axis=0) ** 1.5)


def bca(draws: np.ndarray, estimate: np.ndarray, push: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give BCa intervals, (K,) each; NaN where all draws lie on one side of the estimate, or `push` is not known.

    Parameters
    ----------
    draws : (D, K) float
    estimate : (K,) float
    push : (K,) float
        See :func:`acceleration`.
    level : float

    Notes
    -----
    Efron and Tibshirani 1993, equations 14.9 and 14.10. The interval does not depend on the scale.
    """
    from scipy.special import ndtr, ndtri

    below = ((draws < estimate) + 0.5 * (draws == estimate)).mean(axis=0)
    ends = np.full((2, len(estimate)), np.nan)
    for k in np.flatnonzero((below > 0) & (below < 1) & np.isfinite(push)):
        z0 = ndtri(below[k])
        z = z0 + ndtri(np.array([0.5 * (1 - level), 0.5 * (1 + level)]))
        shares = np.where(push[k] * z < 1, ndtr(z0 + z / (1 - push[k] * z)), (z > 0).astype(float))
        ends[:, k] = np.quantile(draws[:, k], shares)
    return ends[0], ends[1]
