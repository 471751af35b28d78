"""Who gets which sequence or arm, exchanged: treatments move from person to person, and what was seen stays.

If treatments do nothing (the sharp null hypothesis), everybody would have been seen as it was under any assignment that
the randomisation might have made. So an assignment moves what the experimenter gave: the label of the sequence (or
arm), the doses of each period, and the label of the treatment in each period. What belongs to the person stays:
observations with their times, periods, occasions, limits and covariates.

Times of doses are counted from the start of the period, which is the person's first row of it that is no dose, so that
a dose keeps its distance from the observations of whoever gets it.

Rosenbaum PR. Observational studies, 2nd edition. Springer, 2002. Chapter 2. doi:10.1007/978-1-4757-3692-2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pkpd.data.dataset import COLUMNS, Dataset
from pkpd.data.events import Evid
from pkpd.data.layout import short
from pkpd.errors import DataError, Finding, raise_all, suggestion

__all__ = ["Exchange", "Person"]

#: What an observation says of them.
_NOTHING: dict[str, float | str] = {
    "AMT": np.nan, "RATE": np.nan, "DUR": np.nan, "II": np.nan, "ADDL": 0, "SS": 0, "MODE": 0, "ROUTE": "", "UNIT": "",
}  # fmt: skip
_DOSES = (Evid.DOSE, Evid.RESET_DOSE)
#: Doses and their times that differ by less, relatively, are the same.
_SAME = 1e-6
#: Times that lie closer are the same.
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """The rows of one person, on a clock that runs on.

    Parameters
    ----------
    id, group : str
        Who, and which sequence or arm.
    columns, covariates : mapping of str to arrays
    start : mapping of int to float
        When each period begins.
    factor : float
        What doses are multiples of, such as the weight; 1 if they are not.
    """

    id: str
    group: str
    columns: Mapping[str, np.ndarray]
    covariates: Mapping[str, np.ndarray]
    start: Mapping[int, float]
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """A data set whose treatments can be assigned anew.

    Parameters
    ----------
    data : Dataset
    column : str
        ``"SEQUENCE"``, ``"ARM"``, or another column that is the same in all rows of a person.
    people : tuple of Person
    along : tuple of str
        Covariates that say what was given, and move with the doses of a period.
    notes : tuple of str
        What is not exact.
    """

    data: Dataset
    column: str
    people: tuple[Person, ...]
    along: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        data: Dataset,
        column: str = "SEQUENCE",
        *,
        per: str | None = None,
        along: Sequence[str] = (),
        starts: Mapping[int, float] | None = None,
    ) -> Exchange:
        """Find out who has what.

        Parameters
        ----------
        data : Dataset
        column : str
        per : str, optional
            A covariate that doses are multiples of (``"WT"`` for mg/kg): a dose is scaled to whoever gets it.
        along : sequence of str
            Covariates that say what was given.
        starts : mapping of int to float, optional
            When each period begins, the same for everybody; by default at the first row that is no dose.

        Raises
        ------
        DataError
            All that keeps assignments from being exchanged.
        """
        where, every = f"{data.origin}, {column}", {**data.columns, **data.covariates}
        found = _unknown(where, column, every, data.covariates, [*along, *([per] if per else [])])
        if found:
            raise_all(DataError, found)
        groups, found = _groups(data, column, every[column], where)
        if found:
            raise_all(DataError, found)
        people = tuple(_person(data, name, groups[name], per, starts, found) for name in data.ids)
        if found:
            raise_all(DataError, found)
        self = cls(data=data, column=column, people=people, along=tuple(along), notes=())
        found = _missing_periods(self, where)
        if found:
            raise_all(DataError, found)
        return replace(self, notes=tuple(_unlike(self)))

    @property
    def assignment(self) -> dict[str, str]:
        """The group of every person, as it was."""
        return {person.id: person.group for person in self.people}

    def given(self, assignment: Mapping[str, str]) -> Dataset:
        """Give the data set in which people have these sequences (or arms); those that keep theirs keep every row."""
        if all(assignment[person.id] == person.group for person in self.people):
            return self.data
        blocks = [
            {**person.columns, **person.covariates}
            if assignment[person.id] == person.group
            else _moved(self, person, self.donor(person, assignment[person.id]))
            for person in self.people
        ]
        merged = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return replace(
            self.data,
            columns={name: merged[name] for name in COLUMNS},
            covariates={name: merged[name] for name in self.data.covariates},
        )

    def donor(self, person: Person, group: str) -> Person:
        """Whose doses a person gets in another group: always the same person's, whoever else moves."""
        ranks = sorted(one.id for one in self.people if one.group == person.group)
        able = sorted(
            (one for one in self.people if one.group == group and set(person.start) <= set(one.start)),
            key=lambda one: one.id,
        )
        return able[ranks.index(person.id) % len(able)]


