"""Starting values from the data: the typical values at which one person explains everybody's records best.

Nobody differs yet (naive pooling), so that -2 log L needs one solution of the model for each trial. Thousands of trials
are solved at once; the residual SDs of a trial follow from what it leaves unexplained. The best few are led to their
minima by scoring (Gauss-Newton's method with the expected information, damped as Levenberg and Marquardt do).

Nothing is drawn at random: trials lie on lines through the given values, and on a Halton sequence. Halton JH. On the
efficiency of certain quasi-random sequences of points in evaluating multi-dimensional integrals. Numerische Mathematik
1960;2:84-90. doi:10.1007/BF01386213
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pkpd.estimation.natural import natural_sizes
from pkpd.estimation.quantities import Quantities
from pkpd.likelihood.discrete import Discrete
from pkpd.likelihood.population import Population
from pkpd.likelihood.residual import Residuals
from pkpd.likelihood.variance import Group
from pkpd.model import Parameter

__all__ = ["Glance", "Place", "Scan", "glance", "halton", "seek"]

#: Subjects whose records are looked at, and records of one batch of trials.
_PEOPLE, _BATCH = 60, 200_000
#: Decades along lines through the given values; of the two boxes around them; of the box around natural sizes.
_FAR = np.array([-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
_NEAR = np.array([-6.0, -3.0, -1.0, 1.0, 3.0, 6.0])
_BOXES, _NATURAL = (1.0, 3.0, 6.0), 2.0
#: Trials in a box; how many places are led on for a few steps, and how many of these to their minima.
_IN_BOX, _FEW, _LED = 256, 48, 12
#: Steps of both; places closer together than this on the scale of the search are one.
_FIRST, _LAST, _APART = 6, 60, 0.2
#: A start is doubted where, decades away, the residual SD is this much smaller and -2 log L by as much, or where its
#: own SD is so far off.
_BETTER, _GAIN, _OFF = 1.1, 20.0, 30.0
#: Variances on the logarithmic scale outside of which nothing is learned of how people differ, and what stands instead.
_SMALL, _LARGE, _USUAL = 1e-4, 4.0, 0.1
#: Of a correlation matrix to start from, the smallest eigenvalue.
_SINGULAR = 1e-3
#: Objectives of one person for all are equal within this.
_EQUAL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place to start from.

    Parameters
    ----------
    x : (X,) float
        Outer parameters: typical values, residual parameters, Omega.
    objective : float
        -2 log L if nobody differed, without n log(2 pi): no minimum of a population lies above it.
    """

    x: np.ndarray
    objective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a first look says of the given values.

    Parameters
    ----------
    reasons : tuple of str
        Why they are doubted; empty where they are not.
    """

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Trials of typical values on a population in which nobody differs.

    Parameters
    ----------
    population : Population
        Some of the subjects.
    moved : (M,) int
        Which of the K typical values of the search are parameters of the model; the others are residual.
    centre, size, lower, upper : (K,) float
        The given values, what counts as a change of each, and the bounds, on the scale of the search.
    """

    population: Population
    moved: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, population: Population, quantities: Quantities) -> Scan:
        """Give the scan of a population, by those of its subjects that have most outputs."""
        effects, seen = population.effects, population.problem.observations
        people, k = len(population.problem.subjects), len(effects.typical)
        pairs = np.unique(np.column_stack([seen.subject, seen.output]), axis=0)
        outputs = np.bincount(pairs[:, 0], minlength=people)
        chosen = np.sort(np.argsort(-outputs, kind="stable")[:_PEOPLE])
        lower, upper = quantities.limits()
        names = {p.name for p in effects.parameters[: effects.count]}
        return cls(
            population=population if people <= _PEOPLE else population.take(chosen),
            moved=np.array([i for i, name in enumerate(effects.typical) if name in names], dtype=int),
            centre=effects.start,
            size=quantities.size(population.start)[:k],
            lower=lower[:k],
            upper=upper[:k],
        )

    def lines(self, decades: np.ndarray) -> np.ndarray:
        """Give trials (C, K) with one value, then with all, so many decades away from the given ones."""
        ways = np.vstack([np.eye(len(self.centre))[self.moved], np.isin(np.arange(len(self.centre)), self.moved)])
        return self._away((ways[None] * decades[:, None, None]).reshape(len(decades) * len(ways), len(self.centre)))

    def box(self, centre: np.ndarray, decades: float) -> np.ndarray:
        """Give trials (C, K) that fill a box around a centre evenly."""
        away = np.zeros((_IN_BOX, len(self.centre)))
        away[:, self.moved] = decades * (2 * halton(_IN_BOX, len(self.moved)) - 1)
        return self._away(away, centre)

    def _away(self, decades: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
        """Give places so many decades from a centre: plain values move by multiples of their size, never so far."""
        centre = self.centre if centre is None else centre
        by_name, found = {p.name: p for p in self.population.effects.parameters}, np.tile(centre, (len(decades), 1))
        for k in self.moved:
            parameter, away = by_name[self.population.effects.typical[k]], decades[:, k]
            if parameter.transform == "none":
                found[:, k] += self.size[k] * np.sign(away) * np.minimum(10 ** np.abs(away) - 1, 2.0)
            elif parameter.transform == "logit":
                found[:, k] += np.clip(away, -2, 2)
            elif parameter.transform == "log":
                found[:, k] += away * np.log(10)
            else:
                found[:, k] = parameter.forward(parameter.inverse(centre[k]) * 10**away)
        return np.clip(found, self.lower, self.upper)

    def predict(self, trials: np.ndarray) -> np.ndarray:
        """Give the predictions (C, n) of all records at trials (C, K)."""
        problem = self.population.problem
        n, most = problem.observations.dv.size, max(1, _BATCH // problem.observations.dv.size)
        found = np.empty((len(trials), n))
        crowd, held = self.population, 1
        for first in range(0, len(trials), most):
            some = trials[first : first + most]
            if len(some) != held:
                crowd, held = self.population.repeat(len(some)), len(some)
            found[first : first + most] = crowd.predicted(self.arguments(some)).reshape(len(some), n)
        return found

    def arguments(self, trials: np.ndarray) -> np.ndarray:
        """Give the arguments (C * S, W) of everybody at trials (C, K)."""
        effects, people = self.population.effects, len(self.population.problem.subjects)
        return np.repeat(effects.base + trials @ effects.to_typical.T, people, axis=0)

    def score(self, f: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give -2 log L (C,) at predictions `f` (C, n) with the residual SDs that suit them, and the trials with these.

        A censored record counts by how far its prediction lies outside of what it may be.
        """
        effects, density = self.population.effects, self.population.density
        residuals = density.residuals
        at = {name: i for i, name in enumerate(effects.typical)}
        given = np.array([p.typical for p in effects.parameters[effects.count :]])
        total, found = np.zeros(len(f)), trials.copy()
        for o, law in enumerate(residuals.laws):
            rows = np.flatnonzero((residuals.output == o) & ~density.left_out)
            if not rows.size:
                continue
            if law.discrete is not None:
                total += self._of_its_kind(law.discrete, rows, f[:, rows], given)
                continue
            places = [p for p in (law.add, law.prop, law.log) if p is not None]
            free = [at[residuals.names[p]] for p in places if residuals.names[p] in at]
            moves = bool(free) and len(free) == len(places) and bool(np.isnan(residuals.known[rows]).all())
            own = residuals.subset(rows)
            low, high = density.lower[rows], density.upper[rows]
            points, usual = ~density.censored[rows], _rms(density.observed[rows])
            best = np.full(len(f), np.inf)
            for share in (0.03, 0.3, 3.0) if moves and law.add is not None and law.prop is not None else (1.0,):
                psi = given.copy()
                if moves:
                    psi[places] = 1.0
                    if law.add is not None and law.prop is not None:
                        psi[law.add] = share * usual
                value, factor = _profiled(own, f[:, rows], psi, low, high, points, moves)
                better = value < best
                best = np.where(better, value, best)
                for p in places if moves else ():
                    z = np.log(np.maximum(psi[p] * factor, 1e-6 * usual if p == law.add else 1e-6))
                    k = at[residuals.names[p]]
                    found[better, k] = np.clip(z, self.lower[k], self.upper[k])[better]
            total += best
        return np.where(np.isfinite(total), total, np.inf), found

    def _of_its_kind(self, law: Discrete, rows: np.ndarray, f: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give -2 log L (C,) of scores, counts, ... at predictions `f` (C, rows) and residual parameters `psi` (R,)."""
        y, own = np.tile(self.population.density.observed[rows], len(f)), psi[np.array(law.places, dtype=int)]
        value = law.jets(y, f.ravel(), np.tile(own, (f.size, 1))).value.reshape(f.shape)
        return -2 * np.where(np.isfinite(value), value, -np.inf).sum(axis=1)

    def descend(self, trials: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Lead trials (C, K) down to where -2 log L (C,) is least, all at once; give both."""
        count, k = trials.shape
        crowd = self.population.repeat(count)
        z, damping = trials.copy(), np.full(count, 1e-2)
        value, gradient, information = self._look(crowd, z)
        for _ in range(steps):
            at_bound = ((z <= self.lower) & (gradient > 0)) | ((z >= self.upper) & (gradient < 0))
            slope = np.where(at_bound, 0.0, gradient)
            scale = np.sqrt(np.maximum(np.einsum("ckk->ck", information), 1e-12))
            scaled = information / (scale[:, :, None] * scale[:, None, :])
            scaled[np.broadcast_to((at_bound[:, :, None] | at_bound[:, None, :]), scaled.shape)] = 0.0
            scaled[:, np.arange(k), np.arange(k)] = 1.0 + damping[:, None]
            step = -np.linalg.solve(scaled, (slope / scale)[..., None])[..., 0] / scale
            longest = np.abs(step / self.size).max(axis=1, initial=1e-300)
            step *= np.minimum(1.0, 2.0 / longest)[:, None]
            trial = np.clip(z + step, self.lower, self.upper)
            found = self._look(crowd, trial)
            take = found[0] < value
            gain = np.where(take, value - found[0], 0.0)
            z = np.where(take[:, None], trial, z)
            value = np.where(take, found[0], value)
            gradient = np.where(take[:, None], found[1], gradient)
            information = np.where(take[:, None, None], found[2], information)
            damping = np.clip(np.where(take, 0.2 * damping, 8 * damping), 1e-8, 1e10)
            if not (np.isfinite(value) & (damping < 1e8) & (~take | (gain > 1e-7))).any():
                break
        return z, value

    def _look(self, crowd: Population, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give -2 log L (C,), half its gradient (C, K), and the information (C, K, K)."""
        count, to_typical = len(z), self.population.effects.to_typical
        at = crowd.slopes(self.arguments(z))
        assert at.terms.info is not None
        v = at.v @ to_typical
        each = np.swapaxes(v, 1, 2) @ at.terms.info @ v
        information = np.nan_to_num(each, posinf=0.0, neginf=0.0).reshape(count, -1, *each.shape[1:]).sum(axis=1)
        gradient = np.nan_to_num(at.gradient @ to_typical, posinf=0.0, neginf=0.0).reshape(count, -1, v.shape[2])
        return 2 * at.value.reshape(count, -1).sum(axis=1), gradient.sum(axis=1), information


def glance(population: Population, quantities: Quantities) -> Glance:
    """Look whether the given values are places to start from; a hundred solutions of the model at most."""
    if population.mixture is not None:  # one person for all says nothing of classes
        return Glance(reasons=())
    scan = Scan.of(population, quantities)
    trials = np.vstack([scan.centre[None], scan.lines(_NEAR)])
    value, suited = scan.score(scan.predict(trials), trials)
    n = scan.population.problem.observations.dv.size
    effects, reasons = population.effects, []
    if not np.isfinite(value[0]):
        reasons.append("the records have no likelihood there")
    elif value[0] - value.min() > max(_GAIN, 2 * n * np.log(_BETTER)):
        reasons.append("values decades away explain the records much better")
    residual = np.setdiff1d(np.arange(len(scan.centre)), scan.moved)
    off = np.abs(suited[int(np.argmin(value)), residual] - scan.centre[residual]) > np.log(_OFF)
    if off.any():
        named = ", ".join(effects.typical[k] for k in residual[off])
        reasons.append(f"the residual error ({named}) is far from what the records leave")
    if not all(_is_sane(population, group) for group in effects.covariance.free):
        reasons.append("variances between people are next to nothing, huge, or all but singular")
    return Glance(reasons=tuple(reasons))


def seek(population: Population, quantities: Quantities, most: int) -> list[Place]:
    """Give up to `most` places to start from.

    First those that are best if nobody differed: of equal ones that which differs in the fewest of the
    given values; then worse minima.

    Parameters
    ----------
    population : Population
        Its subjects in an order of their own.
    quantities : Quantities
    most : int
    """
    if population.mixture is not None:  # one person for all says nothing of classes
        return []
    scan = Scan.of(population, quantities)
    sized = natural_sizes(population.problem, scan.centre, population.effects.typical)
    trials = [scan.centre[None], scan.lines(_FAR), *(scan.box(scan.centre, decades) for decades in _BOXES)]
    trials += [np.clip(sized, scan.lower, scan.upper)[None], scan.box(sized, _NATURAL)]
    many = np.unique(np.vstack(trials), axis=0)
    value, suited = scan.score(scan.predict(many), many)
    usable = np.flatnonzero(np.isfinite(value))
    if not usable.size:
        return []
    z, value = scan.descend(suited[usable[np.argsort(value[usable], kind="stable")[:_FEW]]], _FIRST)
    first = _distinct(z, value, scan.size, _LED)
    z, value = scan.descend(z[first], _LAST)
    chosen = _distinct(z, value, scan.size, most)
    whole = replace(scan, population=population)
    z, value = whole.descend(z[chosen], 3)
    moved = scan.moved
    away = _changed((z[:, moved] - scan.centre[moved]) / scan.size[moved])
    rank = np.where(value <= value.min() + _EQUAL, away - 1e12, value)
    omega = usual_variances(population, z)
    return [Place(x=np.concatenate([z[i], omega[i]]), objective=float(value[i])) for i in np.argsort(rank)]


def usual_variances(population: Population, z: np.ndarray) -> np.ndarray:
    """Give the numbers of Omega (C, Q) to start from at typical values `z` (C, K): the given, or usual ones."""
    effects = population.effects
    at = {name: i for i, name in enumerate(effects.typical)}
    kind = {p.name: p for p in effects.parameters}
    found = []
    for group in effects.covariance.free:
        if _is_sane(population, group) and all(_scale(kind.get(name)) == 1.0 for name in group.names):
            numbers = replace(effects.covariance, groups=(group,)).start
            found.append(np.tile(numbers, (len(z), 1)))
            continue
        m = len(group.names)
        factor = np.zeros((len(z), m, m))
        for i, name in enumerate(group.names):
            size = np.full(len(z), _scale(kind.get(name)))
            if name in at and not (size == 1.0).all():
                size = np.array([kind[name].size(value) or 1.0 for value in z[:, at[name]]])
            factor[:, i, i] = np.log(np.sqrt(_USUAL) * size)
        found.append(factor[:, *np.tril_indices(m)])
    return np.concatenate(found, axis=1) if found else np.zeros((len(z), 0))


def halton(count: int, dimensions: int) -> np.ndarray:
    """Give the first points (count, dimensions) of a Halton sequence in the unit cube, without its corner."""
    from scipy.stats import qmc

    return qmc.Halton(dimensions, scramble=False).fast_forward(1).random(count)


def _is_sane(population: Population, group: Group) -> bool:
    """Whether a covariance matrix, with plain values measured by their size, is one to start from."""
    kind = {p.name: p for p in population.effects.parameters}
    size = [_scale(kind.get(name)) for name in group.names]
    own, sd = np.diagonal(group.start) / np.square(size), np.sqrt(np.diagonal(group.start))
    least = np.linalg.eigvalsh(group.start / np.outer(sd, sd))[0]
    return bool(((own >= _SMALL) & (own <= _LARGE)).all() and least > _SINGULAR)


def _scale(parameter: Parameter | None) -> float:
    """Say what counts as a change of a parameter, or of an output's error, by 1 on the scale of its variance."""
    if parameter is None or parameter.transform in ("log", "logit"):
        return 1.0
    return float(parameter.size(parameter.forward(parameter.typical))) or 1.0


def _profiled(
    residuals: Residuals,
    f: np.ndarray,
    psi: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    points: np.ndarray,
    moves: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Give -2 log L (C,) of the records of one output at predictions (C, n), and the factor on all SDs that suits."""
    count, n = f.shape
    tiled = residuals.subset(np.tile(np.arange(n), count))
    with np.errstate(all="ignore"):
        at = tiled.spread(f.ravel(), psi)
        mean, sd = at.mean.reshape(count, n), at.sd.reshape(count, n)
        outside = np.where(mean < low, low - mean, np.where(mean > high, mean - high, 0.0 * mean))
        squares = ((outside / sd) ** 2).sum(axis=1)
        logs = 2 * np.where(points, np.log(sd), 0.0).sum(axis=1)
        factor = np.sqrt(np.maximum(squares / n, 1e-12)) if moves else np.ones(count)
        value = (n * np.log(factor**2) + n if moves else squares) + logs
    return np.where(np.isfinite(value), value, np.inf), factor


def _distinct(z: np.ndarray, value: np.ndarray, size: np.ndarray, most: int) -> np.ndarray:
    """Give the indices of up to `most` places that differ, the best first."""
    kept: list[int] = []
    for i in np.argsort(value, kind="stable"):
        if len(kept) == most or not np.isfinite(value[i]):
            break
        if all(np.abs((z[i] - z[j]) / size).max() > _APART for j in kept):
            kept.append(int(i))
    return np.array(kept, dtype=int)


def _changed(away: np.ndarray) -> np.ndarray:
    """Count how many values differ, (C,), of places (C, M) away: a factor on all of them counts as one."""
    if not away.shape[1]:
        return np.zeros(len(away))
    shifted = np.abs(away - np.median(away, axis=1, keepdims=True))
    return np.minimum(np.minimum(np.abs(away), 1.0).sum(axis=1), 1.0 + np.minimum(shifted, 1.0).sum(axis=1))


def _rms(y: np.ndarray) -> float:
    known = y[np.isfinite(y)]
    return float(np.sqrt(np.mean(known**2))) if known.size and known.any() else 1.0
