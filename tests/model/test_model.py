"""The model object: equality, copies, construction from parts."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import pytest

from pkpd.errors import ModelError
from pkpd.model import Model, Output, Parameter
from pkpd.model.expression import Number


def test_equal_by_content(text):
    one, other = Model(text), Model("# a comment\n" + text)
    assert one == other and hash(one) == hash(other) and one.hash == other.hash
    assert one != one.set(cl=3) and one.hash != one.set(cl=3).hash
    assert one != 3


def test_frozen_and_picklable(text):
    model = Model(text)
    with pytest.raises(FrozenInstanceError):
        model.title = "x"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(model)) == model


def test_set_parameters_constants_and_residuals(text):
    model = Model(text)
    changed = model.set({"cp.prop": 0.3}, cl=3, mm=200)
    assert changed.parameters["cl"].typical == 3.0
    assert changed.constants["mm"].value == 200.0
    assert changed.outputs["cp"].prop == 0.3
    assert model.parameters["cl"].typical == 84.0
    with pytest.raises(ModelError, match="Did you mean `cl`"):
        model.set(cll=3)
    with pytest.raises(ModelError, match="typical is -3"):
        model.set(cl=-3)


def test_fix_and_free(text):
    model = Model(text).fix("v*", "cl")
    assert [name for name, p in model.parameters.items() if p.fixed] == ["cl", "v1", "v2"]
    assert not any(p.fixed for p in model.free("*").parameters.values())
    with pytest.raises(ModelError, match="`zz` is not a parameter"):
        model.fix("zz")


def test_replace(text):
    model = Model(text)
    assert model.replace(title="Other").title == "Other"
    smaller = model.replace(
        equations="cp = central / v1\nd/dt(central) = -cl * cp",
        routes=[model.routes["iv"]],
        outputs=[Output(name="cp", unit="mg/L")],
        constants={},
    )
    assert list(smaller.states) == ["central"]
    with pytest.raises(ModelError, match="`equation` is not a part of a model"):
        model.replace(equation="x = 1")
    with pytest.raises(ModelError, match="`cx` is not computed"):
        model.replace(outputs=[Output(name="cx")])


def test_from_parts():
    model = Model(
        name="line",
        parameters=[Parameter(name="a", typical=1.0), Parameter(name="b", typical=2.0, unit="1/h")],
        equations="y = a + b * t",
        outputs=[Output(name="y")],
    )
    assert model.check() == [] and model.states == {}
    with pytest.raises(ModelError, match="`a` stands twice in parameters"):
        Model(parameters=[Parameter(name="a", typical=1.0)] * 2)
    with pytest.raises(ModelError, match="is called `a`"):
        Model(parameters={"b": Parameter(name="a", typical=1.0)})
    with pytest.raises(ModelError, match="both as content and in parts"):
        Model("x = 1\n", name="x")


def test_states_nobody_has():
    with pytest.raises(ModelError, match="`x` is not a state"):
        Model("[states]\nx = { unit = 'mg' }\n")


def test_an_empty_model_is_a_model():
    assert Model("\n").text == Model().text
    assert repr(Model()) == "Model('model': 0 parameters, 0 states, outputs none)"


def test_derivatives_given_as_expressions():
    model = Model(derivatives={"x": Number(1.0)}, initials={"x": Number(0.0)})
    assert model.states["x"].unit == "h"
