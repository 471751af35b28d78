"""A report that holds one block of every kind."""

from __future__ import annotations

import pytest

from pkpd.plots import figure
from pkpd.reporting import Box, Column, Content, Equations, Figure, Listing, Paragraph, Section, Table

MATHML = (
    '<math xmlns="http://www.w3.org/1998/Math/MathML"><mtable><mtr><mtd><mfrac><mrow><mi>d</mi><mi>depot</mi></mrow>'
    "<mrow><mi>d</mi><mi>t</mi></mrow></mfrac></mtd><mtd><mo>=</mo></mtd><mtd><mrow><mo>−</mo><mi>ka</mi><mo>⋅</mo>"
    "<mi>depot</mi></mrow></mtd></mtr></mtable></math>"
)


def drawing():
    made = figure(width=3, height=2)
    made.axes[0].plot([0, 1], [0, 1])
    made.axes[0].set_xlabel("hours since the dose")
    return made


def make_everything() -> Content:
    few = Table(
        name="few",
        caption="A *table* in a box.",
        columns=(Column(name="x", unit="mg/L"), Column(name="why", kind="text")),
        rows=((1.5, "<because>"), (None, "of b")),
        groups=((0, "Group one"),),
        strong=(1,),
        notes=("A note with `code`.",),
    )
    many = Table(
        name="many",
        caption="Many rows.",
        columns=(Column(name="who", kind="name"), *(Column(name=f"c{k}") for k in range(4))),
        rows=tuple((f"row{number}", *(number * 1000.0 + k for k in range(4))) for number in range(90)),
    )
    wide = Table(
        name="wide",
        caption="Wide.",
        columns=tuple(Column(name=f"column{k}") for k in range(16)),
        rows=tuple(tuple(-123456.0 - k for k in range(16)) for _ in range(14)),
    )
    first = (
        Paragraph(
            "One **strong** *and* `code <b>` with doi:10.1000/xyz1.\n\nSecond at 5 %: #hash $dollar @at \\back_."
        ),
        Box(title="In short", blocks=(Paragraph("Inside the box."), few)),
        Figure(name="line", draw=drawing, caption="A line.", alt='A rising "line"'),
        Equations(mathml=(MATHML,), caption="The equation"),
    )
    second = (
        many,
        wide,
        Figure(name="again", draw=drawing, caption="The same line."),
        Listing(title="The file", text="[part]\n  a < b & c\n\n" + "x" * 300),
    )
    sections = (Section(title="First part", blocks=first), Section(title="Second & last part", blocks=second))
    return Content(title="A & B <report>", subtitle="of `all`", sections=sections, stamp="model abc, data def")


@pytest.fixture(scope="session")
def everything() -> Content:
    return make_everything()


@pytest.fixture(scope="session")
def drawings(everything) -> dict[str, bytes]:
    from pkpd.reporting.html import svg_bytes

    return {one.name: svg_bytes(one) for one in everything.figures}
