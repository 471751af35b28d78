"""Priors in the model language: read, written, printed, renamed, and refused where they are on nothing."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError
from pkpd.model import Model, Prior

TEXT = """
[parameters]
cl = { typical = 4, unit = "L/h" }
v = { typical = 30, unit = "L" }
f = { typical = 0.5, transform = "logit", lower = 0, upper = 1, iiv = 0.05, iov = 0.02 }
[[omega]]
parameters = ["cl", "v"]
covariance = [[0.1], [0.01, 0.05]]
[priors]
cl = { value = 3, sd = 0.2, source = "a paper" }
"cp.prop" = { value = 0.1, sd = 0.3 }
"iiv.f" = { value = 0.1, df = 20 }
"iov.f" = { value = 0.1, df = 0.5 }
"iiv.v,cl" = { value = [[0.1], [0.01, 0.05]], df = 12 }
ROW
[routes]
iv = { into = "central", bioavailability = "f" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""


def model(row: str = "") -> Model:
    return Model(TEXT.replace("ROW", row))


def test_read_and_written():
    own = model()
    assert list(own.priors) == ["cl", "cp.prop", "iiv.f", "iov.f", "iiv.v,cl"]
    assert own.priors["cl"] == Prior(name="cl", value=3.0, sd=0.2, source="a paper")
    assert own.priors["iiv.v,cl"].matrix().tolist() == [[0.1, 0.01], [0.01, 0.05]]
    assert Model(own.text) == own
    assert own.replace(priors={}) != own and "[priors]" not in own.replace(priors={}).text
    assert own.replace(priors=[Prior(name="v", value=30.0, sd=0.1)]).priors["v"].sd == 0.1


def test_printed():
    lines = [line.split() for line in str(model()).splitlines()]
    assert ["cl", "3", "SD", "0.2", "a", "paper"] in lines
    assert ["iiv.v,cl", "0.1;", "0.01,", "0.05", "df", "12"] in lines


def test_names_follow_the_model():
    assert list(model().rename(cl="clear", cp="conc").priors) == [
        "clear", "conc.prop", "iiv.f", "iov.f", "iiv.v,clear",
    ]  # fmt: skip
    host = '[include]\na = "inner"\n[dynamics]\nequations = "y = 2 * a.cp"\n[outputs]\ny = {unit = "mg/L", add = 1}'
    inside = Model(host, resolve=lambda _: model().text)
    assert list(inside.priors) == ["a.cl", "a.cp.prop", "iiv.a.f", "iov.a.f", "iiv.a.v,a.cl"]
    bare = Model(host.replace('"inner"', '{ model = "inner", outputs = false }'), resolve=lambda _: model().text)
    assert "a.cp.prop" not in bare.priors and "a.cl" in bare.priors
    assert (model() + Model("[parameters]\nz = { typical = 1 }")).priors == model().priors


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("w = { value = 3, sd = 0.1 }", r"`w` is nothing that a prior can be on.*Names: cl, v, f, cp.prop, iiv.f"),
        ("vv = { value = 3, sd = 0.1 }", "Did you mean `v`"),
        ('"iiv.cl" = { value = 3, df = 3 }', 'The prior of a block is one: "iiv.cl,v"'),
        ('"iiv.cl,v" = { value = [[0.1], [0.01, 0.05]], df = 12 }', "`iiv.cl,v` is the same as `iiv.v,cl`"),
        ('"iov.cl" = { value = 3, df = 3 }', "`iov.cl` is nothing"),
        ("v = { value = 3, df = 3 }", "it has no sd"),
        ("v = { value = 3, sd = 3, df = 3 }", "it has df as well as sd"),
        ("v = { value = -3, sd = 3 }", "A value that v can take: between 0 and inf"),
        ("v = { value = 3, sd = 0 }", "sd is 0"),
        ("v = { value = [[3]], sd = 'a' }", "`sd` is the text"),
        ("v = { value = [[3], ['a']], sd = 1 }", "not made of rows of numbers"),
        ("v = { sd = 1 }", "`v` has no `value`"),
        ("v = { value = 1, sd = 1, mean = 3 }", "`mean` is not a key"),
        ("cp.prop = { value = 1, sd = 1 }", 'A dotted name goes in quotes: "cp.prop"'),
    ],
)
def test_refused(row: str, message: str):
    with pytest.raises(ModelError, match=f"(?s){message}"):
        model(row)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "iiv.a", "value": 0.1, "sd": 1.0}, "it has no df"),
        ({"name": "iiv.a", "value": -0.1, "df": 1.0}, "not positive definite"),
        ({"name": "iiv.a,b", "value": 0.1, "df": 4.0}, "rows of 1 numbers"),
        ({"name": "iiv.a,b", "value": ((1.0,), (2.0, 1.0)), "df": 4.0}, "not positive definite"),
        ({"name": "iiv.a,b", "value": ((1.0,), (0.0, 1.0)), "df": 1.0}, "A finite number above 1"),
        ({"name": "a", "value": float("nan"), "sd": 4.0}, "not finite"),
    ],
)
def test_figures_that_are_no_prior(given: dict, message: str):
    with pytest.raises(ModelError, match=message):
        Prior(**given)


def test_a_block_between_occasions_has_a_prior_of_its_own():
    text = """
[parameters]
cl = { typical = 4.0 }
v = { typical = 30.0 }
[[omega]]
parameters = ["cl", "v"]
covariance = [[0.04], [0.01, 0.04]]
between = "occasions"
[priors]
"iov.cl,v" = { value = [[0.04], [0.0, 0.04]], df = 20 }
"""
    assert Model(Model(text).text) == Model(text)
    with pytest.raises(ModelError, match=r"`iiv.cl,v` is nothing that a prior can be on"):
        Model(text.replace("iov.cl,v", "iiv.cl,v"))
    with pytest.raises(ModelError, match=r'The prior of a block is one: "iov.cl,v"'):
        Model(text.replace('"iov.cl,v" = { value = [[0.04], [0.0, 0.04]],', '"iov.cl" = { value = 0.04,'))
