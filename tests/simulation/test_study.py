"""Studies: estimates beside the truth (against closed forms), the same bits however they are made; what cannot be."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.cli import main
from pkpd.cli.study import read_estimator
from pkpd.errors import CannotFit, FitError, FitFileError, MismatchError, UsageError
from pkpd.estimation import crew, series
from pkpd.simulation.studies import piece
from pkpd.simulation.studies import study as verb
from pkpd.simulation.studies.piece import Replicate, Work, values_of
from pkpd.simulation.studies.summary import binomial

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PEOPLE, VISITS = 6, (1.0, 2.0, 3.0)


def score(*, iiv: float = 4.0, extra: str = "") -> pkpd.Model:
    """Everybody has a level of their own, seen with error: one-way analysis of variance."""
    return pkpd.Model(
        f"""
title = "level"
[parameters]
base = {{ typical = 50, unit = "1", transform = "none", iiv = {iiv} }}
{extra}
[dynamics]
equations = '''
score = base
'''
[outputs]
score = {{ unit = "1", add = 2 }}
"""
    )


TRIAL = pkpd.Trial(arms={"none": "no dose"}, sequences={"all": ("none",)}, n=PEOPLE, visits={"score": VISITS})
SEVERAL = {"R": pkpd.FOCE(covariance="R"), "S": pkpd.FO()}


@lru_cache
def plain(n: int = 30) -> pkpd.Study:
    return pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=n, seed=3, workers=1)


def same(one: pkpd.Study, other: pkpd.Study, *, first: int | None = None) -> None:
    """Whether two studies agree to the bit, but for the time they took."""
    a, b = (each.replicates.drop_vars("seconds").isel(replicate=slice(first)) for each in (one, other))
    assert a.identical(b)
    if first is None:
        assert one.summary.drop_vars("fit_seconds").identical(other.summary.drop_vars("fit_seconds"))


# -------------------------------------------------------------------------------------------------- the known answer


def means(number: int) -> np.ndarray:
    """Mean of each person in a trial, (S,)."""
    data = TRIAL.simulate(score(), seed=3, replicate=number)
    seen = data.columns["EVID"] == 0
    return data.columns["DV"][seen].reshape(PEOPLE, len(VISITS)).mean(axis=1)


def test_a_linear_model_has_the_estimates_errors_and_coverage_of_its_closed_form() -> None:
    found = plain()
    every = np.array([means(number) for number in range(1, 31)])
    one = found.replicates.sel(estimator="FOCE", model="model", parameter="base")
    assert set(found.replicates["status"].values.ravel()) == {"converged", "at a bound"}
    # maximum likelihood in a balanced design: the mean of all, and the SD of people's means over the root of people
    centre, error = every.mean(axis=1), every.std(axis=1) / np.sqrt(PEOPLE)
    np.testing.assert_allclose(one["value"], centre, atol=2e-3 * error.max())  # as far as the search goes
    inside = found.replicates.sel(parameter="iiv.base")["value"].values.ravel() > 1e-3
    assert inside.sum() > 20
    np.testing.assert_allclose(one["se"].values[inside], error[inside], rtol=1e-3)
    summary = found.summary.sel(estimator="FOCE", model="model", parameter="base")
    np.testing.assert_allclose(summary["bias"], (centre - 50).mean(), atol=1e-4)
    np.testing.assert_allclose(summary["sd"], centre.std(ddof=1), rtol=1e-4)
    np.testing.assert_allclose(summary["rmse"], np.sqrt(((centre - 50) ** 2).mean()), rtol=1e-4)
    np.testing.assert_allclose(summary["relative_bias"], 100 * (centre - 50).mean() / 50, atol=2e-4)
    held = np.abs(centre - 50) <= stats.norm.ppf(0.975) * one["se"].values.astype(float)
    assert float(summary["coverage"].sel(interval="wald")) == pytest.approx(held.mean())


def test_coverage_is_that_of_theory() -> None:
    """The interval is too narrow by what maximum likelihood takes from the variance: a t, wide as a normal."""
    summary = plain(30).summary.sel(estimator="FOCE", model="model", parameter="base", interval="wald")
    theory = 1 - 2 * stats.t.sf(1.96 * np.sqrt((PEOPLE - 1) / PEOPLE), PEOPLE - 1)
    assert theory == pytest.approx(0.867, abs=0.001)
    assert float(summary["coverage_lower"]) < theory < float(summary["coverage_upper"])


def test_shares_have_the_interval_of_clopper_and_pearson() -> None:
    hits, count = np.array([0, 7, 20, 3]), np.array([20, 20, 20, 0])
    low, high = binomial(hits, count)
    for k in range(3):
        ours = stats.binomtest(int(hits[k]), int(count[k])).proportion_ci(0.95, method="exact")
        assert (low[k], high[k]) == pytest.approx((ours.low, ours.high))
    assert np.isnan([low[3], high[3]]).all()


EFFECT = pkpd.Model(
    """
