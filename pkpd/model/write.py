"""Writing a model as TOML: the canonical text, whose hash is the model's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.model.expression import Call, Expr, Name, Number, number_text, to_text
from pkpd.model.mixture import MIXNUM
from pkpd.model.observed import with_observation

if TYPE_CHECKING:
    from pkpd.model.model import Model

ROWS = ("covariates", "constants", "parameters", "needs", "states", "routes", "outputs", "priors", "mixture")


def write(model: Model, path: str | Path | None = None) -> str:
    """Give the canonical TOML text of a model; reading it gives an equal model.

    Parameters
    ----------
    model
        The model. Included models are written out, with dotted names.
    path
        Where to write the text too; the file appears whole or not at all.
    """
    text = "\n".join(_lines(model)) + "\n"
    if path is not None:
        target = Path(path)
        unfinished = target.with_name(target.name + ".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(target)
    return text


def _lines(model: Model) -> Iterator[str]:
    yield f"name = {_text(model.name)}"
    for key in ("title", "reference"):
        if value := getattr(model, key):
            yield f"{key} = {_text(value)}"
    if model.tags:
        yield f"tags = [{', '.join(_text(tag) for tag in model.tags)}]"
    if model.source:
        yield from ("", "[source]")
        yield from (f"{key} = {_text(value)}" for key, value in sorted(model.source.items()))
    yield from ("", "[units]", f"time = {_text(model.time_unit)}", f"amount = {_text(model.amount_unit)}")
    plain = with_observation(model.covariates, {})
    for key in ROWS:
        rows = plain if key == "covariates" else getattr(model, key)
        rows = {name: row for name, row in rows.items() if not (model.mixture and name == MIXNUM)}
        if rows:
            yield from ("", f"[{key}]")
            yield from (f"{_key(name)} = {_row(row)}" for name, row in rows.items())
    for block in model.blocks:
        yield from ("", "[[omega]]", f"parameters = [{', '.join(_text(name) for name in block.parameters)}]")
        rows = ", ".join("[" + ", ".join(number_text(value) for value in row) + "]" for row in block.covariance)
        yield f"covariance = [{rows}]"
        if block.between != "people":
            yield f"between = {_text(block.between)}"
        if block.fixed:
            yield "fixed = true"
    yield from _dynamics(model)
    for check in model.checks:
        yield from ("", "[[checks]]")
        yield from (f"{key} = {value}" for key, value in _values(check))


def _dynamics(model: Model) -> Iterator[str]:
    lines = equation_lines(model.assignments, model.derivatives, model.initials)
    if lines:
        yield from ("", "[dynamics]", "equations = '''", *lines, "'''")


def equation_lines(
    assignments: tuple[tuple[str, Expr], ...], derivatives: Mapping[str, Expr], initials: Mapping[str, Expr]
) -> list[str]:
    """Give the equations as lines of text, their signs of equality in one column."""
    left = [(name, expr) for name, expr in assignments]
    left += [(f"d/dt({name})", expr) for name, expr in derivatives.items()]
    left += [(f"{name}(0)", expr) for name, expr in initials.items()]
    width = max((len(name) for name, _ in left), default=0)
    return [f"{name:<{width}} = {to_text(expr)}" for name, expr in left]


def _row(row: Any) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in _values(row)) + " }" if _values(row) else "{}"


def _values(row: Any) -> list[tuple[str, str]]:
    """Give (key, TOML) of what differs from its default; unit is always said."""
    found = []
    for one in fields(row):
        value = getattr(row, one.name)
        if one.name == "name" or (one.default is not MISSING and value == one.default and one.name != "unit"):
            continue
        if one.name == "unit" and not value:
            continue
        if one.name == "inputs":
            found += _inputs(value)
        elif one.name == "kind":
            found.append((value.key, _row(value)))
        elif one.name == "lower" and value == 0 and getattr(row, "positive", False):
            continue
        elif value is not None and value != {}:
            found.append((one.name, _value(value)))
    return found


def _inputs(inputs: tuple[Any, ...]) -> list[tuple[str, str]]:
    if len(inputs) == 1:
        return _values(inputs[0])
    return [("inputs", "[" + ", ".join(_row(one) for one in inputs) + "]")]


def _value(value: Any) -> str:
    if isinstance(value, Number | Name | Call):
        return _text(to_text(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_text(value) if math.isfinite(value) else repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return _text(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else _text(name)


def _text(value: str) -> str:
    # JSON's texts are TOML's, but for one control character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
