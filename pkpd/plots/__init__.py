"""Figures of labelled arrays, in one house style. The plots know xarray and the schema, never a model."""

from __future__ import annotations

from pkpd.plots.bands import bands
from pkpd.plots.profiles import profiles
from pkpd.plots.save import save
from pkpd.plots.style import COLOURS, figure, house_style

__all__ = ["COLOURS", "bands", "figure", "house_style", "profiles", "save"]
