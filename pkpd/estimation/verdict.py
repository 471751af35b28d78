"""Whether a fit may be believed, with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["BY_HAND", "Status", "Verdict", "worst"]

#: How the message of a fit that somebody interrupted begins.
BY_HAND = "Stopped by hand"


class Status(StrEnum):
    """The verdict in a word; equal to its text."""

    CONVERGED = "converged"
    AT_BOUND = "at a bound"
    NOT_IDENTIFIED = "not identified"
    NOT_CONVERGED = "not converged"
    FAILED = "failed"


_ORDER = tuple(Status)  # from good to bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a fit may or may not be believed.

    Parameters
    ----------
    status : Status
    message : str
        The same in a sentence, with what to do.
    gradient : float
        Largest absolute derivative of -log L, each times the standard error of its parameter.
    decrement : float
        How much -2 log L could still fall, as a quadratic through the point says.
    rank, free : int
        Rank of the weighted sensitivities, and how many quantities were estimated.
    condition : float
        Largest over smallest eigenvalue of the correlation of the estimates.
    at_bounds : tuple of str
        Parameters that lie on a bound, or have run to the end of their scale.
    null_directions : tuple of str
        What the data leave undetermined.
    evaluations : int
        How often the model was solved.
    starts, starts_at_best, basins : int
        How many starts there were, how many of them ended at the best objective, and at how many different
        objectives they ended.
    """

    status: Status
    message: str
    gradient: float = float("nan")
    decrement: float = float("nan")
    rank: int = 0
    free: int = 0
    condition: float = float("nan")
    at_bounds: tuple[str, ...] = ()
    null_directions: tuple[str, ...] = ()
    evaluations: int = 0
    starts: int = 1
    starts_at_best: int = 1
    basins: int = 1


def worst(statuses: list[Status]) -> Status:
    """Give the worst of several verdicts."""
    return max(statuses, key=_ORDER.index)
