"""The better guess: what returns to itself after a cycle, from the cycles seen so far.

Anderson acceleration takes the combination of earlier cycles whose change is smallest, by least squares; for linear
equations that is exact once it remembers as many cycles as there are independent modes. The end of the search is judged
by the change of the last cycle, by where the next guess would go, and by what the first cycles moved each state by.

Anderson DG. J ACM 1965;12:547-560. Walker HF, Ni P. SIAM J Numer Anal 2011;49:1715-1735.
"""

from __future__ import annotations

import numpy as np

from pkpd.engine import workspace as ws
from pkpd.engine.calls import compiled

#: Cycles that are taken as they come, before any guess is made.
PLAIN = 2
#: How far a guess may leap, beside what it leaps from.
LEAP = 30.0


@compiled
def size_of(lo, lane, i, w):
    """How large a component is: now, or a thousandth of what it was in this cycle, at the start, in a first change."""
    at = i * ws.WIDTH + lane
    return max(abs(w[lo.y + at]), 1e-3 * max(w[lo.tolerance + 2 + at], scale_of(lo, lane, i, w)))


@compiled
def scale_of(lo, lane, i, w):
    """How large a component of a steady state is, to weigh its changes by."""
    at = i * ws.WIDTH + lane
    return max(abs(w[lo.y + at]), abs(w[lo.begun + at]), w[lo.moved + at])


@compiled
def settle(lo, lane, cycles, w):
    """Remember the cycle that has ended; its largest change, over what counts as none."""
    slot = cycles % (ws.MEMORY + 1)
    worst = 0.0
    rtol, atol = w[lo.tolerance], w[lo.tolerance + 1]
    for i in range(lo.size):
        at = i * ws.WIDTH + lane
        image = w[lo.y + at]
        residual = image - w[lo.guess + at]
        w[lo.images + slot * lo.size * ws.WIDTH + at] = image
        w[lo.residuals + slot * lo.size * ws.WIDTH + at] = residual
        if cycles <= PLAIN:
            w[lo.moved + at] = max(w[lo.moved + at], abs(residual))
        scale = atol + rtol * size_of(lo, lane, i, w)
        if not abs(residual) <= worst * scale:
            worst = abs(residual) / scale
    return worst


