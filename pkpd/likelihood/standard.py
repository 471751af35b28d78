"""Standard laws of scatter: the normal law and Student's t, centred on 0 with scale 1, exact far in their tails.

With density p, its upper tail S(a) = P(z > a) and the hazard h = p / S, the derivatives of log S with respect to a are
``-h``, ``-h (s + h)`` and ``-h ((s + h) (s + 2 h) + s')``, where s = (log p)'. Far out, s + h is a small difference of
large numbers: the laws give it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

__all__ = ["LOG_ROOT_2PI", "Normal", "StandardLaw", "Student", "Tail"]

LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)
_FAR = 2.0  # from here on the continued fraction of the normal tail has all digits after _STEPS steps
_STEPS = 60
_FAR_T = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The upper tail of a standard law beyond some points.

    Parameters
    ----------
    log : (n,) float
        log S.
    hazard : (n,) float
        h = p / S.
    excess : (n,) float
        s + h: for the normal law how far beyond the point the mean of the tail lies.
    bend : (n,) float
        (s + h) (s + 2 h) + s', what is left of the third derivative of log S after ``-h``.
    """

    log: np.ndarray
    hazard: np.ndarray
    excess: np.ndarray
    bend: np.ndarray


class StandardLaw(Protocol):
    """A symmetric law with scale 1."""

    @property
    def sd(self) -> float:
        """Its standard deviation; infinite where it has none."""
        ...

    @property
    def information(self) -> tuple[float, float]:
        """Expected information about location and scale of one record, at scale 1; they are orthogonal."""
        ...

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Give log p, all constants included."""
        ...

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the first three derivatives of log p."""
        ...

    def tail(self, a: np.ndarray) -> Tail:
        """Give the tail above `a`, finite or inf."""
        ...

    def cdf(self, z: np.ndarray) -> np.ndarray:
        """Give P(Z <= z)."""
        ...

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Give the points z with P(Z <= z) = u."""
        ...

    def curvature(self, z: np.ndarray) -> np.ndarray:
        """Give minus the second derivatives of log(p(z) / g) at g = 1, (3, n)."""
        ...

    def mean_curvature(
        self, a: np.ndarray, b: np.ndarray, p_a: np.ndarray, p_b: np.ndarray, log_mass: np.ndarray
    ) -> np.ndarray:
        """Give the mean of the curvature given a < Z < b.

        Parameters
        ----------
        a, b : (n,) float
            An infinite end is given as 0, with density 0.
        p_a, p_b : (n,) float
            Density at the ends, divided by the mass between them.
        log_mass : (n,) float

        Returns
        -------
        (3, n) float
            With respect to location twice, location and scale, scale twice.
        """
        ...


@dataclass(frozen=True, slots=True)
class Normal:
    """The standard normal law."""

    @property
    def sd(self) -> float:
        """Its standard deviation."""
        return 1.0

    @property
    def information(self) -> tuple[float, float]:
        """Expected information about location and scale."""
        return 1.0, 2.0

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Give log p."""
        return -0.5 * z**2 - LOG_ROOT_2PI

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the first three derivatives of log p."""
        return -z, np.full_like(z, -1.0), np.zeros_like(z)

    def tail(self, a: np.ndarray) -> Tail:
        """Give the tail above `a`: by erfcx, and from 2 on by the moments of the excess."""
        ended = np.isposinf(a)
        z = np.where(ended, 0.0, a)
        hazard = np.sqrt(2 / np.pi) / special.erfcx(z / np.sqrt(2))
        excess = hazard - z
        bend = excess * (2 * hazard - z) - 1.0
        far = np.flatnonzero((z >= _FAR) & ~ended)
        if far.size:
            mean, square = self.excess(z[far], 2)
            hazard[far], excess[far], bend[far] = z[far] + mean, mean, 2 * mean**2 - square
        return Tail(
            log=np.where(ended, -np.inf, special.log_ndtr(-z)),
            hazard=np.where(ended, 0.0, hazard),
            excess=np.where(ended, 0.0, excess),
            bend=np.where(ended, 0.0, bend),
        )

    @staticmethod
    def excess(a: np.ndarray, count: int) -> list[np.ndarray]:
        """Give the first moments of how far Z lies beyond `a`, given that it does, for a >= 2.

        By Laplace's continued fraction (Abramowitz and Stegun 26.2.14): with r_k = k / (a + r_(k+1)), the moment of
        order k is r_1 r_2 ... r_k.
        """
        r, ratios = 0.5 * (np.sqrt(a**2 + 4 * _STEPS) - a), []  # it starts where it would go on for ever
        for k in range(_STEPS, 0, -1):
            r = k / (a + r)
            ratios.append(r)
        return list(np.cumprod(ratios[: -count - 1 : -1], axis=0))

    def cdf(self, z: np.ndarray) -> np.ndarray:
        """Give P(Z <= z)."""
        return special.ndtr(z)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Give the points z with P(Z <= z) = u."""
        return special.ndtri(u)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        """Give minus the second derivatives of log(p(z) / g) at g = 1, (3, n)."""
        return np.stack([np.ones_like(z), 2 * z, 3 * z**2 - 1])

    def mean_curvature(
        self, a: np.ndarray, b: np.ndarray, p_a: np.ndarray, p_b: np.ndarray, log_mass: np.ndarray
    ) -> np.ndarray:
        """Give their mean between two ends, (3, n)."""
        return np.stack([np.ones_like(a), 2 * (p_a - p_b), 2 + 3 * (a * p_a - b * p_b)])


