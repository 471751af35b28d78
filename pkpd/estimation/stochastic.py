"""The iterations of SAEM, from state to state; see :class:`pkpd.estimation.SAEM`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import FitFileError
from pkpd.estimation.checkpoint import Checkpoint, Now
from pkpd.estimation.complete import (
    Roles,
    Statistics,
    collect,
    complete_score,
    group_maximum,
    natural_of,
    newton,
    of_members,
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
_ANEW = 25
#: A logarithm that has run further than this has run away; its exponential must stay a number above 0.
_REACH = 60.0
#: What chains and hills are made of.
_CHAINS, _HILLS = ("b", "value", "steps", "slide"), ("mode", "shape", "wide")


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
    mean : (X,) float or None
        Past `burn`: the mean of the estimates since.
    ends : tuple of (2, X) float
        For each iteration past `burn`: the estimates before its maximisation, and the score there.
    trace : tuple of (objective, (N,) natural values)
        The way here.
    """

    iteration: int
    z: np.ndarray
    matrices: tuple[np.ndarray, ...]
    chains: Chains
    hills: Hills
    statistics: Statistics | None = None
    mean: np.ndarray | None = None
    ends: tuple[np.ndarray, ...] = ()
    trace: tuple[tuple[float, np.ndarray], ...] = ()

    def pack(self) -> dict[str, np.ndarray]:
        """Give it as arrays."""
        found: dict[str, np.ndarray] = {
            "iteration": np.array(self.iteration),
            "z": self.z,
            "ends": np.array(self.ends),
            "objectives": np.array([objective for objective, _ in self.trace]),
            "values": np.array([values for _, values in self.trace]),
            **{f"chains.{name}": np.asarray(getattr(self.chains, name)) for name in _CHAINS},
            **{f"hills.{name}": getattr(self.hills, name) for name in _HILLS},
            **_numbered("matrices", self.matrices),
        }
        if self.mean is not None:
            found["mean"] = self.mean
        if self.statistics is not None:
            found |= _numbered("first", self.statistics.first) | _numbered("second", self.statistics.second)
            found |= {"squares": self.statistics.squares, "information": self.statistics.information}
        return found

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> State:
        """Give arrays as a state: with the same bits, the next iterations, too."""
        statistics = None
        if "squares" in arrays:
            statistics = Statistics(
                first=_in_order("first", arrays),
                second=_in_order("second", arrays),
                squares=arrays["squares"],
                information=arrays["information"],
            )
        chains = {name: arrays[f"chains.{name}"] for name in _CHAINS}
        return cls(
            iteration=int(arrays["iteration"]),
            z=arrays["z"],
            matrices=_in_order("matrices", arrays),
            chains=Chains(**{**chains, "slide": float(chains["slide"])}),
            hills=Hills(**{name: arrays[f"hills.{name}"] for name in _HILLS}),
            statistics=statistics,
            mean=arrays.get("mean"),
            ends=tuple(arrays["ends"]),
            trace=tuple(
                (float(objective), values) for objective, values in zip(arrays["objectives"], arrays["values"])
            ),
        )


