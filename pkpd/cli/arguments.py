"""What the words of ``pkpd simulate`` mean: sources, arms, covariates, times."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import FitFileError, UnitError, UsageError, suggestion

if TYPE_CHECKING:
    from cyclopts import Token

    from pkpd.data import Regimen
    from pkpd.model import Model
    from pkpd.simulation.source import Source

_STEPS = (1.0, 2.0, 2.5, 5.0)
_POINTS = 481
_STOPS = 60
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


def source_of(name: str, changed: dict[str, float], *, drawn: bool) -> Source:
    """Find a model or a saved fit, with other typical values where the user gives them."""
    from pkpd.simulation.source import read_source

    path = Path(name) / "result.nc" if _is_folder_of_fit(name) else Path(name)
    if path.suffix != ".nc":
        from pkpd import library

        model = library.load(name)
        return read_source(model.set(changed) if changed else model)
    from pkpd.estimation import load_fit

    fit = load_fit(path)
    if changed and drawn:
        raise UsageError(
            "--set and --uncertainty are given together for a fit.",
            where="pkpd simulate",
            expected="The fit's own estimates with their covariance, or values of your own without one.",
            remedy="Leave one of them out.",
        )
    return read_source(fit.model.set(changed) if changed else fit)


def _is_folder_of_fit(name: str) -> bool:
    """Tell whether a name is a folder with the result of a fit; if it is an old one, that is said.

    Raises
    ------
    FitFileError
        It is a folder, and no fit has run in it.
    """
    from pkpd import library

    folder = Path(name)
    if not folder.is_dir() or name in library.names():
        return False
    from pkpd import project

    (found,) = project.check(folder) if (folder / "fit.toml").is_file() else (None,)
    if (folder / "result.nc").is_file():
        if found is not None and not found.is_fresh:
            print(f"{found}. `pkpd run {name}` brings it up to date.", file=sys.stderr)
        return True
    raise FitFileError(
        "this fit has not run." if found is not None else "there is no fit in this folder.",
        where=name,
        expected="A folder with result.nc, as `pkpd run` makes it.",
        remedy=f"pkpd run {name}" if found is not None else "Name a model, a file, or the folder of a fit.",
    )


def arms_of(texts: Sequence[str], model: Model) -> dict[str, Regimen]:
    """Read the regimens, by the name of their arm."""
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


def pair(text: str, option: str) -> tuple[str, float]:
    """Read ``name=number``."""
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


def scale_of(unit: str, model: Model) -> float:
    """Give the factor from a unit of time to that of the model."""
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


def covariates_of(
    model: Model, arms: dict[str, Regimen], options: dict[str, str], pairs: Sequence[str]
) -> dict[str, float]:
    """Read the covariates that stand as options, and those of ``--covariate``."""
    per = {dose.per for regimen in arms.values() for dose in regimen if dose.per}
    known = {name.lower(): name for name in [*sorted(per), *model.covariates]}
    given = dict(pair(text, "--covariate") for text in pairs)
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
    words = ("dose", "until", "every", "times", "unit-of-time", "set", "covariate", "observe", "target", "n")
    words += ("variability", "seed", "uncertainty", "plot", "log", "csv", "to", "overwrite", "threads", "device")
    near = suggestion(option, [*words, *(name.lower() for name in covariates)])
    has = f"its covariates are {', '.join(covariates)}" if covariates else "it has no covariates"
    return UsageError(
        f"`--{option}` is neither an option nor a covariate of `{model.name}`.",
        where="pkpd simulate",
        expected=f"Options: {', '.join('--' + word for word in words)}; and of {model.name}, {has}.",
        remedy=near.replace("`", "`--", 1) if near else "`pkpd simulate --help` lists what it takes.",
    )


def times_of(
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
            raise UsageError(
                f"{value:g} is no length of time.",
                where=name,
                expected="A number greater than 0.",
                remedy=f"Write {name} 24." if name == "--until" else "Write --every 0.5, or leave it out.",
            )
    if every is not None:
        count = int(np.floor(until / every * (1 + 1e-12) + 1e-9))
        if count > 10_000_000:
            raise UsageError(
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


def whole_number(_: object, tokens: Sequence[Token]) -> int:
    """Read a whole number; unlike the framework's own reading, without rounding."""
    token = tokens[0]
    if _WHOLE.fullmatch(token.value):
        return int(token.value)
    option = token.keyword or "pkpd simulate"
    raise UsageError(
        f"`{token.value}` is not a whole number.",
        where=option,
        expected="A whole number, in digits alone.",
        remedy=f"Write {option} {100 if option in ('--n', '--uncertainty') else 1}.",
    )


def check_least(option: str, value: int | None, least: int, example: int) -> None:
    """Refuse a count that is too small."""
    if value is not None and value < least:
        raise UsageError(
            f"{option} is {value}.",
            where="pkpd simulate",
            expected=f"A whole number of {least} or more.",
            remedy=f"Write {option} {example}, or leave it out.",
        )


def check_different(files: Mapping[str, Path | None]) -> None:
    """Refuse two options that name the same file."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        place = path.resolve()
        if place in seen:
            raise UsageError(
                f"{seen[place]} and {option} name the same file, {path}.",
                where="pkpd simulate",
                expected="A file of its own for each: the later would overwrite the earlier.",
                remedy=f"Give {option} another name.",
            )
        seen[place] = option


def check_figure(path: Path) -> None:
    """Refuse a figure whose name ends in no format that figures are written in."""
    from pkpd.plots.save import FORMATS

    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(
            f"`{path.name}` ends in no format that a figure is written in.",
            where="--plot",
            expected="A name that ends in .png, .svg or .pdf.",
            remedy=f"Write --plot {path.stem or 'figure'}.png.",
        )
