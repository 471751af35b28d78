"""Models and regimens become labelled arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import DataError, UsageError
from pkpd.progress import stages
from pkpd.simulation.blocks import Contrast, compute_blocks
from pkpd.simulation.outcome import Simulation
from pkpd.simulation.setting import Setting, check_count, prepare
from pkpd.simulation.size import check_memory
from pkpd.simulation.source import read_source
from pkpd.simulation.stream import check_target, stream

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset, Dose, Regimen
    from pkpd.estimation import Fit
    from pkpd.model import Model


def simulate(
    model: Model | Fit,
    regimens: Mapping[str, Regimen | Dose | str] | Regimen | Dose | str | Dataset,
    *,
    times: Sequence[float] | np.ndarray | range | None = None,
    n: int | None = None,
    seed: int | None = None,
    uncertainty: bool | int = False,
    variability: bool | Mapping[str, float] | None = None,
    covariates: Mapping[str, Any] | None = None,
    observe: Sequence[str] | str | None = None,
    residual: bool = False,
    to: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    chunk: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Simulate what happens to the outputs of a model over time.

    Parameters
    ----------
    model : Model or Fit
        A fit simulates at its estimates.
    regimens : mapping of str to regimen, or one regimen, or Dataset
        What is given, by arm. A regimen is a :class:`~pkpd.Regimen`, a :class:`~pkpd.Dose`, or text such as
        ``"0.5 mg/kg iv over 40 min"``. A :class:`~pkpd.Dataset` brings its own people, doses and times.
    times : sequence of float
        When to look, in the model's time unit, rising from 0 on. Not with a Dataset.
    n : int, optional
        Number of subjects, who differ as the model's between-subject variances say. Left out: the typical subject.
    seed : int, optional
        Needed as soon as something is left to chance. Subject 7 is the same person in every arm, whatever `n` is.
    uncertainty : bool or int
        Draw the typical values as well, `True` for 100 times: from the covariance of a fit on its estimation scale, or
        from the standard errors that a model's source printed (`rse`). Each draw has `n` new subjects.
    variability : bool or mapping, optional
        Whether the subjects differ: yes where `n` is given. ``{"cl": 0.09}`` puts other variances of ETAs in place of
        the model's, without covariances.
    covariates : mapping, optional
        Name to number, or to one number for each subject, in the unit that the model states. One left out stands at
        the model's reference, which the attribute ``covariates`` says.
    observe : name or sequence of names, optional
        Outputs, assigned names or states to give back; all outputs when left out.
    residual : bool
        Draw observations, too: beside every output ``cp`` stands ``cp_observed``, scattered around it as the model's
        residual error says (and its `iiv`, for each subject and draw). Needs a seed.
    to : path, optional
        A file to write while it is computed, for a simulation larger than memory: ``"sim.nc"`` (netCDF) or
        ``"sim.zarr"`` (Zarr, a folder; needs the extra ``zarr``). The name is taken when all is written; what was
        interrupted leaves nothing behind.
    overwrite : bool
        Whether `to` may take the place of an earlier simulation.
    chunk : int, optional
        Subjects that are computed, and written, at a time; left out: about 4 MiB of predictions.
    threads : int, optional
        Left out: as many as there are processors. The numbers depend neither on `chunk` nor on `threads`.
    device : str
        ``"cpu"``, or ``"cuda"`` for an NVIDIA GPU, which needs the extra ``gpu``. It pays for many subjects; the
        numbers are the same within the tolerance of the solver.

    Returns
    -------
    xarray.Dataset
        One variable of dims ``(arm, draw, subject, time)`` for each name observed, with its unit in the attribute
        ``units``; and ``individual`` ``(draw, subject, parameter)``, the parameters before the factors of the
        covariates. The attributes say the model and its hash, the version, the seed, and under ``uncertainty`` what the
        spread of the values holds: "between-subject variability", "parameter uncertainty", both, or "none".

        With `to`, the values are read from the file when they are asked for: take what you need,
        ``sim["cp"].sel(time=24)``, and ``sim.close()`` when done.

        For a Dataset: ``ID TIME DVID PRED`` along ``record``, one for each of its observations, in its order.

    Raises
    ------
    UsageError
        There is no seed where one is needed, `n`, `chunk` or `threads` is no count, nothing is known of the
        uncertainty asked for, `to` ends in no known format, the result would take more than half of the memory, or the
        device is not there.
    DataError
        The times are empty, negative, out of order or not finite; or the file is there already, cannot be written or
        has no room.
    DoseError
        A regimen cannot be read or given.
    MismatchError
        A covariate, a route or an output is not of the model, or a covariate gives a positive parameter a factor
        that is 0, negative or not finite.
    SolveError
        The equations could not be solved for somebody, or an output is infinite or no number.

    Examples
    --------
    >>> import pkpd
    >>> model = pkpd.load("theophylline_boeckmann1994")
    >>> sim = pkpd.simulate(model, {"once": "320 mg oral"}, times=range(0, 25))
    >>> sim["cp"].dims
    ('arm', 'draw', 'subject', 'time')
    """
    from pkpd.data import Dataset

    chunk, threads = check_count(chunk, "chunk", "subjects"), check_count(threads, "threads", "threads")
    if device != "cpu":
        from pkpd.engine.cuda import check_device

        check_device(device, "simulate(device=...)")
    if isinstance(regimens, Dataset):
        from pkpd.simulation.records import predict_records

        _refuse_beside_dataset(
            times=times,
            n=n,
            seed=seed,
            uncertainty=uncertainty or None,
            variability=variability or None,
            covariates=covariates,
            observe=observe,
            residual=residual or None,
            to=to,
            overwrite=overwrite or None,
            chunk=chunk,
        )
        return predict_records(model, regimens, threads=threads, device=device)
    if overwrite and to is None:
        raise UsageError(
            "There is nothing to overwrite.",
            where="simulate(overwrite=True)",
            expected="`to`, the file that may be overwritten.",
            remedy='Add to="sim.nc", or leave out overwrite.',
        )
    path = None if to is None else check_target(to, overwrite=overwrite)
    setting = prepare(
        read_source(model),
        regimens,
        times=times,
        n=n,
        seed=seed,
        uncertainty=uncertainty,
        variability=variability,
        covariates=covariates,
        observe=observe,
        residual=residual,
    )
    with stages() as advance:

        def tell(done: int, total: int) -> None:
            if done < total:
                advance("simulating subjects", done, total)

        if path is None:
            return compute(setting, chunk=chunk, threads=threads, device=device, on_progress=tell).labelled()
        return stream(setting, path, chunk=chunk, threads=threads, device=device, on_progress=tell)


