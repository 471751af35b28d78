"""The simulated trial: its data are those that its design and its truth give, and it says that it is simulated."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.errors import FitFileError
from pkpd.project.run import run

FOLDER = Path(__file__).parents[2] / "fits" / "ketamine_fatigue_virtual"


def test_the_data_are_drawn_from_the_truth_by_the_design():
    truth = tomllib.loads((FOLDER / "fit.toml").read_text())["truth"]["value"]
    drawn = pkpd.Trial.read(FOLDER / "trial.toml").simulate(pkpd.load(FOLDER / "model.toml").set(truth), seed=20260217)
    kept = pkpd.read_data(FOLDER / "data.csv", units={"TIME": "h", "AMT": "mg", "WT": "kg"})
    for name in ("ID", "SEQUENCE", "PERIOD", "ARM", "EVID", "ROUTE", "DV"):
        np.testing.assert_array_equal(kept.columns[name], drawn.columns[name])
    np.testing.assert_allclose(kept.columns["TIME"], drawn.columns["TIME"], rtol=1e-9)
    np.testing.assert_allclose(kept.columns["AMT"], drawn.columns["AMT"], atol=1e-4)


def test_it_says_that_nobody_was_observed():
    assert (FOLDER / "data.csv").read_text().startswith("# SIMULATED. Nobody was observed")
    report = (FOLDER / "report.html").read_text()
    assert "Simulated data." in report and "Nobody was observed." in report
    assert "How well the truth was recovered" in report
    assert "**The data are simulated. Nobody was observed.**" in (FOLDER / "README.md").read_text()


def test_a_truth_of_another_name_is_refused(tmp_path: Path):
    for name in ("fit.toml", "model.toml", "course.toml", "data.csv"):
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("strength_m = 0", "strenght_m = 0") if name == "fit.toml" else text)
    with pytest.raises(FitFileError, match=r"(?s)no `strenght_m`.*strength_m"):
        run(tmp_path)
