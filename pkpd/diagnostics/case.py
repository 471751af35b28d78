"""A fit and everything that diagnostics ask of it, each computed when it is first asked for, and once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pkpd.data import Dataset, Evid, time_after_dose
from pkpd.errors import MismatchError, UsageError, suggestion
from pkpd.estimation import Fit
from pkpd.estimation.parts import is_population
from pkpd.likelihood import Feature, make_problem
from pkpd.likelihood.redraw import Redraw, limits
from pkpd.progress import stages
from pkpd.units import tidy

if TYPE_CHECKING:
    from pkpd.likelihood.population import Population
    from pkpd.model import Model, Output

__all__ = ["Case"]

#: So many drawn observations are kept for the next who asks; more are drawn again.
_KEPT = 25_000_000
_PURPOSE = "diagnose"
#: Values of a covariate that are told apart one by one; more are halved.
_LEVELS = 6


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fit that is looked at.

    Parameters
    ----------
    fit : Fit
    given : Dataset or None
        The data, where the fit does not hold them.
    threads : int or None
        Of the engine.
    """

    fit: Fit
    given: Dataset | None = None
    threads: int | None = None
    _drawn: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    _conditional: dict[tuple[int, int], tuple[tuple[str, ...], np.ndarray]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.given is not None and self.given.digest != self.fit.attrs["data_digest"]:
            raise MismatchError(
                f"{self.given.origin} ({self.given.digest[:12]}) is not what was fitted.",
                where="diagnose(data=...)",
                expected=f"{self.fit.attrs['data']} with the digest {str(self.fit.attrs['data_digest'])[:12]}.",
                remedy="Leave data out: a fit holds what was fitted. Or read the same file with the same options.",
            )

    @property
    def data(self) -> Dataset:
        """What was fitted."""
        return self.fit.data if self.given is None else self.given

    @cached_property
    def records(self) -> dict[str, np.ndarray]:
        """Columns of the records, (n,) each."""
        return {str(name): column.values for name, column in self.fit.records.data_vars.items()}

    @cached_property
    def outputs(self) -> dict[str, Output]:
        """The outputs that were observed, by name."""
        seen = dict.fromkeys(self.records["DVID"].tolist())
        return {name: self.fit.model.outputs[name] for name in seen}

    @cached_property
    def censored(self) -> np.ndarray:
        """Which records are limits, (n,) bool: a limit leaves no residual."""
        return np.isnan(self.records["RES"]) & np.isfinite(self.records["DV"]) & np.isfinite(self.records["PRED"])

    @property
    def time_unit(self) -> str:
        """Unit of TIME."""
        return str(self.fit.records["TIME"].attrs.get("units", ""))

    @cached_property
    def population(self) -> Population:
        """The model at the estimates, and the data. What no population was fitted to lets nobody differ."""
        from pkpd.estimation.population import population_of

        model = self.fit.model if is_population(self.fit) else _of_people_alike(self.fit.model)
        problem = make_problem(model, self.data, occasions=True)
        method = "M1" if "censoring='M1'" in str(self.fit.attrs["estimator"]) else "M3"
        return population_of(problem, censoring=method, threads=self.threads, where="diagnose()", alike=True)

    @cached_property
    def undrawn(self) -> str:
        """Why no data can be drawn at the design of the data; empty if they can."""
        problem = self.population.problem
        features = problem.features
        for feature, what in ((Feature.MEANS, "means of several people"), (Feature.CHANGES, "changes in percent")):
            if feature in features:
                return f"Observations are {what} ({features[feature]}), whose law between people is not known."
        if all(not law.draws for law, _ in problem.residuals.by_discrete) and problem.residuals.by_discrete:
            rows = sum(rows.size for _, rows in problem.residuals.by_discrete)
            if rows == problem.observations.dv.size:
                return (
                    "No output says what may be observed at a given time: hazards and likelihoods of their own do not."
                )
        return ""

    @cached_property
    def not_drawn(self) -> list[str]:
        """Outputs that do not say what may be observed at a given time: hazards, likelihoods of their own."""
        problem = self.population.problem
        names = list(problem.model.outputs)
        return [
            names[problem.observations.output[rows[0]]]
            for law, rows in problem.residuals.by_discrete
            if not law.draws and rows.size
        ]

    @cached_property
    def after_dose(self) -> np.ndarray:
        """Time after the last dose of every record, (n,); NaN before the first. Additional doses (ADDL) count."""
        columns = self.data.columns
        counted = (columns["EVID"] == Evid.OBSERVATION) & (columns["MDV"] == 0)
        return time_after_dose(self.data)[counted]

    def covariate_groups(self, name: str, where: str) -> np.ndarray:
        """Name the group of every record by a covariate of its subject, (n,): a value, or a half around the median.

        Raises
        ------
        UsageError
            There is no such covariate.
        """
        known = list(self.data.covariates)
        if name not in known:
            raise UsageError(
                f"there is no column {name}.", where=where,
                expected=f"One of auto, none, ARM, PERIOD, SEQUENCE, OCC{''.join(f', {one}' for one in known)}.",
                remedy=suggestion(name, known) or 'Leave it out for "auto".',
            )  # fmt: skip
        ids, column = self.data.columns["ID"], self.data.covariates[name]
        own = {who: next((v for v in column[ids == who] if np.isfinite(v)), np.nan) for who in self.data.ids}
        values = np.array([own[who] for who in self.records["ID"]])
        people = np.array(list(own.values()))
        levels = np.unique(people[np.isfinite(people)])
        unit = tidy(str(self.data.units.get(name, "")))
        if len(levels) <= _LEVELS:
            said = [f"{name} {value:g}" if np.isfinite(value) else f"{name} unknown" for value in values]
        else:
            middle = float(np.median(people[np.isfinite(people)]))
            halves = (f"{name} up to {middle:.4g} {unit}".strip(), f"{name} above {middle:.4g} {unit}".strip())
            said = [f"{name} unknown" if not np.isfinite(v) else halves[int(v > middle)] for v in values]
        return np.array(said)

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limits of quantification of the records, (n,) each; infinite where there are none."""
        return limits(self.population, below=True), limits(self.population, below=False)

    def conditional(self, samples: int, seed: int) -> tuple[tuple[str, ...], np.ndarray]:
        """Give the names of the d random effects, and draws of them given the data, (samples, S, d)."""
        from pkpd.diagnostics.conditional import sample_effects

        if (samples, seed) not in self._conditional:
            self._conditional.clear()
            self._conditional[samples, seed] = sample_effects(self, samples, seed)
        return self._conditional[samples, seed]

    def replicates(self, n: int, seed: int) -> Iterator[np.ndarray]:
        """Give `n` data sets drawn at the estimates, some (r, records) at a time, before anything is censored.

        They are the same for the same seed, whoever asks, and however many more there are. NaN stands where an output
        does not say what may be observed at a given time.
        """
        kept = self._all(n, seed)
        if kept is not None:
            yield kept
            return
        redraw = self._redraw(n, seed)
        with stages() as advance:
            for first in range(0, n, redraw.at_once):
                last = min(first + redraw.at_once, n)
                yield redraw.draw(range(first + 1, last + 1))
                advance("drawing data", last, n)

    def replicates_of_subjects(self, n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the same by subjects: the records (m,) of some of them, and these in all replicates, (n, m)."""
        population = self.population
        people, size = len(population.problem.subjects), population.subject.size
        lots = np.array_split(np.arange(people), max(1, min(people, -(-n * size // _KEPT))))
        kept = self._all(n, seed)
        with stages() as advance:
            for lot in lots:
                rows, _ = population.problem.records_of(lot)
                if kept is not None:
                    yield rows, kept[:, rows]
                    continue
                own = Redraw.of(population.take(lot), population.start, seed=seed, purpose=_PURPOSE, most=n)
                yield rows, own.draw(range(1, n + 1))
                advance("drawing data", int(lot[-1]) + 1, people)

    def _all(self, n: int, seed: int) -> np.ndarray | None:
        """All replicates together, (n, records), kept for the next who asks; None where they are too many."""
        if n * self.population.subject.size > _KEPT:
            return None
        if (n, seed) not in self._drawn:
            redraw, found = self._redraw(n, seed), np.empty((n, self.population.subject.size))
            with stages() as advance:
                for first in range(0, n, redraw.at_once):
                    last = min(first + redraw.at_once, n)
                    found[first:last] = redraw.draw(range(first + 1, last + 1))
                    advance("drawing data", last, n)
            self._drawn.clear()
            self._drawn[n, seed] = found
        return self._drawn[n, seed]

    def _redraw(self, n: int, seed: int) -> Redraw:
        return Redraw.of(self.population, self.population.start, seed=seed, purpose=_PURPOSE, most=n)


def _of_people_alike(model: Model) -> Model:
    """Give a model in which nobody differs from anybody."""
    return replace(
        model,
        parameters={name: replace(own, iiv=0.0, iov=0.0) for name, own in model.parameters.items()},
        outputs={name: replace(own, iiv=0.0) for name, own in model.outputs.items()},
        blocks=(),
    )
