"""Functions of log likelihoods, written in the operations that the engine has: lgamma and phi.

Made of nodes as users' own equations are, they run wherever these do, and their derivatives follow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkpd.engine.graph import Graph, Node

__all__ = ["VALUES", "lgamma", "phi"]

#: Stirling's series: B(2 n) / (2 n (2 n - 1)) for n = 1, 2, ... (DLMF 5.11.1).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
#: Arguments below are moved up by as many, past which the series has all digits.
_SHIFT = 8
#: Coefficients of Chebyshev's polynomials for log(exp(z**2) erfc(z) / t) in 2 t - 1 with t = 2 / (2 + z): computed with
#: 40 digits; what is left out is below 1e-17.
_ERFC = (
    -0.6513268598908547, 0.6419697923564902, 0.019476473204185836, -0.009561514786808632, -0.0009465953444820369,
    0.00036683949785276145, 4.252332480690777e-05, -2.0278578112534242e-05, -1.6242900046470256e-06,
    1.3036558355805232e-06, 1.562644172206611e-08, -8.523809591492653e-08, 6.529054439098851e-09, 5.05934349555145e-09,
    -9.913641564929981e-10, -2.273651222932295e-10, 9.646791102020517e-11, 2.3940380829927913e-12,
    -6.886027526461838e-12, 8.944879272893721e-13, 3.1309213993501273e-13, -1.127082235953239e-13,
    3.8109049091862473e-16, 7.106097659182093e-15, -1.5230282510631912e-15, -9.457489961655629e-17,
    1.2102368333510876e-16, -2.8166611191385493e-17,
)  # fmt: skip


def _lgamma(x: float) -> float:
    return math.lgamma(x) if x > 0 else math.inf if x == 0 else math.nan


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


#: Their values at a number.
VALUES = {"lgamma": _lgamma, "phi": _phi}


def lgamma(g: Graph, x: Node) -> Node:
    """Logarithm of the gamma function above 0, inf at 0, NaN below: Stirling's series, past a shift."""
    small = g.compare("<", x, g.const(_SHIFT))
    z = g.select(small, g.add(x, g.const(_SHIFT)), x)
    product = x
    for k in range(1, _SHIFT):
        product = g.mul(product, g.add(x, g.const(k)))
    inverse = g.div(g.one, z)
    square = g.mul(inverse, inverse)
    series = g.const(_STIRLING[-1])
    for coefficient in reversed(_STIRLING[:-1]):
        series = g.add(g.mul(series, square), g.const(coefficient))
    whole = g.sub(g.mul(g.sub(z, g.const(0.5)), g.unary("log", z)), z)
    whole = g.add(g.add(whole, g.const(0.5 * math.log(2 * math.pi))), g.mul(series, inverse))
    whole = g.sub(whole, g.select(small, g.unary("log", product), g.zero))
    return g.select(g.compare(">=", x, g.zero), whole, g.const(math.nan))


def phi(g: Graph, x: Node) -> Node:
    """Probability that a standard normal number is at most x, with all digits in the lower tail, too."""
    below = g.compare("<", x, g.zero)
    z = g.mul(g.const(math.sqrt(0.5)), g.select(below, g.neg(x), x))
    t = g.div(g.const(2), g.add(g.const(2), z))
    u = g.sub(g.add(t, t), g.one)
    twice, before, last = g.add(u, u), g.zero, g.zero
    for coefficient in reversed(_ERFC[1:]):
        before, last = g.add(g.sub(g.mul(twice, before), last), g.const(coefficient)), before
    exponent = g.add(g.sub(g.mul(u, before), last), g.const(_ERFC[0]))
    tail = g.mul(g.const(0.5), g.mul(t, g.unary("exp", g.sub(exponent, g.mul(g.const(0.5), g.mul(x, x))))))
    found = g.select(below, tail, g.sub(g.one, tail))
    return g.select(g.compare("==", x, x), found, x)  # NaN stays NaN
