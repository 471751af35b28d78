"""Mixtures of sub-populations: the likelihood in closed form, its slopes, its maximum, the classes of the subjects."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import pkpd
from pkpd.data import Dataset
from pkpd.errors import CannotFit, MismatchError, ModelError, UsageError
from pkpd.estimation.beside import by_sampling
from pkpd.estimation.hold import hold
from pkpd.estimation.outer import Outer
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood import make_problem
from pkpd.model import Input, Model, Route
from tests.one_way import as_data

TEXT = """
name = "two_levels"
[parameters]
high = { typical = 9.0, transform = "none" }
low = { typical = 6.5, transform = "none" }
e = { typical = 0, transform = "none", fixed = true, iiv = 0.5 }
b = { typical = 0.5, unit = "1/h", transform = "none", iiv = 0.2 }
[dynamics]
equations = '''
a = high if MIXNUM == 1 else low
y = a + e + b * t
'''
[outputs]
y = { add = 0.7 }
[mixture]
upper = { share = 0.5, label = "who stands high" }
lower = {}
"""
THREE = TEXT.replace("a = high if MIXNUM == 1 else low", "a = high if MIXNUM == 1 else (low if MIXNUM == 2 else 0)")
THREE = THREE.replace("lower = {}", "lower = { share = 0.3 }\nnone = {}")
T = np.arange(4.0)
ESTIMATORS = [pkpd.FO(), pkpd.FOCE(), pkpd.FOCE(interaction=False), pkpd.Laplace(), pkpd.Quadrature(nodes=3)]


@lru_cache
def model(text: str = TEXT) -> Model:
    return Model(text)


@lru_cache
def observed(people: int = 60) -> tuple[np.ndarray, np.ndarray, Dataset]:
    """Observations (people, 4), who stands high, and the data."""
    rng = np.random.default_rng(7)
    upper = rng.random(people) < 0.7
    slope = 1 + 0.4 * rng.standard_normal((people, 1))
    level = np.where(upper, 10.0, 7.0)[:, None] + 0.7 * rng.standard_normal((people, 1))
    y = level + slope * T + 0.5 * rng.standard_normal((people, len(T)))
    return y, upper, as_data(y)


def by_class(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log share plus log likelihood of each class, (S, 2), at the levels, b, log SD, log SDs of effects, log ratio."""
    high, low, b, sd, of_e, of_b, ratio = x
    share = 1 / (1 + np.exp(-ratio))
    variance = np.exp(2 * of_e) + np.exp(2 * of_b) * np.outer(T, T) + np.exp(2 * sd) * np.eye(len(T))
    logs = [multivariate_normal(level + b * T, variance).logpdf(y) for level in (high, low)]
    return np.stack(logs, axis=1) + np.log([share, 1 - share])


def objective(x: np.ndarray, y: np.ndarray) -> float:
    return float(-2 * np.logaddexp(*by_class(x, y).T).sum() - y.size * np.log(2 * np.pi))


@lru_cache
def maximum() -> np.ndarray:
    y, _, _ = observed()
    start = np.array([9.5, 7.0, 1.0, np.log(0.5), np.log(0.7), np.log(0.4), 1.0])
    return minimize(objective, start, args=(y,), method="BFGS", options={"gtol": 1e-6}).x


