"""How the page on validation shows numbers beside each other."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the tests hold the numbers

from tests.truth.digits import digits_agreeing  # noqa: E402


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a Markdown table, with a line before and after it."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return (
        "\n"
        + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
        + "\n"
    )


def beside(ours: float, printed: str, slack: float = 0.5, more: int = 2) -> tuple[str, str]:
    """Give our number with some more digits than were printed, and how many digits agree.

    "all": ours rounds to what is printed, within `slack` units of its last digit.
    """
    decimals = len(printed.partition(".")[2])
    want = float(printed)
    if abs(ours - want) <= slack * 10.0**-decimals * (1 + 1e-9):
        agree = "all"
    else:
        agree = f"{math.floor(10 * digits_agreeing(ours, want)) / 10:.1f}"
    return f"{ours:.{decimals + more}f}", agree


def whole(digits: float, most: int = 12) -> str:
    """Give a number of digits, cut to a whole one."""
    return f"≥ {most}" if digits >= most else str(math.floor(digits))


def digits_of(ours: np.ndarray, wanted: np.ndarray) -> float:
    """Digits in which the worst of several numbers agrees; a wanted zero counts by its absolute error."""
    return min(digits_agreeing(float(a), float(b)) for a, b in zip(ours, wanted, strict=True))
