"""Equations from MathML into what other papers are made of: the mathematics of Typst, and OMML, that of Word.

One walk over the elements, and for each target a vocabulary of eight words.

Source: ECMA-376-1:2016, part 22.1 (OMML); https://typst.app/docs/reference/math.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Protocol
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from pkpd.errors import PkpdError
from pkpd.reporting.html import plain_entities

__all__ = ["omml", "typst_math"]

_PAIRS = {"(": ")", "[": "]", "{": "}", "|": "|", "⌊": "⌋", "⌈": "⌉"}
_SIZE = 21  # half points of running text
_LONGEST = 85  # characters of it in a line
_ROWS = ("math", "mrow", "mstyle", "mtd")


def typst_math(mathml: str) -> list[list[str]]:
    """Give MathML as mathematics of Typst.

    Parameters
    ----------
    mathml : str
        One ``<math>`` element, such as ``Model.mathml()`` gives.

    Returns
    -------
    list of list of str
        For each line of the outermost table its cells; one line of one cell where there is no table.

    Raises
    ------
    PkpdError
        It is not MathML, or holds an element that has no translation.
    """
    return [[_walk(cell, _Typst()) for cell in line] for line in _lines(mathml)]


def omml(mathml: str) -> list[str]:
    """Give MathML as OMML: the inside of one ``<m:oMath>`` for each line.

    Raises
    ------
    PkpdError
        It is not MathML, or holds an element that has no translation.
    """
    return ["".join(_walk(cell, _Omml(_size(line))) for cell in line) for line in _lines(mathml)]


def _size(line: Sequence[Element]) -> int:
    """Half points of type, fewer where a fraction, which Word does not break, would be wider than the page."""
    parts = [part for cell in line for fraction in cell.iter() if _tag(fraction) == "mfrac" for part in fraction]
    longest = max((len("".join(part.itertext())) for part in parts), default=1)
    return max(round(_SIZE * min(1.0, _LONGEST / longest)), 10)


class _Target(Protocol):
    """The words of a target: each takes translated parts and gives a translated whole."""

    def row(self, parts: Sequence[str]) -> str: ...
    def name(self, text: str) -> str: ...
    def number(self, text: str) -> str: ...
    def sign(self, text: str) -> str: ...
    def words(self, text: str) -> str: ...
    def fraction(self, above: str, below: str) -> str: ...
    def root(self, inner: str, degree: str) -> str: ...
    def scripts(self, base: str, below: str, above: str) -> str: ...
    def fence(self, left: str, inner: str, right: str) -> str: ...
    def table(self, rows: Sequence[Sequence[str]]) -> str: ...


class _Typst:
    _SIGNS: ClassVar = {
        "(": "paren.l", ")": "paren.r", "[": "bracket.l", "]": "bracket.r", "{": "brace.l", "}": "brace.r",
        "|": "bar.v", "⌊": "floor.l", "⌋": "floor.r", "⌈": "ceil.l", "⌉": "ceil.r", ",": "comma", ";": "semi",
        "/": "slash", "-": "−", "<": "lt", ">": "gt", ":": "colon", "": "",
    }  # fmt: skip

    def row(self, parts: Sequence[str]) -> str:
        # Typst shows a space that stands beside a word, so there is none.
        whole = ""
        for part in filter(None, parts):
            close = not whole or whole.endswith('"') or part.startswith('"')
            whole += part if close else f" {part}"
        return whole

    def name(self, text: str) -> str:
        return text if len(text) == 1 and text.isalpha() else self.words(text)

    def number(self, text: str) -> str:
        minus, size = ("− ", text[1:]) if text.startswith(("-", "−")) else ("", text)
        return minus + (size if re.fullmatch(r"[0-9]+(\.[0-9]+)?", size) else self.words(size))

    def sign(self, text: str) -> str:
        if text in self._SIGNS:
            return self._SIGNS[text]
        return text if text in ("+", "=") or (len(text) == 1 and not text.isascii()) else f"op({self.words(text)})"

    def words(self, text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def fraction(self, above: str, below: str) -> str:
        return f"frac({above}, {below})"

    def root(self, inner: str, degree: str) -> str:
        return f"root({degree}, {inner})" if degree else f"sqrt({inner})"

    def scripts(self, base: str, below: str, above: str) -> str:
        return f"attach({base}" + (f", b: {below}" if below else "") + (f", t: {above}" if above else "") + ")"

    def fence(self, left: str, inner: str, right: str) -> str:
        return self.row(("lr(", self.sign(left), inner, self.sign(right), ")"))

    def table(self, rows: Sequence[Sequence[str]]) -> str:
        lines = "; ".join(", ".join(cell or '""' for cell in cells) for cells in rows)
        return f"mat(delim: #none, align: #left, column-gap: #1em, row-gap: #.5em, {lines})"


class _Omml:
    def __init__(self, size: int) -> None:
        self.look = f'<w:sz w:val="{size}"/>' if size < _SIZE else ""

    def row(self, parts: Sequence[str]) -> str:
        return "".join(parts)

    def name(self, text: str) -> str:
        return self._run(text, upright=len(text) > 1)

    def number(self, text: str) -> str:
        return self._run(text.replace("-", "−"), upright=True)

    def sign(self, text: str) -> str:
        return self._run({"-": "−"}.get(text, text), upright=True) if text else ""

    def words(self, text: str) -> str:
        return self._run(text, upright=True)

    def fraction(self, above: str, below: str) -> str:
        return f"<m:f><m:num>{above}</m:num><m:den>{below}</m:den></m:f>"

    def root(self, inner: str, degree: str) -> str:
        hidden = "" if degree else '<m:radPr><m:degHide m:val="1"/></m:radPr>'
        return f"<m:rad>{hidden}<m:deg>{degree}</m:deg><m:e>{inner}</m:e></m:rad>"

    def scripts(self, base: str, below: str, above: str) -> str:
        kind = "sSubSup" if below and above else "sSub" if below else "sSup"
        under, over = (f"<m:sub>{below}</m:sub>" if below else ""), (f"<m:sup>{above}</m:sup>" if above else "")
        return f"<m:{kind}><m:e>{base}</m:e>{under}{over}</m:{kind}>"

    def fence(self, left: str, inner: str, right: str) -> str:
        ends = f"<m:begChr m:val={quoteattr(left)}/><m:endChr m:val={quoteattr(right)}/>"
        return f"<m:d><m:dPr>{ends}</m:dPr><m:e>{inner}</m:e></m:d>"

    def table(self, rows: Sequence[Sequence[str]]) -> str:
        wide = max(len(cells) for cells in rows)
        look = f'<m:mcs><m:mc><m:mcPr><m:count m:val="{wide}"/><m:mcJc m:val="left"/></m:mcPr></m:mc></m:mcs>'
        lines = "".join(f"<m:mr>{''.join(f'<m:e>{cell}</m:e>' for cell in cells)}</m:mr>" for cells in rows)
        return f"<m:m><m:mPr>{look}</m:mPr>{lines}</m:m>"

    def _run(self, text: str, *, upright: bool) -> str:
        style = '<m:rPr><m:sty m:val="p"/></m:rPr>' if upright else ""
        font = f'<w:rPr><w:rFonts w:ascii="Cambria Math" w:hAnsi="Cambria Math"/>{self.look}</w:rPr>'
        return f'<m:r>{style}{font}<m:t xml:space="preserve">{escape(text)}</m:t></m:r>'


def _lines(mathml: str) -> list[list[Element]]:
    try:
        root = ElementTree.fromstring(plain_entities(mathml))
    except ElementTree.ParseError as error:
        raise _refused(f"an equation is not MathML: {error}.") from error
    inside = list(root)
    if len(inside) == 1 and _tag(inside[0]) == "mtable":
        return [list(row) for row in inside[0]]
    return [[root]]


def _walk(node: Element, to: _Target) -> str:
    tag, text = _tag(node), (node.text or "").strip()
    if tag in _ROWS:
        return _sequence(list(node), to)
    if tag in ("mi", "mn", "mo"):
        return {"mi": to.name, "mn": to.number, "mo": to.sign}[tag](text)
    if tag == "mtext":
        return to.words(node.text or "")
    if tag == "msqrt":
        return to.root(_sequence(list(node), to), "")
    if tag == "mtable":
        return to.table([[_walk(cell, to) for cell in row] for row in node])
    if tag not in ("mfrac", "mroot", "msub", "msup", "msubsup"):
        raise _refused(f"an equation holds the element <{tag}>, which cannot be set on paper.")
    wanted = 3 if tag == "msubsup" else 2
    if len(node) != wanted:
        raise _refused(f"an equation holds <{tag}> with {len(node)} parts instead of {wanted}.")
    parts = [_walk(child, to) for child in node]
    if tag == "mfrac":
        return to.fraction(*parts)
    if tag == "mroot":
        return to.root(*parts)
    return to.scripts(parts[0], parts[1] if tag != "msup" else "", parts[-1] if tag != "msub" else "")


def _sequence(nodes: list[Element], to: _Target) -> str:
    """Translate neighbours; a bracket grows with what stands up to its partner."""
    parts: list[str] = []
    at = 0
    while at < len(nodes):
        sign = (nodes[at].text or "").strip() if _tag(nodes[at]) == "mo" else ""
        end = _partner(nodes, at, sign) if sign in _PAIRS else None
        if end is not None:
            parts.append(to.fence(sign, _sequence(nodes[at + 1 : end], to), _PAIRS[sign]))
            at = end + 1
        elif sign == "{":  # the cases of a piecewise expression
            parts.append(to.fence(sign, _sequence(nodes[at + 1 :], to), ""))
            at = len(nodes)
        else:
            if at and _is_name(nodes[at - 1]) and _is_name(nodes[at]) and len("".join(nodes[at].itertext())) > 1:
                parts.append(to.words("\N{THIN SPACE}"))
            parts.append(_walk(nodes[at], to))
            at += 1
    return to.row(parts)


def _partner(nodes: list[Element], start: int, opening: str) -> int | None:
    depth = 0
    for at in range(start + 1, len(nodes)):
        sign = (nodes[at].text or "").strip() if _tag(nodes[at]) == "mo" else ""
        if sign == _PAIRS[opening] and depth == 0:
            return at
        depth += (sign == opening) - (sign == _PAIRS[opening])
    return None


def _is_name(node: Element) -> bool:
    return _tag(node) == "mi" or (_tag(node) == "msub" and _tag(node[0]) == "mi")


def _tag(node: Element) -> str:
    return node.tag.rpartition("}")[2]


def _refused(what: str) -> PkpdError:
    return PkpdError(what, expected="Presentation MathML.", remedy="Give Model.mathml().")
