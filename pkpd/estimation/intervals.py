"""Profile intervals in the place of Wald's, as part of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pkpd.errors import CannotFit
from pkpd.estimation.enlarge import enlarged
from pkpd.estimation.profiles import Profile, profile

if TYPE_CHECKING:
    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["Intervals", "with_profiles"]

Intervals = Literal["wald", "profile"]


def with_profiles(fit: Fit, data: Dataset, *, level: float) -> Fit:
    """Give a population fit with profile intervals of all quantities; with a note, where there can be none."""
    try:
        return profile(fit, data, Profile(points=0, level=level), interval="profile")
    except CannotFit as error:
        note = f"There are no profile intervals: {error.what}"
        return enlarged(fit, {}, notes=[note], limits=None, text="")
