"""The Word document says what the report says, in parts that Word knows as such."""

from __future__ import annotations

import io
import re
import sys
import zipfile

import docx
import pytest
from docx.enum.section import WD_ORIENT
from docx.oxml.ns import qn

from pkpd.errors import FitFileError
from pkpd.reporting.docx import docx_bytes


@pytest.fixture(scope="module")
def made(everything, drawings) -> bytes:
    return docx_bytes(everything, drawings)


@pytest.fixture(scope="module")
def word(made):
    return docx.Document(io.BytesIO(made))


@pytest.fixture(scope="module")
def xml(made) -> str:
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        return package.read("word/document.xml").decode()


def test_headings_are_headings(word):
    heads = [(p.style.name, p.text) for p in word.paragraphs if p.style.name.startswith(("Heading", "Title"))]
    assert heads == [
        ("Title", "A & B <report>"),
        ("Heading 1", "1. First part"),
        ("Heading 1", "2. Second & last part"),
    ]


def test_paragraphs_keep_their_markup(word):
    first = next(p for p in word.paragraphs if p.text.startswith("One "))
    assert first.text == "One strong and code <b> with doi:10.1000/xyz1."
    assert [run.text for run in first.runs if run.bold] == ["strong"]
    assert [run.text for run in first.runs if run.italic] == ["and"]
    assert [run.text for run in first.runs if run.font.name == "Consolas"] == ["code <b>"]
    assert [link.address for link in first.hyperlinks] == ["https://doi.org/10.1000/xyz1"]
    assert any(p.text.startswith("Second at 5\N{NO-BREAK SPACE}%: #hash $dollar") for p in word.paragraphs)


def test_tables_are_tables_with_headings_that_come_again(word):
    box, many, wide = word.tables
    assert (box.style.name, many.style.name) == ("Report Box", "Report Table")
    assert len(many.rows) == 91 and [cell.text for cell in many.rows[0].cells] == ["who", "c0", "c1", "c2", "c3"]
    assert [cell.text for cell in many.rows[90].cells] == ["row89", "89000", "89001", "89002", "89003"]
    for table in (many, wide):
        assert table.rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None
        assert table.rows[1]._tr.trPr.find(qn("w:tblHeader")) is None
    (few,) = box.cell(0, 0).tables
    cells = [[cell.text for cell in row.cells] for row in few.rows]
    assert cells == [["x\nmg/L", "why"], ["Group one"] * 2, ["1.5", "<because>"], ["–", "of b"]]
    assert all(run.bold for cell in few.rows[3].cells for p in cell.paragraphs for run in p.runs)


def test_captions_are_numbered_by_fields_that_word_can_list(xml, everything):
    fields = re.findall(r'w:instr=" SEQ (\w+) \\\* ARABIC ">.*?<w:t[^>]*>(\d+)</w:t>', xml)
    assert [number for kind, number in fields if kind == "Table"] == ["1", "2", "3"]
    assert [number for kind, number in fields if kind == "Figure"] == ["1", "2"]
    assert everything.numbers == {"table few": 1, "table many": 2, "table wide": 3, "figure line": 1, "figure again": 2}


def test_contents_are_a_field_whose_entries_lead_to_the_headings(word, xml):
    assert 'TOC \\o "1-1"' in xml
    anchors = re.findall(r'<w:hyperlink [^>]*w:anchor="(\w+)"', xml)
    assert anchors == re.findall(r'<w:bookmarkStart [^>]*w:name="(\w+)"', xml) and len(anchors) == 2


def test_figures_have_words_for_those_who_cannot_see_them(word, xml):
    pictures = re.findall(r'<wp:docPr id="(\d+)" name="(\w+)" descr="([^"]*)"', xml)
    assert pictures == [("1", "line", "A rising &quot;line&quot;"), ("2", "again", "The same line.")]
    assert len(word.inline_shapes) == 2 and word.inline_shapes[0].width.inches == pytest.approx(3)


def test_equations_are_word_s_own(word):
    (equation,) = word.element.body.iter(qn("m:oMathPara"))
    fraction = next(equation.iter(qn("m:f")))
    assert "".join(t.text for t in fraction.iter(qn("m:t"))).replace("\N{THIN SPACE}", "") == "ddepotdt"
    assert next(p for p in word.paragraphs if p.text == "The equation")


def test_a_wide_table_lies_and_pages_say_where_they_are(word):
    assert [part.orientation for part in word.sections] == [
        WD_ORIENT.PORTRAIT, WD_ORIENT.LANDSCAPE, WD_ORIENT.PORTRAIT,
    ]  # fmt: skip
    for part in word.sections:
        assert "model abc, data def" in part.footer.paragraphs[0].text
        assert re.search(r"PAGE.*NUMPAGES", part.footer._element.xml, re.DOTALL)


def test_a_listing_keeps_its_lines(word):
    lines = [p.text for p in word.paragraphs if p.style.name == "Listing"]
    assert lines == ["[part]", "  a < b & c", "", "x" * 300]


def test_the_same_report_is_the_same_file(everything, drawings, made, word):
    assert docx_bytes(everything, drawings) == made
    assert word.core_properties.title == "A & B <report>" and word.core_properties.author == ""


def test_what_xml_cannot_hold_is_left_out():
    from pkpd.reporting import Content, Paragraph, Section

    odd = Content(title="a\x00b", sections=(Section(title="c\x0b", blocks=(Paragraph("d\x1be"),)),))
    word = docx.Document(io.BytesIO(docx_bytes(odd)))
    assert {"ab", "1. c", "de"} <= {p.text for p in word.paragraphs}


def test_without_the_extra_it_says_how_to_get_it(everything, drawings, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(FitFileError, match=r"written by python-docx[^$]*pkpd-timecourse\[print\]"):
        docx_bytes(everything, drawings)
