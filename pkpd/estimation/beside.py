"""Beside the objective of any method, the exact likelihood at the same place, so that methods can be compared."""

from __future__ import annotations

import numpy as np

from pkpd.likelihood.importance import sample_importance
from pkpd.likelihood.marginal import Marginal, Prior
from pkpd.likelihood.population import Population
from pkpd.likelihood.quadrature import quadrature

__all__ = ["exactly"]

_NODES, _FEWER, _MOST = 9, 7, 60_000
_DRAWS, _SEED = 1000, 20070


def exactly(population: Population, x: np.ndarray, near: Marginal) -> tuple[np.ndarray, float, str]:
    """Give -2 log L of every subject without constants, (S,), the error of their sum, and how it was found.

    By quadrature where the random effects are few: its error is the difference between 9 and 7 nodes. Otherwise by
    importance sampling with 1,000 draws a subject.
    """
    d, people = len(population.effects.names), len(population.problem.subjects)
    if not np.isfinite(near.each).all():
        return np.full(people, np.nan), np.nan, "quadrature"
    if _NODES**d * people <= _MOST:
        fine, coarse = (
            quadrature(population, x, near.modes.b, nodes=nodes, metric=near.bent) for nodes in (_NODES, _FEWER)
        )
        return fine.each, abs(fine.objective - coarse.objective), f"quadrature with {_NODES} nodes"
    found = quadrature(population, x, near.modes.b, nodes=1, metric=near.bent)
    prior = Prior.at(population, x)
    bent = found.bent if found.bent is not None else found.modes.hessian
    positive = np.linalg.eigvalsh(np.nan_to_num(bent))[:, 0] > 0
    shape = np.where(positive[:, None, None], bent, found.modes.hessian)
    sampled = sample_importance(population, prior, found.modes, shape, draws=_DRAWS, seed=_SEED)
    return sampled.each, sampled.error, f"importance sampling with {_DRAWS} draws a subject"
