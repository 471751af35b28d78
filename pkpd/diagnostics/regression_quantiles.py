"""Quantiles that depend on an axis without bins: regression quantiles on natural cubic splines."""

from __future__ import annotations

import numpy as np

__all__ = ["regression_quantiles", "spline"]

_STEPS = 40


def regression_quantiles(x: np.ndarray, y: np.ndarray, quantiles: np.ndarray, at: np.ndarray, knots: int) -> np.ndarray:
    """Fit quantiles of y as smooth functions of x, for many sets of y at once.

    The sum of check losses is brought down by majorisation, each step a weighted least-squares problem. Koenker R,
    Bassett G. Regression quantiles. Econometrica 1978;46:33-50. doi:10.2307/1913643. Hunter DR, Lange K. Quantile
    regression via an MM algorithm. J Comput Graph Stat 2000;9:60-77. doi:10.2307/1390613

    Parameters
    ----------
    x : (n,) float
    y : (R, n) float
        Minus infinity stands for what is below everything, such as below a limit; plus infinity for what is above.
    quantiles : (Q,) float
    at : (G,) float
        Where the curves are wanted.
    knots : int
        Of the spline, 2 or more: 2 make a straight line.

    Returns
    -------
    (R, Q, G) float
    """
    places = np.quantile(x, np.linspace(0, 1, knots))
    design, wanted = spline(x, places), spline(at, places)
    # An orthonormal basis: the equations of every step are then well conditioned.
    design, triangle = np.linalg.qr(design)
    wanted = np.linalg.solve(triangle.T, wanted.T).T
    finite = np.where(np.isfinite(y), y, np.nan)
    low, high = np.nanmin(finite, axis=1), np.nanmax(finite, axis=1)
    room = 3 * np.maximum(high - low, 1e-12 * (1 + np.abs(high)))
    target = np.where(np.isneginf(y), (low - room)[:, None], np.where(np.isposinf(y), (high + room)[:, None], y))
    scale = np.maximum(high - low, 1e-300)
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(x), -1)
    p = design.shape[1]
    found = np.empty((len(y), len(quantiles), len(at)))
    ones = design.sum(axis=0)
    for k, quantile in enumerate(quantiles):
        beta = np.quantile(target, quantile, axis=1)[:, None] * ones  # the constant; the basis is orthonormal
        for step in range(_STEPS):
            left = target - beta @ design.T
            small = (scale * 10.0 ** -(2 + 4 * step / _STEPS))[:, None]
            weight = 1 / (small + np.abs(left))
            equations = (weight @ pairs).reshape(-1, p, p)
            right = (weight * target) @ design + (2 * quantile - 1) * ones
            beta = np.linalg.solve(equations, right[..., None])[..., 0]
        found[:, k] = beta @ wanted.T
    return found


def spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Give the basis of natural cubic splines, (n, K): 1, x, and K - 2 more, straight beyond the outer knots."""
    knots = np.unique(knots)
    width = float(np.ptp(knots)) or 1.0
    z, at = (x - knots[0]) / width, (knots - knots[0]) / width

    def cubic(k: int) -> np.ndarray:
        return (np.clip(z - at[k], 0, None) ** 3 - np.clip(z - at[-1], 0, None) ** 3) / (at[-1] - at[k])

    columns = [np.ones_like(z)] + ([z] if len(at) > 1 else [])
    columns += [cubic(k) - cubic(len(at) - 2) for k in range(len(at) - 2)]
    return np.column_stack(columns)
