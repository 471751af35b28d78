"""Closed forms of linear compartments, to 40 digits: a sum of exponentials, and what doses make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath

mpmath.mp.dps = 40
#: A number of 40 digits.
Big = Any


@dataclass(frozen=True)
class Exponentials:
    """The response to a unit dose at time 0: the sum of weight * exp(-rate * t) over its terms."""

    terms: tuple[tuple[Big, Big], ...]

    def then(self, rate_in, rate_out) -> Exponentials:
        """What this feeds, at `rate_in`, into a compartment that empties at `rate_out`."""
        new = [(w * rate_in / (rate_out - r), r) for w, r in self.terms]
        return Exponentials((*new, (-sum(w for w, _ in new), mpmath.mpf(rate_out))))

    def bolus(self, t) -> Big:
        return mpmath.fsum(w * mpmath.exp(-r * t) for w, r in self.terms) if t >= 0 else mpmath.mpf(0)

    def infusion(self, t, over) -> Big:
        """A unit dose at a constant rate."""
        if t <= 0:
            return mpmath.mpf(0)
        on, off = min(t, over), max(t - over, 0)
        return mpmath.fsum(w / r * -mpmath.expm1(-r * on) * mpmath.exp(-r * off) for w, r in self.terms) / over

    def steady_bolus(self, t, every) -> Big:
        """`t` after one of an endless train of unit doses; 0 <= t <= every."""
        return mpmath.fsum(w * mpmath.exp(-r * t) / -mpmath.expm1(-r * every) for w, r in self.terms)

    def steady_infusion(self, t, over, every) -> Big:
        """`t` after the beginning of one of an endless train of infusions, which may overlap; 0 <= t <= every."""
        total, age = mpmath.mpf(0), mpmath.mpf(t)
        while age < over:
            total += self.infusion(age, over)
            age += every
        ended = (
            w / r * mpmath.expm1(r * over) * mpmath.exp(-r * age) / -mpmath.expm1(-r * every) for w, r in self.terms
        )
        return total + mpmath.fsum(ended) / over


def mammillary(cl, v1, *others) -> Exponentials:
    """Amount in the central compartment after a unit bolus; `others` are pairs of clearance and volume.

    Partial fractions of prod(s + q_i / v_i) over the characteristic polynomial, whose roots are found numerically.
    """
    out = [mpmath.mpf(q) / v1 for q, _ in others]
    back = [mpmath.mpf(q) / v for q, v in others]
    above = _product([[mpmath.mpf(1), k] for k in back])
    below = _product([[mpmath.mpf(1), mpmath.mpf(cl) / v1 + sum(out)], above])
    for i, (k12, k21) in enumerate(zip(out, back, strict=True)):
        rest = _product([[mpmath.mpf(1), k] for j, k in enumerate(back) if j != i])
        below = _minus(below, [k12 * k21 * c for c in rest])
    slope = [c * (len(below) - 1 - i) for i, c in enumerate(below[:-1])]
    roots = mpmath.polyroots(below, maxsteps=500, extraprec=400)
    terms = [(mpmath.polyval(above, s) / mpmath.polyval(slope, s), -s) for s in map(mpmath.re, roots)]
    return Exponentials(tuple(terms))


def _product(factors: Sequence[Sequence]) -> list:
    total = [mpmath.mpf(1)]
    for factor in factors:
        new = [mpmath.mpf(0)] * (len(total) + len(factor) - 1)
        for i, a in enumerate(total):
            for j, b in enumerate(factor):
                new[i + j] += a * b
        total = new
    return total


def _minus(longer: list, shorter: list) -> list:
    gap = len(longer) - len(shorter)
    return [c - (shorter[i - gap] if i >= gap else 0) for i, c in enumerate(longer)]
