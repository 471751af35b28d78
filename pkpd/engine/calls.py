"""What compiled code of the solver stands on: tables of addresses, and calls of a model's generated functions."""

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

from pkpd.engine import workspace as ws
from pkpd.engine.layout import Layout

#: How the functions of the solver are compiled: they are called from compiled code only, so no wrappers for Python.
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "fastmath": {"contract"},
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
compiled = nb.njit(**OPTIONS)


_INTEGERS = nb.types.CPointer(nb.int64)
_DOUBLES = nb.types.CPointer(nb.float64)


class Table(nb.types.Type):
    """A table of whole numbers and addresses in memory, whose fields are read by name: ``lo.h``, ``s.order[i]``.

    As one argument it costs numba far less time than a tuple of all its fields would.
    """

    def __init__(self, name: str, fields: dict[str, nb.types.Type]) -> None:
        self.fields = fields
        super().__init__(name=name)


@register_model(Table)
class _TableModel(models.PrimitiveModel):
    """In machine code a table is its address."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64))


@infer_getattr
class _TableFields(AttributeTemplate):
    key = Table

    def generic_resolve(self, typ: Table, attr: str) -> nb.types.Type:
        return typ.fields[attr]


@lower_getattr_generic(Table)
def _read_field(context: Any, builder: Any, typ: Table, value: Any, attr: str) -> Any:
    word = ir.IntType(64)
    offset = ir.Constant(word, 8 * list(typ.fields).index(attr))
    field = builder.load(builder.inttoptr(builder.add(value, offset), word.as_pointer()))
    # A table does not change while the solver runs.
    field.set_metadata("invariant.load", builder.module.add_metadata([]))
    kind = context.get_value_type(typ.fields[attr])
    return field if kind == word else builder.inttoptr(field, kind)


_WHOLE = (
    "order mode_row active inclusive input_state first_row record_output verdict steps item_start item_kind item_index "
    "dose_start dose_record dose_row dose_input dose_mode steady_row steady_kind"
).split()
_NUMBERS = ("moving", "autonomous", "all_outputs")
#: Sizes of the problem and where things are in the work space.
LAYOUT = Table("Layout", dict.fromkeys(Layout._fields, nb.int64))
#: The subjects' data and results.
BATCH = Table(
    "Batch",
    {name: nb.int64 if name in _NUMBERS else _INTEGERS if name in _WHOLE else _DOUBLES for name in ws.Batch._fields},
)
#: Arguments of the solver's entry: method, patience, limit, first, last, layout, fns, base, w, q, batch.
ENTRY = [*[nb.int64] * 5, LAYOUT, _INTEGERS, nb.int64, _DOUBLES, _INTEGERS, BATCH]


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
    call(fns[ws.HOIST], at(base, lo.p), at(base, lo.c), at(base, lo.flags), at(base, lo.h), base, base)


@compiled
def rhs(lo, fns, base, t, y, out):
    """Compute the derivative of what is integrated at `y`, with its sensitivities."""
    call(fns[ws.RHS], at(base, t), at(base, y), at(base, lo.h), at(base, lo.inflow), at(base, out), base)


@compiled
def flow(lo, fns, base, out):
    """Compute the derivative of all states at the present, without sensitivities."""
    call(fns[ws.FLOW], at(base, lo.t), at(base, lo.y), at(base, lo.h), at(base, lo.inflow), at(base, out), base)


@compiled
def observe(lo, fns, base, t, y):
    """Compute the observables."""
    call(fns[ws.OBSERVE], at(base, t), at(base, y), at(base, lo.h), at(base, lo.observed), base, base)


@compiled
def weigh(lo, terms, weights, factor, y, k, out, fns, base, w):
    """Compute out = y + factor * sum of weights (in the tableau) * k, over `terms` stages, for what is integrated."""
    w[lo.shape] = terms
    row = at(base, lo.tableau + weights)
    call(fns[ws.WEIGH], at(base, lo.shape), row, at(base, factor), at(base, y), at(base, k), at(base, out))


@compiled
def accept(lo, size, new, old, largest, fns, base, w):
    """Take `new` for `old` in the lanes whose step is accepted."""
    w[lo.shape] = size
    call(
        fns[ws.ACCEPT],
        at(base, lo.shape),
        at(base, lo.mask),
        at(base, new),
        at(base, old),
        at(base, largest),
        base,
    )
