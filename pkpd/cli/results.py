"""What ``pkpd simulate`` makes of a simulation: a table of values, targets, a figure, a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.cli.files import whole
from pkpd.cli.screen import aligned

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.simulation.outcome import Simulation
    from pkpd.simulation.setting import Setting

# People of a file of whom the table of values is made: their median is as good as that of all.
_PEOPLE_READ = 10_000
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A simulation, in memory or in a file.

    Parameters
    ----------
    setting : Setting
    read : callable
        Gives the values of an observable in some ``(arm, draws, subjects)``: shape (d, n, T).
    labelled : callable
        Gives the labelled arrays.
    notes : str
    most : int
        How many people to read for a table.
    """

    setting: Setting
    read: Callable[[str, tuple[int, slice, slice]], np.ndarray]
    labelled: Callable[[], xr.Dataset]
    notes: str
    most: int


def in_memory(result: Simulation) -> Made:
    """Give a simulation that was computed into memory."""
    cohort = result.setting.cohort
    return Made(
        setting=result.setting,
        read=lambda name, where: result.values[name][where],
        labelled=result.labelled,
        notes="\n".join((*cohort.notes, *result.notes)),
        most=cohort.draws * cohort.subjects,
    )


def in_file(setting: Setting, sim: xr.Dataset) -> Made:
    """Give a simulation that was written to a file."""
    return Made(
        setting=setting,
        read=lambda name, where: sim[name][where].values,
        labelled=lambda: sim,
        notes=sim.attrs.get("notes", ""),
        most=_PEOPLE_READ,
    )


def write_csv(made: Made, path: Path) -> None:
    """Write ARM, DRAW (if there are several), ID, TIME and a column for each observable."""
    import csv

    setting = made.setting
    several = setting.cohort.draws > 1
    head = ["ARM", *(["DRAW"] if several else []), "ID", "TIME", *setting.names]
    clock = [f"{moment:.10g}" for moment in setting.shown_times]
    step = max(_ROWS_AT_ONCE // len(clock), 1)
    with whole(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        for a, arm in enumerate(setting.arms):
            for d in range(setting.cohort.draws):
                for first in range(0, setting.cohort.subjects, step):
                    where = (a, slice(d, d + 1), slice(first, first + step))
                    block = np.stack([made.read(name, where)[0] for name in setting.names], axis=-1).tolist()
                    for s, rows in enumerate(block, start=first + 1):
                        lead = [arm, *([d + 1] if several else []), s]
                        table.writerows([*lead, t, *(f"{v:.10g}" for v in row)] for t, row in zip(clock, rows))


def draw(made: Made, path: Path, *, log: bool) -> None:
    """Draw every observable, with bands where people or draws differ."""
    from pkpd import plots

    names, sim = made.setting.names, made.labelled()
    # In one column panels share the axis of time; from four on they would be a tower.
    columns = 1 if len(names) <= 3 else 2
    rows = -(-len(names) // columns)
    figure = plots.figure(rows, columns, width=7.0 * columns, height=0.6 + 3.2 * rows, squeeze=False)
    for index, axes in enumerate(figure.axes):
        if index >= len(names):
            axes.set_visible(False)
            continue
        title = made.setting.model.title if index == 0 else None
        # One key for all panels, at the right edge.
        key = index == columns - 1 or len(names) == 1
        plots.bands(sim[names[index]], ax=axes, log=log, title=title, legend=key)
        if index < len(names) - columns:
            axes.set_xlabel("")
    plots.save(figure, path)


def told(sim: xr.Dataset, target: str) -> str:
    """Say when a target is met and for how long, by arm."""
    from pkpd.simulation import sustain

    found = sustain(sim, target)
    unit = str(sim["time"].attrs["units"])
    rows = []
    for arm in found["arm"].values:
        own = found.sel(arm=arm)
        met = np.isfinite(own["start"].values)
        share = f"{100 * met.mean():.3g} %" if met.size > 1 else "yes" if met.all() else "no"
        start, first, total = (own[name].values[met] for name in ("start", "duration", "total"))
        numbers = [f"{np.median(values):.4g}" if met.any() else "–" for values in (start, first, total)]
        still = f"{100 * own['open'].values.mean():.3g} %" if met.size > 1 else "yes" if own["open"].all() else "no"
        rows.append([str(arm), share, *numbers, still])
    middle = "median " if found["start"].size > len(rows) else ""
    titles = ["arm", "met", f"{middle}first at ({unit})", f"{middle}lasts ({unit})", f"{middle}in all ({unit})"]
    return f"Target {found.attrs['target']}\n" + aligned([*titles, "met at the end"], rows, left=1)


def summary(made: Made) -> str:
    """Give the highest, lowest and last value of every observable in every arm: medians of the people."""
    setting, cohort = made.setting, made.setting.cohort
    times, unit, model = setting.shown_times, setting.shown_unit, setting.model
    draws = slice(0, min(cohort.draws, made.most))
    subjects = slice(0, min(cohort.subjects, max(made.most // draws.stop, 1)))
    head = [f"{model.name}: {model.title}" if model.title else model.name]
    if str(cohort.covariates):
        head.append(f"Covariates: {cohort.covariates}")
    held = "" if cohort.uncertainty == "none" else f" ({cohort.uncertainty}, seed {cohort.seed})"
    head.append(f"Values: {_whose(setting, draws.stop, subjects.stop)}{held}")
    if made.notes:
        head.append(made.notes)
    rows = []
    for a, arm in enumerate(setting.arms):
        for name in setting.names:
            values = np.median(made.read(name, (a, draws, subjects)).reshape(-1, len(times)), axis=0)
            top, low = int(np.argmax(values)), int(np.argmin(values))
            _, measure = setting.describe(name)
            numbers = [values[top], times[top], values[low], times[low], values[-1]]
            rows.append([arm, name, "" if measure == "1" else measure, *(f"{number:.4g}" for number in numbers)])
    titles = ["arm", "output", "unit", "highest", f"at {unit}", "lowest", f"at {unit}", f"last ({times[-1]:g} {unit})"]
    return "\n".join(head) + "\n\n" + aligned(titles, rows, left=3)


def _whose(setting: Setting, draws: int, subjects: int) -> str:
    """Say whose values stand in the table, of which so many draws and subjects were read."""
    cohort = setting.cohort

    def counted(read: int, there: int, what: str) -> str:
        return f"{there:,} {what}" if read == there else f"the first {read:,} of {there:,} {what}"

    if cohort.draws * cohort.subjects == 1:
        return "typical subject"
    if cohort.draws == 1:
        return f"median of {counted(subjects, cohort.subjects, 'subjects')}"
    of = f" of {counted(subjects, cohort.subjects, 'subjects')}" if cohort.subjects > 1 else ""
    return f"median of {counted(draws, cohort.draws, 'draws')}{of}"
