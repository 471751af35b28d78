"""Variances that a fit leaves: NONMEM's FIX in $OMEGA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, ModelError
from pkpd.model import Model
from tests.estimation.test_population import TEXT, model, seen, value

BLOCK = '[[omega]]\nparameters = ["cl", "v"]\ncovariance = [[0.09], [0.01, 0.05]]\nfixed = true\n[dynamics]'
FIXED = Model(TEXT.replace("[dynamics]", BLOCK))


def with_variance(name: str, number: float) -> Model:
    return model().set({name: number})


def test_fixed_at_its_estimate_the_rest_is_what_it_was():
    free = pkpd.fit(model(), seen(), pkpd.FOCE(tolerance=1e-9))
    at = with_variance("iiv.v", value(free, "iiv.v"))
    held = pkpd.fit(at, seen(), pkpd.FOCE(tolerance=1e-9), fixed=["iiv.v"])
    assert held.ofv == pytest.approx(free.ofv, abs=1e-7)
    for name in ("cl", "v", "cp.prop", "iiv.cl"):
        assert value(held, name) == pytest.approx(value(free, name), rel=1e-4), name
        assert value(held, name, "se") > 0
    assert value(held, "iiv.v") == value(free, "iiv.v")
    assert bool(held.estimates["fixed"].sel(parameter="iiv.v")) and np.isnan(value(held, "iiv.v", "lower"))
    table = str(held).partition("Between people")[2]
    assert "fixed" in next(line for line in table.splitlines() if line.startswith("v "))
    assert held.verdict["free"].item() == 4


@pytest.mark.parametrize("estimator", [pkpd.FOCE(), pkpd.Laplace(), pkpd.SAEM(seed=1, burn=60, smooth=40)])
def test_what_the_model_says_is_what_fit_is_told(estimator):
    own = model().replace(parameters={n: replace(p, fixed_iiv=n == "v") for n, p in model().parameters.items()})
    told = pkpd.fit(model(), seen(), estimator, fixed=["iiv.v"])
    said = pkpd.fit(own, seen(), estimator)
    assert said.ofv == told.ofv and value(said, "iiv.v") == 0.05
    assert value(said, "iiv.cl") == value(told, "iiv.cl") != 0.09


def test_a_block_is_left_whole():
    fit = pkpd.fit(FIXED, seen(), pkpd.FOCE())
    assert fit.status == "converged"
    assert [value(fit, name) for name in ("iiv.cl", "iiv.v,cl", "iiv.v")] == [0.09, 0.01, 0.05]
    told = pkpd.fit(FIXED.free("iiv.*"), seen(), pkpd.FOCE(), fixed=["iiv.cl", "iiv.v,cl", "iiv.v"])
    assert told.ofv == fit.ofv
    assert fit.ofv > pkpd.fit(FIXED.free("iiv.*"), seen(), pkpd.FOCE(covariance=None)).ofv


def test_a_part_of_a_block_is_refused():
    with pytest.raises(ModelError, match=r"of the block of cl, v, only iiv.cl would be fixed"):
        pkpd.fit(FIXED.free("iiv.*"), seen(), pkpd.FOCE(), fixed=["iiv.cl"])
    with pytest.raises(ModelError, match="A block is fixed as a whole"):
        Model(TEXT.replace("[dynamics]", BLOCK).replace("iiv = 0.09", "fixed_iiv = true"))


def test_variances_between_occasions_are_left():
    fit = pkpd.fit(model(0.02), seen(3, 0.04), pkpd.FOCE(covariance=None), fixed=["iov.cl"])
    assert value(fit, "iov.cl") == 0.02 and value(fit, "iov.v") != 0.02


def test_they_are_written_read_and_shown(tmp_path):
    own = model(0.02).fix("iiv.cl", "iov.v")
    assert Model(own.text) == own and Model(FIXED.text) == FIXED != FIXED.free("iiv.*")
    assert own.parameters["cl"].fixed_iiv and own.parameters["v"].fixed_iov and not own.parameters["v"].fixed_iiv
    assert own.free("iiv.cl", "iov.v") == model(0.02)
    assert "30.7 fixed" in str(own) and "14.1 fixed" in str(own) and "block fixed" in str(FIXED)
    fit = pkpd.fit(FIXED, seen(), pkpd.FOCE(max_iterations=0))
    fit.save(tmp_path / "fit.nc")
    assert pkpd.load_fit(tmp_path / "fit.nc").model == fit.model
    assert fit.model.blocks[0].fixed


def all_typical_values_held(*, variances: bool = False) -> Model:
    own = model()
    held = {n: replace(p, fixed=True, fixed_iiv=variances) for n, p in own.parameters.items()}
    return own.replace(parameters=held, outputs={"cp": replace(own.outputs["cp"], fixed_error=True)})


def test_variances_alone_may_be_estimated():
    exact = pkpd.fit(all_typical_values_held(), seen(), pkpd.Quadrature(nodes=9))
    assert exact.status == "converged" and exact.verdict["free"].item() == 2
    for estimator in (pkpd.FOCE(), pkpd.SAEM(seed=1, burn=80, smooth=60), pkpd.Importance(seed=1, draws=300)):
        fit = pkpd.fit(all_typical_values_held(), seen(), estimator)
        assert fit.status == "converged", estimator
        for name in ("iiv.cl", "iiv.v"):
            near = 0.2 * value(exact, name, "se")
            assert value(fit, name) == pytest.approx(value(exact, name), abs=near), estimator


def test_where_everything_is_held_the_likelihood_is_evaluated():
    held = all_typical_values_held(variances=True)
    exact = pkpd.fit(held, seen(), pkpd.Quadrature(nodes=15))
    for options in ({}, {"max_iterations": 0}):
        drawn = pkpd.fit(held, seen(), pkpd.Importance(seed=1, **options))
        error = float(np.sqrt((drawn["importance"]["objective_error"].values ** 2).sum()))
        assert drawn.ofv == pytest.approx(exact.ofv, abs=3 * error)
    assert np.isfinite(pkpd.fit(held, seen(), pkpd.FOCE()).ofv)
    assert pkpd.fit(held, seen(), pkpd.SAEM(seed=1, burn=0, smooth=0)).ofv == pytest.approx(exact.ofv, abs=0.01)
    with pytest.raises(CannotFit, match="nothing is estimated"):
        pkpd.fit(held, seen(), pkpd.SAEM(seed=1))
