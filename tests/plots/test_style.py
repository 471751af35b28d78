from __future__ import annotations

import matplotlib

from pkpd.plots import figure, house_style
from pkpd.plots.style import look


def test_the_style_ends_with_its_block() -> None:
    before = matplotlib.rcParams["axes.spines.top"]
    with house_style():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert matplotlib.rcParams["axes.spines.top"] == before


def test_panels() -> None:
    assert len(figure(2, 3).axes) == 6


def test_looks_differ_for_28_arms() -> None:
    looks = [look(index) for index in range(28)]
    assert len({(one["color"], str(one["linestyle"])) for one in looks}) == 28
