"""The covariates of the people of a trial: drawn for each, or following the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pkpd.data.dose import is_number
from pkpd.errors import Finding, suggestion
from pkpd.streams import uniforms

__all__ = ["by_design", "check_covariate", "draw_covariate", "in_words", "is_drawn", "typical"]

DRAWN = ("normal", "lognormal", "uniform", "share", "values")
BY_DESIGN = ("arm", "previous", "period")
_MEANING = {
    "normal": "[mean, SD], the SD above 0",
    "lognormal": "[median, SD of the logarithm], both above 0",
    "uniform": "[low, high], low below high",
    "share": "a probability from 0 to 1 of the value 1; else it is 0",
    "values": "numbers, one of which a person has by chance",
    "arm": "{arm: number}",
    "previous": "{arm of the period before: number}",
    "period": "[number in period 1, in period 2, ...], one for each period",
}


def check_covariate(name: str, given: Any, arms: Sequence[str], periods: int) -> list[Finding]:
    """Find what is wrong with the law of a covariate."""
    where = f"Trial, covariates, {name}"

    def wrong(what: str, expected: str, remedy: str | None = None) -> list[Finding]:
        return [Finding(code="covariate", where=where, what=what, expected=expected, remedy=remedy)]

    if is_number(given):
        return []
    kinds = (*DRAWN, *BY_DESIGN)
    if not isinstance(given, Mapping):
        return wrong(f"it is {given!r}.", f"A number, or a mapping with one of {', '.join(kinds)}.",
                     'Write {"normal": [75, 15]}.')  # fmt: skip
    said = [key for key in given if key in kinds]
    unknown = [str(key) for key in given if key not in (*kinds, "within")]
    if unknown:
        return wrong(f"`{unknown[0]}` has no meaning here.", f"Keys: {', '.join(kinds)}, within.",
                     suggestion(unknown[0], kinds) or "Write one of these.")  # fmt: skip
    if len(said) != 1:
        return wrong(f"it says {' and '.join(said) or 'nothing'}.", f"One of {', '.join(kinds)}.", "Say one.")
    kind, value = said[0], given[said[0]]
    if not _fits(kind, value, periods):
        return wrong(f"{kind} is {value!r}.", f"{kind}: {_MEANING[kind]}.", "Correct it.")
    if kind in ("arm", "previous"):
        strange = [str(arm) for arm in value if arm not in arms]
        if strange:
            return wrong(f"there is no arm `{strange[0]}`.", f"Arms: {', '.join(arms)}.", suggestion(strange[0], arms))
        missing = [arm for arm in arms if arm not in value]
        if kind == "arm" and missing:
            return wrong(f"nothing is said for arm {missing[0]}.", "A number for every arm.", "Add it.")
    if "within" not in given:
        return []
    limits = given["within"]
    if kind not in ("normal", "lognormal") or not _pair(limits) or not limits[0] < limits[1]:
        return wrong(f"within is {limits!r} beside {kind}.", "[low, high] beside normal or lognormal.", "Correct it.")
    low, high = _cdf(kind, value, limits)
    if not high - low > 1e-6:
        return wrong(f"within is {limits!r}, where hardly anybody lies.", "Limits around the middle.", "Widen them.")
    return []


def is_drawn(given: Any) -> bool:
    """Whether people differ in it by chance."""
    return isinstance(given, Mapping) and any(key in given for key in DRAWN)


def by_design(given: Any) -> str | None:
    """What of the design it follows: "arm", "previous" or "period"; None for what a person is."""
    return next((key for key in BY_DESIGN if isinstance(given, Mapping) and key in given), None)


def draw_covariate(name: str, given: Any, seed: int | None, address: np.ndarray, replicate: int) -> np.ndarray:
    """Give the covariate of every person, (S,): a function of seed, replicate and the person's name."""
    if not is_drawn(given):
        return np.full(len(address), float(given))
    assert seed is not None
    u = uniforms(seed, f"trial: covariate {name}", address, np.full(len(address), replicate), 1)[:, 0]
    return _quantile(given, u)


def typical(given: Any) -> float:
    """Give the median of a covariate that is a person's own; the most frequent value of a share."""
    return float(given) if is_number(given) else float(_quantile(given, np.array([0.5]))[0])


def in_words(given: Any, unit: str) -> str:
    """Say a covariate in a few words."""
    if is_number(given):
        return f"{given:g} {unit}".strip()
    kind = next(key for key in given if key != "within")
    value = given[kind]
    said = {
        "normal": lambda: f"normal, mean {value[0]:g} {unit}, SD {value[1]:g} {unit}",
        "lognormal": lambda: f"log-normal, median {value[0]:g} {unit}, SD {value[1]:g} of the logarithm",
        "uniform": lambda: f"uniform, {value[0]:g} to {value[1]:g} {unit}",
        "share": lambda: f"1 in {100 * value:g} %, else 0",
        "values": lambda: f"one of {len(value)} values",
        "arm": lambda: "by arm: " + ", ".join(f"{arm} {number:g}" for arm, number in value.items()),
        "previous": lambda: "by the arm before: " + ", ".join(f"{arm} {number:g}" for arm, number in value.items()),
        "period": lambda: "by period: " + ", ".join(f"{number:g}" for number in value),
    }[kind]()
    if "within" in given:
        said += f", within {given['within'][0]:g} to {given['within'][1]:g}"
    return " ".join(said.split()).replace(" ,", ",")


def _fits(kind: str, value: Any, periods: int) -> bool:
    if kind == "share":
        return is_number(value) and 0 <= value <= 1
    if kind in ("arm", "previous"):
        return isinstance(value, Mapping) and all(is_number(one) for one in value.values())
    if isinstance(value, (str, Mapping)) or not isinstance(value, (Sequence, np.ndarray)):
        return False
    if not len(value) or not all(is_number(one) for one in value):
        return False
    if kind == "period":
        return len(value) == periods
    if kind == "values":
        return True
    if not _pair(value):
        return False
    return value[0] < value[1] if kind == "uniform" else value[1] > 0 and (kind == "normal" or value[0] > 0)


def _pair(value: Any) -> bool:
    listed = not isinstance(value, (str, Mapping)) and isinstance(value, (Sequence, np.ndarray))
    return listed and len(value) == 2 and all(is_number(one) for one in value)


def _cdf(kind: str, value: Any, limits: Any) -> np.ndarray:
    from scipy.special import ndtr

    ends = np.asarray(limits, dtype=float)
    if kind == "lognormal":
        with np.errstate(divide="ignore"):
            return ndtr((np.log(np.maximum(ends, 0)) - np.log(value[0])) / value[1])
    return ndtr((ends - value[0]) / value[1])


def _quantile(given: Mapping[str, Any], u: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    kind = next(key for key in given if key in DRAWN)
    value = given[kind]
    if kind == "share":
        return np.where(u < value, 1.0, 0.0)
    if kind == "values":
        return np.asarray(value, dtype=float)[np.floor(u * len(value)).astype(int)]
    if kind == "uniform":
        return value[0] + u * (value[1] - value[0])
    low, high = _cdf(kind, value, given["within"]) if "within" in given else (0.0, 1.0)
    z = ndtri(low + u * (high - low))
    found = value[0] + value[1] * z if kind == "normal" else value[0] * np.exp(value[1] * z)
    return np.clip(found, *given["within"]) if "within" in given else found
