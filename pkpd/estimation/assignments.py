"""The assignments of groups to people that keep the sizes of the groups: how many, all of them, or random ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from pkpd.streams import addresses, uniforms

__all__ = ["count", "drawn", "every"]


def count(labels: np.ndarray) -> int:
    """How many assignments keep the sizes of the groups."""
    left, total = len(labels), 1
    for size in np.unique(labels, return_counts=True)[1].tolist():
        total, left = total * comb(left, size), left - size
    return total


def every(labels: np.ndarray, given: np.ndarray) -> Iterator[np.ndarray]:
    """Every assignment but that of the data, in an order of their own."""
    names, sizes = np.unique(labels, return_counts=True)

    def spread(free: tuple[int, ...], k: int) -> Iterator[dict[int, Any]]:
        if k == len(names) - 1:
            yield dict.fromkeys(free, names[k])
            return
        for chosen in combinations(free, int(sizes[k])):
            for rest in spread(tuple(one for one in free if one not in chosen), k + 1):
                yield dict.fromkeys(chosen, names[k]) | rest

    for places in spread(tuple(range(len(labels))), 0):
        found = np.array([places[k] for k in range(len(labels))])
        if (found != given).any():
            yield found


def drawn(people: list[str], labels: np.ndarray, n: int, seed: int) -> Iterator[np.ndarray]:
    """Random assignments: the labels, in order, go to people in the order of random numbers of their own."""
    address = addresses(people)
    for number in range(n):
        u = uniforms(seed, "randomise", address, np.full(len(people), number), 1)[:, 0]
        found = np.empty_like(labels)
        found[np.argsort(u)] = labels
        yield found
