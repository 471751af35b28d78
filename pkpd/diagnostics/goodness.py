"""Goodness of fit: whether the model predicts what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.records import GROUPINGS, grouped, labelled, measured, page_of, records_of, span, unit_text
from pkpd.plots.labels import legend_above, plain_log
from pkpd.plots.points import points, trend
from pkpd.plots.style import INK, QUIET, figure, look, marker

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["GoodnessOfFit"]

_PREDICTED = {"PRED": "typical prediction, PRED", "IPRED": "individual prediction, IPRED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodnessOfFit(Diagnostic):
    """Observations against predictions, on linear and logarithmic axes; a page for each output.

    Parameters
    ----------
    by : "auto", "ARM", "PERIOD", "SEQUENCE", "OCC" or "none"
        What colours say; "auto" takes arm and period where the data have them.
    """

    title: ClassVar[str] = "Goodness of fit"
    question: ClassVar[str] = "Does the model predict what was seen, at every size of it?"
    needs: ClassVar = (needs.found, needs.predictions, measured)

    by: Literal["auto", "ARM", "PERIOD", "SEQUENCE", "OCC", "none"] = "auto"

    def __post_init__(self) -> None:
        GROUPINGS.check(self.by, "GoodnessOfFit(by=...)")

    def compute(self, case: Case) -> xr.Dataset:
        """Give the records with their group, and how far observations lie off on average."""
        found = records_of(case, ("DV", "PRED", "IPRED", "TIME"), by=self.by)
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each output."""
        return len(found.attrs["outputs"].split("\n"))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw DV against PRED and IPRED, above on linear axes, below on logarithmic ones."""
        own, unit = page_of(found, page)
        logarithmic = _has_logarithms(found, own, page)
        drawing = figure(1 + logarithmic, 2, width=7.0, height=6.2 if logarithmic else 3.4)
        for k, ax in enumerate(drawing.axes):
            self._panel(ax, own, ("PRED", "IPRED")[k % 2], unit, logarithmic=k >= 2)
        legend_above(drawing, drawing.axes[0])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and how far the mean observation lies from the prediction."""
        own, _ = page_of(found, page)
        name = found.attrs["outputs"].split("\n")[page]
        dv, censored = own["DV"].values, own["CENS"].values
        seen = ~censored & np.isfinite(dv)
        ratios = []
        for kind in ("PRED", "IPRED"):
            bias = float(np.mean(dv[seen] - own[kind].values[seen]))
            error = float(np.sqrt(np.mean((dv[seen] - own[kind].values[seen]) ** 2)))
            ratios.append(f"{kind}: mean error {bias:.3g}, root of the mean squared error {error:.3g}")
        rings = f" Rings: {int(censored.sum())} censored records, at their limit." if censored.any() else ""
        rows = " Below the same on logarithmic axes." if _has_logarithms(found, own, page) else ""
        return (
            f"{name}: observations against predictions, with the line on which they are equal (thin) and a smooth line "
            f"through the points (thick).{rows}{rings} {'; '.join(ratios)}."
        )

    def _panel(self, ax: Axes, own: xr.Dataset, kind: str, unit: str, *, logarithmic: bool) -> None:
        x, y, censored = own[kind].values, own["DV"].values, own["CENS"].values
        shown = np.isfinite(x) & np.isfinite(y) & ((x > 0) & (y > 0) if logarithmic else True)
        ends = span(np.concatenate([x[shown], y[shown]]), logarithmic=logarithmic)
        ax.set_xlim(ends)
        ax.set_ylim(ends)
        if logarithmic:
            plain_log(ax)
        ax.plot(ends, ends, color=QUIET, linewidth=0.9, zorder=3)
        names = grouped(own)
        for k, name in enumerate(names):
            mine = shown & (own["group"].values == name)
            points(ax, np.where(mine, x, np.nan), np.where(mine, y, np.nan), colour=look(k)["color"], hollow=censored,
                   labels=labelled(own), name=name or None, marker=marker(k), cells=len(names) == 1)  # fmt: skip
        seen = shown & ~censored
        scale = (np.log, np.exp) if logarithmic else (np.asarray, np.asarray)
        line = trend(scale[0](x[seen]), scale[0](y[seen]))
        ax.plot(scale[1](line[0]), scale[1](line[1]), color=INK, linewidth=1.7, zorder=4)
        ax.set_xlabel(_PREDICTED[kind] + unit_text(unit))
        ax.set_ylabel("observation, DV" + unit_text(unit))


def _has_logarithms(found: xr.Dataset, own: xr.Dataset, page: int) -> bool:
    """Whether logarithmic axes say more: not of scores, and not of what is nowhere above 0."""
    bounded = found.attrs["outputs"].split("\n")[page] in found.attrs["bounded"].split("\n")
    return not bounded and int((own["DV"].values > 0).sum()) >= 2
