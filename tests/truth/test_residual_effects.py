"""A random effect on the residual SD, held to integrals in one dimension: y_ij = mu + sd exp(eta_i) eps_ij."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import integrate, optimize, special

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit
from pkpd.likelihood import make_problem
from pkpd.likelihood.redraw import simulate_population
from pkpd.model import Model

MU, SD, VARIANCE = 5.0, 0.8, 0.3
TEXT = f"""
title = "noise that differs between people"
[parameters]
mu = {{ typical = {MU}, unit = "mg/L", transform = "none" }}
[dynamics]
equations = "y = mu"
[outputs]
y = {{ unit = "mg/L", add = {SD}, iiv = {VARIANCE} }}
"""
FIXED = {"max_iterations": 0, "covariance": None}


@lru_cache
def people(n: int = 12, each: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    return [MU + SD * np.exp(VARIANCE**0.5 * rng.standard_normal()) * rng.standard_normal(each) for _ in range(n)]


@lru_cache
def data(n: int = 12, each: int = 6) -> Dataset:
    rows = [(i + 1, j, y) for i, own in enumerate(people(n, each)) for j, y in enumerate(own)]
    return read_data({name: [row[k] for row in rows] for k, name in enumerate(("ID", "TIME", "DV"))})


def joint(eta: float, y: np.ndarray, mu: float, sd: float, variance: float) -> float:
    """Minus the log density of records and effect, NONMEM's constants left out."""
    scale = sd * np.exp(eta)
    records = 0.5 * (((y - mu) / scale) ** 2).sum() + y.size * np.log(scale)
    return records + 0.5 * eta**2 / variance + 0.5 * np.log(variance)


def mode(y: np.ndarray, *at: float) -> float:
    return optimize.minimize_scalar(joint, bounds=(-6, 6), args=(y, *at), method="bounded", options={"xatol": 1e-10}).x


def integral(y: np.ndarray, *at: float) -> float:
    """-2 log of the integral over eta."""
    best = mode(y, *at)
    least = joint(best, y, *at)

    def relative(eta: float) -> float:
        return np.exp(least - joint(eta, y, *at)) / np.sqrt(2 * np.pi)

    area, _ = integrate.quad(relative, best - 8, best + 8, points=[best], epsabs=0, epsrel=1e-11, limit=400)
    return 2 * least - 2 * np.log(area)


def laplace(y: np.ndarray, curvature: float | None, mu: float, sd: float, variance: float) -> float:
    """-2 log of Laplace's approximation; the observed curvature, or a stated one."""
    best = mode(y, mu, sd, variance)
    # The second derivative of half the scaled squares is twice their sum.
    bend = 2 * (((y - mu) / (sd * np.exp(best))) ** 2).sum() + 1 / variance if curvature is None else curvature
    return 2 * joint(best, y, mu, sd, variance) + np.log(bend)


def objective(estimator: pkpd.Estimator, **values: float) -> float:
    return pkpd.fit(Model(TEXT).set(values), data(), estimator).ofv


@pytest.mark.parametrize("at", [(MU, SD, VARIANCE), (4.6, 1.1, 0.7), (5.2, 0.5, 0.05)])
def test_the_likelihood_is_the_integral(at):
    values = dict(zip(("mu", "y.add", "iiv.y"), at, strict=True))
    exact = sum(integral(y, *at) for y in people())
    assert objective(pkpd.Quadrature(nodes=25, **FIXED), **values) == pytest.approx(exact, abs=1e-5)
    own = sum(laplace(y, None, *at) for y in people())
    assert objective(pkpd.Laplace(**FIXED), **values) == pytest.approx(own, abs=1e-6)
    # FOCE: the expected information about a log SD is 2 a record.
    expected = sum(laplace(y, 2 * y.size + 1 / at[2], *at) for y in people())
    assert objective(pkpd.FOCE(**FIXED), **values) == pytest.approx(expected, abs=1e-6)


def test_its_maximum_is_found_by_quadrature_and_saem():
    def exact(x: np.ndarray) -> float:
        return sum(integral(y, x[0], np.exp(x[1]), np.exp(x[2])) for y in people(40, 8))

    best = optimize.minimize(
        exact, [MU, np.log(SD), np.log(VARIANCE)], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-5}
    )
    by_grid = pkpd.fit(Model(TEXT), data(40, 8), pkpd.Quadrature(nodes=15, tolerance=1e-8))
    assert by_grid.status == "converged"
    assert by_grid.ofv == pytest.approx(best.fun, abs=1e-3)
    found = [by_grid.estimates["value"].sel(parameter=name).item() for name in ("mu", "y.add", "iiv.y")]
    np.testing.assert_allclose(found, [best.x[0], *np.exp(best.x[1:])], rtol=3e-3)
    assert by_grid.model.outputs["y"].iiv == found[2]
    by_draws = pkpd.fit(Model(TEXT), data(40, 8), pkpd.SAEM(seed=3))
    assert by_draws.status == "converged"
    for name in ("mu", "y.add", "iiv.y"):
        one, other = (f.estimates.sel(parameter=name) for f in (by_grid, by_draws))
        assert other["value"].item() == pytest.approx(one["value"].item(), abs=0.1 * one["se"].item()), name


def test_replicates_are_drawn_with_it():
    many = data(600, 20)
    problem = make_problem(Model(TEXT), many)
    population = pkpd.FOCE().population(problem)
    x = np.concatenate([population.effects.start, population.effects.covariance.start])
    drawn = simulate_population(population, x, seed=5, replicate=0, purpose="test")
    logs = np.log(drawn.problem.observations.dv.reshape(600, 20).std(axis=1, ddof=1))
    # The logarithm of a sample variance of 20 has the variance trigamma(19 / 2).
    wanted = VARIANCE + special.polygamma(1, 19 / 2) / 4
    assert logs.var(ddof=1) == pytest.approx(wanted, rel=4 * (2 / 600) ** 0.5)


def test_laws_of_several_terms_are_stepped_by_saem():
    own = Model(TEXT.replace("add = 0.8", "add = 0.5, prop = 0.1"))
    fits = [
        pkpd.fit(own, data(40, 8), estimator, fixed=["y.prop"])
        for estimator in (pkpd.Quadrature(nodes=15), pkpd.SAEM(seed=3))
    ]
    for name in ("mu", "y.add", "iiv.y"):
        one, other = (f.estimates.sel(parameter=name) for f in fits)
        assert other["value"].item() == pytest.approx(one["value"].item(), abs=0.15 * one["se"].item()), name


@pytest.mark.parametrize("estimator", [pkpd.FO(), pkpd.FOCE(interaction=False)])
def test_what_cannot_honour_it_says_so(estimator):
    with pytest.raises(CannotFit, match=r"residual errors that differ between people \(y\)"):
        pkpd.fit(Model(TEXT), data(), estimator)
