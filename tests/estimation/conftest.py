"""Models, data and fits that the tests of this room share."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd import Dataset, Fit, Individual, Pooled, fit, read_data
from pkpd.model import Model

TWO_EXPONENTIALS = """
name = "two_exponentials"
[parameters]
a1 = { typical = 3.0, unit = "mg/L", label = "fast intercept" }
l1 = { typical = 2.0, unit = "1/h" }
a2 = { typical = 0.6, unit = "mg/L" }
l2 = { typical = 0.3, unit = "1/h" }
[dynamics]
equations = "cp = a1 * exp(-l1 * t) + a2 * exp(-l2 * t)"
[outputs]
cp = { unit = "mg/L", add = 0.1 }
"""

ORAL = """
name = "oral"
[parameters]
ka = { typical = 1.0, unit = "1/h" }
cl = { typical = 4.0, unit = "L/h" }
v = { typical = 40.0, unit = "L" }
[routes]
oral = { into = "depot", cmt = 1 }
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''
[outputs]
cp = { unit = "mg/L", add = 0.1 }
"""
TIMES = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])


@pytest.fixture(scope="session")
def two_exponentials() -> Model:
    return Model(TWO_EXPONENTIALS)


@pytest.fixture(scope="session")
def oral() -> Model:
    return Model(ORAL)


@pytest.fixture(scope="session")
def decline() -> Dataset:
    """Four people of a biexponential decline with 15 % noise."""
    rng = np.random.default_rng(11)
    columns: dict[str, list] = {"ID": [], "TIME": [], "DV": []}
    for person in "ABCD":
        f = 2.5 * np.exp(-1.7 * TIMES) + 0.7 * np.exp(-0.25 * TIMES)
        columns["ID"] += [person] * TIMES.size
        columns["TIME"] += TIMES.tolist()
        columns["DV"] += np.round(f * (1 + 0.15 * rng.standard_normal(TIMES.size)), 4).tolist()
    return read_data(columns, units={"TIME": "h", "DV": "mg/L"})


@pytest.fixture(scope="session")
def doses() -> Dataset:
    """Three people after 100 mg by mouth, with additive noise."""
    rng = np.random.default_rng(5)
    columns: dict[str, list] = {"ID": [], "TIME": [], "AMT": [], "DV": [], "EVID": []}
    for person, (ka, cl, v) in {"1": (1.2, 5.0, 35.0), "2": (0.8, 4.0, 45.0), "3": (1.6, 3.0, 40.0)}.items():
        k = cl / v
        f = 100 / v * ka / (ka - k) * (np.exp(-k * TIMES) - np.exp(-ka * TIMES))
        columns["ID"] += [person] * (TIMES.size + 1)
        columns["TIME"] += [0.0, *TIMES.tolist()]
        columns["AMT"] += [100, *["."] * TIMES.size]
        columns["DV"] += [".", *np.round(f + 0.05 * rng.standard_normal(TIMES.size), 4).tolist()]
        columns["EVID"] += [1, *[0] * TIMES.size]
    return read_data(columns, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})


@pytest.fixture(scope="session")
def pooled(two_exponentials, decline) -> Fit:
    return fit(two_exponentials, decline, Pooled())


@pytest.fixture(scope="session")
def individual(oral, doses) -> Fit:
    return fit(oral, doses, Individual())
