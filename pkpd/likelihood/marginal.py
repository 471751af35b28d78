"""The likelihood of a population: random effects integrated out, by approximations that are named.

Each gives minus twice the logarithm of a subject's likelihood without the constant n log(2 pi), as NONMEM counts it,
and its derivatives with respect to the outer parameters x = (z, omega): typical values, transformed, and the numbers
that describe Omega (`pkpd.likelihood.variance`).

======================  ==============================================================================================
`fo`                    predictions are straight lines in the random effects, through those of the typical person
`foce`                  Laplace's method at the mode, with the expected information of the records there
`foce_no_interaction`   the same, where residual SDs are those of the typical person
`laplace`               Laplace's method with the true second derivatives
======================  ==============================================================================================

Wang Y. Derivation of various NONMEM estimation methods. Journal of Pharmacokinetics and Pharmacodynamics
2007;34:575-593. doi:10.1007/s10928-007-9060-6

The derivatives are exact: the mode moves with x, and so does the curvature there. Almquist J, Leander J, Jirstrand M.
Using sensitivity equations for computing gradients of the FOCE and FOCEI approximations to the population likelihood.
Journal of Pharmacokinetics and Pharmacodynamics 2015;42:191-209. doi:10.1007/s10928-015-9409-1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pkpd.likelihood.modes import Modes, find_modes
from pkpd.likelihood.population import Population, Slopes

__all__ = ["Marginal", "Prior", "conditional", "fo", "foce", "foce_no_interaction", "laplace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """An approximation at one place.

    Parameters
    ----------
    each : (S,) float
        -2 log L of every subject, without constants; infinite where it could not be found.
    modes : Modes
    gradient : (S, X) float or None
        Derivatives with respect to the outer parameters.
    modes_x : (S, d, X) float or None
        How the modes move with the outer parameters.
    bent : (S, d, d) float or None
        True second derivatives of minus the joint log density at the modes.
    pull : (S, d) float or None
        What a small shift of the mode does to the logarithm of the determinant.
    """

    each: np.ndarray
    modes: Modes
    gradient: np.ndarray | None = None
    modes_x: np.ndarray | None = None
    bent: np.ndarray | None = None
    pull: np.ndarray | None = None

    @property
    def objective(self) -> float:
        """The sum over subjects."""
        return float(self.each.sum())

    def ahead(self, step: np.ndarray) -> tuple[Any, Any]:
        """Say where to look for the modes a step (X,) from here: a start (S, d), and second derivatives near by."""
        start = self.modes.b
        if self.modes_x is not None:
            there = start + np.einsum("six,x->si", self.modes_x, step)
            start = np.where(np.isfinite(there), there, start)
        return start, self.bent


def foce(
    population: Population,
    x: np.ndarray,
    start: np.ndarray,
    *,
    gradient: bool = False,
    metric: np.ndarray | None = None,
) -> Marginal:
    """First-order conditional estimation with interaction.

    Parameters
    ----------
    population : Population
    x : (X,) float
        K typical values, then the Q numbers of Omega.
    start : (S, d) float
        Where to look for the modes.
    gradient : bool
        Whether to give derivatives.
    metric : (S, d, d) float, optional
        See `find_modes`.
    """
    prior = Prior.at(population, x)
    modes = find_modes(population, prior.z, prior.precision, start, metric)
    each = _laplace(modes.value, modes.hessian, prior)
    if not gradient:
        return Marginal(each=each, modes=modes)
    curved = population.curvature(modes.at)
    inverse = np.linalg.inv(modes.hessian)
    bend = population.bend(modes.at, curved, inverse)
    return _with_slopes(population, prior, each, modes, curved.hessian, inverse, bend)


def laplace(
    population: Population,
    x: np.ndarray,
    start: np.ndarray,
    *,
    gradient: bool = False,
    metric: np.ndarray | None = None,
) -> Marginal:
    """Laplace's method with true second derivatives; arguments as for `foce`."""
    prior = Prior.at(population, x)
    modes = find_modes(population, prior.z, prior.precision, start, metric)
    curved = population.curvature(modes.at)
    to_effect = population.effects.to_effect
    true = np.einsum("wi,swv,vj->sij", to_effect, curved.hessian, to_effect) + prior.precision
    each = _laplace(modes.value, true, prior)
    if not gradient:
        return Marginal(each=each, modes=modes, bent=true)
    inverse = np.linalg.inv(true)
    bend = _bend(population, modes.at, inverse)
    return _with_slopes(population, prior, each, modes, curved.hessian, inverse, bend)


