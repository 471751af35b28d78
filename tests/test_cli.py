"""The command line in this process: what it says, writes and returns. As a user would call it: tests/journeys."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.cli import main

SIMULATE = ("simulate", "ketamine_kamp2020", "--dose", "0.5 mg/kg iv over 40 min", "--wt", "70", "--until", "24")
PEOPLE = """
[parameters]
cl = { typical = 5.0, unit = "L/h", iiv = 0.09, rse = 0.1 }
v = { typical = 50.0, unit = "L" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L" }
"""


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def test_warnings_are_told_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    from pkpd.cli import models

    def models_(*_: object, **__: object) -> int:
        warnings.warn(pkpd.PkpdWarning("model m: it is thin."), stacklevel=1)
        return 0

    monkeypatch.setattr(models, "models", models_)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["models"]) == 0
    assert capsys.readouterr().err == "Warning: model m: it is thin.\n"


def test_simulate_writes_csv_netcdf_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import xarray as xr

    names = {"csv": str(tmp_path / "ket.csv"), "to": str(tmp_path / "ket.nc"), "plot": str(tmp_path / "k.png")}
    assert main([*SIMULATE, "--every", "0.5", *(w for name, path in names.items() for w in (f"--{name}", path))]) == 0
    head, rows = table(tmp_path / "ket.csv")
    assert head == ["ARM", "ID", "TIME", "cp"]
    assert [float(row[2]) for row in rows] == [0.5 * i for i in range(49)]
    model = pkpd.load("ketamine_kamp2020")
    own = pkpd.simulate(model, SIMULATE[3], times=np.arange(49) / 2, covariates={"WT": 70})["cp"].values.ravel()
    assert np.allclose([float(row[3]) for row in rows], own, rtol=1e-9)
    with xr.open_dataset(tmp_path / "ket.nc", engine="h5netcdf") as stored:
        assert np.array_equal(stored["cp"].values.ravel(), own)
        assert stored["cp"].attrs["units"] == "mg/L"
    assert (tmp_path / "k.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir(tmp_path)) == ["k.png", "ket.csv", "ket.nc"]
    said = capsys.readouterr()
    assert "0.5 mg/kg iv over 40 min" in said.out
    assert "WT = 70 kg" in said.out
    assert said.err.count("Wrote") == 3


def test_the_peak_of_an_infusion_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(SIMULATE)) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("0.5 mg/kg")]
    assert line.split()[-5:] == ["0.2531", "0.6667", "0", "0", "0.0002711"]


def test_arms_by_name_in_another_unit_of_time(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    doses = ("--dose", "slow: 35 mg iv over 100 min", "--dose", "fast:35 mg iv over 40 min")
    words = [
        "simulate",
        "ketamine_kamp2020",
        *doses,
        "--times",
        "0,40,100",
        "--unit-of-time",
        "min",
        "--csv",
        str(path),
    ]
    assert main(words) == 0
    _, rows = table(path)
    assert [row[0] for row in rows] == ["slow"] * 3 + ["fast"] * 3
    assert [float(row[2]) for row in rows[:3]] == [0, 40, 100]
    assert float(rows[4][3]) == pytest.approx(0.25305183, rel=1e-7)


def test_people_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, path = tmp_path / "mine.toml", tmp_path / "mine.csv"
    model.write_text(PEOPLE, encoding="utf-8")
    words = ["simulate", str(model), "--dose", "100 mg iv", "--times", "0,1", "--n", "4", "--uncertainty", "3"]
    assert main([*words, "--seed", "2", "--csv", str(path)]) == 0
    head, rows = table(path)
    assert head == ["ARM", "DRAW", "ID", "TIME", "cp"]
    assert [row[1:3] for row in rows[::2]] == [[str(d), str(s)] for d in (1, 2, 3) for s in (1, 2, 3, 4)]
    own = pkpd.simulate(pkpd.load(model), "100 mg iv", times=[0, 1], n=4, uncertainty=3, seed=2)["cp"]
    assert np.allclose([float(row[4]) for row in rows], own.values.ravel(), rtol=1e-9)
    said = capsys.readouterr().out
    assert "between-subject variability and parameter uncertainty, seed 2" in said
    assert "No standard error is known of v" in said


def test_other_typical_values_variances_and_observables(capsys: pytest.CaptureFixture[str]) -> None:
    changed = ("--set", "cl=168", "--set", "v1=50", "--variability", "cl=0.04", "--n", "3", "--seed", "1")
    assert main([*SIMULATE, *changed, "--observe", "central", "--observe", "cp2"]) == 0
    said = capsys.readouterr().out
    assert "central" in said and "cp2" in said


def test_targets(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--until", "24", "--unit-of-time", "h", "--target", "cp > 0.1", "--target", "cp > 1"]
    assert main(["simulate", "ketamine_kamp2020", "--dose", "one: 35 mg iv over 40 min", *words]) == 0
    *_, first, second = capsys.readouterr().out.split("\n\n")
    line = first.splitlines()[-1].split()
    assert line[:2] == ["one", "yes"] and line[-1] == "no"
    # 0.1 mg/L is crossed on the way up during the infusion, and on the way down soon after its end.
    assert 0 < float(line[2]) < 2 / 3 < float(line[2]) + float(line[3]) < 1.1
    assert second.splitlines()[-1].split() == ["one", "no", "–", "–", "–", "no"]


def test_a_saved_fit_is_simulated_with_its_uncertainty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas

    times = np.array([0.5, 1, 2, 4, 8, 12])
    noise = np.array([0.03, -0.05, 0.02, 0.04, -0.03, -0.01])
    columns = {"ID": 1, "TIME": times, "AMT": np.nan, "DV": 2 * np.exp(-0.1 * times + noise), "EVID": 0}
    dose = {"ID": [1], "TIME": [0.0], "AMT": [100.0], "DV": [np.nan], "EVID": [1]}
    data = pandas.concat([pandas.DataFrame(dose), pandas.DataFrame(columns)])
    model = pkpd.Model(PEOPLE.replace('unit = "mg/L" }', 'unit = "mg/L", prop = 0.1 }'))
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
    pkpd.fit(model, pkpd.read_data(data, units=units), pkpd.Pooled()).save(tmp_path / "fit.nc")
    words = ["simulate", str(tmp_path / "fit.nc"), "--dose", "100 mg iv", "--until", "24"]
    assert main([*words, "--uncertainty", "20", "--seed", "1"]) == 0
    assert "parameter uncertainty, seed 1" in capsys.readouterr().out
    assert main([*words, "--uncertainty", "20", "--seed", "1", "--set", "cl=4"]) == 2
    assert main([*words, "--set", "cl=4"]) == 0


def people(folder: Path) -> tuple[str, ...]:
    """Words that simulate 40 people of a model of our own."""
    (folder / "mine.toml").write_text(PEOPLE, encoding="utf-8")
    return ("simulate", str(folder / "mine.toml"), "--dose", "100 mg iv", "--times", "0,60", "--unit-of-time", "min",
            "--n", "40", "--seed", "2", "--target", "cp > 1.9")  # fmt: skip


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_simulation_in_a_file_says_what_one_in_memory_says(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import xarray as xr

    if suffix == ".zarr":
        pytest.importorskip("zarr")
    words = people(tmp_path)
    there = tmp_path / f"sim{suffix}"
    assert main([*words, "--csv", str(tmp_path / "memory.csv")]) == 0
    said = capsys.readouterr().out
    files = ("--csv", str(tmp_path / "file.csv"), "--plot", str(tmp_path / "file.png"))
    assert main([*words, "--to", str(there), *files]) == 0
    assert capsys.readouterr().out == said
    assert (tmp_path / "file.csv").read_bytes() == (tmp_path / "memory.csv").read_bytes()
    with xr.open_dataset(there) as stored:
        assert stored["time"].values.tolist() == [0, 60] and stored["time"].attrs["units"] == "min"
    assert main([*words, "--to", str(there)]) == 1
    assert "There is something here already" in capsys.readouterr().err
    assert main([*words, "--to", str(there), "--overwrite"]) == 0


def test_of_many_people_in_a_file_some_are_read_for_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pkpd.cli import results

    monkeypatch.setattr(results, "_PEOPLE_READ", 12)
    words = people(tmp_path)
    assert main([*words, "--to", str(tmp_path / "sim.nc")]) == 0
    assert "median of the first 12 of 40 subjects" in capsys.readouterr().out
    assert main([*words, "--to", str(tmp_path / "draws.nc"), "--uncertainty", "3"]) == 0
    assert "median of 3 draws of the first 4 of 40 subjects" in capsys.readouterr().out


def test_more_than_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pkpd.simulation import size

    monkeypatch.setattr(size, "machine_memory", lambda: 100)
    words = people(tmp_path)
    assert main(words) == 2
    assert "`--to` on the command line" in capsys.readouterr().err
    files = ("--to", str(tmp_path / "sim.nc"), "--plot", str(tmp_path / "sim.png"))
    assert main([*words, *files]) == 2
    assert "Leave out --plot" in capsys.readouterr().err
    assert main([*words, *files[:2]]) == 0


def test_a_fit_by_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pkpd import project

    folder = tmp_path / "mine"
    words = ("simulate", str(folder), "--dose", "25 mg iv", "--until", "8")
    assert main(["new", str(folder), "--like", "indometacin_pooled"]) == 0
    capsys.readouterr()
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "this fit has not run" in said and f"pkpd run {folder}" in said
    project.run(folder)
    assert main([*words, "--uncertainty", "3", "--seed", "1"]) == 0
    said = capsys.readouterr()
    assert "parameter uncertainty, seed 1" in said.out and said.err == ""
    with (folder / "data.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert main(words) == 0
    assert "brings it up to date" in capsys.readouterr().err


def test_covariates_by_either_option(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "ketamine_kamp2020", "--dose", "1 mg/kg iv", "--times", "0"]
    assert main([*words, "--covariate", "WT=50"]) == main([*words, "--wt", "50"]) == 0
    said = capsys.readouterr().out
    assert said[: len(said) // 2] == said[len(said) // 2 :]


def test_models_lists_name_drug_structure_mark_and_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "drug", "structure", "source", "reference"]
    assert len(lines) - 1 == len(pkpd.library.names())
    (kamp,) = [line for line in lines if line.startswith("ketamine_kamp2020")]
    assert "three compartments, arterial" in kamp and "secondary" in kamp and "Kamp 2020, doi:10.1097" in kamp


def test_models_narrows_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "midazolam"]) == 0
    assert "ketamine_kamp2020" not in capsys.readouterr().out
    assert main(["models", "ketamine_kamp2020"]) == 0
    said = capsys.readouterr().out
    assert "d/dt(central)" in said and "population: meta-analysis" in said


@pytest.mark.parametrize("words", [["--help"], ["simulate", "--help"], ["models", "--help"], ["--version"], []])
def test_help_and_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.strip()


KET = ("simulate", "ketamine_kamp2020")
DOSE = ("--dose", "35 mg iv")


@pytest.mark.parametrize(
    "words, code, says",
    [
        (("simlate",), 2, "Did you mean"),
        (("simulate",), 2, "MODEL"),
        ((*KET, "--until", "24"), 2, "--dose"),
        ((*KET, *DOSE), 2, "--until"),
        ((*KET, *DOSE, "--until", "abc"), 2, "abc"),
        ((*KET, *DOSE, "--until", "24", "--plto", "x.png"), 2, "Did you mean `--plot`"),
        ((*KET, *DOSE, "--until", "24", "--wt"), 2, "--wt"),
        ((*KET, *DOSE, "--until", "24", "--wt", "heavy"), 2, "`heavy` is not a number"),
        ((*KET, *DOSE, "--until", "24", "--wt", "70", "--covariate", "WT=70"), 2, "given twice"),
        ((*KET, *DOSE, "--until", "24", "--times", "1,2"), 2, "--times"),
        ((*KET, *DOSE, "--times", "1,x"), 2, "`x` is not a number"),
        ((*KET, *DOSE, "--until", "24", "--set", "cl"), 2, "a number"),
        ((*KET, *DOSE, "--until", "24", "--n", "5"), 2, "--seed 1"),
        ((*KET, *DOSE, "--until", "24", "--plot", "x.gif"), 2, ".png, .svg or .pdf"),
        ((*KET, *DOSE, "--until", "24", "--unit-of-time", "mg"), 2, "no unit of time"),
        ((*KET, *DOSE, *DOSE, "--until", "24"), 2, "two arms"),
        ((*KET, *DOSE, "--until", "24", "--seed", "1", "--n", "3.9"), 2, "--n: `3.9` is not a whole number"),
        ((*KET, *DOSE, "--until", "24", "--seed", "1", "--uncertainty", "2.7"), 2, "--uncertainty: `2.7`"),
        ((*KET, *DOSE, "--until", "24", "--n", "3", "--seed", "1.5"), 2, "--seed: `1.5`"),
        ((*KET, *DOSE, "--until", "24", "--threads", "1.5"), 2, "--threads: `1.5`"),
        ((*KET, *DOSE, "--until", "24", "--threads=two"), 2, "--threads: `two`"),
        ((*KET, *DOSE, "--until", "24", "--n", "1_0", "--seed", "1"), 2, "--n: `1_0`"),
        ((*KET, *DOSE, "--until", "24", "--csv", "same.nc", "--to", "same.nc"), 2, "--csv and --to name the"),
        ((*KET, *DOSE, "--until", "24", "--csv", "a.png", "--plot", "./a.png"), 2, "--csv and --plot name the same"),
        ((*KET, *DOSE, "--until", "24", "--csv", "a.csv", "--wt", "-70"), 1, "the factor of `v1`, WT / 70, is -1"),
        (
            (
                "simulate",
                "theophylline_boeckmann1994",
                "--dose",
                "320 mg oral",
                "--until",
                "24",
                "--n",
                "30000000000",
                "--seed",
                "1",
            ),
            2,
            "30,000,000,000 subjects",
        ),
        (("simulate", "ketamine_kamp2002", *DOSE, "--until", "24"), 1, "Did you mean `ketamine_kamp2020`"),
        (("simulate", "nowhere.toml", *DOSE, "--until", "24"), 1, "nowhere.toml"),
        ((*KET, "--dose", "35 mgg iv", "--until", "24"), 1, "mgg"),
        ((*KET, "--dose", "-35 mg iv", "--until", "24"), 1, "-35"),
        ((*KET, "--dose", "35 mg nasal", "--until", "24"), 1, "nasal"),
        ((*KET, "--dose", "", "--until", "24"), 1, "dose"),
        ((*KET, *DOSE, "--until", "-24"), 2, "-24"),
        ((*KET, *DOSE, "--until", "0"), 2, "--until: 0 is no length of time"),
        ((*KET, *DOSE, "--until", "24", "--n", "0", "--seed", "1"), 2, "--n is 0"),
        ((*KET, *DOSE, "--until", "24", "--n", "-3"), 2, "--n is -3"),
        ((*KET, *DOSE, "--until", "24", "--uncertainty", "1", "--seed", "1"), 2, "--uncertainty is 1"),
        ((*KET, *DOSE, "--until", "24", "--threads", "0"), 2, "--threads is 0"),
        ((*KET, *DOSE, "--until", "24", "--threads", "-1"), 2, "--threads is -1"),
        ((*KET, *DOSE, "--until", "24", "--to", "sim.csv"), 2, ".nc (netCDF) or .zarr (Zarr)"),
        ((*KET, *DOSE, "--until", "24", "--to", "nowhere/sim.nc"), 1, "cannot be written"),
        ((*KET, *DOSE, "--until", "24", "--overwrite"), 2, "nothing to overwrite"),
        (("simulate", ".", *DOSE, "--until", "24"), 1, "there is no fit in this folder"),
        ((*KET, *DOSE, "--until", "nan"), 2, "nan"),
        ((*KET, *DOSE, "--until", "24", "--every", "0"), 2, "--every"),
        ((*KET, *DOSE, "--until", "24", "--every", "1e-9"), 2, "too many"),
        ((*KET, *DOSE, "--times", "2,1"), 1, "not later"),
        ((*KET, *DOSE, "--until", "24", "--wt", "nan"), 1, "WT"),
        ((*KET, *DOSE, "--until", "24", "--set", "kl=3"), 1, "`kl` is not a parameter"),
        ((*KET, *DOSE, "--until", "24", "--set", "cl=-3"), 1, "-3"),
        ((*KET, *DOSE, "--until", "24", "--observe", "cpp"), 1, "Did you mean `cp`"),
        ((*KET, *DOSE, "--until", "24", "--csv", "nowhere/x.csv"), 1, "cannot be written"),
        ((*KET, *DOSE, "--until", "24", "--csv", "."), 1, "folder"),
        ((*KET, *DOSE, "--until", "24", "--csv", "x.csv", "--target", "cq < 1"), 1, "no variable"),
        ((*KET, *DOSE, "--until", "24", "--csv", "x.csv", "--target", "low"), 1, "no target"),
        (("simulate", "nowhere.nc", *DOSE, "--until", "24"), 1, "nowhere.nc"),
        (("models", "no such word"), 1, "no such word"),
        (("run",), 2, "FOLDER"),
        (("run", "nowhere"), 1, "fit.toml"),
        (("check", "nowhere"), 1, "no such folder"),
        (("report", "nowhere.nc"), 1, "no such file"),
        (("report", "fit.nc", "--to", "report.odt"), 1, "Write report.html"),
        (("report", "fit.nc", "--to", "nowhere/report.pdf"), 1, "no such folder"),
        (("report", "fit.nc", "--to", "report.pdf", "--format", "zip"), 2, "Leave out --format"),
        (("report", "fit.nc", "--format", "odt"), 2, "html"),
        (("report", "."), 1, "there is no result.nc"),
        (("new",), 2, "FOLDER"),
        (("new", "mine", "--like", "ketamine_fatige"), 1, "Did you mean `ketamine_fatigue`"),
    ],
)
def test_wrong_words(
    words: tuple[str, ...], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert main(words) == code
    finally:
        os.chdir(before)
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert os.listdir(tmp_path) == []


def test_new_makes_a_folder_that_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "fits/mine"]) == 0
    written = capsys.readouterr().out.split()
    assert {"fits/mine/fit.toml", "fits/mine/data.csv"} <= {Path(path).as_posix() for path in written}
    assert not [path for path in written if path.endswith((".nc", ".html"))]
    assert main(["check"]) == 1
    assert "never run" in capsys.readouterr().out
    assert main(["new", "fits/mine"]) == 1
    assert "something here already" in capsys.readouterr().err


def test_run_prints_the_summary_and_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pkpd import project

    def run(folder: Path, *, on_progress: object) -> project.Outcome:
        files = (folder / "result.nc", folder / "report.html", folder / "tables" / "a.csv")
        return project.Outcome(folder=folder, files=files, summary="the peak is at 24 h")

    monkeypatch.setattr(project, "run", run)
    assert main(["run", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == "the peak is at 24 h\n"
    assert "report.html" in said.err and "1 tables and figures" in said.err


@pytest.mark.parametrize("states, code", [(("fresh", "fresh"), 0), (("fresh", "stale"), 1), (("broken",), 1)])
def test_check_fails_unless_all_are_fresh(
    states: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pkpd import project

    def check(path: Path, *, rerun: bool) -> list[project.Freshness]:
        return [project.Freshness(folder=path / str(i), state=s, why="") for i, s in enumerate(states)]  # type: ignore[arg-type]

    monkeypatch.setattr(project, "check", check)
    assert main(["check", "fits"]) == code
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == list(states)


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "simulate", "nowhere.toml", *DOSE, "--until", "24"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_the_program_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(pkpd.library, "catalogue", broken)
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: out of cheese" in said and "fault in the program" in said and "Traceback" not in said


def test_an_output_that_is_no_number_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "mine.toml"
    equations = PEOPLE.replace("cp = central / v", "cp = central / v\nx = log(kk - 2)") + 'x = { unit = "1" }\n'
    model.write_text(equations.replace("[routes]", "kk = { typical = 1.0 }\n[routes]"), encoding="utf-8")
    files = ("--csv", str(tmp_path / "x.csv"), "--plot", str(tmp_path / "x.png"))
    assert main(["simulate", str(model), "--dose", "1 mg iv", "--until", "2", *files]) == 1
    said = capsys.readouterr()
    assert "`x` is nan at t = 0 h" in said.err and "Warning" not in said.err
    assert said.out == ""
    assert os.listdir(tmp_path) == ["mine.toml"]


def test_subjects_who_differ_in_nothing_that_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "mine.toml"
    model.write_text(PEOPLE, encoding="utf-8")
    words = ["simulate", str(model), "--dose", "100 mg iv", "--until", "2", "--n", "4", "--seed", "2"]
    assert main([*words, "--observe", "v"]) == 0
    assert "v is the same in every subject" in capsys.readouterr().out
    assert main(words) == 0
    assert "the same in every subject" not in capsys.readouterr().out


def test_nothing_half_written_when_a_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "ket.csv"
    path.write_text("before")
    monkeypatch.setattr(csv, "writer", full)
    assert main([*SIMULATE, "--csv", str(path)]) == 1
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["ket.csv"]
