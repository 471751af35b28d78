"""Mixtures of sub-populations: classes of people that differ, where nobody knows who belongs to which."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pkpd.errors import Finding, ModelError
from pkpd.model.expression import names
from pkpd.model.finder import Finder, expressions
from pkpd.model.parameter import Covariate

if TYPE_CHECKING:
    from pkpd.model.rows import Row

__all__ = ["MIXNUM", "Class", "mixture_findings", "read_class", "shares", "with_classes", "with_shares"]

#: The covariate by which equations know the class: 1 for the first, as in NONMEM.
MIXNUM = "MIXNUM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class of a mixture.

    Parameters
    ----------
    name
        Lower case.
    share
        Of the population; None for the last class, whose share is what the others leave.
    label, source
        Who they are, and where the share comes from.

    Raises
    ------
    ModelError
        The share is none.
    """

    name: str
    share: float | None = None
    label: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.share is not None and not (math.isfinite(self.share) and 0 < self.share < 1):
            raise ModelError(
                f"share is {self.share:g}.",
                where=f"class {self.name} of the mixture",
                expected="A share of the population, between 0 and 1.",
                remedy="Take the class out if there is nobody in it.",
            )


def read_class(row: Row, name: str) -> Class | None:
    """Read a row of ``[mixture]``."""
    return row.make(Class, name=name, share=row.number("share"), label=row.text("label"), source=row.text("source"))


def shares(mixture: Mapping[str, Class]) -> dict[str, float]:
    """Give the share of every class."""
    found = {name: one.share for name, one in mixture.items() if one.share is not None}
    return {name: found.get(name, 1.0 - sum(found.values())) for name in mixture}


def with_shares(mixture: Mapping[str, Class], values: Mapping[str, float]) -> dict[str, Class]:
    """Give a mixture with other shares of some classes.

    Raises
    ------
    ModelError
        They leave nothing for the last class.
    """
    found = {name: replace(one, share=values.get(name, one.share)) for name, one in mixture.items()}
    if values and min(shares(found).values()) <= 0:
        raise ModelError(
            f"the shares {', '.join(f'{name} {share:g}' for name, share in shares(found).items())} are none.",
            where="the mixture",
            expected=f"A sum below 1: the rest is that of {list(found)[-1]}.",
            remedy="Make them smaller.",
        )
    return found


def with_classes(covariates: Mapping[str, Covariate], mixture: Mapping[str, Class]) -> dict[str, Covariate]:
    """Give the covariates of a model with that of the class, if there is a mixture."""
    found = dict(covariates)
    if mixture:
        label = "class of the mixture: " + ", ".join(f"{k} {name}" for k, name in enumerate(mixture, start=1))
        found[MIXNUM] = Covariate(name=MIXNUM, unit="1", reference=1.0, label=label)
    return found


def mixture_findings(parts: Mapping[str, Any]) -> Iterator[Finding]:
    """Give what is wrong with a mixture: too few classes, shares that are none, nothing that differs."""
    mixture, at = parts["mixture"], Finder(parts["places"])
    if not mixture:
        return
    *others, last = mixture
    key = ("mixture", last)
    if not others:
        yield at.find(key, "mixture", f"`{last}` is the only class.", expected="Two classes or more.",
                      remedy="Add another class, or take the mixture out.")  # fmt: skip
    for name in others:
        if mixture[name].share is None:
            yield at.find(("mixture", name), "mixture", f"`{name}` has no share.", expected="That of all but the last.",
                          remedy=f"Write {name} = {{ share = 0.5 }}.")  # fmt: skip
    if others and mixture[last].share is not None:
        yield at.find(key, "mixture", f"`{last}` has a share of its own.",
                      expected="The last class is what the others leave.", remedy="Leave it out.")  # fmt: skip
    total = sum(mixture[name].share or 0.0 for name in others)
    if total >= 1:
        yield at.find(key, "mixture", f"the shares before `{last}` sum to {total:g}.", expected="Less than 1.",
                      remedy="Make them smaller.")  # fmt: skip
    used = any(MIXNUM in names(expr) for _, expr in expressions(parts))
    used |= any(MIXNUM in names(expr) for p in parts["parameters"].values() for expr in p.effects.values())
    if not used:
        yield at.find(key, "mixture", f"nothing uses {MIXNUM}: the classes do not differ.",
                      remedy=f"Such as `cl = slow if {MIXNUM} == 2 else fast`, or a shift.")  # fmt: skip
