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

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from pkpd.engine.workspace import (
    ACCEPT,
    AT_MODELLED_RATE,
    AT_RATE,
    BAD_INPUT,
    BAD_VALUES,
    BOLUS,
    CANCELLED,
    COMBINE,
    COUNT,
    COUPLE,
    COVARIATES,
    DONE,
    EXPLICIT,
    FACTOR,
    FIELDS,
    FOUND,
    FRESH,
    HOIST,
    INFUSION,
    INFUSION_END,
    INITIAL,
    INPUTS,
    JACOBIAN,
    LANE_DOUBLES,
    LANE_INTEGERS,
    LAST_STEP,
    MILD_COUNT,
    NORM,
    OBSERVATION,
    OBSERVE,
    OLD_ERROR,
    OVER_DURATION,
    OVER_MODELLED_DURATION,
    PATIENCE,
    POINTER,
    POINTERS,
    REJECTED,
    RESET,
    RHS,
    RUNNING,
    SINCE,
    SOLVE,
    STEP,
    STEP_TOO_SMALL,
    STEPS,
    STIFF,
    STIFF_COUNT,
    STOP,
    SUBJECT,
    TOO_MANY_STEPS,
    WIDTH,
    Batch,
    Layout,
)

_i8p = nb.types.CPointer(nb.int64)
_f8p = nb.types.CPointer(nb.float64)


def _call_at(typingctx, function, a, b, c, d, e, f):
    """Call a generated function at an address with the addresses of its arrays."""
    signature = nb.types.void(*([nb.int64] * (1 + POINTERS)))

    def codegen(context, builder, _signature, args):
        pointer = ir.PointerType()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * POINTERS)
        target = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(target, [builder.inttoptr(x, pointer) for x in args[1:]])
        return context.get_dummy_value()

    return signature, codegen


# Typed loosely: numba's decorator hides that the typing context is not an argument of the call.
_call: Any = intrinsic(_call_at)


_compile = nb.njit(error_model="numpy", nogil=True, fastmath={"contract"})


@_compile
def _at(base, offset):
    return base + 8 * offset


@_compile
def _load_subject(lo, lane, subject, fns, base, w, q, s):
    """Put a subject into a lane: parameters, covariates, its doses as events, its starting state."""
    for j in range(lo.parameters):
        w[lo.p + j * WIDTH + lane] = s.values[subject * lo.parameters + j]
    _set_covariates(lo, lane, s.first_row[subject], w, s)
    q[lo.lane_state + SUBJECT * WIDTH + lane] = subject
    for field in range(1, LANE_INTEGERS):
        q[lo.lane_state + field * WIDTH + lane] = 0
    for field in range(LANE_DOUBLES):
        w[lo.lane + field * WIDTH + lane] = 0.0
    w[lo.lane + OLD_ERROR * WIDTH + lane] = 1e-4
    for i in range(lo.size):
        w[lo.inflow + i * WIDTH + lane] = 0.0
        w[lo.tolerance + 2 + i * WIDTH + lane] = 0.0
    w[lo.t + lane] = s.start_time[subject]
    verdict = _make_events(lo, lane, subject, fns, base, w, q, s)
    if verdict != DONE:
        return verdict
    return _start_state(lo, lane, fns, base, w)


@_compile
def _set_covariates(lo, lane, row, w, s):
    for j in range(lo.covariates):
        w[lo.c + j * WIDTH + lane] = s.covariates[row * lo.covariates + j]


@_compile
def _start_state(lo, lane, fns, base, w):
    """The initial state of the lane, with its sensitivities; also after a reset."""
    _call(fns[INITIAL], _at(base, lo.p), _at(base, lo.c), _at(base, lo.stage), base, base, base)
    for i in range(lo.size):
        value = w[lo.stage + i * WIDTH + lane]
        if not np.isfinite(value):
            return BAD_VALUES
        w[lo.y + i * WIDTH + lane] = value
        largest = lo.tolerance + 2 + i * WIDTH + lane
        w[largest] = max(w[largest], abs(value))
    return DONE


