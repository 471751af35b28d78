"""Median and interval over time, by arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import DataError
from pkpd.plots.labels import arms_of, check_dims, dress, place_legend, times_of
from pkpd.plots.style import axes_of, house_style, look

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def bands(
    values: xr.DataArray,
    *,
    by: str = "arm",
    interval: float | Sequence[float] = 0.9,
    time_unit: str | None = None,
    log: bool = False,
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Median over time with a band around it, one colour an arm.

    The median and the quantiles are taken over every dimension but ``time`` and ``by``: over subjects, over parameter
    draws, or over both, as the simulation has them. The legend says which uncertainty that is. Where there is nothing
    to take them over, as for a typical subject, the lines stand alone.

    Parameters
    ----------
    values : xarray.DataArray
        One variable of a simulation, with a dimension ``time``. The unit and the name of the axis come from its
        attributes ``units`` and ``long_name``, the kind of uncertainty from ``uncertainty``.
    by : str
        The dimension that separates the colours.
    interval : float or sequence of float
        Share of the values inside the band, such as 0.9 (5th to 95th percentile); several give nested bands.
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
        The array has no dimension ``time`` or none named as ``by`` says, or an interval is not between 0 and 1.
    """
    check_dims(values, needs="plots.bands", by=by)
    widths = _widths(interval)
    with house_style():
        ax = axes_of(ax)
        time, time_label = times_of(values, time_unit)
        spread = False
        for index, (name, arm) in enumerate(arms_of(values, by)):
            table = arm.transpose("time", ...).values.reshape(arm.sizes["time"], -1)
            if log:
                table = np.where(table > 0, table, np.nan)
            style = look(index)
            if table.shape[1] > 1:
                spread = True
                for width in widths:
                    low, high = _quantiles(table, [(1 - width) / 2, (1 + width) / 2])
                    shade = 0.22 / len(widths) ** 0.5
                    ax.fill_between(time.values, low, high, color=style["color"], alpha=shade, linewidth=0)
            (median,) = _quantiles(table, [0.5])
            ax.plot(time.values, median, label=name or None, **style)
        dress(ax, values, time, time_label, log=log, title=title)
        if legend:
            place_legend(ax, _heading(values, widths) if spread else "")
    return ax


def _widths(interval: float | Sequence[float]) -> list[float]:
    widths = sorted((float(width) for width in np.atleast_1d(np.asarray(interval, dtype=float))), reverse=True)
    for width in widths:
        if not 0 < width < 1:
            raise DataError(
                f"The interval is {width:g}.",
                where="plots.bands(interval=...)",
                expected="A share of the values, more than 0 and less than 1.",
                remedy="Write interval=0.9 for the band from the 5th to the 95th percentile.",
            )
    return widths


def _quantiles(table: np.ndarray, at: list[float]) -> np.ndarray:
    """Quantiles over the columns, shape (len(at), rows); a row without any number gives NaN without a warning."""
    if not np.isnan(table).any():
        return np.quantile(table, at, axis=1)
    result = np.full((len(at), table.shape[0]), np.nan)
    some = ~np.isnan(table).all(axis=1)
    result[:, some] = np.nanquantile(table[some], at, axis=1)
    return result


def _heading(values: xr.DataArray, widths: list[float]) -> str:
    shares = " and ".join(f"{100 * width:g} %" for width in reversed(widths))
    kind = str(values.attrs.get("uncertainty", ""))
    text = f"median, {shares} interval"
    return f"{text}\n{kind}" if kind and kind != "none" else text
