"""The residuals of a search: their sum of squares is -2 log L, and their Jacobian is exact, under every law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from pkpd import Dataset, Pooled, fit
from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.objective import REFUSED, Objective
from pkpd.likelihood import log_density, make_problem
from pkpd.model import Model, Output

LAWS = {
    "additive": {"add": 0.1},
    "proportional": {"prop": 0.2},
    "power": {"prop": 0.2, "power": 0.8},
    "combined 1": {"add": 0.03, "prop": 0.15, "combined": 1},
    "combined 2": {"add": 0.03, "prop": 0.15},
    "combined 1, power": {"add": 0.03, "prop": 0.15, "power": 0.8, "combined": 1},
    "log-normal": {"log": 0.2},
}


def with_law(model: Model, law: str) -> Model:
    return model.replace(outputs={"cp": Output(name="cp", unit="mg/L", **LAWS[law])})


def objective(model: Model, data: Dataset, law: str, **options) -> Objective:
    problem = make_problem(with_law(model, law), data)
    return Objective(problem, Coordinates.of(problem, residuals_free=True), **options)


def start(target: Objective) -> np.ndarray:
    return target.coordinates.forward(target.coordinates.initial)[target.coordinates.free]


def central(function, z, h=1e-6):
    columns = [(function(z + h * e) - function(z - h * e)) / (2 * h) for e in np.eye(z.size)]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("law", LAWS)
def test_jacobian_agrees_with_differences(two_exponentials, decline, law):
    target = objective(two_exponentials, decline, law)
    z = start(target)
    target.reference = target.spread_at(z).sd
    for room in (40.0, 4.0):
        target.room = room
        np.testing.assert_allclose(target.jacobian(z), central(target.residuals, z), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("law", LAWS)
def test_gradient_of_the_likelihood_agrees_with_differences(two_exponentials, decline, law):
    target = objective(two_exponentials, decline, law)
    z = start(target)
    numbers = central(lambda at: np.array(target.at(at).deviance) / 2, z)
    np.testing.assert_allclose(target.at(z).gradient, numbers, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("law", LAWS)
def test_squares_are_the_deviance_up_to_a_constant(two_exponentials, decline, law):
    target = objective(two_exponentials, decline, law)
    z = start(target)
    target.reference = target.spread_at(z).sd
    other = z + 0.1
    squares = [float(np.sum(target.residuals(at) ** 2)) for at in (z, other)]
    deviance = [target.at(at).deviance for at in (z, other)]
    assert squares[1] - squares[0] == pytest.approx(deviance[1] - deviance[0], rel=1e-10)


@pytest.mark.parametrize("law", LAWS)
def test_pseudo_residuals_give_the_gradient(two_exponentials, decline, law):
    point = objective(two_exponentials, decline, law).at(start(objective(two_exponentials, decline, law)))
    np.testing.assert_allclose(-point.weighted.T @ point.pseudo_residuals, point.gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("law", LAWS)
def test_extended_least_squares_is_maximum_likelihood(two_exponentials, decline, law):
    """The minimum that lmfit finds is the one that a general minimiser finds of -2 log L, computed apart."""
    model = with_law(two_exponentials, law)
    result = fit(model, decline, Pooled(error="estimated"))
    assert result.status == "converged"
    problem = make_problem(model, decline)
    coordinates = Coordinates.of(problem, residuals_free=True)

    def deviance(z):
        values = coordinates.inverse(z)
        f = problem.predict(np.repeat(values[None, :4], 4, axis=0)).f
        each = log_density(problem.residuals.observed(problem.observations.dv), problem.residuals.spread(f, values[4:]))
        return -2 * each.sum() + problem.residuals.log_jacobian(problem.observations.dv)

    z = result.estimates["transformed"].values
    assert result.ofv == pytest.approx(deviance(z), abs=1e-8)
    # from a little beside it, Nelder-Mead comes back and finds nothing lower
    found = minimize(deviance, z + 0.01, method="Nelder-Mead", options={"maxiter": 6000, "xatol": 1e-7, "fatol": 1e-10})
    assert found.fun == pytest.approx(result.ofv, abs=1e-6)
    assert found.fun > result.ofv - 1e-8


def test_information_is_the_mean_of_the_second_derivatives(two_exponentials, decline):
    """With y standing at prediction +- SD, as it does on average, the Hessian of -log L is the expected information."""
    model = with_law(two_exponentials, "proportional")
    problem = make_problem(model, decline)
    coordinates = Coordinates.of(problem, residuals_free=True)
    z = coordinates.forward(coordinates.initial)
    f = problem.predict(np.repeat(coordinates.initial[None, :4], 4, axis=0)).f
    hessians = []
    for sign in (1, -1):
        seen = replace(problem.observations, dv=f * (1 + 0.2 * sign))
        at = Objective(replace(problem, observations=seen), coordinates)
        hessians.append(central(lambda v, at=at: at.at(v).gradient, z))
    weighted = Objective(problem, coordinates).at(z).weighted
    np.testing.assert_allclose(np.mean(hessians, axis=0), weighted.T @ weighted, rtol=1e-5, atol=1e-4)


def test_a_trial_that_cannot_be_solved_is_refused_not_raised(two_exponentials, decline):
    target = objective(two_exponentials, decline, "additive")
    z = start(target)
    z[0] = 5000.0
    rows = target.residuals(z)
    assert np.all(rows == REFUSED)
    assert np.isfinite(target.jacobian(start(target))).all()


def test_held_weights_ignore_the_laws(two_exponentials, decline):
    problem = make_problem(with_law(two_exponentials, "proportional"), decline)
    coordinates = Coordinates.of(problem, residuals_free=False)
    z = coordinates.forward(coordinates.initial)[coordinates.free]
    target = Objective(problem, coordinates, weights=np.full(problem.observations.dv.size, 0.5))
    np.testing.assert_allclose(target.residuals(z), (problem.observations.dv - target.predict(z)) / 0.5)
    np.testing.assert_allclose(target.jacobian(z), central(target.residuals, z), rtol=1e-6, atol=1e-7)


def test_only_free_parameters_are_differentiated(two_exponentials, decline):
    problem = make_problem(two_exponentials.fix("l1"), decline)
    target = Objective(problem, Coordinates.of(problem, residuals_free=False))
    z = start(target)
    assert target.coordinates.free_names == ("a1", "a2", "l2")
    np.testing.assert_allclose(target.jacobian(z), central(target.residuals, z), rtol=1e-6, atol=1e-7)
