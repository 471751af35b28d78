"""One replicate of a bootstrap: data drawn again, and what the estimator makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pkpd.errors import PkpdError
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.recall import Recalled
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population
from pkpd.streams import addresses, uniforms

__all__ = ["Refit", "Replicate"]


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
        return self.status in ("converged", "at a bound")

    @staticmethod
    def pack(many: Iterable[Replicate]) -> dict[str, np.ndarray]:
        """Give many as arrays."""
        every = sorted(many, key=lambda one: one.number)
        return {name: np.array([getattr(one, name) for one in every]) for name in Replicate.__slots__}

    @staticmethod
    def unpack(arrays: Mapping[str, np.ndarray] | None) -> list[Replicate]:
        """Give arrays as replicates."""
        if arrays is None:
            return []
        return [
            Replicate(number=int(number), x=x, objective=float(objective), status=str(status), message=str(message),
                      hash=str(hash_))
            for number, x, objective, status, message, hash_ in zip(
                *(arrays[name] for name in ("number", "x", "objective", "status", "message", "hash")), strict=True
            )
        ]  # fmt: skip


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
            found = self._search(drawn)
        except (PkpdError, np.linalg.LinAlgError, FloatingPointError) as error:
            return Replicate(number=number, x=lost, objective=np.nan, status="failed", message=str(error), hash=seal)
        status, message = self._judge(found)
        return Replicate(
            number=number, x=found.x, objective=found.point.objective, status=status, message=message, hash=seal
        )

    def draw(self, number: int) -> tuple[Population, str]:
        """Give the data of a replicate, and what tells them from others."""
        if self.parametric:
            drawn = simulate_population(
                self.population, self.known.x, seed=self.seed, replicate=number, purpose="bootstrap"
            )
            return drawn, _hash(drawn.problem.observations.dv)
        index = self.draw_subjects(number)
        return self.population.take(index), _hash(index)

    def draw_subjects(self, number: int) -> np.ndarray:
        """Give the subjects of a replicate, (S,) int, rising: one from the stratum of each subject in turn."""
        address = addresses(self.population.problem.subjects)
        u = uniforms(self.seed, "bootstrap: subjects", address, np.full(len(address), number), 1)[:, 0]
        index = np.empty(len(address), dtype=np.int64)
        for stratum in np.unique(self.strata):
            members = np.flatnonzero(self.strata == stratum)
            index[members] = members[np.minimum((u[members] * members.size).astype(int), members.size - 1)]
        return np.sort(index)

    def _search(self, drawn: Population) -> Descent:
        """Search; once more without what is known of second derivatives, if that leads nowhere."""
        outer = self.known.outer(drawn)
        lower, upper = self.known.quantities.limits()
        start, changed = self.known.revived(self.known.x)
        hessian = None if changed else self.hessian
        if not np.isfinite(outer(start).objective):
            raise PkpdError("The data drawn have no likelihood at the estimates.")
        tolerance = self.known.estimator.tolerance
        found = descend(outer, start, lower, upper, tolerance=tolerance, most=self.most, hessian=hessian)
        if not found.settled and hessian is not None:
            again = descend(outer, found.x, lower, upper, tolerance=tolerance, most=self.most)
            found = again if again.point.objective <= found.point.objective else found
        return found

    def _judge(self, found: Descent) -> tuple[str, str]:
        silent = np.diagonal(found.point.information) == 0
        if silent.any():
            names = ", ".join(name for name, none in zip(self.known.names, silent, strict=True) if none)
            return "not identified", f"The data drawn say nothing of {names}."
        if not found.settled:
            return "not converged", f"The search ended without a minimum: {found.reason}."
        lower, upper = self.known.quantities.limits()
        return ("at a bound" if ((found.x <= lower) | (found.x >= upper)).any() else "converged"), ""


def _hash(what: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(what).tobytes()).hexdigest()[:16]
