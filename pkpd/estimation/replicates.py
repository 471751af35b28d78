"""One replicate of a bootstrap: data drawn again, and what the estimator makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.errors import PkpdError
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.recall import Recalled
from pkpd.estimation.series import fingerprint
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population
from pkpd.streams import addresses, uniforms

__all__ = ["FAILURES", "SOUND", "Refit", "Replicate", "judged", "search_again"]

#: What a search of data that were drawn may end with.
FAILURES = (PkpdError, np.linalg.LinAlgError, FloatingPointError)
#: The verdicts with which a replicate counts.
SOUND = ("converged", "at a bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """What one replicate gave.

    Parameters
    ----------
    number : int
    x : (X,) float
        Outer parameters; NaN if there are none.
    objective : float
    status : str
        ``"converged"``, ``"at a bound"``, ``"not converged"``, ``"not identified"`` or ``"failed"``.
    message : str
        Why it does not count.
    hash : str
        Of the subjects or observations that were drawn.
    """

    number: int
    x: np.ndarray
    objective: float
    status: str
    message: str
    hash: str

    @property
    def sound(self) -> bool:
        """Whether it counts."""
        return self.status in SOUND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refit:
    """Draws and fits replicates; each depends on its number alone.

    Parameters
    ----------
    known : Recalled
        The fit; its estimates are where every search starts.
    population : Population
        The data, in an order that does not depend on the file.
    strata : (S,) int
        Of each subject.
    hessian : (X, X) float or None
        Second derivatives of the objective at the estimates.
    seed : int
    parametric : bool
        Whether observations are drawn, not subjects.
    most : int
        Iterations.
    """

    known: Recalled
    population: Population
    strata: np.ndarray
    hessian: np.ndarray | None
    seed: int
    parametric: bool
    most: int

    def __call__(self, number: int) -> Replicate:
        """Draw and fit a replicate."""
        drawn, seal = self.draw(number)
        lost = np.full(len(self.known.x), np.nan)
        try:
            found = search_again(self.known, drawn, hessian=self.hessian, most=self.most)
        except FAILURES as error:
            return Replicate(number=number, x=lost, objective=np.nan, status="failed", message=str(error), hash=seal)
        status, message = judged(self.known, found)
        return Replicate(
            number=number, x=found.x, objective=found.point.objective, status=status, message=message, hash=seal
        )

    def draw(self, number: int) -> tuple[Population, str]:
        """Give the data of a replicate, and what tells them from others."""
        if self.parametric:
            drawn = simulate_population(
                self.population, self.known.x, seed=self.seed, replicate=number, purpose="bootstrap"
            )
            return drawn, fingerprint(drawn.problem.observations.dv)
        index = self.draw_subjects(number)
        return self.population.take(index), fingerprint(index)

    def draw_subjects(self, number: int) -> np.ndarray:
        """Give the subjects of a replicate, (S,) int, rising: one from the stratum of each subject in turn."""
        address = addresses(self.population.problem.subjects)
        u = uniforms(self.seed, "bootstrap: subjects", address, np.full(len(address), number), 1)[:, 0]
        index = np.empty(len(address), dtype=np.int64)
        for stratum in np.unique(self.strata):
            members = np.flatnonzero(self.strata == stratum)
            index[members] = members[np.minimum((u[members] * members.size).astype(int), members.size - 1)]
        return np.sort(index)


def search_again(
    known: Recalled,
    drawn: Population,
    *,
    hessian: np.ndarray | None,
    most: int,
    start: np.ndarray | None = None,
) -> Descent:
    """Search for the minimum of other data from the estimates, or from a start.

    Once more without what is known of second derivatives, if that leads nowhere.

    Parameters
    ----------
    known : Recalled
    drawn : Population
    hessian : (X, X) float or None
        Second derivatives near the start.
    most : int
        Iterations.
    start : (X,) float, optional
        Where to begin in place of the estimates.

    Raises
    ------
    PkpdError
        The data have no likelihood at the start.
    """
    outer = known.outer(drawn)
    lower, upper = known.quantities.limits()
    start, changed = known.revived(known.x if start is None else start)
    hessian = None if changed else hessian
    if not np.isfinite(outer(start).objective):
        raise PkpdError("The data drawn have no likelihood at the estimates.")
    tolerance = known.estimator.tolerance
    found = descend(outer, start, lower, upper, tolerance=tolerance, most=most, hessian=hessian)
    if not found.settled and hessian is not None:
        again = descend(outer, found.x, lower, upper, tolerance=tolerance, most=most)
        found = again if again.point.objective <= found.point.objective else found
    return found


def judged(known: Recalled, found: Descent) -> tuple[str, str]:
    """Give the verdict on a search in a word, and why it does not count if it does not."""
    silent = np.diagonal(found.point.information) == 0
    if silent.any():
        names = ", ".join(name for name, none in zip(known.names, silent, strict=True) if none)
        return "not identified", f"The data drawn say nothing of {names}."
    if not found.settled:
        return "not converged", f"The search ended without a minimum: {found.reason}."
    lower, upper = known.quantities.limits()
    return ("at a bound" if ((found.x <= lower) | (found.x >= upper)).any() else "converged"), ""
