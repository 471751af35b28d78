"""The files that a report can be: HTML, PDF, Word, and a ZIP of all of them with the tables, figures, model and fit."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkpd.errors import FitFileError
from pkpd.reporting.content import Content
from pkpd.reporting.extra import REMEDY, can_print
from pkpd.reporting.html import html_text, svg_bytes
from pkpd.reporting.markup import plain
from pkpd.reporting.seal import RESULT, sealed
from pkpd.reporting.tables import csv_text
from pkpd.reporting.write import check_writable, tree_bytes, write_all

if TYPE_CHECKING:
    from pkpd.estimation import Fit

__all__ = ["FORMATS", "check_target", "write_report", "zip_bytes"]

FORMATS = ("html", "pdf", "docx", "zip")
_MEANINGS = {
    "report.html": "the report; any browser shows it, and nothing is fetched when it is read",
    "report.pdf": "the same, for paper",
    "report.docx": "the same, for Word",
    "model.toml": 'the model as it was given to the fit: pkpd.Model(Path("model.toml"))',
    "result.nc": 'the fit, with every number: pkpd.load_fit("result.nc")',
    "SHA256SUMS": "a hash of each file; `sha256sum -c SHA256SUMS` tells whether they are as they were written",
}


def check_target(target: Path) -> str:
    """Give the format of a file to write.

    Raises
    ------
    FitFileError
        Its ending is not that of a format, its folder is not there, or that cannot be written to.
    """
    ending = target.suffix.lower().lstrip(".")
    kind = {"htm": "html"}.get(ending, ending)
    if kind not in FORMATS:
        endings = [f".{one}" for one in FORMATS]
        raise FitFileError(
            f"`{target.name}` does not end in {', '.join(endings[:-1])} or {endings[-1]}.",
            where=str(target),
            expected="HTML for the screen, PDF for paper, DOCX for Word, or ZIP for all three with tables and figures.",
            remedy=f"Write {target.stem or 'report'}.html.",
        )
    if not target.parent.is_dir():
        raise FitFileError(
            "there is no such folder.", where=str(target.parent), remedy="Make it first, or choose another path."
        )
    check_writable(target.parent)
    return kind


def write_report(
    content: Content,
    target: Path,
    fit: Fit,
    drawings: Mapping[str, bytes] | None = None,
    given: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a report, whole or not at all.

    Parameters
    ----------
    content : Content
    target : Path
        Its ending chooses the format.
    fit : Fit
        What the report is about; HTML and ZIP carry it.
    drawings : mapping, optional
        SVG by the name of its figure, where they have been drawn already.
    given : mapping, optional
        The files of the folder from which the results were made; HTML and ZIP carry them too.

    Raises
    ------
    FitFileError
        The file cannot be written, or the format needs the extra ``print``.
    """
    kind = check_target(target)
    drawn = dict(drawings or {})
    drawn |= {figure.name: svg_bytes(figure) for figure in content.figures if figure.name not in drawn}
    carried = Carried(fit=fit, result=tree_bytes(fit.tree), given=given or {})
    made = zip_bytes(content, carried, drawn) if kind == "zip" else _bytes(content, kind, drawn, carried)
    return write_all(target.parent, {target.name: made})[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a report is about: the fit, its file, and the files of the folder from which it was made."""

    fit: Fit
    result: bytes
    given: Mapping[str, bytes]


def _bytes(content: Content, kind: str, drawn: dict[str, bytes], carried: Carried) -> bytes:
    if kind == "html":
        return sealed(html_text(content, drawn), carried.result, carried.fit.attrs, carried.given).encode()
    if kind == "pdf":
        from pkpd.reporting.pdf import pdf_bytes

        return pdf_bytes(content, drawn)
    from pkpd.reporting.docx import docx_bytes

    return docx_bytes(content, drawn)


def zip_bytes(content: Content, carried: Carried, drawn: dict[str, bytes]) -> bytes:
    """Give a ZIP file: the report in every format, tables, figures, model and fit, what they are, and their hashes.

    PDF and Word are left out, and README.txt says so, where the extra ``print`` is not installed.
    """
    kinds = [kind for kind in FORMATS[:-1] if kind == "html" or can_print()]
    files = {f"report.{kind}": _bytes(content, kind, drawn, carried) for kind in kinds}
    files |= {f"tables/{table.name}.csv": csv_text(table).encode() for table in content.tables}
    files |= {f"figures/{figure.name}.svg": drawn[figure.name] for figure in content.figures}
    files |= {f"folder/{name}": file for name, file in carried.given.items()}
    files["model.toml"] = str(carried.fit.attrs["model"]).encode()
    files[RESULT] = carried.result
    files["README.txt"] = _readme(content, files).encode()
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files["SHA256SUMS"] = sums.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            # Without a date, so that the same report is the same file.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            packed.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _readme(content: Content, files: Mapping[str, bytes]) -> str:
    """Say what each file is, and which table or figure of the report it holds."""
    wide = max(len(name) for name in (*files, *_MEANINGS)) + 2

    def listed(rows: Mapping[str, str]) -> list[str]:
        return [f"{name:{wide}}{meaning}" for name, meaning in rows.items()]

    numbers = content.numbers
    lines = [content.title, *([plain(content.subtitle)] if content.subtitle else []), content.stamp, ""]
    lines += listed({name: said for name, said in _MEANINGS.items() if name in files or name == "SHA256SUMS"})
    folder = [name for name in files if name.startswith("folder/")]
    if folder:
        lines += ["", "What the results were made from (`pkpd run folder` makes them again):", *folder]
    if "report.pdf" not in files:
        lines += ["", f"PDF and Word are not here: the extra `print` was not installed. {REMEDY}"]
    tables = {
        f"tables/{table.name}.csv": f"Table {numbers[f'table {table.name}']}. {plain(table.caption)}"
        for table in content.tables
    }
    figures = {
        f"figures/{one.name}.svg": f"Figure {numbers[f'figure {one.name}']}. {plain(one.caption)}"
        for one in content.figures
    }
    if tables:
        lines += ["", "Tables of the report, with all digits:", *listed(tables)]
    if figures:
        lines += ["", "Figures of the report:", *listed(figures)]
    return "\n".join(lines) + "\n"
