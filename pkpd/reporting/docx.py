"""A report as a Word document: headings, tables, numbered captions and equations that Word knows as such.

Source: ECMA-376-1:2016, parts 17 (WordprocessingML) and 22.1 (OMML).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any
from xml.sax.saxutils import escape

from pkpd.reporting.content import Block, Box, Content, Equations, Figure, Listing, Paragraph, Table
from pkpd.reporting.extra import needed
from pkpd.reporting.html import inches, svg_bytes
from pkpd.reporting.layout import ACROSS, BOX, MARGIN, fitted
from pkpd.reporting.markup import Run, paragraphs, plain, runs
from pkpd.reporting.mathml import omml
from pkpd.reporting.pdf import png_bytes
from pkpd.reporting.tables import shown

__all__ = ["docx_bytes"]

_SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_LONG_AGO = datetime(2000, 1, 1)  # a file with today's date would differ each day
_TINT, _QUIET = "F4F6F8", "5D5D5D"
_FEW = 8  # rows of a table that is not broken over two pages
_SIZE = 8.5  # points of the style Table Text
_EMU = 914400  # English metric units in an inch


def docx_bytes(content: Content, drawings: dict[str, bytes] | None = None) -> bytes:
    """Give the whole report as the bytes of one Word document.

    Parameters
    ----------
    content : Content
    drawings : dict, optional
        SVG by the name of its figure, where they have been drawn already.

    Returns
    -------
    bytes
        Without a date: the same content gives the same bytes.

    Raises
    ------
    FitFileError
        The extra ``print`` is not installed.
    """
    docx = needed("docx")
    drawn = dict(drawings or {})
    drawn |= {figure.name: svg_bytes(figure) for figure in content.figures if figure.name not in drawn}
    document = docx.Document()
    _prepare(document, content)
    writer = _Writer(document, content, drawn)
    body = document.element.body
    for piece in writer.everything():
        body.insert(len(body) - 1, _element(piece))  # the last element of a body holds its page
    out = io.BytesIO()
    document.save(out)
    return _undated(out.getvalue())


class _Writer:
    """Turns blocks into WordprocessingML; pictures and links become parts of the document."""

    def __init__(self, document: Any, content: Content, drawn: dict[str, bytes]) -> None:
        self.document, self.content, self.drawn = document, content, drawn
        self.numbers = content.numbers
        self.pages = document.sections[0]._sectPr.xml

    def everything(self) -> list[str]:
        content = self.content
        pieces = [_paragraph("Title", self.inline(content.title))]
        if content.subtitle:
            pieces.append(_paragraph("Subtitle", self.inline(content.subtitle)))
        titles = [f"{number}. {section.title}" for number, section in enumerate(content.sections, start=1)]
        pieces += [_contents(titles)] if titles else []
        for number, (title, section) in enumerate(zip(titles, content.sections, strict=True)):
            start, end = (
                f'<w:bookmarkStart w:id="{number}" w:name="_Toc{number + 1:08}"/>',
                f'<w:bookmarkEnd w:id="{number}"/>',
            )
            pieces.append(_paragraph("Heading1", start + _run(Run(title)) + end))
            for block in section.blocks:
                pieces += self.block(block, ACROSS)
        return pieces

    def block(self, block: Block, room: float) -> list[str]:
        """Give the paragraphs and tables of a block that may be `room` points wide."""
        if isinstance(block, Paragraph):
            return [_paragraph("Normal", self.inline(part)) for part in paragraphs(block.text)]
        if isinstance(block, Table):
            return self.table(block, room)
        if isinstance(block, Figure):
            return [self.picture(block, room), self.caption("Figure", f"figure {block.name}", block.caption)]
        if isinstance(block, Equations):
            lines = [_paragraph("Equation", f"<m:oMathPara>{_LEFT}<m:oMath>{line}</m:oMath></m:oMathPara>")
                     for mathml in block.mathml for line in omml(mathml)]  # fmt: skip
            head = [_paragraph("Caption", self.inline(block.caption), keep=True)] if block.caption else []
            return [*head, *lines, _paragraph("Spacer", "")]
        if isinstance(block, Listing):
            rows = [_paragraph("Listing", _run(Run(line))) for line in block.text.rstrip("\n").split("\n")]
            return [_paragraph("ListingTitle", _run(Run(block.title))), *rows, _paragraph("Spacer", "")]
        assert isinstance(block, Box)
        inside = [_paragraph("BoxTitle", _run(Run(block.title)))]
        for one in block.blocks:
            inside += self.block(one, room - BOX)
        return [_box("".join(inside), room), _paragraph("Spacer", "")]

    def table(self, table: Table, room: float) -> list[str]:
        layout = fitted(table, room=room, turn=room == ACROSS)
        few, headings, wide = len(table.rows) <= _FEW, dict(table.groups), len(table.columns)
        small = 0.0 if layout.size == _SIZE else layout.size
        right = [column.kind == "number" for column in table.columns]
        rows = []
        headed = any(column.name for column in table.columns)
        if headed:
            cells = []
            for column, width, flush in zip(table.columns, layout.widths, right, strict=True):
                unit = f"<w:r><w:br/></w:r>{_run(Run(column.unit), small, quiet=True)}" if column.unit else ""
                inner = self.inline(column.name, small, strong=True) + unit
                cells.append(_cell(inner, width, right=flush, keep=True))
            rows.append(_row(cells, header=True))
        for number, row in enumerate(table.rows):
            keep = few and number < len(table.rows) - 1
            if number in headings:
                inner = self.inline(headings[number], small, strong=True)
                rows.append(_row([_cell(inner, sum(layout.widths), span=wide, keep=True)]))
            strong = number in table.strong
            cells = [
                _cell(
                    self.inline(shown(value, column), small, strong=strong), width, right=flush, keep=keep, tint=strong
                )
                for value, column, width, flush in zip(row, table.columns, layout.widths, right, strict=True)
            ]
            rows.append(_row(cells))
        made = _table("ReportTable", layout.widths, {"left": 0, "right": layout.gap}, "".join(rows), headed=headed)
        caption = self.caption("Table", f"table {table.name}", table.caption, keep=True)
        notes = [_paragraph("TableNote", self.inline(note)) for note in table.notes]
        whole = [caption, made, *notes, _paragraph("Spacer", "")]
        if not layout.turned:
            return whole
        return [_break(self.pages), *whole, _break(_turned(self.pages))]

    def picture(self, figure: Figure, room: float) -> str:
        svg = self.drawn[figure.name]
        width = int(min(inches(svg), room / 72) * _EMU)
        inline = self.document.part.new_pic_inline(io.BytesIO(png_bytes(svg)), width=width)
        inline.docPr.set("id", str(self.numbers[f"figure {figure.name}"]))
        inline.docPr.set("name", figure.name)
        inline.docPr.set("descr", _clean(plain(figure.alt or figure.caption)))
        return _paragraph("Picture", f"<w:r><w:drawing>{inline.xml}</w:drawing></w:r>")

    def caption(self, word: str, key: str, text: str, *, keep: bool = False) -> str:
        number = _field(f"SEQ {word} \\* ARABIC", str(self.numbers[key]), strong=True)
        label = _run(Run(f"{word} ", strong=True)) + number + _run(Run(". ", strong=True))
        return _paragraph("Caption", label + self.inline(text), keep=keep, after=0 if keep else 240)

    def inline(self, text: str, size: float = 0.0, *, strong: bool = False) -> str:
        return "".join(self.linked(run, _run(run, size, strong=strong)) for run in runs(text))

    def linked(self, run: Run, inner: str) -> str:
        if not run.link:
            return inner
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
        target = self.document.part.relate_to(run.link, kind, is_external=True)
        return f'<w:hyperlink r:id="{target}">{inner}</w:hyperlink>'


_LEFT = '<m:oMathParaPr><m:jc m:val="left"/></m:oMathParaPr>'


def _prepare(document: Any, content: Content) -> None:
    """Give an empty document its page, its styles, its footer and its properties."""
    styles = document.styles.element
    look = (files("pkpd.reporting") / "report.styles.xml").read_bytes()
    for style in _element(look):
        if not isinstance(style.tag, str):
            continue
        name = next(value for key, value in style.attrib.items() if key.endswith("styleId"))
        for old in styles.xpath(f'w:style[@w:styleId="{name}"]'):
            styles.remove(old)
        for link in styles.xpath(f'w:style/w:link[@w:val="{name}"]'):
            link.getparent().remove(link)
        styles.append(style)
    for language in styles.xpath("w:docDefaults//w:lang"):
        if not language.get(_name("val")).startswith(content.language):
            language.set(_name("val"), content.language)
    for mode in document.settings.element.xpath('w:compat/w:compatSetting[@w:name="compatibilityMode"]'):
        mode.set(_name("val"), "15")
    page = document.sections[0]
    page.page_width, page.page_height = int(210 / 25.4 * _EMU), int(297 / 25.4 * _EMU)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = int(MARGIN / 72 * _EMU)
    foot = page.footer.paragraphs[0]
    foot.style = document.styles["footer"]
    pages = f"<w:r><w:tab/></w:r>{_field('PAGE', '1')}{_run(Run(' / '))}{_field('NUMPAGES', '1')}"
    for piece in _element(f"<w:p {_SPACES}>{_run(Run(content.stamp))}{pages}</w:p>"):
        foot._p.append(piece)
    said = document.core_properties
    said.title, said.subject, said.comments = _clean(content.title)[:255], _clean(plain(content.subtitle))[:255], ""
    said.author, said.last_modified_by, said.keywords = "", "", _clean(content.stamp)[:255]
    said.created = said.modified = _LONG_AGO
    said.language, said.revision = content.language, 1


def _contents(titles: Sequence[str]) -> str:
    """Give a list of contents, which Word fills with page numbers when it is asked to bring fields up to date."""
    begin = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    ask = '<w:r><w:instrText xml:space="preserve"> TOC \\o "1-1" \\h \\z \\u </w:instrText></w:r>'
    first = begin + ask + '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    lines = []
    for number, title in enumerate(titles, start=1):
        link = f'<w:hyperlink w:anchor="_Toc{number:08}" w:history="1">{_run(Run(title))}</w:hyperlink>'
        lines.append(_paragraph("TOC1", (first if number == 1 else "") + link))
    end = _paragraph("Spacer", '<w:r><w:fldChar w:fldCharType="end"/></w:r>')
    kind = '<w:docPartObj><w:docPartGallery w:val="Table of Contents"/><w:docPartUnique/></w:docPartObj>'
    return f"<w:sdt><w:sdtPr>{kind}</w:sdtPr><w:sdtContent>{''.join(lines)}{end}</w:sdtContent></w:sdt>"


def _paragraph(style: str, inner: str, *, keep: bool = False, after: int = 0) -> str:
    kept = ("<w:keepNext/>" if keep else "") + (f'<w:spacing w:after="{after}"/>' if after else "")
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{kept}</w:pPr>{inner}</w:p>'


def _run(run: Run, size: float = 0.0, *, strong: bool = False, quiet: bool = False) -> str:
    """Give a run; the order of its properties is the standard's."""
    look = '<w:rStyle w:val="Hyperlink"/>' if run.link else ""
    look += '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/>' if run.code else ""
    look += "<w:b/>" if run.strong or strong else '<w:b w:val="0"/>' if quiet else ""
    look += "<w:i/>" if run.emphasis else ""
    look += f'<w:color w:val="{_QUIET}"/>' if quiet else ""
    look += f'<w:sz w:val="{round(2 * size)}"/>' if size else ""
    text = escape(_clean(run.text)).replace("\t", "    ")
    return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def _field(instruction: str, shows: str, *, strong: bool = False) -> str:
    return f'<w:fldSimple w:instr=" {instruction} ">{_run(Run(shows, strong=strong))}</w:fldSimple>'


