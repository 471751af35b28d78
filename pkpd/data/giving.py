"""Doses added to the records of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pkpd.data.dataset import COLUMNS, Dataset
from pkpd.data.dose import Dose
from pkpd.data.events import Events, Mode
from pkpd.data.layout import short
from pkpd.data.occasions import restarts
from pkpd.data.regimen import Regimen
from pkpd.errors import DataError, suggestion

_NOTHING: dict[str, Any] = {
    "DV": np.nan, "LLOQ": np.nan, "ULOQ": np.nan, "SD": np.nan, "SE": np.nan, "REF": np.nan, "N": 1.0, "DVID": "",
    "MDV": 1, "CENS": 0, "ROW": -1,
}  # fmt: skip
_OF_THE_PERSON = ("ID", "ARM", "SEQUENCE", "PERIOD", "OCC")


def give(data: Dataset, regimens: Regimen | Dose | str | Mapping[str, Regimen | Dose | str], by: str) -> Dataset:
    """Add doses; see :meth:`Dataset.give`."""
    unit = data.time_unit or "h"
    if not isinstance(regimens, Mapping):
        chosen = {name: Regimen.of(regimens, unit) for name in data.ids}
    else:
        chosen = _choose(data, {str(k): Regimen.of(v, unit) for k, v in regimens.items()}, by)
    blocks: list[dict[str, np.ndarray]] = []
    for subject in data:
        if subject.id in chosen:
            _one_clock(subject.data)
        own = dict(subject.data.columns) | dict(subject.data.covariates)
        if subject.id not in chosen:
            blocks.append(own)
            continue
        added = _dose_rows(subject.data, chosen[subject.id])
        together = {name: np.concatenate([added[name], column]) for name, column in own.items()}
        order = np.argsort(together["TIME"], kind="stable")
        blocks.append({name: column[order] for name, column in together.items()})
    merged = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return replace(
        data,
        columns={name: merged[name] for name in COLUMNS},
        covariates={name: merged[name] for name in data.covariates},
    )


def _one_clock(own: Dataset) -> None:
    again = restarts(own.columns["ID"], own.columns["TIME"], own.columns["EVID"])
    if len(again):
        row = own.columns["ROW"][again[0]]
        raise DataError(
            f"TIME starts again at {short(own.columns['TIME'][again[0]])}: the time of a dose does not say in "
            "which occasion it is given.",
            where=f"{own.origin}, row {row}, ID {own.ids[0]}",
            remedy="Let TIME go on, give each occasion an ID of its own, or write the doses as rows.",
        )


def _choose(data: Dataset, regimens: Mapping[str, Regimen], by: str) -> dict[str, Regimen]:
    if by not in ("ID", "ARM", "SEQUENCE"):
        raise DataError(f"`{by}` cannot say who gets which regimen.", where=data.origin,
                        expected="by is ID, ARM or SEQUENCE.", remedy="Write one of these.")  # fmt: skip
    column = data.columns[by]
    known = tuple(dict.fromkeys(column.tolist()))
    for name in regimens:
        if name not in known:
            raise DataError(
                f"nobody has {by} `{name}`.", where=data.origin, expected=f"{by}: {', '.join(known)}.",
                remedy=suggestion(name, known) or "Name one of these.",
            )  # fmt: skip
    first = {name: str(column[np.flatnonzero(data.columns["ID"] == name)[0]]) for name in data.ids}
    return {name: regimens[value] for name, value in first.items() if value in regimens}


def _dose_rows(own: Dataset, regimen: Regimen) -> dict[str, np.ndarray]:
    """Rows of doses for one person, in the columns of the data; covariates are left to be carried."""
    name = own.ids[0]
    events = own.events()
    knots = {
        covariate: dict(zip(events.time.tolist(), events.covariate_values[:, i].tolist()))
        for i, covariate in enumerate(events.covariates)
        if not np.isnan(events.covariate_values[:, i]).any()
    }
    stated = {n: u for n, u in zip(events.covariates, events.covariate_units) if u}
    plan = regimen.in_time_unit(own.time_unit) if own.time_unit else regimen
    doses = Events.from_regimens(
        [(name, plan, (), {k: v for k, v in knots.items() if any(d.per == k for d in plan)})],
        carry=own.carry, time_unit=own.time_unit, covariate_units=stated, origin=own.origin,
    )  # fmt: skip
    pick = np.flatnonzero(doses.route >= 0)
    size = len(pick)
    rows: dict[str, Any] = {column: np.full(size, value) for column, value in _NOTHING.items()}
    # What is seen of a dose comes after it: it belongs to the occasion of the next row.
    following = np.minimum(np.searchsorted(own.columns["TIME"], doses.time[pick], side="left"), own.rows - 1)
    rows |= {column: own.columns[column][following] for column in _OF_THE_PERSON}
    rows |= {
        n.upper(): getattr(doses, n)[pick] for n in ("time", "evid", "amt", "rate", "dur", "ii", "addl", "ss", "mode")
    }
    rows["ROUTE"] = np.array([doses.routes[i] for i in doses.route[pick]], dtype=str)
    default = str(own.units.get("AMT") or "")
    rows["UNIT"] = np.array([doses.units[i] or default for i in doses.dose_unit[pick]], dtype=str)
    rows |= {covariate: np.full(size, np.nan) for covariate in own.covariates}
    assert set(rows["MODE"]) <= {int(mode) for mode in Mode}
    return rows
