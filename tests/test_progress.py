"""What long work says about itself on stderr."""

from __future__ import annotations

import io
import sys

import pytest

from pkpd import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands where a test puts it."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_short_work_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages() as advance:
        for done in range(5):
            clock[0] += 0.3
            advance("fitting", done, 5)
    assert capsys.readouterr().err == ""


def test_a_line_for_each_stage_and_now_and_then(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages() as advance:
        for second in range(1, 71):
            clock[0] = second
            advance("fitting" if second < 5 else "simulating", 1000 * second, 70_000)
    assert capsys.readouterr().err.splitlines() == [
        "fitting (2,000 of 70,000)",
        "simulating (5,000 of 70,000)",
        "simulating (36,000 of 70,000)",
        "simulating (67,000 of 70,000)",
    ]


def test_work_inside_work_leaves_the_word_to_it(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages() as outer:
        with progress.stages() as inner:
            clock[0] = 5
            inner("inside", 1, 2)
        outer("outside", 1, 2)
    with progress.stages() as later:
        clock[0] = 15
        later("later", 1, 2)
    assert capsys.readouterr().err.splitlines() == ["outside (1 of 2)", "later (1 of 2)"]


def test_a_bar_on_a_terminal(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.stages() as advance:
        clock[0] = 5
        advance("simulating", 1, 2)
    assert "simulating" in screen.getvalue()
