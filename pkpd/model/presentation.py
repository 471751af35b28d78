"""Equations as presentation MathML, in the order in which they were written.

A bracket stands where the reader would else group otherwise: what is set is read back as what is computed.

Source: W3C, MathML Core, https://www.w3.org/TR/mathml-core/
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from pkpd.model.expression import COMPARISONS, Call, Expr, Name, Number, number_text, without_sign
from pkpd.model.typeset import GREEK, lines, split_name

if TYPE_CHECKING:
    from pkpd.model.model import Model

__all__ = ["mathml", "mathml_expression"]

_CASES, _SUM, _PRODUCT, _POWER, _ATOM = range(5)  # how tightly what is set holds together
_RELATIONS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
_ALPHABET = dict(zip(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega".split(),
    "αβγδεζηθικλμνξρστφχψω",
))  # fmt: skip
_FUNCTIONS = {
    "log10": "<msub><mi>log</mi><mn>10</mn></msub>",
    "lgamma": "<mrow><mi>log</mi><mi>Γ</mi></mrow>",
    "phi": "<mi>Φ</mi>",
}
_FENCES = {"abs": "||", "floor": "⌊⌋"}


def mathml(model: Model) -> str:
    """Give the equations of a model as one ``<math>`` element, a table aligned at the signs of equality."""
    rows = "".join(
        f'<mtr><mtd style="text-align:right">{_left(kind, name)}</mtd><mtd><mo>=</mo></mtd>'
        f'<mtd style="text-align:left">{mathml_expression(expr)}</mtd></mtr>'
        for kind, name, expr in lines(model)
    )
    return (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        f'<mtable displaystyle="true">{rows}</mtable></math>'
    )


def _left(kind: str, name: str) -> str:
    base = _name(name)
    if kind == "derivative":
        return f"<mfrac><mrow><mi>d</mi>{base}</mrow><mrow><mi>d</mi><mi>t</mi></mrow></mfrac>"
    return _row(base, _sign("("), "<mn>0</mn>", _sign(")")) if kind == "initial" else base


def mathml_expression(expr: Expr) -> str:
    """Give one expression as presentation MathML, without the ``<math>`` around it."""
    return _set(expr)[0]


def _set(expr: Expr) -> tuple[str, int]:
    """Give an expression and how tightly it holds together."""
    if isinstance(expr, Number):
        return _number(expr.value)
    if isinstance(expr, Name):
        return _name(expr.name), _ATOM
    op, args = expr.op, expr.args
    if op in (*COMPARISONS, "and", "or", "not"):
        return _cases([(Number(1.0), expr)], Number(0.0)), _CASES
    if op == "if":
        pieces = [(args[1], args[0])]
        rest = args[2]
        while isinstance(rest, Call) and rest.op == "if":
            pieces.append((rest.args[1], rest.args[0]))
            rest = rest.args[2]
        return _cases(pieces, rest), _CASES
    if op in ("neg", "*", "/") and (positive := without_sign(expr)) is not None:
        return _row(_sign("−"), _held(positive, _PRODUCT)), _SUM
    if op in ("+", "-"):
        left = _held(args[0], _SUM)
        tight = _PRODUCT if op == "-" or _signed(args[1]) else _SUM
        return _row(left, _sign("+" if op == "+" else "−"), _held(args[1], tight)), _SUM
    if op == "*":
        right = _PRODUCT if not _signed(args[1]) else _POWER
        return _row(_held(args[0], _PRODUCT), _sign("⋅"), _held(args[1], right)), _PRODUCT
    if op == "/":
        return _fraction(expr), _PRODUCT
    if op == "**":
        return f"<msup>{_held(args[0], _ATOM)}{mathml_expression(args[1])}</msup>", _POWER
    if op == "exp":
        return f"<msup><mi>e</mi>{mathml_expression(args[0])}</msup>", _POWER
    if op == "sqrt":
        return f"<msqrt>{mathml_expression(args[0])}</msqrt>", _ATOM
    if op in _FENCES:
        left, right = _FENCES[op]
        return _row(_sign(left), mathml_expression(args[0]), _sign(right)), _ATOM
    return _row(_FUNCTIONS.get(op, f"<mi>{op}</mi>"), _bracketed(*_chain(expr, op))), _POWER


def _held(expr: Expr, tight: int) -> str:
    """Set an operand, in brackets if it does not hold together tightly enough."""
    text, level = _set(expr)
    return text if level >= tight else _bracketed(expr)


def _signed(expr: Expr) -> bool:
    """Whether what is set begins with a minus sign."""
    if isinstance(expr, Number):
        return expr.value < 0
    if without_sign(expr) is not None:
        return True
    return isinstance(expr, Call) and expr.op in ("+", "-", "*") and _signed(expr.args[0])


def _bracketed(*inner: Expr) -> str:
    return _row(_sign("("), _sign(",").join(mathml_expression(one) for one in inner), _sign(")"))


def _chain(expr: Call, op: str) -> list[Expr]:
    """The operands of min(min(a, b), c) are a, b and c."""
    if op not in ("min", "max"):
        return list(expr.args)
    nested = (_chain(arg, op) if isinstance(arg, Call) and arg.op == op else [arg] for arg in expr.args)
    return [part for parts in nested for part in parts]


def _fraction(expr: Call) -> str:
    """Set a / b / c as one fraction over b c."""
    below: list[Expr] = []
    top: Expr = expr
    while isinstance(top, Call) and top.op == "/":
        below.insert(0, top.args[1])
        top = top.args[0]
    if len(below) == 1:
        return f"<mfrac>{mathml_expression(top)}{mathml_expression(below[0])}</mfrac>"
    product = below[0]
    for factor in below[1:]:
        product = Call("*", (product, factor))
    return f"<mfrac>{mathml_expression(top)}{mathml_expression(product)}</mfrac>"


def _cases(pieces: list[tuple[Expr, Expr]], rest: Expr) -> str:
    rows = [
        f"<mtr><mtd>{mathml_expression(value)}</mtd><mtd><mtext>if </mtext>{_condition(condition)[0]}</mtd></mtr>"
        for value, condition in pieces
    ]
    rows.append(f"<mtr><mtd>{mathml_expression(rest)}</mtd><mtd><mtext>otherwise</mtext></mtd></mtr>")
    return _row(_sign("{"), f"<mtable>{''.join(rows)}</mtable>")


def _condition(expr: Expr) -> tuple[str, int]:
    """Give a condition and how tightly it holds: not, and, or, as in logic."""
    if isinstance(expr, Call) and expr.op in COMPARISONS:
        left, right = (_held(arg, _SUM) for arg in expr.args)
        return _row(left, _sign(_RELATIONS[expr.op]), right), _POWER
    if isinstance(expr, Call) and expr.op in ("and", "or"):
        level = _PRODUCT if expr.op == "and" else _SUM
        sides = (_in_brackets(arg, level) for arg in expr.args)
        return _sign("∧" if expr.op == "and" else "∨").join(sides).join(("<mrow>", "</mrow>")), level
    if isinstance(expr, Call) and expr.op == "not":
        return _row(_sign("¬"), _in_brackets(expr.args[0], _ATOM)), _ATOM
    return _row(_held(expr, _SUM), _sign("≠"), "<mn>0</mn>"), _POWER


def _in_brackets(condition: Expr, tight: int) -> str:
    text, level = _condition(condition)
    return text if level >= tight else _row(_sign("("), text, _sign(")"))


def _number(value: float) -> tuple[str, int]:
    text = number_text(abs(value))
    mantissa, _, power = text.partition("e")
    if power:
        raised = f"<msup><mn>10</mn>{_number(float(power))[0]}</msup>"
        made, level = (raised if mantissa == "1" else _row(f"<mn>{mantissa}</mn>", _sign("⋅"), raised)), _PRODUCT
    else:
        made, level = f"<mn>{text}</mn>", _ATOM
    return (_row(_sign("−"), made), _SUM) if value < 0 else (made, level)


def _name(name: str) -> str:
    """Set a name: ``ec50`` with its digits as an index, ``gamma`` as the letter, the space before a point in full."""
    space, dot, last = name.rpartition(".")
    base, index = split_name(last)
    letter = _ALPHABET[base] if base in GREEK else base
    stem = f"<mi>{escape(space + dot + letter)}</mi>"
    if not index:
        return stem
    kind = "mn" if index.isdigit() else "mi"
    return f"<msub>{stem}<{kind}>{escape(index)}</{kind}></msub>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _sign(text: str) -> str:
    return f"<mo>{escape(text)}</mo>"
