"""What the parts of a trial must keep together, and what deserves a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pkpd.errors import Finding

if TYPE_CHECKING:
    from pkpd.simulation.trial.design import Trial

__all__ = ["soundness", "thin_places"]


def soundness(plain: Mapping[str, Any], time_unit: str, reset: bool) -> list[Finding]:
    """Find periods that overlap: visits after the next period has begun, infusions that still run then."""
    found: list[Finding] = []
    first = min(time for times in plain["times"].values() for time in times)
    last = max(time for times in plain["times"].values() for time in times)
    for name, arms in plain["sequences"].items():
        for k, (arm, gap) in enumerate(zip(arms[:-1], plain["gaps"], strict=False), start=1):
            regimen = plain["regimens"][arm]
            length = regimen.last + gap
            where = f"Trial, sequence {name}, periods {k} and {k + 1}"
            if last > length + min(first, 0.0):
                found.append(
                    Finding(
                        code="visits",
                        where=where,
                        what=f"the visit {last:g} {time_unit} after the start of period {k} comes after period {k + 1} "
                        f"has begun, {length + min(first, 0.0):g} {time_unit} after it"
                        + (" (with its first visit)." if first < 0 else "."),
                        expected="A visit belongs to one period; one at the time of the next dose is before it.",
                        remedy="Leave this visit out, count it as the first of the next period, or wait longer.",
                    )
                )
            running = max((dose.last + dose.over for dose in regimen if dose.over), default=0.0)
            if running > length + (min(first, 0.0) if reset else 0.0):
                found.append(
                    Finding(
                        code="washout",
                        where=where,
                        what=f"`{arm}` is still being given when the next period begins, after {length:g} {time_unit}.",
                        expected=f"A washout longer than the last infusion, {running - regimen.last:g} {time_unit}.",
                        remedy="Wait longer.",
                    )
                )
    return found


def thin_places(trial: Trial) -> list[Finding]:
    """Find what can be done, and is perhaps not meant."""
    found: list[Finding] = []

    def warn(code: str, what: str, expected: str, remedy: str) -> None:
        found.append(Finding(code=code, severity="warning", where="Trial", what=what, expected=expected, remedy=remedy))

    alone = [name for name, number in trial.sizes.items() if number == 1]
    if alone and len(trial.sizes) > 1:
        warn(
            "sequence",
            f"one person alone in sequence {', '.join(alone)}.",
            "Two or more: what the period does and what this person is like cannot be told apart in one.",
            "Take more people, or fewer sequences.",
        )
    empty = [name for name, number in trial.sizes.items() if number == 0]
    if empty:
        warn("sequence", f"nobody is in sequence {', '.join(empty)}.", "Somebody in each.", "Leave it out.")
    several = any(len(arms) > 1 for arms in trial.sequences.values())
    late = [name for name, times in trial.times.items() if min(times) > 0]
    if several and late:
        warn(
            "visits",
            f"{', '.join(late)} is not observed before the dose of a period.",
            "A visit at 0, or before: what a period starts from is then known from other periods alone.",
            'Add 0 or "-1 h" to its visits.',
        )
    if several and not trial.reset_between_periods:
        for name, arms in trial.sequences.items():
            if len(arms) > 1 and len(set(arms)) == 1:
                warn(
                    "sequence", f"every period of {name} is {arms[0]}.", "Different arms in a crossover.", "Look again."
                )
    return found
