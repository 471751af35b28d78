"""Estimators that approximate the likelihood around the most probable random effects of each subject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.outer import Approximation
from pkpd.estimation.population import PopulationEstimator
from pkpd.likelihood import Feature
from pkpd.likelihood.marginal import conditional, fo, foce_no_interaction, laplace
from pkpd.likelihood.population import Population
from pkpd.likelihood.quadrature import quadrature

__all__ = ["FO", "FOCE", "Laplace", "Quadrature"]

#: Subjects times nodes that one look at the objective may take.
_MOST_NODES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FO(PopulationEstimator):
    """Fit a population by the first-order method: predictions are straight lines in the random effects.

    Fast, and biased where people differ much; for comparison with old results, and for starting values.

    Parameters
    ----------
    covariance, level, tolerance, max_iterations, censoring, threads
        See :class:`~pkpd.estimation.population.PopulationEstimator`.
    """

    handles: ClassVar[frozenset[Feature]] = PopulationEstimator.handles - {Feature.STUDENT, Feature.KINDS}

    @property
    def title(self) -> str:
        """The approximation in words."""
        return "FO"

    def approximation(self, population: Population) -> Approximation:
        """Give the first-order method."""
        _need_plain_errors(self, population)
        return fo


@dataclass(frozen=True, slots=True, kw_only=True)
class FOCE(PopulationEstimator):
    """Fit a population by first-order conditional estimation (FOCE, FOCE-I).

    The likelihood of each subject is approximated around its most probable random effects, by Laplace's method with the
    expected information of its records. Censored records have no expected information: theirs is the observed one.
    Scores, categories, counts, events and own likelihoods are fitted by Laplace's method with true second derivatives,
    as NONMEM does, and then all records are.

    Parameters
    ----------
    interaction : bool
        Whether residual SDs follow the subject's own predictions, or those of the typical person.
    covariance, level, tolerance, max_iterations, censoring, threads
        See :class:`~pkpd.estimation.population.PopulationEstimator`.
    """

    interaction: bool = True

    @property
    def title(self) -> str:
        """The approximation in words."""
        return "FOCE with interaction" if self.interaction else "FOCE without interaction"

    def titled(self, population: Population) -> str:
        """Give the approximation in words, as it is for this population."""
        kinds = population.problem.features.get(Feature.KINDS)
        return f"Laplace (as FOCE has none for {kinds})" if kinds and self.interaction else self.title

    def approximation(self, population: Population) -> Approximation:
        """Give the conditional method."""
        if self.interaction:
            return conditional(population)
        _need_plain_errors(self, population)
        return foce_no_interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(PopulationEstimator):
    """Fit a population by Laplace's method with true second derivatives.

    Parameters
    ----------
    covariance, level, tolerance, max_iterations, censoring, threads
        See :class:`~pkpd.estimation.population.PopulationEstimator`.
    """

    @property
    def title(self) -> str:
        """The approximation in words."""
        return "Laplace"

    def approximation(self, population: Population) -> Approximation:
        """Give Laplace's method."""
        return laplace


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadrature(PopulationEstimator):
    """Fit a population by its exact likelihood: adaptive Gauss-Hermite quadrature, for few random effects.

    Parameters
    ----------
    nodes : int
        Along each random effect; 1 is Laplace's method.
    covariance, level, tolerance, max_iterations, censoring, threads
        See :class:`~pkpd.estimation.population.PopulationEstimator`.
    """

    nodes: int = 7

    def __post_init__(self) -> None:
        PopulationEstimator.__post_init__(self)
        if self.nodes < 1:
            self._refuse("nodes", "1 or more.")

    @property
    def title(self) -> str:
        """The approximation in words."""
        return f"adaptive quadrature with {self.nodes} nodes"

    def approximation(self, population: Population) -> Approximation:
        """Give quadrature."""
        d, people = len(population.effects.names), len(population.problem.subjects)
        if self.nodes**d * people > _MOST_NODES:
            raise CannotFit(
                f"{self.nodes} nodes along each of {d} random effects are {self.nodes**d:.2g} a subject.",
                where="Quadrature(nodes=...)",
                expected=f"At most {_MOST_NODES // people:.2g} for {people} subjects.",
                remedy="Take fewer nodes, or Laplace().",
            )
        return partial(quadrature, nodes=self.nodes)


def _need_plain_errors(estimator: PopulationEstimator, population: Population) -> None:
    """Refuse what straight lines and fixed SDs cannot honour."""
    censored = population.density.censored
    if censored.any() and estimator.censoring != "M1":
        raise CannotFit(
            "it cannot honour censored records.",
            where=f"{type(estimator).__name__}()",
            expected="Records that were all seen.",
            remedy='Use FOCE(), Laplace() or Quadrature(), or leave these records out: censoring="M1".',
        )
    density = population.density
    if np.isfinite(density.floor).any() or np.isfinite(density.ceiling).any():
        raise CannotFit(
            f"it cannot honour {density.method}: records that are given to lie in a range.",
            where=f"{type(estimator).__name__}(censoring={density.method!r})",
            expected='censoring="M1" or "M3", as all records were seen.',
            remedy="Use FOCE(), Laplace() or Quadrature().",
        )
    model = population.problem.model
    if kinds := population.problem.features.get(Feature.KINDS):
        raise CannotFit(
            f"it cannot honour {Feature.KINDS.value} ({kinds}).",
            where=f"{type(estimator).__name__}()",
            expected="Measured amounts.",
            remedy="Use Laplace(), Quadrature(), SAEM() or Importance().",
        )
    if heavy := population.problem.features.get(Feature.STUDENT):
        raise CannotFit(
            f"it cannot honour residual errors that follow Student's t ({heavy}).",
            where=f"{type(estimator).__name__}()",
            expected="Normal and log-normal errors.",
            remedy="Leave out t, or use FOCE(), Laplace() or Quadrature().",
        )
    varied = [name for name in population.effects.names if name in model.outputs and name not in model.parameters]
    if varied:
        raise CannotFit(
            f"it cannot honour residual errors that differ between people ({', '.join(varied)}).",
            where=f"{type(estimator).__name__}()",
            expected="Outputs without iiv.",
            remedy="Use FOCE(), Laplace() or Quadrature().",
        )
