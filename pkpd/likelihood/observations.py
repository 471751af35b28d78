"""What was seen: the records that a likelihood compares with predictions, as plain columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data import Events
from pkpd.data.covariates import fill
from pkpd.data.occasions import OCCASION
from pkpd.model.observed import OWN_DV

if TYPE_CHECKING:
    from pkpd.data import Dataset

__all__ = ["Feature", "Observations", "between", "observe", "with_own_observations", "with_references", "with_rows"]

_LABELS = ("ARM", "PERIOD", "SEQUENCE", "OCC")
_COLUMNS = (
    "time", "dv", "output", "count", "error", "ref", "censored", "lower", "upper", "lloq", "uloq", "row",
)  # fmt: skip


class Feature(Enum):
    """Something that data or a model may hold and not every estimator can honour; the value says it in words."""

    MEANS = "means of several people"
    CHANGES = "percent changes from a reference time"
    OUTPUTS = "several outputs"
    CENSORING = "censored records"
    STUDENT = "residual errors that follow Student's t"
    OCCASIONS = "differences between occasions (iov)"
    PRIORS = "priors"
    MIXTURE = "a mixture of sub-populations"
    KINDS = "scores, categories, counts, events or an own likelihood"
    UNSEEN = "data without any observation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """The n records with an observation, subject by subject.

    Parameters
    ----------
    origin : str
        Where they come from, for messages.
    people : tuple of str
        Names of the subjects.
    subject : (n,) int
        Index into `people`.
    time : (n,) float
    dv : (n,) float
        In the unit of the output; percent for a change.
    output : (n,) int
        Index into the model's outputs.
    count : (n,) float
        How many people a record is the mean of.
    error : (n,) float
        Published standard error of the record: SE, or SD over the root of N. NaN where there is none.
    ref : (n,) float
        Time from which a change is counted; NaN where the record is no change.
    censored : (n,) bool
    lower, upper : (n,) float
        Ends of the interval in which a censored record lies, -inf or inf where it is open; DV twice where it was seen.
    lloq, uloq : (n,) float
        Limits of quantification of the assay; NaN where the data do not say.
    row : (n,) int
        Row in the file; -1 if there is none.
    labels : dict of (n,) arrays
        ARM, PERIOD, SEQUENCE and OCC, where the data have them.
    """

    origin: str
    people: tuple[str, ...]
    subject: np.ndarray
    time: np.ndarray
    dv: np.ndarray
    output: np.ndarray
    count: np.ndarray
    error: np.ndarray
    ref: np.ndarray
    censored: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lloq: np.ndarray
    uloq: np.ndarray
    row: np.ndarray
    labels: dict[str, np.ndarray]

    def where(self, record: int) -> str:
        """Say the place of a record in words."""
        row = f", row {self.row[record]}" if self.row[record] >= 0 else ""
        return f"{self.origin}{row}, ID {self.people[self.subject[record]]}, time {self.time[record]:g}"

    def of(self, subject: int) -> Observations:
        """Give the records of one subject."""
        alone = self.subset(np.flatnonzero(self.subject == subject))
        return replace(alone, people=(self.people[subject],), subject=np.zeros_like(alone.subject))

    def subset(self, rows: np.ndarray) -> Observations:
        """Give some of the records."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in ("subject", *_COLUMNS)}
        return replace(self, labels={name: column[rows] for name, column in self.labels.items()}, **columns)


def observe(data: Dataset, rows: np.ndarray, subject: np.ndarray, output: np.ndarray) -> Observations:
    """Gather the observations of a data set.

    Parameters
    ----------
    data : Dataset
    rows : (n,) int
        Its rows that count as observations.
    subject, output : (n,) int
        Index of the subject and of the model's output of each.
    """
    column = {name: values[rows] for name, values in data.columns.items()}
    published = np.where(np.isnan(column["SE"]), column["SD"] / np.sqrt(column["N"]), column["SE"])
    said = {name: column[name] for name in _LABELS if (data.columns[name] != data.columns[name].dtype.type()).any()}
    lower, upper = between(column["CENS"], column["DV"], column["LLOQ"], column["ULOQ"])
    return Observations(
        origin=data.origin,
        people=data.ids,
        subject=subject,
        time=column["TIME"],
        dv=column["DV"],
        output=output,
        count=column["N"],
        error=published,
        ref=column["REF"],
        censored=column["CENS"] != 0,
        lower=lower,
        upper=upper,
        lloq=column["LLOQ"],
        uloq=column["ULOQ"],
        row=column["ROW"],
        labels=said,
    )


