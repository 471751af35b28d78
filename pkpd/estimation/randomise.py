"""Randomisation tests: a statistic under every assignment that the randomisation might have made.

They assume nothing of the model or of the number of people: the assignment was random, and that is what is used.

Fisher RA. The design of experiments. Oliver and Boyd, 1935. Chapter 2.
Phipson B, Smyth GK. Permutation p-values should never be zero. Statistical Applications in Genetics and Molecular
Biology 2010;9:39. doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from pkpd.data import Dataset
from pkpd.data.exchange import Exchange
from pkpd.errors import CannotFit, UsageError, check_options, suggestion
from pkpd.estimation.assignments import count, drawn, every
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.descend import Descent
from pkpd.estimation.enlarge import dataset
from pkpd.estimation.nested import nesting
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.replicates import FAILURES, SOUND, judged, search_again
from pkpd.estimation.series import in_turn, key_of
from pkpd.likelihood.population import Population
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.estimation.fit import Fit

__all__ = ["Randomisation", "randomise"]

Alternative = Literal["two-sided", "greater", "less"]
Statistic = Callable[[Dataset], float]

#: Statistics that lie as close are the same: of data, relatively; of a refit, as its search tells them.
_TIES, _TIES_OF_REFITS = 1e-9, 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomisation:
    """A randomisation test; in print, all of it.

    Parameters
    ----------
    column, statistic : str
        What was assigned anew, and what was computed.
    alternative : "two-sided", "greater" or "less"
    observed : float
        The statistic of the data.
    p : float
        The share of assignments whose statistic is as extreme, that of the data among them.
    p_error : float
        Its Monte Carlo error, one standard deviation; 0 where all assignments were taken.
    exact : bool
        Whether all assignments were taken.
    possible : int
        How many there are.
    assignments : Dataset
        Every assignment with its statistic, the first that of the data; see the group ``randomise`` of
        :mod:`pkpd.schema`.
    notes : tuple of str
        What a reader should know.
    """

    column: str
    statistic: str
    alternative: Alternative
    observed: float
    p: float
    p_error: float
    exact: bool
    possible: int
    assignments: xr.Dataset = field(repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        taken = self.assignments.sizes["assignment"]
        error = "" if self.exact else f" ± {self.p_error:.2g}"
        how = (
            f"all {self.possible} assignments of {self.column}, sizes kept"
            if self.exact
            else f"{taken - 1} random ones of {self.possible:.4g} assignments of {self.column}, sizes kept"
        )
        return "\n".join(
            [f"{self.statistic}: {self.observed:.6g}", f"p = {self.p:.4g}{error} ({self.alternative}), by {how}",
             *self.notes]
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The statistic of one assignment."""

    number: int
    statistic: float
    status: str
    message: str


