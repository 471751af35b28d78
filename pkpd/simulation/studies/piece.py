"""One replicate of a study: a trial is drawn, and fitted by every estimator with every model.

A piece of work is texts and plain numbers alone, so that it can be sent to another machine; what it gives depends on
its number alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data import Dataset
from pkpd.errors import PkpdError
from pkpd.estimation import SIR, Estimator, Fit, Profile, compare, fit, profile, sir
from pkpd.estimation.replicates import FAILURES, SOUND
from pkpd.model import Model
from pkpd.simulation.trial.design import Trial

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LAWS", "Replicate", "Work", "kind_of", "level_of", "values_of"]

#: Likelihood-ratio tests: by what law.
LAWS = ("chi-square", "mixture", "bartlett", "drawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """What one replicate gave: E estimators, M models, Q quantities, I kinds of interval, L laws.

    Parameters
    ----------
    number : int
        Counted from 1.
    hash : str
        Of the data.
    value, se : (E, M, Q) float
        Estimates and standard errors, natural; NaN for what a model has not, or holds.
    lower, upper : (E, M, I, Q) float
        Intervals.
    objective, seconds : (E, M) float
        Of the fits; seconds of everything done with one.
    status, message : (E, M) str
        The verdict; ``"failed"`` with the reason where there is no fit.
    statistic : (E, M) float
        Likelihood ratio against the null model.
    p : (E, M, L) float
    untested : (E, M) str
        Why there is no test, or what is missing.
    """

    number: int
    hash: str
    value: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    objective: np.ndarray
    seconds: np.ndarray
    status: np.ndarray
    message: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    untested: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Draws a trial and fits it.

    Parameters
    ----------
    trial, truth : str
        As TOML.
    models : mapping of str to str
        What is fitted, as TOML.
    estimators : mapping of str to Estimator
        Each computes on one thread.
    names : tuple of str
        The Q quantities.
    intervals : tuple of str and SIR
    null : str
        The smaller model as TOML; empty for no test.
    draws : int
        Data sets that each test draws from its smaller model; 0 for none.
    seed : int
    """

    trial: str
    truth: str
    models: Mapping[str, str]
    estimators: Mapping[str, Estimator]
    names: tuple[str, ...]
    intervals: tuple[str | SIR, ...]
    null: str
    draws: int
    seed: int

    def data(self, number: int) -> Dataset:
        """Give the trial of a number."""
        return _trial(self.trial).simulate(_model(self.truth), seed=self.seed, replicate=number, threads=1)

    def __call__(self, number: int) -> Replicate:
        """Draw and fit one."""
        size = (len(self.estimators), len(self.models))
        q, i = len(self.names), len(self.intervals)
        numbers: dict[str, np.ndarray] = {
            name: np.full(size + more, np.nan)
            for name, more in {
                "value": (q,), "se": (q,), "lower": (i, q), "upper": (i, q), "objective": (), "seconds": (),
                "statistic": (), "p": (len(LAWS),),
            }.items()
        }  # fmt: skip
        said = {name: np.full(size, "", dtype=object) for name in ("status", "message", "untested")}
        data, seal = None, ""
        try:
            data = self.data(number)
            seal = data.digest
        except FAILURES as error:
            said["status"][:], said["message"][:] = "failed", f"There are no data: {_line(error)}"
        for e, estimator in enumerate(self.estimators.values() if data is not None else ()):
            for m, text in enumerate(self.models.values()):
                assert data is not None
                found = self._fitted(_model(text), data, estimator, number)
                for name, value in found.items():
                    (numbers if name in numbers else said)[name][e, m] = value
        return Replicate(number=number, hash=seal, **numbers, **{n: v.astype(str) for n, v in said.items()})

    def _fitted(self, model: Model, data: Dataset, estimator: Estimator, number: int) -> dict[str, Any]:
        """Give what one fit gave, by the fields of a replicate."""
        began = time.perf_counter()
        found: dict[str, Any] = {}
        try:
            fitted = fit(model, data, estimator)
            found |= {"status": fitted.status, "message": "" if fitted.status == "converged" else fitted.message,
                      "objective": fitted.ofv, **self._estimates(fitted)}  # fmt: skip
            if fitted.status in SOUND:
                ends = [self._interval(kind, fitted, data, estimator, number) for kind in self.intervals]
                found |= {"lower": np.array([low for low, _ in ends]), "upper": np.array([high for _, high in ends])}
                if self.null:
                    found |= self._tested(fitted, data, estimator, number)
            elif self.null:
                found["untested"] = f"the fit is {fitted.status}"
        except FAILURES as error:
            found |= {"status": "failed", "message": _line(error)}
        return {**found, "seconds": time.perf_counter() - began}

    def _estimates(self, fitted: Fit) -> dict[str, np.ndarray]:
        return {name: self._row(fitted.estimates, name, ~fitted.estimates["fixed"].values) for name in ("value", "se")}

    def _interval(
        self, kind: str | SIR, fitted: Fit, data: Dataset, estimator: Estimator, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give an interval, (Q,) and (Q,); NaN where there is none."""
        table, free = fitted.estimates, ~fitted.estimates["fixed"].values
        if kind != "wald":
            try:
                if isinstance(kind, SIR):
                    table = sir(fitted, data, replace(kind, seed=_seed(kind.seed, number)))["sir"]
                else:
                    table = profile(fitted, data, Profile(level=level_of(estimator), points=0))["profile"]
            except FAILURES:
                return np.full(len(self.names), np.nan), np.full(len(self.names), np.nan)
            free = np.ones(table.sizes["parameter"], dtype=bool)
        return self._row(table, "lower", free), self._row(table, "upper", free)

    def _row(self, table: xr.Dataset, column: str, free: np.ndarray) -> np.ndarray:
        """Give a column by the names of the study, (Q,)."""
        own = dict(zip(table["parameter"].values[free].tolist(), table[column].values[free].tolist(), strict=True))
        return np.array([own.get(name, np.nan) for name in self.names])

    def _tested(self, large: Fit, data: Dataset, estimator: Estimator, number: int) -> dict[str, Any]:
        """Test the null model against a fit."""
        try:
            small = fit(_model(self.null), data, estimator)
            test = compare(small, large)
        except FAILURES as error:
            return {"untested": _line(error)}
        why = ""
        if self.draws:
            try:
                test = compare(small, large, data, n=self.draws, seed=_seed(self.seed, number))
            except FAILURES as error:
                why = f"no data could be drawn: {_line(error)}"
        p = np.array([test.p_chi_square, test.p_law, test.p_bartlett, test.p])
        return {"statistic": test.statistic, "p": p, "untested": why}


def kind_of(interval: str | SIR) -> str:
    """Give the name of a kind of interval."""
    return "sir" if isinstance(interval, SIR) else interval


def level_of(estimator: Any) -> float:
    """Give the level of the intervals of an estimator."""
    return float(getattr(estimator, "level", 0.95))


def values_of(model: Model) -> dict[str, float]:
    """Give everything that a fit of the model may estimate, by the names of ``fit.estimates``, natural."""
    values = {name: float(one.typical) for name, one in model.parameters.items()}
    for output in model.outputs.values():
        values |= output.residual_values
    for kind, omega in (("iiv", model.omega), ("iov", model.omega_between_occasions)):
        for block in omega.blocks:
            matrix = block.matrix()
            for i, row in enumerate(block.parameters):
                for j, column in enumerate(block.parameters[: i + 1]):
                    values[f"{kind}.{row}" if i == j else f"{kind}.{row},{column}"] = float(matrix[i, j])
        values |= {f"{kind}.{name}": float(variance) for name, variance in omega.diagonal}
    return values | {f"share.{name}": float(model.shares[name]) for name in list(model.mixture)[:-1]}


@lru_cache(maxsize=16)
def _model(text: str) -> Model:
    return Model(text)


@lru_cache(maxsize=4)
def _trial(text: str) -> Trial:
    return Trial.read(text)


def _seed(seed: int, number: int) -> int:
    """A seed of its own for what a replicate draws besides its data."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _line(error: Exception) -> str:
    """An error in one line, without the place where it arose."""
    if isinstance(error, PkpdError) and not error.findings:
        return " ".join(error.what.split())
    return " ".join(str(error).split())[:300]
