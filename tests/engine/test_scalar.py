"""Functions of a model as Python source against the same functions as vector code; the source for a GPU."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pkpd.engine import machine, scalar
from pkpd.engine.graph import COMPARISONS, UNARY, Graph, Node
from pkpd.engine.lanes import Lanes
from pkpd.engine.layout import make_layout
from pkpd.engine.lower import Lowered
from pkpd.engine.program import Functions
from pkpd.engine.retarget import Numbers, retarget
from pkpd.engine.scalar import COMMON, PREFIX, Scalar
from pkpd.engine.workspace import EXPLICIT, FUNCTIONS, POINTERS, WIDTH, Batch
from pkpd.model.model import Model
from tests.benchmarks.models import KETAMINE
from tests.engine.conftest import EVERYTHING
from tests.engine.gpu_cases import SWITCHED

ROWS = 1500
ALGEBRA = ("weigh", "weights", "combine", "norm", "accept")
#: Powers of the interpolant, exponents of the control of steps.
METHOD = (5, -0.2, 0.03)


def ready(text: str, **given: Any) -> dict[str, Any]:
    """The functions of a source, for the lane that ``names["lane"]`` says."""
    names: dict[str, Any] = {"np": np, "power": scalar.power, "lane": 0} | given
    names["cuda"] = SimpleNamespace(grid=lambda _: names["lane"], gridsize=lambda _: WIDTH)
    exec(text, names)
    return names


def both(vector: Any, names: dict[str, Any], name: str, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What vector code, and the same as source, leave of arrays of `ROWS` rows each, (POINTERS * ROWS, WIDTH)."""
    got, wanted = w.copy(), w.copy()
    vector(*[wanted[i * ROWS :].ctypes.data for i in range(POINTERS)])
    with np.errstate(all="ignore"):
        for names["lane"] in range(WIDTH):
            names[PREFIX + name](got.reshape(-1), *[i * ROWS * WIDTH for i in range(POINTERS)])
    return got, wanted


def prototype(address: int) -> Any:
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * POINTERS)(address)


@pytest.mark.parametrize(
    ("text", "wrt", "exact"),
    [
        (KETAMINE, (), True),
        (KETAMINE, ("cl", "gamma"), False),
        (EVERYTHING, ("ka", "tlag"), True),
        (SWITCHED, ("when",), True),
    ],
    ids=["exact part", "sensitivities", "every way in", "switches"],
)
def test_every_function_of_a_model(text, wrt, exact):
    model = Model(text)
    observed = tuple(model.outputs)
    functions = Functions(model, observed, wrt, exact, False)
    written: Any = Scalar()
    Lowered(model, observed, wrt, exact=exact).write(written)
    names = ready(str(written))
    rng = np.random.default_rng(3)
    for name, address in zip(FUNCTIONS, functions.addresses, strict=True):
        if name not in ALGEBRA:
            w = rng.uniform(0.2, 2.0, (POINTERS * ROWS, WIDTH))
            got, wanted = both(prototype(address), names, name, w)
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10, err_msg=name)


def operations(g: Graph, x: Node, y: Node) -> list[Node]:
    """Every operation of the language."""
    found = [g.unary(op, x) for op in (*UNARY, "neg")]
    found += [g.call(op, [x, y]) for op in ("+", "-", "*", "/", "**", "min", "max", *COMPARISONS)]
    less, same = g.compare("<", x, y), g.compare("!=", x, y)
    found += [g.call(op, [less, same]) for op in ("and", "or")]
    found += [g.call("or", [x, less]), g.call("and", [x, same]), g.unary("not", x), g.unary("not", less)]
    found += [g.select(less, x, y), g.select(x, y, less), g.power(x, g.const(0.5)), g.power(x, g.const(-3.0))]
    return [*found, g.const(np.nan), g.const(-np.inf), g.add(x, g.const(-1e-300)), g.mul(g.const(np.inf), x)]


def test_every_operation_at_its_ends():
    g = Graph()
    x, y = g.leaf("x"), g.leaf("y")
    outputs = operations(g, x, y)
    lanes, written = Lanes("test"), Scalar()
    for writer in (lanes, written):
        writer.function("f", [{x: 0, y: 1}], outputs)
    code = machine.Code({}, machine._emit(str(lanes), ("f",)))
    names = ready(str(written))
    ends = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-310, 1e300, -1e300, 800.0, -800.0, np.inf, -np.inf, np.nan])
    pairs = np.array(np.meshgrid(ends, ends)).reshape(2, -1)
    pairs = np.pad(pairs, ((0, 0), (0, -pairs.shape[1] % WIDTH)))
    for start in range(0, pairs.shape[1], WIDTH):
        w = np.zeros((POINTERS * ROWS, WIDTH))
        w[:2] = pairs[:, start : start + WIDTH]
        got, wanted = both(prototype(code.address("f")), names, "f", w)
        for row, node in enumerate(outputs, start=ROWS):
            np.testing.assert_allclose(got[row], wanted[row], rtol=1e-14, atol=5e-324, err_msg=str(node))


def common(name: str, *pointers: Any, rows: int = 1) -> None:
    """One of the functions on whole arrays, as vector code."""
    lanes = Lanes("test")
    lanes.write_algebra(rows, *METHOD)
    code = machine.Code({}, machine._emit(str(lanes), (name,)))
    spare = [np.zeros(WIDTH)] * (POINTERS - len(pointers))
    prototype(code.address(name))(*[p.ctypes.data for p in (*pointers, *spare)])


def algebra(rows: int, tableau: Any = None) -> dict[str, Any]:
    """The same as source."""
    written = Scalar()
    written.write_algebra(rows, *METHOD)
    return ready(str(written), tableau=tableau, ws=SimpleNamespace(WIDTH=WIDTH), larger=scalar.larger)


