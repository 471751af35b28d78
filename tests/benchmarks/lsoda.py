"""LSODA without Python in its loop: the peer that the engine's times are compared with.

The method of Petzold and Hindmarsh: Adams formulas of orders 1 to 12 with functional iteration and BDF formulas of
orders 1 to 5 with a chord iteration, switched automatically, fixed leading coefficients and a Nordsieck history. The
Jacobian is made of finite differences inside, the way simulators of pharmacometric models run it. Every event restarts
the integration; observations are interpolated.

Written anew from the published algorithm, with the constants, tests and their order those of ODEPACK's DLSODA
(A. C. Hindmarsh and L. R. Petzold, public domain; L. Petzold, SIAM J. Sci. Stat. Comput. 4 (1983) 136) and of its C
translation in liblsoda (H. W. Tam, Heng Li; MIT licence). Compiled by numba with the right-hand side inlined.

It is no straw man. On the models timed here it makes the same steps, calls and Jacobians, to about one per cent, as the
C++ class in which LSODA is commonly embedded (libsoda-cxx, MIT licence; right-hand sides generated as C++ from the same
source, everything compiled by g++ 12 -O2), and needs less CPU time: 0.82 of it for nine states at rtol 1e-8, 0.87 for
the stiff variant, 0.65 for two compartments, 0.70 with sensitivities (medians of three on one x86-64 machine). On one
stretch its steps and calls are those of `scipy.integrate.odeint`, mostly to the last one.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EPSILON = float(np.finfo(float).eps)
ROOT_EPSILON = EPSILON**0.5
ADAMS, BDF = 0, 1
OPTIONS: dict[str, Any] = {"cache": False, "fastmath": {"contract"}, "error_model": "numpy"}
#: What `Solve` counts for every subject.
COUNTS = ("steps", "calls", "jacobians", "failed")
#: The part of the order's stability region on the negative real axis that Adams formulas may use.
STABILITY = np.array([0.0, 0.5, 0.575, 0.55, 0.45, 0.35, 0.25, 0.2, 0.15, 0.1, 0.075, 0.05, 0.025])


def coefficients() -> tuple[Floats, Floats]:
    """Coefficients of the corrector and of the error tests (DCFODE).

    Returns
    -------
    el : (2, 13, 14) array
        ``el[method, order, j]``: what the correction adds to row j of the Nordsieck history.
    test : (2, 13, 3) array
        Divisors for the error at one order less, the same order, and one order more.
    """
    el, test = np.zeros((2, 13, 14)), np.zeros((2, 13, 3))
    el[ADAMS, 1, :2] = 1.0
    test[ADAMS, 1, 1], test[ADAMS, 2, 0] = 2.0, 1.0
    poly = np.zeros(14)  # (x + 1) (x + 2) ... (x + order - 1)
    poly[0] = factorial = 1.0  # `factorial`: 1 / order!
    for order in range(2, 13):
        before, factorial = factorial, factorial / order
        poly[1:order] = poly[: order - 1] + (order - 1) * poly[1:order]
        poly[0] *= order - 1
        signs, ahead = (-1.0) ** np.arange(order), np.arange(1, order + 1)
        el[ADAMS, order, 0] = before * np.sum(signs * poly[:order] / ahead)
        el[ADAMS, order, 1] = 1.0
        el[ADAMS, order, 2 : order + 1] = before * poly[1:order] / ahead[1:]
        error = factorial * np.sum(signs * poly[:order] / (ahead + 1))
        test[ADAMS, order, 1] = test[ADAMS, order - 1, 2] = 1.0 / error
        if order < 12:
            test[ADAMS, order + 1, 0] = test[ADAMS, order, 1] * factorial / (order + 1)
    poly[:] = 0.0
    poly[0] = factorial = 1.0
    for order in range(1, 6):
        poly[1 : order + 1] = poly[:order] + order * poly[1 : order + 1]
        poly[0] *= order
        el[BDF, order, : order + 1] = poly[: order + 1] / poly[1]
        el[BDF, order, 1] = 1.0
        test[BDF, order] = factorial, (order + 1) / el[BDF, order, 0], (order + 2) / el[BDF, order, 0]
        factorial /= order
    return el, test


EL, TEST = coefficients()
CM = np.array([[TEST[m, q, 1] * EL[m, q, q] for q in range(13)] for m in range(2)])


@nb.njit(**OPTIONS)
def norm(v: Floats, weight: Floats) -> float:
    """The weighted maximum norm."""
    largest = 0.0
    for i in range(v.shape[0]):
        largest = max(largest, abs(v[i]) * weight[i])
    return largest


@nb.njit(**OPTIONS)
def shift(yh: Floats, order: int, sign: float) -> None:
    """The history one step ahead (sign 1), or taken back (sign -1): a product with Pascal's triangle."""
    for j in range(order, 0, -1):
        for row in range(j - 1, order):
            for i in range(yh.shape[1]):
                yh[row, i] += sign * yh[row + 1, i]


@nb.njit(**OPTIONS)
def interpolate(yh: Floats, order: int, s: float, y: Floats) -> None:
    """The solution at ``tn + s h`` (DINTDY for the function itself)."""
    for i in range(y.shape[0]):
        value = yh[order, i]
        for j in range(order - 1, -1, -1):
            value = yh[j, i] + s * value
        y[i] = value


