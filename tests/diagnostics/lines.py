"""Straight lines through time whose ends differ between people: everything about them is known in closed form."""

from __future__ import annotations

import numpy as np

import pkpd

TIMES = (0.0, 1.0, 2.0, 4.0)
LEVEL, SLOPE, OMEGA, ADD = 10.0, 2.0, (4.0, 0.25), 1.0
TEXT = """
name = "lines"
[parameters]
level = { typical = 10, unit = "1", transform = "none", iiv = 4 }
slope = { typical = 2, unit = "1/h", transform = "none", iiv = 0.25 }
[dynamics]
equations = '''
y = level + slope * t
'''
[outputs]
y = { unit = "1", add = 1 }
"""


def drawn(people: int, seed: int, times: tuple[float, ...] = TIMES) -> np.ndarray:
    """Observations of the model itself, (people, times)."""
    rng = np.random.default_rng(seed)
    level, slope = LEVEL + 2.0 * rng.normal(size=(people, 1)), SLOPE + 0.5 * rng.normal(size=(people, 1))
    return level + slope * np.array(times) + ADD * rng.normal(size=(people, len(times)))


def lined(y: np.ndarray, model: str = TEXT, times: tuple[float, ...] = TIMES, **columns: np.ndarray) -> pkpd.Fit:
    """A fit of observations (people, times) at the values of a model."""
    people = len(y)
    rows = {
        "ID": np.repeat(np.arange(1, people + 1), len(times)),
        "TIME": np.tile(times, people),
        "DV": y.ravel(),
        **{name: column.ravel() for name, column in columns.items()},
    }
    return pkpd.fit(pkpd.Model(model), pkpd.read_data(rows), pkpd.FOCE(max_iterations=0, covariance=None))


def whitened(y: np.ndarray, *, symmetric: bool = False, times: tuple[float, ...] = TIMES) -> np.ndarray:
    """The same without mean and correlation, exactly: L^-1 (y - mean), or V^-1/2 (y - mean)."""
    t = np.array(times)
    design = np.stack([np.ones(len(t)), t], axis=1)
    variance = design @ np.diag(OMEGA) @ design.T + ADD**2 * np.eye(len(t))
    left = y - (LEVEL + SLOPE * t)
    if symmetric:
        values, vectors = np.linalg.eigh(variance)
        return left @ (vectors / np.sqrt(values)) @ vectors.T
    return np.linalg.solve(np.linalg.cholesky(variance), left.T).T
