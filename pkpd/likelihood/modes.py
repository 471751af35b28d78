"""The most probable random effects of every subject, found for all subjects together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pkpd.likelihood.population import Population, Slopes

__all__ = ["Modes", "choose", "curvature_at", "find_modes", "joint"]

#: The search ends where a step would change twice the objective by less than this; iterations, halvings of a step.
_SETTLED, _MOST, _HALVINGS = 1e-17, 100, 25
#: Where the value has not fallen by more than so much of it in so many iterations, the density has an edge.
_EDGE, _WINDOW = 1e-11, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Where the joint density of a subject's records and its random effects is largest.

    Parameters
    ----------
    b : (S, d) float
        Random effects.
    at : Slopes
        The records there.
    value : (S,) float
        Minus the joint log density without constants: that of the records plus half of b' Omega^-1 b.
    hessian : (S, d, d) float
        Expected information of the records plus Omega^-1.
    decrement : (S,) float
        What another step would still change twice the value by.
    iterations : int
    """

    b: np.ndarray
    at: Slopes
    value: np.ndarray
    hessian: np.ndarray
    decrement: np.ndarray
    iterations: int

    @property
    def settled(self) -> np.ndarray:
        """Whether the search has ended at a mode, (S,)."""
        return self.decrement <= 1e-8


def joint(at: Slopes, b: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Give minus the joint log density of records and random effects, (S,), without constants."""
    return at.value + 0.5 * np.einsum("si,ij,sj->s", b, precision, b)


def curvature_at(population: Population, modes: Modes, precision: np.ndarray) -> np.ndarray:
    """Give the second derivatives of `joint` at modes, (S, d, d): the true ones where they are positive definite.

    Elsewhere the expected ones stand for them, and the inverse of Omega where there are none either.
    """
    to_effect = population.effects.to_effect
    with np.errstate(invalid="ignore"):  # where there are none
        curved = population.curvature(modes.at, of_effects=True)
    true = np.einsum("wi,swv,vj->sij", to_effect, curved.hessian, to_effect) + precision
    known = np.asarray(np.isfinite(modes.hessian).all(axis=(1, 2)))
    expected = np.where(known[:, None, None], modes.hessian, precision)
    sound = np.asarray(np.isfinite(true).all(axis=(1, 2)))
    true = np.where(sound[:, None, None], true, expected)
    positive = np.linalg.eigvalsh(true).min(axis=1, initial=np.inf) > 0
    return np.where(positive[:, None, None], true, expected)


def find_modes(
    population: Population, z: np.ndarray, precision: np.ndarray, start: np.ndarray, metric: np.ndarray | None = None
) -> Modes:
    """Search by a quasi-Newton method that begins with the expected information, steps halved where they lead up.

    Parameters
    ----------
    population : Population
    z : (K,) float
        Typical values, transformed.
    precision : (d, d) float
        The inverse of Omega.
    start : (S, d) float
    metric : (S, d, d) float, optional
        Second derivatives of `joint` near by, which lead faster than the expected ones, unless they do not lead down.
    """
    effects, b = population.effects, start.copy()
    to_effect = effects.to_effect

    def look(b: np.ndarray) -> tuple[Slopes, np.ndarray, np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore"):  # a wild trial, which is not taken
            at = population.slopes(effects.arguments(z, b))
            gradient = at.gradient @ to_effect + b @ precision
            hessian = population.information(at) + precision
        return at, joint(at, b, precision), gradient, hessian

    at, value, gradient, hessian = look(b)
    lost = ~np.isfinite(value)
    if lost.any() and b[lost].any():
        # Where the start cannot be solved, the typical person may.
        b = np.where(lost[:, None], 0.0, b)
        at, value, gradient, hessian = look(b)
    usable = np.asarray(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1))
    bent = np.where(usable[:, None, None], hessian, np.eye(b.shape[1]))
    if metric is not None:
        positive = np.linalg.eigvalsh(np.nan_to_num(metric)).min(axis=1, initial=np.inf) > 0
        bent = np.where(positive[:, None, None], metric, bent)
    step, decrement = _newton(gradient, bent)
    share = np.ones(len(b))
    iterations, before = 0, deque[np.ndarray]()
    while iterations < _MOST:
        going = (decrement > _SETTLED) & (share > 0.5**_HALVINGS) & np.isfinite(value)
        if not going.any():
            break
        iterations += 1
        trial = np.where(going[:, None], b + share[:, None] * step, b)
        found = look(trial)
        # A change within rounding is as good as none.
        size = np.maximum(1.0, np.abs(value))
        better = going & (found[1] <= value + 1e-12 * size)
        before.append(value)
        take = better | ~going
        bent = _corrected(bent, trial - b, found[2] - gradient, better)
        b = np.where(take[:, None], trial, b)
        at = choose(take, found[0], at, population)
        value = np.where(take, found[1], value)
        gradient = np.where(take[:, None], found[2], gradient)
        hessian = np.where(take[:, None, None], found[3], hessian)
        # A step that leads up is halved, and what was thought of second derivatives there is thought no more.
        bent = np.where((going & ~better & (share == 1.0))[:, None, None], np.nan_to_num(hessian), bent)
        step, decrement = _newton(gradient, bent)
        share = np.where(better, 1.0, np.where(going, 0.5 * share, share))
        if iterations > _WINDOW:
            share = np.where(before.popleft() - value <= _EDGE * size, 0.0, share)
    return Modes(b=b, at=at, value=value, hessian=hessian, decrement=decrement, iterations=iterations)


def _newton(gradient: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    usable = np.asarray(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1))
    safe = np.where(usable[:, None, None], hessian, np.eye(hessian.shape[1]))
    step = -np.linalg.solve(safe, np.where(usable[:, None], gradient, 0.0)[..., None])[..., 0]
    return step, np.where(usable, -np.einsum("si,si->s", step, np.nan_to_num(gradient)), np.inf)


def _corrected(bent: np.ndarray, step: np.ndarray, change: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Second derivatives corrected by what the last step has shown (BFGS), where it shows a positive curvature."""
    along = np.einsum("sij,sj->si", bent, step)
    expected, seen = np.einsum("si,si->s", step, along), np.einsum("si,si->s", step, np.nan_to_num(change))
    fit = which & (expected > 0) & (seen > 1e-3 * expected) & np.isfinite(seen)
    along, change = np.where(fit[:, None], along, 0.0), np.where(fit[:, None], change, 0.0)
    less = along[:, :, None] * along[:, None, :] / np.where(fit, expected, 1.0)[:, None, None]
    more = change[:, :, None] * change[:, None, :] / np.where(fit, seen, 1.0)[:, None, None]
    return bent - less + more


def choose(take: np.ndarray, new: Slopes, old: Slopes, population: Population) -> Slopes:
    """Of each subject the new records where it takes them."""
    if take.all():
        return new
    records = take[population.subject]

    def mix(a: np.ndarray, b: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    parts = {name: mix(getattr(new, name), getattr(old, name), records) for name in ("f", "psi", "v", "v_ww")}
    parts |= {name: mix(getattr(new, name), getattr(old, name), take) for name in ("w", "value", "gradient")}
    terms = {
        name: mix(getattr(new.terms, name), getattr(old.terms, name), records) for name in ("value", "v", "vv", "info")
    }
    return Slopes(terms=type(new.terms)(**terms), **parts)
