"""Two nested models and one set of data: the likelihood ratio, and how often chance makes one as large.

Chi-square is the law of the ratio for many people. For few, two others are better: the ratio over its mean in data that
were drawn from the smaller model (Bartlett), and the share of such data whose ratio is as large.

Bartlett MS. Properties of sufficiency and statistical tests. Proceedings of the Royal Society A 1937;160:268-282.
doi:10.1098/rspa.1937.0109
Davison AC, Hinkley DV. Bootstrap methods and their application. Cambridge University Press, 1997. Section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import MismatchError, UsageError, check_options
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.crew import crew_of, refuse_crew
from pkpd.estimation.descend import Descent
from pkpd.estimation.enlarge import dataset
from pkpd.estimation.few import FEW, RATIO_OF_FEW
from pkpd.estimation.nested import Law, Nesting, nesting
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.replicates import FAILURES, SOUND, judged, search_again
from pkpd.estimation.series import fingerprint, in_turn, key_of
from pkpd.likelihood.population import Population
from pkpd.likelihood.redraw import simulate_population, with_observations
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["LikelihoodRatio", "compare"]

#: A larger model whose objective lies higher than that of the smaller by more has not been fitted.
_ABOVE = 1e-3
#: How far the larger model at the estimates of the smaller may lie from its objective, if the two are nested.
_NESTED = 1e-2
#: A variance or SD that stands for 0, beside its estimate.
_TINY = 1e-8
#: Ratios that lie as close are the same: searches end where the objective could fall by 1e-6.
_TIES = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """A likelihood-ratio test; in print, all of it.

    Parameters
    ----------
    small, large : str
        What was compared.
    extra : tuple of str
        What the larger model estimates and the smaller does not.
    statistic : float
        Objective of the smaller model less that of the larger.
    law : Law
        Of the statistic for many people: chi-square, or a mixture where a variance of 0 is tested.
    df : int
        Degrees of freedom.
    p_chi_square : float
        By chi-square, as if no quantity were tested at an edge.
    p_law : float
        By the law; NaN where that is not known.
    bartlett : float
        Mean of the law over the mean ratio of data drawn from the smaller model; NaN without such data.
    p_bartlett : float
        By the law, of the statistic times this.
    p : float
        The share of data drawn from the smaller model with a ratio as large, the data themselves counted among them;
        NaN without.
    p_error : float
        Its Monte Carlo error: one standard deviation.
    p_worst : float
        The same with every replicate that failed counted as larger.
    replicates : Dataset or None
        Every data set drawn: its ratio, both objectives, and what failed; see the group ``compare`` of
        :mod:`pkpd.schema`.
    notes : tuple of str
        What a reader should know.
    """

    small: str
    large: str
    extra: tuple[str, ...]
    statistic: float
    law: Law
    df: int
    p_chi_square: float
    p_law: float
    bartlett: float = float("nan")
    p_bartlett: float = float("nan")
    p: float = float("nan")
    p_error: float = float("nan")
    p_worst: float = float("nan")
    replicates: xr.Dataset | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.small} in {self.large}: {', '.join(self.extra)} more",
            f"Likelihood ratio {self.statistic:.4f}, {self.df} df",
            f"p = {self.p_chi_square:.4g} by chi-square with {self.df} df",
        ]
        if self.law.edge and self.law.known:
            lines.append(f"p = {self.p_law:.4g} by {self.law}")
        if self.replicates is not None:
            if np.isfinite(self.p_bartlett):
                lines.append(f"p = {self.p_bartlett:.4g} with Bartlett's factor {self.bartlett:.3f}")
            count = int(np.isin(self.replicates["status"].values, SOUND).sum())
            lines.append(f"p = {self.p:.4g} ± {self.p_error:.2g} by {count} data sets drawn from the smaller model")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What both models make of one data set drawn from the smaller."""

    number: int
    small: float
    large: float
    status: str
    message: str
    hash: str


