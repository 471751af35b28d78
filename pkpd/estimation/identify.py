"""What the data fix and what they leave open: rank, null directions, correlations, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.model import Parameter

__all__ = ["Identification", "identify", "silent"]

# A direction in which the predictions move less than this, relative to the direction in which they move most (after
# each parameter is scaled to the same strength), is one the data do not see. The sensitivities of an integrated model
# carry errors near 1e-8; a correlation of 0.999999999 still counts as seen.
BLIND = 1e-6
# A parameter whose every effect is weaker than this, relative to the strongest parameter's, is not heard at all.
SILENT = 1e-7
# A parameter takes part in a null direction when its share of it is larger than this.
SHARE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What the weighted sensitivities at the estimates say.

    Parameters
    ----------
    rank : int
        Rank of the weighted sensitivities of the F free quantities.
    condition : float
        Largest over smallest eigenvalue of the correlation of the estimates; infinite when the rank is not full.
    covariance : (F, F) float
        Inverse information; NaN in rows and columns of quantities that the data do not fix.
    null : (F, M) float
        Basis of the directions, on the estimation scale, in which nothing predicted changes.
    words : tuple of str
        The same in words.
    step : (F,) float
        The scoring step towards the minimum, within what the data see.
    """

    rank: int
    condition: float
    covariance: np.ndarray
    null: np.ndarray
    words: tuple[str, ...]
    step: np.ndarray


def identify(
    weighted: np.ndarray, target: np.ndarray, coordinates: Coordinates, size: np.ndarray | float = 1.0
) -> Identification:
    """Judge what the data fix.

    Parameters
    ----------
    weighted : (m, F) float
        A matrix whose ``weighted.T @ weighted`` is the information about the F free quantities on the estimation
        scale.
    target : (m,) float
        Its regression on `weighted` is the scoring step.
    coordinates : Coordinates
        What the free quantities are called, and their transforms.
    size : (F,) float
        What counts as a change of each on the estimation scale: 1 on a logarithmic one, the size of a value without
        transform.
    """
    free = [p for p, is_free in zip(coordinates.parameters, coordinates.free) if is_free]
    count = len(free)
    strength = np.linalg.norm(weighted, axis=0)
    heard = np.flatnonzero(~silent(weighted, size))
    words = [f"The data say nothing about {free[k].name}." for k in np.setdiff1d(np.arange(count), heard)]
    covariance, step, null = np.full((count, count), np.nan), np.zeros(count), np.zeros((count, 0))
    rank, condition = 0, np.inf
    if heard.size:
        scale = strength[heard]
        left, singular, right = np.linalg.svd(weighted[:, heard] / scale, full_matrices=False)
        seen = singular > BLIND * singular[0]
        rank = int(seen.sum())
        inverse = (right[seen].T / singular[seen] ** 2) @ right[seen] / np.outer(scale, scale)
        step[heard] = right[seen].T @ (left[:, seen].T @ target / singular[seen]) / scale
        if rank < heard.size:
            open_ = _sparse_basis(right[~seen].T / scale[:, None])
            null = np.zeros((count, open_.shape[1]))
            null[heard] = open_
            words += [_in_words(direction, free) for direction in null.T]
            involved = (np.abs(open_) > SHARE).any(axis=1)
            inverse[involved, :] = np.nan
            inverse[:, involved] = np.nan
        covariance[np.ix_(heard, heard)] = inverse
        if rank == count:
            sd = np.sqrt(np.diag(covariance))
            eigen = np.linalg.eigvalsh(covariance / np.outer(sd, sd))
            condition = float(eigen[-1] / eigen[0]) if eigen[0] > 0 else np.inf
    return Identification(
        rank=rank, condition=condition, covariance=covariance, null=null, words=tuple(words), step=step
    )


def silent(weighted: np.ndarray, size: np.ndarray | float = 1.0) -> np.ndarray:
    """Say which columns of sensitivities (m, F) are no more than the errors of the engine, (F,) bool."""
    strength = np.linalg.norm(weighted, axis=0) * size
    return strength <= SILENT * strength.max(initial=0.0)


def _sparse_basis(null: np.ndarray) -> np.ndarray:
    """Give a basis of the same space with as few parameters in each direction as pivoting finds, largest entry 1."""
    from scipy.linalg import qr

    pivots: np.ndarray = qr(null.T, pivoting=True, mode="r")[-1]
    basis = null @ np.linalg.inv(null[pivots[: null.shape[1]]])
    return basis / np.abs(basis).max(axis=0)


def _in_words(direction: np.ndarray, free: Sequence[Parameter]) -> str:
    """Say a null direction: which parameters can move together, and how, without any prediction changing."""
    moving = [(p, d) for p, d in zip(free, direction) if abs(d) > SHARE]
    logarithmic = all(p.transform == "log" for p, _ in moving)
    if logarithmic and all(abs(abs(d) - 1) < 0.01 for _, d in moving):
        up = [p.name for p, d in moving if d * moving[0][1] > 0]
        down = [p.name for p, d in moving if d * moving[0][1] < 0]
        if not down:
            return f"Only ratios of {_listed(up)} are known: all can grow by one factor and no prediction changes."
        if len(up) == len(down) == 1:
            return f"Only the product {up[0]} * {down[0]} is known: one can grow as the other shrinks."
        return f"No prediction changes when {_listed(up)} grow by a factor and {_listed(down)} shrink by it."
    moving.sort(key=lambda pair: -abs(round(pair[1], 6)))
    sign = np.sign(moving[0][1])
    if logarithmic:
        terms = ", ".join(f"{p.name} by {100 * d * sign:+.3g} %" for p, d in moving)
    else:
        terms = ", ".join(f"{p.name} by {d * sign:+.3g}{_scale(p)}" for p, d in moving)
    return f"No prediction changes when these move together: {terms}."


def _scale(parameter: Parameter) -> str:
    return "" if parameter.transform == "none" else f" ({parameter.transform} scale)"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
