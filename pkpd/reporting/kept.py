"""The report of a folder, kept beside its result, so that it can be given in another format without a new fit."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pkpd.errors import PkpdError
from pkpd.reporting.content import (
    Box,
    Column,
    Content,
    Equations,
    Figure,
    Listing,
    Paragraph,
    Section,
    Table,
)

__all__ = ["kept_bytes", "read_kept"]

_FORM = 2
_KINDS = {kind.__name__: kind for kind in (Box, Column, Content, Equations, Figure, Listing, Paragraph, Section, Table)}


def kept_bytes(content: Content, drawings: Mapping[str, bytes], given: Mapping[str, bytes], result: bytes) -> bytes:
    """Give a report, its figures drawn, as bytes that :func:`read_kept` reads.

    Parameters
    ----------
    content : Content
    drawings : mapping
        SVG by the name of its figure.
    given : mapping
        The files of the folder from which the results were made.
    result : bytes
        The file of results that it belongs to; its hash is kept.
    """
    kept = {
        "form": _FORM,
        "result": _hash(result),
        "content": _plain(content),
        "drawings": {name: svg.decode() for name, svg in drawings.items()},
        "given": {name: base64.b64encode(file).decode("ascii") for name, file in given.items()},
    }
    return gzip.compress(json.dumps(kept, ensure_ascii=False).encode(), mtime=0)


def read_kept(file: Path, result: Path) -> tuple[Content, dict[str, bytes], dict[str, bytes]] | None:
    """Give the report that was kept, its drawings, and what it was made from; None if it belongs to other results."""
    try:
        kept = json.loads(gzip.decompress(file.read_bytes()))
        ours = kept["form"] == _FORM and kept["result"] == _hash(result.read_bytes())
    except (OSError, EOFError, ValueError, KeyError):
        return None
    if not ours:
        return None
    drawings = {name: svg.encode() for name, svg in kept["drawings"].items()}
    return _made(kept["content"]), drawings, {name: base64.b64decode(text) for name, text in kept["given"].items()}


def _plain(value: Any) -> Any:
    """Turn dataclasses, tuples and numbers of numpy into what JSON knows."""
    name = type(value).__name__
    if name in _KINDS and isinstance(value, _KINDS[name]):
        parts = {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name != "draw"}
        return {"is": name, **parts}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.item() if hasattr(value, "item") else float(value)


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_made(one) for one in value)
    if not isinstance(value, dict):
        return value
    parts = {name: _made(one) for name, one in value.items() if name != "is"}
    if value["is"] == "Figure":
        parts["draw"] = _drawn_already
    return _KINDS[value["is"]](**parts)


def _drawn_already() -> Any:
    raise PkpdError("this figure was drawn when the report was kept.", remedy="Use the drawing that is kept with it.")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
