"""Expressions: what equations are made of, once they have been read.

Three kinds of node, all immutable, compared and hashed by content. Where the text said something is not kept here
but in a tree of :class:`pkpd.model.equation.Place` of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARITY = {
    "neg": 1, "exp": 1, "log": 1, "log10": 1, "sqrt": 1, "abs": 1, "sin": 1, "cos": 1, "tanh": 1, "floor": 1, "not": 1,
    "lgamma": 1, "phi": 1,
    "+": 2, "-": 2, "*": 2, "/": 2, "**": 2, "min": 2, "max": 2,
    "<": 2, "<=": 2, ">": 2, ">=": 2, "==": 2, "!=": 2, "and": 2, "or": 2,
    "if": 3,
}  # fmt: skip
FUNCTIONS = ("exp", "log", "log10", "sqrt", "abs", "sin", "cos", "tanh", "min", "max", "floor", "lgamma", "phi")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")

# How tightly an operator binds, as in Python; a weaker operand is put in brackets.
_BINDING = {
    "if": 1, "or": 2, "and": 3, "not": 4, **dict.fromkeys(COMPARISONS, 5), "+": 6, "-": 6, "*": 7, "/": 7, "neg": 8,
    "**": 9,
}  # fmt: skip
_ATOM = 10


@dataclass(frozen=True, slots=True)
class Number:
    """A number, written out in an equation."""

    value: float

    def __str__(self) -> str:
        return to_text(self)


@dataclass(frozen=True, slots=True)
class Name:
    """A name, dotted (``ketamine.cp``) if it comes from an included model."""

    name: str

    def __str__(self) -> str:
        return to_text(self)


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on other expressions.

    Parameters
    ----------
    op
        A key of :data:`ARITY`. Comparisons and ``and or not`` give 1 or 0; ``if`` takes (condition, then, else).
    args
        The operands, as many as the operation takes.
    """

    op: str
    args: tuple[Expr, ...]

    def __post_init__(self) -> None:
        if len(self.args) != ARITY[self.op]:
            raise ValueError(f"{self.op} takes {ARITY[self.op]} operands, not {len(self.args)}")

    def __str__(self) -> str:
        return to_text(self)


Expr: TypeAlias = Number | Name | Call


def walk(expr: Expr) -> Iterator[Expr]:
    """Give every node, the operands before what is made of them."""
    if isinstance(expr, Call):
        for arg in expr.args:
            yield from walk(arg)
    yield expr


def names(expr: Expr) -> set[str]:
    """Give the names that an expression uses."""
    return {node.name for node in walk(expr) if isinstance(node, Name)}


def substitute(expr: Expr, replacements: Mapping[str, Expr]) -> Expr:
    """Put expressions in the place of names."""
    if isinstance(expr, Name):
        return replacements.get(expr.name, expr)
    if isinstance(expr, Call):
        return Call(expr.op, tuple(substitute(arg, replacements) for arg in expr.args))
    return expr


def is_whole(expr: Expr) -> bool:
    """Tell whether this is a literal whole number, whose power is a plain product."""
    return isinstance(expr, Number) and float(expr.value).is_integer()


def without_sign(expr: Expr) -> Expr | None:
    """Give b * c for -b * c, where the sign belongs to the first factor; None if there is no sign."""
    if not isinstance(expr, Call):
        return None
    if expr.op == "neg":
        return expr.args[0]
    first = without_sign(expr.args[0]) if expr.op in ("*", "/") else None
    return Call(expr.op, (first, expr.args[1])) if first is not None else None


def add(left: Expr, right: Expr) -> Expr:
    """Give the sum of two expressions; ``a + -b`` is written ``a - b`` and a literal 0 is dropped."""
    if left == Number(0.0):
        return right
    if right == Number(0.0):
        return left
    if (positive := without_sign(right)) is not None:
        return Call("-", (left, positive))
    if isinstance(right, Call) and right.op in ("+", "-"):  # so that a sum reads from left to right
        return Call(right.op, (add(left, right.args[0]), right.args[1]))
    return Call("+", (left, right))


def number_text(value: float) -> str:
    """Give the shortest text that reads back as the same number."""
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(float(value))


def to_text(expr: Expr) -> str:
    """Give the text of an expression; reading it back gives an equal expression.

    Examples
    --------
    >>> to_text(Call("*", (Call("+", (Name("a"), Number(1.0))), Name("b"))))
    '(a + 1) * b'
    """
    return _text(expr)[0]


def _text(expr: Expr) -> tuple[str, int]:
    if isinstance(expr, Number):
        return number_text(expr.value), _BINDING["neg"] if expr.value < 0 else _ATOM
    if isinstance(expr, Name):
        return expr.name, _ATOM
    op, args = expr.op, expr.args
    binding = _BINDING.get(op, _ATOM)
    if binding == _ATOM:
        return f"{op}({', '.join(to_text(arg) for arg in args)})", _ATOM
    if op == "if":
        condition, then, otherwise = (_bracket(arg, binding + 1) for arg in args)
        return f"{then} if {condition} else {otherwise}", binding
    if op == "neg":
        # a literal would be read back as a negative number
        inner = f"({to_text(args[0])})" if isinstance(args[0], Number) else _bracket(args[0], binding)
        return f"-{inner}", binding
    if op == "not":
        return f"not {_bracket(args[0], binding)}", binding
    left, right = args
    if op == "**":  # binds from the right, and tighter than a sign on its left only
        return f"{_bracket(left, _ATOM)} ** {_bracket(right, _BINDING['neg'])}", binding
    loose = binding + 1 if op in COMPARISONS else binding  # a comparison does not chain
    return f"{_bracket(left, loose)} {op} {_bracket(right, binding + 1)}", binding


