"""Long work in pieces that have numbers: each is done once, kept in a file now and then, and may be stopped by hand."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from typing import Any, Protocol, TypeVar

import numpy as np

from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.crew import Crew, one_by_one
from pkpd.estimation.recall import Recalled
from pkpd.progress import stages

__all__ = ["fingerprint", "in_turn", "key_of", "pack", "unpack"]

#: Pieces between two writings of the checkpoint.
_EVERY = 5
#: Seconds after which a piece is written at once.
_LONG = 30.0
_PLAIN: dict[str, type] = {"int": int, "float": float, "str": str}


class Numbered(Protocol):
    """What one piece of work gave: a dataclass of numbers, texts and arrays."""

    @property
    def number(self) -> int:
        """Which piece."""
        ...


Piece = TypeVar("Piece", bound=Numbered)


def in_turn(
    numbers: Sequence[int],
    do: Callable[[int], Piece],
    made: type[Piece],
    *,
    what: str,
    kept: Checkpoint | None = None,
    enough: Callable[[list[Piece]], bool] = bool,
    crew: Crew = one_by_one,
) -> tuple[list[Piece], bool]:
    """Do the pieces that are not done; whether somebody stopped it.

    What is done when the work ends, in whatever way, is in the file.

    Parameters
    ----------
    numbers : sequence of int
        Which pieces.
    do : callable
        Does one; what it gives depends on its number alone. It can be pickled if the crew is a cluster.
    made : type
        What it gives.
    what : str
        In words, for the bar.
    kept : Checkpoint, optional
        A file with what is done.
    enough : callable
        Whether what was done before Ctrl-C is worth giving; if not, the interruption goes on.
    crew : callable
        Who does them, see :mod:`pkpd.estimation.crew`.
    """
    done = {one.number: one for one in unpack(made, kept.load() if kept else None)}
    todo = [number for number in numbers if number not in done]
    stopped, unsaved, saved = False, 0, time.monotonic()
    try:
        with stages() as advance, closing(crew(todo, do)) as pieces:
            for place in range(len(numbers) - len(todo), len(numbers)):
                advance(what, place, len(numbers))
                piece = next(pieces)
                done[piece.number] = piece
                unsaved += 1
                if kept and (unsaved >= _EVERY or time.monotonic() - saved > _LONG):
                    kept.save(pack(done.values()))
                    unsaved, saved = 0, time.monotonic()
    except KeyboardInterrupt:
        stopped = True
    finally:
        if kept and unsaved:
            kept.save(pack(done.values()))
    found = [done[number] for number in sorted(numbers) if number in done]
    if stopped and not enough(found):
        raise KeyboardInterrupt
    return found, stopped


def pack(pieces: Iterable[Numbered]) -> dict[str, np.ndarray]:
    """Give pieces as arrays, in the order of their numbers."""
    every: list[Any] = sorted(pieces, key=lambda one: one.number)
    return {one.name: np.array([getattr(piece, one.name) for piece in every]) for one in fields(every[0])}


def unpack(made: type[Piece], arrays: Mapping[str, np.ndarray] | None) -> list[Piece]:
    """Give arrays as pieces; none where there are no arrays."""
    if arrays is None:
        return []
    kinds: dict[str, Callable[[Any], Any]] = {
        one.name: _PLAIN.get(str(one.type), np.asarray)
        for one in fields(made)  # type: ignore[arg-type]
    }
    return [
        made(**{name: kinds[name](value) for name, value in zip(kinds, row, strict=True)})
        for row in zip(*(arrays[name] for name in kinds), strict=True)
    ]


def key_of(work: str, known: Recalled, digest: str, options: str) -> dict[str, str]:
    """Give everything on which the numbers of a piece depend: the fit, its data, and the options of the work."""
    fit = known.fit
    return {
        "work": f"pkpd {work}",
        "model": str(fit.attrs["model_hash"]),
        "data": digest,
        "estimator": re.sub(r", threads=\w+", "", str(fit.attrs["estimator_options"])),
        "title": known.estimator.titled(known.population),
        "estimates": hashlib.sha256(known.x.tobytes()).hexdigest(),
        "options": options,
    }


def fingerprint(what: np.ndarray) -> str:
    """Give a short hash that tells arrays from each other."""
    return hashlib.sha256(np.ascontiguousarray(what).tobytes()).hexdigest()[:16]
