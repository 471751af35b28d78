"""Equations keep every sign on their way to Typst and to Word."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import typst

import pkpd
from pkpd.errors import PkpdError
from pkpd.model.equation import parse_expression
from pkpd.model.presentation import mathml_expression
from pkpd.reporting.mathml import omml, typst_math

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))
SPACES = (
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
)
EXPRESSIONS = (
    "a / (b + c)", "-(a + b) * c", "k_el * ec50 ** gamma", "sqrt(a + b) ** 2", "exp(-(a - b) / c)",
    "abs(a - b) + floor(c)", "min(a, b, c) + max(a, b)", "lgamma(a) + phi(b) + log10(c) + log(a)", "1e-7 * a",
    "(a ** b) ** c", "a if a < b and b >= 2 else b if not (c != 1) else c", "((a + b) * (c - 1)) ** 2",
)  # fmt: skip


def read(node) -> str:
    """The signs of OMML, from left to right."""
    tag = node.tag.rpartition("}")[2]
    if tag == "t":
        return node.text or ""
    inside = "".join(read(child) for child in node)
    if tag == "d":
        ends = {child.tag.rpartition("}")[2]: next(iter(child.attrib.values())) for child in node[0]}
        return ends["begChr"] + inside + ends["endChr"]
    return inside


def signs(text: str) -> str:
    return text.replace("\N{THIN SPACE}", "").replace("-", "−").replace(" ", "")


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_word_gets_every_sign_of_every_shipped_model(file):
    mathml = pkpd.Model(file).mathml()
    rows = ElementTree.fromstring(mathml)[0]
    lines = omml(mathml)
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        made = ElementTree.fromstring(f"<m:oMath {SPACES}>{line}</m:oMath>")
        assert signs(read(made)) == signs("".join(row.itertext()))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_word_gets_every_sign_of_everything_that_can_be_written(text):
    mathml = f"<math>{mathml_expression(parse_expression(text))}</math>"
    (line,) = omml(mathml)
    made = ElementTree.fromstring(f"<m:oMath {SPACES}>{line}</m:oMath>")
    assert signs(read(made)) == signs("".join(ElementTree.fromstring(mathml).itertext()))


def test_typst_sets_all_of_them():
    lines = [cell for file in MODELS for row in typst_math(pkpd.Model(file).mathml()) for cell in row]
    for text in EXPRESSIONS:
        lines += typst_math(f"<math>{mathml_expression(parse_expression(text))}</math>")[0]
    source = "\n\n".join(f"$ {line} $" for line in lines)
    assert typst.compile(source.encode(), format="pdf").startswith(b"%PDF")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a / ec50", 'frac(a, attach("ec", b: 50))'),
        ("a - (b - c)", "a − lr( paren.l b − c paren.r )"),
        ("(k_el / a) ** gamma", 'attach(lr( paren.l frac(attach(k, b: "el"), a) paren.r ), t: γ)'),
        ("sqrt(2 * a)", "sqrt(2 ⋅ a)"),
        ("min(a, b)", '"min"lr( paren.l a comma b paren.r )'),
    ],
)
def test_typst_math_reads_as_expected(text, made):
    found = typst_math(f"<math>{mathml_expression(parse_expression(text))}</math>")
    assert found == [[made]]


def test_text_is_not_read_as_typst():
    assert typst_math('<math><mi>a"#b\\</mi></math>') == [['"a\\"#b\\\\"']]


def test_a_fraction_that_word_would_not_break_is_set_smaller():
    long = "<math><mfrac><mi>" + "a" * 170 + "</mi><mi>b</mi></mfrac></math>"
    assert 'w:sz w:val="10"' in omml(long)[0] and "w:sz" not in omml(long.replace("a" * 170, "a"))[0]


@pytest.mark.parametrize("bad", ["<math>", "<math><mphantom/></math>", "<math><mfrac><mi>a</mi></mfrac></math>"])
def test_what_has_no_translation_is_refused(bad):
    for translate in (typst_math, omml):
        with pytest.raises(PkpdError, match="an equation"):
            translate(bad)
