"""What was given to whom, and what was seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pkpd.data.covariates import MEANING as CARRY
from pkpd.data.covariates import check_carry, fill
from pkpd.data.dose import Dose
from pkpd.data.events import Events, Evid, Mode
from pkpd.data.layout import count, html_table, short, text_table
from pkpd.data.occasions import running_time
from pkpd.data.regimen import Regimen
from pkpd.errors import DataError, suggestion

OBSERVED = (
    "ID", "TIME", "DV", "DVID", "MDV", "CENS", "LLOQ", "ULOQ", "ARM", "PERIOD", "SEQUENCE", "OCC", "N", "SD", "SE",
    "REF", "ROW",
)  # fmt: skip
COLUMNS = (*OBSERVED, "EVID", "AMT", "RATE", "DUR", "II", "ADDL", "SS", "MODE", "ROUTE", "UNIT")
_WHOLE = ("MDV", "CENS", "PERIOD", "OCC", "ROW", "EVID", "ADDL", "SS", "MODE")
_TEXT = ("ID", "DVID", "ARM", "SEQUENCE", "ROUTE", "UNIT")
PRINTED = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Records of people: doses, observations, covariates, and the file they came from.

    Made by :func:`read_data`. Rows of one subject lie together, in order of time; only a reset (EVID 3 or 4) may let
    TIME start again. All arrays are read-only; R is the number of rows, C of covariates.

    Parameters
    ----------
    columns : mapping of str to (R,) array
        ID, DVID, ARM, SEQUENCE, ROUTE, UNIT as text (empty where nothing is said); EVID, MDV, CENS, PERIOD, OCC, ADDL,
        SS, MODE and ROW (row of the file, -1 where there is none) as int; TIME, DV, LLOQ, ULOQ, N, SD, SE, REF, AMT,
        RATE, DUR, II as float (NaN where an observation says nothing; 0 where a dose does).
    covariates : mapping of str to (R,) float array
        As written, NaN in the gaps.
    units : mapping
        Unit of a column; that of DV is text, or a mapping from DVID to text.
    carry : "nocb", "locf" or "linear"
        How covariates hold between rows.
    origin : str
        Name of the file, for messages.
    path : Path or None
    sha256 : str
        Hash of the file's bytes; of the cells of a table that was in memory.
    notes : tuple of str
        What reading had to assume or translate.
    """

    columns: Mapping[str, np.ndarray]
    covariates: Mapping[str, np.ndarray]
    units: Mapping[str, Any]
    carry: str
    origin: str
    path: Path | None
    sha256: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_carry(self.carry, self.origin)
        object.__setattr__(self, "columns", _frozen({name: _typed(name, self.columns[name]) for name in COLUMNS}))
        object.__setattr__(self, "covariates", _frozen({n: v.astype(float) for n, v in self.covariates.items()}))
        object.__setattr__(self, "units", MappingProxyType(dict(self.units)))

    # -- people -------------------------------------------------------------------------------------------------------

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the subjects, in order."""
        return tuple(dict.fromkeys(self.columns["ID"].tolist()))

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The subjects, in order."""
        return tuple(self)

    def __len__(self) -> int:
        """Count the subjects; ``data.rows`` counts the rows."""
        return len(self.ids)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns["ID"])

    def __iter__(self) -> Iterator[Subject]:
        start = self._start()
        return (
            Subject(id=name, data=self._rows(slice(first, end)))
            for name, first, end in zip(self.ids, start[:-1], start[1:])
        )

    def __contains__(self, name: object) -> bool:
        return str(name) in self.ids

    def __getitem__(self, who: str | int | Sequence[str | int]) -> Dataset:
        """Give the data of one subject, or of several, by ID."""
        wanted = [str(who)] if isinstance(who, (str, int, np.integer)) else [str(name) for name in who]
        known = self.ids
        for name in wanted:
            if name not in known:
                raise DataError(
                    f"there is no subject `{name}`.",
                    where=self.origin,
                    expected=f"Subjects: {_listed(known)}.",
                    remedy=suggestion(name, known) or "Name one of these.",
                )
        return self._rows(np.flatnonzero(np.isin(self.columns["ID"], wanted)))

    def _start(self) -> np.ndarray:
        """Row offsets of the subjects, (S + 1,)."""
        names = self.columns["ID"]
        return np.concatenate(
            [[0], np.flatnonzero(names[1:] != names[:-1]) + 1, [len(names)]][: None if len(names) else 1]
        )

    def _rows(self, rows: np.ndarray | slice) -> Dataset:
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            covariates={name: column[rows] for name, column in self.covariates.items()},
        )

    # -- what is in it ------------------------------------------------------------------------------------------------

    @property
    def observations(self) -> Mapping[str, np.ndarray]:
        """Columns of the rows with EVID 0, in the order of :attr:`Events.records`.

        ID, TIME, DV, DVID, MDV, CENS, LLOQ, ULOQ, ARM, PERIOD, SEQUENCE, OCC, N, SD, SE, REF, ROW; a row with MDV 1 is
        predicted and does not count. DVID is ``""`` for the only output, ``"#1"`` for number 1, else a name.
        """
        seen = self.columns["EVID"] == Evid.OBSERVATION
        return _frozen({name: self.columns[name][seen] for name in OBSERVED})

    @property
    def time_unit(self) -> str | None:
        """Unit of TIME, if it was stated."""
        return self.units.get("TIME")

    @property
    def clock(self) -> np.ndarray:
        """(R,) float array: TIME, going on where a reset (EVID 3 or 4) lets it start again.

        The new occasion begins where the one before ended; what is after it keeps its distances.
        """
        return running_time(self.columns["ID"], self.columns["TIME"], self.columns["EVID"])

    def dv_unit(self, dvid: str = "") -> str | None:
        """Give the unit of DV for an output (named as in column DVID), if it was stated."""
        stated = self.units.get("DV")
        if isinstance(stated, Mapping):
            return stated.get(dvid, stated.get(dvid.lstrip("#")))
        return stated

    @property
    def digest(self) -> str:
        """Hash (sha256) of what is in it: equal for equal data, whatever file they came from."""
        seal = hashlib.sha256()
        for name, column in [*sorted(self.columns.items()), *sorted(self.covariates.items())]:
            if name != "ROW":
                seal.update(f"{name}|{column.astype(str).tolist()}".encode())
        seal.update(f"{self.carry}|{sorted((k, str(v)) for k, v in self.units.items())}".encode())
        return seal.hexdigest()

    def events(self) -> Events:
        """Give the rows as an engine walks them: on a clock that runs on (:attr:`clock`), covariates carried.

        PERIOD and OCC are covariates too, for models that name them.
        """
        c, time = self.columns, self.clock
        dosing = np.isin(c["EVID"], (Evid.DOSE, Evid.RESET_DOSE))
        start = self._start()
        routes, route = _index(c["ROUTE"], dosing)
        units, unit = _index(c["UNIT"], dosing)
        outputs, output = _index(c["DVID"], c["EVID"] == Evid.OBSERVATION)
        named = dict(self.covariates)
        for name in ("PERIOD", "OCC"):  # whole numbers from 1 on; 0 says nothing
            if name not in named and c[name].any():
                named[name] = np.where(c[name] == 0, np.nan, c[name])
        raw = np.column_stack(list(named.values())) if named else np.zeros((self.rows, 0))
        return Events(
            subjects=self.ids, start=start, time=time, evid=c["EVID"], amt=c["AMT"], rate=np.maximum(c["RATE"], 0),
            dur=c["DUR"], ii=c["II"], addl=c["ADDL"], ss=c["SS"], mode=c["MODE"], route=route, dose_unit=unit,
            output=output, source_row=c["ROW"], routes=routes, units=tuple(name or None for name in units),
            outputs=outputs, covariates=tuple(named), covariate_values=fill(raw, start, self.carry, time),
            covariate_units=tuple(self.units.get(name) for name in named), carry=self.carry,
            time_unit=self.time_unit, origin=self.origin,
        )  # fmt: skip

    # -- other data sets from it --------------------------------------------------------------------------------------

    def exclude(self, rows: Iterable[int]) -> Dataset:
        """Give the same data with the observations of some rows (of the file) not counted: MDV 1.

        Raises
        ------
        DataError
            If a row is not an observation.
        """
        wanted = np.array(sorted(set(rows)), dtype=int)
        seen = self.columns["ROW"][self.columns["EVID"] == Evid.OBSERVATION]
        for row in wanted[~np.isin(wanted, seen)]:
            raise DataError(
                f"row {row} is not an observation.", where=self.origin,
                expected=f"Rows of observations: {_listed([str(r) for r in seen])}.", remedy="Name one of these.",
            )  # fmt: skip
        mdv = np.where(np.isin(self.columns["ROW"], wanted), 1, self.columns["MDV"])
        return replace(self, columns={**self.columns, "MDV": mdv})

    def give(self, regimens: Regimen | Dose | str | Mapping[str, Regimen | Dose | str], *, by: str = "ID") -> Dataset:
        """Give the same data with doses added: one regimen for all, or one for each value of the column `by`.

        Doses come before observations at the same time, and belong to the arm, period and occasion of the next row. A
        dose per kg takes each subject's own covariate.

        Parameters
        ----------
        regimens : Regimen, Dose or str, or a mapping to these
            Text has its times converted to the unit of TIME (h if none was stated).
        by : "ID", "ARM" or "SEQUENCE"
            What the keys of a mapping are.

        Raises
        ------
        DataError
            If the mapping names nobody, or `by` is no such column.
        DoseError
            If a dose cannot be resolved.
        """
        from pkpd.data.giving import give

        return give(self, regimens, by)

    # -- printing -----------------------------------------------------------------------------------------------------

    def table(self) -> dict[str, list[str]]:
        """Give the rows as text by column; columns that say nothing are left out."""
        c = self.columns
        dosing = np.isin(c["EVID"], (Evid.DOSE, Evid.RESET_DOSE))
        seen = c["EVID"] == Evid.OBSERVATION
        texts: dict[str, list[str]] = {"ID": c["ID"].tolist()}
        for name in ("ARM", "SEQUENCE", "PERIOD", "OCC"):
            texts[name] = [short(v) if v else "." for v in c[name].tolist()]
        texts["TIME"] = [short(v) for v in c["TIME"]]
        texts["EVID"] = [str(v) for v in c["EVID"]]
        for name in ("AMT", "ROUTE", "UNIT", "RATE", "DUR", "II", "ADDL", "SS"):
            texts[name] = [short(v) if d and v else "." for v, d in zip(c[name].tolist(), dosing)]
        for name in ("DV", "DVID", "LLOQ", "ULOQ", "SD", "SE", "REF"):
            texts[name] = [short(v) if s else "." for v, s in zip(c[name].tolist(), seen)]
        texts["CENS"] = [str(v) if s and v else "." for v, s in zip(c["CENS"], seen)]
        texts["N"] = [short(v) if s and v != 1 else "." for v, s in zip(c["N"], seen)]
        texts["MDV"] = [str(v) if s and v else "." for v, s in zip(c["MDV"], seen)]
        for name, values in self.covariates.items():
            texts[name] = [short(v) for v in values]
        return {n: cells for n, cells in texts.items() if n in ("ID", "TIME", "EVID") or set(cells) - {"."}}

    def summary(self) -> str:
        """Say in one line how much there is."""
        evid = self.columns["EVID"]
        observed = int(((evid == Evid.OBSERVATION) & (self.columns["MDV"] == 0)).sum())
        lines = np.isin(evid, (Evid.DOSE, Evid.RESET_DOSE))
        doses = int(lines.sum() + self.columns["ADDL"][lines].sum())
        return ", ".join(
            [
                count(len(self), "subject"),
                count(self.rows, "row"),
                count(doses, "dose"),
                count(observed, "observation"),
            ]
        )

    def __repr__(self) -> str:
        return f"Dataset({self.origin}: {self.summary()})"

    def __str__(self) -> str:
        lines = [f"{self.origin}: {self.summary()}"]
        if self.covariates:
            named = ", ".join(map(self._range, self.covariates))
            lines.append(f"Covariates between rows ({self.carry}: {CARRY[self.carry]}): {named}")
        if self.units:
            lines.append("Units: " + ", ".join(f"{name} {_unit_text(unit)}" for name, unit in self.units.items()))
        lines += [f"Note: {note}" for note in self.notes]
        head = self._rows(slice(PRINTED)).table()
        lines.append(text_table(head, left=("ID", "ARM", "SEQUENCE", "ROUTE", "DVID")))
        if self.rows > PRINTED:
            lines.append(f"… {self.rows - PRINTED} more rows")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_table(self._rows(slice(PRINTED)).table(), f"{self.origin}: {self.summary()}")

    def _range(self, name: str) -> str:
        values = self.covariates[name][~np.isnan(self.covariates[name])]
        if not len(values):
            return f"{name} missing"
        low, high = values.min(), values.max()
        unit = f" {self.units[name]}" if name in self.units else ""
        return f"{name} {short(low)}{unit}" if low == high else f"{name} {short(low)} to {short(high)}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One person of a data set.

    Parameters
    ----------
    id : str
        Name.
    data : Dataset
        This person's rows.
    """

    id: str
    data: Dataset

    @property
    def regimen(self) -> Regimen:
        """What this person was given, in the time unit of the data, on a clock that runs on.

        Resets are not part of a regimen.
        """
        c, time = self.data.columns, self.data.clock
        doses = []
        for row in np.flatnonzero(np.isin(c["EVID"], (Evid.DOSE, Evid.RESET_DOSE))):
            mode = c["MODE"][row]
            over = c["DUR"][row] if mode == Mode.DURATION else 0.0 if mode == Mode.BOLUS else None
            repeated = c["ADDL"][row] > 0 or c["SS"][row] > 0
            doses.append(
                Dose(
                    c["AMT"][row], time=time[row], route=str(c["ROUTE"][row]) or None,
                    unit=str(c["UNIT"][row]) or None, over=over, rate=c["RATE"][row] if mode == Mode.RATE else None,
                    every=(c["II"][row] or None) if repeated else None, n=int(c["ADDL"][row]) + 1, ss=int(c["SS"][row]),
                )
            )  # fmt: skip
        return Regimen(tuple(doses), time_unit=self.data.time_unit)

    @property
    def covariates(self) -> dict[str, float]:
        """Covariates in force at the first row; NaN where there is no value at all."""
        events = self.data.events()
        return {
            name: float(events.covariate_values[0, i])
            for i, name in enumerate(events.covariates)
            if name in self.data.covariates
        }

    @property
    def observations(self) -> Mapping[str, np.ndarray]:
        """Columns of this person's observations, as :attr:`Dataset.observations`."""
        return self.data.observations

    def __repr__(self) -> str:
        return f"Subject({self.id}: {self.data.summary()})"

    def __str__(self) -> str:
        return str(self.data)


def _typed(name: str, column: np.ndarray) -> np.ndarray:
    return column.astype(np.int64 if name in _WHOLE else str if name in _TEXT else float)


def _frozen(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    for column in columns.values():
        column.setflags(write=False)
    return MappingProxyType(dict(columns))


def _index(names: np.ndarray, used: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Give numbers to the names of the rows that use them, in order of appearance; -1 on the others."""
    known: dict[str, int] = {}
    index = np.array([known.setdefault(str(n), len(known)) if u else -1 for n, u in zip(names, used)], dtype=np.int64)
    return tuple(known), index


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")


def _unit_text(unit: Any) -> str:
    return ", ".join(f"{k}: {v}" for k, v in unit.items()) if isinstance(unit, Mapping) else str(unit)
