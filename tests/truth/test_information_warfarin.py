"""The expected information of a study of warfarin, as PopED prints it: first order, full and block-diagonal.

The study is the benchmark of Nyberg J, Bazzoli C, Ogungbenro K, et al. Methods and software tools for design evaluation
in population pharmacokinetics-pharmacodynamics studies. British Journal of Clinical Pharmacology 2015;79:6-17.
doi:10.1111/bcp.12352. The matrices are those of the manual of PopED (GitHub, andrewhooker/PopED, docs/reference): of
evaluate.fim (proportional error), of calc_ofv_and_fim and mftot0 (proportional and additive). Its residual parameters
are variances; those of this package are SDs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.model import Model

TIMES = (0.5, 1, 2, 6, 24, 36, 72, 120)
TEXT = """
title = "warfarin"
[units]
time = "h"
amount = "mg"
[parameters]
cl = { typical = 0.15, unit = "L/h", iiv = 0.07 }
v = { typical = 8, unit = "L", iiv = 0.02 }
ka = { typical = 1, unit = "1/h", iiv = 0.6 }
[routes]
oral = { into = "depot" }
[dynamics]
equations = '''
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''
[outputs]
cp = { unit = "mg/L", LAW }
"""
PROPORTIONAL, COMBINED = "prop = 0.1", "prop = 0.1, add = 0.5, combined = 2"
NAMES = ("cl", "v", "ka", "iiv.cl", "iiv.v", "iiv.ka", "cp.prop", "cp.add")
#: The block of typical values, by law and whether the matrix is full.
TYPICAL = {
    (PROPORTIONAL, False): [
        [19821.28445, -21.836551, -8.622140],
        [-21.83655, 20.656071, -1.807099],
        [-8.62214, -1.807099, 51.729039],
    ],
    (PROPORTIONAL, True): [
        [47625.234145, -341.996566, 35.504624],
        [-341.996566, 30.887205, -12.589615],
        [35.504624, -12.589615, 452.758773],
    ],
    (COMBINED, False): [
        [17141.83891, 20.838375, 10.011000],
        [20.83837, 17.268051, -3.423641],
        [10.01100, -3.423641, 49.864697],
    ],
    (COMBINED, True): [
        [19865.003641, 1.431549, 11.016119],
        [1.431549, 20.679817, -6.826283],
        [11.016119, -6.826283, 239.199604],
    ],
}
#: The block of variances: those of cl, v and ka between people, then of the residual error.
VARIANCES = {
    PROPORTIONAL: [
        [3107.768, 10.728786, 0.02613561, 521.54030],
        [10.72879, 27307.089308, 3.26560786, 11214.21071],
        [0.02613561, 3.265608, 41.81083599, 71.08764],
        [521.5403, 11214.210707, 71.08763896, 806176.95068],
    ],
    COMBINED: [
        [2324.34120373, 9.770352, 0.03523364, 726.84097, 90.627386],
        [9.77035192, 19083.877564, 11.72131703, 9656.15855, 266.487127],
        [0.03523364, 11.721317, 38.85137516, 64.78096, 2.947285],
        [726.84097215, 9656.158553, 64.78095548, 192840.20092, 6659.569867],
        [90.62738594, 266.487127, 2.94728469, 6659.56987, 475.500111],
    ],
}
#: Typical values by variances, where the matrix is full.
CROSS = {
    PROPORTIONAL: [
        [-2073.844369, -5899.486674, 4.49053810, -54419.72354],
        [-16.862802, -54.629529, -6.55031322, -1070.93366],
        [-0.833653, -43.619195, 18.65386273, 2955.92423],
    ],
    COMBINED: [
        [-708.59723999, -1875.499055, 4.61927134, -4227.06223, -470.162834],
        [-29.26097775, -86.321369, -6.13548328, -473.56041, -11.193854],
        [-0.21645901, -71.065641, 13.00805966, 716.70442, 36.702955],
    ],
}
#: Relative standard errors in percent, in the order of NAMES, and log det of the matrix of evaluate_design.
RSE = {
    (PROPORTIONAL, False): (4.738266, 2.756206, 13.925829, 25.627205, 30.344316, 25.777327, 11.170784),
    (PROPORTIONAL, True): (3.560994, 2.560413, 4.811952, 26.270324, 30.901555, 26.503936, 12.409516),
    # nlmixr2/babelmixr2, inst/poped/ex.2.e.warfarin.Ds.babelmixr2.R
    (COMBINED, False): (5.096246, 3.031164, 14.260384, 29.761226, 36.681388, 26.748640, 32.011719, 25.637971),
}
LOG_DETERMINANT = {(PROPORTIONAL, False): 52.44799, (PROPORTIONAL, True): np.log(1.220371e24),
                   (COMBINED, False): 55.39645}  # fmt: skip
#: Of elements scaled to a diagonal of 1. PopED takes differences; its full matrix is off by so much (`by_hand` below).
PRINTED = {False: 5e-8, True: 5e-6}


@lru_cache
def warfarin(law: str) -> Model:
    return Model(TEXT.replace("LAW", law))


@lru_cache
def known(law: str, full: bool) -> pkpd.Information:
    return pkpd.information(warfarin(law), pkpd.Arm("70 mg oral", TIMES, n=32), full=full)


def as_variances(law: str, full: bool) -> np.ndarray:
    """The matrix with residual variances in place of SDs: d sigma^2 = 2 sigma d sigma."""
    names = [name for name in NAMES if name != "cp.add" or law == COMBINED]
    data = known(law, full).data.sel(parameter=names, parameter_=names)
    by = [1 / (2 * value) if name.startswith("cp.") else 1.0 for name, value in zip(names, data["value"].values)]
    return data["information"].values * np.outer(by, by)


def printed(law: str, full: bool) -> np.ndarray:
    cross = np.array(CROSS[law]) * full
    return np.block([[np.array(TYPICAL[law, full]), cross], [cross.T, np.array(VARIANCES[law])]])


@pytest.mark.parametrize(("law", "full"), TYPICAL)
def test_the_matrix(law: str, full: bool):
    got, want = as_variances(law, full), printed(law, full)
    scale = np.sqrt(np.diagonal(want))
    np.testing.assert_allclose(got / np.outer(scale, scale), want / np.outer(scale, scale), atol=PRINTED[full])
    if not full:
        assert not got[:3, 3:].any()


@pytest.mark.parametrize(("law", "full"), RSE)
def test_relative_standard_errors(law: str, full: bool):
    data = known(law, full).data
    printed = np.array(RSE[law, full])
    got = data["rse"].sel(parameter=list(NAMES[: printed.size])).values
    got[6:] *= 2  # of a variance twice that of its SD
    np.testing.assert_allclose(got, printed, rtol=1e-6)


@pytest.mark.parametrize(("law", "full"), LOG_DETERMINANT)
def test_determinants(law: str, full: bool):
    sign, log = np.linalg.slogdet(as_variances(law, full))
    assert sign == 1
    assert log == pytest.approx(LOG_DETERMINANT[law, full], abs=2e-6 if not full else 1e-5)
    own = known(law, full)
    _, natural = np.linalg.slogdet(own.data["information"].values)
    assert own.criterion() == pytest.approx(np.exp(natural / own.data.sizes["parameter"]), rel=1e-12)


def test_residual_standard_deviations():
    """The block-diagonal matrix by SDs, as evaluate.fim with fim.calc.type 4 prints it."""
    data = known(PROPORTIONAL, False).data
    got = data["information"].sel(parameter="cp.prop", parameter_=["iiv.cl", "iiv.v", "iiv.ka", "cp.prop"]).values
    np.testing.assert_allclose(got, [104.30806, 2242.84214, 14.21753, 32247.07803], rtol=1e-6)
    assert float(data["rse"].sel(parameter="cp.prop")) == pytest.approx(5.585392, rel=1e-6)


def by_hand(law: str) -> np.ndarray:
    """The full matrix from the closed form of the model, differentiated by SymPy, in the order of NAMES."""
    import sympy

    cl, v, ka, e1, e2, e3, t, a, b, o1, o2, o3 = symbols = sympy.symbols(
        "cl v ka e1 e2 e3 t a b o1 o2 o3", positive=True
    )
    own = {cl: cl * sympy.exp(e1), v: v * sympy.exp(e2), ka: ka * sympy.exp(e3)}
    f = (70 * ka / (v * (ka - cl / v)) * (sympy.exp(-cl / v * t) - sympy.exp(-ka * t))).subs(own, simultaneous=True)
    typical = {e1: 0, e2: 0, e3: 0}
    g = [sympy.diff(f, e).subs(typical) for e in (e1, e2, e3)]
    f = f.subs(typical)
    at = {cl: 0.15, v: 8, ka: 1, o1: 0.07, o2: 0.02, o3: 0.6, a: 0.01, b: 0.25 if "add" in law else 0}

    def along_times(expression: sympy.Expr) -> np.ndarray:
        found = sympy.lambdify([*symbols], expression, "numpy")
        values = [at.get(s, 0.0) for s in symbols]
        values[symbols.index(t)] = np.array(TIMES)
        return np.broadcast_to(found(*values), (len(TIMES),)).astype(float)

    quantities = (cl, v, ka, o1, o2, o3, a, b)[: 8 if "add" in law else 7]
    residual = a * f**2 + b
    lines = np.array([along_times(one) for one in g]).T
    omega = np.diag([0.07, 0.02, 0.6])
    variance = lines @ omega @ lines.T + np.diag(along_times(residual))
    mean, moved = [], []
    for q in quantities:
        mean.append(along_times(sympy.diff(f, q)))
        d_lines = np.array([along_times(sympy.diff(one, q)) for one in g]).T
        d_omega = np.diag([float(q == o) for o in (o1, o2, o3)])
        own = d_lines @ omega @ lines.T
        moved.append(own + own.T + lines @ d_omega @ lines.T + np.diag(along_times(sympy.diff(residual, q))))
    inverse = np.linalg.inv(variance)
    half = [inverse @ one for one in moved]
    p = len(quantities)
    return 32 * np.array(
        [[mean[i] @ inverse @ mean[j] + 0.5 * np.trace(half[i] @ half[j]) for j in range(p)] for i in range(p)]
    )


@pytest.mark.parametrize("law", [PROPORTIONAL, COMBINED])
def test_the_full_matrix_by_hand(law: str):
    want = by_hand(law)
    scale = np.sqrt(np.diagonal(want))
    np.testing.assert_allclose(
        as_variances(law, True) / np.outer(scale, scale), want / np.outer(scale, scale), atol=2e-8
    )
