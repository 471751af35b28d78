"""Steady state: the fixed point of one interval of a train of doses, found for each lane on its own.

A record with SS stands for a train of doses without beginning. Its state at the time T of the record is what the
window from T - II to T leads back to: the window is solved again and again, each time from a better guess (Anderson
acceleration: the combination of earlier cycles whose change is smallest; for linear equations that is exact once it
remembers as many cycles as there are independent modes). Sensitivities are part of the state that has to return.

A lag shifts the train: in the window, the dose of input i arrives at T + lag - m II with the smallest whole m that puts
it not after T. Infusions longer than the interval overlap; those that run at T go on, and doses that were given but
have not arrived by T (a lag longer than the interval) arrive later.
"""

from __future__ import annotations

import numpy as np

from pkpd.engine import workspace as ws
from pkpd.engine.calls import compiled
from pkpd.engine.fixed_point import PLAIN, accelerate, look_back, settle, stays
from pkpd.engine.happenings import add_event, cancel, dose_table, give, start_state, stop_inflow

#: Shares of an interval below which two times are one.
ROUNDING = 1e-9


@compiled
def belongs(dose, row, s):
    """Whether a dose is the one that a steady state of `row` repeats."""
    return s.dose_record[dose] == row and s.dose_key[dose] == row


@compiled
def arrival(lo, lane, dose, span, w, q, s):
    """When a dose of the train arrives, in [-span, 0] from the record, and how many intervals before it was given."""
    lag = w[dose_table(lo, lane, dose, q, s) + (1 + 3 * lo.wrt) * ws.WIDTH]
    given = max(1, np.int64(np.ceil(lag / span - 1e-12)))
    return min(lag - given * span, 0.0), given


@compiled
def begin_steady(lo, lane, item, fns, base, w, q, s):
    """Start the search: put aside what is there, and begin from the state at the start."""
    kind, row = s.steady_kind[item], s.steady_row[item]
    if kind != ws.ON_TOP:
        cancel(lo, lane, row, w, q, s)
    for i in range(lo.size):
        w[lo.kept + i * ws.WIDTH + lane] = w[lo.y + i * ws.WIDTH + lane]
        w[lo.kept + (lo.size + i) * ws.WIDTH + lane] = w[lo.inflow + i * ws.WIDTH + lane]
    q[lo.steady_item + lane] = item
    w[lo.steady_end + lane] = w[lo.t + lane]
    hold_covariates(lo, lane, w)
    verdict = start_state(lo, lane, fns, base, w)
    if verdict != ws.DONE:
        return verdict
    # On top: what the train adds is its steady state less the one without doses, which is looked for first.
    return begin_search(lo, lane, ws.UNDOSED if kind == ws.ON_TOP else kind, w, q, s)


@compiled
def hold_covariates(lo, lane, w):
    """Covariates on a line stand still while a steady state is looked for, at what they are at the record."""
    since = w[lo.t + lane] - w[lo.c + 2 * lo.lines * ws.WIDTH + lane] if lo.lines > 0 else 0.0
    for j in range(lo.lines):
        slope = lo.c + (lo.lines + j) * ws.WIDTH + lane
        w[lo.c + j * ws.WIDTH + lane] += w[slope] * since
        w[lo.slopes + j * ws.WIDTH + lane] = w[slope]
        w[slope] = 0.0
    if lo.lines > 0:
        w[lo.c + 2 * lo.lines * ws.WIDTH + lane] = w[lo.t + lane]


@compiled
def begin_search(lo, lane, kind, w, q, s):
    """Search from the present state: lay out the events of the window, and go back to its beginning."""
    item, end = q[lo.steady_item + lane], w[lo.steady_end + lane]
    span = s.steady_interval[item]
    for i in range(lo.size):
        w[lo.guess + i * ws.WIDTH + lane] = w[lo.y + i * ws.WIDTH + lane]
        w[lo.begun + i * ws.WIDTH + lane] = w[lo.y + i * ws.WIDTH + lane]
        w[lo.moved + i * ws.WIDTH + lane] = 0.0
    q[lo.steady + lane] = kind
    q[lo.cycles + lane] = 0
    q[lo.window_count + lane] = 0
    w[lo.steady_span + lane] = span if kind in (ws.INSTEAD, ws.ON_TOP) else 1.0
    if kind in (ws.INSTEAD, ws.ON_TOP):
        subject = q[lo.subject + lane]
        for dose in range(s.dose_start[subject], s.dose_start[subject + 1]):
            if belongs(dose, s.steady_row[item], s):
                lay_out(lo, lane, dose, end, span, w, q, s)
    return begin_cycle(lo, lane, w, q, s, True)