def compare(
    small: Fit,
    large: Fit,
    data: Dataset | None = None,
    *,
    n: int | None = None,
    seed: int | None = None,
    null: Mapping[str, float] | None = None,
    max_iterations: int = 200,
    workers: int = 1,
    checkpoint: str | Path | None = None,
) -> LikelihoodRatio:
    """Test a larger model against a smaller one that is a case of it.

    Parameters
    ----------
    small, large : Fit
        Of the same data by the same approximation, without priors.
    data : Dataset, optional
        What was fitted. With it the smaller model is looked for in the larger: there must be a place where their
        objectives are the same.
    n : int, optional
        Data sets to draw from the smaller model at its estimates; both models are fitted to each. None: chi-square
        alone.
    seed : int
        Needed with `n`. Data set r is the same whatever their number.
    null : mapping of str to float, optional
        Values of what the larger model adds at which it is the smaller one, where they are not plain: a variance or
        covariance that the smaller has not is 0, a quantity that it fixes has that value, and an effect that may be
        negative is taken to be 0.
    max_iterations : int
        Of each fit.
    workers : int
        Threads, each with a data set of its own at a time. The numbers do not depend on it.
    checkpoint : path, optional
        A file that keeps what is done; the same call, or one with a larger `n`, goes on from it.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    MismatchError
        The fits cannot be compared, with everything that is against it; or the one is not a case of the other.
    CannotFit
        A fit is not of the kind.
    UsageError
        There is no seed, or n is no count.
    FitFileError
        The checkpoint cannot be written, or belongs to other work.
    """
    _check(data, n, seed, max_iterations, checkpoint)
    refuse_crew(workers, "compare")
    lies = nesting(small, large, null or {})
    if data is None:
        return _tested(small, large, lies, small.ofv - large.ofv, [])
    where = "compare(small, large, data)"
    known = recall(small, data, where).in_own_order(), recall(large, data, where).in_own_order()
    seen = [one.population.problem.observations.dv for one in known]
    if not np.array_equal(seen[0], seen[1]):
        raise MismatchError(
            "the models see the same data in other units, or as other outputs.",
            where="compare(small, large, data)",
            expected="The same outputs in the same units.",
            remedy="Give the outputs of both models the same units, and fit again.",
        )
    statistic = known[0].objective - known[1].objective
    notes = [*(one.note for one in known if one.note), *_looked_for(known[0], known[1], lies)]
    if n is None:
        return _tested(small, large, lies, statistic, notes)
    assert seed is not None
    work = _Work(
        small=known[0], large=known[1], lies=lies, seed=seed, most=max_iterations,
        hessians=(known[0].curvature()[0], known[1].curvature()[0]),
    )  # fmt: skip
    options = f"seed={seed}, max_iterations={max_iterations}, null={sorted((null or {}).items())}"
    keys = [key_of("compare 1", one, data.digest, options) for one in known]
    key = {f"{name}{part}": value for part, one in zip(("", " of the larger"), keys, strict=True)
           for name, value in one.items()}  # fmt: skip
    kept = Checkpoint(path=Path(checkpoint), key=key) if checkpoint is not None else None
    done, stopped = in_turn(
        range(n), work, Pair, what="drawing from the smaller model", kept=kept, crew=crew_of(workers)
    )
    return _counted(_tested(small, large, lies, statistic, notes, drawn=True), done, n if stopped else len(done))


def _check(data: Dataset | None, n: int | None, seed: int | None, most: int, checkpoint: str | Path | None) -> None:
    if n is not None:
        check_seed(seed, why="data are drawn at random", where="compare(seed=...)")
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise UsageError(f"n is {n!r}.", where="compare(n=...)", expected="1 or more; 999 for a p of 0.001.",
                             remedy="Leave it out for chi-square alone.")  # fmt: skip
        if data is None:
            raise UsageError("there are no data.", where="compare(small, large, n=...)",
                             expected="The data of the fits, at whose design others are drawn.",
                             remedy="Write compare(small, large, data, n=..., seed=...).")  # fmt: skip
    elif seed is not None or checkpoint is not None:
        raise UsageError(
            "seed or checkpoint is given, and n is not.",
            where="compare(...)",
            expected="n, the number of data sets to draw.",
            remedy="Add n=999, or leave them out.",
        )
    check_options("compare", ("max_iterations", most, most >= 1, "1 or more."))


def _tested(
    small: Fit, large: Fit, lies: Nesting, statistic: float, notes: list[str], *, drawn: bool = False
) -> LikelihoodRatio:
    """Give the test by chi-square and by the law."""
    from scipy.stats import chi2

    if statistic < -_ABOVE:
        raise MismatchError(
            f"the objective of the larger model, {large.ofv:.4f}, lies above that of the smaller, {small.ofv:.4f}.",
            where="compare(small, large)",
            expected="Not above it: the larger holds the smaller.",
            remedy="Fit the larger again from the estimates of the smaller, or from others: starts=5.",
        )
    statistic = max(statistic, 0.0)
    people, df = large["subjects"].sizes["subject"], len(lies.extra)
    notes = list(notes)
    if not lies.law.known:
        notes.append("Chi-square is not the law of this ratio, and the law is not known: only data drawn tell, n=999.")
    elif lies.law.edge > 1:
        notes.append(
            "The weights of the mixture hold if the data tell what is tested at an edge apart from each other."
        )
    if people < FEW and not drawn:
        notes.append(RATIO_OF_FEW)
    return LikelihoodRatio(
        small=str(small.attrs["model_name"]), large=str(large.attrs["model_name"]), extra=lies.extra,
        statistic=statistic, law=lies.law, df=df, p_chi_square=float(chi2.sf(statistic, df)),
        p_law=lies.law.beyond(statistic), notes=tuple(notes),
    )  # fmt: skip


