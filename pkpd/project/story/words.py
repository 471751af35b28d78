"""Sentences that carry computed numbers."""

from __future__ import annotations

from collections.abc import Sequence

from pkpd.project.attribution import Share
from pkpd.reporting.tables import number

__all__ = ["between", "listed", "points", "share_sentence", "verdict_on"]


def points(value: float) -> str:
    """A change, such as ``−31.0``."""
    return number(value, decimals=1)


def between(low: float, high: float, unit: str = "points") -> str:
    """An interval in words."""
    if low == float("-inf") and high == float("inf"):
        return "not determined"
    return f"{points(low)} to {points(high)} {unit}".rstrip()


def listed(names: Sequence[str]) -> str:
    """Names with commas and an "and"."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def verdict_on(low: float, high: float, whole: float) -> str:
    """Say what an interval of a drug's part says about its share of a whole fall."""
    if low == float("-inf"):
        return "The data do not determine it at all."
    holds_none, holds_all = high >= -1e-3, low <= whole
    if holds_none and holds_all:
        return "Zero and the whole fall both lie inside it: the share is not identified."
    if holds_none:
        return "Zero lies inside it, the whole fall outside."
    if holds_all:
        return "Zero lies outside it, the whole fall inside."
    return "Zero and the whole fall both lie outside it."


def share_sentence(drug: str, share: Share, level: float, sds: Sequence[float], sd: float) -> str:
    """One time's attribution in a sentence or three."""
    low, high = share.interval(level, sd)
    others = "; ".join(f"{between(*share.interval(level, other))} if it is {other:g} %" for other in sds if other != sd)
    part = 100 * share.part / share.whole if share.whole else float("nan")
    return (
        f"**{share.label[:1].upper()}{share.label[1:]}**: {points(share.part)} of {points(share.whole)} points "
        f"({number(part, decimals=0)} %) are {drug}'s; {100 * level:g} % interval {between(low, high)} if the SD "
        f"between "
        f"people is {sd:g} % ({others}). {verdict_on(low, high, share.whole)}"
    )
