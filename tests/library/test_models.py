"""Every file in models/: it reads, it says where it comes from, it responds to a dose, and it keeps its numbers."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pkpd import engine
from pkpd.data.events import Events
from pkpd.data.regimen import Regimen
from pkpd.model.model import Model
from pkpd.simulation.check import evaluate

MODELS = Path(__file__).parents[2] / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.toml"))
MARKS = ("full text", "abstract", "secondary", "recalled")


@cache
def load(name: str) -> Model:
    return Model(MODELS / f"{name}.toml", resolve=lambda other: (MODELS / f"{other}.toml").read_text())


@cache
def table(name: str) -> dict[str, Any]:
    """The file as plain TOML, so that one that does not read fails its own tests and no others."""
    return tomllib.loads((MODELS / f"{name}.toml").read_text())


def routes(name: str) -> list[str]:
    included = [
        f"{alias}.{route}" for alias, other in table(name).get("include", {}).items() for route in routes(other)
    ]
    return [*table(name).get("routes", {}), *included]


CHECKS = [(name, number) for name in NAMES for number in range(len(table(name).get("checks", [])))]


def test_there_are_models():
    assert len(NAMES) >= 30
    assert len(CHECKS) >= 200


@pytest.mark.parametrize("name", NAMES)
def test_reads_without_findings(name):
    found = load(name).check()
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("name", NAMES)
def test_says_where_it_comes_from(name):
    model = load(name)
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert model.title and model.reference and model.tags
    assert model.source["mark"] in MARKS
    for key in ("from", "population", "sampling", "remarks"):
        assert model.source[key].strip(), key
    assert all(parameter.label for parameter in model.parameters.values())
    assert all(output.label for output in model.outputs.values())
    assert all(check.where for check in model.checks)
    assert model.checks


@pytest.mark.parametrize(("name", "number"), CHECKS)
def test_keeps_its_numbers(name, number):
    model = load(name)
    check = model.checks[number]
    value = evaluate(model, check.dose, check.that, covariates=check.covariates, unit=check.unit)
    assert value == pytest.approx(check.equals, rel=check.rtol, abs=0), f"{check.dose}: {check.that}, {check.where}"


def simulate(model: Model, route: str, amount: float, method: str = "auto") -> np.ndarray:
    """All outputs at 60 times after one dose, (60, outputs)."""
    span = 48.0 if model.time_unit == "h" else 48.0 * 60
    times = np.concatenate([np.geomspace(1e-3, 1, 30), np.linspace(2, span, 30)])
    covariates = {one.name: one.reference for one in model.covariates.values()}
    regimen = Regimen.read(f"{amount} mg {route.replace('.', ' ')}", time_unit=model.time_unit)
    program = engine.compile_model(model)
    events = Events.from_regimens([("1", regimen, times, covariates)], time_unit=model.time_unit)
    values = np.array([[model.parameters[p].typical for p in program.parameters]])
    prediction = engine.predict(program, engine.bind(program, events), values, method=method)
    prediction.raise_failures()
    assert program.observables == tuple(model.outputs)
    return np.asarray(prediction.f).reshape(len(times), len(model.outputs))


@pytest.mark.parametrize(("name", "route"), [(name, route) for name in NAMES for route in routes(name)])
def test_responds_to_a_dose(name, route):
    model = load(name)
    one, two = simulate(model, route, 10.0), simulate(model, route, 20.0)
    for column, output in enumerate(model.outputs):
        assert np.isfinite(one[:, column]).all(), output
        assert np.abs(one[:, column]).max() > 0, output
        assert not np.allclose(one[:, column], two[:, column], rtol=1e-6, atol=0), output


@pytest.mark.parametrize("name", [name for name in NAMES if not routes(name)])
def test_without_a_route_there_is_a_course(name):
    model = load(name)
    for output in model.outputs:
        assert evaluate(model, "", f"at({output}, 24)") != 0


@pytest.mark.parametrize(("name", "route"), [(name, route) for name in NAMES for route in routes(name)])
def test_both_solvers_agree(name, route):
    explicit = simulate(load(name), route, 10.0, method="explicit")
    stiff = simulate(load(name), route, 10.0, method="rosenbrock")
    np.testing.assert_allclose(stiff, explicit, rtol=1e-6, atol=1e-9 * np.abs(explicit).max())


def test_the_templates_run_on_any_kinetics():
    """The line under [include] can name any model with a `cp` in mg/L, whatever its unit of time."""
    text = (MODELS / "effect_emax.toml").read_text().replace('drug = "onecompartment"', 'drug = "ketamine_domino1984"')
    model = Model(text, resolve=lambda other: (MODELS / f"{other}.toml").read_text())
    kinetics = load("ketamine_domino1984")
    alone = evaluate(kinetics, "35 mg iv over 40 min", "at(cp, 80)", covariates={"WT": 70})
    inside = evaluate(model, "35 mg drug iv over 40 min", "at(drug.cp, 1.3333333333)", covariates={"WT": 70})
    assert inside == pytest.approx(alone, rel=1e-7)
    assert evaluate(model, "35 mg drug iv over 40 min", "at(effect, 2)", covariates={"WT": 70}) > 10
