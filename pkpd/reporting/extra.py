"""What the extra ``print`` brings, and the refusal where it is not there."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pkpd.errors import FitFileError

__all__ = ["REMEDY", "can_print", "needed"]

REMEDY = 'pip install "pkpd-timecourse[print]"'
_WHAT = {"typst": "A PDF is set by typst", "docx": "A Word document is written by python-docx"}


def can_print() -> bool:
    """Whether the extra is installed."""
    return all(find_spec(name) is not None for name in _WHAT)


def needed(name: str) -> Any:
    """Give the package `name` of the extra.

    Raises
    ------
    FitFileError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise FitFileError(
            f"{_WHAT[name]}, which cannot be loaded: {error}.",
            expected="The packages of the extra `print`.",
            remedy=f"{REMEDY}; or write .html, which needs nothing else.",
        ) from error
