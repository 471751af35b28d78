"""Models and regimens become labelled arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import DataError, SolveError, UsageError
from pkpd.simulation.arms import Plan, lay_out, read_arms, read_times
from pkpd.simulation.cohort import BETWEEN_SUBJECTS, Cohort, count, gather
from pkpd.simulation.covariates import read_covariates
from pkpd.simulation.outcome import Simulation
from pkpd.simulation.source import Source, read_source

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset, Dose, Regimen
    from pkpd.estimation import Fit
    from pkpd.model import Model

# A chunk is 8 MiB of predictions, or as many subjects as keep several threads busy.
_NUMBERS_AT_ONCE = 1_048_576
_SUBJECTS_AT_LEAST = 1024
# All predictions are held at once: 8 GB.
_NUMBERS_AT_MOST = 1_000_000_000


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
    threads: int | None = None,
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
    threads : int, optional
        The numbers do not depend on it.

    Returns
    -------
    xarray.Dataset
        One variable of dims ``(arm, draw, subject, time)`` for each name observed, with its unit in the attribute
        ``units``; and ``individual`` ``(draw, subject, parameter)``, the parameters before the factors of the
        covariates. The attributes say the model and its hash, the version, the seed, and under ``uncertainty`` what the
        spread of the values holds: "between-subject variability", "parameter uncertainty", both, or "none".

        For a Dataset: ``ID TIME DVID PRED`` along ``record``, one for each of its observations, in its order.

    Raises
    ------
    UsageError
        There is no seed where one is needed, `n` is no count, or nothing is known of the uncertainty asked for, or the
        simulation would be more numbers than can be held.
    DataError
        The times are empty, negative, out of order or not finite.
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
        )
        return predict_records(model, regimens, threads=threads)
    return compute(
        read_source(model),
        regimens,
        times=times,
        n=n,
        seed=seed,
        uncertainty=uncertainty,
        variability=variability,
        covariates=covariates,
        observe=observe,
        threads=threads,
    ).labelled()


def compute(
    source: Source,
    regimens: Any,
    *,
    times: Any,
    n: int | None = None,
    seed: int | None = None,
    uncertainty: bool | int = False,
    variability: bool | Mapping[str, float] | None = None,
    covariates: Mapping[str, Any] | None = None,
    observe: Sequence[str] | str | None = None,
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """As :func:`simulate`, in plain arrays, which need no xarray.

    Parameters
    ----------
    source : Source
        The model, and how well its parameters are known.
    on_progress : callable, optional
        Told ``(done, total)`` individuals after each chunk.
    """
    from pkpd.engine import compile_model

    model = source.model
    arms = read_arms(regimens, model.time_unit)
    when = read_times(times)
    per = {dose.per for regimen in arms.values() for dose in regimen if dose.per}
    people = read_covariates(model, covariates, doses_per=sorted(per))
    names = None if observe is None else (observe,) if isinstance(observe, str) else tuple(observe)
    program = compile_model(model, observe=names)
    draws, subjects = count(model, n=n, uncertainty=uncertainty, covariates=people)
    _check_size(len(arms), draws, subjects, len(when), max(len(program.observables), 1))
    cohort = gather(
        model, source.typical, n=n, seed=seed, uncertainty=uncertainty, variability=variability, covariates=people
    )
    plan = lay_out(arms, when, people, model.time_unit)
    values = _predict(program, plan, cohort, when, model.time_unit, threads=threads, on_progress=on_progress)
    notes = _without_effect(values, program.observables, cohort)
    return Simulation(
        model=model,
        arms=arms,
        times=when,
        names=tuple(program.observables),
        values=values,
        cohort=replace(cohort, notes=(*cohort.notes, *notes)),
        origin=source.origin,
    )


def _predict(
    program: Any,
    plan: Plan,
    cohort: Cohort,
    when: np.ndarray,
    time_unit: str,
    *,
    threads: int | None,
    on_progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """All arms of a chunk of individuals in one call of the engine. Shape (arm, draw, subject, time, observable)."""
    from pkpd.engine import bind, predict

    order = [cohort.parameters.index(name) for name in program.parameters]
    individuals = cohort.values.reshape(-1, len(cohort.parameters))[:, order]
    total, times, wide = len(individuals), len(when), len(program.observables)
    chunk = max(_NUMBERS_AT_ONCE // (plan.arms * times * wide), _SUBJECTS_AT_LEAST // plan.arms, 1)
    result = np.empty((plan.arms, total, times, wide))
    # The arms alone first: what is wrong with a dose is said once for each arm, not once for each subject.
    schedule, bound = bind(program, plan.events), (1, 0) if not plan.each else None
    for first in range(0, total, chunk):
        which = np.arange(first, min(first + chunk, total))
        # Without covariates of their own all subjects have the same events, whoever they are.
        needed = (len(which), int(which[0]) % cohort.subjects if plan.each else 0)
        if needed != bound:
            labels = [f"subject {i % cohort.subjects + 1}" for i in which]
            schedule, bound = bind(program, plan.batch(which % cohort.subjects, labels)), needed
        answer = predict(program, schedule, np.tile(individuals[which], (plan.arms, 1)), threads=threads)
        answer.raise_failures()
        found = answer.f.reshape(plan.arms, len(which), times, wide)
        _check_finite(found, program.observables, plan, when, time_unit, which, cohort)
        result[:, which] = found
        if on_progress is not None:
            on_progress(int(which[-1]) + 1, total)
    return result.reshape(plan.arms, cohort.draws, cohort.subjects, times, wide)


def _check_finite(
    values: np.ndarray,
    names: Sequence[str],
    plan: Plan,
    when: np.ndarray,
    time_unit: str,
    which: np.ndarray,
    cohort: Cohort,
) -> None:
    """Refuse values, shape (arm, individual, time, observable), that are no finite numbers."""
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    a, i, _, o = (int(index) for index in np.argwhere(wrong)[0])
    t = int(np.flatnonzero(wrong[a, i, :, o])[0])
    draw, subject = divmod(int(which[i]), cohort.subjects)
    who = f"subject {subject + 1}" + (f" of draw {draw + 1}" if cohort.draws > 1 else "")
    raise SolveError(
        f"`{names[o]}` is {values[a, i, t, o]:g} at t = {when[t]:g} {time_unit}.",
        where=f"{who} of arm {plan.events.subjects[a]!r}",
        expected="A finite number at every time: a result without one says nothing.",
        remedy="Check the equations for a division by 0, or the logarithm or root of a number that is 0 or negative "
        "there; or leave this time or output out.",
    )


def _check_size(arms: int, draws: int, subjects: int, times: int, wide: int) -> None:
    """Refuse a simulation that no memory holds."""
    numbers = arms * draws * subjects * times * wide
    if numbers > _NUMBERS_AT_MOST:
        parts = ((subjects, "subjects"), (draws, "draws"), (times, "times"), (arms, "arms"), (wide, "outputs"))
        raise UsageError(
            f"This simulation would be {numbers:,} numbers: "
            + " x ".join(f"{count:,} {what if count != 1 else what[:-1]}" for count, what in parts)
            + ".",
            where="simulate()",
            expected=f"At most {_NUMBERS_AT_MOST:,} numbers in one simulation.",
            remedy="Take fewer subjects, draws or times, or simulate in parts.",
        )


def _without_effect(values: np.ndarray, names: Sequence[str], cohort: Cohort) -> tuple[str, ...]:
    """Say so where subjects differ, but nothing that is observed does."""
    if cohort.subjects < 2 or BETWEEN_SUBJECTS not in cohort.uncertainty:
        return ()
    first = values[:, :, :1]
    # A solver that takes other steps for another subject leaves traces of its tolerance.
    close = 1e-7 * np.abs(first).max(axis=-2, keepdims=True)
    for s in range(1, cohort.subjects, _SUBJECTS_AT_LEAST):
        if (np.abs(values[:, :, s : s + _SUBJECTS_AT_LEAST] - first) > close).any():
            return ()
    own = cohort.values
    varying = [name for j, name in enumerate(cohort.parameters) if (own[..., j] != own[:, :1, j]).any()]
    several = len(names) > 1
    return (
        f"Warning: {', '.join(names)} {'are' if several else 'is'} the same in every subject: with these doses and "
        f"times {'they do' if several else 'it does'} not depend on what varies between subjects "
        f"({', '.join(varying)}).",
    )


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
