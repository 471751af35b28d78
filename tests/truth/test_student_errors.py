"""Residual errors that follow Student's t, held to scipy's densities and integrals in one dimension."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit, ModelError
from pkpd.likelihood import make_problem
from pkpd.likelihood.redraw import simulate_population
from pkpd.model import Model

MU, VARIANCE, DF = 5.0, 0.2, 4.0
FIXED = {"max_iterations": 0, "covariance": None}
LAWS = {"additive": "add = 0.5", "proportional": "prop = 0.12", "combined": "add = 0.3, prop = 0.1",
        "log-normal": "log = 0.15"}  # fmt: skip


def model(law: str, t: float | None = DF) -> Model:
    return Model(f"""
[parameters]
mu = {{ typical = {MU}, unit = "mg/L", iiv = {VARIANCE} }}
[dynamics]
equations = "y = mu"
[outputs]
y = {{ unit = "mg/L", {law}{"" if t is None else f", t = {t}"} }}
""")


@lru_cache
def people(n: int = 10, each: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    own = [MU * np.exp(VARIANCE**0.5 * rng.standard_normal()) for _ in range(n)]
    return [np.maximum(mu + 0.5 * rng.standard_t(DF, each), 0.3) for mu in own]


@lru_cache
def data(n: int = 10, each: int = 5, limit: float = 0.0) -> Dataset:
    rows = [(i + 1, j, max(y, limit), limit, int(y < limit)) for i, own in enumerate(people(n, each))
            for j, y in enumerate(own)]  # fmt: skip
    names = ("ID", "TIME", "DV", "LLOQ", "CENS")[: 5 if limit else 3]
    return read_data({name: [row[k] for row in rows] for k, name in enumerate(names)})


def log_density(y: np.ndarray, f: float, law: str, limit: float) -> np.ndarray:
    """By scipy, with its constants."""
    at = {key: float(value) for key, value in (part.split(" = ") for part in law.split(", "))}
    if "log" in at:
        return stats.t.logpdf(np.log(y), DF, np.log(f), at["log"]) - np.log(y)
    scale = np.hypot(at.get("add", 0.0), at.get("prop", 0.0) * f)
    return np.where(y < limit, stats.t.logcdf(limit, DF, f, scale), stats.t.logpdf(y, DF, f, scale))


def joint(eta: float, y: np.ndarray, law: str, limit: float) -> float:
    """Minus the log density of records and effect; the constant of NONMEM is left out of records that were seen."""
    records = -log_density(y, MU * np.exp(eta), law, limit).sum() - 0.5 * np.log(2 * np.pi) * (y >= limit).sum()
    return records + 0.5 * eta**2 / VARIANCE + 0.5 * np.log(VARIANCE)


def integral(y: np.ndarray, law: str, limit: float = 0.0) -> float:
    grid = np.linspace(-3, 3, 601)
    least = min(joint(eta, y, law, limit) for eta in grid)

    def relative(eta: float) -> float:
        return np.exp(least - joint(eta, y, law, limit)) / np.sqrt(2 * np.pi)

    area = sum(integrate.quad(relative, low, low + 0.5, epsabs=1e-13)[0] for low in np.arange(-3, 3, 0.5))
    return 2 * least - 2 * np.log(area)


@pytest.mark.parametrize("limit", [0.0, 4.0], ids=["seen", "censored"])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_likelihood_is_the_integral(law, limit):
    if limit and "log" in law:
        pytest.skip("the limit on the logarithmic scale is held in tests/likelihood/test_density.py")
    exact = sum(integral(y, law, limit) for y in people())
    fit = pkpd.fit(model(law), data(limit=limit), pkpd.Quadrature(nodes=41, **FIXED))
    assert fit.ofv == pytest.approx(exact, abs=2e-3)


def test_foce_takes_the_expected_information_of_the_t():
    """(df + 1) / (df + 3) / scale^2 about the location: Lange, Little and Taylor, J Am Stat Assoc 1989;84:881."""
    total = 0.0
    for y in people():
        found = optimize.minimize_scalar(
            joint, bounds=(-2, 2), args=(y, "add = 0.5", 0.0), method="bounded", options={"xatol": 1e-10}
        )
        f = MU * np.exp(found.x)
        information = y.size * (DF + 1) / (DF + 3) / 0.5**2 * f**2 + 1 / VARIANCE
        total += 2 * found.fun + np.log(information)
    assert pkpd.fit(model("add = 0.5"), data(), pkpd.FOCE(**FIXED)).ofv == pytest.approx(total, abs=1e-6)
    # That information is the mean of the squared slope of the log density.
    squares, _ = integrate.quad(
        lambda z: ((DF + 1) * z / (DF + z**2)) ** 2 * stats.t.pdf(z, DF), -np.inf, np.inf, epsabs=1e-12
    )
    assert squares == pytest.approx((DF + 1) / (DF + 3), rel=1e-9)


def test_estimators_agree_and_outliers_matter_less():
    fits = [pkpd.fit(model("add = 0.5"), data(60, 6), e) for e in (pkpd.Quadrature(nodes=11), pkpd.SAEM(seed=2))]
    for name in ("mu", "y.add", "iiv.mu"):
        one, other = (f.estimates.sel(parameter=name) for f in fits)
        assert other["value"].item() == pytest.approx(one["value"].item(), abs=0.15 * one["se"].item()), name
    assert fits[0].status == fits[1].status == "converged"
    normal = pkpd.fit(model("add = 0.5", None), data(60, 6), pkpd.Quadrature(nodes=11, covariance=None))
    assert fits[0].ofv < normal.ofv - 10


def test_replicates_are_drawn_from_it():
    problem = make_problem(model("add = 0.5"), data(200, 20))
    population = pkpd.FOCE().population(problem)
    x = np.concatenate([population.effects.start, population.effects.covariance.start])
    x[-1] = np.log(1e-6)  # nobody differs
    drawn = simulate_population(population, x, seed=5, replicate=0, purpose="test")
    z = (drawn.problem.observations.dv - MU) / 0.5
    assert stats.kstest(z, stats.t(DF).cdf).pvalue > 0.01
    assert stats.kstest(z, stats.norm.cdf).pvalue < 1e-4


@pytest.mark.parametrize("estimator", [pkpd.FO(), pkpd.FOCE(interaction=False), pkpd.Pooled(), pkpd.Individual()])
def test_what_cannot_honour_it_says_so(estimator):
    with pytest.raises(CannotFit, match=r"residual errors that follow Student's t \(y\)"):
        pkpd.fit(model("add = 0.5"), data(), estimator)


def test_it_is_written_and_refused():
    own = model("add = 0.5")
    assert Model(own.text) == own and "Student's t with 4 df" in str(own)
    with pytest.raises(ModelError, match="t is 0"):
        model("add = 0.5", 0.0)
    with pytest.raises(ModelError, match="t is given without a scale"):
        model("dvid = 1")