def _bracket(expr: Expr, at_least: int) -> str:
    text, binding = _text(expr)
    return text if binding >= at_least else f"({text})"


def power(base: Any, exponent: Any) -> NDArray[np.float64]:
    """Give ``base ** exponent`` for an exponent that is not a literal whole number.

    ``base <= 0`` gives 0 for a positive exponent, 1 for exponent 0 and inf for a negative one: an amount that a
    solver carries a rounding error below zero counts as zero.
    """
    base, exponent = np.broadcast_arrays(np.asarray(base, float), np.asarray(exponent, float))
    at_zero = np.where(exponent > 0, 0.0, np.where(exponent == 0, 1.0, np.inf))
    positive = base > 0
    value = np.where(positive, base, 1.0) ** exponent
    return np.where(np.isnan(base), np.nan, np.where(positive, value, at_zero))


def _lgamma(x: Any) -> NDArray[np.float64]:
    from scipy import special

    return np.where(np.asarray(x) >= 0, special.gammaln(x), np.nan)


def _phi(x: Any) -> NDArray[np.float64]:
    from scipy import special

    return special.ndtr(x)


_UNARY = {
    "neg": np.negative, "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt, "abs": np.abs,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "floor": np.floor, "not": np.logical_not, "lgamma": _lgamma,
    "phi": _phi,
}  # fmt: skip
_BINARY = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "min": np.minimum, "max": np.maximum,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip


def evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    """Give the value of an expression: slow, plain, the reference for everything faster.

    Parameters
    ----------
    expr
        The expression.
    values
        A number or an array for each name; arrays broadcast as in NumPy.

    Returns
    -------
    float or ndarray
        In floating point throughout; what overflows or is undefined is inf or nan, without a warning.

    Raises
    ------
    KeyError
        A name has no value.
    """
    with np.errstate(all="ignore"):
        return _evaluate(expr, values)


def _evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    if isinstance(expr, Number):
        return np.float64(expr.value)
    if isinstance(expr, Name):
        return np.asarray(values[expr.name], float)[()]
    if expr.op == "**" and is_whole(expr.args[1]):
        return _evaluate(expr.args[0], values) ** expr.args[1].value  # type: ignore[union-attr]
    args = [_evaluate(arg, values) for arg in expr.args]
    if expr.op == "**":
        return power(*args)[()]
    if expr.op == "if":
        return np.where(np.asarray(args[0]) != 0, args[1], args[2])[()]
    result = (_UNARY[expr.op] if len(args) == 1 else _BINARY[expr.op])(*args)
    return result.astype(float) if result.dtype == bool else result


def to_sympy(expr: Expr) -> Any:
    """Give an expression as SymPy; names become real symbols, ``if`` a Piecewise.

    Powers are SymPy's own: the rule for ``base <= 0`` (see :func:`power`) is the caller's to keep.
    """
    import sympy

    if isinstance(expr, Number):
        small = float(expr.value).is_integer() and abs(expr.value) < 1e9
        return sympy.Integer(int(expr.value)) if small else sympy.Float(expr.value)
    if isinstance(expr, Name):
        return sympy.Symbol(expr.name, real=True)
    if expr.op == "if":
        condition, then, otherwise = expr.args
        return sympy.Piecewise((to_sympy(then), _truth(condition)), (to_sympy(otherwise), True))
    if expr.op in COMPARISONS or expr.op in ("and", "or", "not"):
        return sympy.Piecewise((sympy.Integer(1), _truth(expr)), (sympy.Integer(0), True))
    args = [to_sympy(arg) for arg in expr.args]
    if expr.op == "log10":
        return sympy.log(args[0]) / sympy.log(sympy.Integer(10))
    return _sympy_operation(expr.op)(*args)


def _truth(expr: Expr) -> Any:
    """Give a condition as a SymPy boolean: a number is true if it is not 0."""
    import sympy

    if isinstance(expr, Call) and expr.op in COMPARISONS:
        relation = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}
        return relation[expr.op](*(to_sympy(arg) for arg in expr.args))
    if isinstance(expr, Call) and expr.op in ("and", "or", "not"):
        join = {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}[expr.op]
        return join(*(_truth(arg) for arg in expr.args))
    return sympy.Ne(to_sympy(expr), 0)


def _sympy_operation(op: str) -> Any:
    import sympy

    return {
        "neg": lambda a: -a, "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
        "/": lambda a, b: a / b, "**": lambda a, b: a**b, "exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt,
        "abs": sympy.Abs, "sin": sympy.sin, "cos": sympy.cos, "tanh": sympy.tanh, "min": sympy.Min, "max": sympy.Max,
        "floor": sympy.floor, "lgamma": sympy.loggamma, "phi": lambda a: (1 + sympy.erf(a / sympy.sqrt(2))) / 2,
    }[op]  # fmt: skip
