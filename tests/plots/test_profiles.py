from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pkpd.errors import DataError
from pkpd.plots import figure, profiles


def simulated(subjects: int) -> xr.DataArray:
    values = np.arange(2.0 * subjects * 3).reshape(2, 1, subjects, 3)
    coords = {"arm": ["once", "twice"], "time": ("time", [0.0, 1.0, 2.0], {"units": "h", "long_name": "time"})}
    return xr.DataArray(values, dims=("arm", "draw", "subject", "time"), coords=coords, name="cp", attrs={"units": "1"})


def drawn(subjects: int, **options: object) -> list[np.ndarray]:
    ax = profiles(simulated(subjects), ax=figure().axes[0], **options)  # type: ignore[arg-type]
    return [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata())]


def test_a_line_for_everybody() -> None:
    lines = drawn(4)
    assert len(lines) == 8
    assert np.array_equal(lines[5], simulated(4).values[1, 0, 1])


def test_the_first_of_many_and_the_legend_says_so() -> None:
    assert len(drawn(60, most=10)) == 20
    legend = profiles(simulated(60), ax=figure().axes[0], most=10).get_legend()
    assert legend is not None and legend.get_title().get_text() == "first 10 of 60 lines"
    assert [text.get_text() for text in legend.get_texts()] == ["once", "twice"]


def test_a_bare_number_has_no_unit_on_its_axis() -> None:
    assert profiles(simulated(2), ax=figure().axes[0]).get_ylabel() == "cp"


def test_fewer_than_one_line() -> None:
    with pytest.raises(DataError, match="`most` is 0"):
        drawn(2, most=0)
