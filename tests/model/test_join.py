"""Joining and renaming."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError, UnitError
from pkpd.model import Input, Model, Need, Parameter, Route, parts
from pkpd.model.expression import to_text

KA = Parameter(name="ka", typical=1.0, unit="1/h")
CL = Parameter(name="cl", typical=1.0, unit="L/h")
V1 = Parameter(name="v1", typical=10.0, unit="L")


def absorption():
    return Model(
        parameters=[KA],
        routes=[Route(name="oral", inputs=(Input(into="depot"),))],
        equations="d/dt(depot) = -ka * depot\nd/dt(central) = ka * depot",
    )


def disposition():
    return Model(
        parameters=[CL, V1],
        routes=[Route(name="iv", inputs=(Input(into="central"),))],
        equations="cp = central / v1\nd/dt(central) = -cl * cp",
    )


def test_derivatives_of_one_state_add_up():
    model = absorption() + disposition()
    assert to_text(model.derivatives["central"]) == "ka * depot - cl * cp"
    assert list(model.parameters) == ["ka", "cl", "v1"]
    assert model.check() == []


def test_a_need_is_met_by_whoever_defines_it_in_any_order():
    effect = Model(
        needs=[Need(name="cp", unit="mg/L")],
        parameters=[Parameter(name="slope", typical=1.0, unit="L/mg")],
        equations="effect = slope * cp",
    )
    assert [finding.code for finding in effect.check()] == ["open"]
    for model in (effect + disposition(), disposition() + effect):
        assert model.needs == {}
        assert [name for name, _ in model.assignments] == ["cp", "effect"]


def test_a_need_in_another_unit_is_refused():
    effect = Model(needs=[Need(name="cp", unit="ng/mL")], equations="effect = cp")
    with pytest.raises(UnitError, match="differ by a factor of 1000"):
        effect + disposition()


def test_what_both_say_must_be_the_same():
    other = Model(parameters=[Parameter(name="cl", typical=2.0, unit="L/h")], equations="cp = cl * 1\nx = cp")
    with pytest.raises(ModelError) as caught:
        disposition() + other
    message = str(caught.value)
    assert "both models have `cl` in parameters" in message and "both models define `cp`" in message
    assert disposition() + disposition().replace(equations="x = cl / v1", routes=[]) is not None


def test_units_of_time_must_agree_where_they_matter():
    slow = Model(time_unit="d", parameters=[Parameter(name="k", typical=1.0, unit="1/d")], equations="y = exp(-k * t)")
    with pytest.raises(ModelError, match="one model counts time in h, the other in d"):
        disposition() + slow
    timeless = Model(time_unit="d", parameters=[Parameter(name="k", typical=1.0)], equations="y = k")
    assert (timeless + disposition()).time_unit == "h"
    assert (disposition() + timeless).time_unit == "h"


def test_circles_are_refused():
    a = Model(needs=[Need(name="y")], equations="x = y")
    b = Model(needs=[Need(name="x")], equations="y = x")
    with pytest.raises(ModelError, match="these assignments need each other: x, y"):
        a + b


def test_rename_reaches_everything(text):
    model = Model(text).rename(central="blood", cp="conc", cl="clearance", WT="BW")
    assert list(model.outputs) == ["conc", "cm"]
    assert model.routes["iv"].inputs[0].into == "blood"
    assert to_text(model.derivatives["blood"]).startswith("ka * depot - clearance * conc")
    assert to_text(model.parameters["clearance"].times) == "(BW / 70) ** 0.75"
    assert model.rename(blood="central", conc="cp", clearance="cl", BW="WT") == Model(text)


def test_rename_refuses_what_is_not_there_or_taken(text):
    with pytest.raises(ModelError, match="Did you mean `central`"):
        Model(text).rename(centrl="x")
    with pytest.raises(ModelError, match="two names would become `v1`"):
        Model(text).rename(v2="v1")


def test_only_models_are_joined():
    with pytest.raises(TypeError):
        disposition() + 3  # type: ignore[operator]


def test_what_both_models_say_counts_once_or_is_refused():
    """The same elimination in both must not double it."""
    one = parts.disposition(1)
    assert (one + one).derivatives == one.derivatives
    with pytest.raises(ModelError, match="count twice"):
        parts.disposition(2) + one.rename(v1="v1")
    oral = one + parts.absorption()
    with pytest.raises(ModelError, match="ka"):
        oral + parts.absorption()
