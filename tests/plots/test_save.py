from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkpd.errors import DataError
from pkpd.plots import figure, save


@pytest.mark.parametrize("ending, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(tmp_path: Path, ending: str, start: bytes) -> None:
    path = save(figure(), tmp_path / f"empty.{ending}")
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, ending: str) -> None:
    one, other = (save(figure(), tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
    assert one == other


def test_axes_save_their_figure(tmp_path: Path) -> None:
    assert save(figure().axes[0], tmp_path / "a.svg").stat().st_size > 0


@pytest.mark.parametrize("name, says", [("a.xyz", "no format"), ("a", "a.png"), ("nowhere/a.png", "cannot be written")])
def test_what_cannot_be_written(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        save(figure(), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_file_that_was_there_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_text("before")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    drawing = figure()
    monkeypatch.setattr(drawing, "savefig", fail)
    with pytest.raises(DataError, match="No space left"):
        save(drawing, target)
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.png"]