@dataclass(frozen=True, slots=True)
class Student:
    """Student's t with scale 1: its SD is ``sqrt(df / (df - 2))``.

    The information is that of Lange, Little and Taylor, J Am Stat Assoc 1989;84:881.

    Parameters
    ----------
    df : float
        Degrees of freedom, above 0.
    """

    df: float

    @property
    def sd(self) -> float:
        """Its standard deviation; infinite where it has none."""
        return float(np.sqrt(self.df / (self.df - 2))) if self.df > 2 else np.inf

    @property
    def information(self) -> tuple[float, float]:
        """Expected information about location and scale."""
        return (self.df + 1) / (self.df + 3), 2 * self.df / (self.df + 3)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Give log p."""
        v = self.df
        constant = -special.betaln(v / 2, 0.5) - 0.5 * np.log(v)
        return constant - 0.5 * (v + 1) * np.log1p(z**2 / v)

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the first three derivatives of log p."""
        v, w = self.df, 1 / (self.df + z**2)
        return -(v + 1) * z * w, -(v + 1) * (v - z**2) * w**2, 2 * (v + 1) * z * (3 * v - z**2) * w**3

    def tail(self, a: np.ndarray) -> Tail:
        """Give the tail above `a`; far out, S = p (a / df) 2F1((df + 1) / 2, 1; df / 2 + 1; df / (df + a²)).

        That is the incomplete beta function (Abramowitz, Stegun 26.7.1, 26.5.2), which alone would underflow.
        """
        v, ended = self.df, np.isposinf(a)
        z = np.where(ended, 0.0, a)
        density = self.log_density(z)
        far = z >= _FAR_T
        ratio = np.ones_like(z)
        ratio[far] = z[far] / v * special.hyp2f1((v + 1) / 2, 1.0, v / 2 + 1, v / (v + z[far] ** 2))
        near = np.where(far, 0.0, z)
        upper = special.stdtr(v, -np.abs(near))
        log = np.where(far, density + np.log(ratio), np.where(near > 0, np.log(upper), np.log1p(-upper)))
        hazard = np.where(far, 1 / ratio, np.exp(density) / np.where(near > 0, upper, 1 - upper))
        first, second, _ = self.slopes(z)
        excess = first + hazard
        return Tail(
            log=np.where(ended, -np.inf, log),
            hazard=np.where(ended, 0.0, hazard),
            excess=np.where(ended, 0.0, excess),
            bend=np.where(ended, 0.0, excess * (first + 2 * hazard) + second),
        )

    def cdf(self, z: np.ndarray) -> np.ndarray:
        """Give P(Z <= z)."""
        return special.stdtr(self.df, z)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Give the points z with P(Z <= z) = u."""
        return special.stdtrit(self.df, u)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        """Give minus the second derivatives of log(p(z) / g) at g = 1, (3, n)."""
        w = 1 / (self.df + z**2)
        return self._from_weights(w, w**2, z * w**2)

    def mean_curvature(
        self, a: np.ndarray, b: np.ndarray, p_a: np.ndarray, p_b: np.ndarray, log_mass: np.ndarray
    ) -> np.ndarray:
        """Give their mean between two ends, (3, n).

        With w = 1 / (df + z²), p w**j is again a t density, with df + 2 j degrees of freedom.
        """
        v = self.df
        ends = np.where(p_a > 0, a, -np.inf), np.where(p_b > 0, b, np.inf)
        wholes = 1 / (v + 1), (v + 2) / (v * (v + 1) * (v + 3))
        means = []
        for j, whole in enumerate(wholes, start=1):
            narrow = np.sqrt((v + 2 * j) / v)
            low, high = ends[0] * narrow, ends[1] * narrow
            turned = low > 0  # the difference of the smaller tails
            low, high = np.where(turned, -high, low), np.where(turned, -low, high)
            mass = special.stdtr(v + 2 * j, high) - special.stdtr(v + 2 * j, low)
            means.append(whole * mass * np.exp(-log_mass))
        mixed = (p_a / (v + a**2) - p_b / (v + b**2)) / (v + 3)
        return self._from_weights(means[0], means[1], mixed)

    def _from_weights(self, w: np.ndarray, ww: np.ndarray, zww: np.ndarray) -> np.ndarray:
        v = self.df
        return np.stack(
            [
                (v + 1) * (2 * v * ww - w),
                2 * (v + 1) * v * zww,
                (v + 1) * (1 + v * w - 2 * v**2 * ww) - 1,
            ]
        )
