"""Where the parameters of a simulation come from: a model, or a fit of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import UsageError
from pkpd.model import Model
from pkpd.simulation.uncertainty import Typical, typical_values

if TYPE_CHECKING:
    from pkpd.estimation import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model, its typical values, and how well they are known.

    Parameters
    ----------
    model : Model
    typical : Typical
    origin : str
        In words, for attributes: "model", or "fit" with its estimator.
    """

    model: Model
    typical: Typical
    origin: str


def read_source(given: Model | Fit) -> Source:
    """Read from a model or a fit what a simulation needs.

    Raises
    ------
    UsageError
        It is neither, or a fit in which every subject has parameters of its own.
    """
    if isinstance(given, Model):
        return Source(model=given, typical=typical_values(given), origin="model")
    from pkpd.estimation import Fit

    if not isinstance(given, Fit):
        raise UsageError(
            f"A {type(given).__name__} was given.",
            where="simulate(model, ...)",
            expected="A Model or a Fit.",
            remedy='Load one: pkpd.load("ketamine_kamp2020").',
        )
    if "subject" in given.estimates.dims:
        known = given.estimates["subject"].values.tolist()
        raise UsageError(
            "In this fit every subject has parameters of its own.",
            where="simulate(fit, regimens)",
            expected=f"A fit with one set of parameters, or that of one subject. Subjects: {', '.join(known)}.",
            remedy=f'Write simulate(fit.of("{known[0]}"), ...), or simulate(fit.model_of("{known[0]}"), ...).',
        )
    return Source(model=given.model, typical=_typical_of_fit(given), origin=f"fit: {given.attrs['estimator']}")


def _typical_of_fit(fit: Fit) -> Typical:
    """Typical values at the estimates, with the covariance of the fit on its estimation scale."""
    names = list(fit.model.parameters)
    covariance = fit.covariance["covariance"].sel(parameter=names, parameter_=names).values
    unknown = [name for name, variance in zip(names, np.diag(covariance)) if not np.isfinite(variance)]
    refusal = None
    if unknown or not np.isfinite(covariance).all():
        refusal = UsageError(
            f"The data do not fix {', '.join(unknown) or 'the parameters'}: there is no covariance to draw from.",
            where="simulate(fit, uncertainty=...)",
            expected=f"A fit that identifies what it estimates; this one is {fit.status}.",
            remedy="Hold these parameters in the fit: fit(..., fixed=[...]).",
        )
    elif not covariance.any():
        refusal = UsageError(
            "The fit estimated no parameter of the model.",
            where="simulate(fit, uncertainty=...)",
            expected="A fit in which something was free.",
            remedy="Leave out uncertainty, or free a parameter and fit again.",
        )
    return replace(typical_values(fit.model), covariance=None if refusal else covariance, refusal=refusal, notes=())
