"""The rows of a trial: the schedule of each sequence, copied for its people, with their covariates and dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import units
from pkpd.data import Dataset, Evid, Mode
from pkpd.data.dataset import COLUMNS
from pkpd.data.dose import PER_COVARIATE
from pkpd.data.layout import count
from pkpd.errors import DataError, UnitError, UsageError
from pkpd.simulation.trial.people import by_design, draw_covariate, is_drawn
from pkpd.streams import addresses, check_seed, uniforms

if TYPE_CHECKING:
    from pkpd.simulation.trial.design import Trial

__all__ = ["keep", "realise", "stayed", "whole"]

_NONE: dict[str, Any] = {
    "DV": np.nan, "ULOQ": np.nan, "N": 1.0, "SD": np.nan, "SE": np.nan, "REF": np.nan, "CENS": 0, "MDV": 1,
    "LLOQ": np.nan, "DVID": "", "AMT": 0.0, "RATE": 0.0, "DUR": 0.0, "II": 0.0, "ADDL": 0, "SS": 0,
    "MODE": int(Mode.AUTO), "ROUTE": "", "UNIT": "",
}  # fmt: skip
#: At one time: a reset, what is seen, what is given.
_RESET, _SEEN, _GIVEN = 0, 1, 2


def realise(trial: Trial, *, seed: int | None, replicate: int) -> Dataset:
    """Give the trial as data without observations; see :meth:`Trial.data`."""
    seed = check_chance(trial, seed, replicate, "Trial.data")
    data = whole(trial, seed, replicate)
    data = keep(data, stayed(trial, seed, replicate))
    seen = data.columns["EVID"] == Evid.OBSERVATION
    note = (
        f"The design: {count(int(seen.sum()), 'observation')} of {count(len(data), 'subject')} are still to be made "
        "(MDV 1)."
    )
    return sealed(replace(data, notes=(*data.notes, note)))


def check_chance(trial: Trial, seed: int | None, replicate: int, where: str) -> int | None:
    """Give the seed, or None where nothing is left to chance."""
    if isinstance(replicate, bool) or not isinstance(replicate, (int, np.integer)) or replicate < 1:
        raise UsageError(
            f"replicate is {replicate!r}.",
            where=f"{where}(replicate=...)",
            expected="Which trial of a seed: 1, 2, ...",
            remedy="Leave it out for the first.",
        )
    drawn = [name for name, given in trial.covariates.items() if is_drawn(given)]
    drawn += ["dropout"] if _leaves(trial) else []
    if not drawn and seed is None:
        return None
    return check_seed(
        seed, why=f"{', '.join(drawn) or 'what is observed'} is drawn at random", where=f"{where}(seed=...)"
    )


def whole(trial: Trial, seed: int | None, replicate: int) -> Dataset:
    """Give the rows of everybody as if nobody left; observations have MDV 1 and no DV."""
    schedules = {name: _schedule(trial, name) for name in trial.sequences}
    people, address = trial.ids, addresses(trial.ids)
    blocks, who, at = [], [], 0
    for name, rows in schedules.items():
        number, size = trial.sizes[name], len(rows["TIME"])
        blocks.append({column: np.tile(cells, number) for column, cells in rows.items()})
        who.append(at + np.repeat(np.arange(number), size))
        at += number
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    person = np.concatenate(who)
    covariates: dict[str, np.ndarray] = {}
    for name, given in trial.covariates.items():
        follows = by_design(given)
        if follows is None:
            covariates[name] = draw_covariate(name, given, seed, address, replicate)[person]
        elif follows == "period":
            covariates[name] = np.asarray(given["period"], dtype=float)[columns["PERIOD"] - 1]
        else:
            label = columns["ARM" if follows == "arm" else "previous"]
            values = np.zeros(len(label))
            for arm, value in given[follows].items():
                values[label == arm] = value
            covariates[name] = values
    for per in np.unique(columns["per"][columns["per"] != ""]):
        rows = columns["per"] == per
        factor = _amounts(trial, str(per), covariates[str(per)][rows])
        columns["AMT"][rows] *= factor
        columns["RATE"][rows] *= factor
    columns["ID"] = np.array(people)[person]
    columns["OCC"] = columns["PERIOD"].copy()
    columns["ROW"] = np.arange(1, len(person) + 1)
    for name, value in _NONE.items():
        columns.setdefault(name, np.full(len(person), value))
    stated: dict[str, Any] = {"TIME": trial.time_unit}
    dv = {name: trial.units[name] for name in trial.visits if name in trial.units}
    stated |= {"DV": dv} if dv else {}
    stated |= {name: trial.units[name] for name in covariates if name in trial.units}
    return Dataset(
        columns={name: columns[name] for name in COLUMNS},
        covariates=covariates,
        units=stated,
        carry="locf",
        origin=trial.title or "the trial",
        path=None,
        sha256="",
    )


def stayed(trial: Trial, seed: int | None, replicate: int) -> np.ndarray:
    """Give how many of the rows of each person there are before it leaves, (S,) int; see :class:`Dropout`."""
    found, address, at = [], addresses(trial.ids), 0
    for name, number in trial.sizes.items():
        rows, own = _schedule(trial, name), address[at : at + number]
        at += number
        last = np.full(number, len(rows["TIME"]))
        if number and _leaves(trial):
            assert seed is not None
            last = np.minimum(last, _leaving(trial, rows, seed, own, replicate))
        found.append(last)
    return np.concatenate(found)


def keep(data: Dataset, rows: np.ndarray) -> Dataset:
    """Give the first so many rows of every person, (S,) int, with a note of who left."""
    start = np.flatnonzero(np.r_[True, data.columns["ID"][1:] != data.columns["ID"][:-1]])
    size = np.diff(np.r_[start, data.rows])
    within = np.arange(data.rows) - np.repeat(start, size)
    kept = within < np.repeat(rows, size)
    left = int((rows < size).sum())
    columns = {name: column[kept] for name, column in data.columns.items()}
    columns["ROW"] = np.arange(1, int(kept.sum()) + 1)
    notes = (f"{left} of {len(size)} people left before the end.",) if left else ()
    return replace(
        data,
        columns=columns,
        covariates={name: column[kept] for name, column in data.covariates.items()},
        notes=(*data.notes, *notes),
    )


def sealed(data: Dataset) -> Dataset:
    """Give the data with the hash of what is in them in the place of that of a file."""
    return replace(data, sha256=data.digest)


def _schedule(trial: Trial, sequence: str) -> dict[str, np.ndarray]:
    """The rows of one person of a sequence; `per` is what an amount is per, `previous` the arm of the period before."""
    rows: list[dict[str, Any]] = []
    arms = trial.sequences[sequence]
    first = min(0.0, *(min(times) for times in trial.times.values()))
    for k, (arm, start) in enumerate(zip(arms, trial.starts(sequence), strict=True)):
        shared = {"ARM": arm, "SEQUENCE": sequence, "PERIOD": k + 1, "previous": arms[k - 1] if k else "", "per": ""}
        own: list[tuple[float, int, dict[str, Any]]] = []
        if k and trial.reset_between_periods:
            own.append((start + first, _RESET, {"EVID": int(Evid.RESET)}))
        for output, times in trial.times.items():
            limit = trial.lloq.get(output, np.nan)
            own += [
                (start + time, _SEEN, {"EVID": int(Evid.OBSERVATION), "DVID": output, "LLOQ": limit}) for time in times
            ]
        for dose in trial.regimens[arm]:
            given = {
                "EVID": int(Evid.DOSE), "AMT": dose.amount, "RATE": dose.rate or 0.0, "DUR": dose.over or 0.0,
                "II": dose.every or 0.0, "ADDL": dose.addl, "SS": dose.ss, "ROUTE": dose.route or "",
                "UNIT": dose.unit or "", "per": dose.per or "",
            }  # fmt: skip
            if dose.rate is not None:
                given["MODE"] = int(Mode.RATE)
            elif dose.over is not None:
                given["MODE"] = int(Mode.DURATION if dose.over else Mode.BOLUS)
            own.append((start + dose.time, _GIVEN, given))
        own.sort(key=lambda row: row[:2])
        rows += [{**shared, "TIME": time, "kind": kind, **row} for time, kind, row in own]
    names = [*_NONE, "TIME", "EVID", "ARM", "SEQUENCE", "PERIOD", "previous", "per", "kind"]
    return {name: np.array([row.get(name, _NONE.get(name)) for row in rows]) for name in names}


def _amounts(trial: Trial, per: str, values: np.ndarray) -> np.ndarray:
    """Give what multiplies an amount per `per`, in the unit that such doses are meant in."""
    if not (values > 0).all():
        raise DataError(
            f"a dose is per {per}, which is {values[~(values > 0)][0]:g} in somebody.",
            where=f"Trial, covariates, {per}",
            expected="A number greater than 0.",
            remedy=f'Cut its distribution off: {{"normal": [...], "within": [low, high]}} for {per}.',
        )
    if per not in PER_COVARIATE or per not in trial.units:
        return values
    try:
        return values * units.factor(trial.units[per], PER_COVARIATE[per])
    except UnitError as error:
        raise DataError(
            f"{per} is in `{trial.units[per]}`, and a dose is per {PER_COVARIATE[per]}.",
            where=f"Trial, units, {per}",
            expected=f"A unit like {PER_COVARIATE[per]}.",
            remedy=error.remedy or "Correct the unit.",
        ) from error


def _leaves(trial: Trial) -> bool:
    return any(getattr(trial.leaving, name) > 0 for name in ("visit", "rate", "between"))


def _leaving(
    trial: Trial, rows: Mapping[str, np.ndarray], seed: int, address: np.ndarray, replicate: int
) -> np.ndarray:
    """Give the first row that each person of a sequence misses, (n,)."""
    drop, size, number = trial.leaving, len(rows["TIME"]), np.full(len(address), replicate)
    last = np.full(len(address), size)
    if drop.rate > 0:
        u = uniforms(seed, "trial: dropout in time", address, number, 1)[:, 0]
        left = rows["TIME"][0] - np.log(u) / drop.rate
        last = np.minimum(last, np.searchsorted(rows["TIME"], left, side="left"))
    for name, marks, purpose in (
        ("between", _first_rows(rows["PERIOD"]), "trial: dropout between periods"),
        ("visit", _visit_rows(rows), "trial: dropout at visits"),
    ):
        chance = getattr(drop, name)
        if chance > 0 and len(marks) > 1:
            u = uniforms(seed, purpose, address, number, len(marks))[:, 1:]
            gone = u < chance
            when = np.append(marks[1:], size)[np.where(gone.any(axis=1), gone.argmax(axis=1), len(marks) - 1)]
            last = np.minimum(last, when)
    return last


def _first_rows(numbers: np.ndarray) -> np.ndarray:
    """Where each number of a rising column begins."""
    return np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])


def _visit_rows(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first row of every visit: outputs that are seen at one time in one period are one visit."""
    seen = np.flatnonzero(rows["kind"] == _SEEN)
    time, period = rows["TIME"][seen], rows["PERIOD"][seen]
    return seen[np.flatnonzero(np.r_[True, (time[1:] != time[:-1]) | (period[1:] != period[:-1])])]