def _cell(
    inner: str, width: float, *, right: bool = False, keep: bool = False, tint: bool = False, span: int = 1
) -> str:
    over = f'<w:gridSpan w:val="{span}"/>' if span > 1 else ""
    shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{_TINT}"/>' if tint else ""
    kept, flush = ("<w:keepNext/>" if keep else ""), ('<w:jc w:val="right"/>' if right else "")
    return (
        f'<w:tc><w:tcPr><w:tcW w:w="{_dxa(width)}" w:type="dxa"/>{over}{shade}</w:tcPr>'
        f'<w:p><w:pPr><w:pStyle w:val="TableText"/>{kept}{flush}</w:pPr>{inner}</w:p></w:tc>'
    )


def _row(cells: Sequence[str], *, header: bool = False) -> str:
    again = "<w:tblHeader/>" if header else ""
    return f"<w:tr><w:trPr><w:cantSplit/>{again}</w:trPr>{''.join(cells)}</w:tr>"


def _box(inner: str, room: float) -> str:
    shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{_TINT}"/>'
    cell = f'<w:tr><w:tc><w:tcPr><w:tcW w:w="{_dxa(room)}" w:type="dxa"/>{shade}</w:tcPr>{inner}</w:tc></w:tr>'
    return _table("ReportBox", [room], {"top": 4, "left": BOX / 2, "bottom": 4, "right": BOX / 2}, cell)


