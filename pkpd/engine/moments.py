"""The present moment of every lane: all that happens now, in order, until time has to move on."""

from __future__ import annotations

from pkpd.engine import workspace as ws
from pkpd.engine.calls import compiled, hoist, observe
from pkpd.engine.happenings import (
    cancel,
    give,
    load_subject,
    set_covariates,
    set_modes,
    start_state,
    switch,
    weigh_sensitivities,
)
from pkpd.engine.steady import begin_steady, steady_moment


@compiled
def apply(lo, lane, kind, index, fns, base, w, q, s):
    """Let one event act on its lane."""
    if kind == ws.COVARIATES:
        set_covariates(lo, lane, s.item_index[index], w, s)
        set_modes(lo, lane, s.item_index[index], w, s)
        return ws.DONE
    if kind == ws.RESET:
        cancel(lo, lane, s.item_index[index], w, q, s)
        return start_state(lo, lane, fns, base, w)
    if kind == ws.STEADY:
        return begin_steady(lo, lane, s.item_index[index], fns, base, w, q, s)
    if kind == ws.SWITCH:
        switch(lo, lane, index, fns, base, w)
        return ws.DONE
    give(lo, lane, kind, index, s.moving, fns, base, w, q, s)
    return ws.DONE


@compiled
def next_stop(lo, lane, w, q):
    """The time of the next event that is more than an observation, or of the last observation if that is earlier."""
    if q[lo.steady + lane] != 0:
        i = q[lo.window_pointer + lane]
        return w[lo.window_time + i * ws.WIDTH + lane] if i < q[lo.window_count + lane] else w[lo.steady_end + lane]
    if q[lo.left + lane] == 0:
        return w[lo.t + lane]
    seen = 0
    for i in range(q[lo.pointer + lane], q[lo.count + lane]):
        kind = q[lo.event_kind + i * ws.WIDTH + lane]
        time = w[lo.event_time + i * ws.WIDTH + lane]
        if kind == ws.OBSERVATION:
            seen += 1
            if seen == q[lo.left + lane]:
                return time
        elif kind != ws.CANCELLED:
            return time
    return w[lo.t + lane]


@compiled
def end(lo, lane, w):
    """Where the lane's present step ends: exactly at the stop if it reaches it."""
    end = w[lo.t + lane] + w[lo.step + lane]
    stop = w[lo.stop + lane]
    return stop if end >= stop or stop - end <= 1e-14 * abs(stop) else end


@compiled
def next_observation(lo, lane, w, q):
    """The time of the lane's next observation inside its accepted step (then ``found`` is 1), else the present."""
    q[lo.found + lane] = 0
    now = w[lo.t + lane]
    if w[lo.mask + lane] == 0.0 or q[lo.steady + lane] != 0:
        return now
    i = q[lo.pointer + lane]
    while i < q[lo.count + lane] and q[lo.event_kind + i * ws.WIDTH + lane] == ws.CANCELLED:
        i += 1
    q[lo.pointer + lane] = i
    if i >= q[lo.count + lane]:
        return now
    time = w[lo.event_time + i * ws.WIDTH + lane]
    if q[lo.event_kind + i * ws.WIDTH + lane] != ws.OBSERVATION or time >= end(lo, lane, w):
        return now
    q[lo.found + lane] = 1
    return time


@compiled
def store(lo, lane, index, w, q, s):
    """Copy the lane's observables to the results: all of them, or the record's own where one each is kept."""
    q[lo.left + lane] -= 1
    record = s.item_index[index]
    chosen = s.record_output[record]
    for k in range(lo.stored):
        which = k if s.all_outputs else chosen
        s.f[record * lo.stored + k] = w[lo.observed + which * ws.WIDTH + lane]
        for j in range(lo.wrt):
            at = lo.observed + (lo.observables * (1 + j) + which) * ws.WIDTH + lane
            s.df[(record * lo.stored + k) * lo.wrt + j] = w[at]


@compiled
def happen(lo, fns, base, w, q, s):
    """Handle, in every lane, all events of its present time. Returns whether any lane was disturbed."""
    disturbed = False
    stale = True
    while True:
        waiting = False
        for lane in range(ws.WIDTH):
            if q[lo.subject + lane] < 0:
                continue
            q[lo.found + lane] = 0
            while True:
                if q[lo.steady + lane] != 0:
                    verdict = steady_moment(lo, lane, fns, base, w, q, s)
                    disturbed = stale = True
                    if verdict != ws.DONE:
                        fail(lo, lane, verdict, w, q, s)
                        break
                    if q[lo.steady + lane] != 0:
                        break
                i = q[lo.pointer + lane]
                if i >= q[lo.count + lane]:
                    break
                if w[lo.event_time + i * ws.WIDTH + lane] > w[lo.t + lane]:
                    break
                kind = q[lo.event_kind + i * ws.WIDTH + lane]
                if kind == ws.OBSERVATION:
                    q[lo.found + lane] = 1
                    waiting = True
                    break
                q[lo.pointer + lane] = i + 1
                if kind == ws.CANCELLED:
                    continue
                index = q[lo.event_index + i * ws.WIDTH + lane]
                verdict = apply(lo, lane, kind, index, fns, base, w, q, s)
                q[lo.fresh + lane] = 1
                disturbed = True
                stale = True
                if verdict != ws.DONE:
                    fail(lo, lane, verdict, w, q, s)
                    break
        if not waiting:
            for lane in range(ws.WIDTH):
                if q[lo.subject + lane] >= 0 and q[lo.fresh + lane] == 1:
                    weigh_sensitivities(lo, lane, w, q, s)
            return disturbed
        if stale:
            hoist(lo, fns, base)
            stale = False
        observe(lo, fns, base, lo.t, lo.y)
        for lane in range(ws.WIDTH):
            if q[lo.subject + lane] >= 0 and q[lo.found + lane] == 1:
                i = q[lo.pointer + lane]
                store(lo, lane, q[lo.event_index + i * ws.WIDTH + lane], w, q, s)
                q[lo.pointer + lane] = i + 1


@compiled
def fail(lo, lane, verdict, w, q, s):
    """Record why a subject ended and empty its lane."""
    subject = q[lo.subject + lane]
    s.verdict[subject] = verdict
    s.end_time[subject] = w[lo.t + lane]
    s.steps[subject] = q[lo.tried + lane]
    q[lo.subject + lane] = -1


@compiled
def fill(lo, subject, last, fns, base, w, q, s):
    """Give every empty lane its next subject. Returns the first subject not yet taken."""
    for lane in range(ws.WIDTH):
        state = lo.subject + lane
        while q[state] < 0 and subject < last:
            verdict = load_subject(lo, lane, s.order[subject], fns, base, w, q, s)
            q[lo.fresh + lane] = 1
            if verdict != ws.DONE:
                fail(lo, lane, verdict, w, q, s)
            subject += 1
    return subject