def _counted(test: LikelihoodRatio, done: list[Pair], asked: int) -> LikelihoodRatio:
    """Add what the replicates say."""
    status = np.array([one.status for one in done])
    sound = np.isin(status, SOUND)
    columns = {
        name: np.array([getattr(one, name) for one in done]) for name in ("small", "large", "hash", "status", "message")
    }
    ratio = np.where(sound, np.maximum(columns["small"] - columns["large"], 0.0), np.nan)
    counted, failed = int(sound.sum()), int((~sound).sum())
    above = int((ratio[sound] >= test.statistic - _TIES).sum())
    p = (1 + above) / (1 + counted)
    factor = test.law.mean / ratio[sound].mean() if counted and ratio[sound].mean() > 0 else float("nan")
    notes = list(test.notes)
    if failed:
        notes.append(
            f"{failed} of {len(done)} data sets could not be fitted and do not count; if their ratios were all as "
            f"large, p would be {(1 + above + failed) / (1 + len(done)):.4g}."
        )
    if len(done) < asked:
        notes.append(f"The work was stopped by hand after {len(done)} of {asked} data sets.")
    group = dataset("compare", {"statistic": ratio, **columns}, {"replicate": np.array([one.number for one in done])},
                    {"statistic": test.statistic, "failed": failed, "asked_for": asked})  # fmt: skip
    return replace(
        test,
        bartlett=factor,
        p_bartlett=test.law.beyond(test.statistic * factor) if np.isfinite(factor) else float("nan"),
        p=p,
        p_error=float(np.sqrt(p * (1 - p) / (1 + counted))),
        p_worst=(1 + above + failed) / (1 + len(done)),
        replicates=group,
        notes=tuple(notes),
    )


def _looked_for(small: Recalled, large: Recalled, lies: Nesting) -> list[str]:
    """Look for the smaller model in the larger; say what could not be decided."""
    if lies.open:
        return [
            f"Nothing says at which {', '.join(lies.open)} the larger model is the smaller one: that could not be "
            "checked. null={...} says it."
        ]
    place = _embedded(small, large, lies, small.x)
    there = large.outer()(place).objective
    if abs(there - small.objective) <= _NESTED:
        return []
    said = ", ".join(f"{name} = {value:g}" for name, value in lies.null.items() if name in lies.extra)
    raise MismatchError(
        f"at the estimates of the smaller model and {said} the objective of the larger is {there:.4f}.",
        where="compare(small, large, data)",
        expected=f"That of the smaller, {small.objective:.4f}: one model is a case of the other.",
        remedy="Say where the larger model is the smaller one: null={...}. AIC compares models that are not nested.",
    )


def _embedded(small: Recalled, large: Recalled, lies: Nesting, x: np.ndarray) -> np.ndarray:
    """Outer parameters of the larger model at those of the smaller, `x`; what is tested at its null, or estimate."""
    own = small.quantities.coordinates
    values = dict(zip(own.names, small.quantities.natural(x).tolist(), strict=True))
    theirs = large.quantities.coordinates
    natural = large.quantities.natural(large.x)
    for place, name in enumerate(theirs.names):
        if name in lies.extra:
            null = lies.null.get(name)
            if null is not None:
                at_edge = name in lies.edge
                natural[place] = null + _TINY * max(abs(theirs.initial[place]), _TINY) if at_edge else null
        elif theirs.free[place]:
            natural[place] = values[name]
    return np.clip(large.quantities.outer(natural), *large.quantities.limits())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """Draws data from the smaller model and fits both; each data set depends on its number alone."""

    small: Recalled
    large: Recalled
    lies: Nesting
    hessians: tuple[np.ndarray | None, np.ndarray | None]
    seed: int
    most: int

    def __call__(self, number: int) -> Pair:
        """Draw and fit."""
        drawn = simulate_population(
            self.small.population, self.small.x, seed=self.seed, replicate=number, purpose="compare"
        )
        y = drawn.problem.observations.dv
        seal, nan = fingerprint(y), float("nan")
        try:
            first = search_again(self.small, drawn, hessian=self.hessians[0], most=self.most)
            second = self._larger(with_observations(self.large.population, y), first)
        except FAILURES as error:
            return Pair(number=number, small=nan, large=nan, status="failed", message=str(error), hash=seal)
        status, message = self._judged(first, second)
        return Pair(number=number, small=first.point.objective, large=second.point.objective, status=status,
                    message=message, hash=seal)  # fmt: skip

    def _larger(self, drawn: Population, smaller: Descent) -> Descent:
        """Search from the estimates, and from where the smaller model ended; the lower end counts."""
        found = search_again(self.large, drawn, hessian=self.hessians[1], most=self.most)
        start = _embedded(self.small, self.large, self.lies, smaller.x)
        try:
            other = search_again(self.large, drawn, hessian=None, most=self.most, start=start)
        except FAILURES:
            return found
        better = other.point.objective < found.point.objective - (0.0 if other.settled else _TIES)
        return other if better or (other.settled and not found.settled) else found

    def _judged(self, smaller: Descent, larger: Descent) -> tuple[str, str]:
        status = "converged"
        for what, known, found in (("smaller", self.small, smaller), ("larger", self.large, larger)):
            own, message = judged(known, found)
            if own not in SOUND:
                return own, f"The {what} model: {message}"
            status = own if own != "converged" else status
        above = larger.point.objective - smaller.point.objective
        if above > _ABOVE:
            return "not converged", f"The larger model ended {above:.2g} above the smaller."
        return status, ""
