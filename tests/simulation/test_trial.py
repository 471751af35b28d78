"""Trials: the schedule, what is drawn (against closed forms), and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.errors import DataError, MismatchError, SolveError, UsageError
from pkpd.reporting.report import describe

K, V = 0.01, 20.0

DRUG = pkpd.Model(
    f"""
title = "A score that a drug lowers, washed out mono-exponentially"
[parameters]
base = {{ typical = 50, unit = "1", transform = "none", iiv = 25, iov = 9 }}
k = {{ typical = {K}, unit = "1/h" }}
[constants]
v = {{ value = {V}, unit = "mg" }}
[routes]
iv = {{ into = "drug" }}
[dynamics]
equations = '''
d/dt(drug) = -k * drug
score = base - drug / v
'''
[outputs]
score = {{ unit = "1", add = 2 }}
"""
)


def crossover(**changed) -> pkpd.Trial:
    given = {
        "arms": {"drug": "200 mg iv bolus", "placebo": "no dose"},
        "sequences": {"DP": ("drug", "placebo"), "PD": ("placebo", "drug")},
        "n": {"DP": 3, "PD": 4},
        "visits": {"score": [0, "2 h", "day 1"]},
        "washout": "1 wk",
    }
    return pkpd.Trial(**{**given, **changed})


def table(data: pkpd.Dataset) -> dict[str, np.ndarray]:
    seen = data.columns["EVID"] == 0
    names = ("ID", "TIME", "DV", "ARM", "SEQUENCE", "PERIOD", "OCC", "CENS", "MDV")
    return {name: data.columns[name][seen] for name in names}


# ------------------------------------------------------------------------------------------------------ the schedule


def test_schedule_of_a_sequence_row_by_row() -> None:
    data = crossover(reset_between_periods=True, visits={"score": ["-1 h", 0, 24.0]}).data()["PD-2"]
    c = data.columns
    rows = list(zip(c["TIME"], c["EVID"], c["PERIOD"], c["ARM"], c["AMT"], strict=True))
    # The reset of a period comes before its first visit; a visit at the time of a dose comes before the dose.
    assert rows == [
        (-1, 0, 1, "placebo", 0), (0, 0, 1, "placebo", 0), (24, 0, 1, "placebo", 0),
        (167, 3, 2, "drug", 0), (167, 0, 2, "drug", 0), (168, 0, 2, "drug", 0), (168, 1, 2, "drug", 200),
        (192, 0, 2, "drug", 0),
    ]  # fmt: skip
    assert set(c["SEQUENCE"]) == {"PD"} and (c["OCC"] == c["PERIOD"]).all()
    assert c["MDV"].all()


def test_sequences_have_the_people_they_are_to_have() -> None:
    trial = crossover()
    assert trial.people == 7 and trial.ids == ("DP-1", "DP-2", "DP-3", "PD-1", "PD-2", "PD-3", "PD-4")
    seen = table(trial.simulate(DRUG, seed=1))
    for name, number in (("DP", 3), ("PD", 4)):
        assert len(set(seen["ID"][seen["SEQUENCE"] == name])) == number
    first = {
        (s, p): set(seen["ARM"][(seen["SEQUENCE"] == s) & (seen["PERIOD"] == p)]) for s in ("DP", "PD") for p in (1, 2)
    }
    assert first == {("DP", 1): {"drug"}, ("DP", 2): {"placebo"}, ("PD", 1): {"placebo"}, ("PD", 2): {"drug"}}


def test_washout_counts_from_the_last_dose_of_an_arm() -> None:
    trial = crossover(arms={"drug": "10 mg iv every 24 h x 4", "placebo": "no dose"}, visits={"score": [0, 80]})
    assert trial.starts("DP") == (0.0, 72.0 + 168.0) and trial.starts("PD") == (0.0, 168.0)


def test_a_dose_per_kg_becomes_the_amount_of_each_person() -> None:
    trial = crossover(
        arms={"drug": "0.5 mg/kg iv over 40 min", "placebo": "no dose"},
        covariates={"WT": {"normal": [75, 15], "within": [45, 130]}}, n=50,
    )  # fmt: skip
    data = trial.data(seed=4)
    doses = data.columns["EVID"] == 1
    np.testing.assert_allclose(data.columns["AMT"][doses], 0.5 * data.covariates["WT"][doses], rtol=1e-15)
    assert data.units["WT"] == "kg" and set(data.columns["UNIT"][doses]) == {"mg"}
    pounds = crossover(
        arms={"drug": "0.5 mg/kg iv", "placebo": "no dose"}, covariates={"WT": 150}, units={"WT": "g"}
    ).data()
    assert pounds.columns["AMT"].max() == pytest.approx(0.5 * 0.150)


# ----------------------------------------------------------------------------------------------------- closed forms


def test_moments_of_what_is_drawn_are_those_of_the_model() -> None:
    trial = crossover(n=4000)
    seen = table(trial.simulate(DRUG, seed=7))
    dose, week = 200.0 / V, 7 * 24.0

    def mean(sequence: str, period: int, after: float) -> float:
        given_at = 0.0 if sequence == "DP" else week
        since = after + (period - 1) * week - given_at
        # A visit at the time of the dose is before it.
        return 50.0 - (dose * np.exp(-K * since) if since > 0 else 0.0)

    variance = 25.0 + 9.0 + 2.0**2
    for sequence in ("DP", "PD"):
        for period in (1, 2):
            for after in (0.0, 2.0, 24.0):
                pick = (seen["SEQUENCE"] == sequence) & (seen["PERIOD"] == period)
                pick &= seen["TIME"] == after + (period - 1) * week
                y = seen["DV"][pick]
                assert y.size == 4000
                assert abs(y.mean() - mean(sequence, period, after)) < 4.5 * np.sqrt(variance / 4000)
                assert abs(y.var(ddof=1) / variance - 1) < 4.5 * np.sqrt(2 / 4000)
    # What a person keeps (25), what an occasion keeps (9) and what nobody keeps (4) are told apart by covariances.
    y = seen["DV"].reshape(8000, 2, 3)
    y = y - np.concatenate(
        [np.broadcast_to(y[half].mean(axis=0), y[half].shape) for half in (slice(4000), slice(4000, None))]
    )
    inside = np.mean(y[:, 0, 0] * y[:, 0, 2])
    across = np.mean(y[:, 0, 0] * y[:, 1, 2])
    assert abs(inside - 34.0) < 4.5 * np.sqrt((38.0**2 + 34.0**2) / 8000)
    assert abs(across - 25.0) < 4.5 * np.sqrt((38.0**2 + 25.0**2) / 8000)


def test_a_reset_takes_the_carry_over_away() -> None:
    quiet = DRUG.set({"iiv.base": 1e-12, "iov.base": 1e-12, "score.add": 1e-9})
    for reset, left in ((False, 10 * np.exp(-K * 170)), (True, 0.0)):
        seen = table(crossover(reset_between_periods=reset).simulate(quiet, seed=1))
        y = seen["DV"][(seen["SEQUENCE"] == "DP") & (seen["TIME"] == 170)]
        np.testing.assert_allclose(y, 50 - left, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"normal": [75, 15]}, stats.norm(75, 15)),
        ({"normal": [75, 15], "within": [60, 80]}, stats.truncnorm(-1, 1 / 3, 75, 15)),
        ({"lognormal": [70, 0.2]}, stats.lognorm(0.2, scale=70)),
        ({"uniform": [18, 65]}, stats.uniform(18, 47)),
    ],
)
def test_covariates_follow_their_law(given, law) -> None:
    data = crossover(n=2000, covariates={"X": given}).data(seed=3)
    first = np.unique(data.columns["ID"], return_index=True)[1]
    assert stats.kstest(data.covariates["X"][first], law.cdf).pvalue > 1e-3


def test_covariates_that_follow_the_design() -> None:
    trial = crossover(
        covariates={
            "TREATED": {"arm": {"drug": 1, "placebo": 0}}, "PREVIOUS": {"previous": {"drug": 1}},
            "LATER": {"period": [0, 1]}, "SEX": {"share": 0.3}, "GENE": {"values": [0, 1, 2]},
        },
        n=3000,
    )  # fmt: skip
    data = trial.data(seed=2)
    c = data.columns
    assert np.array_equal(data.covariates["TREATED"], (c["ARM"] == "drug") * 1.0)
    assert np.array_equal(data.covariates["PREVIOUS"], ((c["SEQUENCE"] == "DP") & (c["PERIOD"] == 2)) * 1.0)
    assert np.array_equal(data.covariates["LATER"], c["PERIOD"] - 1.0)
    first = np.unique(c["ID"], return_index=True)[1]
    assert abs(data.covariates["SEX"][first].mean() - 0.3) < 4.5 * np.sqrt(0.21 / 6000)
    shares = np.bincount(data.covariates["GENE"][first].astype(int)) / 6000
    assert np.abs(shares - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / 6000)


def test_dropout_has_the_probabilities_it_is_given() -> None:
    number = 5000
    for drop, share in (
        ({"visit": 0.1}, [0.9**k for k in range(6)]),
        ({"between": 0.25}, [1, 1, 1, 0.75, 0.75, 0.75]),
        ({"rate": 0.01}, list(np.exp(-0.01 * np.array([0, 2, 24, 168, 170, 192])))),
    ):
        seen = table(crossover(n=number, dropout=drop).data(seed=5))
        at = np.array([0, 2, 24, 168, 170, 192])
        stayed = np.array([(seen["TIME"] == time).sum() / (2 * number) for time in at])
        assert np.abs(stayed - share).max() < 4.5 * np.sqrt(0.25 / (2 * number))
    # Who leaves gets nothing any more.
    data = crossover(n=200, dropout={"between": 0.5}).data(seed=5)
    for name in ("DP-1", "PD-1", "PD-2", "PD-3"):
        own = data[name].columns
        assert set(own["PERIOD"]) in ({1}, {1, 2})
        assert (own["EVID"] == 1).sum() == (1 if "drug" in own["ARM"] else 0)


def test_dropout_changes_nothing_of_what_came_before() -> None:
    all_of_them = table(crossover(n=30).simulate(DRUG, seed=5))
    some = crossover(n=30, dropout={"visit": 0.2}).simulate(DRUG, seed=5)
    assert "left before the end" in " ".join(some.notes)
    seen = table(some)
    places = {
        key: y for *key, y in zip(all_of_them["ID"], all_of_them["TIME"], all_of_them["DV"]) for key in [tuple(key)]
    }
    assert 0 < seen["DV"].size < all_of_them["DV"].size
    assert all(places[who, time] == y for who, time, y in zip(seen["ID"], seen["TIME"], seen["DV"]))


def test_observations_below_the_limit_are_censored() -> None:
    with_limit = table(crossover(n=300, lloq={"score": 48.0}).simulate(DRUG, seed=6))
    without = table(crossover(n=300).simulate(DRUG, seed=6))
    below = without["DV"] < 48
    assert 0.2 < below.mean() < 0.8
    assert np.array_equal(with_limit["CENS"] == 1, below)
    np.testing.assert_array_equal(with_limit["DV"], np.where(below, 48.0, without["DV"]))


def test_units_of_the_trial_are_those_of_its_data() -> None:
    plain, other = (
        table(crossover(n=20, units=unit, lloq={"score": limit}).simulate(DRUG, seed=1))
        for unit, limit in (({}, 45.0), ({"score": "%"}, 4500.0))
    )
    np.testing.assert_allclose(other["DV"], 100 * plain["DV"], rtol=1e-14)
    assert np.array_equal(other["CENS"], plain["CENS"]) and plain["CENS"].any()


# ------------------------------------------------------------------------------------------------------------ chance


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads() -> None:
    trial = crossover(n=40, dropout={"visit": 0.05})
    one, two = (trial.simulate(DRUG, seed=3, threads=threads) for threads in (1, 2))
    assert one.digest == two.digest
    assert one.digest != trial.simulate(DRUG, seed=4).digest
    assert one.digest != trial.simulate(DRUG, seed=3, replicate=2).digest


def test_a_person_is_the_same_in_whatever_company() -> None:
    covariates = {"WT": {"normal": [70, 10]}}
    small = crossover(n={"DP": 2, "PD": 3}, covariates=covariates).simulate(DRUG, seed=9)
    large = crossover(n={"DP": 40, "PD": 17}, covariates=covariates).simulate(DRUG, seed=9)
    for name in ("DP-2", "PD-1", "PD-3"):
        assert np.array_equal(small[name].columns["DV"], large[name].columns["DV"], equal_nan=True)
        assert np.array_equal(small[name].covariates["WT"], large[name].covariates["WT"])


def test_a_seed_is_asked_for_only_where_something_is_left_to_chance() -> None:
    assert crossover().data().digest == crossover().data(seed=5).digest
    with pytest.raises(UsageError, match=r"There is no seed(.|\n)*WT, dropout is drawn"):
        crossover(covariates={"WT": {"normal": [70, 10]}}, dropout={"visit": 0.1}).data()
    with pytest.raises(UsageError, match="replicate is 0"):
        crossover().data(seed=1, replicate=0)


def test_uncertainty_draws_the_typical_values_once_for_a_trial() -> None:
    from dataclasses import replace

    rse = DRUG.replace(parameters={**DRUG.parameters, "base": replace(DRUG.parameters["base"], rse=0.2)})
    quiet = rse.set({"iiv.base": 1e-12, "iov.base": 1e-12, "score.add": 1e-9})
    trial = crossover(n=2)
    bases = []
    for replicate in range(1, 201):
        seen = table(trial.simulate(quiet, seed=1, replicate=replicate, uncertainty=True))
        start = seen["DV"][seen["TIME"] == 0]
        assert np.ptp(start) < 1e-4
        bases.append(start[0])
    assert abs(np.mean(bases) - 50) < 4.5 * 10 / np.sqrt(200)
    assert abs(np.std(bases) / 10 - 1) < 4.5 / np.sqrt(400)
    assert np.ptp([table(trial.simulate(quiet, seed=1, replicate=k))["DV"][0] for k in (1, 2)]) < 1e-4


def test_what_is_simulated_can_be_fitted() -> None:
    data = crossover(n=60).simulate(DRUG, seed=11)
    fit = pkpd.fit(DRUG, data, pkpd.FOCE())
    assert fit.status == "converged"
    table_ = fit.estimates
    for name, true in (("base", 50), ("k", K), ("iiv.base", 25), ("iov.base", 9), ("score.add", 2)):
        estimate, se = (float(table_[what].sel(parameter=name)) for what in ("value", "se"))
        assert abs(estimate - true) < 4 * se, name
    assert set(fit.records["ARM"].values) == {"drug", "placebo"} and set(fit.records["SEQUENCE"].values) == {"DP", "PD"}
    (records,) = [
        b for section in describe(fit).sections for b in section.blocks if getattr(b, "name", "") == "records"
    ]
    assert [column.name for column in records.columns][:5] == ["ID", "ARM", "SEQUENCE", "PERIOD", "OCC"]
    again = crossover().simulate(fit, seed=2)
    assert f"fit: {fit.attrs['estimator']}" in again.notes[0]


def test_power_of_a_crossover_is_that_of_the_noncentral_t() -> None:
    """Half the period differences of two sequences: variance 2 (iov + residual) within, a t-test with n - 2 df."""
    model = pkpd.Model(
        """
        [parameters]
        base = { typical = 60, unit = "1", transform = "none", iiv = 225, iov = 25 }
        [covariates]
        TREATED = { reference = 0 }
        [dynamics]
        equations = "score = base - 12 * TREATED"
        [outputs]
        score = { unit = "1", add = 8 }
        """
    )
    trial = crossover(
        arms={"drug": "no dose", "placebo": "no dose"}, n=5, visits={"score": ["day 3"]},
        covariates={"TREATED": {"arm": {"drug": 1, "placebo": 0}}},
    )  # fmt: skip
    times = 600
    found = 0
    for replicate in range(1, times + 1):
        y = trial.simulate(model, seed=1, replicate=replicate).observations["DV"].reshape(10, 2)
        difference = y[:, 0] - y[:, 1]
        found += stats.ttest_ind(difference[:5], difference[5:]).pvalue < 0.05
    apart, critical = 24 / np.sqrt(2 * (25 + 64) * 2 / 5), stats.t.ppf(0.975, 8)
    power = stats.nct.sf(critical, 8, apart) + stats.nct.cdf(-critical, 8, apart)
    assert abs(found / times - power) < 4.5 * np.sqrt(power * (1 - power) / times)


def test_a_model_without_random_effects_still_has_residual_errors() -> None:
    alike = DRUG.set({"iiv.base": 0, "iov.base": 0})
    seen = table(crossover(n=2000).simulate(alike, seed=1))
    y = seen["DV"][seen["TIME"] == 0]
    assert abs(y.std(ddof=1) / 2 - 1) < 4.5 / np.sqrt(2 * y.size)


def test_trial_and_model_that_do_not_go_together() -> None:
    with pytest.raises(MismatchError) as raised:
        crossover(arms={"drug": "200 mg oral", "placebo": "no dose"}).simulate(DRUG, seed=1)
    assert "oral" in str(raised.value)
    from dataclasses import replace

    with pytest.raises(MismatchError, match="no residual error"):
        crossover().simulate(DRUG.replace(outputs={"score": replace(DRUG.outputs["score"], add=0)}), seed=1)


@pytest.mark.parametrize(
    ("law", "said"),
    [
        ("score = { lower = 0, upper = 10 }", "score stays between 0 and 10"),
        ("count = {}", "the mean of a count, is not below 0"),
        ("binary = {}", "score is a probability"),
        ("log = 0.1", "as its log-normal error asks"),
    ],
)
def test_predictions_that_a_law_does_not_allow(law: str, said: str) -> None:
    model = pkpd.Model(
        f"""
        [parameters]
        base = {{ typical = -20, unit = "1", transform = "none", iiv = 0.01 }}
        [dynamics]
        equations = "score = base"
        [outputs]
        score = {{ unit = "1", {law} }}
        """
    )
    trial = pkpd.Trial(arms={"none": "no dose"}, sequences={"all": ["none"]}, n=2, visits={"score": [1]})
    with pytest.raises(SolveError, match=said):
        trial.simulate(model, seed=1)
    with pytest.raises(SolveError, match=said):
        pkpd.simulate(model, "no dose", times=[1], seed=1, residual=True)


# -------------------------------------------------------------------------------------------------------- text, errors


def test_text_comes_back(tmp_path) -> None:
    trial = crossover(
        title="A “small” trial", covariates={"WT": {"normal": [75, 15], "within": [45, 130]}, "SEX": {"share": 0.5}},
        dropout={"visit": 0.1, "between": 0.05}, lloq={"score": 1.0}, units={"score": "1"}, washout=["10 d"],
    )  # fmt: skip
    trial.write(tmp_path / "trial.toml")
    again = pkpd.Trial.read(tmp_path / "trial.toml")
    assert again == trial and again.text == trial.text and hash(again) == hash(trial)
    assert again.simulate(DRUG, seed=1).digest == trial.simulate(DRUG, seed=1).digest


def test_the_schedule_is_printed() -> None:
    text = str(crossover(n={"DP": 1, "PD": 4}, visits={"score": ["2 h"]}))
    assert text.startswith(
        "Trial of 5 people in 2 sequences of 2 periods\n"
        "SEQUENCE  N  PERIOD  START  ARM      DOSE\n"
        "DP        1       1      0  drug     200 mg iv bolus\n"
        "                  2    168  placebo  no dose\n"
    )
    assert "Note: one person alone in sequence DP." in text
    assert "Note: score is not observed before the dose of a period." in text
    assert "<table>" in crossover()._repr_html_()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sequences": {"DP": ("drug", "plazebo")}, "n": 3}, "there is no arm `plazebo`.\n  Arms: drug, placebo. Did"),
        ({"n": {"DP": 0, "PD": 0}}, "there is nobody in the trial"),
        ({"n": {"DP": -1, "PD": 4}}, "n, DP: it is -1"),
        ({"n": {"DP": 2.5, "PD": 4}}, "n, DP: it is 2.5"),
        ({"n": {"DP": 2}}, "it is not said for sequence PD"),
        ({"n": {"DP": 2, "PD": 2, "QQ": 1}}, "there is no sequence `QQ`"),
        ({"washout": None}, "washout: it is not said, and there are 2 periods"),
        ({"washout": 0}, "washout: it is 0 h: the next period begins with"),
        ({"washout": "-1 wk"}, "washout: it is -168 h"),
        ({"washout": ["1 wk", "2 wk"]}, "there are 2 times for 2 periods"),
        ({"visits": {"score": [0, "day 8"]}}, "the visit 192 h after the start of period 1 comes after"),
        ({"visits": {"score": ["-1 h", "168 h"]}}, "167 h after it (with its first visit)"),
        ({"visits": {"score": ["soon"]}}, "visits, score: `soon` is no time"),
        ({"visits": {"score": [2, 1]}}, "1 h comes after 2 h"),
        ({"visits": {"score": []}}, "visits, score: there is none"),
        ({"visits": {}}, "nothing is observed"),
        ({"arms": {"drug": "200 mg iv over 200 h", "placebo": "no dose"}}, "`drug` is still being given"),
        ({"arms": {"drug": "200 mgg iv", "placebo": "no dose"}}, "`mgg` is not a unit"),
        ({"arms": {"drug": 5, "placebo": "no dose"}}, "arms, drug: it is 5"),
        ({"arms": {"drug": "2 mg/kg iv", "placebo": "no dose"}}, "a dose is per WT, which nobody has"),
        ({"covariates": {"WT": {"normal": [75, -1]}}}, "normal is [75, -1]"),
        ({"covariates": {"WT": {"norml": [75, 1]}}}, "`norml` has no meaning here"),
        ({"covariates": {"WT": {"normal": [75, 1], "within": [500, 600]}}}, "where hardly anybody lies"),
        ({"covariates": {"X": {"arm": {"drug": 1}}}}, "nothing is said for arm placebo"),
        ({"covariates": {"X": {"period": [1]}}}, "period is [1]"),
        ({"dropout": {"visit": 1.5}}, "dropout, visit: it is 1.5"),
        ({"dropout": 0.1}, "dropout: it is 0.1"),
        ({"dropout": {"rate": -1}}, "dropout, rate: it is -1"),
        ({"dropout": {"visits": 0.1}}, "`visits` has no meaning here"),
        ({"lloq": {"score": -1}}, "lloq, score: it is -1"),
        ({"lloq": {"cp": 1}}, "`cp` is not observed"),
        ({"units": {"score": "mgg"}}, "`mgg` is not a unit"),
        ({"time_unit": "kg"}, "`kg` is not a unit of time"),
    ],
)  # fmt: skip
def test_what_cannot_be(changed: dict, message: str) -> None:
    with pytest.raises(DataError) as raised:
        crossover(**changed)
    assert message in str(raised.value)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(DataError) as raised:
        crossover(n=-1, washout=0, lloq={"cp": 1})
    assert len(raised.value.findings) >= 4


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = 1\nn = 2\n", "`x` has no meaning here"), ("n = 2\n\n", "`arms` is missing"), ("a =\n", "this is not TOML")],
)
def test_text_that_is_no_trial(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pkpd.Trial.read(text)
    with pytest.raises(DataError, match="cannot be read"):
        pkpd.Trial.read("nowhere.toml")


# --------------------------------------------------------------------------------------------------- other kinds


def with_kind(kind: str, unit: str = "1") -> pkpd.Model:
    return pkpd.Model(
        f"""
        [parameters]
        level = {{ typical = 3, unit = "{unit}", iiv = 0.04 }}
        [dynamics]
        equations = "y = level"
        [outputs]
        y = {{ unit = "{unit}", {kind} }}
        """
    )


def group(n: int, **changed) -> pkpd.Trial:
    given = {"arms": {"all": "no dose"}, "sequences": {"one": ("all",)}, "n": n, "visits": {"y": [0, 1]}}
    return pkpd.Trial(**{**given, **changed})


def test_counts_and_scores_are_drawn_by_their_laws() -> None:
    number = 4000
    y = group(number).simulate(with_kind("count = true"), seed=1).observations["DV"].reshape(number, 2)
    assert (y == np.round(y)).all() and y.min() >= 0
    mean = 3 * np.exp(0.02)
    between = mean**2 * (np.exp(0.04) - 1)  # Poisson around log-normal means: variance is mean + that of the means
    assert abs(y.mean() - mean) < 4.5 * np.sqrt((mean / 2 + between) / number)
    assert abs(np.cov(y.T)[0, 1] - between) < 4.5 * (mean + between) / np.sqrt(number)
    score = with_kind("score = { lower = 1, upper = 7 }")
    y = group(number).simulate(score, seed=1).observations["DV"]
    assert set(y) == {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}
    # The expectation of simulate() and the mean of what is drawn are one number.
    sim = pkpd.simulate(score, pkpd.Regimen(()), times=[1], n=number, seed=2, residual=True)
    wanted = float(sim["y"].mean())
    assert abs(y.mean() - wanted) < 4.5 * np.sqrt(2) * y.std() / np.sqrt(number)
    seen = sim["y_observed"].values
    assert set(seen.ravel()) <= set(range(1, 8)) and abs(seen.mean() - wanted) < 4.5 * seen.std() / np.sqrt(number)


def test_what_no_law_can_draw() -> None:
    with pytest.raises(MismatchError, match="`y` cannot be drawn: time to event"):
        group(3).simulate(with_kind("event = true", "1/h"), seed=1)
    with pytest.raises(MismatchError, match="`y` is a score"):
        group(3, lloq={"y": 2.0}).simulate(with_kind("score = { lower = 1, upper = 7 }"), seed=1)
