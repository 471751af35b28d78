"""What long work has done so far, in a file: written whole or not at all, and read only by the same work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pkpd.errors import FitFileError
from pkpd.estimation.file import write_whole

__all__ = ["Checkpoint", "Now"]

#: Seconds between two writings, at least; and as many times what a writing takes.
_EVERY, _TIMES = 2.0, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file of arrays that belongs to one piece of work.

    Parameters
    ----------
    path : Path
    key : mapping of str to str
        What the work is: everything on which its numbers depend.
    """

    path: Path
    key: Mapping[str, str]

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays, whole or not at all; what was there before is still there if that fails."""
        key = np.array(json.dumps(dict(self.key), sort_keys=True))

        def put(path: Path) -> None:
            with path.open("wb") as file:  # np.savez adds a suffix to a name
                np.savez(file, key=key, **dict(arrays))  # type: ignore[arg-type]

        write_whole(self.path, put, what="the checkpoint")

    def load(self) -> dict[str, np.ndarray] | None:
        """Read the arrays; None if there is no file.

        Raises
        ------
        FitFileError
            The file is damaged, or belongs to other work: it says in what they differ.
        """
        if not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            theirs = dict(json.loads(str(found.pop("key"))))
        except Exception as error:  # numpy and zipfile tell of damage in many ways
            raise FitFileError(
                f"the file is damaged, or no checkpoint ({error}).",
                where=str(self.path),
                expected="A checkpoint as this work writes it.",
                remedy="Delete the file, or give another path.",
            ) from error
        other = [
            f"{name} is {mine}, there {theirs.get(name)}" for name, mine in self.key.items() if theirs.get(name) != mine
        ]
        if other:
            raise FitFileError(
                "the checkpoint belongs to other work.",
                where=str(self.path),
                expected="; ".join(other) + ".",
                remedy="Run what was begun with the same model, data, estimates and options; or give another path.",
            )
        return found


class Now:
    """Writes a checkpoint now and then: at once, then every 2 s, or seldomer where that takes 1 % of the time."""

    def __init__(self, file: Checkpoint | None) -> None:
        self.file, self._due = file, 0.0

    def __call__(self, arrays: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Write what the function gives, if it is time."""
        began = time.monotonic()
        if self.file is None or began < self._due:
            return
        self.file.save(arrays())
        ended = time.monotonic()
        self._due = ended + max(_EVERY, _TIMES * (ended - began))
