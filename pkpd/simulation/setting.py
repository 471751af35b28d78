"""What is to be simulated, read and checked: a model, its arms, its people and the times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import __version__
from pkpd.data.regimen import NO_DOSE
from pkpd.errors import UsageError
from pkpd.model.mixture import MIXNUM
from pkpd.model.observed import is_likelihood
from pkpd.simulation.arms import Plan, lay_out, read_arms, read_times
from pkpd.simulation.cohort import NONE, RESIDUAL, Cohort, gather
from pkpd.simulation.covariates import read_covariates, with_classes

if TYPE_CHECKING:
    from pkpd.data import Regimen
    from pkpd.engine.program import Program
    from pkpd.model import Model
    from pkpd.simulation.residual import Observer
    from pkpd.simulation.source import Source

DIMS = ("arm", "draw", "subject", "time")
INDIVIDUAL_DIMS = ("draw", "subject", "parameter")
_RESERVED = (*DIMS, "parameter", "individual", "regimen", "parameter_unit")
_LARGEST_INT = 2**63  # of a netCDF attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A simulation before it is computed.

    Parameters
    ----------
    model : Model
    program : Program
        The model, compiled for the observables.
    arms : mapping of str to Regimen
        A of them.
    times : (T,) float
        In the model's time unit.
    shown_times : (T,) float
        The same in `shown_unit`, in which the result gives them.
    shown_unit : str
    plan : Plan
        The events of every arm.
    cohort : Cohort
        D draws of N subjects.
    origin : str
        Where the parameters come from: "model" or "fit".
    observer : Observer or None
        What draws observations beside the predictions of outputs, where they are asked for.
    """

    model: Model
    program: Program
    arms: Mapping[str, Regimen]
    times: np.ndarray
    shown_times: np.ndarray
    shown_unit: str
    plan: Plan
    cohort: Cohort
    origin: str
    observer: Observer | None = None

    @property
    def predicted(self) -> tuple[str, ...]:
        """What the program gives."""
        return tuple(self.program.observables)

    @property
    def names(self) -> tuple[str, ...]:
        """O observables: what is predicted, then what is observed of it."""
        return (*self.predicted, *(self.observer.names if self.observer else ()))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(A, D, N, T): the shape of each observable."""
        return len(self.arms), self.cohort.draws, self.cohort.subjects, len(self.times)

    @property
    def individual_shape(self) -> tuple[int, int, int]:
        """(D, N, P): the shape of the individual parameters."""
        return self.cohort.draws, self.cohort.subjects, len(self.cohort.parameters)

    def describe(self, name: str) -> tuple[str, str]:
        """Label and unit of an observable."""
        for output, observed in zip(self.observer.outputs, self.observer.names) if self.observer else ():
            if name == observed:
                label, unit = describe(self.model, output)
                return f"{label}, observed", unit
        return describe(self.model, name)

    def attributes(self, notes: Sequence[str] = ()) -> dict[str, Any]:
        """Give what a reader of the numbers must know about how they were made."""
        seed = self.observer.seed if self.observer else self.cohort.seed
        known = {
            "title": self.model.title or self.model.name,
            "model": self.model.name,
            "model_hash": self.model.hash,
            "parameters_from": self.origin,
            "uncertainty": self.cohort.uncertainty,
            "seed": "none" if seed is None else seed if seed < _LARGEST_INT else str(seed),
            "covariates": str(self.cohort.covariates),
            "notes": " ".join((*self.cohort.notes, *notes)),
            "source": f"pkpd {__version__}",
        }
        return {name: value for name, value in known.items() if value != ""}

    def coordinates(self) -> dict[str, Any]:
        """Give the coordinates of the result, as :class:`xarray.Dataset` takes them."""
        parameters = self.model.parameters
        coords: dict[str, Any] = {
            "arm": ("arm", list(self.arms), {"long_name": "arm"}),
            "regimen": ("arm", [regimen_text(r, self.model.time_unit) for r in self.arms.values()]),
            "draw": ("draw", np.arange(1, self.cohort.draws + 1), {"long_name": "draw of the typical values"}),
            "subject": ("subject", np.arange(1, self.cohort.subjects + 1), {"long_name": "subject"}),
            "time": ("time", self.shown_times, {"long_name": "time", "units": self.shown_unit}),
            "parameter": ("parameter", list(parameters)),
            "parameter_unit": ("parameter", [parameter.unit for parameter in parameters.values()]),
        }
        for name, values in self.cohort.covariates.each.items():
            if name not in self.names:
                coords[name] = ("subject", values, {"units": self.cohort.covariates.units.get(name, "")})
        return coords

    def variables(self) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], dict[str, str]]]:
        """Dimensions, shape and attributes of every variable of the result."""
        found: dict[str, tuple[tuple[str, ...], tuple[int, ...], dict[str, str]]] = {}
        for name in self.names:
            label, unit = self.describe(name)
            spread = self.cohort.uncertainty
            if name not in self.predicted:
                spread = RESIDUAL if spread == NONE else f"{spread} and {RESIDUAL}"
            attributes = {"long_name": label, "units": unit, "uncertainty": spread}
            found[name] = (DIMS, self.shape, attributes)
        label = {"long_name": "individual parameters, before the factors of the covariates"}
        found["individual"] = (INDIVIDUAL_DIMS, self.individual_shape, label)
        return found


def prepare(
    source: Source,
    regimens: Any,
    *,
    times: Any,
    n: int | None = None,
    seed: int | None = None,
    uncertainty: bool | int = False,
    variability: bool | Mapping[str, float] | None = None,
    covariates: Mapping[str, Any] | None = None,
    observe: Sequence[str] | str | None = None,
    shown: tuple[np.ndarray, str] | None = None,
    residual: bool = False,
) -> Setting:
    """Read what :func:`pkpd.simulate` was given; nothing is computed yet.

    Parameters
    ----------
    source : Source
        The model, and how well its parameters are known.
    shown : (times, unit), optional
        The times in another unit, in which the result is to give them.
    residual : bool
        Whether observations are drawn beside predictions.
    """
    from pkpd.engine import compile_model

    model = source.model
    arms = read_arms(regimens, model.time_unit)
    when = read_times(times)
    per = {dose.per for regimen in arms.values() for dose in regimen if dose.per}
    varies = n is not None if variability is None else variability is not False
    people = read_covariates(model, covariates, doses_per=sorted(per))
    if model.mixture:
        people = with_classes(model, people, n, seed, drawn=varies and MIXNUM not in (covariates or {}))
    names = None if observe is None else (observe,) if isinstance(observe, str) else tuple(observe)
    names = _without_likelihoods(model, names)
    program = compile_model(model, observe=names)
    taken = [name for name in program.observables if name in _RESERVED]
    if taken:
        raise UsageError(
            f"`{taken[0]}` of `{model.name}` has a name that the result uses itself.",
            where="simulate(observe=...)",
            expected=f"Observables of other names than {', '.join(_RESERVED)}.",
            remedy="Rename it in the model.",
        )
    seen = None
    if residual:
        from pkpd.simulation.residual import observer

        seen = observer(model, tuple(program.observables), people, arms=len(arms), times=len(when), seed=seed)
    cohort = gather(
        model, source.typical, n=n, seed=seed, uncertainty=uncertainty, variability=variability, covariates=people
    )
    return Setting(
        model=model,
        program=program,
        arms=arms,
        times=when,
        shown_times=when if shown is None else shown[0],
        shown_unit=model.time_unit if shown is None else shown[1],
        plan=lay_out(arms, when, people, model.time_unit),
        cohort=cohort,
        origin=source.origin,
        observer=seen,
    )


def _without_likelihoods(model: Model, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Give what can be observed of a model some of whose outputs are their own log likelihood.

    Raises
    ------
    UsageError
        Nothing is left, or such an output is asked for.
    """
    own = [name for name, output in model.outputs.items() if is_likelihood(output)]
    wrong = own if names is None and len(own) == len(model.outputs) else [name for name in names or () if name in own]
    if not own or not (wrong or names is None):
        return names
    if wrong:
        raise UsageError(
            f"`{wrong[0]}` of `{model.name}` is the log likelihood of an observation, and cannot be simulated.",
            where="simulate(observe=...)",
            expected="Outputs whose equations say what is to be expected.",
            remedy="Observe another equation of the model, such as the probability that it is made of.",
        )
    return tuple(name for name in model.outputs if name not in own)


def check_count(value: object, option: str, what: str) -> int | None:
    """Give a whole number of 1 or more, or None.

    Raises
    ------
    UsageError
        It is something else.
    """
    if value is None or (isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1):
        return None if value is None else int(value)
    raise UsageError(
        f"{option} is {value!r}.",
        where=f"simulate({option}=...)",
        expected=f"The number of {what}, a whole number of 1 or more.",
        remedy="Leave it out: the numbers do not depend on it.",
    )


def regimen_text(regimen: Regimen, time_unit: str) -> str:
    """Give a regimen in one line."""
    return "; ".join(dose.sentence(time_unit) for dose in regimen) or NO_DOSE


def describe(model: Model, name: str) -> tuple[str, str]:
    """Label and unit of whatever of a model can be observed; an empty unit where it is not known."""
    from pkpd.model.dimension import environment

    for rows in (model.outputs, model.states, model.parameters, model.constants, model.covariates):
        if name in rows:
            return rows[name].label or name, rows[name].unit
    unit = environment(model, {state.name: state.unit for state in model.states.values()}).get(name)
    return name, "" if unit is None else str(unit)
