"""The lines themselves, by arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import DataError
from pkpd.plots.labels import arms_of, check_dims, dress, place_legend, times_of
from pkpd.plots.style import axes_of, house_style, look

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def profiles(
    values: xr.DataArray,
    *,
    by: str = "arm",
    most: int = 50,
    time_unit: str | None = None,
    log: bool = False,
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """One line for every subject and parameter draw, coloured by arm.

    Parameters
    ----------
    values : xarray.DataArray
        One variable of a simulation, with a dimension ``time``; see :func:`pkpd.plots.bands`.
    by : str
        The dimension that separates the colours.
    most : int
        Lines drawn of each arm. When there are more, the first ones are drawn and the legend says how many of how many.
    time_unit : str, optional
        Unit of the time axis, such as ``"d"``; the array's own when left out.
    log : bool
        Logarithmic axis; values that are not positive are then left out.
    title : str, optional
    legend : bool
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        The array has no dimension ``time`` or none named as ``by`` says, or ``most`` is less than 1.
    """
    check_dims(values, needs="plots.profiles", by=by)
    if most < 1:
        raise DataError(
            f"`most` is {most}.",
            where="plots.profiles(most=...)",
            expected="The number of lines of an arm, 1 or more.",
            remedy="Leave it out for 50.",
        )
    with house_style():
        ax = axes_of(ax)
        time, time_label = times_of(values, time_unit)
        drawn = held = 0
        for index, (name, arm) in enumerate(arms_of(values, by)):
            table = arm.transpose("time", ...).values.reshape(arm.sizes["time"], -1)
            if log:
                table = np.where(table > 0, table, np.nan)
            held = table.shape[1]
            drawn = min(most, held)
            thin: dict[str, Any] = {} if drawn == 1 else {"linewidth": 0.8, "alpha": max(0.25, min(0.8, 8 / drawn))}
            lines = ax.plot(time.values, table[:, :drawn], **look(index), **thin)
            # The key is a full line: a faint one cannot be matched to its colour.
            ax.plot([], [], label=name or None, **look(index))
            for line in lines:
                line.set_label("_" + name)
        dress(ax, values, time, time_label, log=log, title=title)
        if legend:
            place_legend(ax, f"first {drawn} of {held} lines" if drawn < held else "")
    return ax
