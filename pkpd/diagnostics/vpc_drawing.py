"""How a visual predictive check is drawn, and said."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from pkpd.plots.labels import tick_step
from pkpd.plots.points import points
from pkpd.plots.style import COLOURS, INK, QUIET
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["caption_of", "draw_page", "pages_of"]

_STRATA = 4
_OUTSIDE = COLOURS["vermilion"]
_PARTS = (COLOURS["blue"], COLOURS["orange"], COLOURS["green"], COLOURS["purple"], COLOURS["sky"], COLOURS["vermilion"])


def pages_of(found: xr.Dataset) -> list[tuple[str, list[str]]]:
    """Give the output and strata of every page."""
    pages = []
    for name in str(found.attrs["outputs"]).split("\n"):
        strata = list(dict.fromkeys(found["stratum"].values[found["output"].values == name].tolist()))
        pages += [(name, strata[k : k + _STRATA]) for k in range(0, len(strata), _STRATA)]
    return pages


def draw_page(found: xr.Dataset, page: int) -> Figure:
    """Draw the strata of an output."""
    from matplotlib.figure import Figure as Drawing

    name, strata = pages_of(found)[page]
    bins = found["output"].values == name
    sized = bool(np.isfinite(found["observed"].values[bins]).any())
    parts = [] if _nothing(found, name) and sized else _parts(found, name)
    rows = sized + bool(parts)
    columns = 1 if len(strata) == 1 else 2
    tall = -(-len(strata) // columns)
    height = tall * (3.4 * sized + (1.5 if sized else 3.2) * bool(parts)) + 0.5
    drawing = Drawing(figsize=(7.0, height), layout="constrained")
    ratios = [*([3.0] * sized), *([1.3] * bool(parts))] * tall
    grid = drawing.subplots(rows * tall, columns, squeeze=False, sharey="row", height_ratios=ratios)
    handles: dict[str, Artist] = {}
    for k in range(tall * columns):
        own = [grid[rows * (k // columns) + r, k % columns] for r in range(rows)]
        if k >= len(strata):
            for ax in own:
                ax.set_visible(False)
            continue
        if sized:
            _quantiles(own[0], found, name, strata[k])
            own[0].set_ylabel(_size(found, name) if k % columns == 0 else "")
        if parts:
            _shares(own[-1], found, name, strata[k], parts)
            own[-1].set_ylabel("share (%)" if k % columns == 0 else "")
        if strata[k]:
            own[0].set_title(textwrap.fill(strata[k], 40))
        own[-1].set_xlabel(_axis(found) if k >= len(strata) - columns else "")
        _dress(own, found)
        for ax in own:
            for handle, label in zip(*ax.get_legend_handles_labels()):
                handles.setdefault(label, handle)
    drawing.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=3, handletextpad=0.5)
    return drawing


def caption_of(found: xr.Dataset, page: int) -> str:
    """Say what is seen."""
    name, strata = pages_of(found)[page]
    attrs = found.attrs
    here = (found["output"].values == name) & np.isin(found["stratum"].values, strata)
    share = f"{100 * attrs['interval']:g} %"
    words = []
    observed = found["observed"].values[here]
    if np.isfinite(observed).any():
        levels = ", ".join(f"{100 * q:g}" for q in found["quantile"].values)
        how = "regression quantiles" if attrs["binless"] else "quantiles in bins"
        words.append(
            f"{name}: {levels} % {how} of the observations (lines) over the {share} bands of the same in {attrs['n']} "
            f"data sets drawn from the model (seed {attrs['seed']})."
        )
        lower, upper = found["lower"].values[here], found["upper"].values[here]
        both = np.isfinite(observed) & np.isfinite(lower) & np.isfinite(upper)
        outside = int(((observed < lower) | (observed > upper))[both].sum())
        places = "places along the curves" if attrs["binless"] else "observed quantiles"
        words.append(
            f"{outside} of {int(both.sum())} {places} lie outside (marked); about "
            f"{(1 - attrs['interval']) * both.sum():.1f} would by chance, if they were independent."
        )
        if name in str(attrs["corrected"]).split("\n"):
            words.append("Prediction-corrected: observations are scaled to the median prediction of their bin.")
        counts = found["count"].values[here]
        if not attrs["binless"] and counts.min() < 20:
            words.append(f"Bins hold {counts.min()} to {counts.max()} observations: so few tell large misfits only.")
    if _parts(found, name):
        mine = found["part_output"].values == name
        mine &= np.isin(found["part_stratum"].values, strata)
        own, low, high = (found[f"part_{c}"].values[mine] for c in ("observed", "lower", "upper"))
        if _nothing(found, name) and words:
            return " ".join([*words, f"None is {' or '.join(_parts(found, name))}, in the data or in what is drawn."])
        lead = "Below: shares" if words else f"{name}: shares"
        words.append(
            f"{lead} of the observations that are {', '.join(_parts(found, name))} (points), over the {share} bands of "
            f"drawn data; {int(((own < low) | (own > high)).sum())} of {own.size} lie outside."
        )
    if attrs["left_out"]:
        words.append(f"{attrs['left_out']} records without a place on the axis are left out.")
    return " ".join(words)


def _quantiles(ax: Axes, found: xr.Dataset, name: str, stratum: str) -> None:
    here = np.flatnonzero((found["output"].values == name) & (found["stratum"].values == stratum))
    here = here[
        np.isfinite(found["median"].values[here]).any(axis=1) | np.isfinite(found["observed"].values[here]).any(axis=1)
    ]
    here = here[np.argsort(found["middle"].values[here], kind="stable")]
    x = found["middle"].values[here]
    mine = (found["record_output"].values == name) & (found["record_stratum"].values == stratum)
    points(ax, found["record_x"].values[mine], found["record_y"].values[mine], colour=QUIET, size=9.0,
           hollow=found["record_censored"].values[mine],
           labels=[f"ID {who}" for who in found["record_id"].values[mine]])  # fmt: skip
    levels = found["quantile"].values
    single = len(x) == 1
    for k, level in enumerate(levels):
        low, high, observed = (found[v].values[here, k] for v in ("lower", "upper", "observed"))
        middle = abs(level - 0.5) < 1e-9
        colour = COLOURS["vermilion"] if middle else COLOURS["blue"]
        label = "median, drawn" if middle else "outer quantiles, drawn"
        wide = np.array([x[0] - 0.5, x[0] + 0.5]) if single else x
        ends = (np.repeat(low, 2), np.repeat(high, 2)) if single else (low, high)
        ax.fill_between(wide, *ends, color=colour, alpha=0.28, linewidth=0, label=label, zorder=2.5)
        ax.plot(x, observed, color=INK, linewidth=1.5, linestyle="-" if middle else "--",
                marker="o" if single or not found.attrs["binless"] else "", markersize=3.0,
                label="median, observed" if middle else "outer quantiles, observed", zorder=4)  # fmt: skip
        out = (observed < low) | (observed > high)
        ax.plot(x[out], observed[out], linestyle="none", marker="o", markersize=7, markerfacecolor="none",
                markeredgecolor=_OUTSIDE, markeredgewidth=1.3, label="outside its band" if out.any() else None,
                zorder=5)  # fmt: skip
    if not found.attrs["binless"]:
        edges = np.unique(np.concatenate([found["left"].values[here], found["right"].values[here]]))
        ax.plot(edges, np.ones(len(edges)), linestyle="none", marker="|", markersize=7, color=QUIET,
                transform=ax.get_xaxis_transform(), clip_on=False)  # fmt: skip


def _shares(ax: Axes, found: xr.Dataset, name: str, stratum: str, parts: list[str]) -> None:
    for k, part in enumerate(parts):
        here = np.flatnonzero(
            (found["part_output"].values == name)
            & (found["part_stratum"].values == stratum)
            & (found["part"].values == part)
        )
        here = here[np.argsort(found["part_middle"].values[here], kind="stable")]
        x, colour = found["part_middle"].values[here], _PARTS[k % len(_PARTS)]
        low, high, own = (100 * found[f"part_{column}"].values[here] for column in ("lower", "upper", "observed"))
        ax.fill_between(x, low, high, color=colour, alpha=0.28, linewidth=0, zorder=2)
        ax.plot(x, own, color=colour, marker="o", markersize=3.5, linewidth=1.3, label=part, zorder=3)
    ax.set_ylim(0.0, max(10.0, ax.get_ylim()[1]))


def _dress(own: list[Axes], found: xr.Dataset) -> None:
    """Give the panels of a stratum one axis, with ticks that people count time in."""
    from matplotlib.ticker import MultipleLocator

    for ax in own[:-1]:
        ax.sharex(own[-1])
        ax.tick_params(labelbottom=False)
    low, high = own[-1].get_xlim()
    step = tick_step(high - low, str(found.attrs["x_unit"]))
    if step is not None:
        own[-1].xaxis.set_major_locator(MultipleLocator(step))


def _parts(found: xr.Dataset, name: str) -> list[str]:
    if "part" not in found:
        return []
    return list(dict.fromkeys(found["part"].values[found["part_output"].values == name].tolist()))


def _nothing(found: xr.Dataset, name: str) -> bool:
    """Whether no observation is one of the shares, seen or drawn."""
    if "part" not in found:
        return True
    mine = found["part_output"].values == name
    return not (found["part_observed"].values[mine].any() or found["part_upper"].values[mine].any())


def _size(found: xr.Dataset, name: str) -> str:
    units = dict(zip(str(found.attrs["outputs"]).split("\n"), str(found.attrs["units"]).split("\n")))
    unit = tidy(units.get(name, ""))
    corrected = ", prediction-corrected" if name in str(found.attrs["corrected"]).split("\n") else ""
    return f"{name}{corrected} ({unit})" if unit not in ("", "1") else f"{name}{corrected}"


def _axis(found: xr.Dataset) -> str:
    unit = str(found.attrs["x_unit"])
    return f"{found.attrs['x_name']} ({unit})" if unit else str(found.attrs["x_name"])