def randomise(
    fit: Fit | Dataset,
    data: Dataset | None = None,
    *,
    column: str = "SEQUENCE",
    statistic: Statistic | str = "objective",
    n: int = 999,
    seed: int | None = None,
    alternative: Alternative | None = None,
    against: Fit | None = None,
    per: str | None = None,
    along: Sequence[str] = (),
    starts: Mapping[int, float] | None = None,
    max_iterations: int = 200,
    checkpoint: str | Path | None = None,
) -> Randomisation:
    """Test whether a treatment does anything, by assigning sequences (or arms) to people anew.

    Under the null hypothesis everybody would have been seen as it was, whatever was given. So what was given moves
    from person to person: the label, the doses of each period at their distance from its start, and ARM where it tells
    the treatment of a period. Observations, their times, periods and covariates stay. Sizes of the groups are kept.
    A trial that was randomised within strata, or in any other way, needs another set of assignments than this one.

    Parameters
    ----------
    fit : Fit or Dataset
        A population fit, of which a refit is made for each assignment; or data alone, for a statistic of data.
    data : Dataset, optional
        What was fitted.
    column : str
        What people were assigned: ``"SEQUENCE"``, ``"ARM"``, or another column with one value for each person.
    statistic : "objective", the name of an estimate, or a function of a Dataset
        ``"objective"``: how far the objective falls, from that of `against`, refitted too, or from 0: that is the same
        where the model without the treatment does not see what moves. Each refit begins at the estimates and at the
        values of the model before the fit; the lower end counts.
    n : int
        Assignments to take besides that of the data. If there are no more, all are taken, and p is exact.
    seed : int, optional
        Needed where assignments are drawn. Number r is the same whatever `n`.
    alternative : "two-sided", "greater" or "less"
        Which statistics are as extreme; two-sided is twice the smaller tail. None: two-sided, of an objective greater.
    against : Fit, optional
        Of the same data without the treatment, nested in `fit`.
    per : str, optional
        A covariate that doses are multiples of (``"WT"`` for mg/kg): a dose is scaled to whoever gets it.
    along : sequence of str
        Covariates that say what was given, and move with it.
    starts : mapping of int to float, optional
        When each PERIOD begins; by default at a person's first row of it that is no dose.
    max_iterations : int
        Of each refit.
    checkpoint : path, optional
        A file that keeps what is done; the same call goes on from it, with the same function.

    Returns
    -------
    Randomisation
        An assignment whose statistic could not be computed counts as extreme, so that p is never too small, and is
        listed.

    Raises
    ------
    DataError
        Assignments cannot be exchanged, with everything that is against it: one group only, a group of one person,
        somebody in two groups.
    CannotFit, MismatchError
        The fit is not of the kind, or these are other data; or no assignment changes the statistic.
    UsageError
        There is no seed, or n is no count.
    """
    where = "randomise(...)"
    _check(n, alternative, max_iterations)
    computed, name, seen, key = _statistic(fit, data, statistic, against, max_iterations, where)
    exchange = Exchange.of(seen, column, per=per, along=along, starts=starts)
    people = sorted(exchange.assignment)
    labels = np.array(sorted(exchange.assignment.values()))
    possible = count(labels)
    exact = possible <= n + 1
    if not exact:
        check_seed(seed, why=f"{n} of {possible:.4g} assignments are drawn at random", where="randomise(seed=...)")
    given = np.array([exchange.assignment[one] for one in people])
    assigned = [given, *(every(labels, given) if exact else drawn(people, labels, n, cast(int, seed)))]
    work = _Work(exchange=exchange, people=people, assigned=assigned, computed=computed)
    options = (
        f"column={column}, statistic={name}, n={'all' if exact else n}, seed={seed}, per={per}, along={along}, "
        f"starts={starts}, max_iterations={max_iterations}"
    )
    kept = Checkpoint(path=Path(checkpoint), key={**key, "options": options}) if checkpoint is not None else None
    done, stopped = in_turn(
        range(len(assigned)), work, Assigned, what="assigning anew", kept=kept, enough=lambda done: len(done) > 1
    )
    side: Alternative = alternative or ("greater" if name == "objective" else "two-sided")
    refit = not callable(statistic)
    return _counted(exchange, name, side, people, assigned, done, possible, exact and not stopped, stopped, refit)


def _check(n: int, alternative: str | None, most: int) -> None:
    whole = isinstance(n, (int, np.integer)) and not isinstance(n, bool)
    sides = get_args(Alternative)
    check_options(
        "randomise",
        ("n", n, whole and n >= 1, "1 or more: with 19 assignments p is 0.05 at least."),
        ("alternative", alternative, alternative in (None, *sides), f"One of {', '.join(sides)}."),
        ("max_iterations", most, most >= 1, "1 or more."),
    )


def _statistic(
    fit: Fit | Dataset, data: Dataset | None, statistic: Statistic | str, against: Fit | None, most: int, where: str
) -> tuple[Callable[[Dataset], tuple[float, str, str]], str, Dataset, dict[str, str]]:
    """What to compute, its name, of which data, and what tells the work from other work."""
    if callable(statistic):
        seen = fit if isinstance(fit, Dataset) else data
        if seen is None or against is not None:
            raise UsageError(
                "there are no data." if seen is None else "a function of data is asked for, and a fit to hold against.",
                where=where, expected="randomise(data, statistic=...), or randomise(fit, data, statistic=...).",
                remedy="Give the data, and leave out `against`.",
            )  # fmt: skip
        name = getattr(statistic, "__name__", type(statistic).__name__)
        return _of_data(statistic), name, seen, {"work": "pkpd randomise 1", "data": seen.digest}
    if isinstance(fit, Dataset) or data is None:
        raise UsageError(
            f"the statistic is {statistic!r}, and there {'is no fit' if isinstance(fit, Dataset) else 'are no data'}.",
            where=where, expected="randomise(fit, data, ...): a fit and its data; or a function of a Dataset.",
            remedy="Fit first, or write statistic=function.",
        )  # fmt: skip
    known = recall(fit, data, "randomise(fit, data)")
    if statistic != "objective" and statistic not in known.names:
        raise CannotFit(
            f"`{statistic}` was not estimated.", where="randomise(statistic=...)",
            expected=f"objective, a function, or one of {', '.join(known.names)}.",
            remedy=suggestion(statistic, known.names) or "Name one of these.",
        )  # fmt: skip
    smaller = None
    if against is not None:
        if statistic != "objective":
            raise UsageError("`against` is given.", where=where, expected='It with statistic="objective" alone.',
                             remedy="Leave it out.")  # fmt: skip
        nesting(against, fit, {})
        smaller = recall(against, data, "randomise(against=...)")
    key = key_of("randomise 1", known, data.digest, "")
    if smaller is not None:
        key |= {f"{name} of the smaller": value for name, value in key_of("", smaller, data.digest, "").items()}
    return _OfRefits(known=known, smaller=smaller, name=statistic, most=most), statistic, data, key


