"""The coefficients of the methods, as the solver reads them.

``TSIT5``: explicit, order 5(4), seven stages, the last of which is the first of the next step. Tsitouras Ch.
Computers & Mathematics with Applications 2011;62:770-775. doi:10.1016/j.camwa.2011.06.002

``RODAS5P``: Rosenbrock, order 5(4), eight stages, L-stable and stiffly accurate. Steinebach G. BIT Numerical
Mathematics 2023;63:27. doi:10.1007/s10543-023-00967-x, in the transformed variables of Hairer and Wanner (Solving
Ordinary Differential Equations II, section IV.7), in which the stage equations need no product with the Jacobian.

``RADAU``: collocation at Radau's points, order 13, seven stages, L-stable. Hairer E, Wanner G. Journal of Computational
and Applied Mathematics 1999;111:93-111. doi:10.1016/S0377-0427(99)00134-X
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre, polynomial


@dataclass(frozen=True, slots=True)
class Tableau:
    """Coefficients of one method, each array ready to be read by the compiled solver.

    ``a`` (stages, stages), ``c`` (stages,), ``b`` (stages,) the step, ``e`` (stages,) its error, ``dense`` (stages, 4)
    the polynomials of the interpolant: weight of stage j at theta = sum over i of dense[j, i] * theta ** (i + 1).
    For the Rosenbrock method also ``coupling`` (stages, stages), ``d`` (stages,) and ``gamma``.
    """

    a: npt.NDArray[np.float64]
    c: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    e: npt.NDArray[np.float64]
    dense: npt.NDArray[np.float64]
    coupling: npt.NDArray[np.float64]
    d: npt.NDArray[np.float64]
    gamma: float

    def packed(self) -> npt.NDArray[np.float64]:
        """All in one array, in the order in which `pkpd.engine.kernel` reads them."""
        parts = (self.a, self.c, self.b, self.e, self.dense, self.coupling, self.d, [self.gamma])
        return np.concatenate([np.ravel(p) for p in parts])


def _lower(rows: list[list[float]], size: int) -> npt.NDArray[np.float64]:
    matrix = np.zeros((size, size))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


def _tsit5() -> Tableau:
    a = [
        [],
        [0.161],
        [-0.008480655492356989, 0.335480655492357],
        [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
        [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
        [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383],
        [
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ],
    ]
    e = [
        0.0017800110522257773,
        0.0008164344596567463,
        -0.007880878010261994,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918686,
        -0.015151515151515152,
    ]

    # Tsitouras' interpolant is printed factorised; here it is multiplied out into powers theta ... theta ** 4.
    def product(factor: float, *polynomials: tuple[float, ...]) -> npt.NDArray[np.float64]:
        total = np.array([factor])
        for p in polynomials:
            total = np.convolve(total, p)
        return np.concatenate([total, np.zeros(5 - len(total))])[1:]

    theta, square = (0.0, 1.0), (0.0, 0.0, 1.0)
    dense = [
        product(-1.0530884977290216, theta, (-1.3299890189751412, 1.0), (0.7139816917074209, -1.4364028541716351, 1.0)),
        product(0.1017, square, (1.2949852507374631, -2.1966568338249754, 1.0)),
        product(2.490627285651252793, square, (1.57803468208092486, -2.38535645472061657, 1.0)),
        product(-16.54810288924490272, square, (-1.21712927295533244, 1.0), (-0.61620406037800089, 1.0)),
        product(47.37952196281928122, square, (-1.203071208372362603, 1.0), (-0.658047292653547382, 1.0)),
        product(-34.87065786149660974, square, (-1.2, 1.0), (-0.666666666666666667, 1.0)),
        product(2.5, square, (-1.0, 1.0), (-0.6, 1.0)),
    ]
    matrix = _lower(a, 7)
    return Tableau(
        a=matrix,
        c=np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0]),
        b=matrix[6],
        e=np.array(e),
        dense=np.array(dense),
        coupling=np.zeros((7, 7)),
        d=np.zeros(7),
        gamma=0.0,
    )


def _rodas5p() -> Tableau:
    a6 = [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946]
    a = [
        [],
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        a6,
        [*a6, 1.0],
        [*a6, 1.0, 1.0],
    ]
    coupling = [
        [],
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
        [
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ],
        [
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ]
    h = np.array(
        [
            [
                25.948786856663858,
                -2.5579724845846235,
                10.433815404888879,
                -2.3679251022685204,
                0.524948541321073,
                1.1241088310450404,
                0.4272876194431874,
                -0.17202221070155493,
            ],
            [
                -9.91568850695171,
                -0.9689944594115154,
                3.0438037242978453,
                -24.495224566215796,
                20.176138334709044,
                15.98066361424651,
                -6.789040303419874,
                -6.710236069923372,
            ],
            [
                11.419903575922262,
                2.8879645146136994,
                72.92137995996029,
                80.12511834622643,
                -52.072871366152654,
                -59.78993625266729,
                -0.15582684282751913,
                4.883087185713722,
            ],
        ]
    )
    b = np.array([*a6, 1.0, 1.0, 1.0])
    # y(theta) = (1 - theta) y0 + theta y1 + theta (1 - theta) (h2 + theta (h3 + theta h4)), multiplied out.
    dense = np.stack([b + h[0], h[1] - h[0], h[2] - h[1], -h[2]], axis=1)
    e = np.zeros(8)
    e[7] = 1.0
    return Tableau(
        a=_lower(a, 8),
        c=np.array([0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1, 1, 1]),
        b=b,
        e=e,
        dense=dense,
        coupling=_lower(coupling, 8),
        d=np.array(
            [
                0.21193756319429014,
                -0.42387512638858027,
                -0.3384627126235924,
                1.8046452872882734,
                2.325825639765069,
                0,
                0,
                0,
            ]
        ),
        gamma=0.21193756319429014,
    )


#: How much of the last term of a series the next one is taken to be.
_NEXT = 0.75


@dataclass(frozen=True, slots=True)
class Collocation:
    """Collocation at `c` (stages,), the last of which is 1.

    With Z the states at these points less the one at the start, and W = ``transform^-1`` Z, the equations Z = h A F are
    ``blocks W = h transform^-1 F``, where the blocks on the diagonal are `values`: one number, then pairs
    [[a, b], [-b, a]] as a and b.

    ``start`` (stages,): h times the slope of the polynomial at the start, from W; ``dense`` (stages, stages): the
    polynomial itself, as in `Tableau`. ``missed``: the largest error of the polynomial for a unit of h times what it
    misses at the start. ``last`` (stages,): from W, the largest that the integral of the next term of the slope's
    Legendre series can be, if that term is `_NEXT` of the last one.
    """

    c: npt.NDArray[np.float64]
    transform: npt.NDArray[np.float64]
    inverse: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    start: npt.NDArray[np.float64]
    dense: npt.NDArray[np.float64]
    missed: float
    last: npt.NDArray[np.float64]

    def packed(self) -> npt.NDArray[np.float64]:
        """All in one array, in the order in which `pkpd.engine.collocation` reads them."""
        parts = (self.transform, self.c, self.start, self.values, self.dense, self.inverse, self.missed, self.last)
        return np.concatenate([np.ravel(p) for p in parts])


def radau(stages: int) -> Collocation:
    """The method Radau IIA with an odd number of stages.

    Its points are the zeros of P_s - P_(s-1) on [0, 1] (Legendre's polynomials); A integrates what is given there.
    """
    series = np.zeros(stages + 1)
    series[-2:] = -1.0, 1.0
    x = np.sort(np.real(legendre.legroots(series)))
    for _ in range(3):
        x[:-1] -= (legendre.legval(x, series) / legendre.legval(x, legendre.legder(series)))[:-1]
    x[-1] = 1.0
    c = (1.0 + x) / 2.0
    degrees = np.arange(stages)
    values = legendre.legvander(x, stages)
    before = np.column_stack([-np.ones(stages), values[:, : stages - 1]])
    integrals = (values[:, 1:] - before) / (2 * degrees + 1) / 2.0
    a = np.linalg.solve(values[:, :stages].T, integrals.T).T
    found = np.linalg.eig(np.linalg.inv(a))
    # By the imaginary part: the real one is in the middle, the upper ones of the pairs follow.
    order = np.argsort(np.imag(found[0]))[stages // 2 :]
    values, vectors = np.asarray(found[0])[order], np.asarray(found[1])[:, order]
    columns, numbers = [np.real(vectors[:, 0])], [np.real(values[0])]
    for k in range(1, len(order)):
        columns += [np.real(vectors[:, k]), np.imag(vectors[:, k])]
        numbers += [np.real(values[k]), np.imag(values[k])]
    transform = np.column_stack(columns)
    # Row j: the polynomial that is 1 at point j and 0 at the others and at the start, in powers 1 ... stages.
    basis = np.array([_through_origin(c, j) for j in range(stages)])
    dense = transform.T @ basis
    node = polynomial.polyfromroots(c)
    miss = polynomial.polyint(node / node[0])
    places = np.linspace(0.0, 1.0, 2001)
    term = legendre.legint(np.eye(stages + 1)[stages], lbnd=-1.0)
    largest = 0.5 * float(np.abs(legendre.legval(2.0 * places - 1.0, term)).max())
    return Collocation(
        c=c,
        transform=transform,
        inverse=np.linalg.inv(transform),
        values=np.array(numbers),
        start=basis[:, 0] @ transform,
        dense=dense,
        missed=float(np.abs(polynomial.polyval(places, miss)).max()),
        last=_NEXT * largest * stages / comb(2 * stages - 2, stages - 1) * dense[:, -1],
    )


def _through_origin(c: npt.NDArray[np.float64], j: int) -> npt.NDArray[np.float64]:
    others = np.delete(c, j)
    return polynomial.polyfromroots(others) / (c[j] * np.prod(c[j] - others))


TSIT5 = _tsit5()
RADAU = radau(7)
RODAS5P = _rodas5p()
