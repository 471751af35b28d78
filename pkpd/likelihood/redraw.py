"""Other observations at the design of a population: what the model might have given in place of what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pkpd.errors import MismatchError
from pkpd.likelihood.population import Population
from pkpd.likelihood.problem import Problem
from pkpd.model.kind import Event
from pkpd.streams import addresses, normals, uniforms

__all__ = ["Redraw", "draw_people", "draw_places", "limits", "simulate_population", "with_observations"]

#: People who are drawn together.
_TOGETHER = 4096


def simulate_population(
    population: Population, x: np.ndarray, *, seed: int, replicate: int, purpose: str
) -> Population:
    """Draw everybody's random effects and records at outer parameters x; records are censored as the data are.

    Each number is a function of the seed, the purpose, the replicate, and the name of the subject.

    Parameters
    ----------
    population : Population
    x : (X,) float
        K typical values, the Q numbers of Omega, and those of the shares of a mixture.
    seed, replicate, purpose
        Which random numbers.

    Raises
    ------
    MismatchError
        An output is the hazard of events, which would change when records are made, or its own likelihood, which does
        not say how to draw.
    """
    _check_drawn(population)
    return with_observations(population, _drawn(population, x, seed, replicate, purpose))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Redraw:
    """The same design observed again and again, many replicates at a time. See :meth:`of`."""

    one: Population
    many: Population
    address: np.ndarray
    x: np.ndarray
    seed: int
    purpose: str

    @classmethod
    def of(cls, population: Population, x: np.ndarray, *, seed: int, purpose: str, most: int) -> Redraw:
        """Make ready to draw; arguments as for :func:`simulate_population`, `most` replicates at a time at most."""
        people = len(population.problem.subjects)
        times = max(1, min(most, _TOGETHER // people))
        return cls(
            one=population, many=population.repeat(times), x=x, seed=seed, purpose=purpose,
            address=np.tile(addresses(population.problem.subjects), times),
        )  # fmt: skip

    @property
    def at_once(self) -> int:
        """How many replicates are drawn together."""
        return len(self.address) // len(self.one.problem.subjects)

    def draw(self, replicates: Sequence[int] | range) -> np.ndarray:
        """Give the observations of some replicates, (R, n), before anything is censored.

        NaN where an output does not say what may be observed at a given time, or the model has no value.
        """
        people, n, wanted = len(self.one.problem.subjects), len(self.one.subject), list(replicates)
        found = np.empty((len(wanted), n))
        for first in range(0, len(wanted), self.at_once):
            now = wanted[first : first + self.at_once]
            here = [*now, *([now[-1]] * (self.at_once - len(now)))]  # the last ones again, to fill the places
            y = _drawn(self.many, self.x, self.seed, np.repeat(here, people), self.purpose, self.address)
            found[first : first + len(now)] = y.reshape(self.at_once, n)[: len(now)]
        return found


def _drawn(
    population: Population,
    x: np.ndarray,
    seed: int,
    replicate: int | np.ndarray,
    purpose: str,
    address: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the observations of everybody, (n,), before anything is censored."""
    asked = {"seed": seed, "replicate": replicate, "purpose": purpose, "address": address}
    problem, values, psi = draw_people(population, x, **asked)
    f = problem.predict(values, threads=population.threads).f
    return population.density.draw(f, psi[population.subject], draw_places(population, **asked))


