"""Correlated differences between the occasions of a person: a block of omega between occasions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pkpd
from pkpd.errors import ModelError
from pkpd.likelihood import make_problem
from pkpd.likelihood.marginal import foce
from pkpd.model import Model
from tests.estimation.test_population import TEXT, model, seen, value

BLOCK = '[[omega]]\nparameters = ["cl", "v"]\ncovariance = [[0.04], [0.015, 0.03]]\nbetween = "occasions"\n'
OWN = Model(TEXT.replace("[dynamics]", BLOCK + "[dynamics]"))


def test_it_is_stated():
    assert OWN.variance_names["iov.v,cl"] == ("iov", "v", "cl")
    assert OWN.parameters["cl"].iov == 0.04 and OWN.parameters["v"].iov == 0.03
    assert Model(OWN.text) == OWN and "correlation of cl and v between occasions: 0.433" in str(OWN)
    moved = OWN.set({"iov.v,cl": 0.02, "iov.cl": 0.05})
    assert moved.omega_between_occasions.matrix(["cl", "v"]) == pytest.approx(np.array([[0.05, 0.02], [0.02, 0.03]]))
    assert moved.omega.matrix(["cl", "v"]) == pytest.approx(np.diag([0.09, 0.05]))
    assert OWN.fix("iov.*").blocks[0].fixed
    by_correlation = BLOCK.replace("covariance = [[0.04], [0.015, 0.03]]", "correlation = [[1], [0.5, 1]]")
    rows = TEXT.replace("iiv = 0.09", "iov = 0.09").replace("iiv = 0.05", "iov = 0.04")
    other = Model(rows.replace("[dynamics]", by_correlation + "[dynamics]"))
    assert other.blocks[0].covariance[1] == pytest.approx((0.03, 0.04))


def test_what_cannot_be_is_refused():
    with pytest.raises(ModelError, match="between is 'days'"):
        Model(OWN.text.replace('"occasions"', '"days"'))
    with pytest.raises(ModelError, match="has fixed_iov, and its variance stands in a block"):
        Model(TEXT.replace("[dynamics]", BLOCK + "[dynamics]").replace("iiv = 0.09", "fixed_iov = true"))
    with pytest.raises(ModelError, match="`cp` stands in a block between occasions"):
        Model(TEXT.replace("[dynamics]", BLOCK.replace('"v"', '"cp"') + "[dynamics]"))


def objective(own: Model, data: pkpd.Dataset) -> float:
    return pkpd.fit(own, data, pkpd.FOCE(max_iterations=0, covariance=None)).ofv


def test_without_covariance_it_is_two_variances():
    flat = Model(OWN.text.replace("0.015", "0"))
    apart = model(0.04).replace(parameters={
        n: replace(p, iov={"cl": 0.04, "v": 0.03}[n]) for n, p in model(0.04).parameters.items()
    })  # fmt: skip
    assert objective(flat, seen(3, 0.04)) == pytest.approx(objective(apart, seen(3, 0.04)), abs=1e-9)


def test_one_occasion_is_a_block_between_people():
    """With one occasion the variances between people and between occasions add."""
    between = BLOCK.replace("[[0.04], [0.015, 0.03]]", "[[0.13], [0.015, 0.08]]").replace('"occasions"', '"people"')
    text = TEXT.replace("iiv = 0.09, ", "").replace(", iiv = 0.09", "").replace(", iiv = 0.05", "")
    whole = Model(text.replace("[dynamics]", between + "[dynamics]"))
    estimator = pkpd.Quadrature(nodes=9, max_iterations=0, covariance=None)
    parts = pkpd.fit(OWN, seen(), estimator).ofv
    assert parts == pytest.approx(pkpd.fit(whole, seen(), estimator).ofv, abs=0.05)


def test_slopes_are_differences():
    problem = make_problem(OWN, seen(3, 0.04), occasions=True)
    p = pkpd.FOCE().population(problem)
    x = np.concatenate([p.effects.start, p.effects.covariance.start])
    got = foce(p, x, np.zeros((len(problem.subjects), len(p.effects.names))), gradient=True)
    assert got.gradient is not None
    for k in range(len(x)):
        step = 1e-4 * np.eye(len(x))[k]
        up, down = (foce(p, x + s, got.modes.b).each for s in (step, -step))
        np.testing.assert_allclose(got.gradient[:, k], (up - down) / 2e-4, atol=1e-3)


def test_it_is_estimated_the_same_by_foce_and_saem(tmp_path):
    data = seen(3, 0.04)
    fits = [pkpd.fit(OWN, data, estimator) for estimator in (pkpd.FOCE(), pkpd.SAEM(seed=4))]
    for name in ("iov.cl", "iov.v,cl", "iov.v"):
        one, other = (f.estimates.sel(parameter=name) for f in fits)
        assert other["value"].item() == pytest.approx(one["value"].item(), abs=0.5 * one["se"].item()), name
    # The data were drawn without a correlation.
    assert value(fits[0], "iov.v,cl", "lower") < 0 < value(fits[0], "iov.v,cl", "upper")
    fits[0].save(tmp_path / "fit.nc")
    again = pkpd.load_fit(tmp_path / "fit.nc")
    assert again.model == fits[0].model
    assert again.model.blocks[0].covariance[1][0] == pytest.approx(value(fits[0], "iov.v,cl"))


def test_a_simulation_has_it():
    free = OWN.replace(parameters={n: replace(p, iiv=0.0) for n, p in OWN.parameters.items()})
    sim = pkpd.simulate(free, "100 mg iv", times=[0, 10], n=4000, seed=1)
    log_v = np.log(100 / sim["cp"].sel(time=0).values.ravel())
    log_k = np.log(-np.log(sim["cp"].sel(time=10).values.ravel() / sim["cp"].sel(time=0).values.ravel()) / 10)
    found = np.cov(log_k + log_v, log_v)
    np.testing.assert_allclose(found, [[0.04, 0.015], [0.015, 0.03]], atol=0.003)
