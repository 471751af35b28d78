"""Everybody left out in turn: held to closed forms of a balanced layout."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import pkpd
from pkpd.errors import CannotFit, FitFileError, MismatchError, UsageError
from pkpd.estimation import FOCE, Laplace, Quadrature
from tests.one_way import Exact, as_data, drawn, one_way_model

room = importlib.import_module("pkpd.estimation.leave_one_out")
Y = drawn(3, 9, 4)
ESTIMATORS = [FOCE(), Laplace(), Quadrature(nodes=3), pkpd.SAEM(seed=1)]


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return as_data(Y)


@pytest.fixture(scope="module")
def fit(data) -> pkpd.Fit:
    return pkpd.fit(one_way_model(), data, FOCE())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_it_is_the_closed_form(estimator, data):
    found = pkpd.leave_one_out(pkpd.fit(one_way_model(), data, estimator), data)["leave_one_out"]
    whole = Exact(Y)
    for k in range(9):
        rest, own = Exact(np.delete(Y, k, axis=0)), found.isel(subject=k)
        theta, sigma2, omega2 = rest.means.mean(), rest.sigma2, rest.omega2
        value = dict(zip(found["parameter"].values.tolist(), own["value"].values.tolist(), strict=True))
        assert value["theta"] == pytest.approx(theta, abs=1e-3)
        assert value["y.add"] == pytest.approx(sigma2**0.5, rel=1e-3)
        assert value["iiv.theta"] == pytest.approx(omega2, rel=5e-3)
        assert float(own["objective"]) == pytest.approx(rest.least, abs=1e-4)
        moved = whole.objective(theta, sigma2, omega2) - whole.least
        assert float(own["displacement"]) == pytest.approx(moved, abs=5e-3 * (1 + moved))
        for name, s2, o2, mean in (("held_out", sigma2, omega2, theta),
                                   ("held_in", whole.sigma2, whole.omega2, whole.means.mean())):  # fmt: skip
            law = multivariate_normal(np.full(4, mean), s2 * np.eye(4) + o2)
            exact = -2 * law.logpdf(Y[k]) - 4 * np.log(2 * np.pi)
            assert float(own[name]) == pytest.approx(exact, abs=5e-3 * (1 + abs(exact)))
    assert found.attrs["failed"] == 0
    assert found.attrs["held_out"] == pytest.approx(float(found["held_out"].sum()))
    assert found.attrs["held_out"] > found.attrs["held_in"]


def test_cook_and_change_are_of_the_observed_information(fit, data):
    found = pkpd.leave_one_out(fit, data)["leave_one_out"]
    covariance, whole = Exact(Y).covariances()["R"], Exact(Y)  # by theta, log sigma, log omega^2
    for k in range(9):
        rest = Exact(np.delete(Y, k, axis=0))
        step = np.array([
            rest.means.mean() - whole.means.mean(), 0.5 * np.log(rest.sigma2 / whole.sigma2),
            np.log(rest.omega2 / whole.omega2),
        ])  # fmt: skip
        own = found.isel(subject=k)
        np.testing.assert_allclose(own["change"], step / np.sqrt(np.diagonal(covariance)), atol=5e-3)
        assert float(own["cook"]) == pytest.approx(step @ np.linalg.solve(covariance, step) / 3, abs=5e-3)


def test_somebody_far_out_is_named(data):
    y = Y.copy()
    y[4] += 12
    far = as_data(y)
    found = pkpd.leave_one_out(pkpd.fit(one_way_model(), far, FOCE()), far)
    group = found["leave_one_out"]
    assert {int(np.argmax(group[name].values)) for name in ("displacement", "cook", "held_out")} == {4}
    assert "5 moves the estimates most" in str(found) and "Without any one of 5" in str(found)


def test_any_threads_any_order(data):
    one, two = (pkpd.leave_one_out(pkpd.fit(one_way_model(), data, FOCE(threads=threads)), data)["leave_one_out"]
                for threads in (1, 2))  # fmt: skip
    assert one.identical(two) and one["subject"].values.tolist() == list(data.ids)
    rows = [row for name in reversed(data.ids) for row in np.flatnonzero(data.columns["ID"] == name)]
    turned = data._rows(np.array(rows))
    other = pkpd.leave_one_out(pkpd.fit(one_way_model(), turned, FOCE()), turned)["leave_one_out"]
    for name in ("value", "held_out"):
        np.testing.assert_array_equal(other[name].sel(subject=one["subject"]).values, one[name].values)


def test_what_was_begun_goes_on_and_failures_are_listed(fit, data, tmp_path, monkeypatch):
    path, whole, true = tmp_path / "work.npz", pkpd.leave_one_out(fit, data), room.search_again
    seen = 0

    def stopped(known, population, **options):
        nonlocal seen
        seen += 1
        if seen == 4:
            raise KeyboardInterrupt
        return true(known, population, **options)

    monkeypatch.setattr(room, "search_again", stopped)
    part = pkpd.leave_one_out(fit, data, checkpoint=path)
    assert part["leave_one_out"].sizes["subject"] == 3 and "stopped by hand after 3 of 9" in str(part)
    monkeypatch.setattr(room, "search_again", true)
    again = pkpd.leave_one_out(fit, data, checkpoint=path)
    assert again["leave_one_out"].identical(whole["leave_one_out"])
    with pytest.raises(FitFileError, match="other work"):
        pkpd.leave_one_out(fit, data, checkpoint=path, max_iterations=7)
    again.save(tmp_path / "fit.nc")
    assert pkpd.load_fit(tmp_path / "fit.nc").identical(again)

    def fails(known, population, **options):
        if "3" not in population.problem.subjects:
            raise np.linalg.LinAlgError("Singular matrix")
        return true(known, population, **options)

    monkeypatch.setattr(room, "search_again", fails)
    lost = pkpd.leave_one_out(fit, data)
    group = lost["leave_one_out"].sel(subject="3")
    assert group["status"].item() == "failed" and group["message"].item() == "Singular matrix"
    assert np.isnan(group["value"]).all() and "could not be fitted: 3." in str(lost)


def test_when_nothing_can_be_fitted_that_is_said(fit, data, monkeypatch):
    def fails(known, population, **options):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(room, "search_again", fails)
    with pytest.raises(CannotFit, match="none of 9 fits"):
        pkpd.leave_one_out(fit, data)


def test_what_cannot_be_done(fit, data):
    with pytest.raises(UsageError, match="max_iterations"):
        pkpd.leave_one_out(fit, data, max_iterations=0)
    with pytest.raises(MismatchError):
        pkpd.leave_one_out(fit, as_data(Y + 1))
    with pytest.raises(CannotFit, match="by Pooled"):
        pkpd.leave_one_out(pkpd.fit(one_way_model(), data, pkpd.Pooled()), data)
    two = as_data(drawn(3, 2, 8, omega=3.0))
    with pytest.raises(CannotFit, match="2 subjects"):
        pkpd.leave_one_out(pkpd.fit(one_way_model(), two, FOCE(covariance=None)), two)
