"""Laws of scores, categories, yes or no and counts: derivatives against differences, probabilities against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from pkpd.likelihood.discrete import Discrete, Levels
from pkpd.model import Output
from pkpd.model.kind import Binary, Categories, Count, Kind, Score

RNG = np.random.default_rng(20)  # of the laws; every test draws from its own


def scores() -> list[Score]:
    """Every law and scale, with and without more at the ends, of few and many values."""
    found = []
    for law in ("logit-normal", "bounded integer", "beta", "normal"):
        for scale in ("score", "latent"):
            for lower, upper, step in ((0, 100, 1), (1, 3, 1), (-5, 5, 2.5), (0, 1, 0.01)):
                sd = RNG.uniform(0.2, 2) * ((upper - lower) / 8 if law == "normal" else 1)
                own = {"precision": RNG.uniform(0.5, 300)} if law == "beta" else {"sd": sd}
                for floor, ceiling in ((0, 0), (0.03, 0), (0.1, 0.2)):
                    found.append(Score(lower=lower, upper=upper, step=step, law=law, scale=scale, floor=floor,
                                       ceiling=ceiling, **own))  # fmt: skip
    return found


OTHERS: list[Kind] = [
    *(Categories(levels=(0, 1, 2, 5), cuts=(-1, 0.2, 2), link=link) for link in ("logit", "probit")),
    Categories(levels=(0, 1), cuts=(0.4,)),
    *(Binary(scale=scale) for scale in ("probability", "logit", "probit")),
    Count(),
    Count(zeros=0.2),
    Count(law="negative binomial", dispersion=0.7),
    Count(law="negative binomial", dispersion=0.02, zeros=0.1),
]
EVERY = [*scores(), *OTHERS]


def law_of(kind: Kind) -> tuple[Discrete, np.ndarray]:
    """The law of an output with its parameters."""
    output = Output(name="y", kind=kind)
    law = Discrete.of(output, {name: k for k, name in enumerate(output.residual_names)})
    assert law is not None
    return law, np.array(list(output.residual_values.values()))


def predictions(kind: Kind, n: int) -> np.ndarray:
    """Predictions such as the kind may have."""
    rng = np.random.default_rng(len(kind.words))
    if isinstance(kind, Score) and kind.scale == "score":
        return rng.uniform(kind.lower, kind.upper, n)
    if isinstance(kind, Count):
        return rng.gamma(2, 3, n)
    if isinstance(kind, Binary) and kind.scale == "probability":
        return rng.uniform(0.01, 0.99, n)
    return rng.normal(0, 1.5, n)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.words)
def test_derivatives_are_differences(kind: Kind):
    law, own = law_of(kind)
    n = 40
    f, psi = predictions(kind, n), np.broadcast_to(own, (n, own.size))
    y = law.quantile(np.random.default_rng(n).uniform(size=n), f, psi)
    at, v = law.jets(y, f, psi), np.column_stack([f, psi])
    assert np.isfinite(at.value).all()
    for k in range(v.shape[1]):
        step = 1e-5 * np.maximum(np.abs(v[:, k]), 1e-3)
        sides = []
        for sign in (1, -1):
            moved = v.copy()
            moved[:, k] += sign * step
            sides.append(law.jets(y, moved[:, 0], moved[:, 1:]))
        size = np.maximum(np.abs(at.d1[:, k]), 0.02 / np.maximum(np.abs(v[:, k]), 0.1))
        assert (np.abs((sides[0].value - sides[1].value) / (2 * step) - at.d1[:, k]) < 2e-5 * size).all()
        bend = (sides[0].d1 - sides[1].d1) / (2 * step)[:, None]
        assert (np.abs(bend - at.d2[:, :, k]) < 1e-4 * np.maximum(np.abs(at.d2[:, :, k]), 0.02)).all()


@pytest.mark.parametrize("kind", [kind for kind in EVERY if not isinstance(kind, Count)], ids=lambda kind: kind.words)
def test_probabilities_are_those_of_the_records(kind: Kind):
    law, own = law_of(kind)
    assert isinstance(law, Levels)
    n, k = 7, len(law.levels)
    f = predictions(kind, n)
    psi = np.broadcast_to(own, (n, own.size))
    chance = law.probabilities(f, psi)
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-12)
    each = law.jets(np.tile(law.levels, n), np.repeat(f, k), np.repeat(psi, k, axis=0)).value
    np.testing.assert_allclose(np.exp(each).reshape(n, k), chance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(law.mean(f, psi), chance @ law.levels, rtol=1e-12)
    second = chance @ law.levels**2 - (chance @ law.levels) ** 2
    np.testing.assert_allclose(law.sd(f, psi), np.sqrt(np.maximum(second, 0)), rtol=1e-6, atol=2e-6)
    assert (law.mean(f, psi) >= law.levels[0]).all() and (law.mean(f, psi) <= law.levels[-1]).all()
    less, upto = law.cdf(law.levels[np.arange(n) % k], f, psi)
    risen = np.cumsum(chance, axis=1)
    rows = np.arange(n)
    np.testing.assert_allclose(upto, risen[rows, rows % k], rtol=1e-12)
    np.testing.assert_allclose(upto - less, chance[rows, rows % k], atol=1e-12)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.words)
def test_draws_follow_the_law(kind: Kind):
    law, own = law_of(kind)
    u = (np.arange(4000) + 0.5) / 4000
    f = np.full(u.size, predictions(kind, 1)[0])
    psi = np.broadcast_to(own, (u.size, own.size))
    y = law.quantile(u, f, psi)
    assert law.possible(y).all()
    less, upto = law.cdf(y, f, psi)
    assert (less <= u + 1e-12).all() and (u <= upto + 1e-12).all()
    assert y.mean() == pytest.approx(law.mean(f[:1], psi[:1])[0], abs=4e-3 * law.sd(f[:1], psi[:1])[0])


def test_counts_are_those_of_scipy():
    y, f = np.arange(25.0), np.linspace(0.5, 12, 25)
    law, own = law_of(Count(zeros=0.15))
    want = np.where(y == 0, 0.15, 0) + 0.85 * stats.poisson.pmf(y, f)
    np.testing.assert_allclose(np.exp(law.jets(y, f, np.tile(own, (25, 1))).value), want, rtol=1e-12)
    for dispersion in (5.0, 0.7, 1e-3):
        law, own = law_of(Count(law="negative binomial", dispersion=dispersion))
        psi = np.tile(own, (25, 1))
        want = stats.nbinom.logpmf(y, 1 / dispersion, 1 / (1 + dispersion * f))
        np.testing.assert_allclose(law.jets(y, f, psi).value, want, rtol=1e-9)
        np.testing.assert_allclose(law.sd(f, psi) ** 2, f + dispersion * f**2, rtol=1e-12)
    many = np.array([2000.0])
    law, own = law_of(Count(law="negative binomial", dispersion=0.7))
    want = stats.nbinom.logpmf(many, 1 / 0.7, 1 / (1 + 0.7 * 1500.0))
    np.testing.assert_allclose(law.jets(many, np.array([1500.0]), own[None]).value, want, rtol=1e-10)


def test_little_dispersion_is_poisson():
    y, f = np.arange(12.0), np.full(12, 3.3)
    plain, _ = law_of(Count())
    law, _ = law_of(Count(law="negative binomial", dispersion=1.0))
    near = law.jets(y, f, np.full((12, 1), 1e-9))
    want = plain.jets(y, f, np.zeros((12, 0)))
    np.testing.assert_allclose(near.value, want.value, rtol=1e-8)
    np.testing.assert_allclose(near.d1[:, 0], want.d1[:, 0], rtol=1e-7, atol=1e-9)
    # (y (y - 1) - 2 y f + f^2) / 2 is how the log likelihood begins to change with the dispersion.
    np.testing.assert_allclose(near.d1[:, 1], 0.5 * (y * (y - 1) - 2 * y * f + f**2), rtol=1e-6)


def test_beta_bins_are_those_of_scipy():
    for a, b in ((0.3, 0.4), (2, 300), (50, 3), (500, 500)):
        law, own = law_of(Score(lower=0, upper=100, law="beta", precision=a + b))
        f = np.full(101, a / (a + b) * 101 - 0.5)
        got = law.jets(np.arange(101.0), f, np.full((101, 1), own[0])).value
        want = np.diff(stats.beta.cdf(np.arange(102) / 101, a, b))
        np.testing.assert_allclose(np.exp(got), want, rtol=1e-7, atol=1e-13)


def test_ordered_levels_far_out_keep_their_digits():
    law, own = law_of(Categories(levels=(0, 1, 2), cuts=(-1.0, 1.0)))
    f = np.array([60.0, -60.0])
    psi = np.tile(own, (2, 1))
    got = law.jets(np.array([0.0, 2.0]), f, psi)
    np.testing.assert_allclose(got.value, [-61.0, -61.0], rtol=1e-12)
    np.testing.assert_allclose(got.d1[:, 0], [-1.0, 1.0], rtol=1e-12)
    middle = law.jets(np.array([1.0]), np.array([40.0]), psi[:1]).value
    np.testing.assert_allclose(middle, np.log(np.exp(-39.0) - np.exp(-41.0)), rtol=1e-12)


def test_the_latent_scale_is_the_score_scale_seen_through_its_link():
    u = np.linspace(0.02, 0.98, 9)
    for law, link in (("logit-normal", special.logit), ("bounded integer", special.ndtri), ("beta", special.logit)):
        own = {"precision": 12.0} if law == "beta" else {"sd": 0.6}
        plain, psi = law_of(Score(lower=0, upper=10, law=law, **own))
        latent, _ = law_of(Score(lower=0, upper=10, law=law, scale="latent", **own))
        assert isinstance(plain, Levels) and isinstance(latent, Levels)
        psi = np.tile(psi, (9, 1))
        np.testing.assert_allclose(
            plain.probabilities(u * 11 - 0.5, psi), latent.probabilities(link(u), psi), rtol=1e-9, atol=1e-13
        )


@pytest.mark.parametrize("law", ["logit-normal", "bounded integer", "beta"])
def test_predictions_outside_the_range_have_no_likelihood(law: str):
    found, own = law_of(Score(lower=0, upper=10, law=law))
    got = found.jets(np.array([3.0, 3.0]), np.array([-0.6, 10.6]), np.tile(own, (2, 1)))
    assert not np.isfinite(got.value).any()
    assert np.isnan(found.mean(np.array([-0.6]), own[None])).all()
