"""What a fit.toml says: the question, the data, the candidates, and everything that is asked of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pkpd.errors import Finding, FitFileError, raise_all, suggestion
from pkpd.project.strict import read_table

__all__ = [
    "Assumption",
    "Attribution",
    "Candidate",
    "Case",
    "Exposure",
    "Plan",
    "Scenario",
    "Sensitivity",
    "WhatIf",
    "read_toml",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The data file.

    Parameters
    ----------
    file
        CSV file in the folder; the columns are those of :func:`pkpd.read_data`.
    units
        Unit of each column that has one.
    assumed
        Covariates that the file does not have, the same for every row.
    group
        Columns that together name a curve of the figures, such as ``["ARM", "PERIOD"]``.
    label
        Column that names a row in tables, and its unit as shown.
    mark, source
        Columns that say how well a value is known, and where it comes from; for tables only.
    """

    file: str
    units: dict[str, str] = field(default_factory=dict)
    assumed: dict[str, float] = field(default_factory=dict)
    group: tuple[str, ...] = ("ID",)
    label: str = "TIME"
    label_text: str = "time"
    mark: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A choice of the rows that count: those whose column has one of the values."""

    title: str
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is assumed of the standard deviation between people, where none is published.

    Parameters
    ----------
    sd
        In the unit of the observations, the same for every row.
    others
        Other values under which every interval is given as well.
    why
        Where the assumption comes from.
    """

    sd: float
    why: str
    unit: str = "%"
    others: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The estimator, :class:`pkpd.Pooled`, and its settings."""

    method: Literal["leastsq", "least_squares"] = "leastsq"
    starts: int = 1
    spread: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model and what of it is estimated.

    Parameters
    ----------
    file
        Model file in the folder, or the name of a shipped model.
    title
        Its name in tables and legends.
    free, fix
        Parameters that are estimated, or held at a value, other than the model file says.
    start
        Where the search begins.
    routes
        The model's name for a route of the data, where it has another.
    explains, fails
        What it can and cannot explain, for the comparison.
    compare
        Whether it takes part in the comparison; one that does not serves a sensitivity analysis or a what-if.
    """

    file: str
    title: str
    short: str = ""
    free: tuple[str, ...] = ()
    fix: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    explains: str = ""
    fails: str = ""
    compare: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fit of a sensitivity analysis: a candidate, changed."""

    name: str
    free: tuple[str, ...] = ()
    fix: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    rows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Fits that differ in one thing.

    Parameters
    ----------
    name
        Name of its table.
    candidate
        The candidate that is changed; the chosen one when left out.
    attribute
        Whether the attribution is asked of each case: not, at the best fit only, or with profile intervals.
    show
        Parameters whose estimates are listed.
    """

    name: str
    title: str
    caption: str
    cases: tuple[Case, ...]
    candidate: str = ""
    attribute: Literal["no", "point", "interval"] = "no"
    show: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """The curve that the question is about: one subject between two times."""

    subject: str
    until: float
    start: float = 0.0
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """How much of a change is due to a drug: the same, had its doses not been given.

    Parameters
    ----------
    drug
        Its name.
    remove
        Routes whose doses are taken away.
    times, labels
        When it is asked, in the model's time unit, and the words for these times.
    """

    drug: str
    remove: tuple[str, ...]
    times: tuple[float, ...]
    labels: tuple[str, ...]
    level: float = 0.95
    other: str = "everything else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Regimens that are compared: text by name. Simulated with the chosen candidate, or another one."""

    name: str
    title: str
    arms: dict[str, str]
    until: float
    caption: str = ""
    candidate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is asked of the chosen model for other regimens.

    Parameters
    ----------
    own
        Name of the model that holds the score with the drug's own part alone.
    hold
        Parameters held at their estimates, because the data do not determine them.
    target, target_text
        The score below which it is low enough, and the words for it; how long it stays there is reported.
    candidates
        Other candidates that are shown for comparison.
    """

    own: str
    target: float
    target_text: str
    scenarios: tuple[Scenario, ...]
    hold: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    covariates: dict[str, float] = field(default_factory=dict)
    draws: int = 400
    interval: float = 0.9
    step: float = 1.0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Concentrations of shipped models at given times, beside what an effect would need."""

    name: str
    caption: str
    dose: str
    models: tuple[str, ...]
    output: str
    unit: str
    times: tuple[float, ...]
    needed: float
    needed_text: str
    covariates: dict[str, float] = field(default_factory=dict)
    title: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One line of the table of assumptions."""

    what: str
    why: str
    tested: str
    if_wrong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What a person writes for the report; each may be left out."""

    answer: str = ""
    consequence: str = ""
    data: str = ""
    model: str = ""
    structure: str = ""
    fit: str = ""
    comparison: str = ""
    attribution: str = ""
    identifiability: str = ""
    limits: str = ""
    analysis_plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole fit.toml.

    Parameters
    ----------
    title, question, context
        What is asked, and of what use the answer would be.
    model, rows
        The chosen candidate and choice of rows.
    observe
        The output that was observed.
    seed
        Of everything that is left to chance.
    hold
        Patterns of parameters that no candidate estimates, such as ``"ketamine.*"``.
    """

    title: str
    question: str
    model: str
    rows: str
    observe: str
    seed: int
    data: Data
    spread: Spread
    row_sets: dict[str, Rows]
    candidates: dict[str, Candidate]
    focus: Focus
    context: str = ""
    hold: tuple[str, ...] = ()
    search: Search = field(default_factory=Search)
    attribution: Attribution | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    what_if: WhatIf | None = None
    exposure: tuple[Exposure, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    text: Texts = field(default_factory=Texts)

    @classmethod
    def of(cls, table: dict[str, Any]) -> Plan:
        """Make a plan of what a fit.toml says.

        Raises
        ------
        FitFileError
            It says something that has no meaning; all findings are listed.
        """
        findings: list[Finding] = []
        plan = read_table(cls, table, "fit.toml", findings)
        if plan is not None:
            findings += plan.findings("fit.toml")
        if plan is None or findings:
            raise_all(FitFileError, findings)
        return plan

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a fit.toml; see :meth:`of`."""
        return cls.of(read_toml(path))

    def findings(self, where: str) -> list[Finding]:
        """Everything that does not fit together."""
        found: list[Finding] = []

        def one_of(name: str, known: Iterable[str], place: str) -> None:
            names = list(known)
            if name not in names:
                found.append(
                    Finding(
                        code="unknown-name",
                        where=f"{where}, {place}",
                        what=f"there is no `{name}`.",
                        expected=f"One of: {', '.join(names) or 'none'}.",
                        remedy=suggestion(name, names) or "Name one of these.",
                    )
                )

        one_of(self.model, self.candidates, "model")
        one_of(self.rows, self.row_sets, "rows")
        for sensitivity in self.sensitivity:
            place = f"sensitivity `{sensitivity.name}`"
            one_of(sensitivity.candidate or self.model, self.candidates, place)
            for case in sensitivity.cases:
                one_of(case.rows or self.rows, self.row_sets, f"{place}, case `{case.name}`")
        if self.what_if is not None:
            for name in self.what_if.candidates:
                one_of(name, self.candidates, "what_if.candidates")
            for scenario in self.what_if.scenarios:
                one_of(scenario.candidate or self.model, self.candidates, f"what_if, scenario `{scenario.name}`")
        if self.attribution is not None and len(self.attribution.labels) != len(self.attribution.times):
            found.append(
                Finding(
                    code="length",
                    where=f"{where}, attribution",
                    what=f"{len(self.attribution.times)} times have {len(self.attribution.labels)} labels.",
                    expected="One label for each time.",
                )
            )
        for sd in (self.spread.sd, *self.spread.others):
            if not sd > 0:
                found.append(
                    Finding(code="sd", where=f"{where}, spread", what=f"the SD is {sd:g}.", expected="More than 0.")
                )
        return found


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    FitFileError
        There is none, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FitFileError(
            "there is no fit.toml.",
            where=str(path.parent),
            expected="A folder with fit.toml and the data that it names.",
            remedy="Check the path; `pkpd new` makes a folder.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FitFileError(f"the file cannot be read: {error}.", where=str(path), remedy="Check the file.") from error
    except tomllib.TOMLDecodeError as error:
        raise FitFileError(f"this is not TOML: {error}.", where=str(path), remedy="Correct the line.") from error
