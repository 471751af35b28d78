"""Fits of one folder: candidates and cases become models and data sets, and these become results."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pkpd.errors import FitFileError, raise_all, suggestion
from pkpd.project.plan import Candidate, Case, Plan

if TYPE_CHECKING:
    from pkpd.data import Dataset
    from pkpd.estimation import Fit
    from pkpd.estimation.coordinates import Coordinates
    from pkpd.estimation.objective import Objective
    from pkpd.likelihood import Problem
    from pkpd.model import Model

__all__ = ["Fitted", "Study", "Table"]

Table = dict[str, list[Any]]
MISSING = ("", ".", "NA")


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """One candidate (or a changed one), fitted.

    Parameters
    ----------
    name, title, short
        What it is called: in files, in tables, in legends.
    candidate
        What was fitted.
    model
        With the estimates as typical values.
    dataset, fit
        What it was fitted to, and the result.
    rows
        Name of the choice of rows.
    """

    name: str
    title: str
    short: str
    candidate: Candidate
    rows: str
    model: Model
    dataset: Dataset
    fit: Fit
    routes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def problem(self) -> Problem:
        """Model and data, together."""
        from pkpd.likelihood import make_problem

        return make_problem(self.model, self.dataset)

    @cached_property
    def coordinates(self) -> Coordinates:
        """The parameters, and which of them are free."""
        from pkpd.estimation.coordinates import Coordinates

        return Coordinates.of(self.problem, residuals_free=False)

    @cached_property
    def objective(self) -> Objective:
        """The weighted residuals as a function of the free parameters."""
        from pkpd.estimation.objective import Objective

        return Objective(self.problem, self.coordinates)

    @property
    def z(self) -> np.ndarray:
        """Estimates of the free parameters on the estimation scale, (F,)."""
        return self.coordinates.forward(self.coordinates.initial)[self.coordinates.free]

    @property
    def free(self) -> tuple[str, ...]:
        """Names of what was estimated."""
        return self.coordinates.free_names

    @cached_property
    def misfit(self) -> float:
        """Sum of squared weighted residuals: chi-squared, if the assumed standard deviation is right."""
        rows = self.objective.residuals(self.z)
        return float(rows @ rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A plan and its folder, ready to be worked through."""

    folder: Path
    plan: Plan

    @cached_property
    def table(self) -> Table:
        """The data file as texts by column; None where a cell is missing."""
        path = self.folder / self.plan.data.file
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.DictReader(line for line in lines if not line.lstrip().startswith("#"))
                rows = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FitFileError(
                f"the data cannot be read: {error}.",
                where=str(path),
                expected="A CSV file in UTF-8, with column names in its first line.",
                remedy="Check `file` under [data].",
            ) from error
        names = list(reader.fieldnames or ())
        if not rows:
            raise FitFileError("the data are empty.", where=str(path), remedy="Check `file` under [data].")
        return {name: [None if (cell := row[name]) in (*MISSING, None) else cell for row in rows] for name in names}

    def check(self) -> None:
        """Refuse a plan that asks for what its data or the chosen model do not have.

        Raises
        ------
        FitFileError
            All that is wrong is listed.
        """
        from pkpd.project.soundness import findings

        found = findings(self)
        if found:
            raise_all(FitFileError, found)

    def column(self, name: str) -> list[Any]:
        """A column of the data file.

        Raises
        ------
        FitFileError
            There is no such column.
        """
        if name not in self.table:
            raise FitFileError(
                f"the data have no column `{name}`.",
                where=str(self.folder / self.plan.data.file),
                expected=f"Columns: {', '.join(self.table)}.",
                remedy=suggestion(name, self.table) or "Name one of these in fit.toml.",
            )
        return self.table[name]

    @cached_property
    def size(self) -> int:
        """Number of rows of the data file."""
        return len(next(iter(self.table.values())))

    def counts(self, rows: str) -> np.ndarray:
        """Which rows of the data file are fitted, (R,) bool: observations of the chosen kind."""
        chosen = np.array([cell is not None for cell in self.column("DV")])
        if "MDV" in self.table:
            chosen &= np.array([cell in (None, "0") for cell in self.table["MDV"]])
        for name, values in self.plan.row_sets[rows].where.items():
            chosen &= np.array([cell in values for cell in self.column(name)])
        return chosen

    def columns(self, rows: str, sd: float, routes: Mapping[str, str]) -> Table:
        """The data as a fit takes them: rows that do not count are set aside, the assumed SD stands in SD."""
        counts = self.counts(rows)
        dosing = np.array([cell is not None for cell in self.column("AMT")])
        text = {self.plan.data.mark, self.plan.data.source}
        table = {name: list(cells) for name, cells in self.table.items() if name not in text}
        table["MDV"] = [None if dose else "0" if count else "1" for dose, count in zip(dosing, counts, strict=True)]
        table["SD"] = [str(sd) if count else None for count in counts]
        if "ROUTE" in table:
            table["ROUTE"] = [routes.get(cell, cell) if cell else None for cell in table["ROUTE"]]
        return table

    def dataset(self, table: Table) -> Dataset:
        """Read such columns."""
        from pkpd.data import read_data

        known = {name: unit for name, unit in self.plan.data.units.items() if name in table}
        constant = {
            name: [repr(value)] * len(next(iter(table.values()))) for name, value in self.plan.data.assumed.items()
        }
        return read_data({**table, **constant}, units=known)

    @cached_property
    def _models(self) -> dict[str, Model]:
        return {}

    @cached_property
    def _fits(self) -> dict[tuple[Any, ...], tuple[Dataset, Fit]]:
        return {}

    def model(self, candidate: Candidate) -> Model:
        """The model of a candidate, with what it holds and frees."""
        from pkpd import library

        if candidate.file not in self._models:
            path = self.folder / candidate.file
            self._models[candidate.file] = library.load(path if candidate.file.endswith(".toml") else candidate.file)
        model = self._models[candidate.file]
        held = [n for n in model.parameters if any(fnmatchcase(n, pattern) for pattern in self.plan.hold)]
        if held:
            model = model.fix(*held)
        if candidate.free:
            model = model.free(*candidate.free)
        values = {**candidate.start, **candidate.fix}
        if values:
            model = model.set(values)
        return model.fix(*candidate.fix) if candidate.fix else model

    def fit(self, key: str, *, case: Case | None = None, interval: Literal["wald", "profile"] = "wald") -> Fitted:
        """Fit a candidate, as it is or as a case changes it.

        Parameters
        ----------
        key
            Name of the candidate.
        case
            What is different.
        interval
            How the confidence intervals of the estimates are made.
        """
        from pkpd.estimation import Pooled, fit

        plan = self.plan
        candidate = plan.candidates[key]
        rows = plan.rows
        title, short = candidate.title, candidate.short or candidate.title
        if case is not None:
            near = {**candidate.start, **case.start}
            fixed = {**{n: v for n, v in candidate.fix.items() if n not in case.free}, **case.fix}
            free = tuple(n for n in (*candidate.free, *case.free) if n not in case.fix)
            candidate = replace(candidate, free=free, fix=fixed, start=near)
            rows, title, short = case.rows or rows, case.name, case.name
        model = self.model(candidate)
        # A case that changes nothing, such as the middle of a row of values, is the same fit.
        same = (model.hash, rows, tuple(candidate.routes.items()), interval if case is None else "wald")
        if same not in self._fits and (*same[:-1], "profile") in self._fits:
            same = (*same[:-1], "profile")
        if same not in self._fits:
            data = self.dataset(self.columns(rows, plan.spread.sd, candidate.routes))
            search = Pooled(
                error="known",
                interval=interval,
                method=plan.search.method,
                starts=plan.search.starts,
                seed=plan.seed,
                spread=plan.search.spread,
            )
            self._fits[same] = data, fit(model, data, search)
        data, found = self._fits[same]
        values = _values(found)
        fitted = model.set({name: value for name, value in values.items() if name in model.parameters})
        return Fitted(
            name=key if case is None else f"{key}: {case.name}",
            title=title,
            short=short,
            candidate=candidate,
            rows=rows,
            model=fitted,
            dataset=data,
            fit=found,
            routes=candidate.routes,
        )

    # ------------------------------------------------------------------------------------------------- predictions

    def rows_of(
        self, subject: str, times: Sequence[float] | np.ndarray, *, remove: Sequence[str], routes: Mapping[str, str]
    ) -> Table:
        """The doses of one subject with other times of observation, as columns.

        An observation at the time of a dose comes before it: a change is counted from what was there. Covariates and
        the period of a new time are those of the last row of the file that is not later.
        """
        ids, when = self.column("ID"), [float(t) for t in self.column("TIME")]
        own = [i for i in range(self.size) if ids[i] == subject]
        doses = [i for i in own if self.column("AMT")[i] is not None]
        removed = [self.column("ROUTE")[i] in remove if "ROUTE" in self.table else False for i in doses]
        blank = {"AMT", "DUR", "RATE", "ROUTE", "CMT", "DV", "II", "ADDL", "SS", "EVID", "MDV"}
        skip = {self.plan.data.mark, self.plan.data.source, "REF", "N", "SD", "SE"}
        rows: list[tuple[float, int, dict[str, Any]]] = []
        for i, gone in zip(doses, removed, strict=True):
            if not gone:
                row = {n: cells[i] for n, cells in self.table.items() if n not in skip}
                if row.get("ROUTE"):
                    row["ROUTE"] = routes.get(row["ROUTE"], row["ROUTE"])
                rows.append((when[i], 1, row))
        for t in times:
            before = [i for i in own if when[i] <= t] or own[:1]
            row = {n: None if n in blank else cells[before[-1]] for n, cells in self.table.items() if n not in skip}
            rows.append((float(t), 0, {**row, "TIME": repr(float(t))}))
        rows.sort(key=lambda r: r[:2])
        names = [n for n in self.table if n not in skip and n not in ("EVID", "MDV")]
        table = {n: [row[n] for _, _, row in rows] for n in names}
        table["EVID"] = [str(kind) for _, kind, _ in rows]
        table["MDV"] = ["1"] * len(rows)
        return table

    def curve(
        self, fitted: Fitted, subject: str, times: Sequence[float] | np.ndarray, *, remove: Sequence[str] = ()
    ) -> np.ndarray:
        """What the model predicts of the observed output for one subject at other times, (T,)."""
        return Predictor(self, fitted, subject, times, removals=(tuple(remove),)).values()[0]


