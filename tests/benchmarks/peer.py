"""Batches of subjects with events, solved by LSODA in one compiled function per model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tests.benchmarks.lsoda import COUNTS, OPTIONS
from tests.benchmarks.stretch import compile_stretch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Equations:
    """A model for the peer, as Python functions that numba can compile.

    Attributes
    ----------
    states, coefficients, outputs : int
        Sizes of the state ``y``, of ``p`` and of a row of outputs.
    prepare : callable
        ``prepare(values, p)`` fills ``p[1:]`` from a subject's parameters, once per subject. ``p[0]`` is the rate of
        the infusion that runs.
    start, rhs, observe : callable
        ``start(p, y)`` is the state at time 0, ``rhs(t, y, dy, p)`` its derivative, ``observe(p, y, row)`` the outputs.
    """

    states: int
    coefficients: int
    outputs: int
    prepare: Callable[..., None]
    start: Callable[..., None]
    rhs: Callable[..., None]
    observe: Callable[..., None]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Doses and observation times that all subjects share, as stretches without events; K stretches.

    Attributes
    ----------
    begin, finish, rate, bolus : (K,) arrays
        Times of the stretch, rate of infusion in it, and what goes into state 0 at its begin.
    first, last : (K,) int arrays
        ``times[first:last]`` are observed in the stretch.
    times : (T,) array
    """

    begin: Floats
    finish: Floats
    rate: Floats
    bolus: Floats
    first: Ints
    last: Ints
    times: Floats

    @classmethod
    def of(cls, doses: Sequence[tuple[float, float, float]], times: Floats) -> Plan:
        """The stretches between doses ``(time, amount, duration)``, duration 0 for a bolus; from 0 to the last time."""
        ends = [(start + over, -amount / over) for start, amount, over in doses if over > 0]
        begins = [(start, amount / over) for start, amount, over in doses if over > 0]
        jumps = np.unique([0.0, *(start for start, _, _ in doses), *(end for end, _ in ends)])
        begin = jumps[jumps < times[-1]]
        finish = np.append(begin[1:], times[-1])
        rate = np.array([sum(change for at, change in begins + ends if at <= t) for t in begin])
        rate[np.abs(rate) < 1e-12 * np.abs(rate).max(initial=1.0)] = 0.0
        bolus = np.array([float(sum(amount for at, amount, over in doses if over == 0 and at == t)) for t in begin])
        first, last = (np.searchsorted(times, edge, side="right") for edge in (begin, finish))
        return cls(begin, finish, rate, bolus, first, last, np.ascontiguousarray(times))


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """A compiled model; `solve` runs a batch of subjects on one thread."""

    outputs: int
    batch: Any

    def solve(
        self, plan: Plan, values: Floats, *, rtol: float, atol: float, max_steps: int = 1_000_000
    ) -> tuple[Floats, Ints]:
        """Outputs (subjects, times, outputs), NaN where it failed, and counts (subjects, `COUNTS`)."""
        out = np.full((len(values), len(plan.times), self.outputs), np.nan)
        counts = np.zeros((len(values), len(COUNTS)), np.int64)
        stretches = (plan.begin, plan.finish, plan.rate, plan.bolus, plan.first, plan.last, plan.times)
        self.batch(np.ascontiguousarray(values), *stretches, out, counts, rtol, atol, max_steps)
        return out, counts


def compile_peer(equations: Equations) -> Peer:
    """The whole batch of one model in one compiled function; numba compiles it at the first call."""
    n = equations.states
    size = equations.coefficients
    prepare, start, rhs, observe = (
        nb.njit(**OPTIONS)(f) for f in (equations.prepare, equations.start, equations.rhs, equations.observe)
    )
    stretch = compile_stretch(rhs, n)

    @nb.njit(**OPTIONS)
    def batch(
        values: Floats,
        begin: Floats,
        finish: Floats,
        rate: Floats,
        bolus: Floats,
        first: Ints,
        last: Ints,
        times: Floats,
        out: Floats,
        counts: Ints,
        rtol: float,
        atol: float,
        max_steps: int,
    ) -> None:
        w, pivots = np.zeros((17 + n, n)), np.zeros(n, np.int64)
        p, y, trace = np.zeros(size), np.zeros(n), np.zeros((times.shape[0], n))
        for s in range(values.shape[0]):
            prepare(values[s], p)
            start(p, y)
            good = True
            for k in range(begin.shape[0]):
                p[0] = rate[k]
                y[0] += bolus[k]
                good = stretch(
                    begin[k],
                    finish[k],
                    y,
                    p,
                    times,
                    first[k],
                    last[k],
                    trace,
                    rtol,
                    atol,
                    max_steps,
                    w,
                    pivots,
                    counts[s],
                )
                if not good:
                    counts[s, 3] = 1
                    break
            if good:
                for j in range(times.shape[0]):
                    observe(p, trace[j], out[s, j])

    return Peer(equations.outputs, batch)
