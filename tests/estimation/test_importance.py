"""Importance(): exact slopes of what is sampled, a closed form, what is refused, said, and changes nothing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import optimize, stats

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit, UsageError
from pkpd.estimation import SAEM, Importance, Quadrature
from pkpd.likelihood import make_problem
from pkpd.likelihood.importance import Proposals, tail_index
from pkpd.likelihood.marginal import Prior
from pkpd.likelihood.modes import curvature_at, find_modes
from pkpd.model import Model

TIMES = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0])
TEXT = """
title = "a decline"
[parameters]
a = { typical = 7.0, unit = "mg/L", OF_A }
k = { typical = 0.2, unit = "1/h", OF_K }
OMEGA
[dynamics]
equations = "y = a * exp(-k * t)"
[outputs]
y = { unit = "mg/L", LAW }
"""
BLOCK = '[[omega]]\nparameters = ["a", "k"]\ncovariance = [[0.05], [0.005, 0.05]]'
LINE = """
title = "a line"
[parameters]
a = { typical = 1.0, unit = "mg/L", transform = "none", iiv = 2.0 }
b = { typical = 0.0, unit = "mg/L/h", transform = "none", iiv = 0.1 }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { unit = "mg/L", add = 0.5 }
"""


def decline(of_a: str = "iiv = 0.05", of_k: str = "iiv = 0.05", law: str = "prop = 0.3", omega: str = "") -> Model:
    text = TEXT.replace("OF_A", of_a).replace("OF_K", of_k).replace("LAW", law).replace("OMEGA", omega)
    return Model(text)


@lru_cache
def seen(people: int = 20, sd_k: float = 0.2, add: float = 0.0, lloq: float = 0.0, occasions: int = 1) -> Dataset:
    """Simulated: a = 10, k = 0.3, SD of log a 0.3, proportional error 10 %."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(people):
        u = rng.standard_normal(2)
        for o in range(occasions):
            kappa = 0.2 * rng.standard_normal() if occasions > 1 else 0.0
            for t in TIMES + 8.5 * o:
                f = 10 * np.exp(0.3 * u[0] + kappa - 0.3 * np.exp(sd_k * u[1]) * t)
                y = f + np.hypot(0.1 * f, add) * rng.standard_normal()
                row = {"ID": i + 1, "TIME": t, "DV": max(y, lloq)}
                row |= {"CENS": int(y < lloq), "LLOQ": lloq} if lloq else {}
                rows.append(row | ({"OCC": o + 1} if occasions > 1 else {}))
    return read_data({name: [row[name] for row in rows] for name in rows[0]})


@lru_cache
def line() -> tuple[Dataset, np.ndarray, np.ndarray]:
    """Fifteen straight lines."""
    rng = np.random.default_rng(5)
    t = np.array([0.0, 1.0, 2.0, 3.0])
    y = np.array([3 + 1.5 * u[0] + (0.5 + 0.4 * u[1]) * t + 0.5 * u[2:] for u in rng.standard_normal((15, 6))])
    who = np.repeat(np.arange(15), 4)
    return read_data({"ID": (who + 1).tolist(), "TIME": np.tile(t, 15).tolist(), "DV": y.ravel().tolist()}), t, y


CASES = {
    "a parameter without random effect": (
        decline(of_k="fixed = false", law="add = 0.3, prop = 0.3"),
        {"sd_k": 0.0, "add": 0.4},
    ),
    "combined error, censored": (decline(law="add = 0.3, prop = 0.3"), {"add": 0.4, "lloq": 1.0}),
    "block": (decline("fixed = false", "fixed = false", omega=BLOCK), {}),
    "occasions": (decline("iiv = 0.05, iov = 0.05", "fixed = false"), {"sd_k": 0.0, "occasions": 2}),
}


def population(case: str):
    model, options = CASES[case]
    estimator = Importance(seed=1)
    return estimator.population(make_problem(model, seen(**options), occasions=True))


