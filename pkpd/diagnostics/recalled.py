"""Fits that can be looked at again: whose objective can be computed where the search did not go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkpd.diagnostics import needs
from pkpd.errors import PkpdError
from pkpd.estimation.recall import recall

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["recalled"]


def recalled(case: Case) -> str:
    """A fit of a population whose objective can be followed from its minimum."""
    if needs.found(case) or needs.population(case):
        return ""  # said already
    reason = needs.the_data(case)
    if reason:
        return reason
    try:
        recall(case.fit, case.data, "diagnose()")
    except PkpdError as error:
        return f"{error.what[:1].upper()}{error.what[1:]} {error.expected}"
    return ""
