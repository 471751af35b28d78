"""Routes: how a dose enters the states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkpd.errors import ModelError
from pkpd.model.expression import Expr

INPUT_EXPRESSIONS = ("scale", "lag", "bioavailability", "rate", "duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One state that a route leads into.

    Its expressions are made of parameters, constants and covariates, and of `dose`: the amount given, in the unit of
    the route's doses.

    Parameters
    ----------
    into
        The state.
    scale
        Amount that reaches the state per unit of dose: a conversion (molar mass, share of an enantiomer), applied to
        amounts and rates before anything else. Its unit is the state's over the dose's.
    lag
        Time by which the dose is late, in the model's time unit.
    bioavailability
        Dimensionless. With a given rate it changes the duration of an infusion, with a given or modelled duration
        its rate.
    rate, duration
        Makes a dose without a rate of its own an infusion: rate in dose unit / time, duration in time. One of them.
    """

    into: str
    scale: Expr | None = None
    lag: Expr | None = None
    bioavailability: Expr | None = None
    rate: Expr | None = None
    duration: Expr | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.duration is not None:
            raise ModelError(
                "both rate and duration are modelled.",
                where=f"input into {self.into}",
                expected="One follows from the other and the dose.",
                remedy="Give one of them.",
            )

    def expressions(self) -> Iterator[tuple[str, Expr]]:
        """Give (key, expression) of what is modelled."""
        for key in INPUT_EXPRESSIONS:
            expr = getattr(self, key)
            if expr is not None:
                yield key, expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to give the drug.

    Parameters
    ----------
    name
        As doses say it.
    inputs
        The states it leads into, one or more.
    cmt
        NONMEM's compartment number, for data that use numbers.
    unit
        Unit of its doses; empty for the model's amount unit.
    label
        What it is.
    """

    name: str
    inputs: tuple[Input, ...]
    cmt: int | None = None
    unit: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        where = f"route {self.name}"
        if not self.inputs:
            raise ModelError("it leads nowhere.", where=where, remedy='Say into = "central", or give inputs.')
        if self.cmt is not None and self.cmt < 1:
            raise ModelError(f"cmt is {self.cmt}.", where=where, expected="Compartments count from 1.")
