"""LaTeX and MathML: as written, and well formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pkpd.model import Model
from pkpd.model.equation import parse_expression
from pkpd.model.presentation import mathml_expression
from pkpd.model.typeset import latex_expression, latex_name


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("-cl * c - q2 * (c - p1 / v2)", r"- \mathrm{cl} \, c - q_{2} \, \left(c - \frac{p_{1}}{v_{2}}\right)"),
        ("(WT / 70) ** 0.75", r"\left(\frac{\mathrm{WT}}{70}\right)^{0.75}"),
        ("a * c ** gamma / (ec50 ** gamma + 1)", r"\frac{a \, c^{\gamma}}{\mathrm{ec}_{50}^{\gamma} + 1}"),
        ("a / b / c", r"\frac{a}{b \, c}"),
        ("1 / x", r"\frac{1}{x}"),
        ("exp(-k * t)", r"e^{- k \, t}"),
        ("drug.cp", r"\mathrm{drug.cp}"),
        ("sqrt(a)", r"\sqrt{a}"),
        ("k_el * a", r"k_{\mathrm{el}} \, a"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
    ],
)  # fmt: skip
def test_latex(text, latex):
    assert latex_expression(parse_expression(text)) == latex


@pytest.mark.parametrize(
    "text",
    [
        "a if a < b and not c else b",
        "min(a, b, c) + max(a, b)",
        "log10(a) + abs(b) + floor(c) + tanh(a) + sin(b) + cos(c) + log(a)",
        "(a >= b) * c + (a != b) + (a == c)",
        "1e-12 * a ** -2.5",
        "lgamma(a) + phi(b)",
    ],
)
def test_everything_can_be_set(text):
    expr = parse_expression(text)
    assert latex_expression(expr)
    ElementTree.fromstring(f"<math>{mathml_expression(expr)}</math>")


def test_names():
    assert [latex_name(name) for name in ("t", "v1", "ec50", "gamma", "peripheral1", "a.gamma")] == [
        "t", "v_{1}", r"\mathrm{ec}_{50}", r"\gamma", r"\mathrm{peripheral}_{1}", r"\mathrm{a.gamma}",
    ]  # fmt: skip


def test_a_model(text):
    model = Model(text)
    latex = model.latex()
    assert latex.startswith("\\begin{aligned}") and latex.count("&=") == 5
    assert r"\frac{d\,\mathrm{central}}{dt} &= " in latex
    root = ElementTree.fromstring(model.mathml())
    assert root.tag.endswith("math") and len(root[0]) == 5
