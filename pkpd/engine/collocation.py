"""What is driven by an exact part and is itself linear: one long step of a high order.

An effect often obeys linear equations with constant coefficients in which the kinetics appear in a non-linear way: a
turnover whose production is inhibited, delays behind an effect site. Where the kinetics are exact at any time
(`pkpd.engine.exact`) such equations are driven by known, smooth functions of time. A polynomial of degree seven is laid
through each step that obeys them at seven points (the collocation method Radau IIA, of order 13 at the end of the step,
stable however stiff: Hairer E, Wanner G. Solving Ordinary Differential Equations II, section IV.8). A few steps lead
from one dose to the next, and observations are read from the polynomial.

With Z the states at the points less the one at the start, A^-1 Z = h (F + J Z), where F are the derivatives at the
points with the states at the start. In variables W, Z = T W, A^-1 falls into one real system and three pairs of them
(`pkpd.engine.tableaus.radau`), each with the pattern of J.
"""

from __future__ import annotations

from pkpd.engine import workspace as ws
from pkpd.engine.calls import at, call, compiled, rhs, weigh
from pkpd.engine.exact import advance, find_amplitudes
from pkpd.engine.moments import end


@compiled
def collocation_step(lo, fns, base, w, q, s):
    """Leave W in k, the state after the step in ynew, and the error of its polynomial."""
    way = find_amplitudes(lo, fns, base, w, q)
    factorise(lo, fns, base, w)
    for i in range(lo.stages):
        derivative_at(lo, i, way, fns, base, w, q, s)
    solve_stages(lo, fns, base, w)
    last = (lo.stages - 1) * lo.stages
    weigh(lo, lo.stages, last, lo.one, lo.y, lo.k, lo.ynew, fns, base, w)
    find_error(lo, fns, base, w)


@compiled
def factorise(lo, fns, base, w):
    """The factors of all systems."""
    jacobian, values = at(base, lo.jacobian), lo.stages * lo.stages + 2 * lo.stages
    call(fns[ws.JACOBIAN], at(base, lo.t), at(base, lo.y), at(base, lo.h), at(base, lo.inflow), jacobian, base)
    for i in range(lo.stages // 2):
        for lane in range(ws.WIDTH):
            w[lo.turns + lane] = w[lo.tableau + values + 1 + 2 * i] / w[lo.step + lane]
            w[lo.turns + ws.WIDTH + lane] = w[lo.tableau + values + 2 + 2 * i] / w[lo.step + lane]
        factors = at(base, lo.pairs + i * lo.pair)
        call(fns[ws.PAIR_FACTOR], at(base, lo.turns), jacobian, factors, base, base, base)
    for lane in range(ws.WIDTH):
        w[lo.shift + lane] = w[lo.tableau + values] / w[lo.step + lane]
    call(fns[ws.FACTOR], at(base, lo.shift), jacobian, at(base, lo.factors), base, base, base)


@compiled
def derivative_at(lo, i, way, fns, base, w, q, s):
    """The derivative at a point of the step, where what is exact is as it is there, the rest as at the start."""
    last = i == lo.stages - 1
    c, out = w[lo.tableau + lo.stages * lo.stages + i], lo.ynew if last else lo.stage
    for lane in range(ws.WIDTH):
        w[lo.span + lane] = c * w[lo.step + lane]
        # The last point stands exactly where the next step begins.
        w[lo.ts + lane] = end(lo, lane, w) if last else w[lo.t + lane] + w[lo.span + lane]
    for j in range(lo.integrated * ws.WIDTH):
        w[out + j] = w[lo.y + j]
    advance(lo, way, not last, out, fns, base, w, q, s)
    rhs(lo, fns, base, lo.ts, out, lo.rates + i * lo.integrated * ws.WIDTH)


@compiled
def solve_stages(lo, fns, base, w):
    """W, in k."""
    stages, rows = lo.stages, lo.integrated * ws.WIDTH
    for i in range(stages):
        row = 2 * stages * stages + (3 + i) * stages
        weigh(lo, stages, row, lo.one, lo.zero, lo.rates, lo.right + i * rows, fns, base, w)
    call(fns[ws.SOLVE], at(base, lo.factors), at(base, lo.right), at(base, lo.k), base, base, base)
    for i in range(stages // 2):
        here = (1 + 2 * i) * rows
        factors, right, out = at(base, lo.pairs + i * lo.pair), at(base, lo.right + here), at(base, lo.k + here)
        call(fns[ws.PAIR_SOLVE], factors, right, out, base, base, base)


@compiled
def find_error(lo, fns, base, w):
    """What the polynomial misses at the start, where it need not obey the equations, tells how far off it is elsewhere.

    As Hairer and Wanner do, it is passed through the equations of a step, which keeps fast parts from spoiling it. That
    is one look, at one place: the last term of the polynomial is another, which sees the whole step.
    """
    stages = lo.stages
    missed = w[lo.tableau + 3 * stages * (stages + 1)]
    weigh(lo, stages, stages * (stages + 1), lo.one, lo.zero, lo.k, lo.right, fns, base, w)
    rhs(lo, fns, base, lo.t, lo.y, lo.rates)
    for i in range(lo.integrated):
        for lane in range(ws.WIDTH):
            here = i * ws.WIDTH + lane
            difference = w[lo.step + lane] * w[lo.rates + here] - w[lo.right + here]
            w[lo.right + here] = missed * w[lo.shift + lane] * difference
    call(fns[ws.SOLVE], at(base, lo.factors), at(base, lo.right), at(base, lo.error), base, base, base)
    weigh(lo, stages, 3 * stages * (stages + 1) + 1, lo.one, lo.zero, lo.k, lo.right, fns, base, w)
    for i in range(lo.integrated * ws.WIDTH):
        # What is no number stays so.
        if abs(w[lo.right + i]) > abs(w[lo.error + i]):
            w[lo.error + i] = w[lo.right + i]