class Search:
    """The iterations of SAEM."""

    def __init__(self, options: SAEM, population: Population, quantities: Quantities) -> None:
        assert options.seed is not None
        self.options, self.population, self.quantities = options, population, quantities
        self.sampler = Sampler(population=population, chains=options.chains, seed=options.seed)
        self.roles = Roles.of(population)
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

    def estimates(self, state: State) -> np.ndarray:
        """Give the outer parameters (X,) that the iterations so far lead to."""
        x = self.outer(state) if state.mean is None else state.mean
        # A mean of numbers that all stand at a bound may differ from it in the last digit.
        for limit in self.quantities.limits():
            x = np.where(np.abs(x - limit) <= 1e-12 * np.maximum(1.0, np.abs(x)), limit, x)
        return x

    def run(self, kept: Checkpoint | None = None) -> State:
        """Give the state after the last iteration, or where it was stopped by hand.

        With a checkpoint the work goes on from what that holds.
        """
        total = self.options.burn + self.options.smooth
        arrays, save = kept.load() if kept else None, Now(kept)
        state = self.start() if arrays is None else State.unpack(arrays)
        if kept and state.iteration > total:
            raise FitFileError(
                f"the checkpoint holds {state.iteration} iterations.",
                where=str(kept.path),
                expected=f"At most burn + smooth, {total}.",
                remedy=f"Ask for smooth={state.iteration - self.options.burn} or more, or give another path.",
            )
        with progress("Drawing", total - state.iteration) as tick:
            try:
                while state.iteration < total:
                    save(state.pack)
                    state = self.iterate(state)
                    tick()
            except KeyboardInterrupt:
                pass
        if kept:
            kept.save(state.pack())
        return state

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
        chains = self.sampler.start(z, hills.mode, omega)
        return self._noted(State(iteration=0, z=z, matrices=matrices, chains=chains, hills=hills))

    def iterate(self, state: State) -> State:
        """Give the state after one more iteration."""
        options, crowd, roles = self.options, self.sampler.crowd, self.roles
        effects = crowd.effects
        covariance, number = effects.covariance, state.iteration
        burning = number < options.burn
        share = float(max(1, number + 1 - options.burn * 2 // 3)) ** -options.power
        omega = covariance.place(state.matrices)
        hills, z = state.hills, state.z
        if number in (5, 10) or (number and number % _ANEW == 0):
            hills = find_hills(self.population, z, np.linalg.inv(omega), hills.mode)
        chains = self.sampler.sweep(state.chains, number, z, omega, hills, adapt=burning)
        b = chains.b
        steps = stepped_score(crowd, roles, effects.arguments(z, b), options.chains)
        now = collect(crowd, roles, z, b, steps)
        statistics = now if state.statistics is None else state.statistics.moved(now, share)
        ends, mean = state.ends, state.mean
        if not burning:
            x = self.outer(state)
            ends = (*ends, np.array([x, complete_score(self.population, roles, x, b, now, steps.score)]))
            mean = x if mean is None else mean + (x - mean) / len(ends)
        cooling = options.cool and number < options.burn // 2
        priors, people = self.population.priors, len(self.population.problem.subjects)
        z, matrices, b, mode = z.copy(), [], b.copy(), hills.mode.copy()
        for g, group in enumerate(covariance.groups):
            own, before = roles.by_group[g], state.matrices[g]
            lower, upper = of_members(own, self.lower, -np.inf), of_members(own, self.upper, np.inf)
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
        after = State(
            iteration=number + 1,
            z=z,
            matrices=tuple(matrices),
            chains=replace(chains, b=b, value=value),
            hills=replace(hills, mode=mode),
            statistics=statistics,
            mean=mean,
            ends=ends,
            trace=state.trace,
        )
        return self._noted(after)

    def solved(self, state: State) -> int:
        """How often the model was solved for everybody on the way to a state."""
        return state.iteration * (4 + min(len(self.population.effects.names), 2))

    def _noted(self, state: State) -> State:
        """Give the state with itself at the end of its trace."""
        values = self.natural(state) if state.mean is None else self.quantities.natural(state.mean)
        objective = 2 * float(state.chains.value.sum()) / self.options.chains
        return replace(state, trace=(*state.trace, (objective, values)))


def _cooled(matrix: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Give a covariance matrix whose variances have not fallen by more than they may; correlations stay."""
    least = _COOLING * np.diagonal(before)
    more = np.sqrt(np.maximum(1.0, least / np.diagonal(matrix)))
    return matrix * np.outer(more, more)


def _numbered(name: str, many: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}.{k}": one for k, one in enumerate(many)}


def _in_order(name: str, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    return tuple(arrays[f"{name}.{k}"] for k in range(sum(key.startswith(f"{name}.") for key in arrays)))