def compute(
    setting: Setting,
    *,
    chunk: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Compute a simulation into plain arrays, which need no xarray.

    Parameters
    ----------
    setting : Setting
    chunk, threads, device, on_progress
        See :func:`~pkpd.simulation.blocks.compute_blocks`.

    Raises
    ------
    UsageError
        The result would take more than half of the memory.
    """
    check_memory(setting)
    values = {name: np.empty(setting.shape) for name in setting.names}
    individuals = np.empty(setting.individual_shape)
    contrast = Contrast(setting)
    for block in compute_blocks(setting, chunk=chunk, threads=threads, device=device, on_progress=on_progress):
        contrast.see(block)
        for o, array in enumerate(values.values()):
            array[:, block.draws, block.subjects] = block.values[..., o]
        individuals[block.draws, block.subjects] = block.individuals
    return Simulation(setting=setting, values=values, individuals=individuals, notes=contrast.notes())


def _refuse_beside_dataset(**given: Any) -> None:
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        cls = DataError if extra == ["times"] else UsageError
        raise cls(
            f"`{extra[0]}` is given beside a Dataset.",
            where="simulate(data)",
            expected="A model and a Dataset alone: the data bring their own people, doses, covariates and times.",
            remedy=f"Leave out {', '.join(extra)}, or simulate a Regimen.",
        )
