"""The fit to the trial NCT04141696: what it must reproduce, and a trap that it must not fall into.

Published means: Saligan et al. 2026, abstract (percent change of the fatigue score; fits/ketamine_fatigue/README.md).
The table of stages and the shares of day 1 and day 3 were computed independently (scipy, exact exponentials): ketamine
after Kamp 2020 through n equal stages, a course P (1 - exp(-k t)) common to both drugs that starts anew in each period
and is scaled by g in the second; five means weighted by n; free: amplitude, stage rate, P, g.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pkpd.project.attribution import attribute
from pkpd.project.plan import Case, Plan, Search
from pkpd.project.study import Fitted, Study

FOLDER = Path(__file__).resolve().parents[2] / "fits" / "ketamine_fatigue"
HOURS = np.linspace(0, 72, 289)

# stages: mean transit time (h), peak of the period-1 ketamine arm (h): ranges over course half-lives of 6, 24 and 72 h
STAGES = {2: (19, 21.5, 14, 16.5), 3: (23, 25, 20, 21.6), 4: (25.5, 27.5, 23.7, 25), 5: (27.5, 29.2, 26.5, 27.5),
          8: (31, 32.5, 31, 32)}  # fmt: skip
PREDICTED = {(24.0, "1"): -38.7, (72.0, "1"): -19.5, (72.0, "2"): -18.7, (408.0, "2"): -11.9, (408.0, "1"): -11.1}
OBSERVED = {(24.0, "1"): -38.7, (72.0, "1"): -21.0, (72.0, "2"): -17.7, (408.0, "2"): -10.9, (408.0, "1"): -12.6}


@cache
def study() -> Study:
    plan = Plan.read(FOLDER / "fit.toml")
    return Study(folder=FOLDER, plan=replace(plan, search=Search(starts=1)))


@cache
def chosen() -> Fitted:
    return study().fit(study().plan.model)


def predictions(fitted: Fitted) -> dict[tuple[float, str], float]:
    records = fitted.fit.records
    return {
        (float(t), str(i)): float(p)
        for t, i, p in zip(records["TIME"].values, records["ID"].values, records["PRED"].values, strict=True)
    }


def peak(fitted: Fitted) -> float:
    return float(HOURS[study().curve(fitted, "1", HOURS).argmin()])


def cost(fitted: Fitted) -> float:
    """Half the sum of n times squared residuals."""
    return fitted.misfit * study().plan.spread.sd ** 2 / 2


def test_the_five_published_means_are_the_data():
    records = chosen().fit.records
    seen = {
        (float(t), str(i)): float(v)
        for t, i, v in zip(records["TIME"].values, records["ID"].values, records["DV"].values)
    }
    assert seen == OBSERVED


def test_the_chosen_model_peaks_near_a_day():
    assert 18 <= peak(chosen()) <= 30


def test_the_chosen_model_gives_day_1_and_day_3_within_two_points():
    predicted = predictions(chosen())
    assert predicted[24.0, "1"] == pytest.approx(-38.7, abs=2)
    assert predicted[72.0, "1"] == pytest.approx(-21.0, abs=2)


def test_the_chosen_model_gives_the_best_that_any_such_model_can():
    assert predictions(chosen()) == pytest.approx(PREDICTED, abs=0.06)
    assert cost(chosen()) == pytest.approx(15.00, abs=0.005)
    assert chosen().fit.status == "converged"


def test_nothing_but_the_first_periods_drug_is_carried_over():
    level = study().curve(chosen(), "1", np.array([0.0, 335.9, 336.0]))
    assert level[2] == pytest.approx(100, abs=1e-3)  # the course starts anew; of the chain nothing is left


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("half", [6, 72])
def test_any_number_of_stages_fits_alike_and_the_peak_moves(stages, half):
    case = Case(
        name=f"{stages}",
        fix={"stages": stages, "course.half": half},
        start={"mtt": float(np.mean(STAGES[stages][:2])), "strength": 25},
    )
    fitted = study().fit("stages", case=case)
    low, high, early, late = STAGES[stages]
    assert cost(fitted) == pytest.approx(15.00, abs=0.005)
    assert predictions(fitted) == pytest.approx(PREDICTED, abs=0.06)
    assert low <= fitted.model.parameters["mtt"].typical <= high
    assert early <= peak(fitted) <= late
    assert fitted.model.parameters["course.second"].typical == pytest.approx(0.59, abs=0.005)


@pytest.mark.parametrize(("half", "share"), [(6, 55), (24, 72), (72, 80)])
def test_ketamines_share_at_day_1_depends_on_the_course_and_at_day_3_does_not(half, share):
    fitted = study().fit("chain", case=Case(name="x", fix={"course.half": half}))
    first, third = attribute(study(), fitted, study().plan.attribution, profiled=False)
    assert 100 * first.part / first.whole == pytest.approx(share, abs=0.6)
    assert 100 * third.part / third.whole == pytest.approx(4, abs=0.5)


def test_intervals_of_ketamines_part_are_those_of_the_contrasts():
    """At day 3 the part is the mean of two differences between drugs, whose error is known in closed form.

    Each difference has the variance SD² (1/4 + 1/6); -3.3 and 1.7 average to -0.8. The model cannot turn the sign, so
    only the lower end is the textbook's. At day 1 it is the lower end of Normal theory within the model's own rounding.
    """
    first, third = attribute(study(), chosen(), study().plan.attribution)
    for sd in (15, 25, 35):
        error = sd * np.sqrt((1 / 4 + 1 / 6) / 2)
        assert third.interval(0.95, sd)[0] == pytest.approx(-0.8 - 1.959964 * error, abs=0.15)
    assert third.interval(0.95, 25)[1] == pytest.approx(0, abs=0.15)
    low, high = first.interval(0.95, 25)
    assert (low, high) == (
        pytest.approx(-56.6, abs=0.3),
        pytest.approx(-5.5, abs=0.3),
    )  # lmfit.conf_interval, scipy model


def test_the_day_7_values_do_not_contradict_a_slow_course():
    settled = study().fit("chain", case=Case(name="24 h", rows="all", fix={"course.half": 24}, start={"mtt": 20}))
    slow = study().fit("chain", case=Case(name="free", rows="all", free=("course.half",)))
    assert cost(slow) == pytest.approx(15.02, abs=0.02)
    assert slow.model.parameters["course.half"].typical == pytest.approx(100, abs=2)
    assert cost(settled) > 10 * cost(slow)


@pytest.mark.parametrize("key", ["emax", "turnover", "metabolite", "kpd"])
def test_other_structures_fit_the_means_as_well(key):
    fitted = study().fit(key)
    assert cost(fitted) == pytest.approx(15.00, abs=0.01)
    assert predictions(fitted) == pytest.approx(PREDICTED, abs=0.06)


def test_an_effect_of_midazolam_cannot_be_told_from_the_course():
    fitted = study().fit("both")
    assert fitted.fit.status == "not identified"
    assert int(fitted.fit.verdict["rank"]) == 4 < len(fitted.free) == 5
