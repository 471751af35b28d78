"""One step of the explicit pair, or of the Rosenbrock method; of any, its acceptance, and the observations inside."""

from __future__ import annotations

import numpy as np

from pkpd.engine import workspace as ws
from pkpd.engine.calls import at, call, compiled, observe, rhs, weigh
from pkpd.engine.exact import advance, find_amplitudes, find_way
from pkpd.engine.moments import end, next_observation, store


@compiled
def stage_times(lo, c, w):
    """Set the time of a stage in every lane."""
    for lane in range(ws.WIDTH):
        # The last stage stands exactly where the next step begins.
        w[lo.ts + lane] = w[lo.t + lane] + c * w[lo.step + lane] if c < 1.0 else end(lo, lane, w)


@compiled
def advance_linear(lo, way, c, out, fns, base, w, q, s):
    """Put the linear part of the state at a stage's time beside what is integrated."""
    if lo.closure > 0:
        for lane in range(ws.WIDTH):
            w[lo.span + lane] = c * w[lo.step + lane]
        advance(lo, way, c < 1.0, out, fns, base, w, q, s)


@compiled
def copy_linear(lo, source, out, w):
    """Put the linear part of the state at `source` beside `out`."""
    for i in range(lo.integrated * ws.WIDTH, lo.size * ws.WIDTH):
        w[out + i] = w[source + i]


@compiled
def explicit_step(lo, fns, base, w, q, s):
    """Tsitouras' pair; stage 1 is there already. Leaves ynew, its error, and f(ynew) as the last stage."""
    way = find_amplitudes(lo, fns, base, w, q)
    stages = 7
    c, e = stages * stages, stages * stages + 2 * stages
    for stage in range(1, stages):
        time, before = w[lo.tableau + c + stage], w[lo.tableau + c + stage - 1]
        stage_times(lo, time, w)
        out = lo.ynew if stage == stages - 1 else lo.stage
        weigh(lo, stage, stage * stages, lo.step, lo.y, lo.k, out, fns, base, w)
        if time != before:
            advance_linear(lo, way, time, lo.stage, fns, base, w, q, s)
        if out == lo.ynew:
            copy_linear(lo, lo.stage, out, w)
        rhs(lo, fns, base, lo.ts, out, lo.k + stage * lo.integrated * ws.WIDTH)
    weigh(lo, stages, e, lo.step, lo.zero, lo.k, lo.error, fns, base, w)


@compiled
def rosenbrock_step(lo, fns, base, w, q, s):
    """Rodas5P in transformed variables u: (I/(gamma h) - J) u_i = f(y + sum a_ij u_j) + sum c_ij/h u_j + d_i h f_t.

    The Jacobian of the state with its sensitivities is block triangular with J on the diagonal: one factorisation
    serves all blocks, and what lies below the diagonal acts on the state's own u (the `couple` function).
    """
    way = find_amplitudes(lo, fns, base, w, q)
    stages = 8
    c, b, dense = stages * stages, stages * stages + stages, stages * stages + 3 * stages
    coupling = dense + 4 * stages
    d = coupling + stages * stages
    gamma = w[lo.tableau + d + stages]
    n, size = lo.solved, lo.integrated
    explicit = lo.jacobian + lo.entries * ws.WIDTH
    call(
        fns[ws.JACOBIAN],
        at(base, lo.t),
        at(base, lo.y),
        at(base, lo.h),
        at(base, lo.inflow),
        at(base, lo.jacobian),
        base,
    )
    for lane in range(ws.WIDTH):
        w[lo.inverse + lane] = 1.0 / w[lo.step + lane]
        w[lo.shift + lane] = w[lo.inverse + lane] / gamma
    call(fns[ws.FACTOR], at(base, lo.shift), at(base, lo.jacobian), at(base, lo.factors), base, base, base)
    for stage in range(stages):
        u = lo.k + stage * size * ws.WIDTH
        time = w[lo.tableau + c + stage]
        stage_times(lo, time, w)
        where = lo.y
        if stage > 0:
            weigh(lo, stage, stage * stages, lo.one, lo.y, lo.k, lo.stage, fns, base, w)
            if time != w[lo.tableau + c + stage - 1]:
                advance_linear(lo, way, time, lo.stage, fns, base, w, q, s)
            where = lo.stage
        rhs(lo, fns, base, lo.ts, where, lo.error)
        source = lo.error
        if not s.autonomous and w[lo.tableau + d + stage] != 0.0:
            weigh(lo, 1, d + stage, lo.step, lo.error, explicit, lo.ynew, fns, base, w)
            source = lo.ynew
        weigh(lo, stage, coupling + stage * stages, lo.inverse, source, lo.k, lo.right, fns, base, w)
        call(fns[ws.SOLVE], at(base, lo.factors), at(base, lo.right), at(base, u), base, base, base)
        if lo.wrt > 0:
            call(
                fns[ws.COUPLE],
                at(base, lo.t),
                at(base, lo.y),
                at(base, lo.h),
                at(base, u),
                at(base, lo.coupled),
                base,
            )
            for i in range((size - n) * ws.WIDTH):
                w[lo.right + n * ws.WIDTH + i] += w[lo.coupled + i]
            for j in range(1, 1 + lo.wrt):
                block = j * n * ws.WIDTH
                call(
                    fns[ws.SOLVE],
                    at(base, lo.factors),
                    at(base, lo.right + block),
                    at(base, u + block),
                    base,
                    base,
                    base,
                )
    weigh(lo, stages, b, lo.one, lo.y, lo.k, lo.ynew, fns, base, w)
    copy_linear(lo, lo.stage, lo.ynew, w)
    last = lo.k + (stages - 1) * size * ws.WIDTH
    for i in range(size * ws.WIDTH):
        w[lo.error + i] = w[last + i]


