"""Densities of records: derivatives against numbers of 60 digits, masses, information, limits."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd.errors import MismatchError
from pkpd.likelihood import Density
from pkpd.model import Output
from tests.likelihood.reference import LAWS, density, exact, reference
from tests.truth.digits import check_printed

METHODS = ("M1", "M2", "M3", "M4")
DFS = (None, 4.0, 12.5)
CENSORED = {"seen": 0, "below": 1, "above": -1, "between": 1}
LN2PI = np.log(2 * np.pi)


def records(law: str, kind: str, n: int, *, method: str, df: float | None, dv: float = 2.0):
    """Give a density of n like records; LLOQ 1, ULOQ 9 where they matter."""
    lloq = {"seen": 0.8, "below": dv, "above": 0.8, "between": 0.7 * dv}[kind]
    return density(
        LAWS[law], dv=np.full(n, dv), cens=np.full(n, CENSORED[kind]), lloq=np.full(n, lloq), method=method, df=df
    )


# -- against the formulas, written out again with 60 digits -----------------------------------------------------------


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", CENSORED)
@pytest.mark.parametrize("law", LAWS)
def test_value_gradient_and_hessian(law, kind, method, df):
    about, psi = records(law, kind, 1, method=method, df=df)
    f = np.array([1.7])
    got = about.terms(f, psi, order=2)
    want = exact(about, 0, f[0], psi)
    np.testing.assert_allclose(got.value[0], want[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(got.v[0], want[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.vv[0], want[2], rtol=1e-9, atol=1e-11)


@given(
    law=st.sampled_from(sorted(LAWS)),
    kind=st.sampled_from(sorted(CENSORED)),
    method=st.sampled_from(METHODS),
    df=st.sampled_from(DFS),
    f=st.floats(0.05, 30.0),
    dv=st.floats(1.0, 8.0),
    scale=st.floats(0.3, 3.0),
)
@settings(max_examples=60, deadline=None)
def test_random_values(law, kind, method, df, f, dv, scale):
    about, psi = records(law, kind, 1, method=method, df=df, dv=dv)
    psi = psi * scale
    got = about.terms(np.array([f]), psi, order=2)
    value, v, vv = exact(about, 0, f, psi)
    np.testing.assert_allclose(got.value[0], value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.v[0], v, rtol=1e-8, atol=1e-11 * (1 + np.abs(v).max()))
    np.testing.assert_allclose(got.vv[0], vv, rtol=1e-8, atol=1e-10 * (1 + np.abs(vv).max()))


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", CENSORED)
@pytest.mark.parametrize("law", LAWS)
def test_derivative_of_the_information(law, kind, method, df):
    f = np.array([0.1, 0.4, 1.3, 2.4, 6.0])
    about, psi = records(law, kind, f.size, method=method, df=df)
    psi = np.broadcast_to(psi, (f.size, psi.size))
    got = about.terms(f, psi, order=3).dinfo
    v = np.column_stack([f, psi])
    for place in range(v.shape[1]):
        want, rougher = (differences(about, v, place, step) for step in (5e-4, 1e-3))
        size = 1 + np.abs(want).max(axis=(1, 2), keepdims=True)
        smooth = np.ones(f.size, dtype=bool)
        if df and kind != "seen":  # the information of t is cut off at 0 far out
            smooth = (np.abs(want - rougher) < 1e-6 * size).all(axis=(1, 2))
            assert smooth.sum() >= 3
        np.testing.assert_allclose((got[..., place] / size)[smooth], (want / size)[smooth], rtol=1e-6, atol=2e-8)


def differences(about: Density, v: np.ndarray, place: int, step: float) -> np.ndarray:
    """Give the derivative of the information by central differences of order 6."""
    h, total = step * v[:, place], 0
    for steps, weight in {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}.items():
        for sign in (1, -1):
            at = v.copy()
            at[:, place] += sign * steps * h
            total += sign * weight * about.terms(at[:, 0], at[:, 1:], order=2).info
    return total / h[:, None, None]


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("distance", [-40.0, -12.0, -5.0, -1.0, 0.0, 1.0, 5.0, 12.0, 40.0])
@pytest.mark.parametrize("kind", ["below", "above", "between", "narrow", "seen"])
@pytest.mark.parametrize("method", ["M2", "M3", "M4"])
def test_tails(method, kind, distance, df):
    # the prediction lies `distance` SDs from the limit 1
    dv, cens, lloq = {
        "below": (1.0, 1, np.nan),
        "above": (1.0, -1, np.nan),
        "between": (1.0, 1, 0.5),
        "narrow": (1.0, 1, 1 - 1e-5),
        "seen": (1.25, 0, 1.0),
    }[kind]
    about, psi = density(
        Output(name="y", add=0.5), dv=np.array([dv]), cens=np.array([cens]), lloq=np.array([lloq]), method=method, df=df
    )
    f = np.array([1 + 0.5 * distance])
    got = about.terms(f, psi, order=3)
    value, v, vv = exact(about, 0, f[0], psi)
    assert all(np.isfinite(part).all() for part in (got.value, got.v, got.vv, got.info, got.dinfo))
    np.testing.assert_allclose(got.value[0], value, rtol=1e-11, atol=1e-14)
    size = np.abs(v).max() if kind != "seen" and method == "M3" else np.abs(v).max() + 100
    np.testing.assert_allclose(got.v[0], v, rtol=1e-11, atol=1e-13 * size)
    size = np.abs(vv).max() if kind != "seen" and method == "M3" else np.abs(vv).max() + 1e5
    np.testing.assert_allclose(got.vv[0], vv, rtol=1e-8, atol=1e-12 * size)


def test_a_probability_keeps_its_digits_where_it_nearly_is_one():
    about, psi = density(Output(name="y", add=0.5), dv=np.ones(1), cens=np.ones(1, dtype=int), method="M3")
    got = about.terms(np.array([1 - 0.5 * 30]), psi, order=1)
    want = exact(about, 0, 1 - 0.5 * 30, psi, digits=260)
    np.testing.assert_allclose(got.value, want[0], rtol=1e-13, atol=0)
    np.testing.assert_allclose(got.v[0], want[1], rtol=1e-12, atol=0)


# -- numbers from outside ---------------------------------------------------------------------------------------------


def test_reference_numbers():
    # Records below a limit of quantification: f 1.2, SD 0.5, LLOQ 1.
    output, f = Output(name="y", add=0.5), np.array([1.2, 1.2])
    dv, cens, lloq = np.array([1.0, 1.5]), np.array([1, 0]), np.ones(2)
    value = {}
    for method in ("M2", "M3", "M4"):
        about, psi = density(output, dv=dv, cens=cens, lloq=lloq, method=method)
        value[method] = about.terms(f, psi).value
    check_printed(
        {
            "M3": np.exp(value["M3"][0]),
            "M4": np.exp(value["M4"][0]),
            "M2": np.exp(value["M2"][1] - LN2PI / 2),  # a density lacks the constant
        },
        {"M3": "0.3445783", "M4": "0.3391610", "M2": "1.0168250"},
    )


def test_many_degrees_of_freedom_are_the_normal_law():
    y, f = np.array([0.5, 1.0, 1.3, 2.0]), np.full(4, 1.1)
    cens = np.array([0, 1, -1, 0])
    normal, psi = density(Output(name="y", prop=0.3), dv=y, cens=cens, method="M4")
    t, _ = density(Output(name="y", prop=0.3), dv=y, cens=cens, method="M4", df=1e9)
    ours, theirs = normal.terms(f, psi, order=3), t.terms(f, psi, order=3)
    for name in ("value", "v", "vv", "info", "dinfo"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-6, atol=1e-6)


# -- masses -----------------------------------------------------------------------------------------------------------

NODES, WEIGHTS = np.polynomial.legendre.leggauss(4000)


def over(lower: float, upper: float, m: float, g: float) -> tuple[np.ndarray, np.ndarray]:
    """Give nodes and weights for integrals over y, whose tails may be long: y = m + g sinh t."""
    ends = np.arcsinh((np.clip([lower, upper], m - 1e9 * g, m + 1e9 * g) - m) / g)
    t = 0.5 * (ends[1] - ends[0]) * NODES + 0.5 * ends.sum()
    return m + g * np.sinh(t), 0.5 * (ends[1] - ends[0]) * WEIGHTS * g * np.cosh(t)


def known(law: str, y: np.ndarray, f: float, *, method: str = "M3", df: float | None, lloq: float = np.nan):
    """Give the density of records that were seen, their residual parameters and predictions."""
    nobody = np.zeros(y.size, dtype=int)
    about, psi = density(LAWS[law], dv=y, cens=nobody, lloq=np.full(y.size, lloq), method=method, df=df)
    return about, psi, np.full(y.size, f)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("law", LAWS)
def test_density_and_probability_of_what_is_censored_make_one(law, df):
    f, lloq, uloq = 1.7, 1.0, 2.5
    low, high = np.log([lloq, uloq]) if law == "log-normal" else (lloq, uloq)
    x, w = over(low, high, np.log(f) if law == "log-normal" else f, 0.3)
    about, psi, fs = known(law, np.exp(x) if law == "log-normal" else x, f, df=df)
    of_y = np.clip(x, None, 700) if law == "log-normal" else 0.0  # dy = y dx
    inside = (w * np.exp(about.terms(fs, psi).value - LN2PI / 2 + of_y)).sum()
    censored, _ = density(LAWS[law], dv=np.array([lloq, uloq]), cens=np.array([1, -1]), method="M3", df=df)
    beyond = np.exp(censored.terms(fs[:2], psi).value).sum()
    assert inside + beyond == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("law", LAWS)
def test_m4_makes_one_above_zero(law, df):
    f, lloq = 0.9, 0.7
    low = np.log(lloq) if law == "log-normal" else lloq
    x, w = over(low, np.inf, np.log(f) if law == "log-normal" else f, 0.3)
    about, psi, fs = known(law, np.exp(np.clip(x, None, 700)) if law == "log-normal" else x, f, df=df, method="M4")
    of_y = np.clip(x, None, 700) if law == "log-normal" else 0.0  # dy = y dx
    inside = (w * np.exp(about.terms(fs, psi).value - LN2PI / 2 + of_y)).sum()
    censored, _ = density(LAWS[law], dv=np.array([lloq]), cens=np.array([1]), method="M4", df=df)
    missed = 1e-2 if law == "log-normal" and df else 1e-9  # exp() cuts off the long tail of t
    assert inside + np.exp(censored.terms(fs[:1], psi).value[0]) == pytest.approx(1, abs=missed)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("law", sorted(set(LAWS) - {"log-normal"}))
def test_m2_makes_one_above_the_limit(law, df):
    f, lloq = 0.9, 0.7
    x, w = over(lloq, np.inf, f, 0.3)
    about, psi, fs = known(law, x, f, df=df, method="M2", lloq=lloq)
    assert (w * np.exp(about.terms(fs, psi).value - LN2PI / 2)).sum() == pytest.approx(1, abs=1e-9)


# -- information ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["M3", "M2", "M4"])
@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("f", [0.2, 1.0, 2.5])
def test_information_of_what_was_seen_is_the_expected_one(f, df, method):
    # With an additive error v is (location, scale), and all second derivatives are those of the law.
    lloq = 0.7
    low = {"M3": -np.inf, "M2": lloq, "M4": 0.0}[method]
    x, w = over(low, np.inf, f, 0.3)
    about, psi, fs = known("additive", x, f, df=df, method=method, lloq=lloq)
    got = about.terms(fs, psi, order=2)
    p = w * np.exp(got.value - LN2PI / 2)
    np.testing.assert_allclose((p[:, None] * got.v).sum(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(-(p[:, None, None] * got.vv).sum(axis=0), got.info[0], rtol=1e-7, atol=1e-7)
    scores = got.v[:, :, None] * got.v[:, None, :]
    np.testing.assert_allclose((p[:, None, None] * scores).sum(axis=0), got.info[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("law", sorted(set(LAWS) - {"log-normal"}))
@pytest.mark.parametrize("df", DFS)
def test_expected_information_of_every_law(law, df):
    x, w = over(-np.inf, np.inf, 1.7, 0.3)
    about, psi, fs = known(law, x, 1.7, df=df)
    got = about.terms(fs, psi, order=2)
    p = w * np.exp(got.value - LN2PI / 2)
    np.testing.assert_allclose(-(p[:, None, None] * got.vv).sum(axis=0), got.info[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "kind, method", [("below", "M3"), ("below", "M4"), ("above", "M3"), ("between", "M3"), ("between", "M4")]
)
def test_information_of_a_censored_record_is_observed_in_linear_coordinates(kind, method):
    # about (m / g, 1 / g) = (a, b): minus the Hessian there, put back to (m, g) by first derivatives
    about, psi = records("additive", kind, 1, method=method, df=None)
    f, g = 1.7, psi[0]
    log_mass = reference(about, 0)
    with mp.workdps(60):
        a, b = mp.mpf(f) / mp.mpf(g), 1 / mp.mpf(g)
        bends = [float(mp.diff(lambda a, b: log_mass(a / b, [1 / b]), (a, b), (2 - k, k))) for k in range(3)]
    hessian = np.array([bends[:2], bends[1:]])
    slope = np.array([[1 / g, -f / g**2], [0, -1 / g**2]])
    got = about.terms(np.array([f]), psi, order=2)
    np.testing.assert_allclose(got.info[0], -slope.T @ hessian @ slope, rtol=1e-9, atol=1e-12)
    assert got.info[0, 0, 0] == pytest.approx(-got.vv[0, 0, 0], rel=1e-13)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("distance", [-3.0, 0.5, 2.9, 3.1, 8.0, 40.0])
def test_information_above_a_limit_and_below_one_is_the_same_turned_over(distance, df):
    output, away = Output(name="y", add=0.5), np.array([0.5 * distance])
    above, psi = density(output, dv=np.array([1.3]), cens=np.array([0]), lloq=np.ones(1), method="M2", df=df)
    below = replace(above, observed=-above.observed, floor=-above.ceiling, ceiling=-above.floor)
    one, other = above.terms(1 - away, psi, order=3), below.terms(-1 + away, psi, order=3)
    turn = np.array([-1.0, 1.0])
    np.testing.assert_allclose(other.value, one.value, rtol=1e-13)
    np.testing.assert_allclose(other.v, one.v * turn, rtol=1e-12)
    np.testing.assert_allclose(other.vv, one.vv * np.outer(turn, turn), rtol=1e-12)
    np.testing.assert_allclose(other.info, one.info * np.outer(turn, turn), rtol=1e-12)
    np.testing.assert_allclose(other.dinfo, one.dinfo * turn[:, None, None] * turn[:, None] * turn, rtol=1e-11)


@pytest.mark.parametrize("z", [2.5, 10.0, 40.0])
def test_information_of_what_is_seen_far_out_keeps_its_digits(z):
    # E[s s'] of z and z², by moments of the truncated normal with 80 digits
    about, psi = density(
        Output(name="y", add=0.5), dv=np.array([1.3]), cens=np.array([0]), lloq=np.ones(1), method="M2"
    )
    f = 1 - 0.5 * z
    got = about.terms(np.array([f]), psi, order=3)

    def information(m, g):
        a = (1 - m) / g
        m1 = mp.npdf(a) / mp.ncdf(-a)
        m2, m3, m4 = 1 + a * m1, (2 + a**2) * m1, 3 + (3 * a + a**3) * m1
        return [(m2 - m1**2) / g**2, (m3 - m1 * m2) / g**2, (m4 - m2**2) / g**2]

    with mp.workdps(80):
        at = mp.mpf(f), mp.mpf(psi[0])
        want = [float(entry) for entry in information(*at)]
        changes = [
            [float(mp.diff(lambda *x, k=k: information(*x)[k], at, order)) for order in ((1, 0), (0, 1))]
            for k in range(3)
        ]
    np.testing.assert_allclose(got.info[0].ravel()[[0, 1, 3]], want, rtol=1e-12)
    np.testing.assert_allclose(got.dinfo[0].reshape(4, 2)[[0, 1, 3]], changes, rtol=1e-9)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("method", METHODS)
def test_information_is_positive_semidefinite(law, df, method):
    f = np.geomspace(1e-3, 1e3, 61)
    for kind in CENSORED:
        about, psi = records(law, kind, f.size, method=method, df=df)
        info = about.terms(f, psi, order=2).info
        info = info[np.isfinite(info).all(axis=(1, 2))]
        eigen = np.linalg.eigvalsh(info)
        assert info.shape[0] > 40
        assert (eigen[:, 0] >= -1e-9 * np.abs(eigen).max(axis=1) - 1e-12).all()


# -- what is refused, left out, drawn ---------------------------------------------------------------------------------


def test_what_has_no_density_is_minus_infinity_with_derivatives_nan():
    cases = {
        "log-normal": ([-1.0, 0.0, np.nan, 1.0], [True, True, True, False]),
        "additive": ([np.nan, np.inf, 0.0, 1.0], [True, True, False, False]),
        "proportional": ([0.0, np.nan, 1.0, -1.0], [True, True, False, False]),
    }
    for law, (f, bad) in cases.items():
        for kind in ("seen", "below"):
            about, psi = records(law, kind, 4, method="M3", df=None)
            got = about.terms(np.array(f), psi, order=3)
            np.testing.assert_array_equal(np.isneginf(got.value), bad)
            for part in (got.v, got.vv, got.info, got.dinfo):
                np.testing.assert_array_equal(np.isnan(part).all(axis=tuple(range(1, part.ndim))), bad)
                assert np.isfinite(part[~np.array(bad)]).all()
    about, _ = records("additive", "seen", 2, method="M3", df=None)
    for add in (0.0, -1.0, np.nan):
        assert np.isneginf(about.terms(np.ones(2), np.array([add])).value).all()


def test_what_is_outside_its_range_is_impossible():
    about, psi = density(Output(name="y", add=1), dv=np.array([-0.1, 0.1]), cens=np.zeros(2, dtype=int), method="M4")
    got = about.terms(np.ones(2), psi, order=2)
    np.testing.assert_array_equal(np.isneginf(got.value), [True, False])
    about, psi = density(LAWS["log-normal"], dv=np.array([0.0, 1.0]), cens=np.ones(2, dtype=int), method="M3")
    np.testing.assert_array_equal(np.isneginf(about.terms(np.ones(2), psi).value), [True, False])


def test_left_out_records_say_nothing():
    for method in ("M1", "M2"):
        about, psi = records("combined 2", "below", 3, method=method, df=None)
        got = about.terms(np.array([1.0, np.nan, 0.0]), psi, order=3)
        for part in (got.value, got.v, got.vv, got.info, got.dinfo):
            np.testing.assert_array_equal(part, 0)


def test_m2_takes_the_limit_of_the_censored_records_of_the_output():
    dv, cens = np.array([1.0, 3.0, 5.0]), np.array([1, 0, 0])
    about, _ = density(Output(name="y", add=1), dv=dv, cens=cens, method="M2")
    np.testing.assert_array_equal(about.floor, 1)
    np.testing.assert_array_equal(about.ceiling, np.inf)
    both, _ = density(
        Output(name="y", add=1), dv=np.array([1.0, 9.0, 5.0]), cens=np.array([1, -1, 0]), uloq=np.full(3, 9.0),
        method="M2",
    )  # fmt: skip
    np.testing.assert_array_equal(both.ceiling, 9)
    with pytest.raises(MismatchError, match="censored at 2 limits"):
        density(Output(name="y", add=1), dv=np.array([1.0, 2.0, 5.0]), cens=np.array([1, 1, 0]), method="M2")


def test_wrong_choices_are_refused():
    dv, cens = np.ones(1), np.zeros(1, dtype=int)
    with pytest.raises(MismatchError, match="M5"):
        density(Output(name="y", add=1), dv=dv, cens=cens, method="M5")
    with pytest.raises(MismatchError, match="degrees of freedom"):
        density(Output(name="y", add=1), dv=dv, cens=cens, method="M3", df=-1.0)


def test_changes_may_be_negative_under_m4():
    about, psi = density(
        Output(name="y", unit="%", add=10), dv=np.array([-20.0]), cens=np.array([0]), ref=np.array([0.0]), method="M4"
    )
    assert np.isfinite(about.terms(np.array([-15.0]), psi).value).all()


def test_mean_of_several_people_and_published_sd():
    about, psi = density(
        Output(name="y", prop=0.4), dv=np.array([1.5, 1.5, 1.0]), cens=np.array([0, 0, 1]),
        error=np.array([np.nan, 0.2, 0.2]), count=np.array([4.0, 1.0, 1.0]), method="M3",
    )  # fmt: skip
    got = about.terms(np.full(3, 1.2), psi, order=2)
    np.testing.assert_allclose(got.value[0], -0.5 * (0.3 / 0.24) ** 2 - np.log(0.24), rtol=1e-13)
    np.testing.assert_allclose(got.value[1], -0.5 * (0.3 / 0.2) ** 2 - np.log(0.2), rtol=1e-13)
    np.testing.assert_allclose(got.value[2], float(mp.log(mp.ncdf(-1))), rtol=1e-13)
    assert not got.v[1:, 1].any()


def test_several_outputs_each_with_its_law():
    laws = [Output(name="a", prop=0.3), Output(name="b", log=0.2), Output(name="c", add=0.5, prop=0.1)]
    output = np.array([2, 0, 1, 0, 1, 2])
    dv, cens = np.array([1.2, 2.0, 3.0, 1.0, 1.0, 1.0]), np.array([0, 0, 0, 1, 1, -1])
    about, psi = density(laws, dv=dv, cens=cens, output=output, method="M3", df=[None, 5.0, None])
    f = np.array([1.0, 1.5, 2.5, 1.1, 1.2, 1.3])
    got = about.terms(f, psi, order=3)
    for k in range(f.size):
        value, v, vv = exact(about, k, f[k], psi)
        np.testing.assert_allclose(got.value[k], value, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(got.v[k], v, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(got.vv[k], vv, rtol=1e-10, atol=1e-12)
    one = about.subset([4, 1]).terms(f[[4, 1]], psi, order=3)
    for name in ("value", "v", "vv", "info", "dinfo"):
        np.testing.assert_array_equal(getattr(one, name), getattr(got, name)[[4, 1]])
    assert about.log_jacobian.sum() == pytest.approx(-np.log(3.0))  # a censored record has a probability
    np.testing.assert_array_equal(about.points, cens == 0)


def test_draws_follow_the_cdf():
    laws = [Output(name="a", prop=0.3), Output(name="b", log=0.2), Output(name="c", add=0.5, prop=0.1)]
    n = 30_000
    output = np.repeat([0, 1, 2], n // 3)
    about, psi = density(
        laws, dv=np.ones(n), cens=np.zeros(n, dtype=int), output=output, method="M3", df=[None, None, 4.0]
    )
    f = np.linspace(0.5, 3.0, n)
    u = np.random.default_rng(7).uniform(size=n)
    y = about.draw(f, psi, u)
    less, p = about.cdf(y, f, psi)
    np.testing.assert_array_equal(less, p)
    np.testing.assert_allclose(p, u, rtol=1e-9)
    for k in range(3):
        seen = np.sort(p[output == k])
        assert np.abs(seen - (np.arange(seen.size) + 0.5) / seen.size).max() < 1.95 / np.sqrt(seen.size)  # KS, 0.1 %
    assert (y[output == 1] > 0).all()
    assert about.cdf(np.zeros(n), f, psi)[1][output == 1].max() == 0
    bad = np.where(np.arange(n) % 2, np.nan, f)
    np.testing.assert_array_equal(np.isnan(about.draw(bad, psi, u)), np.isnan(bad))
    np.testing.assert_array_equal(np.isnan(about.cdf(y, bad, psi)[1]), np.isnan(bad))


def test_records_are_independent_of_each_other():
    about, psi = records("combined 1", "between", 4, method="M4", df=None)
    f = np.array([0.5, 1.0, 2.0, 4.0])
    psis = psi * np.array([0.5, 1, 2, 3])[:, None]
    whole = about.terms(f, psis, order=3)
    for k in range(4):
        one = about.subset([k]).terms(f[[k]], psis[k], order=3)
        for name in ("value", "v", "vv", "info", "dinfo"):
            np.testing.assert_array_equal(getattr(one, name)[0], getattr(whole, name)[k])


def test_a_censored_copy_is_what_it_replaces_where_the_interval_is_short():
    # the probability of a short interval is its width times the density in it
    about, psi = records("combined 2", "seen", 1, method="M3", df=None)
    width = 1e-6
    short = replace(
        about, censored=np.array([True]), lower=about.observed - width / 2, upper=about.observed + width / 2
    )
    f = np.array([1.7])
    seen, between = about.terms(f, psi, order=2), short.terms(f, psi, order=2)
    np.testing.assert_allclose(between.value, seen.value + np.log(width) - LN2PI / 2, atol=1e-11)
    np.testing.assert_allclose(between.v, seen.v, rtol=1e-9)
    np.testing.assert_allclose(between.vv, seen.vv, rtol=1e-9)
