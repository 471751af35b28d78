"""What a figure comes from, in small print at its foot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkpd.plots.style import QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["stamp"]

_INCHES = 0.16


def stamp(figure: Figure, text: str) -> None:
    """Set a line at the lower right corner, and keep everything else above it."""
    share = _INCHES / figure.get_figheight()
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, share, 1, 1 - share))  # pyright: ignore[reportCallIssue]
    figure.text(0.995, 0.15 * share, text, ha="right", va="bottom", fontsize=6.5, color=QUIET)
