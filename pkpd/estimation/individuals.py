"""What belongs to the subjects of a population fit: their random effects, how far these shrink, their residuals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pkpd.likelihood.mixture import Mixed
from pkpd.likelihood.modes import Modes
from pkpd.likelihood.population import Population, Slopes
from pkpd.likelihood.score import Scores
from pkpd.schema import describe
from pkpd.streams import addresses, uniforms

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "classes_of_subjects",
    "effects_of_subjects",
    "ends_of_scores",
    "residual_columns",
    "shrinkage",
    "weighted_residuals",
]

#: Numbers in the matrices of the subjects that are decorrelated together.
_AT_ONCE = 4_000_000


def shrinkage(b: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the shrinkage of random effects, (d,) each: 1 - SD / omega, and 1 - variance / omega^2.

    SDs and variances of the modes are taken over the subjects with one degree of freedom for the mean, as NONMEM and
    PsN do. Savic RM, Karlsson MO. AAPS Journal 2009;11:558-569. doi:10.1208/s12248-009-9133-0
    """
    if len(b) < 2:
        return np.full(b.shape[1], np.nan), np.full(b.shape[1], np.nan)
    share = b.var(axis=0, ddof=1) / variance
    return 1 - np.sqrt(share), 1 - share


def effects_of_subjects(population: Population, x: np.ndarray, modes: Modes) -> dict[str, xr.Dataset]:
    """Give the groups ``omega`` and ``etas`` of a fit."""
    import xarray as xr

    effects = population.effects
    k = len(effects.typical)
    covariance = effects.covariance.matrix(x[k:])
    sd = np.sqrt(np.diagonal(covariance))
    by_sd, by_variance = shrinkage(modes.b, sd**2)
    names = np.array(effects.names)
    variance = np.linalg.inv(modes.hessian)
    omega = {
        "covariance": (("effect", "effect_"), covariance),
        "correlation": (("effect", "effect_"), covariance / np.outer(sd, sd)),
        "shrinkage": (("effect",), by_sd),
        "shrinkage_variance": (("effect",), by_variance),
    }
    etas = {
        "eta": (("subject", "effect"), modes.b),
        "eta_se": (("subject", "effect"), np.sqrt(np.diagonal(variance, axis1=1, axis2=2))),
        "eta_covariance": (("subject", "effect", "effect_"), variance),
    }

    def dataset(group: str, columns: dict[str, tuple], coords: dict[str, np.ndarray]) -> xr.Dataset:
        return xr.Dataset({n: (dims, a, describe(group, n)) for n, (dims, a) in columns.items()}, coords)

    people = np.array(population.problem.subjects)
    return {
        "omega": dataset("omega", omega, {"effect": names, "effect_": names}),
        "etas": dataset("etas", etas, {"subject": people, "effect": names, "effect_": names}),
    }


def classes_of_subjects(population: Population, found: Mixed) -> dict[str, xr.Dataset]:
    """Give the group ``mixture`` of a fit."""
    import xarray as xr

    assert population.mixture is not None
    names = np.array(population.mixture.names)
    columns = {
        "probability": (("subject", "class"), found.probability),
        "most_probable": (("subject",), names[found.probability.argmax(axis=1)]),
    }
    made = {name: (dims, column, describe("mixture", name)) for name, (dims, column) in columns.items()}
    return {"mixture": xr.Dataset(made, {"subject": np.array(population.problem.subjects), "class": names})}


