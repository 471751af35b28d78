"""Profiles, bootstraps and SIR of fits by SAEM, and of fits with occasions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

import pkpd
from pkpd.errors import CannotFit
from pkpd.estimation import FOCE, SAEM
from pkpd.estimation.recall import recall
from pkpd.likelihood.redraw import simulate_population
from pkpd.model import Model
from tests.estimation.test_bootstrap import refit
from tests.one_way import QUANTILE, Exact, as_data, drawn, one_way_model

Y = drawn(4, 10, 3)
NESTED = """
name = "nested"
[parameters]
theta = { typical = 8.0, transform = "none", iiv = 1.0, iov = 1.0 }
[dynamics]
equations = "y = theta + 0 * t"
[outputs]
y = { add = 0.7 }
"""
PEOPLE, OCCASIONS, RECORDS = 16, 3, 4


@pytest.fixture(scope="module")
def by_saem() -> tuple[pkpd.Fit, pkpd.Dataset]:
    data = as_data(Y)
    return pkpd.fit(one_way_model(), data, SAEM(seed=1)), data


def test_profiles_of_saem_end_where_the_exact_likelihood_says(by_saem):
    fit, data = by_saem
    exact, found = Exact(Y), pkpd.profile(fit, data, interval="profile")
    ends = {"theta": exact.theta_ends(), "y.add": exact.sigma_ends(), "iiv.theta": exact.omega2_ends()}
    for name, (low, high) in ends.items():
        own = found["profile"].sel(parameter=name)
        assert (own["lower"].item(), own["upper"].item()) == pytest.approx((low, high), rel=1e-5)
    assert "Around the minimum of -2 log L by adaptive quadrature with 9 nodes" in str(found)
    np.testing.assert_array_equal(found.estimates.value.values, fit.estimates.value.values)


def test_bootstrap_of_saem_fits_the_exact_likelihood(by_saem):
    fit, data = by_saem
    found = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=6))
    known = recall(fit, data, "test")
    assert found["bootstrap"].attrs["failed"] == 0
    by_foce = pkpd.bootstrap(pkpd.fit(one_way_model(), data, FOCE()), data, pkpd.Bootstrap(seed=1, draws=6))
    # The same subjects are drawn, and of straight lines every method is exact.
    np.testing.assert_array_equal(found["bootstrap"]["hash"].values, by_foce["bootstrap"]["hash"].values)
    for name in ("theta", "y.add", "iiv.theta"):
        np.testing.assert_allclose(found["posterior"][name].values, by_foce["posterior"][name].values, rtol=2e-3)
    assert known.objective == pytest.approx(Exact(Y).least, abs=1e-5)


def test_sir_of_saem_stands_for_the_likelihood(by_saem):
    fit, data = by_saem
    found = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=300, resamples=75))
    low, high = Exact(Y).theta_ends()
    own = found["sir"].sel(parameter="theta")
    assert own["lower"].item() == pytest.approx(low, abs=0.25 * (high - low))
    # The mean rise of the objective over draws from the likelihood is the number of quantities.
    assert found["sir"]["freedom"].values[-1] == pytest.approx(3, abs=0.8)


def test_saem_with_many_effects_is_refused_with_what_works():
    model = Model(NESTED)
    data = nested(6, 7)[1]
    fit = pkpd.fit(model, data, SAEM(seed=1, covariance=None))
    fit.tree.attrs["status"] = "converged"
    for work in (
        lambda: pkpd.profile(fit, data),
        lambda: pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=2)),
        lambda: pkpd.sir(fit, data, pkpd.SIR(seed=1)),
    ):
        with pytest.raises(CannotFit, match=r"6 subjects of 8 random effects(.|\n)*pkpd\.FOCE\(\)"):
            work()


def nested(people: int = PEOPLE, occasions: int = OCCASIONS) -> tuple[np.ndarray, pkpd.Dataset]:
    """Observations (people, occasions, records) of theta + eta + kappa + eps."""
    rng = np.random.default_rng(3)
    y = 10 + 1.0 * rng.standard_normal((people, 1, 1)) + 0.7 * rng.standard_normal((people, occasions, 1))
    y = y + 0.8 * rng.standard_normal((people, occasions, RECORDS))
    shape = y.shape
    table = {
        "ID": np.repeat(np.arange(1, people + 1), occasions * RECORDS).tolist(),
        "TIME": np.tile(np.arange(occasions * RECORDS, dtype=float), people).tolist(),
        "OCC": np.broadcast_to(np.arange(1, occasions + 1)[None, :, None], shape).ravel().tolist(),
        "DV": y.ravel().tolist(),
    }
    return y, pkpd.read_data(table)


def exact_objective(y: np.ndarray, theta: float, sigma2: float, between: float, within: float) -> float:
    """-2 log L without constants: every person's records are normal with a matrix of ones in two sizes."""
    people, occasions, records = y.shape
    blocks = np.kron(np.eye(occasions), np.ones((records, records)))
    matrix = sigma2 * np.eye(occasions * records) + within * blocks + between
    away = y.reshape(people, -1) - theta
    return people * np.linalg.slogdet(matrix)[1] + np.einsum("pi,ij,pj->", away, np.linalg.inv(matrix), away)


