"""What a simulation gives back: plain arrays first, labelled ones on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import __version__
from pkpd.simulation.cohort import Cohort

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Regimen
    from pkpd.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Values of every observable, for everybody, at every time.

    Parameters
    ----------
    model : Model
    arms : mapping of str to Regimen
        A of them.
    times : (T,) float
        In the model's time unit.
    names : tuple of str
        O observables.
    values : (A, D, N, T, O) float
        Each observable in its own unit.
    cohort : Cohort
    origin : str
        Where the parameters come from: "model" or "fit".
    """

    model: Model
    arms: Mapping[str, Regimen]
    times: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    cohort: Cohort
    origin: str

    def describe(self, name: str) -> tuple[str, str]:
        """Label and unit of an observable."""
        return describe(self.model, name)

    def attributes(self) -> dict[str, Any]:
        """Give what a reader of the numbers must know about how they were made."""
        known = {
            "title": self.model.title or self.model.name,
            "model": self.model.name,
            "model_hash": self.model.hash,
            "parameters_from": self.origin,
            "uncertainty": self.cohort.uncertainty,
            "seed": "none" if self.cohort.seed is None else self.cohort.seed,
            "covariates": str(self.cohort.covariates),
            "notes": " ".join(self.cohort.notes),
            "source": f"pkpd {__version__}",
        }
        return {name: value for name, value in known.items() if value != ""}

    def labelled(self) -> xr.Dataset:
        """Give the same as an :class:`xarray.Dataset` of dims ``(arm, draw, subject, time)``."""
        import xarray as xr

        dims = ("arm", "draw", "subject", "time")
        kind = {"uncertainty": self.cohort.uncertainty}
        variables: dict[str, Any] = {}
        for index, name in enumerate(self.names):
            label, unit = self.describe(name)
            variables[name] = (dims, self.values[..., index], {"long_name": label, "units": unit, **kind})
        variables["individual"] = (
            ("draw", "subject", "parameter"),
            self.cohort.values,
            {"long_name": "individual parameters, before the factors of the covariates"},
        )
        parameters = self.model.parameters
        coords: dict[str, Any] = {
            "arm": ("arm", list(self.arms), {"long_name": "arm"}),
            "regimen": ("arm", [regimen_text(r, self.model.time_unit) for r in self.arms.values()]),
            "draw": ("draw", np.arange(1, self.cohort.draws + 1), {"long_name": "draw of the typical values"}),
            "subject": ("subject", np.arange(1, self.cohort.subjects + 1), {"long_name": "subject"}),
            "time": ("time", self.times, {"long_name": "time", "units": self.model.time_unit}),
            "parameter": ("parameter", list(parameters)),
            "parameter_unit": ("parameter", [parameter.unit for parameter in parameters.values()]),
        }
        for name, values in self.cohort.covariates.each.items():
            coords[name] = ("subject", values, {"units": self.cohort.covariates.units.get(name, "")})
        return xr.Dataset(variables, coords=coords, attrs=self.attributes())


def regimen_text(regimen: Regimen, time_unit: str) -> str:
    """Give a regimen in one line."""
    return "; ".join(dose.sentence(time_unit) for dose in regimen) or "no dose"


def describe(model: Model, name: str) -> tuple[str, str]:
    """Label and unit of whatever of a model can be observed; an empty unit where it is not known."""
    from pkpd.model.dimension import environment

    for rows in (model.outputs, model.states, model.parameters, model.constants, model.covariates):
        if name in rows:
            return rows[name].label or name, rows[name].unit
    unit = environment(model, {state.name: state.unit for state in model.states.values()}).get(name)
    return name, "" if unit is None else str(unit)
