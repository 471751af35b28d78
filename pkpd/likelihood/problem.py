"""Where a model meets data: a Problem is sound, or says everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pkpd import engine
from pkpd.data import Dataset, Events, Evid, with_occasions
from pkpd.errors import Finding, MismatchError, PkpdError, raise_all
from pkpd.likelihood.hazard import Exposure, event_findings, event_outputs, log_chance, watched, with_hazards
from pkpd.likelihood.match import check_records, in_output_units, residual_parameters, which_output
from pkpd.likelihood.observations import Feature, Observations, observe, with_own_observations, with_references
from pkpd.likelihood.residual import Law, Residuals
from pkpd.model import Model, Parameter
from pkpd.model.mixture import MIXNUM
from pkpd.model.observed import OWN_DV

__all__ = ["Prediction", "Problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model predicts for the records of a problem.

    Parameters
    ----------
    f : (n,) float
        In the units of the outputs, percent for a change; the log likelihood of an event; NaN where the model could
        not be solved.
    df : (n, D) float or None
        Derivatives with respect to each subject's natural values of the D parameters asked for.
    solved : engine.Prediction
        What the engine said, failures included.
    expected : (n,) float
        The same as `f`, but for events how many of them are expected since the record before.
    """

    f: np.ndarray
    df: np.ndarray | None
    solved: engine.Prediction
    expected: np.ndarray

    def raise_failures(self) -> None:
        """Raise a SolveError if the model could not be solved for somebody."""
        self.solved.raise_failures()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A model and the data it is to explain, checked against each other and compiled. See :func:`make_problem`.

    n is the number of records, S of subjects, P of the model's parameters, R of residual parameters.

    Parameters
    ----------
    model : Model
    data : Dataset
    events : Events
        What the engine walks: the rows of the data, and an observation at each reference time.
    program, schedule
        The compiled model, and the events bound to it.
    observations : Observations
        The n records with an observation, in the units of the model's outputs.
    residuals : Residuals
        Their residual laws.
    residual_parameters : tuple of Parameter
        The R residual parameters, with initial values.
    record, base : (n,) int
        Which of the engine's records each is, and which one it is a change from (-1: none).
    exposure : Exposure or None
        Where the hazards of events are summed up, if there are any.
    """

    model: Model
    data: Dataset
    events: Events
    program: engine.Program
    schedule: engine.Schedule
    observations: Observations
    residuals: Residuals
    residual_parameters: tuple[Parameter, ...]
    record: np.ndarray
    base: np.ndarray
    exposure: Exposure | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """S names."""
        return self.observations.people

    @property
    def where(self) -> str:
        """What is fitted to what, for messages."""
        who = f", ID {self.subjects[0]}" if len(self.subjects) == 1 else ""
        return f"{self.model.name} to {self.observations.origin}{who}"

    @property
    def features(self) -> dict[Feature, str]:
        """What an estimator has to honour, with where it is."""
        seen = self.observations
        found: dict[Feature, str] = {}
        for feature, rows in (
            (Feature.MEANS, np.flatnonzero(seen.count != 1)),
            (Feature.CHANGES, np.flatnonzero(np.isfinite(seen.ref))),
            (Feature.CENSORING, np.flatnonzero(seen.censored)),
        ):
            if rows.size:
                more = f" and {rows.size - 1} more" if rows.size > 1 else ""
                found[feature] = f"{seen.where(int(rows[0]))}{more}"
        observed = [list(self.model.outputs.values())[k] for k in np.unique(seen.output)]
        if heavy := [output.name for output in observed if output.t is not None]:
            found[Feature.STUDENT] = ", ".join(heavy)
        if of_kinds := [output.name for output in observed if output.kind is not None]:
            found[Feature.KINDS] = ", ".join(of_kinds)
        if self.model.mixture:
            found[Feature.MIXTURE] = ", ".join(self.model.mixture)
        if self.model.priors:
            found[Feature.PRIORS] = ", ".join(self.model.priors)
        if np.unique(seen.output).size > 1:
            found[Feature.OUTPUTS] = ", ".join(list(self.model.outputs)[k] for k in np.unique(seen.output))
        return found

    def predict(
        self,
        values: np.ndarray,
        *,
        sensitivities: Sequence[str] = (),
        threads: int | None = None,
    ) -> Prediction:
        """Predict the records.

        Parameters
        ----------
        values : (S, P) float
            Natural parameter values of each subject, before the factors of covariates, in the order of the model.
        sensitivities : sequence of str, optional
            The parameters to differentiate by; the columns of `df` in this order.
        threads : int, optional
            The numbers do not depend on it.
        """
        solved = engine.predict(self.program, self.schedule, values, sensitivities=sensitivities, threads=threads)
        f = solved.f[self.record]
        df = None if solved.df is None else solved.df[self.record]
        change = np.flatnonzero(self.base >= 0)
        if change.size:
            start = solved.f[self.base[change]]
            ratio = f[change] / start
            if df is not None and solved.df is not None:
                slope = df[change] - ratio[:, None] * solved.df[self.base[change]]
                df[change] = 100 * slope / start[:, None]
            f[change] = 100 * (ratio - 1)
        expected = f
        if self.exposure is not None:
            rows, seen, expected = self.exposure.rows, self.observations, f.copy()
            expected[rows] = self.exposure.since(solved.f)
            slopes = (None, None) if df is None or solved.df is None else (df[rows], self.exposure.since(solved.df))
            f[rows], slope = log_chance(seen.dv[rows] == 1, seen.censored[rows], f[rows], expected[rows], *slopes)
            if df is not None and slope is not None:
                df[rows] = slope
        return Prediction(f=f, df=df, solved=solved, expected=expected)

    def take(self, index: Sequence[int] | np.ndarray) -> Problem:
        """Give the problem of the subjects at `index`: some of them, in another order, or copies.

        Copies of one subject are subjects of their own, named ``"7#1"``, ``"7#2"``. `data` stays what it was.
        """
        which = np.asarray(index, dtype=np.int64)
        rows, copy = self.records_of(which)
        times = np.bincount(which, minlength=len(self.subjects))
        seen_before, names = np.zeros_like(times), []
        for s in which:
            seen_before[s] += 1
            names.append(self.subjects[s] if times[s] == 1 else f"{self.subjects[s]}#{seen_before[s]}")
        events = self.events.take(which, subjects=names)
        # Where the records of each subject begin among the engine's, there and here.
        counted = np.concatenate([[0], np.cumsum(self.events.evid == Evid.OBSERVATION)])[self.events.start]
        lengths = np.diff(counted)[which]
        shift = (np.cumsum(lengths) - lengths - counted[:-1][which])[copy]
        return replace(
            self,
            events=events,
            schedule=engine.bind(self.program, events),
            observations=replace(self.observations.subset(rows), people=tuple(names), subject=copy),
            residuals=self.residuals.subset(rows),
            record=self.record[rows] + shift,
            base=np.where(self.base[rows] >= 0, self.base[rows] + shift, -1),
            exposure=None if self.exposure is None else self.exposure.subset(rows, shift),
        )

    def in_class(self, number: int | np.ndarray) -> Problem:
        """Give the same with everybody in the class of this number, counted from 0, or (S,) each in an own one."""
        which = np.broadcast_to(np.asarray(number), (len(self.subjects),))
        values = self.events.covariate_values.copy()
        values[:, self.events.covariates.index(MIXNUM)] = 1.0 + which[self.events.subject]
        events = replace(self.events, covariate_values=values)
        return replace(self, events=events, schedule=engine.bind(self.program, events))

    def records_of(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the records of the subjects at `index`, one subject after the other, and whose place there each has."""
        ends = np.searchsorted(self.observations.subject, np.arange(len(self.subjects) + 1))
        lengths = np.diff(ends)[index]
        copy = np.repeat(np.arange(len(index)), lengths)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return ends[:-1][index][copy] + within, copy

    def repeat(self, times: int) -> Problem:
        """Give the problem of everybody so many times, one after the other, as S * times subjects."""
        return self.take(np.tile(np.arange(len(self.subjects)), times))

    def split(self) -> list[Problem]:
        """Give the problem of each subject alone."""
        return [replace(self.take([s]), data=self.data[name]) for s, name in enumerate(self.subjects)]


