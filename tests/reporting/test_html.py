"""One HTML file that holds everything and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pkpd.errors import PkpdError
from pkpd.plots import figure
from pkpd.reporting import Box, Column, Content, Equations, Figure, Listing, Paragraph, Section, Table
from pkpd.reporting.html import html_text, plain_entities, svg_bytes

MATHML = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi><mo>=</mo><mn>1</mn></math>'


def drawing():
    made = figure(width=3, height=2)
    made.axes[0].plot([0, 1], [0, 1])
    return made


def content(**changed) -> Content:
    blocks = (
        Paragraph("One **strong** *and* `code <b>` with doi:10.1000/xyz1.\n\nSecond at 5 %."),
        Box(title="Box", blocks=(Paragraph("inside"),)),
        Table(
            name="numbers",
            caption="A *table*.",
            columns=(Column(name="x", unit="mg/L"), Column(name="why", kind="text")),
            rows=((1.5, "<script>alert(1)</script>"), (None, "b")),
            groups=((0, "Group"),),
            strong=(1,),
            notes=("A note.",),
        ),
        Figure(name="line", draw=drawing, caption="A line.", alt='A "line"'),
        Equations(mathml=(MATHML,), caption="One"),
        Listing(title="File", text="a < b"),
    )
    return Content(
        **{"title": "A & B", "sections": (Section(title="First part", blocks=blocks),), "stamp": "abc"} | changed
    )


class Outline(HTMLParser):
    """Collects tags and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return html_text(content())


def test_it_is_well_formed(page):
    outline = Outline()
    outline.feed(page)
    assert outline.open == []


def test_it_is_self_contained(page):
    outline = Outline()
    outline.feed(page)
    assert not [tag for tag, _ in outline.seen if tag in ("script", "link", "iframe", "object")]
    sources = [attrs["src"] for tag, attrs in outline.seen if "src" in attrs]
    assert sources and all(src.startswith("data:image/svg+xml;base64,") for src in sources)
    assert "@import" not in page and "url(" not in page


def test_text_is_escaped_and_marked_up(page):
    assert "&lt;script&gt;" in page and "<script>" not in page
    assert "<strong>strong</strong>" in page and "<em>and</em>" in page and "<code>code &lt;b&gt;</code>" in page
    assert '<a href="https://doi.org/10.1000/xyz1">' in page
    assert "5\N{NO-BREAK SPACE}%" in page
    assert "<title>A &amp; B</title>" in page


def test_tables_and_figures_are_numbered_and_reachable(page):
    assert "<b>Table 1.</b> A <em>table</em>." in page
    assert "<b>Figure 1.</b> A line." in page
    assert 'alt="A &#34;line&#34;"' in page
    assert '<a href="#s1-first-part">' in page and 'id="s1-first-part"' in page
    assert 'scope="colgroup">Group<' in page


def test_it_has_rules_for_paper(page):
    assert "@media print" in page and "@page" in page


def test_equations_are_mathml_and_nothing_else(page):
    assert "<mi>x</mi>" in page
    for bad in ("<math><script>x</script></math>", '<math href="x"><mi>x</mi></math>', '<math onclick="x"/>', "<math>"):
        with pytest.raises(PkpdError):
            html_text(content(sections=(Section(title="s", blocks=(Equations(mathml=(bad,)),)),)))


def test_named_entities_become_characters():
    assert plain_entities("a&InvisibleTimes;b&lt;c") == "a\N{INVISIBLE TIMES}b&lt;c"


def test_the_same_figure_gives_the_same_bytes():
    one = Figure(name="line", draw=drawing, caption="c")
    assert svg_bytes(one) == svg_bytes(one)
    assert re.search(rb"<svg", svg_bytes(one))
