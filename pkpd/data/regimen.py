"""A regimen: a readable sum of doses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pkpd import units
from pkpd.data.dose import Dose, is_number
from pkpd.data.layout import html_table, short, text_table
from pkpd.errors import DoseError, UnitError

#: The text of a regimen without a dose.
NO_DOSE = "no dose"


@dataclass(frozen=True, slots=True)
class Regimen:
    """A readable sum of doses, sorted by time.

    Parameters
    ----------
    doses : iterable of Dose
        Doses given at the same time keep their order.
    time_unit : str, optional
        Unit of all times, durations and intervals; None: the time unit of the model it is given to.

    Examples
    --------
    >>> twice = Regimen.every(84, amount=35, n=8, over=2/3, route="iv")
    >>> print(Regimen.read("0.5 mg/kg ketamine iv over 40 min then 0.045 mg/kg midazolam iv over 40 min at day 14"))
    Regimen of 2 doses, time in h
    TIME    AMT  UNIT   ROUTE              DUR
       0    0.5  mg/kg  ketamine.iv   0.666667
     336  0.045  mg/kg  midazolam.iv  0.666667
    """

    doses: tuple[Dose, ...]
    time_unit: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        doses = tuple(self.doses)
        for dose in doses:
            if not isinstance(dose, Dose):
                raise DoseError(
                    f"{dose!r} is not a Dose.",
                    where="Regimen",
                    expected="A regimen is made of Dose objects.",
                    remedy='Write Regimen((Dose(35, route="iv"),)) or Regimen.read("35 mg iv").',
                )
        if self.time_unit is not None:
            _time_factor(self.time_unit, "h")
        object.__setattr__(self, "doses", tuple(sorted(doses, key=lambda dose: dose.time)))

    @classmethod
    def every(cls, interval: float, *, amount: float, n: int, **dose: Any) -> Regimen:
        """Give `n` doses of `amount`, one every `interval`; further arguments as for :class:`Dose`."""
        return cls((Dose(amount, every=interval, n=n, **dose),))

    @classmethod
    def read(cls, text: str, time_unit: str = "h") -> Regimen:
        """Read a regimen from a sentence, its times in `time_unit`.

        Each dose is ``<amount> <unit>[/kg] [<drug>] [<route>] [bolus | over <time> | at <rate>]
        [every <time> x <n>] [at <time> | at day <n> | from <time>]``; doses are joined with ``;``, ``and`` or
        ``then``. ``day 14`` is 14 times 24 h after time 0. ``no dose`` is a regimen without any.

        Raises
        ------
        DoseError
            With a caret under the place that is not understood.

        Examples
        --------
        >>> print(Regimen.read("56 mg nasal every 84 h x 8"))
        Regimen of 8 doses, time in h
        TIME  AMT  UNIT  ROUTE  II  ADDL
           0   56  mg    nasal  84     7
        """
        from pkpd.data.sentence import read_sentence

        none = isinstance(text, str) and " ".join(text.lower().split()) == NO_DOSE
        return cls(() if none else read_sentence(text, time_unit), time_unit=time_unit)

    @classmethod
    def of(cls, given: Regimen | Dose | str | Iterable[Dose], time_unit: str = "h") -> Regimen:
        """Make a regimen from whatever a user may write: a regimen, a dose, several doses or a sentence.

        `time_unit` is the unit that a sentence's times are converted to.
        """
        if isinstance(given, Regimen):
            return given
        if isinstance(given, str):
            return cls.read(given, time_unit)
        return cls((given,) if isinstance(given, Dose) else tuple(given))

    def __add__(self, other: Regimen | Dose) -> Regimen:
        if isinstance(other, Dose):
            other = Regimen((other,))
        if not isinstance(other, Regimen):
            return NotImplemented
        if self.time_unit and other.time_unit:
            other = other.in_time_unit(self.time_unit)
        return Regimen(self.doses + other.doses, time_unit=self.time_unit or other.time_unit)

    def __iter__(self) -> Iterator[Dose]:
        return iter(self.doses)

    def __len__(self) -> int:
        """Count the lines; :attr:`count` is the number of doses."""
        return len(self.doses)

    @property
    def count(self) -> int:
        """Number of doses given in all."""
        return sum(dose.n for dose in self.doses)

    @property
    def last(self) -> float:
        """Time of the last dose."""
        return max((dose.last for dose in self.doses), default=0.0)

    def shift(self, time: float) -> Regimen:
        """Give the same doses, `time` later."""
        if not is_number(time):
            raise DoseError(
                f"The shift is {time!r}, not a finite number.",
                where="Regimen.shift",
                remedy="Give the time by which to move the doses.",
            )
        return self._with(replace(dose, time=dose.time + time) for dose in self.doses)

    def repeat(self, n: int, *, every: float) -> Regimen:
        """Give the whole regimen `n` times, one start every `every`."""
        if not is_number(n) or int(n) != n or n < 1:
            raise DoseError(
                f"n is {n!r}.",
                where="Regimen.repeat",
                expected="It is a whole number, 1 or more.",
                remedy="Say how many times in all.",
            )
        if not is_number(every) or every <= 0:
            raise DoseError(
                f"every is {every!r}.",
                where="Regimen.repeat",
                expected="It is a time greater than 0.",
                remedy="Give the time from one start to the next.",
            )
        return self._with(replace(dose, time=dose.time + k * every) for k in range(int(n)) for dose in self.doses)

    def scale(self, factor: float) -> Regimen:
        """Give the same regimen with all amounts (and rates) multiplied by `factor`; durations stay."""
        if not is_number(factor) or factor <= 0:
            raise DoseError(
                f"The factor is {factor!r}.",
                where="Regimen.scale",
                expected="It is a number greater than 0.",
                remedy="For no treatment, use Regimen(()).",
            )
        return self._with(
            replace(dose, amount=dose.amount * factor, rate=None if dose.rate is None else dose.rate * factor)
            for dose in self.doses
        )

    def expand(self) -> Regimen:
        """Write all doses out one by one."""
        return self._with(single for dose in self.doses for single in dose.expand())

    def in_time_unit(self, unit: str) -> Regimen:
        """Give the same regimen with its times in `unit`; one without a time unit is taken to be in `unit` already."""
        if self.time_unit == unit:
            return self
        if self.time_unit is None:
            return Regimen(self.doses, time_unit=unit)
        factor = _time_factor(self.time_unit, unit)
        scaled = (
            replace(
                dose,
                time=dose.time * factor,
                over=None if dose.over is None else dose.over * factor,
                rate=None if dose.rate is None else dose.rate / factor,
                every=None if dose.every is None else dose.every * factor,
            )
            for dose in self.doses
        )
        return Regimen(tuple(scaled), time_unit=unit)

    def columns(self) -> dict[str, list[str]]:
        """Give the NONMEM-style table that is printed, as text by column; columns that nobody uses are left out."""
        table = {
            "TIME": [short(dose.time) for dose in self.doses],
            "AMT": [short(dose.amount) for dose in self.doses],
            "UNIT": [short(dose.unit_text) for dose in self.doses],
            "ROUTE": [short(dose.route) for dose in self.doses],
            "DUR": [short(dose.over) for dose in self.doses],
            "RATE": [short(dose.rate) for dose in self.doses],
            "II": [short(dose.every) for dose in self.doses],
            "ADDL": [str(dose.addl) if dose.addl else "." for dose in self.doses],
            "SS": [str(dose.ss) if dose.ss else "." for dose in self.doses],
        }
        return {name: cells for name, cells in table.items() if name in ("TIME", "AMT") or set(cells) != {"."}}

    def _with(self, doses: Iterable[Dose]) -> Regimen:
        return Regimen(tuple(doses), time_unit=self.time_unit)

    def _title(self) -> str:
        number = NO_DOSE if not self.count else "1 dose" if self.count == 1 else f"{self.count} doses"
        return f"Regimen of {number}" + (f", time in {self.time_unit}" if self.time_unit else "")

    def __str__(self) -> str:
        if not self.doses:
            return self._title()
        return f"{self._title()}\n{text_table(self.columns(), left=('UNIT', 'ROUTE'))}"

    def __repr__(self) -> str:
        text = "; ".join(dose.sentence(self.time_unit) for dose in self.doses)
        return f"Regimen({text or 'no dose'})"

    def _repr_html_(self) -> str:
        return html_table(self.columns(), caption=self._title())


def _time_factor(given: str, wanted: str) -> float:
    try:
        return units.factor(given, wanted)
    except UnitError as error:
        raise DoseError(
            f"`{given}` is not a unit of time.",
            where="Regimen",
            expected="Units of time: s, min, h, d, wk.",
            remedy="Give the unit of the regimen's times.",
        ) from error
