"""What happens to a subject: how it enters its lane, its doses as events, and how each event acts."""

from __future__ import annotations

import numpy as np

from pkpd.engine import workspace as ws
from pkpd.engine.calls import at, call, compiled, flow, hoist


@compiled
def load_subject(lo, lane, subject, fns, base, w, q, s):
    """Put a subject into a lane: parameters, covariates, its doses as events, its starting state."""
    for j in range(lo.parameters):
        w[lo.p + j * ws.WIDTH + lane] = s.values[subject * lo.parameters + j]
    set_covariates(lo, lane, s.first_row[subject], w, s)
    set_modes(lo, lane, s.first_row[subject], w, s)
    q[lo.subject + lane] = subject
    for field in range(len(ws.LANE_INTEGERS)):
        q[lo.pointer + field * ws.WIDTH + lane] = 0
    for field in range(len(ws.LANE_DOUBLES)):
        w[lo.step + field * ws.WIDTH + lane] = 0.0
    w[lo.old_error + lane] = 1e-4**0.04
    for i in range(lo.size):
        w[lo.inflow + i * ws.WIDTH + lane] = 0.0
        w[lo.tolerance + 2 + i * ws.WIDTH + lane] = 0.0
    w[lo.t + lane] = s.start_time[subject]
    verdict = make_events(lo, lane, subject, fns, base, w, q, s)
    if verdict != ws.DONE:
        return verdict
    verdict = start_state(lo, lane, fns, base, w)
    find_floor(lo, lane, subject, w, s)
    return verdict


@compiled
def find_floor(lo, lane, subject, w, s):
    """What counts as large in every component, beside its own largest value: a thousandth of what is given, or of 1."""
    most = 0.0
    for i in range(lo.n):
        most = max(most, abs(w[lo.y + i * ws.WIDTH + lane]))
    for d in range(s.dose_start[subject + 1] - s.dose_start[subject]):
        o = lo.dose + d * lo.stride * ws.WIDTH + lane
        span = w[o + (2 + 3 * lo.wrt) * ws.WIDTH]
        most = max(most, abs(w[o]) * (span if span > 0.0 else 1.0))
    w[lo.floor + lane] = 1e-3 * (min(most, 1.0) if most > 0.0 else 1.0)
    for i in range(lo.size):
        largest = lo.tolerance + 2 + i * ws.WIDTH + lane
        w[largest] = max(w[largest], w[lo.floor + lane])


@compiled
def weigh_sensitivities(lo, lane, w, q, s):
    """No sensitivity is controlled more tightly than its state when the parameter changes by all of itself, or by 1.

    Where a parameter does not matter (at rest, say), its terms cancel: what is left of them is rounding, in proportion
    to the state and not to the sensitivity. Steps that try to follow it become ever shorter.
    """
    first = q[lo.subject + lane] * lo.wrt
    for i in range(lo.n):
        most = max(w[lo.tolerance + 2 + i * ws.WIDTH + lane], abs(w[lo.y + i * ws.WIDTH + lane]))
        for j in range(lo.wrt):
            largest = lo.tolerance + 2 + (lo.n * (1 + j) + i) * ws.WIDTH + lane
            w[largest] = max(w[largest], most * s.worth[first + j])


@compiled
def set_covariates(lo, lane, row, w, s):
    """Let the covariates of a row hold in the lane."""
    for j in range(lo.covariates):
        w[lo.c + j * ws.WIDTH + lane] = s.covariates[row * lo.covariates + j]


@compiled
def set_modes(lo, lane, row, w, s):
    """Let the modes of the linear part be those that belong to the covariates of a row."""
    if lo.mode_length > 0:
        first = s.mode_row[row] * lo.mode_length
        w[lo.modal + lane] = s.modes[first]
        for j in range(1, lo.mode_length):
            w[lo.modes + (j - 1) * ws.WIDTH + lane] = s.modes[first + j]


@compiled
def start_state(lo, lane, fns, base, w):
    """The initial state of the lane, with its sensitivities; also after a reset."""
    call(fns[ws.INITIAL], at(base, lo.p), at(base, lo.c), at(base, lo.t), at(base, lo.stage), base, base)
    for i in range(lo.size):
        value = w[lo.stage + i * ws.WIDTH + lane]
        if not np.isfinite(value):
            return ws.BAD_VALUES
        w[lo.y + i * ws.WIDTH + lane] = value
        largest = lo.tolerance + 2 + i * ws.WIDTH + lane
        w[largest] = max(w[largest], abs(value))
    return ws.DONE


