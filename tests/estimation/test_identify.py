"""What data fix and what they leave open."""

from __future__ import annotations

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.identify import identify
from pkpd.model import Parameter


def coordinates(*names: str, transform: str = "log") -> Coordinates:
    own = tuple(Parameter(name=name, typical=1.0, transform=transform) for name in names)
    return Coordinates(parameters=own, count=len(own), free=np.ones(len(own), dtype=bool))


def weighted(*columns) -> np.ndarray:
    return np.column_stack(columns).astype(float)


A, B, C = np.eye(5)[0] + 0.3, np.eye(5)[1] + 0.1, np.eye(5)[2] - 0.2
TARGET = np.arange(5.0)


def test_full_rank():
    m = weighted(A, B, C)
    found = identify(m, TARGET, coordinates("a", "b", "c"))
    assert (found.rank, found.words, found.null.shape) == (3, (), (3, 0))
    np.testing.assert_allclose(found.covariance, np.linalg.inv(m.T @ m), rtol=1e-10)
    np.testing.assert_allclose(found.step, np.linalg.lstsq(m, TARGET)[0], rtol=1e-10)
    sd = np.sqrt(np.diag(found.covariance))
    assert np.isclose(found.condition, np.linalg.cond(found.covariance / np.outer(sd, sd)))


def test_scales_do_not_matter():
    m = weighted(A, 1e-9 * B, 1e6 * C)
    found = identify(m, TARGET, coordinates("a", "b", "c", transform="none"), np.array([1.0, 1e8, 1e-5]))
    assert found.rank == 3


def test_only_a_ratio_is_known():
    found = identify(weighted(A, -A, C), TARGET, coordinates("cl", "v", "ka"))
    assert found.rank == 2
    assert found.words == ("Only ratios of cl and v are known: all can grow by one factor and no prediction changes.",)
    assert np.isnan(found.covariance[0]).all()
    assert np.isfinite(found.covariance[2, 2])  # ka is known all the same


def test_only_a_product_is_known():
    found = identify(weighted(A, A, C), TARGET, coordinates("f", "v", "ka"))
    assert found.words == ("Only the product f * v is known: one can grow as the other shrinks.",)


def test_three_together():
    found = identify(weighted(A, B, -A - B), TARGET, coordinates("f", "v", "cl"))
    assert "f, v and cl" in found.words[0]
    found = identify(weighted(A, B, A + B), TARGET, coordinates("f", "v", "cl"))
    assert "shrink" in found.words[0]
    found = identify(weighted(A, 2 * A, C), TARGET, coordinates("f", "v", "cl"))
    assert "move together: f by +100 %, v by -50 %" in found.words[0]


def test_other_scales_in_words():
    found = identify(weighted(A, -2 * A, C), TARGET, coordinates("e0", "slope", "k", transform="none"))
    assert found.words == ("No prediction changes when these move together: e0 by +1, slope by +0.5.",)


def test_two_directions_are_told_apart():
    found = identify(weighted(A, -A, B, -B), TARGET, coordinates("a", "b", "c", "d"))
    assert found.rank == 2
    assert {word.split(" are known")[0] for word in found.words} == {"Only ratios of a and b", "Only ratios of c and d"}


def test_a_silent_parameter():
    found = identify(weighted(A, 0 * A, C), TARGET, coordinates("a", "b", "c"))
    assert found.words == ("The data say nothing about b.",)
    assert found.rank == 2
    assert np.isnan(found.covariance[1, 1])
    assert np.isfinite(found.covariance[0, 0])


def test_nothing_is_heard():
    found = identify(np.zeros((4, 2)), np.zeros(4), coordinates("a", "b"))
    assert (found.rank, len(found.words)) == (0, 2)