def _text(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else short(float(value))
    return str(value)


def _unknown(where: str, column: str, every: Mapping, covariates: Mapping, more: Sequence[str]) -> list[Finding]:
    wanted = [("column", column, every), *(("covariate", name, covariates) for name in more)]
    return [
        _finding(where, f"the data have no {what} `{name}`.", f"One of {', '.join(known) or 'none'}.",
                 suggestion(name, known) or "Name one of these.")
        for what, name, known in wanted
        if name not in known
    ]  # fmt: skip


def _groups(data: Dataset, column: str, values: np.ndarray, where: str) -> tuple[dict[str, str], list[Finding]]:
    """Who is in which group, and what is against it."""
    groups, found = {}, []
    ids, periods = data.columns["ID"], data.columns["PERIOD"]
    crossed = (periods != 0).any()
    for name in data.ids:
        said = list(dict.fromkeys(_text(value) for value in values[ids == name]))
        if len(said) != 1 or not said[0]:
            remedy = 'In a crossover it is sequences that people are assigned: column="SEQUENCE".'
            found.append(
                _finding(f"{where}, ID {name}", f"{column} is {' and '.join(filter(None, said)) or 'not given'}.",
                         "One value for each person: it is people who were assigned.",
                         remedy if column == "ARM" and len(said) > 1 else "Correct the column.")
            )  # fmt: skip
        elif column != "ARM" and not crossed and len(set(data.columns["ARM"][ids == name].tolist())) > 1:
            found.append(
                _finding(f"{where}, ID {name}", "ARM changes, and nothing says in which period.", "A column PERIOD.",
                         "Number the periods of each person.")
            )  # fmt: skip
        groups[name] = said[0]
    return groups, found or _sizes(groups, column, where)


def _sizes(groups: Mapping[str, str], column: str, where: str) -> list[Finding]:
    sizes = {group: list(groups.values()).count(group) for group in dict.fromkeys(groups.values())}
    if len(sizes) < 2:
        return [_finding(where, f"everybody has {column} {next(iter(sizes))}.", "Two groups at least.",
                         "Name the column that tells who was assigned what.")]  # fmt: skip
    if max(sizes.values()) == 1:
        return [_finding(where, f"every person has a {column} of its own.", "Groups of people.",
                         "Name the column of the sequences or arms.")]  # fmt: skip
    expected = "Two people at least in each: with one, what was given cannot be told from who got it."
    return [
        _finding(where, f"only one person has {column} {group}.", expected, "Leave this person out: data[[...]].")
        for group, size in sizes.items()
        if size == 1
    ]


def _person(
    data: Dataset, name: str, group: str, per: str | None, starts: Mapping[int, float] | None, found: list[Finding]
) -> Person:
    """The rows of one person; what is against moving its doses is added to `found`."""
    mine, where = data.columns["ID"] == name, f"{data.origin}, ID {name}"
    columns = {key: column[mine] for key, column in data.columns.items()}
    covariates = {key: column[mine] for key, column in data.covariates.items()}
    if np.isfinite(columns["REF"]).any() and (np.diff(columns["TIME"]) < 0).any():
        found.append(_finding(where, "TIME starts again, and REF names times.", "A clock that runs on.",
                              "Let TIME go on from one period to the next."))  # fmt: skip
    columns["TIME"] = data.clock[mine]
    rows, start = ~np.isin(columns["EVID"], _DOSES), {}
    for period in np.unique(columns["PERIOD"]).tolist():
        own = columns["PERIOD"] == period
        if starts is not None and period in starts:
            start[period] = float(starts[period])
        elif starts is not None:
            found.append(_finding(where, f"starts says nothing of period {period}.", "The start of every period.",
                                  "Add it, or leave starts out."))  # fmt: skip
        elif (own & rows).any():
            start[period] = float(columns["TIME"][own & rows][0])
        else:
            found.append(_finding(where, f"nothing was observed in period {period}.",
                                  "A row that is no dose in each period: doses keep their distance from it.",
                                  "Say when periods begin: starts={1: 0, 2: 168}."))  # fmt: skip
    said = np.ones(1) if per is None else covariates[per][np.isfinite(covariates[per])]
    if not said.size or not said[0] > 0:
        found.append(_finding(where, f"{per} is not above 0.", "What doses are multiples of.",
                              "Correct it, or leave per out."))  # fmt: skip
    factor = float(said[0]) if said.size else 1.0
    return Person(id=name, group=group, columns=columns, covariates=covariates, start=start, factor=factor)


def _missing_periods(exchange: Exchange, where: str) -> list[Finding]:
    return [
        _finding(f"{where}, ID {person.id}", f"nobody of {group} has all its periods.",
                 "Somebody whose doses this person could have been given.",
                 "Leave out the period that only this person has.")
        for person in exchange.people
        for group in dict.fromkeys(one.group for one in exchange.people)
        if not any(set(person.start) <= set(one.start) for one in exchange.people if one.group == group)
    ]  # fmt: skip


def _finding(where: str, what: str, expected: str, remedy: str) -> Finding:
    return Finding(code="assignment", where=where, what=what, expected=expected, remedy=remedy)


def _doses(person: Person) -> np.ndarray:
    """What was given, (M, 8): period, time after its start, amount and rate per factor, and how."""
    c, rows = person.columns, np.isin(person.columns["EVID"], _DOSES)
    after = c["TIME"][rows] - np.array([person.start[p] for p in c["PERIOD"][rows].tolist()])
    ways = [c[name][rows].astype(float) for name in ("DUR", "II", "ADDL", "SS")]
    amounts = [c[name][rows] / person.factor for name in ("AMT", "RATE")]
    return np.column_stack([c["PERIOD"][rows], after, *amounts, *ways])


def _unlike(exchange: Exchange) -> list[str]:
    """Say where people of one group were not given the same."""
    said = []
    for group in dict.fromkeys(person.group for person in exchange.people):
        every = [_doses(person) for person in exchange.people if person.group == group]
        first = every[0]
        if any(
            one.shape != first.shape or not np.allclose(one, first, rtol=_SAME, atol=_SAME, equal_nan=True)
            for one in every[1:]
        ):
            said.append(group)
    if not said:
        return []
    return [
        f"Doses or their times differ within {exchange.column} {', '.join(said)}: whoever is assigned there gets those "
        "of one person of it, always the same. The test is exact where what is given follows from the assignment"
        + ("." if any(person.factor != 1.0 for person in exchange.people) else ' (doses per kg: per="WT").')
    ]


def _moved(exchange: Exchange, person: Person, donor: Person) -> dict[str, np.ndarray]:
    """The rows of a person with the doses and labels of another; own doses become rows that say nothing (EVID 2)."""
    theirs, periods_of = donor.columns, np.array(list(person.start), dtype=int)
    given = np.flatnonzero(np.isin(theirs["EVID"], _DOSES) & np.isin(theirs["PERIOD"], periods_of))
    own = _without_doses(person, theirs["PERIOD"][given][theirs["EVID"][given] == Evid.RESET_DOSE])
    added = _given(person, donor, given, own)
    together = {name: np.concatenate([own[name], added[name]]) for name in own}
    rest = np.full(len(given), np.nan)
    more = {name: np.concatenate([column, rest]) for name, column in person.covariates.items()}
    for name in ("ARM", *exchange.along):
        table, source = (together, theirs) if name == "ARM" else (more, donor.covariates)
        table[name] = _of_period(source[name], theirs["PERIOD"], together["PERIOD"])
    table, source = (together, theirs) if exchange.column in theirs else (more, donor.covariates)
    table[exchange.column] = np.full(len(together["ID"]), source[exchange.column][0])
    order = _order(own, theirs, given, added)
    return {name: column[order] for name, column in {**together, **more}.items()}


def _without_doses(person: Person, reset_by_given: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of a person, doses made to say nothing; a reset stays one where the doses to come bring none."""
    own = {name: column.copy() for name, column in person.columns.items()}
    dosed = np.isin(own["EVID"], _DOSES)
    stays = (own["EVID"] == Evid.RESET_DOSE) & ~np.isin(own["PERIOD"], reset_by_given)
    own["EVID"] = np.where(stays, Evid.RESET, np.where(dosed, Evid.OTHER, own["EVID"]))
    for name, nothing in _NOTHING.items():
        own[name][dosed] = nothing
    return own


def _given(person: Person, donor: Person, given: np.ndarray, own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The doses of another, as this person would have got them."""
    added = {name: column[given].copy() for name, column in donor.columns.items()}
    periods = added["PERIOD"]
    added["TIME"] += np.array([person.start[p] - donor.start[p] for p in periods.tolist()])
    scale = person.factor / donor.factor
    added["AMT"] *= scale
    added["RATE"] = np.where(added["RATE"] > 0, added["RATE"] * scale, added["RATE"])
    reset = np.isin(periods, own["PERIOD"][own["EVID"] == Evid.RESET])
    added["EVID"] = np.where(reset, Evid.DOSE, added["EVID"])
    added["ID"], added["ROW"] = np.full(len(given), person.id), np.full(len(given), -1)
    for name in ("OCC", "SEQUENCE", "ARM"):  # of the person; what moves is set by the caller
        added[name] = _of_period(own[name], own["PERIOD"], periods)
    return added


def _order(
    own: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], given: np.ndarray, added: Mapping[str, np.ndarray]
) -> np.ndarray:
    """By time; at one time a dose stands before or after what was seen, as it did where it comes from."""
    begins = np.isin(own["EVID"], (Evid.RESET, Evid.RESET_DOSE))
    begins[1:] |= own["PERIOD"][1:] != own["PERIOD"][:-1]
    segment, near = np.cumsum(begins), []
    for period, time in zip(added["PERIOD"].tolist(), added["TIME"].tolist(), strict=True):
        same = own["PERIOD"] == period
        before = same & (own["TIME"] <= time + _CLOSE)
        near.append(segment[before].max() if before.any() else segment[same].min())
    seen = ~np.isin(theirs["EVID"], _DOSES)
    late = [
        bool((seen[:row] & (theirs["TIME"][:row] == theirs["TIME"][row])
              & (theirs["PERIOD"][:row] == theirs["PERIOD"][row])
              & (theirs["EVID"][:row] != Evid.RESET)).any())
        for row in given.tolist()
    ]  # fmt: skip
    phase = np.concatenate([np.where(own["EVID"] == Evid.RESET, -1.0, 1.0), np.where(late, 2.0, 0.0)])
    time = np.round(np.concatenate([own["TIME"], added["TIME"]]) / _CLOSE)
    return np.lexsort((np.arange(len(phase)), phase, np.concatenate([segment, np.array(near, dtype=int)]), time))


def _of_period(column: np.ndarray, periods: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of a column in each period wanted: that of its first row."""
    first = {period: column[np.flatnonzero(periods == period)[0]] for period in np.unique(periods).tolist()}
    return np.array([first[period] for period in wanted.tolist()], dtype=column.dtype)
