"""``pkpd simulate``: doses in, table, plot and files out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from pkpd.cli.arguments import (
    arms_of,
    check_different,
    check_figure,
    covariates_of,
    pair,
    scale_of,
    source_of,
    times_of,
    whole_number,
)
from pkpd.cli.files import check_writable, whole
from pkpd.cli.screen import aligned, stages
from pkpd.errors import UsageError

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.simulation.outcome import Simulation

_MANY = Parameter(consume_multiple=False, negative_iterable=())
_WHOLE = Parameter(converter=whole_number)


def simulate(
    model: str,
    /,
    *,
    dose: Annotated[list[str], Parameter(allow_leading_hyphen=True), _MANY],
    until: float | None = None,
    every: float | None = None,
    times: str | None = None,
    unit_of_time: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set"), _MANY] = None,
    covariate: Annotated[list[str] | None, _MANY] = None,
    observe: Annotated[list[str] | None, _MANY] = None,
    target: Annotated[list[str] | None, _MANY] = None,
    n: Annotated[int | None, _WHOLE] = None,
    variability: Annotated[list[str] | None, _MANY] = None,
    seed: Annotated[int | None, _WHOLE] = None,
    uncertainty: Annotated[int | None, _WHOLE] = None,
    plot: Path | None = None,
    log: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    csv: Path | None = None,
    netcdf: Path | None = None,
    threads: Annotated[int | None, _WHOLE] = None,
    **covariates: str,
) -> int:
    """Simulate a model under one or more dosing regimens.

    Without `--n` the typical subject is simulated. Any covariate of the model is an option of its own: `--wt 70`.

    Example: `pkpd simulate ketamine_kamp2020 --dose "0.5 mg/kg iv over 40 min" --wt 70 --until 24 --plot ket.png`

    Parameters
    ----------
    model
        A shipped model (`pkpd models` lists them), the path of a model file, or of a fit that was saved (.nc).
    dose
        What is given, as text: `"35 mg iv over 40 min"`. Several are several arms; a name may stand before a colon:
        `--dose "slow: 35 mg iv over 100 min"`.
    until
        Simulate from 0 to this time.
    every
        Step between the times. Left out: a round step, finer just after doses and infusions.
    times
        Times in place of `--until` and `--every`, with commas between: `--times 0,0.5,1,2,4`.
    unit_of_time
        Unit of `--until`, `--every`, `--times` and of the times that are written: s, min, h, d, wk. Left out: the
        model's.
    set_
        Another typical value: `--set cl=80`. May be repeated.
    covariate
        A covariate by name: `--covariate WT=70`, the same as `--wt 70`. May be repeated.
    observe
        An output, state or computed name to show in place of all outputs. May be repeated.
    target
        Say when a target is met and for how long: `--target "cp > 0.05"`. May be repeated.
    n
        Number of subjects, who differ as the model's between-subject variances say. Needs `--seed`.
    variability
        A variance of ETA between subjects in place of the model's: `--variability cl=0.09`. May be repeated; those not
        named are then 0.
    seed
        Makes the random numbers come again: any whole number.
    uncertainty
        Number of draws of the typical values, for a fit, or a model whose source printed standard errors. Needs
        `--seed`.
    plot
        Draw to this file: .png, .svg or .pdf.
    log
        Draw with a logarithmic axis.
    csv
        Write the values to this file: ARM, DRAW (if there are several), ID, TIME and a column for each output.
    netcdf
        Write the labelled arrays, with units, to this file.
    threads
        Threads to compute with. The numbers do not depend on it.
    covariates
        Covariates of the model, in its units: `--wt 70`.
    """
    from pkpd.simulation.simulate import compute

    check_different({"--csv": csv, "--netcdf": netcdf, "--plot": plot})
    for path in (plot, csv, netcdf):
        if path is not None:
            check_writable(path)
    if plot is not None:
        check_figure(plot)
    source = source_of(model, dict(pair(text, "--set") for text in set_ or []), drawn=uncertainty is not None)
    chosen = source.model
    arms = arms_of(dose, chosen)
    scale = 1.0 if unit_of_time is None else scale_of(unit_of_time, chosen)
    if seed is None and (n is not None or uncertainty is not None):
        raise UsageError(
            "There is no seed.",
            where="pkpd simulate",
            expected="--seed with --n or --uncertainty: it makes the random numbers come again.",
            remedy="Add --seed 1, or any other whole number.",
        )
    when = times_of(until, every, times, arms, scale)
    given = covariates_of(chosen, arms, covariates, covariate or [])
    with stages() as advance:
        result = compute(
            source,
            arms,
            times=when * scale,
            n=n,
            seed=seed,
            uncertainty=False if uncertainty is None else uncertainty,
            variability=dict(pair(text, "--variability") for text in variability) if variability else None,
            covariates=given,
            observe=observe,
            threads=threads,
            on_progress=lambda done, total: advance("simulating subjects", done, total),
        )
    shown = unit_of_time or chosen.time_unit
    sim = _labelled(result, when, shown) if target or netcdf is not None or plot is not None else None
    # The targets come before the files: a wrong one leaves nothing behind.
    told = [_told(sim, text, shown) for text in target or () if sim is not None]
    if csv is not None:
        _write_csv(result, when, csv)
    if sim is not None and netcdf is not None:
        with whole(netcdf) as unfinished:
            sim.to_netcdf(unfinished, engine="h5netcdf")
    if sim is not None and plot is not None:
        _draw(result, sim, plot, log=log)
    print("\n\n".join([_summary(result, when, shown), *told]))
    for path in (csv, netcdf, plot):
        if path is not None:
            print(f"Wrote {path}", file=sys.stderr)
    return 0


def _write_csv(result: Simulation, times: np.ndarray, path: Path) -> None:
    import csv

    draws = result.cohort.draws > 1
    head = ["ARM", *(["DRAW"] if draws else []), "ID", "TIME", *result.names]
    clock = [f"{moment:.10g}" for moment in times]
    with whole(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        for a, arm in enumerate(result.arms):
            for d in range(result.cohort.draws):
                for s in range(result.cohort.subjects):
                    lead = [arm, *([d + 1] if draws else []), s + 1]
                    rows = result.values[a, d, s].tolist()
                    table.writerows([*lead, moment, *(f"{v:.10g}" for v in row)] for moment, row in zip(clock, rows))


def _labelled(result: Simulation, times: np.ndarray, unit: str) -> xr.Dataset:
    """Give the labelled arrays with times in the unit that the user writes."""
    sim = result.labelled()
    return sim.assign_coords(time=("time", times, {**sim["time"].attrs, "units": unit}))


def _draw(result: Simulation, sim: xr.Dataset, path: Path, *, log: bool) -> None:
    from pkpd import plots

    # In one column panels share the axis of time; from four on they would be a tower.
    columns = 1 if len(result.names) <= 3 else 2
    rows = -(-len(result.names) // columns)
    figure = plots.figure(rows, columns, width=7.0 * columns, height=0.6 + 3.2 * rows, squeeze=False)
    for index, axes in enumerate(figure.axes):
        if index >= len(result.names):
            axes.set_visible(False)
            continue
        title = result.model.title if index == 0 else None
        # One key for all panels, at the right edge.
        key = index == columns - 1 or len(result.names) == 1
        plots.bands(sim[result.names[index]], ax=axes, log=log, title=title, legend=key)
        if index < len(result.names) - columns:
            axes.set_xlabel("")
    plots.save(figure, path)


def _told(sim: xr.Dataset, target: str, unit: str) -> str:
    """Say when a target is met and for how long, by arm."""
    from pkpd.simulation import sustain

    found = sustain(sim, target)
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


def _summary(result: Simulation, times: np.ndarray, unit: str) -> str:
    cohort = result.cohort
    head = [f"{result.model.name}: {result.model.title}" if result.model.title else result.model.name]
    if str(cohort.covariates):
        head.append(f"Covariates: {cohort.covariates}")
    who = "typical subject" if cohort.draws * cohort.subjects == 1 else f"median of {cohort.subjects} subjects"
    if cohort.draws > 1:
        who = f"median of {cohort.draws} draws" + (f" of {cohort.subjects} subjects" if cohort.subjects > 1 else "")
    held = "" if cohort.uncertainty == "none" else f" ({cohort.uncertainty}, seed {cohort.seed})"
    head.append(f"Values: {who}{held}")
    head += cohort.notes
    rows = []
    for a, arm in enumerate(result.arms):
        for o, name in enumerate(result.names):
            values = np.median(result.values[a, ..., o].reshape(-1, len(times)), axis=0)
            top, low = int(np.argmax(values)), int(np.argmin(values))
            _, measure = result.describe(name)
            numbers = [values[top], times[top], values[low], times[low], values[-1]]
            rows.append([arm, name, "" if measure == "1" else measure, *(f"{number:.4g}" for number in numbers)])
    titles = ["arm", "output", "unit", "highest", f"at {unit}", "lowest", f"at {unit}", f"last ({times[-1]:g} {unit})"]
    return "\n".join(head) + "\n\n" + aligned(titles, rows, left=3)