def outer(estimator, text: str = TEXT, people: int = 12) -> Outer:
    population = estimator.population(make_problem(model(text), observed(people)[2]))
    return Outer(population, estimator.approximation(population))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_objective_and_slopes_are_those_of_the_closed_form(estimator):
    y, _, _ = observed(12)
    look = outer(estimator)
    x = np.array([9.7, 7.4, 0.9, np.log(0.6), np.log(0.8), np.log(0.3), 0.4])
    assert look(x).objective == pytest.approx(objective(x, y), abs=1e-6)
    steps = 1e-5 * np.eye(7)
    slopes = np.array([objective(x + e, y) - objective(x - e, y) for e in steps]) / 2e-5
    np.testing.assert_allclose(look(x).gradient, slopes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_the_maximum_and_the_classes(estimator):
    y, upper, data = observed()
    x = maximum()
    fit = pkpd.fit(model(), data, estimator)
    assert fit.status == "converged"
    assert fit.ofv == pytest.approx(objective(x, y), abs=1e-5)
    assert fit.verdict["marginal"].item() == pytest.approx(objective(x, y), abs=1e-5)
    wanted = {"high": x[0], "low": x[1], "b": x[2], "y.add": np.exp(x[3]), "iiv.e": np.exp(2 * x[4]),
              "iiv.b": np.exp(2 * x[5]), "share.upper": 1 / (1 + np.exp(-x[6]))}  # fmt: skip
    for name, number in wanted.items():
        assert value(fit, name) == pytest.approx(number, rel=1e-3), name
    assert abs(value(fit, "share.upper") - 0.7) < 2 * value(fit, "share.upper", "se")
    logs = by_class(x, y)
    probability = np.exp(logs - np.logaddexp(*logs.T)[:, None])
    np.testing.assert_allclose(fit["mixture"]["probability"], probability, atol=2e-3)
    best = probability.argmax(axis=1)
    names = fit["mixture"]["most_probable"].values
    np.testing.assert_array_equal(names, np.array(["upper", "lower"])[best])
    assert np.mean((names == "upper") == upper) > 0.9
    # The ETAs are those of the most probable class, and so are PRED and IPRED.
    design = np.stack([np.ones_like(T), T], axis=1)
    omega, sd2 = np.diag(np.exp(2 * x[4:6])), np.exp(2 * x[3])
    gain = omega @ design.T @ np.linalg.inv(design @ omega @ design.T + sd2 * np.eye(len(T)))
    pred = x[best][:, None] + x[2] * T
    eta = (y - pred) @ gain.T
    np.testing.assert_allclose(fit["etas"]["eta"], eta, atol=3e-3)
    np.testing.assert_allclose(fit.records["PRED"].values.reshape(y.shape), pred, atol=3e-3)
    np.testing.assert_allclose(fit.records["IPRED"].values.reshape(y.shape), pred + eta @ design.T, atol=5e-3)


@pytest.mark.parametrize("estimator", [pkpd.FOCE(), pkpd.Quadrature(nodes=3)], ids=repr)
def test_three_classes(estimator):
    look = outer(estimator, THREE)
    x = look.population.start + 0.1
    assert len(x) == 8
    steps = 1e-5 * np.eye(len(x))
    slopes = np.array([look(x + e).objective - look(x - e).objective for e in steps]) / 2e-5
    np.testing.assert_allclose(look(x).gradient, slopes, rtol=1e-4, atol=1e-4)
    fit = pkpd.fit(model(THREE), observed(12)[2], estimator.__class__(max_iterations=0))
    assert fit.estimates["parameter"].values.tolist()[-2:] == ["share.upper", "share.lower"]
    assert value(fit, "share.lower") == pytest.approx(0.3)
    assert float(fit["mixture"]["probability"].sel({"class": "none"}).max()) < 1e-3
    with pytest.raises(CannotFit, match="share of a mixture of more than two"):
        hold(Quantities.of(look.population), 7)


def test_slopes_of_shares_in_the_table():
    population = pkpd.FOCE().population(make_problem(model(THREE), observed(12)[2]))
    quantities = Quantities.of(population)
    x = population.start + 0.2 * np.random.default_rng(2).standard_normal(8)
    values = quantities.natural(x)
    np.testing.assert_allclose(quantities.outer(values), x, atol=1e-12)
    own = quantities.coordinates
    steps = 1e-6 * np.eye(8)
    ends = [own.forward(quantities.natural(x + e)) - own.forward(quantities.natural(x - e)) for e in steps]
    np.testing.assert_allclose(quantities.slopes(x)[own.free], np.array(ends).T[own.free] / 2e-6, atol=1e-8)


def test_a_shift_is_a_class_with_the_same_eta():
    text = TEXT.replace('low = { typical = 6.5, transform = "none" }', "")
    text = text.replace('high = { typical = 9.0, transform = "none" }', """
        high = { typical = 9.0, transform = "none", iiv = 0.5, shift = "less if MIXNUM == 2 else 0" }
        less = { typical = -2.5, transform = "none" }""")  # fmt: skip
    text = text.replace('e = { typical = 0, transform = "none", fixed = true, iiv = 0.5 }', "")
    text = text.replace("a = high if MIXNUM == 1 else low", "a = high").replace("a + e", "a")
    y, _, _ = observed(12)
    x = np.array([9.7, -2.3, 0.9, np.log(0.6), np.log(0.8), np.log(0.3), 0.4])
    other = x.copy()
    other[1] = 9.7 - 2.3
    look = outer(pkpd.FOCE(), text)
    assert look(x).objective == pytest.approx(objective(other, y), abs=1e-6)
    slopes = np.array([look(x + e).objective - look(x - e).objective for e in 1e-5 * np.eye(7)]) / 2e-5
    np.testing.assert_allclose(look(x).gradient, slopes, rtol=1e-5, atol=1e-5)


def test_one_class_in_all_is_no_mixture():
    # Where the levels are one, the mixture is the model without it, whatever the shares.
    alone = TEXT.split("[mixture]")[0].replace("a = high if MIXNUM == 1 else low", "a = high + 0 * low")
    x = np.array([9.7, 9.7, 0.9, np.log(0.6), np.log(0.8), np.log(0.3), 0.4])
    assert outer(pkpd.FOCE())(x).objective == pytest.approx(outer(pkpd.FOCE(), alone)(x[:-1]).objective, abs=1e-9)


def test_profile_bootstrap_and_sir_of_a_mixture():
    y, _, data = observed()
    fit = pkpd.fit(model(), data, pkpd.FOCE())
    profile = pkpd.profile(fit, data, pkpd.Profile(parameters=("share.upper",)))["profile"]
    for end in ("lower", "upper"):
        share = float(profile[end].item())

        def held(x: np.ndarray, ratio: float = np.log(share / (1 - share))) -> float:
            return objective(np.append(x, ratio), y)

        rest = minimize(held, maximum()[:-1], method="BFGS").fun
        assert rest - fit.ofv == pytest.approx(3.8415, abs=1e-3)
    for method in ("case", "parametric"):
        again = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=6, method=method))["bootstrap"]
        mean, se = (float(again[name].sel(parameter="share.upper")) for name in ("mean", "se"))
        assert abs(mean - value(fit, "share.upper")) < 0.1 and 0.01 < se < 0.2
    drawn = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=200, resamples=40, rounds=1))
    assert 0.5 < float(drawn["posterior"]["share.upper"].mean()) < 0.9


