"""The solver: compiled once by numba, then kept as machine code; it reaches a model's functions by their address.

`WIDTH` subjects run side by side in lanes. Each lane has its own time, step, events and verdict; a lane whose subject
has ended takes the next one. Stages of a step are vector operations over all lanes; everything a lane decides alone
(its next event, whether its step is accepted) is plain scalar code.

Memory is one array of doubles (``w``) and one of integers (``q``) per call; `Layout` says where things are in them.
A value of lane ``l`` in row ``i`` of an array at ``o`` is ``w[o + i * WIDTH + l]``.

The order of one round:

1. every lane that stands at an event handles all that happens at this moment: doses, ends of infusions, resets, new
   covariate values, observations, in the order `pkpd.engine.schedule` has given them;
2. lanes that were disturbed restart: hoisted values and the derivative are computed afresh;
3. one step is tried in all lanes, with each lane's own step size, never past its next event;
4. accepted lanes write the observations inside their step from the interpolant, then move on.
"""

from __future__ import annotations

import numba as nb

from pkpd.engine import workspace as ws
from pkpd.engine.calls import OPTIONS, accept, at, call, compiled, hoist, rhs
from pkpd.engine.moments import fail, fill, happen
from pkpd.engine.steps import choose_step, control, end, explicit_step, interpolate, rosenbrock_step

_i8p = nb.types.CPointer(nb.int64)
_f8p = nb.types.CPointer(nb.float64)


@compiled
def solve(lo, method, may_leave, limit, first, last, tableau, fns, base, w, q, s):
    """Solve subjects first ... last - 1 of the order given."""
    stages = lo.stages
    dense = stages * stages + 3 * stages
    subject = first
    for lane in range(ws.WIDTH):
        q[lo.subject + lane] = -1
    while True:
        subject = fill(lo, subject, last, fns, base, w, q, s)
        happen(lo, fns, base, w, q, s)
        busy, disturbed = False, False
        for lane in range(ws.WIDTH):
            w[lo.step + lane] = 1.0
            state = lo.subject + lane
            if q[state] < 0:
                continue
            fresh = q[lo.fresh + lane] == 1
            disturbed = disturbed or fresh
            choose_step(lo, lane, w, q)
            if fresh:
                q[lo.since + lane] = 0
            q[lo.fresh + lane] = 0
            if not w[lo.stop + lane] > w[lo.t + lane]:
                fail(lo, lane, ws.DONE, w, q, s)
                w[lo.step + lane] = 1.0
                continue
            busy = True
        if not busy:
            if subject >= last:
                return
            continue
        if disturbed:
            hoist(lo, fns, base)
            if method == ws.EXPLICIT:
                rhs(lo, fns, base, lo.t, lo.y, lo.k)
        if method == ws.EXPLICIT:
            explicit_step(lo, tableau, fns, base, w)
        else:
            rosenbrock_step(lo, tableau, s.autonomous, fns, base, w)
        call(
            fns[ws.NORM],
            at(base, lo.shape),
            at(base, lo.tolerance),
            at(base, lo.error),
            at(base, lo.y),
            at(base, lo.ynew),
            at(base, lo.norm),
        )
        for lane in range(ws.WIDTH):
            w[lo.mask + lane] = 0.0
            if q[lo.subject + lane] < 0:
                continue
            accepted, verdict = control(lo, lane, may_leave, limit, w, q)
            if verdict != ws.DONE:
                fail(lo, lane, verdict, w, q, s)
            elif accepted:
                w[lo.mask + lane] = 1.0
        w[lo.shape] = lo.size
        w[lo.shape + 1] = stages
        interpolate(lo, tableau, dense, method == ws.EXPLICIT, fns, base, w, q, s)
        for lane in range(ws.WIDTH):
            if w[lo.mask + lane] == 1.0:
                w[lo.t + lane] = end(lo, lane, w)
        accept(lo, lo.ynew, lo.y, lo.tolerance + 2, fns, base)
        if method == ws.EXPLICIT:
            accept(lo, lo.k + 6 * lo.size * ws.WIDTH, lo.k, lo.stage, fns, base)


_BATCH_TYPES = {
    "order": _i8p,
    "item_start": _i8p,
    "item_kind": _i8p,
    "item_index": _i8p,
    "dose_start": _i8p,
    "dose_record": _i8p,
    "dose_row": _i8p,
    "dose_input": _i8p,
    "dose_mode": _i8p,
    "steady_row": _i8p,
    "steady_kind": _i8p,
    "input_state": _i8p,
    "first_row": _i8p,
    "record_output": _i8p,
    "verdict": _i8p,
    "steps": _i8p,
    "moving": nb.int64,
    "autonomous": nb.int64,
    "all_outputs": nb.int64,
}
BATCH_TYPES = [_BATCH_TYPES.get(name, _f8p) for name in ws.Batch._fields]
LAYOUT_SIZE = len(ws.Layout._fields)

# The entry takes addresses and whole numbers only, so that it can be called without numba.
ENTRY_TYPES = [nb.int64] * 5 + [_i8p, _f8p, _i8p, nb.int64, _f8p, _i8p, *BATCH_TYPES]


def entry_source() -> str:
    """The entry's source: its arguments are the fields of `ws.Batch`, which a fixed signature has to spell out."""
    fields = ", ".join(ws.Batch._fields)
    layout = ", ".join(f"layout[{i}]" for i in range(LAYOUT_SIZE))
    return (
        f"def entry(method, may_leave, limit, first, last, layout, tableau, fns, base, w, q, {fields}):\n"
        f"    solve(Layout({layout}), method, may_leave, limit, first, last, tableau, fns, base, w, q,"
        f" Batch({fields}))\n"
    )


def compile_entry() -> tuple[str, str]:
    """Compile the solver. Returns the symbol of its entry and its LLVM code."""
    space = {"solve": solve, "Layout": ws.Layout, "Batch": ws.Batch}
    exec(entry_source(), space)  # our own text, made above; no user's text comes near it
    entry = nb.njit(nb.types.void(*ENTRY_TYPES), **OPTIONS)(space["entry"])
    result = entry.overloads[tuple(ENTRY_TYPES)]
    return result.fndesc.llvm_func_name, result.library.get_llvm_str()
