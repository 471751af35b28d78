"""The log density of a value, and the log probability of an interval, as functions of location m and scale g.

Of a value: log p(z) - log g with z = (y - m) / g. Of an interval: log (F(b) - F(a)) with a and b the standardised ends.
A record that is known only to lie in an interval has the second (Beal's M3); one that is seen, or known to lie
somewhere, given that it lies in a range, is divided by the probability of that range (M2 and M4).

Sources: Beal, J Pharmacokinet Pharmacodyn 2001;28:481; Bergstrand and Karlsson, AAPS J 2009;11:371.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.likelihood.standard import LOG_ROOT_2PI, Normal, StandardLaw

__all__ = ["Jet", "interval_information", "log_interval", "log_point", "nonnegative", "ranged_information"]

_NARROW = 1.0  # below, an interval's probability is integrated: derivatives of a difference of tails would lose digits
_SLIM = 1e-3  # below, the difference itself would
_FEW = 0.3  # below, few nodes have all digits
_FAR = 3.0  # beyond, the information of what is seen only further out is a sum of its own
_RULES = {count: tuple(0.5 * x for x in np.polynomial.legendre.leggauss(count)) for count in (6, 16)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Jet:
    """Values with their derivatives with respect to location (place 0) and scale (place 1).

    Parameters
    ----------
    value : (n,) float
    d1, d2, d3 : (n, 2), (n, 2, 2), (n, 2, 2, 2) float or None
        Derivatives, as many as were asked for.
    """

    value: np.ndarray
    d1: np.ndarray | None = None
    d2: np.ndarray | None = None
    d3: np.ndarray | None = None

    def minus(self, other: Jet, rows: np.ndarray) -> Jet:
        """Give this with another one, of some of the rows, taken away."""
        found = {}
        for name in ("value", "d1", "d2", "d3"):
            mine = getattr(self, name)
            if mine is not None:
                mine = mine.copy()
                mine[rows] -= getattr(other, name)
            found[name] = mine
        return Jet(**found)


def log_point(law: StandardLaw, y: np.ndarray, m: np.ndarray, g: np.ndarray, order: int) -> Jet:
    """Give the log density of values, without the normal law's constant ``-log(2 pi) / 2``.

    Parameters
    ----------
    law : StandardLaw
    y, m, g : (n,) float
        Values, locations, scales.
    order : int
        How many derivatives, 0 to 3.
    """
    z = (y - m) / g
    jet = _along(law.log_density(z) + LOG_ROOT_2PI - np.log(g), g, order, *_of_point(law, z, order))
    if jet.d1 is not None:
        jet.d1[:, 1] -= 1 / g
    if jet.d2 is not None:
        jet.d2[:, 1, 1] += 1 / g**2
    if jet.d3 is not None:
        jet.d3[:, 1, 1, 1] -= 2 / g**3
    return jet


def log_interval(
    law: StandardLaw, lower: np.ndarray, upper: np.ndarray, m: np.ndarray, g: np.ndarray, order: int
) -> Jet:
    """Give the log probability of intervals.

    Parameters
    ----------
    law : StandardLaw
    lower, upper : (n,) float
        Ends, -inf and inf where open; ``lower < upper``.
    m, g : (n,) float
        Locations and scales.
    order : int
        How many derivatives, 0 to 3.
    """
    edges = _edges(law, (lower - m) / g, (upper - m) / g, _NARROW if order else _SLIM)
    jet = _along(edges.log, g, order, *_of_edges(edges, order))
    for k, d in enumerate((jet.d1, jet.d2, jet.d3), start=1):
        if d is not None:  # turned over, m stands for -m
            sign = np.stack([np.where(edges.turned, -1.0, 1.0), np.ones_like(g)], axis=1)
            for axis in range(1, k + 1):
                d *= sign.reshape([-1] + [2 if a == axis else 1 for a in range(1, k + 1)])
    for count, narrow in ((6, edges.width < _FEW), (16, edges.width >= _FEW)):
        rows = np.flatnonzero(edges.narrow & narrow)
        if not rows.size:
            continue
        part = _integrated(law, lower[rows], upper[rows], m[rows], g[rows], order, *_RULES[count])
        for name in ("value", "d1", "d2", "d3"):
            if getattr(jet, name) is not None:
                getattr(jet, name)[rows] = getattr(part, name)
    return jet


def interval_information(jet: Jet, g: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Give a positive semidefinite information about location and scale from records known by intervals.

    It is the observed information about m / g and 1 / g, in which the standardised ends are linear, put back to m and
    g by first derivatives. The log probability of an interval under the normal law is concave in its ends, so that
    nothing has to be cut off there, and ``info[0, 0]`` is minus the true second derivative; so it is for a value below
    a limit given that it is above 0. Student's t is not concave far out, nor is a value above a limit given that it is
    above 0: negative eigenvalues are put to 0.

    Parameters
    ----------
    jet : Jet
        Of the log probabilities, with `order` derivatives.
    g : (n,) float
    order : int
        2, or 3 for the derivative, too.

    Returns
    -------
    info : (n, 2, 2) float
    dinfo : (n, 2, 2, 2) float or None
        Its derivative, the last axis by location and scale.
    """
    d1, d2, d3 = jet.d1, jet.d2, jet.d3
    assert d1 is not None and d2 is not None
    info = -d2
    info[:, 0, 1] -= d1[:, 0] / g
    info[:, 1, 0] = info[:, 0, 1]
    info[:, 1, 1] -= 2 * d1[:, 1] / g
    dinfo = None
    if order > 2:
        assert d3 is not None
        dinfo = -d3
        dinfo[:, 0, 1] -= d2[:, 0] / g[:, None]
        dinfo[:, 0, 1, 1] += d1[:, 0] / g**2
        dinfo[:, 1, 0] = dinfo[:, 0, 1]
        dinfo[:, 1, 1] -= 2 * d2[:, 1] / g[:, None]
        dinfo[:, 1, 1, 1] += 2 * d1[:, 1] / g**2
    return _nonnegative(info, dinfo)