@compiled
def overhang(offset, duration, span):
    """Infusions of a train that run when a window begins, and how long after that the first of them ends.

    A duration that is a whole number of intervals, but for rounding, ends exactly where another dose is given.
    """
    share = (offset + duration) / span
    running = max(0, np.int64(np.ceil(share - ROUNDING)))
    return running, (share - running + 1) * span


@compiled
def lay_out(lo, lane, dose, end, span, w, q, s):
    """The events of one dose in the window."""
    offset, _ = arrival(lo, lane, dose, span, w, q, s)
    duration = w[dose_table(lo, lane, dose, q, s) + (2 + 3 * lo.wrt) * ws.WIDTH]
    start = max(end + offset, end - span)
    if duration == 0.0:
        add_window_event(lo, lane, start, ws.BOLUS, dose, w, q)
        return
    add_window_event(lo, lane, start, ws.INFUSION, dose, w, q)
    _, left = overhang(offset, duration, span)
    # An end at the very beginning of the window is the same as one at its very end, where it is counted.
    add_window_event(lo, lane, min(end, end - span + left), ws.INFUSION_END, dose, w, q)


@compiled
def add_window_event(lo, lane, time, kind, dose, w, q):
    """Insert an event into the window, by time; ends of infusions first."""
    i = q[lo.window_count + lane]
    while i > 0:
        before = lo.window_time + (i - 1) * ws.WIDTH + lane
        if w[before] < time or (w[before] == time and kind != ws.INFUSION_END):
            break
        w[lo.window_time + i * ws.WIDTH + lane] = w[before]
        q[lo.window_kind + i * ws.WIDTH + lane] = q[lo.window_kind + (i - 1) * ws.WIDTH + lane]
        q[lo.window_dose + i * ws.WIDTH + lane] = q[lo.window_dose + (i - 1) * ws.WIDTH + lane]
        i -= 1
    w[lo.window_time + i * ws.WIDTH + lane] = time
    q[lo.window_kind + i * ws.WIDTH + lane] = kind
    q[lo.window_dose + i * ws.WIDTH + lane] = dose
    q[lo.window_count + lane] += 1


@compiled
def begin_cycle(lo, lane, w, q, s, first):
    """Go to the beginning of the window with the present guess; infusions that began before it are running."""
    item = q[lo.steady_item + lane]
    row, span = s.steady_row[item], w[lo.steady_span + lane]
    w[lo.t + lane] = w[lo.steady_end + lane] - span
    q[lo.window_pointer + lane] = 0
    q[lo.fresh + lane] = 1
    for i in range(lo.size):
        value = w[lo.guess + i * ws.WIDTH + lane]
        w[lo.y + i * ws.WIDTH + lane] = value
        if q[lo.steady + lane] in (ws.INSTEAD, ws.ON_TOP):
            # What earlier guesses reached, which may be far off, must not loosen the control of this cycle.
            w[lo.tolerance + 2 + i * ws.WIDTH + lane] = max(abs(value), w[lo.floor + lane])
    stop_inflow(lo, lane, w)
    subject = q[lo.subject + lane]
    for dose in range(s.dose_start[subject], s.dose_start[subject + 1]):
        if not belongs(dose, row, s) or q[lo.steady + lane] == ws.UNDOSED:
            continue
        o = dose_table(lo, lane, dose, q, s)
        running = 1
        if q[lo.steady + lane] != ws.WITHOUT_END:
            offset, _ = arrival(lo, lane, dose, span, w, q, s)
            duration = w[o + (2 + 3 * lo.wrt) * ws.WIDTH]
            if duration == 0.0:
                continue
            # Given at offset - j span (j = 1, 2, ...) and not ended when the window begins.
            running, _ = overhang(offset, duration, span)
            if running > ws.OVERLAP:
                return ws.TOO_MANY_INFUSIONS
        if first:
            q[lo.running + lane] += running
        target = s.input_state[s.dose_input[dose]]
        w[lo.inflow + target * ws.WIDTH + lane] += running * w[o]
        for j in range(lo.wrt):
            w[lo.inflow + (lo.n * (1 + j) + target) * ws.WIDTH + lane] += running * w[o + (1 + j) * ws.WIDTH]
    return ws.DONE