@compiled
def make_events(lo, lane, subject, fns, base, w, q, s):
    """All that happens to a subject, in order: its fixed items merged with the doses, which parameters may move."""
    count, verdict = make_switches(lo, lane, fns, base, w, q, s)
    if verdict != ws.DONE:
        return verdict
    item, last_item = s.item_start[subject], s.item_start[subject + 1]
    dose, last_dose = s.dose_start[subject], s.dose_start[subject + 1]
    evaluated, given, when, recorded = -1, -1.0, 0.0, -1
    while item < last_item or dose < last_dose:
        if dose == last_dose or (item < last_item and s.item_time[item] < s.dose_time[dose]):
            add_event(lo, lane, 0, count, s.item_time[item], s.item_key[item], s.item_kind[item], item, w, q)
            if s.item_kind[item] == ws.OBSERVATION:
                q[lo.left + lane] += 1
            item += 1
            count += 1
            continue
        if s.dose_row[dose] != evaluated or s.dose_amount[dose] != given or s.dose_time[dose] != when:
            evaluated, given, when = s.dose_row[dose], s.dose_amount[dose], s.dose_time[dose]
            read_ways(lo, lane, evaluated, given, when, lo.ways, fns, base, w, s)
        lags = lo.ways
        if s.dose_record[dose] != evaluated or (lo.lines > 0 and s.dose_record_time[dose] != when):
            # An additional dose is as late as its record says, as in NONMEM; the rest is that of its own time.
            lags = lo.lags
            if s.dose_record[dose] != recorded:
                recorded = s.dose_record[dose]
                read_ways(lo, lane, recorded, given, s.dose_record_time[dose], lags, fns, base, w, s)
        d = dose - s.dose_start[subject]
        start, duration, verdict = read_dose(lo, lane, dose, d, lags, w, s)
        if verdict != ws.DONE:
            return verdict
        duration = fit_to_clock(lo, lane, d, start, duration, w)
        if s.dose_mode[dose] == ws.ENDLESS:
            dose += 1
            continue
        # A dose moved by a lag, and an additional dose, come before the records of their time.
        key = s.dose_key[dose] if start == s.dose_time[dose] else -1.0
        if duration > 0.0:
            add_event(lo, lane, 0, count, start, key, ws.INFUSION, dose, w, q)
            add_event(lo, lane, 0, count + 1, start + duration, -2.0, ws.INFUSION_END, dose, w, q)
            count += 2
        else:
            add_event(lo, lane, 0, count, start, key, ws.BOLUS, dose, w, q)
            count += 1
        dose += 1
    set_covariates(lo, lane, s.first_row[subject], w, s)
    q[lo.count + lane] = count
    return ws.DONE


@compiled
def read_ways(lo, lane, row, amount, time, into, fns, base, w, s):
    """What the model says of all ways in for a dose of `amount`, by the covariates of `row` at `time`."""
    w[lo.amount + lane] = amount
    w[lo.amount + ws.WIDTH + lane] = time
    set_covariates(lo, lane, row, w, s)
    call(fns[ws.INPUTS], at(base, lo.p), at(base, lo.c), at(base, lo.amount), at(base, into), base, base)


@compiled
def make_switches(lo, lane, fns, base, w, q, s):
    """The model event times of the lane. Returns the number of events made, and a verdict."""
    count = 0
    if lo.switches == 0:
        return count, ws.DONE
    call(fns[ws.SWITCHES], at(base, lo.p), at(base, lo.c), at(base, lo.switch_time), base, base, base)
    now = w[lo.t + lane]
    for i in range(lo.switches):
        time = w[lo.switch_time + i * ws.WIDTH + lane]
        if np.isnan(time):
            return count, ws.BAD_INPUT
        passed = time < now or (time == now and s.inclusive[i] == 1)
        w[lo.flags + i * ws.WIDTH + lane] = 1.0 if passed else 0.0
        if not passed and np.isfinite(time):
            # Before everything else of its time where the comparison includes it, else after.
            add_event(lo, lane, 0, count, time, -3.0 if s.inclusive[i] == 1 else 1e300, ws.SWITCH, i, w, q)
            count += 1
    return count, ws.DONE


@compiled
def switch(lo, lane, i, fns, base, w):
    """A comparison of time changes its answer; what parameters do to the moment acts through the derivative."""
    if lo.wrt == 0:
        w[lo.flags + i * ws.WIDTH + lane] = 1.0
        return
    hoist(lo, fns, base)
    flow(lo, fns, base, lo.k)
    w[lo.flags + i * ws.WIDTH + lane] = 1.0
    hoist(lo, fns, base)
    flow(lo, fns, base, lo.stage)
    for j in range(lo.wrt):
        moved = w[lo.switch_time + (lo.switches * (1 + j) + i) * ws.WIDTH + lane]
        if moved != 0.0:
            jump(lo, lane, j, moved, w)


