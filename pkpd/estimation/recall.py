"""From a population fit and its data back to the objective it was found with."""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import CannotFit, MismatchError
from pkpd.estimation.descend import descend
from pkpd.estimation.foce import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.outer import Outer
from pkpd.estimation.population import ForPopulations, PopulationEstimator
from pkpd.estimation.precision import find_precision
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.saem import SAEM
from pkpd.likelihood import Feature, make_problem
from pkpd.likelihood.population import Population
from pkpd.model import Model
from pkpd.streams import addresses

if TYPE_CHECKING:
    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["Recalled", "can_be_recalled", "estimator_of", "recall"]

_ESTIMATORS: tuple[type[PopulationEstimator | SAEM], ...] = (FO, FOCE, Laplace, Quadrature, SAEM)
#: What an objective by quadrature may take in the place of SAEM's: nodes along a random effect, and for all people.
_NODES, _MOST = (9, 7, 5), 20_000
#: How far the objective at the estimates may lie from the one that the fit says.
_SAME = 1e-3
#: The logarithm of an SD that has fallen by more since the start of the fit is taken to have gone to 0.
_GONE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recalled:
    """A finished population fit that can be looked at again.

    X counts the outer parameters of the search, N the quantities of its table.

    Parameters
    ----------
    fit : Fit
    estimator : PopulationEstimator
        With the options it had.
    population : Population
        The model and the data.
    quantities : Quantities
        From outer parameters to the table.
    x : (X,) float
        The estimates.
    objective : float
        Its value there.
    note : str
        What a reader should know of it.
    """

    fit: Fit
    estimator: PopulationEstimator
    population: Population
    quantities: Quantities
    x: np.ndarray
    objective: float
    note: str = ""

    def of(self, data: Dataset) -> Population:
        """Give the same model with other data, the subjects in an order of their own."""
        return _in_own_order(_population(self.fit, self.estimator, data))

    def in_own_order(self) -> Recalled:
        """Give the same with the subjects in an order that the file does not change: nor do sums, to the last bit."""
        population = _in_own_order(self.population)
        return replace(self, population=population, objective=self.outer(population)(self.x).objective)

    def outer(self, population: Population | None = None) -> Outer:
        """Give the objective, of these data or of others."""
        population = population or self.population
        return Outer(population, self.estimator.approximation(population))

    @property
    def names(self) -> tuple[str, ...]:
        """The X quantities that were estimated."""
        own = self.quantities.coordinates
        return tuple(name for name, free in zip(own.names, own.free, strict=True) if free)

    def revived(self, x: np.ndarray) -> tuple[np.ndarray, bool]:
        """Give x with variances that have gone to 0 as they stand in the model, and whether there were any.

        Such a variance has no slope on its logarithm: a search would never find it again.
        """
        effects, again = self.population.effects, x.copy()
        k, q = len(effects.typical), len(effects.covariance.start)
        diagonal = np.array([row == column for _, row, column in effects.covariance.elements], dtype=bool)
        gone = np.flatnonzero(diagonal & (x[k : k + q] < effects.covariance.start - _GONE))
        again[k + gone] = effects.covariance.start[gone]
        return again, bool(gone.size)

    def curvature(self) -> tuple[np.ndarray | None, np.ndarray]:
        """Give second derivatives of the objective, (X, X), and the slopes of every subject's part, (S, X).

        None where they are not positive definite. What stands at a bound is given a curvature of 1 of its own.
        """
        outer = self.outer()
        lower, upper = self.quantities.limits()
        free = (self.x > lower) & (self.x < upper)
        slopes = outer(self.x).slopes
        known = find_precision(outer, self.x, free, "R", self.quantities.size(self.x))
        if not np.isfinite(known.covariance).all():
            return None, slopes
        whole = np.eye(len(self.x))
        whole[np.ix_(free, free)] = 2 * known.r
        return whole, slopes


def can_be_recalled(estimator: object) -> bool:
    """Whether fits by an estimator can be recalled: they are of a population, and have an objective to be followed."""
    return isinstance(estimator, _ESTIMATORS)


