"""How far a long piece of work has come, on stderr: the one way in which the package shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE_S = 2.0
_EVERY_S = 30.0
_shown = False


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function to be told ``(what, done, total)``.

    Once the work takes more than 2 s, a bar appears on a terminal; elsewhere a line for each new stage, and one every
    30 s of a long one. Inside work that already shows how far it is, nothing is shown.
    """
    global _shown
    if _shown:
        yield lambda what, done, total: None
        return
    bar = None
    said = ""
    began = spoken = time.monotonic()

    def advance(what: str, done: int, total: int) -> None:
        nonlocal bar, said, spoken
        now = time.monotonic()
        if now - began < _PATIENCE_S:
            return
        if not sys.stderr.isatty():
            if what != said or now - spoken > _EVERY_S:
                print(f"{what} ({done:,} of {total:,})", file=sys.stderr, flush=True)
                said, spoken = what, now
            return
        if bar is None:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.add_task(what, total=total)
            bar.start()
        bar.update(bar.task_ids[0], description=what, completed=done, total=total)

    _shown = True
    try:
        yield advance
    finally:
        _shown = False
        if bar is not None:
            bar.stop()
