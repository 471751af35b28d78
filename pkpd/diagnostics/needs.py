"""What a diagnostic may need of a fit: each a function that gives the reason why it is not there, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import PkpdError
from pkpd.estimation.parts import is_population

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["Need", "effects", "found", "one_for_all", "population", "predictions", "replicates", "the_data"]

Need = Callable[["Case"], str]


def found(case: Case) -> str:
    """Estimates: the fit has not failed."""
    return f"The fit failed: {case.fit.message}" if case.fit.status == "failed" else ""


def predictions(case: Case) -> str:
    """Records with a prediction."""
    if not np.isfinite(case.fit.records["PRED"].values).any():
        return "No record has a prediction."
    return ""


def one_for_all(case: Case) -> str:
    """One set of estimates for everybody."""
    return "Each subject was fitted alone." if "subject" in case.fit.estimates.dims else ""


def population(case: Case) -> str:
    """A fit of a population."""
    return "" if is_population(case.fit) else f"{_name(case)} is no fit of a population: nobody differs from anybody."


def effects(case: Case) -> str:
    """Random effects of subjects."""
    etas = case.fit.tree.children.get("etas")
    return "" if etas is not None and etas.sizes.get("effect", 0) else f"{_name(case)} has no random effects."


def the_data(case: Case) -> str:
    """What was fitted."""
    try:
        case.data  # noqa: B018 - made when it is asked for
    except PkpdError as error:
        return f"{error.what[:1].upper()}{error.what[1:]}"
    return ""


def replicates(case: Case) -> str:
    """Data that can be drawn again at the design of the data."""
    reason = found(case) or one_for_all(case) or the_data(case)
    if reason:
        return reason
    try:
        return case.undrawn
    except PkpdError as error:
        return " ".join(str(error).split())


def _name(case: Case) -> str:
    return str(case.fit.attrs["estimator"]).split("(")[0]
