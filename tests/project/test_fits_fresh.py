"""What is shipped in fits/ belongs to its inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkpd import project

FITS = Path(__file__).resolve().parents[2] / "fits"


@pytest.mark.parametrize("folder", sorted(path.parent for path in FITS.glob("*/fit.toml")), ids=lambda path: path.name)
def test_it_is_fresh(folder):
    (state,) = project.check(folder)
    assert state.is_fresh, f"{state}. Run: pkpd run {folder}"


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(path.parent for path in FITS.glob("*/fit.toml")), ids=lambda path: path.name)
def test_it_comes_out_the_same_again(folder):
    (state,) = project.check(folder, rerun=True)
    assert state.is_fresh, str(state)