@_compile
def _make_events(lo, lane, subject, fns, base, w, q, s):
    """All that happens to a subject, in order: its fixed items merged with the doses, which parameters may move."""
    count = 0
    item, last_item = s.item_start[subject], s.item_start[subject + 1]
    dose, last_dose = s.dose_start[subject], s.dose_start[subject + 1]
    evaluated, given = -1, -1.0
    while item < last_item or dose < last_dose:
        if dose == last_dose or (item < last_item and s.item_time[item] < s.dose_time[dose]):
            _add_event(lo, lane, count, s.item_time[item], s.item_key[item], s.item_kind[item], item, w, q)
            item += 1
            count += 1
            continue
        if s.dose_row[dose] != evaluated or s.dose_amount[dose] != given:
            evaluated, given = s.dose_row[dose], s.dose_amount[dose]
            w[lo.amount + lane] = given
            _set_covariates(lo, lane, evaluated, w, s)
            _call(fns[INPUTS], _at(base, lo.p), _at(base, lo.c), _at(base, lo.amount), _at(base, lo.ways), base, base)
        d = dose - s.dose_start[subject]
        start, duration, verdict = _read_dose(lo, lane, dose, d, w, s)
        if verdict != DONE:
            return verdict
        # A dose moved by a lag, and an additional dose, come before the records of their time.
        key = s.dose_key[dose] if start == s.dose_time[dose] else -1.0
        if duration > 0.0:
            _add_event(lo, lane, count, start, key, INFUSION, dose, w, q)
            _add_event(lo, lane, count + 1, start + duration, -2.0, INFUSION_END, dose, w, q)
            count += 2
        else:
            _add_event(lo, lane, count, start, key, BOLUS, dose, w, q)
            count += 1
        dose += 1
    _set_covariates(lo, lane, s.first_row[subject], w, s)
    q[lo.lane_state + COUNT * WIDTH + lane] = count
    return DONE


@_compile
def _add_event(lo, lane, at, time, key, kind, index, w, q):
    """Insert into the lane's list, which is kept sorted by (time, key); it nearly is already."""
    i = at
    while i > 0:
        before = lo.event_time + (i - 1) * WIDTH + lane
        if w[before] < time or (w[before] == time and w[lo.event_key + (i - 1) * WIDTH + lane] <= key):
            break
        w[lo.event_time + i * WIDTH + lane] = w[before]
        w[lo.event_key + i * WIDTH + lane] = w[lo.event_key + (i - 1) * WIDTH + lane]
        q[lo.event_kind + i * WIDTH + lane] = q[lo.event_kind + (i - 1) * WIDTH + lane]
        q[lo.event_index + i * WIDTH + lane] = q[lo.event_index + (i - 1) * WIDTH + lane]
        i -= 1
    w[lo.event_time + i * WIDTH + lane] = time
    w[lo.event_key + i * WIDTH + lane] = key
    q[lo.event_kind + i * WIDTH + lane] = kind
    q[lo.event_index + i * WIDTH + lane] = index


@_compile
def _read_dose(lo, lane, dose, d, w, s):
    """Start and duration of a dose; its amount or rate goes to Layout.dose, with what the parameters do to them.

    There: the amount (bolus) or rate (infusion), its derivatives, those of the start, those of the end.
    """
    way = s.dose_input[dose]
    mode = s.dose_mode[dose]
    amount = s.dose_amount[dose]
    block = lo.ways + way * FIELDS * (1 + lo.wrt) * WIDTH + lane
    scale, share, lag = w[block], w[block + WIDTH], w[block + 2 * WIDTH]
    rate, span = w[block + 3 * WIDTH], w[block + 4 * WIDTH]
    if mode == AT_RATE:
        rate = s.dose_rate[dose]
    elif mode == OVER_DURATION:
        span = s.dose_duration[dose]
    o = lo.dose + d * lo.stride * WIDTH + lane
    if not (np.isfinite(scale) and share >= 0.0 and np.isfinite(share) and lag >= 0.0 and np.isfinite(lag)):
        return 0.0, 0.0, BAD_INPUT
    by_rate = mode in (AT_RATE, AT_MODELLED_RATE)
    infusion = by_rate or mode in (OVER_DURATION, OVER_MODELLED_DURATION)
    if by_rate:
        if not (rate > 0.0 and np.isfinite(rate)):
            return 0.0, 0.0, BAD_INPUT
        span = share * amount / rate
        value = scale * rate
    elif infusion:
        if not (span >= 0.0 and np.isfinite(span)):
            return 0.0, 0.0, BAD_INPUT
        infusion = span > 0.0
        value = scale * share * amount / span if infusion else scale * share * amount
    else:
        value = scale * share * amount
    w[o] = value
    for j in range(lo.wrt):
        slope = block + (1 + j) * FIELDS * WIDTH
        dscale, dshare, dlag = w[slope], w[slope + WIDTH], w[slope + 2 * WIDTH]
        drate, dspan = w[slope + 3 * WIDTH], w[slope + 4 * WIDTH]
        if by_rate:
            if mode == AT_RATE:
                drate = 0.0
            dspan = amount * (dshare * rate - share * drate) / (rate * rate)
            dvalue = dscale * rate + scale * drate
        elif infusion:
            if mode == OVER_DURATION:
                dspan = 0.0
            dvalue = amount * (dscale * share + scale * dshare) / span - value * dspan / span
        else:
            dspan = 0.0
            dvalue = amount * (dscale * share + scale * dshare)
        w[o + (1 + j) * WIDTH] = dvalue
        w[o + (1 + lo.wrt + j) * WIDTH] = dlag
        w[o + (1 + 2 * lo.wrt + j) * WIDTH] = dlag + dspan
    return s.dose_time[dose] + lag, span if infusion else 0.0, DONE


