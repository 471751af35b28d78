"""Pointing at what a finding is about, and walking through everything that a model computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pkpd.errors import Finding
from pkpd.model.expression import Call, Expr, Name
from pkpd.model.grammar import Place

EQUATION = {"assignment": "`{}`", "derivative": "d/dt({})", "initial": "{}(0)"}


class Finder:
    """Makes findings that point at where a part of the model stands, or name it if that is not known.

    Parameters
    ----------
    places
        Where things stand, as a model keeps it.
    """

    def __init__(self, places: Mapping[tuple[str, ...], Any]) -> None:
        self.places = places

    def find(self, key: tuple[str, ...], code: str, what: str, place: Place | None = None, **parts: Any) -> Finding:
        """Give a finding about `key`; `place` is the part of its expression that is meant."""
        parts = {name: value or None for name, value in parts.items()}
        if key in self.places and (place is None or place.line):
            source, own = self.places[key]
            return source.finding(code, what, place or own, **parts)
        kind, name = key[0], key[1] if len(key) > 1 else ""
        where = EQUATION[kind].format(name) if kind in EQUATION else f"[{kind}] {'.'.join(key[1:])}"
        return Finding(code=code, what=what, where=where, **parts)

    def place(self, key: tuple[str, ...]) -> Place:
        """Give the place of an expression; a place of line 0 if it is not known."""
        return self.places[key][1] if key in self.places else Place(0, 0)


def expressions(parts: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Expr]]:
    """Give (key of its place, expression) for everything that is computed, but the factors of covariates."""
    for name, expr in parts["assignments"]:
        yield ("assignment", name), expr
    for kind, key in (("derivative", "derivatives"), ("initial", "initials")):
        for name, expr in parts[key].items():
            yield (kind, name), expr
    for name, route in parts["routes"].items():
        for number, one in enumerate(route.inputs):
            for key, expr in one.expressions():
                yield input_key(parts, name, number, key), expr


def input_key(parts: Mapping[str, Any], route: str, number: int, key: str) -> tuple[str, ...]:
    """Give the key of the place of an input's expression: in the row itself, or in its list of inputs."""
    plain = ("routes", route, key)
    return plain if plain in parts["places"] else ("routes", route, "inputs", str(number), key)


def used_names(expr: Expr, place: Place) -> Iterator[tuple[str, Place]]:
    """Give every name that an expression uses, with its place."""
    if isinstance(expr, Name):
        yield expr.name, place
    elif isinstance(expr, Call):
        parts = place.parts if len(place.parts) == len(expr.args) else (place,) * len(expr.args)
        for arg, part in zip(expr.args, parts, strict=True):
            yield from used_names(arg, part)