@compiled
def jump(lo, lane, j, moved, w):
    """What moves the time of a change: the derivative before it (in k) less the one after it (in stage) acts."""
    for i in range(lo.n):
        change = w[lo.k + i * ws.WIDTH + lane] - w[lo.stage + i * ws.WIDTH + lane]
        w[lo.y + (lo.n * (1 + j) + i) * ws.WIDTH + lane] += change * moved


@compiled
def add_event(lo, lane, first, at, time, key, kind, index, w, q):
    """Insert into the lane's list, which is kept sorted by (time, key) from `first` on; it nearly is already."""
    i = at
    while i > first:
        before = lo.event_time + (i - 1) * ws.WIDTH + lane
        if w[before] < time or (w[before] == time and w[lo.event_key + (i - 1) * ws.WIDTH + lane] <= key):
            break
        w[lo.event_time + i * ws.WIDTH + lane] = w[before]
        w[lo.event_key + i * ws.WIDTH + lane] = w[lo.event_key + (i - 1) * ws.WIDTH + lane]
        q[lo.event_kind + i * ws.WIDTH + lane] = q[lo.event_kind + (i - 1) * ws.WIDTH + lane]
        q[lo.event_index + i * ws.WIDTH + lane] = q[lo.event_index + (i - 1) * ws.WIDTH + lane]
        i -= 1
    w[lo.event_time + i * ws.WIDTH + lane] = time
    w[lo.event_key + i * ws.WIDTH + lane] = key
    q[lo.event_kind + i * ws.WIDTH + lane] = kind
    q[lo.event_index + i * ws.WIDTH + lane] = index


@compiled
def read_dose(lo, lane, dose, d, lags, w, s):
    """Start and duration of a dose; its amount or rate goes to ws.Layout.dose, with what the parameters do to them.

    There: the amount (bolus) or rate (infusion), its derivatives, those of the start, those of the end; the lag, the
    duration. Its lag is read from `lags`, which lies as ws.Layout.ways does.
    """
    way = s.dose_input[dose]
    mode = s.dose_mode[dose]
    amount = s.dose_amount[dose]
    place = way * ws.FIELDS * (1 + lo.wrt) * ws.WIDTH + lane
    block, late = lo.ways + place, lags + place + 2 * ws.WIDTH
    scale, share, lag = w[block], w[block + ws.WIDTH], w[late]
    rate, span = w[block + 3 * ws.WIDTH], w[block + 4 * ws.WIDTH]
    if mode in (ws.AT_RATE, ws.ENDLESS):
        rate = s.dose_rate[dose]
    elif mode == ws.OVER_DURATION:
        span = s.dose_duration[dose]
    o = lo.dose + d * lo.stride * ws.WIDTH + lane
    if not (np.isfinite(scale) and share >= 0.0 and np.isfinite(share) and lag >= 0.0 and np.isfinite(lag)):
        return 0.0, 0.0, ws.BAD_INPUT
    by_rate = mode in (ws.AT_RATE, ws.AT_MODELLED_RATE, ws.ENDLESS)
    infusion = by_rate or mode in (ws.OVER_DURATION, ws.OVER_MODELLED_DURATION)
    if by_rate:
        if not (rate > 0.0 and np.isfinite(rate)):
            return 0.0, 0.0, ws.BAD_INPUT
        span = share * amount / rate
        value = scale * rate
    elif infusion:
        if not (span >= 0.0 and np.isfinite(span)):
            return 0.0, 0.0, ws.BAD_INPUT
        infusion = span > 0.0
        value = scale * share * amount / span if infusion else scale * share * amount
    else:
        value = scale * share * amount
    w[o] = value
    w[o + (1 + 3 * lo.wrt) * ws.WIDTH] = lag
    w[o + (2 + 3 * lo.wrt) * ws.WIDTH] = span if infusion else 0.0
    for j in range(lo.wrt):
        slope = block + (1 + j) * ws.FIELDS * ws.WIDTH
        dscale, dshare, dlag = w[slope], w[slope + ws.WIDTH], w[late + (1 + j) * ws.FIELDS * ws.WIDTH]
        drate, dspan = w[slope + 3 * ws.WIDTH], w[slope + 4 * ws.WIDTH]
        if by_rate:
            if mode != ws.AT_MODELLED_RATE:
                drate = 0.0
            dspan = amount * (dshare * rate - share * drate) / (rate * rate)
            dvalue = dscale * rate + scale * drate
        elif infusion:
            if mode == ws.OVER_DURATION:
                dspan = 0.0
            dvalue = amount * (dscale * share + scale * dshare) / span - value * dspan / span
        else:
            dspan = 0.0
            dvalue = amount * (dscale * share + scale * dshare)
        w[o + (1 + j) * ws.WIDTH] = dvalue
        w[o + (1 + lo.wrt + j) * ws.WIDTH] = dlag
        w[o + (1 + 2 * lo.wrt + j) * ws.WIDTH] = dlag + dspan
    return s.dose_time[dose] + lag, span if infusion else 0.0, ws.DONE


