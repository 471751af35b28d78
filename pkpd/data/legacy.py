"""The older, compound EVID codes of RxODE and nlmixr, such as 101, translated into today's columns.

A code is the compartment's hundreds, a digit that says how the dose goes in, the compartment's last two digits, and
two digits for steady state: 1 01 01 is an infusion into compartment 1. Infusions are written in two rows: one turns the
rate on, a later one turns it off with the same amount below 0. (rxode2, "Classic rxode2 events".)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pkpd.data.events import Evid
from pkpd.data.findings import Findings
from pkpd.data.layout import short

BOLUS, BY_RATE, BY_DURATION, REPLACE, MULTIPLY = 0, 1, 2, 4, 5
DURATION_OFF, RATE_OFF, DURATION_ON, RATE_ON = 6, 7, 8, 9
ONCE, STEADY, ADDED, WITHOUT_END = 1, 10, 20, 40

_WAYS = {
    BOLUS: "dose",
    BY_RATE: "infusion by rate",
    BY_DURATION: "infusion by duration",
    DURATION_ON: "modelled duration",
    RATE_ON: "modelled rate",
    DURATION_OFF: "end of a modelled duration",
    RATE_OFF: "end of a modelled rate",
}
_WHEN = {ONCE: "", STEADY: ", SS 1", ADDED: ", SS 2", WITHOUT_END: ", SS 1 without end"}
_CHANGES = {REPLACE: "sets a compartment to the amount", MULTIPLY: "multiplies a compartment by the amount"}
#: What other programs mean by codes that this package does not follow.
_NOT_FOLLOWED = {
    5: "sets a compartment to the amount, in rxode2",
    6: "multiplies a compartment by the amount, in rxode2",
    7: "is a dose that is counted but not given, in rxode2",
    8: "sets a compartment to the amount, in mrgsolve",
    9: "is a mark that rxode2 sets itself",
}
_SPECIAL = {
    8: "is part of a steady state that was split for a lag",
    9: "is part of a steady state that was split for a lag",
    19: "is part of a steady state that was split for a lag",
    30: "turns a compartment off",
    50: "is a dose that is counted but not given",
    60: "is a dose that is given but not counted, to turn a compartment on",
}
_EVIDS = "EVID is 0 (observation), 1 (dose), 2 (other), 3 (reset) or 4 (reset and dose)."
_READ = (
    "Older codes are read for doses (101), infusions (10101, 20101, 80101, 90101) and steady state (110, 120, 10140)."
)


@dataclass(slots=True)
class Translation:
    """What the older codes of a table say in today's columns.

    Parameters
    ----------
    evid : (R,) int array
        0 to 4 wherever a code has a meaning.
    routes : dict
        The route (``"#1"``: by number) that a code names, by row.
    notes : list of str
    """

    evid: np.ndarray
    routes: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Code:
    number: int
    compartment: int
    way: int
    when: int

    @classmethod
    def of(cls, number: int) -> _Code:
        compartment = number // 100_000 * 100 + number // 100 % 100
        return cls(number, compartment, number // 10_000 % 10, number % 100)

    @property
    def meaning(self) -> str:
        return f"{self.number} ({_WAYS[self.way]}, CMT {self.compartment}{_WHEN[self.when]})"

    def refused(self) -> str | None:
        """Say what the code means, if it is not followed; empty if it means nothing."""
        if self.compartment < 1:
            return ""
        if self.way in _CHANGES and self.when == ONCE:
            return _CHANGES[self.way]
        if self.way not in _WAYS:
            return ""
        if self.when not in _WHEN:
            return _SPECIAL.get(self.when, "")
        if self.when == WITHOUT_END and self.way not in (BY_RATE, BY_DURATION):
            return "is a steady state without a rate of its own"
        return None


def translate(
    evid: np.ndarray, ids: list[str], cmt: list[str], raw: dict[str, np.ndarray], found: Findings
) -> Translation:
    """Translate the older codes.

    Parameters
    ----------
    evid : (R,) int array
        As written, or inferred.
    ids, cmt : list of R str
    raw : dict of (R,) float arrays
        TIME, AMT, RATE, DUR, II, ADDL, SS, NaN where nothing is said. Changed in place where a code speaks: an infusion
        gets its amount and rate.
    found : Findings
        Gets what has no meaning, contradicts another column, or is not followed.
    """
    done = Translation(np.array(evid))
    codes: dict[int, _Code] = {}
    for row in np.flatnonzero((evid < 0) | (evid > 4)):
        code = _readable(int(row), int(evid[row]), found)
        if code is not None:
            codes[int(row)] = code
            done.evid[row] = Evid.DOSE
            done.routes[int(row)] = f"#{code.compartment}"
    for row, code in codes.items():
        _contradictions(row, code, cmt, raw, found)
    _steady_states(codes, raw)
    ends = _infusions(codes, ids, done.evid, raw, found)
    for row in ends:
        done.evid[row] = Evid.OTHER
        for name in ("AMT", "SS", "II", "ADDL"):
            raw[name][row] = 0.0
        done.routes.pop(row)
    if codes:
        shown = ", ".join(code.meaning for code in sorted(set(codes.values()), key=lambda code: code.number))
        rows = f"{len(codes)} rows" if len(codes) > 1 else "1 row"
        done.notes.append(f"Legacy EVID translated in {rows}: {shown}.")
    if ends:
        done.notes.append(
            "Legacy infusions are one row each: the amount is the rate times the time to the row that turned it off, "
            "which is now EVID 2."
        )
    return done


def _readable(row: int, number: int, found: Findings) -> _Code | None:
    if number >= 100:
        code = _Code.of(number)
        meaning = code.refused()
        if meaning is None:
            return code
    else:
        meaning = _NOT_FOLLOWED.get(number, "is a modelled event time of RxODE" if 10 <= number < 100 else "")
    what = f"{number} {meaning}; there is no such event here." if meaning else f"{number} has no meaning."
    remedy = "Write one of these; how a dose goes in has columns of its own (RATE or DUR, SS and II)."
    if meaning == _SPECIAL[9]:
        remedy = "Write the dose in one row: EVID 1, SS, II and, for an infusion, RATE; the model knows the lag."
    found.row("evid", row, "EVID", what, f"{_EVIDS} {_READ}" if number >= 100 else _EVIDS, remedy)
    return None


def _contradictions(row: int, code: _Code, cmt: list[str], raw: dict[str, np.ndarray], found: Findings) -> None:
    if cmt[row] not in ("", "#0", f"#{code.compartment}"):
        said = f"{code.number} says compartment {code.compartment}, but CMT is {cmt[row].lstrip('#')}."
        found.row("evid", row, "EVID", said, _EVIDS, "Write EVID 1 and the CMT that is meant.")
    for name in ("RATE", "DUR"):
        if np.nan_to_num(raw[name][row]) != 0:
            found.row(
                "evid", row, name,
                f"{short(raw[name][row])} beside the legacy code {code.number}, which says how the dose goes in.",
                None, f"Write EVID 1 and keep {name}, or write {name} 0.",
            )  # fmt: skip
    steady = {STEADY: 1, ADDED: 2, WITHOUT_END: 1}.get(code.when, 0)
    if steady and np.nan_to_num(raw["SS"][row]) not in (0, steady):
        found.row(
            "evid", row, "SS", f"{short(raw['SS'][row])} beside the legacy code {code.number}, which says SS {steady}.",
            None, "Write EVID 1 and the SS that is meant.",
        )  # fmt: skip


def _steady_states(codes: dict[int, _Code], raw: dict[str, np.ndarray]) -> None:
    for row, code in codes.items():
        if code.when in (STEADY, ADDED):
            raw["SS"][row] = 1 if code.when == STEADY else 2
        if code.when == WITHOUT_END:
            raw["SS"][row], raw["RATE"][row], raw["AMT"][row] = 1, raw["AMT"][row], 0.0


def _infusions(
    codes: dict[int, _Code], ids: list[str], evid: np.ndarray, raw: dict[str, np.ndarray], found: Findings
) -> list[int]:
    """Join the rows that turn an infusion on and off; give the latter."""
    ends: list[int] = []
    running: dict[tuple[int, int], list[int]] = {}
    person: str | None = None

    def left_running() -> None:
        for (way, _), rows in running.items():
            for row in rows if way in (BY_RATE, BY_DURATION) else ():
                found.row(
                    "evid", row, "EVID", f"the infusion ({codes[row].number}) is never turned off.",
                    "A later row of the same person has the same code and the amount below 0.",
                    "Add that row, or write EVID 1, AMT and RATE.",
                )  # fmt: skip
        running.clear()

    for row in range(len(ids)):
        if ids[row] != person or evid[row] in (Evid.RESET, Evid.RESET_DOSE):
            left_running()
            person = ids[row]
        code = codes.get(row)
        if code is None or code.way == BOLUS or code.when == WITHOUT_END:
            continue
        amount = raw["AMT"][row]
        off = {DURATION_OFF: DURATION_ON, RATE_OFF: RATE_ON}.get(code.way, code.way)
        is_end = off != code.way or (code.way in (BY_RATE, BY_DURATION) and amount < 0)
        if not is_end:
            running.setdefault((code.way, code.compartment), []).append(row)
            if code.way in (DURATION_ON, RATE_ON):
                raw["RATE"][row] = -2 if code.way == DURATION_ON else -1
            continue
        ends.append(row)
        begun = running.get((off, code.compartment), [])
        start = next((r for r in begun if np.isclose(abs(raw["AMT"][r]), abs(amount), rtol=1e-6)), None)
        if start is None:
            found.row(
                "evid", row, "EVID", f"{code.number}, AMT {short(amount)}, turns off an infusion that is not running.",
                "It follows the row of the same person and compartment that turned it on, with the same amount.",
                "Correct the amount, or write the infusion in one row: EVID 1, AMT and RATE.",
            )  # fmt: skip
            continue
        begun.remove(start)
        if off in (BY_RATE, BY_DURATION):
            _one_row(start, row, off, raw, found)
    left_running()
    return ends


def _one_row(start: int, end: int, way: int, raw: dict[str, np.ndarray], found: Findings) -> None:
    """Write an infusion that two rows tell into the first of them."""
    lasts = raw["TIME"][end] - raw["TIME"][start]
    if np.isnan(lasts):
        return
    if lasts <= 0:
        found.row(
            "evid", end, "TIME", f"the infusion is turned off at {short(raw['TIME'][end])}, when it begins.", None,
            "Give the time at which it ends.",
        )  # fmt: skip
        return
    for name in ("ADDL", "II"):
        if raw["ADDL"][start] != raw["ADDL"][end] or (raw["ADDL"][start] > 0 and raw["II"][start] != raw["II"][end]):
            found.row(
                "evid", end, name,
                f"{short(raw[name][end])}, but {short(raw[name][start])} where the infusion is turned on.", None,
                "Give both rows the same ADDL and II, or write EVID 1, AMT, RATE, II and ADDL in one row.",
            )  # fmt: skip
            return
    rate = raw["AMT"][start]
    raw["AMT"][start] = rate * lasts
    raw["RATE" if way == BY_RATE else "DUR"][start] = rate if way == BY_RATE else lasts
