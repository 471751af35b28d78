"""Laws from which sampling importance resampling draws: normal, or as lopsided as the profiles are.

Beside the normal law of the covariance there is one whose margins are split normal on the estimation scale of the
table: a half-width below the estimate and one above, from the ends of profile intervals, so that each margin has its
mode at the estimate and falls as the likelihood does on either side. Margins are joined by the correlation of the
estimates (a Gaussian copula).

Wallis KF. The two-piece normal, binormal, or double Gaussian distribution: its origin and rediscoveries. Statistical
Science 2014;29:106-112. doi:10.1214/13-STS417
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from pkpd.errors import CannotFit
from pkpd.estimation.quantities import Quantities

__all__ = ["Normal", "SplitNormal", "factor_of"]

#: Draws of a copula may be no further out than so many SDs: beyond, the inverse of the normal law is rounding alone.
_FURTHEST = 8.0


def factor_of(covariance: np.ndarray) -> np.ndarray:
    """Give the Cholesky factor of a covariance of draws, or say that there is none."""
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise CannotFit(
            "the covariance of the draws is not positive definite.",
            where="sir(fit, data)",
            expected="More draws that count than quantities.",
            remedy="Ask for more samples, or use profile() or bootstrap().",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normal:
    """A normal law of the M outer parameters that move.

    Parameters
    ----------
    centre : (X,) float
    moving : (M,) int
    factor : (M, M) float
        A root of the covariance.
    """

    centre: np.ndarray
    moving: np.ndarray
    factor: np.ndarray

    def draw(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give draws (D, X) from standard normal numbers (D, M), and log density but for a constant.

        The density is that of the outer parameters.
        """
        x = np.tile(self.centre, (len(z), 1))
        x[:, self.moving] += z @ self.factor.T
        return x, -0.5 * (z**2).sum(axis=1)

    def again(self, kept: np.ndarray) -> Normal:
        """Give the law laid over draws that were kept, (m, X)."""
        width = self.moving.size
        covariance = np.cov(kept[:, self.moving], rowvar=False).reshape(width, width)
        return Normal(centre=kept.mean(axis=0), moving=self.moving, factor=factor_of(covariance))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitNormal:
    """A law with split normal margins of the M quantities of the table that move.

    Parameters
    ----------
    quantities : Quantities
    centre : (N,) float
        Of all quantities of the table, on its estimation scale.
    places : (M,) int
        Those that move.
    below, above : (M,) float
        Half-widths.
    factor : (M, M) float
        A root of the correlation.
    """

    quantities: Quantities
    centre: np.ndarray
    places: np.ndarray
    below: np.ndarray
    above: np.ndarray
    factor: np.ndarray

    def draw(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give draws (D, X) from standard normal numbers (D, M), and log density but for a constant.

        The density is that of the outer parameters. A draw whose covariance matrix is none is NaN.
        """
        score = np.clip(z @ self.factor.T, -_FURTHEST, _FURTHEST)
        share = self.below / (self.below + self.above)
        with np.errstate(invalid="ignore"):  # the branch that is not taken
            left = self.below * special.ndtri(np.minimum(0.5 * special.ndtr(score) / share, 0.5))
            right = -self.above * special.ndtri(np.minimum(0.5 * special.ndtr(-score) / (1 - share), 0.5))
        step = np.where(special.ndtr(score) < share, left, right)
        width = np.where(step < 0, self.below, self.above)
        # Of the copula, and of the margins: 2 / (below + above) normal densities of the step over its own width.
        logs = -0.5 * (z**2).sum(axis=1) + 0.5 * (score**2).sum(axis=1) - 0.5 * ((step / width) ** 2).sum(axis=1)
        own = self.quantities.coordinates
        x = np.full((len(z), int(own.free.sum())), np.nan)
        for k, move in enumerate(step):
            u = self.centre.copy()
            u[self.places] += move
            try:
                x[k] = self.quantities.outer(own.inverse(u))
                slopes = self.quantities.slopes(x[k])[own.free]
            except np.linalg.LinAlgError:  # covariances too large for their variances
                x[k], logs[k] = np.nan, -np.inf
                continue
            logs[k] += np.linalg.slogdet(slopes)[1]
        return x, logs

    def again(self, kept: np.ndarray) -> SplitNormal:
        """Give the law with the correlation of draws that were kept, (m, X); widths stay those of the profiles."""
        own = self.quantities.coordinates
        step = (np.array([own.forward(self.quantities.natural(x)) for x in kept]) - self.centre)[:, self.places]
        score = _scores(step, self.below, self.above)
        correlation = np.corrcoef(score, rowvar=False).reshape(len(self.places), len(self.places))
        return replace(self, factor=factor_of(correlation))


def _scores(step: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Normal scores of steps under split normal laws."""
    share = below / (below + above)
    left = 2 * share * special.ndtr(np.minimum(step, 0) / below)
    right = 2 * (1 - share) * special.ndtr(-np.maximum(step, 0) / above)
    with np.errstate(divide="ignore"):
        score = np.where(step < 0, special.ndtri(left), -special.ndtri(right))
    return np.clip(score, -_FURTHEST, _FURTHEST)
