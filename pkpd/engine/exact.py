"""Linear states, advanced exactly over any time: from one event to the next, or to wherever a step asks for them.

Each lane halves its own time until the polynomial is accurate, then squares as often: lanes that are done are masked.
An observation is reached from the last event, not from the one before it, so that the times at which a subject is
observed do not change its state by a single bit.
"""

from __future__ import annotations

from pkpd.engine import workspace as ws
from pkpd.engine.calls import at, call, compiled, observe
from pkpd.engine.moments import next_observation, store


@compiled
def linear(lo, fns, base):
    """Compute the matrix of the linear part, with what feeds it, and their derivatives."""
    call(fns[ws.LINEAR], at(base, lo.h), at(base, lo.inflow), at(base, lo.linear), base, base, base)


@compiled
def halve(lo, w, q):
    """Scale the time of each lane. Returns the most halvings of any lane."""
    most = 0
    for lane in range(ws.WIDTH):
        h = w[lo.span + lane]
        norm = w[lo.linear + ws.WIDTH + lane]
        halvings = 0
        while h * norm > w[lo.theta] and halvings <= ws.MOST_HALVINGS:
            h *= 0.5
            halvings += 1
        if halvings > ws.MOST_HALVINGS:
            q[lo.too_fast + lane] = 1
            h, halvings = 0.0, 0
        w[lo.scale + lane] = h
        q[lo.halvings + lane] = halvings
        most = max(most, halvings)
    return most


@compiled
def propagate(lo, y, out, fns, base, w, q, s):
    """Advance the linear part of the state at `y` by each lane's span, into `out`."""
    most = halve(lo, w, q)
    here, there, f, f_there = lo.e, lo.e2, lo.f, lo.f2
    block = lo.closure * ws.WIDTH
    call(fns[ws.EXPAND], at(base, lo.scale), at(base, lo.linear), at(base, here), base, base, base)
    for j in range(lo.wrt):
        if s.active[j] >= 0:
            slope = lo.linear + (2 + lo.pattern * (1 + s.active[j])) * ws.WIDTH
            into = f + s.active[j] * block
            call(fns[ws.EXPAND_ALONG], at(base, lo.scale), at(base, slope), at(base, here), at(base, into), base, base)
    for k in range(most):
        for lane in range(ws.WIDTH):
            w[lo.squared + lane] = 1.0 if k < q[lo.halvings + lane] else 0.0
        for j in range(lo.wrt):
            if s.active[j] >= 0:
                call(
                    fns[ws.SQUARE_ALONG],
                    at(base, lo.squared),
                    at(base, here),
                    at(base, f + s.active[j] * block),
                    at(base, f_there + s.active[j] * block),
                    base,
                    base,
                )
        call(fns[ws.SQUARE], at(base, lo.squared), at(base, here), at(base, there), base, base, base)
        here, there = there, here
        f, f_there = f_there, f
    x = y + lo.tail
    call(fns[ws.APPLY], at(base, here), at(base, x), at(base, out + lo.tail), base, base, base)
    for j in range(lo.wrt):
        along = f + s.active[j] * block if s.active[j] >= 0 else lo.nothing
        shift = lo.n * (1 + j) * ws.WIDTH
        call(
            fns[ws.APPLY_ALONG],
            at(base, here),
            at(base, along),
            at(base, x),
            at(base, y + shift),
            at(base, out + shift),
            base,
        )


@compiled
def find_way(lo, w, q):
    """How to advance the linear part over the step: by modes in any lane (1), in all (2); if it is fed, 4 more."""
    if lo.mode_length == 0:
        return 0
    way = 2
    fed = lo.steady_feed > 0
    for lane in range(ws.WIDTH):
        if q[lo.subject + lane] < 0:
            continue
        if w[lo.step + lane] * w[lo.linear + ws.WIDTH + lane] > w[lo.theta] * 2.0**ws.MOST_HALVINGS:
            # An eigenvalue is no better than the rounding of the largest one.
            q[lo.too_fast + lane] = 1
        fed = fed or q[lo.running + lane] > 0
        if w[lo.modal + lane] != 1.0:
            way = 1
    return way + 4 if fed else way


@compiled
def find_amplitudes(lo, fns, base, w, q):
    """The linear part at the present, in its modes. Returns the way to advance it over the step, for `advance`."""
    if lo.mode_length > 0:
        x = lo.y + lo.tail
        call(
            fns[ws.AMPLITUDES],
            at(base, lo.modes),
            at(base, lo.linear),
            at(base, x),
            at(base, lo.amplitudes),
            base,
            base,
        )
    return find_way(lo, w, q)


@compiled
def advance(lo, way, inner, out, fns, base, w, q, s):
    """Advance the linear part from the present by each lane's span: by its modes, where the lane has them.

    With `inner`, only those of its states are needed that other equations contain.
    """
    if way > 0:
        fed = way >= 4
        which = (ws.MODAL_INNER if fed else ws.MODAL_INNER_FREE) if inner else (ws.MODAL if fed else ws.MODAL_FREE)
        into = at(base, out + lo.tail)
        call(fns[which], at(base, lo.span), at(base, lo.modes), at(base, lo.amplitudes), into, base, base)
    if way == 2 or way == 6:
        return
    propagate(lo, lo.y, lo.advanced, fns, base, w, q, s)
    for lane in range(ws.WIDTH):
        if lo.mode_length == 0 or w[lo.modal + lane] != 1.0:
            for i in range(lo.solved, lo.n):
                w[out + i * ws.WIDTH + lane] = w[lo.advanced + i * ws.WIDTH + lane]


@compiled
def exact_step(lo, fns, base, w, q, s):
    """Go to the next event in one step; there is no error to control, but a number may be none."""
    for lane in range(ws.WIDTH):
        w[lo.span + lane] = w[lo.step + lane] if q[lo.subject + lane] >= 0 else 0.0
    propagate(lo, lo.y, lo.ynew, fns, base, w, q, s)


@compiled
def observe_exactly(lo, fns, base, w, q, s):
    """Write the observations before the next event, one a lane and round."""
    while True:
        waiting = False
        for lane in range(ws.WIDTH):
            time = next_observation(lo, lane, w, q)
            w[lo.ts + lane] = time
            w[lo.span + lane] = time - w[lo.t + lane]
            waiting = waiting or q[lo.found + lane] == 1
        if not waiting:
            return
        propagate(lo, lo.y, lo.stage, fns, base, w, q, s)
        observe(lo, fns, base, lo.ts, lo.stage)
        for lane in range(ws.WIDTH):
            if q[lo.found + lane] == 1:
                i = q[lo.pointer + lane]
                store(lo, lane, q[lo.event_index + i * ws.WIDTH + lane], w, q, s)
                q[lo.pointer + lane] = i + 1