@_compile
def _hoist(lo, fns, base):
    _call(fns[HOIST], _at(base, lo.p), _at(base, lo.c), _at(base, lo.h), base, base, base)


@_compile
def _rhs(lo, fns, base, t, y, out):
    _call(fns[RHS], _at(base, t), _at(base, y), _at(base, lo.h), _at(base, lo.inflow), _at(base, out), base)


@_compile
def _apply(lo, lane, kind, index, moving, fns, base, w, q, s):
    """Let one event act on its lane.

    What a parameter does to the *time* of a jump acts through the derivative: a state that jumps from y- to y+ at
    time tau has dy+/dp = dy-/dp + dDelta/dp + (f(y-) - f(y+)) dtau/dp.
    """
    n, wrt = lo.n, lo.wrt
    if kind == COVARIATES:
        _set_covariates(lo, lane, s.item_index[index], w, s)
        return DONE
    if kind == RESET:
        _cancel(lo, lane, s.item_index[index], w, q, s)
        return _start_state(lo, lane, fns, base, w)
    first = s.dose_start[q[lo.lane_state + SUBJECT * WIDTH + lane]]
    o = lo.dose + (index - first) * lo.stride * WIDTH + lane
    row = s.input_state[s.dose_input[index]]
    value = w[o]
    if kind == BOLUS:
        if moving:
            _hoist(lo, fns, base)
            _rhs(lo, fns, base, lo.t, lo.y, lo.k)
        w[lo.y + row * WIDTH + lane] += value
        largest = lo.tolerance + 2 + row * WIDTH + lane
        w[largest] = max(w[largest], abs(w[lo.y + row * WIDTH + lane]))
        for j in range(wrt):
            w[lo.y + (n * (1 + j) + row) * WIDTH + lane] += w[o + (1 + j) * WIDTH]
        if moving:
            # Only f(y) itself enters, not the derivatives of the sensitivities that stand behind it.
            _rhs(lo, fns, base, lo.t, lo.y, lo.stage)
            for j in range(wrt):
                moved = w[o + (1 + wrt + j) * WIDTH]
                if moved != 0.0:
                    for i in range(n):
                        jump = w[lo.k + i * WIDTH + lane] - w[lo.stage + i * WIDTH + lane]
                        w[lo.y + (n * (1 + j) + i) * WIDTH + lane] += jump * moved
        return DONE
    sign, shift = (1.0, 1 + wrt) if kind == INFUSION else (-1.0, 1 + 2 * wrt)
    w[lo.inflow + row * WIDTH + lane] += sign * value
    for j in range(wrt):
        at = (n * (1 + j) + row) * WIDTH + lane
        w[lo.inflow + at] += sign * w[o + (1 + j) * WIDTH]
        w[lo.y + at] -= sign * value * w[o + (shift + j) * WIDTH]
    q[lo.lane_state + RUNNING * WIDTH + lane] += 1 if kind == INFUSION else -1
    if q[lo.lane_state + RUNNING * WIDTH + lane] == 0:
        _stop_inflow(lo, lane, w)
    return DONE


@_compile
def _stop_inflow(lo, lane, w):
    """No infusion runs: the inflow is exactly zero, whatever rounding the sums have left."""
    for i in range(lo.size):
        w[lo.inflow + i * WIDTH + lane] = 0.0


