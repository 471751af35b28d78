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
