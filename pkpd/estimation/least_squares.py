"""What the least-squares estimators share: their fields, and the checks on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pkpd.errors import CannotFit, suggestion
from pkpd.estimation.search import Method
from pkpd.estimation.settings import ErrorMode, Settings, error_mode
from pkpd.estimation.uncertainty import Interval
from pkpd.likelihood import Feature, Problem

__all__ = ["LeastSquares"]

_CHOICES = {
    "error": ("auto", "scaled", "estimated", "known"),
    "method": ("leastsq", "least_squares"),
    "interval": ("wald", "profile"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSquares:
    """Fields of :class:`Individual` and :class:`Pooled`.

    Parameters
    ----------
    error : {"auto", "scaled", "estimated", "known"}
        What happens to the residual SDs.

        ``"scaled"``: those of the model and the data are relative weights; one factor on all of them comes from the
        residual sum of squares over n - p, as nls and lmfit do. Weights that follow the prediction are iterated until
        they settle (generalised least squares). ``"estimated"``: every residual parameter that is not fixed is
        estimated with the others by maximum likelihood (extended least squares). ``"known"``: all are taken as they
        stand. ``"auto"``: ``"scaled"`` if one additive or log-normal SD is all there is, where both come to the same;
        ``"known"`` if none can move; else ``"estimated"``.
    method : {"leastsq", "least_squares"}
        MINPACK's Levenberg-Marquardt or scipy's trust region; lmfit drives both.
    interval : {"wald", "profile"}
        Confidence intervals symmetric on the estimation scale, or by profiling with lmfit's ``conf_interval``.
    level : float
        Of the confidence intervals.
    starts : int
        How many starting points; the first is the model's.
    seed : int, optional
        Required with several starts.
    spread : float
        SD of the other starting points around the first, on the estimation scale.
    max_evaluations : int, optional
        Where one search gives up.

    Notes
    -----
    Standard errors come from the expected information at the estimates; intervals use Student's t with n - p degrees
    of freedom with scaled errors, the normal distribution otherwise.
    """

    error: Literal["auto"] | ErrorMode = "auto"
    method: Method = "leastsq"
    interval: Interval = "wald"
    level: float = 0.95
    starts: int = 1
    seed: int | None = None
    spread: float = 1.0
    max_evaluations: int | None = None

    handles: ClassVar[frozenset[Feature]] = frozenset({Feature.MEANS, Feature.CHANGES, Feature.OUTPUTS})

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                near = suggestion(str(getattr(self, name)), known)
                self._refuse(name, expected=f"One of {', '.join(known)}.", remedy=near)
        if not 0 < self.level < 1:
            self._refuse("level", expected="A number between 0 and 1, such as 0.95.")
        if self.starts < 1:
            self._refuse("starts", expected="1 or more.")
        if self.starts > 1 and self.seed is None:
            self._refuse("seed", expected="Several starts are drawn at random.", remedy="Give a seed, such as seed=1.")
        if not self.spread > 0:
            self._refuse("spread", expected="A number above 0.")
        if self.max_evaluations is not None and self.max_evaluations < 1:
            self._refuse("max_evaluations", expected="1 or more, or None for no limit.")

    def settings(self, problem: Problem) -> Settings:
        """Give what a search needs to know, with the error mode decided for a problem."""
        return Settings(
            error=error_mode(problem, self.error),
            method=self.method,
            interval=self.interval,
            level=self.level,
            starts=self.starts,
            seed=self.seed,
            spread=self.spread,
            max_evaluations=self.max_evaluations,
        )

    def _refuse(self, name: str, *, expected: str, remedy: str | None = None) -> None:
        raise CannotFit(
            f"{name} is {getattr(self, name)!r}.",
            where=f"{type(self).__name__}({name}=...)",
            expected=expected,
            remedy=remedy,
        )
