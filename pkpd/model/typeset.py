"""Equations as LaTeX and MathML, from the same expressions that are computed, through SymPy's printers."""

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

_RELATIONS = {"<": "&#x3C;", "<=": "&#x2264;", ">": "&#x3E;", ">=": "&#x2265;", "==": "=", "!=": "&#x2260;"}


def latex(model: Model) -> str:
    """Give the equations of a model as LaTeX: one ``aligned`` block, to be put into display math."""
    rows = [f"{_latex_left(kind, name)} &= {latex_expression(expr)}" for kind, name, expr in _lines(model)]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex_expression(expr: Expr) -> str:
    """Give one expression as LaTeX, in the order in which it was written."""
    import sympy

    symbols = {sympy.Symbol(name, real=True): latex_name(name) for name in names(expr)}
    return sympy.latex(_as_written(expr), symbol_names=symbols, order="none", mul_symbol=r" \, ")


def latex_name(name: str) -> str:
    """Give a name as LaTeX: ``ec50`` with its digits as an index, ``gamma`` as the letter."""
    space, dot, last = name.rpartition(".")
    base, index = _split(last)
    if base in GREEK and not space:
        text = f"\\{base}"
    else:
        base = _escaped(space + dot) + base
        text = base if len(base) == 1 else f"\\mathrm{{{base}}}"
    if index:
        text += "_{" + (index if index.isdigit() else f"\\mathrm{{{index}}}") + "}"
    return text


def mathml(model: Model) -> str:
    """Give the equations of a model as one ``<math>`` element, a table aligned at the signs of equality."""
    rows = "".join(
        f'<mtr><mtd style="text-align:right">{_mathml_left(kind, name)}</mtd><mtd><mo>=</mo></mtd>'
        f'<mtd style="text-align:left">{mathml_expression(expr)}</mtd></mtr>'
        for kind, name, expr in _lines(model)
    )
    return (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        f'<mtable displaystyle="true">{rows}</mtable></math>'
    )


def mathml_expression(expr: Expr) -> str:
    """Give one expression as presentation MathML, without the ``<math>`` around it."""
    from sympy.printing.mathml import MathMLPresentationPrinter

    class Printer(MathMLPresentationPrinter):
        def _print_Symbol(self, sym: Any, style: str = "plain") -> Any:
            return _symbol_node(self.dom, sym.name)

        def _print_Relational(self, e: Any) -> Any:
            sign = self.dom.createElement("mo")
            sign.appendChild(self.dom.createTextNode(_RELATIONS[e.rel_op]))
            return _element(self.dom, "mrow", self._print(e.lhs), sign, self._print(e.rhs))

        def _print_Piecewise(self, expr: Any) -> Any:
            rows = []
            for value, condition in expr.args:
                words = self.dom.createElement("mtext")
                words.appendChild(self.dom.createTextNode("otherwise" if condition == True else "if "))  # noqa: E712
                cell = [words] if condition == True else [words, self._print(condition)]  # noqa: E712
                columns = _element(self.dom, "mtd", self._print(value)), _element(self.dom, "mtd", *cell)
                rows.append(_element(self.dom, "mtr", *columns))
            brace = self.dom.createElement("mo")
            brace.appendChild(self.dom.createTextNode("{"))
            return _element(self.dom, "mrow", brace, _element(self.dom, "mtable", *rows))

    printer = Printer({"order": "none"})
    node: Any = printer._print(_as_written(expr))
    # Names are words, so a product needs a sign; and the entities of HTML are not known to readers of XML.
    text = node.toxml().replace("&InvisibleTimes;", "\N{DOT OPERATOR}").replace("&ExponentialE;", "e")
    return text.replace("<mo>-</mo>", "<mo>\N{MINUS SIGN}</mo>")


def _lines(model: Model) -> Iterator[tuple[str, str, Expr]]:
    for name, expr in model.assignments:
        yield "assignment", name, expr
    for name, expr in model.derivatives.items():
        yield "derivative", name, expr
    for name, expr in model.initials.items():
        yield "initial", name, expr


def _latex_left(kind: str, name: str) -> str:
    text = latex_name(name)
    return {"derivative": f"\\frac{{d\\,{text}}}{{dt}}", "initial": f"{text}(0)"}.get(kind, text)


def _mathml_left(kind: str, name: str) -> str:
    base = mathml_expression(Name(name))
    if kind == "derivative":
        return f"<mfrac><mrow><mi>d</mi>{base}</mrow><mrow><mi>d</mi><mi>t</mi></mrow></mfrac>"
    return f"<mrow>{base}<mo>(</mo><mn>0</mn><mo>)</mo></mrow>" if kind == "initial" else base


def _split(name: str) -> tuple[str, str]:
    """Split a name into its stem and its index: ec50 into ec and 50, k_el into k and el."""
    if match := re.fullmatch(r"([A-Za-z]+)_?(\d+)", name):
        return match.group(1), match.group(2)
    stem, _, index = name.partition("_")
    return _escaped(stem), _escaped(index)


def _escaped(text: str) -> str:
    return text.replace("_", "\\_")


def _element(dom: Any, tag: str, *children: Any) -> Any:
    node = dom.createElement(tag)
    for child in children:
        node.appendChild(child)
    return node


def _symbol_node(dom: Any, name: str) -> Any:
    from sympy.printing.pretty.pretty_symbology import greek_unicode

    *spaces, last = name.split(".")
    base, index = (part.replace("\\_", "_") for part in _split(last))
    stem = dom.createElement("mi")
    shown = str(greek_unicode.get(base)) if base in GREEK else base
    stem.appendChild(dom.createTextNode("".join(f"{space}." for space in spaces) + shown))
    if not index:
        return stem
    node = dom.createElement("msub")
    below = dom.createElement("mn" if index.isdigit() else "mi")
    below.appendChild(dom.createTextNode(index))
    node.appendChild(stem)
    node.appendChild(below)
    return node


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
    function = getattr(sympy, {"abs": "Abs"}.get(expr.op, expr.op))
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
