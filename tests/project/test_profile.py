"""Profile likelihoods, against problems whose answer is known."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from pkpd.project.plan import Plan
from pkpd.project.profile import Profile, profile
from pkpd.project.study import Study

ALLOWED = 3.841458820694124


class Linear:
    """u = (y - A z), with bounds: the rise along any linear quantity is a parabola."""

    def __init__(self, table, seen, *, bound=np.inf, transforms=None):
        self.table, self.seen = np.asarray(table, float), np.asarray(seen, float)
        count = self.table.shape[1]
        self.coordinates = SimpleNamespace(
            free=np.ones(count, dtype=bool),
            limits=lambda: (np.full(count, -bound), np.full(count, bound)),
            parameters=[SimpleNamespace(transform=t) for t in transforms or ["none"] * count],
        )

    def residuals(self, z):
        return self.seen - self.table @ z

    def at(self, z):
        return SimpleNamespace(u=self.residuals(z), mean_z=self.table)


def test_a_linear_quantity_has_the_interval_of_normal_theory():
    rng = np.random.default_rng(3)
    table, seen, along = rng.normal(size=(8, 3)), rng.normal(size=8), np.array([1.0, -2.0, 0.5])
    best = np.linalg.lstsq(table, seen, rcond=None)[0]
    error = np.sqrt(along @ np.linalg.inv(table.T @ table) @ along)
    found = profile(Linear(table, seen), best, lambda z: (float(along @ z), along), until=2 * ALLOWED, step=error)
    low, high = found.interval(ALLOWED)
    assert low == pytest.approx(along @ best - 1.959964 * error, rel=1e-3)
    assert high == pytest.approx(along @ best + 1.959964 * error, rel=1e-3)


def test_a_side_that_a_bound_closes_ends_there():
    found = profile(
        Linear([[1e-3]], [0.0], bound=2.0), np.zeros(1), lambda z: (float(z[0]), np.ones(1)), until=5, step=0.5
    )
    assert found.interval(ALLOWED) == (pytest.approx(-2, abs=0.05), pytest.approx(2, abs=0.05))


def test_a_flat_side_is_open():
    found = profile(
        Linear([[0.0, 1.0]], [0.0]),
        np.zeros(2),
        lambda z: (float(z[0]), np.array([1.0, 0.0])),
        until=5,
        step=5,
        limits=(-100, 100),
    )
    assert found.interval(ALLOWED) == (-np.inf, np.inf)


def test_an_interval_is_read_between_points_of_the_root():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = Profile(centre=0.0, values=values, rise=values**2, at=np.zeros((5, 1)))
    assert found.interval(2.25) == (pytest.approx(-1.5), pytest.approx(1.5))


def _component(unit, z):
    return float(unit @ z), unit


def test_profiles_of_a_real_fit_agree_with_lmfit(folder):
    study = Study(folder=folder, plan=Plan.read(folder / "fit.toml"))
    fitted = study.fit("linear", interval="profile")
    for place, name in enumerate(fitted.free):
        unit = np.eye(len(fitted.free))[place]
        step = 0.05 + abs(unit @ fitted.z) / 20
        along = partial(_component, unit)
        found = profile(fitted.objective, fitted.z, along, until=1.2 * ALLOWED, step=step)
        low, high = found.interval(ALLOWED)
        if fitted.model.parameters[name].transform == "log":
            low, high = np.exp([low, high])
        one = fitted.fit.estimates.sel(parameter=name)
        width = float(one["upper"]) - float(one["lower"])
        assert low == pytest.approx(float(one["lower"]), abs=0.02 * width)
        assert high == pytest.approx(float(one["upper"]), abs=0.02 * width)
