"""Sampling importance resampling: draws of the parameters from the likelihood itself.

Draws from the normal law that the covariance of the estimates describes are weighted by likelihood over density, and
some of them are drawn again, without replacement, by these weights. Each round lays its law over what the last one
kept. Where people are few the likelihood is lopsided, and a law that the profiles have shaped stands for it better.

Dosne AG, Bergstrand M, Harling K, Karlsson MO. Improving the estimation of parameter uncertainty distributions in
nonlinear mixed effects models using sampling importance resampling. Journal of Pharmacokinetics and Pharmacodynamics
2016;43:583-596. doi:10.1007/s10928-016-9487-8
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pkpd.errors import CannotFit, check_options
from pkpd.estimation.enlarge import dataset, draws_of, enlarged
from pkpd.estimation.profiles import Profile, profile
from pkpd.estimation.proposal import Normal, SplitNormal, factor_of
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.spread import percentile
from pkpd.progress import stages
from pkpd.streams import check_seed, normals, uniforms

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["SIR", "sir"]

Proposal = Literal["covariance", "profile"]

#: A half-width that the data leave open, in standard errors.
_OPEN = 3.0
_QUANTILES = np.arange(0.05, 1.0, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class SIR:
    """How to sample.

    Parameters
    ----------
    seed : int
    samples : int
        Draws in each round.
    resamples : int
        Those that are kept; a fifth of `samples` or less is advised.
    rounds : int
        1 is the method as it was published; a second round corrects a first law that was off.
    inflation : float
        Factor on the covariance of the first round, for one that may be too narrow.
    level : float
        Of the intervals.
    proposal : "covariance" or "profile"
        The first law: normal, from the covariance of the estimates; or one whose margins are as wide below and above
        the estimates as the profile intervals are. Those of the fit are taken, else profiles are made first.
    """

    seed: int
    samples: int = 1000
    resamples: int = 200
    rounds: int = 2
    inflation: float = 1.0
    level: float = 0.95
    proposal: Proposal = "covariance"

    def __post_init__(self) -> None:
        check_seed(self.seed, why="parameters are drawn at random", where="SIR(seed=...)")
        check_options(
            "SIR",
            ("samples", self.samples, self.samples >= 2, "2 or more."),
            ("resamples", self.resamples, 2 <= self.resamples <= self.samples, f"From 2 to samples, {self.samples}."),
            ("rounds", self.rounds, self.rounds >= 1, "1 or more."),
            ("inflation", self.inflation, self.inflation > 0, "A number above 0."),
            ("level", self.level, 0 < self.level < 1, "A share between 0 and 1."),
            (
                "proposal",
                self.proposal,
                self.proposal in get_args(Proposal),
                f"One of {', '.join(get_args(Proposal))}.",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """Draws x (M, X), rises of the objective (M,), weights (M,) that sum to 1, and which were kept (m,)."""

    x: np.ndarray
    rise: np.ndarray
    weights: np.ndarray
    kept: np.ndarray


def sir(fit: Fit, data: Dataset, how: SIR, *, interval: Literal["sir"] | None = None) -> Fit:
    """Give a population fit with draws of its parameters: the groups ``sir``, ``posterior`` and ``sample_stats``.

    Ctrl-C ends the work with the rounds that are done.

    Parameters
    ----------
    fit : Fit
        Of a population, converged, with standard errors.
    data : Dataset
        What was fitted; the Fit keeps its digest only.
    how : SIR
    interval : "sir", optional
        Puts the percentiles of the draws into ``estimates``, in place of what was there.

    Returns
    -------
    Fit
        A new one. If the draws stand for the likelihood, the rise of the objective over them follows chi-square with as
        many degrees of freedom as quantities: ``sir`` holds both.

    Raises
    ------
    CannotFit, MismatchError
        The fit is not of the kind, has no covariance, or these are other data; or hardly a draw has a weight.
    """
    known = recall(fit, data, "sir(fit, data)")
    law, rounds, shaped = _normal(known, how), [], ""
    freedom = law.moving.size
    if how.proposal == "profile":
        law, shaped = _split(known, how, data)
    outer = known.outer()
    _ = outer(known.x).slopes  # every look starts from here
    lower, upper = known.quantities.limits()
    with stages() as advance:
        try:
            for number in range(how.rounds):
                address = np.zeros(how.samples, dtype=np.int64)
                z = normals(how.seed, f"sir: round {number}", address, np.arange(how.samples), freedom)
                x, density = law.draw(z)
                rise = np.full(how.samples, np.inf)
                for k in np.flatnonzero(((x >= lower) & (x <= upper)).all(axis=1)):
                    advance(f"SIR, round {number + 1} of {how.rounds}", int(k), how.samples)
                    rise[k] = outer(x[k]).objective - known.objective
                rounds.append(_resample(how, number, x, rise, density))
                if number + 1 < how.rounds:
                    law = law.again(rounds[-1].x[rounds[-1].kept])
        except KeyboardInterrupt:
            if not rounds:
                raise
    groups = _groups(known, how, rounds, freedom)
    text = f"{100 * how.level:g} % sampling importance resampling, {how.resamples} of {how.samples} draws"
    limits = groups["sir"] if interval else None
    notes = [*([shaped] if shaped else []), *_notes(known, how, rounds)]
    return enlarged(fit, groups, notes=notes, limits=limits, text=text)


def _normal(known: Recalled, how: SIR) -> Normal:
    """The normal law of the covariance of the estimates."""
    free = known.quantities.coordinates.free
    table = known.fit.covariance["covariance"].values[np.ix_(free, free)]
    if not np.isfinite(table).all():
        raise CannotFit(
            "the fit has no covariance.",
            where="sir(fit, data)",
            expected="Standard errors of all that was estimated: the first draws come from them.",
            remedy="Fit with covariance=..., fix what the data do not determine, or use profile() or bootstrap().",
        )
    back = np.linalg.inv(known.quantities.slopes(known.x)[free])
    covariance = how.inflation * back @ table @ back.T
    moving = np.flatnonzero(np.diagonal(covariance) > 0)
    return Normal(centre=known.x, moving=moving, factor=factor_of(covariance[np.ix_(moving, moving)]))


def _split(known: Recalled, how: SIR, data: Dataset) -> tuple[SplitNormal, str]:
    """The law whose margins have the widths of profile intervals, and what is to be told of it."""
    own, fit = known.quantities.coordinates, known.fit
    names = known.names
    if "profile" not in fit.tree.children or set(fit["profile"]["parameter"].values.tolist()) < set(names):
        fit = profile(fit, data, Profile(points=0, level=how.level))
    found = fit["profile"].sel(parameter=list(names))
    covariance = known.fit.covariance["covariance"].values[np.ix_(own.free, own.free)]
    error = np.sqrt(np.diagonal(covariance))
    moves = np.flatnonzero(error > 0)
    centre, free = own.forward(known.quantities.natural(known.x)), np.flatnonzero(own.free)
    root, widths, open_ = np.sqrt(float(found.attrs["quantile"])), [], set()
    for side, end in ((-1, "lower"), (1, "upper")):
        limit = centre.copy()
        natural = own.inverse(centre)
        natural[free] = found[end].values
        with np.errstate(divide="ignore", invalid="ignore"):
            limit[free] = own.forward(natural)[free]
        width = side * (limit - centre)[free] / root
        unknown = ~(np.isfinite(width) & (width > 0)) | found[f"{end}_open"].values
        open_ |= {names[k] for k in np.flatnonzero(unknown) if error[k] > 0}
        widths.append(np.where(unknown, _OPEN * error, width)[moves] * np.sqrt(how.inflation))
    scale = error[moves]
    law = SplitNormal(
        quantities=known.quantities, centre=centre, places=free[moves], below=widths[0], above=widths[1],
        factor=factor_of(covariance[np.ix_(moves, moves)] / np.outer(scale, scale)),
    )  # fmt: skip
    told = f"SIR drew from split normal laws with {_OPEN:g} standard errors where profiles are open: "
    return law, told + ", ".join(sorted(open_)) + "." if open_ else ""


def _resample(how: SIR, number: int, x: np.ndarray, rise: np.ndarray, density: np.ndarray) -> _Round:
    """Weigh the draws, and draw some again."""
    with np.errstate(invalid="ignore"):
        logs = np.where(np.isfinite(rise), -0.5 * rise - density, -np.inf)
    counted = np.isfinite(logs)
    if counted.sum() < how.resamples:
        raise CannotFit(
            f"{counted.sum()} of {how.samples} draws have a likelihood.",
            where=f"SIR(resamples={how.resamples})",
            expected="As many as are to be kept.",
            remedy="Ask for more samples, or an inflation below 1.",
        )
    weights = np.exp(logs - logs[counted].max())
    # The largest of log(u) / weight are a draw without replacement (Efraimidis and Spirakis 2006).
    draws = np.arange(how.samples)
    u = uniforms(how.seed, f"sir: resampling {number}", np.zeros_like(draws), draws, 1)[:, 0]
    with np.errstate(divide="ignore"):
        keys = np.where(weights > 0, np.log(u) / np.where(weights > 0, weights, 1.0), -np.inf)
    kept = np.sort(np.argsort(-keys, kind="stable")[: how.resamples])
    return _Round(x=x, rise=rise, weights=weights / weights.sum(), kept=kept)


def _groups(known: Recalled, how: SIR, rounds: list[_Round], freedom: int) -> dict[str, xr.Dataset]:
    from scipy.stats import chi2

    last, free = rounds[-1], known.quantities.coordinates.free
    natural = np.array([known.quantities.natural(x) for x in last.x[last.kept]])[:, free]
    low, high = percentile(natural, how.level)
    columns = {
        "lower": low,
        "upper": high,
        "median": np.median(natural, axis=0),
        "samples": np.full(len(rounds), how.samples),
        "resamples": np.full(len(rounds), how.resamples),
        "effective": np.array([1 / (one.weights**2).sum() for one in rounds]),
        "lost": np.array([int((~np.isfinite(one.rise)).sum()) for one in rounds]),
        "proposal_freedom": np.array([one.rise[np.isfinite(one.rise)].mean() for one in rounds]),
        "freedom": np.array([one.rise[one.kept].mean() for one in rounds]),
        "rise": np.quantile(last.rise[last.kept], _QUANTILES),
        "proposal_rise": np.quantile(last.rise[np.isfinite(last.rise)], _QUANTILES),
        "chi_square": chi2.ppf(_QUANTILES, freedom),
    }
    coords = {
        "parameter": np.array(known.names),
        "round": np.arange(len(rounds)),
        "quantile": _QUANTILES,
    }
    attrs = {
        "seed": how.seed,
        "level": how.level,
        "inflation": how.inflation,
        "proposal": how.proposal,
        "degrees_of_freedom": freedom,
    }
    draw = np.arange(how.resamples)
    lp = -0.5 * (known.objective + last.rise[last.kept])[None]
    return {
        "sir": dataset("sir", columns, coords, attrs),
        "posterior": draws_of(known.names, natural, draw, {"method": "sampling importance resampling"}),
        "sample_stats": dataset("sample_stats", {"lp": lp}, {"chain": np.arange(1), "draw": draw}, {}),
    }


def _notes(known: Recalled, how: SIR, rounds: list[_Round]) -> list[str]:
    last = rounds[-1]
    effective = 1 / (last.weights**2).sum()
    found = [known.note] if known.note else []
    found.append(f"SIR: {effective:.0f} effective of {how.samples} draws in the last of {len(rounds)} rounds.")
    if len(rounds) < how.rounds:
        found.append(f"The sampling was stopped by hand after {len(rounds)} of {how.rounds} rounds.")
    if effective < how.resamples:
        found.append(
            f"That is less than the {how.resamples} kept: the draws are wider than the likelihood. Ask for more."
        )
    least = float(last.rise.min())
    if least < -1e-3:
        found.append(f"A draw has an objective lower by {-least:.3g}: fit again from other starts.")
    return found