def make_problem(
    model: Model, data: Dataset, *, held: Sequence[str] = (), occasions: bool = False, unseen: bool = False
) -> Problem:
    """Check a model and data against each other, and compile them.

    Parameters
    ----------
    model : Model
    data : Dataset
    held : sequence of str
        Residual parameters, ``"<output>.<term>"``, that no fit shall move.
    occasions : bool
        Whether parameters with an `iov` differ between occasions; they then have a kappa for each.
    unseen : bool
        Whether there may be no observation at all.

    Raises
    ------
    MismatchError
        They do not go together; all that is wrong is listed.
    """
    events = data.events()
    if model.mixture:
        events = _with_class(model, events)
    counted = np.flatnonzero((data.columns["EVID"] == Evid.OBSERVATION) & (data.columns["MDV"] == 0))
    if not counted.size and not unseen:
        raise MismatchError(
            "there is no observation to fit.",
            where=data.origin,
            expected="At least one row with EVID 0, MDV 0 and a DV.",
            remedy="Check the columns EVID, MDV and DV, and any filter.",
        )
    meant = which_output(model, events.outputs)
    seen = observe(data, counted, events.subject[counted], meant[events.output[counted]])
    found = check_records(model, seen)
    seen, of_units = in_output_units(model, seen, _stated_units(data, events, meant))
    found += of_units
    most = 0
    if occasions and any(p.iov > 0 for p in model.parameters.values()):
        number, without = _occasions(model, data, events)
        found += without
        if not without:
            events, most = with_occasions(events, number), int(number.max(initial=1))
    if OWN_DV in model.covariates:
        events = with_own_observations(events, counted, seen.dv)
    hazards = [k for k in event_outputs(model) if (seen.output == k).any()]
    places = None
    if hazards:
        found += event_findings(model, data, events, counted, seen, hazards)
        events, kept, places = watched(events, model, hazards, counted, seen.output)
        counted = kept[counted]
    events, record, base, kept = _with_changes(events, counted, seen)
    exposure = None
    if places is not None:
        number = np.append(np.cumsum(events.evid == Evid.OBSERVATION) - 1, -1)
        exposure = Exposure(ends=number[np.where(places >= 0, kept[places], -1)])
    program = engine.compile_model(*with_hazards(model, hazards), occasions=most)
    schedule = None
    try:
        schedule = engine.bind(program, events)
    except PkpdError as error:
        found = [*(error.findings or [error.as_finding("mismatch")]), *found]
    if found or schedule is None:
        raise_all(MismatchError, found)
    parameters = residual_parameters(model, held)
    places = {p.name: k for k, p in enumerate(parameters)}
    residuals = Residuals(
        names=tuple(places),
        laws=tuple(Law.of(output, places) for output in model.outputs.values()),
        output=seen.output,
        known=seen.error,
        people=seen.count,
    )
    return Problem(
        model=model,
        data=data,
        events=events,
        program=program,
        schedule=schedule,
        observations=seen,
        residuals=residuals,
        residual_parameters=parameters,
        record=record,
        base=base,
        exposure=exposure,
    )


