"""Individual fits: everybody's observations, and the curves that the model lays through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pkpd.data import Evid
from pkpd.diagnostics import needs
from pkpd.diagnostics.dense import dose_times, individual_values, make_grid
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import even_grid
from pkpd.diagnostics.records import labelled, measured, measured_outputs, records_of, span, unit_text
from pkpd.errors import UsageError, suggestion
from pkpd.plots.labels import plain_log, tick_step
from pkpd.plots.points import points
from pkpd.plots.style import COLOURS, INK, QUIET
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["IndividualFits"]

_COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class IndividualFits(Diagnostic):
    """Everybody's observations with individual and typical predictions on a fine grid of times, some people a page.

    Scores, counts and changes in percent are predicted at their records alone, and lines join these.

    Parameters
    ----------
    output : str, optional
        One output; left out, all that were measured.
    per_page : int
        People on a page.
    axes : "shared" or "free"
        Whether all people have the same axes.
    log : bool
        Logarithmic axis of the observations; what is not above 0 is then not shown.
    """

    title: ClassVar[str] = "Individual fits"
    question: ClassVar[str] = "Does the model follow every single person?"
    needs: ClassVar = (needs.found, needs.predictions, measured, needs.the_data)

    output: str | None = None
    per_page: int = 12
    axes: Literal["shared", "free"] = "shared"
    log: bool = False

    def __post_init__(self) -> None:
        for name, right, expected in (
            ("per_page", isinstance(self.per_page, (int, np.integer)) and 1 <= self.per_page <= 60, "1 to 60 people."),
            ("axes", self.axes in ("shared", "free"), 'One of "shared", "free".'),
            ("log", isinstance(self.log, bool), "True or False."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"IndividualFits({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give the records, everybody's curves, and the times of doses."""
        known = measured_outputs(case)
        if self.output is not None and self.output not in known:
            raise UsageError(
                f"output is {self.output!r}.", where="IndividualFits(output=...)",
                expected=f"One of {', '.join(known)}.",
                remedy=suggestion(self.output, known) or "Leave it out for all.",
            )  # fmt: skip
        outputs = known if self.output is None else [self.output]
        found = records_of(case, ("DV", "PRED", "IPRED", "IWRES"), by="auto", outputs=outputs)
        columns, rows = case.data.columns, found["record"].values
        counted = (columns["EVID"] == Evid.OBSERVATION) & (columns["MDV"] == 0)
        found["x"] = ("record", case.data.clock[counted][rows], {"long_name": "time", "units": case.time_unit})
        lines = self._lines(case, found, outputs)
        for name, column in lines.items():
            found[f"line_{name}"] = ("line", column)
        who, when = dose_times(case.population.problem.events)
        subjects = np.array(case.population.problem.subjects)
        found["dose_id"], found["dose_time"] = ("dose", subjects[who]), ("dose", when)
        found["subject"] = ("subject", subjects)
        ids = columns["ID"]
        arms = {str(name): str(arm) for name, arm in zip(ids, columns["ARM"])}
        found["arm"] = ("subject", np.array([arms[name] for name in subjects.tolist()]))
        found.attrs["one_curve"] = int(np.array_equal(lines["ipred"], lines["pred"], equal_nan=True))
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each so many people, of each output."""
        return len(self._pages(found))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw some people: observations, IPRED, PRED, and doses."""
        name, people = self._pages(found)[page]
        lot = len(people)
        columns = 1 if lot == 1 else 2 if lot in (2, 4) else _COLUMNS
        drawing, axes = even_grid(lot, columns=columns, height=3.6 if columns == 1 else 2.6 if columns == 2 else 2.15)
        whole = _of_output(found, name)
        unit = _unit(whole)
        common = self._limits(whole) if self.axes == "shared" else None
        for k, (ax, who) in enumerate(zip(axes, people)):
            own = _of_subject(whole, who)
            self._panel(ax, own, common or self._limits(own))
            arm = found["arm"].values[found["subject"].values == who][0]
            ax.set_title(f"ID {who}{f', {arm}' if arm else ''}", fontsize=9)
            if k >= lot - columns:
                ax.set_xlabel(f"time{unit_text(str(found.attrs['time_unit']))}")
            if k % columns == 0:
                ax.set_ylabel(f"{name}{unit_text(unit)}")
        _legend(drawing, found, whole)
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say who is shown, and whom the model follows worst."""
        name, people = self._pages(found)[page]
        own = _of_output(found, name)
        curves = (
            "the prediction (line)" if found.attrs["one_curve"]
            else "individual predictions, IPRED (line) and typical predictions, PRED (dashes)"
        )  # fmt: skip
        shown = f"ID {people[0]}" if len(people) == 1 else f"{len(people)} subjects, ID {people[0]} to {people[-1]}"
        words = [f"{name}, {shown}: observations (points) and {curves}."]
        if np.isin(found["dose_id"].values, people).any():
            words.append("Marks below are doses.")
        ids, left, censored = own["ID"].values, own["IWRES"].values, own["CENS"].values
        here = np.isin(ids, people)
        if (here & censored).any():
            words.append(f"Rings: {int((here & censored).sum())} censored records, at their limit.")
        seen = here & np.isfinite(left)
        if seen.any():
            names, place = np.unique(ids[seen], return_inverse=True)
            size = np.sqrt(np.bincount(place, left[seen] ** 2) / np.bincount(place))
            worst = int(np.argmax(size))
            words.append(
                f"The model follows ID {names[worst]} worst: the root of its mean squared IWRES is {size[worst]:.2f} "
                f"(1 is expected{f'; median here {np.median(size):.2f}' if len(size) > 1 else ''})."
            )
        if self.log and (hidden := int((here & ~(own["DV"].values > 0)).sum())):
            words.append(f"{hidden} observations that are not above 0 have no place on a logarithmic axis.")
        return " ".join(words)

    def _pages(self, found: xr.Dataset) -> list[tuple[str, list[str]]]:
        pages = []
        for name in str(found.attrs["outputs"]).split("\n"):
            seen = set(found["ID"].values[found["DVID"].values == name].tolist())
            people = [who for who in found["subject"].values.tolist() if who in seen]
            pages += [(name, people[k : k + self.per_page]) for k in range(0, len(people), self.per_page)]
        return pages

    def _lines(self, case: Case, found: xr.Dataset, outputs: list[str]) -> dict[str, np.ndarray]:
        """Curves, as points in a row: whose, of which output, when, IPRED and PRED."""
        problem, individual, typical = individual_values(case)
        names, subjects = list(problem.model.outputs), np.array(problem.subjects)
        changes = np.isfinite(problem.observations.ref)
        moved = {names[k] for k in np.unique(problem.observations.output[changes])}
        smooth = [name for name in outputs if case.outputs[name].kind is None and name not in moved]
        parts: list[dict[str, np.ndarray]] = []
        if smooth:
            grid = make_grid(problem, 101, sorted(names.index(name) for name in smooth))
            known = np.asarray(np.isfinite(individual).all(axis=1))
            stand_in = np.where(known[:, None], individual, typical if np.isfinite(typical).all() else 1.0)
            ipred, _ = grid.predict(stand_in, threads=case.threads)
            pred = ipred if typical is individual else grid.predict(typical, threads=case.threads)[0]
            ipred, pred = np.where(known[grid.subject], ipred, np.nan), np.where(known[grid.subject], pred, np.nan)
            parts.append({"id": subjects[grid.subject], "output": np.array(names)[grid.output], "x": grid.time,
                          "ipred": ipred, "pred": pred})  # fmt: skip
        rows = ~np.isin(found["DVID"].values, smooth)
        if rows.any() or not parts:
            parts.append({"id": found["ID"].values[rows], "output": found["DVID"].values[rows],
                          "x": found["x"].values[rows], "ipred": found["IPRED"].values[rows],
                          "pred": found["PRED"].values[rows]})  # fmt: skip
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _limits(self, own: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
        y = np.concatenate([own["DV"].values, own["line_ipred"].values, own["line_pred"].values])
        x = np.concatenate([own["x"].values, own["line_x"].values])
        if self.log:
            seen = own["DV"].values[own["DV"].values > 0]
            floor = seen.min() / 3 if seen.size else 0.0
            y = y[y > max(floor, 0.0)]
        return span(x, logarithmic=False), span(y, logarithmic=self.log)

    def _panel(self, ax: Axes, own: xr.Dataset, limits: tuple[tuple[float, float], tuple[float, float]]) -> None:
        from matplotlib.ticker import MultipleLocator

        ax.set_xlim(limits[0])
        ax.set_ylim(limits[1])
        if self.log:
            plain_log(ax, "y")
        x, order = own["line_x"].values, np.argsort(own["line_x"].values, kind="stable")
        many: Any = {"marker": "."} if len(x) == 1 else {}
        if not own.attrs["one_curve"]:
            ax.plot(x[order], own["line_pred"].values[order], color=COLOURS["orange"], linewidth=1.2,
                    linestyle=(0, (4, 1.5)), zorder=1.5, **many)  # fmt: skip
        ax.plot(x[order], own["line_ipred"].values[order], color=COLOURS["blue"], linewidth=1.5, zorder=1.8, **many)
        points(ax, own["x"].values, own["DV"].values, colour=INK, hollow=own["CENS"].values, labels=labelled(own),
               size=13.0, cells=False)  # fmt: skip
        doses = own["dose_time"].values
        if doses.size:
            ax.plot(doses, np.zeros(len(doses)), linestyle="none", marker=6, markersize=5, color=QUIET, clip_on=False,
                    transform=ax.get_xaxis_transform(), zorder=3)  # fmt: skip
        step = tick_step(limits[0][1] - limits[0][0], str(own.attrs["time_unit"]))
        if step is not None:
            wide = 2 if (limits[0][1] - limits[0][0]) / step > 4.5 else 1
            ax.xaxis.set_major_locator(MultipleLocator(wide * step))


def _of_output(found: xr.Dataset, name: str) -> xr.Dataset:
    return found.isel(
        record=np.flatnonzero(found["DVID"].values == name), line=np.flatnonzero(found["line_output"].values == name)
    )


def _of_subject(found: xr.Dataset, who: str) -> xr.Dataset:
    own: Any = {
        "record": np.flatnonzero(found["ID"].values == who),
        "line": np.flatnonzero(found["line_id"].values == who),
        "dose": np.flatnonzero(found["dose_id"].values == who),
    }
    return found.isel(own)


def _unit(own: xr.Dataset) -> str:
    units = np.unique(own["UNIT"].values.astype(str))
    return tidy(str(units[0])) if len(units) == 1 else ""


def _legend(drawing: Figure, found: xr.Dataset, own: xr.Dataset) -> None:
    from matplotlib.lines import Line2D

    one = bool(found.attrs["one_curve"])
    handles = [Line2D([], [], color=INK, marker="o", markersize=4, linestyle="none", label="observation")]
    if own["CENS"].values.any():
        handles.append(Line2D([], [], color=INK, marker="o", markersize=4, linestyle="none", markerfacecolor="none",
                              label="censored, at the limit"))  # fmt: skip
    handles.append(Line2D([], [], color=COLOURS["blue"], linewidth=1.5, label="prediction" if one else "IPRED"))
    if not one:
        handles.append(Line2D([], [], color=COLOURS["orange"], linewidth=1.2, linestyle=(0, (4, 1.5)), label="PRED"))
    if found.sizes.get("dose", 0):
        handles.append(Line2D([], [], color=QUIET, marker=6, markersize=5, linestyle="none", label="dose"))
    drawing.legend(handles=handles, loc="upper left", ncols=len(handles), handletextpad=0.4)
