"""What is on the axes and in the legend of a labelled array."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import DataError, did_you_mean
from pkpd.units import factor, tidy

# Steps in which a clock or a calendar is read.
_TICKS = {
    "s": (5, 10, 15, 30, 60, 120, 300, 600),
    "min": (5, 10, 15, 30, 60, 120, 240, 360, 720, 1440),
    "h": (0.25, 0.5, 1, 2, 3, 4, 6, 12, 24, 48, 72, 96, 168, 336, 672),
    "d": (0.25, 0.5, 1, 2, 7, 14, 28, 56, 91, 182, 365),
    "wk": (1, 2, 4, 8, 13, 26, 52),
}

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def axis_label(values: xr.DataArray) -> str:
    """Name and unit of an array, as for an axis: ``ketamine in plasma (mg/L)``."""
    name = str(values.attrs.get("long_name") or values.name or "")
    unit = tidy(str(values.attrs.get("units", "")))
    return f"{name} ({unit})" if unit else name


def check_dims(values: xr.DataArray, *, needs: str, by: str) -> None:
    """Refuse an array that cannot be drawn against time by arm.

    Raises
    ------
    DataError
        ``values`` is not a DataArray, has no dimension ``time``, or none named as ``by`` says.
    """
    dims = [str(dim) for dim in getattr(values, "dims", ())]
    if not hasattr(values, "name"):
        variables = ", ".join(str(name) for name in getattr(values, "data_vars", ())) or "none"
        raise DataError(
            f"A {type(values).__name__} was given.",
            where=needs,
            expected=f"One labelled array (xarray.DataArray). This one holds: {variables}.",
            remedy='Take one by its name, as in sim["cp"].',
        )
    if "time" not in dims:
        raise DataError(
            f"`{values.name}` has no dimension `time`.",
            where=needs,
            expected=f"An array over time. It has: {', '.join(dims) or 'no dimension'}.",
            remedy="Draw a simulation before a time is selected from it.",
        )
    if by not in dims and by != "arm":
        guess = did_you_mean(by, dims)
        raise DataError(
            f"`{values.name}` has no dimension `{by}`.",
            where=f"{needs}, by={by!r}",
            expected=f"One of its dimensions: {', '.join(dim for dim in dims if dim != 'time')}.",
            remedy=f"Did you mean by={guess!r}?" if guess else "Name one of these.",
        )


def arms_of(values: xr.DataArray, by: str) -> list[tuple[str, xr.DataArray]]:
    """Name and array of every arm; one nameless arm when the dimension has been selected away."""
    if by not in values.dims:
        return [(str(values.coords[by].item()) if by in values.coords else "", values)]
    return [(str(name), values.sel({by: name})) for name in values[by].values]


def times_of(values: xr.DataArray, time_unit: str | None) -> tuple[xr.DataArray, str]:
    """Give the times, in ``time_unit`` where one is asked for, and their axis label."""
    time = values["time"]
    if time_unit is not None and time_unit != time.attrs.get("units"):
        scaled = time * factor(str(time.attrs.get("units", "")), time_unit)
        time = scaled.assign_attrs({**time.attrs, "units": time_unit})
    return time, axis_label(time.rename("time"))


def dress(ax: Axes, values: xr.DataArray, time: xr.DataArray, time_label: str, *, log: bool, title: str | None) -> None:
    """Axis labels, scale, ticks and title; labels that the axes have already stay."""
    from matplotlib.ticker import MultipleLocator

    ax.set_xlabel(ax.get_xlabel() or time_label)
    ax.set_ylabel(ax.get_ylabel() or axis_label(values))
    if log:
        ax.set_yscale("log")
    if title is not None:
        ax.set_title(textwrap.fill(title, 64))
    ax.margins(x=0.015)
    step = tick_step(float(np.ptp(time.values)), str(time.attrs.get("units", "")))
    if step is not None:
        ax.xaxis.set_major_locator(MultipleLocator(step))


def place_legend(ax: Axes, heading: str) -> None:
    """Give the axes a legend to their right, where it hides no line; long names are wrapped."""
    handles, names = ax.get_legend_handles_labels()
    if not handles and not heading:
        return
    ax.legend(
        handles,
        [textwrap.fill(name, 26) for name in names],
        title="\n".join(textwrap.fill(line, 30) for line in heading.splitlines()),
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
    )


def plain_log(ax: Axes, which: str = "xy") -> None:
    """Make axes logarithmic, with numbers as they are said: 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name in which:
        axis = ax.xaxis if name == "x" else ax.yaxis
        (ax.set_xscale if name == "x" else ax.set_yscale)("log")
        low, high = sorted(axis.get_view_interval())
        decades = np.log10(high / low) if low > 0 else 3.0
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.12g}" if 1e-4 <= value < 1e6 else f"{value:.0e}")
        )
        axis.set_minor_formatter(NullFormatter())


def legend_above(figure: Figure, ax: Axes) -> None:
    """Give a figure one legend above its panels, of what one of them holds."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        columns = max(1, min(len(names), 90 // (6 + max(len(name) for name in names))))
        figure.legend(handles, names, loc="outside upper left", ncols=columns, handletextpad=0.4)


def tick_step(span: float, unit: str) -> float | None:
    """Give a step that people count time in, for at most nine ticks; None where matplotlib's own will do."""
    return next((step for step in _TICKS.get(unit, ()) if span / step <= 8), None) if span > 0 else None
