"""Sentences that carry numbers say what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.project.attribution import Share
from pkpd.project.profile import Profile
from pkpd.project.story.words import between, listed, points, share_sentence, verdict_on

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-30, 5, "Zero and the whole fall both lie inside it: the share is not identified."),
        (-10, 5, "Zero lies inside it, the whole fall outside."),
        (-30, -5, "Zero lies outside it, the whole fall inside."),
        (-10, -5, "Zero and the whole fall both lie outside it."),
        (-INFINITE, INFINITE, "The data do not determine it at all."),
    ],
)
def test_an_interval_is_judged_against_none_and_all(low, high, said):
    assert verdict_on(low, high, whole=-20) == said


def test_numbers_in_words():
    assert points(-31.04) == "−31.0"
    assert between(-56.6, -5.5) == "−56.6 to −5.5 points"
    assert between(-INFINITE, INFINITE) == "not determined"
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"


def test_a_share_is_told_with_its_intervals():
    values = np.linspace(-20, 0, 41)
    curve = Profile(centre=-10.0, values=values, rise=(values + 10) ** 2 / 4, at=np.zeros((41, 1)))
    share = Share(label="day 1", time=24, whole=-40.0, part=-10.0, profile=curve, sd=10.0)
    text = share_sentence("ketamine", share, 0.95, (10.0, 20.0), 10.0)
    assert text.startswith("**Day 1**: −10.0 of −40.0 points (25 %) are ketamine's")
    assert "−13.9 to −6.1 points if the SD between people is 10 %" in text
    assert "−17.8 to −2.2 points if it is 20 %" in text
