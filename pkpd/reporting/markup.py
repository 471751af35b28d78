"""The little markup of a report's texts, read once for every format: strong, emphasis, code, DOI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

__all__ = ["Run", "paragraphs", "plain", "runs"]

_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*(.+?)\*\*")
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])")
_DOI = re.compile(r"\b(doi:10\.[^\s,;)]+[^\s,;).])")
_KEPT = re.compile("\0(\\d+)\0")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one style; `link` is a web address."""

    text: str
    strong: bool = False
    emphasis: bool = False
    code: bool = False
    link: str = ""


def runs(text: str) -> tuple[Run, ...]:
    """Split a text at its markup.

    Examples
    --------
    >>> [(run.text, run.strong, run.code) for run in runs("a **b `c`**")]
    [('a ', False, False), ('b ', True, False), ('c', True, True)]
    """
    codes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        codes.append(match[1])
        return f"\0{len(codes) - 1}\0"

    # What is code is put aside first: a star in it is a star.
    found = [Run(_CODE.sub(keep, text.replace("\0", "").replace(" %", "\N{NO-BREAK SPACE}%")))]
    found = _divided(found, _STRONG, lambda run, inner: replace(run, text=inner, strong=True))
    found = _divided(found, _EMPHASIS, lambda run, inner: replace(run, text=inner, emphasis=True))
    found = _divided(found, _DOI, lambda run, doi: replace(run, text=doi, link=f"https://doi.org/{doi[4:]}"))
    return tuple(_divided(found, _KEPT, lambda run, number: replace(run, text=codes[int(number)], code=True)))


def plain(text: str) -> str:
    """Give a text without its markup."""
    return "".join(run.text for run in runs(text))


def paragraphs(text: str) -> list[str]:
    """Split a text at its blank lines."""
    return [part for part in (part.strip() for part in re.split(r"\n\s*\n", text)) if part]


def _divided(whole: list[Run], pattern: re.Pattern[str], made: Callable[[Run, str], Run]) -> list[Run]:
    def pieces(run: Run) -> Iterator[Run]:
        for number, piece in enumerate(pattern.split(run.text)):
            if piece:
                yield made(run, piece) if number % 2 else replace(run, text=piece)

    return [piece for run in whole for piece in pieces(run)]
