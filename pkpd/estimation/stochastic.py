"""The iterations of SAEM, from state to state; see :class:`pkpd.estimation.SAEM`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.estimation.complete import (
    Roles,
    Statistics,
    collect,
    complete_score,
    group_maximum,
    natural_of,
    newton,
    residual_sd,
    stepped_score,
)
from pkpd.estimation.progress import progress
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood.population import Population
from pkpd.likelihood.sampler import Chains, Hills, Sampler, find_hills

if TYPE_CHECKING:
    from pkpd.estimation.saem import SAEM

__all__ = ["Search", "State"]

#: While the estimates cool down, a variance keeps this share of what it was at the last iteration, at least.
_COOLING = 0.95
#: Sweeps after which the modes are found anew; more often at the beginning.
_HILLS = 25
#: A logarithm that has run further than this has run away; its exponential must stay a number above 0.
_REACH = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that SAEM knows after an iteration: the next one follows from it.

    Parameters
    ----------
    iteration : int
        How many there were.
    z : (K,) float
        Typical values, transformed.
    matrices : tuple of (m, m) float
        The covariance matrix of each group of random effects.
    chains : Chains
    hills : Hills
        The modes at some iteration before.
    statistics : Statistics or None
    end : (2, X) float or None
        Past `burn`: the estimates before this iteration's maximisation, and the score there.
    """

    iteration: int
    z: np.ndarray
    matrices: tuple[np.ndarray, ...]
    chains: Chains
    hills: Hills
    statistics: Statistics | None = None
    end: np.ndarray | None = None


