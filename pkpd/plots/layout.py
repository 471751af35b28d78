"""A layout that is the same to the last bit each time: the same figure is the same file."""

from __future__ import annotations

from typing import Any

from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

__all__ = ["SettledLayout"]

#: Decimals of the width or height of a figure.
_DECIMALS = 8


class SettledLayout(ConstrainedLayoutEngine):
    """Matplotlib's constrained layout, whose solver may differ in the last bits, with places that are rounded."""

    def execute(self, fig: Any) -> Any:
        """Lay out a figure."""
        found = super().execute(fig)
        for ax in fig.axes:
            place = ax.get_position(original=True)
            ax._set_position(Bbox(place.get_points().round(_DECIMALS)), which="original")
        return found
