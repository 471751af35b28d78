"""Data that were simulated: the values from which they were drawn, beside what a fit makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import Finding, suggestion

if TYPE_CHECKING:
    from pkpd.estimation import Fit
    from pkpd.reporting.content import Section

__all__ = ["Truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Says that the data were simulated, and from what.

    Parameters
    ----------
    label
        Stands at the top of the report: who drew the data, how, and that nobody was observed.
    value
        The values behind the data, by parameter; names with a point are quoted: ``"iiv.cl"``.
    text
        What the comparison shows, and what it cannot.
    """

    label: str
    value: dict[str, float] = field(default_factory=dict)
    text: str = ""

    def findings(self, names: list[str]) -> list[Finding]:
        """Find the names that the fit does not have."""
        return [
            Finding(
                code="unknown-name",
                where="fit.toml, [truth]",
                what=f"the fit has no `{name}`.",
                expected=f"Some of: {', '.join(names)}.",
                remedy=suggestion(name, names),
            )
            for name in self.value
            if name not in names
        ]

    def section(self, fit: Fit) -> Section:
        """Give the section of the report: estimates beside the values from which the data were drawn."""
        from pkpd.reporting.content import Column, Paragraph, Section, Table

        rows, missed = [], []
        for name, true in self.value.items():
            row = fit.estimates.sel(parameter=name)
            value, lower, upper = (float(row[key].item()) for key in ("value", "lower", "upper"))
            known = np.isfinite(lower) and np.isfinite(upper)
            inside = known and lower <= true <= upper
            if known and not inside:
                missed.append(len(rows))
            error = 100 * (value - true) / abs(true) if true else None
            rows.append((name, str(row["unit"].item()), true, value, error, lower, upper,
                         "yes" if inside else "NO" if known else "no interval"))  # fmt: skip
        level = str(fit.attrs["interval"]).partition(" ")[0]
        table = Table(
            name="truth",
            caption="The values from which the data were drawn, and what the fit makes of them.",
            columns=(
                Column(name="parameter", kind="text"),
                Column(name="unit", kind="name"),
                Column(name="truth", digits=4),
                Column(name="estimate", digits=4),
                Column(name="off by, %", digits=2),
                Column(name="from", digits=4),
                Column(name="to", digits=4),
                Column(name="truth inside", kind="name"),
            ),
            rows=tuple(rows),
            strong=tuple(missed),
            notes=(f"From, to: {level} % interval ({fit.attrs['interval']}).",),
        )
        held = sum(row[-1] == "yes" for row in rows)
        said = f"{held} of {len(rows)} intervals hold the truth; of {level} % intervals about {level} in 100 should."
        blocks = (Paragraph(said), table, *((Paragraph(self.text),) if self.text else ()))
        return Section(title="How well the truth was recovered", blocks=blocks)
