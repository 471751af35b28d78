"""exp, log and power on lanes against NumPy, ends and special values included; every operation of the language."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from pkpd.engine import machine
from pkpd.engine.graph import Graph
from pkpd.engine.lanes import Lanes
from pkpd.engine.workspace import POINTERS, WIDTH


def evaluate(op, *columns):
    """`op` of the model language on arrays, through machine code."""
    g = Graph()
    leaves = [g.leaf("x", i) for i in range(len(columns))]
    lanes = Lanes("test")
    lanes.function("f", [{leaf: i for i, leaf in enumerate(leaves)}], [g.call(op, leaves)])
    code = machine.Code({}, machine._emit(str(lanes), ("f",)))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * POINTERS)(code.address("f"))
    size = len(columns[0])
    padded = np.ones((len(columns), -(-size // WIDTH) * WIDTH))
    padded[:, :size] = columns
    result = np.empty(padded.shape[1])
    for start in range(0, padded.shape[1], WIDTH):
        given = np.ascontiguousarray(padded[:, start : start + WIDTH])
        out = np.empty(WIDTH)
        spare = np.empty(WIDTH)
        function(given.ctypes.data, out.ctypes.data, *[spare.ctypes.data] * (POINTERS - 2))
        result[start : start + WIDTH] = out
    return result[:size]


def ulps(got, wanted):
    return np.abs(got - wanted) / np.spacing(np.abs(wanted))


def test_exp():
    x = np.concatenate([np.linspace(-745, 709.7, 20001), [0.0, -0.0, 1e-300, 1e-17]])
    wanted = np.exp(x)
    normal = wanted > 1e-300
    got = evaluate("exp", x)
    assert ulps(got[normal], wanted[normal]).max() <= 1.0
    np.testing.assert_allclose(got[~normal], wanted[~normal], atol=5e-324, rtol=1e-8)
    edge = evaluate("exp", np.array([np.nan, np.inf, -np.inf, 710.0, -800.0]))
    np.testing.assert_array_equal(edge, [np.nan, np.inf, 0.0, np.inf, 0.0])


def test_log():
    x = np.concatenate([np.logspace(-307, 307, 20001), np.linspace(0.5, 2, 5001), [5e-324, 1e-310]])
    x = x[x != 1.0]
    assert ulps(evaluate("log", x), np.log(x)).max() <= 1.0
    edge = evaluate("log", np.array([1.0, 0.0, -0.0, -1.0, np.nan, np.inf, -np.inf]))
    np.testing.assert_array_equal(edge, [0.0, -np.inf, -np.inf, np.nan, np.nan, np.inf, np.nan])


def test_power():
    rng = np.random.default_rng(1)
    x, g = rng.lognormal(0, 3, 5000), rng.uniform(-4, 4, 5000)
    np.testing.assert_allclose(evaluate("**", x, g), x**g, rtol=2e-14)
    x = np.array([0.0, 0.0, 0.0, -1e-12, np.nan, 2.0, 0.0])
    g = np.array([1.5, 0.0, -0.5, 0.7, 1.5, np.nan, np.nan])
    np.testing.assert_array_equal(evaluate("**", x, g), [0.0, 1.0, np.inf, 0.0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("sqrt", np.sqrt),
        ("abs", np.abs),
        ("sin", np.sin),
        ("cos", np.cos),
        ("tanh", np.tanh),
        ("log10", np.log10),
        ("floor", np.floor),
        ("neg", np.negative),
    ],
)
def test_one_argument(op, function):
    x = np.linspace(0.01, 20, 37)
    np.testing.assert_allclose(evaluate(op, x), function(x), rtol=1e-14)


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("+", np.add),
        ("-", np.subtract),
        ("*", np.multiply),
        ("/", np.divide),
        ("min", np.minimum),
        ("max", np.maximum),
        ("<", np.less),
        ("<=", np.less_equal),
        (">", np.greater),
        (">=", np.greater_equal),
        ("==", np.equal),
        ("!=", np.not_equal),
        ("and", np.logical_and),
        ("or", np.logical_or),
    ],
)
def test_two_arguments(op, function):
    x, y = np.array([1.0, 2, 3, 0, -1, 2.5, 0]), np.array([2.0, 2, 1, 5, -3, 2.5, 1])
    np.testing.assert_array_equal(evaluate(op, x, y), function(x, y).astype(float))
