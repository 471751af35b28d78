"""Parameters: transforms there and back, and rows that cannot be."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import special

from pkpd.errors import ModelError
from pkpd.model import Constant, Covariate, Model, Parameter

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


@pytest.mark.parametrize("shape", [-1.5, -0.5, 0.0, 0.3, 1.0, 2.0])
def test_box_cox(shape):
    p = Parameter(name="x", typical=2.0, transform="boxcox", shape=shape)
    x = np.array([0.01, 0.5, 1.0, 3.0, 40.0])
    z = special.boxcox(x, shape)
    np.testing.assert_allclose(p.forward(x), z, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(p.inverse(z), x, rtol=1e-9)
    np.testing.assert_allclose(p.d_inverse(z), x ** (1 - shape), rtol=1e-8)
    if shape:
        beyond = -1 / shape - np.sign(shape) * np.array([0.0, 1e-9, 5.0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isnan(p.inverse(beyond)).all() and np.isnan(p.d_inverse(beyond)).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"transform": "boxcox"}, "there is no shape"),
        ({"shape": 0.5}, "shape is 0.5, and the transform is log"),
        ({"transform": "boxcox", "shape": math.inf}, "shape is inf"),
        ({"transform": "boxcox", "shape": 0.5, "typical": 0.0}, "typical is 0, and its transform is boxcox"),
        ({"transform": "boxcox", "shape": 0.5, "lower": -1.0}, "lower is -1, and the transform is boxcox"),
    ],
)
def test_box_cox_refuses(values, said):
    with pytest.raises(ModelError, match=said):
        Parameter(**{"name": "x", "typical": 2.0} | values)


def test_box_cox_is_written():
    own = Model('[parameters]\nx = { typical = 2.0, transform = "boxcox", shape = -0.5, iiv = 0.1 }\n')
    assert Model(own.text) == own and own.parameters["x"].shape == -0.5
    assert "SD 0.316 (Box-Cox, shape -0.5)" in str(own)
