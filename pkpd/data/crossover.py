"""Crossovers: what SEQUENCE, PERIOD and ARM must agree on, and the same data looked at period by period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.events import Evid, Mode
from pkpd.data.findings import Findings
from pkpd.data.layout import count, short

if TYPE_CHECKING:
    from pkpd.data.dataset import Dataset


def check_crossover(records: Mapping[str, np.ndarray], found: Findings, notes: list[str]) -> None:
    """Look at data that say PERIOD with ARM or SEQUENCE, or SEQUENCE alone; others are left alone."""
    sequence, arm, period = records["SEQUENCE"], records["ARM"], records["PERIOD"]
    if (sequence != "").any():
        _one_sequence(records, found)
        _lonely(records, notes)
    if (period == 0).all() or not ((sequence != "").any() or (arm != "").any()):
        return
    for row in np.flatnonzero(period < 0):
        found.row("period", row, "PERIOD", f"{period[row]} is negative.", "Periods count 1, 2, ...", "Correct it.")
    _in_order(records, found)
    if (sequence != "").any() and (arm != "").any():
        _arm_of_sequence(records, found)
    _before_dose(records, notes)


def _one_sequence(records: Mapping[str, np.ndarray], found: Findings) -> None:
    ids, sequence = records["ID"], records["SEQUENCE"]
    first: dict[str, str] = {}
    told: set[tuple[str, str]] = set()
    for row in np.flatnonzero(sequence != ""):
        who, mine = str(ids[row]), str(sequence[row])
        own = first.setdefault(who, mine)
        if mine != own and (who, mine) not in told:
            told.add((who, mine))
            found.row(
                "sequence",
                row,
                "SEQUENCE",
                f"{mine}, and {who} is in {own} before.",
                "A person is in one sequence.",
                "Correct it, or give the second person an ID of its own.",
            )


def _lonely(records: Mapping[str, np.ndarray], notes: list[str]) -> None:
    """Say which sequences have one person, where a row is not a mean of several."""
    ids, sequence, people = records["ID"], records["SEQUENCE"], records["N"]
    said = sequence != ""
    who = dict(zip(ids[said].tolist(), sequence[said].tolist()))
    several = set(ids[people > 1].tolist())
    size = Counter(who.values())
    alone = [name for name, number in size.items() if number == 1]
    alone = [name for name in alone if not several & {one for one, mine in who.items() if mine == name}]
    if alone:
        notes.append(
            f"One person alone in sequence {', '.join(alone)}: what the period does and what this person is like "
            "cannot be told apart there."
        )


def _in_order(records: Mapping[str, np.ndarray], found: Findings) -> None:
    ids, period = records["ID"], records["PERIOD"]
    rows = np.flatnonzero(period > 0)
    back = (ids[rows[1:]] == ids[rows[:-1]]) & (period[rows[1:]] < period[rows[:-1]])
    for before, row in zip(rows[:-1][back], rows[1:][back]):
        found.row(
            "period",
            row,
            "PERIOD",
            f"{period[row]} comes after {period[before]}.",
            "Periods follow each other; a row belongs to the last one that has begun.",
            "Correct PERIOD, or TIME.",
        )


def _arm_of_sequence(records: Mapping[str, np.ndarray], found: Findings) -> None:
    sequence, arm, period = records["SEQUENCE"], records["ARM"], records["PERIOD"]
    rows = np.flatnonzero((sequence != "") & (arm != "") & (period > 0))
    keys = [(str(sequence[row]), int(period[row])) for row in rows]
    each: dict[tuple[str, int], Counter[str]] = {}
    for key, row in zip(keys, rows):
        each.setdefault(key, Counter())[str(arm[row])] += 1
    most = {key: arms.most_common(1)[0][0] for key, arms in each.items()}
    for key, row in zip(keys, rows):
        if arm[row] != most[key]:
            found.row(
                "arm",
                row,
                "ARM",
                f"{arm[row]} in period {key[1]} of sequence {key[0]}, which is {most[key]} in other rows.",
                "Sequence and period say the arm.",
                "Correct ARM, PERIOD or SEQUENCE.",
            )


def _before_dose(records: Mapping[str, np.ndarray], notes: list[str]) -> None:
    """Say in which periods with a dose nothing was seen before the first one; changes (REF) bring their own."""
    ids, period, time, evid = (records[name] for name in ("ID", "PERIOD", "TIME", "EVID"))
    dose = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    seen = (evid == Evid.OBSERVATION) & (records["MDV"] == 0) & np.isnan(records["REF"])
    begins: dict[tuple[str, int], float] = {}
    earliest: dict[tuple[str, int], float] = {}
    for rows, least in ((np.flatnonzero(dose & (period > 0)), begins), (np.flatnonzero(seen & (period > 0)), earliest)):
        for row in rows:
            key = (str(ids[row]), int(period[row]))
            least[key] = min(least.get(key, np.inf), float(time[row]))
    missing = [key for key, first in earliest.items() if key in begins and first > begins[key]]
    if missing:
        who, which = missing[0]
        notes.append(
            f"No observation before the dose: {count(len(missing), 'period')} of "
            f"{count(len({name for name, _ in missing}), 'subject')} (first: ID {who}, PERIOD {which}, dose at "
            f"{short(begins[missing[0]])}). What a period starts from is then known from other periods alone."
        )


_NOTHING: dict[str, Any] = {
    "DV": np.nan, "MDV": 1, "CENS": 0, "LLOQ": np.nan, "ULOQ": np.nan, "N": 1.0, "SD": np.nan, "SE": np.nan,
    "REF": np.nan, "DVID": "", "AMT": 0.0, "RATE": 0.0, "DUR": 0.0, "II": 0.0, "ADDL": 0, "SS": 0,
    "MODE": int(Mode.AUTO), "ROUTE": "", "UNIT": "", "ROW": -1, "EVID": int(Evid.RESET),
}  # fmt: skip


def reset_periods(data: Dataset) -> Dataset:
    """Give the same data with a reset (EVID 3) before the first row of each period after a person's first.

    The states begin anew there; what a model writes as a function of time, and of no state, goes on.
    """
    c = data.columns
    rows = np.flatnonzero(c["PERIOD"] > 0)
    ids, period = c["ID"][rows], c["PERIOD"][rows]
    begins = rows[1:][(ids[1:] == ids[:-1]) & (period[1:] > period[:-1])]
    begins = begins[~np.isin(c["EVID"][begins], (Evid.RESET, Evid.RESET_DOSE))]
    columns = {name: np.insert(column, begins, _NOTHING.get(name, column[begins])) for name, column in c.items()}
    covariates = {name: np.insert(values, begins, values[begins]) for name, values in data.covariates.items()}
    return replace(data, columns=columns, covariates=covariates)


def only_period(data: Dataset, number: int) -> Dataset:
    """Give the rows of one period."""
    return data._rows(np.flatnonzero(data.columns["PERIOD"] == number))


def with_previous(data: Dataset, arm: str) -> Dataset:
    """Give the same data with a covariate PREVIOUS: 1 in the rows of a period that follows one with this arm."""
    c = data.columns
    given = {
        (who, period): name for who, period, name in zip(c["ID"].tolist(), c["PERIOD"].tolist(), c["ARM"].tolist())
    }
    before = [given.get((who, period - 1)) == arm for who, period in zip(c["ID"].tolist(), c["PERIOD"].tolist())]
    return replace(data, covariates={**data.covariates, "PREVIOUS": np.array(before, dtype=float)})
