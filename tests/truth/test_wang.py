"""The objective values of every approximation, as Wang (2007) and NONMEM print them, at held parameters.

Wang Y. Derivation of various NONMEM estimation methods. J Pharmacokinet Pharmacodyn 2007;34:575-593.
y = 10 exp(-0.5 e^eta t), variance of eta 0.04, ten subjects at t = 0 and 1; error variance 0.1 f^2, or 0.1.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.estimation import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.individuals import shrinkage
from pkpd.model import Model

SEEN = [
    (10.68, 3.6837), (10.402, 6.454), (9.8814, 5.8565), (9.3408, 5.6209), (10.082, 6.7583),
    (9.8938, 6.5049), (9.8908, 6.9557), (10.234, 6.4488), (9.9882, 6.7112), (9.6736, 6.6402),
]  # fmt: skip
TEXT = """
title = "a decline"
[parameters]
k = { typical = 0.5, unit = "1/h", iiv = 0.04 }
[dynamics]
equations = "y = 10 * exp(-k * t)"
[outputs]
y = { LAW }
"""
LAWS = {"proportional": f"prop = {0.1**0.5!r}", "additive": f"add = {0.1**0.5!r}"}
#: -2 log L without n log(2 pi), to the three digits printed.
PRINTED = {
    ("proportional", FO()): 39.213,
    ("proportional", FOCE(interaction=False)): 39.207,
    ("proportional", FOCE()): 39.458,
    ("proportional", Laplace()): 39.227,
    ("proportional", Quadrature(nodes=25)): 39.355,
    ("additive", FO()): 0.026,
    ("additive", FOCE(interaction=False)): -2.059,
    ("additive", FOCE()): -2.059,
    ("additive", Laplace()): -1.936,
    ("additive", Quadrature(nodes=25)): -1.990,
}
#: The same example under other laws, each variance 0.1: the test suite of the nlmixr2 project (GitHub,
#: nlmixr2/nlmixr2est, tests/testthat, Wang2007), where values are those of NONMEM: FO, FOCE, FOCE-I.
SD = repr(0.1**0.5)
OTHER_LAWS = {
    "power 0.5": (f"prop = {SD}, power = 0.5", (9.651, 9.331, 9.966)),
    "combined 2": (f"add = {SD}, prop = {SD}, combined = 2", (39.505, 39.499, 39.735)),
    "combined 1": (f"add = {SD}, prop = {SD}, combined = 1", (43.398, 43.394, 43.554)),
    "combined 2, power 0.5": (f"add = {SD}, prop = {SD}, power = 0.5, combined = 2", (10.662, 10.417, 10.886)),
    "combined 1, power 0.5": (f"add = {SD}, prop = {SD}, power = 0.5, combined = 1", (16.093, 16.008, 16.231)),
    "log-normal": (f"log = {SD}", (40.055, 40.039, 40.039)),
}
ETAS = [0.071545, 0.005705, 0.024947, 0.031950, -0.004787, 0.003979, -0.011804, 0.005880, -0.003137, -0.000666]


@lru_cache
def seen() -> Dataset:
    rows = [(i + 1, t, pair[t]) for i, pair in enumerate(SEEN) for t in (0, 1)]
    return read_data({"ID": [r[0] for r in rows], "TIME": [float(r[1]) for r in rows], "DV": [r[2] for r in rows]})


@lru_cache
def held(law: str, estimator) -> pkpd.Fit:
    from dataclasses import replace

    at = replace(estimator, max_iterations=0, covariance=None)
    return pkpd.fit(Model(TEXT.replace("LAW", LAWS[law])), seen(), at)


@pytest.mark.parametrize(("law", "estimator"), PRINTED, ids=lambda one: one if isinstance(one, str) else repr(one))
def test_objective(law: str, estimator):
    fit = held(law, estimator)
    assert fit.ofv == pytest.approx(PRINTED[law, estimator], abs=5.1e-4)
    assert fit.status == "not converged"
    assert "starting values" in fit.message


@pytest.mark.parametrize("law", OTHER_LAWS)
def test_objectives_under_other_laws(law: str):
    text, printed = OTHER_LAWS[law]
    model = Model(TEXT.replace("LAW", text))
    for estimator, want in zip((FO, partial(FOCE, interaction=False), FOCE), printed, strict=True):
        fit = pkpd.fit(model, seen(), estimator(max_iterations=0, covariance=None))
        assert fit.ofv == pytest.approx(want, abs=5.1e-4), estimator


@pytest.mark.parametrize("law", LAWS)
def test_beside_every_objective_stands_the_exact_one(law: str):
    exact = PRINTED[law, Quadrature(nodes=25)]
    for estimator in (FO(), FOCE(), Laplace()):
        verdict = held(law, estimator).verdict
        assert verdict["marginal"].item() == pytest.approx(exact, abs=1e-3)
        assert verdict["marginal_error"].item() < 1e-3


def test_random_effects_and_shrinkage():
    fit = held("proportional", FOCE())
    eta = fit["etas"]["eta"].values
    np.testing.assert_allclose(eta[:, 0], ETAS, atol=6e-7)
    assert fit["omega"]["shrinkage"].item() == pytest.approx(0.8765, abs=5e-5)
    assert fit["omega"]["shrinkage_variance"].item() == pytest.approx(0.9848, abs=5e-5)
    assert shrinkage(eta[:1], np.array([0.04]))[0] != shrinkage(eta[:1], np.array([0.04]))[0]  # of one person: none


def test_the_parts_of_the_subjects_are_the_whole():
    for estimator in (FO(), FOCE(), Laplace(), Quadrature()):
        fit = held("proportional", estimator)
        assert float(fit["subjects"]["objective"].sum()) == pytest.approx(fit.ofv, rel=1e-12)


@pytest.mark.parametrize("variance", [0.04, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("law", LAWS)
def test_the_error_of_the_exact_objective_is_what_it_says(law: str, variance: float):
    """Proportional errors and large differences between people make integrands that lean: 9 nodes are too few."""
    from scipy.integrate import quad

    total = 0.0
    for y in SEEN:

        def density(eta: float, y: tuple[float, float] = y) -> float:
            f = np.array([10, 10 * np.exp(-0.5 * np.exp(eta))])
            spread = 0.1 * f**2 if law == "proportional" else np.full(2, 0.1)
            exponent = ((np.array(y) - f) ** 2 / spread + np.log(spread)).sum() + eta**2 / variance
            return np.exp(-0.5 * exponent) / np.sqrt(2 * np.pi * variance)

        total -= 2 * np.log(quad(density, -12, 6, points=np.linspace(-3, 3, 13), limit=500)[0])
    model = Model(TEXT.replace("LAW", LAWS[law])).set({"iiv.k": variance})
    verdict = pkpd.fit(model, seen(), FOCE(max_iterations=0, covariance=None)).verdict
    said = verdict["marginal_error"].item()
    assert said < 0.03
    assert verdict["marginal"].item() == pytest.approx(total, abs=said + 1e-4)
