"""Rules that the rows of a data set must keep; everything that breaks one is told at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pkpd.data.crossover import check_crossover
from pkpd.data.events import Evid
from pkpd.data.findings import Findings
from pkpd.data.layout import count, short
from pkpd.data.occasions import restarts


def check(records: Mapping[str, np.ndarray], found: Findings, notes: list[str]) -> None:
    """Add to `found` every row of the columns (R,) that breaks a rule, and to `notes` what is worth a word."""
    if not len(records["ID"]):
        found.table(
            "empty", "there are no rows.", "At least one dose or observation.", "Check the path and the filter."
        )
        return
    _people_and_times(records, found)
    _occasions(records, found, notes)
    _doses(records, found)
    _repeats(records, found)
    _observations(records, found)
    _unusual(records, notes)
    check_crossover(records, found, notes)


def _people_and_times(records: Mapping[str, np.ndarray], found: Findings) -> None:
    ids, time, evid = records["ID"], records["TIME"], records["EVID"]
    for row in np.flatnonzero(ids == ""):
        found.row("id", row, "ID", "the ID is missing.", None, "Say whose row it is.")
    finished: set[str] = set()
    for row in range(1, len(ids)):
        if ids[row] != ids[row - 1]:
            finished.add(str(ids[row - 1]))
            if str(ids[row]) in finished:
                found.row(
                    "interleaved",
                    row,
                    "ID",
                    f"{ids[row]} comes back after other subjects.",
                    "The rows of one subject lie together.",
                    "Sort by ID and TIME, or give a new person a new ID.",
                )
        elif time[row] < time[row - 1] and evid[row] not in (Evid.RESET, Evid.RESET_DOSE):
            found.row(
                "order",
                row,
                "TIME",
                f"{short(time[row])} comes after {short(time[row - 1])}.",
                "The rows of one subject are in order of time; only a reset (EVID 3 or 4) starts it again.",
                "Sort by ID and TIME; clock times past midnight need a column DATE; a new occasion begins with EVID 3 "
                "or 4, or has an ID of its own.",
            )


def _occasions(records: Mapping[str, np.ndarray], found: Findings, notes: list[str]) -> None:
    ids, time = records["ID"], records["TIME"]
    again = restarts(ids, time, records["EVID"])
    if not len(again):
        return
    people = dict.fromkeys(ids[again].tolist())
    for row in np.flatnonzero(np.isin(ids, list(people)) & ~np.isnan(records["REF"])):
        found.row(
            "ref",
            row,
            "REF",
            f"it is not clear in which occasion {short(records['REF'][row])} lies, because TIME starts again.",
            "A change is counted from a time on one clock.",
            "Let TIME go on, or give each occasion an ID of its own.",
        )
    first = f"{short(time[again[0]])} after {short(time[again[0] - 1])}, ID {ids[again[0]]}"
    notes.append(
        f"TIME starts again at {count(len(again), 'reset')} of {count(len(people), 'subject')} (first: {first}). "
        "Inside, the clock runs on: an occasion begins when the one before ended. Observations keep their TIME; `t` in "
        "a model's equations is the clock that runs on."
    )


def _doses(records: Mapping[str, np.ndarray], found: Findings) -> None:
    evid, amt, rate, dur, ss = (records[name] for name in ("EVID", "AMT", "RATE", "DUR", "SS"))
    dosing = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    endless = dosing & (amt == 0) & (rate > 0) & (ss == 1)
    bad_rate = (rate < 0) & (rate != -1) & (rate != -2)

    for row in np.flatnonzero(amt < 0):
        found.row(
            "amount", row, "AMT", f"{short(amt[row])} is negative.", "An amount is greater than 0.", "Correct it."
        )
    for row in np.flatnonzero(dosing & (amt == 0) & ~endless):
        what = "the dose has no amount" if records["NO_AMT"][row] else "the amount of the dose is 0"
        beside = [f"{name} {short(v[row])}" for name, v in (("RATE", rate), ("SS", ss)) if v[row]]
        what += f", with {' and '.join(beside)}." if beside else "."
        expected = "Only an infusion up to steady state (SS 1, RATE > 0) has AMT 0."
        remedy = "Write the amount; a row without a dose has EVID 0 or 2."
        found.row("amount", row, "AMT", what, expected, remedy)
    for row in np.flatnonzero(np.isin(evid, (Evid.OBSERVATION, Evid.OTHER, Evid.RESET)) & (amt > 0)):
        found.row(
            "amount",
            row,
            "AMT",
            f"AMT {short(amt[row])} on a row that is no dose (EVID {evid[row]}).",
            None,
            "Write EVID 1 for a dose, or AMT 0.",
        )
    for row in np.flatnonzero(bad_rate):
        found.row(
            "rate",
            row,
            "RATE",
            f"{short(rate[row])} has no meaning.",
            "RATE is 0 (bolus), > 0 (amount per time), -1 (rate modelled) or -2 (duration modelled).",
            "Write one of these.",
        )
    for row in np.flatnonzero(dur < 0):
        found.row(
            "duration",
            row,
            "DUR",
            f"{short(dur[row])} is negative.",
            "A duration is 0 (bolus) or greater.",
            "Correct it.",
        )
    for row in np.flatnonzero(dosing & (dur > 0) & (rate != 0)):
        if rate[row] > 0 and np.isclose(amt[row], rate[row] * dur[row], rtol=1e-3):
            continue
        found.row(
            "rate",
            row,
            "DUR",
            f"DUR {short(dur[row])} and RATE {short(rate[row])} do not go with AMT {short(amt[row])}.",
            "AMT is RATE times DUR.",
            "Keep RATE or DUR and leave the other out.",
        )
    for row in np.flatnonzero(dosing & np.char.startswith(records["ROUTE"], "-")):
        found.row(
            "route",
            row,
            "CMT",
            f"{records['ROUTE'][row]} is negative.",
            "CMT is the number of the model's route.",
            "Compartments are not switched off: delete the row.",
        )


def _repeats(records: Mapping[str, np.ndarray], found: Findings) -> None:
    evid, ii, addl, ss, rate, amt = (records[name] for name in ("EVID", "II", "ADDL", "SS", "RATE", "AMT"))
    dosing = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    endless = dosing & (amt == 0) & (rate > 0) & (ss == 1)
    for name, values in (("II", ii), ("ADDL", addl)):
        for row in np.flatnonzero(values < 0):
            found.row(
                name.lower(), row, name, f"{short(values[row])} is negative.", f"{name} is 0 or greater.", "Correct it."
            )
    for row in np.flatnonzero((ss < 0) | (ss > 2)):
        found.row(
            "ss",
            row,
            "SS",
            f"{ss[row]} has no meaning.",
            "SS is 0, 1 (steady state instead of what is there) or 2 (added to what is there).",
            "Write one of these.",
        )
    for row in np.flatnonzero(dosing & (addl > 0) & (ii == 0) & ~endless):
        found.row(
            "addl",
            row,
            "ADDL",
            f"{addl[row]} more doses without the time between them.",
            "ADDL goes with II.",
            "Write the interval in II.",
        )
    for row in np.flatnonzero(dosing & (ss > 0) & (ii == 0) & ~((amt == 0) & (rate != 0))):
        found.row(
            "ss",
            row,
            "SS",
            "a steady state without the time between doses.",
            "SS goes with II; only an endless infusion (AMT 0, RATE > 0) has none.",
            "Write the interval in II.",
        )
    for row in np.flatnonzero(endless & ((addl > 0) | (ii > 0))):
        found.row(
            "ss",
            row,
            "ADDL" if addl[row] > 0 else "II",
            f"an endless infusion (SS 1, AMT 0) cannot be repeated (ADDL {addl[row]}, II {short(ii[row])}).",
            "It ends at its own row.",
            "Write ADDL 0 and II 0, or the amount of a dose that is repeated.",
        )


def _observations(records: Mapping[str, np.ndarray], found: Findings) -> None:
    seen = (records["EVID"] == Evid.OBSERVATION) & (records["MDV"] == 0)
    cens, dv, n = records["CENS"], records["DV"], records["N"]
    for row in np.flatnonzero(~np.isin(cens, (-1, 0, 1))):
        found.row(
            "cens",
            row,
            "CENS",
            f"{cens[row]} has no meaning.",
            "CENS is 0 (observed), 1 (below DV or LLOQ) or -1 (above DV or ULOQ).",
            "Write one of these.",
        )
    for row in np.flatnonzero(seen & (cens != 0) & np.isnan(dv)):
        limit = records["LLOQ" if cens[row] == 1 else "ULOQ"][row]
        if np.isnan(limit):
            found.row(
                "cens",
                row,
                "CENS",
                "censored, but neither DV nor the limit says where.",
                None,
                "Write the limit in DV, LLOQ or ULOQ.",
            )
    counted = seen & (cens == 0) & ~np.isnan(dv)
    nowhere = seen & (cens == 1) & (dv == 0) & np.isnan(records["LLOQ"])
    for row in np.flatnonzero(nowhere) if (dv[counted] >= 0).all() else ():
        found.row(
            "cens",
            row,
            "DV",
            "censored below 0, which observations are above in any case: 0 stands for the limit, it seems.",
            "A censored record has its limit in LLOQ or in DV.",
            "Write the limit of quantification in LLOQ; an event at an unknown time has DV 1.",
        )
    for row in np.flatnonzero(records["LLOQ"] >= records["ULOQ"]):
        found.row(
            "limits",
            row,
            "LLOQ",
            f"{short(records['LLOQ'][row])} is not below ULOQ {short(records['ULOQ'][row])}.",
            None,
            "Correct the limits.",
        )
    for name in ("N", "SD", "SE"):
        for row in np.flatnonzero(seen & (records[name] <= 0)):
            found.row(
                "summary",
                row,
                name,
                f"{short(records[name][row])} is not greater than 0.",
                "N, SD and SE of a mean are greater than 0.",
                "Correct it, or write . where it is not known.",
            )
    both = seen & ~np.isnan(records["SD"]) & ~np.isnan(records["SE"]) & (n > 0)
    for row in np.flatnonzero(both):
        if not np.isclose(records["SE"][row], records["SD"][row] / np.sqrt(n[row]), rtol=0.05):
            found.row(
                "summary",
                row,
                "SE",
                f"SE {short(records['SE'][row])} is not SD {short(records['SD'][row])} / √{short(n[row])}.",
                "SE is SD / √N.",
                "Keep the one that was published.",
            )


def _unusual(records: Mapping[str, np.ndarray], notes: list[str]) -> None:
    """Say what breaks no rule, and is yet a slip more often than not."""
    ids, evid = records["ID"], records["EVID"]
    seen = (evid == Evid.OBSERVATION) & (records["MDV"] == 0)
    dosed = np.unique(ids[(evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)])
    without = [name for name in dict.fromkeys(ids[seen].tolist()) if name not in set(dosed.tolist())]
    if len(dosed) and without:
        shown = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        notes.append(f"No dose: {count(len(without), 'subject')} with observations ({shown}).")
    # A reset begins another occasion, in which a time may come again.
    occasion = np.cumsum((evid == Evid.RESET) | (evid == Evid.RESET_DOSE))
    keys = zip(ids[seen].tolist(), occasion[seen].tolist(), records["DVID"][seen].tolist(),
               records["TIME"][seen].tolist(), strict=True)  # fmt: skip
    known: set[tuple[object, ...]] = set()
    twice = [key for key in keys if key in known or known.add(key)]
    if twice:
        who, _, _, time = twice[0]
        notes.append(
            f"Observed more than once at one time: {count(len(twice), 'row')} (first: ID {who} at {short(time)}); each "
            "counts."
        )
