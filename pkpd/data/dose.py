"""One dose: an amount, when, by which route, how fast, how often."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

from pkpd import units
from pkpd.data.layout import short
from pkpd.errors import DoseError, Finding, UnitError, raise_all

if TYPE_CHECKING:
    from pkpd.data.regimen import Regimen

# Which covariate a "per" unit stands for in text, and the unit that covariate must then have.
PER_UNIT = {"kg": "WT", "m2": "BSA"}
PER_COVARIATE = {covariate: unit for unit, covariate in PER_UNIT.items()}


@dataclass(frozen=True, slots=True)
class Dose:
    """One line of a regimen: an amount, when, by which route, how fast, how often.

    Parameters
    ----------
    amount : float
        The amount given each time, in `unit` (per unit of the covariate `per`, where that is given). It is greater
        than 0; only an endless infusion up to steady state (``ss=1`` with a `rate`) has amount 0.
    time : float
        Time of the first dose, in the time unit of the regimen (by default that of the model).
    route : str, optional
        Name of the model's route, for instance ``"iv"`` or ``"ketamine.iv"``; None: the model's only route.
    over : float, optional
        Duration of an infusion, in time units; 0 says bolus even where the route models a duration or a rate.
    rate : float, optional
        Rate of an infusion, in amount per time (per covariate unit too where `per` is given). Not with `over`.
    unit : str, optional
        Unit of the amount; None: the unit of the model's route. ``"mg/kg"`` is short for ``unit="mg", per="WT"``.
    per : str, optional
        Name of a covariate that multiplies amount and rate, for instance ``"WT"`` for a dose in mg/kg.
    every : float, optional
        Time between doses (NONMEM's II).
    n : int
        How many doses in all (NONMEM's ADDL plus 1).
    ss : int
        1: the first dose finds the steady state of this schedule, whatever was there before; 2: that steady state is
        added to what is there; 0: neither.

    Raises
    ------
    DoseError
        If the dose makes no sense: all that is wrong with it in one error.

    Examples
    --------
    >>> print(Dose(35, over=2/3, route="iv", unit="mg"))
    35 mg iv over 0.666667
    >>> print(Dose(56, route="nasal", unit="mg", every=84, n=8))
    56 mg nasal every 84 x 8
    """

    amount: float
    _: KW_ONLY
    time: float = 0.0
    route: str | None = None
    over: float | None = None
    rate: float | None = None
    unit: str | None = None
    per: str | None = None
    every: float | None = None
    n: int = 1
    ss: int = 0

    def __post_init__(self) -> None:
        amount, slash, per_unit = str(self.unit or "").partition("/")
        if slash and self.per is None and per_unit.strip() in PER_UNIT:  # "mg/kg"
            object.__setattr__(self, "unit", amount.strip())
            object.__setattr__(self, "per", PER_UNIT[per_unit.strip()])
        wrong = [Finding(code="dose", where=self._call(), what=what, remedy=cure) for what, cure in self._wrong()]
        if wrong:
            raise_all(DoseError, wrong)
        for name in ("amount", "time", "over", "rate", "every"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "ss", int(self.ss))

    def _wrong(self) -> Iterator[tuple[str, str]]:
        for name in ("amount", "time", "over", "rate", "every"):
            value = getattr(self, name)
            optional = name in ("over", "rate", "every")
            if not (value is None and optional) and not is_number(value):
                yield f"{name} is {value!r}, not a finite number.", f"Give {name} as a number."
        for name in ("n", "ss"):
            value = getattr(self, name)
            if not is_number(value) or int(value) != value:
                yield f"{name} is {value!r}, not a whole number.", f"Give {name} as a whole number."
        for name in ("route", "unit", "per"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.strip()):
                yield f"{name} is {value!r}, not a name.", f"Give {name} as text, or leave it out."
        endless = self.ss == 1 and is_number(self.rate) and self.rate > 0 and self.every is None
        if is_number(self.amount) and self.amount < 0:
            yield f"The amount is {short(self.amount)}.", "An amount is greater than 0."
        elif is_number(self.amount) and self.amount == 0 and not endless:
            yield (
                "The amount is 0.",
                ("An amount is greater than 0; only an endless infusion has amount 0: Dose(0, rate=..., ss=1)."),
            )
        if is_number(self.over) and self.over < 0:
            yield f"The duration (over) is {short(self.over)}.", "A duration is greater than 0; 0 says bolus."
        if is_number(self.rate) and self.rate <= 0:
            yield f"The rate is {short(self.rate)}.", "A rate is greater than 0; leave it out for a bolus."
        if self.over is not None and self.rate is not None:
            yield "Both a duration (over) and a rate are given.", "Give one of them: the amount fixes the other."
        if is_number(self.every) and self.every <= 0:
            yield f"The interval (every) is {short(self.every)}.", "An interval is greater than 0."
        if is_number(self.n) and self.n < 1:
            yield f"n is {self.n}.", "n is the number of doses in all: 1 or more."
        elif is_number(self.n) and self.n > 1 and self.every is None:
            yield f"{self.n} doses are asked for without the time between them.", "Say how often with every=."
        if is_number(self.ss) and self.ss not in (0, 1, 2):
            yield f"ss is {self.ss}.", "ss is 0, 1 (steady state instead of what is there) or 2 (added to it)."
        if self.every is not None and self.n == 1 and self.ss == 0:
            yield f"Doses every {short(self.every)} are asked for without a number.", "Say how many in all with n=."
        if self.ss in (1, 2) and self.every is None and not endless:
            yield "A steady state needs the time between doses.", "Say how often with every=."
        if endless and is_number(self.n) and self.n > 1:
            yield "An endless infusion cannot be repeated.", "Leave out n."
        if isinstance(self.unit, str) and self.unit.strip():
            try:
                units.read(self.unit)
            except UnitError as error:
                yield f"`{self.unit}` is not a unit.", error.remedy or "Give it as mg, ug or nmol, for instance."

    @property
    def addl(self) -> int:
        """Number of doses that follow the first (NONMEM's ADDL)."""
        return self.n - 1

    @property
    def last(self) -> float:
        """Time of the last dose."""
        return self.time + self.addl * (self.every or 0.0)

    @property
    def unit_text(self) -> str:
        """Unit of the amount as it is read: ``mg``, ``mg/kg``; empty where none is stated."""
        if self.per is None:
            return self.unit or ""
        return f"{self.unit or 'amount'}/{PER_COVARIATE.get(self.per, self.per)}"

    def expand(self) -> tuple[Dose, ...]:
        """Write the doses out one by one; a steady state stays on the first."""
        first = replace(self, n=1, every=self.every if self.ss else None)
        step = self.every or 0.0
        rest = (replace(self, n=1, every=None, ss=0, time=self.time + k * step) for k in range(1, self.n))
        return (first, *rest)

    def sentence(self, time_unit: str | None = None) -> str:
        """Give the dose as text; with `time_unit` it is text that :meth:`Regimen.read` reads back."""
        tail = f" {time_unit}" if time_unit else ""
        words = [short(self.amount)]
        if self.unit or self.per:
            words.append(self.unit_text)
        if self.route:
            words.append(" ".join(self.route.split(".")) if self.route.count(".") == 1 else self.route)
        if self.over == 0:
            words.append("bolus")
        elif self.over is not None:
            words.append(f"over {short(self.over)}{tail}")
        if self.rate is not None:
            rate_unit = f" {self.unit_text}/{time_unit}" if self.unit and time_unit else ""
            words.append(f"at {short(self.rate)}{rate_unit}")
        if self.every is not None:
            words.append(f"every {short(self.every)}{tail}" + (f" x {self.n}" if self.n > 1 else ""))
        if self.ss:
            words.append("at steady state" if self.ss == 1 else "plus steady state")
        if self.time:
            words.append(f"from {short(self.time)}{tail}" if self.every else f"at {short(self.time)}{tail}")
        return " ".join(words)

    def __str__(self) -> str:
        return self.sentence()

    def __repr__(self) -> str:
        return self._call()

    def __add__(self, other: Dose | Regimen) -> Regimen:
        from pkpd.data.regimen import Regimen

        return Regimen((self,)) + other

    def _call(self) -> str:
        defaults = {"time": 0.0, "n": 1, "ss": 0}
        given = ((name, getattr(self, name)) for name in self.__dataclass_fields__ if name not in ("amount", "_"))
        shown = [f"{name}={_plain(value)}" for name, value in given if value != defaults.get(name)]
        return f"Dose({', '.join([_plain(self.amount), *shown])})"


def resolve(dose: Dose, covariates: Mapping[str, float], covariate_units: Mapping[str, str], where: str) -> Dose:
    """Give the dose with an absolute amount: `per` multiplied in from the covariates of one person.

    Raises
    ------
    DoseError
        If the covariate is missing, not a number greater than 0, or in a unit that does not fit.
    """
    if dose.per is None:
        return dose
    value = covariates.get(dose.per)
    if value is None or not is_number(value) or value <= 0:
        has = "is not given" if value is None else f"is {value!r}"
        raise DoseError(
            f"`{dose.sentence()}` needs the covariate {dose.per}, which {has}.",
            where=where,
            expected=f"Covariates given: {', '.join(covariates) or 'none'}.",
            remedy=f'Give {dose.per}, for instance covariates={{"{dose.per}": 70}}.',
        )
    factor = 1.0
    stated = covariate_units.get(dose.per)
    if stated and dose.per in PER_COVARIATE:
        try:
            factor = units.factor(stated, PER_COVARIATE[dose.per])
        except UnitError as error:
            raise DoseError(
                f"`{dose.sentence()}` needs {dose.per} in {PER_COVARIATE[dose.per]}, but it is in `{stated}`.",
                where=where,
                remedy=f"Give {dose.per} in {PER_COVARIATE[dose.per]}.",
            ) from error
    by = value * factor
    return replace(dose, amount=dose.amount * by, rate=None if dose.rate is None else dose.rate * by, per=None)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether `value` is a finite number (not a text, not a truth value)."""
    if isinstance(value, (bool, str)) or value is None:
        return False
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False


def _plain(value: object) -> str:
    return short(value) if is_number(value) else repr(value)