def between(cens: np.ndarray, dv: np.ndarray, lloq: np.ndarray, uloq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the interval in which each record lies, as columns of NONMEM's kind say it.

    CENS 1: below DV, or below LLOQ where DV is empty or a placeholder under it (0, half of LLOQ); an LLOQ below DV is
    the lower end of the interval. CENS -1: above DV, or above ULOQ where DV is empty or a placeholder over it; a ULOQ
    above DV is the upper end. This is the convention of Monolix and nlmixr2, whose column LIMIT is the other end.

    Parameters
    ----------
    cens : (n,) int
    dv, lloq, uloq : (n,) float
        NaN where nothing is said.

    Returns
    -------
    lower, upper : (n,) float
        -inf and inf where the interval is open; DV in both where it was seen.
    """
    lower, upper = dv.copy(), dv.copy()
    below, above = cens == 1, cens == -1
    upper[below] = np.fmax(dv, lloq)[below]
    lower[below] = np.where(lloq < dv, lloq, -np.inf)[below]
    lower[above] = np.fmin(dv, uloq)[above]
    upper[above] = np.where(uloq > dv, uloq, np.inf)[above]
    return lower, upper


def with_own_observations(events: Events, rows: np.ndarray, dv: np.ndarray) -> Events:
    """Add the observations `dv` (n,) of rows (n,), which the equations of a log likelihood know, each by its own row.

    Other rows have some observation of the subject, or 0, which nothing asks for.
    """
    own = np.full((len(events), 1), np.nan)
    own[rows, 0] = dv
    own = np.nan_to_num(fill(own, events.start, "nocb", events.time))
    return replace(
        events,
        covariates=(*events.covariates, OWN_DV),
        covariate_values=np.column_stack([events.covariate_values, own]),
        covariate_units=(*events.covariate_units, None),
    )


def with_references(events: Events, refs: list[tuple[int, float, int]]) -> tuple[Events, np.ndarray, np.ndarray]:
    """Add observations at reference times to events.

    Parameters
    ----------
    events : Events
    refs : list of (subject, time, output)
        Indices into the subjects and outputs of the events.

    Returns
    -------
    events : Events
        With one observation more for each reference, before everything else that happens to the subject at that time:
        a change is counted from what was there before a dose.
    kept : (R,) int
        Where each old row stands now.
    added : (len(refs),) int
        Where each reference stands now.
    """
    at = []
    for subject, time, _ in refs:
        first, last = events.start[subject], events.start[subject + 1]
        at.append(int(first + np.searchsorted(events.time[first:last], time, side="left")))
    who, time, output = (np.array([ref[k] for ref in refs]) for k in range(3))
    return with_rows(events, np.array(at, dtype=np.int64), time, output, subject=who)


def with_rows(
    events: Events, at: np.ndarray, time: np.ndarray, output: np.ndarray, *, subject: np.ndarray | None = None
) -> tuple[Events, np.ndarray, np.ndarray]:
    """Add observations to events, each just before the row `at` (A,), at times and of outputs (A,).

    `subject` (A,) says whose they are, unless it is that of the row. Gives what :func:`with_references` gives.
    """
    who = events.subject[at] if subject is None else subject
    order = np.argsort(at, kind="stable")
    places = np.asarray(at, dtype=np.int64)[order]
    size = len(events.time) + len(places)
    added = np.empty(len(places), dtype=np.int64)
    added[order] = places + np.arange(len(places))
    kept = np.setdiff1d(np.arange(size), added)
    shift = np.searchsorted(np.sort(who), np.arange(len(events.start)))
    columns: dict[str, Any] = {}
    for name in ("time", "evid", "amt", "rate", "dur", "ii", "addl", "ss", "mode", "route", "dose_unit", "output"):
        old = getattr(events, name)
        new = np.zeros(size, dtype=old.dtype)
        new[kept] = old
        columns[name] = new
    columns["time"][added], columns["output"][added] = time, output
    columns["route"][added] = columns["dose_unit"][added] = -1
    columns["source_row"] = np.full(size, -1)
    columns["source_row"][kept] = events.source_row
    values = np.full((size, len(events.covariates)), np.nan)
    values[kept] = events.covariate_values
    start = events.start + shift
    filled = fill(values, start, events.carry, columns["time"])
    if events.carry == "linear" and OCCASION in events.covariates:  # which steps
        own = [events.covariates.index(OCCASION)]
        filled[:, own] = fill(values[:, own], start, "locf", columns["time"])
    return replace(events, start=start, covariate_values=filled, **columns), kept, added
