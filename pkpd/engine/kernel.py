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

from pkpd.engine import workspace as ws
from pkpd.engine.calls import accept, at, call, compiled, hoist, rhs
from pkpd.engine.collocation import collocation_step
from pkpd.engine.exact import exact_step, linear, observe_exactly
from pkpd.engine.moments import fail, fill, happen, next_stop
from pkpd.engine.steps import choose_step, control, end, explicit_step, interpolate, rosenbrock_step


@compiled
def solve(method, patience, limit, first, last, lo, fns, base, w, q, s):
    """Solve subjects first ... last - 1 of the order given. The solver's entry: `pkpd.engine.calls.ENTRY`."""
    stages = lo.stages
    dense = stages * stages + 3 * stages
    subject = first
    for lane in range(ws.WIDTH):
        q[lo.subject + lane] = -1
        w[lo.one + lane] = 1.0
    while True:
        subject = fill(lo, subject, last, fns, base, w, q, s)
        happen(lo, fns, base, w, q, s)
        busy, disturbed = False, False
        for lane in range(ws.WIDTH):
            w[lo.step + lane] = 1.0
            if q[lo.subject + lane] < 0 or q[lo.fresh + lane] == 0:
                continue
            w[lo.stop + lane] = next_stop(lo, lane, w, q)
            q[lo.since + lane] = 0
            disturbed = True
        if disturbed:
            hoist(lo, fns, base)
            linear(lo, fns, base)
            if method != ws.EXACT:
                rhs(lo, fns, base, lo.t, lo.y, lo.k)
        for lane in range(ws.WIDTH):
            if q[lo.subject + lane] < 0:
                continue
            if not w[lo.stop + lane] > w[lo.t + lane]:
                fail(lo, lane, ws.DONE, w, q, s)
                continue
            choose_step(lo, lane, method, w, q)
            q[lo.fresh + lane] = 0
            busy = True
        if not busy:
            if subject >= last:
                return
            continue
        if method == ws.EXPLICIT:
            explicit_step(lo, fns, base, w, q, s)
        elif method == ws.ROSENBROCK:
            rosenbrock_step(lo, fns, base, w, q, s)
        elif method == ws.COLLOCATION:
            collocation_step(lo, fns, base, w, q, s)
        else:
            exact_step(lo, fns, base, w, q, s)
        w[lo.shape] = lo.integrated
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
            accepted, verdict = control(lo, lane, method, patience, limit, w, q)
            if verdict != ws.DONE:
                fail(lo, lane, verdict, w, q, s)
            elif accepted:
                w[lo.mask + lane] = 1.0
        if method == ws.EXACT:
            observe_exactly(lo, fns, base, w, q, s)
        else:
            interpolate(lo, dense, method == ws.EXPLICIT, fns, base, w, q, s)
        for lane in range(ws.WIDTH):
            if w[lo.mask + lane] == 1.0:
                w[lo.t + lane] = end(lo, lane, w)
        accept(lo, lo.size, lo.ynew, lo.y, lo.tolerance + 2, fns, base, w)
        if method == ws.EXPLICIT:
            accept(lo, lo.integrated, lo.k + 6 * lo.integrated * ws.WIDTH, lo.k, lo.error, fns, base, w)
