"""Expressions: text and back, values, powers of what can reach zero, SymPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd.model.equation import parse_expression
from pkpd.model.expression import (
    ARITY,
    COMPARISONS,
    Call,
    Name,
    Number,
    add,
    evaluate,
    names,
    power,
    substitute,
    to_sympy,
    to_text,
    walk,
)

LEAVES = st.one_of(
    st.sampled_from(["a", "b", "WT", "ketamine.cp", "v1"]).map(Name),
    st.floats(0, 1e6, allow_nan=False).map(Number),
    st.integers(-9, 9).map(lambda n: Number(float(n))),
)


def _calls(children):
    def build(op):
        return st.tuples(*[children] * ARITY[op]).map(lambda args: Call(op, args))

    return st.sampled_from(sorted(ARITY)).flatmap(build)


EXPRESSIONS = st.recursive(LEAVES, _calls, max_leaves=12)


def _canonical(expr):
    """A sign in front of a literal is part of the literal, as the reader has it."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(_canonical(arg) for arg in expr.args)
    if expr.op == "neg" and isinstance(args[0], Number) and args[0].value >= 0:
        return Number(-args[0].value)
    return Call(expr.op, args)


def _has_only_finite_numbers(expr):
    for node in walk(expr):
        if isinstance(node, Call) and not names(node) and not math.isfinite(float(evaluate(node, {}))):
            return False
    return True


@given(EXPRESSIONS)
@settings(max_examples=300, deadline=None)
def test_text_reads_back_as_the_same_expression(expr):
    expr = _canonical(expr)
    if _has_only_finite_numbers(expr) and not any(
        isinstance(n, Call) and n.op == "neg" and isinstance(n.args[0], Number) for n in walk(expr)
    ):
        assert parse_expression(to_text(expr)) == expr


def sympy_value(expr, values):
    return float(to_sympy(expr).subs({sympy.Symbol(name, real=True): value for name, value in values.items()}))


VALUES = {"a": 1.7, "b": 0.3, "WT": 82.0, "ketamine.cp": 0.05, "v1": 25.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7.0),
        ("-2 ** 2", -4.0),
        ("(-2) ** 2", 4.0),
        ("2 ** 3 ** 2", 512.0),
        ("2 ** -1", 0.5),
        ("a - b - 1", 1.7 - 0.3 - 1),
        ("a / b / 2", 1.7 / 0.3 / 2),
        ("exp(log(WT))", 82.0),
        ("log10(1000)", 3.0),
        ("sqrt(abs(-16))", 4.0),
        ("min(a, b, 7)", 0.3),
        ("max(1, 2, 3)", 3.0),
        ("floor(2.7)", 2.0),
        ("sin(0) + cos(0) + tanh(0)", 1.0),
        ("exp(lgamma(5)) + phi(0)", 24.5),
        ("a if a > b else b", 1.7),
        ("1 < 2 < 3", 1.0),
        ("1 < 2 and 3 < 2", 0.0),
        ("not 0", 1.0),
        ("(1 == 1) * 5", 5.0),
        ("2 != 2 or 0", 0.0),
        ("ketamine.cp * v1", 1.25),
    ],
)
def test_values(text, value):
    assert evaluate(parse_expression(text), VALUES) == pytest.approx(value, rel=1e-14)


def test_values_of_arrays_broadcast():
    result = evaluate(parse_expression("a if a > 2 else -a"), {"a": np.array([1.0, 3.0])})
    assert result.tolist() == [-1.0, 3.0]


def test_nothing_warns():
    assert math.isinf(evaluate(parse_expression("1 / a"), {"a": 0.0}))
    assert math.isnan(evaluate(parse_expression("log(a)"), {"a": -1.0}))


def test_a_name_without_a_value():
    with pytest.raises(KeyError):
        evaluate(Name("x"), {})


def test_power_of_what_can_reach_zero():
    base = np.array([-1e-12, 0.0, 2.0, np.nan])
    assert power(base, 0.5)[:3].tolist() == [0.0, 0.0, 2.0**0.5]
    assert np.isnan(power(base, 0.5)[3])
    assert power(-1.0, 0.0) == 1.0
    assert np.isinf(power(0.0, -0.5))


def test_whole_exponents_are_plain_products():
    assert evaluate(parse_expression("a ** 2"), {"a": -3.0}) == 9.0
    assert evaluate(parse_expression("a ** g"), {"a": -3.0, "g": 2.0}) == 0.0


def test_names_and_substitution():
    expr = parse_expression("cl / v1 * central")
    assert names(expr) == {"cl", "v1", "central"}
    assert to_text(substitute(expr, {"v1": parse_expression("a + b")})) == "cl / (a + b) * central"


def test_sums_read_from_left_to_right():
    assert to_text(add(parse_expression("-a"), parse_expression("b - c"))) == "-a + b - c"
    assert to_text(add(parse_expression("a"), parse_expression("-b"))) == "a - b"
    assert add(Number(0.0), Name("a")) == Name("a")


def test_nodes_are_hashable_and_equal_by_content():
    assert len({parse_expression("a + b"), parse_expression("a+b"), parse_expression("b + a")}) == 2
    with pytest.raises(ValueError, match="takes 2"):
        Call("+", (Name("a"),))


@pytest.mark.parametrize("op", [op for op in sorted(ARITY) if op not in COMPARISONS])
def test_sympy_agrees_with_the_reference(op):
    args = tuple(Name(name) for name in ("a", "b", "c")[: ARITY[op]])
    expr, values = Call(op, args), {"a": 1.3, "b": 0.4, "c": 2.0}
    assert sympy_value(expr, values) == pytest.approx(float(evaluate(expr, values)), rel=1e-12)


@pytest.mark.parametrize("text", ["a if a < b else c", "(a > b) * c", "a if a and not b else c", "a <= b or b == 1"])
def test_sympy_of_conditions(text):
    expr, values = parse_expression(text), {"a": 1.3, "b": 0.4, "c": 2.0}
    assert sympy_value(expr, values) == float(evaluate(expr, values))


def test_sympy_stays_quick_for_large_powers():
    assert to_sympy(parse_expression("2 ** 1000 * a")) is not None
