"""The covariates of a simulation: what the caller gave, checked against what the model knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.dose import PER_COVARIATE
from pkpd.errors import Finding, MismatchError, raise_all, suggestion
from pkpd.model.mixture import MIXNUM
from pkpd.streams import check_seed, uniforms

if TYPE_CHECKING:
    from pkpd.model.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariates:
    """Covariates of everybody and of each subject.

    Parameters
    ----------
    shared : mapping of str to float
        One number for all.
    each : mapping of str to (N,) float
        One number for each subject.
    units : mapping of str to str
        Unit of each, where the model states one.
    assumed : tuple of str
        Those that were not given and stand at the model's reference.
    """

    shared: Mapping[str, float]
    each: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    assumed: tuple[str, ...] = ()

    @property
    def subjects(self) -> int | None:
        """N, or None where every covariate is shared."""
        return max((len(values) for values in self.each.values()), default=None)

    @property
    def longest(self) -> str:
        """Name of a covariate that has a number for each subject."""
        return max(self.each, key=lambda name: len(self.each[name]))

    def __str__(self) -> str:
        shown = {name: "" if unit == "1" else f" {unit}" for name, unit in self.units.items()}
        parts = [
            f"{name} = {value:g}{shown.get(name, '')}" + " (reference)" * (name in self.assumed)
            for name, value in self.shared.items()
        ]
        parts += [
            f"{name} = {values.min():g} to {values.max():g}{shown.get(name, '')}" for name, values in self.each.items()
        ]
        return ", ".join(parts)


def read_covariates(model: Model, given: Mapping[str, Any] | None, *, doses_per: Iterable[str] = ()) -> Covariates:
    """Check the covariates that were given; one left out stands at the model's reference.

    Parameters
    ----------
    model : Model
    given : mapping, optional
        Name to number, or to one number for each subject, in the unit that the model states.
    doses_per : iterable of str
        Covariates that doses are given per unit of, such as ``"WT"``: these may be given though the model does not
        use them.

    Raises
    ------
    MismatchError
        Everything that is wrong: unknown names, values that are not finite numbers, arrays of different lengths, a
        covariate that is needed and neither given nor has a reference.
    """
    known = dict(model.covariates)
    extra = [name for name in dict.fromkeys(doses_per) if name not in known]
    findings: list[Finding] = []
    shared: dict[str, float] = {}
    each: dict[str, np.ndarray] = {}
    for name, value in (given or {}).items():
        if name not in known and name not in extra:
            findings.append(_unknown(model, str(name), [*known, *extra]))
            continue
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            array = np.array(np.nan)
        if array.ndim > 1 or array.size == 0 or not np.isfinite(array).all():
            findings.append(_not_finite(name, value, array))
        elif array.ndim == 0:
            shared[name] = float(array)
        else:
            each[name] = array
    lengths = {name: len(values) for name, values in each.items()}
    if len(set(lengths.values())) > 1:
        findings.append(
            Finding(
                code="lengths",
                where="simulate(covariates=...)",
                what="Covariates have values for different numbers of subjects: "
                + ", ".join(f"{name} {length}" for name, length in lengths.items())
                + ".",
                expected="One value for everybody, or the same number of values of each.",
                remedy="Give them the same length.",
            )
        )
    assumed = []
    for name in [*known, *extra]:
        if name in (given or {}):
            continue
        reference = known[name].reference if name in known else None
        if reference is None or not np.isfinite(reference):
            findings.append(_missing(model, name, in_model=name in known))
        else:
            shared[name] = float(reference)
            assumed.append(name)
    if findings:
        raise_all(MismatchError, findings)
    units = {name: PER_COVARIATE[name] for name in extra if name in PER_COVARIATE}
    units |= {name: covariate.unit for name, covariate in known.items() if covariate.unit}
    return Covariates(shared=shared, each=each, units=units, assumed=tuple(assumed))


def with_classes(model: Model, people: Covariates, n: int | None, seed: int | None, *, drawn: bool) -> Covariates:
    """Give the covariates with the class of each subject in a mixture drawn by the shares, or check those given.

    A subject keeps its class in every draw of the typical values.

    Raises
    ------
    UsageError
        No seed.
    MismatchError
        There is no such class.
    """
    if not drawn:
        given = np.atleast_1d(people.each.get(MIXNUM, people.shared.get(MIXNUM, 1.0)))
        wrong = given[~np.isin(given, 1 + np.arange(len(model.mixture)))]
        if wrong.size:
            raise MismatchError(
                f"{MIXNUM} is {wrong[0]:g}.",
                where="simulate(covariates=...)",
                expected="; ".join(f"{k} for {name}" for k, name in enumerate(model.mixture, start=1)) + ".",
                remedy="Leave it out to have classes drawn by their shares.",
            )
        return people
    seed = check_seed(seed, why="the class of each subject is drawn at random")
    count = n if isinstance(n, int | np.integer) and n > 0 else people.subjects or 1
    who = np.arange(count)
    chance = uniforms(seed, "class of the mixture", who, np.zeros_like(who), 1)[:, 0]
    ends = np.cumsum(list(model.shares.values()))[:-1]
    classes = 1.0 + np.searchsorted(ends, chance, side="right")
    shared = {name: value for name, value in people.shared.items() if name != MIXNUM}
    assumed = tuple(name for name in people.assumed if name != MIXNUM)
    return replace(people, shared=shared, each={**people.each, MIXNUM: classes}, assumed=assumed)


def _unknown(model: Model, name: str, known: list[str]) -> Finding:
    return Finding(
        code="covariate",
        where="simulate(covariates=...)",
        what=f"`{name}` is no covariate of `{model.name}`.",
        expected=f"Covariates: {', '.join(known)}." if known else "The model has no covariates.",
        remedy=suggestion(name, known) or ("Name one of these." if known else "Leave it out."),
    )


def _not_finite(name: str, value: object, array: np.ndarray) -> Finding:
    if array.ndim > 1 or array.size == 0:
        what = f"`{name}` has the shape {array.shape}."
    elif array.ndim == 1:
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        what = f"`{name}` is {array[at]:g} for subject {at + 1}."
    else:
        what = f"`{name}` is {value!r}."
    return Finding(
        code="covariate",
        where="simulate(covariates=...)",
        what=what,
        expected="A finite number, or one finite number for each subject.",
        remedy=f"Give {name} as a number.",
    )


def _missing(model: Model, name: str, *, in_model: bool) -> Finding:
    why = f"`{model.name}` needs `{name}`, and states no reference" if in_model else f"A dose is per `{name}`"
    return Finding(
        code="covariate",
        where="simulate(covariates=...)",
        what=f"{why}, but it is not given.",
        expected="A value of every covariate that the model or a dose needs.",
        remedy=f'Add covariates={{"{name}": ...}}.',
    )