def residual_columns(
    population: Population, x: np.ndarray, modes: Modes, classes: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Give the columns of the records that rest on random effects, (n,) each.

    WRES, CWRES and, where residual SDs differ between the typical person and a subject, CWRESI: see
    :func:`weighted_residuals`. `classes` (S,) are those of a mixture in which the modes were found.

    RQR, where it says more than IWRES, the randomised quantile residual: a record's place among what might have been
    observed at the subject's own values, as a normal quantile. Where an observation has a probability (a score, a
    count, a censored record), it is drawn within its part of the distribution; the draws depend on the subject's name
    alone. For events it is the place of the next one among those that might have been (Cox and Snell): drawn later
    where none has happened yet, earlier where the time is not known.
    Dunn PK, Smyth GK. Randomized quantile residuals. J Comput Graph Stat 1996;5:236-244. doi:10.2307/1390802
    """
    effects = population.effects
    own = population if classes is None else replace(population, problem=population.problem.in_class(classes))
    typical = own.slopes(effects.arguments(x[: len(effects.typical)], np.zeros_like(modes.b)), order=1)
    columns = {
        "WRES": weighted_residuals(population, x, typical, typical),
        "CWRES": weighted_residuals(population, x, modes.at, typical),
    }
    if population.density.follows.any() or effects.to_effect[len(effects.engine) :].any():
        columns["CWRESI"] = weighted_residuals(population, x, modes.at, modes.at)
    density, seen = population.density, population.problem.observations
    if density.points.all():
        return columns
    at, who = modes.at, population.subject
    psi, _, _ = population.effects.residual(at.w)
    f = population.expected(at.w)
    less, upto = density.cdf(np.where(seen.censored, seen.lower, seen.dv), f, psi[who])
    _, end = density.cdf(np.where(seen.censored, seen.upper, seen.dv), f, psi[who])
    low, high = np.where(seen.censored, upto, less), np.where(seen.censored, end, upto)
    within = np.arange(who.size) - np.searchsorted(who, who)
    address = addresses(population.problem.subjects)
    wide = int(within.max(initial=0)) + 1
    u = uniforms(0, "randomised residuals", address, np.zeros(len(address), dtype=int), wide)[who, within]
    tiny = np.finfo(float).tiny
    columns["RQR"] = special.ndtri(np.clip(low + u * (high - low), tiny, 1 - 2.0**-53))
    return columns


def ends_of_scores(population: Population, modes: Modes) -> tuple[str, ...]:
    """Say how many scores are at their floor and ceiling, and how many are expected there at the individual values."""
    density, seen, found = population.density, population.problem.observations, []
    psi, _, _ = population.effects.residual(modes.at.w)
    for law, rows in density.residuals.by_discrete:
        if not isinstance(law, Scores):
            continue
        own = density.residuals.own(law, rows, psi[population.subject])
        chance = law.probabilities(modes.at.f[rows], own)[:, [0, -1]].mean(axis=0)
        ends = [f"{100 * (seen.dv[rows] == law.levels[k]).mean():.3g} % are {law.levels[k]:g} "
                f"({f'{100 * expected:.2g}' if expected > 1e-4 else 'below 0.01'} % expected)"
                for k, expected in zip((0, -1), chance, strict=True)]  # fmt: skip
        name = list(population.problem.model.outputs)[int(seen.output[rows[0]])]
        found.append(f"Of {rows.size} scores of {name} {' and '.join(ends)}.")
    return tuple(found)


def weighted_residuals(population: Population, x: np.ndarray, at: Slopes, scatter: Slopes) -> np.ndarray:
    """Give residuals of the model linearised at some random effects b, decorrelated, (n,); NaN where there is none.

    For subject i: V^-1/2 (y - (m(b) - A b)), where m is the expectation at b, A its derivatives, V = A Omega A' +
    diag(sd^2), and V^-1/2 is symmetric. Student's t with 2 degrees of freedom or fewer has no SD, and its records no
    residual.

    ======  ====================  ====================  ===========================================================
    name    b                     sd                    elsewhere
    ======  ====================  ====================  ===========================================================
    WRES    the typical person    the typical person    WRES of NONMEM, as of FO
    CWRES   the mode              the typical person    CWRES of Hooker 2007 and NONMEM, as of FOCE without interaction
    CWRESI  the mode              the mode              CWRESI of NONMEM, as of FOCE with interaction
    ======  ====================  ====================  ===========================================================

    FO linearises the model through the typical person, who stands for the modes: its CWRES are WRES.
    Hooker AC, Staatz CE, Karlsson MO. Pharmaceutical Research 2007;24:2187-2197. doi:10.1007/s11095-007-9361-x

    Parameters
    ----------
    population : Population
    x : (X,) float
        Outer parameters.
    at : Slopes
        The records at b.
    scatter : Slopes
        The records where residual SDs are taken.
    """
    effects, density, who = population.effects, population.density, population.subject
    omega = effects.covariance.matrix(x[len(effects.typical) :])
    spread = density.residuals.spread(at.f, at.psi)
    sd = density.residuals.spread(scatter.f, scatter.psi).sd
    lines = spread.mean_f[:, None] * (at.v[:, 0] @ effects.to_effect)
    wider = np.array([law.sd for law in density.around])[density.residuals.output]
    seen = ~density.censored & ~density.left_out & np.isfinite(spread.mean) & (sd > 0) & np.isfinite(wider)
    seen &= np.isfinite(lines).all(axis=1)
    # Back to the typical person from where the records were predicted.
    away = at.w - effects.arguments(x[: len(effects.typical)], np.zeros((len(at.w), len(effects.names))))
    back = spread.mean_f * np.einsum("nw,nw->n", at.v[:, 0], away[who])
    difference = density.observed - (spread.mean - back)
    found = np.full(len(at.f), np.nan)
    rows = np.flatnonzero(seen)
    if not rows.size:
        return found
    # Each subject's records fill the first places of a row; the rest stand for nothing.
    subject = who[rows]
    first = np.searchsorted(subject, subject)
    place, width = np.arange(rows.size) - first, int(np.bincount(subject).max())
    for lot in np.array_split(np.unique(subject), max(1, len(np.unique(subject)) * width**2 // _AT_ONCE)):
        mine = np.isin(subject, lot)
        i, j, r = np.searchsorted(lot, subject[mine]), place[mine], rows[mine]
        a = np.zeros((len(lot), width, omega.shape[0]))
        a[i, j] = lines[r]
        variance = np.einsum("sni,ij,smj->snm", a, omega, a)
        diagonal = np.ones((len(lot), width))
        diagonal[i, j] = (sd[r] * wider[r]) ** 2
        variance[:, np.arange(width), np.arange(width)] += diagonal
        values, vectors = np.linalg.eigh(variance)
        left = np.zeros((len(lot), width))
        left[i, j] = difference[r]
        turned = np.einsum("snk,sn->sk", vectors, left) / np.sqrt(values)
        found[r] = np.einsum("snk,sk->sn", vectors, turned)[i, j]
    return found
