"""Pages of panels, as diagnostics with many small pictures share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkpd.plots.style import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["chosen", "even_grid", "grid_of", "p_text", "page_count", "whole_numbers"]

#: Inches around the panels of an even grid, and between them.
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN, _BELOW = 0.72, 0.12, 0.62, 0.66, 0.5, 0.5


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


def even_grid(panels: int, *, columns: int, height: float, width: float = 7.0) -> tuple[Figure, list[Axes]]:
    """Make the same with panels of one size, placed by their measures alone: quick, and the same to the last bit."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    from pkpd.plots.style import RULES

    rows = max(1, -(-panels // columns))
    tall = height * rows + 0.75
    wide, high = (width - _LEFT - _RIGHT) / columns, (tall - _TOP - _BOTTOM) / rows
    space = {"wspace": _BETWEEN / (wide - _BETWEEN), "hspace": _BELOW / (high - _BELOW)}
    with matplotlib.rc_context({**RULES, "figure.constrained_layout.use": False}):
        drawing = Drawing(figsize=(width, tall))
        ends = {"left": _LEFT / width, "right": 1 - _RIGHT / width, "top": 1 - _TOP / tall, "bottom": _BOTTOM / tall}
        drawing.subplots(rows, columns, gridspec_kw={**ends, **space})
    axes = list(drawing.axes)
    for ax in axes[panels:]:
        ax.set_visible(False)
    return drawing, axes[:panels]


def whole_numbers(ax: Axes) -> None:
    """Keep the ticks of the horizontal axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
