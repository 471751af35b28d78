"""Folders with one fit: run, kept, fresh, refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import pkpd
from pkpd import project
from pkpd.errors import FitFileError, PkpdError

FITS = Path(__file__).parents[2] / "fits"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FITS / "indometacin_pooled", tmp_path / "fit", ignore=shutil.ignore_patterns("re*", "tables"))
    return tmp_path / "fit"


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
