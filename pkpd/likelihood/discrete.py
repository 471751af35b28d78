"""The laws of observations that are no measured amounts: scores, categories, yes or no, counts, own likelihoods.

Each gives the log probability of every record with its first and second derivatives by the prediction and by its own
parameters (what it depends on, v), and the probabilities of all values an observation may have, from which
expectations, residuals and draws follow. What they mean is said in :mod:`pkpd.model.kind`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from pkpd.likelihood.censoring import nonnegative
from pkpd.model import Output
from pkpd.model.kind import Binary, Categories, Count, Event, Likelihood, Score

__all__ = ["Discrete", "Jets", "Levels", "inflated"]

#: Probabilities that are held at once.
_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Jets:
    """Log probabilities of n records with their derivatives by v; L = 1 + the parameters of the law.

    Parameters
    ----------
    value : (n,) float
        -inf where an observation is not possible; NaN where the prediction is none.
    d1, d2 : (n, L), (n, L, L) float
    """

    value: np.ndarray
    d1: np.ndarray
    d2: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrete(ABC):
    """The law of one output.

    Parameters
    ----------
    places : tuple of int
        Which of all residual parameters are its own, in its order.
    """

    #: Whether observations can be drawn, and have expectations.
    draws: ClassVar[bool] = True

    places: tuple[int, ...]

    @staticmethod
    def of(output: Output, at: Mapping[str, int]) -> Discrete | None:
        """Give the law of an output of a model, None for a measured amount; `at` maps ``"<output>.sd"`` to indices."""
        kind = output.kind
        if kind is None:
            return None
        places = tuple(at[name] for name in output.residual_names)
        match kind:
            case Score():
                from pkpd.likelihood.score import of_score

                return of_score(kind, places)
            case Categories():
                return Ordered(places=places, levels=np.array(kind.levels), probit=kind.link == "probit")
            case Binary():
                return YesNo(places=places, levels=np.array([0.0, 1.0]), scale=kind.scale)
            case Count():
                from pkpd.likelihood.counts import Counts

                return Counts(places=places, spread=kind.dispersion is not None, zeros=kind.zeros > 0)
            case Event() | Likelihood():
                from pkpd.likelihood.given import Given, Happening

                return (Happening if isinstance(kind, Event) else Given)(places=places)
        raise AssertionError(kind)

    @staticmethod
    def expectation(output: Output, f: np.ndarray) -> np.ndarray:
        """Give what an observation of an output is expected to be at predictions `f` (any shape), at its own values.

        For a measured amount, an event or an own likelihood it is the prediction itself.
        """
        law = Discrete.of(output, {name: k for k, name in enumerate(output.residual_names)})
        if law is None or not law.draws:
            return f
        own = np.array(list(output.residual_values.values()))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return law.mean(f.ravel(), np.broadcast_to(own, (f.size, own.size))).reshape(f.shape)

    @abstractmethod
    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities of observations `y` (n,) at predictions `f` (n,), own parameters `psi`."""

    def information(self, jets: Jets) -> np.ndarray:
        """Give a positive semidefinite information about v, (n, L, L): the observed one, cut where it is negative."""
        sound = np.asarray(np.isfinite(jets.d2).all(axis=(1, 2)))
        return nonnegative(np.where(sound[:, None, None], -jets.d2, 0.0))

    @abstractmethod
    def possible(self, y: np.ndarray) -> np.ndarray:
        """Say which values an observation may have, (n,) bool."""

    @property
    @abstractmethod
    def expected_values(self) -> str:
        """Say in words which values an observation may have."""

    @abstractmethod
    def mean(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the expectation of an observation, (n,)."""

    @abstractmethod
    def sd(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the standard deviation of an observation, (n,)."""

    @abstractmethod
    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the probabilities of less than `y`, and of at most `y`, (n,) each."""

    @abstractmethod
    def quantile(self, u: np.ndarray, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the smallest value of which at least a share `u` (n,) is no more, (n,): a draw, if u is uniform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(Discrete):
    """A law with finitely many values.

    Parameters
    ----------
    levels : (K,) float
        The values, rising.
    """

    levels: np.ndarray

    def index(self, y: np.ndarray) -> np.ndarray:
        """Give the place of each value among the levels, (n,)."""
        return np.clip(np.searchsorted(self.levels, y - 1e-6 * self._least), 0, len(self.levels) - 1)

    @property
    def _least(self) -> float:
        return float(np.diff(self.levels).min())

    def possible(self, y: np.ndarray) -> np.ndarray:
        """Say which values an observation may have, (n,) bool."""
        return np.abs(self.levels[self.index(y)] - y) <= 1e-6 * self._least

    @property
    def expected_values(self) -> str:
        """Say in words which values an observation may have."""
        if len(self.levels) <= 8:
            return f"One of {', '.join(f'{x:g}' for x in self.levels)}."
        return f"{self.levels[0]:g} to {self.levels[-1]:g} in steps of {self._least:g}."

    def probabilities(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the probabilities of all levels, (n, K)."""
        n, k = len(f), len(self.levels)
        every = self.jets(np.tile(self.levels, n), np.repeat(f, k), np.repeat(psi, k, axis=0)).value
        return np.exp(every).reshape(n, k)

    def mean(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the expectation of an observation, (n,)."""
        return self._in_lots(lambda chance, _: chance @ self.levels, f, psi)

    def sd(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the standard deviation of an observation, (n,)."""

        def of(chance: np.ndarray, _: slice) -> np.ndarray:
            return np.sqrt(np.einsum("nk,nk->n", chance, (self.levels - (chance @ self.levels)[:, None]) ** 2))

        return self._in_lots(of, f, psi)

    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the probabilities of less than `y`, and of at most `y`, (n,) each."""

        def upto(shift: float) -> np.ndarray:
            return self._in_lots(
                lambda chance, rows: np.minimum((chance * (self.levels < (y[rows] + shift)[:, None])).sum(axis=1), 1.0),
                f,
                psi,
            )

        return upto(-1e-6 * self._least), upto(1e-6 * self._least)

    def quantile(self, u: np.ndarray, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the smallest level of which at least a share `u` (n,) is no more, (n,)."""

        def of(chance: np.ndarray, rows: slice) -> np.ndarray:
            risen = np.cumsum(chance, axis=1)
            at = np.minimum((risen < u[rows, None]).sum(axis=1), len(self.levels) - 1)
            return np.where(np.isfinite(risen[:, -1]), self.levels[at], np.nan)

        return self._in_lots(of, f, psi)

    def _in_lots(self, of: Callable[[np.ndarray, slice], np.ndarray], f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give what follows from the probabilities (rows, K) of some records at a time, (n,)."""
        found, most = np.empty(len(f)), max(1, _AT_ONCE // len(self.levels))
        for first in range(0, len(f), most):
            rows = slice(first, first + most)
            found[rows] = of(self.probabilities(f[rows], psi[rows]), rows)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo(Levels):
    """0 or 1; `scale` says what the prediction is: the probability of a 1, its logit or its probit."""

    scale: str

    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities and derivatives."""
        sign = np.where(y > 0.5, 1.0, -1.0)
        if self.scale == "logit":
            chance = special.expit(sign * f)
            value, d1, d2 = special.log_expit(sign * f), sign * (1 - chance), -chance * (1 - chance)
        elif self.scale == "probit":
            value, hazard = special.log_ndtr(sign * f), _mills(sign * f)
            d1, d2 = sign * hazard, -hazard * (sign * f + hazard)
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                chance = np.where(y > 0.5, f, 1 - f)
                chance = np.where((f >= 0) & (f <= 1), chance, np.nan)
                value, d1, d2 = np.log(chance), sign / chance, -1 / chance**2
        return Jets(value=value, d1=d1[:, None], d2=d2[:, None, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered(Levels):
    """Ordered levels: cuts (`cut1`, then the gaps) on a logistic or a normal scale."""

    probit: bool

    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities and derivatives."""
        n, k = len(f), len(self.levels)
        cuts = np.concatenate([np.full((n, 1), -np.inf), np.cumsum(psi, axis=1), np.full((n, 1), np.inf)], axis=1)
        at, rows = self.index(y), np.arange(n)
        a, b = cuts[rows, at] - f, cuts[rows, at + 1] - f
        value, da, db, daa, dab, dbb = (_between_normal if self.probit else _between_logistic)(a, b)
        # How both ends move with the prediction, the first cut and the gaps.
        moves = np.zeros((n, 2, k))
        moves[:, :, 0] = -1.0
        for j in range(1, k):
            moves[:, 0, j], moves[:, 1, j] = at >= j, at + 1 >= j
        moves[:, 0][at == 0] = 0.0
        moves[:, 1][at == k - 1] = 0.0
        slope = np.stack([da, db], axis=1)
        bend = np.stack([np.stack([daa, dab], axis=1), np.stack([dab, dbb], axis=1)], axis=1)
        d1 = np.einsum("ne,nel->nl", slope, moves)
        return Jets(value=value, d1=d1, d2=np.swapaxes(moves, 1, 2) @ (bend @ moves))


def inflated(own: Jets, ends: list[tuple[np.ndarray, np.ndarray]]) -> Jets:
    """Give the jets where a share of all observations stands at certain values whatever the law says.

    Parameters
    ----------
    own : Jets
        Of the law without, with L places.
    ends : list of ((n,) bool, (n,) float)
        Whether the record is at that value, and the share that is: E of them, which become the last places.
    """
    n, width = own.d1.shape
    rest = 1 - sum(share for _, share in ends)
    rest = np.where(rest > 0, rest, np.nan)
    extra = sum(np.where(there, share, 0.0) for there, share in ends)
    with np.errstate(under="ignore", over="ignore", invalid="ignore", divide="ignore"):
        # The law's part of the probability: all of it where there is no extra, and then no digit is lost.
        value = np.logaddexp(np.log(rest) + own.value, np.log(extra))
        part = np.exp(np.log(rest) + own.value - value)
        d1 = np.zeros((n, width + len(ends)))
        d2 = np.zeros((n, width + len(ends), width + len(ends)))
        known = np.where(np.isfinite(own.value)[:, None], own.d1, 0.0)
        bent = np.where(np.isfinite(own.value)[:, None, None], own.d2, 0.0)
        d1[:, :width] = part[:, None] * known
        d2[:, :width, :width] = part[:, None, None] * (bent + known[:, :, None] * known[:, None, :])
        for e, (there, _) in enumerate(ends, start=width):
            d1[:, e] = np.where(there, np.exp(-value), 0.0) - part / rest
            d2[:, :width, e] = d2[:, e, :width] = -(part / rest)[:, None] * known
    d2 -= d1[:, :, None] * d1[:, None, :]
    return Jets(value=value, d1=d1, d2=d2)


def _mills(z: np.ndarray) -> np.ndarray:
    """The normal density at z over the probability of at most z."""
    return np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(z))


def _between_logistic(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Log probability between a and b and its derivatives by a, b, aa, ab, bb: F(b) F(-a) (1 - exp(a - b))."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        gap = np.where(np.isfinite(a) & np.isfinite(b), b - a, np.inf)
        gap = np.where(np.isnan(a) | np.isnan(b), np.nan, gap)
        q = 1 / np.expm1(gap)
        value = special.log_expit(b) + special.log_expit(-a) + np.log(-np.expm1(-gap))
    below, above = special.expit(a), special.expit(-b)
    bend = q * (1 + q)
    return value, -below - q, above + q, -below * (1 - below) - bend, bend, -above * (1 - above) - bend


def _between_normal(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same for the normal law, turned over where the lower end is the farther one from 0."""
    turned = -a < b
    low, high = np.where(turned, -b, a), np.where(turned, -a, b)  # high <= 0 or near it: no digit is lost
    with np.errstate(invalid="ignore", over="ignore", divide="ignore", under="ignore"):
        log_low, log_high = special.log_ndtr(low), special.log_ndtr(high)
        value = log_high + np.log(-np.expm1(log_low - log_high))
        p_a, p_b = (np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - value) for z in (a, b))
        at_a, at_b = np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0)
    return value, -p_a, p_b, at_a * p_a - p_a**2, p_a * p_b, -at_b * p_b - p_b**2
