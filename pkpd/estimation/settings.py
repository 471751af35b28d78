"""What a least-squares search needs to know, and what happens to the residual SDs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pkpd.estimation.search import Method
from pkpd.estimation.uncertainty import Interval
from pkpd.likelihood import Problem

__all__ = ["ErrorMode", "Settings", "error_mode"]

ErrorMode = Literal["scaled", "estimated", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to search; the fields of :class:`~pkpd.estimation.LeastSquares`, with the error mode decided."""

    error: ErrorMode
    method: Method = "leastsq"
    interval: Interval = "wald"
    level: float = 0.95
    starts: int = 1
    seed: int | None = None
    spread: float = 1.0
    max_evaluations: int | None = None


def error_mode(problem: Problem, wanted: Literal["auto"] | ErrorMode) -> ErrorMode:
    """Decide what happens to the residual SDs, where the estimator leaves it open (``"auto"``).

    One additive or log-normal SD for all records: ``"scaled"``, since least squares is maximum likelihood then. None
    that could move: ``"known"``. Otherwise ``"estimated"``.
    """
    if wanted == "scaled":
        return "scaled"
    used = [p for p, is_used in zip(problem.residual_parameters, problem.residuals.used) if is_used]
    movable = [p for p in used if not p.fixed]
    if not movable or wanted == "known":
        return "known"
    one_for_all = len(used) == 1 and used[0].name.endswith((".add", ".log")) and not problem.residuals.has_known
    return "scaled" if wanted == "auto" and one_for_all else "estimated"
