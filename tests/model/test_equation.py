"""Equations: what is understood, and messages that point at what is not."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelSyntaxError
from pkpd.model.equation import parse_equations, parse_expression
from pkpd.model.expression import to_text

TEXT = """
# a comment
cp = central / v1    # and another, with ) in it
d/dt(central) = -cl * cp - q2 * (cp -
                   peripheral1 / v2)
d / dt( peripheral1 ) = q2 * (cp - peripheral1 / v2)
central(0) = 2 * cl
ketamine.cp = 3
"""


def test_statements():
    read = parse_equations(TEXT)
    assert [name for name, _ in read.assignments] == ["cp", "ketamine.cp"]
    assert list(read.derivatives) == ["central", "peripheral1"]
    assert to_text(read.derivatives["central"]) == "-cl * cp - q2 * (cp - peripheral1 / v2)"
    assert to_text(read.initials["central"]) == "2 * cl"


def test_places_are_those_of_the_file():
    read = parse_equations(TEXT, file="m.toml", line=10)
    second_minus = read.places["derivative", "central"]
    assert read.source.where(second_minus.line, second_minus.column) == "m.toml:13:26"
    v2 = second_minus.parts[1].parts[1].parts[1].parts[1]
    assert read.source.where(v2.line, v2.column) == "m.toml:14:34"


def test_nothing_at_all_is_fine():
    assert parse_equations("\n  # nothing\n") == parse_equations("")


GOLDEN = [
    ("cp = central ^ 2", "1, column 14: `^` is not a power here.", "Use ** for powers."),
    ("cp = (central", "1, column 6: this bracket is never closed", "Close it."),
    ("cp = central)", "1, column 13: this bracket was never opened.", "Take it away."),
    ("cp = central v1", "1, column 6: two values stand side by side.", "Is an operator missing?"),
    ("cp = 3x", "1, column 6: `3x` is neither a number nor a name.", "Is a `*` missing?"),
    ("cp = central *", "1, column 15: the expression ends too early.", "Complete it."),
    ("cp = ln(a)", "1, column 6: `ln` is not a function.", "Use log."),
    ("cp = pow(a, 2)", "1, column 6: `pow` is not a function.", "Use ** for powers."),
    ("cp = sqr(a)", "1, column 6: `sqr` is not a function.", "Did you mean `sqrt`?"),
    ("cp = exp", "1, column 6: `exp` is a function.", "Write exp(x)."),
    ("cp = exp(a, b)", "1, column 6: `exp` takes 1 value, not 2.", "Write exp(x)."),
    ("cp = min(a)", "1, column 6: `min` takes at least 2 values, not 1.", "Write min(x, y)."),
    ("cp = a % b", "1, column 8: `%` cannot stand in an equation.", "Expressions know"),
    ("cp = a = b", "1, column 8: `=` cannot stand here.", "Use == to compare."),
    ("cp = 1e999", "1, column 6: this number is too large.", "1.8e308"),
    ("cp = µ", "1, column 6: the character 'µ' cannot stand in an equation.", "letters a-z"),
    ("cp =", "1, column 5: nothing stands right of `=`.", "Write an expression."),
    ("central", "1, column 1: this line is not an equation.", "An equation is `name = …`"),
    ("a + b = 3", "1, column 1: `a + b` cannot stand left of `=`.", "An equation is `name = …`"),
    ("exp = 3", "1, column 1: `exp` is a word of the language and cannot be defined.", "Choose another name."),
    ("t = 3", "1, column 1: `t` is a word of the language and cannot be defined.", "Choose another name."),
    ("x = 1\nx = 2", "2, column 1: `x` is given twice, first in line 1.", "Keep one of them."),
    ("d/dt(x) = 1\nd/dt(x) = 2", "2, column 1: `d/dt(x)` is given twice", "Keep one of them."),
    ("dx/dt = 3", "1, column 1: `dx/dt` cannot stand left of `=`.", "d/dt(state)"),
    ("cp = True", "1, column 6: True cannot stand in an equation.", "Expressions know"),
    ("cp = x if y", "1, column 6: `x` is not expected here.", "operator or a bracket"),
]


@pytest.mark.parametrize(("text", "head", "remedy"), GOLDEN, ids=[text for text, _, _ in GOLDEN])
def test_messages(text, head, remedy):
    with pytest.raises(ModelSyntaxError) as caught:
        parse_equations(text)
    message = str(caught.value)
    assert f"line {head}" in message and remedy in message


def test_a_whole_message_with_its_caret():
    with pytest.raises(ModelSyntaxError) as caught:
        parse_equations("  d/dt(central) = ka * depot - cl ^ central\n", file="models/warfarin.toml", line=32)
    assert str(caught.value) == (
        "models/warfarin.toml:32:35: `^` is not a power here.\n"
        "    d/dt(central) = ka * depot - cl ^ central\n"
        "                                    ^\n"
        "  Use ** for powers."
    )


def test_all_statements_that_are_wrong_are_listed():
    with pytest.raises(ModelSyntaxError) as caught:
        parse_equations("a = 1 ^ 2\nb = 2\nc = (3\n")
    assert [finding.where for finding in caught.value.findings] == ["line 1, column 7", "line 3, column 5"]


def test_expressions_of_one_line():
    assert to_text(parse_expression("(WT / 70) ** 0.75")) == "(WT / 70) ** 0.75"
    with pytest.raises(ModelSyntaxError, match=r"m\.toml:4:25"):
        parse_expression("WT ^ 2", file="m.toml", line=4, column=22)
