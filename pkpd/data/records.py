"""What each row means: observation or dose, how fast it goes in, by which route, of which output."""

from __future__ import annotations

import re

import numpy as np

from pkpd.data.columns import NUMBERS
from pkpd.data.events import Evid, Mode
from pkpd.data.findings import Findings
from pkpd.data.parse import Parsed

_EVIDS = "EVID is 0 (observation), 1 (dose), 2 (other), 3 (reset) or 4 (reset and dose)."


def interpret(parsed: Parsed, found: Findings) -> dict[str, np.ndarray]:
    """Give the columns of a data set, (R,) each: numbers as float, codes as int, labels as str.

    EVID is inferred from AMT where it is not written; MDV from DV. Legacy EVID codes (101: a bolus by route 1) are
    translated, and noted.
    """
    size = len(parsed.labels["ID"])
    raw = {name: parsed.numbers.get(name, np.full(size, default)) for name, default in NUMBERS.items()}
    cmt = [re.sub(r"^(\d+)$", r"#\1", label) for label in parsed.labels.get("CMT", [""] * size)]
    evid, legacy = _evid(raw, cmt, parsed, found)
    dosing = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    observing = evid == Evid.OBSERVATION
    mdv = _mdv(raw, observing, "MDV" in parsed.numbers, "DV" in parsed.numbers, parsed.notes, found)

    text = {name: parsed.labels.get(name, [""] * size) for name in ("ROUTE", "DVID", "ARM", "SEQUENCE")}
    route = [own or legacy.get(row, "") or by_number for row, (own, by_number) in enumerate(zip(text["ROUTE"], cmt))]
    route = ["" if name == "#0" or not dose else name for name, dose in zip(route, dosing)]
    output = [re.sub(r"^(\d+)$", r"#\1", name) if seen else "" for name, seen in zip(text["DVID"], observing)]
    output = ["" if name == "#0" else name for name in output]
    if "DVID" not in parsed.labels:
        _one_output(cmt, observing & (mdv == 0), parsed.notes, found)

    records: dict[str, np.ndarray] = {"ID": np.array(parsed.labels["ID"], dtype=str)}
    records |= {name: raw[name] for name in ("TIME", "DV", "LLOQ", "ULOQ", "N", "SD", "SE", "REF")}
    records |= {name: raw[name].astype(np.int64) for name in ("ADDL", "SS", "CENS", "PERIOD", "OCC")}
    records |= {"EVID": evid, "MDV": mdv, "II": raw["II"], "MODE": _mode(raw, dosing)}
    for name in ("AMT", "RATE", "DUR"):
        records[name] = np.nan_to_num(raw[name])
    records["NO_AMT"] = np.isnan(raw["AMT"])
    records |= {"ROUTE": np.array(route, dtype=str), "DVID": np.array(output, dtype=str)}
    records |= {name: np.array(text[name], dtype=str) for name in ("ARM", "SEQUENCE")}
    return records


