"""A progress bar for work that takes longer than two seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]

_PATIENCE = 2.0  # seconds without a word


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Give a function to call after each of `total` steps; the bar appears on stderr once work has taken 2 s.

    Without a total the bar only counts. Nothing is written where stderr is not a terminal.
    """
    began, lock, done, bar = time.perf_counter(), threading.Lock(), 0, None
    shown = sys.stderr.isatty() or "FORCE_COLOR" in os.environ  # else rich would count for nobody
    shown = shown and threading.current_thread() is threading.main_thread()  # one of many says nothing of its own

    def step() -> None:
        nonlocal done, bar
        with lock:
            done += 1
            if bar is None and shown and done != total and time.perf_counter() - began > _PATIENCE:
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
                bar = Progress(*columns, console=Console(stderr=True), transient=True)
                bar.add_task(what, total=total)
                bar.start()
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)

    try:
        yield step
    finally:
        if bar is not None:
            bar.stop()
