"""A design brought together with a model: one person of each arm, and the quantities that are estimated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.design.arm import Plan, problem_of
from pkpd.design.lines import Lines, straighten
from pkpd.errors import CannotFit, DataError, Finding, UsageError, raise_all
from pkpd.estimation import FO, FOCE, Fit, Laplace, Quadrature
from pkpd.estimation.base import check_handles
from pkpd.estimation.population import PopulationEstimator, population_of
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood import Feature
from pkpd.likelihood.density import Density
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.population import Population
from pkpd.model import Model
from pkpd.streams import addresses, check_seed, normals

if TYPE_CHECKING:
    from pkpd.likelihood import Problem

__all__ = ["DRAWS", "Study", "check_method", "model_of"]

#: People drawn of each arm, where random effects or observations are drawn.
DRAWS = {FOCE: 200, Laplace: 1000, Quadrature: 1000}
#: What an estimator's field may be other than its default here.
_HEARD = ("nodes", "threads")
#: What the methods of straight lines honour; the others are asked.
_STRAIGHT = frozenset({Feature.OUTPUTS, Feature.OCCASIONS})
#: A derivative smaller than this, relative to others, is none.
_NOTHING = 1e-12


def model_of(given: Any, where: str) -> Model:
    """Give the model, that of a fit at its estimates.

    Raises
    ------
    UsageError
        It is neither, or a fit of each subject alone.
    """
    if isinstance(given, Model):
        return given
    if not isinstance(given, Fit) or "subject" in given.estimates.dims:
        raise UsageError(
            "in this fit every subject has parameters of its own." if isinstance(given, Fit)
            else f"a {type(given).__name__} was given.",
            where=f"{where}(model, ...)",
            expected="A Model, or a Fit of a population, which stands at its estimates.",
            remedy='Load one: pkpd.load("theophylline_boeckmann1994").',
        )  # fmt: skip
    return given.model


def check_method(method: Any, draws: Any, seed: Any, full: bool, where: str) -> tuple[int, int]:
    """Give the number of draws and the seed, both 0 where nothing is drawn.

    Raises
    ------
    CannotFit
        There is no information by this method, or an option of it would not be heard.
    UsageError
        `draws` or `seed` is missing, or would not be heard.
    """
    place = f"{where}(method=...)"
    known = (FO, FOCE, Laplace, Quadrature)
    if type(method) not in known:
        raise CannotFit(
            f"there is no expected information by {method!r}.",
            where=place,
            expected="FO() or FOCE(), whose records are straight lines; Laplace() or Quadrature(), by simulation.",
            remedy="Write method=pkpd.FO().",
        )
    for field in fields(method):
        value = getattr(method, field.name)
        if field.name not in _HEARD and value != field.default:
            raise CannotFit(
                f"{field.name} is {value!r}, and that is not heard here.",
                where=place,
                expected=f"{type(method).__name__}() without it: nothing is fitted.",
                remedy=f"Leave {field.name} out.",
            )
    drawn = type(method) in DRAWS
    for name, value in () if drawn else (("draws", draws), ("seed", seed)):
        if value is not None:
            raise UsageError(
                f"{name} is {value!r}, and nothing is drawn.",
                where=f"{where}({name}=...)",
                expected="FO() is a formula.",
                remedy=f"Leave {name} out, or take another method.",
            )
    if not drawn:
        return 0, 0
    if full:
        raise UsageError(
            "full is True, and there is one kind of matrix by this method.",
            where=f"{where}(full=...)",
            expected="FO(), of which there are two kinds.",
            remedy="Leave full out.",
        )
    many = DRAWS[type(method)] if draws is None else draws
    if isinstance(many, bool) or not isinstance(many, int | np.integer) or many < 2:
        raise UsageError(f"draws is {many!r}.", where=f"{where}(draws=...)", expected="A whole number, 2 or more.",
                         remedy="Leave it out.")  # fmt: skip
    what = "random effects are drawn" if isinstance(method, FOCE) else "observations are drawn"
    return int(many), check_seed(seed, why=what, where=f"{where}(seed=...)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One person of each of A arms, and the p quantities that are estimated.

    Parameters
    ----------
    model : Model
    plans : tuple of Plan
    population : Population
        A people, whose observations are still to come.
    quantities : Quantities
    where : str
        For messages.
    """

    model: Model
    plans: tuple[Plan, ...]
    population: Population
    quantities: Quantities
    where: str

    @classmethod
    def of(cls, model: Model, plans: tuple[Plan, ...], method: PopulationEstimator, where: str) -> Study:
        """Bring a model and a design together.

        Raises
        ------
        CannotFit
            The method cannot honour something of the model, or nothing is estimated.
        DataError
            A sample is taken where nothing can be seen.
        """
        beyond = [feature.value for feature, has in ((Feature.MIXTURE, model.mixture), (Feature.PRIORS, model.priors))
                  if has]  # fmt: skip
        if beyond:
            raise CannotFit(
                f"it cannot honour {' and '.join(beyond)}.",
                where=f"{where}, model {model.name}",
                expected="What the study itself is expected to tell, of one population.",
                remedy="Leave it out: model.replace(mixture={}, priors={}).",
            )
        population = _population(problem_of(model, plans), method, where)
        study = cls(model=model, plans=plans, population=population, quantities=Quantities.of(population), where=where)
        if not study.names:
            raise CannotFit("nothing is estimated.", where=f"{where}, model {model.name}",
                            expected="A parameter, a variance or a residual SD that is free.",
                            remedy="Free one: model.free(...).")  # fmt: skip
        study._check_samples()
        return study

    @property
    def names(self) -> tuple[str, ...]:
        """The p quantities."""
        return self.quantities.coordinates.free_names

    @property
    def people(self) -> np.ndarray:
        """How many there are in each arm, (A,)."""
        return np.array([plan.n for plan in self.plans], dtype=float)

    def lines(self, method: PopulationEstimator, *, draws: int, seed: int, full: bool) -> list[Lines]:
        """Give the records of each arm as straight lines."""
        arms, d = len(self.plans), len(self.population.effects.names)
        b = np.zeros((1, arms, d))
        if isinstance(method, FOCE):
            covariance = self.population.effects.covariance
            who, which = np.tile(addresses([plan.name for plan in self.plans]), draws), np.repeat(range(draws), arms)
            z = normals(seed, "information: random effects", who, which, d)
            b = (z @ np.linalg.cholesky(covariance.matrix(covariance.start)).T).reshape(draws, arms, d)
        return straighten(self.population, self.quantities, b, full=full)

    def _check_samples(self) -> None:
        """Refuse samples on which nothing depends, and those without an error."""
        population, effects = self.population, self.population.effects
        nobody = np.zeros((len(self.plans), len(effects.names)))
        at = population.slopes(effects.arguments(effects.start, nobody), order=1)
        spread = population.density.residuals.spread(at.f, at.psi)
        seen, outputs = population.problem.observations, list(self.model.outputs.values())
        size = np.abs(at.v[:, 0]).max(axis=1, initial=0.0)
        blind = ~(size > _NOTHING * size.max(initial=0.0)) & (len(effects.engine) > 0)
        found = []
        for rows, what, remedy in (
            (np.flatnonzero(blind & (at.f == 0)), "nothing is there to be seen: {} is 0 whatever the parameters are.",
             "Leave the time out, if it is before the first dose."),
            (np.flatnonzero(~(spread.sd > 0) & ~(blind & (at.f == 0))), "{} has a residual SD of 0.",
             "Leave the time out, or give the output an additive error."),
        ):  # fmt: skip
            found += [
                Finding(
                    code="sample",
                    where=f"{self.where}, arm `{self.plans[seen.subject[row]].name}`, time {seen.time[row]:g}",
                    what=what.format(outputs[seen.output[row]].name),
                    expected="Samples that depend on the parameters, with an error above 0.",
                    remedy=remedy,
                )
                for row in rows
            ]
        if found:
            raise_all(DataError, found)


def _population(problem: Problem, method: PopulationEstimator, where: str) -> Population:
    """Give the population, after asking the method whether it honours what the model has."""
    straight = isinstance(method, FO | FOCE)
    if straight:
        beyond = [feature for feature in problem.features if feature not in _STRAIGHT]
        if beyond:
            raise CannotFit(
                " and ".join(f"it cannot honour {f.value} ({problem.features[f]})" for f in beyond) + ".",
                where=f"{where}(method={type(method).__name__}())",
                expected="Normal and log-normal errors, of one population.",
                remedy="Take Laplace() or Quadrature(), which simulate, or leave it out of the model.",
            )
    check_handles(method, problem)
    effects = Effects.of(problem.model, problem.residual_parameters, problem.residuals.used, problem.program.occasions)
    if not effects.names and isinstance(method, FO):  # people who do not differ
        density = Density.of(problem.observations, problem.residuals)
        return Population(problem=problem, effects=effects, density=density, threads=method.threads)
    whole = population_of(problem, censoring="M3", threads=method.threads, where=f"{where}(method=...)")
    if straight:
        FO().approximation(whole)  # refuses what is no straight line
    return whole
