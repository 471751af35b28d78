"""The exact likelihood of a population by chance: importance sampling around the modes.

Random effects are drawn from Student's t, laid over the mode of each subject and scaled by the second derivatives
there; the mean of the weights (joint density over density of the draw) is the likelihood. Its Monte Carlo error is
known from the same weights. The draws are addressed by the subject's name: they are the same in any order and company.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np

from pkpd.likelihood.marginal import Prior
from pkpd.likelihood.modes import Modes
from pkpd.likelihood.population import Population
from pkpd.streams import addresses, normals

__all__ = ["Sampled", "sample_importance"]

#: Degrees of freedom of the proposal: its tails are to be heavier than those of what it stands for.
_DF = 5
#: Copies of subjects that are solved together.
_AT_ONCE = 512


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
    effects, people = population.effects, len(modes.b)
    d = len(effects.names)
    factor = np.linalg.cholesky(shape)
    wide = np.swapaxes(np.linalg.inv(factor), 1, 2)
    who = np.tile(addresses(population.problem.subjects), draws)
    number = np.repeat(np.arange(draws), people)
    z = normals(seed, "importance sampling", who, number, d + _DF).reshape(draws, people, d + _DF)
    t = z[..., :d] / np.sqrt((z[..., d:] ** 2).mean(axis=2))[..., None]
    b = modes.b + np.einsum("sij,gsj->gsi", wide, t)
    copies = min(draws, max(1, _AT_ONCE // people))
    crowd = population.repeat(copies)
    joint = np.empty((draws, people))
    for first in range(0, draws, copies):
        lot = np.arange(first, first + copies) % draws  # the last may be short; the first fill it up
        mine = b[lot].reshape(copies * people, d)
        value = crowd.value(effects.arguments(prior.z, mine))
        value = value + 0.5 * np.einsum("si,ij,sj->s", mine, prior.precision, mine)
        joint[lot] = -value.reshape(copies, people)
    log_determinant = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    law = lgamma((_DF + d) / 2) - lgamma(_DF / 2) - 0.5 * d * np.log(_DF * np.pi)
    proposal = law + 0.5 * log_determinant - 0.5 * (_DF + d) * np.log1p((t**2).sum(axis=2) / _DF)
    logs = joint - proposal
    top = logs.max(axis=0)
    weights = np.exp(logs - top)
    mean = weights.mean(axis=0)
    each = prior.log_determinant + d * np.log(2 * np.pi) - 2 * (top + np.log(mean))
    errors = 2 * weights.std(axis=0, ddof=1) / (mean * np.sqrt(draws))
    share = weights / weights.sum(axis=0)
    return Sampled(each=each, errors=errors, effective=1 / (share**2).sum(axis=0), b=b, share=share)
