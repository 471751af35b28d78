"""A folder whose fit.toml compares candidates and asks what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pkpd.project.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.estimation import Fit
    from pkpd.project.analysis import Analysis
    from pkpd.reporting.content import Content

__all__ = ["Comparison", "Progress"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A study as a piece of work for :func:`pkpd.project.run`."""

    study: Study

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.study.folder

    @property
    def file(self) -> str:
        """The data file, in the folder."""
        return self.study.plan.data.file

    def check(self) -> None:
        """Raise what is wrong before anything is fitted."""
        self.study.check()

    def models(self) -> str:
        """A hash of every candidate, and of the models whose concentrations are shown."""
        from pkpd import library

        digest = hashlib.sha256()
        for key, candidate in self.study.plan.candidates.items():
            digest.update(f"{key} {self.study.model(candidate).hash}\n".encode())
        for exposure in self.study.plan.exposure:
            for name in exposure.models:
                digest.update(f"{name} {library.load(name).hash}\n".encode())
        return digest.hexdigest()

    def perform(self, inputs: dict[str, str], progress: Progress | None) -> tuple[xr.DataTree, Content, str]:
        """Fit all candidates and answer all questions."""
        from pkpd.project.analysis import analyse
        from pkpd.project.result import lay_out
        from pkpd.project.story import tell

        analysis = analyse(self.study, progress)
        provenance = {"folder": self.folder.name, "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), **inputs}
        return lay_out(analysis), tell(analysis, provenance), _summary(analysis)

    def misses(self, tree: xr.DataTree) -> list[str]:
        """None: a comparison states no reference numbers."""
        return []

    def refit(self) -> Fit:
        """The chosen candidate, fitted again."""
        return self.study.fit(self.study.plan.model).fit


def _summary(analysis: Analysis) -> str:
    from pkpd.project.story.words import share_sentence

    plan, chosen = analysis.study.plan, analysis.chosen
    time, depth = analysis.lowest[plan.model]
    lines = [plan.title, str(chosen.fit), ""]
    unit = chosen.model.time_unit
    lines.append(f"{plan.focus.title}: lowest at {time:.0f} {unit}, {depth:.1f} {plan.spread.unit}.")
    if plan.attribution is not None:
        sds = sorted((plan.spread.sd, *plan.spread.others))
        lines += [
            share_sentence(plan.attribution.drug, share, plan.attribution.level, sds, plan.spread.sd).replace("**", "")
            for share in analysis.shares[plan.model]
        ]
    for key, why in analysis.failures.items():
        lines.append(f"Candidate {key} failed: {why}")
    return "\n".join(lines)
