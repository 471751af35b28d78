"""The verb ``choose_times``: when to take samples, so that a study tells the most.

Samples are moved one at a time, each to the candidate time at which the criterion is highest, until none can gain by
moving: the coordinate exchange of Meyer RK, Nachtsheim CJ. The coordinate-exchange algorithm for constructing exact
optimal experimental designs. Technometrics 1995;37:60-69. doi:10.1080/00401706.1995.10485889. It ends at a design
that no single move betters; several starts guard against one that is not the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.design.arm import Arm, Plan, check_times, read_arms
from pkpd.design.information import Information, as_information, log_criterion, places_of, said
from pkpd.design.lines import Lines
from pkpd.design.open import know
from pkpd.design.study import DRAWS, Study, check_method, model_of
from pkpd.errors import CannotFit, DataError, Finding, UsageError, raise_all, suggestion
from pkpd.estimation import FO, FOCE, Fit
from pkpd.model import Model
from pkpd.schema import describe
from pkpd.streams import addresses, check_seed, uniforms

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Choice", "choose_times"]

_WHERE = "choose_times"
#: A gain in the logarithm of the criterion below this is none.
_GAIN = 1e-9
#: Added to the diagonal of matrices, scaled by what all candidates tell: a search may begin where one is singular.
_RIDGE = 1e-12


@dataclass(frozen=True, repr=False, eq=False)
class Choice:
    """Sampling times that were chosen.

    Parameters
    ----------
    design : mapping of str to Arm
        The arms with the times chosen.
    information : Information
        What the study is then expected to tell.
    before : Information
        What it would tell with the times that were given.
    parameters : tuple of str
        Those of the Ds-criterion; empty for D.
    trace : xarray.Dataset
        Every exchange of every start, see :mod:`pkpd.schema`.
    """

    design: Mapping[str, Arm]
    information: Information
    before: Information
    parameters: tuple[str, ...]
    trace: xr.Dataset

    @property
    def criterion(self) -> float:
        """The D- or Ds-criterion of the design."""
        return self.information.criterion(*self.parameters)

    @property
    def gain(self) -> float:
        """The criterion over that of the times given: with so many times their people, these would tell as much."""
        before = self.before.criterion(*self.parameters)
        return self.criterion / before if before > 0 else np.inf

    def __repr__(self) -> str:
        return f"Choice({self.information.data.attrs['model']}: criterion {self.criterion:.6g})"

    def __str__(self) -> str:
        kind = f"Ds-criterion of {', '.join(self.parameters)}" if self.parameters else "D-criterion"
        gain = f"{self.gain:.4g} times that of the times given" if np.isfinite(self.gain) else (
            "the times given did not identify everything")  # fmt: skip
        lines = [f"{kind} {self.criterion:.6g}: {gain}"]
        for name, arm in self.design.items():
            assert isinstance(arm.times, Mapping)
            lines += [f"{name}, {output}: {', '.join(f'{t:g}' for t in times)}" for output, times in arm.times.items()]
        return "\n".join([*lines, "", str(self.information)])


def choose_times(
    model: Model | Fit,
    design: Arm | Mapping[str, Arm],
    candidates: Sequence[float] | Mapping[str, Sequence[float]],
    method: FO | FOCE = FO(),  # noqa: B008 - frozen
    *,
    parameters: Sequence[str] = (),
    full: bool = False,
    starts: int = 1,
    draws: int | None = None,
    seed: int | None = None,
) -> Choice:
    """Choose sampling times among candidates, so that a study tells the most.

    Each arm keeps the number of its samples of each output; no two of them are taken at one time.

    Parameters
    ----------
    model : Model or Fit
    design : Arm, or mapping of str to Arm
        Its times are where the search begins, each at the nearest candidate.
    candidates : sequence of float, or mapping of str to sequences
        Times at which samples may be taken, rising; of a model with several outputs by output. An output that is left
        out keeps its times.
    method : FO or FOCE
        See :func:`information`.
    parameters : sequence of str, optional
        What shall be known best, all other quantities estimated besides (the Ds-criterion); everything when left out
        (the D-criterion).
    full : bool
        See :func:`information`; of FO.
    starts : int
        How many places to search from: the times given, then times at random.
    draws, seed : int, optional
        See :func:`information`; several starts need a seed, too.

    Returns
    -------
    Choice

    Raises
    ------
    CannotFit
        Not even all candidates together identify everything, or so few samples do not.
    DataError, UsageError
        As for :func:`information`; or there are fewer candidates than samples.

    Examples
    --------
    >>> import pkpd
    >>> model = pkpd.load("theophylline_boeckmann1994")
    >>> arm = pkpd.Arm("320 mg oral", [0.5, 1, 8, 24], n=12)
    >>> chosen = pkpd.choose_times(model, arm, [0.25, 0.5, 1, 2, 4, 8, 12, 24])
    >>> chosen.gain >= 1
    True
    """
    if not isinstance(method, FO | FOCE):
        raise CannotFit(
            f"it cannot choose by {method!r}.",
            where=f"{_WHERE}(method=...)",
            expected="FO() or FOCE(), which are formulas of the samples.",
            remedy="Choose by one of them, and look at what is chosen by information(..., pkpd.Laplace()).",
        )
    if isinstance(starts, bool) or not isinstance(starts, int | np.integer) or starts < 1:
        raise UsageError(f"starts is {starts!r}.", where=f"{_WHERE}(starts=...)", expected="A whole number, 1 or more.",
                         remedy="Write starts=5.")  # fmt: skip
    drawn = type(method) in DRAWS
    count, key = check_method(method, draws, seed if drawn or starts == 1 else None, full, _WHERE)
    if starts > 1:
        key = check_seed(seed, why="times to start from are drawn", where=f"{_WHERE}(seed=...)")
    own = model_of(model, _WHERE)
    plans = read_arms(own, design, f"{_WHERE}(design=...)")
    grid = _read_candidates(own, plans, candidates)
    wide = tuple(
        plan.at({o: np.union1d(times, grid[o]) if o in grid else times for o, times in plan.times.items()})
        for plan in plans
    )
    study = Study.of(own, wide, method, _WHERE)
    places = places_of(study.names, tuple(parameters), f"{_WHERE}(parameters=...)")
    lines = study.lines(method, draws=count, seed=key, full=full)
    search = _Search(study, lines, plans, grid, places)
    ends = [search.run(search.near() if start == 0 else search.anywhere(key, start), start) for start in range(starts)]
    rows = ends[int(np.argmax([search.value(end) for end in ends]))]
    how = {"method": said(method, full), "draws": count, "seed": key if count else "none"}
    after = search.information(rows, how)
    if after.open:
        raise CannotFit(
            f"so few samples do not identify everything. {' '.join(after.open)}",
            where=_WHERE,
            expected=f"Samples that tell all {len(study.names)} quantities apart.",
            remedy="Add times to the arms, or fix what is known: model.fix(...).",
        )
    before = search.information(search.given(), how)
    chosen = {plan.name: plan.arm for plan in search.plans_of(rows)}
    return Choice(
        design=chosen, information=after, before=before, parameters=tuple(parameters), trace=search.told(own.time_unit)
    )


def _read_candidates(model: Model, plans: Sequence[Plan], given: Any) -> dict[str, np.ndarray]:
    """Give the candidates of each output that is sampled somewhere."""
    where, found = f"{_WHERE}(candidates=...)", []
    seen = [name for name in model.outputs if any(name in plan.times for plan in plans)]
    if not isinstance(given, Mapping):
        if len(seen) > 1:
            raise DataError(f"candidates do not say for which of {len(seen)} outputs.", where=where,
                            expected=f"Candidates of an output: {', '.join(seen)}.",
                            remedy=f'Write {{"{seen[0]}": [...]}}.')  # fmt: skip
        given = {seen[0]: given}
    grid: dict[str, np.ndarray] = {}
    for name, times in given.items():
        if name not in seen:
            found.append(Finding(code="output", where=where, what=f"no arm samples `{name}`.",
                                 expected=f"Outputs: {', '.join(seen)}.",
                                 remedy=suggestion(str(name), seen) or "Name one of these."))  # fmt: skip
            continue
        array = check_times(times, f"{where}, output {name}", found, what="candidate")
        grid[name] = np.unique(array)
        for plan in plans:
            wanted = plan.times[name].size if name in plan.times else 0
            if array.size and grid[name].size < wanted:
                found.append(Finding(code="candidates", where=f"{where}, output {name}",
                                     what=f"{grid[name].size} candidates are fewer than the {wanted} samples of arm "
                                     f"`{plan.name}`.",
                                     expected="As many as samples, or more: no two are taken at one time.",
                                     remedy="Add candidates, or take fewer samples."))  # fmt: skip
    if not given:
        found.append(Finding(code="candidates", where=where, what="there are none.",
                             expected=f"Times for an output: {', '.join(seen)}.",
                             remedy="Write range(0, 25)."))  # fmt: skip
    if found:
        raise_all(DataError, found)
    return grid


#: For each arm, the places of its samples among all its records, (k,) int.
_Rows = list[np.ndarray]


class _Search:
    """Exchanges, and what is told of them.

    The records of an arm are all samples that it was given or may have; a design is some of them.
    """

    def __init__(
        self,
        study: Study,
        lines: list[Lines],
        plans: Sequence[Plan],
        grid: Mapping[str, np.ndarray],
        places: Sequence[int],
    ) -> None:
        self.study, self.lines, self.plans, self.grid, self.wanted = study, lines, plans, grid, places
        seen, outputs = study.population.problem.observations, list(study.model.outputs)
        arms = [np.flatnonzero(seen.subject == a) for a in range(len(plans))]
        #: By arm: output and time of every record.
        self.output = [np.array([outputs[k] for k in seen.output[rows]]) for rows in arms]
        self.time = [seen.time[rows] for rows in arms]
        self.steps: list[tuple[int, str, str, float, float, float]] = []
        everything = self._matrix([
            np.concatenate([self._rows(a, o, self.grid.get(o, times)) for o, times in plan.times.items()])
            for a, plan in enumerate(plans)
        ])  # fmt: skip
        words = know(everything, study.quantities.coordinates).words
        if words:
            raise CannotFit(
                f"not even all candidates together identify everything. {' '.join(words)}",
                where=f"{_WHERE}(candidates=...)",
                expected=f"Candidates that tell all {len(study.names)} quantities apart.",
                remedy="Add candidates, arms or doses, or fix what is known: model.fix(...).",
            )
        self.scale = np.sqrt(np.diagonal(everything))

    def _matrix(self, rows: _Rows) -> np.ndarray:
        return np.sum([n * line.take(own).information().mean(axis=0)
                       for n, line, own in zip(self.study.people, self.lines, rows, strict=True)], axis=0)  # fmt: skip

    def _log(self, matrix: np.ndarray) -> np.ndarray:
        """The logarithm of the criterion of matrices (..., p, p), up to a constant."""
        scaled = matrix / np.outer(self.scale, self.scale) + _RIDGE * np.eye(len(self.scale))
        return log_criterion(scaled, self.wanted)

    def value(self, rows: _Rows) -> float:
        """Give the logarithm of the criterion, up to a constant."""
        return float(self._log(self._matrix(rows)))

    def given(self) -> _Rows:
        """Give the design that was given."""
        return [np.concatenate([self._rows(a, o, times) for o, times in plan.times.items()])
                for a, plan in enumerate(self.plans)]  # fmt: skip

    def near(self) -> _Rows:
        """Give the design that was given, each sample at the nearest candidate that no other has taken."""
        found = []
        for a, plan in enumerate(self.plans):
            own = []
            for output, times in plan.times.items():
                free = self.grid.get(output, times).tolist()
                for time in times if output in self.grid else ():
                    own.append(
                        self._rows(a, output, np.array([free.pop(int(np.argmin(np.abs(np.array(free) - time))))]))
                    )
                own += [] if output in self.grid else [self._rows(a, output, times)]
            found.append(np.concatenate(own))
        return found

    def anywhere(self, seed: int, start: int) -> _Rows:
        """Give samples at candidates drawn at random."""
        found = []
        for a, plan in enumerate(self.plans):
            own = []
            for output, times in plan.times.items():
                if output in self.grid:
                    at = addresses([plan.name])
                    u = uniforms(seed, f"choose times: {output}", at, np.array([start]), self.grid[output].size)[0]
                    times = self.grid[output][np.sort(np.argsort(u, kind="stable")[: times.size])]
                own.append(self._rows(a, output, times))
            found.append(np.concatenate(own))
        return found

    def run(self, rows: _Rows, start: int) -> _Rows:
        """Exchange until no sample gains by moving."""
        now, moved = self.value(rows), True
        while moved:
            moved = False
            for a, plan in enumerate(self.plans):
                others = self._matrix(rows) - self._of_arm(a, rows[a])
                for i in range(rows[a].size):
                    old = rows[a][i]
                    output = str(self.output[a][old])
                    if output not in self.grid:
                        continue
                    free = np.setdiff1d(self._rows(a, output, self.grid[output]), rows[a])
                    trial = np.repeat(rows[a][None], free.size, axis=0)
                    trial[:, i] = free
                    values = self._log(others + self._of_arm(a, trial)) if free.size else np.zeros(0)
                    if not free.size or values.max() <= now + _GAIN:
                        continue
                    best = int(np.argmax(values))
                    rows = [trial[best] if b == a else own for b, own in enumerate(rows)]
                    now, moved = float(values[best]), True
                    before, after = float(self.time[a][old]), float(self.time[a][free[best]])
                    self.steps.append((start, plan.name, output, before, after, self._natural(rows)))
        return rows

    def information(self, rows: _Rows, how: Mapping[str, Any]) -> Information:
        """Give what a design is expected to tell."""
        each = np.stack([line.take(own).information() for line, own in zip(self.lines, rows, strict=True)], axis=1)
        return as_information(replace(self.study, plans=self.plans_of(rows)), each, how)

    def plans_of(self, rows: _Rows) -> tuple[Plan, ...]:
        """Give the arms with the times of a design."""
        return tuple(
            plan.at({o: np.sort(self.time[a][rows[a]][self.output[a][rows[a]] == o]) for o in plan.times})
            for a, plan in enumerate(self.plans)
        )

    def told(self, unit: str) -> xr.Dataset:
        """Give every exchange as labelled arrays."""
        import xarray as xr

        names = ("start", "arm", "output", "before", "after", "criterion")
        kinds = (int, str, str, float, float, float)
        columns = {n: np.array([step[k] for step in self.steps], dtype=kinds[k]) for k, n in enumerate(names)}
        return xr.Dataset({
            name: ("iteration", column, describe("choice", name, unit if name in ("before", "after") else None))
            for name, column in columns.items()
        })  # fmt: skip

    def _natural(self, rows: _Rows) -> float:
        return float(np.exp(log_criterion(self._matrix(rows), self.wanted)))

    def _of_arm(self, a: int, rows: np.ndarray) -> np.ndarray:
        return self.study.people[a] * self.lines[a].take(rows).information().mean(axis=0)

    def _rows(self, a: int, output: str, times: np.ndarray) -> np.ndarray:
        """Give the records of an output at some times."""
        own = np.flatnonzero(self.output[a] == output)
        return own[np.searchsorted(self.time[a][own], times)]