def recall(fit: Fit, data: Dataset, where: str) -> Recalled:
    """Give what a population fit was made of.

    Parameters
    ----------
    fit : Fit
    data : Dataset
        The data of the fit: the Fit keeps their digest only.
    where : str
        Who asks, for messages.

    Raises
    ------
    CannotFit
        The fit is of no population, not by a method with an objective of its own, or ended nowhere.
    MismatchError
        These are other data.
    """
    asked = estimator_of(fit, where)
    if fit.attrs["data_digest"] != data.digest:
        raise MismatchError(
            f"{data.origin} ({data.digest[:12]}) is not what was fitted.",
            where=where,
            expected=f"The data of the fit: {fit.attrs['data']} with the digest {fit.attrs['data_digest'][:12]}.",
            remedy="Read the same file with the same options, or fit the new data first.",
        )
    if fit.status in ("failed", "not converged"):
        raise CannotFit(
            f"the fit is {fit.status}.",
            where=where,
            expected="A fit that ended at a minimum: around any other place there is nothing to tell.",
            remedy=fit.message,
        )
    population = _population(fit, asked, data)
    quantities = Quantities.of(population)
    estimator = _exact(asked, population, where) if isinstance(asked, SAEM) else asked
    x = quantities.outer(fit.estimates["value"].values)
    objective = Outer(population, estimator.approximation(population))(x).objective
    if not abs(objective - fit.ofv) <= _SAME * max(1.0, abs(fit.ofv)):
        raise MismatchError(
            f"the objective at the estimates is {objective:.4f}.",
            where=where,
            expected=f"The {fit.ofv:.4f} of the fit.",
            remedy=f"The fit was made by version {fit.attrs.get('version_pkpd', 'unknown')}; run it again.",
        )
    note = ""
    if isinstance(asked, SAEM):
        x, lower = _least(estimator, population, quantities, x, where)
        note = f"Around the minimum of -2 log L by {estimator.title}, {max(objective - lower, 0):.2g} below SAEM's."
        objective = lower
    return Recalled(
        fit=fit, estimator=estimator, population=population, quantities=quantities, x=x, objective=objective, note=note
    )


def _population(fit: Fit, estimator: PopulationEstimator | SAEM, data: Dataset) -> Population:
    """The model of a fit with data, what was fixed held."""
    table = fit.estimates
    model, fixed = Model(str(fit.attrs["model"])), table["parameter"].values[table["fixed"].values].tolist()
    held = [name for output in model.outputs.values() for name in output.residual_names if name in fixed]
    problem = make_problem(model, data, held=held, occasions=Feature.OCCASIONS in estimator.handles)
    return estimator.population(problem)


def _in_own_order(population: Population) -> Population:
    return population.take(np.argsort(addresses(population.problem.subjects), kind="stable"))


def _exact(estimator: SAEM, population: Population, where: str) -> Quadrature:
    """The estimator of the likelihood that SAEM maximises by chance."""
    d, people = len(population.effects.names), len(population.problem.subjects)
    nodes = next((nodes for nodes in _NODES if nodes**d * people <= _MOST), None)
    if nodes is None:
        raise CannotFit(
            f"the fit is by SAEM, and {people} subjects of {d} random effects each are too many for quadrature.",
            where=where,
            expected=f"At most {_MOST} nodes for all, {_NODES[-1]} along each random effect: SAEM gives estimates, and "
            "no objective that can be followed.",
            remedy="Go on from a fit by another method: pkpd.fit(fit.model, data, pkpd.FOCE()), or Laplace().",
        )
    own = {field.name: getattr(estimator, field.name) for field in fields(ForPopulations)}
    return Quadrature(**own, nodes=nodes)


def _least(
    estimator: PopulationEstimator, population: Population, quantities: Quantities, x: np.ndarray, where: str
) -> tuple[np.ndarray, float]:
    """Go from the estimates of SAEM, which chance has moved, to the minimum itself."""
    outer = Outer(population, estimator.approximation(population))
    found = descend(outer, x, *quantities.limits(), tolerance=estimator.tolerance, most=100)
    if not found.settled:
        raise CannotFit(
            f"no minimum of -2 log L was found from the estimates of SAEM: {found.reason}.",
            where=where,
            expected="A minimum near by.",
            remedy="Go on from a fit by another method: pkpd.fit(fit.model, data, pkpd.Quadrature()), or FOCE().",
        )
    return found.x, found.point.objective


def estimator_of(fit: Fit, where: str) -> PopulationEstimator | SAEM:
    """Give the estimator that a fit names, with its options; `where` is who asks."""
    if not hasattr(fit, "attrs") or "estimator" not in fit.attrs:
        raise CannotFit(
            f"a {type(fit).__name__} is given where a fit should be.",
            where=where,
            expected="What pkpd.fit gives.",
            remedy="Fit the model first: pkpd.fit(model, data, pkpd.FOCE()).",
        )
    name = str(fit.attrs["estimator"]).split("(", 1)[0]
    known = {one.__name__: one for one in _ESTIMATORS}
    if name not in known:
        raise CannotFit(
            f"the fit is by {name}.",
            where=where,
            expected=f"A population fit by {', '.join(known)}.",
            remedy="Fit with one of these.",
        )
    call = ast.parse(f"{name}({fit.attrs['estimator_options']})", mode="eval").body
    assert isinstance(call, ast.Call)
    return known[name](**{str(word.arg): ast.literal_eval(word.value) for word in call.keywords})
