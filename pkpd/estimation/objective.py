"""Maximum likelihood as least squares: the residuals that a least-squares search sees, and their exact Jacobian.

For normal errors, -2 log L is, without its constant, ``sum(u**2) + sum(2 log s)`` with ``u = (y - mean) / s``. When the
standard deviations ``s`` move with what is estimated, the second sum has to go along ("extended least squares"). It is
written as squares too: each record adds a second residual ``v = sqrt(room + 2 log(s / reference))``, so that
``sum(u**2) + sum(v**2)`` is -2 log L up to a constant, exactly. `reference` are the SDs where the search starts; `room`
is what lets them shrink: with room 40, by a factor of e**20.

The closer `room` is to 1, the closer is the cross product of the Jacobian to the expected information, and the quicker
the last steps; so a search begins with much room and ends with little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.identify import silent
from pkpd.likelihood import Problem, Spread

__all__ = ["REFUSED", "Objective", "Point"]

# What a trial step is told when the model cannot be solved there, or an SD has shrunk beyond its room: a residual so
# large that the search turns back, from whatever start, so small that its square is still a number. No point with
# larger residuals is one to search from.
REFUSED = 1e100


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The likelihood at one point, with everything a verdict needs.

    Parameters
    ----------
    f : (n,) float
        Predictions.
    spread : Spread
        Expectation and SD of the records.
    u : (n,) float
        Weighted residuals.
    mean_z, log_sd_z : (n, F) float
        Derivatives of the expectation over the SD, and of the logarithm of the SD, with respect to the free
        quantities on the estimation scale.
    """

    f: np.ndarray
    spread: Spread
    u: np.ndarray
    mean_z: np.ndarray
    log_sd_z: np.ndarray

    @property
    def deviance(self) -> float:
        """-2 log L on the scale of the laws, without the constant n log(2 pi)."""
        return float(self.u @ self.u + 2 * np.log(self.spread.sd).sum())

    @property
    def is_sound(self) -> bool:
        """Whether all of it is finite, and every SD above 0: the likelihood is a number here, and so are its slopes."""
        sd = self.spread.sd
        sizes = (np.abs(self.u), np.abs(self.mean_z), np.abs(self.log_sd_z))
        return bool((sd > 0).all() and np.isfinite(sd).all() and all((size < REFUSED).all() for size in sizes))

    @property
    def gradient(self) -> np.ndarray:
        """Derivatives of half the deviance, (F,)."""
        return -self.mean_z.T @ self.u + self.log_sd_z.T @ (1 - self.u**2)

    @property
    def pseudo_residuals(self) -> np.ndarray:
        """(2n,) vector whose regression on `weighted` is the scoring step towards the minimum."""
        return np.concatenate([self.u, (self.u**2 - 1) / np.sqrt(2)])

    @property
    def weighted(self) -> np.ndarray:
        """(2n, F) matrix whose cross product is the expected information."""
        return np.vstack([self.mean_z, np.sqrt(2) * self.log_sd_z])


