"""Random numbers by address: what a number is depends on who asks for it, never on when.

A stream is a function of ``(seed, purpose, subject, replicate)``. Subject 7 of replicate 3 gets the same numbers
whether it is drawn alone, first, last, in another thread or as one of a million. The generator is Philox 4x64-10, the
one behind :class:`numpy.random.Philox`, evaluated for whole arrays of counters at once.

Source: Salmon JK et al. Parallel random numbers: as easy as 1, 2, 3. SC'11 (2011). doi:10.1145/2063384.2063405
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from pkpd.errors import UsageError

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def check_seed(seed: object, *, why: str, where: str = "simulate(seed=...)") -> int:
    """Give the seed as an int, or say why one is needed.

    Parameters
    ----------
    seed : object
        What the caller was given. A non-negative integer is accepted.
    why : str
        What is left to chance; goes into the message.
    where : str
        Who asks for it.

    Raises
    ------
    UsageError
        There is no seed, or it is not a non-negative integer.
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    raise UsageError(
        "There is no seed." if seed is None else f"The seed is {seed!r}.",
        where=where,
        expected=f"A non-negative integer: {why}, and the seed makes the numbers come again.",
        remedy="Add seed=1, or any other whole number.",
    )


def addresses(names: Sequence[str]) -> np.ndarray:
    """Give an address for each name, (S,) uint64: the same in whatever company and order."""
    digests = (hashlib.sha256(name.encode()).digest()[:8] for name in names)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def normals(
    seed: int,
    purpose: str,
    subject: np.ndarray,
    replicate: np.ndarray,
    count: int,
    *,
    columns: np.ndarray | None = None,
) -> np.ndarray:
    """Give standard normal numbers, addressed.

    Parameters
    ----------
    seed : int
    purpose : str
        What the numbers are for. Different purposes have independent streams.
    subject, replicate : (K,) int
        The address of each row.
    count : int
        How many numbers a row has.
    columns : (C,) int, optional
        Which of them are needed, rising; all when left out.

    Returns
    -------
    (K, count or C) float
        By inversion of uniform numbers that are never 0 or 1.
    """
    from scipy.special import ndtri

    return ndtri(uniforms(seed, purpose, subject, replicate, count, columns=columns))


def uniforms(
    seed: int,
    purpose: str,
    subject: np.ndarray,
    replicate: np.ndarray,
    count: int,
    *,
    columns: np.ndarray | None = None,
) -> np.ndarray:
    """Uniform numbers strictly between 0 and 1, addressed as in :func:`normals`. Shape (K, count or C)."""
    subject = np.asarray(subject, dtype=np.uint64)
    replicate = np.asarray(replicate, dtype=np.uint64)
    wanted = np.arange(count) if columns is None else np.asarray(columns, dtype=int)
    key = stream_key(seed, purpose)
    result = np.empty((subject.size, len(wanted)))
    # A block of the generator is four numbers of a row.
    for block in np.unique(wanted // 4):
        counter = (np.full(subject.shape, block, dtype=np.uint64), subject, replicate, np.zeros_like(subject))
        words = philox(counter, key)
        for place in np.flatnonzero(wanted // 4 == block):
            bits = words[wanted[place] % 4]
            result[:, place] = ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    return result


def stream_key(seed: int, purpose: str) -> tuple[int, int]:
    """Give the 128-bit Philox key of a seed and a purpose, through :class:`numpy.random.SeedSequence`."""
    spawn = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "little")
    low, high = np.random.SeedSequence(seed, spawn_key=(spawn,)).generate_state(2, np.uint64)
    return int(low), int(high)


def philox(
    counter: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], key: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four 64-bit words for every counter (arrays of uint64 of one shape)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + _WEYL[0]) % 2**64, (k1 + _WEYL[1]) % 2**64
    return c0, c1, c2, c3


def _multiply(a: np.uint64, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """High and low word of the 128-bit products, by halves: numpy has no 128-bit integer."""
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = b & _LOW, b >> _HALF
    low_low = a_low * b_low
    middle = a_high * b_low + (low_low >> _HALF)
    other = a_low * b_high + (middle & _LOW)
    high = a_high * b_high + (middle >> _HALF) + (other >> _HALF)
    return high, (other << _HALF) | (low_low & _LOW)
