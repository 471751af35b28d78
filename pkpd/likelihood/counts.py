"""The laws of counts: Poisson's and the negative binomial one; see :class:`pkpd.model.kind.Count`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from pkpd.likelihood.discrete import Discrete, Jets, inflated

__all__ = ["Counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Discrete):
    """0, 1, 2, ...: Poisson's law or, with `spread`, the negative binomial one; with `zeros` more zeros than that."""

    spread: bool
    zeros: bool

    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities and derivatives."""
        f = np.where(f >= 0, f, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = _negative_binomial(y, f, psi[:, 0]) if self.spread else _poisson(y, f)
        if not self.zeros:
            return found
        share = psi[:, -1]
        return inflated(found, [(y == 0, share)])

    def possible(self, y: np.ndarray) -> np.ndarray:
        """Say which values an observation may have, (n,) bool."""
        return (y >= 0) & (y == np.round(y))

    @property
    def expected_values(self) -> str:
        """Say in words which values an observation may have."""
        return "A whole number: 0, 1, 2, ..."

    def mean(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the expectation of an observation, (n,)."""
        return f * (1 - self._zeros(psi))

    def sd(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the standard deviation of an observation, (n,)."""
        p, own = self._zeros(psi), f + (psi[:, 0] * f**2 if self.spread else 0.0)
        return np.sqrt((1 - p) * (own + p * f**2))

    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the probabilities of less than `y`, and of at most `y`, (n,) each."""
        law, p = self._law(f, psi), self._zeros(psi)
        less, upto = (np.where(k >= 0, p + (1 - p) * law.cdf(k), 0.0) for k in (y - 1, y))
        return less, upto

    def quantile(self, u: np.ndarray, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the smallest value of which at least a share `u` (n,) is no more, (n,)."""
        p = self._zeros(psi)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = self._law(f, psi).ppf(np.clip((u - p) / (1 - p), 0.0, 1.0))
        return np.where(np.isfinite(f), np.maximum(drawn, 0.0), np.nan)

    def _zeros(self, psi: np.ndarray) -> np.ndarray:
        return psi[:, -1] if self.zeros else np.zeros(len(psi))

    def _law(self, f: np.ndarray, psi: np.ndarray):
        if not self.spread:
            return stats.poisson(np.where(f >= 0, f, np.nan))
        size = 1 / psi[:, 0]
        return stats.nbinom(size, size / (size + f))


def _poisson(y: np.ndarray, f: np.ndarray) -> Jets:
    value = special.xlogy(y, f) - f - special.gammaln(y + 1)
    ratio = np.where(y > 0, y / f, 0.0)
    return Jets(value=value, d1=(ratio - 1)[:, None], d2=np.where(y > 0, -ratio / f, 0.0)[:, None, None])


def _negative_binomial(y: np.ndarray, f: np.ndarray, a: np.ndarray) -> Jets:
    """By the dispersion a: sum over j < y of log(1 + a j), + y log f - (y + 1 / a) log(1 + a f) - log y!."""
    risen, risen_a, risen_aa = _rising(y, a)
    grown = 1 + a * f
    value = risen + special.xlogy(y, f) - y * np.log1p(a * f) - _softened(a, f, 0) - special.gammaln(y + 1)
    ratio = np.where(y > 0, y / f, 0.0)
    bent = np.where(y > 0, ratio / f, 0.0)
    d1 = np.stack([ratio - (1 + a * y) / grown, risen_a - y * f / grown - _softened(a, f, 1)], axis=1)
    d2 = np.empty((len(y), 2, 2))
    d2[:, 0, 0] = -bent + a * (1 + a * y) / grown**2
    d2[:, 0, 1] = d2[:, 1, 0] = (f - y) / grown**2
    d2[:, 1, 1] = risen_aa + y * (f / grown) ** 2 - _softened(a, f, 2)
    return Jets(value=value, d1=d1, d2=d2)


def _softened(a: np.ndarray, f: np.ndarray, order: int) -> np.ndarray:
    """Derivatives by a of log(1 + a f) / a: f g(x) with x = a f and g(x) = log(1 + x) / x, by its series near 0."""
    x = a * f
    near, safe = np.abs(x) < 0.02, np.where(np.abs(x) < 0.02, 1.0, x)
    powers = np.arange(12.0)
    rise = np.ones(12)
    for step in range(order):
        rise *= powers - step
    each = (-1.0) ** powers / (powers + 1) * rise
    series = np.zeros_like(x)
    for k in range(11, order - 1, -1):
        series = series * np.where(near, x, 0.0) + each[k]
    log = np.log1p(safe)
    whole = (
        log / safe,
        (safe / (1 + safe) - log) / safe**2,
        (2 * log - safe * (2 + 3 * safe) / (1 + safe) ** 2) / safe**3,
    )[order]
    return f ** (order + 1) * np.where(near, series, whole)


def _rising(y: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the sum over j < y of log(1 + a j), and its derivatives by a: term by term, for counts are small."""
    found = np.zeros((3, len(y)))
    most = int(np.nanmax(y, initial=0))
    for first in range(1, most, 512):
        j = np.arange(first, min(first + 512, most), dtype=float)
        there = j[None, :] < y[:, None]
        grown = 1 + a[:, None] * j
        found[0] += np.where(there, np.log(grown), 0.0).sum(axis=1)
        found[1] += np.where(there, j / grown, 0.0).sum(axis=1)
        found[2] -= np.where(there, (j / grown) ** 2, 0.0).sum(axis=1)
    return found[0], found[1], found[2]
