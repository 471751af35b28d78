"""Numbers and tables as text, for fits in print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["aligned", "number", "span"]


def number(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.{digits}g}"


def span(lower: float, upper: float, digits: int = 4) -> str:
    """Write an interval; nothing where there is none."""
    return "" if np.isnan(lower) else f"{number(lower, digits)} – {number(upper, digits)}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Set lines under a header, the first column flush left, the others flush right; empty columns are left out."""
    kept = [k for k in range(len(header)) if k == 0 or any(row[k] for row in rows)]
    table = [[line[k] for k in kept] for line in (header, *rows)]
    widths = [max(len(line[k]) for line in table) for k in range(len(kept))]
    return [
        "  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in table
    ]
