"""SAEM: the exact maximum whatever is estimated, the same bits for the same seed, chains that keep their law."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit, UsageError
from pkpd.estimation import SAEM, Quadrature
from pkpd.estimation.complete import Roles, collect, complete_score, group_maximum, stepped_score
from pkpd.estimation.saem import _aims
from pkpd.estimation.stochastic import Search
from pkpd.likelihood import make_problem
from pkpd.likelihood.priors import Priors
from pkpd.likelihood.quadrature import grid
from pkpd.likelihood.sampler import Sampler, find_hills
from pkpd.likelihood.variance import Group
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
#: Short runs, for what does not depend on their length.
BRIEF = {"burn": 30, "smooth": 50}


def decline(of_a: str = "iiv = 0.05", of_k: str = "iiv = 0.05", law: str = "prop = 0.3", omega: str = "") -> Model:
    text = TEXT.replace("OF_A", of_a).replace("OF_K", of_k).replace("LAW", law).replace("OMEGA", omega)
    return Model(text)


@lru_cache
def seen(
    people: int = 30,
    seed: int = 1,
    sd_k: float = 0.2,
    correlation: float = 0.0,
    add: float = 0.0,
    lloq: float = 0.0,
    occasions: int = 1,
) -> Dataset:
    """Simulated: a = 10, k = 0.3, SD of log a 0.3, proportional error 10 %."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(people):
        u = rng.standard_normal(2)
        k = 0.3 * np.exp(sd_k * (correlation * u[0] + np.sqrt(1 - correlation**2) * u[1]))
        for o in range(occasions):
            kappa = 0.2 * rng.standard_normal() if occasions > 1 else 0.0
            for t in TIMES + 8.5 * o:
                f = 10 * np.exp(0.3 * u[0] + kappa - k * t)
                y = f + np.hypot(0.1 * f, add) * rng.standard_normal()
                row = {"ID": i + 1, "TIME": t, "DV": max(y, lloq)}
                row |= {"CENS": int(y < lloq), "LLOQ": lloq} if lloq else {}
                rows.append(row | ({"OCC": o + 1} if occasions > 1 else {}))
    return read_data({name: [row[name] for row in rows] for name in rows[0]})


def shuffled(data: Dataset) -> tuple[Dataset, np.ndarray]:
    """The same with subjects in another order, and where each came from."""
    who = data.columns["ID"].astype(str)
    names = list(dict.fromkeys(who.tolist()))
    order = np.random.default_rng(3).permutation(len(names))
    rows = np.concatenate([np.flatnonzero(who == names[i]) for i in order])
    table = {name: data.columns[name][rows].tolist() for name in ("ID", "TIME", "DV")}
    return read_data(table), order


