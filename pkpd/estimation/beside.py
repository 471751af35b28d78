"""Beside the objective of any method, the exact likelihood at the same place, so that methods can be compared."""

from __future__ import annotations

import numpy as np

from pkpd.likelihood.importance import sample_importance
from pkpd.likelihood.marginal import Marginal, Prior
from pkpd.likelihood.population import Population
from pkpd.likelihood.quadrature import quadrature

__all__ = ["exactly"]

#: Nodes along a random effect, and how many for all people at most.
_NODES, _MOST = (7, 9, 15, 25, 41, 65), 60_000
#: An error that is small enough, and one where a look takes no more nodes than these.
_AGREED, _EXACT, _LITTLE = 0.01, 1e-4, 5_000
_DRAWS, _SEED = 1000, 20070


def exactly(population: Population, x: np.ndarray, near: Marginal) -> tuple[np.ndarray, float, str]:
    """Give -2 log L of every subject without constants, (S,), the error of their sum, and how it was found.

    By quadrature where the random effects are few: with more and more nodes until two sums agree, or as many as may be
    taken; the error is twice the difference of the last two. Otherwise by importance sampling with 1,000 draws a
    subject.
    """
    d, people = len(population.effects.names), len(population.problem.subjects)
    if not np.isfinite(near.each).all():
        return np.full(people, np.nan), np.nan, "quadrature"
    affordable = [nodes for nodes in _NODES if nodes**d * people <= _MOST]
    if len(affordable) > 1:
        found, error, last = near.each, np.inf, 0
        for last in affordable:
            before, found = found, quadrature(population, x, near.modes.b, nodes=last, metric=near.bent).each
            error = 2 * abs(float((found - before).sum()))
            if last > _NODES[0] and error < (_AGREED if last**d * people > _LITTLE else _EXACT):
                break
        return found, error, f"quadrature with {last} nodes"
    found = quadrature(population, x, near.modes.b, nodes=1, metric=near.bent)
    prior = Prior.at(population, x)
    bent = found.bent if found.bent is not None else found.modes.hessian
    positive = np.linalg.eigvalsh(np.nan_to_num(bent))[:, 0] > 0
    shape = np.where(positive[:, None, None], bent, found.modes.hessian)
    sampled = sample_importance(population, prior, found.modes, shape, draws=_DRAWS, seed=_SEED)
    return sampled.each, sampled.error, f"importance sampling with {_DRAWS} draws a subject"