@pytest.mark.parametrize("rows", [1, 9, 12, 29])
def test_weigh(rows):
    rng = np.random.default_rng(rows)
    terms, first = 4, 3
    tableau = rng.standard_normal(first + terms)
    factor, y, k = (rng.standard_normal((n, WIDTH)) for n in (1, rows, rows * terms))
    wanted = np.zeros((rows, WIDTH))
    common("weigh", np.array([terms], float), tableau[first:].copy(), factor, y, k, wanted, rows=rows)
    w = np.concatenate([factor, y, k, np.zeros((rows, WIDTH))])
    names = algebra(rows, tableau)
    places = np.cumsum([0, 1, rows, rows * terms]) * WIDTH
    for names["lane"] in range(WIDTH):
        names["model_weigh"](w.reshape(-1), terms, first, *places)
    np.testing.assert_allclose(w[-rows:], wanted, rtol=1e-13, atol=1e-14)


def test_weights():
    rng = np.random.default_rng(5)
    terms, first = 3, 2
    tableau = rng.standard_normal(first + METHOD[0] * terms)
    place, factor = rng.uniform(0, 1, (2, WIDTH))
    wanted = np.zeros((terms, WIDTH))
    common("weights", np.array([7, terms], float), tableau[first:].copy(), place, factor, wanted)
    w = np.concatenate([place, factor, np.zeros(terms * WIDTH)])
    algebra(1, tableau)["model_weights"](w, 7, terms, first, 0, WIDTH, 2 * WIDTH)
    np.testing.assert_allclose(w[2 * WIDTH :].reshape(terms, WIDTH), wanted, rtol=1e-13)


def test_combine():
    rng = np.random.default_rng(1)
    rows, terms = 5, 3
    coefficients, y, k = (rng.standard_normal((n, WIDTH)) for n in (terms, rows, rows * terms))
    wanted = np.zeros((rows, WIDTH))
    common("combine", np.array([rows, terms], float), coefficients, y, k, wanted)
    w = np.concatenate([coefficients, y, k, np.zeros((rows, WIDTH))])
    places = np.cumsum([0, terms, rows, rows * terms]) * WIDTH
    scalar.model_combine(w.reshape(-1), rows, terms, *places)
    np.testing.assert_allclose(w[-rows:], wanted, rtol=1e-13, atol=1e-14)


def test_norm():
    rng = np.random.default_rng(2)
    rows = 6
    error, y, new, largest = (rng.standard_normal((rows, WIDTH)) for _ in range(4))
    error[2, 1] = y[3, 2] = new[0, 3] = new[5, 6] = np.nan
    error[:, 4] = 0.0
    error[1, 5] = np.inf
    largest = np.abs(largest) * 1e6
    tolerance = np.concatenate([[1e-6, 1e-9], largest.reshape(-1), np.zeros(WIDTH - 2)])
    wanted = np.zeros((3, WIDTH))
    common("norm", np.array([float(rows)]), tolerance, error, y, new, wanted)
    w = np.concatenate([tolerance, *(a.reshape(-1) for a in (error, y, new)), np.zeros(3 * WIDTH)])
    places = np.cumsum([0, rows + 1, rows, rows, rows]) * WIDTH
    with np.errstate(invalid="ignore"):
        algebra(rows)["model_norm"](w, rows, *places)
    np.testing.assert_allclose(w[-3 * WIDTH :].reshape(3, WIDTH), wanted, rtol=1e-13)


def test_accept():
    rng = np.random.default_rng(3)
    rows = 4
    mask = np.array([0.0, 1.0] * (WIDTH // 2))
    new, old, largest = rng.standard_normal((3, rows, WIDTH))
    w = np.concatenate([mask, new.reshape(-1), old.reshape(-1), np.abs(largest).reshape(-1)])
    largest = np.abs(largest)
    common("accept", np.array([float(rows)]), mask, new, old, largest)
    scalar.model_accept(w, rows, *(np.cumsum([0, 1, rows, rows]) * WIDTH))
    np.testing.assert_array_equal(w[(1 + rows) * WIDTH :].reshape(2, rows, WIDTH), [old, largest])


def test_every_function_that_is_not_a_models_is_known_here():
    lanes, written = Lanes("test"), Scalar()
    for writer in (lanes, written):
        writer.write_algebra(1, *METHOD)
    assert all(name in lanes and name in written for name in ALGEBRA)
    assert {*written.functions, *COMMON} == set(ALGEBRA)


def test_source_that_has_no_meaning_on_a_gpu_is_refused():
    layout = make_layout(Functions(Model(KETAMINE), ("cp",), (), True, False).sizes, EXPLICIT, 1, 4, 2, False)
    constants = layout._asdict()
    switches = dict.fromkeys(("moving", "autonomous", "all_outputs"), 0)
    numbers = Numbers(constants, {}, (), dict.fromkeys(Batch._fields, "whole"), switches, EXPLICIT)
    stubs = "\n".join(f"def {PREFIX}{name}(w):\n    return" for name in FUNCTIONS if name not in COMMON)
    assert "def solve(patience" in retarget(numbers, stubs)
    with pytest.raises(NotImplementedError, match=r"`model_[a-z]+` in `[a-z]+` has no meaning"):
        retarget(numbers, "")
    with pytest.raises(NotImplementedError, match="`elsewhere` in `model_f` has no meaning"):
        retarget(numbers, stubs + "\ndef model_f(w, a):\n    return elsewhere(a)")
    del constants["closure"]
    with pytest.raises(NotImplementedError, match=r"`lo.closure` has no meaning"):
        retarget(numbers, stubs)
