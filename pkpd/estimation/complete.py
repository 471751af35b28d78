"""What would be estimated if the random effects were seen: the maximisation step of the EM algorithm.

Three kinds of outer parameters, each by what suits it:

- Omega, and typical values on which random effects act: in closed form, from means and products of individual
  values;
- residual SDs that stand alone in their law: in closed form, from the mean square of scaled residuals; with a prior
  from the root of one convex equation;
- everything else (typical values without random effects, laws with several parameters, censored records): by a step of
  Newton's method with the exact score and the expected information of the records. As the information is averaged over
  the iterations and the step shrinks with them, this is the algorithm of Gu MG, Kong FH. A stochastic approximation
  algorithm with Markov chain Monte-Carlo method for incomplete data estimation problems. PNAS 1998;95:7270-7274.
  doi:10.1073/pnas.95.13.7270. One Newton step leads as fast as a full maximisation does, near the maximum: Lange K. A
  gradient algorithm locally equivalent to the EM algorithm. J R Stat Soc B 1995;57:425-437.

Priors are conjugate: a normal one adds to the information of a typical value, an inverse Wishart one stands for so many
more people with the covariance matrix of its mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkpd.likelihood.population import Population
from pkpd.likelihood.priors import OfGroup, Priors
from pkpd.likelihood.standard import Normal
from pkpd.likelihood.variance import Group

__all__ = [
    "Roles",
    "Statistics",
    "Steps",
    "collect",
    "complete_score",
    "group_maximum",
    "natural_of",
    "newton",
    "of_members",
    "residual_sd",
    "stepped_score",
]

#: A step of Newton's method changes a parameter by no more than this, or by its own size.
_LONGEST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """How each of the K typical values is estimated.

    Parameters
    ----------
    by_group : tuple of (m,) int
        For each group of random effects, the typical value on which each of its members acts; -1 for none, or one that
        another group leads.
    closed : tuple of (int, (n,) bool)
        Typical values that are residual SDs in closed form, and their records.
    stepped : (L,) int
        The others.
    """

    by_group: tuple[np.ndarray, ...]
    closed: tuple[tuple[int, np.ndarray], ...]
    stepped: np.ndarray

    @classmethod
    def of(cls, population: Population) -> Roles:
        """Give the roles in a population."""
        effects = population.effects
        at = {name: k for k, name in enumerate(effects.typical)}
        # An output whose law has one SD differs between people as a parameter does.
        for output in population.problem.model.outputs.values():
            terms = output.scale_names
            if len(terms) == 1 and terms[0] in at:
                at.setdefault(output.name, at[terms[0]])
        led: set[int] = set()
        by_group: dict[int, np.ndarray] = {}
        groups = effects.covariance.groups
        # Between people first: what differs between occasions, too, is led by how people differ.
        for g in sorted(range(len(groups)), key=lambda g: groups[g].kind != "iiv"):
            own = np.array([at.get(name, -1) for name in groups[g].names])
            own = np.where(np.isin(own, sorted(led)), -1, own)
            led |= set(own[own >= 0].tolist())
            by_group[g] = own
        closed = []
        for k, name in enumerate(effects.typical):
            rows = None if k in led else _alone(population, name)
            if rows is not None:
                closed.append((k, rows))
        others = led | {k for k, _ in closed}
        return cls(
            by_group=tuple(by_group[g] for g in range(len(groups))),
            closed=tuple(closed),
            stepped=np.array([k for k in range(len(effects.typical)) if k not in others], dtype=int),
        )


def _alone(population: Population, name: str) -> np.ndarray | None:
    """The records whose SD is proportional to a residual parameter, if it has a closed form."""
    density, residuals = population.density, population.density.residuals
    if name not in residuals.names:
        return None
    place = residuals.names.index(name)
    for k, law in enumerate(residuals.laws):
        terms = [term for term in (law.add, law.prop, law.log) if term is not None]
        if terms != [place]:
            continue
        power = residuals.names[law.power] if law.power is not None else ""
        of_output = residuals.output == k
        estimated = (*population.effects.typical, *population.effects.names)
        plain = isinstance(density.around[k], Normal) and power not in estimated
        open_ = np.isneginf(density.floor[of_output]).all() and np.isposinf(density.ceiling[of_output]).all()
        seen = not (density.censored & ~density.left_out)[of_output].any()
        same = list(population.problem.model.outputs)[k] not in population.effects.names
        if plain and open_ and seen and same:
            return of_output & np.isnan(residuals.known) & ~density.left_out
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What the maximisation needs to know of the random effects, as means over subjects and chains.

    Parameters
    ----------
    first, second : tuple of (m,) and (m, m) float
        For each group, the individual values (typical value plus random effect), and their products.
    squares : (closed,) float
        Mean squares of residuals, scaled to be those of the SD.
    information : (L, L) float
        Expected information of all records in the directions of the typical values that are stepped.
    """

    first: tuple[np.ndarray, ...]
    second: tuple[np.ndarray, ...]
    squares: np.ndarray
    information: np.ndarray

    def moved(self, to: Statistics, share: float) -> Statistics:
        """Give the statistics moved by a share of the way to others."""
        if share == 1.0:
            return to
        return Statistics(
            first=tuple(a + share * (b - a) for a, b in zip(self.first, to.first, strict=True)),
            second=tuple(a + share * (b - a) for a, b in zip(self.second, to.second, strict=True)),
            squares=self.squares + share * (to.squares - self.squares),
            information=self.information + share * (to.information - self.information),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The score (L,) and the information (L, L) of the records in the directions that are stepped, and predictions."""

    score: np.ndarray
    information: np.ndarray
    f: np.ndarray


def stepped_score(crowd: Population, roles: Roles, w: np.ndarray, chains: int) -> Steps:
    """Give score and information at arguments `w` (C, W) of all chains, as means over the chains of a subject."""
    effects, chosen = crowd.effects, roles.stepped
    if not chosen.size:
        return Steps(score=np.zeros(0), information=np.zeros((0, 0)), f=crowd.predicted(w))
    directions = effects.to_typical[:, chosen]
    u = len(effects.engine)
    if directions[:u].any():
        at = crowd.slopes(w)
        f, v, terms = at.f, at.v @ directions, at.terms
    else:  # residual parameters alone: the model need not be differentiated
        f, who = crowd.predicted(w), crowd.subject
        psi, slope, _ = effects.residual(w)
        terms = crowd.density.terms(f, psi[who], order=2)
        v = np.zeros((len(f), 1 + psi.shape[1], len(chosen)))
        v[:, 1:] = slope[who][:, :, None] * directions[u:]
    assert terms.v is not None and terms.info is not None
    score = np.nan_to_num(np.einsum("nv,nvl->nl", terms.v, v)).sum(axis=0)
    information = np.nan_to_num(np.swapaxes(v, 1, 2) @ (terms.info @ v)).sum(axis=0)
    return Steps(score=score / chains, information=information / chains, f=f)


def collect(crowd: Population, roles: Roles, z: np.ndarray, b: np.ndarray, steps: Steps) -> Statistics:
    """Give the statistics of the chains at typical values `z` (K,) and random effects `b` (C, d)."""
    first, second = [], []
    for group, own in zip(crowd.effects.covariance.groups, roles.by_group, strict=True):
        centre = of_members(own, z, 0.0)
        each = np.concatenate([b[:, place] for place in group.places]) + centre
        first.append(each.mean(axis=0))
        second.append(each.T @ each / len(each))
    squares = np.zeros(len(roles.closed))
    if roles.closed:
        psi, _, _ = crowd.effects.residual(crowd.effects.arguments(z, b))
        residuals = crowd.density.residuals
        at = residuals.spread(steps.f, psi[crowd.subject])
        copies = len(steps.f) // len(roles.closed[0][1])
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = (crowd.density.observed - at.mean) / at.sd
        for i, (k, rows) in enumerate(roles.closed):
            sd = psi[0, residuals.names.index(crowd.effects.typical[k])]
            squares[i] = (scaled[np.tile(rows, copies)] ** 2).mean() * sd**2
    return Statistics(first=tuple(first), second=tuple(second), squares=squares, information=steps.information)


def of_members(own: np.ndarray, values: np.ndarray, otherwise: float) -> np.ndarray:
    """Give what each member of a group (m,) has of the K typical values; `otherwise` where it leads none."""
    found = np.full(len(own), otherwise)
    found[own >= 0] = values[own[own >= 0]]
    return found


def group_maximum(
    group: Group,
    own: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    matrix: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    people: int = 1,
    priors: Priors | None = None,
    of_group: OfGroup | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Give the centre (m,) of a group's individual values and their matrix (m, m), which maximise the likelihood.

    Members without a typical value of their own have the centre 0, and one that would pass a bound stays there; what
    they then lack moves the others through `matrix`, the covariance before.

    Parameters
    ----------
    group : Group
    own : (m,) int
        See `Roles.by_group`.
    first, second, matrix
        Statistics, and the covariance before.
    lower, upper : (m,) float
        Bounds of the centre.
    people : int
        Of how many the statistics are means, which is how much they weigh beside priors.
    priors : Priors, optional
        Of the typical values.
    of_group : OfGroup, optional
        The prior of the matrix.
    """
    precision = np.linalg.inv(matrix)
    centre, free = np.zeros(len(own)), own >= 0
    known, weight = np.zeros(len(own)), np.zeros(len(own))
    if priors is not None and priors.centre.size:
        known = of_members(own, priors.centre, 0.0)
        weight = of_members(own, priors.precision, 0.0) / people
    for _ in range(len(own) + 1):
        held = ~free
        pull = precision[np.ix_(free, held)] @ (first - centre)[held] + (weight * (known - first))[free]
        bent = precision[np.ix_(free, free)] + np.diag(weight[free])
        centre[free] = first[free] + (np.linalg.solve(bent, pull) if free.any() else 0.0)
        beyond = free & ((centre < lower) | (centre > upper))
        if not beyond.any():
            break
        centre = np.where(beyond, np.clip(centre, lower, upper), centre)
        free &= ~beyond
    if group.fixed:
        return centre, matrix
    across = np.outer(first, centre)
    found = second - across - across.T + np.outer(centre, centre)
    if of_group is not None:
        found = (people * found + of_group.weight * of_group.mode) / (people + of_group.weight)
    return centre, 0.5 * (found + found.T)


def residual_sd(square: float, records: int, centre: float, precision: float) -> float:
    """Give the logarithm z of a residual SD from the mean square of residuals, with a normal prior of this precision.

    The root of records * (1 - square * exp(-2 z)) + precision * (z - centre) = 0. The left side rises, ever slower, so
    that Newton's method climbs to it from below.
    """
    z = 0.5 * np.log(square)
    if precision == 0.0:
        return float(z)
    z = min(z, centre)
    for _ in range(200):
        left = records * square * np.exp(-2 * z)
        step = (left - records - precision * (z - centre)) / (2 * left + precision)
        z += step
        if abs(step) < 1e-14 * max(1.0, abs(z)):
            break
    return float(z)


def newton(
    z: np.ndarray, score: np.ndarray, information: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Give the step (L,) from `z` (L,) that information and score suggest, within bounds."""
    step, free = np.zeros(len(z)), np.ones(len(z), dtype=bool)
    scale = np.sqrt(np.maximum(np.diagonal(information), 1e-12))
    ridge = information / np.outer(scale, scale) + 1e-8 * np.eye(len(z))
    for _ in range(len(z)):
        step[:] = 0.0
        step[free] = np.linalg.solve(ridge[np.ix_(free, free)], (score / scale)[free]) / scale[free]
        outwards = free & (((z <= lower) & (step < 0)) | ((z >= upper) & (step > 0)))
        if not outwards.any():
            break
        free &= ~outwards
    longest = _LONGEST * np.maximum(1.0, np.abs(z))
    step *= np.min(np.minimum(1.0, longest / np.maximum(np.abs(step), 1e-300)), initial=1.0)
    return step


def complete_score(
    population: Population, roles: Roles, x: np.ndarray, b: np.ndarray, found: Statistics, score: np.ndarray
) -> np.ndarray:
    """Give the score (X,) of records and random effects `b` (C, d) together, as a mean over the chains of a subject.

    That of the priors is in it: its mean is minus half of the gradient of the objective.
    """
    effects, people = population.effects, len(population.problem.subjects)
    k, covariance = len(effects.typical), effects.covariance
    precision, _ = covariance.inverse(x[k:])
    whole = np.zeros(len(x))
    mean, products = b.mean(axis=0), b.T @ b / len(b)
    pull = people * (precision @ mean)
    for group, own in zip(covariance.groups, roles.by_group, strict=True):
        for i, place in enumerate(own):
            if place >= 0:
                whole[place] = pull[group.places[:, i]].sum()
    for i, (place, rows) in enumerate(roles.closed):
        whole[place] = rows.sum() * (found.squares[i] / np.exp(2 * x[place]) - 1)
    whole[roles.stepped] = score
    slopes = covariance.slopes(x[k:])
    middle = precision @ products @ precision - precision
    whole[k:] = 0.5 * people * np.einsum("ij,qij->q", middle, slopes)
    return whole - 0.5 * population.priors.gradient(x)


def natural_of(groups: Sequence[Group], matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Give variances and covariances of the free groups, (Q,), in the order of `Covariance.elements`."""
    free = [m for g, m in zip(groups, matrices, strict=True) if not g.fixed]
    return np.concatenate([m[0] if len(m) == 1 else m[np.tril_indices(len(m))] for m in free] or [np.zeros(0)])