def test_saved_again_and_simulated_from(tmp_path):
    _, _, data = observed()
    fit = pkpd.fit(model(), data, pkpd.FOCE(), start={"share.upper": 0.6})
    fit.save(tmp_path / "fit.nc")
    assert pkpd.load_fit(tmp_path / "fit.nc").identical(fit)
    assert float(fit.estimates["initial"].sel(parameter="share.upper")) == pytest.approx(0.6)
    assert fit.model.shares["upper"] == pytest.approx(value(fit, "share.upper"))
    # Whom the dose does nothing.
    dosed = "a = high if MIXNUM == 1 else low\ny = a + e + b * t\nd/dt(gone) = -b * gone"
    own = fit.model.replace(routes=[Route(name="iv", inputs=(Input(into="gone"),))], equations=dosed)
    drawn = pkpd.simulate(own, "1 mg iv", times=[0.0], n=2000, seed=3)
    number = drawn["MIXNUM"].values
    assert set(np.unique(number)) == {1.0, 2.0}
    assert np.mean(number == 1) == pytest.approx(value(fit, "share.upper"), abs=3 * np.sqrt(0.25 / 2000))
    at_0 = drawn["y"].values.ravel()
    for which, name in ((1, "high"), (2, "low")):
        assert at_0[number == which].mean() == pytest.approx(value(fit, name), abs=0.12)
    some = pkpd.simulate(own, "1 mg iv", times=[0.0], n=5, seed=3)
    np.testing.assert_array_equal(some["MIXNUM"], number[:5])
    typical = pkpd.simulate(own, "1 mg iv", times=[0.0], covariates={"MIXNUM": 2})
    assert typical["y"].item() == pytest.approx(value(fit, "low"))
    with pytest.raises(MismatchError, match="1 for upper; 2 for lower"):
        pkpd.simulate(own, "1 mg iv", times=[0.0], covariates={"MIXNUM": 3})
    with pytest.raises(UsageError, match="drawn at random"):
        pkpd.simulate(own, "1 mg iv", times=[0.0], n=5)


def test_order_and_threads_change_no_bit():
    y, _, _ = observed(12)
    ids = np.repeat(np.arange(1, 13), 4)
    other = as_data(y[::-1], ID=(13 - ids).tolist())
    one = pkpd.fit(model(), observed(12)[2], pkpd.FOCE(threads=1, max_iterations=5))
    two = pkpd.fit(model(), other, pkpd.FOCE(threads=2, max_iterations=5))
    np.testing.assert_array_equal(one.estimates["value"], two.estimates["value"])
    np.testing.assert_array_equal(
        one["mixture"]["probability"].sel(subject=two["mixture"]["subject"]), two["mixture"]["probability"]
    )
    np.testing.assert_array_equal(one.records["IPRED"].values.reshape(12, 4)[::-1].ravel(), two.records["IPRED"])