class Predictor:
    """The observed output of one subject at given times, as a function of the parameters, with some doses taken away.

    Parameters
    ----------
    study, fitted
        The data, and the model with its names of routes.
    subject
        Whose doses are given.
    times
        T times, in the model's unit.
    removals
        V lists of routes whose doses are not given; ``()`` gives all.
    """

    def __init__(
        self,
        study: Study,
        fitted: Fitted,
        subject: str,
        times: Sequence[float] | np.ndarray,
        *,
        removals: Sequence[Sequence[str]] = ((),),
    ) -> None:
        from pkpd.engine import bind, compile_model

        self.model = fitted.model
        self.shape = (len(removals), len(times))
        self.program = compile_model(self.model)
        tables = [study.rows_of(subject, times, remove=r, routes=fitted.routes) for r in removals]
        for number, table in enumerate(tables, start=1):
            table["ID"] = [f"{subject} ({number})"] * len(table["ID"])
        together = {name: [cell for table in tables for cell in table[name]] for name in tables[0]}
        self.method = "auto"
        self.schedule = bind(self.program, study.dataset(together).events())
        self.place = list(self.program.observables).index(study.plan.observe)
        self.order = [list(self.model.parameters).index(name) for name in self.program.parameters]

    def at(self, natural: np.ndarray, *, by: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Values (V, T) at natural parameter values (P,) in the model's order, and derivatives by some (V, T, B)."""
        from pkpd.engine import predict

        values = np.tile(natural[self.order], (self.shape[0], 1))
        answer = predict(self.program, self.schedule, values, sensitivities=tuple(by), method=self.method)
        answer.raise_failures()
        if set(answer.method) == {"rosenbrock"}:
            self.method = "rosenbrock"  # what was stiff once is not tried otherwise again
        f = answer.f[:, self.place] if answer.f.ndim == 2 else answer.f
        df = np.zeros((f.size, 0)) if answer.df is None else answer.df
        df = df[:, self.place] if df.ndim == 3 else df
        return f.reshape(self.shape), df.reshape(*self.shape, -1)

    def values(self) -> np.ndarray:
        """Values (V, T) at the estimates."""
        return self.at(np.array([p.typical for p in self.model.parameters.values()], dtype=float))[0]


def _values(found: Fit) -> dict[str, float]:
    estimates = found.estimates
    return dict(zip(map(str, estimates["parameter"].values), map(float, estimates["value"].values), strict=True))
