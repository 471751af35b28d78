"""Residual laws: their formulas, and their derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import lognorm, norm

from pkpd.likelihood import Law, Residuals, log_density
from pkpd.model import Output

# law: (output, its SD written out again)
LAWS = {
    "additive": (Output(name="y", add=0.3), lambda f: 0.3 + 0 * f),
    "proportional": (Output(name="y", prop=0.2), lambda f: 0.2 * abs(f)),
    "power": (Output(name="y", prop=0.2, power=0.7), lambda f: 0.2 * abs(f) ** 0.7),
    "combined 1": (Output(name="y", add=0.3, prop=0.2, combined=1), lambda f: 0.3 + 0.2 * abs(f)),
    "combined 2": (Output(name="y", add=0.3, prop=0.2), lambda f: (0.09 + 0.04 * f**2) ** 0.5),
    "combined 1, power": (
        Output(name="y", add=0.3, prop=0.2, power=0.7, combined=1),
        lambda f: 0.3 + 0.2 * abs(f) ** 0.7,
    ),
    "combined 2, power": (Output(name="y", add=0.3, prop=0.2, power=0.7), lambda f: np.hypot(0.3, 0.2 * abs(f) ** 0.7)),
}
F = np.array([0.01, 0.5, 1.0, 7.3, 250.0])


def residuals(output: Output, n: int, **columns) -> tuple[Residuals, np.ndarray]:
    values = output.residual_values
    places = {name: k for k, name in enumerate(values)}
    laws = Residuals(
        names=tuple(places),
        laws=(Law.of(output, places),),
        output=np.zeros(n, dtype=int),
        known=columns.get("known", np.full(n, np.nan)),
        people=columns.get("people", np.ones(n)),
    )
    return laws, np.array(list(values.values()))


@pytest.mark.parametrize("name", LAWS)
def test_sd_of_every_law(name):
    output, formula = LAWS[name]
    laws, psi = residuals(output, F.size)
    np.testing.assert_allclose(laws.spread(F, psi).sd, formula(F), rtol=1e-14)
    np.testing.assert_allclose(laws.spread(F, psi).mean, F)


@pytest.mark.parametrize("name", [*LAWS, "log-normal"])
def test_derivatives_of_every_law(name):
    output = LAWS[name][0] if name in LAWS else Output(name="y", log=0.25)
    laws, psi = residuals(output, F.size)
    at = laws.spread(F, psi)
    h = 1e-6 * F
    up, down = laws.spread(F + h, psi), laws.spread(F - h, psi)
    np.testing.assert_allclose(at.mean_f, (up.mean - down.mean) / (2 * h), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(at.sd_f, (up.sd - down.sd) / (2 * h), rtol=1e-6, atol=1e-8)
    for r in range(psi.size):
        step = np.zeros(psi.size)
        step[r] = 1e-6
        difference = (laws.spread(F, psi + step).sd - laws.spread(F, psi - step).sd) / 2e-6
        np.testing.assert_allclose(at.sd_psi[:, r], difference, rtol=1e-6, atol=1e-8)


def test_negative_predictions_scatter_like_positive_ones():
    laws, psi = residuals(Output(name="y", add=0.3, prop=0.2), 2)
    at = laws.spread(np.array([-4.0, 4.0]), psi)
    assert at.sd[0] == at.sd[1]
    assert at.sd_f[0] == -at.sd_f[1]


def test_a_prediction_of_zero_has_finite_derivatives():
    for output, _ in LAWS.values():
        laws, psi = residuals(output, 1)
        at = laws.spread(np.zeros(1), psi)
        assert np.isfinite(at.sd).all()
        assert np.isfinite(at.sd_psi).all()


def test_density_is_the_normal_one():
    laws, psi = residuals(Output(name="y", add=0.3, prop=0.2), F.size)
    y = F * 1.1 + 0.1
    constant = -0.5 * np.log(2 * np.pi)
    want = norm.logpdf(y, F, np.hypot(0.3, 0.2 * F))
    np.testing.assert_allclose(log_density(laws.observed(y), laws.spread(F, psi)) + constant, want)


def test_density_of_the_log_normal_law_of_y_itself():
    laws, psi = residuals(Output(name="y", log=0.25), F.size)
    y = F * 1.1
    ours = -2 * log_density(laws.observed(y), laws.spread(F, psi)).sum() + laws.log_jacobian(y)
    want = -2 * lognorm.logpdf(y, 0.25, scale=F).sum() - F.size * np.log(2 * np.pi)
    assert ours == pytest.approx(want)


def test_a_mean_of_n_people_scatters_less():
    laws, psi = residuals(Output(name="y", add=0.3, prop=0.2), 2, people=np.array([1.0, 16.0]))
    at = laws.spread(np.array([5.0, 5.0]), psi)
    assert at.sd[1] == pytest.approx(at.sd[0] / 4)
    np.testing.assert_allclose(at.sd_psi[1], at.sd_psi[0] / 4)


def test_a_published_sd_stands_in_for_the_law():
    laws, psi = residuals(Output(name="y", log=0.25), 2, known=np.array([np.nan, 0.8]))
    at = laws.spread(np.array([5.0, 5.0]), psi)
    np.testing.assert_allclose(at.mean, [np.log(5), 5])
    np.testing.assert_allclose(at.sd, [0.25, 0.8])
    np.testing.assert_allclose(at.sd_psi[1], 0)
    np.testing.assert_array_equal(laws.logarithmic, [True, False])
    assert laws.log_jacobian(np.array([5.0, 5.0])) == pytest.approx(2 * np.log(5))


def test_each_record_may_have_its_own_parameters():
    laws, _ = residuals(Output(name="y", add=0.3), 3)
    own = np.array([[0.1], [0.2], [0.3]])
    np.testing.assert_allclose(laws.spread(np.ones(3), own).sd, [0.1, 0.2, 0.3])


def test_which_parameters_are_used():
    a, b = Output(name="a", add=1.0), Output(name="b", prop=0.1)
    places = {"a.add": 0, "b.prop": 1}
    laws = Residuals(
        names=tuple(places),
        laws=(Law.of(a, places), Law.of(b, places)),
        output=np.array([0, 0, 1]),
        known=np.array([np.nan, np.nan, 0.5]),
        people=np.ones(3),
    )
    assert laws.used == (True, False)
    assert not laws.follow_prediction
    assert laws.has_known
    assert laws.subset([2]).used == (False, False)


@pytest.mark.parametrize("name", [*LAWS, "log-normal"])
def test_second_derivatives_of_every_law(name):
    output = LAWS[name][0] if name in LAWS else Output(name="y", log=0.25)
    laws, psi = residuals(output, F.size)
    v = np.column_stack([F, np.broadcast_to(psi, (F.size, psi.size))])
    at = laws.spread(F, psi, second=True)
    for place in range(v.shape[1]):
        h = 1e-6 * v[:, place]
        up, down = v.copy(), v.copy()
        up[:, place] += h
        down[:, place] -= h
        high, low = (laws.spread(w[:, 0], w[:, 1:]) for w in (up, down))
        slopes = [np.column_stack([s.sd_f, s.sd_psi]) for s in (high, low)]
        np.testing.assert_allclose(at.sd_vv[:, place], (slopes[0] - slopes[1]) / (2 * h)[:, None], rtol=1e-6, atol=1e-7)
        if place == 0:
            np.testing.assert_allclose(at.mean_ff, (high.mean_f - low.mean_f) / (2 * h), rtol=1e-6, atol=1e-9)
    assert laws.spread(F, psi).sd_vv is None


def test_second_derivatives_at_a_prediction_of_zero_are_finite():
    for output, _ in LAWS.values():
        laws, psi = residuals(output, 1)
        assert np.isfinite(laws.spread(np.zeros(1), psi, second=True).sd_vv).all()