@_compile
def _cancel(lo, lane, row, w, q, s):
    """A reset recorded in `row` ends all infusions and cancels whatever is still to come of earlier doses."""
    for i in range(q[lo.lane_state + POINTER * WIDTH + lane], q[lo.lane_state + COUNT * WIDTH + lane]):
        at = lo.event_kind + i * WIDTH + lane
        kind = q[at]
        if kind in (BOLUS, INFUSION, INFUSION_END):
            if s.dose_record[q[lo.event_index + i * WIDTH + lane]] < row:
                q[at] = CANCELLED
    q[lo.lane_state + RUNNING * WIDTH + lane] = 0
    _stop_inflow(lo, lane, w)


@_compile
def _next_stop(lo, lane, w, q):
    """The time of the next event that is more than an observation, else of the last observation."""
    count = q[lo.lane_state + COUNT * WIDTH + lane]
    for i in range(q[lo.lane_state + POINTER * WIDTH + lane], count):
        kind = q[lo.event_kind + i * WIDTH + lane]
        if kind not in (OBSERVATION, CANCELLED):
            return w[lo.event_time + i * WIDTH + lane]
    for i in range(count - 1, -1, -1):
        if q[lo.event_kind + i * WIDTH + lane] == OBSERVATION:
            return w[lo.event_time + i * WIDTH + lane]
    return w[lo.t + lane]


@_compile
def _store(lo, lane, index, w, s):
    """Copy the lane's observables to the results: all of them, or the record's own where one each is kept."""
    record = s.item_index[index]
    chosen = s.record_output[record]
    for k in range(lo.stored):
        which = k if s.all_outputs else chosen
        s.f[record * lo.stored + k] = w[lo.observed + which * WIDTH + lane]
        for j in range(lo.wrt):
            at = lo.observed + (lo.observables * (1 + j) + which) * WIDTH + lane
            s.df[(record * lo.stored + k) * lo.wrt + j] = w[at]


@_compile
def _observe(lo, fns, base, t, y):
    _call(fns[OBSERVE], _at(base, t), _at(base, y), _at(base, lo.h), _at(base, lo.observed), base, base)


@_compile
def _happen(lo, fns, base, w, q, s):
    """Handle, in every lane, all events of its present time. Returns whether any lane was disturbed."""
    disturbed = False
    stale = True
    while True:
        waiting = False
        for lane in range(WIDTH):
            if q[lo.lane_state + SUBJECT * WIDTH + lane] < 0:
                continue
            q[lo.lane_state + FOUND * WIDTH + lane] = 0
            while True:
                i = q[lo.lane_state + POINTER * WIDTH + lane]
                if i >= q[lo.lane_state + COUNT * WIDTH + lane]:
                    break
                if w[lo.event_time + i * WIDTH + lane] > w[lo.t + lane]:
                    break
                kind = q[lo.event_kind + i * WIDTH + lane]
                if kind == OBSERVATION:
                    q[lo.lane_state + FOUND * WIDTH + lane] = 1
                    waiting = True
                    break
                q[lo.lane_state + POINTER * WIDTH + lane] = i + 1
                if kind == CANCELLED:
                    continue
                index = q[lo.event_index + i * WIDTH + lane]
                verdict = _apply(lo, lane, kind, index, s.moving, fns, base, w, q, s)
                q[lo.lane_state + FRESH * WIDTH + lane] = 1
                disturbed = True
                stale = True
                if verdict != DONE:
                    _fail(lo, lane, verdict, w, q, s)
                    break
        if not waiting:
            return disturbed
        if stale:
            _hoist(lo, fns, base)
            stale = False
        _observe(lo, fns, base, lo.t, lo.y)
        for lane in range(WIDTH):
            if q[lo.lane_state + SUBJECT * WIDTH + lane] >= 0 and q[lo.lane_state + FOUND * WIDTH + lane] == 1:
                i = q[lo.lane_state + POINTER * WIDTH + lane]
                _store(lo, lane, q[lo.event_index + i * WIDTH + lane], w, s)
                q[lo.lane_state + POINTER * WIDTH + lane] = i + 1


@_compile
def _fail(lo, lane, verdict, w, q, s):
    """Record why a subject ended and empty its lane."""
    subject = q[lo.lane_state + SUBJECT * WIDTH + lane]
    s.verdict[subject] = verdict
    s.end_time[subject] = w[lo.t + lane]
    s.steps[subject] = q[lo.lane_state + STEPS * WIDTH + lane]
    q[lo.lane_state + SUBJECT * WIDTH + lane] = -1


