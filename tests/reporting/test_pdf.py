"""The PDF says what the report says, on pages that hold it."""

from __future__ import annotations

import io
import re

import pypdf
import pytest

from pkpd.errors import FitFileError
from pkpd.model.equation import parse_expression
from pkpd.model.presentation import mathml_expression
from pkpd.reporting import Content, Equations, Section
from pkpd.reporting.layout import MARGIN
from pkpd.reporting.pdf import pdf_bytes, png_bytes


@pytest.fixture(scope="module")
def made(everything, drawings) -> bytes:
    return pdf_bytes(everything, drawings)


@pytest.fixture(scope="module")
def pdf(made) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(made))


@pytest.fixture(scope="module")
def pages(pdf) -> list[str]:
    return [re.sub(r"[\s\u200b]+", " ", page.extract_text()) for page in pdf.pages]


def test_every_block_is_there(pages):
    text = " ".join(pages)
    for piece in (
        "A & B <report>", "of all", "1. First part", "2. Second & last part", "code <b>",
        "5 %: #hash $dollar @at \\back_",
        "Inside the box.", "Table 1. A table in a box.", "<because>", "Group one", "A note with code.", "mg/L",
        "Figure 1. A line.", "hours since the dose", "The equation", "depot", "Table 2. Many rows.",
        "Figure 2. The same", "The file", "a < b & c",
    ):  # fmt: skip
        assert piece in text, piece


def test_a_long_table_goes_on_under_its_headings(pages):
    holding = [page for page in pages if re.search(r"row\d+ ", page)]
    assert len(holding) > 1
    assert all("who c0 c1 c2 c3" in page for page in holding)
    assert [int(n) for page in pages for n in re.findall(r"row(\d+)", page)] == list(range(90))


def test_a_table_too_wide_for_the_page_lies(pdf, pages):
    turned = [float(page.mediabox.width) > float(page.mediabox.height) for page in pdf.pages]
    assert [("column15" in text) for text in pages] == turned and sum(turned) == 1


def edges(page) -> tuple[float, float]:
    """Where text begins farthest to the left and to the right."""
    seen: list[float] = []

    def see(text, cm, tm, font, size):
        if text.strip():
            seen.append(tm[4] * cm[0] + tm[5] * cm[2] + cm[4])

    page.extract_text(visitor_text=see)
    return min(seen), max(seen)


def test_nothing_leaves_the_page(pdf):
    for page in pdf.pages:
        left, right = edges(page)
        assert left >= MARGIN - 1 and right <= float(page.mediabox.width) - MARGIN


def test_a_long_word_of_a_listing_goes_on_in_the_next_line(pdf):
    text = "\n".join(page.extract_text() for page in pdf.pages).replace("\N{ZERO WIDTH SPACE}", "")
    lines = [line for line in text.splitlines() if "xxx" in line]
    assert len(lines) > 1 and sum(line.count("x") for line in lines) == 300


def test_equations_break_at_operators_and_fractions_become_smaller():
    names = [f"name{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    wide = (" + ".join(names), f"({' + '.join(names[:18])}) / {names[0]}")
    lines = tuple(f"<math>{mathml_expression(parse_expression(text))}</math>" for text in wide)
    both = Content(title="t", sections=(Section(title="s", blocks=(Equations(mathml=lines),)),))
    (page,) = pypdf.PdfReader(io.BytesIO(pdf_bytes(both))).pages
    assert edges(page)[1] <= float(page.mediabox.width) - MARGIN
    assert page.extract_text().count("name") == 26 + 18 + 1


def test_pages_know_where_they_are(pdf, pages):
    count = len(pdf.pages)
    for number, page in enumerate(pages, start=1):
        assert "model abc, data def" in page and f"{number} / {count}" in page
    assert re.search(r"1\. First part[ .]+1 2\. Second & last part[ .]+\d", pages[0])
    assert [item["/Title"] for item in pdf.outline] == ["1. First part", "2. Second & last part"]


def test_it_can_be_found_and_read_aloud(pdf, made):
    assert pdf.metadata is not None and pdf.metadata.title == "A & B <report>"
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"] == True  # noqa: E712
    links = [note.get_object() for page in pdf.pages for note in page.get("/Annots", [])]
    assert "https://doi.org/10.1000/xyz1" in {str(link["/A"].get("/URI")) for link in links if "/A" in link}


def test_the_same_report_is_the_same_file(everything, drawings, made):
    assert pdf_bytes(everything, drawings) == made


def test_a_drawing_becomes_pixels(drawings):
    png = png_bytes(drawings["line"], dots=100)
    assert png.startswith(b"\x89PNG") and int.from_bytes(png[16:20]) == 300 and int.from_bytes(png[20:24]) == 200


def test_without_the_extra_it_says_how_to_get_it(everything, drawings, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(FitFileError, match=r"A PDF is set by typst[^$]*pkpd-timecourse\[print\]"):
        pdf_bytes(everything, drawings)
