"""Algebra on whole arrays of lanes, which the solvers need beside a model's own functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pkpd.engine.llvm import (
    DOUBLE,
    FLAGS,
    INT64,
    Builder,
    broadcast,
    constant,
    fold,
    int64,
    load,
    load_at,
    loop,
    store,
    store_at,
)

if TYPE_CHECKING:
    from pkpd.engine.lanes import Lanes

#: Rows of sums that are kept in registers together.
_AT_ONCE = 12


def write(lanes: Lanes, rows: int, powers: int, fall: float, rise: float) -> None:
    """Write the functions below.

    Parameters
    ----------
    lanes
    rows
        Length of what is integrated.
    powers
        Of the polynomials of the interpolant.
    fall, rise
        Exponents of the control of steps, see `_norm`.
    """
    _weigh(lanes, rows)
    _weights(lanes, powers)
    _combine(lanes)
    _norm(lanes, fall, rise)
    _accept(lanes)


def _combine(lanes: Lanes) -> None:
    """``combine(size, coefficients, y, k, out)``: out = y + sum over j of coefficients[j] * k[j], lane by lane.

    ``size`` points to two whole numbers stored as doubles: the number of rows n, and of terms s.
    ``coefficients`` is ``[s][WIDTH]``, ``y`` and ``out`` are ``[n][WIDTH]``, ``k`` is ``[s][n][WIDTH]``.
    """
    b = lanes.open("combine")
    size, coefficients, y, k, out, _ = b.function.args
    n, s = _shape(b, size)

    def row(b: Builder, i: Any) -> None:
        def term(b: Builder, j: Any, total: list[Any]) -> list[Any]:
            at = b.add(b.mul(j, n), i)
            product = b.fmul(load_at(b, coefficients, j), load_at(b, k, at), flags=FLAGS)
            return [b.fadd(total[0], product, flags=FLAGS)]

        store_at(b, fold(b, s, [load_at(b, y, i)], term)[0], out, i)

    loop(b, n, row)
    b.ret_void()


def _weigh(lanes: Lanes, rows: int) -> None:
    """``weigh(terms, weights, factor, y, k, out)``: out = y + factor * (sum over j of weights[j] * k[j]).

    ``terms`` points to the number s of terms, a whole number stored as a double; ``weights`` is ``[s]``, the same
    in all lanes, ``factor`` one row; ``y`` and ``out`` are ``[rows][WIDTH]``, ``k`` is ``[s][rows][WIDTH]``. Up to
    `_AT_ONCE` rows are summed side by side, so that none waits for its own last sum.
    """
    b = lanes.open("weigh")
    terms, weights, factor, y, k, out = b.function.args
    s = b.fptosi(b.load(terms, typ=DOUBLE), INT64)
    times = load(b, factor, 0)

    def group(b: Builder, first: Any, size: int) -> None:
        def term(b: Builder, j: Any, totals: list[Any]) -> list[Any]:
            weight = broadcast(b, b.load(b.gep(weights, [j], source_etype=DOUBLE), typ=DOUBLE))
            start = b.add(b.mul(j, int64(rows)), first)
            values = [load_at(b, k, b.add(start, int64(i))) for i in range(size)]
            return [b.fadd(t, b.fmul(weight, v, flags=FLAGS), flags=FLAGS) for t, v in zip(totals, values, strict=True)]

        for i, total in enumerate(fold(b, s, [constant(0.0)] * size, term)):
            at = b.add(first, int64(i))
            product = b.fmul(times, total, flags=FLAGS)
            store_at(b, b.fadd(load_at(b, y, at), product, flags=FLAGS), out, at)

    whole, rest = divmod(rows, _AT_ONCE)
    if whole:
        loop(b, int64(whole), lambda b, i: group(b, b.mul(i, int64(_AT_ONCE)), _AT_ONCE))
    if rest:
        group(b, int64(whole * _AT_ONCE), rest)
    b.ret_void()


def _weights(lanes: Lanes, powers: int) -> None:
    """``weights(size, dense, place, factor, out)``: of an interpolant, ``factor * (d0 x + d1 x^2 + ...)`` a stage.

    ``dense`` is ``[s][powers]``, the same in all lanes; ``place`` is x, between 0 and 1.
    """
    b = lanes.open("weights")
    size, dense, place, factor, out, _ = b.function.args
    _, s = _shape(b, size)
    x, times = load(b, place, 0), load(b, factor, 0)

    def stage(b: Builder, j: Any) -> None:
        total = constant(0.0)
        for power in reversed(range(powers)):
            at = b.add(b.mul(j, int64(powers)), int64(power))
            d = broadcast(b, b.load(b.gep(dense, [at], source_etype=DOUBLE), typ=DOUBLE))
            total = b.fmul(x, b.fadd(total, d, flags=FLAGS), flags=FLAGS)
        store_at(b, b.fmul(times, total), out, j)

    loop(b, s, stage)
    b.ret_void()


def _shape(b: Builder, size: Any) -> tuple[Any, Any]:
    """The two whole numbers that ``size`` points to: rows and terms."""
    second = b.gep(size, [int64(1)], source_etype=DOUBLE)
    return b.fptosi(b.load(size, typ=DOUBLE), INT64), b.fptosi(b.load(second, typ=DOUBLE), INT64)


def _norm(lanes: Lanes, fall: float, rise: float) -> None:
    """``norm(size, tolerance, error, y, ynew, out)``: the largest scaled error e of each lane; NaN stays NaN.

    Beside it what the control of steps makes of it: ``e**fall`` (e >= 1e-10) and ``e**rise`` (e >= 1e-4).

    ``tolerance`` points to rtol, atol; then ``largest``: ``[n][WIDTH]``, the largest ``|y|`` so far, which keeps
    the control from chasing relative accuracy in a value that has all but vanished (1e-5 of its maximum).
    """
    b = lanes.open("norm")
    size, tolerance, error, y, ynew, out = b.function.args
    n = b.fptosi(b.load(size, typ=DOUBLE), INT64)
    rtol = broadcast(b, b.load(tolerance, typ=DOUBLE))
    atol = broadcast(b, b.load(b.gep(tolerance, [int64(1)], source_etype=DOUBLE), typ=DOUBLE))
    largest = b.gep(tolerance, [int64(2)], source_etype=DOUBLE)
    maximum, absolute = lanes.intrinsic("maximum", 2), lanes.intrinsic("fabs", 1)

    def row(b: Builder, i: Any, worst: list[Any]) -> list[Any]:
        scale = b.fmul(constant(1e-5), load_at(b, largest, i))
        for values in (y, ynew):
            scale = b.call(maximum, [scale, b.call(absolute, [load_at(b, values, i)])])
        scale = b.fadd(b.fmul(rtol, scale), atol)
        return [b.call(maximum, [worst[0], b.call(absolute, [b.fdiv(load_at(b, error, i), scale)])])]

    worst = fold(b, n, [constant(0.0)], row)[0]
    store(b, worst, out, 0)
    logarithm = b.call(lanes.library_function("log"), [worst])
    for place, (least, exponent) in enumerate(((1e-10, fall), (1e-4, rise)), start=1):
        floor = constant(math.log(least))
        limited = b.select(b.fcmp_ordered(">", logarithm, floor), logarithm, floor)
        power = b.call(lanes.library_function("exp"), [b.fmul(limited, constant(exponent))])
        store(b, power, out, place)
    b.ret_void()


def _accept(lanes: Lanes) -> None:
    """``accept(size, mask, new, old, largest)``: old = new in lanes whose mask is 1; largest follows |old|."""
    b = lanes.open("accept")
    size, mask, new, old, largest, _ = b.function.args
    n = b.fptosi(b.load(size, typ=DOUBLE), INT64)
    taken = b.fcmp_ordered(">", load(b, mask, 0), constant(0.5))
    maximum, absolute = lanes.intrinsic("maxnum", 2), lanes.intrinsic("fabs", 1)

    def row(b: Builder, i: Any) -> None:
        value = b.select(taken, load_at(b, new, i), load_at(b, old, i))
        store_at(b, value, old, i)
        store_at(b, b.call(maximum, [load_at(b, largest, i), b.call(absolute, [value])]), largest, i)

    loop(b, n, row)
    b.ret_void()
