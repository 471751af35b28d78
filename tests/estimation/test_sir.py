"""Sampling importance resampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.errors import UsageError
from pkpd.estimation import FOCE
from pkpd.model import Model
from tests.one_way import Exact, as_data, drawn, one_way_model

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Y = drawn(3, 40, 4)


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return as_data(Y)


@pytest.fixture(scope="module")
def fit(data) -> pkpd.Fit:
    return pkpd.fit(one_way_model(), data, FOCE(covariance="R"))


def test_draws_stand_for_the_likelihood(fit, data):
    found = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=1500, resamples=300), interval="sir")
    group = found["sir"]
    assert (group["effective"] > 300).all() and (group["lost"] == 0).all()
    # Of three quantities: chi-square has the mean 3 and the SD root 6.
    assert float(group["freedom"][-1]) == pytest.approx(3, abs=4 * (6 / 300) ** 0.5)
    exact = Exact(Y)
    for name, ends in (
        ("theta", exact.theta_ends()),
        ("y.add", exact.sigma_ends()),
        ("iiv.theta", exact.omega2_ends()),
    ):
        own = group.sel(parameter=name)
        for end, is_ in zip(("lower", "upper"), ends):
            assert float(own[end]) == pytest.approx(is_, abs=0.12 * (ends[1] - ends[0]))
        assert float(found.estimates["lower"].sel(parameter=name)) == float(own["lower"])
    posterior = found["posterior"]
    assert posterior["theta"].dims == ("chain", "draw") and posterior.sizes == {"chain": 1, "draw": 300}
    assert posterior["iiv.theta"].min() > 0
    exact_lp = [
        -0.5 * exact.objective(*(float(posterior[name][0, k]) for name in ("theta",)),
                               float(posterior["y.add"][0, k]) ** 2, float(posterior["iiv.theta"][0, k]))
        for k in range(5)
    ]  # fmt: skip
    np.testing.assert_allclose(found["sample_stats"]["lp"].values[0, :5], exact_lp, atol=1e-6)


def test_a_proposal_that_is_off_is_seen_and_put_right(fit, data):
    wide = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=600, resamples=120, inflation=4.0, rounds=2))["sir"]
    first, second = wide["effective"].values
    assert first < 0.35 * 600 < 0.6 * 600 < second
    assert float(wide["proposal_freedom"][0]) == pytest.approx(12, rel=0.3)
    assert float(wide["freedom"][0]) == pytest.approx(3, abs=1.0)


def test_draws_are_the_same_again_and_none_comes_twice(fit, data):
    how = pkpd.SIR(seed=4, samples=100, resamples=50, rounds=1)
    one, two = (pkpd.sir(fit, data, how) for _ in range(2))
    assert one["posterior"].identical(two["posterior"])
    assert len(np.unique(one["posterior"]["theta"].values)) == 50
    other = pkpd.sir(fit, data, pkpd.SIR(seed=5, samples=100, resamples=50, rounds=1))
    assert not np.isin(other["posterior"]["theta"].values, one["posterior"]["theta"].values).any()
    with pytest.raises(UsageError, match="resamples"):
        pkpd.SIR(seed=1, samples=10, resamples=20)


@pytest.mark.slow
def test_theophylline_percentiles_are_near_the_profile():
    text = (REPOSITORY / "fits" / "theophylline_individual" / "model.toml").read_text(encoding="utf-8")
    text = text.replace("typical = 1.5,", "typical = 1.5, iiv = 0.4,").replace(
        "typical = 0.04,", "typical = 0.04, iiv = 0.1,"
    )
    data = pkpd.read_data(REPOSITORY / "fits" / "theophylline_individual" / "data.csv")
    fit = pkpd.fit(Model(text), data, FOCE(covariance="R"))
    ends = pkpd.profile(fit, data)["profile"]
    found = pkpd.sir(fit, data, pkpd.SIR(seed=1, samples=1500, resamples=300))["sir"]
    assert float(found["effective"][-1]) > 300
    for name in ("ke", "ka", "cl", "cp.add"):
        low, high = (float(ends[end].sel(parameter=name)) for end in ("lower", "upper"))
        for end, is_ in (("lower", low), ("upper", high)):
            assert abs(np.log(float(found[end].sel(parameter=name)) / is_)) < 0.15 * np.log(high / low)


def lopsided(m: int = 7) -> tuple[pkpd.Dataset, pkpd.Fit]:
    """Few people: the likelihood of a variance has a long upper tail."""
    data = as_data(drawn(11, m, 3, omega=2.0))
    return data, pkpd.fit(one_way_model(), data, FOCE(covariance="R"))


def test_a_law_shaped_by_profiles_stands_better_for_few_people():
    data, few = lopsided()
    many = {
        proposal: pkpd.sir(few, data, pkpd.SIR(seed=1, samples=1500, resamples=100, rounds=1, proposal=proposal))
        for proposal in ("covariance", "profile")
    }
    effective = {proposal: float(found["sir"]["effective"][0]) for proposal, found in many.items()}
    assert effective["profile"] > 1.3 * effective["covariance"]
    assert effective["profile"] > 0.6 * 1500
    assert many["profile"]["sir"].attrs["proposal"] == "profile"


def test_both_laws_have_the_same_posterior():
    data, few = lopsided()
    exact = Exact(drawn(11, 7, 3, omega=2.0))
    # The mean of log omega^2 under the likelihood, flat in theta, log sigma and log omega^2, by summing over a grid.
    log_sigma = np.linspace(-1.2, 0.9, 160)
    log_omega2 = np.linspace(np.log(exact.omega2) - 5, np.log(exact.omega2) + 6, 400)
    s, o = np.meshgrid(log_sigma, log_omega2, indexing="ij")
    scale = np.exp(2 * s) + 3 * np.exp(o)
    logs = -0.5 * (7 * 2 * 2 * s + 7 * np.log(scale) + exact.within / np.exp(2 * s) + exact.between / scale)
    weight = np.exp(logs - logs.max()) * np.sqrt(scale)  # theta is integrated out
    mean = (weight * o).sum() / weight.sum()
    sd = np.sqrt((weight * (o - mean) ** 2).sum() / weight.sum())
    for proposal in ("covariance", "profile"):
        found = pkpd.sir(few, data, pkpd.SIR(seed=3, samples=2000, resamples=400, rounds=1, proposal=proposal))
        drawn_ = np.log(found["posterior"]["iiv.theta"].values[0])
        assert drawn_.mean() == pytest.approx(mean, abs=4 * sd / 400**0.5 + 0.06)


def test_rounds_and_profiles_that_are_there_already():
    data, few = lopsided()
    profiled = pkpd.profile(few, data, pkpd.Profile(points=0))
    how = pkpd.SIR(seed=1, samples=300, resamples=60, rounds=2, proposal="profile")
    one, other = (pkpd.sir(each, data, how)["sir"] for each in (few, profiled))
    np.testing.assert_allclose(one["effective"], other["effective"], rtol=1e-9)
    assert (one["effective"] > 60).all() and one["effective"][0] != one["effective"][1]
    with pytest.raises(UsageError, match="proposal"):
        pkpd.SIR(seed=1, proposal="wald")


def test_a_block_is_weighted_by_the_density_of_what_is_drawn():
    """The density of the draws, by outer parameters, integrates to one: its mean inverse over a normal law says so."""
    from pkpd.estimation.proposal import SplitNormal
    from pkpd.estimation.recall import recall
    from tests.estimation.test_profiles import TWO

    rng = np.random.default_rng(2)
    b = rng.standard_normal((25, 2)) @ np.array([[1.0, 0.4], [0.0, 0.6]])
    data = as_data(10 + b[:, :1] + (2 + b[:, 1:]) * np.arange(4.0) + 0.5 * rng.standard_normal((25, 4)))
    known = recall(pkpd.fit(Model(TWO), data, FOCE(covariance="R")), data, "test")
    own = known.quantities.coordinates
    centre = own.forward(known.quantities.natural(known.x))
    m = int(own.free.sum())
    law = SplitNormal(quantities=known.quantities, centre=centre, places=np.flatnonzero(own.free),
                      below=np.full(m, 0.05), above=np.full(m, 0.09), factor=np.eye(m))  # fmt: skip
    z = rng.standard_normal((4000, m))
    x, density = law.draw(z)
    sound = np.isfinite(density)
    assert 0.9 < sound.mean() and np.isnan(x[~sound]).all()
    mean, root = x[sound].mean(axis=0), np.linalg.cholesky(np.cov(x[sound], rowvar=False))
    tall = -0.5 * (np.linalg.solve(root, (x - mean).T) ** 2).sum(axis=0) - np.log(np.diagonal(root)).sum()
    constant = m * np.log(2 / (0.05 + 0.09)) - 0.5 * m * np.log(2 * np.pi)
    ratio = np.where(sound, np.exp(tall - 0.5 * m * np.log(2 * np.pi) - density - constant), 0.0)
    assert ratio.mean() == pytest.approx(1.0, abs=4 * ratio.std() / 4000**0.5)
