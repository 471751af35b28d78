"""The information as the mean square of scores: data are drawn, and each person's slope of log L is taken.

A score is the derivative of log L by the quantities at the values that gave the data. Its mean is 0 and its covariance
the information, whatever the model; what is left is the approximation of the likelihood and the chance of the draws.
"""

from __future__ import annotations

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation import Laplace, Quadrature
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population
from pkpd.progress import stages

__all__ = ["draw_scores"]

#: People who are drawn at a time. The numbers depend on it.
_BLOCK = 500


def draw_scores(
    population: Population, quantities: Quantities, method: Laplace | Quadrature, *, draws: int, seed: int
) -> np.ndarray:
    """Give the scores of people who are drawn, by the p natural quantities, (draws, A, p).

    Parameters
    ----------
    population : Population
        One person of each of A arms.
    draws : int
        People drawn of each arm.
    seed : int

    Raises
    ------
    CannotFit
        Somebody who was drawn has no likelihood.
    """
    x, arms = population.start, len(population.problem.subjects)
    natural = _slopes(quantities, x)
    sizes = np.diff(np.append(np.arange(0, draws, _BLOCK), draws))
    found = []
    with stages() as advance:
        for number, size in enumerate(sizes):
            advance("drawing people", number * _BLOCK, draws)
            crowd = population.repeat(int(size))
            drawn = simulate_population(crowd, x, seed=seed, replicate=number, purpose="information")
            nobody = np.zeros((len(drawn.problem.subjects), len(population.effects.names)))
            gradient = method.approximation(drawn)(drawn, x, nobody, gradient=True).gradient
            assert gradient is not None
            found.append(-0.5 * gradient.reshape(int(size), arms, -1))
    scores = np.concatenate(found)
    lost = ~np.isfinite(scores).all(axis=2)
    if lost.any():
        at = int(np.flatnonzero(lost.any(axis=0))[0])
        raise CannotFit(
            f"{int(lost.sum())} of {lost.size} people who were drawn have no likelihood.",
            where=f"information(method={type(method).__name__}()), arm `{population.problem.subjects[at]}`",
            expected="A likelihood of whatever the model may give.",
            remedy="Give the output an additive error beside the proportional one, or use FO().",
        )
    return scores @ np.linalg.inv(natural)


def _slopes(quantities: Quantities, x: np.ndarray) -> np.ndarray:
    """Give the derivatives of the p natural quantities by the outer parameters x (p,), (p, p)."""
    coordinates = quantities.coordinates
    free = np.flatnonzero(coordinates.free)
    slope = coordinates.slope(coordinates.forward(coordinates.initial))[free]
    return slope[:, None] * quantities.slopes(x)[free]
