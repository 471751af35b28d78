"""``pkpd simulate``: doses in, table, plot and files out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from pkpd.cli.files import check_writable, whole
from pkpd.cli.screen import aligned, progress
from pkpd.errors import DataError, UnitError, UsageError, suggestion

if TYPE_CHECKING:
    from pkpd.data import Regimen
    from pkpd.model import Model
    from pkpd.simulation.outcome import Simulation

_MANY = Parameter(consume_multiple=False, negative_iterable=())
_STEPS = (1.0, 2.0, 2.5, 5.0)
_POINTS = 481
_STOPS = 60


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
    n: int | None = None,
    variability: Annotated[list[str] | None, _MANY] = None,
    seed: int | None = None,
    uncertainty: int | None = None,
    plot: Path | None = None,
    log: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    csv: Path | None = None,
    netcdf: Path | None = None,
    threads: int | None = None,
    **covariates: str,
) -> int:
    """Simulate a model under one or more dosing regimens.

    Without `--n` the typical subject is simulated. Any covariate of the model is an option of its own: `--wt 70`.

    Example: `pkpd simulate ketamine_kamp2020 --dose "0.5 mg/kg iv over 40 min" --wt 70 --until 24 --plot ket.png`

    Parameters
    ----------
    model
        A shipped model (`pkpd models` lists them) or the path of a model file.
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
    n
        Number of subjects, who differ as the model's between-subject variances say. Needs `--seed`.
    variability
        A variance of ETA between subjects in place of the model's: `--variability cl=0.09`. May be repeated; those not
        named are then 0.
    seed
        Makes the random numbers come again: any whole number.
    uncertainty
        Number of draws of the typical values, for a model whose source printed standard errors. Needs `--seed`.
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
    from pkpd import library
    from pkpd.simulation.simulate import compute
    from pkpd.simulation.source import read_source

    for path in (plot, csv, netcdf):
        if path is not None:
            check_writable(path)
    if plot is not None:
        _check_figure(plot)
    chosen = library.load(model)
    if set_:
        chosen = chosen.set(dict(_pair(text, "--set") for text in set_))
    arms = _arms(dose, chosen)
    scale = 1.0 if unit_of_time is None else _scale(unit_of_time, chosen)
    if seed is None and (n is not None or uncertainty is not None):
        raise UsageError(
            "There is no seed.",
            where="pkpd simulate",
            expected="--seed with --n or --uncertainty: it makes the random numbers come again.",
            remedy="Add --seed 1, or any other whole number.",
        )
    when = _times(until, every, times, arms, scale)
    given = _covariates(chosen, arms, covariates, covariate or [])
    with progress("Simulating") as advance:
        result = compute(
            read_source(chosen),
            arms,
            times=when * scale,
            n=n,
            seed=seed,
            uncertainty=False if uncertainty is None else uncertainty,
            variability=dict(_pair(text, "--variability") for text in variability) if variability else None,
            covariates=given,
            observe=observe,
            threads=threads,
            on_progress=advance,
        )
    shown = unit_of_time or chosen.time_unit
    if csv is not None:
        _write_csv(result, when, csv)
    if netcdf is not None or plot is not None:
        _write_labelled(result, when, shown, netcdf=netcdf, plot=plot, log=log)
    _print_summary(result, when, shown)
    for path in (csv, netcdf, plot):
        if path is not None:
            print(f"Wrote {path}", file=sys.stderr)
    return 0


# ------------------------------------------------------------------------------------------------- what was asked for


def _arms(texts: Sequence[str], model: Model) -> dict[str, Regimen]:
    from pkpd.simulation.arms import read_arms

    arms: dict[str, Regimen] = {}
    for text in texts:
        name, colon, sentence = text.partition(":")
        read = read_arms({name.strip(): sentence.strip()} if colon else text.strip(), model.time_unit)
        for arm, regimen in read.items():
            if arm in arms:
                raise UsageError(
                    f"There are two arms `{arm}`.",
                    where="--dose",
                    expected="A different name for every arm.",
                    remedy=f'Write --dose "another name: {sentence.strip() or text}".',
                )
            arms[arm] = regimen
    return arms