@_compile
def _interpolate(lo, tableau, dense, coarse, fns, base, w, q, s):
    """Write the observations that lie inside the accepted steps, one a lane and round."""
    while True:
        waiting = False
        for lane in range(WIDTH):
            q[lo.lane_state + FOUND * WIDTH + lane] = 0
            for j in range(lo.stages):
                w[lo.coefficients + j * WIDTH + lane] = 0.0
            w[lo.ts + lane] = w[lo.t + lane]
            if w[lo.mask + lane] == 0.0:
                continue
            i = q[lo.lane_state + POINTER * WIDTH + lane]
            h = w[lo.lane + STEP * WIDTH + lane]
            while i < q[lo.lane_state + COUNT * WIDTH + lane] and q[lo.event_kind + i * WIDTH + lane] == CANCELLED:
                i += 1
            q[lo.lane_state + POINTER * WIDTH + lane] = i
            if i >= q[lo.lane_state + COUNT * WIDTH + lane]:
                continue
            time = w[lo.event_time + i * WIDTH + lane]
            if q[lo.event_kind + i * WIDTH + lane] != OBSERVATION or time >= _end(lo, lane, w):
                continue
            q[lo.lane_state + FOUND * WIDTH + lane] = 1
            waiting = True
            theta = (time - w[lo.t + lane]) / h
            w[lo.ts + lane] = time
            for j in range(lo.stages):
                o = dense + 4 * j
                weight = theta * (
                    tableau[o] + theta * (tableau[o + 1] + theta * (tableau[o + 2] + theta * tableau[o + 3]))
                )
                w[lo.coefficients + j * WIDTH + lane] = weight * (h if coarse else 1.0)
        if not waiting:
            return
        _call(
            fns[COMBINE],
            _at(base, lo.shape),
            _at(base, lo.coefficients),
            _at(base, lo.y),
            _at(base, lo.k),
            _at(base, lo.stage),
            base,
        )
        _observe(lo, fns, base, lo.ts, lo.stage)
        for lane in range(WIDTH):
            if q[lo.lane_state + FOUND * WIDTH + lane] == 1:
                i = q[lo.lane_state + POINTER * WIDTH + lane]
                _store(lo, lane, q[lo.event_index + i * WIDTH + lane], w, s)
                q[lo.lane_state + POINTER * WIDTH + lane] = i + 1


@_compile
def _end(lo, lane, w):
    """Where the lane's present step ends: exactly at the stop if it reaches it."""
    end = w[lo.t + lane] + w[lo.lane + STEP * WIDTH + lane]
    stop = w[lo.lane + STOP * WIDTH + lane]
    return stop if end >= stop or stop - end <= 1e-14 * abs(stop) else end


@_compile
def _combine(lo, terms, y, k, out, fns, base, w):
    w[lo.shape] = lo.size
    w[lo.shape + 1] = terms
    _call(
        fns[COMBINE], _at(base, lo.shape), _at(base, lo.coefficients), _at(base, y), _at(base, k), _at(base, out), base
    )


@_compile
def _set_coefficients(lo, tableau, o, terms, scaled, w):
    """A row of the tableau for all lanes: times h (1), as it is (0), or over h (-1)."""
    for lane in range(WIDTH):
        h = w[lo.lane + STEP * WIDTH + lane]
        factor = h if scaled == 1 else (1.0 if scaled == 0 else 1.0 / h)
        for j in range(terms):
            w[lo.coefficients + j * WIDTH + lane] = tableau[o + j] * factor


@_compile
def _stage_times(lo, c, w):
    for lane in range(WIDTH):
        w[lo.ts + lane] = w[lo.t + lane] + c * w[lo.lane + STEP * WIDTH + lane]


@_compile
def _explicit_step(lo, tableau, fns, base, w):
    """Tsitouras' pair; stage 1 is there already. Leaves ynew, its error, and f(ynew) as the last stage."""
    s = 7
    c, e = s * s, s * s + 2 * s
    for stage in range(1, s):
        _stage_times(lo, tableau[c + stage], w)
        _set_coefficients(lo, tableau, stage * s, stage, 1, w)
        out = lo.ynew if stage == s - 1 else lo.stage
        _combine(lo, stage, lo.y, lo.k, out, fns, base, w)
        _rhs(lo, fns, base, lo.ts, out, lo.k + stage * lo.size * WIDTH)
    _set_coefficients(lo, tableau, e, s, 1, w)
    _combine(lo, s, lo.zero, lo.k, lo.error, fns, base, w)


