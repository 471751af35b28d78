"""Populations that R prints: orange trees (lme4), loblolly pines and theophylline (nlme).

Where a random effect enters a curve on a straight line, as the final size of a tree does, the likelihood of a person
has a closed form and every approximation of it is exact: FO, FOCE, Laplace's method and quadrature have one maximum. It
is also computed here, apart, as that of a normal vector with covariance z z' omega^2 + I sigma^2.

Trees: data sets ``Orange`` (Draper NR, Smith H. Applied Regression Analysis. Wiley, 1981, exercise 10.N) and
``Loblolly`` (Kung FH. Proc Stat Comput Sect Am Stat Assoc 1986, 340-343), as distributed with R.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.estimation import FO, FOCE, SAEM, Laplace, Quadrature
from pkpd.model import Model

EXACT = (FO(), FOCE(), FOCE(interaction=False), Laplace(), Quadrature())

# ------------------------------------------------------------------------------------------------------------- trees
DAYS = [118, 484, 664, 1004, 1231, 1372, 1582]
GIRTHS = [  # mm, of trees 1 to 5
    [30, 58, 87, 115, 120, 142, 145], [33, 69, 111, 156, 172, 203, 203], [30, 51, 75, 108, 115, 139, 140],
    [32, 62, 112, 167, 179, 209, 214], [30, 49, 81, 125, 142, 174, 177],
]  # fmt: skip
ORANGE = """
title = "Girth of orange trees"
[units]
time = "d"
[parameters]
asym = { typical = 200, unit = "mm", transform = "none", iiv = 1000, label = "girth in the end" }
xmid = { typical = 725, unit = "d", transform = "none", label = "age at half of it" }
scal = { typical = 350, unit = "d", transform = "none", label = "time scale" }
[dynamics]
equations = "girth = asym / (1 + exp((xmid - t) / scal))"
[outputs]
girth = { unit = "mm", add = 8 }
"""
#: lme4, nlmer(circumference ~ SSlogis(age, Asym, xmid, scal) ~ (Asym | Tree), Orange), as lme4 prints it in its own
#: tests: https://github.com/lme4/lme4, tests/nlmer.Rout.save.
LME4 = {"asym": "192.0528", "xmid": "727.9045", "scal": "348.0721"}
LME4_SDS = {"iiv.asym": "31.646", "girth.add": "7.843"}
LME4_DEVIANCE, LME4_AIC, LME4_BIC = "263.1438", "273.1438", "280.9205"

YEARS = [3, 5, 10, 15, 20, 25]
HEIGHTS = [  # ft, of fourteen seeds
    [4.51, 10.89, 28.72, 41.74, 52.7, 60.92], [4.55, 10.92, 29.07, 42.83, 53.88, 63.39],
    [4.79, 11.37, 30.21, 44.4, 55.82, 64.1], [3.91, 9.48, 25.66, 39.07, 50.78, 59.07],
    [4.81, 11.2, 28.66, 41.66, 53.31, 63.05], [3.88, 9.4, 25.99, 39.55, 51.46, 59.64],
    [4.32, 10.43, 27.16, 40.85, 51.33, 60.07], [4.57, 10.57, 27.9, 41.13, 52.43, 60.69],
    [3.77, 9.03, 25.45, 38.98, 49.76, 60.28], [4.33, 10.79, 28.97, 42.44, 53.17, 61.62],
    [4.38, 10.48, 27.93, 40.2, 50.06, 58.49], [4.12, 9.92, 26.54, 37.82, 48.43, 56.81],
    [3.93, 9.34, 26.08, 37.79, 48.31, 56.43], [3.46, 9.05, 25.85, 39.15, 49.12, 59.49],
]  # fmt: skip
LOBLOLLY = """
title = "Height of loblolly pines"
[units]
time = "yr"
[parameters]
asym = { typical = 103, unit = "ft", transform = "none", iiv = 10, label = "height in the end" }
r0 = { typical = -8.5, unit = "ft", transform = "none", label = "height at the age of 0" }
rate = { typical = 0.037, unit = "1/yr", label = "rate constant" }
[dynamics]
equations = "height = asym + (r0 - asym) * exp(-rate * t)"
[outputs]
height = { unit = "ft", add = 1 }
"""
#: nlme, nlme(nlsList(SSasymp, Loblolly), random = Asym ~ 1), as nlme prints it in its own tests: package nlme of R,
#: tests/nlme.Rout.save.
NLME = {"asym": "101.448300", "r0": "-8.627494", "log rate": "-3.233730"}
NLME_SDS = {"iiv.asym": "3.650645", "height.add": "0.7188624"}
NLME_LOG_LIKELIHOOD = "-114.743"


@lru_cache
def trees(which: str) -> Dataset:
    times, seen = (DAYS, GIRTHS) if which == "orange" else (YEARS, HEIGHTS)
    ids = [str(k + 1) for k in range(len(seen)) for _ in times]
    return read_data({"ID": ids, "TIME": np.tile(times, len(seen)).astype(float), "DV": np.concatenate(seen)})


@lru_cache
def fitted(which: str, estimator) -> pkpd.Fit:
    return pkpd.fit(Model(ORANGE if which == "orange" else LOBLOLLY), trees(which), estimator)


def of(fit: pkpd.Fit) -> dict[str, float]:
    """Estimates by name; SDs in place of variances, and the logarithm of a rate constant."""
    values = zip(fit.estimates["parameter"].values.tolist(), fit.estimates["value"].values.tolist(), strict=True)
    named = {name: value**0.5 if name.startswith("iiv.") else value for name, value in values}
    return {f"log {name}" if name == "rate" else name: np.log(v) if name == "rate" else v for name, v in named.items()}


def natural(values: dict[str, float]) -> dict[str, float]:
    """The other way round: what a model is set to."""
    named = {name: value**2 if name.startswith("iiv.") else value for name, value in values.items()}
    return {name.removeprefix("log "): np.exp(v) if name.startswith("log ") else v for name, v in named.items()}


def deviance(fit: pkpd.Fit) -> float:
    """-2 log L with all constants, as R prints it."""
    return fit.ofv + int(fit.verdict["records"].item()) * np.log(2 * np.pi)


def normal_deviance(which: str, values: dict[str, float]) -> float:
    """-2 log L of the trees as normal vectors: an independent computation."""
    times, seen = (np.array(DAYS), GIRTHS) if which == "orange" else (np.array(YEARS), HEIGHTS)
    if which == "orange":
        share, rest = 1 / (1 + np.exp((values["xmid"] - times) / values["scal"])), 0.0
        sd = values["girth.add"]
    else:
        gone = np.exp(-np.exp(values["log rate"]) * times)
        share, rest, sd = 1 - gone, values["r0"] * gone, values["height.add"]
    covariance = values["iiv.asym"] ** 2 * np.outer(share, share) + sd**2 * np.eye(len(times))
    return float(-2 * sum(multivariate_normal.logpdf(y, values["asym"] * share + rest, covariance) for y in seen))


EXACT_IDS = ["FO", "FOCE", "FOCE without interaction", "Laplace", "quadrature"]


@pytest.mark.parametrize("estimator", EXACT, ids=EXACT_IDS)
def test_orange_trees_have_the_maximum_of_lme4(estimator):
    fit = fitted("orange", estimator)
    assert fit.status == "converged"
    assert deviance(fit) == pytest.approx(float(LME4_DEVIANCE), abs=1e-4)
    got = of(fit)
    for name, text in (LME4 | LME4_SDS).items():  # lme4's own search ends within 2e-6 of the minimum
        assert got[name] == pytest.approx(float(text), rel=4e-5), name


@pytest.mark.parametrize("estimator", EXACT, ids=EXACT_IDS)
def test_loblolly_pines_at_the_estimates_of_nlme(estimator):
    """nlme holds the derivatives while it maximises, and ends beside the maximum; the likelihood there is exact."""
    printed = {name: float(text) for name, text in (NLME | NLME_SDS).items()}
    at = replace(estimator, max_iterations=0, covariance=None)
    fit = pkpd.fit(Model(LOBLOLLY), trees("loblolly"), at, start=natural(printed))
    assert -0.5 * deviance(fit) == pytest.approx(float(NLME_LOG_LIKELIHOOD), abs=5e-4)


@pytest.mark.parametrize("estimator", EXACT, ids=EXACT_IDS)
def test_loblolly_pines_have_the_maximum_of_normal_vectors(estimator):
    """Found apart, by a simplex."""
    fit = fitted("loblolly", estimator)
    lowest, values = minimum()
    assert fit.status == "converged"
    assert deviance(fit) == pytest.approx(lowest, abs=2e-6)
    got = of(fit)
    for name, value in values.items():
        assert got[name] == pytest.approx(value, rel=1e-4), name


def test_loblolly_pines_by_saem_end_by_exact_slopes():
    """Two parameters without random effects go along with the third: draws alone leave half a standard error open."""
    fit, exact = fitted("loblolly", SAEM(seed=2)), fitted("loblolly", Quadrature())
    assert fit.status == "converged" and "Draws alone left too much open" in fit.message
    away = (fit.estimates["transformed"] - exact.estimates["transformed"]) / exact.estimates["transformed_se"]
    assert np.abs(away.values).max() < 2e-3
    assert fit.ofv == pytest.approx(exact.ofv, abs=1e-5)


@lru_cache
def minimum() -> tuple[float, dict[str, float]]:
    names = [*NLME, *NLME_SDS]
    first = [float(text) for text in (NLME | NLME_SDS).values()]
    found = minimize(
        lambda z: normal_deviance("loblolly", dict(zip(names, z, strict=True))), first, method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-9, "maxiter": 9999, "maxfev": 9999},
    )  # fmt: skip
    return float(found.fun), dict(zip(names, found.x.tolist(), strict=True))


@pytest.mark.parametrize("which", ["orange", "loblolly"])
def test_the_objective_is_that_of_normal_vectors(which):
    fit = fitted(which, FOCE())
    assert deviance(fit) == pytest.approx(normal_deviance(which, of(fit)), rel=1e-10)
    for name in ("asym", "iiv.asym"):  # and elsewhere
        at = of(fit) | {name: 1.2 * of(fit)[name]}
        there = pkpd.fit(
            Model(ORANGE if which == "orange" else LOBLOLLY), trees(which), FOCE(max_iterations=0, covariance=None),
            start=natural(at),
        )  # fmt: skip
        assert deviance(there) == pytest.approx(normal_deviance(which, at), rel=1e-10)


def test_criteria_are_those_of_lme4():
    fit = fitted("orange", Laplace())
    assert fit.attrs["aic"] == pytest.approx(float(LME4_AIC), abs=1e-4)
    assert fit.attrs["bic"] == pytest.approx(float(LME4_BIC), abs=1e-4)


def test_stochastic_approximation_comes_near():
    """SAEM ends within its Monte Carlo error: about a tenth of a standard error, and 0.02 of the objective."""
    fit, exact = fitted("orange", SAEM(seed=1)), fitted("orange", FOCE())
    away = (fit.estimates["value"] - exact.estimates["value"]) / exact.estimates["se"]
    assert float(np.abs(away).max()) < 0.15
    assert -1e-5 < fit.ofv - exact.ofv < 0.02


# ------------------------------------------------------------------------------------------------------ theophylline
FOLDER = Path(__file__).parents[2] / "fits" / "theophylline_individual"
#: nlme(conc ~ SSfol(Dose, Time, lKe, lKa, lCl), Theoph, random = pdDiag(lKa + lCl ~ 1)): Pinheiro JC, Bates DM.
#: Mixed-Effects Models in S and S-PLUS. Springer, 2000, chapter 8 (fm3Theo.nlme); its log-likelihood is printed by the
#: package nlme of R, tests/extras/scripts.Rout.save, as -177.
THEOPH = {"ke": "-2.4547", "ka": "0.4657", "cl": "-3.2272"}
THEOPH_ERRORS = {"ke": "0.0525", "ka": "0.1986", "cl": "0.0600"}
THEOPH_SDS = {"iiv.ka": "0.6436", "iiv.cl": "0.1669", "cp.add": "0.7093"}
THEOPH_LOG_LIKELIHOOD = "-177"


@lru_cache
def theophylline(estimator, *, at_printed: bool) -> pkpd.Fit:
    data = read_data(FOLDER / "data.csv", units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})
    model = Model((FOLDER / "model.toml").read_text(encoding="utf-8"))
    own = {**model.parameters}
    model = model.replace(parameters=own | {"ka": replace(own["ka"], iiv=0.4), "cl": replace(own["cl"], iiv=0.03)})
    if at_printed:
        model = model.set({name: np.exp(float(text)) for name, text in THEOPH.items()})
        model = model.set({n: float(text) ** (2 if n.startswith("iiv.") else 1) for n, text in THEOPH_SDS.items()})
    return pkpd.fit(model, data, estimator)


def test_nlme_maximises_the_objective_of_foce():
    """At a mode, the likelihood of nlme's linear model is that of FOCE: at nlme's estimates both are one number."""
    fit = theophylline(FOCE(max_iterations=0, covariance=None), at_printed=True)
    assert -0.5 * deviance(fit) == pytest.approx(float(THEOPH_LOG_LIKELIHOOD), abs=0.5)
    others = [theophylline(e(max_iterations=0, covariance=None), at_printed=True) for e in (FO, Laplace)]
    assert all(abs(-0.5 * deviance(one) - float(THEOPH_LOG_LIKELIHOOD)) > 0.5 for one in others)


def test_nlme_ends_near_the_minimum_of_foce():
    """nlme holds the modes while it maximises, so that its estimates stand a little beside: within 0.25 errors."""
    fit = theophylline(FOCE(covariance="R"), at_printed=False)
    assert fit.status == "converged"
    table = fit.estimates
    for name, text in THEOPH.items():
        error = float(table["transformed_se"].sel(parameter=name))
        assert abs(float(table["transformed"].sel(parameter=name)) - float(text)) < 0.25 * error, name
        assert error == pytest.approx(float(THEOPH_ERRORS[name]), rel=0.04), name
    got = of(fit)
    for name, text in THEOPH_SDS.items():
        assert got[name] == pytest.approx(float(text), rel=0.025), name
