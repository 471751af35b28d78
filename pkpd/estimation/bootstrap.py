"""Bootstrap of a population fit: what the estimates would have been had the data come out otherwise.

``case`` draws subjects with replacement; ``parametric`` draws observations from the fitted model at the design of the
data. Each replicate is fitted by the same estimator from the estimates.

Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall, 1993. Chapters 6, 13 and 14.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pkpd.errors import CannotFit, UsageError, check_options, suggestion
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.crew import crew_of, refuse_crew
from pkpd.estimation.enlarge import dataset, draws_of, enlarged
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.replicates import Refit, Replicate
from pkpd.estimation.series import in_turn, key_of
from pkpd.estimation.spread import acceleration, bca, percentile
from pkpd.streams import addresses, check_seed

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["Bootstrap", "bootstrap"]

Method = Literal["case", "parametric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How to draw the data again.

    Parameters
    ----------
    seed : int
        Replicate r is the same whatever their number, and whatever was run before.
    draws : int
        Number of replicates.
    method : "case" or "parametric"
    stratify : str, optional
        A column such as ARM or SEQUENCE, or a covariate, that is the same in all rows of a subject: as many subjects of
        each of its values are drawn as there are. Of ``case`` only.
    level : float
        Of the intervals.
    max_iterations : int
        Of each fit.
    """

    seed: int
    draws: int = 500
    method: Method = "case"
    stratify: str | None = None
    level: float = 0.95
    max_iterations: int = 200

    def __post_init__(self) -> None:
        check_seed(self.seed, why="data are drawn at random", where="Bootstrap(seed=...)")
        check_options(
            "Bootstrap",
            ("draws", self.draws, self.draws >= 2, "2 or more."),
            ("method", self.method, self.method in get_args(Method), f"One of {', '.join(get_args(Method))}."),
            ("stratify", self.stratify, self.stratify is None or self.method == "case", 'None, or method="case".'),
            ("level", self.level, 0 < self.level < 1, "A share between 0 and 1."),
            ("max_iterations", self.max_iterations, self.max_iterations > 0, "1 or more."),
        )


def bootstrap(
    fit: Fit,
    data: Dataset,
    how: Bootstrap,
    *,
    interval: Literal["percentile", "bca"] | None = None,
    workers: int = 1,
    checkpoint: str | Path | None = None,
) -> Fit:
    """Give a population fit with a bootstrap: the groups ``bootstrap``, ``posterior`` and ``sample_stats``.

    Replicates whose fit failed are counted and listed in ``bootstrap``, and do not count in intervals. Ctrl-C ends the
    work with what is done.

    Parameters
    ----------
    fit : Fit
        Of a population, converged.
    data : Dataset
        What was fitted; the Fit keeps its digest only.
    how : Bootstrap
    interval : "percentile" or "bca", optional
        Puts these intervals into ``estimates``, in place of what was there.
    workers : int
        Threads, each with a replicate of its own at a time. The numbers do not depend on it.
    checkpoint : path, optional
        A file that keeps what is done, written every few replicates. If it is there, the work goes on from it, and ends
        with the numbers of undisturbed work; more `draws` may be asked for then.

    Returns
    -------
    Fit
        A new one.

    Raises
    ------
    CannotFit, MismatchError
        The fit is not of the kind, or these are other data; or all replicates failed.
    FitFileError
        The checkpoint cannot be written, or belongs to other work.
    """
    if interval not in (None, "percentile", "bca"):
        raise UsageError(
            f"interval is {interval!r}.",
            where="bootstrap(interval=...)",
            expected='"percentile", "bca" or None.',
            remedy="Leave it out to keep the intervals of the fit.",
        )
    refuse_crew(workers, "bootstrap")
    known = recall(fit, data, "bootstrap(fit, data)")
    hessian, slopes = known.curvature()
    # In an order of their own, so that the order in the file does not count.
    order = np.argsort(addresses(known.population.problem.subjects))
    refit = Refit(
        known=known,
        population=known.population.take(order),
        strata=_strata(known, data, how)[order],
        hessian=hessian,
        seed=how.seed,
        parametric=how.method == "parametric",
        most=how.max_iterations,
    )
    options = f"seed={how.seed}, method={how.method}, stratify={how.stratify}, max_iterations={how.max_iterations}"
    key = key_of("bootstrap 1", known, data.digest, options)
    kept = Checkpoint(path=Path(checkpoint), key=key) if checkpoint is not None else None
    done, stopped = in_turn(
        range(how.draws), refit, Replicate, what="bootstrap", kept=kept, crew=crew_of(workers),
        enough=lambda done: sum(one.sound for one in done) >= 2,
    )  # fmt: skip
    groups = _groups(known, how, done, slopes, hessian, _strata(known, data, how))
    text = {"percentile": "percentile", "bca": "BCa", None: ""}[interval]
    counted = groups["posterior"].sizes["draw"]
    text = f"{100 * how.level:g} % bootstrap, {how.method}, {text} of {counted} replicates"
    limits = groups["bootstrap"]
    if interval == "bca":
        limits = limits.assign(lower=limits["bca_lower"], upper=limits["bca_upper"])
    notes = _notes(known, how, groups["bootstrap"], stopped)
    return enlarged(fit, groups, notes=notes, limits=limits if interval else None, text=text)


