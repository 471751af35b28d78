"""Outputs: what is observed, and how observations scatter around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pkpd.errors import ModelError
from pkpd.model.kind import Kind

RESIDUALS = ("add", "prop", "power", "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An observable with its law of residual error.

    With prediction f the standard deviation is ``add`` and ``prop * f ** power`` (power 1 if not given) together:
    ``combined=1`` adds standard deviations, ``combined=2`` variances. With `log`, the logarithm of the observation
    is normal around log f with that standard deviation, and nothing else is given.

    Parameters
    ----------
    name
        An assignment or a state of the equations.
    unit
        Unit of the observation; the same as that of the equations.
    dvid
        NONMEM's number of the observed kind, for data that use numbers.
    label
        What it is, for axes and tables.
    add
        Standard deviation, in `unit`.
    prop
        Standard deviation as a fraction of the prediction (in ``unit ** (1 - power)`` with a power).
    power
        Exponent of the prediction in the proportional part; None for 1, never estimated.
    log
        Standard deviation on the log scale; None for an error on the natural scale.
    combined
        1 or 2, see above.
    fixed_error
        True if a fit shall not move the residual parameters.
    t
        Degrees of freedom of Student's t, around the prediction with `add`, `prop` or `log` as its scale (its SD is
        ``sqrt(t / (t - 2))`` scales); never estimated. None for the normal law.
    iiv
        Variance between people of the logarithm of the SD: one random effect multiplies `add` and `prop`, or `log`.
    fixed_iiv
        True if a fit shall not move it; in a block, the block says it.
    kind
        What an observation is if it is no measured amount: a score, one of several categories, a count, an event, ...
        (:mod:`pkpd.model.kind`); its law then stands alone. In a file ``score = { lower = 0, upper = 100, sd = 0.5 }``.
    """

    name: str
    unit: str = "1"
    dvid: int | None = None
    label: str = ""
    add: float = 0.0
    prop: float = 0.0
    power: float | None = None
    log: float | None = None
    combined: int = 2
    fixed_error: bool = False
    t: float | None = None
    iiv: float = 0.0
    fixed_iiv: bool = False
    kind: Kind | None = None

    def __post_init__(self) -> None:
        where = f"output {self.name}"
        for key in RESIDUALS:
            value = getattr(self, key)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ModelError(
                    f"{key} is {value:g}.", where=where, expected="It is 0 or more: a standard deviation or a power."
                )
        if not (math.isfinite(self.iiv) and self.iiv >= 0):
            raise ModelError(f"iiv is {self.iiv:g}.", where=where, expected="It is a variance: 0 or more.")
        if self.t is not None and not (math.isfinite(self.t) and self.t > 0):
            raise ModelError(
                f"t is {self.t:g}.", where=where, expected="Degrees of freedom above 0; an SD exists above 2.",
                remedy="Leave it out for the normal law.",
            )  # fmt: skip
        if self.t is not None and not (self.add or self.prop or self.log):
            raise ModelError("t is given without a scale.", where=where, expected="add, prop or log.")
        if self.kind is not None and (self.add or self.prop or self.power is not None or self.log or self.t):
            raise ModelError(
                f"{self.kind.key} is given together with a residual error.",
                where=where,
                expected=f"The law of {self.kind.key} stands alone.",
                remedy="Leave out add, prop, power, log and t.",
            )
        if self.iiv and not (self.add or self.prop or self.log or self.scale_names):
            raise ModelError(
                f"iiv is {self.iiv:g}, and there is no residual error that could differ between people.",
                where=where,
                expected="add, prop or log; sd or precision of a score; dispersion of a count.",
                remedy="Give one of them, or leave out iiv.",
            )
        if self.log is not None and (self.add or self.prop or self.power is not None):
            raise ModelError(
                "log is given together with add, prop or power.",
                where=where,
                expected="An error on the log scale stands alone.",
                remedy="Keep log, or the others.",
            )
        if self.log == 0:
            raise ModelError("log is 0.", where=where, expected="A standard deviation above 0.", remedy="Leave it out.")
        if self.power is not None and not self.prop:
            raise ModelError("power is given without prop.", where=where, remedy="Give prop, or take power away.")
        if self.combined not in (1, 2):
            raise ModelError(
                f"combined is {self.combined}.",
                where=where,
                expected="1 adds standard deviations, 2 adds variances.",
            )
        if self.dvid is not None and self.dvid < 1:
            raise ModelError(f"dvid is {self.dvid}.", where=where, expected="Kinds of observation count from 1.")

    @property
    def residual_values(self) -> dict[str, float]:
        """The residual parameters that exist: ``{"cp.add": 0.1, "cp.prop": 0.2}``."""
        if self.kind is not None:
            return {f"{self.name}.{term}": value for term, value in self.kind.values.items()}
        values = {}
        for key in RESIDUALS:
            value = getattr(self, key)
            if value is not None and not (key in ("add", "prop") and value == 0):
                values[f"{self.name}.{key}"] = value
        return values

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residual parameters that exist: ``("cp.add", "cp.prop")``."""
        return tuple(self.residual_values)

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Those of them on whose logarithm `iiv` acts."""
        scales = ("add", "prop", "log") if self.kind is None else self.kind.scales
        return tuple(name for name in self.residual_names if name.rpartition(".")[2] in scales)

    def with_residual(self, term: str, value: float) -> Output:
        """Give the same with another value of a residual parameter: ``with_residual("add", 0.2)``."""
        if self.kind is not None:
            return replace(self, kind=self.kind.with_value(term, value))
        return replace(self, **{term: value})  # type: ignore[arg-type]

    @property
    def law(self) -> str:
        """The law in words and numbers, for tables."""
        law = self._law if self.t is None else f"{self._law}; Student's t with {self.t:g} df, SDs are its scales"
        return law + (f"; SDs differ by {100 * self.iiv**0.5:.3g} % between people" if self.iiv else "")

    @property
    def _law(self) -> str:
        if self.kind is not None:
            return self.kind.words
        if self.log is not None:
            return f"log-normal, SD {self.log:g} on the log scale"
        f_power = "" if self.power is None else f" f**{self.power:g}"
        parts = []
        if self.add:
            parts.append(f"additive, SD {self.add:g} {'' if self.unit == '1' else self.unit}".rstrip())
        if self.prop:
            parts.append(
                f"proportional, SD {100 * self.prop:g} %" if not f_power else f"power, SD {self.prop:g}{f_power}"
            )
        joined = (" + " if self.combined == 1 else " and ").join(parts)
        return joined + (" (SDs add)" if self.combined == 1 and len(parts) == 2 else "") if parts else "no error given"