title = "level and effect"
[parameters]
base = { typical = 50, unit = "1", transform = "none", iiv = 16 }
effect = { typical = 0, unit = "1", transform = "none" }
[covariates]
TREATED = { reference = 0 }
[dynamics]
equations = '''
score = base + effect * TREATED
'''
[outputs]
score = { unit = "1", add = 2 }
"""
)
GROUPS = pkpd.Trial(
    arms={"drug": "no dose", "placebo": "no dose"}, sequences={"D": ("drug",), "P": ("placebo",)}, n=6,
    visits={"score": VISITS}, covariates={"TREATED": {"arm": {"drug": 1, "placebo": 0}}},
)  # fmt: skip


def test_the_likelihood_ratio_errs_as_often_as_its_own_law_says() -> None:
    null = EFFECT.fix("effect")
    found = pkpd.study(GROUPS, EFFECT, pkpd.FOCE(), n=30, seed=5, null=null, alpha=0.2)
    ratio = found.replicates["statistic"].values.ravel()
    exact, inside = [], []
    for number in range(1, 31):
        data = GROUPS.simulate(EFFECT, seed=5, replicate=number)
        y = data.columns["DV"][data.columns["EVID"] == 0].reshape(2, 6, len(VISITS))
        people = y.mean(axis=2)
        apart = ((people - people.mean(axis=1, keepdims=True)) ** 2).sum()
        together = ((people - people.mean()) ** 2).sum()
        exact.append(12 * np.log(together / apart))  # balanced: the variance within people cancels
        inside.append(len(VISITS) * apart / 12 > y.var(axis=2, ddof=1).mean())
    inside = np.array(inside)
    assert inside.sum() > 25
    np.testing.assert_allclose(ratio[inside], np.array(exact)[inside], atol=1e-4)
    tests = found["study_tests"].isel(estimator=0, model=0).sel(law="chi-square")
    assert tests["tests"].item() == 30
    assert tests["rejected"].item() == pytest.approx((ratio >= stats.chi2.isf(0.2, 1)).mean())
    # the ratio is 12 log(1 + t^2 / 10), t with 10 df: chi-square rejects more often than it says
    theory = 2 * stats.t.sf(np.sqrt(10 * np.expm1(stats.chi2.isf(0.2, 1) / 12)), 10)
    assert theory == pytest.approx(0.26, abs=0.01)
    assert tests["rejected_lower"].item() < theory < tests["rejected_upper"].item()
    assert "Likelihood-ratio tests of level and effect" in str(found)


def test_a_variance_is_tested_by_a_mixture_profiled_and_drawn() -> None:
    drift = 'drift = { typical = 0, unit = "1/h", transform = "none", fixed = true, iiv = 0.5 }'
    large = score(extra=drift).replace(equations="score = base + drift * t")
    row = replace(large.parameters["drift"], iiv=0.0)
    small = large.replace(parameters={**large.parameters, "drift": row})
    found = pkpd.study(TRIAL, large, pkpd.FOCE(), n=2, seed=3, intervals=("wald", "profile"), null=small, draws=3)
    ratio = found.replicates["statistic"].values.ravel()
    p = {law: one.values.ravel() for law, one in found.replicates["p"].groupby("law")}
    np.testing.assert_allclose(p["chi-square"], stats.chi2.sf(ratio, 1))
    np.testing.assert_allclose(p["mixture"], np.where(ratio > 1e-6, 0.5 * stats.chi2.sf(ratio, 1), 1.0))
    assert set(np.round(p["drawn"] * 4, 9)) <= {1.0, 2.0, 3.0, 4.0}
    data = TRIAL.simulate(large, seed=3, replicate=2)
    fitted = pkpd.fit(large, data, pkpd.FOCE())
    test = pkpd.compare(pkpd.fit(small, data, pkpd.FOCE()), fitted, data, n=3, seed=piece._seed(3, 2))
    np.testing.assert_allclose((p["bartlett"][1], p["drawn"][1]), (test.p_bartlett, test.p))
    curve = pkpd.profile(fitted, data)["profile"]
    ours = found.replicates.sel(replicate=2, interval="profile", parameter=curve["parameter"].values).squeeze()
    np.testing.assert_allclose(ours["lower"], curve["lower"], rtol=1e-4)
    np.testing.assert_allclose(ours["upper"], curve["upper"], rtol=1e-4)
    assert "drift" not in found.columns()["PARAMETER"]


def test_draws_by_importance_are_others_in_every_trial() -> None:
    how = pkpd.SIR(seed=8, samples=60, resamples=20, rounds=1)
    found = pkpd.study(TRIAL, score(), pkpd.FOCE(), n=2, seed=3, intervals=("wald", how)).replicates.squeeze()
    assert found["interval"].values.tolist() == ["wald", "sir"]
    fits = {r: pkpd.fit(score(), TRIAL.simulate(score(), seed=3, replicate=r), pkpd.FOCE()) for r in (1, 2)}
    for r, fitted in fits.items():
        data = TRIAL.simulate(score(), seed=3, replicate=r)
        limits = pkpd.sir(fitted, data, replace(how, seed=piece._seed(8, r)))["sir"]
        ours = found.sel(replicate=r, interval="sir", parameter=limits["parameter"].values)
        np.testing.assert_allclose(ours["lower"], limits["lower"], rtol=1e-4)
        np.testing.assert_allclose(ours["upper"], limits["upper"], rtol=1e-4)
    assert piece._seed(8, 1) != piece._seed(8, 2)


# ------------------------------------------------------------------------------------------------ always the same bits


def test_any_number_of_workers_gives_the_same_bits() -> None:
    one = pkpd.study(TRIAL, score(), SEVERAL, n=6, seed=3, workers=1)
    for workers in (2, 3):
        same(one, pkpd.study(TRIAL, score(), SEVERAL, n=6, seed=3, workers=workers))
    assert one.summary["estimator"].values.tolist() == ["R", "S"]
    # more trials, and another estimator beside, change nothing
    a = one.replicates.sel(estimator="R")["value"].values
    np.testing.assert_array_equal(a, plain().replicates.sel(estimator="FOCE", replicate=range(1, 7))["value"].values)


def test_any_order_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(numbers, do) -> Iterator[Replicate]:
        yield from (do(number) for number in reversed(numbers))

    module = sys.modules[verb.__module__]
    monkeypatch.setattr(module, "crew_of", lambda *_, **__: backwards)
    same(plain(), pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=6, seed=3), first=6)


def test_the_piece_of_work_survives_being_sent() -> None:
    work = Work(trial=TRIAL.text, truth=score().text, models={"model": score().text}, names=tuple(values_of(score())),
                estimators={"FOCE": pkpd.FOCE(covariance="R", threads=1)}, intervals=("wald",), null="", draws=0,
                seed=3)  # fmt: skip
    there = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(work))(2)))
    for name in ("value", "se", "lower", "upper", "objective"):
        expected = plain().replicates[name].sel(replicate=2).values
        np.testing.assert_array_equal(getattr(there, name), expected)


def test_ctrl_c_keeps_what_is_done_and_the_checkpoint_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, call = tmp_path / "study.npz", Work.__call__

    def stopping(self, number):
        if number == 8:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(2)
        return call(self, number)

    monkeypatch.setattr(Work, "__call__", stopping)
    part = pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=30, seed=3, workers=1, checkpoint=path)
    assert part.replicates.sizes["replicate"] == 7
    assert "stopped by hand after 7 of 30" in str(part)
    monkeypatch.setattr(Work, "__call__", call)
    whole = pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=30, seed=3, workers=2, checkpoint=path)
    same(whole, plain())


KILLED = """
import sys
import pkpd
from tests.simulation.test_study import *
series._EVERY = 1
pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=2000, seed=3, workers=2, checkpoint=sys.argv[1])
"""


def test_a_killed_process_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "study.npz"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and _kept(path) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 3 <= _kept(path) < 2000
    found = pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=30, seed=3, checkpoint=path)
    same(found, plain())


def _kept(path: Path) -> int:
    if not path.exists():
        return 0
    with np.load(path) as file:
        return file["number"].size


def test_bootstraps_and_their_kin_run_on_threads_with_the_same_bits() -> None:
    data = GROUPS.simulate(EFFECT, seed=3)
    fit, small = (pkpd.fit(model, data, pkpd.FOCE()) for model in (EFFECT, EFFECT.fix("effect")))
    how = pkpd.Bootstrap(seed=1, draws=6, method="parametric")
    one, two = (pkpd.bootstrap(fit, data, how, workers=w)["bootstrap"] for w in (1, 3))
    assert one.identical(two)
    one, two = (pkpd.leave_one_out(fit, data, workers=w)["leave_one_out"] for w in (1, 3))
    assert one.identical(two)
    one, two = (pkpd.compare(small, fit, data, n=5, seed=1, workers=w).replicates for w in (1, 3))
    assert one is not None
    assert two is not None
    assert one.identical(two)


def test_an_error_in_a_piece_ends_the_work_and_keeps_the_others(tmp_path: Path) -> None:
    def do(number: int) -> int:
        if number == 3:
            raise ZeroDivisionError
        return number

    pieces = crew.on_threads(1)(range(5), do)
    assert [next(pieces) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(pieces)


# ------------------------------------------------------------------------------------------------ what it says


def test_fits_that_fail_are_counted_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = piece.fit

    def failing(model, data, estimator):
        if "replicate 2" in " ".join(data.notes):
            raise CannotFit("it cannot be done.")
        return fit(model, data, estimator)

    monkeypatch.setattr(piece, "fit", failing)
    found = pkpd.study(TRIAL, score(), pkpd.FOCE(covariance="R"), n=3, seed=3, workers=1)
    assert found.failures == {"REPLICATE": ["2"], "ESTIMATOR": ["FOCE"], "MODEL": ["model"], "STATUS": ["failed"],
                              "REASON": ["it cannot be done."]}  # fmt: skip
    assert found.summary["sound"].item() == 2
    assert found.summary["count"].sel(parameter="base").item() == 2
    text = str(found)
    assert "FOCE: 2 of 3 fits count" in text
    assert "Fits that do not count: 1" in text
    assert "it cannot be done." in found._repr_html_()


def test_a_wrong_model_has_no_truth_where_the_true_one_has_none() -> None:
    found = pkpd.study(GROUPS, score(), pkpd.FOCE(), n=2, seed=1, model={"wide": EFFECT, "true": score()})
    summary = found.summary.sel(estimator="FOCE", parameter="effect")
    assert np.isnan(summary["truth"])
    assert summary["count"].values.tolist() == [2, 0]
    assert np.isnan(summary["coverage"].values).all()
    assert "FOCE, model wide: 2 of 2 fits count" in str(found)
    assert found.summary.sel(estimator="FOCE", parameter="base")["truth"] == 50


def test_a_study_in_a_file_is_the_same(tmp_path: Path) -> None:
    plain().save(tmp_path / "study.nc")
    again = pkpd.Study.load(tmp_path / "study.nc")
    for group in ("study", "study_replicates"):
        assert again[group].equals(plain()[group])
    assert str(again) == str(plain())
    data = TRIAL.simulate(score(), seed=3)
    pkpd.fit(score(), data, pkpd.FOCE()).save(tmp_path / "fit.nc")
    for name in ("fit.nc", "none.nc"):
        with pytest.raises(FitFileError, match=name):
            pkpd.Study.load(tmp_path / name)
    with pytest.raises(FitError, match="no group `etas`"):
        plain()["etas"]


def test_values_are_those_that_set_takes() -> None:
    for entry in pkpd.library.catalogue():
        model = pkpd.load(entry.name)
        values = values_of(model)
        assert set(model.variance_names) == {name for name in values if name.startswith(("iiv.", "iov."))}
        assert model.set(values) == model


# ------------------------------------------------------------------------------------------------ what cannot be

WRONG = {
    "n": ({"n": 0}, "n is 0"),
    "no n": ({"n": 1.5}, "n is 1.5"),
    "estimators": ({"estimators": {}}, r"study\(estimators\): there is none"),
    "class": ({"estimators": pkpd.FOCE}, "without brackets"),
    "text": ({"estimators": {"a": "FOCE"}}, "`a` is 'FOCE'"),
    "name": ({"estimators": "FOCE"}, "it is 'FOCE'"),
    "list": ({"estimators": [pkpd.FOCE()]}, "several by name"),
    "truth": ({"truth": "warfarin"}, r"study\(truth\): it is 'warfarin'"),
    "alone": ({"estimators": pkpd.Individual()}, "each subject alone"),
    "intervals": ({"intervals": ("bca",)}, "'bca'"),
    "interval": ({"intervals": "wald"}, r"intervals=\(\"wald\",\)"),
    "profile": ({"intervals": ("profile",), "estimators": pkpd.Pooled()}, "no objective that can be followed"),
    "sir": ({"intervals": (pkpd.SIR(seed=1),), "estimators": pkpd.Importance(seed=1)}, "that can be followed"),
    "sir by name": ({"intervals": ("sir",)}, r"'sir' is no kind(.|\n)*SIR\(seed=1\)"),
    "level": ({"intervals": (pkpd.SIR(seed=1, level=0.9),)}, "level 0.9, `FOCE` 0.95"),
    "twice": ({"intervals": ("wald", "wald")}, "there twice"),
    "other intervals": ({"estimators": pkpd.Pooled(interval="profile")}, "other intervals"),
    "alpha": ({"alpha": 5}, "alpha is 5"),
    "draws": ({"draws": 10}, "no null model"),
    "no draws": ({"draws": -1}, "draws is -1"),
    "null": ({"null": score(extra='other = { typical = 1, unit = "1" }')}, "other, which model `model` has not"),
    "null by Pooled": ({"null": score(iiv=0.0), "estimators": pkpd.Pooled()}, "no objective for a likelihood ratio"),
    "models": ({"model": {}}, "At least one model"),
    "model": ({"model": {"a": 3}}, "`a` is a int"),
    "trial": ({"trial": "trial.toml"}, "A Trial"),
    "workers": ({"workers": 0}, "workers is 0"),
    "both": ({"workers": 2, "cluster": "tcp://127.0.0.1:1"}, "both are given"),
    "saem": ({"estimators": pkpd.SAEM(seed=1, checkpoint="work.npz")}, "every fit would overwrite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_at_once(case: str) -> None:
    changed, message = WRONG[case]
    given = {"trial": TRIAL, "truth": score(), "estimators": pkpd.FOCE(), "n": 2, "seed": 1, **changed}
    with pytest.raises(UsageError, match=message):
        pkpd.study(given.pop("trial"), given.pop("truth"), given.pop("estimators"), **given)


def test_everything_wrong_is_said_together() -> None:
    with pytest.raises(UsageError) as caught:
        pkpd.study(TRIAL, score(), {}, n=0, seed=1, alpha=2)
    assert len(caught.value.findings) == 3


def test_models_that_do_not_go_with_the_trial() -> None:
    other = pkpd.load("theophylline_boeckmann1994")
    with pytest.raises((MismatchError, UsageError)):
        pkpd.study(TRIAL, score(), pkpd.FOCE(), n=2, seed=1, model=other)
    with pytest.raises(UsageError, match="no seed"):
        pkpd.study(TRIAL, score(), pkpd.FOCE(), n=2, seed=None)  # type: ignore[arg-type]


def test_a_checkpoint_of_another_study_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.npz"
    pkpd.study(TRIAL, score(), pkpd.FOCE(), n=1, seed=1, checkpoint=path)
    for changed, word in (({"seed": 2}, "seed"), ({"estimators": pkpd.FO()}, "FO"), ({"truth": score(iiv=5)}, "truth")):
        given = {"truth": score(), "estimators": pkpd.FOCE(), "n": 1, "seed": 1, **changed}
        with pytest.raises(FitFileError, match=word):
            pkpd.study(TRIAL, given.pop("truth"), given.pop("estimators"), **given, checkpoint=path)
    # threads are no difference
    pkpd.study(TRIAL, score(), pkpd.FOCE(threads=2), n=1, seed=1, checkpoint=path)


# ------------------------------------------------------------------------------------------------ the command line


def test_the_command_gives_what_the_verb_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRIAL.write(tmp_path / "trial.toml")
    (tmp_path / "model.toml").write_text(score().text, encoding="utf-8")
    options = {"--truth": tmp_path / "model.toml", "--seed": 3, "--n": 3, "--out": tmp_path / "study.nc",
               "--estimator": "FOCE: FOCE(covariance='R')", "--workers": 2}  # fmt: skip

    def call(**changed: object) -> int:
        given = {**options, **{f"--{name}": value for name, value in changed.items()}}
        words = [str(word) for pair in given.items() for word in pair]
        return main(["study", str(tmp_path / "trial.toml"), *words])

    assert call() == 0
    out = capsys.readouterr().out
    assert "FOCE: 3 of 3 fits count" in out
    found = pkpd.Study.load(tmp_path / "study.nc")
    np.testing.assert_array_equal(
        found.replicates["value"].values, plain().replicates["value"].isel(replicate=slice(3)).values
    )
    for changed, message in (
        ({"n": 0}, "n is 0"),
        ({"estimator": "FOCI"}, "no estimator `FOCI`"),
        ({"estimator": "SAEM(seed='a')"}, "Here stands"),
        ({"estimator": "FOCE(3"}, "cannot be read"),
        ({"out": "study.csv"}, "does not end in .nc"),
        ({"model": "a: nothing.toml"}, "nothing.toml"),
    ):
        assert call(**changed) in (1, 2)
        assert message in capsys.readouterr().err


def test_estimators_as_text() -> None:
    for one in (pkpd.FOCE(), pkpd.SAEM(seed=1, burn=30), pkpd.FO(covariance=None), pkpd.Quadrature(nodes=5)):
        assert read_estimator(repr(one)) == one
    assert read_estimator("FOCE") == pkpd.FOCE()
    assert {field.name for field in fields(pkpd.FOCE)} >= {"threads"}
    assert replace(read_estimator("FOCE"), threads=1).threads == 1


# ------------------------------------------------------------------------------------------------ clusters

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")


def test_without_the_library_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install"):
        pkpd.study(TRIAL, score(), pkpd.FOCE(), n=1, seed=1, cluster="tcp://127.0.0.1:1")


@needs_dask
def test_an_address_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pkpd.estimation import cluster

    monkeypatch.setattr(cluster, "_ANSWER", 1)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(UsageError, match=r"nobody answers there(.|\n)*dask scheduler"):
            pkpd.study(TRIAL, score(), pkpd.FOCE(), n=1, seed=1, cluster=address)


class Stage:
    """A scheduler and workers of this machine, each a process."""

    def __init__(self, workers: int) -> None:
        self.port = _free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self.workers = [self.hire() for _ in range(workers)]

    def hire(self) -> subprocess.Popen[bytes]:
        return self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny")

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{what}", *words, "--no-dashboard"]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _when(path: Path, pieces: int, do) -> threading.Thread:
    """Do something once so many pieces are in the checkpoint."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while _kept(path) < pieces and time.monotonic() < deadline:
            time.sleep(0.02)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@needs_dask
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the library's own, when a connection is lost
def test_a_cluster_that_loses_a_worker_and_then_its_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "_EVERY", 1)
    path, way = tmp_path / "study.npz", pkpd.FOCE(covariance="R")
    with Stage(2) as stage:
        hand = _when(path, 4, stage.workers[0].kill)
        found = pkpd.study(TRIAL, score(), way, n=30, seed=3, cluster=stage.address, checkpoint=path)
        hand.join()
        assert stage.workers[0].wait() != 0
        same(found, plain())
        path.unlink()
        hand = _when(path, 4, stage.scheduler.kill)
        with pytest.raises(FitError, match=r"the scheduler was lost(.|\n)*without one"):
            pkpd.study(TRIAL, score(), way, n=2000, seed=3, cluster=stage.address, checkpoint=path)
        hand.join()
    assert 4 <= _kept(path) < 2000
    same(pkpd.study(TRIAL, score(), way, n=30, seed=3, checkpoint=path), plain())