CASES = {
    "a parameter without random effect": (decline(of_k="fixed = false", law="add = 0.3, prop = 0.3"),
                                          seen(sd_k=0.0, add=0.4)),
    "one without random effect at its bound": (decline(of_k="upper = 0.25"), seen(sd_k=0.0)),
    "one with a random effect at its bound": (decline(of_a="iiv = 0.05, upper = 9"), seen()),
    "log-normal error": (decline(law="log = 0.3"), seen()),
    "combined error, censored": (decline(law="add = 0.3, prop = 0.3"), seen(add=0.4, lloq=1.0)),
    "power": (decline(law="prop = 0.3, power = 0.8"), seen()),
    "block": (decline("fixed = false", "fixed = false", omega=BLOCK), seen(60, sd_k=0.3, correlation=0.6)),
    "occasions": (decline("iiv = 0.05, iov = 0.05", "fixed = false"), seen(sd_k=0.0, occasions=2)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_exact_maximum(case):
    model, data = CASES[case]
    exact, found = pkpd.fit(model, data, Quadrature(nodes=9)), pkpd.fit(model, data, SAEM(seed=1))
    assert found.tree.attrs["status"] == exact.tree.attrs["status"]
    error = np.nan_to_num(exact.estimates.se.values)  # none at a bound
    away = (found.estimates.value.values - exact.estimates.value.values) / np.where(error > 0, error, 1e-6)
    assert np.abs(away).max() < (0.3 if case == "occasions" else 0.1)
    assert found.tree.attrs["objective"] == pytest.approx(exact.tree.attrs["objective"], abs=0.1)
    assert np.nan_to_num(found.estimates.se.values) == pytest.approx(error, rel=0.3 if case == "occasions" else 0.05)


def test_what_was_simulated():
    truth = {"a": 10.0, "k": 0.3, "y.prop": 0.1, "iiv.a": 0.09, "iiv.k": 0.04}
    fits = [
        pkpd.fit(decline(), seen(seed=seed), SAEM(seed=1, covariance="R", burn=100, smooth=60)) for seed in range(8)
    ]
    for name, value in truth.items():
        found = np.array([fit.estimates.value.sel(parameter=name).item() for fit in fits])
        error = np.array([fit.estimates.se.sel(parameter=name).item() for fit in fits]).mean()
        # Variances of 30 people are expected 1/30 too low by maximum likelihood.
        expected = value * 29 / 30 if name.startswith("iiv") else value
        assert abs(found.mean() - expected) < 3 * error / np.sqrt(len(fits)), name


def test_same_seed_same_bits():
    data = seen(12)
    first = pkpd.fit(decline(), data, SAEM(seed=4, threads=1, **BRIEF))
    again = pkpd.fit(decline(), data, SAEM(seed=4, threads=2, **BRIEF))
    other, order = shuffled(data)
    moved = pkpd.fit(decline(), other, SAEM(seed=4, **BRIEF))
    for same in (again, moved):
        assert same.estimates.value.values.tobytes() == first.estimates.value.values.tobytes()
        assert same.estimates.se.values.tobytes() == first.estimates.se.values.tobytes()
        assert same.tree.attrs["objective"] == first.tree.attrs["objective"]
    assert again["etas"].eta.values.tobytes() == first["etas"].eta.values.tobytes()
    assert moved["etas"].eta.values.tobytes() == first["etas"].eta.values[order].tobytes()
    assert (
        moved.records["CWRES"].values[:7].tobytes() == first.records["CWRES"].values.reshape(-1, 7)[order[0]].tobytes()
    )
    another = pkpd.fit(decline(), data, SAEM(seed=5, **BRIEF))
    assert (another.estimates.value.values != first.estimates.value.values).any()


def test_chains_keep_the_law_of_the_random_effects():
    """Mean and covariance of long chains, against quadrature on a fine grid over the posterior."""
    estimator = SAEM(seed=1, chains=200)
    population = estimator.population(make_problem(decline(law="prop = 0.6"), seen(3)))
    effects = population.effects
    z, omega = effects.start, np.array([[0.09, 0.03], [0.03, 0.06]])
    precision = np.linalg.inv(omega)
    hills = find_hills(population, z, precision, np.zeros((3, 2)))
    places, logs = grid(40, 2)
    b = hills.mode + np.einsum("sij,gj->gsi", 1.3 * hills.wide, places)
    crowd = population.repeat(len(places))
    value = crowd.value(effects.arguments(z, b.reshape(-1, 2))).reshape(len(places), 3)
    heights = logs[:, None] + 0.5 * (places**2).sum(axis=1)[:, None] - value
    heights -= 0.5 * np.einsum("gsi,ij,gsj->gs", b, precision, b)
    weights = np.exp(heights - heights.max(axis=0))
    weights /= weights.sum(axis=0)
    mean = np.einsum("gs,gsi->si", weights, b)
    spread = np.einsum("gs,gsi,gsj->sij", weights, b - mean, b - mean)
    sampler = Sampler(population=population, chains=estimator.chains, seed=1)
    # Hills that are off, so that all kinds of steps are needed.
    off = find_hills(population, z + 0.1, precision, np.zeros((3, 2)))
    chains, drawn = sampler.start(z, np.zeros((3, 2)), omega), []
    for number in range(160):
        chains = sampler.sweep(chains, number, z, omega, off, adapt=number < 40)
        if number >= 40:
            drawn.append(chains.b.reshape(estimator.chains, 3, 2))
    draws = np.concatenate(drawn)
    sd = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.03 * sd.min())
    for s in range(3):
        assert np.cov(draws[:, s].T) == pytest.approx(spread[s], abs=0.03 * spread[s].max())


def test_a_fixed_matrix_and_a_bound_in_closed_form():
    group = Group(
        names=("a", "k"),
        start=np.array([[0.09, 0.03], [0.03, 0.04]]),
        places=np.array([[0, 1]]),
        fixed=True,
        kind="iiv",
    )
    first, second = np.array([2.0, -1.0]), np.array([[4.1, -2.0], [-2.0, 1.05]])
    own, upper = np.array([0, 1]), np.array([1.7, np.inf])
    centre, matrix = group_maximum(group, own, first, second, group.start, np.full(2, -np.inf), upper)
    assert matrix is group.start
    # Beside a centre that is 0.3 too low, the regression on it moves the other.
    assert centre == pytest.approx([1.7, -1.0 - 0.03 / 0.09 * 0.3])


def test_a_stop_by_hand_keeps_the_estimates(monkeypatch):
    iterate = Search.iterate

    def stopping(self, state):
        if state.iteration == 40:
            raise KeyboardInterrupt
        return iterate(self, state)

    monkeypatch.setattr(Search, "iterate", stopping)
    found = pkpd.fit(decline(), seen(12), SAEM(seed=1, burn=30, smooth=50))
    assert found.tree.attrs["status"] == "not converged"
    assert "Stopped by hand after 40 of 80 iterations" in str(found)
    assert np.isfinite(found.estimates.value.values).all()


def test_no_iterations_evaluate_at_the_start():
    found = pkpd.fit(decline(), seen(12), SAEM(seed=1, burn=0, smooth=0))
    exact = pkpd.fit(decline(), seen(12), Quadrature(nodes=41, max_iterations=0))
    assert found.tree.attrs["status"] == "not converged"
    assert found.tree.attrs["objective"] == pytest.approx(exact.tree.attrs["objective"], abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chains": 0}, r"SAEM\(chains=...\)"),
        ({"burn": -1}, r"SAEM\(burn=...\)"),
        ({"smooth": -1}, r"SAEM\(smooth=...\)"),
        ({"power": 0.5}, r"SAEM\(power=...\)"),
        ({"censoring": "M5"}, r"SAEM\(censoring=...\)"),
    ],
)
def test_refuses_options_by_name(options, message):
    with pytest.raises(CannotFit, match=message):
        SAEM(seed=1, **options)


