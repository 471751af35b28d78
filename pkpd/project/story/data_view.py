"""The data and the chosen fit as rows, series and panels: what tables and figures show of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from pkpd.plots import COLOURS
from pkpd.project.analysis import Analysis
from pkpd.project.study import Fitted
from pkpd.reporting import Column, Table

__all__ = ["DataView"]

_CURVE = 121


class DataView:
    """The rows of a data file beside what was fitted to them."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.study = analysis.study
        self.plan = analysis.study.plan
        self.time_unit = analysis.chosen.model.time_unit

    @property
    def sds(self) -> tuple[float, ...]:
        """Every assumed SD, the plan's own among them, in rising order."""
        return tuple(sorted((self.plan.spread.sd, *self.plan.spread.others)))

    @property
    def sd_text(self) -> str:
        """The assumed SD in words."""
        return f"an SD of {self.plan.spread.sd:g} {self.plan.spread.unit}"

    @property
    def headings(self) -> tuple[str, ...]:
        """Columns that name a row, as headings."""
        return tuple(name.lower() for name in (*self.plan.data.group, self.plan.data.label))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Every row of the file that is no dose, with what is known of it."""
        table, data, study = self.study.table, self.plan.data, self.study
        counts = study.counts(self.plan.rows)
        found = []
        colours = self._colours
        for i in range(study.size):
            if table["AMT"][i] is not None:
                continue
            group = tuple(str(table[name][i]) for name in data.group)
            dv = table["DV"][i]
            people = float(table["N"][i] or 1) if "N" in table else 1.0
            found.append(
                {
                    "index": i,
                    "id": table["ID"][i],
                    "time": float(table["TIME"][i]),
                    "ref": float(table["REF"][i]) if "REF" in table and table["REF"][i] is not None else None,
                    "group": group,
                    "names": (*group, str(table[data.label][i])),
                    "spoken": f"{_spoken(data.group, group)}, {data.label.lower()} {table[data.label][i]}",
                    "n": people,
                    "dv": None if dv is None else float(dv),
                    "se": self.plan.spread.sd / np.sqrt(people),
                    "fitted": bool(counts[i]),
                    "mark": str(table[data.mark][i]) if data.mark else "",
                    "source": str(table[data.source][i]) if data.source else "",
                    "colour": colours[group],
                }
            )
        return found

    @cached_property
    def _colours(self) -> dict[tuple[str, ...], str]:
        """A colour for each value of the last column that names a curve; a shade would be lost on paper."""
        table, data = self.study.table, self.plan.data
        groups = dict.fromkeys(
            tuple(str(table[n][i]) for n in data.group) for i in range(self.study.size) if table["AMT"][i] is None
        )
        kinds = list(dict.fromkeys(group[-1] for group in groups))
        palette = [COLOURS["blue"], COLOURS["vermilion"], COLOURS["green"], COLOURS["purple"]]
        return {group: palette[kinds.index(group[-1]) % len(palette)] for group in groups}

    def table(self) -> Table:
        """The data as published."""
        columns = [Column(name=name, kind="name") for name in self.headings]
        columns += [Column(name="n", digits=3), Column(name="mean change", unit=self.plan.spread.unit, decimals=1)]
        columns += [Column(name="mark", kind="name"), Column(name="source", kind="text")]
        rows = tuple((*r["names"], r["n"], r["dv"], r["mark"], r["source"]) for r in self.rows)
        return Table(
            name="data",
            caption="The published means: percent change from the score before the infusion of the same period.",
            columns=tuple(columns),
            rows=rows,
            notes=("Marks: *abstract*, printed in the abstract; *inferred*, assigned to an arm by us; *not found*, no "
                   "published value.",),
        )  # fmt: skip

    def series(self) -> list[dict[str, Any]]:
        """The published means by curve, for the plot of the raw data."""
        markers = ("o", "s", "^", "D", "v", "P")
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for row in self.rows:
            if row["dv"] is None:
                continue
            one = found.setdefault(
                row["group"],
                {
                    "name": _spoken(self.plan.data.group, row["group"]),
                    "n": f"{row['n']:g}",
                    "colour": row["colour"],
                    "marker": markers[len(found) % len(markers)],
                    "x": [],
                    "y": [],
                    "se": [],
                    "known": [],
                },
            )
            one["x"].append(float(row["names"][-1]))
            one["y"].append(row["dv"])
            one["se"].append(row["se"])
            one["known"].append(row["fitted"])
        return list(found.values())

    # ---------------------------------------------------------------------------------------------- with predictions

    def fit_rows(self) -> list[dict[str, Any]]:
        """The fitted rows with prediction and weighted residual."""
        predicted = self._predicted(self.analysis.chosen)
        return [
            {**row, "pred": predicted[k], "wres": (row["dv"] - predicted[k]) / row["se"]}
            for k, row in enumerate(self.rows)
            if row["fitted"]
        ]

    def prediction_rows(self) -> list[dict[str, Any]]:
        """The rows that were not fitted, with prediction."""
        predicted = self._predicted(self.analysis.chosen)
        return [{**row, "pred": predicted[k]} for k, row in enumerate(self.rows) if not row["fitted"]]

    def _predicted(self, fitted: Fitted) -> np.ndarray:
        """Change that a model predicts for every row, fitted or not."""
        found = np.full(len(self.rows), np.nan)
        for subject in dict.fromkeys(row["id"] for row in self.rows):
            own = [k for k, row in enumerate(self.rows) if row["id"] == subject]
            times = sorted({t for k in own for t in (self.rows[k]["time"], self.rows[k]["ref"]) if t is not None})
            level = dict(zip(times, self.study.curve(fitted, subject, times), strict=True))
            for k in own:
                row = self.rows[k]
                now = level[row["time"]]
                found[k] = now if row["ref"] is None else 100 * (now / level[row["ref"]] - 1)
        return found

    def predictions(self, fitted: Fitted) -> dict[int, float]:
        """The same, by row of the file."""
        return {row["index"]: value for row, value in zip(self.rows, self._predicted(fitted), strict=True)}

    def focus_points(self) -> dict[str, Any]:
        """The data of the curve in focus."""
        focus = self.plan.focus
        inside = [
            row
            for row in self.rows
            if row["id"] == focus.subject and row["dv"] is not None and focus.start <= row["time"] <= focus.until
        ]
        return _points(inside, focus.start)

    def panels(self) -> list[dict[str, Any]]:
        """One panel a curve: the chosen model, the other candidates, the data."""
        found = []
        groups = dict.fromkeys(row["group"] for row in self.rows)
        for group in groups:
            rows = [row for row in self.rows if row["group"] == group]
            start = rows[0]["ref"] if rows[0]["ref"] is not None else 0.0
            until = max(row["time"] for row in rows)
            times = np.linspace(start, until, _CURVE)

            def change(fitted: Fitted, subject: str = rows[0]["id"], times: np.ndarray = times) -> np.ndarray:
                level = self.study.curve(fitted, subject, list(times))
                return 100 * (level / level[0] - 1)

            found.append(
                {
                    "title": _spoken(self.plan.data.group, group),
                    "times": times - start,
                    "until": until - start,
                    "curve": change(self.analysis.chosen),
                    "others": [change(one) for key, one in self.analysis.compared.items() if key != self.plan.model],
                    "colour": rows[0]["colour"],
                    **_points([row for row in rows if row["dv"] is not None], start),
                }
            )
        return found


def _points(rows: list[dict[str, Any]], start: float) -> dict[str, Any]:
    return {
        "x": np.array([row["time"] - start for row in rows]),
        "y": np.array([row["dv"] for row in rows], dtype=float),
        "se": np.array([row["se"] for row in rows]),
        "known": [row["fitted"] for row in rows],
    }


def _spoken(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """A curve in words: numbers get the name of their column in front of them."""
    said = [f"{name.lower()} {value}" if value.isdigit() else value for name, value in zip(names, values, strict=True)]
    return f"{', '.join(said[:-1])}: {said[-1]}" if len(said) > 1 else said[0]