def foce_no_interaction(
    population: Population,
    x: np.ndarray,
    start: np.ndarray,
    *,
    gradient: bool = False,
    metric: np.ndarray | None = None,
) -> Marginal:
    """First-order conditional estimation without interaction, for normal errors; arguments as for `foce`."""
    prior = Prior.at(population, x)
    typical = _typical(population, prior.z)
    spread = population.density.residuals.spread(typical.f, typical.psi)
    frozen = replace(population, density=population.density.with_known(spread.sd))
    found = foce(frozen, x, start, gradient=gradient, metric=metric)
    if not gradient:
        return found
    assert found.gradient is not None and found.bent is not None and found.pull is not None
    at, who, sd = found.modes.at, population.subject, spread.sd
    effects = population.effects
    now = population.density.residuals.spread(at.f, typical.psi)
    lines = now.mean_f[:, None] * (at.v[:, 0] @ effects.to_effect)
    residual = population.density.observed - now.mean
    # What each SD does to the objective: by the records, by the determinant, and by the mode.
    inverse = np.linalg.inv(found.modes.hessian)
    shift = np.linalg.solve(found.bent, found.pull[..., None])[..., 0]
    by_sd = 2 * (1 / sd - residual**2 / sd**3)
    by_sd -= 2 * np.einsum("ni,nij,nj->n", lines, inverse[who], lines) / sd**3
    by_sd -= 2 * residual * np.einsum("ni,ni->n", lines, shift[who]) / sd**3
    follow = population.density.follows & ~population.density.left_out
    sd_w = spread.sd_f[:, None] * typical.v[:, 0] + np.einsum("nr,nrw->nw", spread.sd_psi, typical.v[:, 1:])
    more = population.sum(np.where(follow, by_sd, 0.0)[:, None] * sd_w) @ effects.to_typical
    each_x = found.gradient.copy()
    each_x[:, : more.shape[1]] += more
    return replace(found, gradient=each_x)


def fo(
    population: Population,
    x: np.ndarray,
    start: np.ndarray,
    *,
    gradient: bool = False,
    metric: np.ndarray | None = None,
) -> Marginal:
    """The first-order method, for normal errors; `start` and `metric` are not needed, other arguments as for `foce`."""
    prior, effects = Prior.at(population, x), population.effects
    at, who = _typical(population, prior.z), population.subject
    spread = population.density.residuals.spread(at.f, at.psi, second=True)
    sd, residual = spread.sd, population.density.observed - spread.mean
    lines = spread.mean_f[:, None] * (at.v[:, 0] @ effects.to_effect)
    counted = ~population.density.left_out
    lines = np.where(counted[:, None], lines, 0.0)
    weighted = lines / (sd**2)[:, None]
    hessian = population.sum(np.einsum("ni,nj->nij", weighted, lines)) + prior.precision
    b = np.linalg.solve(hessian, population.sum(weighted * residual[:, None])[..., None])[..., 0]
    left = residual - np.einsum("ni,ni->n", lines, b[who])
    value = 0.5 * (left / sd) ** 2 + np.log(sd) - population.density.log_jacobian
    value = population.sum(np.where(counted, value, 0.0))
    value = np.where(np.isfinite(value), value, np.inf) + 0.5 * np.einsum("si,ij,sj->s", b, prior.precision, b)
    modes = Modes(b=b, at=at, value=value, hessian=hessian, decrement=np.zeros(len(b)), iterations=0)
    each = _laplace(value, hessian, prior)
    if not gradient:
        return Marginal(each=each, modes=modes)
    assert spread.mean_ff is not None
    u, inverse = len(effects.engine), np.linalg.inv(hessian)
    f_uu = population.curvature(at).f_uu
    # Derivatives of the lines themselves by the arguments: m_ff f_b f_w + m_f f_bw.
    f_b = at.v[:, 0] @ effects.to_effect
    lines_w = spread.mean_ff[:, None, None] * f_b[:, :, None] * at.v[:, 0][:, None, :]
    bent = np.einsum("wi,nwv->niv", effects.to_effect[:u], f_uu)
    lines_w[:, :, :u] += spread.mean_f[:, None, None] * bent
    mean_w = spread.mean_f[:, None] * at.v[:, 0] + np.einsum("niw,ni->nw", lines_w, b[who])
    sd_w = spread.sd_f[:, None] * at.v[:, 0] + np.einsum("nr,nrw->nw", spread.sd_psi, at.v[:, 1:])
    half = np.einsum("ni,nij->nj", lines, inverse[who])
    by_sd = 2 * (1 / sd - left**2 / sd**3) - 2 * np.einsum("ni,ni->n", half, lines) / sd**3
    by_w = by_sd[:, None] * sd_w - (2 * left / sd**2)[:, None] * mean_w
    by_w += 2 * np.einsum("ni,niw->nw", half, lines_w) / (sd**2)[:, None]
    by_w = np.where(counted[:, None], by_w, 0.0)
    each_x = np.concatenate([population.sum(by_w) @ effects.to_typical, prior.slopes_of(b, inverse)], axis=1)
    return Marginal(each=each, modes=modes, gradient=each_x)


def conditional(population: Population) -> Callable[..., Marginal]:
    """Give FOCE, or Laplace's method where some records have no expected information with derivatives: scores, ..."""
    return laplace if population.density.residuals.discrete.any() else foce