@compiled
def fit_to_clock(lo, lane, d, start, duration, w):
    """Let an infusion deliver all of its amount between two times that the clock can tell apart; if none are, at once.

    At a time t the clock goes in steps of some 1e-16 t. Returns the duration.
    """
    if duration == 0.0:
        return duration
    o = lo.dose + d * lo.stride * ws.WIDTH + lane
    value, span = w[o], (start + duration) - start
    if span > 0.0:
        for j in range(1 + lo.wrt):
            w[o + j * ws.WIDTH] *= duration / span
        return duration
    for j in range(lo.wrt):
        longer = w[o + (1 + 2 * lo.wrt + j) * ws.WIDTH] - w[o + (1 + lo.wrt + j) * ws.WIDTH]
        w[o + (1 + j) * ws.WIDTH] = w[o + (1 + j) * ws.WIDTH] * duration + value * longer
    w[o] = value * duration
    w[o + (2 + 3 * lo.wrt) * ws.WIDTH] = 0.0
    return 0.0


@compiled
def dose_table(lo, lane, dose, q, s):
    """Where the table of a dose begins (see `read_dose`)."""
    first = s.dose_start[q[lo.subject + lane]]
    return lo.dose + (dose - first) * lo.stride * ws.WIDTH + lane


@compiled
def give(lo, lane, kind, dose, moving, fns, base, w, q, s):
    """Let a bolus arrive, or an infusion start or end.

    What a parameter does to the *time* of a jump acts through the derivative: a state that jumps from y- to y+ at
    time tau has dy+/dp = dy-/dp + dDelta/dp + (f(y-) - f(y+)) dtau/dp.
    """
    n, wrt = lo.n, lo.wrt
    o = dose_table(lo, lane, dose, q, s)
    row = s.input_state[s.dose_input[dose]]
    value = w[o]
    if kind == ws.BOLUS:
        if moving:
            hoist(lo, fns, base)
            flow(lo, fns, base, lo.k)
        w[lo.y + row * ws.WIDTH + lane] += value
        largest = lo.tolerance + 2 + row * ws.WIDTH + lane
        w[largest] = max(w[largest], abs(w[lo.y + row * ws.WIDTH + lane]))
        for j in range(wrt):
            w[lo.y + (n * (1 + j) + row) * ws.WIDTH + lane] += w[o + (1 + j) * ws.WIDTH]
        if moving:
            flow(lo, fns, base, lo.stage)
            for j in range(wrt):
                moved = w[o + (1 + wrt + j) * ws.WIDTH]
                if moved != 0.0:
                    jump(lo, lane, j, moved, w)
        return
    sign, shift = (1.0, 1 + wrt) if kind == ws.INFUSION else (-1.0, 1 + 2 * wrt)
    w[lo.inflow + row * ws.WIDTH + lane] += sign * value
    for j in range(wrt):
        at = (n * (1 + j) + row) * ws.WIDTH + lane
        w[lo.inflow + at] += sign * w[o + (1 + j) * ws.WIDTH]
        w[lo.y + at] -= sign * value * w[o + (shift + j) * ws.WIDTH]
    q[lo.running + lane] += 1 if kind == ws.INFUSION else -1
    if q[lo.running + lane] == 0:
        stop_inflow(lo, lane, w)


@compiled
def stop_inflow(lo, lane, w):
    """No infusion runs: the inflow is exactly zero, whatever rounding the sums have left."""
    for i in range(lo.size):
        w[lo.inflow + i * ws.WIDTH + lane] = 0.0


@compiled
def cancel(lo, lane, row, w, q, s):
    """A reset recorded in `row` ends all infusions and cancels whatever is still to come of earlier doses."""
    for i in range(q[lo.pointer + lane], q[lo.count + lane]):
        at = lo.event_kind + i * ws.WIDTH + lane
        kind = q[at]
        if kind in (ws.BOLUS, ws.INFUSION, ws.INFUSION_END):
            if s.dose_record[q[lo.event_index + i * ws.WIDTH + lane]] < row:
                q[at] = ws.CANCELLED
    q[lo.running + lane] = 0
    stop_inflow(lo, lane, w)