def draw_people(
    population: Population,
    x: np.ndarray,
    *,
    seed: int,
    replicate: int | np.ndarray,
    purpose: str,
    address: np.ndarray | None = None,
) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Draw everybody's class and random effects; arguments as for :func:`simulate_population`.

    `replicate` may be each subject's own, (S,), and so may the `address` of its random numbers.

    Returns
    -------
    problem : Problem
        Everybody in the class drawn.
    values : (S, P) float
        Natural values of the parameters.
    psi : (S, R) float
        Residual parameters.
    """
    effects, problem = population.effects, population.problem
    k, people = len(effects.typical), len(problem.subjects)
    address = addresses(problem.subjects) if address is None else address
    number = np.broadcast_to(replicate, people)
    factor = np.linalg.cholesky(effects.covariance.matrix(x[k:]))
    b = normals(seed, f"{purpose}: random effects", address, number, len(effects.names)) @ factor.T
    w = effects.arguments(x[:k], b)
    values, _ = effects.natural(w, problem.program.parameters)
    psi, _, _ = effects.residual(w)
    if population.mixture is not None:
        ends = np.cumsum(population.mixture.shares(x[len(x) - population.mixture.count :]))
        chance = uniforms(seed, f"{purpose}: classes", address, number, 1)[:, 0]
        problem = problem.in_class(np.minimum(np.searchsorted(ends, chance), len(ends) - 1))
    return problem, values, psi


def draw_places(
    population: Population,
    *,
    seed: int,
    replicate: int | np.ndarray,
    purpose: str,
    address: np.ndarray | None = None,
) -> np.ndarray:
    """Draw a uniform number for every record, (n,): the records of a subject are the columns of its row."""
    who = population.subject
    address = addresses(population.problem.subjects) if address is None else address
    within = np.arange(who.size) - np.searchsorted(who, who)
    wide = int(within.max(initial=0)) + 1
    return uniforms(seed, f"{purpose}: records", address, np.broadcast_to(replicate, len(address)), wide)[who, within]


def _check_drawn(population: Population) -> None:
    """Refuse outputs whose observations cannot be drawn at the records of the design."""
    problem = population.problem
    names = list(problem.model.outputs)
    for law, rows in problem.residuals.by_discrete:
        if not law.draws:
            name = names[problem.observations.output[rows[0]]]
            event = isinstance(problem.model.outputs[name].kind, Event)
            raise MismatchError(
                f"observations of {name} cannot be drawn: it is {'a hazard' if event else 'its own log likelihood'}.",
                where=problem.where,
                expected="Outputs whose law says what may be observed at a given time.",
                remedy="pkpd.simulate_events draws when events happen; a bootstrap may draw subjects instead."
                if event
                else "Say it as score, categories, binary, count or a residual error; a bootstrap may draw subjects.",
            )


def with_observations(population: Population, y: np.ndarray) -> Population:
    """Give the same design with observations `y` (n,), in the units of the outputs, censored as those of the data.

    A record is censored below its own limit of quantification; where the data say none, below the one limit at which
    others of its output were censored. A limit above counts only where records above it were left out.
    """
    seen, density = population.problem.observations, population.density
    below, above = limits(population, below=True), limits(population, below=False)
    low, high = y < below, y > above
    censored = low | high
    lower = np.where(low, -np.inf, np.where(high, above, y))
    upper = np.where(low, below, np.where(high, np.inf, y))
    scaled = [_on_scale(density.residuals.logarithmic, end) for end in (lower, upper)]
    return replace(
        population,
        problem=replace(
            population.problem, observations=replace(seen, dv=y, censored=censored, lower=lower, upper=upper)
        ),
        density=replace(
            density,
            observed=_on_scale(density.residuals.logarithmic, y),
            lower=np.maximum(scaled[0], density.floor),
            upper=np.minimum(scaled[1], density.ceiling),
            censored=censored,
            left_out=censored & (density.method in ("M1", "M2")),
        ),
    )


def limits(population: Population, *, below: bool) -> np.ndarray:
    """The limit of every record on one side, (n,); infinite where nothing would be censored."""
    seen = population.problem.observations
    ends, own = (seen.upper, seen.lloq) if below else (seen.lower, seen.uloq)
    beyond = seen.censored & (np.isneginf(seen.lower) if below else np.isposinf(seen.upper))
    found = np.full(own.size, -np.inf if below else np.inf)
    for output in np.unique(seen.output):
        rows = seen.output == output
        common = np.unique(ends[rows & beyond])
        if below or common.size:
            found[rows] = np.where(np.isfinite(own[rows]), own[rows], found[rows])
        unsaid = rows & ~np.isfinite(own)
        if common.size == 1:
            found[unsaid] = common[0]
        else:
            found[unsaid & beyond] = ends[unsaid & beyond]
    return found


def _on_scale(logarithmic: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(logarithmic, np.where(y <= 0, -np.inf, np.log(y)), y)
