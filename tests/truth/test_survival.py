"""Survival in time, held to fits of public data by lifelines 0.30.3.

Weibull, with a scale that covariates multiply (accelerated failure time): the cumulative hazard is (t / scale)**shape.

- Re-arrest of released prisoners, right-censored: all covariates, as in the documentation of lifelines.
- Diabetic nephropathy, known exactly or by an interval.

Sources and licences of the data are in ``survival/README.md``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd

HERE = Path(__file__).parent / "survival"
MODEL = """
[units]
time = "week"
[covariates]
{covariates}
[parameters]
scale = {{ typical = 100, unit = "week", shift = "{shift}" }}
shape = {{ typical = 1.2 }}
{slopes}
[outputs]
event = {{ unit = "1/week", event = {{}} }}
[dynamics]
equations = "event = shape / scale * (t / scale) ** (shape - 1)"
"""


def model(names: list[str]) -> pkpd.Model:
    """Log scale linear in covariates."""
    return pkpd.Model(
        MODEL.format(
            covariates="\n".join(f"{name.upper()} = {{}}" for name in names),
            shift=" + ".join(f"b_{name} * {name.upper()}" for name in names) or "0",
            slopes="\n".join(f'b_{name} = {{ typical = 0, transform = "none" }}' for name in names),
        )
    )


def compare(fit: pkpd.Fit, wanted: dict[str, tuple[float, float]], likelihood: float) -> None:
    """Objective, estimates and standard errors."""
    assert fit.attrs["objective"] == pytest.approx(-2 * likelihood, abs=2e-5)
    for name, (value, se) in wanted.items():
        found, error = (float(fit.estimates[key].sel(parameter=name)) for key in ("transformed", "transformed_se"))
        assert found == pytest.approx(value, abs=5e-3 * se), name
        assert error == pytest.approx(se, rel=5e-3), name


def test_arrests():
    table = pd.read_csv(HERE / "rossi.csv")
    names = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    start = table.assign(TIME=0, DV=0)
    end = table.assign(TIME=table.week, DV=table.arrest)
    rows = pd.concat([start, end]).assign(ID=lambda t: t.index + 1).sort_values(["ID", "TIME"], kind="stable")
    data = pkpd.read_data(rows[["ID", "TIME", "DV", *names]].rename(columns=str.upper))
    fit = pkpd.fit(model(names), data, pkpd.Laplace(covariance="R"))
    compare(
        fit,
        {
            "scale": (3.990123, 0.419099),
            "shape": (0.339103, 0.089027),
            "b_fin": (0.272172, 0.137963),
            "b_age": (0.040715, 0.016004),
            "b_race": (-0.224808, 0.220161),
            "b_wexp": (0.106551, 0.151542),
            "b_mar": (0.311260, 0.273302),
            "b_paro": (0.058822, 0.139639),
            "b_prio": (-0.065817, 0.020941),
        },
        -679.9165639475837,
    )


def test_intervals():
    table = pd.read_csv(HERE / "interval_diabetes.csv").assign(MALE=lambda t: (t.gender == "male").astype(int))
    table["ID"] = np.arange(len(table)) + 1
    exact = table.left == table.right
    rows = pd.concat([
        table.assign(TIME=0, DV=0, CENS=0),
        table[~exact].assign(TIME=table.left, DV=0, CENS=0),
        table.assign(TIME=table.right, DV=1, CENS=(~exact).astype(int)),
    ]).sort_values(["ID", "TIME"], kind="stable")  # fmt: skip
    data = pkpd.read_data(rows[["ID", "TIME", "DV", "CENS", "MALE"]])
    fit = pkpd.fit(model(["male"]), data, pkpd.Laplace(covariance="R"))
    compare(
        fit,
        {"scale": (2.907977, 0.022343), "shape": (1.038961, 0.028146), "b_male": (0.045758, 0.027501)},
        -2027.1963331913648,
    )
