"""What a command shows while it works and when it is done."""

from __future__ import annotations

from collections.abc import Sequence

from pkpd.progress import stages

__all__ = ["aligned", "stages"]


def aligned(titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Give a table as plain text; the first `left` columns are set flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    lines = []
    for row in [titles, *rows]:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
