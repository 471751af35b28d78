"""Wang's example, as the page on approximations works it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import pkpd
from pkpd import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MODEL = """
title = "A decline"

[parameters]
k = {{ typical = 0.5, unit = "1/h", iiv = 0.04 }}

[dynamics]
equations = "y = 10 * exp(-k * t)"

[outputs]
y = {{ {law} = 0.31622777 }}
"""
_AT_ONE = (3.6837, 6.454, 5.8565, 5.6209, 6.7583, 6.5049, 6.9557, 6.4488, 6.7112, 6.6402)
_AT_ZERO = (10.68, 10.402, 9.8814, 9.3408, 10.082, 9.8938, 9.8908, 10.234, 9.9882, 9.6736)
_METHODS = {
    "FO": (pkpd.FO, {}, "vermilion", "-"),
    "FOCE": (pkpd.FOCE, {"interaction": False}, "orange", "--"),
    "FOCE-I": (pkpd.FOCE, {}, "blue", "-"),
    "Laplace": (pkpd.Laplace, {}, "green", "-"),
}


def distances(points: int = 13) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """Give variances (points,), and by error law and method how far -2 log L lies from its exact value there."""
    rows = zip(np.repeat(np.arange(1, 11), 2), np.tile([0.0, 1.0], 10), np.ravel(list(zip(_AT_ZERO, _AT_ONE))))
    data = pkpd.read_data(dict(zip(("ID", "TIME", "DV"), map(list, zip(*rows, strict=True)), strict=True)))
    variances, found = np.geomspace(0.01, 1.0, points), {}
    for title, law in (("proportional", "prop"), ("additive", "add")):
        models = [pkpd.Model(_MODEL.format(law=law)).set({"iiv.k": float(v)}) for v in variances]

        def values(kind: type, options: dict[str, object], models: list[pkpd.Model] = models) -> np.ndarray:
            how = kind(max_iterations=0, covariance=None, **options)
            return np.array([pkpd.fit(model, data, how).ofv for model in models])

        exact = values(pkpd.Quadrature, {"nodes": 65})
        found[title] = {name: values(kind, options) - exact for name, (kind, options, *_) in _METHODS.items()}
    return variances, found


def draw() -> Figure:
    """Draw how far each method lies from the exact value."""
    variances, found = distances()
    figure = plots.figure(1, 2, width=7.6, height=3.4, sharex=True)
    for axes, (title, methods) in zip(figure.axes, found.items(), strict=True):
        for name, distance in methods.items():
            _, _, colour, style = _METHODS[name]
            axes.plot(variances, distance, style, color=plots.COLOURS[colour], label=name)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.axvline(0.04, color="0.6", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", title=f"{title} error", xlabel="variance of η", xticks=[0.01, 0.04, 0.1, 1])
        axes.set_xticklabels(["0.01", "0.04", "0.1", "1"])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("-2 log L less its exact value")
    figure.axes[1].legend()
    return figure