@pytest.mark.parametrize("estimator", [pkpd.Individual(), pkpd.Pooled(), pkpd.SAEM(seed=1)])
def test_who_cannot_honour_a_mixture_refuses_it(estimator):
    with pytest.raises(CannotFit, match=r"cannot honour a mixture of sub-populations \(upper, lower\)"):
        pkpd.fit(model(), observed(12)[2], estimator)


def test_what_is_known_or_held_is_refused():
    y, _, data = observed(12)
    with pytest.raises(MismatchError, match="is nothing that can be estimated"):
        pkpd.fit(model(), data, pkpd.FOCE(), fixed=["share.upper"])
    with pytest.raises(MismatchError, match="the data say the class of each subject"):
        pkpd.fit(model(), as_data(y, MIXNUM=[1] * y.size), pkpd.FOCE())
    # A class that the data say is a covariate.
    own = model().replace(mixture={})
    assert (
        "share.upper"
        not in pkpd.fit(own, as_data(y, MIXNUM=[1] * y.size), pkpd.FOCE(max_iterations=0)).estimates["parameter"]
    )


def test_read_and_written():
    own = model(THREE)
    assert Model(own.text) == own and "MIXNUM = {" not in own.text
    assert own.shares == pytest.approx({"upper": 0.5, "lower": 0.3, "none": 0.2})
    assert own.set({"share.upper": 0.6}).shares["none"] == pytest.approx(0.1)
    with pytest.raises(ModelError, match="A sum below 1: the rest is that of none"):
        own.set({"share.upper": 0.8})
    assert "upper    0.5" in str(own)
    assert own.covariates["MIXNUM"].label == "class of the mixture: 1 upper, 2 lower, 3 none"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lower = {}", "", "`upper` is the only class"),
        ("lower = {}", "lower = { share = 0.5 }", "`lower` has a share of its own"),
        ("share = 0.5, ", "", "`upper` has no share"),
        ("share = 0.5", "share = 1.5", "share is 1.5"),
        ("lower = {}", "lower = { share = 0.5 }\nnone = {}", "sum to 1"),
        ("high if MIXNUM == 1 else low", "high + low", "nothing uses MIXNUM"),
        ("share = 0.5", "shar = 0.5", "Did you mean `share`"),
    ],
)
def test_refused(old: str, new: str, message: str):
    with pytest.raises(ModelError, match=message):
        Model(TEXT.replace(old, new))


def value(fit: pkpd.Fit, name: str, what: str = "value") -> float:
    return float(fit.estimates[what].sel(parameter=name))


SIGN = """
[parameters]
a = { typical = 9.0, iiv = 0.1, iov = 0.05 }
[dynamics]
equations = "y = (a if MIXNUM == 1 else 1 - a) + 0 * t"
[outputs]
y = { log = 0.2 }
[mixture]
above = { share = 0.6 }
below = {}
"""


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_a_class_in_which_nobody_can_be(estimator):
    # Predictions below 0 have no log-normal density: what is left is the share of the other class. With occasions.
    y, _, _ = observed(12)
    data = as_data(y, OCC=[1, 1, 2, 2] * 12)
    population = estimator.population(make_problem(model(SIGN), data, occasions=True))
    alone = SIGN.split("[mixture]")[0].replace("(a if MIXNUM == 1 else 1 - a)", "a")
    other = estimator.population(make_problem(model(alone), data, occasions=True))
    x = population.start + 0.1
    look, wanted = (Outer(p, estimator.approximation(p)) for p in (population, other))
    share = 1 / (1 + np.exp(-x[-1]))
    assert look(x).objective == pytest.approx(wanted(x[:-1]).objective - 2 * 12 * np.log(share), rel=1e-10)
    np.testing.assert_allclose(
        look(x).gradient, [*wanted(x[:-1]).gradient, -2 * 12 * (1 - share)], rtol=1e-8, atol=1e-8
    )


def test_the_likelihood_by_draws_counts_shares():
    y, _, _ = observed(12)
    look = outer(pkpd.FOCE())
    x = np.array([9.7, 7.4, 0.9, np.log(0.6), np.log(0.8), np.log(0.3), 1.2])
    start, metric = look(x).marginal.ahead(np.zeros(7))
    each, errors = by_sampling(look.population, x, start, metric)
    # Draws around the modes of a normal law are as good as exact.
    assert each.sum() == pytest.approx(objective(x, y), abs=max(4 * np.sqrt((errors**2).sum()), 1e-3))
    assert np.sqrt((errors**2).sum()) < 0.5