def _of_data(statistic: Statistic) -> Callable[[Dataset], tuple[float, str, str]]:
    def computed(data: Dataset) -> tuple[float, str, str]:
        given = statistic(data)
        try:
            value = float(given)
        except (TypeError, ValueError):
            return np.nan, "failed", f"The statistic is {given!r:.60}, and no number."
        return (value, "computed", "") if np.isfinite(value) else (np.nan, "failed", f"The statistic is {value}.")

    return computed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OfRefits:
    """The objective, or an estimate, of a model fitted to other data."""

    known: Recalled
    smaller: Recalled | None
    name: str
    most: int

    def __call__(self, data: Dataset) -> tuple[float, str, str]:
        """Give the statistic, a word, and why there is none."""
        value = 0.0
        try:
            found, status, message = self._refit(self.known, data)
            if self.smaller is not None:
                less, *said = self._refit(self.smaller, data)
                value = less.point.objective
                status, message = (status, message) if status not in SOUND else said
        except FAILURES as error:
            return np.nan, "failed", str(error)
        if status not in SOUND:
            return np.nan, status, message
        if self.name == "objective":
            return value - found.point.objective, status, ""
        own = self.known.quantities.coordinates
        return float(self.known.quantities.natural(found.x)[own.names.index(self.name)]), status, ""

    def _refit(self, known: Recalled, data: Dataset) -> tuple[Descent, str, str]:
        population = known.of(data)
        ends = [*self._ends(known, population)]
        best = min(ends, key=lambda end: (not end.settled, end.point.objective))
        return best, *judged(known, best)

    def _ends(self, known: Recalled, population: Population) -> Iterator[Descent]:
        yield search_again(known, population, hessian=None, most=self.most)
        try:
            yield search_again(known, population, hessian=None, most=self.most, start=population.start)
        except FAILURES:
            return


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """Assigns anew, and computes."""

    exchange: Exchange
    people: list[str]
    assigned: list[np.ndarray]
    computed: Callable[[Dataset], tuple[float, str, str]]

    def __call__(self, number: int) -> Assigned:
        """Compute the statistic of one assignment."""
        data = self.exchange.given(dict(zip(self.people, self.assigned[number].tolist(), strict=True)))
        value, status, message = self.computed(data)
        return Assigned(number=number, statistic=value, status=status, message=message)


def _counted(
    exchange: Exchange,
    name: str,
    side: Alternative,
    people: list[str],
    assigned: list[np.ndarray],
    done: list[Assigned],
    possible: int,
    exact: bool,
    stopped: bool,
    refit: bool,
) -> Randomisation:
    value, observed = np.array([one.statistic for one in done]), done[0].statistic
    if not np.isfinite(observed):
        raise CannotFit(
            "the statistic of the data themselves could not be computed.",
            where=f"randomise(statistic={name})",
            expected="A number.",
            remedy=done[0].message,
        )
    sound, tie = np.isfinite(value), _TIES * max(1.0, abs(observed))
    if refit:
        tie = _TIES_OF_REFITS * (1.0 if name == "objective" else abs(observed))
    if np.ptp(value[sound]) <= tie:
        raise CannotFit(
            f"the statistic is {observed:g} under all {int(sound.sum())} assignments.",
            where=f"randomise(statistic={name})",
            expected="A statistic that depends on what is assigned: labels, doses, and the covariates of `along`.",
            remedy="Name the covariates that tell the treatment in along=(...), or take another statistic.",
        )
    failed = ~sound
    with np.errstate(invalid="ignore"):
        tails = {
            "greater": int(((value >= observed - tie) | failed).sum()),
            "less": int(((value <= observed + tie) | failed).sum()),
        }
    share = {one: count / len(done) for one, count in tails.items()}
    p = min(1.0, 2 * min(share.values())) if side == "two-sided" else share[side]
    tail = min(share.values()) if side == "two-sided" else p
    error = 0.0 if exact else float(np.sqrt(tail * (1 - tail) / len(done))) * (2 if side == "two-sided" else 1)
    notes = list(exchange.notes)
    if failed.any():
        notes.append(f"{int(failed.sum())} of {len(done)} assignments had no statistic, and count as extreme.")
    if stopped:
        notes.append(f"The work was stopped by hand after {len(done)} of {len(assigned)} assignments.")
    columns = {
        "given": assigned[0],
        "assigned": np.array([assigned[one.number] for one in done]),
        "statistic": value,
        "status": np.array([one.status for one in done]),
        "message": np.array([one.message for one in done]),
    }
    coords = {"assignment": np.array([one.number for one in done]), "subject": np.array(people)}
    return Randomisation(
        column=exchange.column, statistic=name, alternative=side, observed=observed, p=p, p_error=error, exact=exact,
        possible=possible, assignments=dataset("randomise", columns, coords, {"failed": int(failed.sum())}),
        notes=tuple(notes),
    )  # fmt: skip
