"""Reports that are run again."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd import project
from pkpd.cli import main
from pkpd.errors import FitFileError
from pkpd.reporting.seal import open_report, sealed, shown_tables

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}


@cache
def fit() -> pkpd.Fit:
    data = pkpd.read_data("fits/theophylline_foce/data.csv", units=UNITS)
    return pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data, pkpd.FOCE())


@pytest.fixture
def report(tmp_path) -> Path:
    return pkpd.report(fit(), tmp_path / "report.html")


def test_a_report_of_a_fit_agrees_to_the_last_bit(report):
    found = project.replay(report)
    assert found.agrees and found.intact and not found.cells
    assert all(one.same == one.count for one in found.compared)
    assert sum(one.count for one in found.compared) > 1000
    assert "it agrees" in str(found)


def test_a_number_that_was_changed_by_hand_is_named(report):
    text = report.read_text()
    value = f"{float(fit().estimates['value'].sel(parameter='cl')):.4g}"
    report.write_text(text.replace(f">{value}<", ">3.141<", 1))
    found = project.replay(report)
    assert not found.agrees and not found.intact
    assert any("(cl): 3.141 in the report" in cell and value in cell for cell in found.cells)
    assert "ALTERED" in str(found)


def test_a_forged_seal_does_not_hide_a_changed_number(report):
    """Somebody writes other numbers into the table and seals the report anew."""
    carried = open_report(report)
    value = f"{float(fit().estimates['value'].sel(parameter='cl')):.4g}"
    bare = re.sub(r'<script type="application/json" id="pkpd-replay">.*?</script>\n', "", carried.text, flags=re.S)
    report.write_text(sealed(bare.replace(f">{value}<", ">3.141<"), carried.files["result.nc"], {}))
    found = project.replay(report)
    assert found.intact and not found.agrees
    assert found.cells


def test_results_that_were_changed_are_told_in_digits(report, tmp_path):
    other = fit()
    tree = other.tree.copy()
    table = tree["estimates"].to_dataset().copy(deep=True)
    table["value"].values[0] *= 1 + 1e-9
    import xarray as xr

    tree["estimates"] = xr.DataTree(dataset=table)
    path = pkpd.report(pkpd.Fit(tree=tree), tmp_path / "other.html")
    found = project.replay(path)
    (worst,) = [one for one in found.compared if one.same < one.count]
    assert worst.name == "estimates/value" and worst.digits in (8, 9) and worst.same == worst.count - 1
    assert found.agrees  # every cell reads the same
    assert "estimates/value" in str(found)


def test_one_character_more_breaks_the_seal(report):
    assert open_report(report).intact
    report.write_text(report.read_text().replace("</h1>", " </h1>", 1))
    assert not open_report(report).intact


def test_line_ends_of_another_system_do_not(report):
    report.write_bytes(report.read_bytes().replace(b"\n", b"\r\n"))
    assert open_report(report).intact


def test_a_folder_is_run_again_in_a_clean_place(tmp_path, capsys):
    own = tmp_path / "own"
    shutil.copytree("fits/indometacin_pooled", own)
    project.run(own)
    moved = tmp_path / "elsewhere.html"
    shutil.move(own / "report.html", moved)
    shutil.rmtree(own)
    assert main(["replay", str(moved), "--into", str(tmp_path / "again")]) == 0
    assert "it agrees" in capsys.readouterr().out
    assert (tmp_path / "again" / "result.nc").is_file()
    moved.write_text(moved.read_text().replace("</h1>", "!</h1>", 1))
    assert main(["replay", str(moved)]) == 1


def test_data_that_were_not_shared_have_to_be_given(tmp_path):
    path = pkpd.report(fit(), tmp_path / "bare.html", share_data=False)
    assert b"0.74" not in open_report(path).files["result.nc"]
    with pytest.raises(FitFileError, match="does not carry the data"):
        project.replay(path)
    assert project.replay(path, data=fit().data).agrees
    with pytest.raises(FitFileError, match="not what was fitted"):
        project.replay(path, data=fit().data.exclude([int(fit().data.columns["ROW"][4])]))


def test_fits_of_each_subject_and_of_the_mean(tmp_path):
    for estimator in (pkpd.Individual(), pkpd.Pooled()):
        other = pkpd.fit(fit().model, fit().data, estimator)
        found = project.replay(pkpd.report(other, tmp_path / "other.html"))
        assert found.agrees and all(one.same == one.count for one in found.compared)


def test_draws_are_told_not_to_be_run_again(tmp_path):
    drawn = pkpd.sir(fit(), fit().data, pkpd.SIR(seed=1, samples=30, resamples=15, rounds=1))
    found = project.replay(pkpd.report(drawn, tmp_path / "drawn.html"))
    assert set(found.not_run) == {"posterior", "sample_stats", "sir"}
    assert "Not run again" in str(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html><body>hello</body></html>", "carries nothing"),
        ('<script type="application/json" id="pkpd-replay">{"a": 1}</script></body>', "damaged"),
        ('<script type="application/json" id="pkpd-replay">{"a": </script></body>', "damaged"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, words):
    path = tmp_path / "x.html"
    path.write_text(text)
    with pytest.raises(FitFileError, match=words):
        project.replay(path)


def test_a_truncated_report_a_missing_one_and_a_folder_in_use(report, tmp_path):
    whole = report.read_text()
    report.write_text(whole[: len(whole) - 60_000])
    with pytest.raises(FitFileError, match=r"damaged|carries nothing"):
        project.replay(report)
    with pytest.raises(FitFileError, match="cannot be read"):
        project.replay(tmp_path / "nowhere.html")
    report.write_text(whole)
    with pytest.raises(FitFileError, match="holds something already"):
        project.replay(report, folder=tmp_path)


def test_tables_are_read_as_they_are_shown(report):
    tables = shown_tables(report.read_text())
    (row,) = [row for row in tables["parameters"] if row[0] == "cl"]
    assert row[2] == f"{float(fit().estimates['value'].sel(parameter='cl')):.4g}"
    assert np.isfinite(float(row[2]))


def test_a_report_that_would_write_outside_of_the_folder_is_refused(report, tmp_path):
    """Whoever made it may not be trusted."""
    carried = open_report(report)
    bare = re.sub(r'<script type="application/json" id="pkpd-replay">.*?</script>\n', "", carried.text, flags=re.S)
    report.write_text(sealed(bare, carried.files["result.nc"], {}, {"../planted.toml": b"x"}))
    with pytest.raises(pkpd.FitFileError, match=r"\.\./planted\.toml, outside of a folder"):
        project.replay(report, folder=tmp_path / "in" / "here")
    assert not (tmp_path / "in" / "planted.toml").exists()
