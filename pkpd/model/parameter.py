"""Parameters, constants and covariates: the numbers of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pkpd.errors import ModelError
from pkpd.model.expression import Expr

Transform = Literal["log", "logit", "none", "boxcox"]
_STEEPEST = 10.0  # shape, either way
TRANSFORMS: tuple[str, ...] = ("log", "logit", "none", "boxcox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One row of the table of parameters: a typical value, and how people differ around it.

    The value of a person is ``inverse(forward(typical) + shift + eta) * times``.

    Parameters
    ----------
    name
        Lower case, as in the equations.
    typical
        Value of the typical person, in `unit`.
    unit
        Such as ``"L/h"``; ``"1"`` for a bare number.
    lower, upper
        Bounds of the typical value, in `unit`. With ``transform="log"`` or ``"boxcox"`` the lower bound is at least 0.
    transform
        The scale on which people differ: ``"log"`` (log-normal), ``"logit"`` (between the bounds),
        ``"boxcox"`` or ``"none"``.
    shape
        Of ``"boxcox"``: the transformed value is (value ** shape - 1) / shape; 0 is ``"log"``, 1 all but ``"none"``.
        Where shape * transformed + 1 is not above 0, there is no value: NaN. Box GEP, Cox DR. An analysis of
        transformations. J R Stat Soc B 1964;26:211-252. doi:10.1111/j.2517-6161.1964.tb00553.x
    iiv, iov
        Variances of the differences between people and between occasions, on the transformed scale.
    shift
        Effects of covariates on the transformed scale, made of covariates, constants and other parameters; None for
        none.
    fixed_iiv, fixed_iov
        True if a fit shall not move them; in a block, the block says it.
    times
        A factor made of covariates, each a bare number in its declared unit; None for no factor.
    fixed
        True if a fit shall not move it.
    rse
        Published relative standard error, as a fraction; None if unknown.
    label, source
        What it is, and where its value comes from.

    Raises
    ------
    ModelError
        The values contradict each other.
    """

    name: str
    typical: float
    unit: str = "1"
    lower: float = -math.inf
    upper: float = math.inf
    transform: Transform = "log"
    shape: float | None = None
    iiv: float = 0.0
    iov: float = 0.0
    shift: Expr | None = None
    fixed_iiv: bool = False
    fixed_iov: bool = False
    times: Expr | None = None
    fixed: bool = False
    rse: float | None = None
    label: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        where = f"parameter {self.name}"
        if self.transform not in TRANSFORMS:
            raise ModelError(
                f"transform is {self.transform!r}.", where=where, expected=f"Transforms: {', '.join(TRANSFORMS)}."
            )
        if not math.isfinite(self.typical):
            raise ModelError(f"typical is {self.typical}.", where=where, expected="A finite number was expected.")
        for name in ("iiv", "iov"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ModelError(
                    f"{name} is {value:g}.", where=where, expected="It is a variance: 0 or more.",
                    remedy="A CV of 30 % is a variance of 0.09 (or log(1 + 0.3 ** 2) = 0.086).",
                )  # fmt: skip
        if self.rse is not None and not (math.isfinite(self.rse) and self.rse >= 0):
            raise ModelError(f"rse is {self.rse:g}.", where=where, expected="A fraction, 0 or more.")
        self._check_shape(where)
        if self.positive:
            self._check_positive(where)
        if self.transform == "logit" and not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise ModelError(
                f"transform is logit, with the bounds {self.lower:g} and {self.upper:g}.",
                where=where, expected="logit needs two finite bounds.", remedy="Give lower and upper.",
            )  # fmt: skip
        inside = (
            self.lower < self.typical < self.upper
            if self.transform == "logit"
            else self.lower <= self.typical <= self.upper
        )
        if not (inside and self.lower < self.upper):
            raise ModelError(
                f"typical is {self.typical:g}, with the bounds {self.lower:g} and {self.upper:g}.",
                where=where,
                expected=f"It lies {'strictly ' if self.transform == 'logit' else ''}between them.",
                remedy="Move the bounds or the value.",
            )

    def _check_shape(self, where: str) -> None:
        if self.shape is None and self.transform == "boxcox":
            raise ModelError(
                "transform is boxcox, and there is no shape.", where=where, expected="The exponent of the transform.",
                remedy="Say shape = 0.5; 0 is the logarithm.",
            )  # fmt: skip
        if self.shape is not None and self.transform != "boxcox":
            raise ModelError(
                f"shape is {self.shape:g}, and the transform is {self.transform}.", where=where,
                expected="A shape belongs to boxcox.", remedy='Say transform = "boxcox", or leave out shape.',
            )  # fmt: skip
        if self.shape is not None and not abs(self.shape) <= _STEEPEST:
            raise ModelError(
                f"shape is {self.shape:g}.", where=where, expected=f"A number from -{_STEEPEST} to {_STEEPEST}."
            )

    def _check_positive(self, where: str) -> None:
        kind = "log-normal" if self.transform == "log" else "Box-Cox"
        if self.typical <= 0:
            raise ModelError(
                f"typical is {self.typical:g}, and its transform is {self.transform}.",
                where=where, expected=f"A {kind} value is above 0.",
                remedy='Say transform = "none", or "logit" with bounds.',
            )  # fmt: skip
        if self.lower == -math.inf:
            object.__setattr__(self, "lower", 0.0)
        if self.lower < 0:
            raise ModelError(
                f"lower is {self.lower:g}, and the transform is {self.transform}.", where=where,
                expected=f"A {kind} value is above 0.", remedy='Say lower = 0, or transform = "none".',
            )  # fmt: skip

    @property
    def effects(self) -> dict[str, Expr]:
        """What covariates do to it, by the key that says so: ``shift`` and ``times``."""
        return {key: expr for key in ("shift", "times") if (expr := getattr(self, key)) is not None}

    @property
    def positive(self) -> bool:
        """Whether the transform lets no value be 0 or less."""
        return self.transform in ("log", "boxcox")

    @property
    def cv(self) -> float | None:
        """Coefficient of variation between people, as a fraction; None where it has no meaning.

        For a log-normal value sqrt(exp(variance) - 1); for a normal one SD / typical.
        """
        if self.transform == "log":
            return math.sqrt(math.expm1(min(self.iiv, 700.0)))
        if self.transform == "none" and self.typical != 0:
            return math.sqrt(self.iiv) / abs(self.typical)
        return None

    def forward(self, value: Any) -> Any:
        """Give values (natural scale, any shape) on the transformed scale."""
        value = np.asarray(value, float)
        if self.transform == "log":
            return np.log(value)[()]
        if self.transform == "logit":
            return (np.log(value - self.lower) - np.log(self.upper - value))[()]
        if self.shape is not None:
            with np.errstate(divide="ignore", over="ignore"):
                return (np.expm1(self.shape * np.log(value)) / self.shape if self.shape else np.log(value))[()]
        return value[()]

    def inverse(self, transformed: Any) -> Any:
        """Give transformed values (any shape) on the natural scale."""
        transformed = np.asarray(transformed, float)
        if self.transform == "log":
            return np.exp(transformed)[()]
        if self.transform == "logit":
            return (self.lower + (self.upper - self.lower) * _expit(transformed))[()]
        if self.shape is not None:
            return self._power(transformed, 1.0)
        return transformed[()]

    def d_inverse(self, transformed: Any) -> Any:
        """Give the derivative of :meth:`inverse` at transformed values (any shape)."""
        transformed = np.asarray(transformed, float)
        if self.transform == "log":
            return np.exp(transformed)[()]
        if self.transform == "logit":
            return ((self.upper - self.lower) * _expit(transformed) * _expit(-transformed))[()]
        if self.shape is not None:
            return self._power(transformed, 1.0 - self.shape)
        return np.ones_like(transformed)[()]

    def _power(self, transformed: Any, exponent: float) -> Any:
        """The value to a power, from its Box-Cox transform; NaN where there is none."""
        if not self.shape:
            return np.exp(exponent * transformed)[()]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            logs = np.log1p(np.where(self.shape * transformed > -1, self.shape * transformed, np.nan)) / self.shape
            return np.exp(exponent * logs)[()]

    def size(self, transformed: Any) -> Any:
        """Say what counts as a change by 1 near transformed values (any shape).

        That is 1 for logarithms and the like; for a natural value its size, 0 included; for a Box-Cox value what
        changes it by a share of 1.
        """
        transformed = np.asarray(transformed, float)
        if self.transform == "none":
            return np.abs(transformed)[()]
        if self.shape is not None:
            return np.abs(1 + self.shape * transformed)[()]
        return np.ones_like(transformed)[()]


def _expit(z: Any) -> Any:
    # exp of a negative number only, so that nothing overflows
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A number that is never estimated: a molar mass, a conversion, a share."""

    name: str
    value: float
    unit: str = "1"
    label: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ModelError(
                f"value is {self.value}.", where=f"constant {self.name}", expected="A finite number was expected."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariate:
    """A column of the data that the model uses; `reference` is the value of the typical person, if there is one."""

    name: str
    unit: str = "1"
    reference: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.reference is not None and not math.isfinite(self.reference):
            raise ModelError(
                f"reference is {self.reference}.",
                where=f"covariate {self.name}",
                expected="A finite number was expected.",
            )
