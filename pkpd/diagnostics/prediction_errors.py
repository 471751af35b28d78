"""The place of observations among data drawn from the model: prediction discrepancies and distribution errors.

======  ================================================================================================================
name    of record j of a subject whose observations are drawn K times
======  ================================================================================================================
PD      prediction discrepancy: the share of the K that are less than the observation
NPD     PD as a normal quantile
PDE     prediction distribution error: the same share after the subject's observations and draws were decorrelated by
        mean and covariance of the draws
NPDE    PDE as a normal quantile
======  ================================================================================================================

A share of 0 becomes 1 / (2 K), one of 1 becomes 1 - 1 / (2 K), as in the R package npde. Where draws may equal the
observation (a score, a count), the share is drawn within its step, as for randomised quantile residuals.

Brendel K, Comets E, Laffont C, Laveille C, Mentre F. Pharm Res 2006;23:2036-2049. doi:10.1007/s11095-006-9067-5
Comets E, Brendel K, Mentre F. Comput Methods Programs Biomed 2008;90:154-166. doi:10.1016/j.cmpb.2007.12.002
Dunn PK, Smyth GK. J Comput Graph Stat 1996;5:236-244. doi:10.2307/1390802
"""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["DECORRELATIONS", "Decorrelation", "decorrelated", "places", "shares", "with_ends"]

Decorrelation = Literal["cholesky", "eigen"]
DECORRELATIONS = ("cholesky", "eigen")
#: A covariance of draws whose correlations leave less than this in some direction tells nothing apart there.
_SINGULAR = 1e-10
#: Numbers that are sorted together.
_TOGETHER = 4_000_000


def with_ends(share: np.ndarray, count: int) -> np.ndarray:
    """Give shares of `count` draws with their ends moved inside: 1 / (2 count) from 0 and 1."""
    return np.where(share <= 0, 0.5 / count, np.where(share >= 1, 1 - 0.5 / count, share))


def shares(y: np.ndarray, drawn: np.ndarray, chance: np.ndarray | None = None) -> np.ndarray:
    """Give the share of draws (K, n) that are less than `y` (n,), before its ends are moved, (n,).

    With `chance` (n,), uniform numbers, that part of those that are equal is added.
    """
    less = (drawn < y).mean(axis=0)
    return less if chance is None else less + chance * (drawn == y).mean(axis=0)


def places(others: np.ndarray, drawn: np.ndarray, chance: np.ndarray | None = None) -> np.ndarray:
    """Give the normal quantiles of the shares of draws (K, n) that are less than other draws (R, n), (R, n).

    Equal ones take their places in the order of `chance` (K + R, n), if it is given.
    """
    from scipy import special

    count, size = drawn.shape
    found = np.empty(others.shape, dtype=np.float32)
    for lot in np.array_split(np.arange(size), max(1, size * (count + len(others)) // _TOGETHER)):
        both = np.concatenate([drawn[:, lot], others[:, lot]]).T
        order = np.argsort(both, axis=1) if chance is None else np.lexsort((chance[:, lot].T, both), axis=1)
        less = np.empty(both.shape, dtype=np.int32)
        np.put_along_axis(less, order, np.cumsum(order < count, axis=1, dtype=np.int32), axis=1)
        found[:, lot] = special.ndtri(with_ends(less[:, count:].T / count, count))
    return found


def decorrelated(
    values: np.ndarray, drawn: np.ndarray, how: Decorrelation = "cholesky"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take mean and correlation of the draws out of observations and draws, subject by subject.

    The draws of a subject have mean m and covariance V = L L' (with K - 1 in the denominator). Cholesky takes L^-1 (y -
    m): each record given those before it, the default of the R package npde. Eigen takes the symmetric V^-1/2 (y - m):
    its "inverse" and "polar", and what NONMEM and Monolix do.

    Parameters
    ----------
    values : (S, V, m) float
        What has the same mean and correlation under the model, such as the observations.
    drawn : (S, K, m) float
    how : "cholesky" or "eigen"

    Returns
    -------
    values : (S, V, m) float
    drawn : (S, K, m) float
    sound : (S,) bool
        Whether the draws have a covariance that can be inverted. The others are NaN.
    """
    count, size = drawn.shape[1:]
    mean = drawn.mean(axis=1)
    centred = drawn - mean[:, None]
    variance = np.swapaxes(centred, 1, 2) @ centred / (count - 1)
    sd = np.sqrt(np.diagonal(variance, axis1=1, axis2=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = variance / (sd[:, :, None] * sd[:, None, :])
    sound = np.isfinite(correlation).all(axis=(1, 2)) & (count > size)
    safe = np.where(sound[:, None, None], correlation, np.eye(size))
    sound &= np.linalg.eigvalsh(safe)[:, 0] > _SINGULAR
    safe = np.where(sound[:, None, None], variance, np.eye(size))
    if how == "cholesky":
        turn = np.linalg.inv(np.linalg.cholesky(safe))
    else:
        roots, vectors = np.linalg.eigh(safe)
        turn = (vectors / np.sqrt(roots)[:, None]) @ np.swapaxes(vectors, 1, 2)
    turn[~sound] = np.nan
    turn = np.swapaxes(turn, 1, 2)
    return (values - mean[:, None]) @ turn, centred @ turn, sound