@nb.njit(**OPTIONS)
def factor(a: Floats, pivots: npt.NDArray[np.int64]) -> bool:
    """LU decomposition with partial pivoting, in place; False if singular."""
    n = a.shape[0]
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        pivots[k] = best
        if a[best, k] == 0.0:
            return False
        if best != k:
            for j in range(n):
                a[k, j], a[best, j] = a[best, j], a[k, j]
        inverse = 1.0 / a[k, k]
        for i in range(k + 1, n):
            if a[i, k] != 0.0:
                ratio = a[i, k] * inverse
                a[i, k] = ratio
                for j in range(k + 1, n):
                    a[i, j] -= ratio * a[k, j]
    return True


@nb.njit(**OPTIONS)
def solve_factored(a: Floats, pivots: npt.NDArray[np.int64], b: Floats) -> None:
    """The solution of the linear system in place of its right-hand side."""
    n = b.shape[0]
    for k in range(n):
        best = pivots[k]
        if best != k:
            b[k], b[best] = b[best], b[k]
    for i in range(n):
        total = b[i]
        for j in range(i):
            total -= a[i, j] * b[j]
        b[i] = total
    for i in range(n - 1, -1, -1):
        total = b[i]
        for j in range(i + 1, n):
            total -= a[i, j] * b[j]
        b[i] = total / a[i, i]


@nb.njit(**OPTIONS)
def rescale(yh: Floats, method: int, order: int, rh: float, rmax: float, h: float, pdlast: float) -> tuple[float, bool]:
    """A new step size, and the history for it (SCALEH).

    Returns
    -------
    factor, restricted
        By how much h changes; whether stability holds the step back.
    """
    rh = min(rh, rmax)
    restricted = False
    if method == ADAMS:
        pdh = max(abs(h) * pdlast, 1e-6)
        if rh * pdh * 1.00001 >= STABILITY[order]:
            rh = STABILITY[order] / pdh
            restricted = True
    r = 1.0
    for j in range(1, order + 1):
        r *= rh
        for i in range(yh.shape[1]):
            yh[j, i] *= r
    return rh, restricted


@nb.njit(**OPTIONS)
def choose_order(
    yh: Floats,
    weight: Floats,
    method: int,
    order: int,
    dsm: float,
    rhup: float,
    kflag: int,
    h: float,
    pdlast: float,
) -> tuple[int, float, bool]:
    """The order for the next step and the factor of its size: ``(order, factor, whether to change)`` (ORDERSWITCH)."""
    top = 12 if method == ADAMS else 5
    rhsm = 1.0 / (1.2 * dsm ** (1.0 / (order + 1)) + 1.2e-6)
    rhdn = 0.0
    if order != 1:
        ddn = norm(yh[order], weight) / TEST[method, order, 0]
        rhdn = 1.0 / (1.3 * ddn ** (1.0 / order) + 1.3e-6)
    pdh = 0.0
    if method == ADAMS:
        pdh = max(abs(h) * pdlast, 1e-6)
        if order < top:
            rhup = min(rhup, STABILITY[order + 1] / pdh)
        rhsm = min(rhsm, STABILITY[order] / pdh)
        if order > 1:
            rhdn = min(rhdn, STABILITY[order - 1] / pdh)
    if rhsm >= rhup and rhsm >= rhdn:
        chosen, rh = order, rhsm
    elif rhsm < rhup and rhup > rhdn:
        return order + 1, rhup, rhup >= 1.1
    else:
        chosen, rh = order - 1, rhdn
        if kflag < 0 and rh > 1.0:
            rh = 1.0
    # A step that stability holds back need not promise ten per cent.
    free = method == BDF or rh * pdh * 1.00001 < STABILITY[chosen]
    if free and kflag == 0 and rh < 1.1:
        return order, rh, False
    if kflag <= -2:
        rh = min(rh, 0.2)
    return chosen, rh, True


@nb.njit(**OPTIONS)
def choose_method(
    method: int, order: int, dsm: float, pnorm: float, h: float, pdest: float, pdlast: float, pdnorm: float, held: bool
) -> tuple[int, float]:
    """Adams or BDF for the steps to come, and the factor of the step size (METHODSWITCH)."""
    power = 1.0 / (order + 1)
    if method == ADAMS:
        if order > 5:
            return method, 1.0
        if dsm <= 100.0 * pnorm * EPSILON or pdest == 0.0:
            return (BDF, 2.0) if held else (method, 1.0)
        rh1 = 1.0 / (1.2 * dsm**power + 1.2e-6)
        limit = 2.0 * rh1
        pdh = pdlast * abs(h)
        if pdh * rh1 > 1e-5:
            limit = STABILITY[order] / pdh
        rh1 = min(rh1, limit)
        dm2 = dsm * (CM[ADAMS, order] / CM[BDF, order])
        rh2 = 1.0 / (1.2 * dm2**power + 1.2e-6)
        return (method, 1.0) if rh2 < 5.0 * rh1 else (BDF, rh2)
    dm1 = dsm * (CM[BDF, order] / CM[ADAMS, order])
    rh1 = 1.0 / (1.2 * dm1**power + 1.2e-6)
    limit = 2.0 * rh1
    pdh = pdnorm * abs(h)
    if pdh * rh1 > 1e-5:
        limit = STABILITY[order] / pdh
    rh1 = min(rh1, limit)
    rh2 = 1.0 / (1.2 * dsm**power + 1.2e-6)
    if rh1 * 5.0 < 5.0 * rh2:
        return method, 1.0
    dm1 *= max(0.001, rh1) ** power
    if dm1 <= 1000.0 * EPSILON * pnorm:  # Adams would drown in roundoff
        return method, 1.0
    return ADAMS, rh1
