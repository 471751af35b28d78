"""How well the estimates are known: intervals, relative standard errors, correlations, condition number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import whole_numbers
from pkpd.plots.style import COLOURS, INK, QUIET, figure
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["Precision"]

#: Estimates on one page of intervals; correlations that are written as numbers.
_ROWS, _NUMBERS = 30, 14
#: A condition number that is large, and a correlation that is.
_ILL, _STRONG = 1000.0, 0.9
#: Intervals are drawn so far, in percent of the estimate.
_REACH = 200.0


def standard_errors(case: Case) -> str:
    """Standard errors."""
    if needs.one_for_all(case):
        return ""  # said already
    errors = case.fit.estimates["se"].values
    if np.isfinite(errors).any():
        return ""
    asked = "none asked for" in str(case.fit.estimates.attrs.get("interval", ""))
    return "No standard errors were asked for." if asked else "The fit has no standard errors."


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision(Diagnostic):
    """Estimates with their intervals and relative standard errors; how they go together.

    The condition number is the largest over the smallest eigenvalue of the correlation of the estimates, as in NONMEM;
    above 1,000 single estimates should not be read alone (Montgomery DC, Peck EA, Vining GG. Introduction to linear
    regression analysis. 5th ed. Wiley 2012, section 9.4).
    """

    title: ClassVar[str] = "Precision of the estimates"
    question: ClassVar[str] = "How well are the estimates known, each and together?"
    needs: ClassVar = (needs.found, needs.one_for_all, standard_errors)
    source: ClassVar[str] = "Montgomery DC, Peck EA, Vining GG. Introduction to linear regression analysis. Wiley 2012."

    def compute(self, case: Case) -> xr.Dataset:
        """Give what was estimated with its interval, and the correlation with its eigenvalues."""
        import xarray as xr

        table = case.fit.estimates
        own = table.isel(parameter=np.flatnonzero(~table["fixed"].values))
        names = own["parameter"].values
        columns: dict[str, tuple] = {
            name: ("parameter", own[name].values, own[name].attrs)
            for name in ("value", "se", "rse", "lower", "upper", "at_bound", "transform")
        }
        columns["unit"] = ("parameter", np.array([tidy(str(unit)) for unit in own["unit"].values]))
        whole = case.fit.covariance["correlation"].sel(parameter=names, parameter_=names).values
        known = np.isfinite(np.diagonal(whole))
        columns["correlation"] = (("parameter", "parameter_"), whole, {"long_name": "correlation of the estimates"})
        eigen = np.full(len(names), np.nan)
        if known.any():
            eigen[: known.sum()] = np.linalg.eigvalsh(whole[np.ix_(known, known)])[::-1]
        columns["eigenvalue"] = ("direction", eigen, {"long_name": "eigenvalue of the correlation"})
        values = eigen[np.isfinite(eigen)]
        condition = float(values[0] / values[-1]) if values.size and values[-1] > 0 else float("inf")
        return xr.Dataset(
            columns, {"parameter": names, "parameter_": names},
            {"condition": condition, "interval": str(table.attrs.get("interval", ""))},
        )  # fmt: skip

    def pages(self, found: xr.Dataset) -> int:
        """Intervals first, then correlations where there are two estimates or more."""
        return -(-found.sizes["parameter"] // _ROWS) + (found.sizes["parameter"] > 1)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw intervals, or correlations and eigenvalues."""
        count = found.sizes["parameter"]
        if page < -(-count // _ROWS):
            rows = np.arange(page * _ROWS, min((page + 1) * _ROWS, count))
            drawing = figure(width=7.0, height=1.3 + 0.27 * len(rows))
            _intervals(drawing.axes[0], found.isel(parameter=rows))
            return drawing
        drawing = figure(1, 2, width=7.0, height=float(np.clip(1.6 + 0.27 * count, 3.4, 7.0)), width_ratios=[2.1, 1])
        _heat(drawing, drawing.axes[0], found)
        _eigenvalues(drawing.axes[1], found)
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is known worst, and what goes together."""
        count, names = found.sizes["parameter"], found["parameter"].values
        if page < -(-count // _ROWS):
            rse = found["rse"].values
            words = [f"Estimates with their {found.attrs['interval']}, in percent of the estimate, and their RSE."]
            if np.isfinite(rse).any():
                worst, best = int(np.nanargmax(rse)), int(np.nanargmin(rse))
                words.append(
                    f"Known worst is {names[worst]} (RSE {rse[worst]:.3g} %), best {names[best]} ({rse[best]:.3g} %)."
                )
            without = names[~np.isfinite(rse)].tolist()
            if without:
                words.append(f"Without a standard error: {', '.join(without)}.")
            return " ".join(words)
        correlation = np.abs(np.where(np.eye(count, dtype=bool), np.nan, found["correlation"].values))
        words = ["Correlations of the estimates, on the scale of estimation, and the eigenvalues of their matrix."]
        if np.isfinite(correlation).any():
            i, j = np.unravel_index(int(np.nanargmax(correlation)), correlation.shape)
            words.append(f"Most together go {names[i]} and {names[j]} ({found['correlation'].values[i, j]:+.2f}).")
        condition = found.attrs["condition"]
        judged = "above 1,000: single estimates should not be read alone" if condition > _ILL else "below 1,000"
        words.append(f"The condition number is {condition:.3g} ({judged}).")
        return " ".join(words)


def _intervals(ax: Axes, own: xr.Dataset) -> None:
    value = own["value"].values
    count, y = len(value), np.arange(len(value))[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (100 * (own[end].values - value) / np.abs(value) for end in ("lower", "upper"))
    reach = np.nanmax(np.abs(np.append(np.concatenate([low, high])[np.isfinite(np.concatenate([low, high]))], 10.0)))
    reach = float(min(1.1 * reach, _REACH))
    ax.axvline(0.0, color=QUIET, linewidth=0.9)
    for k in range(count):
        if np.isfinite(low[k]) or np.isfinite(high[k]):
            ends = np.clip([np.nan_to_num(low[k], nan=-np.inf), np.nan_to_num(high[k], nan=np.inf)], -reach, reach)
            ax.plot(ends, [y[k], y[k]], color=COLOURS["blue"], linewidth=2.2, solid_capstyle="butt")
            for end, limit, mark in ((low[k], -reach, "<"), (high[k], reach, ">")):
                if not abs(end) <= reach:
                    ax.plot([limit], [y[k]], marker=mark, color=COLOURS["blue"], markersize=6, clip_on=False)
        ax.plot([0.0], [y[k]], marker="o", color=INK, markersize=4.5)
        unit = str(own["unit"].values[k])
        rse = own["rse"].values[k]
        said = f"{value[k]:.4g}{f' {unit}' if unit != '1' else ''}"
        said += (
            f"   RSE {rse:.0f} %" if np.isfinite(rse) else "   at a bound" if own["at_bound"].values[k] else "   no SE"
        )
        ax.text(1.02, y[k], said, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)
    ax.set_yticks(y, own["parameter"].values.tolist())
    ax.set_ylim(-0.6, count - 0.4)
    ax.set_xlim(-reach, reach)
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
    ax.set_xlabel("interval, difference from the estimate (%)")


def _heat(drawing: Figure, ax: Axes, found: xr.Dataset) -> None:
    names, table = found["parameter"].values.tolist(), found["correlation"].values
    count = len(names)
    shown = np.where(np.tril(np.ones_like(table, dtype=bool), -1), table, np.nan)[1:, :-1]
    drawn = ax.imshow(shown, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    if count <= _NUMBERS:
        for i in range(count - 1):
            for j in range(i + 1):
                if np.isfinite(shown[i, j]):
                    ax.text(j, i, f"{shown[i, j]:.2f}".replace("0.", "."), ha="center", va="center", fontsize=7.5,
                            color="white" if abs(shown[i, j]) > 0.7 else INK)  # fmt: skip
    ax.set_xticks(range(count - 1), names[:-1], rotation=90 if count > 5 else 0)
    ax.set_yticks(range(count - 1), names[1:])
    ax.grid(visible=False)
    ax.set_title("correlation", fontsize=9.5)
    drawing.colorbar(drawn, ax=ax, shrink=0.7, ticks=[-1, -0.5, 0, 0.5, 1])


def _eigenvalues(ax: Axes, found: xr.Dataset) -> None:
    values = found["eigenvalue"].values
    values = values[np.isfinite(values)]
    ax.bar(np.arange(1, len(values) + 1), values, color=COLOURS["blue"], width=0.7)
    ax.set_yscale("log")
    positive = values[values > 0]
    ax.set_ylim(min(0.05, 0.5 * positive.min()) if positive.size else 0.01, 2 * max(values.max(initial=1.0), 1.0))
    ax.set_xlabel("direction")
    ax.set_ylabel("eigenvalue")
    whole_numbers(ax)
    ax.set_title(f"condition number {found.attrs['condition']:.3g}", fontsize=9.5)
