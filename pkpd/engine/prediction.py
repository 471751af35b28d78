"""What comes out of a prediction: numbers, and for whom there are none and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pkpd.engine.workspace import (
    BAD_INPUT,
    BAD_VALUES,
    NO_STEADY_STATE,
    NOT_A_NUMBER,
    OVERLAP,
    STEP_TOO_SMALL,
    TOO_FAST,
    TOO_MANY_INFUSIONS,
    TOO_MANY_STEPS,
)
from pkpd.errors import SolveError

Floats = npt.NDArray[np.float64]
#: What a verdict of the solver means.
CAUSES = {
    STEP_TOO_SMALL: "the step size fell below what the time can resolve: the solution grows without bound or jumps",
    TOO_MANY_STEPS: "more than {limit} steps: the equations oscillate or their rates are extreme",
    BAD_VALUES: "the initial state is not a number",
    NO_STEADY_STATE: "no steady state was found: the doses may accumulate without bound",
    TOO_MANY_INFUSIONS: f"more than {OVERLAP} doses of a train overlap at its steady state (lag or duration over II)",
    NOT_A_NUMBER: "the solution is not a number: a rate constant is infinite, or the states grow without bound",
    TOO_FAST: "a rate constant is so fast, beside the time to cover, that an exact solution would lose its digits",
    BAD_INPUT: "a dose cannot be given (bioavailability, lag, rate or duration is negative or not a number), or a "
    "model event time is not a number",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no prediction for a subject.

    Attributes
    ----------
    subject : str
    time : float
        How far the solution went, in the model's time unit.
    cause : str
    values : dict
        The subject's parameters.
    """

    subject: str
    time: float
    time_unit: str
    cause: str
    values: dict[str, float]

    def __str__(self) -> str:
        shown = ", ".join(f"{name} = {value:.4g}" for name, value in self.values.items())
        who = self.subject if self.subject.lower().startswith("subject") else f"Subject {self.subject}"
        return f"{who}: {self.cause}, at t = {self.time:.6g} {self.time_unit} ({shown})."


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the model says at the observations.

    Attributes
    ----------
    f : (records,) or (records, observables) array
        Each record's own output; all observables if some records ask for all. NaN where the subject failed.
    df : (records, wrt) or (records, observables, wrt) array, or None
        Derivatives with respect to the parameters in `wrt`.
    wrt : tuple of str
    failures : list of Failure
    method : (subjects,) array of str
        What solved each subject.
    steps : (subjects,) int array
        Steps tried.
    """

    f: Floats
    df: Floats | None
    wrt: tuple[str, ...]
    failures: list[Failure]
    method: npt.NDArray[np.str_]
    steps: npt.NDArray[np.int64]

    def raise_failures(self) -> None:
        """Raise a SolveError that lists the failures, if there are any."""
        if not self.failures:
            return
        shown = "\n  ".join(str(f) for f in self.failures[:5])
        more = f"\n  ... and {len(self.failures) - 5} more" if len(self.failures) > 5 else ""
        raise SolveError(
            f"the equations could not be solved for {len(self.failures)} of {len(self.method)} subjects."
            f"\n  {shown}{more}",
            where="engine",
            remedy="Look at the parameter values; a bound on the extreme one usually cures this.",
        )