@compiled
def looks_stiff(lo, lane, w, q):
    """Tell whether stability, not accuracy, holds the step back (h |lambda| near its limit), by Hairer's test.

    Stages six and seven of Tsitouras' pair belong to the same time, so that the difference of their derivatives over
    the difference of their states estimates |lambda| of the fastest part (Hairer and Wanner, DOPRI5).
    """
    slope, change = 0.0, 0.0
    k6, k7 = lo.k + 5 * lo.integrated * ws.WIDTH, lo.k + 6 * lo.integrated * ws.WIDTH
    for i in range(lo.solved):
        a = w[k7 + i * ws.WIDTH + lane] - w[k6 + i * ws.WIDTH + lane]
        b = w[lo.ynew + i * ws.WIDTH + lane] - w[lo.stage + i * ws.WIDTH + lane]
        slope += a * a
        change += b * b
    h = w[lo.step + lane]
    stiff = lo.stiff_count + lane
    mild = lo.mild_count + lane
    if change > 0.0 and h * np.sqrt(slope / change) > 2.5:
        q[mild] = 0
        q[stiff] += 1
        return q[stiff] >= 15
    q[mild] += 1
    if q[mild] >= 6:
        q[stiff] = 0
    return False


@compiled
def control(lo, lane, method, patience, limit, w, q):
    """Accept or reject the lane's step and choose its next step size. Returns (accepted, verdict)."""
    if q[lo.too_fast + lane] == 1:
        return False, ws.TOO_FAST
    if method == ws.EXACT:
        q[lo.tried + lane] += 1
        for i in range(lo.size):
            if not np.isfinite(w[lo.ynew + i * ws.WIDTH + lane]):
                return False, ws.NOT_A_NUMBER
        return True, ws.DONE
    error = w[lo.norm + lane]
    h = w[lo.step + lane]
    t = w[lo.t + lane]
    steps = lo.tried + lane
    rejected = lo.rejected + lane
    since = lo.since + lane
    q[steps] += 1
    q[since] += 1
    if q[steps] > limit:
        return False, ws.TOO_MANY_STEPS
    if error <= 1.0:
        old = w[lo.old_error + lane]
        factor = min(10.0, max(0.2, 0.9 * w[lo.norm + ws.WIDTH + lane] * old))
        if q[rejected] == 1:
            factor = min(factor, 1.0)
        q[rejected] = 0
        w[lo.old_error + lane] = w[lo.norm + 2 * ws.WIDTH + lane]
        if patience > 0 and (q[since] > patience or (lo.wrt == 0 and looks_stiff(lo, lane, w, q))):
            return False, ws.STIFF
        # A step cut short by a stop must not shrink the next one.
        w[lo.last_step + lane] = max(
            h * factor,
            w[lo.last_step + lane] if end(lo, lane, w) == w[lo.stop + lane] else 0.0,
        )
        return True, ws.DONE
    factor = 0.1
    if error < 1e300:
        factor = max(0.1, 0.9 * error ** (-0.125 if method == ws.COLLOCATION else -0.2))
    if method == ws.COLLOCATION and q[rejected] == 1:
        # Twice: the solution is not smooth enough here for the order to count.
        factor = min(factor, 0.2)
    q[rejected] = 1
    if not (h * factor > 1e-13 * abs(t) and h * factor > 1e-280):
        if not hardly_moves(lo, lane, w):
            return False, ws.STEP_TOO_SMALL
        # A start that is not smooth, finer than the clock: what is lost in so short a time is nothing.
        q[rejected] = 0
        w[lo.last_step + lane] = 5.0 * h
        return True, ws.DONE
    h *= factor
    w[lo.last_step + lane] = h
    return False, ws.DONE


