"""Starting values: those of the model, and random ones around them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from pkpd.estimation.coordinates import Coordinates

__all__ = ["draw_starts"]


def draw_starts(
    coordinates: Coordinates, count: int, seed: int | None, spread: float, subjects: Sequence[str]
) -> list[np.ndarray]:
    """Give starting values on the estimation scale, `count` times (F,); the first are those of the model.

    The others are normal around them with SD `spread` on the estimation scale (a spread of 1 is a factor of e for a
    log-transformed parameter); a parameter without transform has an SD of `spread` times its size. They lie within the
    bounds. The numbers depend on the seed and on the names of the subjects, not on any order of work.
    """
    centre = coordinates.forward(coordinates.initial)
    size = coordinates.size(centre)
    lower, upper = (limit[coordinates.free] for limit in coordinates.limits())
    centre, size = centre[coordinates.free], size[coordinates.free]
    starts = [centre]
    for number in range(1, count):
        key = [seed or 0, zlib.crc32("\n".join(subjects).encode()), number]
        draw = np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).standard_normal(centre.size)
        starts.append(np.clip(centre + spread * size * draw, lower, upper))
    return starts