@_compile
def _rosenbrock_step(lo, tableau, autonomous, fns, base, w):
    """Rodas5P in transformed variables u: (I/(gamma h) - J) u_i = f(y + sum a_ij u_j) + sum c_ij/h u_j + d_i h f_t.

    The Jacobian of the state with its sensitivities is block triangular with J on the diagonal: one factorisation
    serves all blocks, and what lies below the diagonal acts on the state's own u (the `couple` function).
    """
    s = 8
    c, b, dense = s * s, s * s + s, s * s + 3 * s
    coupling = dense + 4 * s
    d = coupling + s * s
    gamma = tableau[d + s]
    n = lo.n
    explicit = lo.jacobian + lo.entries * WIDTH
    _call(
        fns[JACOBIAN],
        _at(base, lo.t),
        _at(base, lo.y),
        _at(base, lo.h),
        _at(base, lo.jacobian),
        base,
        base,
    )
    for lane in range(WIDTH):
        w[lo.shift + lane] = 1.0 / (gamma * w[lo.lane + STEP * WIDTH + lane])
    _call(fns[FACTOR], _at(base, lo.shift), _at(base, lo.jacobian), _at(base, lo.factors), base, base, base)
    for stage in range(s):
        u = lo.k + stage * lo.size * WIDTH
        _stage_times(lo, tableau[c + stage], w)
        where = lo.y
        if stage > 0:
            _set_coefficients(lo, tableau, stage * s, stage, 0, w)
            _combine(lo, stage, lo.y, lo.k, lo.stage, fns, base, w)
            where = lo.stage
        _rhs(lo, fns, base, lo.ts, where, lo.error)
        source = lo.error
        if not autonomous and tableau[d + stage] != 0.0:
            for lane in range(WIDTH):
                w[lo.coefficients + lane] = tableau[d + stage] * w[lo.lane + STEP * WIDTH + lane]
            _combine(lo, 1, lo.error, explicit, lo.ynew, fns, base, w)
            source = lo.ynew
        _set_coefficients(lo, tableau, coupling + stage * s, stage, -1, w)
        _combine(lo, stage, source, lo.k, lo.right, fns, base, w)
        _call(fns[SOLVE], _at(base, lo.factors), _at(base, lo.right), _at(base, u), base, base, base)
        if lo.wrt > 0:
            _call(
                fns[COUPLE],
                _at(base, lo.t),
                _at(base, lo.y),
                _at(base, lo.h),
                _at(base, u),
                _at(base, lo.coupled),
                base,
            )
            for i in range((lo.size - n) * WIDTH):
                w[lo.right + n * WIDTH + i] += w[lo.coupled + i]
            for j in range(1, 1 + lo.wrt):
                block = j * n * WIDTH
                _call(
                    fns[SOLVE],
                    _at(base, lo.factors),
                    _at(base, lo.right + block),
                    _at(base, u + block),
                    base,
                    base,
                    base,
                )
    _set_coefficients(lo, tableau, b, s, 0, w)
    _combine(lo, s, lo.y, lo.k, lo.ynew, fns, base, w)
    last = lo.k + (s - 1) * lo.size * WIDTH
    for i in range(lo.size * WIDTH):
        w[lo.error + i] = w[last + i]


@_compile
def _looks_stiff(lo, lane, w, q):
    """Tell whether stability, not accuracy, holds the step back (h |lambda| near its limit), by Hairer's test.

    Stages six and seven of Tsitouras' pair belong to the same time, so that the difference of their derivatives over
    the difference of their states estimates |lambda| of the fastest part (Hairer and Wanner, DOPRI5).
    """
    slope, change = 0.0, 0.0
    k6, k7 = lo.k + 5 * lo.size * WIDTH, lo.k + 6 * lo.size * WIDTH
    for i in range(lo.n):
        a = w[k7 + i * WIDTH + lane] - w[k6 + i * WIDTH + lane]
        b = w[lo.ynew + i * WIDTH + lane] - w[lo.stage + i * WIDTH + lane]
        slope += a * a
        change += b * b
    h = w[lo.lane + STEP * WIDTH + lane]
    stiff = lo.lane_state + STIFF_COUNT * WIDTH + lane
    mild = lo.lane_state + MILD_COUNT * WIDTH + lane
    if change > 0.0 and h * np.sqrt(slope / change) > 2.5:
        q[mild] = 0
        q[stiff] += 1
        return q[stiff] >= 15
    q[mild] += 1
    if q[mild] >= 6:
        q[stiff] = 0
    return False


