"""Any fit becomes a report."""

from __future__ import annotations

import hashlib
import re
import zipfile

import numpy as np
import pytest

import pkpd
from pkpd.errors import FitFileError
from pkpd.reporting import describe, report

MODEL = """
title = "A decline"
[units]
time = "h"
amount = "mg"
[parameters]
v = { typical = 10, unit = "L", label = "volume" }
k = { typical = 0.2, unit = "1/h", label = "rate constant of loss" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -k * central
'''
[outputs]
cp = { unit = "mg/L", add = 0.1, label = "concentration" }
"""


@pytest.fixture(scope="module")
def data():
    times = [0, 1, 2, 4, 8, 12]
    table: dict = {"ID": [], "TIME": [], "AMT": [], "DV": []}
    for who, scale in (("1", 1.0), ("2", 1.3)):
        for time in times:
            table["ID"].append(who)
            table["TIME"].append(time)
            table["AMT"].append(100 if time == 0 else ".")
            bump = 0.05 * np.sin(7 * time)
            table["DV"].append("." if time == 0 else 9 * scale * np.exp(-0.25 * time) + bump)
    return pkpd.read_data(table, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})


@pytest.mark.parametrize("estimator", [pkpd.Pooled(), pkpd.Individual()])
def test_a_fit_is_written_down(data, estimator, tmp_path):
    fit = pkpd.fit(pkpd.Model(MODEL), data, estimator)
    path = report(fit, tmp_path / "decline.html")
    text = path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["decline.html"]
    for piece in ("A decline", "<math", "rate constant of loss", "data:image/svg+xml", fit.attrs["model_hash"]):
        assert piece in text
    content = describe(fit)
    estimates = next(table for table in content.tables if table.name == "estimates")
    assert len(estimates.rows) == (
        2 if isinstance(estimator, pkpd.Individual) else 3
    )  # two people; v, k and the residual SD
    records = next(table for table in content.tables if table.name == "records")
    assert len(records.rows) == 10


@pytest.fixture(scope="module")
def fit(data):
    return pkpd.fit(pkpd.Model(MODEL), data, pkpd.Pooled())


@pytest.mark.parametrize(
    "ending, head", [("pdf", b"%PDF-"), ("docx", b"PK"), ("htm", b"<!DOCTYPE html>"), ("zip", b"PK")]
)
def test_the_ending_chooses_the_format(fit, ending, head, tmp_path):
    path = report(fit, tmp_path / f"decline.{ending}")
    assert [one.name for one in tmp_path.iterdir()] == [path.name] == [f"decline.{ending}"]
    assert path.read_bytes().lstrip().startswith(head)


def test_other_endings_and_folders_that_are_not_there_are_refused(fit, tmp_path):
    with pytest.raises(FitFileError, match=r"does not end in \.html, \.pdf, \.docx or \.zip"):
        report(fit, tmp_path / "decline.odt")
    with pytest.raises(FitFileError, match="no such folder"):
        report(fit, tmp_path / "nowhere" / "decline.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["pdf", "docx", "zip"])
def test_what_cannot_be_written_leaves_the_old_file(fit, ending, tmp_path, monkeypatch):
    path = tmp_path / f"decline.{ending}"
    path.write_text("old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(FitFileError, match="No space left on device"):
        report(fit, path)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_zip_holds_everything_and_says_what_it_is(fit, tmp_path):
    with zipfile.ZipFile(report(fit, tmp_path / "decline.zip")) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    sums = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert report(fit, tmp_path / "again.zip").read_bytes() == (tmp_path / "decline.zip").read_bytes()
    content = describe(fit)
    told = files.pop("README.txt").decode()
    assert all(name in told for name in files)
    for number, table in enumerate(content.tables, start=1):
        assert re.search(rf"^tables/{table.name}.csv +Table {number}\. ", told, re.MULTILINE)
        assert f"<b>Table {number}.</b>" in files["report.html"].decode()
    assert {f"figures/{figure.name}.svg" for figure in content.figures} <= set(files)
    assert {"report.html", "report.pdf", "report.docx"} <= set(files)
    assert pkpd.Model(files["model.toml"].decode()).hash == fit.attrs["model_hash"]
    (tmp_path / "again.nc").write_bytes(files["result.nc"])
    again = pkpd.load_fit(tmp_path / "again.nc")
    assert np.array_equal(again.estimates["value"], fit.estimates["value"])


def test_without_the_extra_a_zip_says_what_is_missing(fit, tmp_path, monkeypatch):
    monkeypatch.setattr("pkpd.reporting.extra.find_spec", lambda name: None)
    with zipfile.ZipFile(report(fit, tmp_path / "decline.zip")) as packed:
        assert "report.html" in packed.namelist()
        assert not {"report.pdf", "report.docx"} & set(packed.namelist())
        assert 'pip install "pkpd-timecourse[print]"' in packed.read("README.txt").decode()
