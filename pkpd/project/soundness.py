"""Whether a plan, its data and its models go together, before any work is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pkpd.errors import Finding, suggestion

if TYPE_CHECKING:
    from pkpd.project.study import Study

__all__ = ["findings"]


def findings(study: Study) -> list[Finding]:
    """Everything that a plan names and that is not there."""
    plan, found = study.plan, []
    columns = list(study.table)
    model = study.model(plan.candidates[plan.model])

    def known(name: str, names: Iterable[str], place: str, what: str) -> None:
        listed = list(dict.fromkeys(names))
        if name not in listed:
            found.append(
                Finding(
                    code="unknown-name",
                    where=f"fit.toml, {place}",
                    what=f"there is no {what} `{name}`.",
                    expected=f"One of: {', '.join(listed) or 'none'}.",
                    remedy=suggestion(name, listed) or "Name one of these.",
                )
            )

    named = [*plan.data.group, plan.data.label, *(n for n in (plan.data.mark, plan.data.source) if n)]
    for name in (*named, "ID", "TIME", "DV", "AMT"):
        known(name, columns, "data", "column")
    for key, rows in plan.row_sets.items():
        for name in rows.where:
            known(name, columns, f"row_sets.{key}", "column")
    if not found:
        known(plan.focus.subject, (str(cell) for cell in study.table["ID"]), "focus", "subject")
        for key in plan.row_sets:
            if not study.counts(key).any():
                found.append(
                    Finding(
                        code="no-rows",
                        where=f"fit.toml, row_sets.{key}",
                        what="no observation is chosen.",
                        expected="At least one row with a DV.",
                        remedy="Check the column and its values.",
                    )
                )
    known(plan.observe, model.outputs, "observe", f"output of {model.name}")
    if plan.attribution is not None and "ROUTE" in columns:
        given = [cell for cell in study.table["ROUTE"] if cell is not None]
        for route in plan.attribution.remove:
            known(route, given, "attribution.remove", "dose by")
    if plan.what_if is not None:
        known(
            plan.what_if.own,
            (*model.outputs, *model.states, *model.known_names),
            "what_if.own",
            f"name in {model.name}",
        )
        for name in plan.what_if.hold:
            known(name, model.parameters, "what_if.hold", f"parameter of {model.name}")
    return found
