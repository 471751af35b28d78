"""What a command shows while it works and when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_PATIENCE_S = 2.0


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function to be told ``(what, done, total)``.

    Once the work takes more than 2 s, a bar appears on a terminal, and a line for each new stage elsewhere.
    """
    bar = None
    said = ""
    began = time.monotonic()

    def advance(what: str, done: int, total: int) -> None:
        nonlocal bar, said
        if time.monotonic() - began < _PATIENCE_S:
            return
        if not sys.stderr.isatty():
            if what != said:
                print(f"{what} ({done} of {total})", file=sys.stderr, flush=True)
            said = what
            return
        if bar is None:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.add_task(what, total=total)
            bar.start()
        bar.update(bar.task_ids[0], description=what, completed=done, total=total)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


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
