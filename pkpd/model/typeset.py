"""Equations as LaTeX, from the same expressions that are computed, through SymPy's printer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pkpd.model.expression import COMPARISONS, Call, Expr, Name, Number, names, without_sign

if TYPE_CHECKING:
    from pkpd.model.model import Model

GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega".split()
)


def latex(model: Model) -> str:
    """Give the equations of a model as LaTeX: one ``aligned`` block, to be put into display math."""
    rows = [f"{_latex_left(kind, name)} &= {latex_expression(expr)}" for kind, name, expr in lines(model)]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex_expression(expr: Expr) -> str:
    """Give one expression as LaTeX, in the order in which it was written."""
    import sympy

    symbols = {sympy.Symbol(name, real=True): latex_name(name) for name in names(expr)}
    return sympy.latex(_as_written(expr), symbol_names=symbols, order="none", mul_symbol=r" \, ")


def latex_name(name: str) -> str:
    """Give a name as LaTeX: ``ec50`` with its digits as an index, ``gamma`` as the letter."""
    space, dot, last = name.rpartition(".")
    base, index = (_escaped(part) for part in split_name(last))
    if base in GREEK and not space:
        text = f"\\{base}"
    else:
        base = _escaped(space + dot) + base
        text = base if len(base) == 1 else f"\\mathrm{{{base}}}"
    if index:
        text += "_{" + (index if index.isdigit() else f"\\mathrm{{{index}}}") + "}"
    return text


def lines(model: Model) -> Iterator[tuple[str, str, Expr]]:
    """Give the kind, the name and the right side of every equation."""
    for name, expr in model.assignments:
        yield "assignment", name, expr
    for name, expr in model.derivatives.items():
        yield "derivative", name, expr
    for name, expr in model.initials.items():
        yield "initial", name, expr


def _latex_left(kind: str, name: str) -> str:
    text = latex_name(name)
    return {"derivative": f"\\frac{{d\\,{text}}}{{dt}}", "initial": f"{text}(0)"}.get(kind, text)


def split_name(name: str) -> tuple[str, str]:
    """Split a name into its stem and its index: ec50 into ec and 50, k_el into k and el."""
    if match := re.fullmatch(r"([A-Za-z]+)_?(\d+)", name):
        return match.group(1), match.group(2)
    stem, _, index = name.partition("_")
    return stem, index


def _escaped(text: str) -> str:
    return text.replace("_", "\\_")


def _as_written(expr: Expr) -> Any:
    """Give an expression as SymPy that nothing has simplified or put in another order."""
    import sympy

    if isinstance(expr, Number):
        whole = float(expr.value).is_integer() and abs(expr.value) < 1e9
        return sympy.Integer(int(expr.value)) if whole else sympy.Float(repr(float(expr.value)))
    if isinstance(expr, Name):
        return sympy.Symbol(expr.name, real=True)
    if expr.op != "neg" and (positive := without_sign(expr)) is not None:
        expr = Call("neg", (positive,))  # -(a * b) prints without the brackets of (-a) * b
    if expr.op == "/":
        return _fraction(expr)
    if expr.op in ("min", "max"):
        function = sympy.Min if expr.op == "min" else sympy.Max
        return function(*(_as_written(arg) for arg in _chain(expr, expr.op)), evaluate=False)
    if expr.op == "if":
        condition, then, otherwise = expr.args
        pieces = (_as_written(then), _condition(condition)), (_as_written(otherwise), True)
        return sympy.Piecewise(*pieces, evaluate=False)
    if expr.op in (*COMPARISONS, "and", "or", "not"):
        return sympy.Piecewise((sympy.Integer(1), _condition(expr)), (sympy.Integer(0), True), evaluate=False)
    args = [_as_written(arg) for arg in expr.args]
    minus = sympy.Integer(-1)
    if expr.op == "+":
        return sympy.Add(*args, evaluate=False)
    if expr.op == "-":
        return sympy.Add(args[0], sympy.Mul(minus, args[1], evaluate=False), evaluate=False)
    if expr.op == "neg":
        return sympy.Mul(minus, args[0], evaluate=False)
    if expr.op == "*":
        return sympy.Mul(*args, evaluate=False)
    if expr.op == "**":
        return sympy.Pow(*args, evaluate=False)
    if expr.op == "log10":
        return sympy.Function("log_{10}")(args[0])
    if expr.op == "phi":
        return sympy.Function(r"\Phi")(args[0])
    function = getattr(sympy, {"abs": "Abs", "lgamma": "loggamma"}.get(expr.op, expr.op))
    return function(args[0], evaluate=False)


def _chain(expr: Expr, op: str) -> list[Expr]:
    if isinstance(expr, Call) and expr.op == op:
        return [*_chain(expr.args[0], op), *_chain(expr.args[1], op)]
    return [expr]


def _fraction(expr: Call) -> Any:
    """Give a / b / c as one fraction over b c."""
    import sympy

    below: list[Expr] = []
    top: Expr = expr
    while isinstance(top, Call) and top.op == "/":
        below.insert(0, top.args[1])
        top = top.args[0]
    denominator = sympy.Mul(*(_as_written(one) for one in below), evaluate=False)
    inverse = sympy.Pow(denominator, -1, evaluate=False)
    return inverse if top == Number(1.0) else sympy.Mul(_as_written(top), inverse, evaluate=False)


def _condition(expr: Expr) -> Any:
    import sympy

    if isinstance(expr, Call) and expr.op in COMPARISONS:
        relation = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}
        return relation[expr.op](*(_as_written(arg) for arg in expr.args), evaluate=False)
    if isinstance(expr, Call) and expr.op in ("and", "or", "not"):
        join = {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}[expr.op]
        return join(*(_condition(arg) for arg in expr.args), evaluate=False)
    return sympy.Ne(_as_written(expr), 0, evaluate=False)
