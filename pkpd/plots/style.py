"""The house style: what every figure of the package has in common.

Colours are those of Okabe and Ito, which people with any of the common colour deficiencies can tell apart, in an order
that keeps neighbours far from each other in lightness as well, so that a grey print stays readable.

Source: Okabe M, Ito K. Color universal design (2008). https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}
"""Name of each colour and its hexadecimal value, in the order in which arms take them."""

INK = "#262626"
QUIET = "#6B6B6B"
# Yellow is too light for a thin line on white paper: it is there to be asked for by name.
_CYCLE = tuple(value for name, value in COLOURS.items() if name != "yellow")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))

RULES: Any = {
    "figure.figsize": (7.0, 3.9),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: searchable, and sharp at any size
    "svg.hashsalt": "pkpd",  # the same figure is the same file
    "pdf.fonttype": 42,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.scatterpoints": 1,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.0,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "text.color": INK,
}
"""The matplotlib settings that make up the style."""


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style while the block lasts; matplotlib's own settings come back after it."""
    import matplotlib

    with matplotlib.rc_context(RULES):
        yield


def figure(rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 3.9, **options: Any) -> Figure:
    """Make an empty figure in the house style that no display and no global list of figures knows of.

    Parameters
    ----------
    rows, columns : int
        Panels; they are ``figure.axes``, row by row.
    width, height : float
        Inches.
    **options
        Passed to :meth:`matplotlib.figure.Figure.subplots`, such as ``sharex=True``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    from pkpd.plots.layout import SettledLayout

    with matplotlib.rc_context(RULES):
        made = Figure(figsize=(width, height), layout=SettledLayout())
        made.subplots(rows, columns, **options)
    return made


def axes_of(ax: Axes | None) -> Axes:
    """Give the axes to draw on: the ones given, or those of a new pyplot figure, which a notebook then shows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots()[1]


def marker(index: int) -> str:
    """Give the shape of the points of the ``index``-th group, which tells groups apart where colours do not."""
    return _MARKERS[index % len(_MARKERS)]


def look(index: int) -> dict[str, Any]:
    """Colour and dash of the ``index``-th arm. Eight and more arms keep the colours and change the dash."""
    return {
        "color": _CYCLE[index % len(_CYCLE)],
        "linestyle": _DASHES[(index // len(_CYCLE)) % len(_DASHES)],
    }