@compiled
def accelerate(lo, lane, cycles, w):
    """The next guess: the image of the cycle, less the combination of earlier changes that best explains its residual.

    Least squares by modified Gram-Schmidt on the differences of residuals, newest first; each component is scaled by
    its largest value so far. A difference that is nearly a combination of newer ones is left out, with all older.
    """
    length = ws.MEMORY + 1
    size = lo.size
    newest = lo.residuals + (cycles % length) * size * ws.WIDTH + lane
    known = min(cycles, ws.MEMORY)
    used = 0
    for j in range(known):
        later = lo.residuals + ((cycles - j) % length) * size * ws.WIDTH + lane
        earlier = lo.residuals + ((cycles - j - 1) % length) * size * ws.WIDTH + lane
        column = lo.basis + j * size * ws.WIDTH + lane
        norm = 0.0
        for i in range(size):
            largest = scale_of(lo, lane, i, w)
            value = (w[later + i * ws.WIDTH] - w[earlier + i * ws.WIDTH]) / largest if largest > 0.0 else 0.0
            w[column + i * ws.WIDTH] = value
            norm += value * value
        before = np.sqrt(norm)
        for k in range(j):
            other = lo.basis + k * size * ws.WIDTH + lane
            product = 0.0
            for i in range(size):
                product += w[other + i * ws.WIDTH] * w[column + i * ws.WIDTH]
            for i in range(size):
                w[column + i * ws.WIDTH] -= product * w[other + i * ws.WIDTH]
            w[lo.small + (k * ws.MEMORY + j) * ws.WIDTH + lane] = product
        norm = 0.0
        for i in range(size):
            norm += w[column + i * ws.WIDTH] ** 2
        norm = np.sqrt(norm)
        if not norm > 1e-9 * before:
            break
        product = 0.0
        for i in range(size):
            w[column + i * ws.WIDTH] /= norm
            largest = scale_of(lo, lane, i, w)
            if largest > 0.0:
                product += w[column + i * ws.WIDTH] * w[newest + i * ws.WIDTH] / largest
        w[lo.small + (j * ws.MEMORY + j) * ws.WIDTH + lane] = norm
        w[lo.small + (ws.MEMORY * ws.MEMORY + j) * ws.WIDTH + lane] = product
        used = j + 1
    for j in range(used - 1, -1, -1):
        value = w[lo.small + (ws.MEMORY * ws.MEMORY + j) * ws.WIDTH + lane]
        for k in range(j + 1, used):
            weight = w[lo.small + (ws.MEMORY * (ws.MEMORY + 1) + k) * ws.WIDTH + lane]
            value -= w[lo.small + (j * ws.MEMORY + k) * ws.WIDTH + lane] * weight
        value /= w[lo.small + (j * ws.MEMORY + j) * ws.WIDTH + lane]
        w[lo.small + (ws.MEMORY * (ws.MEMORY + 1) + j) * ws.WIDTH + lane] = value
    farthest = LEAP
    for i in range(size):
        value = w[lo.y + i * ws.WIDTH + lane]
        for j in range(used):
            later = lo.images + ((cycles - j) % length) * size * ws.WIDTH + lane
            earlier = lo.images + ((cycles - j - 1) % length) * size * ws.WIDTH + lane
            weight = w[lo.small + (ws.MEMORY * (ws.MEMORY + 1) + j) * ws.WIDTH + lane]
            value -= weight * (w[later + i * ws.WIDTH] - w[earlier + i * ws.WIDTH])
        # An amount stays one: a guess below zero could end in a steady state that only exists there.
        image = w[lo.y + i * ws.WIDTH + lane]
        w[lo.guess + i * ws.WIDTH + lane] = image if i < lo.n and value < 0.0 <= image else value
        if i < lo.n and abs(value - image) > farthest * scale_of(lo, lane, i, w):
            farthest = abs(value - image) / scale_of(lo, lane, i, w)
    if farthest > LEAP:
        for i in range(size):
            at = i * ws.WIDTH + lane
            w[lo.guess + at] = w[lo.y + at] + (w[lo.guess + at] - w[lo.y + at]) * (LEAP / farthest)


@compiled
def stays(lo, lane, cycles, w):
    """Whether the next guess, too, is where this cycle ended: a small change alone may go on for ever.

    Where rounding keeps the guesses of a slow system apart, being near is enough in the end.
    """
    tolerance = 10.0 * w[lo.tolerance] if cycles < 40 else 1e-3
    for i in range(lo.size):
        image = w[lo.y + i * ws.WIDTH + lane]
        scale = w[lo.tolerance + 1] + tolerance * size_of(lo, lane, i, w)
        if not abs(w[lo.guess + i * ws.WIDTH + lane] - image) <= scale:
            return False
    return True


@compiled
def look_back(lo, lane, cycles, w):
    """Whether the way from the start can be believed, beside what the first cycles, as they came, moved each state by.

    A state that grows by the same amount in every cycle changes little beside itself once the guesses are large enough.
    Where one stands very far off, its last change must be small beside its first ones too. Returns (verdict, settled).
    """
    most = max(200.0, min(1e6, 1e-3 / w[lo.tolerance]))
    newest = lo.residuals + (cycles % (ws.MEMORY + 1)) * lo.size * ws.WIDTH + lane
    for i in range(lo.n):
        start, present = w[lo.begun + i * ws.WIDTH + lane], w[lo.y + i * ws.WIDTH + lane]
        way = abs(present - start)
        if way <= 10.0 * w[lo.tolerance] * max(abs(start), abs(present)):
            continue
        moved = w[lo.moved + i * ws.WIDTH + lane]
        if not way <= 1e10 * moved:
            return ws.NO_STEADY_STATE, False
        if way > most * moved and abs(w[newest + i * ws.WIDTH]) > 1e-6 * moved:
            return ws.DONE, False
    return ws.DONE, True
