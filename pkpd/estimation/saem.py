"""The exact maximum likelihood of a population by stochastic approximation: SAEM."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.assemble import assemble
from pkpd.estimation.base import Outcome
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.descend import Descent, descend
from pkpd.estimation.outer import Look, Outer
from pkpd.estimation.population import ForPopulations, check_start
from pkpd.estimation.precision import Precision, find_precision, rank_and_condition
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.sound import check_population
from pkpd.estimation.stochastic import Search
from pkpd.estimation.verdict import BY_HAND, Status, Verdict
from pkpd.likelihood import Feature
from pkpd.likelihood.marginal import conditional, foce
from pkpd.likelihood.population import Population
from pkpd.likelihood.quadrature import quadrature
from pkpd.streams import check_seed

__all__ = ["SAEM"]

#: Quadrature for the standard errors, where it takes no more nodes than these in all.
_NODES, _MOST = 5, 20_000
#: In standard errors: the longest last step, and the largest Monte Carlo error, of a fit that has converged; the
#: batches of iterations that tell the latter.
_NEAR, _SURE, _BATCHES = 0.75, 0.3, 10
#: Where draws are too noisy and effects few, the search ends where the objective could fall by less; its iterations.
_TOLERANCE, _STEPS = 1e-6, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SAEM(ForPopulations):
    """Fit a population by stochastic approximation of the EM algorithm: its exact likelihood, for any random effects.

    Random effects are drawn given the data, and the estimates follow their statistics: for two thirds of
    `burn` those of the last draws, then running means of them. The estimates of the last `smooth` iterations are
    averaged. Nothing is linearised. The objective is -2 log L by quadrature or importance sampling at the estimates.
    Where the Monte Carlo errors of the estimates are too large to be believed (parameters without random effects that
    go along with others, few people), and random effects are few, the end is by exact slopes of the likelihood; the
    verdict says so.

    Kuhn E, Lavielle M. Maximum likelihood estimation in nonlinear mixed effects models. Computational Statistics & Data
    Analysis 2005;49:1020-1038. doi:10.1016/j.csda.2004.07.002

    Averages of iterates that were given long steps are as precise as any step could make them, also where EM is slow
    (a variance between people beside a larger one between occasions), where steps of 1/k come to rest too early. Polyak
    BT, Juditsky AB. Acceleration of stochastic approximation by averaging. SIAM J Control Optim 1992;30:838-855.
    doi:10.1137/0330046

    Parameters
    ----------
    seed : int
        Same seed, same bits: for any number of threads, and any order of subjects.
    chains : int
        Markov chains of each subject. More for few subjects.
    burn, smooth : int
        Iterations. None of either evaluates at the starting values.
    power : float
        Running means give iteration k after the first two thirds of `burn` the weight k^-power; above 0.5, at most 1.
    cool : bool
        Whether variances may only fall slowly, by 5 % an iteration, in the first half of `burn`: it keeps the search
        from settling too early (simulated annealing; Lavielle M. Mixed Effects Models for the Population Approach, CRC
        Press 2014).
    checkpoint : path, optional
        A file that keeps what is done, written every few seconds. If it is there, the work goes on from it, and ends
        with the numbers of undisturbed work; more `smooth` may be asked for then. It belongs to one model, data set,
        and options; those of standard errors may change.
    covariance, level, censoring, threads
        See :class:`~pkpd.estimation.population.ForPopulations`. The observed information is that of quadrature where
        the random effects are few, otherwise that of FOCE, at the estimates of SAEM.

    Examples
    --------
    >>> SAEM(seed=1, chains=5).chains
    5
    """

    handles: ClassVar[frozenset[Feature]] = ForPopulations.handles | {Feature.PRIORS}

    seed: int | None = None
    chains: int = 3
    burn: int = 300
    smooth: int = 200
    power: float = 0.6
    cool: bool = True
    checkpoint: str | Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        ForPopulations.__post_init__(self)
        check_seed(self.seed, why="random effects are drawn", where="SAEM(seed=...)")
        if self.chains < 1:
            self._refuse("chains", "1 or more.")
        if self.burn < 0:
            self._refuse("burn", "0 or more.")
        if self.smooth < 0:
            self._refuse("smooth", "0 or more.")
        if not 0.5 < self.power <= 1:
            self._refuse("power", "Above 0.5, at most 1.")

    def _run(self, population: Population) -> Outcome:
        _check_subjects(population)
        effects, quantities = population.effects, Quantities.of(population)
        if self.burn + self.smooth:
            _check_free(population, quantities)
            check_population(population, quantities)
        few = _NODES ** len(effects.names) * len(population.problem.subjects) <= _MOST
        approximation = partial(quadrature, nodes=_NODES) if few else conditional(population)
        check_start(population, Outer(population, conditional(population))(population.start))
        search = Search(self, population, quantities)
        state = search.run(self._kept(population))
        x, ends, solved = search.estimates(state), np.array(state.ends), search.solved(state)
        total = self.burn + self.smooth
        outer = Outer(population, approximation)
        look = outer(x)
        lower, upper = quantities.limits()
        at_bound = (x <= lower) | (x >= upper)
        known, hurried = None, state.iteration < total
        if np.isfinite(look.objective) and not hurried:
            near = look.marginal

            def look_from_here(x: np.ndarray) -> Look:
                marginal = approximation(population, x, near.modes.b, gradient=True, metric=near.bent)
                return Look(outer=outer, x=x, marginal=marginal)

            try:
                known = find_precision(look_from_here, x, ~at_bound, self.covariance or "R", quantities.size(x))
            except KeyboardInterrupt:
                hurried = True
        aims, exact = None, None
        if known is not None and len(ends) >= 2 * _BATCHES:
            bent = None
            if known.eigenvalues.min(initial=1.0) > 1e-8 and not at_bound.all():
                aims, bent = _aims(x, ends, known.r, ~at_bound), np.eye(len(x))
                bent[np.ix_(~at_bound, ~at_bound)] = 2 * known.r
            if few and (aims is None or not aims.sure):
                exact = descend(outer, x, lower, upper, tolerance=_TOLERANCE, most=_STEPS, hessian=bent,
                                size=quantities.size(x))  # fmt: skip
            if exact is not None:
                x, at_bound = exact.x, (exact.x <= lower) | (exact.x >= upper)
                look = outer(x)
                known = find_precision(outer, x, ~at_bound, self.covariance or "R", quantities.size(x))
            elif aims is not None and aims.far <= _NEAR:
                x = np.clip(aims.aim, lower, upper)
                look = outer(x)
        verdict = self._judge(quantities, x, at_bound, known, aims, exact, state.iteration, hurried, solved)
        known = known if self.covariance is not None else None
        how = "FOCE with interaction" if approximation is foce else "Laplace"
        note = f"of quadrature with {_NODES} nodes" if few else f"of {how} at the estimates"
        return assemble(self, population, quantities, look, known, verdict, list(state.trace), note=note)

    def _kept(self, population: Population) -> Checkpoint | None:
        """The checkpoint, with everything on which the iterations depend: any `smooth` begins with the same ones."""
        if self.checkpoint is None:
            return None
        problem = population.problem
        options = ("seed", "chains", "burn", "power", "cool", "censoring")
        key = {
            "work": "pkpd SAEM 1",
            "model": problem.model.hash,
            "data": problem.data.digest,
            "fixed": ", ".join(p.name for p in problem.residual_parameters if p.fixed),
            "options": ", ".join(f"{name}={getattr(self, name)!r}" for name in options),
        }
        return Checkpoint(path=Path(self.checkpoint), key=key)

    def _judge(
        self,
        quantities: Quantities,
        x: np.ndarray,
        at_bound: np.ndarray,
        known: Precision | None,
        aims: _Aims | None,
        exact: Descent | None,
        done: int,
        hurried: bool,
        solved: int,
    ) -> Verdict:
        """Whether the fit may be believed."""
        own = quantities.coordinates
        names = [own.names[place] for place in np.flatnonzero(own.free)]
        bounds = tuple(name for name, is_at in zip(names, at_bound, strict=True) if is_at)
        far, noise, said = np.nan, np.nan, ""
        if aims is not None:
            far, noise = aims.far, aims.noise
            said = (
                f"The last step, by the mean score, was {far:.2g} standard errors ({names[aims.farthest]}); "
                f"Monte Carlo errors are at most {noise:.2g} standard errors ({names[aims.noisiest]})."
            )
        status, message = Status.CONVERGED, said
        if hurried:
            status = Status.NOT_CONVERGED
            message = f"{BY_HAND} after {done} of {self.burn + self.smooth} iterations: the estimates so far."
        elif self.burn + self.smooth == 0:
            status, message = Status.NOT_CONVERGED, "Nothing was searched: the objective stands at the starting values."
        elif known is not None and known.open:
            status = Status.NOT_IDENTIFIED
            message = f"There are no standard errors: {known.reason}. Fix a parameter, or take out a random effect."
        elif not np.isfinite(far) and exact is None:
            status = Status.NOT_CONVERGED
            message = f"Nothing tells whether it converged: it takes a smooth of {2 * _BATCHES} or more."
        elif exact is None and (aims is None or not aims.sure):
            more = max(2.0, (noise / _SURE) ** 2)
            status = Status.NOT_CONVERGED
            message = f"{said} Raise smooth to {self.smooth * more:.2g}, or chains, or burn."
        else:
            if exact is not None:
                said = " ".join(["Draws alone left too much open.", said]).strip()
                said += " The end is by exact slopes, those of quadrature."
                if not exact.settled:
                    status = Status.NOT_CONVERGED
                    said += f" They found no minimum: {exact.reason}. Raise chains, or use Quadrature()."
            message = said
            if bounds and status is Status.CONVERGED:
                status, message = Status.AT_BOUND, f"At a bound: {', '.join(bounds)}. {said}"
        rank, condition = rank_and_condition(known)
        return Verdict(
            status=status,
            message=message,
            gradient=far if exact is None else np.nan,
            rank=rank,
            free=len(x),
            condition=condition,
            at_bounds=bounds,
            evaluations=solved,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aims:
    """Where a step of Newton's method leads from the last iterates, on the average.

    Parameters
    ----------
    aim : (X,) float
    far, noise : float
        How far that is from their mean, at most, and its largest Monte Carlo error: in standard errors.
    farthest, noisiest : int
        Of which outer parameters.
    """

    aim: np.ndarray
    far: float
    noise: float
    farthest: int
    noisiest: int

    @property
    def sure(self) -> bool:
        """Whether both are small."""
        return self.far <= _NEAR and self.noise <= _SURE


def _aims(x: np.ndarray, ends: np.ndarray, information: np.ndarray, free: np.ndarray) -> _Aims:
    """Give them for iterates and their scores, (n, 2, X), with the observed information of what is free.

    Each step is a draw around the maximum, wherever its iterate stands. So their mean forgets the start, where EM is
    slow, too, and tells its Monte Carlo error. This is the last step of Gu and Kong (1998), see
    :mod:`pkpd.estimation.complete`.
    """
    variance, places = np.linalg.inv(information), np.flatnonzero(free)
    errors = np.sqrt(np.diagonal(variance))
    steps = (ends[:, 0, free] - x[free] + ends[:, 1, free] @ variance) / errors
    batches = np.array([part.mean(axis=0) for part in np.array_split(steps, _BATCHES)])
    noise = batches.std(axis=0, ddof=1) / np.sqrt(_BATCHES)
    way = steps.mean(axis=0)
    aim = x.copy()
    aim[free] += way * errors
    farthest, noisiest = int(np.abs(way).argmax()), int(noise.argmax())
    return _Aims(
        aim=aim,
        far=float(np.abs(way[farthest])),
        noise=float(noise[noisiest]),
        farthest=int(places[farthest]),
        noisiest=int(places[noisiest]),
    )


def _check_free(population: Population, quantities: Quantities) -> None:
    """Refuse to search where everything is held."""
    if not quantities.coordinates.free.any():
        raise CannotFit(
            "nothing is estimated: all typical values, variances and residual SDs are fixed.",
            where=population.problem.where,
            expected="Something for the draws to move.",
            remedy="SAEM(burn=0, smooth=0) evaluates at the fixed values, and so does Importance().",
        )


def _check_subjects(population: Population) -> None:
    """Refuse what is too little for a covariance matrix."""
    people, known = len(population.problem.subjects), population.priors.weight_of_group
    for g, group in enumerate(population.effects.covariance.groups):
        if not group.fixed and people <= len(group.names) and g not in known:
            raise CannotFit(
                f"{people} {'subject' if people == 1 else 'subjects'} cannot tell a covariance matrix of "
                f"{len(group.names)} random effects ({', '.join(group.names)}).",
                where=population.problem.where,
                expected=f"More than {len(group.names)}.",
                remedy="Take out random effects, or fit each subject by Individual().",
            )
