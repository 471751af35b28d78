"""``pkpd study``: simulate a trial, estimate again, and say how far the estimates lie from the truth."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pkpd.cli.arguments import source_of, whole_number
from pkpd.cli.files import check_writable
from pkpd.errors import Finding, UsageError, raise_all, suggestion

if TYPE_CHECKING:
    from pkpd.estimation import Estimator

_MANY = Parameter(consume_multiple=False, negative_iterable=())
_WHOLE = Parameter(converter=whole_number)


def study(
    trial: Path,
    /,
    *,
    truth: str,
    estimator: Annotated[list[str], _MANY],
    n: Annotated[int, _WHOLE],
    seed: Annotated[int, _WHOLE],
    model: Annotated[list[str] | None, _MANY] = None,
    interval: Annotated[list[str] | None, _MANY] = None,
    null: str | None = None,
    alpha: float = 0.05,
    draws: Annotated[int, _WHOLE] = 0,
    workers: Annotated[int | None, _WHOLE] = None,
    cluster: str | None = None,
    checkpoint: Path | None = None,
    out: Path | None = None,
) -> int:
    """Simulate a trial again and again, estimate, and hold the estimates against the truth.

    Prints bias, RMSE, standard errors and coverage of every quantity, and every fit that failed.

    Example: `pkpd study trial.toml --truth warfarin.toml --estimator FOCE --n 200 --seed 1 --out study.nc`

    Parameters
    ----------
    trial
        The file of a trial, as `Trial.write` makes it.
    truth
        What makes the data: a shipped model, the path of a model file, of a fit that was saved (.nc), or of the folder
        of a fit.
    estimator
        How trials are fitted: `FOCE`, or with options `"SAEM(seed=1, burn=300)"`; a name may stand before a colon:
        `--estimator "R: FOCE(covariance='R')"`. May be repeated.
    n
        Number of trials.
    seed
        Makes the random numbers come again: any whole number.
    model
        What is fitted in place of the truth, by a name if there are several: `--model "one: one.toml"`. May be
        repeated.
    interval
        Whose coverage is counted: `wald` or `profile`. May be repeated.
    null
        A smaller model to test every model against, by the likelihood ratio.
    alpha
        A p of this or less rejects it.
    draws
        Data sets that every test draws for a p of its own; takes long.
    workers
        Threads. The numbers do not depend on it.
    cluster
        Address of a Dask scheduler, in place of threads: `tcp://10.0.0.1:8786`. Needs the extra `cluster`.
    checkpoint
        A file that keeps what is done; the same command goes on from it.
    out
        Write everything to this file (.nc, netCDF).
    """
    from pkpd.simulation.studies import study as run_study
    from pkpd.simulation.trial import Trial

    if out is not None:
        if out.suffix.lower() != ".nc":
            raise UsageError(f"`{out.name}` does not end in .nc.", where="--out", expected="A netCDF file.",
                             remedy=f"Write --out {out.stem or 'study'}.nc.")  # fmt: skip
        check_writable(out)
    plan = Trial.read(trial)
    found = run_study(
        plan,
        source_of(truth, {}, drawn=False).model,
        _estimators(estimator),
        n=n,
        seed=seed,
        model=_models(model) if model else None,
        intervals=tuple(interval or ("wald",)),
        null=source_of(null, {}, drawn=False).model if null is not None else None,
        alpha=alpha,
        draws=draws,
        workers=workers,
        cluster=cluster,
        checkpoint=checkpoint,
    )
    print(found)
    if out is not None:
        found.save(out)
        print(f"Wrote {out}", file=sys.stderr)
    return 0


def _models(texts: Sequence[str]) -> dict[str, Any]:
    """Read models, by the name before a colon or else their own."""
    found: dict[str, Any] = {}
    for text in texts:
        name, path = _parted(text)
        read = source_of(path, {}, drawn=False).model
        _add(found, name or read.name, read, "--model")
    return found


def _estimators(texts: Sequence[str]) -> dict[str, Estimator]:
    """Read estimators, by the name before a colon or else as they were written."""
    found: dict[str, Estimator] = {}
    for text in texts:
        name, call = _parted(text)
        _add(found, name or call, read_estimator(call), "--estimator")
    return found


def _parted(text: str) -> tuple[str, str]:
    """Part a name from what stands after ``": "``."""
    name, colon, rest = text.partition(": ")
    return (name.strip(), rest.strip()) if colon else ("", text.strip())


def _add(found: dict[str, Any], name: str, value: Any, option: str) -> None:
    if name in found:
        raise UsageError(f"`{name}` is there twice.", where=option, expected="A different name for each.",
                         remedy=f'Write {option} "another name: ...".')  # fmt: skip
    found[name] = value


def read_estimator(text: str) -> Estimator:
    """Read an estimator as Python writes it: ``FOCE`` or ``SAEM(seed=1)``.

    Raises
    ------
    UsageError
        There is no such estimator, or it has no such option.
    """
    from pkpd.project.single import estimators
    from pkpd.project.strict import read_table

    known = estimators()
    name = text.split("(", 1)[0].strip()
    if name not in known:
        raise UsageError(f"there is no estimator `{name}`.", where="--estimator",
                         expected=f"One of: {', '.join(known)}.", remedy=suggestion(name, known))  # fmt: skip
    try:
        call = ast.parse(text if "(" in text else f"{text}()", mode="eval").body
        assert isinstance(call, ast.Call) and not call.args
        table = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, AssertionError) as error:
        raise UsageError(f"`{text}` cannot be read.", where="--estimator",
                         expected="A name with options as Python writes them.",
                         remedy=f"Write --estimator \"{name}(threads=1)\", or {name} alone.") from error  # fmt: skip
    plain = {
        key: "none" if value is None else list(value) if isinstance(value, tuple) else value
        for key, value in table.items()
    }
    findings: list[Finding] = []
    made = read_table(known[name], plain, f"--estimator {name}", findings)
    if made is None:
        raise_all(UsageError, findings)
    return made