@_compile
def _control(lo, lane, may_leave, limit, w, q):
    """Accept or reject the lane's step and choose its next step size. Returns (accepted, verdict)."""
    error = w[lo.norm + lane]
    h = w[lo.lane + STEP * WIDTH + lane]
    t = w[lo.t + lane]
    steps = lo.lane_state + STEPS * WIDTH + lane
    rejected = lo.lane_state + REJECTED * WIDTH + lane
    since = lo.lane_state + SINCE * WIDTH + lane
    q[steps] += 1
    q[since] += 1
    if q[steps] > limit:
        return False, TOO_MANY_STEPS
    if error <= 1.0:
        old = w[lo.lane + OLD_ERROR * WIDTH + lane]
        factor = 0.9 * max(error, 1e-10) ** -0.14 * old**0.04
        factor = min(10.0, max(0.2, factor))
        if q[rejected] == 1:
            factor = min(factor, 1.0)
        q[rejected] = 0
        w[lo.lane + OLD_ERROR * WIDTH + lane] = max(error, 1e-4)
        if may_leave and (q[since] > PATIENCE or _looks_stiff(lo, lane, w, q)):
            return False, STIFF
        # A step cut short by a stop must not shrink the next one.
        w[lo.lane + LAST_STEP * WIDTH + lane] = max(
            h * factor,
            w[lo.lane + LAST_STEP * WIDTH + lane] if _end(lo, lane, w) == w[lo.lane + STOP * WIDTH + lane] else 0.0,
        )
        return True, DONE
    q[rejected] = 1
    factor = 0.1
    if error < 1e300:
        factor = max(0.1, 0.9 * error**-0.2)
    h *= factor
    if not (h > 1e-13 * abs(t) and h > 1e-280):
        return False, STEP_TOO_SMALL
    w[lo.lane + LAST_STEP * WIDTH + lane] = h
    return False, DONE


@_compile
def _choose_step(lo, lane, w, q):
    """The step to try: what the control asks for, but never past the next stop nor leaving a sliver before it."""
    stop = _next_stop(lo, lane, w, q) if q[lo.lane_state + FRESH * WIDTH + lane] else w[lo.lane + STOP * WIDTH + lane]
    w[lo.lane + STOP * WIDTH + lane] = stop
    left = stop - w[lo.t + lane]
    h = w[lo.lane + LAST_STEP * WIDTH + lane]
    if q[lo.lane_state + FRESH * WIDTH + lane]:
        # What follows an event need not be smooth (a power of something that starts at 0), which no estimate of an
        # error can see in one large step: begin small.
        h = min(h, 1e-3 * left) if h > 0.0 else 1e-3 * left
        w[lo.lane + LAST_STEP * WIDTH + lane] = h
    if h >= left * 0.9999999:
        h = left
    elif 2.0 * h > left:
        h = 0.5 * left
    w[lo.lane + STEP * WIDTH + lane] = h


@_compile
def _fill(lo, subject, last, fns, base, w, q, s):
    """Give every empty lane its next subject. Returns the first subject not yet taken."""
    for lane in range(WIDTH):
        state = lo.lane_state + SUBJECT * WIDTH + lane
        while q[state] < 0 and subject < last:
            verdict = _load_subject(lo, lane, s.order[subject], fns, base, w, q, s)
            q[lo.lane_state + FRESH * WIDTH + lane] = 1
            if verdict != DONE:
                _fail(lo, lane, verdict, w, q, s)
            subject += 1
    return subject


