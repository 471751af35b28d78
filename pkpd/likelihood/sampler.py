"""Random effects drawn from their law given the data: Markov chains for all subjects at once.

Every subject has some chains; a sweep moves each of them by Metropolis-Hastings steps of four kinds:

========  ==============================================================================================================
prior     a draw from the law between people, whatever the data say; in one of four sweeps
mode      a draw from Student's t with 5 degrees of freedom, laid over a mode found before and scaled by the second
          derivatives there
walk      a random step of one random effect
slide     a random step of all of them, shaped by the same second derivatives
========  ==============================================================================================================

The first, third and fourth are those of Kuhn E, Lavielle M. Maximum likelihood estimation in nonlinear mixed effects
models. Computational Statistics & Data Analysis 2005;49:1020-1038. doi:10.1016/j.csda.2004.07.002. The second follows
Karimi B, Lavielle M, Moulines E. f-SAEM: a fast stochastic approximation of the EM algorithm for nonlinear mixed
effects models. Computational Statistics & Data Analysis 2020;141:123-138. doi:10.1016/j.csda.2019.07.001, with tails
that are heavier than those of what it stands for.

Every random number belongs to a subject's name, a chain and a sweep: it does not depend on order or company.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pkpd.likelihood.modes import find_modes
from pkpd.likelihood.population import Population
from pkpd.streams import addresses, normals, uniforms

__all__ = ["Chains", "Hills", "Sampler", "find_hills"]

#: Degrees of freedom of the draws around the modes.
_DF = 5
#: Random effects that walk in one sweep; the others have their turn in the next ones.
_WALKS = 2
#: One sweep in so many tries a draw from the prior, the others another one around the mode.
_PRIOR = 4
#: Sweeps whose random numbers are made together.
_LOT = 16
#: Share of steps that is to be taken, of one random effect and of all, and how fast the length of steps follows it.
_TAKEN, _TAKEN_TOGETHER, _FOLLOW = 0.44, 0.3, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hills:
    """Where the density of a subject's random effects is high: modes (S, d), and second derivatives (S, d, d) there.

    `wide` (S, d, d) has columns as long as the density is wide: its product with its transpose is their inverse.
    """

    mode: np.ndarray
    shape: np.ndarray
    wide: np.ndarray


def find_hills(population: Population, z: np.ndarray, precision: np.ndarray, start: np.ndarray) -> Hills:
    """Give them at typical values `z` (K,) and the inverse of Omega, from a start (S, d)."""
    modes = find_modes(population, z, precision, start)
    sound = np.isfinite(modes.hessian).all(axis=(1, 2)) & np.isfinite(modes.value)
    shape = np.where(sound[:, None, None], modes.hessian, precision)
    wide = np.swapaxes(np.linalg.inv(np.linalg.cholesky(shape)), 1, 2)
    return Hills(mode=np.where(sound[:, None], modes.b, 0.0), shape=shape, wide=wide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Where the chains stand: C chains, one after the other for everybody, so many times.

    Parameters
    ----------
    b : (C, d) float
        Random effects.
    value : (C,) float
        Minus the log density of the records there.
    steps : (d,) float
        SD of the steps of each random effect.
    slide : float
        Length of the steps of all.
    """

    b: np.ndarray
    value: np.ndarray
    steps: np.ndarray
    slide: float


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Moves chains; remembers only the random numbers of the coming sweeps.

    Parameters
    ----------
    population : Population
        S subjects.
    chains : int
        Of each subject.
    seed : int
    """

    population: Population
    chains: int
    seed: int
    crowd: Population = field(init=False)
    _who: np.ndarray = field(init=False)
    _lot: tuple[int, np.ndarray, np.ndarray] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.crowd = self.population.repeat(self.chains)
        self._who = np.tile(addresses(self.population.problem.subjects), self.chains)

    def start(self, z: np.ndarray, b: np.ndarray, omega: np.ndarray) -> Chains:
        """Give the chains at random effects `b` (S, d), with steps as long as people differ."""
        own = np.tile(b, (self.chains, 1))
        value = self.crowd.value(self.crowd.effects.arguments(z, own))
        d = own.shape[1]
        steps = 0.5 * np.sqrt(np.diagonal(omega))
        return Chains(b=own, value=value, steps=steps, slide=2.4 / np.sqrt(d))

    def sweep(
        self, at: Chains, number: int, z: np.ndarray, omega: np.ndarray, hills: Hills, *, adapt: bool = False
    ) -> Chains:
        """Move every chain by one step of each kind.

        Parameters
        ----------
        at : Chains
        number : int
            Of the sweep: which random numbers.
        z : (K,) float
            Typical values, transformed.
        omega : (d, d) float
        hills : Hills
            Near where they are now; the law that the chains keep does not depend on them.
        adapt : bool
            Whether lengths of steps follow the share of steps that are taken.
        """
        effects, d = self.crowd.effects, len(omega)
        precision, factor = np.linalg.inv(omega), np.linalg.cholesky(omega)
        normal, uniform = self._numbers(number, d)
        b, value = at.b, at.value
        inner = 0.5 * ((b @ precision) * b).sum(axis=1)
        taken = np.empty(uniform.shape[1])

        def step(k: int, trial: np.ndarray, *, known: bool = False, more: np.ndarray | float = 0.0) -> np.ndarray:
            """Take the trial where chance says so; `known` leaves the prior out, `more` is the draw's own law."""
            nonlocal b, value, inner
            there = self.crowd.value(effects.arguments(z, trial))
            within = 0.5 * ((trial @ precision) * trial).sum(axis=1)
            with np.errstate(invalid="ignore"):
                gain = value - there + more + (0.0 if known else inner - within)
                yes = np.log(uniform[:, k]) < gain
            b = np.where(yes[:, None], trial, b)
            value, inner = np.where(yes, there, value), np.where(yes, within, inner)
            taken[k] = yes.mean()
            return yes

        wide = np.tile(hills.wide, (self.chains, 1, 1))
        mode, shape = np.tile(hills.mode, (self.chains, 1)), np.tile(hills.shape, (self.chains, 1, 1))

        def step_to_mode(k: int, drawn: np.ndarray) -> None:
            t = drawn[:, :d] / np.sqrt((drawn[:, d:] ** 2).mean(axis=1))[:, None]
            away = b - mode
            now = np.log1p(((shape @ away[..., None])[..., 0] * away).sum(axis=1) / _DF)
            then = np.log1p((t**2).sum(axis=1) / _DF)
            step(k, mode + (wide @ t[..., None])[..., 0], more=0.5 * (_DF + d) * (then - now))

        first, last, slides, walks = np.split(normal, np.cumsum([d + _DF, d + _DF, d]), axis=1)
        if number % _PRIOR == 0:
            step(0, first[:, :d] @ factor.T, known=True)
        else:
            step_to_mode(0, first)
        turns = _turns(number, d)
        for k, i in enumerate(turns):
            trial = b.copy()
            trial[:, i] += at.steps[i] * walks[:, k]
            step(3 + k, trial)
        step(2, b + at.slide * (wide @ slides[..., None])[..., 0])
        step_to_mode(1, last)
        if not adapt:
            return Chains(b=b, value=value, steps=at.steps, slide=at.slide)
        steps = at.steps.copy()
        steps[turns] *= np.exp(_FOLLOW * (taken[3:] - _TAKEN))
        return Chains(
            b=b, value=value, steps=steps, slide=at.slide * float(np.exp(_FOLLOW * (taken[2] - _TAKEN_TOGETHER)))
        )

    def _numbers(self, number: int, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Normal (C, .) and uniform numbers (C, .) of a sweep."""
        lot, within = divmod(number, _LOT)
        if self._lot is None or self._lot[0] != lot:
            walks = min(d, _WALKS)
            sweeps = np.arange(lot * _LOT, (lot + 1) * _LOT)
            copies = np.repeat(np.arange(self.chains), len(self._who) // self.chains)
            which = (sweeps[:, None] * self.chains + copies).ravel()
            who = np.tile(self._who, _LOT)
            shape = (_LOT, len(self._who), -1)
            drawn = normals(self.seed, "steps of chains", who, which, 3 * d + 2 * _DF + walks).reshape(shape)
            chance = uniforms(self.seed, "taking steps of chains", who, which, 3 + walks).reshape(shape)
            self._lot = lot, drawn, chance
        return self._lot[1][within], self._lot[2][within]


def _turns(number: int, d: int) -> np.ndarray:
    """Which random effects walk in a sweep."""
    walks = min(d, _WALKS)
    return (number * walks + np.arange(walks)) % d
