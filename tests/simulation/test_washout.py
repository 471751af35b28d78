"""How long an effect lasts, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import pkpd
from pkpd.errors import DataError, MismatchError, UsageError
from pkpd.simulation.washout import _quantiles

K, KE = 0.03, 0.011

EFFECT = pkpd.Model(
    f"""
title = "A score under a baseline, by way of an effect compartment"
[parameters]
k = {{ typical = {K}, unit = "1/h", rse = 0.2, iiv = 0.09 }}
ke = {{ typical = {KE}, unit = "1/h", fixed = true }}
[constants]
one = {{ value = 1, unit = "mg" }}
[routes]
iv = {{ into = "drug" }}
[dynamics]
equations = '''
d/dt(drug) = -k * drug
d/dt(site) = ke * (drug - site)
score = 50 - site / one
'''
[outputs]
drug = {{ unit = "mg" }}
score = {{ unit = "1" }}
"""
)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.001])
def test_one_exponential(share: float) -> None:
    found = pkpd.washout(EFFECT, "10 mg iv bolus", "drug", residual=share)
    assert float(found["time"]) == pytest.approx(np.log(1 / share) / K, rel=1e-6)
    assert float(found["peak"]) == pytest.approx(10) and float(found["peak_time"]) == 0
    assert found["time"].attrs["units"] == "h"


def test_time_counts_from_the_start_of_an_infusion() -> None:
    found = pkpd.washout(EFFECT, "10 mg iv over 5 h", "drug", residual=0.05)
    assert float(found["time"]) == pytest.approx(5 + np.log(20) / K, rel=1e-6)
    assert float(found["peak_time"]) == 5
    assert float(found["peak"]) == pytest.approx(2 / K * (1 - np.exp(-5 * K)), rel=1e-7)


def test_time_counts_from_the_last_of_several_doses() -> None:
    found = pkpd.washout(EFFECT, "10 mg iv bolus every 24 h x 5", "drug", residual=0.05)
    assert float(found["time"]) == pytest.approx(np.log(20) / K, rel=1e-6)  # the peak is just after the last dose
    total = 10 * (1 - np.exp(-5 * 24 * K)) / (1 - np.exp(-24 * K))
    assert float(found["peak"]) == pytest.approx(total, rel=1e-6)


def test_effect_compartment_below_a_baseline() -> None:
    def effect(t: float) -> float:
        return 10 * KE / (K - KE) * (np.exp(-KE * t) - np.exp(-K * t))

    top = np.log(K / KE) / (K - KE)
    found = pkpd.washout(EFFECT, "10 mg iv bolus", "score", residual=0.05)
    assert float(found["peak"]) == pytest.approx(effect(top), rel=1e-7)
    assert float(found["peak_time"]) == pytest.approx(top, rel=1e-4)
    assert float(found["time"]) == pytest.approx(
        optimize.brentq(lambda t: effect(t) - 0.05 * effect(top), top, 2000), rel=1e-5
    )
    absolute = pkpd.washout(EFFECT, "10 mg iv bolus", "score", absolute=1.0)
    assert float(absolute["time"]) == pytest.approx(optimize.brentq(lambda t: effect(t) - 1, top, 2000), rel=1e-5)
    never = pkpd.washout(EFFECT, "10 mg iv bolus", "score", absolute=9.0)
    assert float(never["time"]) == 0.0


def test_interval_over_uncertainty_is_that_of_the_rate() -> None:
    found = pkpd.washout(EFFECT, "10 mg iv bolus", "drug", uncertainty=4000, seed=3, level=0.9)
    wanted = np.log(20) / K * np.exp(0.2 * stats.norm.ppf([0.05, 0.95]))
    error = 4.5 * 0.2 * np.sqrt(0.05 * 0.95 / 4000) / stats.norm.pdf(stats.norm.ppf(0.05))
    assert np.abs(np.log(np.array([float(found["lower"]), float(found["upper"])]) / wanted)).max() < error
    assert float(found["time"]) == pytest.approx(np.log(20) / K, rel=1e-6)


def test_people_differ() -> None:
    found = pkpd.washout(EFFECT, "10 mg iv bolus", "drug", n=4000, seed=3)
    wanted = np.log(20) / K * np.exp(0.3 * stats.norm.ppf([0.05, 0.5, 0.95]))
    error = 4.5 * 0.3 * np.sqrt(0.05 * 0.95 / 4000) / stats.norm.pdf(stats.norm.ppf(0.05))
    assert np.abs(np.log(found["people"].values / wanted)).max() < error
    both = pkpd.washout(EFFECT, "10 mg iv bolus", "drug", n=200, uncertainty=50, seed=3)
    assert (both["people_lower"] < both["people"]).all() and (both["people"] < both["people_upper"]).all()


def test_washout_of_a_trial_leaves_what_it_says() -> None:
    hours = float(pkpd.washout(EFFECT, "10 mg iv bolus", "drug", residual=0.02)["time"])
    trial = pkpd.Trial(
        arms={"drug": "10 mg iv bolus", "placebo": "no dose"}, sequences={"DP": ("drug", "placebo")}, n=1,
        visits={"drug": [0]}, washout=hours,
    )  # fmt: skip
    pred = pkpd.simulate(EFFECT, trial.data())
    assert pred["PERIOD"].values.tolist() == [1, 2] and pred["ARM"].values.tolist() == ["drug", "placebo"]
    np.testing.assert_allclose(pred["PRED"].values, [0, 0.2], rtol=1e-5)


def test_fit_gives_the_interval() -> None:
    t = np.array([0.5, 5, 20, 50, 90])
    y = 10 * np.exp(-K * t) * np.exp([0.02, -0.03, 0.01, 0.03, -0.02])
    data = pkpd.read_data({"TIME": [0, *t], "AMT": [10, *["."] * 5], "DV": [".", *y]})
    model = EFFECT.replace(outputs={"drug": pkpd.Output(name="drug", unit="mg", prop=0.05)})
    fit = pkpd.fit(model, data, pkpd.Pooled())
    found = pkpd.washout(fit, "10 mg iv bolus", "drug", uncertainty=500, seed=1)
    k = float(fit.estimates["value"].sel(parameter="k"))
    assert float(found["time"]) == pytest.approx(np.log(20) / k, rel=1e-6)
    assert float(found["lower"]) < float(found["time"]) < float(found["upper"])
    assert found.attrs["parameters_from"].startswith("fit")


def test_quantiles_of_infinite_times() -> None:
    assert _quantiles(np.array([1.0, np.inf, 2.0, 3.0]), (0.5, 0.95)).tolist() == [2.0, np.inf]


def test_what_cannot_be_answered() -> None:
    dose = "10 mg iv bolus"
    with pytest.raises(UsageError, match="residual is 5"):
        pkpd.washout(EFFECT, dose, "drug", residual=5)
    with pytest.raises(MismatchError, match=r"`scor` is nothing of(.|\n)*`score`"):
        pkpd.washout(EFFECT, dose, "scor")
    with pytest.raises(DataError, match="changes `ke` in nothing"):
        pkpd.washout(EFFECT.replace(outputs={}), dose, "ke")
    with pytest.raises(DataError, match="has not fallen below the limit 10 h after"):
        pkpd.washout(EFFECT, dose, "drug", until=10)
    with pytest.raises(DataError, match="has not fallen below"):
        pkpd.washout(EFFECT.set(ke=1e-9), dose, "score", residual=0.05, until=1e4)
    with pytest.raises(UsageError, match="There is no seed"):
        pkpd.washout(EFFECT, dose, "drug", n=10)
