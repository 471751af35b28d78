"""Numbered pieces of work on a Dask cluster (the extra ``cluster``).

What is sent is the piece of work as it was pickled (texts and plain numbers) and a number. A piece whose worker is lost
is done again on another; a piece depends on its number alone, so nothing else can come of it.
"""

from __future__ import annotations

import importlib.util
import queue
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

from pkpd.errors import FitError, PkpdError, UsageError

__all__ = ["on_cluster"]

#: Seconds for the scheduler to answer, and for the first worker to come.
_ANSWER, _FIRST = 10, 60
#: How often a piece is given to the cluster again after all the workers that had it were lost.
_AGAIN = 3


def on_cluster(address: str) -> Callable[[Sequence[int], Callable[[int], Any]], Generator[Any, None, None]]:
    """Give a crew of the workers of a cluster.

    Raises
    ------
    UsageError
        The library is not installed, or nobody answers at the address.
    FitError
        There are no workers, or they have another version of the package; the scheduler was lost, or a piece has lost
        one worker after the other.
    """

    def crew(numbers: Sequence[int], do: Callable[[int], Any]) -> Generator[Any, None, None]:
        if not numbers:
            return
        client = _connect(address)
        try:
            _check_workers(client, address)
            yield from _pieces(client, address, numbers, do)
        finally:
            with suppress(Exception):
                client.close(timeout=1)

    return crew


def _pieces(client: Any, address: str, numbers: Sequence[int], do: Callable[[int], Any]) -> Generator[Any, None, None]:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    done = queue.SimpleQueue[Any]()
    held: dict[Any, tuple[int, Any]] = {}  # a future that nobody holds is forgotten by the scheduler
    lost = dict.fromkeys(numbers, 0)

    def give(number: int) -> None:
        future = client.submit(do, number, pure=False)
        held[future.key] = number, future
        future.add_done_callback(done.put)

    for number in numbers:
        give(number)
    left = len(numbers)
    while left:
        try:
            future = done.get(timeout=0.5)
        except queue.Empty:
            if client.status not in ("running", "connecting"):
                raise _vanished(address, str(client.status)) from None
            continue
        number, _ = held.pop(future.key)
        try:
            piece = future.result()
        except KilledWorker as error:
            lost[number] += 1
            if lost[number] > _AGAIN:
                raise FitError(
                    f"piece {number} has lost {lost[number]} times all the workers that had it.",
                    where=f"cluster {address}",
                    expected="Workers that live as long as a piece takes.",
                    remedy="Give the workers more memory (their logs say why they died); what is done stays in the "
                    "checkpoint.",
                ) from error
            give(number)
            continue
        except (CancelledError, OSError, TimeoutError) as error:
            raise _vanished(address, " ".join(str(error).split())) from error
        left -= 1
        yield piece


def _connect(address: str) -> Any:
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "the library distributed is not installed.",
            where=f'cluster="{address}"',
            expected="The extra `cluster`.",
            remedy='pip install "pkpd-timecourse[cluster]", here and on the workers; or leave out cluster for threads.',
        )
    from distributed import Client

    try:
        return Client(address, timeout=f"{_ANSWER}s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"nobody answers there: {' '.join(str(error).split())}.",
            where=f'cluster="{address}"',
            expected="The address of a Dask scheduler that runs, such as tcp://10.0.0.1:8786.",
            remedy="Start one with `dask scheduler`, and workers with `dask worker ADDRESS`; or leave out cluster for "
            "threads.",
        ) from error


def _check_workers(client: Any, address: str) -> None:
    import pkpd

    try:
        client.wait_for_workers(1, timeout=_FIRST)
    except TimeoutError as error:
        raise FitError(
            f"it has no workers, and none has come in {_FIRST} s.",
            where=f"cluster {address}",
            expected="At least one.",
            remedy=f"Start some: dask worker {address}.",
        ) from error
    try:
        theirs = client.run(_version)
    except Exception as error:
        raise FitError(
            f"a worker cannot run the package: {' '.join(str(error).split())[:200]}.",
            where=f"cluster {address}",
            expected=f"Version {pkpd.__version__} on every worker.",
            remedy="Install the same version there.",
        ) from error
    other = {worker: version for worker, version in theirs.items() if version != pkpd.__version__}
    if other:
        said = ", ".join(f"{worker} has {version}" for worker, version in other.items())
        raise FitError(
            f"workers have another version: {said}.",
            where=f"cluster {address}",
            expected=f"Version {pkpd.__version__}, as here: another may give other numbers.",
            remedy="Install the same version there.",
        )


def _version() -> str:
    import pkpd

    return pkpd.__version__


def _vanished(address: str, why: str) -> PkpdError:
    return FitError(
        f"the scheduler was lost: {why}",
        where=f"cluster {address}",
        expected="A scheduler that answers until the work is done.",
        remedy="What was done stands in the checkpoint, if one was given: the same call goes on from it, on a cluster "
        "or without one, and ends with the same numbers.",
    )
