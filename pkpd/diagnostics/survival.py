"""Kaplan-Meier visual predictive check: whether events happen when the model says."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pkpd.data import Dataset, Evid
from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.records import GROUPINGS, groups_of
from pkpd.errors import UsageError
from pkpd.model.kind import Event
from pkpd.plots.labels import tick_step
from pkpd.plots.style import COLOURS, INK, figure
from pkpd.progress import stages
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["EventVPC"]

_GRID = 121
_STRATA = 4


def _events(case: Case) -> str:
    """Outputs that are hazards of events."""
    return "" if _event_outputs(case) else f"No output is a hazard of events: {', '.join(case.outputs)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVPC(Diagnostic):
    """Kaplan-Meier curves of the data, over the bands of those of events that are drawn from the model.

    Where people have several events, the mean number of events (Nelson-Aalen) takes the place of the curve. Those who
    had their event are followed to the end of the study when events are drawn; others as long as they were. Events that
    were noted at visits are drawn at visits.

    Parameters
    ----------
    seed : int
    n : int
        Data sets that are drawn.
    by : "auto", "none", "ARM", "PERIOD", "SEQUENCE", "OCC" or the name of a covariate
        A panel for each of its values.
    interval : float
        Of the bands.
    """

    title: ClassVar[str] = "Events: Kaplan-Meier visual predictive check"
    question: ClassVar[str] = "Do events happen when, and as often as, the model says?"
    needs: ClassVar = (needs.found, needs.one_for_all, needs.the_data, _events)
    source: ClassVar[str] = (
        "Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat Assoc 1958;53:457-481. "
        "doi:10.1080/01621459.1958.10501452"
    )

    seed: int
    n: int = 200
    by: str = "auto"
    interval: float = 0.95

    def __post_init__(self) -> None:
        check_seed(self.seed, why="events are drawn at random", where="EventVPC(seed=...)")
        for name, right, expected in (
            ("n", isinstance(self.n, (int, np.integer)) and self.n >= 20, "20 data sets or more."),
            ("interval", isinstance(self.interval, float) and 0 < self.interval < 1, "A share between 0 and 1."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"EventVPC({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give the curves of the data, and ends and middle of those that are drawn, on a grid of time."""
        import xarray as xr

        from pkpd.simulation.events import simulate_events

        rows = np.arange(len(case.records["DV"]))
        stratum = groups_of(case, self.by, rows) if self.by in ("auto", "none", *GROUPINGS.columns) else (
            case.covariate_groups(self.by, "EventVPC(by=...)"))  # fmt: skip
        of_person = dict(zip(case.records["ID"].tolist(), stratum.tolist()))
        curves, tail = [], (1 - self.interval) / 2
        for name in _event_outputs(case):
            seen = _Seen.of(case.data, case.records["DVID"] == name)
            end = float(seen.time.max())
            grid = np.linspace(0.0, end, _GRID)
            design, visits, repeated = seen.design(case.data), seen.at_visits, seen.repeated
            groups = list(dict.fromkeys(of_person[who] for who in seen.people))
            drawn: dict[str, list[np.ndarray]] = {group: [] for group in groups}
            with stages() as advance:
                for k in range(1, self.n + 1):
                    made = simulate_events(case.fit.model, design, seed=self.seed, replicate=k, repeated=repeated,
                                           visits=visits, threads=case.threads)  # fmt: skip
                    again = _Seen.of(made, _counted_rows(made, seen.name))
                    for group in groups:
                        mine = again.of_people([who for who in seen.people if of_person[who] == group])
                        drawn[group].append(mine.curve(grid, repeated))
                    advance("drawing events", k, self.n)
            for group in groups:
                mine = seen.of_people([who for who in seen.people if of_person[who] == group])
                low, middle, high = np.quantile(np.array(drawn[group]), [tail, 0.5, 1 - tail], axis=0)
                off = np.unique(mine.ends)
                curves.append(
                    {
                        "output": name, "stratum": group, "observed": mine.curve(grid, repeated), "time": grid,
                        "lower": low, "median": middle, "upper": high, "repeated": int(repeated),
                        "people": len(mine.people), "events": int(mine.happened.sum()),
                        "left": np.histogram(off, np.append(grid, np.inf))[0] > 0,
                    }
                )  # fmt: skip
        along = ("observed", "time", "lower", "median", "upper", "left")
        variables = {
            key: (("curve", "place") if key in along else ("curve",), np.array([one[key] for one in curves]))
            for key in curves[0]
        }
        attrs = {"n": self.n, "seed": self.seed, "interval": self.interval, "time_unit": case.time_unit}
        return xr.Dataset(variables, attrs=attrs)

    def pages(self, found: xr.Dataset) -> int:
        """One for each output and each four strata."""
        return len(_pages(found))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw the strata of an output."""
        curves = _pages(found)[page]
        columns = min(2, len(curves))
        tall = -(-len(curves) // columns)
        drawing = figure(tall, columns, width=7.0, height=3.2 * tall + 0.4, sharey=True, squeeze=False)
        for k, ax in enumerate(drawing.axes):
            if k >= len(curves):
                ax.set_visible(False)
                continue
            self._panel(ax, found.isel(curve=curves[k]))
            ax.set_ylabel(ax.get_ylabel() if k % columns == 0 else "")
        handles, labels = drawing.axes[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside upper left", ncols=3)
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and how many events were expected."""
        words, share = [], f"{100 * found.attrs['interval']:g} %"
        for k in _pages(found)[page]:
            one = found.isel(curve=k)
            who = ", ".join(filter(None, (str(one[part].item()) for part in ("output", "stratum"))))
            half, unit = one.sizes["place"] // 2, found.attrs["time_unit"]
            own, low, high = (float(one[part].values[half]) for part in ("observed", "lower", "upper"))
            outside = float(((one["observed"] < one["lower"]) | (one["observed"] > one["upper"])).mean())
            words.append(
                f"{who}: {int(one['events'])} events of {int(one['people'])} people; half-way, at "
                f"{float(one['time'].values[half]):.4g} {unit}, the curve is at {own:.3g} ({low:.3g} to {high:.3g} in "
                f"drawn data), and it lies outside its band over {100 * outside:.0f} % of the time."
            )
        kind = "Mean numbers of events (Nelson-Aalen)" if found["repeated"].values.any() else "Kaplan-Meier curves"
        return f"{kind} of the data (line, with ticks where people left) over the {share} bands. {' '.join(words)}"

    def _panel(self, ax: Axes, one: xr.Dataset) -> None:
        from matplotlib.ticker import MultipleLocator

        time, unit = one["time"].values, str(one.attrs["time_unit"])
        ax.fill_between(time, one["lower"].values, one["upper"].values, color=COLOURS["blue"], alpha=0.25, linewidth=0,
                        label=f"{100 * one.attrs['interval']:g} % of drawn data")  # fmt: skip
        ax.plot(time, one["median"].values, color=COLOURS["blue"], linewidth=1.2, label="median of drawn data")
        ax.step(time, one["observed"].values, where="post", color=INK, linewidth=1.5, label="data")
        left = one["left"].values
        ax.plot(time[left], one["observed"].values[left], linestyle="none", marker="|", markersize=6, color=INK)
        ax.set_ylim(bottom=0.0, top=None if one["repeated"].item() else 1.03)
        ax.set_xlabel(f"time ({unit})" if unit else "time")
        ax.set_ylabel("events of a person" if one["repeated"].item() else "share without an event")
        if one["stratum"].item():
            ax.set_title(textwrap.fill(str(one["stratum"].item()), 40))
        step = tick_step(float(np.ptp(time)), unit)
        if step is not None:
            ax.xaxis.set_major_locator(MultipleLocator(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The records of the events of one output.

    Parameters
    ----------
    name : str
        What the data call the output.
    person, time, happened, noted : (m,) array
        Who; when; whether an event happened there; whether it happened some time before (CENS).
    people : tuple of str
    begins : dict of str to float
        When the follow-up of each begins.
    """

    name: str
    person: np.ndarray
    time: np.ndarray
    happened: np.ndarray
    noted: np.ndarray
    people: tuple[str, ...]
    begins: dict[str, float]

    @classmethod
    def of(cls, data: Dataset, mine: np.ndarray) -> _Seen:
        """Read those of the counted observations that `mine` (n,) names."""
        columns, clock = data.columns, data.clock
        rows = np.flatnonzero((columns["EVID"] == Evid.OBSERVATION) & (columns["MDV"] == 0))[mine]
        person = columns["ID"][rows]
        _, first = np.unique(columns["ID"], return_index=True)
        begins = {str(columns["ID"][k]): float(clock[k]) for k in first}
        start = np.array([begins[who] for who in person])
        return cls(
            name=str(columns["DVID"][rows[0]]) if rows.size else "", person=person, time=clock[rows] - start,
            happened=columns["DV"][rows] == 1, noted=columns["CENS"][rows] == 1,
            people=tuple(dict.fromkeys(person.tolist())), begins=begins,
        )  # fmt: skip

    @property
    def repeated(self) -> bool:
        """Whether somebody had more than one event."""
        _, many = np.unique(self.person[self.happened], return_counts=True)
        return bool((many > 1).any())

    @property
    def at_visits(self) -> bool:
        """Whether events were noted at visits."""
        return bool(self.noted.any())

    @property
    def ends(self) -> np.ndarray:
        """When those who had no event last were seen for the last time."""
        _, last = np.unique(self.person[::-1], return_index=True)
        final = self.person.size - 1 - last
        return self.time[final][~self.happened[final]]

    def of_people(self, names: list[str]) -> _Seen:
        """Give the records of some."""
        mine = np.isin(self.person, names)
        return replace(self, person=self.person[mine], time=self.time[mine], happened=self.happened[mine],
                       noted=self.noted[mine], people=tuple(names))  # fmt: skip

    def curve(self, grid: np.ndarray, repeated: bool) -> np.ndarray:
        """Give the Kaplan-Meier curve at the times of a grid, or the mean number of events."""
        _, last = np.unique(self.person[::-1], return_index=True)
        until = np.sort(self.time[::-1][last])
        when, many = np.unique(self.time[self.happened], return_counts=True)
        at_risk = until.size - np.searchsorted(until, when, side="left")
        share = many / np.maximum(at_risk, 1)
        steps = np.cumsum(share) if repeated else np.cumprod(1 - share)
        start = 0.0 if repeated else 1.0
        return np.concatenate([[start], steps])[np.searchsorted(when, grid, side="right")]

    def design(self, data: Dataset) -> Dataset:
        """Give the data with a follow-up in the place of events: to the end of the study for those who had theirs."""
        columns, covariates = data.columns, data.covariates
        own = (columns["EVID"] == Evid.OBSERVATION) & (columns["MDV"] == 0) & (columns["DVID"] == self.name)
        study_end, visits = float(self.time.max()), np.unique(self.time)
        last_of, new = {}, []
        for row in np.flatnonzero(own):
            last_of[str(columns["ID"][row])] = row
        for who, row in last_of.items():
            mine = self.person == who
            until = study_end if self.happened[mine][-1] and not self.repeated else float(self.time[mine].max())
            planned = visits[visits <= until] if self.at_visits else np.array([until])
            planned = np.unique(np.concatenate([self.time[mine & (self.time <= until)], planned])) if (
                self.at_visits) else planned  # fmt: skip
            new += [(row, time + self.begins[who]) for time in planned]
        kept = np.flatnonzero(~own)
        source = np.concatenate([kept, [row for row, _ in new]]).astype(int)
        made = {name: column[source].copy() for name, column in columns.items()}
        added = np.arange(kept.size, source.size)
        shift = data.clock[source] - columns["TIME"][source]
        made["TIME"][added] = np.array([time for _, time in new]) - shift[added]
        made["DV"][added], made["CENS"][added], made["ROW"][added] = 0.0, 0, -1
        place = {who: k for k, who in enumerate(data.ids)}
        order = np.lexsort(
            (np.arange(source.size), made["TIME"], np.array([place[who] for who in made["ID"].tolist()]))
        )
        return replace(data, columns={name: column[order] for name, column in made.items()},
                       covariates={name: column[source][order] for name, column in covariates.items()})  # fmt: skip


def _event_outputs(case: Case) -> list[str]:
    return [name for name, output in case.outputs.items() if isinstance(output.kind, Event)]


def _counted_rows(data: Dataset, name: str) -> np.ndarray:
    columns = data.columns
    counted = (columns["EVID"] == Evid.OBSERVATION) & (columns["MDV"] == 0)
    return columns["DVID"][counted] == name


def _pages(found: xr.Dataset) -> list[list[int]]:
    pages: list[list[int]] = []
    outputs: Any = found["output"].values.tolist()
    for name in dict.fromkeys(outputs):
        own = [k for k, output in enumerate(outputs) if output == name]
        pages += [own[k : k + _STRATA] for k in range(0, len(own), _STRATA)]
    return pages
