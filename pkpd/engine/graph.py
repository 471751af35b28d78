"""The expression graph: one node per distinct value, with its derivatives.

Equal expressions are the same node (hash-consing), so that whatever two equations share is computed once, and a
derivative shares with the function it was taken from. Each node knows whether it changes within an interval between
two events (``dynamic``) or depends on parameters and covariates only (``static``), which is what the code generator
needs to take work out of the inner loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkpd.engine import special
from pkpd.model.expression import Call, Expr, Name, Number

if TYPE_CHECKING:
    from pkpd.engine.switches import Switches

UNARY: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "floor": math.floor,
}
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
#: Leaves that stay constant between two events.
STATIC_LEAVES = ("parameter", "covariate", "switch")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value: a constant, a leaf such as ``("state", 2)``, or an operation on other nodes."""

    op: str
    args: tuple[Node, ...]
    value: float
    leaf: tuple
    static: bool
    rank: int

    def __repr__(self) -> str:
        if self.op == "const":
            return f"{self.value:g}"
        if self.op == "leaf":
            return ".".join(map(str, self.leaf))
        return f"{self.op}({', '.join(map(repr, self.args))})"


class Graph:
    """A store of nodes; every node is made through it and simplified on the way."""

    def __init__(self) -> None:
        self._nodes: dict[tuple, Node] = {}
        self.zero = self.const(0.0)
        self.one = self.const(1.0)

    def _make(self, op: str, args: tuple[Node, ...] = (), value: float = 0.0, leaf: tuple = ()) -> Node:
        # repr makes a NaN equal to itself.
        key = (op, tuple(id(a) for a in args), repr(value), leaf)
        node = self._nodes.get(key)
        if node is None:
            static = leaf[0] in STATIC_LEAVES if op == "leaf" else all(a.static for a in args)
            node = Node(op, args, value, leaf, static, len(self._nodes))
            self._nodes[key] = node
        return node

    # -- leaves ------------------------------------------------------------------------------------------------
    def const(self, value: float) -> Node:
        """The constant `value`."""
        # Adding 0.0 turns -0.0 into 0.0: one zero only.
        return self._make("const", value=float(value) + 0.0)

    def leaf(self, *leaf: str | int) -> Node:
        """A named input, e.g. ``leaf("state", 0)``."""
        return self._make("leaf", leaf=leaf)

    # -- arithmetic, simplified only where the result stays exact -------------------------------------------------
    def add(self, a: Node, b: Node) -> Node:
        """A + b."""
        if a.op == "const" and b.op == "const":
            return self.const(a.value + b.value)
        if _is(a, 0.0):
            return b
        if _is(b, 0.0):
            return a
        if b.op == "neg":
            return self.sub(a, b.args[0])
        if a.op == "neg":
            return self.sub(b, a.args[0])
        return self._make("+", _ordered(a, b))

    def sub(self, a: Node, b: Node) -> Node:
        """A - b."""
        if a.op == "const" and b.op == "const":
            return self.const(a.value - b.value)
        if _is(b, 0.0):
            return a
        if _is(a, 0.0):
            return self.neg(b)
        if a is b:
            return self.zero
        if b.op == "neg":
            return self.add(a, b.args[0])
        return self._make("-", (a, b))

    def neg(self, a: Node) -> Node:
        """-a."""
        if a.op == "const":
            return self.const(-a.value)
        if a.op == "neg":
            return a.args[0]
        if a.op == "-":
            return self.sub(a.args[1], a.args[0])
        return self._make("neg", (a,))

    def mul(self, a: Node, b: Node) -> Node:
        """A * b; static factors are gathered, so that they leave the inner loop."""
        if a.op == "const" and b.op == "const":
            return self.const(a.value * b.value)
        for x, y in ((a, b), (b, a)):
            if _is(x, 0.0):
                return self.zero
            if _is(x, 1.0):
                return y
            if _is(x, -1.0):
                return self.neg(y)
        if a.op == "neg":
            return self.neg(self.mul(a.args[0], b))
        if b.op == "neg":
            return self.neg(self.mul(a, b.args[0]))
        for x, y in ((a, b), (b, a)):
            if x.static and not y.static and y.op == "*" and y.args[0].static:
                return self.mul(self.mul(x, y.args[0]), y.args[1])
            if not x.static and x.op == "*" and x.args[0].static and not y.static:
                return self.mul(x.args[0], self.mul(x.args[1], y))
        first, second = _ordered(a, b)
        if second.static and not first.static:
            first, second = second, first
        return self._make("*", (first, second))

    def div(self, a: Node, b: Node) -> Node:
        """A / b; division by a static value becomes multiplication by its reciprocal, computed once."""
        if a.op == "const" and b.op == "const" and b.value != 0.0:
            return self.const(a.value / b.value)
        if _is(a, 0.0) and not _is(b, 0.0):
            return self.zero
        if _is(b, 1.0):
            return a
        if a.op == "neg":
            return self.neg(self.div(a.args[0], b))
        if b.static and not a.static:
            return self.mul(self.div(self.one, b), a)
        return self._make("/", (a, b))

    def power(self, a: Node, b: Node) -> Node:
        """A ** b; whole constant exponents become products, otherwise a <= 0 gives 0 for b > 0."""
        if a.op == "const" and b.op == "const" and (a.value > 0.0 or b.value == int(b.value) > 0):
            return self.const(a.value**b.value)
        if b.op == "const":
            if b.value == 0.0:
                return self.one
            if b.value == 0.5:
                return self.select(self.compare(">", a, self.zero), self.unary("sqrt", a), self.zero)
            if b.value == int(b.value) and abs(b.value) <= 16:
                return self._whole_power(a, int(b.value))
        return self._make("**", (a, b))

    def _whole_power(self, a: Node, n: int) -> Node:
        if n < 0:
            return self.div(self.one, self._whole_power(a, -n))
        if n == 1:
            return a
        half = self._whole_power(a, n // 2)
        square = self.mul(half, half)
        return self.mul(square, a) if n % 2 else square

    def unary(self, op: str, a: Node) -> Node:
        """exp, log, log10, sqrt, abs, sin, cos, tanh, floor, not."""
        if op == "neg":
            return self.neg(a)
        if a.op == "const" and op in UNARY:
            try:
                return self.const(UNARY[op](a.value))
            except (ValueError, OverflowError):
                pass
        return self._make(op, (a,))

    def compare(self, op: str, a: Node, b: Node) -> Node:
        """A truth value."""
        return self._make(op, (a, b))

    def select(self, condition: Node, a: Node, b: Node) -> Node:
        """`a` where `condition` holds, else `b`."""
        return a if a is b else self._make("if", (condition, a, b))

    # -- from the model's expressions -------------------------------------------------------------------------------
    def lower(self, expr: Expr, environment: dict[str, Node], switches: Switches | None = None) -> Node:
        """The node of a model expression; `environment` gives the node of every name in it.

        With `switches`, comparisons of time become switches.
        """
        if isinstance(expr, Number):
            return self.const(expr.value)
        if isinstance(expr, Name):
            return environment[expr.name]
        assert isinstance(expr, Call)
        args = [self.lower(a, environment, switches) for a in expr.args]
        switch = switches.compare(expr.op, args[0], args[1]) if switches and expr.op in COMPARISONS else None
        return self.call(expr.op, args) if switch is None else switch

    def call(self, op: str, args: list[Node]) -> Node:
        """The operation `op` of the model language on nodes."""
        binary = {"+": self.add, "-": self.sub, "*": self.mul, "/": self.div, "**": self.power}
        if op in binary:
            return binary[op](args[0], args[1])
        if op in COMPARISONS:
            return self.compare(op, args[0], args[1])
        if op in ("and", "or"):
            return self._make(op, tuple(args))
        if op == "if":
            return self.select(args[0], args[1], args[2])
        if op == "min":
            return self.select(self.compare("<=", args[0], args[1]), args[0], args[1])
        if op == "max":
            return self.select(self.compare(">=", args[0], args[1]), args[0], args[1])
        if op in special.VALUES:
            if args[0].op == "const":
                return self.const(special.VALUES[op](args[0].value))
            return special.lgamma(self, args[0]) if op == "lgamma" else special.phi(self, args[0])
        return self.unary(op, args[0])

    # -- derivatives ----------------------------------------------------------------------------------------------
    def derivative(self, node: Node, seed: dict[Node, Node], memo: dict[Node, Node]) -> Node:
        """The directional derivative of `node`.

        Parameters
        ----------
        node
            What to differentiate.
        seed
            The direction: the derivative of each leaf (leaves not named are constant).
        memo
            Results so far for this seed; pass the same dictionary to share work between calls.
        """
        found = memo.get(node)
        if found is not None:
            return found
        # An explicit stack: equations may be deeper than Python's recursion limit.
        stack = [node]
        while stack:
            top = stack[-1]
            if top in memo:
                stack.pop()
                continue
            pending = [a for a in top.args if a not in memo]
            if pending:
                stack.extend(pending)
                continue
            memo[top] = seed.get(top, self.zero) if top.op in ("leaf", "const") else self._rule(top, memo)
            stack.pop()
        return memo[node]

    def _rule(self, n: Node, d: dict[Node, Node]) -> Node:
        a = n.args[0]
        da = d[a]
        if n.op in COMPARISONS or n.op in ("and", "or", "not", "floor"):
            return self.zero
        if n.op == "neg":
            return self.neg(da)
        if n.op == "if":
            return self.select(a, d[n.args[1]], d[n.args[2]])
        if len(n.args) == 1:
            return self.zero if da is self.zero else self.mul(self._slope(n.op, a, n), da)
        b = n.args[1]
        db = d[b]
        if n.op == "+":
            return self.add(da, db)
        if n.op == "-":
            return self.sub(da, db)
        if n.op == "*":
            return self.add(self.mul(da, b), self.mul(a, db))
        if n.op == "/":
            return self.div(self.sub(da, self.mul(n, db)), b)
        assert n.op == "**", n.op
        # d(a**b) = b a**(b-1) da + a**b log(a) db, and 0 where a <= 0 (the value is held at 0 there).
        change = self.add(
            self.mul(self.div(self.mul(b, n), a), da),
            self.zero if db is self.zero else self.mul(self.mul(n, self.unary("log", a)), db),
        )
        return self.select(self.compare(">", a, self.zero), change, self.zero)

    def _slope(self, op: str, a: Node, value: Node) -> Node:
        if op == "exp":
            return value
        if op == "log":
            return self.div(self.one, a)
        if op == "log10":
            return self.div(self.const(1.0 / math.log(10.0)), a)
        if op == "sqrt":
            return self.select(self.compare(">", a, self.zero), self.div(self.const(0.5), value), self.zero)
        if op == "abs":
            return self.select(self.compare(">=", a, self.zero), self.one, self.const(-1.0))
        if op == "sin":
            return self.unary("cos", a)
        if op == "cos":
            return self.neg(self.unary("sin", a))
        assert op == "tanh", op
        return self.sub(self.one, self.mul(value, value))


def needed(outputs: Iterable[Node], given: Container[Node] = ()) -> list[Node]:
    """All nodes that must be known to have `outputs`, each after its arguments; `given` ones are not opened."""
    seen: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node not in given:
                stack.extend(node.args)
    # A node is always made after its arguments, so rank is a topological order.
    return sorted(seen, key=lambda n: n.rank)


def _is(node: Node, value: float) -> bool:
    return node.op == "const" and node.value == value


def _ordered(a: Node, b: Node) -> tuple[Node, Node]:
    return (a, b) if a.rank <= b.rank else (b, a)
