"""The smaller rows of a model: states, needs, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Check", "Need", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A state of the differential equations; an empty unit is not known yet."""

    name: str
    unit: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A name that a part expects from the model it is joined to."""

    name: str
    unit: str = "1"
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A number that the source of a model prints, or that was computed once and must stay.

    `dose` is a regimen as text, `that` what is looked at (such as ``"cmax(cp)"``), `equals` its value in `unit`
    within the relative tolerance `rtol`, for a person with these `covariates`; `where` tells where it is printed.
    """

    dose: str
    that: str
    equals: float
    unit: str = "1"
    rtol: float = 1e-3
    where: str = ""
    covariates: Mapping[str, float] = field(default_factory=dict)
