"""What an estimator is, and what it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.verdict import Verdict
from pkpd.likelihood import Feature, Problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Estimator", "Outcome", "check_handles"]


#: How to do without what a model has.
_LEFT_OUT = {
    Feature.STUDENT: "Or leave out t of the output.",
    Feature.PRIORS: "Or leave the priors out: model.replace(priors={}).",
    Feature.MIXTURE: "Or leave the mixture out: model.replace(mixture={}) reads a column MIXNUM.",
}


@runtime_checkable
class Estimator(Protocol):
    """A way to fit: a frozen dataclass whose fields are its options.

    `handles` names what it can honour of what a problem may hold; anything else is refused before it starts.
    """

    handles: ClassVar[frozenset[Feature]]

    def run(self, problem: Problem) -> Outcome:
        """Fit a problem."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an estimator found; the rest of a Fit follows from it.

    G is the number of separate fits: one, or one for each subject. K counts the estimated quantities (the model's P
    parameters, then R of the residual error), S the subjects.

    Parameters
    ----------
    coordinates : Coordinates
        The K quantities.
    groups : tuple of str
        G names: those of the subjects, or ``"pooled"``.
    by_subject : bool
        Whether each subject has a fit of its own.
    values, lower, upper : (G, K) float
        Estimates and confidence limits, natural.
    covariance : (G, K, K) float
        On the estimation scale. Zero for what was held, NaN for what the data do not fix.
    objective : (G,) float
        -2 log L of the observations without n log(2 pi).
    objective_name : str
        Which approximation, with its convention.
    interval : str
        How the limits were made.
    verdicts : tuple of Verdict
        G of them.
    numbers : mapping of str to (G,) arrays
        More numbers for the group ``verdict``: sum_of_squares, sigma, records, degrees_of_freedom.
    individual, typical : (S, P) float
        Natural parameters behind IPRED and behind PRED, before the factors of covariates.
    residual : (S, R) float
        Residual parameters of each subject's records.
    notes : tuple of str
        What a reader of the fit should know: how the error was treated, for instance.
    trace, starts : list of (group, objective, (K,) values)
        The path of the search; where each start ended.
    lmfit : mapping
        lmfit's own result of each group.
    groups_of_results : mapping of str to Dataset
        Further groups of the tree that only this estimator has.
    parts : (S,) float, optional
        Each subject's part of the objective, where it is not that of its records alone.
    columns : mapping of str to (n,) arrays
        Further columns of the records.
    prior : (K,) bool, optional
        Which quantities have a prior.
    prior_share : (K,) float, optional
        The share of the information on each that is due to priors.
    classes : (S,) int, optional
        The class of a mixture in which each subject is most probably, counted from 0: that of PRED and IPRED.
    compared : bool
        Whether the objective is one of which AIC and BIC may be made.
    """

    coordinates: Coordinates
    groups: tuple[str, ...]
    by_subject: bool
    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    covariance: np.ndarray
    objective: np.ndarray
    objective_name: str
    interval: str
    verdicts: tuple[Verdict, ...]
    numbers: Mapping[str, np.ndarray]
    individual: np.ndarray
    typical: np.ndarray
    residual: np.ndarray
    notes: tuple[str, ...] = ()
    trace: list[tuple[str, float, np.ndarray]] = field(default_factory=list)
    starts: list[tuple[str, float, np.ndarray]] = field(default_factory=list)
    lmfit: Mapping[str, Any] = field(default_factory=dict)
    groups_of_results: Mapping[str, xr.Dataset] = field(default_factory=dict)
    parts: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    prior: np.ndarray | None = None
    prior_share: np.ndarray | None = None
    classes: np.ndarray | None = None
    compared: bool = True


def _able(features: Iterable[Feature]) -> str:
    """Name the estimators that handle all of these."""
    import pkpd.estimation as room

    every = [getattr(room, name) for name in room.__all__]
    able = [one.__name__ for one in every if set(features) <= set(getattr(one, "handles", ()) or ())]
    return f"Choose an estimator that does: {', '.join(able)}." if able else "No estimator handles all of it."


def check_handles(estimator: Estimator, problem: Problem) -> None:
    """Refuse a problem that holds what the estimator cannot honour.

    Raises
    ------
    CannotFit
        It names the features, where they are, and what the estimator handles.
    """
    beyond = {feature: places for feature, places in problem.features.items() if feature not in estimator.handles}
    if beyond:
        name, own = type(estimator).__name__, [feature for feature in beyond if feature in _LEFT_OUT]
        out = [_LEFT_OUT[feature] for feature in own]
        out += ["Or leave these records out (MDV = 1)."] if len(own) < len(beyond) else []
        raise CannotFit(
            " and ".join(f"it cannot honour {feature.value} ({places})" for feature, places in beyond.items()) + ".",
            where=f"{name}()",
            expected=f"{name} handles {', '.join(sorted(feature.value for feature in estimator.handles))}.",
            remedy=" ".join([_able(problem.features), *out]),
        )
