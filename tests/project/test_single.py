"""Folders with one fit: run, kept, fresh, refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import pkpd
from pkpd import project
from pkpd.errors import FitFileError, PkpdError
from pkpd.project.plan import read_toml
from pkpd.project.single import Single

FITS = Path(__file__).parents[2] / "fits"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FITS / "indometacin_pooled", tmp_path / "fit", ignore=shutil.ignore_patterns("re*", "tables"))
    return tmp_path / "fit"


def opened(folder) -> Single:
    return Single.open(folder, read_toml(folder / "fit.toml"))


def change(folder, old, new):
    plan = folder / "fit.toml"
    text = plan.read_text(encoding="utf-8")
    assert old in text
    plan.write_text(text.replace(old, new), encoding="utf-8")


def test_runs_and_is_fresh_until_something_changes(folder):
    (state,) = project.check(folder)
    assert state.state == "never run"
    outcome = project.run(folder)
    assert "biexponential" in str(outcome)
    (state,) = project.check(folder, rerun=True)
    assert state.is_fresh, state
    fit = pkpd.load_fit(folder / "result.nc")
    assert float(fit.estimates["se"].sel(parameter="a1")) == pytest.approx(0.2533, abs=5e-5)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "as if the six people were one?" in report and "<math" in report
    change(folder, "question =", "# a comment\nquestion =")
    (state,) = project.check(folder)
    assert state.state == "stale" and "fit.toml" in state.why


def test_everything_wrong_with_the_plan_is_said_at_once(folder):
    change(folder, 'error = "scaled"', 'error = "scalled"\nstrats = 3')
    change(folder, "units =", "unit = 3\nunits =")
    with pytest.raises(FitFileError) as caught:
        project.run(folder)
    text = str(caught.value)
    assert "`unit` has no meaning here" in text and "Did you mean `units`?" in text


def test_wrong_settings_of_an_estimator(folder):
    change(folder, 'error = "scaled"', 'error = "scalled"\nstrats = 3')
    with pytest.raises(FitFileError) as caught:
        project.run(folder)
    text = str(caught.value)
    assert "`strats` has no meaning here" in text and "'scalled' is not known" in text and "scaled" in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Pooled"', 'name = "Poled"', "Did you mean `Pooled`?"),
        ('name = "Pooled"', "", "`name` is missing"),
        ('model = "indometacin_kwan1976"', 'model = "indometacin"', "indometacin_kwan1976"),
        ('file = "data.csv"', 'file = "nowhere.csv"', "nowhere.csv"),
    ],
)
def test_what_is_not_there_is_named(folder, old, new, said):
    change(folder, old, new)
    with pytest.raises(PkpdError, match=said.replace("?", r"\?")):
        project.run(folder)
    assert not (folder / "result.nc").exists() and not (folder / "report.html").exists()


def test_a_reference_that_is_missed_is_said_everywhere(folder):
    change(folder, "a1 = 2.773407", "a1 = 2.8")
    outcome = project.run(folder)
    assert "8 of 9 come out" in str(outcome) and "a1, on its scale is 2.77341, reference 2.8" in str(outcome)
    assert "8 of 9 reference numbers come out." in (folder / "report.html").read_text(encoding="utf-8")
    (state,) = project.check(folder)
    assert state.state == "differs" and "reference 2.8" in state.why


def test_wrong_references_are_refused_together(folder):
    change(folder, "within = 5e-5", 'subject = "1"')
    change(folder, "a1 = 2.773407, lambda1", "a1 = 2.773407, lamda1")
    change(folder, "within = 5e-7", "errors = 0.1")
    change(folder, 'value = { "cp.add" = 0.174489 }', 'se = { "cp.add" = 0.17 }')
    with pytest.raises(FitFileError) as caught:
        project.run(folder)
    text = str(caught.value)
    assert "there is no `lamda1`" in text and "Did you mean `lambda1`?" in text
    assert "one fit for all" in text and "within is 0, relative 0, errors 0" in text
    assert "errors are given for more than estimates" in text
    assert not (folder / "result.nc").exists()


def test_every_estimator_can_be_named(folder):
    from pkpd.project.single import estimators

    wanted = {"FO", "FOCE", "Importance", "Individual", "Laplace", "MAP", "Pooled", "Quadrature", "SAEM", "TwoStage"}
    assert set(estimators()) == wanted
    for name in estimators():
        text = f'name = "{name}"' + ("\nseed = 1" if name in ("SAEM", "Importance") else "")
        change(folder, 'name = "Pooled"\nerror = "scaled"', text)
        assert type(opened(folder).estimator).__name__ == name
        change(folder, text, 'name = "Pooled"\nerror = "scaled"')


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('name = "FOCE"\ncovariance = "none"\nmax_iterations = 3', ""),
        ('name = "FOCE"\ncovariance = "sandwhich"', "Did you mean `sandwich`?"),
        ('name = "Quadrature"\nnodes = 0', "nodes is 0"),
        ('name = "SAEM"', "seed"),
        ('name = "FOCEI"', "Did you mean `FOCE`?"),
    ],
)
def test_settings_of_population_estimators(folder, settings, said):
    change(folder, 'name = "Pooled"\nerror = "scaled"', settings)
    if not said:
        assert opened(folder).estimator == pkpd.FOCE(covariance=None, max_iterations=3)
        return
    with pytest.raises(FitFileError, match=r"fit.toml, \[estimator\]") as caught:
        opened(folder)
    assert said in str(caught.value)
