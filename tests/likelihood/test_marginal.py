"""Likelihoods of populations: exact slopes, known limits, nobody's part depends on the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import pytest

from pkpd.data import Dataset, read_data
from pkpd.likelihood import make_problem
from pkpd.likelihood.density import Density
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.importance import sample_importance
from pkpd.likelihood.marginal import Marginal, Prior, fo, foce, foce_no_interaction, laplace
from pkpd.likelihood.population import Population
from pkpd.likelihood.quadrature import quadrature
from pkpd.model import Model

HEAD = """
title = "a drug by several ways"
[covariates]
WT = { unit = "kg" }
[parameters]
ka = { typical = 1.1, unit = "1/h", iiv = 0.2 }
cl = { typical = 3.0, unit = "L/h", iiv = 0.1, times = "WT / 70" }
v = { typical = 30.0, unit = "L" }
lag = { typical = 0.3, unit = "h", iiv = 0.05 }
f = { typical = 0.7, unit = "1", transform = "logit", lower = 0, upper = 1, iiv = 0.3 }
dur = { typical = 2.0, unit = "h" }
shift = { typical = -0.2, unit = "mg/L", transform = "none", iiv = 0.01 }
[routes]
oral = { into = "depot", cmt = 1, lag = "lag", bioavailability = "f" }
slow = { into = "central", cmt = 2, duration = "dur" }
[dynamics]
equations = '''
cp = central / v + shift
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl / v * central
'''
[outputs]
cp = { unit = "mg/L", LAW }
"""
LAWS = {
    "additive": "add = 0.4",
    "proportional": "prop = 0.2",
    "combined": "add = 0.2, prop = 0.15",
    "log-normal": "log = 0.2",
}
VARIED = {
    "additive": "add = 0.4, iiv = 0.2",
    "combined": "add = 0.2, prop = 0.15, iiv = 0.2",
    "standard deviations add, power": "add = 0.2, prop = 0.15, power = 0.7, combined = 1, iiv = 0.2",
    "log-normal": "log = 0.2, iiv = 0.2",
}
#: The SD goes with clearance.
SD_WITH_CL = '[[omega]]\nparameters = ["cl", "cp"]\ncovariance = [[0.1], [0.05, 0.2]]\n'
DOSES = {
    "oral": {"CMT": 1, "AMT": 320.0},
    "repeated": {"CMT": 1, "AMT": 100.0, "II": 6.0, "ADDL": 2},
    "steady": {"CMT": 1, "AMT": 100.0, "II": 8.0, "SS": 1},
    "modelled duration": {"CMT": 2, "AMT": 200.0, "RATE": -2.0},
}
METHODS: dict[str, Callable[..., Marginal]] = {
    "fo": fo,
    "foce": foce,
    "foce, no interaction": foce_no_interaction,
    "laplace": laplace,
}


def table(plan: str, people: int) -> list[dict[str, float]]:
    """Scattered by a fixed draw around plausible curves; the last person has two records only."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(people):
        weight = 60.0 + 5 * i
        nothing = {"EVID": 0, "CMT": 1, "AMT": 0.0, "RATE": 0.0, "II": 0.0, "ADDL": 0, "SS": 0, "DV": np.nan}
        rows.append({"ID": i + 1, "TIME": 0.0, "WT": weight} | nothing | {"EVID": 1} | DOSES[plan])
        times = [0.5, 1.0, 2.3, 4.0, 8.0, 14.0] if i < people - 1 else [1.0, 8.0]
        for t in times:
            y = 6.0 * np.exp(-0.12 * t) * (1 - np.exp(-1.5 * t)) * np.exp(0.25 * rng.standard_normal())
            rows.append({"ID": i + 1, "TIME": t, "WT": weight} | nothing | {"DV": y})
    return rows


def read(rows: list[dict[str, float]]) -> Dataset:
    return read_data({name: [row[name] for row in rows] for name in rows[0]})


@lru_cache
def data(plan: str, people: int = 4) -> Dataset:
    return read(table(plan, people))


def population(law: str, plan: str, people: int = 4, laws: dict[str, str] = LAWS, more: str = "") -> Population:
    model = Model(HEAD.replace("LAW", laws[law]) + more)
    if law == "log-normal":
        model = model.set({"shift": 0.2})
    problem = make_problem(model, data(plan, people))
    effects = Effects.of(model, problem.residual_parameters, problem.residuals.used)
    return Population(problem=problem, effects=effects, density=Density.of(problem.observations, problem.residuals))


