"""Terms of a crossover trial, for scores without a time course.

Where the doses of both periods stand on one time line, what the first leaves behind follows from the kinetics, and
no such term is needed. Senn, Cross-over Trials in Clinical Research, 2nd ed., Wiley 2002.
"""

from __future__ import annotations

from pkpd.model.model import Model
from pkpd.model.parameter import Covariate, Parameter

_REFERENCE = "Senn S. Cross-over trials in clinical research. 2nd ed. Chichester: Wiley, 2002"


def period(*, term: str = "period_term", unit: str = "%") -> Model:
    """Give a term that is 0 in the first period and ``period_change`` in the second; PERIOD comes from the data."""
    return Model(
        name="period",
        title="Period",
        reference=_REFERENCE,
        covariates=[Covariate(name="PERIOD", reference=1.0, label="period, 1 or 2")],
        parameters=[
            Parameter(name="period_change", typical=-5.0, unit=unit, transform="none", label="change in period 2")
        ],
        equations=f"{term} = period_change * (PERIOD - 1)",
    )


def carryover(*, term: str = "drug_term", unit: str = "%") -> Model:
    """Give a drug's change of a score, and the share ``carried`` of it that stays for the next period.

    TREATED is 1 in a period with the drug, PREVIOUS is 1 if the drug was given in the period before.
    """
    return Model(
        name="carryover",
        title="Treatment and carry-over",
        reference=_REFERENCE,
        covariates=[
            Covariate(name="TREATED", reference=0.0, label="1 when the drug is given in this period"),
            Covariate(name="PREVIOUS", reference=0.0, label="1 when the drug was given in the period before"),
        ],
        parameters=[
            Parameter(name="drug_change", typical=-20.0, unit=unit, transform="none", label="change by the drug"),
            Parameter(name="carried", typical=0.25, transform="none", label="share left in the next period"),
        ],
        equations=f"{term} = drug_change * (TREATED + carried * PREVIOUS)",
    )


def left_over(*, term: str = "left_over_term", unit: str = "%") -> Model:
    """Give what a period leaves to the next as a term: ``left_over`` where PREVIOUS is 1, whatever the time."""
    return Model(
        name="left_over",
        title="Carry-over",
        reference=_REFERENCE,
        covariates=[
            Covariate(name="PREVIOUS", reference=0.0, label="1 when the drug was given in the period before"),
        ],
        parameters=[
            Parameter(name="left_over", typical=-5.0, unit=unit, transform="none", label="change after the drug"),
        ],
        equations=f"{term} = left_over * PREVIOUS",
    )
