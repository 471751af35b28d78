"""The exact likelihood of a population by chance: importance sampling around the modes.

Random effects are drawn from Student's t, laid over the mode of each subject and scaled by the second derivatives
there; the mean of the weights (joint density over density of the draw) is the likelihood. Its Monte Carlo error is
known from the same weights. The draws are addressed by the subject's name: they are the same in any order and company.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lgamma

import numpy as np

from pkpd.likelihood.marginal import Prior
from pkpd.likelihood.modes import Modes
from pkpd.likelihood.population import Population
from pkpd.streams import addresses, normals

__all__ = ["Proposals", "Sampled", "Scores", "sample_importance", "tail_index"]

#: Degrees of freedom of the proposal: its tails are to be heavier than those of what it stands for.
_DF = 5
#: Copies of subjects that are solved together.
_AT_ONCE = 512
#: Predictions of draws that are remembered.
_MEMORY = 30_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A likelihood by importance sampling.

    Parameters
    ----------
    each, errors : (S,) float
        -2 log L of every subject without constants, and its Monte Carlo standard error.
    effective : (S,) float
        Effective number of draws: draws of equal weight that would say as much.
    b : (G, S, d) float
        The draws.
    share : (G, S) float
        Their weights, which sum to 1 over the draws of a subject.
    """

    each: np.ndarray
    errors: np.ndarray
    effective: np.ndarray
    b: np.ndarray
    share: np.ndarray

    @property
    def objective(self) -> float:
        """The sum over subjects."""
        return float(self.each.sum())

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the sum."""
        return float(np.sqrt((self.errors**2).sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Derivatives of a sampled likelihood: exact ones, of the sum that was sampled.

    Parameters
    ----------
    gradient : (S, X) float
        Of every subject's -2 log L, with the draws held: by Fisher's identity, the mean of those of the joint density.
    noise : (X, X) float
        The Monte Carlo covariance of their sum over subjects.
    """

    gradient: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    """Draws of every subject's own parameters, and the law they were drawn from; weights follow at any x.

    What is drawn are random effects on top of typical values, and their sum is what is held: where a typical value
    moves, its random effects move the other way. So the data's part of the joint density stays, and where every
    typical value of the model has a random effect, the model is solved once for all x.

    Parameters
    ----------
    population : Population
    crowd : Population
        Copies of everybody, for many draws at once.
    z : (K,) float
        Typical values at which it was drawn.
    b : (G, S, d) float
        The draws there.
    law : (G, S) float
        Logarithm of the density that each was drawn from.
    follow : (d, K) float
        Ones where a random effect moves with a typical value.
    known : dict
        Predictions of lots of draws, where x does not change them.
    """

    population: Population
    crowd: Population
    z: np.ndarray
    b: np.ndarray
    law: np.ndarray
    follow: np.ndarray
    known: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def around(
        cls, population: Population, z: np.ndarray, b: np.ndarray, shape: np.ndarray, *, draws: int, seed: int
    ) -> Proposals:
        """Draw at typical values z (K,) around b (S, d), as wide as second derivatives `shape` (S, d, d) say."""
        people, d = b.shape
        factor = np.linalg.cholesky(shape)
        wide = np.swapaxes(np.linalg.inv(factor), 1, 2)
        who = np.tile(addresses(population.problem.subjects), draws)
        number = np.repeat(np.arange(draws), people)
        normal = normals(seed, "importance sampling", who, number, d + _DF).reshape(draws, people, d + _DF)
        t = normal[..., :d] / np.sqrt((normal[..., d:] ** 2).mean(axis=2))[..., None]
        log_determinant = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        law = lgamma((_DF + d) / 2) - lgamma(_DF / 2) - 0.5 * d * np.log(_DF * np.pi)
        copies = min(draws, max(1, _AT_ONCE // people))
        effects = population.effects
        return cls(
            population=population,
            crowd=population.repeat(copies),
            z=z.copy(),
            b=b + np.einsum("sij,gsj->gsi", wide, t),
            law=law + 0.5 * log_determinant - 0.5 * (_DF + d) * np.log1p((t**2).sum(axis=2) / _DF),
            follow=np.array([[float(own == name) for name in effects.typical] for own in effects.names]),
        )

    @property
    def directions(self) -> np.ndarray:
        """What typical values do to the arguments while the draws are held, (W, K)."""
        effects = self.population.effects
        return effects.to_typical - effects.to_effect @ self.follow

    def lots(self) -> list[np.ndarray]:
        """Which draws are solved together; the last lot may be short, and the first draws fill it up."""
        draws, people = self.law.shape
        copies = len(self.crowd.problem.subjects) // people
        return [np.arange(first, first + copies) % draws for first in range(0, draws, copies)]

    def weigh(self, prior: Prior) -> Sampled:
        """Give the likelihood at typical values and Omega."""
        (draws, people), d = self.law.shape, self.b.shape[2]
        effects, joint = self.population.effects, np.empty((draws, people))
        b = self.b - self.follow @ (prior.z - self.z)
        for number, lot in enumerate(self.lots()):
            mine = b[lot].reshape(-1, d)
            w = effects.arguments(prior.z, mine)
            value = self.crowd.value_of(self._predicted(number, w), w)
            value = value + 0.5 * np.einsum("si,ij,sj->s", mine, prior.precision, mine)
            joint[lot] = -value.reshape(-1, people)
        logs = joint - self.law
        top = logs.max(axis=0)
        with np.errstate(invalid="ignore"):  # somebody of whom no draw can be solved
            weights = np.exp(logs - top)
            mean = weights.mean(axis=0)
            each = prior.log_determinant + d * np.log(2 * np.pi) - 2 * (top + np.log(mean))
            errors = 2 * weights.std(axis=0, ddof=1) / (mean * np.sqrt(draws))
            share = weights / weights.sum(axis=0)
        each = np.where(np.isfinite(each), each, np.inf)
        return Sampled(each=each, errors=errors, effective=1 / (share**2).sum(axis=0), b=b, share=share)

    def scores(self, prior: Prior, sampled: Sampled) -> Scores:
        """Give the derivatives of what was sampled there, by the outer parameters (X,)."""
        (draws, people), d, k = self.law.shape, self.b.shape[2], len(prior.z)
        effects, moved, directions = self.population.effects, prior.moved, self.directions
        by_omega = np.einsum("ij,qji->q", prior.precision, prior.slopes)
        total = np.zeros((people, k + len(by_omega)))
        squares, lines, twice = np.zeros((total.shape[1],) * 2), np.zeros_like(total), np.zeros(people)
        done = 0
        for number, lot in enumerate(self.lots()):
            mine = sampled.b[lot]
            w = effects.arguments(prior.z, mine.reshape(-1, d))
            each = np.empty((len(lot), *total.shape))
            with np.errstate(invalid="ignore"):  # a draw that cannot be solved has no weight
                each[..., :k] = (2 * self._slopes(number, w) @ directions).reshape(len(lot), people, k)
            each[..., :k] -= 2 * mine @ (prior.precision @ self.follow)
            each[..., k:] = np.einsum("gsi,qij,gsj->gsq", mine, moved, mine, optimize=True) + by_omega
            share = sampled.share[lot]
            share[draws - done :] = 0.0  # what only fills up
            done += len(lot)
            each = np.where(share[..., None] > 0, each, 0.0)
            total += np.einsum("gs,gsx->sx", share, each)
            squared = share**2
            weighted = squared[..., None] * each
            squares += np.einsum("gsx,gsy->xy", weighted, each)
            lines += weighted.sum(axis=0)
            twice += squared.sum(axis=0)
        cross = lines.T @ total
        noise = squares - cross - cross.T + np.einsum("s,sx,sy->xy", twice, total, total)
        return Scores(gradient=total, noise=noise)

    @property
    def _held(self) -> bool:
        """Whether x changes no prediction of a draw."""
        return not self.directions[: len(self.population.effects.engine)].any()

    def _predicted(self, number: int, w: np.ndarray) -> np.ndarray:
        """Predictions of the records of a lot of draws."""
        if number in self.known:
            return self.known[number]
        f = self.crowd.predicted(w)
        if self._held and len(self.law) * len(self.population.subject) <= _MEMORY:
            self.known[number] = f
        return f

    def _slopes(self, number: int, w: np.ndarray) -> np.ndarray:
        """Derivatives of minus the log density of records by the arguments, (C, W), those that x moves at least."""
        crowd = self.crowd
        if not self._held:
            return crowd.slopes(w, order=1).gradient
        psi, slope, _ = crowd.effects.residual(w)
        terms = crowd.density.terms(self._predicted(number, w), psi[crowd.subject], order=1)
        assert terms.v is not None
        with np.errstate(invalid="ignore"):
            by_residual = -crowd.sum(terms.v[:, 1:]) * slope
        return np.concatenate([np.zeros((len(w), len(crowd.effects.engine))), by_residual], axis=1)


def sample_importance(
    population: Population, prior: Prior, modes: Modes, shape: np.ndarray, *, draws: int, seed: int
) -> Sampled:
    """Sample the random effects of every subject.

    Parameters
    ----------
    population : Population
    prior : Prior
        Typical values and Omega.
    modes : Modes
    shape : (S, d, d) float
        Second derivatives at the modes, positive definite.
    draws : int
        A subject.
    seed : int
    """
    return Proposals.around(population, prior.z, modes.b, shape, draws=draws, seed=seed).weigh(prior)


def tail_index(share: np.ndarray) -> np.ndarray:
    """Give the tail index k of the weights (G, S) of every subject, (S,): that of Pareto's law fitted to the largest.

    Below 0.7 means of the weights can be trusted; above, they hang on few draws, and so does what is said of their
    error. NaN for fewer than 25 draws.

    Notes
    -----
    Vehtari A, Simpson D, Gelman A, Yao Y, Gabry J. Pareto smoothed importance sampling. Journal of Machine Learning
    Research 2024;25(72):1-58. The fit is that of Zhang J, Stephens MA. A new and efficient estimation method for the
    generalized Pareto distribution. Technometrics 2009;51:316-325. doi:10.1198/tech.2009.08017
    """
    draws, people = share.shape
    if draws < 25:
        return np.full(people, np.nan)
    most = int(np.ceil(min(0.2 * draws, 3 * np.sqrt(draws))))
    ordered = np.sort(share, axis=0)[-most - 1 :]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        x = (ordered[1:] - ordered[0]) / ordered[-1]  # (M, S), rising
        m = 30 + int(np.sqrt(most))
        step = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
        theta = 1 / x[-1] + step[:, None] / (3 * x[int(most / 4 + 0.5) - 1])
        k = np.log1p(-theta[:, None, :] * x).mean(axis=1)
        height = most * (np.log(-theta / k) - k - 1)
        weight = 1 / np.exp(height[None, :, :] - height[:, None, :]).sum(axis=1)
        best = (theta * weight).sum(axis=0)
        found = np.log1p(-best * x).mean(axis=0)
    # Few draws are drawn towards 0.5, as Vehtari and others do.
    return (found * most + 5.0) / (most + 10)
