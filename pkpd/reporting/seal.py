"""What a report carries so that somebody else can run it again, under a seal that tells whether it was altered."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

from pkpd.errors import FitFileError

__all__ = ["Sealed", "open_report", "sealed", "shown_tables"]

FORMAT = "pkpd replay 1"
RESULT = "result.nc"
_OPEN, _CLOSE = '<script type="application/json" id="pkpd-replay">', "</script>"
_BLANK = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a report carries.

    Parameters
    ----------
    kind : str
        ``"folder"``: the inputs of a folder and its results; ``"fit"``: a fit alone.
    files : dict of str to bytes
    versions : dict of str to str
    intact : bool
        Whether the report is, to the last character, what was written.
    text : str
        The HTML.
    """

    kind: str
    files: dict[str, bytes] = field(repr=False)
    versions: dict[str, str]
    intact: bool
    text: str = field(repr=False)


def sealed(html: str, result: bytes, attrs: Mapping[Any, Any], given: Mapping[str, bytes] | None = None) -> str:
    """Put what is needed to run a report again into its HTML, and a seal over all of it.

    Parameters
    ----------
    html : str
        Ends with ``</body></html>``, white space aside.
    result : bytes
        The file of results.
    attrs : mapping
        Their attributes, which tell the versions.
    given : mapping of str to bytes, optional
        The files of the folder from which they were made; a fit alone has none.
    """
    files = {**(given or {}), RESULT: result}
    carried = {
        "format": FORMAT,
        "kind": "folder" if given else "fit",
        "versions": {str(name): str(value) for name, value in attrs.items() if str(name).startswith("version_")},
        "files": {name: base64.b64encode(zlib.compress(content, 9)).decode("ascii") for name, content in files.items()},
        "seal": _BLANK,
    }
    place = html.rindex("</body>")
    whole = f"{html[:place]}{_OPEN}{json.dumps(carried)}{_CLOSE}\n{html[place:]}"
    return whole.replace(f'"seal": "{_BLANK}"', f'"seal": "{_hash(whole)}"')


def open_report(path: Path) -> Sealed:
    """Read what a report carries.

    Raises
    ------
    FitFileError
        There is no such file, it is no report, or what it carries is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FitFileError(
            f"it cannot be read: {getattr(error, 'strerror', None) or 'this is not text'}.", where=str(path),
            expected="A report as pkpd writes it (.html).", remedy="Check the path.",
        ) from error  # fmt: skip
    start = text.rfind(_OPEN)
    if start < 0:
        raise FitFileError(
            "it carries nothing that could be run again.", where=str(path),
            expected="A report of pkpd 0.1 or later, whole.", remedy="Write the report again: `pkpd report`.",
        )  # fmt: skip
    try:
        carried = json.loads(text[start + len(_OPEN) : text.index(_CLOSE, start)])
        files = {name: zlib.decompress(base64.b64decode(content)) for name, content in carried["files"].items()}
        seal, kind, versions = str(carried["seal"]), str(carried["kind"]), dict(carried["versions"])
        outside = [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
        if outside:
            raise ValueError(f"it would write {outside[0]}, outside of a folder")
        if carried["format"] != FORMAT:
            raise ValueError(f"its format is {carried['format']!r}")
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise FitFileError(
            f"what it carries is damaged ({' '.join(str(error).split())[:100]}).", where=str(path),
            expected=f"A report whose data block is whole ({FORMAT}).", remedy="Ask for the report as it was written.",
        ) from error  # fmt: skip
    intact = _hash(text.replace(f'"seal": "{seal}"', f'"seal": "{_BLANK}"')) == seal
    return Sealed(kind=kind, files=files, versions=versions, intact=intact, text=text)


def shown_tables(html: str) -> dict[str, list[list[str]]]:
    """Give the cells of every table of a report as they are read, row by row, by the name of the table."""
    reader = _Tables()
    reader.feed(html)
    return reader.found


class _Tables(HTMLParser):
    """Collects the text of cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, list[list[str]]] = {}
        self._name, self._cell = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if (named.get("id") or "").startswith("table-"):
            self._name = str(named["id"]).removeprefix("table-")
            self.found[self._name] = []
        elif tag == "tr" and self._name:
            self.found[self._name].append([])
        elif tag in ("td", "th") and self._name and self.found[self._name]:
            self._cell = True
            self.found[self._name][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False
        elif tag == "table":
            self._name = ""

    def handle_data(self, data: str) -> None:
        if self._cell and self._name:
            row = self.found[self._name][-1]
            row[-1] = re.sub(r"\s+", " ", row[-1] + data).strip()


def _hash(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()
