"""Outputs that are their own log likelihood: what they know of the record, and the built-in laws written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.errors import CannotFit, MismatchError, ModelError, UnitError, UsageError
from pkpd.likelihood.problem import make_problem

TWO = """
[covariates]
X = {}
[parameters]
m = { typical = 2, unit = "mg/L", transform = "none" }
s = { typical = 0.7, unit = "mg/L" }
k = { typical = 0.1, unit = "1/h" }
[routes]
iv = { into = "a" }
[outputs]
cp = { unit = "mg/L", add = 0.5, dvid = 1 }
y = { unit = "mg/L", likelihood = true, dvid = 2 }
z = { unit = "mg/L", likelihood = {}, dvid = 3 }
[constants]
v = { value = 10, unit = "L" }
[dynamics]
equations = '''
cp = a / v + 0 * m
off = (DV - m) / s
y = -0.5 * off ** 2 - log(s / v / 1 * scale)
z = y + X * DV / s
d/dt(a) = -k * a
'''
"""
TWO = TWO.replace("- log(s / v / 1 * scale)", "")
DATA = {
    "ID": [1] * 9 + [2] * 4,
    "TIME": [0, 1, 1, 1, 2, 2, 3, 5, 5] + [0, 1, 1, 4],
    "EVID": [1, 0, 0, 0, 0, 2, 0, 0, 0] + [0, 0, 0, 0],
    "AMT": [100] + [0] * 12,
    "DVID": [".", 2, 1, 3, 2, ".", 3, 2, 2] + [2, 2, 3, 1],
    "DV": [".", 1.5, 9, 2.5, 3.5, ".", 4.5, 5.5, 6.5] + [7.5, 8.5, 9.5, 0.1],
    "X": [1, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 5, 7],
}


@pytest.mark.parametrize("carry", ["nocb", "locf", "linear"])
def test_every_record_knows_its_own_observation(carry):
    """Several records at one time, several outputs, covariates that go along lines."""
    problem = make_problem(pkpd.Model(TWO), pkpd.read_data(DATA, carry=carry))
    names = problem.program.parameters
    values = np.tile([2, 0.7, 0.1], (2, 1)).astype(float)
    got = problem.predict(values, sensitivities=names)
    seen = problem.observations
    x = np.array(DATA["X"], dtype=float)[[1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]]
    off = (seen.dv - 2) / 0.7
    want = np.where(seen.output == 0, 0.0, -0.5 * off**2) + np.where(seen.output == 2, x * seen.dv / 0.7, 0.0)
    amount = np.where(seen.subject == 0, 100 * np.exp(-0.1 * seen.time), 0)
    want = np.where(seen.output == 0, amount / 10, want)
    np.testing.assert_allclose(got.f, want, rtol=1e-10, atol=1e-12)
    assert got.df is not None
    np.testing.assert_allclose(got.df[:, 0], np.where(seen.output > 0, off / 0.7, 0), rtol=1e-10, atol=1e-12)
    taken = problem.take([1, 0, 1])
    again = taken.predict(np.tile(values[0], (3, 1))).f
    np.testing.assert_array_equal(again, np.concatenate([got.f[7:], got.f[:7], got.f[7:]]))


def test_observations_are_in_the_unit_of_the_output():
    data = pkpd.read_data(DATA, units={"DV": {"1": "mg/L", "2": "ug/L", "3": "mg/L"}})
    problem = make_problem(pkpd.Model(TWO), data)
    f = problem.predict(np.tile([2, 0.7, 0.1], (2, 1)).astype(float)).f
    assert f[0] == pytest.approx(-0.5 * ((1.5e-3 - 2) / 0.7) ** 2)


def population(seed: int, n: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Subjects and random effects."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.arange(n), each), rng.standard_normal(n)


HEAD = """
[covariates]
X = {}
[parameters]
base = { typical = %s, transform = "none", iiv = 0.4 }
slope = { typical = 0.3, transform = "none", fixed = true }
%s
[outputs]
y = { %s }
[dynamics]
equations = '''
%s
'''
"""
POISSON = (
    HEAD % ("0.8", "", "count = true", "y = exp(base + slope * X)"),
    HEAD % ("0.8", "", "likelihood = true", "m = exp(base + slope * X)\ny = DV * log(m) - m - lgamma(DV + 1)"),
)
BINARY = (
    HEAD % ("0.2", "", "binary = { scale = 'logit' }", "y = base + slope * X"),
    HEAD % ("0.2", "", "likelihood = true", "p = 1 / (1 + exp(-(base + slope * X)))\n"
            "y = log(p) if DV == 1 else log(1 - p)"),
)  # fmt: skip
PROBIT = (
    HEAD % ("0.2", "", "binary = { scale = 'probit' }", "y = base + slope * X"),
    HEAD % ("0.2", "", "likelihood = true", "z = base + slope * X\ny = DV * log(phi(z)) + (1 - DV) * log(phi(-z))"),
)
NORMAL = (
    HEAD % ("1", "", "add = 0.5", "y = base + slope * X"),
    HEAD % ("1", "s = { typical = 0.5 }", "likelihood = true",
            "y = -0.5 * ((DV - base - slope * X) / s) ** 2 - log(s)"),
)  # fmt: skip


def drawn(law: str, seed: int = 5, n: int = 40, each: int = 6) -> pkpd.Dataset:
    """Data of a law."""
    rng = np.random.default_rng(seed)
    who, effect = population(seed, n, each)
    x = rng.uniform(-1, 1, who.size)
    eta = 0.6 * effect[who] + 0.3 * x
    y = {
        "poisson": rng.poisson(np.exp(0.8 + eta)),
        "binary": (rng.uniform(size=who.size) < stats.logistic.cdf(0.2 + 1.5 * eta)).astype(int),
        "normal": 1 + eta + 0.5 * rng.standard_normal(who.size),
    }[law]
    return pkpd.read_data({"ID": who + 1, "TIME": np.tile(np.arange(each), n), "DV": y, "X": x})


@pytest.mark.parametrize(("pair", "law"), [(POISSON, "poisson"), (BINARY, "binary"), (PROBIT, "binary")],
                         ids=["Poisson", "logit", "probit"])  # fmt: skip
@pytest.mark.parametrize("estimator", [pkpd.Laplace(), pkpd.Quadrature()], ids=["Laplace", "quadrature"])
def test_laws_by_hand(pair, law, estimator):
    data = drawn(law)
    built, own = (pkpd.fit(pkpd.Model(text), data, estimator) for text in pair)
    assert own.attrs["objective"] == pytest.approx(built.attrs["objective"], abs=2e-5)
    assert own.attrs["aic"] == pytest.approx(built.attrs["aic"], abs=2e-5)
    np.testing.assert_allclose(own.estimates["value"], built.estimates["value"], rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(own.estimates["se"], built.estimates["se"], rtol=2e-2)
    np.testing.assert_allclose(own["etas"]["eta"], built["etas"]["eta"], atol=2e-3)


@pytest.mark.parametrize("estimator", [pkpd.Laplace(), pkpd.Quadrature()], ids=["Laplace", "quadrature"])
def test_a_residual_error_by_hand(estimator):
    """An own likelihood is whole: what it leaves out of the constant is left out, and said of it."""
    data = drawn("normal")
    built, own = (pkpd.fit(pkpd.Model(text), data, estimator) for text in NORMAL)
    assert own.attrs["objective"] == pytest.approx(built.attrs["objective"], abs=2e-5)
    for mine, theirs in (("base", "base"), ("s", "y.add"), ("iiv.base", "iiv.base")):
        value = [float(fit.estimates["value"].sel(parameter=name)) for fit, name in ((own, mine), (built, theirs))]
        assert value[0] == pytest.approx(value[1], rel=2e-3)
    np.testing.assert_allclose(own["etas"]["eta"], built["etas"]["eta"], atol=2e-3)


def test_gradients_are_those_of_the_law():
    from pkpd.estimation.population import population_of

    data, found = drawn("poisson"), []
    for text in POISSON:
        problem = make_problem(pkpd.Model(text), data)
        whole = population_of(problem, censoring="M3", threads=1, where="test")
        w = whole.effects.arguments(whole.start[:1], 0.3 * np.ones((40, 1)))
        at = whole.slopes(w, order=2)
        found.append((at.value, at.gradient, whole.curvature(at).hessian))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-12)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found[1][2], found[0][2], rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [POISSON, NORMAL], ids=["Poisson", "normal"])
@pytest.mark.parametrize("estimator", [pkpd.SAEM(seed=3), pkpd.Importance(seed=3)], ids=["SAEM", "importance"])
def test_stochastic_estimators(pair, estimator):
    data = drawn("poisson" if pair is POISSON else "normal")
    exact, own = pkpd.fit(pkpd.Model(pair[0]), data, pkpd.Quadrature()), pkpd.fit(pkpd.Model(pair[1]), data, estimator)
    for name in ("base", "iiv.base"):
        value, se = (float(exact.estimates[key].sel(parameter=name)) for key in ("value", "se"))
        assert float(own.estimates["value"].sel(parameter=name)) == pytest.approx(value, abs=0.15 * se)


def test_where_the_observation_is_known():
    by_hand = POISSON[1]
    for text, said in (
        (by_hand.replace("y = DV", "m2 = DV\ny = m2").replace("y = { ", "m2 = { add = 1 }\ny = { "), "output `m2`"),
        (by_hand.replace("likelihood = true", "add = 1"), "`DV` stands here"),
        (by_hand.replace("y = DV", "d/dt(a) = -0.1 * a * DV\ny = a + DV"), "stands here"),
        (by_hand.replace("y = DV", "a(0) = DV\nd/dt(a) = -0.1 * a\ny = a + DV"), "stands here"),
        (by_hand.replace("iiv = 0.4", 'iiv = 0.4, shift = "slope * DV"'), "stands here"),
        (by_hand.replace("X = {}", "X = {}\nDV = {}"), "no covariate"),
        (TWO.replace('z = { unit = "mg/L"', 'z = { unit = "ug/L"'), "would be in mg/L and in ug/L"),
    ):
        with pytest.raises(ModelError, match=said):
            pkpd.Model(text)
    with pytest.raises(UnitError, match="a log likelihood"):
        pkpd.Model(TWO.replace("y = -0.5 * off ** 2", "y = DV"))
    model = pkpd.Model(by_hand)
    assert pkpd.Model(model.text) == model and "DV" not in model.text.split("[dynamics]")[0]
    assert model.check() == []
    assert "DV" not in model.replace(outputs={"m": {"name": "m"}} and [pkpd.Output(name="m", kind=None, add=1.0)],
                                     equations="m = exp(base + slope * X)").covariates  # fmt: skip


def test_what_an_own_likelihood_cannot_do():
    model, data = pkpd.Model(POISSON[1]), drawn("poisson", n=8)
    with pytest.raises(CannotFit, match="FO"):
        pkpd.fit(model, data, pkpd.FO())
    with pytest.raises(UsageError, match="cannot be simulated"):
        pkpd.simulate(model, "1 mg", times=[1, 2], covariates={"X": 0})
    with pytest.raises(MismatchError, match="has no prediction"):
        pkpd.simulate(model, data)
    fit = pkpd.fit(model, data, pkpd.Laplace())
    assert np.isnan(fit["records"]["IPRED"]).all()
    with pytest.raises(MismatchError, match="its own log likelihood"):
        pkpd.bootstrap(fit, data, pkpd.Bootstrap(draws=2, seed=1, method="parametric"))
    both = pkpd.Model(TWO)
    assert "y" not in pkpd.simulate(both, "100 mg iv", times=[1, 2], covariates={"X": 0})
    blind = pkpd.Model(POISSON[1].replace("DV", "3"))
    with pytest.raises(MismatchError, match="does not depend on DV"):
        pkpd.fit(blind, data, pkpd.Laplace())
    assert ["`DV`" in finding.what for finding in blind.check()] == [True]
    wrong = pkpd.Model(POISSON[1].replace("log(m)", "log(m - 100)"))
    with pytest.raises(CannotFit, match="the log likelihood y is nan"):
        pkpd.fit(wrong, data, pkpd.Laplace(max_iterations=0))
