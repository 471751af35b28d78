"""The estimates of a population fit as its readers sort them: typical values, variability, residual error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["CV", "Estimate", "Parts", "Spread", "is_population", "note_of", "parts"]

CV = "CV %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One row of the table of estimates; NaN where there is nothing.

    Parameters
    ----------
    name, unit, label : str
    value, se, rse, lower, upper, initial : float
        As in the group ``estimates``.
    note : str
        ``"fixed"``, ``"at a bound"``, ``"no SE"`` or nothing.
    prior_share : float
        Share of the information on it that is due to priors; NaN where the model has none, or it is not known.
    """

    name: str
    unit: str
    label: str
    value: float
    se: float
    rse: float
    lower: float
    upper: float
    initial: float
    note: str
    prior_share: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One variance or covariance of random effects, and what it says in words that can be imagined.

    Parameters
    ----------
    estimate : Estimate
        The variance or covariance itself.
    kind : str
        ``"iiv"``: between people; ``"iov"``: between occasions.
    who : str
        The parameter, or both: ``"cl, v"``.
    measure : str
        ``"CV %"`` of a log-normal parameter, sqrt(exp(variance) - 1); ``"SD"`` of another, on its estimation scale;
        ``"correlation"`` of a covariance.
    size, lower, upper : float
        That measure with its interval; a correlation has none.
    unit : str
        Of an SD: the unit of a parameter without transform, or the name of the scale.
    shrinkage, shrinkage_variance : tuple of float
        Of the random effects, in the SD form and in the variance form: one number, or one an occasion.
    """

    estimate: Estimate
    kind: str
    who: str
    measure: str
    size: float
    lower: float
    upper: float
    unit: str
    shrinkage: tuple[float, ...]
    shrinkage_variance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All estimates of a population fit.

    Parameters
    ----------
    typical, residual : tuple of Estimate
    variability : tuple of Spread
    epsilon : dict of str to float
        Shrinkage of the residuals of each output, 1 - SD of IWRES, where there is one.
    """

    typical: tuple[Estimate, ...]
    variability: tuple[Spread, ...]
    residual: tuple[Estimate, ...]
    epsilon: dict[str, float]

    @property
    def with_priors(self) -> bool:
        """Whether anything is known of what is due to priors."""
        return any(np.isfinite(row.prior_share) for row in self.estimates)

    @property
    def estimates(self) -> Iterator[Estimate]:
        """Every estimate."""
        yield from (*self.typical, *(spread.estimate for spread in self.variability), *self.residual)


def is_population(fit: Fit) -> bool:
    """Whether a fit is of a population, with one set of estimates for all."""
    return "omega" in fit.tree.children and "subject" not in fit.estimates.dims


def parts(fit: Fit) -> Parts:
    """Sort the estimates of a population fit."""
    rows = {row.name: row for row in _rows(fit)}
    table = fit.estimates
    transforms = dict(zip(table["parameter"].values.tolist(), table["transform"].values.tolist(), strict=True))
    variability = [name for name in rows if name.startswith(("iiv.", "iov."))]
    own = set(fit.model.parameters)
    return Parts(
        typical=tuple(row for name, row in rows.items() if name in own),
        variability=tuple(_spread(fit, rows, name, transforms) for name in variability),
        residual=tuple(row for name, row in rows.items() if name not in own and name not in variability),
        epsilon=_epsilon(fit),
    )


def note_of(fixed: bool, at_bound: bool, se: float) -> str:
    """Say what must be known of an estimate before its interval is read."""
    if fixed:
        return "fixed"
    if at_bound:
        return "at a bound"
    return "no SE" if np.isnan(se) else ""


def _rows(fit: Fit) -> Iterator[Estimate]:
    table = fit.estimates
    asked = "none asked for" not in str(fit.attrs["interval"])
    for name in table["parameter"].values.tolist():
        row = {key: table[key].sel(parameter=name).item() for key in table.data_vars}
        note = note_of(row["fixed"], row["at_bound"], row["se"])
        yield Estimate(
            name=name,
            unit="" if row["unit"] == "1" else str(row["unit"]),
            label=str(row["label"]),
            note="" if note == "no SE" and not asked else note,
            prior_share=float("nan") if row["fixed"] else float(row.get("prior_share", np.nan)),
            **{key: np.nan if row["fixed"] and key not in ("value", "initial") else float(row[key])
               for key in ("value", "se", "rse", "lower", "upper", "initial")},
        )  # fmt: skip


def _spread(fit: Fit, rows: dict[str, Estimate], name: str, transforms: dict[str, str]) -> Spread:
    estimate, (kind, _, who) = rows[name], name.partition(".")
    first, _, second = who.partition(",")
    if second:
        variances = [rows[f"{kind}.{one}"].value for one in (first, second)]
        with np.errstate(divide="ignore", invalid="ignore"):
            size = float(estimate.value / np.sqrt(np.prod(variances)))
        return Spread(
            estimate=estimate, kind=kind, who=f"{first}, {second}", measure="correlation", size=size, lower=np.nan,
            upper=np.nan, unit="", shrinkage=(), shrinkage_variance=(),
        )  # fmt: skip
    scale = transforms.get(who, "log")  # an output: its residual SD is multiplied by exp(eta)
    measures = [_coefficient(v) if scale == "log" else v**0.5 for v in (estimate.value, estimate.lower, estimate.upper)]
    unit = "" if scale == "log" else rows[who].unit if scale == "none" else f"{scale} scale"
    effects = fit["omega"]
    mine = [e for e in effects["effect"].values.tolist() if e == who or e.startswith(f"{who}@")]
    mine = [e for e in mine if ("@" in e) == (kind == "iov")]
    by_sd, by_variance = (
        tuple(float(effects[form].sel(effect=e)) for e in mine) for form in ("shrinkage", "shrinkage_variance")
    )
    shown = who if who in transforms else f"{who} (residual SD)"
    return Spread(
        estimate=estimate, kind=kind, who=shown, measure=CV if scale == "log" else "SD", size=measures[0],
        lower=measures[1], upper=measures[2], unit=unit, shrinkage=by_sd, shrinkage_variance=by_variance,
    )  # fmt: skip


def _coefficient(variance: float) -> float:
    """Coefficient of variation of a log-normal quantity, percent."""
    with np.errstate(over="ignore"):  # the upper end of an interval that says nothing is infinite
        return float(100 * np.sqrt(np.expm1(variance)))


def _epsilon(fit: Fit) -> dict[str, float]:
    records = fit.records
    weighted, kind = records["IWRES"].values, records["DVID"].values.astype(str)
    found = {}
    for output in dict.fromkeys(kind.tolist()):
        own = weighted[(kind == output) & np.isfinite(weighted)]
        if len(own) > 1:
            found[output] = float(1 - own.std(ddof=1))
    return found
