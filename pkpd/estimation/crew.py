"""Who does numbered pieces of work: one after the other, on threads, or on a cluster. What they give is the same."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import numpy as np

from pkpd.errors import Finding, UsageError, raise_all

__all__ = ["Crew", "check_crew", "crew_of", "on_threads", "one_by_one", "refuse_crew"]

Piece = TypeVar("Piece")
#: Does pieces by their numbers and gives each as it is done, in any order.
Crew = Callable[[Sequence[int], Callable[[int], Any]], Generator[Any, None, None]]

#: Seconds between two looks whether somebody wants to stop.
_LOOK = 0.5


def crew_of(workers: int | None, cluster: str | None = None, *, apart: bool = False) -> Crew:
    """Give the crew that was asked for.

    Parameters
    ----------
    workers : int, optional
        Threads; None: as many as there are processors.
    cluster : str, optional
        Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, in place of threads.
    apart : bool
        Even a single worker has a thread of its own: for pieces that would take Ctrl-C as meant for them.
    """
    if cluster is not None:
        from pkpd.estimation.cluster import on_cluster

        return on_cluster(cluster)
    workers = workers or os.cpu_count() or 1
    return one_by_one if workers == 1 and not apart else on_threads(workers)


def check_crew(workers: Any, cluster: Any, where: str) -> list[Finding]:
    """Find what is wrong with the crew that was asked for; `where` is who was asked, such as ``"study"``."""
    found = []
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1):
        found.append(Finding(code="workers", where=f"{where}(workers=...)", what=f"workers is {workers!r}.",
                             expected="1 or more threads.", remedy="Leave it out for all cores."))  # fmt: skip
    if cluster is not None and not isinstance(cluster, str):
        found.append(Finding(code="cluster", where=f"{where}(cluster=...)", what=f"cluster is {cluster!r}.",
                             expected="The address of a Dask scheduler, as text.",
                             remedy='Write cluster="tcp://10.0.0.1:8786".'))  # fmt: skip
    if cluster is not None and workers is not None:
        found.append(Finding(code="cluster", where=f"{where}(workers=..., cluster=...)", what="both are given.",
                             expected="Threads here, or a cluster, which has as many as it has.",
                             remedy="Leave out workers."))  # fmt: skip
    return found


def refuse_crew(workers: Any, where: str) -> None:
    """Refuse a number of threads that is none."""
    found = check_crew(workers, None, where)
    if found:
        raise_all(UsageError, found)


def one_by_one(numbers: Sequence[int], do: Callable[[int], Piece]) -> Generator[Piece, None, None]:
    """Do the pieces in turn, in the thread of the caller."""
    for number in numbers:
        yield do(number)


def on_threads(workers: int) -> Crew:
    """Give a crew of so many threads. Pieces that are under way when it is stopped are let go."""

    def crew(numbers: Sequence[int], do: Callable[[int], Piece]) -> Generator[Piece, None, None]:
        waiting, stop = queue.SimpleQueue[int](), threading.Event()
        done = queue.SimpleQueue[tuple[Any, BaseException | None]]()
        for number in numbers:
            waiting.put(number)

        def work() -> None:
            while not stop.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    done.put((do(number), None))
                except BaseException as error:
                    done.put((None, error))
                    return

        for k in range(min(workers, len(numbers))):
            threading.Thread(target=work, name=f"pkpd-{k + 1}", daemon=True).start()
        try:
            for _ in numbers:
                piece, error = _next(done)
                if error is not None:
                    raise error
                yield piece
        finally:
            stop.set()

    return crew


def _next(done: queue.SimpleQueue[Any]) -> Any:
    while True:
        try:
            return done.get(timeout=_LOOK)  # without a limit no signal is seen on some systems
        except queue.Empty:
            continue
