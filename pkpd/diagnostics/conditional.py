"""Random effects of the subjects of a fit: their modes (EBEs), and draws from their law given the data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.diagnostics import needs
from pkpd.errors import PkpdError, UsageError
from pkpd.likelihood.population import Population
from pkpd.likelihood.sampler import Sampler, find_hills
from pkpd.streams import check_seed
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.diagnostics.case import Case

__all__ = [
    "SOURCE",
    "check_samples",
    "correlation_test",
    "drawable",
    "ebe_size",
    "effect_label",
    "effects_of",
    "sample_effects",
]

SOURCE = (
    "Lavielle M, Ribba B. Enhanced method for diagnosing pharmacometric models: random sampling from conditional "
    "distributions. Pharm Res 2016;33:2979-2988. doi:10.1007/s11095-016-2020-3"
)
#: Chains of each subject at most, sweeps before the first draw is kept, and from one to the next.
_CHAINS, _BURN, _THIN = 5, 60, 6
#: A mode whose standard error is this share of the SD between people, or more, says nothing of the person.
_NOTHING = 1 - 1e-6


def drawable(case: Case) -> str:
    """Random effects whose law given the data is known: a population fit with random effects, and its data."""
    reason = needs.population(case) or needs.effects(case) or needs.the_data(case)
    if reason:
        return reason
    try:
        population, _ = _set_out(case)
    except PkpdError as error:
        return " ".join(str(error).split())
    return "" if len(population.effects.names) else "The variances of all random effects are 0."


def check_samples(samples: object, seed: object, who: str) -> None:
    """Refuse what is no number of draws, or no seed."""
    check_seed(seed, why="random effects are drawn given the data", where=f"{who}(seed=...)")
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or samples < 1:
        raise UsageError(
            f"samples is {samples!r}.", where=f"{who}(samples=...)", expected="1 or more draws of each subject.",
            remedy="Leave it out for 20.",
        )  # fmt: skip


def sample_effects(case: Case, samples: int, seed: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Draw random effects from their law given the data, at the estimates.

    Markov chains of :mod:`pkpd.likelihood.sampler`, of everybody at once. In a mixture each subject is in its most
    probable class.

    Returns
    -------
    names : tuple of str
        The d random effects.
    b : (samples, S, d) float
    """
    population, omega = _set_out(case)
    effects, people = population.effects, len(population.problem.subjects)
    z = population.start[: len(effects.typical)]
    start = np.zeros((people, len(effects.names)))
    hills = find_hills(population, z, np.linalg.inv(omega), start)
    chains = min(samples, _CHAINS)
    sampler = Sampler(population=population, chains=chains, seed=seed)
    at, kept = sampler.start(z, hills.mode, omega), []
    rounds = -(-samples // chains)
    for number in range(_BURN + _THIN * (rounds - 1) + 1):
        at = sampler.sweep(at, number, z, omega, hills, adapt=number < _BURN)
        if number >= _BURN and (number - _BURN) % _THIN == 0:
            kept.append(at.b.reshape(chains, people, -1))
    return effects.names, np.concatenate(kept)[:samples]


def effects_of(case: Case, samples: int, seed: int) -> xr.Dataset:
    """Give what is known of random effects: ``eta`` (subject, effect), ``sample`` (draw, subject, effect), and more.

    ``silent`` says where a subject's records say nothing of an effect (an occasion that it did not have).
    """
    import xarray as xr

    names, drawn = case.conditional(samples, seed)
    own, omega = (
        case.fit["etas"].sel(effect=list(names)),
        case.fit["omega"].sel(effect=list(names), effect_=list(names)),
    )
    variance = np.diagonal(omega["covariance"].values)
    eta, error = own["eta"].values, own["eta_se"].values
    scales = [_scale(case, name) for name in names]
    columns = {
        "eta": (("subject", "effect"), eta, {"long_name": "empirical Bayes estimate"}),
        "sample": (("draw", "subject", "effect"), drawn, {"long_name": "draw given the data"}),
        "silent": (("subject", "effect"), ~(error < _NOTHING * np.sqrt(variance))),
        "sd": (("effect",), np.sqrt(variance), {"long_name": "SD between people, or between occasions"}),
        "omega_correlation": (("effect", "effect_"), omega["correlation"].values),
        "shrinkage": (("effect",), omega["shrinkage"].values, {"long_name": "shrinkage, SD form", "units": "1"}),
        "shrinkage_variance": (
            ("effect",), omega["shrinkage_variance"].values, {"long_name": "shrinkage, variance form", "units": "1"},
        ),
        "label": (("effect",), np.array([effect_label(name) for name in names])),
        "scale": (("effect",), np.array(scales)),
    }  # fmt: skip
    coords = {"subject": own["subject"].values, "effect": np.array(names), "effect_": np.array(names)}
    return xr.Dataset(columns, coords, {"samples": samples, "seed": seed, "subjects": len(eta)})


def correlation_test(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Give the correlation of Pearson and its two-sided p; NaN of fewer than three pairs, or where one is constant."""
    from scipy.stats import pearsonr

    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 3 or np.ptp(x) <= 1e-12 * np.abs(x).max() or np.ptp(y) <= 1e-12 * np.abs(y).max():
        return float("nan"), float("nan")
    found: Any = pearsonr(x, y)
    return float(found.statistic), float(found.pvalue)


def ebe_size(people: int) -> float:
    """Give the area of the points of so many people."""
    return 20.0 if people < 60 else 9.0


def effect_label(name: str) -> str:
    """Give the name of a random effect as on an axis."""
    who, _, occasion = name.partition("@")
    return f"ETA {who}, occasion {occasion}" if occasion else f"ETA {who}"


def _scale(case: Case, name: str) -> str:
    """Scale, or unit, of a random effect."""
    who = name.partition("@")[0]
    parameter = case.fit.model.parameters.get(who)
    if parameter is None:
        return "log of residual SD"
    if parameter.transform == "none":
        return "no transform" if parameter.unit == "1" else tidy(parameter.unit)
    return f"{parameter.transform} scale"


def _set_out(case: Case) -> tuple[Population, np.ndarray]:
    """Give the population, each subject in its class, and Omega (d, d) at the estimates."""
    population = case.population
    k, q = len(population.effects.typical), len(population.effects.covariance.start)
    omega = population.effects.covariance.matrix(population.start[k : k + q])
    if population.mixture is not None:
        own = case.fit["mixture"]
        number = {name: k for k, name in enumerate(population.mixture.names)}
        which = own["most_probable"].sel(subject=list(population.problem.subjects)).values
        classes = np.array([number[str(name)] for name in which])
        population = replace(population, problem=population.problem.in_class(classes), mixture=None)
    return population, omega
