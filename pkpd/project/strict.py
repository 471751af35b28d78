"""Tables of a TOML file become dataclasses: every key known, every type right, all findings at once."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pkpd.errors import Finding, suggestion

__all__ = ["read_table"]

T = TypeVar("T")

_WORDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}


def read_table(cls: type[T], table: Any, where: str, findings: list[Finding]) -> T | None:
    """Read a table into a dataclass, by the names and types of its fields.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are texts, numbers, booleans, literals, dataclasses, or tuples and dicts of these.
        Where None is allowed, the text ``"none"`` stands for it, unless any text is.
    table : mapping
        As :mod:`tomllib` gives it.
    where : str
        The place, such as ``"fit.toml, [data]"``.
    findings : list of Finding
        What is wrong is added here.

    Returns
    -------
    An object of the class; None if something is wrong with the table.
    """
    if not isinstance(table, Mapping):
        findings.append(_wrong(where, table, "a table"))
        return None
    hints = get_type_hints(cls)
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    before = len(findings)
    for key in table:
        if key not in known:
            findings.append(
                Finding(
                    code="unknown-key",
                    where=where,
                    what=f"`{key}` has no meaning here.",
                    expected=f"Keys: {', '.join(known)}.",
                    remedy=suggestion(key, known) or "Leave it out.",
                )
            )
    values: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        if field.name in table:
            values[field.name] = _value(hints[field.name], table[field.name], f"{where}, {field.name}", findings)
        elif field.default is MISSING and field.default_factory is MISSING:
            findings.append(
                Finding(
                    code="missing-key",
                    where=where,
                    what=f"`{field.name}` is missing.",
                    expected=f"Keys: {', '.join(known)}.",
                    remedy=f"Add {field.name}.",
                )
            )
    return cls(**values) if len(findings) == before else None


def _value(kind: Any, value: Any, where: str, findings: list[Finding]) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        choices = [k for k in inner if k is not type(None)]
        if len(choices) < len(inner) and value == "none" and str not in choices:
            return None
        if all(get_origin(k) is Literal for k in choices):
            inner = tuple(one for k in choices for one in get_args(k))
            origin = Literal
        else:
            return _value(choices[0], value, where, findings)
    if origin is Literal:
        if value not in inner:
            expected = f"One of: {', '.join(map(str, inner))}."
            findings.append(Finding(code="value", where=where, what=f"{value!r} is not known.", expected=expected,
                                    remedy=suggestion(str(value), [str(i) for i in inner])))  # fmt: skip
        return value
    if origin is tuple:
        if not isinstance(value, list):
            findings.append(_wrong(where, value, "a list"))
            return ()
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_value(inner[0], item, f"{where}[{n}]", findings) for n, item in enumerate(value, start=1))
        if len(inner) != len(value):
            findings.append(_wrong(where, value, f"a list of {len(inner)}"))
            return ()
        return tuple(_value(k, item, where, findings) for k, item in zip(inner, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            findings.append(_wrong(where, value, "a table"))
            return {}
        return {str(key): _value(inner[1], item, f"{where}.{key}", findings) for key, item in value.items()}
    if kind is Any:
        return value
    if is_dataclass(kind):
        return read_table(kind, value, where, findings)  # type: ignore[arg-type]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        findings.append(_wrong(where, value, _WORDS.get(kind, str(kind))))
    return value


def _wrong(where: str, value: Any, expected: str) -> Finding:
    text = repr(value)
    short = text if len(text) < 60 else text[:57] + "..."
    return Finding(code="type", where=where, what=f"this is {short}.", expected=f"Here stands {expected}.")
