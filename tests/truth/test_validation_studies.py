"""The trials that the page on validation counts: what is published is what the designs give today."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

from validation_shares import DESIGNS, TESTS, results
from validation_studies import PARTS, SEED, told


def test_every_part_is_published_in_full() -> None:
    assert list(results()) == list(PARTS)
    for name, part in PARTS.items():
        assert results()[name]["n"] == part.n, name
        assert results()[name]["seed"] == SEED
        assert list(results()[name]["estimators"]) == list(part.ways)
    shown = {part for parts in DESIGNS.values() for part in parts} | set(TESTS)
    assert {name for name in PARTS if name not in shown and not name.startswith("crossover of")} == set()


@pytest.mark.parametrize("name", ["crossover", "crossover of 40, test", "sparse", "occasions, test"])
def test_the_first_trial_is_that_of_the_designs(name: str) -> None:
    """A change of a design, of what is drawn, or of an estimator shows here: run docs/validation_studies.py then."""
    ours, kept = told(PARTS[name].run(1))["estimators"], results()[name]["estimators"]
    for way, own in ours.items():
        assert own["first"]["objective"] == pytest.approx(kept[way]["first"]["objective"], abs=1e-4), way
        value, stored = (one["first"]["value"] for one in (own, kept[way]))
        assert list(value) == list(stored)
        np.testing.assert_allclose(list(value.values()), list(stored.values()), rtol=1e-3, err_msg=way)
