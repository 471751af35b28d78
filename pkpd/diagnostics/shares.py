"""Shares of observations that are no sizes: below a limit, at the floor or ceiling of a score, levels, zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.model.kind import Binary, Categories, Count, Score

if TYPE_CHECKING:
    from pkpd.diagnostics.case import Case

__all__ = ["Share", "shares_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of what may be observed.

    Parameters
    ----------
    name : str
        In words.
    level : float
        The observation; minus infinity: what is below the limit of quantification, infinity: what is above.
    """

    name: str
    level: float

    def of(self, y: np.ndarray, case: Case, rows: np.ndarray) -> np.ndarray:
        """Give the share in each of some drawn data sets, (R,); `y` is (R, m), the records `rows`."""
        lower, upper = (limit[rows] for limit in case.limits)
        if np.isneginf(self.level):
            return (y < lower).mean(axis=1)
        return (y > upper).mean(axis=1) if np.isposinf(self.level) else (y == self.level).mean(axis=1)

    def observed(self, case: Case, rows: np.ndarray) -> float:
        """Give the share in the data."""
        dv, censored = case.records["DV"][rows], case.censored[rows]
        if np.isinf(self.level):
            below = censored & ~(dv > case.limits[0][rows])
            return float((below if self.level < 0 else censored & ~below).mean())
        return float((dv == self.level).mean())


def shares_of(case: Case, output: str) -> tuple[Share, ...]:
    """Give the shares that matter for an output."""
    kind = case.outputs[output].kind
    if isinstance(kind, Score):
        return (Share(name=f"at the floor, {kind.lower:g}", level=kind.lower),
                Share(name=f"at the ceiling, {kind.upper:g}", level=kind.upper))  # fmt: skip
    if isinstance(kind, Categories):
        return tuple(Share(name=f"level {level:g}", level=level) for level in kind.levels)
    if isinstance(kind, Binary):
        return (Share(name="1", level=1.0),)
    if isinstance(kind, Count):
        return (Share(name="0", level=0.0),)
    rows = case.records["DVID"] == output
    lower, upper = (np.isfinite(limit[rows]).any() for limit in case.limits)
    below = (Share(name="below the limit of quantification", level=-np.inf),) if lower else ()
    above = (Share(name="above the limit of quantification", level=np.inf),) if upper else ()
    return below + above
