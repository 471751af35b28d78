"""LSODA from one event to the next: the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tests.benchmarks.lsoda import (
    ADAMS,
    BDF,
    EL,
    EPSILON,
    OPTIONS,
    ROOT_EPSILON,
    TEST,
    choose_method,
    choose_order,
    factor,
    interpolate,
    norm,
    rescale,
    shift,
    solve_factored,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CONVERGED, SHORTEN = 0, 1


def compile_stretch(rhs: Callable[..., None], states: int) -> Any:
    """The integration over one stretch, for one model.

    Parameters
    ----------
    rhs
        ``rhs(t, y, dy, p)``, compiled by numba.
    states
        How many states; a constant of the compiled code.
    """
    n = states

    @nb.njit(**OPTIONS)
    def jacobian(
        t: float,
        h: float,
        el0: float,
        y: Floats,
        p: Floats,
        f: Floats,
        scratch: Floats,
        weight: Floats,
        a: Floats,
        pivots: Ints,
    ) -> float:
        """``I - h el0 J`` by differences, factored; the norm of J, or -1 if singular (PRJA)."""
        hl0 = h * el0
        r0 = 1000.0 * abs(h) * EPSILON * n * norm(f, weight)
        if r0 == 0.0:
            r0 = 1.0
        for j in range(n):
            before = y[j]
            r = max(ROOT_EPSILON * abs(before), r0 / weight[j])
            y[j] += r
            fac = -hl0 / r
            rhs(t, y, scratch, p)
            for i in range(n):
                a[i, j] = (scratch[i] - f[i]) * fac
            y[j] = before
        size = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += abs(a[i, j]) / weight[j]
            size = max(size, total * weight[i])
            a[i, i] += 1.0
        return size / abs(hl0) if factor(a, pivots) else -1.0

    @nb.njit(**OPTIONS)
    def stretch(
        t0: float,
        t1: float,
        y: Floats,
        p: Floats,
        times: Floats,
        first: int,
        last: int,
        out: Floats,
        rtol: float,
        atol: float,
        max_steps: int,
        w: Floats,
        pivots: Ints,
        counts: Ints,
    ) -> bool:
        """From t0 to t1: y becomes the state at t1, ``out[first:last]`` that at those times; False if it failed."""
        yh, a = w[:13], w[17:]
        weight, f, acor, x = w[13], w[14], w[15], w[16]
        # The start: first derivative, weights and step size.
        target = first
        tout = times[target] if target < last else t1
        rhs(t0, y, f, p)
        counts[1] += 1
        for i in range(n):
            yh[0, i] = y[i]
            weight[i] = 1.0 / (rtol * abs(y[i]) + atol)
        tol = min(max(rtol, 100.0 * EPSILON), 0.001)
        w0 = max(abs(t0), abs(tout))
        size = norm(f, weight)
        h = min(1.0 / np.sqrt(1.0 / (tol * w0 * w0) + tol * size * size), tout - t0)
        for i in range(n):
            yh[1, i] = h * f[i]
        tn, nst, nslp = t0, 0, 0
        method, order, wait, rmax = ADAMS, 1, 2, 1e4
        rc, el0, crate, conit = 0.0, 1.0, 0.7, 0.5 / 3.0
        chord, stale = False, False  # chord: Newton instead of functional iteration
        countdown, held = 20, False
        pdest, pdlast, pdnorm = 0.0, 0.0, 0.0
        el = EL[ADAMS, 1]
        while True:
            if nst > 0:
                for i in range(n):
                    weight[i] = 1.0 / (rtol * abs(yh[0, i]) + atol)
            if EPSILON * norm(yh[0], weight) > 0.01 or nst >= max_steps:
                return False
            kflag, told, failures, fresh, delp = 0, tn, 0, False, 0.0
            while True:  # until a step is good
                if chord and (abs(rc - 1.0) > 0.3 or nst >= nslp + 20):
                    stale = True
                tn += h
                shift(yh, order, 1.0)
                pnorm = norm(yh[0], weight)
                # The corrector.
                m, rate, change, verdict = 0, 0.0, 0.0, CONVERGED
                for i in range(n):
                    x[i] = yh[0, i]
                rhs(tn, x, f, p)
                counts[1] += 1
                while True:
                    if m == 0:
                        if stale:
                            pdnorm = jacobian(tn, h, el0, x, p, f, acor, weight, a, pivots)
                            counts[1] += n
                            counts[2] += 1
                            stale, rc, nslp, crate, fresh = False, 1.0, nst, 0.7, True
                            if pdnorm < 0.0:
                                verdict = SHORTEN
                                break
                        for i in range(n):
                            acor[i] = 0.0
                    if chord:
                        for i in range(n):
                            x[i] = h * f[i] - (yh[1, i] + acor[i])
                        solve_factored(a, pivots, x)
                        change = norm(x, weight)
                        for i in range(n):
                            acor[i] += x[i]
                            x[i] = yh[0, i] + el0 * acor[i]
                    else:
                        change = 0.0
                        for i in range(n):
                            new = h * f[i] - yh[1, i]
                            change = max(change, abs(new - acor[i]) * weight[i])
                            acor[i] = new
                            x[i] = yh[0, i] + el0 * new
                    if change <= 100.0 * pnorm * EPSILON:
                        break
                    if (
                        m != 0 or method == BDF
                    ):  # Adams iterates at least twice, for an estimate of the Lipschitz constant
                        if m != 0:
                            rm = change / delp if change <= 1024.0 * delp else 1024.0
                            rate = max(rate, rm)
                            crate = max(0.2 * crate, rm)
                        if change * min(1.0, 1.5 * crate) <= TEST[method, order, 1] * conit:
                            pdest = max(pdest, rate / abs(h * el0))
                            if pdest != 0.0:
                                pdlast = pdest
                            break
                    m += 1
                    if m == 3 or (m >= 2 and change > 2.0 * delp):
                        if not chord or fresh:
                            verdict = SHORTEN
                            break
                        stale = True
                        m, rate, change = 0, 0.0, 0.0
                        for i in range(n):
                            x[i] = yh[0, i]
                    else:
                        delp = change
                    rhs(tn, x, f, p)
                    counts[1] += 1
                if verdict == SHORTEN:
                    failures += 1
                    rmax, tn, stale = 2.0, told, chord
                    shift(yh, order, -1.0)
                    if failures == 10:
                        return False
                    by, held = rescale(yh, method, order, 0.25, rmax, h, pdlast)
                    h, rc, wait = h * by, rc * by, order + 1
                    continue
                fresh = False
                dsm = (change if m == 0 else norm(acor, weight)) / TEST[method, order, 1]
                if dsm <= 1.0:
                    break
                # The error was too large.
                kflag -= 1
                tn, rmax = told, 2.0
                shift(yh, order, -1.0)
                if kflag > -3:
                    chosen, rh, _ = choose_order(yh, weight, method, order, dsm, 0.0, kflag, h, pdlast)
                    if method == ADAMS:
                        pdest = 0.0
                    if chosen != order:
                        order, el = chosen, EL[method, chosen]
                        rc, el0, conit = rc * el[0] / el0, el[0], 0.5 / (order + 2)
                    by, held = rescale(yh, method, order, rh, rmax, h, pdlast)
                    h, rc, wait = h * by, rc * by, order + 1
                else:  # the history is doubted: start again at order 1
                    if kflag == -10:
                        return False
                    h *= 0.1
                    for i in range(n):
                        x[i] = yh[0, i]
                    rhs(tn, x, f, p)
                    counts[1] += 1
                    for i in range(n):
                        yh[1, i] = h * f[i]
                    stale, wait = chord, 5
                    if order != 1:
                        order, el = 1, EL[method, 1]
                        rc, el0, conit = rc * el[0] / el0, el[0], 0.5 / 3.0
            # The step is good.
            nst += 1
            for j in range(order + 1):
                r = el[j]
                for i in range(n):
                    yh[j, i] += r * acor[i]
            countdown -= 1
            other = method
            if countdown < 0:
                other, rh = choose_method(method, order, dsm, pnorm, h, pdest, pdlast, pdnorm, held)
            top = 12 if method == ADAMS else 5
            if other != method:
                method, countdown, pdlast, chord = other, 20, 0.0, other == BDF
                by, held = rescale(yh, method, order, rh, rmax, h, pdlast)
                h, rc, rmax = h * by, rc * by, 10.0
                stale, wait, el = chord, order + 1, EL[method, order]
                rc, el0, conit = rc * el[0] / el0, el[0], 0.5 / (order + 2)
            else:
                wait -= 1
                if wait == 0:
                    rhup = 0.0
                    if order < top:
                        dup = 0.0
                        for i in range(n):
                            dup = max(dup, abs(acor[i] - yh[top, i]) * weight[i])
                        rhup = 1.0 / (1.4 * (dup / TEST[method, order, 2]) ** (1.0 / (order + 2)) + 1.4e-6)
                    chosen, rh, changed = choose_order(yh, weight, method, order, dsm, rhup, 0, h, pdlast)
                    if method == ADAMS:
                        pdest = 0.0
                    if changed:
                        if chosen > order:
                            r = el[order] / (order + 1)
                            for i in range(n):
                                yh[chosen, i] = acor[i] * r
                        if chosen != order:
                            order, el = chosen, EL[method, chosen]
                            rc, el0, conit = rc * el[0] / el0, el[0], 0.5 / (order + 2)
                        by, held = rescale(yh, method, order, rh, rmax, h, pdlast)
                        h, rc, rmax, wait = h * by, rc * by, 10.0, order + 1
                    else:
                        wait = 3
                elif wait == 1 and order < top:
                    for i in range(n):
                        yh[top, i] = acor[i]
            # What lies behind us is interpolated.
            while tn >= tout:
                if target == last:
                    interpolate(yh, order, (t1 - tn) / h, y)
                    counts[0] += nst
                    return True
                interpolate(yh, order, (tout - tn) / h, out[target])
                target += 1
                tout = times[target] if target < last else t1

    return stretch
