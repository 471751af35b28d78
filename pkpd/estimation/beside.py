"""Beside the objective of any method, the exact likelihood at the same place, so that methods can be compared."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pkpd.likelihood.importance import sample_importance
from pkpd.likelihood.marginal import Marginal, Prior
from pkpd.likelihood.mixture import by_class
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
    start, metric = near.ahead(np.zeros(len(x)))
    affordable = [nodes for nodes in _NODES if nodes**d * people <= _MOST]
    if len(affordable) > 1:
        found, error, last = near.each, np.inf, 0
        for last in affordable:
            summed = by_class(population, partial(quadrature, nodes=last))
            before, found = found, summed(population, x, start, metric=metric).each
            error = 2 * abs(float((found - before).sum()))
            if last > _NODES[0] and error < (_AGREED if last**d * people > _LITTLE else _EXACT):
                break
        return found, error, f"quadrature with {last} nodes"
    each, error = by_sampling(population, x, start, metric)
    return each, float(np.sqrt((error**2).sum())), f"importance sampling with {_DRAWS} draws a subject"


def by_sampling(population: Population, x: np.ndarray, start: Any, metric: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give -2 log L of every subject, (S,), and its error, by importance sampling."""
    mixture = population.mixture
    if mixture is not None:
        n = len(x) - mixture.count
        found = [by_sampling(own, x[:n], start[k], metric[k]) for k, own in enumerate(population.classes)]
        logs = np.stack([-0.5 * each for each, _ in found], axis=1) + np.log(mixture.shares(x[n:]))
        top = logs.max(axis=1, keepdims=True)
        total = top + np.log(np.exp(logs - top).sum(axis=1, keepdims=True))
        errors = np.exp(logs - total) * np.stack([error for _, error in found], axis=1)
        return -2 * total[:, 0], errors.sum(axis=1)  # the draws are the same in all classes: errors may go together
    found = quadrature(population, x, start, nodes=1, metric=metric)
    prior = Prior.at(population, x)
    bent = found.bent if found.bent is not None else found.modes.hessian
    positive = np.linalg.eigvalsh(np.nan_to_num(bent))[:, 0] > 0
    shape = np.where(positive[:, None, None], bent, found.modes.hessian)
    sampled = sample_importance(population, prior, found.modes, shape, draws=_DRAWS, seed=_SEED)
    return sampled.each, sampled.errors
