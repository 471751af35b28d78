"""Non-linear regression against NIST's certified values, to the digits that double precision carries.

Source: NIST Statistical Reference Datasets, non-linear regression, Misra1a and BoxBOD (www.itl.nist.gov/div898/strd).
x stands in the column TIME. The certified values have 11 digits. Estimates and standard errors must agree in 7.5: the
engine predicts to 1e-8, and searches stop where the sum of squares changes by 1e-15 of itself.
"""

from __future__ import annotations

import pytest

from pkpd import Fit, Pooled, fit, read_data
from pkpd.model import Model
from tests.truth.digits import check_certified

MODEL = """
[parameters]
b1 = {{ typical = {b1}, transform = "none" }}
b2 = {{ typical = {b2}, transform = "{transform}", unit = "1/h" }}
[dynamics]
equations = "y = b1 * (1 - exp(-b2 * t))"
[outputs]
y = {{ add = 1.0 }}
"""
MISRA1A = {
    "TIME": [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0],
    "DV": [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78],
}
BOXBOD = {"TIME": [1, 2, 3, 5, 7, 10], "DV": [109, 149, 149, 191, 213, 224]}
# data, starts (NIST's first and second), certified b1, its SE, b2, its SE, residual SD
CASES = {
    "Misra1a": (
        MISRA1A,
        [(500, 0.0001), (250, 0.0005)],
        (2.3894212918e02, 2.7070075241e00, 5.5015643181e-04, 7.2668688436e-06, 1.0187876330e-01),
    ),
    "BoxBOD": (
        BOXBOD,
        [(1, 1), (100, 0.75)],
        (2.1380940889e02, 1.2354515176e01, 5.4723748542e-01, 1.0455993237e-01, 1.7088072423e01),
    ),
}


def fitted(name: str, which: int, transform: str) -> Fit:
    """Fit a data set from one of NIST's two starts."""
    data, starts, _ = CASES[name]
    model = Model(MODEL.format(b1=starts[which][0], b2=starts[which][1], transform=transform))
    return fit(model, read_data(data), Pooled())


def found(result: Fit) -> tuple[dict[str, float], dict[str, float]]:
    """Estimates and standard errors."""
    value, se = (dict(zip(["b1", "b2", "sd"], result.estimates[v].values.tolist())) for v in ("value", "se"))
    return value, se


@pytest.mark.parametrize("transform", ["log", "none"])
@pytest.mark.parametrize("which", [0, 1], ids=["start 1", "start 2"])
@pytest.mark.parametrize("name", CASES)
def test_certified_values(name, which, transform):
    b1, se1, b2, se2, sd = CASES[name][2]
    result = fitted(name, which, transform)
    assert result.status == "converged"
    value, se = found(result)
    check_certified(value, {"b1": b1, "b2": b2, "sd": sd}, digits=7.5)
    check_certified(se, {"b1": se1, "b2": se2}, digits=7.5)


def test_a_start_from_which_no_curve_is_seen_says_so_and_several_starts_find_it():
    model = Model(MODEL.format(b1=1, b2=50, transform="log"))
    lost = fit(model, read_data(BOXBOD), Pooled())
    assert lost.status == "not identified"
    assert "The data say nothing about b2" in lost.message
    again = fit(model, read_data(BOXBOD), Pooled(starts=20, seed=1, spread=3.0))
    assert again.status == "converged"
    assert again.verdict["starts_at_best"] >= 2
    assert again.verdict["basins"] >= 2
    check_certified({"b1": again.estimates["value"].values[0]}, {"b1": CASES["BoxBOD"][2][0]}, digits=8)