def _evid(
    raw: dict[str, np.ndarray], cmt: list[str], parsed: Parsed, found: Findings
) -> tuple[np.ndarray, dict[int, str]]:
    """Give EVID as int, and the route that a legacy code says, by row."""
    given = raw["EVID"]
    written = ~np.isnan(given)
    endless = (raw["SS"] > 0) & (np.nan_to_num(raw["RATE"]) > 0)
    doses = (np.nan_to_num(raw["AMT"]) != 0) | endless
    evid = np.where(written, given, np.where(doses, 1, 0)).astype(np.int64)
    legacy: dict[int, str] = {}
    for row in np.flatnonzero(evid >= 100):
        code = int(evid[row])
        if code % 100 != 1 or code >= 10000:
            continue
        legacy[int(row)] = f"#{code // 100}"
        evid[row] = Evid.DOSE
        if cmt[row] not in ("", "#0", legacy[int(row)]):
            found.row(
                "evid",
                row,
                "EVID",
                f"{code} says route {code // 100}, but CMT is {cmt[row].lstrip('#')}.",
                _EVIDS,
                "Write EVID 1 and the CMT that is meant.",
            )
    if legacy:
        codes = sorted({int(given[row]) for row in legacy})
        shown = ", ".join(f"{code} (bolus, CMT {code // 100})" for code in codes)
        parsed.notes.append(f"Legacy EVID translated to 1 in {len(legacy)} rows: {shown}.")
    for row in np.flatnonzero((evid < 0) | (evid > 4)):
        code = int(evid[row])
        more = " Of the older codes only 101, 201, … (a bolus by route 1, 2, …) are read." if code >= 100 else ""
        found.row(
            "evid",
            row,
            "EVID",
            f"{code} has no meaning.",
            _EVIDS + more,
            "Write one of these; infusions and steady state have their own columns (RATE or DUR, SS and II).",
        )
    if "DV" in parsed.numbers:
        both = ~written & doses & (np.nan_to_num(raw["DV"]) != 0) & (np.nan_to_num(raw["MDV"]) != 1)
        for row in np.flatnonzero(both):
            found.row(
                "both",
                row,
                None,
                f"a dose (AMT {raw['AMT'][row]:g}) and an observation (DV {raw['DV'][row]:g}) in one row.",
                None,
                "Write two rows, or EVID 1.",
            )
    return evid, legacy


def _mdv(
    raw: dict[str, np.ndarray], observing: np.ndarray, has_mdv: bool, has_dv: bool, notes: list[str], found: Findings
) -> np.ndarray:
    """Give MDV as int: 1 on every row that is not an observation, or that has none to count."""
    empty = np.isnan(raw["DV"])
    explicit = raw["MDV"] == 0 if has_mdv else np.zeros(len(empty), dtype=bool)
    censored = (raw["CENS"] != 0) & ~(np.isnan(raw["LLOQ"]) & np.isnan(raw["ULOQ"]))
    if has_dv:
        for row in np.flatnonzero(observing & explicit & empty & ~censored):
            found.row(
                "missing", row, "DV", "the observation is missing, but MDV is 0.", None, "Write the value, or MDV 1."
            )
    for row in np.flatnonzero(~np.isnan(raw["MDV"]) & (raw["MDV"] != 0) & (raw["MDV"] != 1)):
        found.row("mdv", row, "MDV", f"{raw['MDV'][row]:g} has no meaning.", "MDV is 0 or 1.", "Write one of these.")
    inferred = observing & np.isnan(raw["MDV"]) & empty & ~censored
    if inferred.any():
        many = "1 row" if inferred.sum() == 1 else f"{inferred.sum()} rows"
        notes.append(f"{many} without dose and without DV: predicted, not fitted (MDV 1).")
    return np.where(observing & ~inferred & (np.nan_to_num(raw["MDV"]) != 1), 0, 1).astype(np.int64)


def _mode(raw: dict[str, np.ndarray], dosing: np.ndarray) -> np.ndarray:
    """Say how each dose goes in; 0 written in RATE or DUR says bolus, a missing one leaves it to the route."""
    rate, dur = raw["RATE"], raw["DUR"]
    mode = np.full(len(rate), Mode.AUTO, dtype=np.int64)
    mode[(rate == 0) | (dur == 0)] = Mode.BOLUS
    mode[dur > 0] = Mode.DURATION
    mode[rate > 0] = Mode.RATE
    mode[rate == -1] = Mode.MODELLED_RATE
    mode[rate == -2] = Mode.MODELLED_DURATION
    return np.where(dosing, mode, Mode.AUTO)


def _one_output(cmt: list[str], counted: np.ndarray, notes: list[str], found: Findings) -> None:
    """Refuse observations told apart only by CMT: which output they are must be said by DVID."""
    seen = sorted({cmt[row].lstrip("#") for row in np.flatnonzero(counted)} - {""})
    if len(seen) > 1:
        found.table(
            "dvid",
            f"observations have CMT {', '.join(seen)}, and there is no column DVID.",
            "DVID tells outputs apart; CMT on a dose tells its route.",
            "Add a column DVID with the name or the number of each row's output.",
        )
    elif seen:
        notes.append(f"CMT {seen[0]} on observations is not used: DVID tells outputs apart.")
