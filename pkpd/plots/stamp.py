"""What a figure comes from, in small print at its foot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkpd.plots.style import QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["settle", "stamp"]

_INCHES = 0.16


def stamp(figure: Figure, text: str) -> None:
    """Set a line at the lower right corner, and keep everything else above it."""
    share = _INCHES / figure.get_figheight()
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, share, 1, 1 - share))  # pyright: ignore[reportCallIssue]
    figure.text(0.995, 0.15 * share, text, ha="right", va="bottom", fontsize=6.5, color=QUIET)


def settle(figure: Figure) -> None:
    """Lay a figure out for good: the places of its panels are the same to the last bit whenever it is drawn.

    The solver behind a constrained layout takes its conditions in any order, and its last digits follow.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        left, bottom, width, height = (round(float(place), 6) for place in ax.get_position(original=True).bounds)
        ax.set_position((left, bottom, width, height))
