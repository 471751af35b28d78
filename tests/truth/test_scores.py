"""Scores, categories and yes or no, held to published probabilities and to public fits of mixed models.

- Probabilities of a bounded integer and of a coarsened logit-normal score: from their definitions, to 7 digits.
- Bitterness of wine: 72 ratings by nine judges, Randall J. The analysis of sensory data by generalised linear model.
  Biometrical Journal 1989;31:781-793, as printed in the tutorial of R's package ordinal (Christensen RHB). The same
  cumulative logit model with a random judge was fitted there: tempwarm 3.063, contactyes 1.835, thresholds -1.624,
  1.513, 4.229, 6.089, variance of judges 1.279, log likelihood -81.57 (Laplace).
- Contagious bovine pleuropneumonia: new cases in 15 herds over four periods, Lesnoff M et al. Preventive Veterinary
  Medicine 2004;64:171-183, as in R's package lme4. Its logistic model with a random herd by lme4 2.0.1: with 10 nodes
  -1.399224, -0.991409, -1.127810, -1.579481, SD of herds 0.6475199, minus twice the log likelihood, counted from the
  saturated model, 100.01002; Laplace's method by glmmTMB: -1.3985281, -0.9923386, -1.1286497, -1.5803225.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import pkpd
from pkpd.likelihood.discrete import Discrete, Levels
from pkpd.model import Output
from pkpd.model.kind import Score

# Rows: bottles 1-2 cold without contact, 3-4 cold with, 5-6 warm without, 7-8 warm with. Columns: judges.
WINE = """
2 1 2 3 2 3 1 2 1
3 2 3 2 3 2 1 2 2
3 1 3 3 4 3 2 2 3
4 3 2 2 3 2 2 3 2
4 2 5 3 3 2 2 3 3
4 3 5 2 3 4 3 3 2
5 5 4 5 3 5 2 3 4
5 4 4 3 3 4 3 4 4
"""
CASES = (
    [2, 3, 4, 0], [3, 1, 1], [8, 2, 0, 2], [2, 0, 2, 0], [5, 0, 0, 1], [3, 0, 0, 1], [8, 1, 3, 0], [12],
    [2, 0, 0, 0], [1, 1, 0, 2], [0, 5, 3, 1], [2, 1, 0, 0], [1, 2, 0, 0], [11, 0, 0, 0], [1, 1, 1, 0],
)  # fmt: skip
SIZES = (
    [14, 12, 9, 5], [22, 18, 21], [22, 16, 16, 20], [10, 10, 9, 6], [18, 25, 24, 4], [17, 17, 18, 20], [16, 10, 9, 5],
    [34], [9, 6, 8, 6], [22, 22, 18, 22], [25, 27, 22, 22], [10, 8, 6, 5], [21, 24, 19, 23], [19, 2, 3, 2],
    [19, 15, 15, 15],
)  # fmt: skip


@pytest.mark.parametrize(
    ("law", "f", "sd", "printed"),
    [
        ("bounded integer", 0.3, 0.8, [0.0204781, 0.0449706, 0.0636353, 0.0796147, 0.0936240, 0.1058420, 0.1161336,
                                       0.1240005, 0.1282449, 0.1256188, 0.0978375]),
        ("logit-normal", -0.5, 1.0, [0.0357267, 0.1219440, 0.1576483, 0.1609119, 0.1484047, 0.1278466, 0.1028581,
                                     0.0753337, 0.0467952, 0.0199961, 0.0025347]),
    ],
)  # fmt: skip
def test_probabilities_of_scores(law: str, f: float, sd: float, printed: list[float]):
    output = Output(name="y", kind=Score(lower=0, upper=10, law=law, scale="latent", sd=sd))
    found = Discrete.of(output, {"y.sd": 0})
    assert isinstance(found, Levels)
    at = found.jets(np.arange(11.0), np.full(11, f), np.full((11, 1), sd))
    np.testing.assert_allclose(np.exp(at.value), printed, atol=6e-8)
    if law == "bounded integer":
        assert found.mean(np.array([f]), np.array([[sd]]))[0] == pytest.approx(6.0144994, abs=6e-8)


@pytest.fixture(scope="module")
def wine() -> tuple[pkpd.Model, pkpd.Dataset]:
    """The ratings, and a cumulative logit model."""
    table = np.array([line.split() for line in WINE.split("\n") if line], dtype=float)
    rows = [
        {"ID": judge + 1, "TIME": bottle, "DV": table[bottle, judge], "WARM": bottle // 4, "CONTACT": bottle // 2 % 2}
        for judge in range(9)
        for bottle in range(8)
    ]
    model = pkpd.Model("""
    [covariates]
    WARM = { label = "warm fermentation" }
    CONTACT = { label = "contact with the skins" }
    [parameters]
    judge = { typical = 0, transform = "none", fixed = true, iiv = 1 }
    warm = { typical = 1, transform = "none" }
    contact = { typical = 1, transform = "none" }
    [dynamics]
    equations = "rating = judge + warm * WARM + contact * CONTACT"
    [outputs]
    rating = { categories = { levels = [1, 2, 3, 4, 5], cuts = [-1, 1, 3, 4] } }
    """)
    return model, pkpd.read_data(pd.DataFrame(rows))


def test_ratings_of_wine_by_laplace(wine: tuple[pkpd.Model, pkpd.Dataset]):
    fit = pkpd.fit(*wine, pkpd.Laplace())
    value = fit.estimates["value"]
    assert -fit.ofv / 2 == pytest.approx(-81.57, abs=5e-3)
    assert value.sel(parameter="warm") == pytest.approx(3.063, abs=1e-3)
    assert value.sel(parameter="contact") == pytest.approx(1.835, abs=1e-3)
    assert value.sel(parameter="iiv.judge") == pytest.approx(1.279, abs=1e-3)
    cuts = np.cumsum([float(value.sel(parameter=f"rating.{name}")) for name in ("cut1", "gap2", "gap3", "gap4")])
    np.testing.assert_allclose(cuts, [-1.624, 1.513, 4.229, 6.089], atol=1e-3)


@pytest.fixture(scope="module")
def herds() -> tuple[pkpd.Model, pkpd.Dataset]:
    """Every animal as a 0 or 1, and a logistic model."""
    rows = []
    for herd, (cases, sizes) in enumerate(zip(CASES, SIZES, strict=True), start=1):
        # Herds with fewer periods: 2 ended early, 8 was seen once.
        for period, (ill, size) in enumerate(zip(cases, sizes, strict=True), start=1):
            rows += [{"ID": herd, "TIME": period, "DV": float(k < ill), "P": period} for k in range(size)]
    model = pkpd.Model("""
    [covariates]
    P = { label = "period" }
    [parameters]
    herd = { typical = -1, transform = "none", iiv = 0.3 }
    second = { typical = -0.5, transform = "none" }
    third = { typical = -0.5, transform = "none" }
    fourth = { typical = -0.5, transform = "none" }
    [dynamics]
    equations = "ill = herd + (second if P == 2 else third if P == 3 else fourth if P == 4 else 0)"
    [outputs]
    ill = { binary = { scale = "logit" } }
    """)
    return model, pkpd.read_data(pd.DataFrame(rows))


NAMES = ["herd", "second", "third", "fourth"]


def test_herds_by_quadrature(herds: tuple[pkpd.Model, pkpd.Dataset]):
    fit = pkpd.fit(*herds, pkpd.Quadrature(nodes=10))
    value = fit.estimates["value"]
    np.testing.assert_allclose(value.sel(parameter=NAMES), [-1.399224, -0.991409, -1.127810, -1.579481], atol=2e-4)
    assert np.sqrt(value.sel(parameter="iiv.herd")) == pytest.approx(0.6475199, abs=2e-4)
    # lme4 counts from the model that fits every herd and period exactly.
    ill, size = np.concatenate(CASES).astype(float), np.concatenate(SIZES).astype(float)
    saturated = -2 * (special.xlogy(ill, ill / size) + special.xlogy(size - ill, 1 - ill / size)).sum()
    assert fit.ofv - saturated == pytest.approx(2 * 50.00501, abs=2e-4)


def test_herds_by_laplace(herds: tuple[pkpd.Model, pkpd.Dataset]):
    fit = pkpd.fit(*herds, pkpd.Laplace())
    want = [-1.3985281, -0.9923386, -1.1286497, -1.5803225]
    np.testing.assert_allclose(fit.estimates["value"].sel(parameter=NAMES), want, atol=2e-4)
