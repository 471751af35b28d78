"""What a fit of few people says of its intervals, and how profile intervals take their place."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

import pkpd
from pkpd import project
from pkpd.errors import CannotFit, FitFileError
from pkpd.estimation.few import FEW, RATIO_OF_FEW, WALD_OF_FEW
from pkpd.reporting.population import estimates
from tests.one_way import as_data, drawn, one_way_model

FITS = Path(__file__).parents[2] / "fits"


def said(text: str) -> bool:
    return "Fewer than 30 subjects: Wald intervals" in " ".join(text.split())


def test_wald_intervals_of_few_people_are_warned_of():
    few, many = (as_data(drawn(1, m, 3)) for m in (FEW - 1, FEW))
    fit = pkpd.fit(one_way_model(), few, pkpd.FOCE())
    assert said(str(fit)) and WALD_OF_FEW in estimates(fit).blocks[-1].notes
    assert not said(str(pkpd.fit(one_way_model(), many, pkpd.FOCE())))
    assert not said(str(pkpd.fit(one_way_model(), few, pkpd.FOCE(covariance=None))))
    one = pkpd.profile(fit, few, pkpd.Profile(parameters=("theta",), points=0), interval="profile")
    assert said(str(one))  # of the others they are Wald's
    assert not said(str(pkpd.profile(fit, few, pkpd.Profile(points=0), interval="profile")))


def test_the_numbers_of_the_warnings_are_those_that_were_measured(monkeypatch):
    docs = FITS.parent / "docs"
    monkeypatch.syspath_prepend(str(docs))
    measured = runpy.run_path(str(docs / "validation_shares.py"))
    parts, shares = measured["results"](), measured["fewest"]()
    crossover, groups = "crossover of 10, test", "groups, test"
    assert {parts[name]["n"] for name in ("crossover", "crossover, profiles", crossover, groups)} == {200}
    shown = {kind: "{:.1f} to {:.1f} %".format(*ends) for kind, ends in shares.items()}
    assert f'{shown["sandwich"]} (covariance="sandwich", the default) and {shown["wald"]} ("R")' in WALD_OF_FEW
    assert f"profile intervals in {shown['profile']}" in WALD_OF_FEW
    wrong = [100 * parts[name]["tests"]["Laplace"]["chi-square"]["rejected"] for name in (crossover, groups)]
    assert "{:.1f} % in a crossover of ten people, in {:.1f} % in two groups of five".format(*wrong) in RATIO_OF_FEW
    page = (docs / "how-to" / "small-trials.md").read_text(encoding="utf-8")
    assert all(shown[kind] in " ".join(page.split()) for kind in ("sandwich", "wald", "profile"))


@pytest.mark.parametrize("estimator", [pkpd.FOCE(level=0.9), pkpd.SAEM(seed=1)], ids=lambda one: type(one).__name__)
def test_fit_makes_profile_intervals_if_asked(estimator):
    data = as_data(drawn(1, 12, 3))
    fit = pkpd.fit(one_way_model(), data, estimator, intervals="profile")
    level = round(100 * estimator.level)
    assert fit.attrs["interval"] == f"{level} % profile likelihood" and not said(str(fit))
    assert fit["profile"].attrs["level"] == estimator.level


def test_where_there_is_nothing_to_profile():
    data = as_data(drawn(1, 12, 3))
    with pytest.raises(CannotFit, match="no objective of a population"):
        pkpd.fit(one_way_model(), data, pkpd.Pooled(), intervals="profile")
    with pytest.raises(CannotFit, match="intervals is 'wold'"):
        pkpd.fit(one_way_model(), data, pkpd.FOCE(), intervals="wold")  # type: ignore[arg-type]
    fit = pkpd.fit(one_way_model(), data, pkpd.FOCE(max_iterations=0), intervals="profile")
    assert "There are no profile intervals: the fit is not converged." in str(fit.attrs["notes"])


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FITS / "theophylline_foce", tmp_path / "fit", ignore=shutil.ignore_patterns("re*", "tables"))
    return tmp_path / "fit"


@pytest.mark.parametrize(("asked", "made"), [("", "profile"), ("wald", "Wald"), ("profile", "profile")])
def test_a_folder_of_few_people_has_profile_intervals(folder, asked, made):
    plan = folder / "fit.toml"
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("[data]", f'intervals = "{asked}"\n\n[data]' if asked else "[data]"), encoding="utf-8")
    outcome = project.run(folder)
    fit = pkpd.load_fit(folder / "result.nc")
    assert made in fit.attrs["interval"] and said(str(outcome)) == (made == "Wald")
    (state,) = project.check(folder, rerun=True)
    assert state.is_fresh, state


def test_a_folder_that_cannot_be_profiled(folder):
    plan = folder / "fit.toml"
    text = plan.read_text(encoding="utf-8").replace("[data]", 'intervals = "profile"\n\n[data]')
    plan.write_text(text.replace('name = "FOCE"', 'name = "Pooled"'), encoding="utf-8")
    with pytest.raises(FitFileError, match="could be profiled"):
        project.run(folder)
    plan.write_text(text.replace('intervals = "profile"', 'intervals = "profiles"'), encoding="utf-8")
    with pytest.raises(FitFileError, match="intervals"):
        project.run(folder)
