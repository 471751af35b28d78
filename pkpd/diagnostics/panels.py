"""Pages of panels, as diagnostics with many small pictures share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkpd.plots.style import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["chosen", "grid_of", "p_text", "page_count", "whole_numbers"]


def page_count(panels: int, per_page: int) -> int:
    """How many pages so many panels take; one at least."""
    return max(1, -(-panels // per_page))


def chosen(panels: int, per_page: int, page: int) -> list[int]:
    """Give the panels of a page."""
    return list(range(page * per_page, min((page + 1) * per_page, panels)))


def grid_of(panels: int, *, columns: int, height: float, width: float = 7.0) -> tuple[Figure, list[Axes]]:
    """Make a figure with so many panels, `height` inches a row; places that are left over stay empty."""
    rows = max(1, -(-panels // columns))
    drawing = figure(rows, columns, width=width, height=height * rows + 0.5)
    axes = list(drawing.axes)
    for ax in axes[panels:]:
        ax.set_visible(False)
    return drawing, axes[:panels]


def p_text(p: float) -> str:
    """Give a p as it is said: 0.03, or below 0.001."""
    if p != p:  # NaN
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def whole_numbers(ax: Axes) -> None:
    """Keep the ticks of the horizontal axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
