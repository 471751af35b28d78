"""The data of a population as a function of the arguments of its subjects: how probable, and how that changes.

All subjects are computed together. Sums over the records of a subject are taken by segments, so that there is no loop
over subjects.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from pkpd.likelihood.density import Density, Terms
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.priors import Priors
from pkpd.likelihood.problem import Prediction, Problem
from pkpd.model import Model

__all__ = ["Curvature", "Mixture", "Population", "Slopes"]

#: Step of the differences of first derivatives, beside an argument of size 1.
_STEP = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """The records at the arguments w of their subjects.

    n records, S subjects, W arguments, V = 1 + R: the prediction and the residual parameters.

    Parameters
    ----------
    w : (S, W) float
    f : (n,) float
        Predictions.
    psi : (n, R) float
        Residual parameters.
    terms : Terms
        The log density of each record.
    v : (n, V, W) float
        Derivatives of prediction and residual parameters with respect to the arguments.
    v_ww : (n, R, W) float
        Second derivatives of the residual parameters, each with respect to its own argument.
    value : (S,) float
        Minus the log density of a subject's records; infinite where it cannot be solved or is not defined.
    gradient : (S, W) float
        Its derivatives.
    """

    w: np.ndarray
    f: np.ndarray
    psi: np.ndarray
    terms: Terms
    v: np.ndarray
    v_ww: np.ndarray
    value: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """Second derivatives of the predictions, (n, U, U), and what follows from them: the Hessian, (S, W, W)."""

    f_uu: np.ndarray
    hessian: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Classes of people.

    Parameters
    ----------
    names : tuple of str
        C of them.
    start : (C - 1,) float
        Logarithms of the ratios of the shares to the last, before the fit.
    """

    names: tuple[str, ...]
    start: np.ndarray

    @classmethod
    def of(cls, model: Model) -> Mixture | None:
        """Give that of a model, if it has one."""
        shares = np.array(list(model.shares.values()))
        return cls(names=tuple(model.shares), start=np.log(shares[:-1] / shares[-1])) if len(shares) else None

    @property
    def count(self) -> int:
        """How many numbers describe the shares."""
        return len(self.start)

    def shares(self, ratios: np.ndarray) -> np.ndarray:
        """Give the share of every class, (C,), at the logarithms of their ratios (C - 1,)."""
        logs = np.append(ratios, 0.0)
        parts = np.exp(logs - logs.max())
        return parts / parts.sum()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """A problem, the effects of its model, and the density of its records.

    Parameters
    ----------
    problem : Problem
    effects : Effects
    density : Density
    threads : int or None
        Of the engine.
    priors : Priors
        What was known before.
    mixture : Mixture or None
        The classes of people, of which `problem` shows the first.
    """

    problem: Problem
    effects: Effects
    density: Density
    threads: int | None = None
    priors: Priors = field(default_factory=Priors)
    mixture: Mixture | None = None

    @property
    def start(self) -> np.ndarray:
        """The outer parameters before the fit, (X,): typical values, the numbers of Omega, and those of the shares."""
        of_shares = np.zeros(0) if self.mixture is None else self.mixture.start
        return np.concatenate([self.effects.start, self.effects.covariance.start, of_shares])

    @property
    def classes(self) -> tuple[Population, ...]:
        """The same as if everybody were in each class of the mixture; itself where there is none."""
        return tuple(self.of_class(k) for k in range(len(self.mixture.names))) if self.mixture else (self,)

    def of_class(self, number: int) -> Population:
        """Give the same as if everybody were in one class, counted from 0."""
        return replace(self, problem=self.problem.in_class(number), mixture=None)

    @property
    def subject(self) -> np.ndarray:
        """Index of the subject of every record, (n,), rising."""
        return self.problem.observations.subject

    def sum(self, each: np.ndarray) -> np.ndarray:
        """Sum what every record has, (n, ...), over the records of each subject, (S, ...)."""
        total = np.zeros((len(self.problem.subjects), *each.shape[1:]))
        who, first = np.unique(self.subject, return_index=True)
        if len(first):
            total[who] = np.add.reduceat(each, first, axis=0)
        return total

    def value(self, w: np.ndarray) -> np.ndarray:
        """Give minus the log density of every subject's records, (S,), at arguments `w` (S, W)."""
        return self.value_of(self.predicted(w), w)

    def predicted(self, w: np.ndarray) -> np.ndarray:
        """Give the predictions of the records, (n,), at arguments `w` (S, W)."""
        return self._predict(w).f

    def expected(self, w: np.ndarray) -> np.ndarray:
        """Give the same, (n,), with the expected number in place of the log likelihood of events."""
        return self._predict(w).expected

    def _predict(self, w: np.ndarray) -> Prediction:
        values, _ = self.effects.natural(w, self.problem.program.parameters)
        return self.problem.predict(values, threads=self.threads)

    def value_of(self, f: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Give the same as `value` where the predictions `f` (n,) are known."""
        psi, _, _ = self.effects.residual(w)
        return self._total(self.density.terms(f, psi[self.subject], order=0).value)

    def slopes(self, w: np.ndarray, order: Literal[1, 2, 3] = 2) -> Slopes:
        """Give the records and their first derivatives at arguments `w` (S, W); `order` is that of the density."""
        effects, who = self.effects, self.subject
        f, f_u = self._first(w)
        psi, slope, bend = effects.residual(w)
        terms = self.density.terms(f, psi[who], order=order)
        u, r = len(effects.engine), psi.shape[1]
        v = np.zeros((len(f), 1 + r, w.shape[1]))
        v[:, 0, :u] = f_u
        v_ww = np.zeros((len(f), r, w.shape[1]))
        places = np.arange(r)
        v[:, 1 + places, u + places] = slope[who]
        v_ww[:, places, u + places] = bend[who]
        value = self._total(terms.value)
        assert terms.v is not None
        with np.errstate(invalid="ignore"):
            gradient = -self.sum(np.einsum("nv,nvw->nw", terms.v, v))
        return Slopes(w=w, f=f, psi=psi[who], terms=terms, v=v, v_ww=v_ww, value=value, gradient=gradient)

    def information(self, at: Slopes) -> np.ndarray:
        """Give the expected information of every subject's records in the directions of its effects, (S, d, d)."""
        assert at.terms.info is not None
        v = at.v @ self.effects.to_effect
        return self.sum(np.swapaxes(v, 1, 2) @ at.terms.info @ v)

    def curvature(self, at: Slopes, *, of_effects: bool = False) -> Curvature:
        """Give second derivatives: central differences, extrapolated, of the first ones, which are exact.

        With `of_effects` only those by an argument that random effects move, and by any: those by two others are 0.
        """
        u = len(self.effects.engine)
        moved = np.asarray(self.effects.to_effect[:u].any(axis=1)) | (not of_effects)
        f_uu = np.zeros((len(at.f), u, u))
        for k in np.flatnonzero(moved).tolist():
            slopes = []
            for step in (2 * _STEP, _STEP):
                up, down = at.w.copy(), at.w.copy()
                size = step * self._size(k, at.w[:, k])
                up[:, k] += size
                down[:, k] -= size
                width = (up[:, k] - down[:, k])[self.subject, None]
                slopes.append((self._first(up)[1] - self._first(down)[1]) / width)
            with np.errstate(over="ignore", invalid="ignore"):  # at a wild trial step
                f_uu[:, :, k] = (4 * slopes[1] - slopes[0]) / 3
        turned = np.swapaxes(f_uu, 1, 2)
        f_uu = np.where(np.logical_and.outer(moved, moved), 0.5 * (f_uu + turned), f_uu + turned)
        terms = at.terms
        assert terms.v is not None and terms.vv is not None
        each = np.swapaxes(at.v, 1, 2) @ terms.vv @ at.v
        each[:, :u, :u] += terms.v[:, :1, None] * f_uu
        diagonal = np.arange(at.w.shape[1])
        each[:, diagonal, diagonal] += np.einsum("nr,nrw->nw", terms.v[:, 1:], at.v_ww)
        return Curvature(f_uu=f_uu, hessian=-self.sum(each))

    def bend(self, at: Slopes, curved: Curvature, inverse: np.ndarray) -> np.ndarray:
        """Give the derivative of log |information + X| with respect to the arguments, (S, W).

        Parameters
        ----------
        inverse : (S, d, d) float
            The inverse of information + X, where X does not depend on the arguments.
        """
        effects, u = self.effects, len(self.effects.engine)
        terms = self.density.terms(at.f, at.psi, order=3)
        assert terms.info is not None and terms.dinfo is not None
        v = at.v @ effects.to_effect
        half = np.einsum("nvi,nij->nvj", v, inverse[self.subject])
        square = np.einsum("nvj,nxj->nvx", half, v)
        each = np.einsum("nvxy,nyw->nw", square[..., None] * terms.dinfo, at.v)
        # What moves the derivatives v themselves: 2 I v' H^-1 dv.
        weighted = np.einsum("nvx,nxj->nvj", terms.info, half) @ effects.to_effect.T
        each[:, :u] += 2 * np.einsum("ni,niw->nw", weighted[:, 0, :u], curved.f_uu)
        each += 2 * np.einsum("nrw,nrw->nw", weighted[:, 1:], at.v_ww)
        return self.sum(each)

    def repeat(self, times: int) -> Population:
        """Give everybody so many times, one after the other: (S * times) subjects, the whole population each time."""
        if times == 1:
            return self
        return self.take(np.tile(np.arange(len(self.problem.subjects)), times))

    def take(self, index: np.ndarray) -> Population:
        """Give the subjects at `index`: some of them, in another order, or copies; see `Problem.take`."""
        rows, _ = self.problem.records_of(np.asarray(index, dtype=np.int64))
        return replace(self, problem=self.problem.take(index), density=self.density.subset(rows))

    def _size(self, k: int, w: np.ndarray) -> np.ndarray:
        """Beside what a step of an argument of the engine is small, (S,)."""
        by_name = {p.name: p for p in self.effects.parameters}
        name = self.effects.engine[k]
        own = by_name[name.partition("@")[0]]
        if name not in by_name:  # what an occasion adds
            return np.full(w.shape, own.size(own.forward(own.typical)) if own.shape is not None else 1.0)
        return np.maximum(1.0 if own.transform == "none" else 1e-8, own.size(w))

    def _first(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (n,), and their derivatives with respect to the arguments of the engine, (n, U)."""
        effects = self.effects
        values, slopes = effects.natural(w, self.problem.program.parameters)
        got = self.problem.predict(values, sensitivities=effects.engine, threads=self.threads)
        assert got.df is not None or not effects.engine
        if got.df is None:
            return got.f, np.zeros((len(got.f), 0))
        with np.errstate(invalid="ignore", over="ignore"):  # a wild trial, which is not taken
            return got.f, got.df * slopes[self.subject]

    def _total(self, each: np.ndarray) -> np.ndarray:
        total = -self.sum(each)
        return np.where(np.isfinite(total), total, np.inf)