def _table(style: str, widths: Sequence[float], inset: dict[str, float], rows: str, *, headed: bool = False) -> str:
    margins = "".join(f'<w:{side} w:w="{_dxa(size)}" w:type="dxa"/>' for side, size in inset.items())
    grid = "".join(f'<w:gridCol w:w="{_dxa(width)}"/>' for width in widths)
    return (
        f'<w:tbl><w:tblPr><w:tblStyle w:val="{style}"/><w:tblW w:w="{sum(map(_dxa, widths))}" w:type="dxa"/>'
        f'<w:tblLayout w:type="fixed"/><w:tblCellMar>{margins}</w:tblCellMar>'
        f'<w:tblLook w:val="06{20 * headed:02}"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{rows}</w:tbl>'
    )


def _break(pages: str) -> str:
    """End a section, whose pages are as `pages` says."""
    return f'<w:p><w:pPr><w:pStyle w:val="Spacer"/>{pages}</w:pPr></w:p>'


def _turned(pages: str) -> str:
    """Lay the pages of a section on their side."""
    return re.sub(r'w:w="(\d+)" w:h="(\d+)"', r'w:w="\2" w:h="\1" w:orient="landscape"', pages)


def _dxa(points: float) -> int:
    return max(round(20 * points), 0)


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def _name(local: str) -> str:
    return f"{{http://schemas.openxmlformats.org/wordprocessingml/2006/main}}{local}"


def _element(text: str | bytes) -> Any:
    """Read XML; the prefixes of WordprocessingML need not be declared."""
    from docx.oxml import parse_xml

    if isinstance(text, bytes) or " xmlns:w=" in text[: text.index(">")]:
        return parse_xml(text)
    start = re.match(r"<[\w:]+", text)
    assert start is not None
    return parse_xml(f"{start[0]} {_SPACES}{text[start.end() :]}")


def _undated(package: bytes) -> bytes:
    """Write a ZIP file anew with one old date for all that is in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), old.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()
