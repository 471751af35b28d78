"""What is given: regimens by name, laid out as events for any batch of subjects at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pkpd.data import Dose, Events, Regimen
from pkpd.data.events import ROW_FIELDS
from pkpd.data.regimen import NO_DOSE
from pkpd.errors import DataError, DoseError, MismatchError
from pkpd.simulation.covariates import Covariates

_LONGEST_NAME = 60


def read_arms(given: Any, time_unit: str) -> dict[str, Regimen]:
    """Regimens by the name of their arm, with times in `time_unit`.

    Parameters
    ----------
    given : mapping, Regimen, Dose, str or iterable of Dose
        One regimen becomes one arm that is named by its text.
    time_unit : str
        That of the model.

    Raises
    ------
    DoseError
        There is no arm, or a regimen cannot be read.
    """
    if isinstance(given, Mapping):
        if not given:
            raise DoseError(
                "There is no arm.",
                where="simulate(regimens={})",
                expected="At least one regimen by name.",
                remedy='Write {"once": "35 mg iv over 40 min"}; Regimen(()) is an arm without a dose.',
            )
        return {str(name): _read(name, one, time_unit) for name, one in given.items()}
    regimen = _read(None, given, time_unit)
    text = given if isinstance(given, str) else "; ".join(dose.sentence(time_unit) for dose in regimen) or NO_DOSE
    text = " ".join(text.split())
    return {text if len(text) <= _LONGEST_NAME else "regimen": regimen}


def _read(name: object, given: Any, time_unit: str) -> Regimen:
    where = "simulate(regimens=...)" if name is None else f"simulate(regimens=...), arm `{name}`"
    if not isinstance(given, (Regimen, Dose, str)) and not (
        isinstance(given, Iterable) and all(isinstance(dose, Dose) for dose in given)
    ):
        raise DoseError(
            f"{given!r} is no regimen.",
            where=where,
            expected='A Regimen, a Dose, several of them, or text such as "35 mg iv over 40 min".',
            remedy='Write Dose(35, unit="mg", route="iv", over=2/3) or the text.',
        )
    try:
        return Regimen.of(given, time_unit).in_time_unit(time_unit)
    except DoseError as error:
        if name is None or error.findings:
            raise
        place = f"arm `{name}`" + (f", {error.where}" if error.where else "")
        raise DoseError(
            error.what, where=place, expected=error.expected, remedy=error.remedy, excerpt=error.excerpt
        ) from error


def read_times(times: Any) -> np.ndarray:
    """Give times of observation: finite, not negative, each later than the one before. Shape (T,).

    Raises
    ------
    DataError
        There is none, or one is not as it should be; the message names the first.
    """
    where = "simulate(times=...)"
    if times is None:
        raise DataError(
            "There are no times.",
            where=where,
            expected="The times to predict at, in the model's time unit.",
            remedy="Write times=range(0, 25).",
        )
    try:
        array = np.atleast_1d(np.asarray(list(times) if isinstance(times, Iterable) else times, dtype=float))
    except (TypeError, ValueError):
        array = np.empty((0, 2))
    if array.ndim != 1 or array.size == 0:
        raise DataError(
            "The times are empty." if array.size == 0 and array.ndim == 1 else f"The times are {times!r}.",
            where=where,
            expected="At least one number, in a row.",
            remedy="Write times=range(0, 25).",
        )
    wrong = (
        (~np.isfinite(array), "is no finite number", "Leave it out."),
        (array < 0, "is negative", "Start at 0, and shift the regimen where a dose comes earlier: regimen.shift(24)."),
        (
            np.r_[False, np.diff(array) <= 0],
            "is not later than the time before it",
            "Sort the times: sorted(set(times)).",
        ),
    )
    for mask, what, remedy in wrong:
        if mask.any():
            at = int(np.flatnonzero(mask)[0])
            raise DataError(
                f"Time number {at + 1}, {array[at]:g}, {what}.",
                where=where,
                expected="Finite times from 0 on, in rising order.",
                remedy=remedy,
            )
    return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The events of every arm, ready to be copied for any batch of subjects.

    Parameters
    ----------
    events : Events
        One subject an arm, with the covariates that are the same for all.
    each : mapping of str to (N,) float
        Covariates with a number for each subject.
    scaled : mapping of str to (R,) bool
        Rows of `events` whose amount is per unit of such a covariate, and stands there for the value 1.
    """

    events: Events
    each: Mapping[str, np.ndarray]
    scaled: Mapping[str, np.ndarray]

    @property
    def arms(self) -> int:
        """Number of arms."""
        return len(self.events.subjects)

    def batch(self, subjects: np.ndarray, names: Sequence[str]) -> Events:
        """Events of these subjects in every arm, arm by arm.

        Parameters
        ----------
        subjects : (K,) int
            Index of each subject among the N of the cohort.
        names : sequence of str
            What to call them in messages: A times K names.
        """
        base, count = self.events, len(subjects)
        lengths = np.repeat(np.diff(base.start), count)
        start = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(np.repeat(base.start[:-1], count) - start[:-1], lengths) + np.arange(start[-1])
        columns: dict[str, Any] = {name: getattr(base, name)[rows] for name in ROW_FIELDS}
        covariates = base.covariate_values[rows]
        who = np.repeat(np.tile(subjects, self.arms), lengths) if self.each else rows
        for name, values in self.each.items():
            covariates[:, base.covariates.index(name)] = values[who]
            if name in self.scaled:
                factor = np.where(self.scaled[name][rows], values[who], 1.0)
                columns["amt"], columns["rate"] = columns["amt"] * factor, columns["rate"] * factor
        return replace(base, subjects=tuple(names), start=start, covariate_values=covariates, **columns)

    def first_row(self) -> Plan:
        """Give the first row of the first arm alone: enough to look at everybody's covariates."""
        base = self.events
        columns: dict[str, Any] = {name: getattr(base, name)[:1] for name in ROW_FIELDS}
        one = replace(
            base,
            subjects=base.subjects[:1],
            start=np.array([0, 1]),
            covariate_values=base.covariate_values[:1],
            **columns,
        )
        return Plan(events=one, each=self.each, scaled={name: rows[:1] for name, rows in self.scaled.items()})


