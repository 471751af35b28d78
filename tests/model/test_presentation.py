"""MathML read back as a reader sees it, where brackets and fractions tell what belongs together, computes the same."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd.model.equation import parse_expression
from pkpd.model.expression import evaluate
from pkpd.model.presentation import mathml_expression

VALUES = {"a": 1.7, "b": 0.6, "c": 2.3, "k_el": 0.31, "ec50": 3.1, "gamma": 1.9}
SHOWN = {"k_el": 0.31, "ec_50": 3.1, "γ": 1.9, "a": 1.7, "b": 0.6, "c": 2.3}
FUNCTIONS = {
    "log": math.log, "log_10": math.log10, "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "min": min, "max": max,
    "logΓ": math.lgamma, "Φ": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
}  # fmt: skip
RELATIONS = {
    "<": lambda x, y: x < y, "≤": lambda x, y: x <= y, ">": lambda x, y: x > y, "≥": lambda x, y: x >= y,
    "=": lambda x, y: x == y, "≠": lambda x, y: x != y,
}  # fmt: skip


class Reader:
    """Reads a line of signs and things; an ``<mrow>`` cannot be seen, so it does not count."""

    def __init__(self, nodes) -> None:
        self.left = [token for node in nodes for token in self.tokens(node)]

    def tokens(self, node):
        if node.tag in ("math", "mrow", "mtd"):
            return [token for child in node for token in self.tokens(child)]
        return [("sign", node.text)] if node.tag == "mo" and node.text not in ("min", "max") else [("thing", node)]

    def sign(self) -> str:
        return self.left[0][1] if self.left and self.left[0][0] == "sign" else ""

    def take(self):
        return self.left.pop(0)[1]

    def either(self):
        value = self.both()
        while self.sign() == "∨":
            self.take()
            right = self.both()
            value = value or right
        return value

    def both(self):
        value = self.compared()
        while self.sign() == "∧":
            self.take()
            right = self.compared()
            value = value and right
        return value

    def compared(self):
        value = self.total()
        if self.sign() in RELATIONS:
            return RELATIONS[self.take()](value, self.total())
        return value

    def total(self):
        value = -self.product() if self.sign() == "−" and self.take() else self.product()
        while self.sign() in ("+", "−"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        value = self.thing()
        while self.sign() == "⋅":
            self.take()
            value = value * self.thing()
        return value

    def thing(self):
        sign = self.sign()
        if sign == "¬":
            self.take()
            return not self.thing()
        if sign in ("(", "|", "⌊"):
            self.take()
            value = self.either()
            assert self.take() == {"(": ")", "|": "|", "⌊": "⌋"}[sign]
            return {"(": value, "|": abs(value), "⌊": math.floor(value)}[sign]
        if sign == "{":
            self.take()
            return self.cases(self.take())
        node = self.take()
        word = "_".join("".join(part.itertext()) for part in node) if node.tag == "msub" else node.text
        if node.tag == "mi" and word == "log" and self.left and self.left[0][0] == "thing":
            word += self.take().text
        if node.tag in ("mi", "msub") and word in FUNCTIONS:
            assert self.take() == "("
            values = [self.either()]
            while self.sign() == ",":
                self.take()
                values.append(self.either())
            assert self.take() == ")"
            return FUNCTIONS[word](*values)
        if node.tag in ("mi", "msub"):
            return math.e if word == "e" else SHOWN[word]
        if node.tag == "mn":
            return float(node.text)
        parts = [read(part) for part in node]
        if node.tag == "mfrac":
            return parts[0] / parts[1]
        if node.tag == "msqrt":
            return math.sqrt(parts[0])
        assert node.tag == "msup"
        assert seen_as_one(node[0]), "a power of something that is not in brackets"
        return parts[0] ** parts[1]

    def cases(self, table):
        for row in table:
            words, *condition = row[1]
            if words.text == "otherwise" or read(condition[0]):
                return read(row[0])
        raise AssertionError("no case")


def seen_as_one(node) -> bool:
    tokens = Reader([node]).left
    whole = len(tokens) == 1 and tokens[0][1].tag in ("mi", "mn", "msub", "msqrt")
    return whole or tokens[0][1] in ("(", "|", "⌊")


def read(node) -> float:
    reader = Reader([node])
    value = reader.either()
    assert reader.left == []
    return value


def check(text: str) -> None:
    expr = parse_expression(text)
    node = ElementTree.fromstring(f"<math>{mathml_expression(expr)}</math>")
    assert float(read(node)) == pytest.approx(float(evaluate(expr, VALUES)), rel=1e-12), text


@pytest.mark.parametrize(
    "text",
    [
        "-(a + b)", "a - (b - c)", "a - (b + c)", "a - (-b)", "a + (-b + c)", "(a + b) * c", "-(a - b) * c",
        "a * -(b + c)", "a / b / c", "a / (b / c)", "a / b * c", "-(a + b) / c", "(a / b) ** c", "(a ** b) ** c",
        "a ** b ** c", "(-a) ** 2", "exp(a) ** 2", "exp(-(a + b))", "sqrt(a) ** 3", "log(a) ** 2", "log10(a) * b",
        "abs(a - c) ** 2", "floor(c) - a", "lgamma(a) + phi(b)", "min(a, b, c) + max(a, min(b, c))", "1e-7 * a",
        "2.5e-12 ** 0.5", "1e6 * a", "a - (b if c > 1 else a)", "(a if c < 1 else b) ** 2",
        "a if a < b else b if not (c <= 1 or a == b) else c", "(a >= b) * c + (a != b) - (a == c)",
        "a * (a < b and (b > c or c > a))", "k_el * ec50 ** gamma", "2 * 3 * a", "a - b + c",
        "a * (b if a > 1 else c) * b",
    ],
)  # fmt: skip
def test_it_reads_as_it_computes(text):
    check(text)


LEAVES = st.sampled_from(["a", "b", "c", "2", "0.5", "k_el", "ec50", "gamma"])


def larger(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(pair, st.sampled_from("+-*/")).map(lambda x: f"({x[0][0]}) {x[1]} ({x[0][1]})"),
        inner.map(lambda x: f"-({x})"),
        inner.map(lambda x: f"abs({x})"),
        inner.map(lambda x: f"({x}) ** 2"),
        st.tuples(pair, st.sampled_from(["<", ">="])).map(lambda x: f"(a if ({x[0][0]}) {x[1]} b else ({x[0][1]}))"),
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.recursive(LEAVES, larger, max_leaves=8))
def test_any_expression_reads_as_it_computes(text):
    try:
        value = float(evaluate(parse_expression(text), VALUES))
    except (ZeroDivisionError, OverflowError, FloatingPointError):
        return
    if math.isfinite(value) and 1e-6 < abs(value) < 1e6:
        check(text)


def test_every_shipped_model_can_be_set():
    import pkpd

    for file in sorted((Path(__file__).parents[2] / "models").glob("*.toml")):
        ElementTree.fromstring(pkpd.Model(file).mathml())
