"""The exact likelihood of a population with few random effects: adaptive Gauss-Hermite quadrature.

The integral over the random effects of a subject is taken on a grid that is laid over its mode and scaled by the second
derivatives there: `nodes` points along each of the d directions. With one node it is Laplace's method.

Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear mixed-effects model. Journal of
Computational and Graphical Statistics 1995;4:12-35. doi:10.1080/10618600.1995.10474663
"""

from __future__ import annotations

from itertools import product

import numpy as np

from pkpd.likelihood.marginal import Marginal, Prior
from pkpd.likelihood.modes import find_modes
from pkpd.likelihood.population import Population

__all__ = ["grid", "quadrature"]

#: Copies of subjects that are solved together.
_AT_ONCE = 512


def grid(nodes: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the nodes (G, size) and the logarithms of their weights (G,) for the standard normal law."""
    x, weights = np.polynomial.hermite_e.hermegauss(nodes)
    places = np.array(list(product(range(nodes), repeat=size)), dtype=int).reshape(nodes**size, size)
    logs = np.log(weights / weights.sum())
    return x[places], logs[places].sum(axis=1)


def quadrature(
    population: Population,
    x: np.ndarray,
    start: np.ndarray,
    *,
    nodes: int,
    gradient: bool = False,
    metric: np.ndarray | None = None,
) -> Marginal:
    """Integrate the random effects out.

    Parameters
    ----------
    population, x, start, gradient, metric
        As for :func:`pkpd.likelihood.marginal.foce`.
    nodes : int
        Along each direction.

    Notes
    -----
    The derivatives are those of the likelihood itself, by Fisher's identity: the mean of the derivatives of the joint
    density over the random effects, given the data, by the same quadrature. So they are as accurate as it is, and
    differ from the derivatives of the sum by its error.
    """
    prior, effects = Prior.at(population, x), population.effects
    modes = find_modes(population, prior.z, prior.precision, start, metric)
    curved = population.curvature(modes.at, of_effects=True)
    to_effect = effects.to_effect
    true = np.einsum("wi,swv,vj->sij", to_effect, curved.hessian, to_effect) + prior.precision
    sound = np.isfinite(true).all(axis=(1, 2)) & np.isfinite(modes.hessian).all(axis=(1, 2))
    eye = np.eye(true.shape[1])
    positive = np.linalg.eigvalsh(np.where(sound[:, None, None], true, eye)).min(axis=1, initial=np.inf) > 0
    shape = np.where((positive & sound)[:, None, None], true, np.where(sound[:, None, None], modes.hessian, eye))
    factor = np.linalg.cholesky(shape)
    # b = mode + L^-T t, t standard normal: the columns of L^-T are as long as the posterior is wide.
    wide = np.swapaxes(np.linalg.inv(factor), 1, 2)
    places, logs = grid(nodes, len(effects.names))
    people = len(modes.b)
    # Many nodes at once, as copies of everybody.
    copies = min(len(places), max(1, _AT_ONCE // people))
    crowd = population.repeat(copies)
    spread = modes.b + np.einsum("sij,gj->gsi", wide, places)
    heights = np.empty((len(places), people))
    by_argument = np.empty((len(places), people, len(effects.base)))
    for first in range(0, len(places), copies):
        # The last lot may be short; its first nodes fill it up.
        lot = np.arange(first, first + copies) % len(places)
        b = spread[lot].reshape(copies * people, -1)
        w = effects.arguments(prior.z, b)
        if gradient:
            at = crowd.slopes(w, order=1)
            value, by_argument[lot] = at.value, at.gradient.reshape(copies, people, -1)
        else:
            value = crowd.value(w)
        prior_part = 0.5 * np.einsum("si,ij,sj->s", b, prior.precision, b)
        heights[lot] = -(value + prior_part).reshape(copies, people)
    with np.errstate(invalid="ignore"):  # somebody whose records have no density
        heights += modes.value + 0.5 * (places**2).sum(axis=1)[:, None] + logs[:, None]
        top = heights.max(axis=0)
        total = np.log(np.exp(heights - top).sum(axis=0)) + top
    half = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    each = 2 * modes.value + prior.log_determinant + 2 * half - 2 * total
    each = np.where(sound & np.isfinite(each), each, np.inf)
    if not gradient:
        return Marginal(each=each, modes=modes, bent=true)
    share = np.exp(heights - total)
    by_argument[share == 0] = 0.0  # where nothing is likely, slopes need not exist
    k = len(prior.z)
    each_x = np.empty((people, len(x)))
    each_x[:, :k] = 2 * np.einsum("gs,gsw->sw", share, by_argument) @ effects.to_typical
    each_x[:, k:] = np.einsum("gs,gsi,qij,gsj->sq", share, spread, prior.moved, spread, optimize=True)
    each_x[:, k:] += np.einsum("ij,qji->q", prior.precision, prior.slopes)
    by_typical = np.einsum("wi,swv,vk->sik", to_effect, curved.hessian, effects.to_typical)
    by_omega = np.einsum("qij,sj->siq", prior.moved, modes.b)
    modes_x = -np.linalg.solve(shape, np.concatenate([by_typical, by_omega], axis=2))
    return Marginal(each=each, modes=modes, gradient=each_x, modes_x=modes_x, bent=true)
