"""Starts so poor that a proportional SD, or the likelihood itself, is no number on the way."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from pkpd import CannotFit, Individual, Pooled, fit
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.objective import Objective
from pkpd.likelihood import make_problem
from pkpd.model import Model, Output

FAST = {"cl": 280.0, "v": 0.32}  # a half-life of 3 s: what is left after hours is limited by absorption alone
GONE = {"l1": 60.0, "l2": 60.0}  # nothing is left at the end: SDs of 1e-313


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def proportional(oral) -> Model:
    return oral.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=0.2)})


@pytest.fixture
def vanishing(two_exponentials) -> Model:
    return two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=0.2)})


@pytest.mark.parametrize("method", ["leastsq", "least_squares"])
@pytest.mark.parametrize(("error", "start"), [("scaled", FAST), ("estimated", {"cl": 40.0, "v": 4.0})])
def test_a_poor_start_ends_in_a_verdict_or_an_error_of_ours(proportional, doses, method, error, start):
    for estimator in (Pooled(method=method, error=error), Individual(method=method, error=error)):
        try:
            result = fit(proportional, doses, estimator, start=start)
        except CannotFit as caught:
            assert caught.where
            assert caught.expected
            assert caught.remedy
        else:
            assert result.status in ("converged", "at a bound", "not identified", "not converged", "failed")


def test_a_start_from_which_nothing_is_left_is_refused(vanishing, decline):
    for estimator in (Pooled(), Individual()):
        with pytest.raises(CannotFit, match="the residual SD is") as caught:
            fit(vanishing, decline, estimator, start=GONE)
        assert "start nearer to the data" in str(caught.value)


def test_random_starts_that_lead_nowhere_are_dropped(proportional, doses):
    good = fit(proportional, doses, Pooled())
    result = fit(proportional, doses, Pooled(starts=12, spread=3.0, seed=1))
    assert result.status == "converged"
    assert result.ofv == pytest.approx(good.ofv, abs=1e-3)
    alone = fit(proportional, doses, Individual(starts=6, spread=3.0, seed=1))
    assert np.isfinite(alone.ofv)


def test_a_search_that_goes_astray_says_so(vanishing, decline, monkeypatch):
    from pkpd.estimation import solve

    honest = solve.search

    def astray(objective, start, **options):
        z, result = honest(objective, start, **options)
        return (np.full_like(z, 9.0) if "B" in objective.problem.subjects else z), result

    monkeypatch.setattr(solve, "search", astray)
    result = fit(vanishing, decline, Individual())
    assert (result.verdict["status"].values == "failed").tolist() == [False, True, False, False]
    assert "the search ended where the likelihood is not a number" in result.message
    with pytest.raises(CannotFit, match="none of 2 starts led anywhere") as caught:
        fit(vanishing, decline, Pooled(starts=2, seed=1))
    assert "Start nearer" in str(caught.value)


def test_a_point_is_sound_where_everything_is_a_number(proportional, doses):
    problem = make_problem(proportional, doses)
    coordinates = Coordinates.of(problem, residuals_free=False)
    point = Objective(problem, coordinates).at(coordinates.forward(coordinates.initial)[coordinates.free])
    assert point.is_sound
    assert not replace(point, u=np.full_like(point.u, np.nan)).is_sound
    assert not replace(point, mean_z=np.full_like(point.mean_z, np.inf)).is_sound
    assert not replace(point, spread=replace(point.spread, sd=np.zeros_like(point.u))).is_sound
