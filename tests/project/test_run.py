"""A folder is run, checked and brought up to date; a failure leaves it as it was."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd import project
from pkpd.errors import FitFileError, PkpdError


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_run_writes_everything_and_tells_how_far_it_is(folder):
    before, told = files_in(folder), []
    outcome = project.run(folder, on_progress=lambda what, done, total: told.append((what, done, total)))
    after = files_in(folder) - before
    assert {"result.nc", "report.html", "tables/attribution_6_h.csv", "figures/fit.svg"} <= after
    assert {path.relative_to(folder).as_posix() for path in outcome.files} == after
    assert not [name for name in after if name.startswith(".")]
    assert "A small trial" in str(outcome) and "6 h" in str(outcome)
    assert [done for _, done, _ in told[:-1]] == list(range(len(told) - 1))


def test_the_result_is_the_chosen_fit_and_more(done):
    fit = pkpd.load_fit(done / "result.nc")
    assert fit.status == "converged"
    assert fit.attrs["input_pkpd"] == pkpd.__version__
    compared = fit["comparison"]
    assert list(compared["candidate"].values) == ["linear", "nothing"]
    part = fit["attribution"]["part"].sel(fit="linear", when="6 h")
    assert float(part) < -5
    sim = pkpd.simulate(fit, "10 mg iv", times=range(25))
    assert sim["score"].sizes["time"] == 25
    assert {"own", "own_lower", "own_upper"} <= set(fit["what_if_dose"].data_vars)


def test_the_report_says_it_all(done):
    text = (done / "report.html").read_text(encoding="utf-8")
    for piece in ("How much is the drug&#39;s?", "Nobody knows.", "The sky is blue", "<math", "Half-life", "seed 7"):
        assert piece in text, piece
    assert "Nothing to estimate" in text and "nothing is left to estimate" in text  # the candidate that failed
    with (done / "tables" / "fit.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 6
    for row in rows:
        residual = float(row["observed (%)"]) - float(row["predicted (%)"])
        assert float(row["residual (points)"]) == pytest.approx(residual)


def test_two_runs_give_the_same_numbers(done):
    first = {name: (done / name).read_bytes() for name in files_in(done) if name.startswith("tables/")}
    project.run(done)
    second = {name: (done / name).read_bytes() for name in files_in(done) if name.startswith("tables/")}
    different = {name for name in first if first[name] != second[name]}
    assert different <= {"tables/provenance.csv"}  # the date


def test_freshness(done):
    (state,) = project.check(done)
    assert state.is_fresh and str(state).endswith("fresh")
    assert project.check(done, rerun=True)[0].is_fresh
    assert [one.folder for one in project.check(done.parent)] == [done]
    assert project.freshen(done) == []

    data = done / "data.csv"
    was = data.read_text()
    data.write_text(was.replace("known", "known ", 1))
    assert project.check(done)[0].state == "stale" and "data.csv" in project.check(done)[0].why
    data.write_text(was)
    model = done / "model.toml"
    model.write_text(model.read_text().replace("typical = 24", "typical = 20"))
    assert "a model" in project.check(done)[0].why
    (one,) = project.freshen(done)
    assert one.folder == done and project.check(done)[0].is_fresh
    (done / "report.html").unlink()
    assert project.check(done)[0].why == "missing: report.html"


def test_other_numbers_from_the_same_inputs_differ(done):
    import h5py

    with h5py.File(done / "result.nc", "r+") as file:
        file["estimates/value"][...] *= 1.2
    assert project.check(done)[0].is_fresh
    (state,) = project.check(done, rerun=True)
    assert state.state == "differs" and "effect is" in state.why


def test_a_folder_that_never_ran_and_one_that_is_broken(folder):
    assert project.check(folder)[0].state == "never run"
    (folder / "result.nc").write_bytes(b"not netCDF")
    assert project.check(folder)[0].state == "broken"


def test_a_truncated_result_is_broken(done):
    whole = (done / "result.nc").read_bytes()
    (done / "result.nc").write_bytes(whole[: len(whole) // 2])
    (state,) = project.check(done)
    assert state.state == "broken" and "damaged" in state.why


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("fit.toml", "seed = 7", "sead = 7"),
        ("data.csv", "-", "minus "),
        ("model.toml", "effect * central", "effect * centrl"),
        ("fit.toml", 'file = "data.csv"', 'file = "nowhere.csv"'),
        ("fit.toml", 'observe = "score"', 'observe = "scores"'),
        ("fit.toml", 'subject = "1"', 'subject = "9"'),
        ("fit.toml", 'remove = ["iv"]', 'remove = ["oral"]'),
        ("fit.toml", 'own = "alone"', 'own = "alon"'),
        ("fit.toml", 'group = ["ARM"]', 'group = ["ARMS"]'),
        ("fit.toml", "MARK = [", "MARKS = ["),
    ],
)
def test_a_mistake_is_told_in_words_and_changes_nothing(done, name, old, new):
    before = {path: (done / path).read_bytes() for path in files_in(done)}
    path = done / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PkpdError) as error:
        project.run(done)
    assert str(error.value)
    after = {path: (done / path).read_bytes() for path in files_in(done)}
    del before[name], after[name]
    assert after == before


def test_a_place_without_folders_is_refused(tmp_path):
    with pytest.raises(FitFileError, match=r"there is no fit\.toml here"):
        project.check(tmp_path)
    with pytest.raises(FitFileError, match="no such folder"):
        project.check(tmp_path / "nowhere")


def test_numbers_are_finite(done):
    with (done / "tables" / "attribution_6_h.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            assert np.isfinite(float(row["whole change (%)"]))