@pytest.mark.parametrize("case", CASES)
def test_slopes_are_those_of_the_sampled_sum(case):
    own = population(case)
    x = np.concatenate([own.effects.start, own.effects.covariance.start])
    prior = Prior.at(own, x)
    modes = find_modes(own, prior.z, prior.precision, np.zeros((len(own.problem.subjects), len(own.effects.names))))
    draws = Proposals.around(own, prior.z, modes.b, curvature_at(own, modes, prior.precision), draws=60, seed=3)
    x += 0.02 * np.arange(1, len(x) + 1)  # away from where it was drawn
    prior = Prior.at(own, x)
    found = draws.scores(prior, draws.weigh(prior)).gradient
    for k in range(len(x)):
        step = 1e-5 * np.eye(len(x))[k]
        ends = [draws.weigh(Prior.at(own, x + sign * step)).each for sign in (1, -1)]
        np.testing.assert_allclose(found[:, k], (ends[0] - ends[1]) / 2e-5, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_exact_maximum(case):
    model, options = CASES[case]
    data = seen(**options)
    exact, found = pkpd.fit(model, data, Quadrature(nodes=9)), pkpd.fit(model, data, Importance(seed=1))
    assert found.status == exact.status == "converged"
    error = exact.estimates.se.values
    assert np.abs((found.estimates.value.values - exact.estimates.value.values) / error).max() < 0.12
    np.testing.assert_allclose(found.estimates.se.values, error, rtol=0.1)
    sure = float((found["importance"]["objective_error"] ** 2).sum()) ** 0.5
    assert abs(found.ofv - exact.ofv) < 3 * sure + 0.01
    assert float(found["subjects"]["objective"].sum()) == pytest.approx(found.ofv, rel=1e-12)


MORE = {
    "residual error that differs between people": decline(law="prop = 0.3, iiv = 0.1"),
    "a prior": Model(TEXT.replace("OF_A", "iiv = 0.05").replace("OF_K", "iiv = 0.05").replace("OMEGA", "")
                     .replace("LAW", "prop = 0.3")
                     .replace("[dynamics]", "[priors]\nk = { value = 0.2, sd = 0.01 }\n[dynamics]")),
}  # fmt: skip


@pytest.mark.parametrize("case", MORE)
def test_the_exact_maximum_of_more(case):
    exact = pkpd.fit(MORE[case], seen(), Quadrature(nodes=7))
    found = pkpd.fit(MORE[case], seen(), Importance(seed=1, draws=4000))
    assert found.status == exact.status
    away = (found.estimates.value.values - exact.estimates.value.values) / exact.estimates.se.values
    assert np.abs(away).max() < 0.15
    np.testing.assert_allclose(found.estimates.transformed_se, exact.estimates.transformed_se, rtol=0.15)
    own = pkpd.fit(found.model, seen(), pkpd.MAP())
    np.testing.assert_allclose(own["etas"]["eta"], found["etas"]["eta"], atol=1e-4)


def test_a_closed_form():
    """Straight lines with normal effects: the records of a person are normal, with covariance X Omega X' + s^2."""
    data, t, y = line()
    design = np.column_stack([np.ones_like(t), t])

    def closed(x: np.ndarray) -> float:
        variance = design @ np.diag(np.exp(x[2:4])) @ design.T + np.exp(2 * x[4]) * np.eye(4)
        left = y - design @ x[:2]
        return len(y) * np.linalg.slogdet(variance)[1] + np.einsum("si,ij,sj->", left, np.linalg.inv(variance), left)

    best = optimize.minimize(closed, [1.0, 0.0, 0.7, -2.3, -0.7], method="BFGS", options={"gtol": 1e-8})
    fit = pkpd.fit(Model(LINE), data, Importance(seed=2, draws=2000))
    value = fit.estimates.value.to_series()
    truth = {"a": best.x[0], "b": best.x[1], "iiv.a": np.exp(best.x[2]), "iiv.b": np.exp(best.x[3])}
    truth["y.add"] = np.exp(best.x[4])
    error = fit.estimates.se.to_series()
    assert fit.status == "converged"
    for name, true in truth.items():
        assert abs(value[name] - true) < 0.15 * error[name], name
    x = np.array([value["a"], value["b"], *np.log([value["iiv.a"], value["iiv.b"], value["y.add"]])])
    assert fit.ofv == pytest.approx(closed(x), abs=3 * float((fit["importance"]["objective_error"] ** 2).sum()) ** 0.5)


def test_the_error_it_says_is_the_error_it_has():
    data, at_start = seen(), {"max_iterations": 0, "covariance": None}
    exact = pkpd.fit(decline(), data, Quadrature(nodes=15, **at_start)).ofv
    fits = [pkpd.fit(decline(), data, Importance(seed=seed, draws=200, **at_start)) for seed in range(12)]
    sure = [float((fit["importance"]["objective_error"] ** 2).sum()) ** 0.5 for fit in fits]
    scaled = (np.array([fit.ofv for fit in fits]) - exact) / sure
    assert 0.5 < np.sqrt((scaled**2).mean()) < 1.6  # chi-squared of 12, at 0.1 % on either side
    assert fits[0].status == "not converged" and "starting values" in fits[0].message


def test_draws_are_raised_until_the_error_is_as_asked():
    fit = pkpd.fit(decline(), seen(), Importance(seed=1, draws=100, error=0.05, covariance=None))
    assert float((fit["importance"]["objective_error"] ** 2).sum()) ** 0.5 <= 0.05
    assert fit.status == "converged" and "with 100 draws" not in fit.attrs["objective_name"]


def test_order_and_threads_change_no_bit():
    data = seen(8)
    who = data.columns["ID"].astype(str)
    order = np.random.default_rng(3).permutation(np.unique(who))
    rows = np.concatenate([np.flatnonzero(who == name) for name in order])
    other = read_data({name: data.columns[name][rows].tolist() for name in ("ID", "TIME", "DV")})
    one = pkpd.fit(decline(), data, Importance(seed=4, draws=100, threads=1))
    two = pkpd.fit(decline(), other, Importance(seed=4, draws=100, threads=2))
    assert one.ofv == two.ofv
    np.testing.assert_array_equal(one.estimates["value"], two.estimates["value"])
    np.testing.assert_array_equal(one.estimates["se"], two.estimates["se"])
    mine = one["importance"].sel(subject=two["importance"].subject)
    np.testing.assert_array_equal(mine["effective"], two["importance"]["effective"])
    assert pkpd.fit(decline(), data, Importance(seed=5, draws=100)).ofv != one.ofv


def test_whose_weights_are_bad_is_said(monkeypatch):
    """A proposal whose tails are too light, and whose width is a tenth: the weights have a heavy tail."""
    from pkpd.estimation import importance

    def narrow(*arguments):
        shape = curvature_at(*arguments)
        shape[0] *= 100.0
        return shape

    monkeypatch.setattr(importance, "curvature_at", narrow)
    data = seen(8)
    fit = pkpd.fit(decline(), data, Importance(seed=1, draws=200, max_iterations=0, covariance=None))
    worst = fit["importance"]["subject"].values[fit["importance"]["tail_index"].values.argmax()]
    assert fit.status == "not converged"
    assert "hangs on few draws" in fit.message and worst in fit.message.split(" hangs")[0] in fit.message
    assert float(fit["importance"]["tail_index"].max()) > 0.7


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.8])
def test_the_tail_index(k):
    """Weights of a Pareto tail: the index that drew them, and that of maximum likelihood by another program."""
    rng = np.random.default_rng(1)
    weights = stats.genpareto.rvs(k, size=(20_000, 4), random_state=rng)
    found = tail_index(weights / weights.sum(axis=0))
    for column, own in zip(weights.T, found, strict=True):
        largest = np.sort(column)[-425:]
        other, _, _ = stats.genpareto.fit(largest[1:] - largest[0], floc=0)
        assert own == pytest.approx(other, abs=0.06)
        assert own == pytest.approx(k, abs=0.2)
    assert np.isnan(tail_index(np.full((20, 1), 0.05))).all()