def test_refuses_what_it_cannot_honour():
    with pytest.raises(UsageError, match="no seed"):
        SAEM()
    with pytest.raises(CannotFit, match="1 subject cannot tell"):
        pkpd.fit(decline(), seen(1), SAEM(seed=1))
    with pytest.raises(CannotFit, match="no parameter differs between people"):
        pkpd.fit(decline("fixed = false", "fixed = false"), seen(12), SAEM(seed=1))


def test_a_prior_weighs_as_people_do():
    """The greatest of -people ((first - c)^2 / w) - (c - known)^2 / s^2."""
    group = Group(names=("a",), start=np.array([[0.09]]), places=np.array([[0]]), fixed=False, kind="iiv")
    priors = Priors(centre=np.array([1.0]), precision=np.array([1 / 0.2**2]))
    open_ = np.array([np.inf])
    centre, matrix = group_maximum(
        group, np.array([0]), np.array([2.0]), np.array([[4.1]]), group.start, -open_, open_, people=7, priors=priors
    )
    wanted = (7 / 0.09 * 2.0 + 25.0 * 1.0) / (7 / 0.09 + 25.0)
    assert centre == pytest.approx([wanted], rel=1e-12)
    assert matrix == pytest.approx(np.array([[0.1 + (2.0 - wanted) ** 2]]), rel=1e-12)


@pytest.mark.parametrize("case", ["one without random effect at its bound", "log-normal error", "block", "occasions"])
def test_the_score_of_records_and_random_effects_is_a_difference(case):
    """Individual values stay where they are, while typical values and Omega move."""
    model, data = CASES[case]
    own = SAEM(seed=1).population(make_problem(model, data, occasions=True))
    effects, roles, k = own.effects, Roles.of(own), len(own.effects.typical)
    x = own.start + 0.05 * np.arange(len(own.start))
    b = 0.2 * np.random.default_rng(1).standard_normal((len(own.problem.subjects), len(effects.names)))
    follow = np.zeros((len(effects.names), k))
    for group, led in zip(effects.covariance.groups, roles.by_group, strict=True):
        for i in np.flatnonzero(led >= 0):
            follow[group.places[:, i], led[i]] = 1.0

    def log_density(at: np.ndarray) -> float:
        moved = b - follow @ (at[:k] - x[:k])
        precision, log_determinant = effects.covariance.inverse(at[k:])
        inner = np.einsum("si,ij,sj->", moved, precision, moved) + len(b) * log_determinant
        return -float(own.value(effects.arguments(at[:k], moved)).sum() + 0.5 * inner)

    steps = stepped_score(own, roles, effects.arguments(x[:k], b), 1)
    found = complete_score(own, roles, x, b, collect(own, roles, x[:k], b, steps), steps.score)
    wanted = [(log_density(x + e) - log_density(x - e)) / 2e-5 for e in 1e-5 * np.eye(len(x))]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_the_last_step_leads_to_the_maximum_of_a_parabola():
    information = np.array([[4.0, 1.0], [1.0, 3.0]])
    best, free = np.array([1.0, -2.0, 5.0]), np.array([True, True, False])
    iterates = best + np.random.default_rng(1).standard_normal((40, 3)) * [1.0, 1.0, 0.0] + [0.5, 0.0, 0.0]
    scores = np.concatenate([(best - iterates)[:, :2] @ information, np.zeros((40, 1))], axis=1)
    x = iterates.mean(axis=0)
    found = _aims(x, np.stack([iterates, scores], axis=1), information, free)
    assert found.aim == pytest.approx(best, abs=1e-12) and found.noise == pytest.approx(0.0, abs=1e-12)
    errors = np.sqrt(np.diagonal(np.linalg.inv(information)))
    assert found.far == pytest.approx(np.abs((x - best)[:2] / errors).max(), rel=1e-10)
