"""Outputs and their residual laws."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError
from pkpd.model import Output


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
