"""What the table of names is made of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENDS", "Variable", "several"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What one variable of a result means.

    Parameters
    ----------
    name, group
        Its name, and the group of the tree in which it lives.
    dims
        Its dimensions. In fits of one subject each, ``subject`` comes in front of them where `by_subject` is true.
    meaning
        One line; becomes the ``long_name``.
    unit
        The kind of its unit: ``"time"``, ``"dose"``, ``"output"`` (the unit of the record's output), ``"parameter"``
        (each parameter's own), ``"transformed"`` (the estimation scale), ``"1"``, ``"%"``, ``"-2 log L"``, ``"s"``,
        or ``""`` for names, texts and flags.
    by_subject
        Whether there is one for each subject when each is fitted alone.
    """

    name: str
    group: str
    dims: tuple[str, ...]
    meaning: str
    unit: str = ""
    by_subject: bool = False


def several(group: str, dims: tuple[str, ...], /, **meanings: str | tuple[str, str]) -> tuple[Variable, ...]:
    """Give several variables of one group and of the same dimensions: a meaning each, or (meaning, unit)."""
    pairs = {name: (said, "") if isinstance(said, str) else said for name, said in meanings.items()}
    return tuple(
        Variable(name=name, group=group, dims=dims, meaning=meaning, unit=unit)
        for name, (meaning, unit) in pairs.items()
    )


#: The ends of an interval.
ENDS: dict[str, str | tuple[str, str]] = {
    "lower": ("lower end of the interval", "parameter"),
    "upper": ("upper end of the interval", "parameter"),
}
