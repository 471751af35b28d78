"""Units: read, compare, convert. A table of the common ones is here; pint knows the rest and is imported only then.

A unit is a product of words (``mg``, ``L``, ``h`` …) with exponents, which reduces to a factor and dimensions:
``ng/mL`` is 1e-3 g/m3, and so is ``ug/L``. Nothing is converted at run time without being asked for.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from pkpd.errors import UnitError

__all__ = ["DIMENSIONLESS", "Unit", "UnitLike", "convert", "factor", "read", "same", "tidy"]

_PREFIXES = {"": 1.0, "k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_BASES = {"g": (1.0, "mass", 1), "mol": (1.0, "substance", 1), "L": (1e-3, "length", 3), "m": (1.0, "length", 1)}
_DAY = 86400.0
_WORDS: dict[str, tuple[float, tuple[tuple[str, int], ...]]] = {
    "%": (0.01, ()),
    "s": (1.0, (("time", 1),)),
    "min": (60.0, (("time", 1),)),
    "h": (3600.0, (("time", 1),)),
    "d": (_DAY, (("time", 1),)),
    "wk": (7 * _DAY, (("time", 1),)),
    "year": (365.25 * _DAY, (("time", 1),)),
    "M": (1e3, (("length", -3), ("substance", 1))),
    "cell": (1.0, (("cell", 1),)),
    "copy": (1.0, (("copy", 1),)),
    "beat": (1.0, (("beat", 1),)),
    "point": (1.0, (("point", 1),)),
    "IU": (1.0, (("IU", 1),)),
    "mIU": (1e-3, (("IU", 1),)),
    "kIU": (1e3, (("IU", 1),)),
    "U": (1.0, (("U", 1),)),
    "mU": (1e-3, (("U", 1),)),
}
for _prefix, _scale in _PREFIXES.items():
    for _base, (_size, _dimension, _times) in _BASES.items():
        _WORDS[_prefix + _base] = (_scale * _size, ((_dimension, _times),))
    if _prefix:
        _WORDS[_prefix + "M"] = (_scale * 1e3, (("length", -3), ("substance", 1)))
_ALIASES = {
    "l": "L", "ml": "mL", "dl": "dL", "ul": "uL", "hr": "h", "hour": "h", "hours": "h", "minute": "min",
    "minutes": "min", "sec": "s", "second": "s", "seconds": "s", "day": "d", "days": "d", "week": "wk", "weeks": "wk",
    "years": "year", "yr": "year",
    "mcg": "ug", "percent": "%", "cells": "cell", "copies": "copy", "beats": "beat", "points": "point",
    "score": "point",
}  # fmt: skip
_EXPONENT = r"[-+]?\d+(?:\.\d+)?"
_TOKEN = re.compile(
    rf"\s*(?:[A-Za-z%]+|\d+|(?:\*\*|\^)\s*(?:\(\s*{_EXPONENT}(?:\s*/\s*\d+)?\s*\)|{_EXPONENT})|[*·/()])"
)
_SUPERSCRIPTS = str.maketrans("0123456789-/.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ·")
MAX_CHARACTERS = 100

Dims: TypeAlias = tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, eq=False)
class Unit:
    """A unit: words with exponents, sorted so that equal units look equal.

    Parameters
    ----------
    terms
        (word, exponent), exponents not 0. A word that no table knows and that holds ``**`` stands for a unit raised
        to a named power.
    """

    terms: tuple[tuple[str, Fraction], ...] = ()

    @cached_property
    def factor(self) -> float:
        """Size in base units."""
        return math.prod(_word(word)[0] ** float(exponent) for word, exponent in self.terms)

    @cached_property
    def dims(self) -> Dims:
        """Dimensions with their exponents, sorted."""
        found: dict[str, Fraction] = {}
        for word, exponent in self.terms:
            for dimension, power in _word(word)[1]:
                found[dimension] = found.get(dimension, Fraction(0)) + power * exponent
        return tuple(sorted((name, power) for name, power in found.items() if power))

    def __mul__(self, other: Unit) -> Unit:
        return _unit([*self.terms, *other.terms])

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __pow__(self, exponent: float | Fraction) -> Unit:
        power = Fraction(exponent).limit_denominator(1000)
        return _unit([(word, own * power) for word, own in self.terms])

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, Unit) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.dims)

    def __str__(self) -> str:
        # time comes last, as one writes it: mg/L/h
        terms = sorted(self.terms, key=lambda term: _word(term[0])[1] == (("time", 1),))
        over = [_term(word, exponent) for word, exponent in terms if exponent > 0]
        under = [_term(word, -exponent) for word, exponent in terms if exponent < 0]
        return "/".join(["*".join(over) or "1", *under])

    def __repr__(self) -> str:
        return f"Unit({str(self)!r})"


UnitLike: TypeAlias = Unit | str
DIMENSIONLESS = Unit()


def read(text: UnitLike) -> Unit:
    """Read a unit.

    Parameters
    ----------
    text
        Such as ``"mg"``, ``"L/h/kg"``, ``"1/h"``, ``"ng*h/mL"``, ``"kg**0.75"``, ``"%"``; ``"1"`` or ``""`` for none.

    Raises
    ------
    UnitError
        A word is not a unit, or the text is not a product of units.

    Examples
    --------
    >>> read("ng/mL") == read("ug/L")
    True
    """
    return text if isinstance(text, Unit) else _read(text)


def same(a: UnitLike, b: UnitLike) -> bool:
    """Tell whether two units are the same in kind and size: ``mg/L`` and ``ug/mL`` are, ``mg/L`` and ``ng/mL`` not."""
    if isinstance(a, str) and a == b:
        return True
    left, right = read(a), read(b)
    return left.dims == right.dims and math.isclose(left.factor, right.factor, rel_tol=1e-9)


def factor(a: UnitLike, b: UnitLike) -> float:
    """Give the number that turns a value in `a` into a value in `b`.

    Raises
    ------
    UnitError
        They measure different things.

    Examples
    --------
    >>> factor("mg/L", "ng/mL")
    1000.0
    """
    if isinstance(a, str) and a == b:
        return 1.0
    left, right = read(a), read(b)
    if left.dims != right.dims:
        raise UnitError(
            f"{_say(left)} cannot be turned into {_say(right)}.",
            expected=f"{_say(left)} measures {_dims_text(left)}, {_say(right)} measures {_dims_text(right)}.",
            remedy="Check the units; mass and amount of substance differ by a molar mass.",
        )
    ratio = left.factor / right.factor
    nearest = float(f"{ratio:.12g}")  # 1e-3 / 1e-6 is not quite 1000 in binary
    return nearest if math.isclose(ratio, nearest, rel_tol=1e-13) else ratio


def convert(value: Any, a: UnitLike, b: UnitLike) -> Any:
    """Give `value` (number or array) in `b` instead of `a`; UnitError if they measure different things."""
    return value * factor(a, b)


def tidy(text: UnitLike) -> str:
    """Give a unit as one prints it on an axis: "ug/mL" as "µg/mL", "m**2" as "m²", "1" as an empty text."""
    unit = read(text)
    if not unit.terms:
        return ""
    written = str(text).strip()
    written = re.sub(r"\bu(?=(g|L|mol|M|m|s)\b)", "µ", written)
    written = re.sub(r"(?:\*\*|\^)\(?(-?[\d./]+)\)?", lambda match: match.group(1).translate(_SUPERSCRIPTS), written)
    return written.replace("*", "·")


@lru_cache(maxsize=4096)
def _read(text: str) -> Unit:
    if not isinstance(text, str):
        raise UnitError(f"a unit is a text, not {text!r}.")
    stripped = text.replace("µ", "u").replace("μ", "u").strip()
    if stripped in ("", "1"):
        return DIMENSIONLESS
    if len(stripped) > MAX_CHARACTERS:
        raise UnitError(f"a unit of {len(stripped)} characters is too long.", where=f"unit {text[:40]!r}…")
    tokens: list[str] = []
    position = 0
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise _not_a_unit(text, f"`{stripped[position:].strip()[:2]}` cannot stand in a unit.")
        tokens.append(match.group().strip())
        position = match.end()
    terms, rest = _product(text, tokens)
    if rest:
        raise _not_a_unit(text, f"`{rest[0]}` is not expected here.")
    return _unit(terms)


def _product(text: str, tokens: list[str]) -> tuple[list[tuple[str, Fraction]], list[str]]:
    """Read factors joined by * and /, to the end or to a closing bracket."""
    terms: list[tuple[str, Fraction]] = []
    sign = 1
    while True:
        factors, tokens = _power(text, tokens)
        terms += [(word, exponent * sign) for word, exponent in factors]
        if not tokens or tokens[0] not in ("*", "·", "/"):
            return terms, tokens
        sign = -1 if tokens[0] == "/" else 1
        tokens = tokens[1:]


def _power(text: str, tokens: list[str]) -> tuple[list[tuple[str, Fraction]], list[str]]:
    if not tokens:
        raise _not_a_unit(text, "it ends too early.")
    first, tokens = tokens[0], tokens[1:]
    if first == "(":
        terms, tokens = _product(text, tokens)
        if not tokens or tokens[0] != ")":
            raise _not_a_unit(text, "a bracket is not closed.")
        tokens = tokens[1:]
    elif first == "1":
        terms = []
    elif first[0].isalpha() or first == "%":
        word = _ALIASES.get(first, first)
        _word(word)
        terms = [(word, Fraction(1))]
    else:
        raise _not_a_unit(text, f"`{first}` cannot stand here.")
    if tokens and tokens[0][:1] in "*^" and len(tokens[0]) > 1:
        exponent, tokens = _exponent(text, tokens[0]), tokens[1:]
        terms = [(word, own * exponent) for word, own in terms]
    return terms, tokens


def _exponent(text: str, token: str) -> Fraction:
    try:
        value = Fraction(re.sub(r"[*^()\s]", "", token))
    except (ValueError, ZeroDivisionError):
        raise _not_a_unit(text, "an exponent is a number.") from None
    if abs(value) > 100:
        raise _not_a_unit(text, f"the exponent {float(value):g} is too large.")
    return value


def _unit(terms: list[tuple[str, Fraction]]) -> Unit:
    found: dict[str, Fraction] = {}
    for word, exponent in terms:
        found[word] = found.get(word, Fraction(0)) + exponent
    return Unit(tuple((word, exponent) for word, exponent in found.items() if exponent))


@lru_cache(maxsize=4096)
def _word(word: str) -> tuple[float, tuple[tuple[str, int | Fraction], ...]]:
    """Give factor and dimensions of one word."""
    if word in _WORDS:
        return _WORDS[word]
    if "**" in word:  # a unit to a named power: known to nobody else, equal to itself only
        return 1.0, ((word, 1),)
    return _ask_pint(word)


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _ask_pint(word: str) -> tuple[float, tuple[tuple[str, Fraction], ...]]:
    import pint

    names = {"[mass]": "mass", "[substance]": "substance", "[length]": "length", "[time]": "time"}
    try:
        # a single word of letters: there is nothing in it that pint could compute
        quantity, twice = (_registry().Quantity(size, word).to_base_units() for size in (1.0, 2.0))
    except (pint.PintError, AttributeError, ValueError, TypeError):
        near = difflib.get_close_matches(word, [*_WORDS, *_ALIASES], n=1, cutoff=0.5)
        raise UnitError(
            f"`{word[:40]}` is not a unit.",
            expected="Units look like mg, L/h, ng/mL, 1/h, mg/kg, %.",
            remedy=f"Did you mean `{near[0]}`?" if near else None,
        ) from None
    size = float(quantity.magnitude)
    prefix = next(iter(_registry().parse_unit_name(word)), ("",))[0]
    if prefix and quantity.check("[time]") and not word.endswith("s"):
        raise UnitError(f"`{word}` is not a unit.", expected="Times are in s, min, h, d, wk or year.")
    if not math.isclose(twice.magnitude, 2 * size, rel_tol=1e-9):
        raise UnitError(f"`{word}` does not count from zero.", remedy="Use a unit that does, such as K.")
    dims = []
    for dimension, power in quantity.dimensionality.items():
        name = names.get(dimension, dimension)
        if name == "mass":  # pint counts kilograms
            size *= 1000.0 ** float(power)
        dims.append((name, Fraction(power).limit_denominator(1000)))
    return size, tuple(sorted(dims))


def _not_a_unit(text: str, why: str) -> UnitError:
    return UnitError(
        f"{text[:40]!r} is not a unit: {why}", expected="Units look like mg, L/h, ng/mL, 1/h, mg/kg, kg**0.75, %."
    )


def _term(word: str, exponent: Fraction) -> str:
    if exponent == 1:
        return word
    power = str(exponent) if exponent.denominator == 1 else f"{float(exponent):g}"
    return f"({word})**{power}" if "**" in word else f"{word}**{power}"


def _say(unit: Unit) -> str:
    return str(unit) if unit.terms else "a bare number"


def _dims_text(unit: Unit) -> str:
    if not unit.dims:
        return "nothing (a bare number)"
    if unit.dims == (("length", Fraction(3)),):
        return "volume"
    return " ".join(name if power == 1 else f"{name}^{float(power):g}" for name, power in unit.dims)
