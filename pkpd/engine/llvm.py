"""Small pieces of vector LLVM code: numbers in all lanes, rows of arrays, loops that carry values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from pkpd.engine.workspace import POINTERS, WIDTH

#: llvmlite's IRBuilder, whose decorators hide the `flags` argument from type checkers.
Builder = Any

DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, WIDTH)
INT64 = ir.IntType(64)
INTS = ir.VectorType(INT64, WIDTH)
BOOLS = ir.VectorType(ir.IntType(1), WIDTH)
SIGNATURE = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * POINTERS)
#: Multiplications and additions may be fused; nothing else may change a result.
FLAGS = ("contract",)


def constant(value: float) -> ir.Constant:
    """`value` in every lane."""
    return ir.Constant(VECTOR, [float(value)] * WIDTH)


def integers(value: int) -> ir.Constant:
    """`value` in every lane."""
    return ir.Constant(INTS, [value] * WIDTH)


def int64(i: int) -> ir.Constant:
    """A whole number."""
    return ir.Constant(INT64, i)


def load_at(b: Builder, pointer: Any, index: Any) -> Any:
    """A row of an array."""
    return b.load(b.gep(pointer, [index], source_etype=VECTOR), typ=VECTOR, align=8)


def store_at(b: Builder, value: Any, pointer: Any, index: Any) -> None:
    """Write a row of an array."""
    b.store(value, b.gep(pointer, [index], source_etype=VECTOR), align=8)


def broadcast(b: Builder, value: Any) -> Any:
    """One number in all lanes."""
    single = b.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return b.shuffle_vector(single, ir.Constant(VECTOR, ir.Undefined), lanes)


def load(b: Builder, pointer: Any, index: int) -> Any:
    """A row of an array, its number known."""
    return load_at(b, pointer, int64(index))


def store(b: Builder, value: Any, pointer: Any, index: int) -> None:
    """Write a row of an array, its number known."""
    store_at(b, value, pointer, int64(index))


def loop(b: Builder, count: Any, body: Callable[[Builder, Any], None]) -> None:
    """A counted loop."""

    def step(b: Builder, i: Any, _: list[Any]) -> list[Any]:
        body(b, i)
        return []

    fold(b, count, [], step)


def fold(b: Builder, count: Any, start: list[Any], step: Callable[[Builder, Any, list[Any]], list[Any]]) -> list[Any]:
    """A counted loop that carries values; leaves the builder after the loop and returns the values there."""
    before = b.block
    head, body, after = (b.append_basic_block() for _ in range(3))
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(INT64)
    i.add_incoming(int64(0), before)
    carried = [b.phi(value.type) for value in start]
    for phi, value in zip(carried, start, strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_signed("<", i, count), body, after)
    b.position_at_end(body)
    results = step(b, i, carried)
    i.add_incoming(b.add(i, int64(1)), b.block)
    for phi, result in zip(carried, results, strict=True):
        phi.add_incoming(result, b.block)
    b.branch(head)
    b.position_at_end(after)
    return carried


def polynomial(b: Builder, x: Any, coefficients: Sequence[float]) -> Any:
    """By Horner's rule, lowest coefficient first."""
    y = constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = b.fadd(b.fmul(y, x, flags=FLAGS), constant(c), flags=FLAGS)
    return y


def power_of_two(b: Builder, k: Any) -> Any:
    """2**k, for whole numbers k in the range of a double's exponent."""
    return b.bitcast(b.shl(b.add(k, integers(1023)), integers(52)), VECTOR)


def as_double(b: Builder, value: Any) -> Any:
    """A truth value as 0 or 1."""
    return b.uitofp(value, VECTOR) if value.type == BOOLS else value


def as_bool(b: Builder, value: Any) -> Any:
    """Whether a number is not 0."""
    return value if value.type == BOOLS else b.fcmp_unordered("!=", value, constant(0.0))
