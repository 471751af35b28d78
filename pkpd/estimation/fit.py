"""The verb ``fit``, and what it gives: a Fit."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pkpd.errors import CannotFit, FitError, MismatchError, suggestion
from pkpd.estimation.base import Estimator, check_handles
from pkpd.estimation.find_start import find_start
from pkpd.estimation.result import Result
from pkpd.estimation.tree import FORMAT, lay_out
from pkpd.likelihood import Feature, make_problem
from pkpd.model import Model

if TYPE_CHECKING:
    import lmfit.model
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.intervals import Intervals

__all__ = ["Fit", "fit", "load_fit", "prepare"]


def fit(
    model: Model,
    data: Dataset,
    estimator: Estimator,
    *,
    start: Mapping[str, float] | Literal["auto"] | None = None,
    fixed: Sequence[str] = (),
    strict: bool = False,
    intervals: Intervals = "wald",
) -> Fit:
    """Fit a model to data.

    Parameters
    ----------
    model : Model
    data : Dataset
        From :func:`pkpd.read_data`; ``data["1"]`` is one subject.
    estimator : Estimator
        How: ``Individual()`` or ``Pooled()``, with options as their fields.
    start : mapping of str to float, or "auto", optional
        Starting values in place of the model's, residual parameters (``"cp.add"``) included. ``"auto"`` takes those of
        :func:`pkpd.find_start`; the fit notes them.
    fixed : sequence of str, optional
        What to hold at its starting value, besides what the model fixes.
    strict : bool
        Raise an error if the verdict is anything but ``converged``.
    intervals : "wald" or "profile"
        Of a population fit. ``"profile"`` adds the profile of every quantity, see :func:`pkpd.profile`: for few people,
        and some ten times the work of the fit.

    Returns
    -------
    Fit
        Its ``status`` says whether it converged.

    Raises
    ------
    MismatchError
        Model and data do not go together; all that is wrong is listed.
    CannotFit
        The estimator cannot honour what the data hold, nothing is free, too few records, or the fit cannot move.
    SolveError
        The model cannot be solved at the starting values.
    FitError
        With `strict`, a fit that has not converged.
    """
    began, created = time.perf_counter(), datetime.now(UTC)
    _check_estimator(estimator)
    _check_intervals(estimator, intervals)
    found = None
    if isinstance(start, str):
        if start != "auto":
            raise CannotFit(
                f"start is {start!r}.", where="fit(start=...)", expected='Values by name, or "auto".',
            )  # fmt: skip
        found = find_start(model, data, fixed=fixed, censoring=getattr(estimator, "censoring", "M3"))
        start = found.values
    model, held = prepare(model, dict(start or {}), tuple(fixed))
    able = estimator.handles
    problem = make_problem(model, data, held=held, occasions=Feature.OCCASIONS in able, unseen=Feature.UNSEEN in able)
    check_handles(estimator, problem)
    with np.errstate(over="ignore", invalid="ignore"):  # a wild trial, which is not taken
        outcome = estimator.run(problem)
    if found is not None:
        outcome = replace(outcome, notes=(found.note, *outcome.notes))
    attrs = {
        "created": created.isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - began,
        **{f"version_{name}": _version(name) for name in ("pkpd", "lmfit", "numpy", "scipy", "xarray", "numba")},
        "version_python": platform.python_version(),
    }
    result = Fit(tree=lay_out(problem, estimator, outcome, attrs), lmfit=outcome.lmfit)
    if strict and result.status != "converged":
        raise FitError(
            f"the fit is {result.status}.",
            where=problem.where,
            expected="strict=True accepts nothing but a converged fit.",
            remedy=result.message,
        )
    if intervals == "profile":
        from pkpd.estimation.intervals import with_profiles

        return with_profiles(result, data, level=getattr(estimator, "level", 0.95))
    return result


def load_fit(path: str | Path) -> Fit:
    """Read a Fit that was saved; the same as :meth:`Fit.load`."""
    return Fit.load(path)


@dataclass(frozen=True, repr=False, eq=False)
class Fit(Result):
    """What a fit found, as one tree of labelled arrays.

    ``fit["records"]`` and the other groups are :class:`xarray.Dataset`; :mod:`pkpd.schema` says what their variables
    mean. ``fit.records.to_dataframe()`` is the sdtab.

    Parameters
    ----------
    tree : xarray.DataTree
        Everything, with estimator, verdict, objective, model text, hashes and versions in its attributes.
    lmfit : mapping of str to lmfit.model.ModelResult
        lmfit's own results by subject, or under ``"pooled"``. They are not saved: empty after :meth:`load`.
    """

    noun = "fit"
    format = FORMAT

    lmfit: Mapping[str, lmfit.model.ModelResult] = field(default_factory=dict)

    @property
    def estimates(self) -> xr.Dataset:
        """Estimates with their precision, by ``parameter`` (and ``subject`` if each was fitted alone)."""
        return self["estimates"]

    @property
    def records(self) -> xr.Dataset:
        """Observations, predictions and residuals."""
        return self["records"]

    @cached_property
    def data(self) -> Dataset:
        """What was fitted.

        Raises
        ------
        FitError
            The fit does not hold its data (:meth:`without_data`, or it was made by a version before 0.1).
        """
        from pkpd.data.labelled import from_xarray

        if "data" not in self.tree.children:
            raise FitError(
                "the fit does not hold its data.",
                where="fit.data",
                expected=f"The rows of {self.attrs['data']} ({str(self.attrs['data_digest'])[:12]}).",
                remedy="Give the data where they are asked for, or fit again.",
            )
        return from_xarray(self["data"])

    def without_data(self) -> Fit:
        """Give the same without the data, for those who must not see them.

        Predictions and residuals stay. What needs the data says so, and can be given them.
        """
        tree = self.tree.copy()
        if "data" in tree.children:
            del tree["data"]
        return replace(self, tree=tree)

    @property
    def run(self) -> str:
        """Name of the run: 10 characters that depend on model, data, estimator, start and version, and on no result."""
        attrs = self.tree.attrs
        own = [str(attrs[name]) for name in ("model_hash", "data_digest", "estimator", "version_pkpd")]
        table = self.estimates
        own += [str(table[name].values.tolist()) for name in ("initial", "fixed")]
        return hashlib.sha256("|".join(own).encode()).hexdigest()[:10]

    @property
    def covariance(self) -> xr.Dataset:
        """Covariance and correlation of the estimates, on the estimation scale."""
        return self["covariance"]

    @property
    def verdict(self) -> xr.Dataset:
        """The verdict in numbers."""
        return self["verdict"]

    @property
    def status(self) -> str:
        """``"converged"``, ``"at a bound"``, ``"not identified"``, ``"not converged"`` or ``"failed"``: the worst."""
        return str(self.tree.attrs["status"])

    @property
    def message(self) -> str:
        """Why, and what to do; a line for each subject that has not converged."""
        from pkpd.estimation.summary import message

        return message(self)

    @property
    def ofv(self) -> float:
        """-2 log L without its constant (the sum over subjects if each was fitted alone)."""
        return float(self.tree.attrs["objective"])

    @cached_property
    def model(self) -> Model:
        """The model at the estimates; after fits of one subject each, at the starting values.

        A subject's own: :meth:`model_of`.
        """
        own = Model(str(self.tree.attrs["model"]))
        return own if "subject" in self.estimates.dims else _at(own, self.estimates)

    def model_of(self, subject: str) -> Model:
        """Give the model at the estimates of one subject."""
        own = Model(str(self.tree.attrs["model"]))
        if "subject" not in self.estimates.dims:
            return self.model
        known = self.estimates["subject"].values.tolist()
        if subject not in known:
            raise FitError(f"there is no subject `{subject}`.", where="fit", expected=f"Subjects: {', '.join(known)}.")
        return _at(own, self.estimates.sel(subject=subject))

    def of(self, subject: str) -> Fit:
        """Give the fit of one subject, where each has one of its own: ``simulate(fit.of("7"), ..., uncertainty=True)``.

        One person does not differ from itself: the model has no variances between people any more; those between
        occasions stay.

        Raises
        ------
        FitError
            There is no such subject, or all have one fit together.
        """
        from pkpd.estimation.gather import alone

        if "subject" not in self.estimates.dims:
            raise FitError(
                "the subjects were fitted together.",
                where=f'fit.of("{subject}")',
                expected="A fit of each subject, such as Individual() or MAP().",
                remedy="Write pkpd.fit(fit.model, data, pkpd.MAP()) for the individual estimates of a population fit.",
            )
        self.model_of(subject)
        own = Model(str(self.tree.attrs["model"]))
        model = own.replace(
            parameters={name: replace(p, iiv=0.0, fixed_iiv=False) for name, p in own.parameters.items()},
            outputs={name: replace(output, iiv=0.0, fixed_iiv=False) for name, output in own.outputs.items()},
            blocks=tuple(block for block in own.blocks if block.kind == "iov"),
            priors={},
        )
        attrs = {"model": model.text, "model_hash": model.hash}
        return Fit(tree=alone(self.tree, subject, attrs), lmfit={k: v for k, v in self.lmfit.items() if k == subject})

    def open_ends(self) -> dict[str, str]:
        """Name the parameters whose interval ends at a bound, where the data set no limit, and on which side.

        Returns
        -------
        dict
            ``"below"``, ``"above"`` or ``"on both sides"`` by parameter; empty for a fit of each subject alone.
        """
        table, bounds = self.estimates, self.model.parameters
        found = {}
        for name in [] if "subject" in table.dims else table["parameter"].values.tolist():
            if name not in bounds or table["fixed"].sel(parameter=name).item():
                continue
            low, high = (float(table[end].sel(parameter=name)) for end in ("lower", "upper"))
            at_low = np.isclose(low, bounds[name].lower, rtol=1e-6, atol=0.0)
            at_high = np.isclose(high, bounds[name].upper, rtol=1e-6, atol=0.0)
            if at_low or at_high:
                found[name] = "on both sides" if at_low and at_high else "below" if at_low else "above"
        return found

    def __repr__(self) -> str:
        attrs = self.tree.attrs
        return f"Fit({attrs['model_name']} to {attrs['data']}: {attrs['status']}, objective {attrs['objective']:.4f})"

    def __str__(self) -> str:
        from pkpd.estimation.summary import summary

        return summary(self)

    def _repr_html_(self) -> str:
        from pkpd.estimation.summary import summary_html

        return summary_html(self)


def prepare(model: Model, start: dict[str, float], fixed: tuple[str, ...]) -> tuple[Model, tuple[str, ...]]:
    """Put starting values and fixed parameters into the model; give the residual parameters to hold besides."""
    residual = {name: output.name for output in model.outputs.values() for name in output.residual_names}
    variances = model.variance_names
    shares = [f"share.{name}" for name in list(model.mixture)[:-1]]
    free = [*model.parameters, *residual, *variances]
    for name, known in [*((one, [*free, *shares]) for one in start), *((one, free) for one in fixed)]:
        if name not in known:
            raise MismatchError(
                f"`{name}` is nothing that can be estimated.",
                where="fit(start=..., fixed=...)",
                expected=f"Names: {', '.join(known)}.",
                remedy=suggestion(name, known),
            )
    model = model.set(start)
    own = [name for name in fixed if name in model.parameters or name in variances]
    return (model.fix(*own) if own else model), tuple(name for name in fixed if name in residual)


def _at(model: Model, estimates: xr.Dataset) -> Model:
    values = dict(zip(estimates["parameter"].values.tolist(), estimates["value"].values.tolist()))
    prepared, _ = prepare(model, {name: value for name, value in values.items() if value == value}, ())
    return prepared


def _check_estimator(estimator: Any) -> None:
    if isinstance(estimator, type) or not isinstance(estimator, Estimator):
        import pkpd.estimation as room

        known = [name for name in room.__all__ if isinstance(getattr(room, name), type)]
        known = [name for name in known if name != "Estimator" and hasattr(getattr(room, name), "handles")]
        name = estimator.__name__ if isinstance(estimator, type) else str(estimator)
        near = name if name in known else next((one for one in known if one.lower() == name.lower()), "")
        raise CannotFit(
            f"{name if isinstance(estimator, type) else repr(estimator)} is no estimator.",
            where="fit(estimator=...)",
            expected=f"An object: {', '.join(f'{one}()' for one in known)}.",
            remedy=f"Write pkpd.{near}()." if near else suggestion(name, known) or "Write pkpd.FOCE().",
        )


def _check_intervals(estimator: Estimator, intervals: str) -> None:
    from pkpd.estimation.recall import can_be_recalled

    if intervals not in ("wald", "profile"):
        raise CannotFit(
            f"intervals is {intervals!r}.",
            where="fit(intervals=...)",
            expected='"wald" or "profile".',
            remedy="Leave it out for Wald intervals.",
        )
    if intervals == "profile" and not can_be_recalled(estimator):
        raise CannotFit(
            f"{type(estimator).__name__} has no objective of a population that could be profiled.",
            where="fit(intervals=...)",
            expected="A population fit by FO, FOCE, Laplace, Quadrature or SAEM.",
            remedy='Individual(interval="profile") and Pooled(interval="profile") profile theirs; else leave it out.',
        )


def _version(name: str) -> str:
    try:
        return version("pkpd-timecourse" if name == "pkpd" else name)
    except PackageNotFoundError:
        import pkpd

        return pkpd.__version__ if name == "pkpd" else "unknown"
