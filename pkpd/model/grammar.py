"""The grammar of expressions: Python's own parser reads the text, an allow-list decides what may stay."""

from __future__ import annotations

import ast
import keyword
import math
import re
from dataclasses import dataclass

from pkpd.errors import suggestion
from pkpd.model.expression import ARITY, FUNCTIONS, Call, Expr, Name, Number, evaluate

NAME = r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*"
MAX_BRACKETS = 50  # open at once
MAX_DEPTH = 200  # of operations inside operations; a sum of n terms is n deep

_LANGUAGE = (
    "Expressions know numbers, names, + - * / **, comparisons, `and or not`, `a if c else b` and "
    f"{', '.join(FUNCTIONS)}."
)
_BINARY: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_OTHER: dict[type[ast.operator], str] = {
    ast.Mod: "%", ast.FloorDiv: "//", ast.MatMult: "@", ast.LShift: "<<", ast.RShift: ">>", ast.BitOr: "|",
    ast.BitAnd: "&", ast.BitXor: "^",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_FOREIGN = {
    ast.Lambda: "`lambda`", ast.ListComp: "a comprehension", ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension", ast.GeneratorExp: "a comprehension", ast.Subscript: "an index in [ ]",
    ast.JoinedStr: "a text", ast.List: "a list", ast.Tuple: "a list with commas", ast.Dict: "a dictionary",
    ast.Set: "a set", ast.NamedExpr: "`:=`", ast.Await: "`await`", ast.Yield: "`yield`", ast.YieldFrom: "`yield`",
    ast.Starred: "a leading `*`",
}  # fmt: skip
# A number that runs into letters: 3x, but also Python's 0x10, 1_000 and 1j, which are not ours.
_RUN_TOGETHER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?+[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands (line and column from 1, in its text), and where its operands do."""

    line: int
    column: int
    parts: tuple[Place, ...] = ()


class SyntaxProblem(Exception):
    """Something that cannot be read, at a place of the text; becomes a ModelSyntaxError with its file."""

    def __init__(
        self, what: str, line: int, column: int, *, expected: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.place = Place(line, column)
        self.expected = expected
        self.remedy = remedy


def read_expression(text: str, line: int, column: int) -> tuple[Expr, Place]:
    """Read an expression whose first character stands at `line` and `column`; comments are gone already.

    Raises
    ------
    SyntaxProblem
        The text is not an expression of the language.
    """
    return _Reader(text, line, column).read()


class _Reader:
    def __init__(self, text: str, line: int, column: int) -> None:
        self.text = text
        self.line = line
        self.column = column

    def read(self) -> tuple[Expr, Place]:
        self._scan()
        try:
            # The brackets let an expression run over lines; `_scan` has seen that the text closes its own.
            tree = ast.parse(f"({self.text}\n)", mode="eval")
            expr, place, _ = self._build(tree.body, 0)
        except SyntaxProblem:
            raise
        except SyntaxError as error:
            raise self._problem_of_python(error) from None
        except (RecursionError, MemoryError, ValueError):
            raise self._too_deep(self.line, self.column) from None
        return expr, place

    def _scan(self) -> None:
        """Refuse early what Python's parser would not say well: stray characters, brackets, wrong operators."""
        if not self.text.strip():
            raise SyntaxProblem("nothing stands right of `=`.", self.line, self.column, remedy="Write an expression.")
        open_brackets: list[tuple[int, int]] = []
        for row, content in enumerate(self.text.split("\n")):
            for index, character in enumerate(content):
                line, column = self._at(row, index)
                if character == "^":
                    raise SyntaxProblem("`^` is not a power here.", line, column, remedy="Use ** for powers.")
                if character in "\"'":
                    raise SyntaxProblem("a text cannot stand in an equation.", line, column, expected=_LANGUAGE)
                if not (character.isascii() and (character.isalnum() or character in " \t_.,+-*/()<>=!:[]{}%@&|~;")):
                    raise SyntaxProblem(
                        f"the character {character!r} cannot stand in an equation.",
                        line,
                        column,
                        expected="Names are made of letters a-z, A-Z, digits and `_`.",
                    )
                if character == "(":
                    open_brackets.append((line, column))
                    if len(open_brackets) > MAX_BRACKETS:
                        raise self._too_deep(line, column)
                elif character == ")":
                    if not open_brackets:
                        raise SyntaxProblem("this bracket was never opened.", line, column, remedy="Take it away.")
                    open_brackets.pop()
        if open_brackets:
            raise SyntaxProblem("this bracket is never closed.", *open_brackets[-1], remedy="Close it.")
        if match := re.search(r"\b_\w*", self.text):
            line, column = self._offset(match.start())
            raise SyntaxProblem(
                f"`{match.group()[:40]}` is not a name.", line, column, expected="A name starts with a letter."
            )
        if match := _RUN_TOGETHER.search(self.text):
            line, column = self._offset(match.start())
            raise SyntaxProblem(
                f"`{match.group()[:40]}` is neither a number nor a name.", line, column, remedy="Is a `*` missing?"
            )

    def _at(self, row: int, index: int) -> tuple[int, int]:
        return self.line + row, index + (self.column if row == 0 else 1)

    def _offset(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset].split("\n")
        return self._at(len(before) - 1, len(before[-1]))

    def _place(self, node: ast.AST) -> tuple[int, int]:
        row = node.lineno - 1  # type: ignore[attr-defined]
        line, column = self._at(row, node.col_offset - (1 if row == 0 else 0))  # type: ignore[attr-defined]
        return line, max(column, 1)

    def _operator_place(self, after: ast.AST, symbol: str) -> tuple[int, int]:
        """Find the operator that follows an operand, so that a caret can point at it."""
        lines = self.text.split("\n")
        row = after.end_lineno - 1  # type: ignore[attr-defined]
        index = after.end_col_offset - (1 if row == 0 else 0)  # type: ignore[attr-defined]
        while row < len(lines):
            found = lines[row].find(symbol, index)
            if found >= 0:
                return self._at(row, found)
            row, index = row + 1, 0
        return self._place(after)

    def _build(self, node: ast.expr, depth: int) -> tuple[Expr, Place, float | None]:
        """Give the expression, its place, and its value if it is made of numbers only."""
        line, column = self._place(node)
        if depth > MAX_DEPTH:
            raise self._too_deep(line, column)
        if isinstance(node, ast.Constant):
            return self._number(node, line, column)
        if isinstance(node, ast.Name | ast.Attribute):
            return Name(self._name(node)), Place(line, column), None
        if isinstance(node, ast.BinOp):
            if type(node.op) not in _BINARY:
                symbol = _OTHER[type(node.op)]
                line, column = self._operator_place(node.left, symbol)
                raise SyntaxProblem(f"`{symbol}` cannot stand in an equation.", line, column, expected=_LANGUAGE)
            op = _BINARY[type(node.op)]
            at = self._operator_place(node.left, op)
            return self._call(op, at, [self._build(node.left, depth + 1), self._build(node.right, depth + 1)])
        if isinstance(node, ast.UnaryOp):
            operand = self._build(node.operand, depth + 1)
            if isinstance(node.op, ast.UAdd):
                return operand
            if isinstance(node.op, ast.USub):
                if isinstance(node.operand, ast.Constant) and isinstance(operand[0], Number):
                    return Number(-operand[0].value), Place(line, column), -operand[0].value
                return self._call("neg", (line, column), [operand])
            if isinstance(node.op, ast.Not):
                return self._call("not", (line, column), [operand])
        if isinstance(node, ast.BoolOp):
            op = "and" if isinstance(node.op, ast.And) else "or"
            return self._chain(op, (line, column), [self._build(value, depth + 1) for value in node.values])
        if isinstance(node, ast.Compare):
            return self._comparison(node, depth)
        if isinstance(node, ast.IfExp):
            parts = [self._build(part, depth + 1) for part in (node.test, node.body, node.orelse)]
            return self._call("if", (line, column), parts)
        if isinstance(node, ast.Call):
            return self._function(node, depth)
        foreign = _FOREIGN.get(type(node), "this")
        raise SyntaxProblem(f"{foreign} cannot stand in an equation.", line, column, expected=_LANGUAGE)

    def _call(
        self, op: str, at: tuple[int, int], parts: list[tuple[Expr, Place, float | None]]
    ) -> tuple[Expr, Place, float | None]:
        expr = Call(op, tuple(part[0] for part in parts))
        place = Place(*at, tuple(part[1] for part in parts))
        if any(part[2] is None for part in parts):
            return expr, place, None
        # Numbers are folded in floating point, one operation at a time: 10 ** 10 ** 10 ends here, at once.
        value = float(evaluate(Call(op, tuple(Number(part[2]) for part in parts if part[2] is not None)), {}))
        if not math.isfinite(value):
            raise SyntaxProblem("these numbers do not give a finite number.", *at, remedy="Check them.")
        return expr, place, value

    def _chain(
        self, op: str, at: tuple[int, int], parts: list[tuple[Expr, Place, float | None]]
    ) -> tuple[Expr, Place, float | None]:
        result = parts[0]
        for part in parts[1:]:
            result = self._call(op, at, [result, part])
        return result

    def _number(self, node: ast.Constant, line: int, column: int) -> tuple[Expr, Place, float]:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise SyntaxProblem(f"{node.value!r} cannot stand in an equation.", line, column, expected=_LANGUAGE)
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise SyntaxProblem("this number is too large.", line, column, expected="Numbers go up to 1.8e308.")
        return Number(value), Place(line, column), value

    def _name(self, node: ast.expr, called: bool = False) -> str:
        if isinstance(node, ast.Name):
            if node.id in FUNCTIONS and not called:
                line, column = self._place(node)
                raise SyntaxProblem(f"`{node.id}` is a function.", line, column, remedy=f"Write {node.id}(x).")
            return node.id
        if isinstance(node, ast.Attribute):
            return f"{self._name(node.value)}.{node.attr}"
        line, column = self._place(node)
        raise SyntaxProblem("only a name may stand before a dot.", line, column, expected=_LANGUAGE)

    def _comparison(self, node: ast.Compare, depth: int) -> tuple[Expr, Place, float | None]:
        sides = [self._build(side, depth + 1) for side in (node.left, *node.comparators)]
        parts = []
        for index, operator in enumerate(node.ops):
            symbol = _COMPARE.get(type(operator))
            left = node.left if index == 0 else node.comparators[index - 1]
            if symbol is None:
                line, column = self._place(left)
                raise SyntaxProblem("`in` and `is` cannot stand in an equation.", line, column, expected=_LANGUAGE)
            parts.append(self._call(symbol, self._operator_place(left, symbol), sides[index : index + 2]))
        return self._chain("and", self._place(node), parts)

    def _function(self, node: ast.Call, depth: int) -> tuple[Expr, Place, float | None]:
        line, column = self._place(node)
        name = self._name(node.func, called=True)
        if name not in FUNCTIONS:
            hint = (
                "Use ** for powers." if name == "pow" else "Use log." if name == "ln" else suggestion(name, FUNCTIONS)
            )
            raise SyntaxProblem(
                f"`{name[:40]}` is not a function.",
                line,
                column,
                expected=f"Functions: {', '.join(FUNCTIONS)}.",
                remedy=hint,
            )
        example = "x, y" if name in ("min", "max") else "x"
        wanted = "at least 2" if name in ("min", "max") else "1"
        few = len(node.args) < 2 if name in ("min", "max") else len(node.args) != ARITY[name]
        if node.keywords or few or any(isinstance(arg, ast.Starred) for arg in node.args):
            given = len(node.args) + len(node.keywords)
            raise SyntaxProblem(
                f"`{name}` takes {wanted} value{'s' if len(wanted) > 1 else ''}, not {given}.",
                line,
                column,
                remedy=f"Write {name}({example}).",
            )
        parts = [self._build(arg, depth + 1) for arg in node.args]
        if name in ("min", "max"):
            return self._chain(name, (line, column), parts)
        return self._call(name, (line, column), parts)

    def _too_deep(self, line: int, column: int) -> SyntaxProblem:
        return SyntaxProblem(
            "this expression is nested too deeply.",
            line,
            column,
            expected=f"At most {MAX_BRACKETS} open brackets and {MAX_DEPTH} operations inside each other.",
            remedy="Split it into several assignments.",
        )

    def _problem_of_python(self, error: SyntaxError) -> SyntaxProblem:
        row = (error.lineno or 1) - 1
        lines = self.text.split("\n")
        if row >= len(lines):  # the closing bracket of ours: the text ended too early
            row = max(index for index, content in enumerate(lines) if content.strip())
            index = len(lines[row].rstrip())
        else:
            index = max((error.offset or 1) - 1 - (1 if row == 0 else 0), 0)
        line, column = self._at(row, index)
        content = lines[row] if row < len(lines) else ""
        here = re.match(r"\w+|\*\*|[<>=!]=|\S|", content[index:])
        token = here.group()[:40] if here else ""
        if not token:
            return SyntaxProblem("the expression ends too early.", line, column, remedy="Complete it.")
        if error.msg.startswith("invalid syntax. Perhaps you forgot a comma"):
            return SyntaxProblem("two values stand side by side.", line, column, remedy="Is an operator missing?")
        if "Maybe you meant '=='" in error.msg and "=" in content[index:]:
            line, column = self._at(row, content.index("=", index))
            token = "="
        if keyword.iskeyword(token):
            return SyntaxProblem(f"`{token}` cannot stand here.", line, column, expected=_LANGUAGE)
        if "=" == token:
            return SyntaxProblem("`=` cannot stand here.", line, column, remedy="Use == to compare.")
        return SyntaxProblem(
            f"`{token}` is not expected here.", line, column, remedy="Is an operator or a bracket missing?"
        )