def nonnegative(info: np.ndarray) -> np.ndarray:
    """Give the nearest positive semidefinite matrices, (n, L, L)."""
    return _nonnegative(info, None)[0]


def ranged_information(
    law: StandardLaw, lower: np.ndarray, upper: np.ndarray, m: np.ndarray, g: np.ndarray, order: int, jet: Jet
) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the expected information of a value that is seen only in a range.

    Parameters
    ----------
    law, lower, upper, m, g, order
        As for :func:`log_interval`.
    jet : Jet
        Of the log probability of the range, with `order` derivatives.

    Returns
    -------
    info : (n, 2, 2) float
    dinfo : (n, 2, 2, 2) float or None
        Its derivative, the last axis by location and scale.
    """
    a, b = (lower - m) / g, (upper - m) / g
    p_a, p_b = (np.where(np.isfinite(z), np.exp(law.log_density(z) - jet.value), 0.0) for z in (a, b))
    a, b = np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0)
    mean = law.mean_curvature(a, b, p_a, p_b, jet.value)
    assert jet.d2 is not None
    info, dinfo = _symmetric(mean / g**2) + jet.d2, None
    if order > 2:
        assert jet.d3 is not None
        at_a, at_b = -p_a * (law.curvature(a) - mean), p_b * (law.curvature(b) - mean)
        by_m, by_g = -(at_a + at_b) / g**3, -(a * at_a + b * at_b + 2 * mean) / g**3
        dinfo = np.stack([_symmetric(by_m), _symmetric(by_g)], axis=-1) + jet.d3
    if isinstance(law, Normal):
        for sign, near, far in ((1.0, a, upper), (-1.0, -b, -lower)):
            rows = np.flatnonzero((near > _FAR) & np.isposinf(far))
            if rows.size:
                info[rows], change = _beyond(near[rows], g[rows], sign)
                if dinfo is not None:
                    dinfo[rows] = change
    return info, dinfo


def _beyond(a: np.ndarray, g: np.ndarray, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the information, and its derivative, of a normal value that is seen only beyond `a`, far out.

    It is the covariance of z and z² (the scores) beyond a. By the moments of the excess t it is a sum of positive
    parts, where second derivatives are small differences. With Q = (t, 2 a t + t²), which is (0, 0) at a, its
    derivative by a is h (E Q Q' - 2 E Q E Q').
    """
    e1, e2, e3, e4 = Normal.excess(a, 4)
    mean = np.stack([e1, 2 * a * e1 + e2], axis=-1)
    means = mean[:, :, None] * mean[:, None, :]
    covariance = _symmetric(np.stack([e2, 2 * a * e2 + e3, 4 * a**2 * e2 + 4 * a * e3 + e4])) - means
    by_a = (a + e1)[:, None, None] * (covariance - means)
    turn = np.array([sign, 1.0])
    info = covariance / (g**2)[:, None, None] * np.outer(turn, turn)
    by_g = a[:, None, None] * by_a + 2 * covariance
    dinfo = -np.stack([by_a, by_g], axis=-1) / (g**3)[:, None, None, None]
    return info, dinfo * turn[:, None, None] * turn[:, None] * turn