@_compile
def _solve(lo, method, may_leave, limit, first, last, tableau, fns, base, w, q, s):
    """Solve subjects first ... last - 1 of the order given."""
    stages = lo.stages
    dense = stages * stages + 3 * stages
    subject = first
    for lane in range(WIDTH):
        q[lo.lane_state + SUBJECT * WIDTH + lane] = -1
    while True:
        subject = _fill(lo, subject, last, fns, base, w, q, s)
        _happen(lo, fns, base, w, q, s)
        busy, disturbed = False, False
        for lane in range(WIDTH):
            w[lo.lane + STEP * WIDTH + lane] = 1.0
            state = lo.lane_state + SUBJECT * WIDTH + lane
            if q[state] < 0:
                continue
            fresh = q[lo.lane_state + FRESH * WIDTH + lane] == 1
            disturbed = disturbed or fresh
            _choose_step(lo, lane, w, q)
            if fresh:
                q[lo.lane_state + SINCE * WIDTH + lane] = 0
            q[lo.lane_state + FRESH * WIDTH + lane] = 0
            if not w[lo.lane + STOP * WIDTH + lane] > w[lo.t + lane]:
                _fail(lo, lane, DONE, w, q, s)
                w[lo.lane + STEP * WIDTH + lane] = 1.0
                continue
            busy = True
        if not busy:
            if subject >= last:
                return
            continue
        if disturbed:
            _hoist(lo, fns, base)
            if method == EXPLICIT:
                _rhs(lo, fns, base, lo.t, lo.y, lo.k)
        if method == EXPLICIT:
            _explicit_step(lo, tableau, fns, base, w)
        else:
            _rosenbrock_step(lo, tableau, s.autonomous, fns, base, w)
        _call(
            fns[NORM],
            _at(base, lo.shape),
            _at(base, lo.tolerance),
            _at(base, lo.error),
            _at(base, lo.y),
            _at(base, lo.ynew),
            _at(base, lo.norm),
        )
        for lane in range(WIDTH):
            w[lo.mask + lane] = 0.0
            if q[lo.lane_state + SUBJECT * WIDTH + lane] < 0:
                continue
            accepted, verdict = _control(lo, lane, may_leave, limit, w, q)
            if verdict != DONE:
                _fail(lo, lane, verdict, w, q, s)
            elif accepted:
                w[lo.mask + lane] = 1.0
        w[lo.shape] = lo.size
        w[lo.shape + 1] = stages
        _interpolate(lo, tableau, dense, method == EXPLICIT, fns, base, w, q, s)
        for lane in range(WIDTH):
            if w[lo.mask + lane] == 1.0:
                w[lo.t + lane] = _end(lo, lane, w)
        _accept(lo, lo.ynew, lo.y, lo.tolerance + 2, fns, base)
        if method == EXPLICIT:
            _accept(lo, lo.k + 6 * lo.size * WIDTH, lo.k, lo.stage, fns, base)


@_compile
def _accept(lo, new, old, largest, fns, base):
    _call(
        fns[ACCEPT],
        _at(base, lo.shape),
        _at(base, lo.mask),
        _at(base, new),
        _at(base, old),
        _at(base, largest),
        base,
    )


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
    "input_state": _i8p,
    "first_row": _i8p,
    "record_output": _i8p,
    "verdict": _i8p,
    "steps": _i8p,
    "moving": nb.int64,
    "autonomous": nb.int64,
    "all_outputs": nb.int64,
}
BATCH_TYPES = [_BATCH_TYPES.get(name, _f8p) for name in Batch._fields]
LAYOUT_SIZE = len(Layout._fields)

# The entry takes addresses and whole numbers only, so that it can be called without numba.
ENTRY_TYPES = [nb.int64] * 5 + [_i8p, _f8p, _i8p, nb.int64, _f8p, _i8p, *BATCH_TYPES]


def entry_source() -> str:
    """The entry's source: its arguments are the fields of `Batch`, which a fixed signature has to spell out."""
    fields = ", ".join(Batch._fields)
    layout = ", ".join(f"layout[{i}]" for i in range(LAYOUT_SIZE))
    return (
        f"def entry(method, may_leave, limit, first, last, layout, tableau, fns, base, w, q, {fields}):\n"
        f"    solve(Layout({layout}), method, may_leave, limit, first, last, tableau, fns, base, w, q,"
        f" Batch({fields}))\n"
    )


def compile_entry() -> tuple[str, str]:
    """Compile the solver. Returns the symbol of its entry and its LLVM code."""
    space = {"solve": _solve, "Layout": Layout, "Batch": Batch}
    exec(entry_source(), space)  # our own text, made above; no user's text comes near it
    signature = nb.types.void(*ENTRY_TYPES)
    entry = nb.njit(signature, error_model="numpy", nogil=True, fastmath={"contract"})(space["entry"])
    result = entry.overloads[tuple(ENTRY_TYPES)]
    return result.fndesc.llvm_func_name, result.library.get_llvm_str()
