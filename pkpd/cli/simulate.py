"""``pkpd simulate``: doses in, table, plot and files out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pkpd.cli import results
from pkpd.cli.arguments import (
    arms_of,
    check_different,
    check_figure,
    check_least,
    covariates_of,
    pair,
    scale_of,
    source_of,
    times_of,
    whole_number,
)
from pkpd.cli.files import check_writable
from pkpd.cli.screen import stages
from pkpd.errors import UsageError

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
    residual: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    plot: Path | None = None,
    log: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    csv: Path | None = None,
    to: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    threads: Annotated[int | None, _WHOLE] = None,
    device: str = "cpu",
    **covariates: str,
) -> int:
    """Simulate a model under one or more dosing regimens.

    Without `--n` the typical subject is simulated. Any covariate of the model is an option of its own: `--wt 70`.

    Example: `pkpd simulate ketamine_kamp2020 --dose "0.5 mg/kg iv over 40 min" --wt 70 --until 24 --plot ket.png`

    Parameters
    ----------
    model
        A shipped model (`pkpd models` lists them), the path of a model file, of a fit that was saved (.nc), or of the
        folder of a fit (`fits/ketamine_fatigue`).
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
    residual
        Draw observations, too: beside every output `cp` stands `cp_observed`, with residual error. Needs `--seed`.
    plot
        Draw to this file: .png, .svg or .pdf.
    log
        Draw with a logarithmic axis.
    csv
        Write the values to this file: ARM, DRAW (if there are several), ID, TIME and a column for each output.
    to
        Write the labelled arrays, with units, to this file while they are computed: .nc (netCDF) or .zarr (Zarr). A
        simulation may be larger than memory; what is printed is then read back from a part of it.
    overwrite
        Let `--to` take the place of an earlier simulation.
    threads
        Threads to compute with. The numbers do not depend on it.
    device
        Where to compute: cpu, or cuda for an NVIDIA GPU, which needs the extra `gpu`. It pays for many subjects.
    covariates
        Covariates of the model, in its units: `--wt 70`.
    """
    from pkpd.simulation.setting import prepare
    from pkpd.simulation.simulate import compute
    from pkpd.simulation.size import check_memory
    from pkpd.simulation.stream import check_target, stream
    from pkpd.simulation.target import Target

    check_different({"--csv": csv, "--to": to, "--plot": plot})
    check_least("--n", n, 1, example=100)
    check_least("--uncertainty", uncertainty, 2, example=100)
    check_least("--threads", threads, 1, example=2)
    if device != "cpu":
        from pkpd.engine.cuda import check_device

        check_device(device, "--device")
    for path in (plot, csv):
        if path is not None:
            check_writable(path)
    if plot is not None:
        check_figure(plot)
    if to is not None:
        check_target(to, overwrite=overwrite)
    elif overwrite:
        raise UsageError(
            "There is nothing to overwrite.",
            where="--overwrite",
            expected="--to, the file that may be overwritten: --csv and --plot always are.",
            remedy="Add --to sim.nc, or leave it out.",
        )
    source = source_of(model, dict(pair(text, "--set") for text in set_ or []), drawn=uncertainty is not None)
    chosen = source.model
    arms = arms_of(dose, chosen)
    scale = 1.0 if unit_of_time is None else scale_of(unit_of_time, chosen)
    if seed is None and (n is not None or uncertainty is not None or residual):
        raise UsageError(
            "There is no seed.",
            where="pkpd simulate",
            expected="--seed with --n, --uncertainty or --residual: it makes the random numbers come again.",
            remedy="Add --seed 1, or any other whole number.",
        )
    when = times_of(until, every, times, arms, scale)
    setting = prepare(
        source,
        arms,
        times=when * scale,
        n=n,
        seed=seed,
        uncertainty=False if uncertainty is None else uncertainty,
        variability=dict(pair(text, "--variability") for text in variability) if variability else None,
        covariates=covariates_of(chosen, arms, covariates, covariate or []),
        observe=observe,
        shown=(when, unit_of_time or chosen.time_unit),
        residual=residual,
    )
    for text in target or ():
        Target.read(text, setting.names)
    if to is not None and plot is not None:
        check_memory(setting, where="--plot", remedy=f"Leave out --plot, and draw a part of {to} afterwards.")
    with stages() as advance, ExitStack() as held:

        def tell(done: int, total: int) -> None:
            if done < total:
                advance("simulating subjects", done, total)

        if to is None:
            made = results.in_memory(compute(setting, threads=threads, device=device, on_progress=tell))
        else:
            sim = held.enter_context(stream(setting, to, threads=threads, device=device, on_progress=tell))
            made = results.in_file(setting, sim)
        told = [results.told(made.labelled(), text) for text in target or ()]
        if csv is not None:
            results.write_csv(made, csv)
        if plot is not None:
            results.draw(made, plot, log=log)
        summary = results.summary(made)
    print("\n\n".join([summary, *told]))
    for path in (csv, to, plot):
        if path is not None:
            print(f"Wrote {path}", file=sys.stderr)
    return 0
