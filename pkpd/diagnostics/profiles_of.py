"""Profiles of a data set: what was seen after each dose, up to the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.data import Dataset, Evid
from pkpd.data.events import Mode
from pkpd.errors import DataError, Finding, raise_all

__all__ = ["Profiles", "profiles_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """Profiles of n doses, rows padded with NaN.

    Parameters
    ----------
    time, conc : (n, m) float array
        Time after the dose, in order; 0 where a value is below the limit of quantification.
    dose, duration, tau : (n,) float array
        NaN where none is known; the duration is 0 unless it was an infusion.
    bolus, infusion, follows : (n,) bool array
        `follows` says that another dose came before in the same period.
    labels : dict of str to (n,) array
    before : (n,) int array
        Values of the subject that were seen before any dose, and left out; said at its first profile.
    left_out : tuple of str
        Subjects with no value after a dose.
    """

    time: np.ndarray
    conc: np.ndarray
    dose: np.ndarray
    duration: np.ndarray
    tau: np.ndarray
    bolus: np.ndarray
    infusion: np.ndarray
    follows: np.ndarray
    labels: dict[str, np.ndarray]
    before: np.ndarray
    left_out: tuple[str, ...] = ()


def profiles_of(data: Dataset, dvid: str, route: str) -> Profiles:
    """Give a profile for each dose after which something was seen; from TIME 0 on for people without doses.

    A value at the very time of a dose begins its profile, and ends the one before; beside a bolus it does the one or
    the other, by the order of the rows.

    Raises
    ------
    DataError
        A value is negative or above its upper limit, two were seen at one time, or an infusion has no duration.
    """
    c, clock = data.columns, data.clock
    seen = (c["EVID"] == Evid.OBSERVATION) & (c["MDV"] == 0) & np.isfinite(c["DV"]) & (c["DVID"] == dvid)
    rows = np.flatnonzero(seen)
    below = (c["CENS"][rows] == 1) | (c["DV"][rows] < c["LLOQ"][rows])
    value = np.where(below, 0.0, c["DV"][rows])
    wrong = [_finding(data, row, f"The concentration is {c['DV'][row]:g}", "Not below 0") for row in rows[value < 0]]
    wrong += [_finding(data, row, "The value is an upper limit", "A value") for row in rows[c["CENS"][rows] == -1]]
    if wrong:
        raise_all(DataError, wrong)
    who = np.cumsum(np.append(0, c["ID"][1:] != c["ID"][:-1]))
    given = _doses(data, clock, who, route)
    order = np.lexsort((given["place"], given["time"], given["who"]))
    given = {name: column[order] for name, column in given.items()}
    count = len(order)
    last = _last_dose(given, who[rows], clock[rows], rows)
    own = last >= 0
    same = np.zeros(len(rows), dtype=bool)
    same[own] = (given["time"][last[own]] == clock[rows[own]]) & (given["place"][last[own]] >= 0)
    # A value on the time of a dose: the end of the profile before, too.
    ending = np.flatnonzero(same & (last > 0))
    ending = ending[given["follows"][last[ending]] & ~given["bolus"][last[ending]]]
    # A value in a row before a dose of the same time: the start of the next profile, too.
    nexts = np.minimum(last + 1, count - 1)
    starting = np.flatnonzero(
        (nexts > last) & (given["who"][nexts] == who[rows]) & (given["time"][nexts] == clock[rows])
        & ~given["bolus"][nexts]
    )  # fmt: skip
    lost = ~own
    lost[starting] = False
    pick = np.concatenate([np.flatnonzero(own), ending, starting])
    profile = np.concatenate([last[own], last[ending] - 1, nexts[starting]])
    when = clock[rows[pick]] - given["time"][profile]
    used, profile = np.unique(profile, return_inverse=True)
    order = np.lexsort((when, profile))
    pick, profile, when = pick[order], profile[order], when[order]
    twice = np.flatnonzero((np.diff(profile) == 0) & (np.diff(when) == 0)) + 1
    if twice.size:
        raise_all(DataError, [
            _finding(data, int(rows[pick[k]]), f"Two values at {when[k]:g} after the dose", "One value at a time")
            for k in twice
        ])  # fmt: skip
    sizes = np.bincount(profile, minlength=len(used))
    place = np.arange(len(pick)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    time, conc = (np.full((len(used), max(int(sizes.max(initial=0)), 2)), np.nan) for _ in range(2))
    time[profile, place], conc[profile, place] = when, value[pick]
    source = given["row"][used]
    labels = {name: c[name][source] for name in ("ID", "ARM", "PERIOD")}
    labels["dose_time"] = given["time"][used]
    first = np.append(True, labels["ID"][1:] != labels["ID"][:-1]) if len(used) else np.zeros(0, dtype=bool)
    early = np.bincount(who[rows[lost]], minlength=len(data))
    return Profiles(
        time=time, conc=conc, dose=given["dose"][used], duration=given["duration"][used], tau=given["tau"][used],
        bolus=given["bolus"][used], infusion=given["infusion"][used], follows=given["follows"][used], labels=labels,
        before=np.where(first, early[who[source]], 0),
        left_out=tuple(name for name in data.ids if name not in set(labels["ID"].tolist())),
    )  # fmt: skip


def _doses(data: Dataset, clock: np.ndarray, who: np.ndarray, route: str) -> dict[str, np.ndarray]:
    """Give every dose, additional ones (ADDL) too; doses of one person at one time are one."""
    c = data.columns
    rows = np.flatnonzero(np.isin(c["EVID"], (Evid.DOSE, Evid.RESET_DOSE)))
    more = c["ADDL"][rows]
    every = np.concatenate([rows, np.repeat(rows, more)])
    number = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more) + 1
    number = np.concatenate([np.zeros(len(rows), dtype=int), number])
    nobody = np.setdiff1d(np.arange(who.max(initial=-1) + 1), who[rows])
    first = np.array([np.flatnonzero(who == one)[0] for one in nobody], dtype=int)
    mode, amount = c["MODE"][every], c["AMT"][every]
    with np.errstate(all="ignore"):
        long = np.where(
            mode == Mode.RATE, amount / c["RATE"][every], np.where(mode == Mode.DURATION, c["DUR"][every], 0.0)
        )
    iv = np.char.find(np.char.lower(c["ROUTE"][every].astype(str)), "iv") == 0
    modelled = np.isin(mode, (Mode.MODELLED_RATE, Mode.MODELLED_DURATION))
    infusion = ((long > 0) | modelled) if route == "auto" else np.full(len(every), route == "infusion")
    bolus = ((iv | (mode == Mode.BOLUS)) & ~infusion) if route == "auto" else np.full(len(every), route == "bolus")
    if (infusion & ~(long > 0)).any() or (route == "infusion" and len(nobody)):
        raise DataError("an infusion has no duration that the data state.", where=f"nca(): {data.origin}",
                        expected="RATE or DUR above 0 for every infusion.",
                        remedy='State it, or give route="bolus" or "extravascular".')  # fmt: skip
    time = clock[every] + number * c["II"][every]
    place = np.where(number > 0, data.rows, every)
    occasion = np.cumsum(np.isin(c["EVID"], (Evid.RESET, Evid.RESET_DOSE)))[every]
    subject, period = who[every], c["PERIOD"][every]
    order = np.lexsort((place, time, subject))
    new = np.ones(len(order), dtype=bool)
    after = (subject[order][1:] == subject[order][:-1]) & (period[order][1:] == period[order][:-1])
    after &= occasion[order][1:] == occasion[order][:-1]
    new[1:] = ~(after & (time[order][1:] == time[order][:-1]))
    starts = np.flatnonzero(new)
    kept = order[starts]
    chain = np.append(False, after)[starts] if len(order) else np.zeros(0, dtype=bool)
    step = np.where(np.append(chain[1:], False), np.append(time[kept][1:], np.nan) - time[kept], np.nan)
    interval = np.where(c["II"][every][kept] > 0, c["II"][every][kept], np.nan)
    none, size = np.zeros(len(nobody), dtype=bool), len(nobody)
    return {
        "who": np.concatenate([subject[kept], nobody]),
        "time": np.concatenate([time[kept], np.zeros(size)]),
        "place": np.concatenate([place[kept], np.full(size, -1)]),
        "row": np.concatenate([every[kept], first]),
        "dose": np.concatenate(
            [np.add.reduceat(amount[order], starts) if size < len(data) else [], np.full(size, np.nan)]
        ),
        "duration": np.concatenate([np.where(infusion, long, 0.0)[kept], np.zeros(size)]),
        "tau": np.concatenate([np.where(np.isfinite(step), step, interval), np.full(size, np.nan)]),
        "bolus": np.concatenate([bolus[kept], none | (route == "bolus")]),
        "infusion": np.concatenate([infusion[kept], none | (route == "infusion")]),
        "follows": np.concatenate([chain | (c["SS"][every][kept] > 0), none]),
    }


def _last_dose(given: dict[str, np.ndarray], who: np.ndarray, time: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Give the last dose before every value, -1 where there is none; doses are in order."""
    count = len(given["who"])
    subject, when = np.concatenate([given["who"], who]), np.concatenate([given["time"], time])
    order = np.lexsort((np.concatenate([given["place"], rows]), when, subject))
    dose = np.where(order < count, order, -1)
    last = np.maximum.accumulate(dose)
    found = np.empty(len(order), dtype=int)
    found[order] = last
    found = found[count:]
    ours = (found >= 0) & (given["who"][np.maximum(found, 0)] == who)
    return np.where(ours, found, -1)


def _finding(data: Dataset, row: int, what: str, expected: str) -> Finding:
    c = data.columns
    return Finding(
        code="nca", where=f"{data.origin}, ID {c['ID'][row]}, TIME {c['TIME'][row]:g}, row {c['ROW'][row]}",
        what=f"{what}.", expected=f"{expected}.",
        remedy="Correct the file, or leave the row out with data.exclude([row]).",
    )  # fmt: skip
