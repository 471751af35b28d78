"""The likelihood of a mixture of sub-populations, by whatever gives that of a class.

With the share p_k of class k and the likelihood L_ik of subject i as one of its members,

    L_i = sum_k p_k L_ik,    P(i is in k) = p_k L_ik / L_i.

The outer parameters are those of a class, then the logarithms of the ratios of the shares to the last.

McLachlan G, Peel D. Finite mixture models. Wiley, 2000. Chapter 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pkpd.likelihood.marginal import Marginal
from pkpd.likelihood.modes import Modes, choose
from pkpd.likelihood.population import Mixture, Population

__all__ = ["Mixed", "by_class", "most_probable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed(Marginal):
    """An approximation of the likelihood of a mixture at one place; `modes` are those of the most probable classes.

    Parameters
    ----------
    each, modes, gradient
        See :class:`Marginal`.
    parts : tuple of Marginal
        As if everybody were in one class.
    probability : (S, C) float
        Of each class, given the subject's records.
    """

    parts: tuple[Marginal, ...]
    probability: np.ndarray

    def ahead(self, step: np.ndarray) -> tuple[tuple, tuple]:
        """Say where to look for the modes of each class a step (X,) from here; see `Marginal.ahead`."""
        own = step[: len(step) - len(self.parts) + 1]
        starts, metrics = zip(*(part.ahead(own) for part in self.parts), strict=True)
        return starts, metrics


def by_class(population: Population, approximation: Callable[..., Marginal]) -> Callable[..., Marginal]:
    """Give the approximation for the mixture of a population; itself where there is none."""
    mixture = population.mixture
    if mixture is None:
        return approximation
    classes = population.classes

    def look(
        _: Population, x: np.ndarray, start: np.ndarray | tuple, *, gradient: bool = False, metric: tuple | None = None
    ) -> Mixed:
        n = len(x) - mixture.count
        parts = [
            approximation(
                own,
                x[:n],
                start[k] if isinstance(start, tuple) else start,
                gradient=gradient,
                metric=None if metric is None else metric[k],
            )
            for k, own in enumerate(classes)
        ]
        return _mix(population, mixture, parts, x[n:], gradient=gradient)

    return look


def most_probable(found: Marginal) -> np.ndarray | None:
    """Give the class in which each subject is most probably, (S,) int; None where there is no mixture."""
    return found.probability.argmax(axis=1) if isinstance(found, Mixed) else None


def _mix(
    population: Population, mixture: Mixture, parts: list[Marginal], ratios: np.ndarray, *, gradient: bool
) -> Mixed:
    """Put the classes together."""
    shares = mixture.shares(ratios)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.stack([-0.5 * part.each for part in parts], axis=1) + np.log(shares)
        top = logs.max(axis=1)
        total = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
        probability = np.exp(logs - total[:, None])
    lost = ~np.isfinite(total)
    probability[lost] = shares
    best = probability.argmax(axis=1)
    modes = parts[0].modes
    for k in range(1, len(parts)):
        modes = _choose(best == k, parts[k].modes, modes, population)
    each_x = None
    if gradient:
        slopes = []
        for part in parts:
            assert part.gradient is not None
            slopes.append(part.gradient)
        # A class in which nobody could have such records has no slopes, and no weight.
        weighted = [np.where(p[:, None] > 0, p[:, None] * s, 0.0) for p, s in zip(probability.T, slopes, strict=True)]
        each_x = np.concatenate([sum(weighted), -2 * (probability - shares)[:, :-1]], axis=1)
    return Mixed(
        each=np.where(lost, np.inf, -2 * total), modes=modes, gradient=each_x, parts=tuple(parts),
        probability=probability,
    )  # fmt: skip


def _choose(take: np.ndarray, new: Modes, old: Modes, population: Population) -> Modes:
    """Of each subject the new modes where it takes them."""
    return replace(
        old,
        b=np.where(take[:, None], new.b, old.b),
        at=choose(take, new.at, old.at, population),
        value=np.where(take, new.value, old.value),
        hessian=np.where(take[:, None, None], new.hessian, old.hessian),
        decrement=np.where(take, new.decrement, old.decrement),
        iterations=old.iterations + new.iterations,
    )
