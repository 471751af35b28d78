"""The way of a search: whether it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import chosen, grid_of, page_count, whole_numbers
from pkpd.diagnostics.records import unit_text
from pkpd.plots.labels import legend_above
from pkpd.plots.style import COLOURS, INK, QUIET
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["Trace"]

_PANELS = 9


def followed(case: Case) -> str:
    """The way of the search."""
    if "trace" in case.fit.tree.children and case.fit["trace"].sizes.get("iteration", 0):
        return ""
    return "The fit does not hold the way of its search."


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Diagnostic):
    """Objective and estimates along the search, iteration by iteration.

    Of SAEM the two phases are told apart: in the first the estimates go to where they belong, in the second they are
    averaged. Where the search was begun at several places, the ends of all stand at the right.
    """

    title: ClassVar[str] = "The way of the search"
    question: ClassVar[str] = "Has the search come to rest?"
    needs: ClassVar = (followed,)
    source: ClassVar[str] = (
        "Kuhn E, Lavielle M. Maximum likelihood estimation in nonlinear mixed effects models. Comput Stat Data Anal "
        "2005;49:1020-1038. doi:10.1016/j.csda.2004.07.002"
    )

    def compute(self, case: Case) -> xr.Dataset:
        """Give objective and quantities that were estimated, by the search they belong to, and the ends of all starts.

        ``drift`` is of SAEM, whose estimates are running averages in the smoothing phase: their mean over its second
        half less that over its first half, in standard errors.
        """
        import xarray as xr

        fit, path, table = case.fit, case.fit["trace"], case.fit.estimates
        free = ~table["fixed"].values
        group = path["group"].values.astype(str)
        names, first, which = np.unique(group, return_index=True, return_inverse=True)
        place = np.arange(len(group)) - first[which]
        columns = {
            "objective": ("iteration", path["objective"].values, {"long_name": "objective", "units": "-2 log L"}),
            "value": (("iteration", "parameter"), path["value"].values[:, free]),
            "search": ("iteration", group),
            "number": ("iteration", place, {"long_name": "iteration"}),
            "unit": ("parameter", np.array([tidy(str(u)) for u in table["unit"].values[free]])),
            "drift": ("parameter", np.full(int(free.sum()), np.nan)),
        }
        found = xr.Dataset(columns, {"parameter": table["parameter"].values[free]})
        burn = -1
        if str(fit.attrs["estimator"]).startswith("SAEM"):
            from pkpd.estimation.recall import estimator_of

            burn = int(getattr(estimator_of(fit, "Trace()"), "burn", -1))
            found["drift"] = ("parameter", _drift(found, burn, table["se"].values[free]))
        if "starts" in fit.tree.children:
            ends = fit["starts"]
            found["end_objective"] = ("start", ends["objective"].values)
            found["end_value"] = (("start", "parameter"), ends["value"].values[:, free])
            found["end_search"] = ("start", ends["group"].values.astype(str))
        found.attrs |= {"burn": burn, "searches": len(names), "status": fit.status,
                        "estimator": str(fit.attrs["estimator"]).split("(")[0]}  # fmt: skip
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each nine panels: the objective, and what was estimated."""
        return page_count(1 + found.sizes["parameter"], _PANELS)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw the objective and each quantity against the iteration."""
        here = chosen(1 + found.sizes["parameter"], _PANELS, page)
        drawing, axes = grid_of(len(here), columns=min(3, len(here)), height=1.95)
        for ax, k in zip(axes, here):
            self._panel(ax, found, k - 1)
            if k >= here[-1] - min(3, len(here)) + 1:
                ax.set_xlabel("iteration")
        legend_above(drawing, axes[0])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say how far the objective fell, and what moved last."""
        attrs, searches = found.attrs, int(found.attrs["searches"])
        objective, number = found["objective"].values, found["number"].values
        words = []
        if searches > 1:
            words.append(
                f"{searches} searches, a line each, of {number[number > 0].max(initial=0)} iterations at most."
            )
        else:
            words.append(f"The search by {attrs['estimator']}, {number[-1]} iterations.")
            finite = np.flatnonzero(np.isfinite(objective))
            if finite.size and attrs["burn"] < 0:
                a, b = objective[finite[0]], objective[finite[-1]]
                words.append(f"The objective went from {a:.6g} to {b:.6g}.")
        if attrs["burn"] >= 0:
            words.append(
                f"In the first {attrs['burn']} iterations the estimates seek their place (before the line), then they "
                "are averaged. -2 log L is that of the draws, and varies with them."
            )
            drift = found["drift"].values
            if np.isfinite(drift).any():
                most = int(np.nanargmax(np.abs(drift)))
                words.append(
                    "Between the halves of the second phase the average of "
                    f"{found['parameter'].values[most]} moved most: {drift[most]:+.2f} standard errors."
                )
        elif searches == 1 and number[-1] >= 1:
            value = found["value"].values
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.abs(value[-1] / value[-2] - 1)
            if np.isfinite(step).any():
                most = int(np.nanargmax(np.where(np.isfinite(step), step, np.nan)))
                words.append(
                    f"In the last iteration {found['parameter'].values[most]} moved most, by {100 * step[most]:.2g} %."
                )
        if "end_objective" in found and found.sizes.get("start", 0):
            ends = found["end_objective"].values
            best = np.nanmin(ends)
            words.append(
                f"Of {len(ends)} starts {int((ends < best + 0.01).sum())} ended at the best objective; diamonds are "
                "the ends."
            )
        return " ".join([*words, f"The verdict: {attrs['status']}."])

    def _panel(self, ax: Axes, found: xr.Dataset, k: int) -> None:
        y = found["objective"].values if k < 0 else found["value"].values[:, k]
        x, search = found["number"].values, found["search"].values
        many = int(found.attrs["searches"])
        breaks = np.flatnonzero(search[1:] != search[:-1]) + 1
        style: Any = {"marker": "o" if len(x) <= 12 * many else "", "markersize": 3.0}
        ax.plot(np.insert(x.astype(float), breaks, np.nan), np.insert(y, breaks, np.nan), color=COLOURS["blue"],
                linewidth=1.4 if many == 1 else 0.8, alpha=1.0 if many < 5 else 0.5, **style)  # fmt: skip
        burn = int(found.attrs["burn"])
        if 0 < burn < x.max(initial=0):
            ax.axvline(burn, color=INK, linewidth=0.9, linestyle="--", label="estimates are averaged from here on")
        if "end_objective" in found:
            ends = found["end_objective"].values if k < 0 else found["end_value"].values[:, k]
            place = np.full(len(ends), x.max(initial=1) * 1.06)
            best = found["end_objective"].values < np.nanmin(found["end_objective"].values) + 0.01
            for these, face, label in ((best, INK, "ends of starts: best"),
                                        (~best, "none", "others")):  # fmt: skip
                if these.any():
                    ax.plot(place[these], ends[these], linestyle="none", marker="D", markersize=4, label=label,
                            markeredgecolor=INK, markerfacecolor=face)  # fmt: skip
        if not np.isfinite(y).any():
            ax.text(0.5, 0.5, "not computed along the way", ha="center", va="center", transform=ax.transAxes,
                    fontsize=8, color=QUIET)  # fmt: skip
        if k < 0:
            ax.set_ylabel("-2 log L")
            ax.set_title("objective" if burn < 0 else "of the draws", fontsize=9)
        else:
            unit = str(found["unit"].values[k])
            ax.set_ylabel(unit if unit != "1" else "value")
            ax.set_title(f"{found['parameter'].values[k]}{unit_text(unit)}", fontsize=9)
        ax.ticklabel_format(axis="y", useOffset=False)
        whole_numbers(ax)
        ax.tick_params(labelsize=8)


def _drift(found: xr.Dataset, burn: int, se: np.ndarray) -> np.ndarray:
    """Means of the halves of the smoothing phase, their difference in standard errors."""
    later = found["value"].values[found["number"].values > burn]
    half = len(later) // 2
    if half < 2:
        return np.full(len(se), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (later[half:].mean(axis=0) - later[:half].mean(axis=0)) / se
