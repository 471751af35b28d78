"""Influence: on whom the estimates rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.recalled import recalled
from pkpd.estimation.leave_one_out import leave_one_out
from pkpd.plots.points import points
from pkpd.plots.style import COLOURS, INK, QUIET, figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["Influence"]

#: People up to whom leaving each one out is done when asked for; for more it is asked for by its own name.
_PEOPLE = 30
#: What the objective of everybody may rise by before it is told: the end of a 95 % interval of one quantity.
_LINE = 3.84
#: People from whom on not everyone has its name on the axis; quantities of a heat map.
_NAMED = 40


def few_people(case: Case) -> str:
    """Fits without each subject; or few people, so that they can be made."""
    if "leave_one_out" in case.fit.tree.children or needs.found(case) or needs.population(case):
        return ""
    people = case.fit["etas"].sizes["subject"] if "etas" in case.fit.tree.children else 0
    if people >= _PEOPLE:
        return (
            f"There are {people} subjects, and without each the others are fitted again: ask for it once, fit = "
            "pkpd.leave_one_out(fit, fit.data)."
        )
    if people < 3:
        return f"There {'is 1 subject' if people == 1 else f'are {people} subjects'}: without one nobody differs."
    return recalled(case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence(Diagnostic):
    """What becomes of the estimates when one subject is left out, for every subject.

    Displacement: how much the objective of everybody rises at the estimates of the others (Cook 1986); above 3.84 they
    lie outside the 95 % interval of a single quantity. Cook's distance: the same from second derivatives at the
    estimates, over the number of quantities. Fits that the fit holds (:func:`pkpd.leave_one_out`) are taken as they
    are; below 30 subjects they are made.
    """

    title: ClassVar[str] = "Influence of single subjects"
    question: ClassVar[str] = "On whom do the estimates rest?"
    needs: ClassVar = (needs.found, needs.population, few_people)
    source: ClassVar[str] = (
        "Cook RD. Detection of influential observation in linear regression. Technometrics 1977;19:15-18. "
        "doi:10.1080/00401706.1977.10489493. Cook RD. Assessment of local influence. J R Stat Soc B 1986;48:133-169. "
        "doi:10.1111/j.2517-6161.1986.tb01398.x"
    )

    def compute(self, case: Case) -> xr.Dataset:
        """Give displacement and Cook's distance of every subject, and moves of the estimates in standard errors."""
        fit = case.fit
        if "leave_one_out" not in fit.tree.children:
            fit = leave_one_out(fit, case.data)
        group = fit["leave_one_out"]
        kept = ["displacement", "cook", "change", "value", "held_out", "held_in", "status", "message"]
        found = group[kept].copy()
        found["estimate"] = ("parameter", fit.estimates["value"].sel(parameter=group["parameter"].values).values)
        found.attrs = {"line": _LINE, "people": len(case.data.ids)}
        return found

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw the displacement of every subject, and below how far each estimate moves."""
        count, rows = found.sizes["subject"], found.sizes["parameter"]
        moves = bool(np.isfinite(found["change"].values).any())
        drawing = figure(1 + moves, 1, width=7.0, height=2.6 + moves * (1.1 + 0.24 * min(rows, 25)), sharex=True,
                         **({"height_ratios": [2.2, 0.9 + 0.24 * min(rows, 25)]} if moves else {}))  # fmt: skip
        self._displacement(drawing.axes[0], found)
        last = drawing.axes[-1]
        if moves:
            table = found["change"].values.T
            reach = float(max(1.0, np.nanmax(np.abs(table))))
            drawn = last.imshow(table, cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
            last.set_yticks(range(rows), found["parameter"].values.tolist(), fontsize=8 if rows <= 25 else 5)
            last.grid(visible=False)
            drawing.colorbar(drawn, ax=last, pad=0.01, label="move of the\nestimate (SE)")
            if count <= 15 and rows <= 15:
                for i, j in np.ndindex(rows, count):
                    if abs(table[i, j]) >= 0.25:
                        last.text(j, i, f"{table[i, j]:+.1f}", ha="center", va="center", fontsize=7,
                                  color="white" if abs(table[i, j]) > 0.7 * reach else INK)  # fmt: skip
        if count <= _NAMED:
            last.set_xticks(range(count), found["subject"].values.tolist(), fontsize=8 if count <= 25 else 6.5,
                            rotation=0 if count <= 20 else 90)  # fmt: skip
            last.set_xlabel("subject left out")
        else:
            last.set_xlabel("subject left out, in the order of the data")
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say who moves the estimates most, and which."""
        names, displacement, change = (found[n].values for n in ("subject", "displacement", "change"))
        parameters = found["parameter"].values
        words = [
            "Each subject left out in turn: how much -2 log L of everybody rises at the estimates of the others "
            f"(line: {_LINE}), and below how far each estimate moves, in standard errors."
        ]
        order = np.argsort(np.where(np.isfinite(displacement), -displacement, np.inf), kind="stable")

        def told(k: int) -> str:
            said = f"ID {names[k]} ({displacement[k]:.2f}"
            if np.isfinite(found["cook"].values[k]):
                said += f", Cook's distance {found['cook'].values[k]:.2f}"
            if np.isfinite(change[k]).any():
                most = int(np.nanargmax(np.abs(change[k])))
                said += f"; {parameters[most]} moves by {change[k, most]:+.2f} SE"
            return f"{said})"

        above = [k for k in order.tolist() if displacement[k] > _LINE]
        if above:
            more = f" and {len(above) - 5} more" if len(above) > 5 else ""
            words.append(f"Above the line: {', '.join(told(k) for k in above[:5])}{more}.")
        else:
            words.append(f"Nobody is above the line; most moves {told(int(order[0]))}.")
        failed = names[~np.isfinite(displacement)].tolist()
        if failed:
            words.append(f"Without these the others could not be fitted: {', '.join(failed)}.")
        missing = int(found.attrs["people"]) - len(names)
        if missing > 0:
            words.append(f"{missing} subjects were not left out.")
        return " ".join(words)

    def _displacement(self, ax: Axes, found: xr.Dataset) -> None:
        displacement, names = found["displacement"].values, found["subject"].values
        x, above = np.arange(len(displacement)), displacement > _LINE
        ax.vlines(x, 0, np.nan_to_num(displacement), color=QUIET, linewidth=1.0 if len(x) <= 100 else 0.4)
        labels = [f"ID {who}: {value:.2f}" for who, value in zip(names, displacement)]
        for these, colour in ((~above, COLOURS["blue"]), (above, COLOURS["vermilion"])):
            points(ax, x.astype(float), np.where(these, displacement, np.nan), colour=colour, size=26.0, labels=labels,
                   cells=False)  # fmt: skip
        ax.axhline(_LINE, color=INK, linewidth=0.9, linestyle="--")
        top = max(1.15 * _LINE, 1.15 * np.nanmax(np.append(displacement, 0.0)))
        ax.text(
            1.0, _LINE + 0.01 * top, f"{_LINE}", ha="right", va="bottom", fontsize=8, transform=ax.get_yaxis_transform()
        )
        first = np.argsort(np.where(np.isfinite(displacement), -displacement, np.inf), kind="stable")[:8]
        for k in first.tolist():
            if above[k]:
                ax.annotate(f"ID {names[k]}", (float(x[k]), displacement[k]), xytext=(4, 3), textcoords="offset points",
                            fontsize=8, color=INK)  # fmt: skip
        ax.set_ylim(min(0.0, 1.1 * np.nanmin(np.append(displacement, 0.0))), top)
        ax.set_ylabel("displacement (-2 log L)")
