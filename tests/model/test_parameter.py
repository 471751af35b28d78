"""Parameters: transforms there and back, and rows that cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pkpd.errors import ModelError
from pkpd.model import Constant, Covariate, Parameter

KINDS = [
    {"transform": "log", "typical": 3.0},
    {"transform": "logit", "typical": 0.3, "lower": 0.0, "upper": 1.0},
    {"transform": "logit", "typical": 5.0, "lower": -2.0, "upper": 10.0},
    {"transform": "none", "typical": -2.0},
]


@pytest.mark.parametrize("kind", KINDS)
def test_transforms_there_and_back(kind):
    p = Parameter(name="x", **kind)
    z = p.forward(p.typical) + np.linspace(-3, 3, 7)
    assert p.forward(p.inverse(z)) == pytest.approx(z, rel=1e-10)
    step = 1e-6
    numeric = (p.inverse(z + step) - p.inverse(z - step)) / (2 * step)
    assert p.d_inverse(z) == pytest.approx(numeric, rel=1e-7)
    assert p.inverse(p.forward(p.typical)) == pytest.approx(p.typical)


def test_logit_never_overflows():
    p = Parameter(name="f", typical=0.5, lower=0, upper=1, transform="logit")
    assert p.inverse(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]
    assert p.d_inverse(1e4) == 0.0


def test_cv():
    assert Parameter(name="x", typical=1.0, iiv=0.09).cv == pytest.approx(math.sqrt(math.exp(0.09) - 1))
    assert Parameter(name="x", typical=-10.0, iiv=4.0, transform="none").cv == pytest.approx(0.2)
    assert Parameter(name="x", typical=0.0, iiv=4.0, transform="none").cv is None
    assert Parameter(name="x", typical=0.5, lower=0, upper=1, transform="logit", iiv=1.0).cv is None


def test_log_has_a_lower_bound_of_zero():
    assert Parameter(name="x", typical=1.0).lower == 0.0
    assert Parameter(name="x", typical=1.0, transform="none").lower == -math.inf


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"typical": -84.0}, "typical is -84, and its transform is log"),
        ({"typical": 0.0}, "typical is 0, and its transform is log"),
        ({"typical": math.nan}, "typical is nan"),
        ({"typical": math.inf}, "typical is inf"),
        ({"typical": 1.0, "iiv": -0.1}, "iiv is -0.1"),
        ({"typical": 1.0, "iov": math.nan}, "iov is nan"),
        ({"typical": 1.0, "rse": -1.0}, "rse is -1"),
        ({"typical": 1.0, "lower": 2.0}, "with the bounds 2 and inf"),
        ({"typical": 1.0, "lower": -1.0}, "lower is -1"),
        ({"typical": 1.0, "lower": 1.0, "upper": 1.0}, "with the bounds 1 and 1"),
        ({"typical": 0.5, "transform": "logit"}, "logit needs two finite bounds"),
        ({"typical": 1.0, "transform": "logit", "lower": 0.0, "upper": 1.0}, "strictly between"),
        ({"typical": 1.0, "transform": "probit"}, "Transforms: log, logit, none"),
    ],
)
def test_rows_that_cannot_be(values, message):
    with pytest.raises(ModelError) as caught:
        Parameter(name="x", **values)
    assert message in str(caught.value) and "parameter x" in str(caught.value)


def test_constants_and_covariates_are_finite():
    with pytest.raises(ModelError, match="value is nan"):
        Constant(name="c", value=math.nan)
    with pytest.raises(ModelError, match="reference is inf"):
        Covariate(name="WT", reference=math.inf)
