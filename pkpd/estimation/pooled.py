"""One set of values for everybody: all subjects' records in one least-squares fit (naive pooling)."""

from __future__ import annotations

from dataclasses import dataclass

from pkpd.estimation.base import Outcome
from pkpd.estimation.gather import gather
from pkpd.estimation.least_squares import LeastSquares
from pkpd.estimation.progress import progress
from pkpd.estimation.solve import solve
from pkpd.likelihood import Problem

__all__ = ["Pooled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled(LeastSquares):
    """Fit all subjects together, as if everybody had the same parameters (apart from the factors of covariates).

    For means of arms, whose rows are weighted by N and SD, and for a first look at anything else. Between-subject
    variances of the model are not used.

    Parameters
    ----------
    error, method, interval, level, starts, seed, spread, max_evaluations
        See :class:`~pkpd.estimation.least_squares.LeastSquares`.

    Examples
    --------
    >>> Pooled(interval="profile").level
    0.95
    """

    def run(self, problem: Problem) -> Outcome:
        """Fit a problem; see :func:`pkpd.fit`."""
        settings = self.settings(problem)
        with progress("Solving the model") as tick:
            solution = solve(problem, settings, tick)
        return gather(problem, settings, {"pooled": solution}, by_subject=False)