def lay_out(arms: Mapping[str, Regimen], times: np.ndarray, covariates: Covariates, time_unit: str) -> Plan:
    """Make regimens explicit.

    Raises
    ------
    DoseError
        A dose cannot be given.
    MismatchError
        A dose is per unit of a covariate that is not greater than 0 in somebody.
    """
    used = {dose.per for regimen in arms.values() for dose in regimen if dose.per}
    for name in used & set(covariates.each):
        if (covariates.each[name] <= 0).any():
            at = int(np.flatnonzero(covariates.each[name] <= 0)[0])
            raise MismatchError(
                f"A dose is per `{name}`, which is {covariates.each[name][at]:g} for subject {at + 1}.",
                where="simulate(covariates=...)",
                expected="A number greater than 0.",
                remedy=f"Give {name} of this subject.",
            )

    def events(**changed: float) -> Events:
        numbers = {**covariates.shared, **dict.fromkeys(covariates.each, 1.0), **changed}
        return Events.from_regimens(
            [(name, regimen, times, numbers) for name, regimen in arms.items()],
            time_unit=time_unit,
            covariate_units=covariates.units,
            origin="regimens",
        )

    base = events()
    scaled = {}
    for name in sorted(used & set(covariates.each)):
        # Twice the covariate is exactly twice the dose: this finds the rows without knowing how they were sorted.
        twice = events(**{name: 2.0})
        scaled[name] = (twice.amt != base.amt) | (twice.rate != base.rate)
    return Plan(events=base, each=covariates.each, scaled=scaled)