@pytest.fixture(scope="module")
def with_occasions() -> tuple[pkpd.Fit, pkpd.Dataset, np.ndarray]:
    y, data = nested()
    return pkpd.fit(Model(NESTED), data, FOCE()), data, y


NAMES = ("theta", "y.add", "iiv.theta", "iov.theta")


def test_profiles_with_occasions_against_the_normal_law(with_occasions):
    fit, data, y = with_occasions
    found = pkpd.profile(fit, data, pkpd.Profile(points=0))["profile"]

    def objective(x: np.ndarray) -> float:
        return exact_objective(y, x[0], np.exp(2 * x[1]), np.exp(x[2]), np.exp(x[3]))

    value = [fit.estimates["value"].sel(parameter=name).item() for name in NAMES]
    best = np.array([value[0], *np.log(value[1:])])
    least = minimize(objective, best, method="BFGS", options={"gtol": 1e-7})
    assert fit.ofv == pytest.approx(least.fun, abs=1e-6)
    assert best == pytest.approx(least.x, abs=2e-3)

    for number, name in enumerate(NAMES):

        def rise(c: float, number: int = number) -> float:
            others = np.delete(np.arange(4), number)
            inner = minimize(lambda part: objective(np.insert(part, number, c)), least.x[others], method="BFGS")
            return inner.fun - least.fun - QUANTILE

        for end, side in (("lower", -1), ("upper", 1)):
            reach = 3.0 if name != "y.add" else 1.0
            far = brentq(rise, least.x[number], least.x[number] + side * reach, xtol=1e-9)
            own = found[end].sel(parameter=name).item()
            assert own == pytest.approx(far if number == 0 else np.exp(far), rel=1e-4), (name, end)


def test_drawn_subjects_keep_their_occasions(with_occasions):
    fit, data, y = with_occasions
    known = recall(fit, data, "test")
    index = np.array([3, 3, 0, 7, 15, 15, 15, 2])
    part = known.population.take(index)
    whole, again = known.outer()(known.x).marginal.each, known.outer(part)(known.x).marginal.each
    np.testing.assert_allclose(again, whole[index], rtol=1e-12)
    x = [fit.estimates["value"].sel(parameter=name).item() for name in NAMES]
    assert again.sum() == pytest.approx(exact_objective(y[index], x[0], x[1] ** 2, x[2], x[3]), abs=1e-8)


def test_parametric_draws_differ_between_occasions(with_occasions):
    fit, data, _ = with_occasions
    known = recall(fit, data, "test")
    y = np.array(
        [
            simulate_population(known.population, known.x, seed=1, replicate=k, purpose="test").problem.observations.dv
            for k in range(300)
        ]
    ).reshape(300, PEOPLE, OCCASIONS, RECORDS)
    sigma, between, within = (fit.estimates["value"].sel(parameter=name).item() for name in NAMES[1:])
    assert y.var(axis=3, ddof=1).mean() == pytest.approx(sigma**2, rel=0.03)
    of_occasion = y.mean(axis=3)
    assert of_occasion.var(axis=2, ddof=1).mean() == pytest.approx(within + sigma**2 / RECORDS, rel=0.05)
    rest = (within + sigma**2 / RECORDS) / OCCASIONS
    assert of_occasion.mean(axis=2).var(axis=1, ddof=1).mean() == pytest.approx(between + rest, rel=0.08)


@pytest.mark.parametrize("parametric", [False, True])
def test_replicates_with_occasions_are_at_their_own_minimum(with_occasions, parametric):
    fit, data, _ = with_occasions
    again = refit(fit, data, parametric=parametric)
    for number in range(3):
        one, drawn_ = again(number), again.draw(number)[0].problem.observations.dv
        y = drawn_.reshape(PEOPLE, OCCASIONS, RECORDS)

        def objective(x: np.ndarray, y: np.ndarray = y) -> float:
            return exact_objective(y, x[0], np.exp(2 * x[1]), np.exp(x[2]), np.exp(x[3]))

        least = minimize(objective, [10.0, -0.2, 0.0, -0.7], method="BFGS", options={"gtol": 1e-6})
        assert one.sound
        assert one.objective == pytest.approx(least.fun, abs=1e-5)
        assert one.x[0] == pytest.approx(y.mean(), abs=1e-3)  # the estimate in a balanced layout


def test_sir_with_occasions_stands_for_the_likelihood(with_occasions):
    fit, data, _ = with_occasions
    found = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=300, resamples=60))
    assert found["sir"]["freedom"].values[-1] == pytest.approx(4, abs=1.2)
