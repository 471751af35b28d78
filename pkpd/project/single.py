"""A folder with one fit: one model, one data set, one estimator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.errors import Finding, FitFileError, raise_all, suggestion
from pkpd.project.strict import read_table

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation import Estimator, Fit
    from pkpd.model import Model
    from pkpd.project.comparison import Progress
    from pkpd.reporting.content import Content

__all__ = ["Single", "SinglePlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleData:
    """The data file.

    Parameters
    ----------
    file
        CSV file in the folder; the columns are those of :func:`pkpd.read_data`.
    units
        Unit of each column that has one.
    carry
        Which value of a covariate holds between two rows: ``"nocb"`` or ``"locf"``.
    """

    file: str
    units: dict[str, str] = field(default_factory=dict)
    carry: str = "nocb"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePlan:
    """A fit.toml with one fit.

    Parameters
    ----------
    title
        Heads the report.
    model
        A model file of the folder (ends in ``.toml``), or the name of a shipped model.
    estimator
        ``name`` is that of an estimator, such as ``"Individual"``; the other keys are its fields.
    question
        What is asked; stands at the top of the report.
    text
        What a reader should know beforehand; stands below the question.
    start
        Starting values by parameter, where they are not the model's.
    fixed
        Parameters that are not estimated.
    """

    title: str
    model: str
    data: SingleData
    estimator: dict[str, Any]
    question: str = ""
    text: str = ""
    start: dict[str, float] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """A folder and what its fit.toml asks for. See :class:`pkpd.project.run.Work`."""

    folder: Path
    plan: SinglePlan
    estimator: Estimator

    @classmethod
    def open(cls, folder: Path, table: dict[str, Any]) -> Single:
        """Read the plan.

        Raises
        ------
        FitFileError
            With everything in it that has no meaning.
        """
        findings: list[Finding] = []
        plan = read_table(SinglePlan, table, "fit.toml", findings)
        estimator = None if plan is None else _estimator(plan.estimator, findings)
        if plan is None or estimator is None or findings:
            raise_all(FitFileError, findings)
        return cls(folder=folder, plan=plan, estimator=estimator)

    def model(self) -> Model:
        """The model of the plan."""
        from pkpd import library

        return library.load(self.folder / self.plan.model if self.plan.model.endswith(".toml") else self.plan.model)

    def data(self) -> Dataset:
        """The data of the plan."""
        from pkpd.data import read_data

        return read_data(self.folder / self.plan.data.file, units=self.plan.data.units, carry=self.plan.data.carry)

    def check(self) -> None:
        """Raise what is wrong before anything is fitted."""
        from pkpd.likelihood import make_problem

        make_problem(self.model(), self.data())

    @property
    def file(self) -> str:
        """The data file, in the folder."""
        return self.plan.data.file

    def models(self) -> str:
        """The hash of the model."""
        return self.model().hash

    def refit(self) -> Fit:
        """Fit what the plan asks for."""
        from pkpd.estimation import fit

        return fit(self.model(), self.data(), self.estimator, start=self.plan.start or None, fixed=self.plan.fixed)

    def perform(self, inputs: dict[str, str], progress: Progress | None) -> tuple[xr.DataTree, Content, str]:
        """Fit and describe."""
        from pkpd.reporting.content import Paragraph
        from pkpd.reporting.report import describe

        if progress is not None:
            progress("fitting", 0, 1)
        found = self.refit()
        content = describe(found)
        opening = [
            Paragraph(text) for text in (f"**{self.plan.question}**" if self.plan.question else "", self.plan.text)
        ]
        first = content.sections[0]
        first = replace(first, blocks=(*(p for p in opening if p.text), *first.blocks))
        content = replace(content, title=self.plan.title, sections=(first, *content.sections[1:]))
        return found.tree.copy(), content, f"{self.plan.title}\n{found}"


def _estimator(table: dict[str, Any], findings: list[Finding]) -> Estimator | None:
    from pkpd import estimation

    known = {"Individual": estimation.Individual, "Pooled": estimation.Pooled}
    settings = dict(table)
    name = settings.pop("name", None)
    if name not in known:
        findings.append(
            Finding(
                code="unknown-name",
                where="fit.toml, [estimator]",
                what="`name` is missing." if name is None else f"there is no estimator `{name}`.",
                expected=f"One of: {', '.join(known)}.",
                remedy=suggestion(str(name), known) or "Name one of these.",
            )
        )
        return None
    return read_table(known[name], settings, "fit.toml, [estimator]", findings)
