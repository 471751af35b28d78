"""How well the estimates of a population fit are known: its covariance matrix, three ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pkpd.estimation.outer import Penalised

__all__ = ["CovarianceMethod", "Precision", "find_precision", "rank_and_condition"]

CovarianceMethod = Literal["sandwich", "R", "S"]

#: Step of the differences of slopes, on the estimation scale.
_STEP = 2e-3
#: An eigenvalue of the information, scaled to a unit diagonal, below which nothing is known in its direction.
_LEAST = 1e-8
#: The same of the squares of slopes. These are exact, where differences of slopes bend with a curved ridge.
_SHORTEST = 1e-11


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """What is known of the objective around its minimum.

    Parameters
    ----------
    r : (X, X) float
        Half of the second derivatives of the objective: the observed information, that of the priors included.
    s : (X, X) float
        The sum of squares of the subjects' slopes of -log L, and the information of the priors.
    covariance : (X, X) float
        Of the estimates; NaN where the information does not support one.
    eigenvalues : (X,) float
        Of r, scaled to a unit diagonal.
    reason : str
        Why there is none.
    few : bool
        Whether it is for too few people alone: the information itself is sound.
    """

    r: np.ndarray
    s: np.ndarray
    covariance: np.ndarray
    eigenvalues: np.ndarray
    reason: str = ""
    few: bool = False

    @property
    def open(self) -> bool:
        """Whether the data leave a direction open."""
        return bool(self.reason) and not self.few


def find_precision(
    look: Callable[[np.ndarray], Penalised],
    x: np.ndarray,
    free: np.ndarray,
    method: CovarianceMethod,
    size: np.ndarray | None = None,
) -> Precision:
    """Give the covariance of the estimates.

    ``R`` is the inverse of the observed information r, ``S`` that of the squares of slopes s, ``sandwich`` is
    r^-1 s r^-1, as in NONMEM.

    A prior stands for subjects that were not seen: their slopes are not known, but the sum of their squares is expected
    to be their information. So the information of the priors is added to s as it is in r, and a quantity of which
    only its prior tells has the variance of the prior by each of the three.

    Parameters
    ----------
    look
        Gives the objective at a place.
    x : (X,) float
        The minimum.
    free : (X,) bool
        What does not stand at a bound.
    method : "sandwich", "R" or "S"
    size : (X,) float, optional
        What counts as a change of each by 1: 1 for logarithms, the size of plain values.
    """
    places = np.flatnonzero(free)
    here = look(x)
    s = here.information[np.ix_(places, places)]
    r = np.empty((len(places), len(places)))
    for row, k in enumerate(places):
        up, down = x.copy(), x.copy()
        step = _STEP * (1.0 if size is None else size[k])
        up[k] += step
        down[k] -= step
        r[row] = 0.25 * (look(up).gradient - look(down).gradient)[places] / step
    r = 0.5 * (r + r.T)
    unknown = np.full((len(x), len(x)), np.nan)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = _scaled(r)
    if not np.isfinite(scaled).all():
        return Precision(r=r, s=s, covariance=unknown, eigenvalues=np.full(len(places), np.nan),
                         reason="the objective cannot be computed around the minimum")  # fmt: skip
    eigenvalues = np.linalg.eigvalsh(scaled)
    if eigenvalues.min(initial=1.0) < _LEAST:
        return Precision(r=r, s=s, covariance=unknown, eigenvalues=eigenvalues,
                         reason="the observed information is not positive definite")  # fmt: skip
    lengths = np.linalg.eigvalsh(_scaled(s))
    if lengths.min(initial=1.0) < _SHORTEST:
        # Slopes sum to 0 at a minimum: only with more people than quantities do they tell of a direction without any.
        people = len(here.slopes)
        if people > len(places):
            return Precision(r=r, s=s, covariance=unknown, eigenvalues=eigenvalues,
                             reason="a direction changes nobody's likelihood")  # fmt: skip
        if method != "R":
            return Precision(r=r, s=s, covariance=unknown, eigenvalues=eigenvalues,
                             reason=f"{people} subjects do not support {len(places)} squares of slopes",
                             few=True)  # fmt: skip
    inverse = np.linalg.inv(r) if method != "S" else np.linalg.inv(s)
    covariance = np.zeros((len(x), len(x)))
    covariance[np.ix_(places, places)] = inverse @ s @ inverse if method == "sandwich" else inverse
    return Precision(r=r, s=s, covariance=covariance, eigenvalues=eigenvalues)


def rank_and_condition(known: Precision | None) -> tuple[int, float]:
    """Give the rank of the scaled information and its condition number; 0 and NaN where it is not known."""
    values = np.zeros(0) if known is None else known.eigenvalues
    usable = values.size and np.isfinite(values).all() and values.min() > 0
    return int((values > _LEAST).sum()), float(values.max() / values.min()) if usable else float("nan")


def _scaled(matrix: np.ndarray) -> np.ndarray:
    """Give a matrix with a diagonal of 1, or of 0 where it is 0."""
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    scale = np.where(scale > 0, scale, 1.0)
    return matrix / np.outer(scale, scale)
