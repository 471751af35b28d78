"""lgamma and phi through machine code and through the source for a GPU, with their derivatives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from pkpd.engine import scalar
from pkpd.engine.graph import Graph
from pkpd.engine.scalar import PREFIX, Scalar
from pkpd.model.equation import parse_expression
from pkpd.model.expression import evaluate as plain
from tests.engine.test_lanes import evaluate

SIDES = np.concatenate([np.linspace(-37, 8, 3001), [0.0, -0.0, 1e-300, -1e-17]])
ABOVE = np.concatenate([np.linspace(0.01, 30, 3001), np.logspace(-300, 300, 601), np.nextafter(8, [0, 9]), [1, 2, 8]])


def test_phi_has_all_digits_in_its_tail():
    wanted = np.array([float(mpmath.ncdf(x)) for x in SIDES])
    np.testing.assert_allclose(evaluate("phi", SIDES), wanted, rtol=3e-13)
    np.testing.assert_array_equal(evaluate("phi", np.array([np.nan, -40.0, 10.0])), [np.nan, 0.0, 1.0])


def test_lgamma_is_that_of_scipy():
    wanted = special.gammaln(ABOVE)
    np.testing.assert_allclose(evaluate("lgamma", ABOVE), wanted, rtol=3e-15, atol=4e-14)
    np.testing.assert_array_equal(evaluate("lgamma", np.array([0.0, -1.5, np.nan])), [np.inf, np.nan, np.nan])


@pytest.mark.parametrize(
    ("op", "x", "slope", "bend"),
    [
        ("phi", SIDES[::20], stats.norm.pdf, lambda x: -x * stats.norm.pdf(x)),
        ("lgamma", ABOVE[:3001:20], special.digamma, lambda x: special.polygamma(1, x)),
    ],
)
def test_derivatives(op, x, slope, bend):
    g = Graph()
    leaf = g.leaf("state", 0)
    first = g.derivative(g.call(op, [leaf]), {leaf: g.one}, {})
    second = g.derivative(first, {leaf: g.one}, {})
    written: Any = Scalar()
    written.function("f", [{leaf: 0}], [g.call(op, [leaf]), first, second])
    names: dict[str, Any] = {"np": np, "power": scalar.power}
    names["cuda"] = SimpleNamespace(grid=lambda _: 0, gridsize=lambda _: 1)
    exec(str(written), names)
    found = np.empty((len(x), 3))
    for row, value in zip(found, x.tolist(), strict=True):
        w = np.concatenate([[value], np.zeros(3)])
        names[f"{PREFIX}f"](w, 0, 1, 1, 1, 1, 1)
        row[:] = w[1:]
    np.testing.assert_allclose(found[:, 0], evaluate(op, x), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found[:, 1], slope(x), rtol=2e-12, atol=1e-14)
    size = np.maximum(np.abs(bend(x)), np.abs(slope(x)))
    np.testing.assert_array_less(np.abs(found[:, 2] - bend(x)), 3e-11 * size + 1e-300)


def test_the_reference_agrees():
    for op, x in (("phi", SIDES), ("lgamma", ABOVE)):
        np.testing.assert_allclose(
            plain(parse_expression(f"{op}(x)"), {"x": x}), evaluate(op, x), rtol=1e-12, atol=4e-14
        )
    assert np.isnan(plain(parse_expression("lgamma(x)"), {"x": -0.5}))