def _strata(known: Recalled, data: Dataset, how: Bootstrap) -> np.ndarray:
    """The stratum of each subject, (S,) int."""
    people = known.population.problem.subjects
    if how.stratify is None:
        return np.zeros(len(people), dtype=int)
    columns = {**data.columns, **data.covariates}
    if how.stratify not in columns:
        raise CannotFit(
            f"the data have no column `{how.stratify}`.",
            where="Bootstrap(stratify=...)",
            expected=f"One of {', '.join(columns)}.",
            remedy=suggestion(how.stratify, columns) or "Name one of these.",
        )
    column, ids = columns[how.stratify], data.columns["ID"]
    values = []
    for name in people:
        own = column[ids == name]
        said = np.unique(own[own == own] if own.dtype.kind == "f" else own)
        if said.size != 1:
            raise CannotFit(
                f"subject {name} has {said.size} values of {how.stratify}.",
                where="Bootstrap(stratify=...)",
                expected="One for each subject.",
                remedy="Stratify by something that stays the same, or leave stratify out.",
            )
        values.append(said[0].item())
    _, strata, sizes = np.unique(np.array(values), return_inverse=True, return_counts=True)
    if sizes.max() == 1:
        raise CannotFit(
            f"{how.stratify} is different for every subject.",
            where="Bootstrap(stratify=...)",
            expected="Something that subjects have in common.",
            remedy="Put its values into groups, or leave stratify out.",
        )
    return strata


def _groups(
    known: Recalled,
    how: Bootstrap,
    done: list[Replicate],
    slopes: np.ndarray,
    hessian: np.ndarray | None,
    strata: np.ndarray,
) -> dict[str, xr.Dataset]:
    sound = [one for one in done if one.sound]
    if len(sound) < 2:
        raise CannotFit(
            f"{len(sound)} of {len(done)} replicates could be fitted.",
            where="bootstrap(...)",
            expected="2 or more.",
            remedy=f"The first said: {done[0].message}",
        )
    own, free = known.quantities.coordinates, known.quantities.coordinates.free
    natural = np.array([known.quantities.natural(one.x) for one in sound])
    estimate = known.quantities.natural(known.x)
    scaled = own.forward(natural)[:, free]
    low, high = percentile(natural[:, free], how.level)
    influence = (
        None if hessian is None else -slopes @ np.linalg.solve(hessian, known.quantities.slopes(known.x)[free].T)
    )
    push = np.full(free.sum(), np.nan) if influence is None else acceleration(influence, strata)
    bca_low, bca_high = bca(natural[:, free], estimate[free], push, how.level)
    with np.errstate(invalid="ignore"):  # a logarithm of a variance that is 0
        transformed = scaled.std(axis=0, ddof=1)
    columns = {
        "lower": low,
        "upper": high,
        "bca_lower": bca_low,
        "bca_upper": bca_high,
        "mean": natural[:, free].mean(axis=0),
        "se": natural[:, free].std(axis=0, ddof=1),
        "transformed_se": transformed,
        "bias": natural[:, free].mean(axis=0) - estimate[free],
        "hash": np.array([one.hash for one in done]),
        "status": np.array([one.status for one in done]),
        "message": np.array([one.message for one in done]),
        "objective": np.array([one.objective for one in done]),
    }
    coords = {"parameter": np.array(known.names), "replicate": np.array([one.number for one in done])}
    attrs = {
        "method": how.method,
        "stratify": how.stratify or "",
        "seed": how.seed,
        "level": how.level,
        "asked_for": how.draws,
        "failed": len(done) - len(sound),
        "duplicates": len(done) - len({one.hash for one in done}),
    }
    number = np.array([one.number for one in sound])
    lp = -0.5 * np.array([[one.objective for one in sound]])
    return {
        "bootstrap": dataset("bootstrap", columns, coords, attrs),
        "posterior": draws_of(known.names, natural[:, free], number, {"method": f"bootstrap, {how.method}"}),
        "sample_stats": dataset("sample_stats", {"lp": lp}, {"chain": np.arange(1), "draw": number}, {}),
    }


def _notes(known: Recalled, how: Bootstrap, group: xr.Dataset, stopped: bool) -> list[str]:
    done, failed, twice = group.sizes["replicate"], group.attrs["failed"], group.attrs["duplicates"]
    found = [known.note] if known.note else []
    found.append(f"Bootstrap ({how.method}): {done} replicates, {failed} failed, {twice} drawn before.")
    if stopped:
        found.append(f"The bootstrap was stopped after {done} of {how.draws} replicates.")
    return found
