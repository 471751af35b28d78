from __future__ import annotations

import numpy as np
import pytest

from pkpd.errors import UsageError
from pkpd.streams import check_seed, normals, philox, stream_key, uniforms


def test_philox_is_numpys_philox() -> None:
    key = stream_key(7, "between subjects")
    words = philox(tuple(np.array([v], dtype=np.uint64) for v in (6, 2**63 + 5, 9, 0)), key)  # type: ignore[arg-type]
    peer = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array([5, 2**63 + 5, 9, 0], dtype=np.uint64))
    assert [int(w[0]) for w in words] == [int(v) for v in peer.random_raw(4)]


def test_a_number_depends_on_its_address_alone() -> None:
    whole = normals(3, "between subjects", np.arange(50), np.zeros(50, dtype=int), 6)
    some = normals(3, "between subjects", np.array([41, 7]), np.zeros(2, dtype=int), 6)
    assert np.array_equal(some, whole[[41, 7]])
    fewer = normals(3, "between subjects", np.arange(50), np.zeros(50, dtype=int), 3)
    assert np.array_equal(fewer, whole[:, :3])


@pytest.mark.parametrize("change", [{"seed": 4}, {"purpose": "parameters"}, {"replicate": 1}])
def test_other_addresses_give_other_numbers(change: dict[str, object]) -> None:
    def draw(seed: int = 3, purpose: str = "between subjects", replicate: int = 0) -> np.ndarray:
        return uniforms(seed, purpose, np.arange(20), np.full(20, replicate), 5)

    assert not np.any(draw() == draw(**change))  # type: ignore[arg-type]


def test_normals_are_normal_and_uncorrelated() -> None:
    z = normals(1, "between subjects", np.arange(40_000), np.zeros(40_000, dtype=int), 5)
    assert np.allclose(z.mean(axis=0), 0, atol=0.02)
    assert np.allclose(np.cov(z.T), np.eye(5), atol=0.03)
    assert abs(np.mean(z[:-1] * z[1:])) < 0.02
    assert np.allclose(np.mean(z**4, axis=0), 3, atol=0.15)


@pytest.mark.parametrize("seed", [None, -1, 1.5, "1", True])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(UsageError, match="seed"):
        check_seed(seed, why="80 subjects are drawn")


def test_seeds_of_numpy_are_seeds() -> None:
    assert check_seed(np.int64(5), why="subjects are drawn") == 5
