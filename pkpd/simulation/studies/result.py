"""What a study found: tables, and everything behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.layout import html_table, short, text_table
from pkpd.estimation.replicates import SOUND
from pkpd.estimation.result import Result

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Study"]

FORMAT = "pkpd study 1"
#: Failures that are printed; all of them: `Study.failures`.
_LISTED = 20
_LEFT = ("PARAMETER", "STATUS", "REASON", "ESTIMATOR", "MODEL", "LAW")
_PRECISION = {
    "TRUTH": "truth", "MEAN": "mean", "BIAS": "bias", "±": "bias_error", "BIAS %": "relative_bias", "RMSE": "rmse",
    "SD": "sd", "MEAN SE": "mean_se",
}  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class Study(Result):
    """Trials that were simulated and fitted again; in print, the estimates beside the truth.

    Parameters
    ----------
    tree : xarray.DataTree
        The groups ``study`` (by estimator, model and parameter), ``study_replicates`` (every fit) and, with a null
        model, ``study_tests``; :mod:`pkpd.schema` says what their variables mean.
    """

    noun = "study"
    format = FORMAT

    @property
    def summary(self) -> xr.Dataset:
        """Truth, mean, bias, RMSE, SD, mean standard error and coverage, by estimator, model and parameter."""
        return self["study"]

    @property
    def replicates(self) -> xr.Dataset:
        """Every fit: estimates, standard errors, intervals, objective, verdict, time."""
        return self["study_replicates"]

    @property
    def failures(self) -> dict[str, list[str]]:
        """Every fit that does not count, with the reason, as columns of text."""
        one = self.replicates
        found = np.argwhere(~np.isin(one["status"].values, SOUND))
        table: dict[str, list[str]] = {name: [] for name in ("REPLICATE", "ESTIMATOR", "MODEL", "STATUS", "REASON")}
        for r, e, m in found:
            cells = (
                str(one["replicate"].values[r]),
                str(one["estimator"].values[e]),
                str(one["model"].values[m]),
                str(one["status"].values[r, e, m]),
                " ".join(str(one["message"].values[r, e, m]).split()),
            )
            for column, cell in zip(table.values(), cells, strict=True):
                column.append(cell)
        return table

    def columns(self, estimator: str | None = None, model: str | None = None) -> dict[str, list[str]]:
        """Give the table of an estimator and a model, as text by column; the first when left out."""
        table = self.summary
        at = {"estimator": estimator or table["estimator"].values[0], "model": model or table["model"].values[0]}
        table = table.sel(at)
        rows = np.flatnonzero(table["count"].values > 0)
        names = table["parameter"].values
        shown: dict[str, list[str]] = {"PARAMETER": [str(names[k]) for k in rows]}
        for title, name in _PRECISION.items():
            shown[title] = [short(table[name].values[k], 4) for k in rows]
        for i, kind in enumerate(table["interval"].values):
            share, low, high = (100 * table[f"coverage{end}"].values[i] for end in ("", "_lower", "_upper"))
            shown[f"COVERAGE % ({kind})"] = [_share(share[k], low[k], high[k]) for k in rows]
        return shown

    def tests(self) -> dict[str, list[str]]:
        """Give the tests of the null model, as text by column; empty where none was asked for."""
        if "study_tests" not in self.tree.children:
            return {}
        table = self["study_tests"]
        alpha = f"{100 * table.attrs['alpha']:g}"
        title = f"REJECTED % AT {alpha} %"
        shown: dict[str, list[str]] = {name: [] for name in ("ESTIMATOR", "MODEL", "LAW", "TESTS", title)}
        for e, m, w in np.argwhere(table["tests"].values > 0):
            share, low, high = (100 * table[f"rejected{end}"].values[e, m, w] for end in ("", "_lower", "_upper"))
            cells = (
                str(table["estimator"].values[e]),
                str(table["model"].values[m]),
                str(table["law"].values[w]),
                str(table["tests"].values[e, m, w]),
                _share(share, low, high),
            )
            for column, cell in zip(shown.values(), cells, strict=True):
                column.append(cell)
        return shown

    def _parts(self) -> list[tuple[str, dict[str, list[str]]]]:
        """The tables with their captions."""
        summary, several = self.summary, self.summary.sizes["model"] > 1
        parts = []
        for e, estimator in enumerate(summary["estimator"].values):
            for m, model in enumerate(summary["model"].values):
                fits, sound = (int(summary[name].values[e, m]) for name in ("fits", "sound"))
                title = f"{estimator}{f', model {model}' if several else ''}: {sound} of {fits} fits count"
                seconds = float(summary["fit_seconds"].values[e, m])
                parts.append((f"{title}; {short(seconds, 3)} s a fit", self.columns(str(estimator), str(model))))
        tests = self.tests()
        if tests:
            parts.append((f"Likelihood-ratio tests of {self.attrs['null_name']}", tests))
        failures = self.failures
        count = len(failures["REPLICATE"])
        if count:
            rest = f" (the first {_LISTED})" if count > _LISTED else ""
            parts.append((f"Fits that do not count: {count}{rest}", {k: v[:_LISTED] for k, v in failures.items()}))
        return parts

    def _head(self) -> str:
        attrs = self.tree.attrs
        return (
            f"{attrs['trial_name']}, {self.replicates.sizes['replicate']} times (seed {attrs['seed']}); "
            f"truth: {attrs['truth_name']}"
        )

    def __repr__(self) -> str:
        return f"Study({self._head()}: {', '.join(self.summary['estimator'].values.tolist())})"

    def __str__(self) -> str:
        lines = [self._head()]
        for title, table in self._parts():
            lines += ["", title, text_table(table, left=_LEFT)]
        notes = [note for note in str(self.tree.attrs["notes"]).splitlines() if note]
        return "\n".join([*lines, "", *notes])

    def _repr_html_(self) -> str:
        import html

        parts = "".join(html_table(table, title) for title, table in self._parts())
        return f"<div>{html.escape(self._head())}</div>{parts}" + "".join(
            f"<div>{html.escape(note)}</div>" for note in str(self.tree.attrs["notes"]).splitlines()
        )


def _share(share: Any, low: Any, high: Any) -> str:
    return short(None) if np.isnan(share) else f"{share:.1f} ({low:.1f}, {high:.1f})"
