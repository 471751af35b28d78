"""The laws of observations whose log likelihood is given: by the equations of a model, or by the hazard of an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pkpd.likelihood.discrete import Discrete, Jets

__all__ = ["Given", "Happening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given(Discrete):
    """The prediction is the log likelihood itself; what an observation is expected to be, only the equations know."""

    draws: ClassVar[bool] = False

    def jets(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> Jets:
        """Give log probabilities and derivatives."""
        return Jets(value=f.copy(), d1=np.ones((len(f), 1)), d2=np.zeros((len(f), 1, 1)))

    def information(self, jets: Jets) -> np.ndarray:
        """Give the square of the slope, whose expectation is the information."""
        return np.ones_like(jets.d2)

    def possible(self, y: np.ndarray) -> np.ndarray:
        """Say which values an observation may have, (n,) bool."""
        return np.isfinite(y)

    @property
    def expected_values(self) -> str:
        """Say in words which values an observation may have."""
        return "A number."

    def mean(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give NaN: the equations say nothing of it."""
        return np.full(len(f), np.nan)

    sd = mean

    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give NaN: the equations say nothing of it."""
        return np.full(len(f), np.nan), np.full(len(f), np.nan)

    def quantile(self, u: np.ndarray, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give NaN: the equations say nothing of it."""
        return np.full(len(f), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening(Given):
    """An event or none since the record before: its log likelihood is made of hazards by :mod:`pkpd.likelihood.hazard`.

    What it is expected to be, and its distribution, are given by how many events are expected since the record before,
    in place of the prediction: it stands where the time of the next event does, on the scale on which that is uniform.
    """

    def possible(self, y: np.ndarray) -> np.ndarray:
        """Say which values an observation may have, (n,) bool."""
        return (y == 0) | (y == 1)

    @property
    def expected_values(self) -> str:
        """Say in words which values an observation may have."""
        return "1 for an event, 0 for none since the record before."

    def mean(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give how many events are expected, (n,)."""
        return f

    def sd(self, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the standard deviation of that number, (n,): that of a Poisson count; NaN where no time has passed."""
        return np.sqrt(np.where(f > 0, f, np.nan))

    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give where the next event lies, (n,) each: now (DV 1), or somewhere later (DV 0); 0 below these."""
        by_now = -np.expm1(-f)
        return np.where(y >= 0, by_now, 0.0), np.where(y == 0, 1.0, np.where(y > 0, by_now, 0.0))