class Objective:
    """The least-squares problem of a fit.

    Parameters
    ----------
    problem : Problem
    coordinates : Coordinates
    weights : (n,) float or None
        Standard deviations to hold, whatever the predictions become (plain weighted least squares). None: those of
        the residual laws, and the likelihood is the whole one.
    reference : (n,) float or None, room : float
        See the module. None: the SDs do not move, and there are no second residuals.
    tick : callable, optional
        Called whenever the model is solved.

    Attributes
    ----------
    evaluations : int
        How often the model was solved.
    path : list of (float, (K,) float)
        -2 log L and natural values wherever a Jacobian was asked for.
    best : (F,) float
        Where the residuals have been least so far.
    """

    def __init__(
        self,
        problem: Problem,
        coordinates: Coordinates,
        *,
        weights: np.ndarray | None = None,
        reference: np.ndarray | None = None,
        room: float = 40.0,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self.problem = problem
        self.coordinates = coordinates
        self.weights = weights
        self.reference = reference
        self.room = room
        self.tick = tick
        self.observed = problem.residuals.observed(problem.observations.dv)
        self.evaluations = 0
        self.path: list[tuple[float, np.ndarray]] = []
        self.best = np.zeros(0)
        self._least = np.inf

    def values(self, z: np.ndarray) -> np.ndarray:
        """Give all K natural values for the F free ones on the estimation scale; what is held stays to the last bit."""
        return np.where(self.coordinates.free, self.coordinates.inverse(self._full(z)), self.coordinates.initial)

    def predict(self, z: np.ndarray) -> np.ndarray:
        """Give the predictions (n,) for the free values `z` (F,); NaN where the model could not be solved."""
        return self._predict(z, sensitivities=False)[0]

    def residuals(self, z: np.ndarray) -> np.ndarray:
        """Give the residuals to be squared and summed, (n,) or (2n,)."""
        f = self.predict(z)
        spread = self._spread(f, z)
        with np.errstate(all="ignore"):
            rows = (self.observed - spread.mean) / spread.sd
            if self.reference is not None:
                rows = np.concatenate([rows, np.sqrt(self.room + 2 * np.log(spread.sd / self.reference))])
        if not (np.abs(rows) < REFUSED).all():
            return np.full(rows.size, REFUSED)
        squares = float(rows @ rows)
        if squares < self._least:
            self._least, self.best = squares, z.copy()
        return rows

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        """Give the derivatives of the residuals with respect to the free values, (n or 2n, F)."""
        point = self.at(z)
        if point.is_sound:
            self.path.append((point.deviance, self.values(z)))
        rows = -point.mean_z
        if self.reference is not None:
            with np.errstate(all="ignore"):
                v = np.sqrt(self.room + 2 * np.log(point.spread.sd / self.reference))
                rows = np.vstack([rows - point.u[:, None] * point.log_sd_z, point.log_sd_z / v[:, None]])
        rows = np.where(np.abs(rows) < REFUSED, rows, 0.0)
        # A column of rounding errors would send the search astray; one of zeros leaves its parameter where it is.
        size = self.coordinates.size(self._full(z))[self.coordinates.free]
        rows[:, silent(rows, size)] = 0.0
        return rows

    def at(self, z: np.ndarray) -> Point:
        """Give the likelihood at the free values `z` (F,), with its derivatives."""
        free, count = self.coordinates.free, self.coordinates.count
        f, df = self._predict(z, sensitivities=True)
        spread = self._spread(f, z)
        slope = self.coordinates.slope(self._full(z))
        f_z = np.zeros((f.size, int(free.sum())))
        sd_z = np.zeros_like(f_z)
        moving = int(free[:count].sum())
        if df is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                f_z[:, :moving] = df * slope[:count][free[:count]]
            f_z[~np.isfinite(f_z)] = 0.0  # a parameter that has run to infinity moves nothing any more
        sd_z[:, moving:] = (spread.sd_psi * slope[count:])[:, free[count:]]
        with np.errstate(all="ignore"):
            mean_z = (spread.mean_f / spread.sd)[:, None] * f_z
            log_sd_z = (sd_z + spread.sd_f[:, None] * f_z) / spread.sd[:, None]
            u = (self.observed - spread.mean) / spread.sd
        return Point(f=f, spread=spread, u=u, mean_z=mean_z, log_sd_z=log_sd_z)

    def spread_at(self, z: np.ndarray) -> Spread:
        """Give what the residual laws say at `z`, whatever the weights that are held."""
        return self.problem.residuals.spread(self.predict(z), self._psi(z))

    def _full(self, z: np.ndarray) -> np.ndarray:
        full = self.coordinates.forward(self.coordinates.initial)
        full[self.coordinates.free] = z
        return full

    def _psi(self, z: np.ndarray) -> np.ndarray:
        return self.values(z)[self.coordinates.count :]

    def _predict(self, z: np.ndarray, *, sensitivities: bool) -> tuple[np.ndarray, np.ndarray | None]:
        self.evaluations += 1
        if self.tick is not None:
            self.tick()
        own = self.values(z)[: self.coordinates.count]
        names = [p.name for p, free in zip(self.coordinates.parameters[: own.size], self.coordinates.free) if free]
        shared = np.broadcast_to(own, (len(self.problem.subjects), own.size))
        prediction = self.problem.predict(shared, sensitivities=names if sensitivities else ())
        return prediction.f, prediction.df

    def _spread(self, f: np.ndarray, z: np.ndarray) -> Spread:
        law = self.problem.residuals.spread(f, self._psi(z))
        if self.weights is None:
            return law
        still = np.zeros_like(f)
        return Spread(
            mean=law.mean,
            sd=self.weights,
            mean_f=law.mean_f,
            sd_f=still,
            sd_psi=np.zeros((f.size, law.sd_psi.shape[1])),
        )
