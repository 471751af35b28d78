from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pkpd.errors import DataError
from pkpd.simulation import attain, sustain


def simulation(values: np.ndarray, times: np.ndarray | None = None, name: str = "vas") -> xr.Dataset:
    """A simulation of dims (arm, draw, subject, time) from an array of that shape."""
    times = np.arange(values.shape[-1], dtype=float) if times is None else times
    coords = {"arm": [f"arm {i}" for i in range(values.shape[0])], "time": ("time", times, {"units": "h"})}
    return xr.Dataset({name: (("arm", "draw", "subject", "time"), values, {"units": "%"})}, coords)


def shares(*share: float, subjects: int = 1000) -> xr.Dataset:
    """One draw in each arm, in which a given share of the subjects is at 30 and the rest at 50."""
    values = np.full((len(share), 1, subjects, 3), 50.0)
    for arm, part in enumerate(share):
        values[arm, 0, : round(part * subjects)] = 30.0
    return simulation(values)


def test_probability_is_the_share_by_arm() -> None:
    found = attain(shares(0.25, 0.5), "vas < 40", at=2)
    assert found["probability"].dims == ("arm",)
    assert found["probability"].values == pytest.approx([0.25, 0.5])
    assert found["mc_error"].values == pytest.approx([np.sqrt(0.25 * 0.75 / 1000), np.sqrt(0.25 / 1000)])
    assert "lower" not in found


def test_interval_of_wilson() -> None:
    # Wilson 1927 as in Newcombe 1998, Stat Med 17:857, table I, method 3: 81 of 263 is 0.2553 to 0.3662.
    found = attain(shares(81 / 263, subjects=263), "vas < 40", at=0)
    assert float(found["mc_lower"][0]) == pytest.approx(0.2553, abs=5e-5)
    assert float(found["mc_upper"][0]) == pytest.approx(0.3662, abs=5e-5)


def test_nobody_is_not_never() -> None:
    found = attain(shares(0.0), "vas < 40", at=0)
    assert float(found["mc_lower"][0]) == 0.0
    assert 0.003 < float(found["mc_upper"][0]) < 0.005


def test_draws_have_an_interval_that_more_subjects_do_not_narrow() -> None:
    rng = np.random.default_rng(3)
    centre = rng.normal(40, 5, (1, 200, 1, 1))
    found = attain(simulation(centre + rng.normal(0, 5, (1, 200, 400, 1))), "vas < 40", at=0)
    assert float(found["upper"][0] - found["lower"][0]) > 0.9
    assert float(found["mc_error"][0]) == pytest.approx(0.29 / np.sqrt(200), rel=0.1)
    assert float(found["mc_lower"][0]) < 0.5 < float(found["mc_upper"][0])


@pytest.mark.parametrize("at, dims", [(None, ("arm", "time")), ([0, 2], ("arm", "time")), (2, ("arm",))])
def test_times(at: object, dims: tuple[str, ...]) -> None:
    assert attain(shares(0.5), "vas < 40", at=at)["probability"].dims == dims  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target, says", [("vas", "no target"), ("vas = 40", "no target"), ("vass < 40", "Did you mean `vas`"), ("", "no")]
)
def test_targets_that_are_none(target: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        attain(shares(0.5), target)


def test_a_time_that_was_not_simulated() -> None:
    with pytest.raises(DataError, match=r"Time 1.5 h was not simulated(.|\n)*nearest is 1"):
        attain(shares(0.5), "vas < 40", at=1.5)


def test_one_subject_has_no_probability() -> None:
    with pytest.raises(DataError, match="one subject in one draw"):
        attain(shares(1.0, subjects=1), "vas < 40")


def test_sustain_interpolates_both_crossings() -> None:
    times = np.array([0.0, 10, 20, 30, 40])
    line = np.array([100.0, 60, 60, 100, 100])
    found = sustain(simulation(line.reshape(1, 1, 1, -1), times), "vas < 80").squeeze()
    assert float(found["start"]) == pytest.approx(5)
    assert float(found["end"]) == pytest.approx(25)
    assert float(found["duration"]) == pytest.approx(20)
    assert float(found["total"]) == pytest.approx(20)
    assert not bool(found["open"])
    assert found["duration"].attrs["units"] == "h"


@pytest.mark.parametrize(
    "line, start, end, total, still",
    [
        ([100, 100, 100], np.nan, np.nan, 0.0, False),
        ([60, 60, 60], 0.0, 2.0, 2.0, True),
        ([60, 100, 60], 0.0, 0.5, 1.0, True),
        ([100, 60, 60], 0.5, 2.0, 1.5, True),
        ([80, 60, 80], 0.0, 2.0, 2.0, False),
    ],
)
def test_sustain_stretches(line: list[float], start: float, end: float, total: float, still: bool) -> None:
    found = sustain(simulation(np.array(line, dtype=float).reshape(1, 1, 1, -1)), "vas < 80").squeeze()
    assert np.array_equal(
        [float(found["start"]), float(found["end"]), float(found["total"])], [start, end, total], equal_nan=True
    )
    assert bool(found["open"]) is still


def test_sustain_keeps_arms_draws_and_subjects() -> None:
    found = sustain(simulation(np.random.default_rng(0).uniform(50, 110, (2, 3, 4, 5))), "vas < 80")
    assert dict(found.sizes) == {"arm": 2, "draw": 3, "subject": 4}


@pytest.mark.parametrize("at_once", [1, 7, 60, 100])
@pytest.mark.parametrize("order", [("arm", "draw", "subject", "time"), ("time", "subject", "arm", "draw")])
def test_in_parts_or_at_once(at_once: int, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    sim = simulation(np.random.default_rng(1).uniform(50, 110, (2, 3, 7, 5))).transpose(*order)
    one = sim.sel(arm="arm 1").isel(subject=3)
    asked = [(attain, sim), (sustain, sim), (sustain, sim.isel(draw=0)), (attain, one), (sustain, one)]
    whole = [question(values, "vas < 80") for question, values in asked]
    monkeypatch.setattr(sys.modules["pkpd.simulation.target"], "_NUMBERS_AT_ONCE", at_once)
    for (question, values), expected in zip(asked, whole):
        assert question(values, "vas < 80").identical(expected)
