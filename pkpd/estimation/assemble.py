"""What an estimator of a population found, in the words of a Fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pkpd.estimation.base import Outcome
from pkpd.estimation.beside import exactly
from pkpd.estimation.individuals import classes_of_subjects, effects_of_subjects, ends_of_scores, residual_columns
from pkpd.estimation.outer import Look
from pkpd.estimation.precision import Precision
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.uncertainty import wald
from pkpd.estimation.verdict import Verdict
from pkpd.likelihood import Problem
from pkpd.likelihood.mixture import Mixed, most_probable
from pkpd.likelihood.population import Population
from pkpd.likelihood.priors import Priors

if TYPE_CHECKING:
    from pkpd.estimation.population import ForPopulations

__all__ = ["assemble", "prior_share", "reordered"]


def assemble(
    estimator: ForPopulations,
    population: Population,
    quantities: Quantities,
    look: Look,
    known: Precision | None,
    verdict: Verdict,
    trace: list[tuple[float, np.ndarray]],
    *,
    title: str = "",
    note: str = "",
) -> Outcome:
    """Give everything in the words of a Fit.

    Parameters
    ----------
    estimator, population, quantities
        Who fitted what.
    look : Look
        The estimates, with the approximation there.
    known : Precision or None
        How well they are known.
    verdict : Verdict
    trace : list of (objective, (N,) natural values)
    title : str
        The approximation in words; without one the objective is the exact likelihood that stands beside others.
    note : str
        How the standard errors were made, where it is not by the approximation of the objective.
    """
    problem, effects, own = population.problem, population.effects, quantities.coordinates
    modes, k = look.marginal.modes, len(effects.typical)
    values, count = quantities.natural(look.x), len(own.parameters)
    covariance = np.full((count, count), np.nan)
    if known is not None:
        slopes = quantities.slopes(look.x)
        covariance = slopes @ known.covariance @ slopes.T
    covariance[~own.free] = covariance[:, ~own.free] = 0.0
    low, high = wald(own, own.forward(values), covariance, estimator.level, np.inf)
    own_arguments = effects.arguments(look.x[:k], modes.b)
    typical_arguments = effects.arguments(look.x[:k], np.zeros_like(modes.b))
    names = problem.program.parameters
    individual, _ = effects.natural(own_arguments, names)
    typical, _ = effects.natural(typical_arguments, names)
    residual, _, _ = effects.residual(own_arguments)
    method = {"sandwich": "R,S sandwich", "R": "R inverse", "S": "S inverse", None: "none asked for"}
    how_known = method[estimator.covariance] + (f", {note}" if note and estimator.covariance else "")
    classes, groups = most_probable(look.marginal), effects_of_subjects(population, look.x, modes)
    if isinstance(look.marginal, Mixed):
        groups |= classes_of_subjects(population, look.marginal)
    each, error, how = exactly(population, look.x, look.marginal)
    exact = float(each.sum())
    prior = population.priors
    penalty, likelihood = prior.value(look.x), look.marginal.objective if title else exact
    share = prior_share(population, quantities, look.x, known)
    counted = ~population.density.left_out
    whole = counted & ~population.density.points
    n = int(counted.sum())
    return Outcome(
        coordinates=own,
        groups=("population",),
        by_subject=False,
        values=values[None],
        lower=low[None],
        upper=high[None],
        covariance=covariance[None],
        objective=np.array([likelihood + penalty]),
        objective_name=f"-2 log L, {title or how}, without n log(2 pi)" + (", with priors" if prior.names else ""),
        interval=f"{100 * estimator.level:g} % Wald on the estimation scale (normal; {how_known})",
        verdicts=(verdict,),
        numbers={
            "records": np.array([n]),
            **({"probabilities": np.array([whole.sum()])} if whole.any() else {}),
            "degrees_of_freedom": np.array([n - len(look.x)]),
            "likelihood": np.array([likelihood]),
            "prior": np.array([penalty]),
            "marginal": np.array([exact]),
            "marginal_error": np.array([error]),
        },
        individual=individual,
        typical=typical,
        residual=residual,
        notes=(
            f"-2 log L by {how}: {exact:.4f} (error {error:.2g}).",
            *ends_of_scores(population, modes),
            *_unknown(known, verdict),
            *_about_priors(prior, likelihood, penalty, dict(zip(own.names, share.tolist(), strict=True))),
        ),
        prior=np.array([name in prior.names for name in own.names]),
        prior_share=share,
        trace=[("population", value, values) for value, values in trace],
        parts=look.marginal.each if title else each,
        groups_of_results=groups,
        classes=classes,
        columns=residual_columns(population, look.x, modes, classes),
    )


def _about_priors(priors: Priors, likelihood: float, penalty: float, share: dict[str, float]) -> list[str]:
    """What a reader of a fit with priors should know."""
    found = []
    if priors.names:
        found.append(f"The objective is -2 log L, {likelihood:.4f}, and -2 log density of the priors, {penalty:.4f}.")
        parts = [f"{name} {100 * share[name]:.0f} %" for name in priors.names if np.isfinite(share[name])]
        found += [f"Share of the information that is due to priors: {', '.join(parts)}."] if parts else []
    if priors.held:
        found.append(f"Priors that say nothing, as their quantity is not estimated: {', '.join(priors.held)}.")
    return found


def prior_share(population: Population, quantities: Quantities, x: np.ndarray, known: Precision | None) -> np.ndarray:
    """Give the share of the information on each of the N quantities that is due to the priors, (N,).

    The diagonal of R^-1 P on the scale of the table, where R is the observed information and P that of the priors. For
    a quantity with a normal prior it is the variance of the estimate over that of the prior alone; for a variance of n
    people whose random effects are well known (df + 2) / (n + df + 2). The sum is the number of quantities that the
    priors determine.
    """
    free = quantities.coordinates.free
    share = np.zeros(len(free))
    if not population.priors.names:
        return share
    share[free] = np.nan
    if known is None or not np.isfinite(known.covariance).all():
        return share
    moved = np.diagonal(known.covariance) > 0
    to_table = quantities.slopes(x)[free]
    mixed = np.zeros((len(x), len(x)))
    prior = population.priors.information(x)
    mixed[np.ix_(moved, moved)] = np.linalg.solve(known.r, prior[np.ix_(moved, moved)])
    share[free] = np.diagonal(to_table @ mixed @ np.linalg.inv(to_table))
    return share


def _unknown(known: Precision | None, verdict: Verdict) -> tuple[str, ...]:
    """Say why there are no standard errors, where the verdict does not."""
    if known is None or not known.reason or known.reason in verdict.message:
        return ()
    remedy = ' covariance="R" does without these.' if known.few else ""
    return (f"There are no standard errors: {known.reason}.{remedy}",)


def reordered(outcome: Outcome, problem: Problem, order: np.ndarray) -> Outcome:
    """Put subjects and records, which were taken in `order`, back where the data have them."""
    back, (rows, _) = np.argsort(order), problem.records_of(order)
    parts = None if outcome.parts is None else outcome.parts[back]
    classes = None if outcome.classes is None else outcome.classes[back]
    return replace(
        outcome,
        individual=outcome.individual[back],
        typical=outcome.typical[back],
        residual=outcome.residual[back],
        parts=parts,
        classes=classes,
        groups_of_results={
            name: group.isel(subject=back) if "subject" in group.dims else group
            for name, group in outcome.groups_of_results.items()
        },
        columns={name: column[np.argsort(rows)] for name, column in outcome.columns.items()},
    )
