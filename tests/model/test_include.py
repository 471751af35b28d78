"""Including models: prefixes, units of time, wiring, and what cannot be included."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError, ModelSyntaxError
from pkpd.model import Model
from pkpd.model.expression import evaluate, to_text

FAST = """
title = "Fast"
reference = "Somebody 2000"
[units]
time = "min"
amount = "ug"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 1.5, unit = "L/min", times = "WT / 70" }
v = { typical = 20, unit = "L", source = "Table 1" }
tlag = { typical = 5, unit = "min" }
dur = { typical = 10, unit = "min" }
[constants]
half_life = { value = 30, unit = "min" }
[routes]
iv = { into = "central", cmt = 1 }
dose = { into = "central", lag = "tlag", duration = "dur * dose / dose" }
[dynamics]
equations = '''
cp = central / v
daily = exp(-t / half_life)
d/dt(central) = -cl * cp * daily
'''
[outputs]
cp = { unit = "ug/L", dvid = 1, prop = 0.1 }
[[checks]]
dose = "1 ug iv"
that = "cmax(cp)"
equals = 0.05
"""

HOST = """
[units]
time = "h"
amount = "mg"
[include]
drug = "fast"
[parameters]
ke0 = { typical = 0.5, unit = "1/h" }
[dynamics]
equations = '''
d/dt(ce) = ke0 * (drug.cp - ce)
'''
[outputs]
ce = { unit = "ug/L", dvid = 1 }
"""


def resolve(name):
    return {"fast": FAST, "loop": "[include]\nx = 'loop'\n"}[name]


def test_names_get_their_prefix_and_covariates_do_not():
    model = Model(HOST, resolve=resolve)
    assert list(model.parameters) == ["drug.cl", "drug.v", "drug.tlag", "drug.dur", "ke0"]
    assert list(model.states) == ["drug.central", "ce"]
    assert list(model.routes) == ["drug.iv", "drug.dose"]
    assert list(model.outputs) == ["drug.cp", "ce"]
    assert list(model.covariates) == ["WT"]
    assert to_text(model.parameters["drug.cl"].times) == "WT / 70"
    assert model.routes["drug.iv"].cmt is None and model.outputs["drug.cp"].dvid is None
    assert model.checks == () and model.title == "" and model.reference == "Somebody 2000"
    assert model.parameters["drug.cl"].source == "Somebody 2000"
    assert model.parameters["drug.v"].source == "Table 1"
    assert Model(model.text) == model


def test_another_unit_of_time_is_converted_in_the_open():
    model = Model(HOST, resolve=resolve)
    constant = model.constants["drug.per_time"]
    assert (constant.value, constant.unit) == (60.0, "min/h")
    assert "drug.per_time" in str(model)
    assert model.states["drug.central"].unit == "ug" and model.routes["drug.iv"].unit == "ug"
    given = model.routes["drug.dose"].inputs[0]
    assert to_text(given.lag) == "drug.tlag / drug.per_time"
    assert to_text(given.duration) == "drug.dur * dose / dose / drug.per_time"
    alone = Model(FAST)
    values = {"central": 100.0, "cl": 1.5, "v": 20.0, "half_life": 30.0, "t": 30.0}
    values |= {name: evaluate(expr, values) for name, expr in alone.assignments if name == "cp"}
    values["daily"] = evaluate(dict(alone.assignments)["daily"], values)
    per_minute = evaluate(alone.derivatives["central"], values)
    inside = {f"drug.{name}": value for name, value in values.items() if name not in ("t", "daily")}
    inside |= {"drug.per_time": 60.0, "t": 0.5}
    inside["drug.daily"] = evaluate(dict(model.assignments)["drug.daily"], inside)
    assert evaluate(model.derivatives["drug.central"], inside) == pytest.approx(60 * per_minute)


def test_options():
    text = HOST.replace('"fast"', '{ model = "fast", fixed = true, outputs = false, set = { cl = 3, half_life = 60 } }')
    model = Model(text, resolve=resolve)
    assert all(p.fixed for name, p in model.parameters.items() if name.startswith("drug."))
    assert not model.parameters["ke0"].fixed
    assert list(model.outputs) == ["ce"]
    assert model.parameters["drug.cl"].typical == 3.0 and model.constants["drug.half_life"].value == 60.0


def test_needs_are_wired():
    effect = """
[needs]
cp = { unit = "ug/L" }
[parameters]
slope = { typical = 1, unit = "L/ug" }
[dynamics]
equations = "effect = slope * cp"
"""
    host = """
[include]
drug = "fast"
effect = { model = "effect", needs = { cp = "drug.cp" } }
"""
    texts = {"fast": FAST, "effect": effect}
    model = Model(host, resolve=texts.__getitem__)
    assert to_text(dict(model.assignments)["effect.effect"]) == "effect.slope * drug.cp"
    assert model.needs == {}
    open_model = Model('[include]\neffect = "effect"\n', resolve=texts.__getitem__)
    assert list(open_model.needs) == ["effect.cp"]
    defined = '[include]\neffect = "effect"\ndrug = "fast"\n[dynamics]\nequations = "effect.cp = drug.cp"\n'
    assert Model(defined, resolve=texts.__getitem__).needs == {}


def test_the_host_decides_on_shared_covariates():
    other = FAST.replace("reference = 70", "reference = 80")
    texts = {"fast": FAST, "other": other}
    both = '[include]\na = "fast"\nb = "other"\n'
    with pytest.raises(ModelError, match="both models have `WT` in covariates"):
        Model(both, resolve=texts.__getitem__)
    model = Model(both + "[covariates]\nWT = { unit = 'kg', reference = 75 }\n", resolve=texts.__getitem__)
    assert model.covariates["WT"].reference == 75


def test_files_beside_the_file(tmp_path):
    (tmp_path / "fast.toml").write_text(FAST)
    (tmp_path / "host.toml").write_text(HOST)
    assert Model(tmp_path / "host.toml") == Model('name = "host"\n' + HOST, resolve=resolve)


def test_what_cannot_be_included():
    with pytest.raises(ModelSyntaxError, match="models include each other: loop > loop"):
        Model('[include]\nx = "loop"\n', resolve=resolve)
    with pytest.raises(ModelError, match="the model `fast` is not known"):
        Model(HOST)
    with pytest.raises(ModelError, match="cannot be the name of an included model"):
        Model(HOST.replace("drug = ", "Drug = "), resolve=resolve)
    with pytest.raises(ModelError, match="`clx` cannot be set to 3"):
        Model(HOST.replace('"fast"', '{ model = "fast", set = { clx = 3 } }'), resolve=resolve)
    with pytest.raises(ModelError, match="`cp` is not needed by fast"):
        Model(HOST.replace('"fast"', '{ model = "fast", needs = { cp = "x" } }'), resolve=resolve)
    with pytest.raises(ModelError, match="`outputz` is not a key"):
        Model(HOST.replace('"fast"', '{ model = "fast", outputz = false }'), resolve=resolve)


def test_errors_inside_an_included_model_name_its_file():
    texts = {"fast": FAST.replace("central / v\n", "centrl / v\n")}
    with pytest.raises(ModelSyntaxError, match=r"fast\.toml:21:6: `centrl` is not defined"):
        Model(HOST, resolve=texts.__getitem__)
