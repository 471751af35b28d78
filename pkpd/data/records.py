"""What each row means: observation or dose, how fast it goes in, by which route, of which output."""

from __future__ import annotations

import re

import numpy as np

from pkpd.data.columns import NUMBERS
from pkpd.data.events import Evid, Mode
from pkpd.data.findings import Findings
from pkpd.data.legacy import translate
from pkpd.data.parse import Parsed


def interpret(parsed: Parsed, found: Findings) -> dict[str, np.ndarray]:
    """Give the columns of a data set, (R,) each: numbers as float, codes as int, labels as str.

    EVID is inferred from AMT where it is not written; MDV from DV. Legacy EVID codes (101: a dose by route 1) are
    translated, and noted.
    """
    size = len(parsed.labels["ID"])
    raw = {name: np.array(parsed.numbers.get(name, np.full(size, default))) for name, default in NUMBERS.items()}
    cmt = [re.sub(r"^(\d+)$", r"#\1", label) for label in parsed.labels.get("CMT", [""] * size)]
    written = _evid(raw, parsed, found)
    no_amount = np.isnan(raw["AMT"])
    legacy = translate(written, parsed.labels["ID"], cmt, raw, found)
    parsed.notes += legacy.notes
    evid = legacy.evid
    _switches(evid, cmt, found)
    _unused(raw, evid, parsed.notes)
    _limits(raw, evid, found)
    dosing = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    observing = evid == Evid.OBSERVATION
    mdv = _mdv(raw, observing, dosing, "MDV" in parsed.numbers, "DV" in parsed.numbers, parsed.notes, found)

    text = {name: parsed.labels.get(name, [""] * size) for name in ("ROUTE", "DVID", "ARM", "SEQUENCE")}
    route = [
        own or legacy.routes.get(row, "") or by_number for row, (own, by_number) in enumerate(zip(text["ROUTE"], cmt))
    ]
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
    records["NO_AMT"] = no_amount
    records |= {"ROUTE": np.array(route, dtype=str), "DVID": np.array(output, dtype=str)}
    records |= {name: np.array(text[name], dtype=str) for name in ("ARM", "SEQUENCE")}
    return records


def _evid(raw: dict[str, np.ndarray], parsed: Parsed, found: Findings) -> np.ndarray:
    """Give EVID as written; where it is not, a row with an amount is a dose, any other an observation."""
    written = ~np.isnan(raw["EVID"])
    amt, rate = np.nan_to_num(raw["AMT"]), np.nan_to_num(raw["RATE"])
    doses = (amt != 0) | ((raw["SS"] > 0) & (rate > 0))
    for row in np.flatnonzero(~written & ~doses & (rate > 0)):
        found.row(
            "rate",
            row,
            "RATE",
            f"RATE {rate[row]:g} without an amount: neither a dose nor an observation.",
            "Only an infusion up to steady state (SS 1) has a rate and no amount.",
            "Write the amount, SS 1, or RATE 0.",
        )
    if "DV" in parsed.numbers:
        both = ~written & doses & (np.nan_to_num(raw["DV"]) != 0) & (np.nan_to_num(raw["MDV"]) != 1)
        for row in np.flatnonzero(both):
            found.row(
                "both",
                row,
                None,
                f"a dose (AMT {amt[row]:g}) and an observation (DV {raw['DV'][row]:g}) in one row.",
                None,
                "Write two rows, or EVID 1.",
            )
    return np.where(written, raw["EVID"], np.where(doses, 1, 0)).astype(np.int64)


def _switches(evid: np.ndarray, cmt: list[str], found: Findings) -> None:
    """Refuse compartments that are switched off (CMT below 0 on a row that is no dose)."""
    for row in np.flatnonzero(evid != Evid.OBSERVATION):
        if re.fullmatch(r"-\d+", cmt[row]) and evid[row] not in (Evid.DOSE, Evid.RESET_DOSE):
            found.row(
                "route",
                row,
                "CMT",
                f"{cmt[row]} turns a compartment off, which this package does not do.",
                "A reset (EVID 3) empties all of them.",
                "Delete the row, or let the model say when the compartment counts.",
            )


def _unused(raw: dict[str, np.ndarray], evid: np.ndarray, notes: list[str]) -> None:
    """Say what stands on rows where it has no meaning."""
    dosing = (evid == Evid.DOSE) | (evid == Evid.RESET_DOSE)
    for name, rows, kind in [
        ("DV", evid != Evid.OBSERVATION, "observation"),
        *((name, ~dosing, "dose") for name in ("RATE", "DUR", "II", "ADDL", "SS")),
    ]:
        found = np.flatnonzero(rows & (np.nan_to_num(raw[name]) != 0))
        if len(found):
            which = f"1 row that is no {kind}" if len(found) == 1 else f"{len(found)} rows that are no {kind}s"
            notes.append(f"{name} is not used on {which}.")


def _limits(raw: dict[str, np.ndarray], evid: np.ndarray, found: Findings) -> None:
    """Write LIMIT into LLOQ or ULOQ: the other end of the interval in which a censored record lies."""
    limit, cens = raw.pop("LIMIT"), raw["CENS"]
    said = (evid == Evid.OBSERVATION) & ~np.isnan(limit)
    above = said & ((cens < 0) | ((cens == 0) & (limit > raw["DV"])))
    for name, rows in (("LLOQ", said & ~above), ("ULOQ", above)):
        for row in np.flatnonzero(rows & ~np.isnan(raw[name]) & (raw[name] != limit)):
            found.row(
                "limits",
                row,
                "LIMIT",
                f"{limit[row]:g} beside {name} {raw[name][row]:g}, which is the same limit here.",
                "LIMIT is the lower end where CENS is 1, the upper end where it is -1.",
                f"Keep LIMIT or {name}.",
            )
        raw[name] = np.where(rows, limit, raw[name])


def _mdv(
    raw: dict[str, np.ndarray],
    observing: np.ndarray,
    dosing: np.ndarray,
    has_mdv: bool,
    has_dv: bool,
    notes: list[str],
    found: Findings,
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
        for row in np.flatnonzero(~observing & explicit & (np.nan_to_num(raw["DV"]) != 0)):
            kind = "a dose" if dosing[row] else "no observation"
            found.row(
                "mdv",
                row,
                "MDV",
                f"MDV 0 says that DV {raw['DV'][row]:g} counts, but the row is {kind}.",
                "Only a row with EVID 0 has an observation.",
                "Write the observation in a row of its own, or MDV 1.",
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