#: Step of second differences of slopes, in standard deviations of the random effects given the data.
_BEND = 0.05


def _bend(population: Population, at: Slopes, inverse: np.ndarray) -> np.ndarray:
    """Give the derivatives of log |H| by the arguments, (S, W), where H are second derivatives in the effects.

    With the inverse of H the product of L and L', it is the sum over the columns of L of the second derivatives along
    them, of the slopes: of exact first derivatives, extrapolated, and as many of them as there are random effects.
    """
    sound = np.asarray(np.isfinite(inverse).all(axis=(1, 2)))
    safe = np.where(sound[:, None, None], inverse, np.eye(inverse.shape[1]))
    values, vectors = np.linalg.eigh(safe)
    ways = np.sqrt(np.maximum(values, 0.0))[:, None, :] * vectors
    bend = np.where(sound, 0.0, np.nan)[:, None] * np.ones_like(at.w)
    for k in range(ways.shape[2]):
        way, found = ways[:, :, k] @ population.effects.to_effect.T, []
        for step in (2 * _BEND, _BEND):
            up, down = (population.slopes(at.w + sign * step * way, order=1).gradient for sign in (1.0, -1.0))
            with np.errstate(invalid="ignore"):
                found.append((up - 2 * at.gradient + down) / step**2)
        bend += (4 * found[1] - found[0]) / 3
    return bend


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Typical values and Omega at one place.

    Parameters
    ----------
    z : (K,) float
        Typical values, transformed.
    precision : (d, d) float
        The inverse of Omega.
    log_determinant : float
        Of Omega.
    slopes : (Q, d, d) float
        Derivatives of Omega with respect to the numbers that describe it.
    """

    z: np.ndarray
    precision: np.ndarray
    log_determinant: float
    slopes: np.ndarray

    @classmethod
    def at(cls, population: Population, x: np.ndarray) -> Prior:
        """Give it at outer parameters `x` (X,)."""
        k, covariance = len(population.effects.typical), population.effects.covariance
        precision, log_determinant = covariance.inverse(x[k:])
        return cls(z=x[:k], precision=precision, log_determinant=log_determinant, slopes=covariance.slopes(x[k:]))

    @property
    def moved(self) -> np.ndarray:
        """What x does to Omega^-1, (Q, d, d): -Omega^-1 (d Omega) Omega^-1."""
        return -np.einsum("ij,qjk,kl->qil", self.precision, self.slopes, self.precision)

    def slopes_of(self, b: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """Derivatives of b' Omega^-1 b + log |Omega| + log |H| by the numbers of Omega, (S, Q), the mode held."""
        moved = self.moved
        found = np.einsum("si,qij,sj->sq", b, moved, b) + np.einsum("sij,qji->sq", inverse, moved)
        return found + np.einsum("ij,qji->q", self.precision, self.slopes)


def _typical(population: Population, z: np.ndarray) -> Slopes:
    """The records of everybody at the typical values."""
    effects = population.effects
    nothing = np.zeros((len(population.problem.subjects), len(effects.names)))
    return population.slopes(effects.arguments(z, nothing), order=2)


def _laplace(value: np.ndarray, hessian: np.ndarray, prior: Prior) -> np.ndarray:
    usable = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    sign, curvature = np.linalg.slogdet(np.where(usable[:, None, None], hessian, np.eye(hessian.shape[1])))
    each = 2 * value + prior.log_determinant + np.where(usable & (sign > 0), curvature, np.inf)
    return np.where(np.isfinite(each), each, np.inf)


def _with_slopes(
    population: Population,
    prior: Prior,
    each: np.ndarray,
    modes: Modes,
    data: np.ndarray,
    inverse: np.ndarray,
    bend: np.ndarray,
) -> Marginal:
    """Add the derivatives: `data` are second derivatives of the records (S, W, W), `bend` those of the determinant."""
    effects, b, k = population.effects, modes.b, len(prior.z)
    to_effect, to_typical = effects.to_effect, effects.to_typical
    # How the modes move: h_bb db + h_bx dx = 0, with the true second derivatives.
    true = np.einsum("wi,swv,vj->sij", to_effect, data, to_effect) + prior.precision
    by_typical = np.einsum("wi,swv,vk->sik", to_effect, data, to_typical)
    by_omega = np.einsum("qij,sj->siq", prior.moved, b)
    modes_x = -np.linalg.solve(true, np.concatenate([by_typical, by_omega], axis=2))
    pull = bend @ to_effect
    each_x = np.einsum("si,six->sx", pull, modes_x)
    each_x[:, :k] += (bend + 2 * modes.at.gradient) @ to_typical
    each_x[:, k:] += prior.slopes_of(b, inverse)
    return Marginal(each=each, modes=modes, gradient=each_x, modes_x=modes_x, bent=true, pull=pull)
