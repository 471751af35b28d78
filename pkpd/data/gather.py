"""Rows of events, gathered subject by subject from regimens, observation times and covariates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pkpd.data.covariates import at_times
from pkpd.data.dose import Dose, is_number, resolve
from pkpd.data.events import ROW_FIELDS, Events, Evid, Mode
from pkpd.data.regimen import Regimen
from pkpd.errors import DataError


@dataclass(slots=True)
class Rows:
    """Rows while they are gathered, one subject after the other."""

    covariates: tuple[str, ...]
    outputs: tuple[str, ...] | None
    subjects: list[str] = field(default_factory=list)
    start: list[int] = field(default_factory=lambda: [0])
    blocks: list[dict[str, np.ndarray]] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    routes: dict[str, int] = field(default_factory=dict)
    units: dict[str | None, int] = field(default_factory=dict)

    def add_subject(
        self,
        name: str,
        regimen: Regimen,
        times: Iterable[float],
        covariates: Mapping[str, Any],
        carry: str,
        covariate_units: Mapping[str, str],
        where: str,
    ) -> None:
        """Add the rows of one person."""
        observed = _observation_times(times, where)
        knots = {c: _knots(c, value, where) for c, value in covariates.items()}
        changes = np.unique([t for known in knots.values() if len(known) > 1 for t in known])
        doses = self._doses(regimen, knots, carry, covariate_units, where)
        if not any(t <= 0 for t in (*changes, *(dose.time for dose in doses), *observed)):
            # The clock of a regimen starts at 0, where the states have their initial values.
            changes = np.concatenate([[0.0], changes])
        each = 1 if self.outputs is None else len(self.outputs)
        counts = (len(changes), len(doses), len(observed) * each)
        block = {n: np.zeros(sum(counts), dtype=kind) for n, kind in ROW_FIELDS.items()}
        block["source_row"][:] = -1
        for name_ in ("route", "dose_unit", "output"):
            block[name_][:] = -1
        first, last = counts[0], counts[0] + counts[1]
        block["evid"][:first] = Evid.OTHER
        block["time"][:first] = changes
        block["evid"][first:last] = Evid.DOSE
        for row, dose in enumerate(doses, start=first):
            self._write(block, row, dose)
        block["time"][last:] = np.repeat(observed, each)
        if self.outputs is not None:
            block["output"][last:] = np.tile(np.arange(each), len(observed))
        order = np.argsort(block["time"], kind="stable")
        block = {n: column[order] for n, column in block.items()}
        values = np.full((sum(counts), len(self.covariates)), np.nan)
        for column, covariate in enumerate(self.covariates):
            if covariate in knots:
                values[:, column] = at_times(knots[covariate], block["time"], carry)
        self.subjects.append(name)
        self.start.append(self.start[-1] + sum(counts))
        self.blocks.append(block)
        self.values.append(values)

    def _doses(
        self,
        regimen: Regimen,
        knots: Mapping[str, dict[float, float]],
        carry: str,
        covariate_units: Mapping[str, str],
        where: str,
    ) -> list[Dose]:
        absolute = []
        for dose in regimen:
            varies = dose.per is not None and len(knots.get(dose.per, {})) > 1
            for single in dose.expand() if varies else (dose,):
                now = np.array([single.time])
                in_force = {c: float(at_times(known, now, carry)[0]) for c, known in knots.items()}
                absolute.append(resolve(single, in_force, covariate_units, where))
        return absolute

    def _write(self, block: dict[str, np.ndarray], row: int, dose: Dose) -> None:
        block["time"][row] = dose.time
        block["amt"][row] = dose.amount
        block["ii"][row] = dose.every or 0.0
        block["addl"][row] = dose.addl
        block["ss"][row] = dose.ss
        block["route"][row] = self.routes.setdefault(dose.route or "", len(self.routes))
        block["dose_unit"][row] = self.units.setdefault(dose.unit, len(self.units))
        if dose.rate is not None:
            block["mode"][row], block["rate"][row] = Mode.RATE, dose.rate
        elif dose.over is not None:
            block["mode"][row], block["dur"][row] = (Mode.DURATION, dose.over) if dose.over else (Mode.BOLUS, 0.0)

    def events(self, **meta: Any) -> Events:
        """Put all rows together."""
        columns: dict[str, Any] = {
            name: np.concatenate([block[name] for block in self.blocks]) if self.blocks else np.zeros(0, dtype=kind)
            for name, kind in ROW_FIELDS.items()
        }
        values = np.concatenate(self.values) if self.values else np.zeros((0, len(self.covariates)))
        return Events(
            subjects=tuple(self.subjects),
            start=np.array(self.start),
            routes=tuple(self.routes),
            units=tuple(self.units),
            outputs=self.outputs or (),
            covariates=self.covariates,
            covariate_values=values,
            **columns,
            **meta,
        )


def _observation_times(times: Iterable[float], where: str) -> np.ndarray:
    observed = np.asarray(list(times) if not isinstance(times, np.ndarray) else times, dtype=float).reshape(-1)
    if not np.isfinite(observed).all():
        bad = observed[~np.isfinite(observed)][0]
        raise DataError(
            f"an observation time is {bad}.",
            where=where,
            expected="Times are finite numbers.",
            remedy="Give the times at which to observe as numbers.",
        )
    return np.sort(observed)


def _knots(name: str, value: Any, where: str) -> dict[float, float]:
    known = dict(value) if isinstance(value, Mapping) else {0.0: value}
    if not known or not all(is_number(v) and is_number(t) for t, v in known.items()):
        raise DataError(
            f"covariate {name} is {value!r}.",
            where=where,
            expected="A covariate is a number, or {time: number, ...}.",
            remedy=f"Give {name} as a number.",
        )
    return {float(t): float(v) for t, v in known.items()}
