"""Outputs and their residual laws."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError
from pkpd.model import Model, Output

HEAD = """
[parameters]
cl = { typical = 4.0, unit = "L/h", iiv = 0.09 }
v = { typical = 30.0, unit = "L" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
"""


@pytest.mark.parametrize(
    ("values", "names", "law"),
    [
        ({}, (), "no error given"),
        ({"add": 0.1, "unit": "mg/L"}, ("cp.add",), "additive, SD 0.1 mg/L"),
        ({"prop": 0.2}, ("cp.prop",), "proportional, SD 20 %"),
        ({"add": 1.0, "prop": 0.2}, ("cp.add", "cp.prop"), "additive, SD 1 and proportional, SD 20 %"),
        (
            {"add": 1.0, "prop": 0.2, "combined": 1},
            ("cp.add", "cp.prop"),
            "additive, SD 1 + proportional, SD 20 % (SDs add)",
        ),
        ({"prop": 0.2, "power": 0.5}, ("cp.prop", "cp.power"), "power, SD 0.2 f**0.5"),
        ({"log": 0.276}, ("cp.log",), "log-normal, SD 0.276 on the log scale"),
    ],
)  # fmt: skip
def test_laws(values, names, law):
    output = Output(name="cp", **values)
    assert output.residual_names == names
    assert output.law == law
    assert all(output.residual_values[name] == values[name.rpartition(".")[2]] for name in names)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"add": -1.0}, "add is -1"),
        ({"prop": float("nan")}, "prop is nan"),
        ({"log": 0.1, "add": 0.1}, "log is given together with"),
        ({"log": 0.0}, "log is 0"),
        ({"power": 0.5}, "power is given without prop"),
        ({"combined": 3}, "combined is 3"),
        ({"dvid": 0}, "dvid is 0"),
    ],
)
def test_outputs_that_cannot_be(values, message):
    with pytest.raises(ModelError, match=message):
        Output(name="cp", **values)


def test_the_error_may_differ_between_people():
    text = HEAD + "cp = { unit = 'mg/L', add = 0.1, prop = 0.2, iiv = 0.09 }\n"
    own = Model(text)
    assert own.variance_names == {"iiv.cl": ("iiv", "cl", "cl"), "iiv.cp": ("iiv", "cp", "cp")}
    assert Model(own.text) == own
    assert "SDs differ by 30 % between people" in own.outputs["cp"].law
    assert own.set({"iiv.cp": 0.16, "cp.add": 0.3}).outputs["cp"].iiv == 0.16
    assert own.fix("iiv.cp").outputs["cp"].fixed_iiv and own.fix("iiv.cp").free("iiv.cp") == own
    block = "[[omega]]\nparameters = ['cl', 'cp']\ncorrelation = [[1], [0.5, 1]]\n"
    joint = Model(text + block)
    assert joint.blocks[0].covariance[1] == pytest.approx((0.5 * 0.3 * 0.3, 0.09))
    assert joint.set({"iiv.cp": 0.16}).outputs["cp"].iiv == 0.16
    assert Model(joint.text) == joint and joint.rename(cp="conc").blocks[0].parameters == ("cl", "conc")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("iiv = 0.1", "no residual error that could differ"),
        ("add = 0.1, iiv = -1", "iiv is -1"),
    ],
)
def test_errors_that_cannot_differ(row, said):
    with pytest.raises(ModelError, match=said):
        Model(HEAD + f"cp = {{ unit = 'mg/L', {row} }}\n")


def test_a_block_of_nothing():
    block = "[[omega]]\nparameters = ['cl', 'x']\ncovariance = [[0.09], [0.0, 0.1]]\n"
    with pytest.raises(ModelError, match="`x` is not a parameter or an output"):
        Model(HEAD + "cp = { unit = 'mg/L', add = 0.1 }\n" + block)