def _pair(text: str, option: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    number = _number(value)
    if not equals or not name.strip() or number is None:
        raise UsageError(
            f"`{text}` is not a name and a number.",
            where=option,
            expected="A name, an equals sign and a number.",
            remedy=f"Write {option} {name.strip() or 'cl'}=80.",
        )
    return name.strip(), number


def _scale(unit: str, model: Model) -> float:
    from pkpd import units

    try:
        return units.factor(unit, model.time_unit)
    except UnitError as error:
        raise UsageError(
            f"`{unit}` is no unit of time.",
            where="--unit-of-time",
            expected="s, min, h, d or wk.",
            remedy=f"Leave it out for the model's own, {model.time_unit}.",
        ) from error


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _covariates(
    model: Model, arms: dict[str, Regimen], options: dict[str, str], pairs: Sequence[str]
) -> dict[str, float]:
    per = {dose.per for regimen in arms.values() for dose in regimen if dose.per}
    known = {name.lower(): name for name in [*sorted(per), *model.covariates]}
    given = dict(_pair(text, "--covariate") for text in pairs)
    for option, text in options.items():
        name = known.get(option.replace("-", "_").lower())
        if name is None:
            raise _no_such_option(option, model, list(known.values()))
        number = _number(text)
        if number is None:
            raise UsageError(
                f"`{text}` is not a number.",
                where=f"--{option}",
                expected=f"The value of {name} as a number.",
                remedy=f"Write --{option} 70.",
            )
        if name in given:
            raise UsageError(
                f"{name} is given twice.",
                where=f"--{option}",
                expected="One value of a covariate.",
                remedy=f"Keep --{option} or --covariate {name}=.",
            )
        given[name] = number
    return given


def _no_such_option(option: str, model: Model, covariates: list[str]) -> UsageError:
    words = ("dose", "until", "every", "times", "unit-of-time", "set", "covariate", "observe", "n")
    words += ("variability", "seed", "uncertainty", "plot", "log", "csv", "netcdf", "threads")
    near = suggestion(option, [*words, *(name.lower() for name in covariates)])
    has = f"its covariates are {', '.join(covariates)}" if covariates else "it has no covariates"
    return UsageError(
        f"`--{option}` is neither an option nor a covariate of `{model.name}`.",
        where="pkpd simulate",
        expected=f"Options: {', '.join('--' + word for word in words)}; and of {model.name}, {has}.",
        remedy=near.replace("`", "`--", 1) if near else "`pkpd simulate --help` lists what it takes.",
    )


def _times(
    until: float | None, every: float | None, times: str | None, arms: dict[str, Regimen], scale: float
) -> np.ndarray:
    """Give times of observation, in the unit that the user writes; `scale` converts them to the model's."""
    if times is not None:
        if until is not None or every is not None:
            raise UsageError(
                "--times is given together with --until or --every.",
                where="pkpd simulate",
                expected="--until, with or without --every; or --times alone.",
                remedy="Leave one of them out.",
            )
        numbers = [_number(text) for text in times.split(",")]
        if None in numbers:
            raise UsageError(
                f"`{times.split(',')[numbers.index(None)]}` is not a number.",
                where="--times",
                expected="Numbers with commas between them.",
                remedy="Write --times 0,0.5,1,2,4.",
            )
        return np.array(numbers, dtype=float)
    if until is None:
        raise UsageError(
            "It is not said until when to simulate.",
            where="pkpd simulate",
            expected="--until, or --times.",
            remedy="Add --until 24.",
        )
    for name, value in (("--until", until), ("--every", every)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise DataError(
                f"{value:g} is no length of time.",
                where=name,
                expected="A number greater than 0.",
                remedy=f"Write {name} 24." if name == "--until" else "Write --every 0.5, or leave it out.",
            )
    if every is not None:
        count = int(np.floor(until / every * (1 + 1e-12) + 1e-9))
        if count > 10_000_000:
            raise DataError(
                f"{count:,} times are too many.",
                where="--every",
                expected="At most 10,000,000 times.",
                remedy="Take a longer step.",
            )
        return np.arange(count + 1) * every
    exponent = 10.0 ** np.floor(np.log10(until / _POINTS))
    step = next(s * exponent for s in (*_STEPS, 10.0) if until / (s * exponent) <= _POINTS)
    grid = [*(np.arange(int(until / step * (1 + 1e-12)) + 1) * step), until]
    # A curve has its corners where doses and infusions begin and end, and bends most just after: a plot without
    # these times cuts off its peaks.
    stops: set[float] = set()
    for regimen in arms.values():
        for single in regimen.expand() if sum(dose.n for dose in regimen) <= _STOPS else ():
            length = single.over or (single.amount / single.rate if single.rate else 0.0)
            stops |= {single.time / scale, (single.time + length) / scale}
    fine = np.arange(33) / 8 * step if len(stops) <= _STOPS else np.zeros(1)
    grid += [moment for stop in stops for moment in stop + fine]
    inside = np.unique(np.array([moment for moment in grid if 0 <= moment <= until]))
    return inside[np.r_[True, np.diff(inside) > 1e-9 * until]]


def _check_figure(path: Path) -> None:
    from pkpd.plots.save import FORMATS

    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(
            f"`{path.name}` ends in no format that a figure is written in.",
            where="--plot",
            expected="A name that ends in .png, .svg or .pdf.",
            remedy=f"Write --plot {path.stem or 'figure'}.png.",
        )


# ------------------------------------------------------------------------------------------------------ what comes out


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


def _write_labelled(
    result: Simulation, times: np.ndarray, unit: str, *, netcdf: Path | None, plot: Path | None, log: bool
) -> None:
    sim = result.labelled()
    sim = sim.assign_coords(time=("time", times, {**sim["time"].attrs, "units": unit}))
    if netcdf is not None:
        with whole(netcdf) as unfinished:
            sim.to_netcdf(unfinished, engine="h5netcdf")
    if plot is not None:
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
        plots.save(figure, plot)


def _print_summary(result: Simulation, times: np.ndarray, unit: str) -> None:
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
    print("\n".join(head) + "\n\n" + aligned(titles, rows, left=3))
