"""What an information matrix fixes, and what it leaves open, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.identify import SHARE, identify

__all__ = ["Known", "know"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of p quantities.

    Parameters
    ----------
    rank : int
    condition : float
        Of the correlation of the estimates; infinite if the rank is not full.
    covariance : (p, p) float
        NaN in rows and columns of what is left open.
    se : (p,) float
        Infinite there.
    words : tuple of str
        What is left open.
    """

    rank: int
    condition: float
    covariance: np.ndarray
    se: np.ndarray
    words: tuple[str, ...]


def know(matrix: np.ndarray, coordinates: Coordinates) -> Known:
    """Judge an information matrix (p, p) of the free natural quantities of `coordinates`."""
    free = np.flatnonzero(coordinates.free)
    slope = coordinates.slope(coordinates.forward(coordinates.initial))[free]
    names = np.array(coordinates.names)[free]
    moved = matrix * np.outer(slope, slope)  # on the estimation scale, where a change by 1 is a factor e
    strength = np.sqrt(np.maximum(np.diagonal(moved), 0.0))
    scale = np.where(strength > 0, strength, 1.0)
    values, vectors = np.linalg.eigh(moved / np.outer(scale, scale))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * scale
    found = identify(root, np.zeros(len(root)), coordinates, coordinates.size(coordinates.forward(coordinates.initial))[
        free])  # fmt: skip
    covariance = found.covariance * np.outer(slope, slope)
    variances = np.diagonal(covariance)
    words = [f"The study says nothing about {name}." for name in names[np.isnan(variances) & ~_named(found.null)]]
    words += [_in_words(direction, names, coordinates, free) for direction in found.null.T]
    return Known(
        rank=found.rank,
        condition=found.condition,
        covariance=covariance,
        se=np.sqrt(np.where(np.isnan(variances), np.inf, variances)),
        words=tuple(words),
    )


def _named(null: np.ndarray) -> np.ndarray:
    return np.asarray((np.abs(null) > SHARE).any(axis=1))


def _in_words(direction: np.ndarray, names: np.ndarray, coordinates: Coordinates, free: np.ndarray) -> str:
    """Say which quantities can move together while nothing that is seen changes its law."""
    moving = [k for k in np.argsort(-np.abs(direction), kind="stable") if abs(direction[k]) > SHARE]
    sign, terms = np.sign(direction[moving[0]]), []
    for k in moving:
        by, transform = direction[k] * sign, coordinates.parameters[free[k]].transform
        terms.append(f"{names[k]} by {100 * by:+.3g} %" if transform == "log" else
                     f"{names[k]} by {by:+.3g}" + (f" ({transform} scale)" if transform != "none" else ""))  # fmt: skip
    return f"Nothing that is seen changes its law when these move together: {', '.join(terms)}."
