"""All files of a report, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkpd.errors import FitFileError
from pkpd.reporting import Column, Content, Section, Table, render, write_all
from pkpd.reporting.write import check_writable


def content() -> Content:
    table = Table(name="one", caption="c", columns=(Column(name="x"),), rows=((1,),))
    return Content(title="t", sections=(Section(title="s", blocks=(table,)),))


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_are_written_with_folders(tmp_path):
    written = write_all(tmp_path, {**render(content()), "data.bin": lambda path: path.write_bytes(b"x") and None})
    assert files_in(tmp_path) == ["data.bin", "report.html", "tables/one.csv"]
    assert all(path.is_file() for path in written)


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "report.html").write_text("old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FitFileError, match="No space left"):
        write_all(tmp_path, {"report.html": b"new", "result.nc": fail})
    assert files_in(tmp_path) == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_an_interruption_leaves_nothing_behind(tmp_path):
    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path, {"a": b"x", "b": stop})
    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(FitFileError, match="Permission denied"):
        write_all(tmp_path, {"a": b"x"})
    with pytest.raises(FitFileError, match="cannot be written"):
        check_writable(tmp_path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(FitFileError, match="cannot be written"):
        check_writable(tmp_path / "nowhere")


OLD = {"report.html": "old report", "result.nc": "old result", "tables/a.csv": "old table"}
NEW = {"report.html": b"new report", "result.nc": b"new result", "figures/b.svg": b"new figure", "tables/a.csv": b"x"}


def old_results(folder: Path) -> None:
    for name, text in OLD.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def texts_in(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in files_in(folder)}


def test_old_files_are_replaced(tmp_path):
    old_results(tmp_path)
    write_all(tmp_path, NEW)
    assert texts_in(tmp_path) == {name: content.decode() for name, content in NEW.items()}


def test_a_file_in_the_place_of_a_folder_replaces_nothing(tmp_path):
    for name in ("report.html", "tables"):
        (tmp_path / name).write_text("old")
    with pytest.raises(FitFileError, match=r"tables: .*this is a file"):
        write_all(tmp_path, NEW)
    with pytest.raises(FitFileError, match=r"tables: .*this is a file"):
        check_writable(tmp_path)
    assert texts_in(tmp_path) == {"report.html": "old", "tables": "old"}
    assert not (tmp_path / "figures").exists()


def test_a_folder_in_the_place_of_a_file_replaces_nothing(tmp_path):
    old_results(tmp_path)
    (tmp_path / "figures" / "b.svg").mkdir(parents=True)
    with pytest.raises(FitFileError, match=r"b\.svg: .*this is a folder"):
        write_all(tmp_path, NEW)
    assert texts_in(tmp_path) == OLD


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    "error, raised", [(OSError(13, "Permission denied"), FitFileError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_what_was_moved_comes_back(tmp_path, monkeypatch, error, raised, links):
    old_results(tmp_path)
    replace = os.replace

    def stop(source, target):
        if Path(target).name == "a.csv" and "new" in Path(source).parts:
            raise error
        replace(source, target)

    def no_links(*args, **kwargs):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.replace", stop)
    if not links:
        monkeypatch.setattr("os.link", no_links)
    with pytest.raises(raised):
        write_all(tmp_path, NEW)
    assert texts_in(tmp_path) == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "result.nc", "tables"]