@compiled
def hardly_moves(lo, lane, w):
    """Whether the step changes nothing by more than a millionth of the most that it has been."""
    for i in range(lo.integrated):
        at = i * ws.WIDTH + lane
        change = abs(w[lo.ynew + at] - w[lo.y + at])
        if not change <= 1e-6 * max(abs(w[lo.y + at]), w[lo.tolerance + 2 + at]):
            return False
    return True


@compiled
def choose_step(lo, lane, method, w, q):
    """The step to try: what the control asks for, but never past the next stop nor leaving a sliver before it."""
    stop = w[lo.stop + lane]
    left = stop - w[lo.t + lane]
    if lo.solved == 0 or left <= 1e-12 * abs(stop):
        w[lo.step + lane] = left
        return
    h = w[lo.last_step + lane]
    if q[lo.fresh + lane]:
        # What follows an event need not be smooth (a power of something that starts at 0), which no estimate of an
        # error can see in one large step: begin small. Nor may the first step jump over all that is fast.
        first = 1e-3 * left
        rate = fastest_change(lo, lane, w)
        if method == ws.COLLOCATION:
            # Its points stand close at the start, and see all that is not faster than this.
            first, rate = left, 0.125 * max(rate, w[lo.linear + ws.WIDTH + lane])
        h = min(h, first) if h > 0.0 else first
        h = min(h, 1.0 / rate) if rate * h > 1.0 else h
        w[lo.last_step + lane] = h
    if h >= left * 0.9999999:
        h = left
    elif 2.0 * h > left:
        h = 0.5 * left
    # What the clock will show: its rounding in each step would add up.
    shown = (w[lo.t + lane] + h) - w[lo.t + lane]
    w[lo.step + lane] = shown if 0.0 < shown < left else h


@compiled
def fastest_change(lo, lane, w):
    """The largest derivative (in k) beside its state, of those states that hold more than a trace."""
    rate = 0.0
    for i in range(lo.solved):
        at = i * ws.WIDTH + lane
        size = abs(w[lo.y + at])
        if size > 1e-3 * w[lo.tolerance + 2 + at]:
            rate = max(rate, abs(w[lo.k + at]) / size)
    return rate if np.isfinite(rate) else 0.0


@compiled
def interpolate(lo, dense, scaled, fns, base, w, q, s):
    """Write the observations that lie inside the accepted steps, one a lane and round."""
    w[lo.shape] = lo.integrated
    w[lo.shape + 1] = lo.stages
    factor = lo.step if scaled else lo.one
    way = find_way(lo, w, q)
    while True:
        waiting = False
        for lane in range(ws.WIDTH):
            time = next_observation(lo, lane, w, q)
            waiting = waiting or q[lo.found + lane] == 1
            w[lo.ts + lane] = time
        if not waiting:
            return
        for lane in range(ws.WIDTH):
            w[lo.span + lane] = w[lo.ts + lane] - w[lo.t + lane]
            w[lo.place + lane] = w[lo.span + lane] / w[lo.step + lane]
        call(
            fns[ws.WEIGHTS],
            at(base, lo.shape),
            at(base, lo.tableau + dense),
            at(base, lo.place),
            at(base, factor),
            at(base, lo.coefficients),
            base,
        )
        call(
            fns[ws.COMBINE],
            at(base, lo.shape),
            at(base, lo.coefficients),
            at(base, lo.y),
            at(base, lo.k),
            at(base, lo.stage),
            base,
        )
        if lo.closure > 0:
            advance(lo, way, False, lo.stage, fns, base, w, q, s)
        observe(lo, fns, base, lo.ts, lo.stage)
        for lane in range(ws.WIDTH):
            if q[lo.found + lane] == 1:
                i = q[lo.pointer + lane]
                store(lo, lane, q[lo.event_index + i * ws.WIDTH + lane], w, q, s)
                q[lo.pointer + lane] = i + 1
