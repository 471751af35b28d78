"""A folder's report in other formats: its own, as long as its results are those of that report."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

import pkpd
from pkpd import project
from pkpd.cli import main
from pkpd.errors import FitFileError
from pkpd.project.run import KEPT, RESULT
from pkpd.reporting.kept import read_kept


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_the_folder_s_own_report_comes_in_every_format(done, capsys):
    before, page = names_in(done), (done / "report.html").read_bytes()
    assert main(["report", str(done), "--format", "pdf", "--format", "zip"]) == 0
    assert names_in(done) - before == {"report.pdf", "report.zip"}
    assert "fit alone" not in capsys.readouterr().err
    with zipfile.ZipFile(done / "report.zip") as packed:
        assert packed.read("report.html") == page
        assert packed.read("report.pdf") == (done / "report.pdf").read_bytes()
        tables = {Path(name).name for name in packed.namelist() if name.startswith("tables/")}
        assert tables == names_in(done / "tables")
        for name in tables:
            assert packed.read(f"tables/{name}") == (done / "tables" / name).read_bytes()


def test_what_was_kept_is_what_was_told(done):
    kept = read_kept(done / KEPT, done / RESULT)
    assert kept is not None
    content, drawings, given = kept
    assert given["fit.toml"] == (done / "fit.toml").read_bytes()
    assert {f"{name}.svg" for name in drawings} == names_in(done / "figures")
    assert [figure.name for figure in content.figures] == list(drawings)
    with pytest.raises(pkpd.PkpdError, match="was drawn"):
        content.figures[0].draw()


def test_other_results_have_no_such_report(done, capsys):
    fit = pkpd.load_fit(done / RESULT)
    (done / RESULT).unlink()
    fit.save(done / RESULT)
    with (done / RESULT).open("ab") as file:
        file.write(b"\0")
    assert not project.is_kept(done)
    assert main(["report", str(done)]) == 0
    assert "pkpd run" in capsys.readouterr().err and (done / "result.html").is_file()
    (done / KEPT).write_bytes(b"not gzip")
    assert not project.is_kept(done)


def test_a_file_gives_the_report_of_its_fit(done):
    (written,) = project.report(done / RESULT, ["docx"])
    assert written == done / "result.docx"
    (written,) = project.report(done / RESULT, [done / "mine.pdf"])
    assert written.read_bytes().startswith(b"%PDF")


def test_nothing_is_written_where_one_of_several_cannot_be(done):
    before = names_in(done)
    with pytest.raises(FitFileError, match="no such folder"):
        project.report(done, [done / "a.html", done / "nowhere" / "b.html"])
    os.mkdir(done / "report.pdf")
    with pytest.raises(FitFileError, match="this is a folder"):
        project.report(done, ["pdf"])
    assert names_in(done) == before
