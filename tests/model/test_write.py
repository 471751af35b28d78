"""Writing: what is written reads back equal, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkpd.model import Block, Check, Constant, Covariate, Input, Model, Name, Need, Number, Output, Parameter, Route
from pkpd.model.write import write

LIBRARY = Path(__file__).parents[2] / "models"


def test_read_write_read(text):
    model = Model(text)
    again = Model(model.text)
    assert again == model and again.text == model.text


def test_everything_there_is():
    model = Model(
        name="every",
        title='Quotes " and \\ backslashes, µ, \x7f and\nlines',
        tags=("a", "b"),
        source={"remarks": "two\nlines '''"},
        time_unit="min",
        amount_unit="umol",
        covariates=[Covariate(name="WT", unit="kg", reference=70.5), Covariate(name="SEX")],
        constants=[Constant(name="c", value=1e-20, unit="1", label="x", source="y")],
        parameters=[
            Parameter(name="a", typical=0.1 + 0.2, iov=0.01, fixed=True, rse=0.05, upper=9.0, lower=0.01),
            Parameter(name="b", typical=-1e300, transform="none", lower=-float("inf"), iiv=0.5, times=Name("WT")),
            Parameter(name="f", typical=0.5, transform="logit", lower=0.0, upper=1.0, iiv=0.25),
        ],
        blocks=[Block(parameters=("b", "f"), covariance=((0.5,), (0.1, 0.25)))],
        needs=[Need(name="signal", unit="mg/L", label="from elsewhere")],
        routes=[
            Route(name="r1", inputs=(Input(into="x", lag=Number(0.0)), Input(into="x", scale=Name("f"))), cmt=3),
            Route(name="r2", inputs=(Input(into="x"),), unit="umol", label="two"),
        ],
        equations="y = signal * 2 if t >= 0 else -signal\nd/dt(x) = -x * c * a * b / t\nx(0) = 0",
        outputs=[
            Output(name="y", unit="mg/L", add=0.1, prop=0.2, power=0.5, combined=1, dvid=2, fixed_error=True),
            Output(name="x", unit="umol", log=0.3),
        ],
        checks=[Check(dose="", that="at(y, 1)", equals=-1.5, covariates={"WT": 70.0, "SEX": 1.0})],
    )  # fmt: skip
    again = Model(model.text)
    assert again == model
    for key, value in model.parts.items():
        if key not in ("places",):
            assert again.parts[key] == value, key


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_model_reads_back(path):
    model = Model(path)
    assert Model(model.text) == model


def test_a_file_appears_whole(text, tmp_path):
    path = tmp_path / "out.toml"
    assert write(Model(text), path) == path.read_text(encoding="utf-8")
    assert Model(path) == Model(text)
    assert [one.name for one in tmp_path.iterdir()] == ["out.toml"]
