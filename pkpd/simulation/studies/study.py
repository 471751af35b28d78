"""The verb ``study``: simulate a trial again and again, fit it, and hold the estimates against the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import Finding, UsageError, raise_all, suggestion
from pkpd.estimation import FO, FOCE, MAP, SAEM, SIR, Estimator, Individual, Laplace, Quadrature
from pkpd.estimation.base import check_handles
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.crew import check_crew, crew_of
from pkpd.estimation.series import in_turn
from pkpd.likelihood import Feature, make_problem
from pkpd.model import Model
from pkpd.simulation.source import read_source
from pkpd.simulation.studies.piece import Replicate, Work, kind_of, level_of, values_of
from pkpd.simulation.studies.result import FORMAT, Study
from pkpd.simulation.studies.summary import laid_out
from pkpd.simulation.trial.design import Trial
from pkpd.streams import check_seed

if TYPE_CHECKING:
    from pkpd.estimation import Fit

__all__ = ["study"]

_INTERVALS = ("wald", "profile")
#: Those whose objective can be followed: for profiles and likelihood ratios.
_FOLLOWED = (FO, FOCE, Laplace, Quadrature, SAEM)


def study(
    trial: Trial,
    truth: Model | Fit,
    estimators: Estimator | Mapping[str, Estimator],
    *,
    n: int,
    seed: int,
    model: Model | Mapping[str, Model] | None = None,
    intervals: Sequence[str | SIR] = ("wald",),
    null: Model | None = None,
    alpha: float = 0.05,
    draws: int = 0,
    workers: int | None = None,
    cluster: str | None = None,
    checkpoint: str | Path | None = None,
) -> Study:
    """Simulate a trial and estimate again, many times: bias, precision, coverage, errors of tests.

    Replicate r depends on the seed and r alone: it is the same to the last bit for any `n`, any number of workers, any
    order, and after any interruption; on a cluster, if its processors are like this one. Ctrl-C ends the work with what
    is done.

    Parameters
    ----------
    trial : Trial
    truth : Model or Fit
        What makes the data; a fit at its estimates.
    estimators : Estimator or mapping of str to Estimator
        How every trial is fitted; several by name. Each fit computes on one thread.
    n : int
        Number of trials.
    seed : int
    model : Model or mapping of str to Model, optional
        What is fitted, from its own starting values; several by name. Left out: the truth.
    intervals : sequence of "wald", "profile" or SIR
        Whose coverage is counted: ``"wald"`` as the estimator gives them, ``"profile"`` by profile likelihood,
        ``SIR(...)`` by sampling importance resampling with other random numbers in every trial. The last two take many
        times longer.
    null : Model, optional
        A smaller model that is fitted, too, and tested against every `model` by the likelihood ratio: by chi-square,
        and by the mixture of chi-squares where a variance of 0 is tested.
    alpha : float
        A p of this or less rejects the null model.
    draws : int
        Data sets that every test draws from the smaller model for a p of its own and for Bartlett's factor
        (``compare(n=...)``); it multiplies the time by about this number.
    workers : int, optional
        Threads; None: as many as there are processors.
    cluster : str, optional
        Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, in place of threads (the extra ``cluster``).
    checkpoint : path, optional
        A file that keeps what is done. If it is there, the work goes on from it; more trials may be asked for then.

    Returns
    -------
    Study

    Raises
    ------
    UsageError
        There is no seed, no trial, no estimator, ...; all that is wrong is listed. Or nobody answers on the cluster.
    MismatchError, CannotFit
        Trial and model do not go together, or an estimator cannot honour the model.
    FitError
        The cluster was lost.
    FitFileError
        The checkpoint cannot be written, or belongs to other work.
    """
    check_seed(seed, why="trials are drawn at random", where="study(seed=...)")
    ways, models = _named(estimators, ""), _named(truth if model is None else model, "model")
    _check(trial, truth, ways, models, n, intervals, null, alpha, draws, workers, cluster)
    true = read_source(truth).model
    models = {name: read_source(one).model for name, one in models.items()}
    ways = {name: _alone(one) for name, one in ways.items()}
    work = Work(
        trial=trial.text, truth=true.text, models={name: one.text for name, one in models.items()}, estimators=ways,
        names=tuple(dict.fromkeys(name for one in models.values() for name in values_of(one))),
        intervals=tuple(intervals), null=null.text if null is not None else "", draws=int(draws), seed=int(seed),
    )  # fmt: skip
    _check_fits(work, models, ways, null)
    kept = Checkpoint(path=Path(checkpoint), key=_key(work)) if checkpoint is not None else None
    numbers, crew = range(1, int(n) + 1), crew_of(workers, cluster, apart=True)
    done, stopped = in_turn(numbers, work, Replicate, what="simulating and estimating", kept=kept, crew=crew)
    titles = {"trial_name": trial.title or repr(trial)[6:-1], "truth_name": true.title or true.name,
              "null_name": (null.title or null.name) if null is not None else ""}  # fmt: skip
    notes = [f"The study was stopped by hand after {len(done)} of {n} trials."] if stopped else []
    return _result(work, done, values_of(true), titles, alpha, int(n), notes)


def _result(
    work: Work,
    done: list[Replicate],
    truth: Mapping[str, float],
    titles: Mapping[str, str],
    alpha: float,
    n: int,
    notes: list[str],
) -> Study:
    import xarray as xr

    from pkpd import __version__

    levels = {name: level_of(one) for name, one in work.estimators.items()}
    said = {f"{100 * level:g} %" for level in levels.values()}
    notes.append(f"Intervals of {' and '.join(sorted(said))}. In brackets exact 95 % intervals of the shares; ± is one "
                 "Monte Carlo standard error of MEAN and BIAS.")  # fmt: skip
    if work.null:
        notes.append(f"REJECTED: how often {titles['null_name']} was rejected: the error of the first kind where it is "
                     "true, else the power.")  # fmt: skip
        untested = sum(int((one.untested != "").sum()) for one in done)
        notes += [f"{untested} tests are missing in whole or in part: `untested` of study_replicates says why."] * (
            untested > 0
        )
    attrs = {
        "format": FORMAT,
        **titles,
        "seed": work.seed,
        "asked_for": n,
        "trial": work.trial,
        "truth": work.truth,
        "null": work.null,
        "models": "\n\n".join(f"# {name}\n{text}" for name, text in work.models.items()),
        "estimators": "\n".join(f"{name} = {one!r}" for name, one in work.estimators.items()),
        "draws": work.draws,
        "notes": "\n".join(notes),
        "version_pkpd": __version__,
    }
    groups = laid_out(work, done, truth, alpha, {"level": np.array(list(levels.values()))})
    tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = attrs
    return Study(tree=tree)


def _named(given: Any, default: str) -> dict[str, Any]:
    """Give one or several things by name."""
    if isinstance(given, Mapping):
        return {str(name): one for name, one in given.items()}
    return {default or type(given).__name__: given}


def _alone(estimator: Any) -> Any:
    """Give an estimator that computes on one thread."""
    own = {field.name for field in fields(estimator)}
    return replace(estimator, threads=1) if "threads" in own else estimator


def _key(work: Work) -> dict[str, str]:
    """Give everything on which the numbers of a replicate depend."""

    def short(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:16] if text else "none"

    return {
        "work": "pkpd study 1",
        "trial": short(work.trial),
        "truth": short(work.truth),
        "models": ", ".join(f"{name}: {short(text)}" for name, text in work.models.items()),
        "estimators": ", ".join(f"{name}: {one!r}" for name, one in work.estimators.items()),
        "intervals": ", ".join(one if isinstance(one, str) else repr(one) for one in work.intervals),
        "null": short(work.null),
        "draws": str(work.draws),
        "seed": str(work.seed),
    }


def _check(
    trial: Any,
    truth: Any,
    ways: Mapping[str, Any],
    models: Mapping[str, Any],
    n: Any,
    intervals: Any,
    null: Any,
    alpha: Any,
    draws: Any,
    workers: Any,
    cluster: Any,
) -> None:
    """Refuse what can be seen to be wrong before anything is computed; all at once."""
    found = check_crew(workers, cluster, "study")

    def wrong(argument: str, what: str, expected: str, remedy: str | None) -> None:
        where = f"study({argument})"
        found.append(Finding(code=argument.rstrip("=."), where=where, what=what, expected=expected, remedy=remedy))

    if not isinstance(trial, Trial):
        wrong("trial", f"it is {trial!r:.60}.", "A Trial.", 'Read one: pkpd.Trial.read("trial.toml").')
    if not _whole(n) or n < 1:
        wrong("n=...", f"n is {n!r}.", "1 trial or more.", "n=200 tells a coverage of 95 % to within 3 %.")
    if not ways:
        wrong("estimators", "there is none.", "At least one estimator.", "Write pkpd.FOCE().")
    for name, one in ways.items():
        _check_way(name, one, intervals, null, wrong)
    from pkpd.estimation import Fit

    if not models:
        wrong("model=...", "there is none.", "At least one model.", "Leave it out for the truth.")
    if not isinstance(truth, (Model, Fit)):
        wrong("truth", f"it is {truth!r:.60}.", "A Model, or a Fit.", "Load it: pkpd.load(...).")
    for name, one in models.items():
        if one is not truth and not isinstance(one, (Model, Fit)):
            wrong("model=...", f"`{name}` is a {type(one).__name__}.", "A Model.", "Load it: pkpd.load(...).")
    if isinstance(intervals, str):
        wrong(
            "intervals=...", f"{intervals!r} is one text.", "Several kinds of interval.", 'Write intervals=("wald",).'
        )
    kinds = () if isinstance(intervals, str) else tuple(intervals)
    for kind in kinds:
        if not isinstance(kind, SIR) and kind not in _INTERVALS:
            wrong("intervals=...", f"{kind!r} is no kind of interval.", f"{', '.join(_INTERVALS)} or SIR(seed=1).",
                  suggestion(str(kind), _INTERVALS) or 'Write intervals=("wald",).')  # fmt: skip
    if len({kind_of(one) for one in kinds}) < len(kinds):
        wrong("intervals=...", "a kind of interval stands there twice.", "Each once.", "Leave one out.")
    if null is not None and not isinstance(null, Model):
        wrong("null=...", f"it is a {type(null).__name__}.", "A Model.", "Load it: pkpd.load(...).")
    if not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        wrong("alpha=...", f"alpha is {alpha!r}.", "A share between 0 and 1.", "Leave it out for 0.05.")
    if not _whole(draws) or draws < 0:
        wrong("draws=...", f"draws is {draws!r}.", "0 or more data sets.", "Leave it out for chi-square alone.")
    elif draws and null is None:
        wrong("draws=...", "there is no null model to draw from.", "null, the smaller model.", "Leave draws out.")
    if isinstance(null, Model):
        own = values_of(null)
        for name, one in models.items():
            missing = [each for each in own if isinstance(one, Model) and each not in values_of(one)]
            if missing:
                wrong("null=...", f"it has {', '.join(missing)}, which model `{name}` has not.",
                      "A model that is a case of the other: all that it has, and no more.",
                      "Give the smaller one as null, the larger as model.")  # fmt: skip
    if found:
        raise_all(UsageError, found)


def _check_way(name: str, one: Any, intervals: Any, null: Any, wrong: Any) -> None:
    if isinstance(one, type) or not isinstance(one, Estimator) or not is_dataclass(one):
        shown = f"{one.__name__}, without brackets" if isinstance(one, type) else f"{one!r:.60}"
        said = "it" if name == type(one).__name__ else f"`{name}`"
        wrong("estimators", f"{said} is {shown}.", "An estimator, or several by name.",
              'Write pkpd.FOCE(), or {"FOCE": pkpd.FOCE(), "Laplace": pkpd.Laplace()}.')  # fmt: skip
    elif isinstance(one, (Individual, MAP)):
        wrong("estimators", f"`{name}` fits each subject alone: there is no one estimate beside the truth.",
              "An estimator of a population, or Pooled().", "Write pkpd.FOCE().")  # fmt: skip
    else:
        followed = isinstance(one, _FOLLOWED)
        for kind in () if isinstance(intervals, str) else intervals:
            if kind != "wald" and not followed:
                wrong("intervals=...", f"`{name}` has no objective that can be followed.", "FO, FOCE, Laplace, "
                      "Quadrature or SAEM.", f"Leave {kind!r} out.")  # fmt: skip
            if isinstance(kind, SIR) and kind.level != level_of(one):
                wrong("intervals=...", f"SIR has the level {kind.level:g}, `{name}` {level_of(one):g}.", "The same.",
                      "Give both the same level.")  # fmt: skip
        if getattr(one, "interval", "wald") != "wald":
            wrong("estimators", f"`{name}` has other intervals than Wald's.", 'interval="wald".', "Leave it out.")
        if null is not None and not followed:
            wrong("null=...", f"`{name}` has no objective for a likelihood ratio.", "FO, FOCE, Laplace, Quadrature or "
                  "SAEM.", "Leave null out.")  # fmt: skip
        if getattr(one, "checkpoint", None) is not None:
            wrong("estimators", f"`{name}` has a checkpoint, which every fit would overwrite.", "None.",
                  "Give the checkpoint to study.")  # fmt: skip


def _check_fits(work: Work, models: Mapping[str, Model], ways: Mapping[str, Any], null: Model | None) -> None:
    """Refuse models that do not go with the trial, and estimators that cannot honour them."""
    data = work.data(1)
    for model in [*models.values(), *([null] if null is not None else [])]:
        for way in ways.values():
            able = way.handles
            problem = make_problem(model, data, occasions=Feature.OCCASIONS in able, unseen=Feature.UNSEEN in able)
            check_handles(way, problem)
            if hasattr(way, "population"):
                way.population(problem)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
