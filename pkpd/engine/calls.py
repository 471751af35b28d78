"""Calls of a model's generated functions, by address, from compiled code."""

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.extending import intrinsic

from pkpd.engine import workspace as ws

#: How the functions of the solver are compiled: they are called from compiled code only, so no wrappers for Python.
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "fastmath": {"contract"},
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
compiled = nb.njit(**OPTIONS)


def _call_at(typingctx, function, a, b, c, d, e, f):
    """Call a generated function at an address with the addresses of its arrays."""
    signature = nb.types.void(*([nb.int64] * (1 + ws.POINTERS)))

    def codegen(context, builder, _signature, args):
        pointer = ir.PointerType()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * ws.POINTERS)
        target = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(target, [builder.inttoptr(x, pointer) for x in args[1:]])
        return context.get_dummy_value()

    return signature, codegen


# Typed loosely: numba's decorator hides that the typing context is not an argument of the call.
call: Any = intrinsic(_call_at)


@compiled
def at(base, offset):
    """The address of an offset in the work space."""
    return base + 8 * offset


@compiled
def hoist(lo, fns, base):
    """Compute what stays constant between events."""
    call(fns[ws.HOIST], at(base, lo.p), at(base, lo.c), at(base, lo.h), base, base, base)


@compiled
def rhs(lo, fns, base, t, y, out):
    """Compute the derivative of the state at `y`, with its sensitivities."""
    call(fns[ws.RHS], at(base, t), at(base, y), at(base, lo.h), at(base, lo.inflow), at(base, out), base)


@compiled
def observe(lo, fns, base, t, y):
    """Compute the observables."""
    call(fns[ws.OBSERVE], at(base, t), at(base, y), at(base, lo.h), at(base, lo.observed), base, base)


@compiled
def combine(lo, terms, y, k, out, fns, base, w):
    """Compute out = y + sum of coefficients * k, over `terms` stages."""
    w[lo.shape] = lo.size
    w[lo.shape + 1] = terms
    call(fns[ws.COMBINE], at(base, lo.shape), at(base, lo.coefficients), at(base, y), at(base, k), at(base, out), base)


@compiled
def accept(lo, new, old, largest, fns, base):
    """Take `new` for `old` in the lanes whose step is accepted."""
    call(
        fns[ws.ACCEPT],
        at(base, lo.shape),
        at(base, lo.mask),
        at(base, new),
        at(base, old),
        at(base, largest),
        base,
    )
