"""A folder with one fit: one model, one data set, one estimator."""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pkpd.errors import Finding, FitFileError, PkpdError, raise_all, suggestion
from pkpd.project.references import Reference, compare, estimable, findings, section, summary
from pkpd.project.strict import read_table
from pkpd.project.truth import Truth

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation import Estimator, Fit
    from pkpd.model import Model
    from pkpd.project.comparison import Progress
    from pkpd.reporting.content import Content

__all__ = ["Single", "SinglePlan", "estimators"]


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
        ``name`` is that of an estimator, such as ``"FOCE"``; the other keys are its fields. ``"none"`` stands for
        None.
    question
        What is asked; stands at the top of the report.
    text
        What a reader should know beforehand; stands below the question.
    start
        Starting values by parameter, where they are not the model's; names with a point are quoted: ``"iiv.cl"``.
    fixed
        Parameters that are not estimated.
    intervals
        ``"profile"`` or ``"wald"``: how the confidence intervals of a population fit are made. Left out, they are
        profile intervals where there are fewer than 30 subjects.
    reference
        Numbers from elsewhere that the fit is held to.
    truth
        Says that the data were simulated, and from what.
    """

    title: str
    model: str
    data: SingleData
    estimator: dict[str, Any]
    question: str = ""
    text: str = ""
    start: dict[str, float] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    intervals: Literal["", "wald", "profile"] = ""
    reference: tuple[Reference, ...] = ()
    truth: Truth | None = None


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
        found: list[Finding] = []
        plan = read_table(SinglePlan, table, "fit.toml", found)
        estimator = None if plan is None else _estimator(plan.estimator, found)
        if plan is None or estimator is None or found:
            raise_all(FitFileError, found)
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
        from pkpd.estimation import Individual
        from pkpd.estimation.recall import can_be_recalled
        from pkpd.likelihood import make_problem

        model = self.model()
        if self.plan.intervals == "profile" and not can_be_recalled(self.estimator):
            raise FitFileError(
                f"{self.plan.estimator['name']} has no objective of a population that could be profiled.",
                where="fit.toml, intervals",
                expected='"wald", or an estimator of a population: FO, FOCE, Laplace, Quadrature or SAEM.',
                remedy="Leave out `intervals`.",
            )
        raise_all_if_any(findings(self.plan.reference, model, alone=isinstance(self.estimator, Individual)))
        raise_all_if_any(self.plan.truth.findings(estimable(model)) if self.plan.truth else [])
        make_problem(model, self.data())

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
        found = self._with_intervals(self.refit(), progress)
        held = compare(found, self.plan.reference)
        content = describe(found)
        opening = [
            Paragraph(text)
            for text in (
                f"**Simulated data.** {self.plan.truth.label}" if self.plan.truth else "",
                f"**{self.plan.question}**" if self.plan.question else "",
                self.plan.text,
            )
        ]
        first = content.sections[0]
        first = replace(first, blocks=(*(p for p in opening if p.text), *first.blocks))
        beside = (section(self.plan.reference, held),) if held else ()
        beside += (self.plan.truth.section(found),) if self.plan.truth else ()
        content = replace(content, title=self.plan.title, sections=(first, *beside, *content.sections[1:]))
        said = "\n".join(filter(None, (self.plan.title, str(found), summary(held))))
        return found.tree.copy(), content, said

    def _with_intervals(self, found: Fit, progress: Progress | None) -> Fit:
        """Put profile intervals in the place of Wald's, if they are asked for or people are few."""
        from pkpd.estimation.few import FEW, is_wald, people
        from pkpd.estimation.intervals import with_profiles
        from pkpd.estimation.recall import can_be_recalled

        able, asked = can_be_recalled(self.estimator), self.plan.intervals
        if asked == "wald" or not able or not (asked or (people(found) < FEW and is_wald(found))):
            return found
        if progress is not None:
            progress("profile intervals", 0, 1)
        return with_profiles(found, self.data(), level=getattr(self.estimator, "level", 0.95))

    def misses(self, tree: xr.DataTree) -> list[str]:
        """Say which reference numbers a result does not reproduce."""
        from pkpd.estimation import Fit

        return [str(one) for one in compare(Fit(tree=tree), self.plan.reference) if not one.holds]


def estimators() -> dict[str, Any]:
    """Every estimator that a fit.toml can name."""
    from pkpd import estimation

    exported: dict[str, Any] = {name: getattr(estimation, name) for name in estimation.__all__}
    return {name: made for name, made in exported.items() if is_dataclass(made) and hasattr(made, "handles")}


def raise_all_if_any(found: list[Finding]) -> None:
    """Raise findings together, if there are any."""
    if found:
        raise_all(FitFileError, found)


def _estimator(table: dict[str, Any], found: list[Finding]) -> Estimator | None:
    known = estimators()
    settings = dict(table)
    name = settings.pop("name", None)
    if name not in known:
        found.append(
            Finding(
                code="unknown-name",
                where="fit.toml, [estimator]",
                what="`name` is missing." if name is None else f"there is no estimator `{name}`.",
                expected=f"One of: {', '.join(known)}.",
                remedy=suggestion(str(name), known) or "Name one of these.",
            )
        )
        return None
    try:
        return read_table(known[name], settings, "fit.toml, [estimator]", found)
    except PkpdError as error:
        found.append(
            Finding(
                code="value",
                where=f"fit.toml, [estimator], {error.where or name}",
                what=error.what,
                expected=error.expected,
                remedy=error.remedy,
            )
        )
        return None