@compiled
def steady_moment(lo, lane, fns, base, w, q, s):
    """What happens now to a lane that looks for its steady state; at the end of a window, judge and go on."""
    while True:
        i = q[lo.window_pointer + lane]
        if i < q[lo.window_count + lane] and w[lo.window_time + i * ws.WIDTH + lane] <= w[lo.t + lane]:
            kind = q[lo.window_kind + i * ws.WIDTH + lane]
            give(lo, lane, kind, q[lo.window_dose + i * ws.WIDTH + lane], s.moving, fns, base, w, q, s)
            q[lo.window_pointer + lane] = i + 1
            q[lo.fresh + lane] = 1
            continue
        if w[lo.t + lane] < w[lo.steady_end + lane]:
            return ws.DONE
        cycles = q[lo.cycles + lane]
        if cycles >= ws.MOST_CYCLES:
            return ws.NO_STEADY_STATE
        change = settle(lo, lane, cycles, w)
        q[lo.cycles + lane] = cycles + 1
        kind = q[lo.steady + lane]
        if kind in (ws.WITHOUT_END, ws.UNDOSED):
            # Twice as long each time, so that the slowest part settles too.
            settled = change <= 1.0 and cycles > 3
            w[lo.steady_span + lane] *= 2.0
            if w[lo.steady_span + lane] > 1e15:
                return ws.NO_STEADY_STATE
            for j in range(lo.size):
                w[lo.guess + j * ws.WIDTH + lane] = w[lo.y + j * ws.WIDTH + lane]
        else:
            if cycles < PLAIN:
                for j in range(lo.size):
                    w[lo.guess + j * ws.WIDTH + lane] = w[lo.y + j * ws.WIDTH + lane]
            else:
                accelerate(lo, lane, cycles, w)
            settled = change <= 1.0 and cycles > 0 and stays(lo, lane, cycles, w)
            if settled:
                verdict, settled = look_back(lo, lane, cycles, w)
                if verdict != ws.DONE:
                    return verdict
        if settled and kind != ws.UNDOSED:
            return end_steady(lo, lane, w, q, s)
        if settled:
            for j in range(lo.size):
                w[lo.kept + j * ws.WIDTH + lane] -= w[lo.y + j * ws.WIDTH + lane]
            verdict = begin_search(lo, lane, ws.ON_TOP, w, q, s)
        else:
            verdict = begin_cycle(lo, lane, w, q, s, False)
        if verdict != ws.DONE:
            return verdict


@compiled
def end_steady(lo, lane, w, q, s):
    """The state returns: take it, and let the train's infusions that run, and its doses on their way, go on."""
    kind, item = q[lo.steady + lane], q[lo.steady_item + lane]
    row, span, end = s.steady_row[item], s.steady_interval[item], w[lo.steady_end + lane]
    on_top = kind == ws.ON_TOP
    without_end = kind == ws.WITHOUT_END
    for i in range(lo.size):
        at = i * ws.WIDTH + lane
        if on_top:
            w[lo.y + at] += w[lo.kept + at]
            w[lo.inflow + at] += w[lo.kept + lo.size * ws.WIDTH + at]
    for j in range(lo.lines):
        w[lo.c + (lo.lines + j) * ws.WIDTH + lane] = w[lo.slopes + j * ws.WIDTH + lane]
    q[lo.steady + lane] = 0
    q[lo.fresh + lane] = 1
    w[lo.t + lane] = end
    if without_end:
        q[lo.running + lane] = 0
        stop_inflow(lo, lane, w)
        return ws.DONE
    subject = q[lo.subject + lane]
    for dose in range(s.dose_start[subject], s.dose_start[subject + 1]):
        if not belongs(dose, row, s):
            continue
        offset, given = arrival(lo, lane, dose, span, w, q, s)
        duration = w[dose_table(lo, lane, dose, q, s) + (2 + 3 * lo.wrt) * ws.WIDTH]
        if given + duration / span > ws.OVERLAP:
            return ws.TOO_MANY_INFUSIONS
        running, left = overhang(offset, duration, span)
        for k in range(running):
            push(lo, lane, end + left + k * span, -2.0, ws.INFUSION_END, dose, w, q)
        for late in range(1, given):
            start = end + offset + late * span
            if duration > 0.0:
                push(lo, lane, start, -1.0, ws.INFUSION, dose, w, q)
                push(lo, lane, start + duration, -2.0, ws.INFUSION_END, dose, w, q)
            else:
                push(lo, lane, start, -1.0, ws.BOLUS, dose, w, q)
    return ws.DONE


@compiled
def push(lo, lane, time, key, kind, dose, w, q):
    """Add an event to those still to come."""
    add_event(lo, lane, q[lo.pointer + lane], q[lo.count + lane], time, key, kind, dose, w, q)
    q[lo.count + lane] += 1
