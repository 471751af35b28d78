from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pkpd.errors import DataError
from pkpd.plots import COLOURS, bands, figure


def simulated(draws: int = 1, subjects: int = 40, arms: tuple[str, ...] = ("once", "twice")) -> xr.DataArray:
    rng = np.random.default_rng(2)
    times = np.arange(0.0, 25.0)
    values = np.exp(-times / 8) * rng.lognormal(0, 0.3, (len(arms), draws, subjects, 1))
    return xr.DataArray(
        values,
        dims=("arm", "draw", "subject", "time"),
        coords={"arm": list(arms), "time": ("time", times, {"units": "h", "long_name": "time"})},
        name="cp",
        attrs={"units": "mg/L", "long_name": "ketamine in plasma", "uncertainty": "between-subject variability"},
    )


def test_median_and_interval_of_each_arm() -> None:
    cp = simulated()
    ax = bands(cp, ax=figure().axes[0], interval=0.8)
    lines = ax.get_lines()
    assert [line.get_label() for line in lines] == ["once", "twice"]
    assert np.allclose(lines[1].get_ydata(), np.median(cp.sel(arm="twice").values[0], axis=0))
    (first, second) = ax.collections
    low = first.get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(np.quantile(cp.values[0, 0, :, -1], 0.1))
    assert second is not None


def test_axes_say_what_and_in_which_unit() -> None:
    ax = bands(simulated(), ax=figure().axes[0])
    assert ax.get_ylabel() == "ketamine in plasma (mg/L)"
    assert ax.get_xlabel() == "time (h)"


def test_legend_says_which_uncertainty() -> None:
    legend = bands(simulated(), ax=figure().axes[0]).get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "median, 90 % interval\nbetween-subject variability"


def test_typical_subject_is_a_line_without_band_or_heading() -> None:
    ax = bands(simulated(subjects=1), ax=figure().axes[0])
    assert not ax.collections
    legend = ax.get_legend()
    assert legend is not None and legend.get_title().get_text() == ""


def test_time_in_another_unit() -> None:
    ax = bands(simulated(), ax=figure().axes[0], time_unit="d")
    assert ax.get_xlabel() == "time (d)"
    assert np.max(ax.get_lines()[0].get_xdata()) == pytest.approx(1.0)


def test_nested_intervals() -> None:
    assert len(bands(simulated(), ax=figure().axes[0], interval=(0.5, 0.9)).collections) == 4


def test_logarithm_leaves_out_what_has_none() -> None:
    cp = simulated()
    cp.values[..., 0] = 0.0
    ax = bands(cp, ax=figure().axes[0], log=True)
    assert np.isnan(ax.get_lines()[0].get_ydata()[0])
    assert ax.get_yscale() == "log"


def test_one_arm_selected_away() -> None:
    (line,) = bands(simulated().sel(arm="once"), ax=figure().axes[0]).get_lines()
    assert line.get_label() == "once"


def test_arms_have_colours_that_can_be_told_apart() -> None:
    ax = bands(simulated(arms=tuple("abcdefghi")), ax=figure().axes[0])
    looks = [(line.get_color(), line.get_linestyle()) for line in ax.get_lines()]
    assert len(set(looks)) == 9
    assert {colour for colour, _ in looks} <= set(COLOURS.values())


def test_without_axes_a_figure_is_made() -> None:
    from matplotlib import pyplot

    ax = bands(simulated())
    assert ax.figure in [pyplot.figure(number) for number in pyplot.get_fignums()]
    pyplot.close("all")


@pytest.mark.parametrize(
    "wrong, options, says",
    [
        (simulated().isel(time=0), {}, "no dimension `time`"),
        (simulated(), {"by": "amr"}, "Did you mean"),
        (simulated().to_dataset(), {}, "One labelled array"),
        (simulated(), {"interval": 90}, "interval is 90"),
        (simulated(), {"interval": (0.5, 1.0)}, "interval is 1"),
    ],
)
def test_what_cannot_be_drawn(wrong: xr.DataArray, options: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        bands(wrong, ax=figure().axes[0], **options)  # type: ignore[arg-type]
