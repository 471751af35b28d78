"""Models and data of this room's tests."""

from __future__ import annotations

import pytest

import pkpd


@pytest.fixture(scope="session")
def theophylline():
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    return pkpd.load("theophylline_boeckmann1994"), pkpd.read_data("fits/theophylline_foce/data.csv", units=units)