def _with_class(model: Model, events: Events) -> Events:
    """Add the class of each subject, the first for everybody."""
    if MIXNUM in events.covariates:
        raise MismatchError(
            f"the data say the class of each subject, in the column {MIXNUM}, and the model has a mixture.",
            where=events.origin,
            expected="A mixture is for classes that nobody knows.",
            remedy="Take the mixture out (model.replace(mixture={}) reads the column), or drop the column.",
        )
    return replace(
        events,
        covariates=(*events.covariates, MIXNUM),
        covariate_values=np.column_stack([events.covariate_values, np.ones(len(events))]),
        covariate_units=(*events.covariate_units, "1"),
    )


def _occasions(model: Model, data: Dataset, events: Events) -> tuple[np.ndarray, list[Finding]]:
    """Number the occasions of each subject 1, 2, ... as they come, by OCC or else by PERIOD, for every row."""
    for name in ("OCC", "PERIOD"):
        said = data.columns[name]
        if (said != 0).any():
            pairs = np.column_stack([events.subject, said])
            _, first, which = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
            begins = np.zeros(len(said), dtype=np.int64)
            begins[first] = 1
            # How many have begun in the subject when each one begins.
            begun = np.cumsum(begins) - np.concatenate([[0], np.cumsum(begins)])[events.start[:-1]][events.subject]
            return begun[first][which.ravel()], []
    varied = ", ".join(p.name for p in model.parameters.values() if p.iov > 0)
    return np.zeros(0, dtype=np.int64), [
        Finding(
            code="occasion",
            where=data.origin,
            what=f"{varied} differ between occasions (iov), and nothing says which occasion a row belongs to.",
            expected="A column OCC, or PERIOD in a crossover, with a number for each occasion.",
            remedy="Add it, or set iov = 0.",
        )
    ]


def _stated_units(data: Dataset, events: Events, meant: np.ndarray) -> dict[int, str | None]:
    return {int(k): data.dv_unit(name) for name, k in zip(events.outputs, meant) if k >= 0}


def _with_changes(
    events: Events, counted: np.ndarray, seen: Observations
) -> tuple[Events, np.ndarray, np.ndarray, np.ndarray]:
    """Add the reference times to the events; say which of the engine's records each observation is, and its base.

    Last comes where each old row stands now.
    """
    changes = np.flatnonzero(np.isfinite(seen.ref))
    keys = [(int(seen.subject[i]), float(seen.ref[i]), int(events.output[counted[i]])) for i in changes]
    refs = sorted(set(keys))
    if refs:
        events, kept, added = with_references(events, refs)
    else:
        kept, added = np.arange(len(events)), np.zeros(0, dtype=np.int64)
    record = np.cumsum(events.evid == Evid.OBSERVATION) - 1
    base = np.full(counted.size, -1)
    place = {key: k for k, key in enumerate(refs)}
    base[changes] = [record[added[place[key]]] for key in keys]
    return events, record[kept[counted]], base, kept