# -- derivatives by the standardised ends ------------------------------------------------------------------------------


def _along(value: np.ndarray, g: np.ndarray, order: int, first: tuple, second: tuple, third: tuple) -> Jet:
    """Give the derivatives by m and g of a function of standardised values z, all with the same m and g.

    m moves all z by -1 / g, and g by -z / g: with its derivatives along 1 (u) and along z (w), u or w for each
    direction, everything is a sum of these.
    """
    if order < 1:
        return Jet(value=value)
    u, w = first
    d1 = np.stack([-u, -w], axis=-1) / g[:, None]
    if order < 2:
        return Jet(value=value, d1=d1)
    uu, uw, ww = second
    d2 = _symmetric(np.stack([uu, uw + u, ww + 2 * w]) / g**2)
    if order < 3:
        return Jet(value=value, d1=d1, d2=d2)
    uuu, uuw, uww, www = third
    mmm, mmg, mgg, ggg = -np.stack([uuu, uuw + 2 * uu, uww + 4 * uw + 2 * u, www + 6 * ww + 6 * w]) / g**3
    d3 = np.stack(
        [_symmetric(np.stack([mmm, mmg, mgg])), _symmetric(np.stack([mmg, mgg, ggg]))],
        axis=-1,
    )
    return Jet(value=value, d1=d1, d2=d2, d3=d3)


