"""A balanced one-way layout, y_ij = theta + eta_i + eps_ij, whose maximum likelihood is known in closed form.

With m subjects of n records, lambda = sigma^2 + n omega^2, W the sum of squares within subjects and
B = n sum (mean_i - mean)^2 that between them,

    -2 log L = m (n - 1) log sigma^2 + m log lambda + W / sigma^2 + (B + n m (mean - theta)^2) / lambda.

Searle SR, Casella G, McCulloch CE. Variance components. Wiley, 1992. Section 3.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

from pkpd.data import Dataset, read_data
from pkpd.model import Model

TEXT = """
name = "one_way"
[parameters]
theta = { typical = 8.0, transform = "none", iiv = 2.0 }
[dynamics]
equations = "y = theta + 0 * t"
[outputs]
y = { add = 0.7 }
"""
QUANTILE = float(chi2.ppf(0.95, 1))


def one_way_model() -> Model:
    return Model(TEXT)


def drawn(seed: int, m: int, n: int, theta: float = 10.0, omega: float = 1.2, sigma: float = 0.8) -> np.ndarray:
    """Observations, (m, n)."""
    rng = np.random.default_rng(seed)
    return theta + omega * rng.standard_normal((m, 1)) + sigma * rng.standard_normal((m, n))


def as_data(y: np.ndarray, **columns: list) -> Dataset:
    m, n = y.shape
    table = {
        "ID": np.repeat(np.arange(1, m + 1), n).tolist(),
        "TIME": np.tile(np.arange(n, dtype=float), m).tolist(),
        "DV": y.ravel().tolist(),
    }
    return read_data(table | columns)


@dataclass(frozen=True)
class Exact:
    """What is known of observations y (m, n)."""

    y: np.ndarray

    @property
    def means(self) -> np.ndarray:
        return self.y.mean(axis=1)

    @property
    def within(self) -> float:
        return float(((self.y - self.means[:, None]) ** 2).sum())

    @property
    def between(self) -> float:
        return float(self.y.shape[1] * ((self.means - self.means.mean()) ** 2).sum())

    @property
    def sigma2(self) -> float:
        m, n = self.y.shape
        return self.within / (m * (n - 1))

    @property
    def scale(self) -> float:
        """The estimate of lambda."""
        return self.between / len(self.y)

    @property
    def omega2(self) -> float:
        return (self.scale - self.sigma2) / self.y.shape[1]

    def objective(self, theta: float, sigma2: float, omega2: float) -> float:
        m, n = self.y.shape
        scale = sigma2 + n * omega2
        square = self.between + n * m * (self.means.mean() - theta) ** 2
        return m * (n - 1) * np.log(sigma2) + m * np.log(scale) + self.within / sigma2 + square / scale

    @property
    def least(self) -> float:
        return self.objective(self.means.mean(), self.sigma2, self.omega2)

    def theta_ends(self) -> tuple[float, float]:
        m, n = self.y.shape
        reach = np.sqrt(self.between * np.expm1(QUANTILE / m) / (n * m))
        return self.means.mean() - reach, self.means.mean() + reach

    def sigma_ends(self) -> tuple[float, float]:
        m, n = self.y.shape

        def rise(log_ratio: float) -> float:
            return m * (n - 1) * (log_ratio + np.expm1(-log_ratio)) - QUANTILE

        return tuple(float(np.sqrt(self.sigma2 * np.exp(brentq(rise, *side)))) for side in ((-3, 0), (0, 5)))

    def omega2_rise(self, omega2: float) -> float:
        def over_sigma(log_sigma2: float) -> float:
            return self.objective(self.means.mean(), np.exp(log_sigma2), omega2)

        centre = np.log(self.sigma2)
        found = minimize_scalar(over_sigma, bracket=(centre - 0.2, centre + 0.2), options={"xtol": 1e-12})
        return found.fun - self.least

    def omega2_ends(self) -> tuple[float, float]:
        def rise(log_omega2: float) -> float:
            return self.omega2_rise(np.exp(log_omega2)) - QUANTILE

        centre = np.log(self.omega2)
        return tuple(
            float(np.exp(brentq(rise, *side, xtol=1e-13))) for side in ((centre - 8, centre), (centre, centre + 4))
        )

    def covariances(self) -> dict[str, np.ndarray]:
        """R^-1, S^-1 and the sandwich, by theta, log sigma and log omega^2."""
        m, n = self.y.shape
        s2, o2, scale = self.sigma2, self.omega2, self.scale
        deviation = self.means - self.means.mean()
        own = ((self.y - self.means[:, None]) ** 2).sum(axis=1)
        by_scale = 0.5 * (n * deviation**2 / scale**2 - 1 / scale)
        scores = np.stack(
            [
                n * deviation / scale,
                2 * s2 * (0.5 * (own / s2**2 - (n - 1) / s2) + by_scale),
                o2 * n * by_scale,
            ],
            axis=1,
        )
        half = 0.5 * m / scale**2
        r = np.zeros((3, 3))
        r[0, 0] = n * m / scale
        r[1, 1] = (2 * s2) ** 2 * (0.5 * m * (n - 1) / s2**2 + half)
        r[1, 2] = r[2, 1] = 2 * s2 * o2 * n * half
        r[2, 2] = (o2 * n) ** 2 * half
        s = scores.T @ scores
        inverse = np.linalg.inv(r)
        return {"R": inverse, "S": np.linalg.inv(s), "sandwich": inverse @ s @ inverse}
