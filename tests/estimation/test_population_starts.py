"""Starts of a population fit: far off, found from the data, several; and what runs to 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit
from pkpd.estimation.descend import descend
from pkpd.estimation.seek import halton
from pkpd.model import Model

DATA = Path(__file__).parents[2] / "fits" / "theophylline_individual" / "data.csv"
BOLUS = """
title = "a bolus"
[parameters]
cl = { typical = 4.0, unit = "L/h", iiv = 0.09 }
v = { typical = 30.0, unit = "L", iiv = 0.05 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1, add = 0.1 }
"""
TURNOVER = """
title = "a response that a drug inhibits"
[parameters]
kin = { typical = 10.0, unit = "1/h", iiv = 0.05 }
kout = { typical = 0.2, unit = "1/h" }
imax = { typical = 0.8, transform = "logit", lower = 0.0, upper = 1.0 }
ic50 = { typical = 1.0, unit = "mg/L", iiv = 0.1 }
vol = { typical = 20.0, unit = "L", fixed = true }
ke = { typical = 0.15, unit = "1/h", fixed = true }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / vol
d/dt(central) = -ke * central
r(0) = kin / kout
d/dt(r) = kin * (1 - imax * cp / (ic50 + cp)) - kout * r
'''
[outputs]
r = { unit = "1", add = 2.0 }
"""


def theophylline() -> tuple[Model, Dataset]:
    own = pkpd.load("theophylline_boeckmann1994")
    own = own.replace(parameters={name: replace(p, iiv=0.1) for name, p in own.parameters.items()})
    seen = read_data(DATA, units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})
    return own.set({"ka": 1.5, "cl": 2.5, "v": 30.0, "cp.add": 1.0}), seen


def bolus(seed: int = 5) -> Dataset:
    """Its errors are proportional, so that the additive SD runs to 0."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(12):
        cl, v = np.array([4.0, 30.0]) * np.exp(rng.standard_normal(2) * [0.3, 0.2])
        rows.append((f"p{i}", 0.0, 1, 100.0, np.nan))
        for t in (0.5, 2.0, 5.0, 9.0, 16.0):
            rows.append((f"p{i}", t, 0, 0.0, 100 / v * np.exp(-cl / v * t) * (1 + 0.1 * rng.standard_normal())))
    return read_data({n: [row[k] for row in rows] for k, n in enumerate(("ID", "TIME", "EVID", "AMT", "DV"))})


def turnover() -> Dataset:
    """Solved by scipy, with errors by a fixed seed."""
    from scipy.integrate import solve_ivp

    rng, rows, times = np.random.default_rng(5), [], [0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0]
    for i in range(20):
        kin, ic50 = np.array([10.0, 1.0]) * np.exp(rng.standard_normal(2) * [0.22, 0.3])
        dose = 100.0 * (1 + i % 3)

        def slope(t, r, kin=kin, ic50=ic50, dose=dose):
            cp = dose / 20 * np.exp(-0.15 * t)
            return kin * (1 - 0.8 * cp / (ic50 + cp)) - 0.2 * r

        r = solve_ivp(slope, (0, 36), [kin / 0.2], t_eval=times, rtol=1e-9, atol=1e-9).y[0]
        rows.append((f"s{i}", 0.0, 1, dose, np.nan))
        rows += [(f"s{i}", t, 0, 0.0, y + 2 * rng.standard_normal()) for t, y in zip(times, r, strict=True)]
    return read_data({n: [row[k] for row in rows] for k, n in enumerate(("ID", "TIME", "EVID", "AMT", "DV"))})


FAR = [
    *({name: value * factor} for name, value in {"ka": 1.5, "cl": 2.5, "v": 30.0}.items() for factor in (1e6, 1e-6)),
    *({"ka": 1.5 * factor, "cl": 2.5 * factor, "v": 30.0 * factor} for factor in (1e3, 1e-3, 1e6, 1e-6)),
    {"cp.add": 1e-6},
    {"cp.add": 1e6},
    {"iiv.ka": 1e-8, "iiv.cl": 1e-8, "iiv.v": 1e-8},
    {"iiv.ka": 100.0, "iiv.cl": 100.0, "iiv.v": 100.0},
]


@pytest.mark.parametrize("start", FAR, ids=lambda start: ",".join(f"{n}={v:g}" for n, v in start.items()))
def test_theophylline_from_far_off(start):
    own, seen = theophylline()
    fit = pkpd.fit(own, seen, pkpd.FOCE(), start=start)
    assert fit.status == "converged"
    assert fit.ofv == pytest.approx(116.8034, abs=1e-3)
    assert "found from the data" in str(fit) and "because" in str(fit)


def test_a_usual_start_is_taken_as_it_is():
    own, seen = theophylline()
    fit = pkpd.fit(own, seen, pkpd.FOCE(covariance=None))
    assert "Starts" not in str(fit) and "starts" not in fit.tree.children


@pytest.mark.parametrize("start", [{"kin": 1e7}, {"kin": 1e7, "kout": 2e5, "ic50": 1e6}, {"ic50": 1e-6}])
def test_a_turnover_from_far_off(start):
    own, seen = Model(TURNOVER), turnover()
    usual = pkpd.fit(own, seen, pkpd.FOCE(covariance=None))
    far = pkpd.fit(own, seen, pkpd.FOCE(covariance=None), start=start)
    assert (usual.status, far.status) == ("converged", "converged")
    assert far.ofv == pytest.approx(usual.ofv, abs=1e-3)


def test_several_starts_find_both_basins_of_theophylline():
    own, seen = theophylline()
    fit = pkpd.fit(own, seen, pkpd.FOCE(starts=3, covariance=None))
    assert fit.ofv == pytest.approx(110.335, abs=2e-3)
    ends = fit["starts"]["objective"].values
    assert ends.size == 3 and np.abs(ends - 116.8034).min() < 1e-3
    assert fit.verdict["basins"].item() >= 2 and fit.verdict["starts_at_best"].item() >= 1
    assert "110.33" in str(fit) and "116.8034" in str(fit) and "Basins" in str(fit)
    assert fit.status == "at a bound" and "iiv.ka" in fit.message


def test_find_start_and_auto():
    """The pooled minimum: 216.15 in two places, as absorption and elimination may change their parts."""
    own, seen = theophylline()
    start = pkpd.find_start(own.set({"cl": 2.5e6, "v": 3e5}), seen)
    assert start.objective == pytest.approx(216.15, abs=0.01)
    assert start.values["cl"] == pytest.approx(2.6156, rel=1e-3)
    flipped = start.others[0]
    assert start.values["ka"] == pytest.approx(flipped["cl"] / flipped["v"], rel=1e-3)
    fit = pkpd.fit(own, seen, pkpd.FOCE(covariance=None), start="auto")
    assert fit.ofv == pytest.approx(116.8034, abs=1e-3) and "Starts: found from the data" in str(fit)
    with pytest.raises(CannotFit, match="start is 'best'"):
        pkpd.fit(own, seen, pkpd.FOCE(), start="best")


def test_find_start_obeys_bounds_and_what_is_fixed():
    own, seen = theophylline()
    own = own.set({"cl": 3.5})
    own = own.replace(parameters={n: replace(p, lower=3.0 if n == "cl" else 0.0) for n, p in own.parameters.items()})
    values = pkpd.find_start(own, seen, fixed=["v"]).values
    assert "v" not in values and values["cl"] >= 3.0


def test_order_and_threads_change_no_bit():
    own, seen = theophylline()
    lines = [line for line in DATA.read_text().splitlines() if not line.startswith("#")]
    names, rows = lines[0].split(","), [line.split(",") for line in lines[1:]]
    ids = list(dict.fromkeys(row[0] for row in rows))
    turned = [row for name in reversed(ids) for row in rows if row[0] == name]
    columns = {name: [row[k] for row in turned] for k, name in enumerate(names)}
    other = read_data(columns, units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})
    assert other.ids == seen.ids[::-1]
    one = pkpd.fit(own, seen, pkpd.FOCE(covariance=None, threads=1, starts=2), start={"cl": 2.5e6})
    two = pkpd.fit(own, other, pkpd.FOCE(covariance=None, threads=2, starts=2), start={"cl": 2.5e6})
    np.testing.assert_array_equal(one.estimates["value"], two.estimates["value"])
    np.testing.assert_array_equal(one["starts"]["objective"], two["starts"]["objective"])


@pytest.mark.parametrize("estimator", [pkpd.FOCE(), pkpd.Quadrature(nodes=7)], ids=["FOCE", "Quadrature"])
def test_a_residual_sd_that_runs_to_0_reaches_the_infimum(estimator):
    """Which is the minimum of the model without it."""
    seen = bolus()
    without = pkpd.fit(Model(BOLUS.replace(", add = 0.1", "")), seen, estimator)
    for start in (0.01, 1.0):
        fit = pkpd.fit(Model(BOLUS), seen, estimator, start={"cp.add": start})
        assert fit.ofv == pytest.approx(without.ofv, abs=1e-3)
        assert fit.status == "at a bound" and "The residual SD cp.add has run to 0" in fit.message
        assert fit.estimates["se"].sel(parameter="cl").item() == pytest.approx(
            without.estimates["se"].sel(parameter="cl").item(), rel=0.02
        )


def test_a_variance_that_came_too_near_0_comes_back():
    from pkpd.estimation.collapse import collapse
    from pkpd.estimation.outer import Outer
    from pkpd.estimation.quantities import Quantities
    from pkpd.likelihood import make_problem

    own, seen = Model(BOLUS.replace(", add = 0.1", "")), bolus()
    least = pkpd.fit(own, seen, pkpd.FOCE(covariance=None)).ofv
    estimator = pkpd.FOCE()
    population = estimator.population(make_problem(own.set({"iiv.cl": 1e-9}), seen))
    quantities, outer = Quantities.of(population), Outer(population, estimator.approximation(population))
    start = np.concatenate([population.effects.start, population.effects.covariance.start])

    def search(x, lower=None, upper=None):
        low, high = quantities.limits()
        return descend(
            outer, x, low if lower is None else lower, high if upper is None else upper, tolerance=1e-6, most=200
        )

    stuck = search(start)
    assert stuck.point.objective > least + 1  # the slope vanishes there
    found, gone, said = collapse(population, quantities, stuck, outer, search)
    assert found.point.objective == pytest.approx(least, abs=1e-3)
    assert not gone.any() and "iiv.cl had come near 0" in said[0]


def test_steps_are_as_long_as_plain_values_are_large():
    class Look:
        def __init__(self, x):
            self.objective = float(((x[0] - 5000) / 1000) ** 2 + (x[1] - 1) ** 2)
            self.gradient = np.array([2 * (x[0] - 5000) / 1e6, 2 * (x[1] - 1)])
            self.information = 0.25 * np.outer(self.gradient, self.gradient)

    ends = [
        descend(
            Look, np.array([1000.0, 0.0]), np.full(2, -np.inf), np.full(2, np.inf), tolerance=1e-10, most=40, size=s
        )
        for s in (None, np.array([1000.0, 1.0]))
    ]
    assert not ends[0].settled
    assert ends[1].settled and ends[1].x == pytest.approx([5000, 1], abs=1e-2)


def test_halton_is_even():
    """The first points in bases 2 and 3; and every eighth of the interval is met equally often."""
    points = halton(64, 3)
    assert points[:3, :2] == pytest.approx(np.array([[1 / 2, 1 / 3], [1 / 4, 2 / 3], [3 / 4, 1 / 9]]))
    assert np.histogram(points[:, 0], bins=8, range=(0, 1))[0] == pytest.approx(np.full(8, 8), abs=1)


def test_starts_are_checked():
    with pytest.raises(CannotFit, match="starts is 0"):
        pkpd.FOCE(starts=0)
    with pytest.raises(CannotFit, match="starts is 2"):
        pkpd.FOCE(starts=2, max_iterations=0)


@pytest.mark.slow
def test_a_search_along_an_edge_ends():
    """Scores held within their range by min and max: both searches, for modes and for estimates, meet edges."""
    folder = Path(__file__).parents[2] / "fits" / "ketamine_fatigue_virtual"
    own = pkpd.load(folder / "model.toml")
    data = pkpd.Trial.read(folder / "trial.toml").simulate(own, seed=20260217, replicate=19)
    fit = pkpd.fit(own, data, pkpd.Laplace())
    assert int(fit.verdict["evaluations"]) < 25_000  # 46 000 and more if it creeps along
    assert fit.ofv < 1115