@pytest.mark.parametrize("options", [{"draws": 10}, {"error": 0.0}, {"tolerance": 0.0}, {"max_iterations": -1}])
def test_refused(options):
    with pytest.raises(CannotFit, match=next(iter(options))):
        Importance(seed=1, **options)


def test_a_seed_is_asked_for():
    with pytest.raises(UsageError, match="seed"):
        Importance()


def test_as_saem():
    """Two ways to the same maximum."""
    model, options = CASES["block"]
    one, two = (pkpd.fit(model, seen(**options), e) for e in (Importance(seed=1), SAEM(seed=1)))
    away = (one.estimates.value - two.estimates.value) / two.estimates.se
    assert float(np.abs(away).max()) < 0.15


def test_the_noise_of_the_slopes_is_what_other_seeds_show():
    own = population("block")
    x = own.start + 0.1  # away from the maximum, where the slopes of subjects are not 0
    prior = Prior.at(own, x)
    modes = find_modes(own, prior.z, prior.precision, np.zeros((len(own.problem.subjects), len(own.effects.names))))
    shape, slopes, noise = curvature_at(own, modes, prior.precision), [], []
    for seed in range(80):
        draws = Proposals.around(own, prior.z, modes.b, shape, draws=100, seed=seed)
        scores = draws.scores(prior, draws.weigh(prior))
        slopes.append(scores.gradient.sum(axis=0))
        noise.append(np.diagonal(scores.noise))
    ratio = np.mean(noise, axis=0) / np.var(slopes, axis=0, ddof=1)
    assert ratio.min() > 0.6 and ratio.max() < 1.7, ratio


def test_the_tail_index_of_few_draws_is_drawn_towards_a_half():
    """Vehtari and others (2024), appendix: (k M + 5) / (M + 10), with the k of Zhang and Stephens (2009) by hand."""
    share = stats.genpareto.rvs(0.1, size=60, random_state=np.random.default_rng(2))
    share = np.sort(share / share.sum())
    x = share[-12:] - share[-13]
    profile, thetas = [], []
    for j in range(1, 34):
        theta = 1 / x[-1] + (1 - np.sqrt(33 / (j - 0.5))) / (3 * x[2])
        k = np.mean(np.log1p(-theta * x))
        thetas.append(theta)
        profile.append(12 * (np.log(-theta / k) - k - 1))
    weight = np.exp(np.array(profile) - max(profile))
    k = np.mean(np.log1p(-np.average(thetas, weights=weight) * x))
    assert tail_index(share[:, None])[0] == pytest.approx((12 * k + 5) / 22, rel=1e-10)