class Search:
    """The iterations of SAEM."""

    def __init__(self, options: SAEM, population: Population, quantities: Quantities) -> None:
        assert options.seed is not None
        self.options, self.population, self.quantities = options, population, quantities
        self.sampler = Sampler(population=population, chains=options.chains, seed=options.seed)
        self.roles = Roles.of(population)
        self.solved = 0
        k = len(population.effects.typical)
        lower, upper = (limit[:k] for limit in quantities.limits())
        own = quantities.coordinates
        scales = [p.transform for p, free in zip(own.parameters, own.free, strict=True) if free][:k]
        reach = np.array([np.inf if scale in ("none", "boxcox") else _REACH for scale in scales])
        self.lower, self.upper = np.maximum(lower, -reach), np.minimum(upper, reach)

    def outer(self, state: State) -> np.ndarray:
        """Give the outer parameters (X,) of a state."""
        covariance = self.population.effects.covariance
        return np.concatenate([state.z, covariance.numbers(natural_of(covariance.groups, state.matrices))])

    def natural(self, state: State) -> np.ndarray:
        """Give the N natural values of a state."""
        own = self.quantities.coordinates
        values, free = own.initial, np.flatnonzero(own.free)
        for place, z in zip(free, state.z, strict=False):
            values[place] = own.parameters[place].inverse(z)
        values[free[len(state.z) :]] = natural_of(self.population.effects.covariance.groups, state.matrices)
        return values

    def run(self) -> tuple[np.ndarray, list[tuple[float, np.ndarray]], np.ndarray, int | None]:
        """Give the estimates (X,), the way there, its end, and the iteration at which it was stopped by hand.

        The end, (smooth, 2, X), are the iterates that are averaged, and the score at each.
        """
        options = self.options
        total = options.burn + options.smooth
        state = self.start()
        trace = [(2 * float(state.chains.value.sum()) / options.chains, self.natural(state))]
        ends: list[np.ndarray] = []
        x, stopped = self.outer(state), None
        with progress("Drawing", total) as tick:
            try:
                while state.iteration < total:
                    state = self.iterate(state)
                    if state.end is not None:
                        ends.append(state.end)
                        x = x + (state.end[0] - x) / len(ends)
                    values = self.natural(state) if state.end is None else self.quantities.natural(x)
                    trace.append((2 * float(state.chains.value.sum()) / options.chains, values))
                    tick()
            except KeyboardInterrupt:
                stopped = state.iteration
        x = x if ends else self.outer(state)
        # A mean of numbers that all stand at a bound may differ from it in the last digit.
        for limit in self.quantities.limits():
            x = np.where(np.abs(x - limit) <= 1e-12 * np.maximum(1.0, np.abs(x)), limit, x)
        return x, trace, np.array(ends).reshape(len(ends), 2, len(x)), stopped

    def start(self) -> State:
        """Give the state before the first iteration: everybody at the mode."""
        effects = self.population.effects
        covariance = effects.covariance
        z = np.clip(effects.start, self.lower, self.upper)
        matrices = tuple(group.start for group in covariance.groups)
        omega = covariance.matrix(covariance.start)
        hills = find_hills(
            self.population, z, np.linalg.inv(omega), np.zeros((len(self.population.problem.subjects), len(omega)))
        )
        return State(iteration=0, z=z, matrices=matrices, chains=self.sampler.start(z, hills.mode, omega), hills=hills)

    def iterate(self, state: State) -> State:
        """Give the state after one more iteration."""
        options, crowd, roles = self.options, self.sampler.crowd, self.roles
        effects = crowd.effects
        covariance, number = effects.covariance, state.iteration
        burning = number < options.burn
        share = float(max(1, number + 1 - options.burn * 2 // 3)) ** -options.power
        omega = covariance.place(state.matrices)
        hills, z = state.hills, state.z
        if number in (5, 10) or (number and number % _HILLS == 0):
            hills = find_hills(self.population, z, np.linalg.inv(omega), hills.mode)
        chains = self.sampler.sweep(state.chains, number, z, omega, hills, adapt=burning)
        b = chains.b
        steps = stepped_score(crowd, roles, effects.arguments(z, b), options.chains)
        now = collect(crowd, roles, z, b, steps)
        statistics = now if state.statistics is None else state.statistics.moved(now, share)
        end = None
        if not burning:
            x = self.outer(state)
            end = np.array([x, complete_score(self.population, roles, x, b, now, steps.score)])
        cooling = options.cool and number < options.burn // 2
        priors, people = self.population.priors, len(self.population.problem.subjects)
        z, matrices, b, mode = z.copy(), [], b.copy(), hills.mode.copy()
        for g, group in enumerate(covariance.groups):
            own, before = roles.by_group[g], state.matrices[g]
            lower = np.where(own >= 0, self.lower[own], -np.inf)
            upper = np.where(own >= 0, self.upper[own], np.inf)
            centre, matrix = group_maximum(
                group, own, statistics.first[g], statistics.second[g], before, lower, upper,
                people=people * len(group.places), priors=priors, of_group=priors.weight_of_group.get(g),
            )  # fmt: skip
            matrices.append(_cooled(matrix, before) if cooling and not group.fixed else matrix)
            for i in np.flatnonzero(own >= 0):
                # The individual values stay; the random effects are counted from the new centre.
                b[:, group.places[:, i]] += z[own[i]] - centre[i]
                mode[:, group.places[:, i]] += z[own[i]] - centre[i]
                z[own[i]] = centre[i]
        for i, (k, rows) in enumerate(roles.closed):
            square = max(statistics.squares[i], _COOLING * np.exp(2 * z[k]) if cooling else 0.0, 1e-300)
            known = (priors.centre[k], priors.precision[k]) if priors.centre.size else (0.0, 0.0)
            z[k] = np.clip(residual_sd(square, int(rows.sum()), *known), self.lower[k], self.upper[k])
        chosen = roles.stepped
        if chosen.size:
            lower, upper = self.lower[chosen], self.upper[chosen]
            score, information = steps.score, statistics.information
            if priors.centre.size:
                score = score - priors.precision[chosen] * (z - priors.centre)[chosen]
                information = information + np.diag(priors.precision[chosen])
            way = newton(z[chosen], score, information, lower, upper)
            z[chosen] = np.clip(z[chosen] + share * way, lower, upper)
        w = effects.arguments(z, b)
        # Predictions hold unless the model itself has a parameter that was stepped.
        moved = effects.to_typical[: len(effects.engine), chosen].any()
        value = crowd.value(w) if moved else crowd.value_of(steps.f, w)
        self.solved += 4 + min(len(omega), 2)
        return State(
            iteration=number + 1,
            z=z,
            matrices=tuple(matrices),
            chains=replace(chains, b=b, value=value),
            hills=replace(hills, mode=mode),
            statistics=statistics,
            end=end,
        )


def _cooled(matrix: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Give a covariance matrix whose variances have not fallen by more than they may; correlations stay."""
    least = _COOLING * np.diagonal(before)
    more = np.sqrt(np.maximum(1.0, least / np.diagonal(matrix)))
    return matrix * np.outer(more, more)
