"""What a simulation gives back in memory: plain arrays first, labelled ones on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.simulation.setting import Setting

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Values of every observable, for everybody, at every time.

    Parameters
    ----------
    setting : Setting
        What was simulated: A arms, D draws, N subjects, T times, P parameters.
    values : mapping of str to (A, D, N, T) float
        Each observable in its own unit.
    individuals : (D, N, P) float
        Individual parameters, before the factors of the covariates.
    notes : tuple of str
        What the numbers themselves told.
    """

    setting: Setting
    values: Mapping[str, np.ndarray]
    individuals: np.ndarray
    notes: tuple[str, ...] = ()

    def labelled(self) -> xr.Dataset:
        """Give the same as an :class:`xarray.Dataset` of dims ``(arm, draw, subject, time)``."""
        import xarray as xr

        arrays = {**self.values, "individual": self.individuals}
        variables = {
            name: (dims, arrays[name], attributes) for name, (dims, _, attributes) in self.setting.variables().items()
        }
        return xr.Dataset(variables, coords=self.setting.coordinates(), attrs=self.setting.attributes(self.notes))
