"""What intervals and tests that are made for many people are worth for few: the only place that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["FEW", "RATIO_OF_FEW", "WALD_OF_FEW", "is_wald", "people"]

#: Below so many subjects a fit says what its intervals and tests are worth.
FEW = 30
#: What a Wald interval is worth then. Numbers will stand here once coverage has been measured for such trials.
WALD_OF_FEW = (
    f"Fewer than {FEW} subjects: Wald intervals are made for many people. They take the objective for a parabola and "
    "the standard error for known, tend to be too narrow here, and do not show where the data are lopsided, above all "
    "for variances; how often they hold the truth has not been measured for a trial like this. Profile intervals need "
    'no parabola: pkpd.profile(fit, data, interval="profile").'
)
#: What chi-square is worth then.
RATIO_OF_FEW = (
    f"Fewer than {FEW} subjects: p by chi-square is made for many people and tends to be too small here; how far "
    "off it is has not been measured for a trial like this. Data drawn from the smaller model need no such law: "
    "pkpd.compare(small, large, data, n=999, seed=1)."
)


def people(fit: Fit) -> int:
    """How many subjects a fit has."""
    return int(fit["subjects"].sizes["subject"])


def is_wald(fit: Fit) -> bool:
    """Whether any of its intervals is Wald's."""
    said = str(fit.attrs["interval"])
    return "Wald" in said and "none asked for" not in said
