"""Derivatives of the graph against differences, for every operation; simplification changes no value."""

from __future__ import annotations

import math

import pytest

from pkpd.engine.graph import COMPARISONS, Graph, Node, needed
from pkpd.model.equation import parse_expression

EXPRESSIONS = [
    "x + y * x - y / x",
    "-(x - y) * 3 - -y",
    "exp(-x) * log(y) + log10(x)",
    "sqrt(x * y) + abs(x - y) + abs(y - x)",
    "sin(x) * cos(y) - tanh(x * y)",
    "lgamma(x + y) - lgamma(x) * lgamma(9 * y)",
    "phi(x - y) * phi(-x) + log(phi(-6 * y))",
    "x ** y + x ** 3 - x ** -2 + y ** 0.5 + 2 ** x",
    "max(x, y) * min(x, 2 * y)",
    "x * y if x > y else x / y",
    "x if (x > 1 and y < 3) or not x > 0 else y",
    "x ** 1.7 / (0.8 ** 1.7 + x ** 1.7)",
]


def value(node: Node, at: dict[tuple, float]) -> float:
    """Plain evaluation of a graph."""
    known: dict[Node, float] = {}
    for n in needed([node]):
        a = [known[x] for x in n.args]
        if n.op == "const":
            known[n] = n.value
        elif n.op == "leaf":
            known[n] = at[n.leaf]
        elif n.op in COMPARISONS:
            known[n] = float(eval(f"a[0] {n.op} a[1]"))
        elif n.op in ("+", "-", "*", "/", "**"):
            known[n] = float(eval(f"a[0] {n.op} a[1]"))
        elif n.op == "if":
            known[n] = a[1] if a[0] else a[2]
        elif n.op in ("and", "or"):
            known[n] = float((a[0] and a[1]) if n.op == "and" else (a[0] or a[1]))
        elif n.op == "not":
            known[n] = float(not a[0])
        elif n.op == "neg":
            known[n] = -a[0]
        else:
            known[n] = abs(a[0]) if n.op == "abs" else getattr(math, n.op)(a[0])
    return known[node]


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(("x", "y"), [(0.7, 1.9), (2.3, 0.4), (1.2, 1.3)])
def test_derivative_equals_difference(text, static, x, y):
    """With y dynamic or static: gathering static factors and reciprocals must not change a value."""
    g = Graph()
    leaves = {"x": g.leaf("state", 0), "y": g.leaf("parameter", 0) if static else g.leaf("state", 1)}
    node = g.lower(parse_expression(text), leaves)
    at = {leaves["x"].leaf: x, leaves["y"].leaf: y}
    for name, leaf in leaves.items():
        exact = value(g.derivative(node, {leaf: g.one}, {}), at)
        h = 1e-6
        up, down = at | {leaf.leaf: at[leaf.leaf] + h}, at | {leaf.leaf: at[leaf.leaf] - h}
        assert exact == pytest.approx((value(node, up) - value(node, down)) / (2 * h), rel=1e-7, abs=1e-8), name


def test_equal_expressions_are_one_node():
    g = Graph()
    x, y = g.leaf("state", 0), g.leaf("state", 1)
    assert g.add(x, y) is g.add(y, x)
    assert g.sub(g.mul(x, y), g.mul(y, x)) is g.zero
    assert g.neg(g.zero) is g.zero


def test_a_power_is_safe_at_zero():
    g = Graph()
    x, e = g.leaf("state", 0), g.leaf("parameter", 0)
    node = g.power(x, e)
    for seed in (x, e):
        slope = g.derivative(node, {seed: g.one}, {})
        assert slope.op == "if"
        assert slope.args[2] is g.zero


def test_deep_sums_do_not_exhaust_the_stack():
    g = Graph()
    node = x = g.leaf("state", 0)
    for i in range(50_000):
        node = g.add(node, g.mul(g.const(i), x))
    assert value(g.derivative(node, {x: g.one}, {}), {x.leaf: 1.0}) == pytest.approx(1 + sum(range(50_000)))