def start(p: Population) -> np.ndarray:
    return np.concatenate([p.effects.start, p.effects.covariance.start])


def slopes_by_differences(look: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Of every subject's part, (S, X): central, extrapolated."""
    columns = []
    for k in range(len(x)):
        found = []
        for step in (2e-3, 1e-3):
            ahead = np.eye(len(x))[k] * step
            found.append((look(x + ahead) - look(x - ahead)) / (2 * step))
        columns.append((4 * found[1] - found[0]) / 3)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("plan", DOSES)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("method", METHODS)
def test_slopes_are_differences(method: str, law: str, plan: str):
    p = population(law, plan)
    x, nothing = start(p), np.zeros((4, len(p.effects.names)))
    got = METHODS[method](p, x, nothing, gradient=True)
    assert got.gradient is not None and np.isfinite(got.each).all()
    assert got.modes.settled.all()

    def look(x: np.ndarray) -> np.ndarray:
        return METHODS[method](p, x, got.modes.b).each

    wanted = slopes_by_differences(look, x)
    np.testing.assert_allclose(got.gradient, wanted, atol=2e-5 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("more", ["", SD_WITH_CL], ids=["alone", "in a block"])
@pytest.mark.parametrize("law", VARIED)
@pytest.mark.parametrize("method", ["foce", "laplace"])
def test_slopes_are_differences_where_errors_differ_between_people(method: str, law: str, more: str):
    p = population(law, "oral", laws=VARIED, more=more)
    assert "cp" in p.effects.names
    scales = p.effects.to_effect[:, p.effects.names.index("cp")]
    assert scales.sum() == sum(term in VARIED[law] for term in ("add", "prop", "log"))  # not the power
    x, nothing = start(p), np.zeros((4, len(p.effects.names)))
    got = METHODS[method](p, x, nothing, gradient=True)
    assert got.gradient is not None and got.modes.settled.all()
    wanted = slopes_by_differences(lambda x: METHODS[method](p, x, got.modes.b).each, x)
    np.testing.assert_allclose(got.gradient, wanted, atol=2e-5 * max(1.0, np.abs(wanted).max()))


BOXCOX = {
    'ka = { typical = 1.1, unit = "1/h", iiv = 0.2 }': 'ka = { typical = 1.1, unit = "1/h", transform = "boxcox", '
    "shape = -0.4, iiv = 0.2 }",
    'v = { typical = 30.0, unit = "L" }': 'v = { typical = 30.0, unit = "L", transform = "boxcox", '
    "shape = 0.5, iiv = 1 }",
}


@pytest.mark.parametrize("method", METHODS)
def test_slopes_are_differences_on_the_scales_of_box_and_cox(method: str):
    text = HEAD.replace("LAW", LAWS["combined"])
    for old, new in BOXCOX.items():
        assert old in text
        text = text.replace(old, new)
    problem = make_problem(Model(text), data("oral"))
    effects = Effects.of(problem.model, problem.residual_parameters, problem.residuals.used)
    p = Population(problem=problem, effects=effects, density=Density.of(problem.observations, problem.residuals))
    x, nothing = start(p), np.zeros((4, len(p.effects.names)))
    got = METHODS[method](p, x, nothing, gradient=True)
    assert got.gradient is not None and got.modes.settled.all()
    wanted = slopes_by_differences(lambda x: METHODS[method](p, x, got.modes.b).each, x)
    np.testing.assert_allclose(got.gradient, wanted, atol=5e-5 * max(1.0, np.abs(wanted).max()))


def test_where_a_box_cox_value_does_not_exist_nothing_is_likely():
    text = HEAD.replace("LAW", LAWS["combined"]).replace(*BOXCOX.copy().popitem())
    problem = make_problem(Model(text), data("oral"))
    effects = Effects.of(problem.model, problem.residual_parameters, problem.residuals.used)
    p = Population(problem=problem, effects=effects, density=Density.of(problem.observations, problem.residuals))
    b = np.zeros((4, len(effects.names)))
    z = p.effects.start
    there = p.value(effects.arguments(z, b))
    edge = -2 - effects.start[effects.typical.index("v")]  # 0.5 z + 1 = 0
    b[1, effects.names.index("v")] = edge
    b[2, effects.names.index("v")] = edge - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = p.value(effects.arguments(z, b))
        at = p.slopes(effects.arguments(z, b))
    assert np.isposinf(found[1:3]).all() and np.array_equal(found[[0, 3]], there[[0, 3]])
    assert np.isposinf(at.value[1:3]).all() and np.isfinite(at.gradient[[0, 3]]).all()


@pytest.mark.parametrize("name", ["ka", "cl", "v"])
def test_where_a_value_overflows_nothing_is_likely_and_nothing_warns(name: str):
    p = population("additive", "oral")
    w = p.effects.arguments(p.effects.start, np.zeros((4, len(p.effects.names))))
    usual = p.slopes(w)
    w[0, p.effects.engine.index(name)] = 800.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = p.slopes(w)
    assert np.isposinf(found.value[0])
    assert np.array_equal(found.value[1:], usual.value[1:])
    assert np.array_equal(found.gradient[1:], usual.gradient[1:])


def test_modes_move_as_said():
    p = population("combined", "oral")
    x, nothing = start(p), np.zeros((4, len(p.effects.names)))
    got = foce(p, x, nothing, gradient=True)
    assert got.modes_x is not None
    for k in range(len(x)):
        ahead = np.eye(len(x))[k] * 1e-4
        change = foce(p, x + ahead, got.modes.b).modes.b - foce(p, x - ahead, got.modes.b).modes.b
        np.testing.assert_allclose(got.modes_x[:, :, k], change / 2e-4, atol=1e-5)


@pytest.mark.parametrize("law", ["additive", "combined"])
def test_quadrature_and_sampling_agree(law: str):
    model = Model(HEAD.replace("LAW", LAWS[law])).fix("lag", "f", "shift", "dur")
    model = model.replace(parameters={n: _without(q, n in ("lag", "f", "shift")) for n, q in model.parameters.items()})
    problem = make_problem(model, data("oral"))
    effects = Effects.of(model, problem.residual_parameters, problem.residuals.used)
    p = Population(problem=problem, effects=effects, density=Density.of(problem.observations, problem.residuals))
    x, nothing = start(p), np.zeros((4, 2))
    fine, finer = (quadrature(p, x, nothing, nodes=n) for n in (15, 25))
    np.testing.assert_allclose(fine.each, finer.each, atol=1e-4)
    assert laplace(p, x, nothing).objective == pytest.approx(quadrature(p, x, nothing, nodes=1).objective, abs=1e-9)
    near = laplace(p, x, nothing)
    assert near.bent is not None
    sampled = sample_importance(p, Prior.at(p, x), near.modes, near.bent, draws=4000, seed=3)
    assert abs(sampled.objective - finer.objective) < 4 * sampled.error < 0.5
    slopes = quadrature(p, x, nothing, nodes=25, gradient=True).gradient
    wanted = slopes_by_differences(lambda x: quadrature(p, x, near.modes.b, nodes=25).each, x)
    np.testing.assert_allclose(slopes, wanted, atol=2e-4)


def _without(parameter, none: bool):
    from dataclasses import replace

    return replace(parameter, iiv=0.0) if none else parameter


@pytest.mark.parametrize("method", [*METHODS.values(), partial(quadrature, nodes=2)])
def test_nobody_depends_on_the_others(method):
    p, more = population("combined", "oral"), population("combined", "oral", people=7)
    x = start(p)
    few = method(p, x, np.zeros((4, 5)))
    many = method(more, x, np.zeros((7, 5)))
    np.testing.assert_allclose(few.each[:3], many.each[:3], rtol=1e-12)
    np.testing.assert_allclose(few.modes.b[:3], many.modes.b[:3], rtol=1e-9, atol=1e-12)


def test_a_subject_without_records_adds_nothing():
    rows = table("oral", 4)
    rows.append(rows[0] | {"ID": 99})
    model = Model(HEAD.replace("LAW", LAWS["additive"]))
    problem = make_problem(model, read(rows))
    effects = Effects.of(model, problem.residual_parameters, problem.residuals.used)
    p = Population(problem=problem, effects=effects, density=Density.of(problem.observations, problem.residuals))
    found = foce(p, start(p), np.zeros((5, 5)), gradient=True)
    assert found.each[4] == pytest.approx(0.0, abs=1e-12)
    assert found.gradient is not None and np.abs(found.gradient[4]).max() < 1e-12
