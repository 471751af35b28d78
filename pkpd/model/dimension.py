"""The units of expressions: inferred where they are not said, checked where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pkpd.errors import UnitError
from pkpd.model.expression import COMPARISONS, Call, Expr, Name, Number, is_whole, to_text
from pkpd.model.grammar import Place
from pkpd.units import DIMENSIONLESS, Unit, factor, read

if TYPE_CHECKING:
    from pkpd.model.model import Model

Report = Callable[[Place, dict[str, Any]], None]
Environment = Mapping[str, "Unit | None"]
NOWHERE = Place(0, 0)


class _Any:
    """The unit of a literal 0, which fits everywhere."""


ANY = _Any()
Found = Unit | _Any | None  # None: not known, or wrong and said already


def environment(model: Model, units: Mapping[str, str]) -> dict[str, Unit | None]:
    """Give the unit of every name, given those of the states (as text, empty if not known)."""
    known: dict[str, Unit | None] = {"t": _read(model.time_unit)}
    for rows in (model.covariates, model.constants, model.parameters, model.needs):
        known.update({name: _read(row.unit) for name, row in rows.items()})
    known.update({name: _read(unit) if unit else None for name, unit in units.items()})
    for name, expr in model.assignments:
        found = unit_of(expr, known)
        known[name] = DIMENSIONLESS if isinstance(found, _Any) else found
    return known


def state_units(model: Model) -> dict[str, str]:
    """Give the unit of each state as text: declared, the amount unit if dosed, else inferred; empty if not known.

    An undeclared state gets what its start value says, or what its derivative says times the unit of time; the
    search goes on until nothing new is learned.
    """
    units = {name: model.states[name].unit if name in model.states else "" for name in model.derivatives}
    for route in model.routes.values():
        for one in route.inputs:
            if one.into in units and not units[one.into]:
                units[one.into] = model.amount_unit
    time = _read(model.time_unit)
    learned = time is not None
    unknown = list(units)
    while learned:
        known = environment(model, units)
        learned = False
        unknown = unknown[::-1]  # a chain of states is followed from either end
        for name in [name for name in unknown if not units[name]]:
            found = unit_of(model.initials[name], known) if name in model.initials else None
            if not isinstance(found, Unit):
                found = unit_of(model.derivatives[name], known)
                found = found * time if isinstance(found, Unit) and time is not None else None
            if isinstance(found, Unit) and is_plain(found):
                units[name] = str(found)
                known[name] = found
                learned = True
    return units


def is_plain(unit: Unit) -> bool:
    """Tell whether this is a unit one would write: no named powers, no two words for the same dimension (h/min)."""
    if any("**" in word for word, _ in unit.terms):
        return False
    dimensions = [Unit(((word, Fraction(1)),)).dims for word, _ in unit.terms]
    return len(set(dimensions)) == len(dimensions)


def unit_of(expr: Expr, known: Environment, place: Place = NOWHERE, report: Report | None = None) -> Found:
    """Give the unit of an expression.

    Parameters
    ----------
    expr, place
        The expression, and where its parts stand.
    known
        Unit of each name; None where it is not known.
    report
        Called with the place and the parts of a message for what does not fit; without it, only the unit is sought.

    Returns
    -------
    Unit, ANY or None
        ANY for a literal 0; None if it cannot be told.
    """
    if isinstance(expr, Number):
        return ANY if expr.value == 0 else DIMENSIONLESS
    if isinstance(expr, Name):
        return known.get(expr.name)
    parts = place.parts if len(place.parts) == len(expr.args) else (place,) * len(expr.args)
    units = [unit_of(arg, known, part, report) for arg, part in zip(expr.args, parts, strict=True)]
    return _Operation(expr, place, parts, units, report).result()


class _Operation:
    def __init__(
        self, expr: Call, place: Place, parts: tuple[Place, ...], units: list[Found], report: Report | None
    ) -> None:
        self.expr, self.place, self.parts, self.units, self.report = expr, place, parts, units, report

    def result(self) -> Found:
        op, units = self.expr.op, self.units
        if op in ("+", "-", "min", "max"):
            return self._alike(0, 1)
        if op in COMPARISONS:
            self._alike(0, 1)
            return DIMENSIONLESS
        if op == "if":
            return self._alike(1, 2)
        if op in ("and", "or", "not"):
            return DIMENSIONLESS
        if op in ("neg", "abs"):
            return units[0]
        if any(isinstance(unit, _Any) for unit in units[: 1 if op == "**" else 2]) and op in ("*", "/", "sqrt", "**"):
            return ANY
        if op in ("exp", "log", "log10", "sin", "cos", "tanh", "floor", "lgamma", "phi"):
            self._bare(0, f"{op}(…) takes a bare number")
            return DIMENSIONLESS
        left = units[0]
        if op == "sqrt":
            return left ** Fraction(1, 2) if isinstance(left, Unit) else None
        if op == "**":
            return self._power()
        right = units[1]
        if not (isinstance(left, Unit) and isinstance(right, Unit)):
            return None
        return left * right if op == "*" else left / right

    def _power(self) -> Found:
        base, exponent = self.units[0], self.expr.args[1]
        self._bare(1, "an exponent is a bare number")
        if not isinstance(base, Unit):
            return None
        if not base.dims and abs(base.factor - 1) < 1e-9:
            return DIMENSIONLESS
        if isinstance(exponent, Number):
            return base ** (int(exponent.value) if is_whole(exponent) else exponent.value)
        # known to be equal to itself only: ce ** gamma fits ec50 ** gamma, and nothing else
        return Unit(((f"({_spelling(base)})**{to_text(exponent)}".replace(" ", ""), Fraction(1)),))

    def _alike(self, first: int, second: int) -> Found:
        left, right = self.units[first], self.units[second]
        if left is None or right is None:
            known = right if left is None else left
            return known if isinstance(known, Unit) else None
        if isinstance(left, _Any) or isinstance(right, _Any):
            return right if isinstance(left, _Any) else left
        if left != right and self.report is not None:
            args = self.expr.args
            self.report(self.place, mismatch(f"`{short(args[first])}`", left, f"`{short(args[second])}`", right))
            return None
        return left

    def _bare(self, index: int, rule: str) -> None:
        unit = self.units[index]
        if isinstance(unit, Unit) and unit != DIMENSIONLESS and self.report is not None:
            what = f"`{short(self.expr.args[index])}` is in {unit}, but {rule}."
            remedy = "Divide it by something of the same unit: a parameter, or a row in [constants]."
            self.report(self.parts[index], {"what": what, "remedy": remedy})


_SPELLINGS: dict[tuple[Any, str], str] = {}


def _spelling(unit: Unit) -> str:
    """Give one text for all units of the same size, so that (ng/mL)**gamma and (ug/L)**gamma are one."""
    return _SPELLINGS.setdefault((unit.dims, f"{unit.factor:.9e}"), str(unit))


def short(expr: Expr) -> str:
    """Give the text of an expression, cut if it is long."""
    text = to_text(expr)
    return text if len(text) <= 40 else text[:37] + "…"


def mismatch(left: str, left_unit: Unit, right: str, right_unit: Unit) -> dict[str, Any]:
    """Give the parts of a message about two things whose units should be the same."""
    what = f"{left} is {_in(left_unit)}, and {right} is {_in(right_unit)}"
    if left_unit.dims != right_unit.dims:
        remedy = (
            "Give the number its unit: a row in [constants]." if not (left_unit.terms and right_unit.terms) else None
        )
        words = {name for name, _ in left_unit.dims} ^ {name for name, _ in right_unit.dims}
        if words == {"mass", "substance"}:
            remedy = 'Convert with a molar mass: a row in [constants] such as mm = { value = 237.73, unit = "g/mol" }.'
        return {"what": what + ".", "expected": "Both must measure the same.", "remedy": remedy or ""}
    ratio = factor(right_unit, left_unit)
    return {
        "what": f"{what}: they differ by a factor of {max(ratio, 1 / ratio):.6g}.",
        "remedy": f"Convert in the open: multiply {right} by a row in [constants] such as "
        f'scale = {{ value = {ratio:.6g}, unit = "{conversion(left_unit, right_unit)}" }}.',
    }


def conversion(to: Unit, come_from: Unit) -> str:
    """Give the unit of the constant that turns `come_from` into `to`: ``"ng/mg"``."""
    return str(to / come_from)


def _in(unit: Unit) -> str:
    return f"in {unit}" if unit.terms else "a bare number"


def _read(text: str) -> Unit | None:
    try:
        return read(text)
    except UnitError:  # said where the row is checked
        return None
