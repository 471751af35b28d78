"""The laws of bounded scores: what falls into equal bins of a range; see :class:`pkpd.model.kind.Score`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from pkpd.likelihood.censoring import log_interval
from pkpd.likelihood.discrete import Jets, Levels, inflated
from pkpd.likelihood.standard import Normal
from pkpd.model.kind import Score

__all__ = ["Scores", "of_score"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
#: Numbers that are held at once while densities are integrated.
_AT_ONCE = 4_000_000


def of_score(kind: Score, places: tuple[int, ...]) -> Scores:
    """Give the law of a score; `places` are those of its parameters among all residual ones."""
    levels = kind.lower + kind.step * np.arange(kind.count)
    return Scores(places=places, levels=levels, kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores(Levels):
    """The law of a score, by its `kind`."""

    kind: Score

    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities and derivatives."""
        kind, at = self.kind, self.index(y)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = (self._beta if kind.law == "beta" else self._normal)(at, f, psi[:, 0])
        ends, place = [], 1
        for given, k in ((kind.floor, 0), (kind.ceiling, kind.count - 1)):
            if given > 0:
                ends.append((at == k, psi[:, place]))
                place += 1
        return inflated(found, ends) if ends else found

    def probabilities(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the probabilities of all levels, (n, K): differences of the law's distribution function."""
        kind, n = self.kind, self.kind.count
        with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
            if kind.law == "beta":
                u, edges = self._share(f)[0][:, None], np.arange(n + 1) / n
                upto = special.betainc(u * psi[:, :1], (1 - u) * psi[:, :1], edges)
            else:
                m, _, _, edges = self._latent(f)
                upto = special.ndtr((edges - m[:, None]) / psi[:, :1])
        found = np.diff(upto, axis=1)
        ends = [k for given, k in ((kind.floor, 0), (kind.ceiling, n - 1)) if given > 0]
        if ends:
            found *= 1 - psi[:, 1:].sum(axis=1, keepdims=True)
            found[:, ends] += psi[:, 1:]
        return found

    def _share(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give where in the range, from 0 to 1, predictions are, and the derivatives; NaN for those outside."""
        if self.kind.scale == "latent":
            u = special.ndtr(f) if self.kind.law == "bounded integer" else special.expit(f)
            if self.kind.law == "bounded integer":
                slope = np.exp(-0.5 * f**2) / np.sqrt(2 * np.pi)
                return u, slope, -f * slope
            slope = u * special.expit(-f)
            return u, slope, slope * (1 - 2 * u)
        width = self.kind.count * self.kind.step
        u = (f - (self.kind.lower - 0.5 * self.kind.step)) / width
        return np.where((u > 0) & (u < 1), u, np.nan), np.full_like(u, 1 / width), np.zeros_like(u)

    def _latent(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Give where the laws that are normal on some scale are centred there, with the derivatives, and the edges."""
        kind, n = self.kind, self.kind.count
        if kind.law == "normal":
            edges = kind.lower + kind.step * (np.arange(n + 1) - 0.5)
            edges[0], edges[-1] = -np.inf, np.inf
            if kind.scale == "score":
                return f, np.ones_like(f), np.zeros_like(f), edges
            (u, by, twice), width = self._share(f), n * kind.step
            return kind.lower - 0.5 * kind.step + width * u, width * by, width * twice, edges
        link = special.ndtri if kind.law == "bounded integer" else special.logit
        edges = link(np.arange(n + 1) / n)
        if kind.scale == "latent":
            return f, np.ones_like(f), np.zeros_like(f), edges
        u, by, _ = self._share(f)
        m = link(u)
        if kind.law == "bounded integer":
            each = np.sqrt(2 * np.pi) * np.exp(0.5 * m**2) * by
            return m, each, m * each**2, edges
        each = by / (u * (1 - u))
        return m, each, (2 * u - 1) * each**2, edges

    def _normal(self, at: np.ndarray, f: np.ndarray, sd: np.ndarray) -> Jets:
        """The laws that are normal on some scale."""
        m, slope, bend, edges = self._latent(f)
        sound = np.isfinite(m) & (sd > 0) & np.isfinite(sd)
        safe_m, safe_sd = np.where(sound, m, 0.0), np.where(sound, sd, 1.0)
        jet = log_interval(Normal(), edges[at], edges[at + 1], safe_m, safe_sd, 2)
        assert jet.d1 is not None and jet.d2 is not None
        d1, d2 = jet.d1.copy(), jet.d2.copy()
        d2[:, 0, 0] = jet.d2[:, 0, 0] * slope**2 + jet.d1[:, 0] * bend
        d2[:, 0, 1] = d2[:, 1, 0] = jet.d2[:, 0, 1] * slope
        d1[:, 0] *= slope
        return Jets(value=np.where(sound, jet.value, np.nan), d1=d1, d2=d2)

    def _beta(self, at: np.ndarray, f: np.ndarray, precision: np.ndarray) -> Jets:
        """The beta law with mean u and a + b = precision."""
        u, slope, bend = self._share(f)
        a, b = u * precision, (1 - u) * precision
        sound = np.isfinite(a) & (a > 0) & (b > 0) & np.isfinite(b)
        value, by = np.full(len(f), np.nan), np.full((len(f), 2), np.nan)
        twice = np.full((len(f), 2, 2), np.nan)
        n, rows = self.kind.count, np.flatnonzero(sound)
        low, high = rows[at[rows] == 0], rows[at[rows] == n - 1]
        inside = rows[(at[rows] > 0) & (at[rows] < n - 1)]
        value[low], by[low], twice[low] = _first_bin(a[low], b[low], 1 / n)
        value[high], turned, twisted = _first_bin(b[high], a[high], 1 / n)
        by[high], twice[high] = turned[:, ::-1], twisted[:, ::-1, ::-1]
        value[inside], by[inside], twice[inside] = _inner_bin(a[inside], b[inside], at[inside] / n, 1 / n)
        # From a and b to the prediction and the precision.
        moves = np.zeros((len(f), 2, 2))
        moves[:, 0, 0], moves[:, 1, 0] = precision * slope, -precision * slope
        moves[:, 0, 1], moves[:, 1, 1] = u, 1 - u
        d1 = np.einsum("na,nav->nv", by, moves)
        d2 = np.swapaxes(moves, 1, 2) @ (twice @ moves)
        across = by[:, 0] - by[:, 1]
        d2[:, 0, 0] += across * precision * bend
        d2[:, 0, 1] += across * slope
        d2[:, 1, 0] += across * slope
        return Jets(value=value, d1=d1, d2=d2)


def _cumulants(log: np.ndarray, by: np.ndarray, twice: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the log of a sum over the last axis of exp(log), and its derivatives from those of the parts.

    Parameters
    ----------
    log : (n, t) float
    by : (n, t, 2) float
    twice : (n, t, 2, 2) float, or what broadcasts to it
    """
    top = log.max(axis=1, keepdims=True)
    share = np.exp(log - top)
    whole = share.sum(axis=1, keepdims=True)
    share /= whole
    d1 = np.einsum("nt,nti->ni", share, by)
    off = by - d1[:, None]
    d2 = np.einsum("nt,nti,ntj->nij", share, off, off)
    d2 += np.einsum("nt,ntij->nij", share, np.broadcast_to(twice, (*by.shape, 2)))
    return (top + np.log(whole))[:, 0], d1, d2


def _log_beta(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the beta function and its derivatives by a and b."""
    both, each = special.digamma(a + b), np.stack([special.digamma(a), special.digamma(b)], axis=1)
    bend = np.full((len(a), 2, 2), 0.0) - special.polygamma(1, a + b)[:, None, None]
    bend[:, 0, 0] += special.polygamma(1, a)
    bend[:, 1, 1] += special.polygamma(1, b)
    return special.betaln(a, b), each - both[:, None], bend


def _first_bin(a: np.ndarray, b: np.ndarray, x: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log probability of less than x under a beta law, with derivatives by a and b.

    By the series of positive terms x^a (1 - x)^b / (a B(a, b)) sum (a + b)_k / (a + 1)_k x^k (DLMF 8.17.8), each term
    with its own derivatives.
    """
    n = len(a)
    if not n:
        return np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2, 2))
    value, d1, d2 = np.empty(n), np.empty((n, 2)), np.empty((n, 2, 2))
    # Terms fall once (a + b + k) x < a + 1 + k; then they fall as x^k.
    most = int(np.clip((np.max((a + b) * x - a - 1) / (1 - x) if n else 0) * 2 + 40 / -np.log(x) + 60, 60, 20_000))
    for lot in np.array_split(np.arange(n), max(1, n * most * 8 // _AT_ONCE)):
        k = np.arange(most, dtype=float)
        both, own = (a[lot] + b[lot])[:, None], a[lot][:, None] + 1
        log = _sums(np.log(both + k)) - _sums(np.log(own + k)) + k * np.log(x)
        by_both, by_own = _sums(1 / (both + k)), _sums(1 / (own + k))
        bend_both, bend_own = -_sums((both + k) ** -2.0), -_sums((own + k) ** -2.0)
        twice = np.zeros((*log.shape, 2, 2))
        twice[...] = bend_both[..., None, None]
        twice[..., 0, 0] -= bend_own
        value[lot], d1[lot], d2[lot] = _cumulants(log, np.stack([by_both - by_own, by_both], axis=-1), twice)
    log_beta, by, bend = _log_beta(a, b)
    value += a * np.log(x) + b * np.log1p(-x) - np.log(a) - log_beta
    d1 += np.array([np.log(x), np.log1p(-x)]) - by
    d1[:, 0] -= 1 / a
    d2 -= bend
    d2[:, 0, 0] += 1 / a**2
    return value, d1, d2


def _sums(each: np.ndarray) -> np.ndarray:
    """Give the sum of what stands before each place of a row."""
    found = np.zeros_like(each)
    np.cumsum(each[:, :-1], axis=1, out=found[:, 1:])
    return found


def _inner_bin(a: np.ndarray, b: np.ndarray, low: np.ndarray, width: float) -> tuple[np.ndarray, ...]:
    """Log probability of a bin inside (0, 1), with derivatives by a and b: its density integrated by Gauss-Legendre."""
    n = len(a)
    if not n:
        return np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2, 2))
    value, d1, d2 = np.empty(n), np.empty((n, 2)), np.empty((n, 2, 2))
    # As many panels as the narrowest density asks for.
    panels = int(np.clip(np.ceil(width * np.sqrt(np.max(a + b)) * 1.5), 1, 64))
    starts = np.arange(panels) / panels
    places = (starts[:, None] + (0.5 + 0.5 * _NODES) / panels).ravel()
    weights = np.log(np.tile(0.5 * _WEIGHTS / panels, panels))
    for lot in np.array_split(np.arange(n), max(1, n * len(places) * 6 // _AT_ONCE)):
        x = low[lot][:, None] + width * places
        logs = np.stack([np.log(x), np.log1p(-x)], axis=-1)
        density = (a[lot] - 1)[:, None] * logs[..., 0] + (b[lot] - 1)[:, None] * logs[..., 1] + weights
        value[lot], d1[lot], d2[lot] = _cumulants(density, logs, np.zeros((1, 1, 2, 2)))
    log_beta, by, bend = _log_beta(a, b)
    return value + np.log(width) - log_beta, d1 - by, d2 - bend