def _of_point(law: StandardLaw, z: np.ndarray, order: int) -> tuple[tuple, tuple, tuple]:
    if order < 1:
        return (), (), ()
    p1, p2, p3 = law.slopes(z)
    return (p1, z * p1), (p2, z * p2, z**2 * p2), (p3, z * p3, z**2 * p3, z**3 * p3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    """Intervals by their ends, turned over where the lower end is the farther one from 0.

    `slope` is p_a / P and p_b / P; `excess` s + slope at a and s - slope at b; `bend` what is left of the third
    derivative by a and by b after the slope, with the sign of the derivative. An open end is at 0, and all of it is 0.
    """

    a: np.ndarray
    b: np.ndarray
    log: np.ndarray
    slope_a: np.ndarray
    slope_b: np.ndarray
    excess_a: np.ndarray
    excess_b: np.ndarray
    bend_a: np.ndarray
    bend_b: np.ndarray
    turned: np.ndarray
    width: np.ndarray
    narrow: np.ndarray


def _edges(law: StandardLaw, a: np.ndarray, b: np.ndarray, least: float) -> _Edges:
    turned = a < -b
    a, b = np.where(turned, -b, a), np.where(turned, -a, b)
    width = (b - a) * (1 + np.maximum(a, 0))  # beside the length over which the density changes
    narrow = width < least
    near, far = law.tail(a), law.tail(b)
    apart = np.where(narrow, -1.0, far.log - near.log)
    rest = np.exp(apart) / -np.expm1(apart)  # S(b) / P
    # What the end at b adds to the hazard at a, and the difference that the tail alone gives whole.
    more = near.hazard * rest
    slope_a, slope_b = near.hazard + more, far.hazard * rest
    s_a = near.excess - near.hazard
    a_bend = near.bend + more * (3 * s_a + 4 * near.hazard + 2 * more)
    ended = np.isposinf(b)
    b = np.where(ended, 0.0, b)
    s_b, s_bb, _ = law.slopes(b)
    return _Edges(
        a=a,
        b=b,
        log=near.log + np.log(-np.expm1(apart)),
        slope_a=slope_a,
        slope_b=slope_b,
        excess_a=near.excess + more,
        excess_b=s_b - slope_b,
        bend_a=a_bend,
        bend_b=(s_b - slope_b) * (s_b - 2 * slope_b) + s_bb,
        turned=turned,
        width=width,
        narrow=narrow,
    )


def _of_edges(e: _Edges, order: int) -> tuple[tuple, tuple, tuple]:
    if order < 1:
        return (), (), ()
    a, b, pa, pb = e.a, e.b, e.slope_a, e.slope_b
    first = (pb - pa, b * pb - a * pa)
    aa, ab, bb = -pa * e.excess_a, pa * pb, pb * e.excess_b
    second = (aa + 2 * ab + bb, a * aa + (a + b) * ab + b * bb, a**2 * aa + 2 * a * b * ab + b**2 * bb)
    if order < 3:
        return first, second, ()
    aaa, bbb = -pa * e.bend_a, pb * e.bend_b
    aab, abb = ab * (e.excess_a + pa), ab * (e.excess_b - pb)
    third = (
        aaa + 3 * (aab + abb) + bbb,
        a * aaa + (2 * a + b) * aab + (a + 2 * b) * abb + b * bbb,
        a**2 * aaa + a * (a + 2 * b) * aab + b * (2 * a + b) * abb + b**2 * bbb,
        a**3 * aaa + 3 * a * b * (a * aab + b * abb) + b**3 * bbb,
    )
    return first, second, third


def _integrated(
    law: StandardLaw,
    lower: np.ndarray,
    upper: np.ndarray,
    m: np.ndarray,
    g: np.ndarray,
    order: int,
    nodes: np.ndarray,
    weights: np.ndarray,
) -> Jet:
    """Give the log probability of narrow intervals by Gauss-Legendre quadrature of the density.

    The derivatives of the log of an integral are joint cumulants of those of the log integrand.
    """
    n, k = lower.size, nodes.size
    y = (0.5 * (lower + upper))[:, None] + (upper - lower)[:, None] * nodes
    jet = log_point(law, y.ravel(), np.repeat(m, k), np.repeat(g, k), order)
    top = jet.value.reshape(n, k).max(axis=1, keepdims=True)
    share = weights * np.exp(jet.value.reshape(n, k) - top)
    whole = share.sum(axis=1, keepdims=True)
    share = share / whole
    value = (top + np.log(whole))[:, 0] + np.log(upper - lower) - LOG_ROOT_2PI
    if jet.d1 is None:
        return Jet(value=value)
    each = jet.d1.reshape(n, k, 2)
    d1 = np.einsum("nk,nki->ni", share, each)
    if jet.d2 is None:
        return Jet(value=value, d1=d1)
    off, twice = each - d1[:, None], jet.d2.reshape(n, k, 2, 2)
    d2 = np.einsum("nk,nkij->nij", share, twice + off[..., :, None] * off[..., None, :])
    if jet.d3 is None:
        return Jet(value=value, d1=d1, d2=d2)
    cross = np.einsum("nk,nkij,nkl->nijl", share, twice, off)
    thrice = off[..., :, None, None] * off[..., None, :, None] * off[..., None, None, :]
    d3 = np.einsum("nk,nkijl->nijl", share, jet.d3.reshape(n, k, 2, 2, 2) + thrice)
    d3 += cross + cross.transpose(0, 1, 3, 2) + cross.transpose(0, 3, 2, 1)
    return Jet(value=value, d1=d1, d2=d2, d3=d3)


# -- two by two --------------------------------------------------------------------------------------------------------


def _symmetric(three: np.ndarray) -> np.ndarray:
    """Give (n, 2, 2) symmetric matrices from (3, n) entries 00, 01, 11."""
    return np.stack([three[0], three[1], three[1], three[2]], axis=-1).reshape(-1, 2, 2)


def _nonnegative(info: np.ndarray, dinfo: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the nearest positive semidefinite matrices, and their derivatives (Daleckii and Krein)."""
    eigen, vectors = np.linalg.eigh(info)
    rows = np.flatnonzero(eigen[:, 0] < -1e-11 * np.abs(eigen).max(axis=1))  # less is rounding
    if not rows.size:
        return info, dinfo
    eigen, vectors = eigen[rows], vectors[rows]
    kept = np.maximum(eigen, 0.0)
    info[rows] = np.einsum("nia,na,nja->nij", vectors, kept, vectors)
    if dinfo is not None:
        gap = eigen[:, :, None] - eigen[:, None, :]
        same = gap == 0
        ratio = (kept[:, :, None] - kept[:, None, :]) / np.where(same, 1.0, gap)
        ratio = np.where(same, (eigen > 0)[:, :, None], ratio)
        turned = np.einsum("nia,nijl,njb->nabl", vectors, dinfo[rows], vectors) * ratio[..., None]
        dinfo[rows] = np.einsum("nia,nabl,njb->nijl", vectors, turned, vectors)
    return info, dinfo
