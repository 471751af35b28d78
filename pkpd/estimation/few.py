"""What intervals and tests that are made for many people are worth for few: the only place that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["FEW", "RATIO_OF_FEW", "WALD_OF_FEW", "is_wald", "people"]

#: Below so many subjects a fit says what its intervals and tests are worth.
FEW = 30
#: Where the numbers come from: docs/validation.md, "Simulated and estimated again".
_MORE = "More is on the page on validation."
#: What a Wald interval was worth, and a profile: the lowest and highest share over the quantities of a model.
WALD_OF_FEW = (
    f"Fewer than {FEW} subjects: Wald intervals are made for many people. In 200 simulated trials of a score in ten "
    'people, 95 % Wald intervals held the truth in 85.0 to 91.5 % (covariance="sandwich", the default) and 90.5 to '
    '97.5 % ("R"), by quantity; profile intervals in 92.5 to 95.0 %: pkpd.profile(fit, data, interval="profile"). '
    f"{_MORE}"
)
#: What chi-square was worth: where everybody was seen with and without a treatment, and where groups were.
RATIO_OF_FEW = (
    f"Fewer than {FEW} subjects: p by chi-square is made for many people. In 200 simulated trials of a score without "
    "an effect it was 0.05 or less in 5.0 % in a crossover of ten people, in 9.5 % in two groups of five. Data drawn "
    f"from the smaller model need no such law: pkpd.compare(small, large, data, n=999, seed=1). {_MORE}"
)


def people(fit: Fit) -> int:
    """How many subjects a fit has."""
    return int(fit["subjects"].sizes["subject"])


def is_wald(fit: Fit) -> bool:
    """Whether any of its intervals is Wald's."""
    said = str(fit.attrs["interval"])
    return "Wald" in said and "none asked for" not in said
