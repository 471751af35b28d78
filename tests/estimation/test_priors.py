"""Priors: the mode that the posterior has, what a tight and a wide one are, and who cannot honour them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import invwishart, multivariate_normal, norm

import pkpd
from pkpd.data import Dataset
from pkpd.errors import CannotFit
from pkpd.estimation.complete import residual_sd
from pkpd.estimation.recall import recall
from pkpd.likelihood import make_problem
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.priors import Priors
from pkpd.model import Model
from tests.one_way import as_data

TEXT = """
name = "two_lines"
[parameters]
a = { typical = 8.0, iiv = 1.0, transform = "none" }
b = { typical = 1.0, unit = "1/h", transform = "none", iiv = 1.0 }
c = { typical = 1.2, unit = "1/h**2" }
[[omega]]
parameters = ["a", "b"]
covariance = [[1.0], [0.2, 1.0]]
[dynamics]
equations = "y = a + b * t + c * t**2"
[outputs]
y = { add = 0.7 }
[priors]
PRIORS
"""
PRIORS = """
a = { value = 9.2, sd = 0.3, source = "an earlier study" }
c = { value = 1.5, sd = 0.02 }
"y.add" = { value = 0.8, sd = 0.1 }
"iiv.b,a" = { value = [[0.4], [-0.3, 2.0]], df = 12 }
"""
T = np.arange(4.0)
SCALE = (12 + 3) * np.array([[2.0, -0.3], [-0.3, 0.4]])
ESTIMATORS = [
    pkpd.FO(),
    pkpd.FOCE(),
    pkpd.FOCE(interaction=False),
    pkpd.Laplace(),
    pkpd.Quadrature(nodes=3),
]


@lru_cache
def model(priors: str = PRIORS) -> Model:
    return Model(TEXT.replace("PRIORS", priors))


@lru_cache
def observed(people: int = 15) -> tuple[np.ndarray, Dataset]:
    rng = np.random.default_rng(3)
    lines = rng.multivariate_normal([10.0, 2.0], [[1.5, 0.3], [0.3, 0.8]], people)
    y = lines[:, :1] + lines[:, 1:] * T + 1.3 * T**2 + 0.6 * rng.standard_normal((people, len(T)))
    return y, as_data(y)


def likelihood(x: np.ndarray, y: np.ndarray) -> float:
    """-2 log L without its constant at a, b, log c, log SD and a Cholesky factor of Omega (not logarithmic)."""
    omega = np.array([[x[4], 0.0], [x[5], x[6]]])
    omega = omega @ omega.T
    design = np.stack([np.ones_like(T), T], axis=1)
    mean = design @ x[:2] + np.exp(x[2]) * T**2
    law = multivariate_normal(mean, design @ omega @ design.T + np.exp(2 * x[3]) * np.eye(len(T)))
    return float(-2 * law.logpdf(y).sum() - y.size * np.log(2 * np.pi))


def prior(x: np.ndarray) -> float:
    """-2 log density, counted from the modes."""
    omega = np.array([[x[4], 0.0], [x[5], x[6]]])
    wishart = invwishart(12, SCALE)
    total = -2 * wishart.logpdf(omega @ omega.T) + 2 * wishart.logpdf(SCALE / 15)
    for k, centre, sd in ((0, 9.2, 0.3), (2, np.log(1.5), 0.02), (3, np.log(0.8), 0.1)):
        total += -2 * norm.logpdf(x[k], centre, sd) + 2 * norm.logpdf(0, 0, sd)
    return float(total)


@lru_cache
def mode() -> tuple[np.ndarray, float]:
    """The mode of the posterior, and the objective there, by scipy."""
    y, _ = observed()
    start = np.array([9.5, 2.0, np.log(1.4), np.log(0.7), 1.2, 0.0, 0.8])

    def objective(x):
        return likelihood(x, y) + prior(x)

    found = minimize(objective, start, method="BFGS", options={"gtol": 1e-7})
    found = minimize(objective, found.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9999})
    return found.x, float(found.fun)


def natural(x: np.ndarray) -> np.ndarray:
    return np.array([
        x[0], x[1], np.exp(x[2]), np.exp(x[3]), x[4] ** 2, x[4] * x[5], x[5] ** 2 + x[6] ** 2,
    ])  # fmt: skip


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_the_mode_of_the_posterior(estimator):
    y, data = observed()
    x, least = mode()
    fit = pkpd.fit(model(), data, estimator)
    assert fit.status == "converged"
    assert fit.ofv == pytest.approx(least, abs=1e-5)
    assert fit.verdict["prior"].item() == pytest.approx(prior(x), abs=1e-3)
    assert fit.verdict["likelihood"].item() == pytest.approx(likelihood(x, y), abs=1e-3)
    assert fit.verdict["marginal"].item() == pytest.approx(likelihood(x, y), abs=1e-3)
    np.testing.assert_allclose(fit.estimates["value"], natural(x), rtol=2e-4, atol=2e-4)
    assert float(fit["subjects"]["objective"].sum()) == pytest.approx(fit.verdict["likelihood"].item())
    assert fit.attrs["objective_name"].endswith(", with priors")
    assert fit.estimates["prior"].values.tolist() == [True, False, True, True, True, True, True]
    assert "-2 log density of the priors" in fit.attrs["notes"]
    free = len(x)
    assert fit.attrs["aic"] == pytest.approx(likelihood(x, y) + y.size * np.log(2 * np.pi) + 2 * free, abs=1e-3)


def test_saem_finds_the_same_mode():
    _, data = observed()
    x, least = mode()
    fit = pkpd.fit(model(), data, pkpd.SAEM(seed=1))
    assert fit.status == "converged"
    away = (fit.estimates["value"].values - natural(x)) / fit.estimates["se"].values
    assert np.abs(away).max() < 0.05
    assert fit.ofv == pytest.approx(least, abs=0.01)
    exact = pkpd.fit(model(), data, pkpd.Quadrature(nodes=5))
    np.testing.assert_allclose(fit.estimates["se"], exact.estimates["se"], rtol=0.02)


def test_saem_with_priors_on_few_subjects_and_occasions():
    # Fewer people than a covariance matrix has rows, and a prior on a variance between occasions.
    _, data = observed(2)
    fit, exact = (pkpd.fit(model(), data, one) for one in (pkpd.SAEM(seed=1), pkpd.Quadrature(nodes=5)))
    away = (fit.estimates["value"].values - exact.estimates["value"].values) / exact.estimates["se"].values
    assert np.abs(away).max() < 0.1
    rng = np.random.default_rng(5)
    between = rng.standard_normal((12, 1, 1)) + 0.7 * rng.standard_normal((12, 2, 1))
    y = 10 + between + 0.5 * rng.standard_normal((12, 2, 3))
    own = Model("""
        [parameters]
        a = { typical = 8.0, iiv = 1.0, iov = 1.0, transform = "none" }
        [dynamics]
        equations = "y = a + 0 * t"
        [outputs]
        y = { add = 0.7 }
        [priors]
        "iov.a" = { value = 0.1, df = 15 }
        "iiv.a" = { value = 2, df = 15 }
    """)
    data = as_data(y.reshape(12, 6), OCC=np.tile(np.repeat([1, 2], 3), 12).tolist())
    fit, exact = (pkpd.fit(own, data, one) for one in (pkpd.SAEM(seed=1), pkpd.Quadrature(nodes=3)))
    away = (fit.estimates["value"].values - exact.estimates["value"].values) / exact.estimates["se"].values
    assert np.abs(away).max() < 0.2
    bare = pkpd.fit(own.replace(priors={}), data, pkpd.Quadrature(nodes=3))
    moved = exact.estimates["value"] - bare.estimates["value"]
    assert float(moved.sel(parameter="iov.a")) < -0.1 and float(moved.sel(parameter="iiv.a")) > 0.1


@pytest.mark.parametrize("covariance", ["R", "S", "sandwich"])
def test_standard_errors_and_shares(covariance):
    _, data = observed()
    x, _ = mode()
    y, _ = observed()
    fit = pkpd.fit(model(), data, pkpd.Quadrature(nodes=3, covariance=covariance))
    if covariance == "R":
        information = 0.5 * hessian(lambda x: likelihood(x, y) + prior(x), x)
        slopes = np.eye(7)
        slopes[4:, 4:] = [[2 / x[4], 0, 0], [x[5], x[4], 0], [0, 2 * x[5] / natural(x)[6], 2 * x[6] / natural(x)[6]]]
        wanted = slopes @ np.linalg.inv(information) @ slopes.T
        np.testing.assert_allclose(fit.covariance["covariance"], wanted, atol=1e-3 * np.abs(wanted).max())
        share = slopes @ np.linalg.inv(information) @ known(x) @ np.linalg.inv(slopes)
        np.testing.assert_allclose(fit.estimates["prior_share"], np.diagonal(share), atol=2e-3)
    shown = ", ".join(f"{name} {100 * value(fit, name, 'prior_share'):.0f} %" for name in ("a", "c", "y.add"))
    assert f"due to priors: {shown}, iiv.a " in fit.attrs["notes"]
    # Of c the prior tells nearly all: each of the three says the SD of the prior at most.
    own = fit.estimates.sel(parameter="c")
    assert 0.013 < float(own["transformed_se"]) < 0.0201
    assert float(own["prior_share"]) > 0.4
    assert float(fit.estimates["prior_share"].sel(parameter="b")) == pytest.approx(0.0, abs=1e-6)


def known(x: np.ndarray) -> np.ndarray:
    """What the priors know: 1 / SD^2, and what 15 people with known random effects would tell of Omega."""
    omega = np.array([[x[4], 0.0], [x[5], x[6]]])
    moved = [np.array(e).reshape(2, 2) @ omega.T for e in ([1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])]
    scaled = [np.linalg.solve(omega @ omega.T, m + m.T) for m in moved]
    found = np.diag([1 / 0.3**2, 0, 1 / 0.02**2, 1 / 0.1**2, 0, 0, 0])
    found[4:, 4:] = [[7.5 * np.trace(a @ b) for b in scaled] for a in scaled]
    return found


def hessian(f, x: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """By central differences, extrapolated."""
    size, found = len(x), []
    for h in (2 * step, step):
        e = h * np.eye(size)
        found.append([
            [(f(x + e[i] + e[j]) - f(x + e[i] - e[j]) - f(x - e[i] + e[j]) + f(x - e[i] - e[j])) / (4 * h * h)
             for j in range(size)] for i in range(size)
        ])  # fmt: skip
    return (4 * np.array(found[1]) - np.array(found[0])) / 3


def test_slopes_and_information_are_differences():
    row = 'p{0} = {{ typical = {1}, {2}transform = "{3}" }}\n'.format
    kinds = (("", "log"), ("", "none"), ("", "log"), ("iiv = 0.1, ", "log"))
    rows = "".join(row(k, k + 1, *kind) for k, kind in enumerate(kinds))
    own = Model(f"""
        [parameters]
        {rows}
        [[omega]]
        parameters = ["p0", "p1", "p2"]
        covariance = [[0.3], [0.05, 0.2], [-0.1, 0.02, 0.25]]
        [dynamics]
        equations = "y = p0 + p1 + p2 + p3"
        [outputs]
        y = {{ add = 0.7 }}
        [priors]
        p1 = {{ value = 2.5, sd = 0.4 }}
        "iiv.p3" = {{ value = 0.3, df = 4 }}
        "iiv.p2,p0,p1" = {{ value = [[0.3], [0.05, 0.2], [-0.1, 0.02, 0.25]], df = 7.5 }}
    """)
    problem = make_problem(own, observed(3)[1])
    effects = Effects.of(own, problem.residual_parameters, problem.residuals.used)
    priors = Priors.of(own, effects)
    x = np.concatenate([effects.start, effects.covariance.start])
    x = x + 0.4 * np.random.default_rng(1).standard_normal(len(x))
    steps = 1e-5 * np.eye(len(x))
    slopes = np.array([priors.value(x + e) - priors.value(x - e) for e in steps]) / 2e-5
    np.testing.assert_allclose(priors.gradient(x), slopes, rtol=1e-7, atol=1e-6)
    # The density is that of the covariance matrix itself, in the order of the rows of the prior.
    k = len(effects.typical)
    matrix = effects.covariance.matrices(x[k:])
    block = next(m for m in matrix if len(m) == 3)[np.ix_([2, 0, 1], [2, 0, 1])]
    mode = np.array([[0.3, 0.05, -0.1], [0.05, 0.2, 0.02], [-0.1, 0.02, 0.25]])
    alone = next(m for m in matrix if len(m) == 1)
    total = ((x[1] - 2.5) / 0.4) ** 2
    for m, centre, df in ((block, mode, 7.5), (alone, np.array([[0.3]]), 4.0)):
        law = invwishart(df, (df + len(m) + 1) * centre)
        total += float(-2 * law.logpdf(m) + 2 * law.logpdf(centre))
    assert priors.value(x) == pytest.approx(total, rel=1e-12)
    # At the modes half of the second derivatives is the information.
    modes = {**{("iiv", n, m): mode[(1, 2, 0)[i], (1, 2, 0)[j]] for i, n in enumerate(("p0", "p1", "p2"))
                for j, m in enumerate(("p0", "p1", "p2"))}, ("iiv", "p3", "p3"): 0.3}  # fmt: skip
    x[1] = 2.5
    x[k:] = effects.covariance.numbers(np.array([modes[element] for element in effects.covariance.elements]))
    assert priors.value(x) == pytest.approx(0.0, abs=1e-12)
    bends = np.array([priors.gradient(x + e) - priors.gradient(x - e) for e in steps]) / 2e-5
    np.testing.assert_allclose(2 * priors.information(x), bends, rtol=1e-6, atol=1e-5)


def test_a_tight_prior_fixes_and_a_wide_one_says_nothing():
    _, data = observed()
    bare = model("")
    tight = pkpd.fit(model("a = { value = 9.2, sd = 1e-4 }"), data, pkpd.FOCE())
    fixed = pkpd.fit(bare.set(a=9.2).fix("a"), data, pkpd.FOCE())
    for name in ("b", "c", "y.add", "iiv.a", "iiv.b,a"):
        assert value(tight, name) == pytest.approx(value(fixed, name), rel=1e-3)
    assert tight.ofv == pytest.approx(fixed.ofv, abs=1e-3)
    assert value(tight, "a", "prior_share") == pytest.approx(1.0, abs=1e-6)
    assert value(tight, "a", "transformed_se") == pytest.approx(1e-4, rel=1e-3)
    wide = pkpd.fit(model("a = { value = 9.2, sd = 1e5 }"), data, pkpd.FOCE())
    none = pkpd.fit(bare, data, pkpd.FOCE())
    for what in ("value", "se"):
        np.testing.assert_allclose(wide.estimates[what], none.estimates[what], rtol=1e-4)
    assert value(wide, "a", "prior_share") == pytest.approx(0.0, abs=1e-6)
    assert "prior" not in none.estimates and "priors" not in none.attrs["objective_name"]


def test_what_the_data_say_nothing_of_has_its_prior():
    text = TEXT.replace("[[omega]]", "e = { typical = 1.2 }\n[[omega]]").replace("c * t**2", "c * t**2 + 0 * e")
    _, data = observed()
    for covariance in ("R", "S", "sandwich"):
        own = Model(text.replace("PRIORS", "e = { value = 1.5, sd = 0.25 }"))
        fit = pkpd.fit(own, data, pkpd.FOCE(covariance=covariance))
        assert fit.status == "converged"
        assert value(fit, "e") == pytest.approx(1.5, rel=1e-4)
        assert value(fit, "e", "transformed_se") == pytest.approx(0.25, rel=1e-5)
        assert value(fit, "e", "prior_share") == pytest.approx(1.0)
    with pytest.raises(CannotFit, match="no record depends on e"):
        pkpd.fit(Model(text.replace("PRIORS", "")), data, pkpd.FOCE())


def test_profiles_bootstrap_and_sir_know_of_priors():
    _, data = observed()
    fit = pkpd.fit(model("a = { value = 9.2, sd = 0.05 }"), data, pkpd.FOCE())
    assert recall(fit, data, "test").objective == pytest.approx(fit.ofv, abs=1e-9)
    # So tight a prior makes everything normal: 1.96 standard errors to both sides.
    se, centre = value(fit, "a", "se"), value(fit, "a")
    found = pkpd.profile(fit, data, pkpd.Profile(parameters=("a",)))["profile"]
    assert float(found["upper"].item()) == pytest.approx(centre + 1.96 * se, abs=0.02 * se)
    drawn = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=300, resamples=100, rounds=1))
    assert float(drawn["posterior"]["a"].std()) == pytest.approx(se, rel=0.25)
    again = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=4))["bootstrap"]
    assert float(np.abs(again["mean"].sel(parameter="a") - centre)) < 0.05


def test_a_prior_on_what_is_held_is_said_to_say_nothing():
    _, data = observed()
    fit = pkpd.fit(model(), data, pkpd.FOCE(), fixed=["a", "y.add"])
    assert "Priors that say nothing, as their quantity is not estimated: a, y.add." in fit.attrs["notes"]
    assert not bool(fit.estimates["prior"].sel(parameter="a"))
    held = pkpd.fit(model(), data, pkpd.FOCE(max_iterations=0), fixed=["iiv.a", "iiv.b", "iiv.b,a"])
    assert "Priors that say nothing, as their quantity is not estimated: iiv.b,a." in held.attrs["notes"]
    assert held.estimates["prior"].values.tolist() == [True, False, True, True, False, False, False]


def test_a_prior_on_how_residual_errors_differ():
    _, data = observed()
    own = Model(
        TEXT.replace("add = 0.7", "add = 0.7, iiv = 0.1").replace("PRIORS", '"iiv.y" = { value = 0.2, df = 1e6 }')
    )
    fit = pkpd.fit(own, data, pkpd.Laplace(covariance=None))
    assert value(fit, "iiv.y") == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("estimator", [pkpd.Individual(), pkpd.Pooled()])
def test_who_has_no_priors_refuses_them(estimator):
    with pytest.raises(CannotFit, match=r"cannot honour priors \(a, c, y.add, iiv.b,a\)"):
        pkpd.fit(model(), observed()[1], estimator)


@pytest.mark.parametrize(("square", "centre", "precision"), [(0.3, -2.0, 5.0), (0.3, 4.0, 5e4), (1e-9, 0.0, 1.0)])
def test_a_residual_sd_with_a_prior(square, centre, precision):
    z = residual_sd(square, 40, centre, precision)
    assert 40 * (1 - square * np.exp(-2 * z)) + precision * (z - centre) == pytest.approx(0.0, abs=1e-8)
    assert residual_sd(square, 40, centre, 0.0) == 0.5 * np.log(square)


def value(fit: pkpd.Fit, name: str, what: str = "value") -> float:
    return float(fit.estimates[what].sel(parameter=name))
