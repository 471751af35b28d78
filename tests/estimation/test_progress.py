"""The progress bar: silent at first, on stderr, and never in a file."""

from __future__ import annotations

from pkpd.estimation import progress as room


def test_quick_work_is_silent(capsys):
    with room.progress("Working", total=3) as step:
        for _ in range(3):
            step()
    assert capsys.readouterr() == ("", "")


def test_slow_work_shows_a_bar_that_counts(capsys, monkeypatch):
    monkeypatch.setattr(room, "_PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with room.progress("Fitting subjects", total=3) as step:
        for _ in range(3):
            step()
    out, err = capsys.readouterr()
    assert out == ""
    assert "Fitting subjects" in err
    assert "3/3" in err


def test_nothing_is_written_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(room, "_PATIENCE", -1.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with room.progress("Solving") as step:
        step()
        step()
    assert capsys.readouterr()[0] == ""
