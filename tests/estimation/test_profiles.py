"""Profiles: what is held, how it is asked for, and what becomes of quantities that the data do not determine."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, MismatchError, UsageError
from pkpd.estimation import FOCE, Laplace, Quadrature
from pkpd.estimation.hold import Held
from pkpd.estimation.recall import recall
from pkpd.model import Model
from tests.one_way import QUANTILE, TEXT, Exact, as_data, drawn, one_way_model

Y = drawn(4, 10, 3)
TWO = """
name = "two_lines"
[parameters]
a = { typical = 8.0, transform = "none", iiv = 1.0 }
b = { typical = 1.0, unit = "1/h", transform = "none", iiv = 1.0 }
[[omega]]
parameters = ["a", "b"]
covariance = [[1.0], [0.2, 1.0]]
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { add = 0.7 }
"""


def _matrix(x: np.ndarray, m: int) -> np.ndarray:
    factor = np.zeros((m, m))
    factor[np.tril_indices(m)] = x
    factor[np.diag_indices(m)] = np.exp(np.diagonal(factor))
    return factor @ factor.T


@pytest.mark.parametrize(("row", "column"), [(i, j) for i in range(4) for j in range(i + 1)])
def test_an_element_of_a_block_is_held(row: int, column: int):
    x = np.random.default_rng(1).standard_normal(12)
    held = Held(place=1 + row * (row + 1) // 2 + column, first=1, row=row, column=column)
    y, c = held.split(x)
    matrix = _matrix(x[1:11], 4)
    assert c == pytest.approx(np.log(matrix[row, row]) if row == column else matrix[row, column])
    back, by_y, by_c = held.join(y, c)
    np.testing.assert_allclose(back, x, atol=1e-13)
    other = _matrix(held.join(y + 0.3, c - 0.1)[0][1:11], 4)
    assert (np.log(other[row, row]) if row == column else other[row, column]) == pytest.approx(c - 0.1)
    for k, step in enumerate(1e-6 * np.eye(11)):
        difference = (held.join(y + step, c)[0] - held.join(y - step, c)[0]) / 2e-6
        np.testing.assert_allclose(by_y[:, k], difference, atol=1e-8)
    np.testing.assert_allclose(by_c, (held.join(y, c + 1e-6)[0] - held.join(y, c - 1e-6)[0]) / 2e-6, atol=1e-8)


def test_ends_of_a_block_are_where_the_rest_can_do_no_better():
    rng = np.random.default_rng(2)
    t = np.arange(4.0)
    b = rng.standard_normal((25, 2)) @ np.array([[1.0, 0.4], [0.0, 0.6]])
    y = 10 + b[:, :1] + (2 + b[:, 1:]) * t + 0.5 * rng.standard_normal((25, 4))
    data = as_data(y)
    fit = pkpd.fit(Model(TWO), data, FOCE())
    wanted = [name for name in fit.estimates["parameter"].values.tolist() if name.startswith("iiv.")]
    assert len(wanted) == 3
    found = pkpd.profile(fit, data, pkpd.Profile(parameters=wanted))["profile"]
    known = recall(fit, data, "test")
    names = found["parameter_"].values.tolist()
    for name in wanted:
        own = found.sel(parameter=name)
        for end in ("lower", "upper"):
            place = int(np.nanargmin(np.abs(own["value"].values - float(own[end]))))
            x = known.quantities.outer(own["others"].values[place])
            outer = known.outer()
            assert outer(x).objective - fit.ofv == pytest.approx(QUANTILE, abs=1e-5)
            # Along everything but the held quantity the objective is level there.
            slope = outer(x).slopes.sum(axis=0)
            by_quantity = known.quantities.slopes(x)[names.index(name)]
            rest = slope - by_quantity * (slope @ by_quantity) / (by_quantity @ by_quantity)
            assert np.abs(rest).max() < 1e-2
    wald = fit.estimates.sel(parameter=wanted)
    assert np.abs(np.log((found["upper"] - found["lower"]) / (wald["upper"] - wald["lower"]))).max() < 1.0


def test_what_is_asked_for_and_nothing_else():
    data = as_data(Y)
    fit = pkpd.fit(one_way_model(), data, FOCE())
    found = pkpd.profile(fit, data, pkpd.Profile(parameters=["theta"], level=0.9), interval="profile")
    assert found["profile"]["parameter"].values.tolist() == ["theta"]
    assert found.attrs["interval"].startswith("90 % profile likelihood of theta; of the others 95 % Wald")
    rows = found.estimates.sel(parameter="theta")
    assert float(rows["lower"]) == float(found["profile"]["lower"].item())
    assert float(found.estimates["lower"].sel(parameter="y.add")) == float(
        fit.estimates["lower"].sel(parameter="y.add")
    )
    with pytest.raises(CannotFit, match="was not estimated"):
        pkpd.profile(fit, data, pkpd.Profile(parameters=["thetta"]))
    with pytest.raises(UsageError, match="level"):
        pkpd.Profile(level=95)


def test_what_was_held_stays_held():
    data = as_data(Y)
    fit = pkpd.fit(one_way_model(), data, FOCE(), start={"y.add": 0.9}, fixed=["y.add"])
    found = pkpd.profile(fit, data)["profile"]
    assert found["parameter"].values.tolist() == ["theta", "iiv.theta"]
    assert (found["others"].sel(parameter_="y.add").dropna("point") == 0.9).all()


@pytest.mark.parametrize("estimator", [FOCE(interaction=False, level=0.9), Laplace(), Quadrature(nodes=3)], ids=repr)
def test_a_fit_from_a_file_is_as_good(estimator, tmp_path):
    data = as_data(Y)
    fit = pkpd.fit(one_way_model(), data, estimator)
    fit.save(tmp_path / "fit.nc")
    how = pkpd.Profile(parameters=["theta"])
    one, other = (pkpd.profile(each, data, how)["profile"] for each in (fit, pkpd.load_fit(tmp_path / "fit.nc")))
    assert one.identical(other)


def test_only_fits_of_populations_and_their_own_data():
    data = as_data(Y)
    with pytest.raises(CannotFit, match="the fit is by Pooled"):
        pkpd.profile(pkpd.fit(one_way_model(), data, pkpd.Pooled()), data)
    with pytest.raises(MismatchError, match="not what was fitted"):
        pkpd.profile(pkpd.fit(one_way_model(), data, FOCE()), as_data(Y[:9]))


def test_no_standard_error_where_the_data_determine_none():
    """Two typical values of which only the sum can be seen."""
    text = TEXT.replace("y = theta + 0 * t", "y = theta + other + 0 * t").replace(
        "[dynamics]", 'other = { typical = 1.0, transform = "none" }\n[dynamics]'
    )
    data = as_data(Y)
    for covariance in ("R", "sandwich", "S"):
        fit = pkpd.fit(Model(text), data, FOCE(covariance=covariance))
        assert fit.status == "not identified"
        table = fit.estimates
        assert np.isnan(table["se"]).all() and np.isnan(table["lower"]).all() and np.isnan(table["rse"]).all()
        with pytest.raises(CannotFit, match="no covariance"):
            pkpd.sir(fit, data, pkpd.SIR(seed=1))
    found = pkpd.profile(fit, data, interval="profile")
    own = found["profile"].sel(parameter=["theta", "other"])
    assert own["lower_open"].all() and own["upper_open"].all()
    assert np.isinf(own["lower"]).all() and np.isinf(own["upper"]).all()
    assert not found["profile"]["lower_open"].sel(parameter="y.add").item()


@pytest.mark.parametrize("transform", ["log", "none"])
@pytest.mark.parametrize("covariance", ["R", "S", "sandwich"])
def test_no_standard_error_along_a_curved_ridge(covariance: str, transform: str):
    """Two typical values of which only the product can be seen."""
    text = TEXT.replace("y = theta + 0 * t", "y = theta * other + 0 * t").replace(
        "[dynamics]", f'other = {{ typical = 1.0, transform = "{transform}" }}\n[dynamics]'
    )
    fit = pkpd.fit(Model(text), as_data(Y), FOCE(covariance=covariance))
    assert fit.status == "not identified"
    assert np.isnan(fit.estimates["se"]).all()


@pytest.mark.parametrize("factor", [1e-4, 1e3])
def test_standard_errors_do_not_depend_on_the_unit(factor: float):
    text = TEXT.replace("8.0", f"{9.5 * factor}").replace("2.0", f"{2 * factor**2}").replace("0.7", f"{0.7 * factor}")
    fit = pkpd.fit(Model(text), as_data(Y * factor), FOCE(covariance="R"))
    exact = np.sqrt(np.diagonal(Exact(Y * factor).covariances()["R"]))
    np.testing.assert_allclose(fit.covariance["covariance"].values.diagonal() ** 0.5, exact, rtol=2e-3)
