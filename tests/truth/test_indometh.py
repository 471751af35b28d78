"""Indometacin, all subjects pooled: R's nls with SSbiexp on the data set Indometh.

Source: R documentation, datasets::Indometh and stats::SSbiexp; data: Kwan KC. J Pharmacokinet Biopharm 1976;4:255.
nls stopped at a relative offset of 1e-5, just above one unit of the last printed digit from the minimum; that is the
tolerance. The minimum itself was found with the closed form in 40 digits, and is met to 1e-6.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pkpd import Fit, Pooled, fit, read_data
from pkpd.model import Model
from tests.truth.digits import check_certified, check_printed

ROOT = Path(__file__).parents[2]
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
PRINTED = {"a1": "2.773407", "lambda1": "0.886355", "a2": "0.606735", "lambda2": "-1.091929"}
MINIMUM = {"a1": 2.77340693806, "lambda1": 0.88635522025, "a2": 0.606736096542, "lambda2": -1.09192791225}
RESIDUAL_SD = ".174489"
ERRORS = {"a1": ".2533", "lambda1": ".2222", "a2": ".2671", "lambda2": ".4089"}


def pooled(**options) -> Fit:
    # far from the answer, as the model file holds the answer itself
    start = {"a1": 3, "lambda1": 1.5, "a2": 1, "lambda2": 0.2, "cp.add": 1}
    data = read_data(ROOT / "fits" / "indometacin_pooled" / "data.csv", units=UNITS)
    return fit(Model(ROOT / "models" / "indometacin_kwan1976.toml"), data, Pooled(**options), start=start)


def column(result: Fit, name: str) -> dict[str, float]:
    return dict(zip(result.estimates["parameter"].values.tolist(), result.estimates[name].values.tolist()))


@pytest.mark.parametrize("method", ["leastsq", "least_squares"])
def test_biexponential(method):
    result = pooled(method=method)
    assert result.status == "converged"
    check_printed(column(result, "transformed"), PRINTED, slack=1.2)
    check_printed(column(result, "transformed_se"), ERRORS)
    check_certified(column(result, "transformed"), MINIMUM, digits=6)
    check_printed(column(result, "value"), {"cp.add": RESIDUAL_SD})
    assert result.verdict["degrees_of_freedom"] == 62


def test_maximum_likelihood_gives_the_same_curve_and_the_sd_over_n():
    result = pooled(error="estimated")
    check_printed(column(result, "transformed"), PRINTED, slack=1.2)
    assert column(result, "value")["cp.add"] == pytest.approx(0.174489 * (62 / 66) ** 0.5, rel=1e-5)


def test_two_compartments_are_the_same_curve():
    data = read_data(ROOT / "fits" / "indometacin_pooled" / "data.csv", units=UNITS)
    model = Model(ROOT / "models" / "indometacin_kwan1976_twocompartment.toml").set(cl=10, v1=10, q=5, v2=5)
    result = fit(model, data, Pooled())
    check_printed({"sd": column(result, "value")["cp.add"]}, {"sd": RESIDUAL_SD})
