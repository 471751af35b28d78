"""Sampling times that are chosen: as good as the best of all, the same for the same seed, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, DataError, UsageError
from pkpd.model import Model
from tests.truth.test_information_warfarin import COMBINED, warfarin

GRID = [0.5, 1, 2, 4, 8, 16, 36, 72, 120]
ARM = pkpd.Arm("70 mg oral", [1, 2, 4, 8], n=32)


def model() -> Model:
    return warfarin(COMBINED).fix("v")


@pytest.mark.parametrize(
    ("names", "options"), [((), {}), (("cl", "ka"), {}), ((), {"full": True})], ids=["D", "Ds", "D, full"]
)
def test_as_good_as_the_best_of_all(names: tuple[str, ...], options: dict):
    chosen = pkpd.choose_times(model(), ARM, GRID, parameters=names, starts=3, seed=1, **options)
    every = [
        pkpd.information(model(), pkpd.Arm("70 mg oral", times, n=32), **options).criterion(*names)
        for times in combinations(GRID, 4)
    ]
    assert chosen.criterion == pytest.approx(max(every), rel=1e-7)
    before = pkpd.information(model(), ARM, **options)
    assert chosen.gain == pytest.approx(max(every) / before.criterion(*names), rel=1e-6)
    assert chosen.before.data.identical(before.data)
    after = pkpd.information(model(), chosen.design, **options)
    np.testing.assert_allclose(chosen.information["information"], after["information"], rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore::pkpd.errors.PkpdWarning")  # neither arm alone identifies everything
def test_two_arms_as_good_as_the_best_of_all():
    """All pairs of three times of each arm, of different doses and sizes."""
    grid = GRID[::2]
    arms = {"low": pkpd.Arm("20 mg oral", [1, 4, 8], n=10), "high": pkpd.Arm("70 mg oral", [1, 4, 8], n=20)}
    chosen = pkpd.choose_times(model(), arms, grid, starts=4, seed=2)
    low, high = (
        [pkpd.information(model(), pkpd.Arm(arm.regimen, times, n=arm.n))["information"].values
         for times in combinations(grid, 3)]
        for arm in arms.values()
    )  # fmt: skip
    every = [np.linalg.det(one + other) ** (1 / 7) for one in low for other in high]
    assert chosen.criterion == pytest.approx(max(every), rel=1e-7)
    assert [arm.n for arm in chosen.design.values()] == [10, 20]


def test_lines_through_people_who_are_drawn():
    """The chosen design is at least as good by FOCE as any design one move away, and the one chosen by FO."""
    options = {"draws": 20, "seed": 4}
    chosen = pkpd.choose_times(model(), ARM, GRID, pkpd.FOCE(), starts=2, **options)
    times = chosen.design["all"].times["cp"]  # pyright: ignore
    for i in range(4):
        for time in set(GRID) - set(times):
            moved = sorted([*times[:i], time, *times[i + 1 :]])
            other = pkpd.information(model(), pkpd.Arm("70 mg oral", moved, n=32), pkpd.FOCE(), **options)
            assert other.criterion() <= chosen.criterion * (1 + 1e-8)


def test_the_trace_leads_from_the_given_times_to_the_end():
    chosen = pkpd.choose_times(model(), ARM, GRID, starts=2, seed=3)
    trace = chosen.trace.to_dataframe()
    for _, steps in trace.groupby("start"):
        assert (np.diff(steps["criterion"]) > 0).all()
    times = [1.0, 2.0, 4.0, 8.0]
    for _, step in trace[trace["start"] == 0].iterrows():
        times[times.index(step["before"])] = step["after"]
    first = pkpd.choose_times(model(), ARM, GRID)
    assert sorted(times) == first.design["all"].times["cp"]  # pyright: ignore
    assert trace["criterion"].max() == pytest.approx(chosen.criterion, rel=1e-9)


def test_the_same_for_the_same_seed():
    one, other = (pkpd.choose_times(model(), ARM, GRID, starts=3, seed=9) for _ in range(2))
    assert one.trace.identical(other.trace)
    assert one.information.data.identical(other.information.data)
    assert one.design == other.design


def test_given_times_off_the_grid_go_to_the_nearest():
    """With as many candidates as samples nothing is left to choose."""
    arm = pkpd.Arm("70 mg oral", [0.7, 0.8, 30, 100], n=32)
    chosen = pkpd.choose_times(model(), arm, [0.5, 1, 36, 120])
    assert chosen.design["all"].times == {"cp": [0.5, 1.0, 36.0, 120.0]}
    assert chosen.trace.sizes["iteration"] == 0


TWO = """
title = "concentration and effect"
[units]
time = "h"
amount = "mg"
[parameters]
cl = { typical = 2, unit = "L/h", iiv = 0.09 }
v = { typical = 20, unit = "L" }
slope = { typical = 2, unit = "L/mg", iiv = 0.2 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
effect = slope * cp
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", prop = 0.2 }
effect = { unit = "1", add = 0.5 }
"""


def test_an_output_that_is_left_out_keeps_its_times():
    arm = pkpd.Arm("100 mg iv", {"cp": [1, 2], "effect": [1, 3, 7]}, n=9)
    chosen = pkpd.choose_times(Model(TWO), arm, {"effect": [0.5, 1, 2, 4, 8, 12]})
    times = chosen.design["all"].times
    assert times["cp"] == [1.0, 2.0] and len(times["effect"]) == 3  # pyright: ignore
    assert set(times["effect"]) <= {0.5, 1, 2, 4, 8, 12}  # pyright: ignore
    assert "effect" in str(chosen) and "times that of the times given" in str(chosen)
    with pytest.raises(DataError, match="which of 2 outputs"):
        pkpd.choose_times(Model(TWO), arm, [1, 2, 3])


@pytest.mark.parametrize(
    ("times", "candidates", "options", "error", "said"),
    [
        ([1, 4], GRID, {}, CannotFit, "so few samples do not identify everything"),
        ([1, 4, 8, 9], [8, 8.001, 8.002, 8.003], {}, CannotFit, "not even all candidates together identify"),
        ([1, 4], [3], {}, DataError, "1 candidates are fewer than the 2 samples"),
        ([1, 4], [], {}, DataError, r"the candidates are \[\]"),
        ([1, 4], [4, 3], {}, DataError, "is earlier than the one before"),
        ([1, 4], [-4, 3], {}, DataError, "is negative"),
        ([1, 4], [0, 3], {}, DataError, "time 0: nothing is there to be seen"),
        ([1, 4], {"cq": [1, 2]}, {}, DataError, "no arm samples `cq`"),
        ([1, 4], {}, {}, DataError, "there are none"),
        ([1, 4], GRID, {"parameters": ["cq"]}, UsageError, "`cq` is nothing that is estimated"),
        ([1, 4], GRID, {"parameters": ["v"]}, UsageError, "`v` is nothing that is estimated"),
        ([1, 4], GRID, {"parameters": ["cl", "cl"]}, UsageError, "is named twice"),
        ([1, 4], GRID, {"starts": 0}, UsageError, "starts is 0"),
        ([1, 4], GRID, {"starts": 2}, UsageError, "There is no seed"),
        ([1, 4], GRID, {"seed": 2}, UsageError, "nothing is drawn"),
        ([1, 4], GRID, {"method": pkpd.FOCE()}, UsageError, "There is no seed"),
        ([1, 4], GRID, {"method": pkpd.Laplace(), "seed": 1}, CannotFit, "it cannot choose by Laplace"),
    ],
)
def test_what_is_refused(times, candidates, options: dict, error, said: str):
    with pytest.raises(error, match=said) as raised:
        pkpd.choose_times(model(), pkpd.Arm("70 mg oral", times, n=32), candidates, **options)
    for part in raised.value.findings or [raised.value]:
        assert part.where and part.expected and part.remedy
