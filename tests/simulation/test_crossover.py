"""A crossover analysed in several ways: each analysis is the model that its name says, and finds what it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pkpd
from pkpd.data.crossover import only_period, reset_periods, with_previous
from pkpd.errors import MismatchError, UsageError
from pkpd.simulation.trial.analyses import with_terms

K, V, BASE = 0.01, 20.0, 50.0

MODEL = pkpd.Model(
    f"""
[parameters]
base = {{ typical = {BASE}, unit = "1", transform = "none", iiv = 9, iov = 1 }}
k = {{ typical = {K}, unit = "1/h" }}
v = {{ typical = {V}, unit = "mg", fixed = true }}
[routes]
iv = {{ into = "drug" }}
[dynamics]
equations = '''
d/dt(drug) = -k * drug
score = base - drug / v
'''
[outputs]
score = {{ unit = "1", add = 0.5 }}
"""
)
ALIKE = MODEL.set({"iiv.base": 0, "iov.base": 0})
TRIAL = pkpd.Trial(
    arms={"drug": "200 mg iv bolus", "placebo": "no dose"},
    sequences={"DP": ("drug", "placebo"), "PD": ("placebo", "drug")},
    n=20, visits={"score": [0, "2 h", "day 1"]}, washout="2 d",
)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> pkpd.Crossover:
    return pkpd.crossover(MODEL, TRIAL.simulate(MODEL, seed=3), pkpd.FOCE(), TRIAL)


def test_effect_and_its_error_are_those_of_the_rate(found) -> None:
    """The effect is -(200 / v) exp(-k t), and d effect / d log k = -k t effect: the delta method by hand."""
    for name in found.fits:
        fit = found.fits[name]
        k = float(fit.estimates["value"].sel(parameter="k"))
        se_log = float(fit.estimates["transformed_se"].sel(parameter="k"))
        own = found.table.sel(analysis=name)
        t = own["time"].values
        effect = -200 / V * np.exp(-k * t)
        np.testing.assert_allclose(own["effect"].values, effect, rtol=1e-6)
        np.testing.assert_allclose(own["se"].values, np.abs(effect) * k * t * se_log, rtol=1e-5)
        np.testing.assert_allclose(own["upper"] - own["lower"], 2 * 1.959963985 * own["se"], rtol=1e-8)


def test_what_can_be_compared_is_said(found) -> None:
    table = found.table
    assert table["analysis"].values.tolist() == ["mechanistic", "no carry-over", "statistical", "drop period 2"]
    assert table["records"].values.tolist() == [240, 240, 240, 120]
    assert table["comparable"].values.tolist() == [True, True, True, False]
    for name in found.fits:
        assert float(table["objective"].sel(analysis=name)) == found.fits[name].ofv
    # Forty people with a real carry-over (62 % is left after two days): the truth is by far the most probable.
    objective = table["objective"].sel(analysis=["no carry-over", "statistical"]) - table["objective"].sel(
        analysis="mechanistic"
    )
    assert (objective > 10).all()
    truth = -200 / V * np.exp(-K * table["time"].values)
    for name in ("mechanistic", "statistical", "drop period 2"):
        own = table.sel(analysis=name)
        assert (np.abs(own["effect"] - truth) < 4 * own["se"]).all(), name
    text = str(found)
    assert text.startswith("score after drug less that after placebo (1), 95 % intervals\nANALYSIS")
    assert "Other data, not comparable by -2 log L or AIC: drop period 2." in text
    assert f"[{found.fits['drop period 2'].ofv:.2f}]" in text


def test_the_first_period_alone_has_no_occasions(found) -> None:
    fits = found.fits
    assert "iov.base" in fits["mechanistic"].estimates["parameter"]
    assert "iov.base" not in fits["drop period 2"].estimates["parameter"]
    assert set(fits["drop period 2"].records["PERIOD"].values) == {1}


def test_terms_find_the_change_that_a_reset_has_hidden() -> None:
    """Constant changes in period 2, and after the drug, are what the terms are."""
    truth = with_terms(ALIKE, "score").set({"period_change": 2.0, "left_over": -3.0, "score.add": 1e-3})
    trial = replace(TRIAL, covariates={"PREVIOUS": {"previous": {"drug": 1}}}, reset_between_periods=True)
    data = trial.simulate(truth, seed=1)
    seen = data.columns["EVID"] == 0
    since = (data.columns["TIME"] - 48 * (data.columns["PERIOD"] - 1))[seen]
    drug = (data.columns["ARM"][seen] == "drug") & (since > 0)
    after = (data.columns["SEQUENCE"][seen] == "DP") & (data.columns["PERIOD"][seen] == 2)
    wanted = BASE - 10 * np.exp(-K * since) * drug + 2.0 * (data.columns["PERIOD"][seen] == 2) - 3.0 * after
    np.testing.assert_allclose(data.columns["DV"][seen], wanted, atol=6e-3)
    found = pkpd.crossover(ALIKE, data, pkpd.Pooled(), trial, analyses=["statistical", "no carry-over"])
    values = found.fits["statistical"].estimates["value"]
    assert float(values.sel(parameter="period_change")) == pytest.approx(2, abs=2e-3)
    assert float(values.sel(parameter="left_over")) == pytest.approx(-3, abs=2e-3)
    assert found.table["objective"].values[0] < found.table["objective"].values[1]


def test_the_bias_of_a_carry_over_that_is_left_out() -> None:
    """Least squares of records that a state carries over: with a reset, k is what the closed form says it must be."""
    from scipy import optimize

    data = TRIAL.simulate(ALIKE.set({"score.add": 1e-6}), seed=1)
    found = pkpd.crossover(
        ALIKE, data, pkpd.Pooled(), TRIAL, analyses=("mechanistic", "no carry-over", "drop period 2"), times=[24]
    )
    truth = -10 * np.exp(-K * 24)
    np.testing.assert_allclose(found.table["effect"].values[[0, 2], 0], truth, rtol=1e-4)
    t = np.array([0.0, 2.0, 24.0])
    drug, nothing = 10 * np.exp(-K * t) * (t > 0), np.zeros(3)
    carried = 10 * np.exp(-K * (t + 48))

    def misfit(x: np.ndarray) -> np.ndarray:
        fitted = x[0] - 10 * np.exp(-x[1] * t) * (t > 0)
        period_1 = np.concatenate([fitted - (50 - drug), x[0] - (50 - nothing)])
        period_2 = np.concatenate([x[0] - (50 - carried), fitted - (50 - drug)])
        return np.concatenate([period_1, period_2])

    wrong = optimize.least_squares(misfit, [50, 0.01], xtol=1e-14, ftol=1e-14).x[1]
    assert abs(np.exp(-wrong * 24) / np.exp(-K * 24) - 1) > 0.05
    assert found.table["effect"].values[1, 0] == pytest.approx(-10 * np.exp(-wrong * 24), rel=1e-4)


def test_data_period_by_period() -> None:
    data = TRIAL.data()
    assert (data.columns["EVID"] == 3).sum() == 0
    reset = reset_periods(data)
    rows = reset.columns["EVID"] == 3
    assert rows.sum() == 40 and set(reset.columns["TIME"][rows]) == {48} and set(reset.columns["PERIOD"][rows]) == {2}
    assert reset_periods(reset).digest == reset.digest
    designed = replace(TRIAL, reset_between_periods=True).data()
    assert np.array_equal(pkpd.simulate(MODEL, designed)["PRED"], pkpd.simulate(MODEL, reset)["PRED"])
    assert set(only_period(data, 1).columns["PERIOD"]) == {1}
    previous = with_previous(data, "drug").covariates["PREVIOUS"]
    assert np.array_equal(previous == 1, (data.columns["SEQUENCE"] == "DP") & (data.columns["PERIOD"] == 2))


def test_an_analysis_that_cannot_be_made_says_why() -> None:
    taken = MODEL.replace(parameters={**MODEL.parameters, "left_over": pkpd.Parameter(name="left_over", typical=1.0)})
    data = TRIAL.simulate(MODEL, seed=1)
    found = pkpd.crossover(taken.fix("left_over"), data, pkpd.FOCE(), TRIAL, analyses=["statistical", "mechanistic"])
    assert found.table["status"].values.tolist() == ["not made", "converged"]
    assert "left_over" in str(found.table["message"].values[0]) and "statistical: " in str(found)
    assert np.isnan(found.table["effect"].values[0]).all()


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"analyses": ["mechanistics"]}, UsageError, "there is no analysis `mechanistics`"),
        ({"compare": ("drug", "drug")}, MismatchError, "compare is"),
        ({"compare": ("drug", "plazebo")}, MismatchError, "there is no arm `plazebo`"),
        ({"output": "cp"}, MismatchError, "`cp` is no output"),
        ({"times": [0]}, UsageError, "times are"),
        ({"output": "cp"}, MismatchError, r"^[^\n]*`cp` is no output[^\n]*\n[^\n]*$"),
        ({"level": 95}, UsageError, "level is 95"),
    ],
)
def test_what_cannot_be_asked(asked, error, message) -> None:
    with pytest.raises(error, match=message):
        pkpd.crossover(MODEL, TRIAL.simulate(MODEL, seed=1), pkpd.FOCE(), TRIAL, **asked)


def test_data_without_arms_or_periods() -> None:
    data = pkpd.read_data({"TIME": [0, 1], "AMT": [100, "."], "DV": [".", 3]})
    with pytest.raises(MismatchError) as raised:
        pkpd.crossover(MODEL, data, pkpd.FOCE(), TRIAL)
    assert "nobody has the arm `drug`" in str(raised.value) and "there is no column PERIOD" in str(raised.value)
