"""Each subject alone: a least-squares fit a person, through lmfit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pkpd.errors import FitError, PkpdError, SolveError
from pkpd.estimation.base import Outcome
from pkpd.estimation.gather import failed, gather
from pkpd.estimation.judge import Solution
from pkpd.estimation.least_squares import LeastSquares
from pkpd.estimation.progress import progress
from pkpd.estimation.solve import compile_for, solve
from pkpd.likelihood import Problem

__all__ = ["Individual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Individual(LeastSquares):
    """Fit every subject by itself.

    A subject that cannot be fitted gets the status ``failed`` with the reason, and does not stop the others; if nobody
    can be fitted, the error of the first is raised.

    Parameters
    ----------
    error, method, interval, level, starts, seed, spread, max_evaluations
        See :class:`~pkpd.estimation.least_squares.LeastSquares`.
    threads : int, optional
        How many subjects at once; None for as many as there are cores. The numbers do not depend on it.

    Examples
    --------
    >>> Individual(starts=5, seed=1).method
    'leastsq'
    """

    threads: int | None = None

    def __post_init__(self) -> None:
        LeastSquares.__post_init__(self)
        if self.threads is not None and self.threads < 1:
            self._refuse("threads", expected="1 or more, or None for all cores.")

    def run(self, problem: Problem) -> Outcome:
        """Fit a problem; see :func:`pkpd.fit`."""
        settings = self.settings(problem)
        people = problem.split()
        compile_for(problem, settings)  # once, not in every thread
        with progress("Fitting subjects", total=len(people)) as step:

            def one(alone: Problem) -> Solution | PkpdError:
                try:
                    return solve(alone, settings)
                except (FitError, SolveError) as error:
                    return error
                finally:
                    step()

            with ThreadPoolExecutor(min(len(people), self.threads or os.cpu_count() or 1)) as pool:
                results = list(pool.map(one, people))
        errors = [result for result in results if isinstance(result, PkpdError)]
        if len(errors) == len(results):
            raise errors[0]
        solutions = {
            name: failed(alone, settings, result) if isinstance(result, PkpdError) else result
            for name, alone, result in zip(problem.subjects, people, results)
        }
        return gather(problem, settings, solutions, by_subject=True)
