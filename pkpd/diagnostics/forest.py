"""Effects of covariates: how parameters of other people compare with those of a reference subject."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.people import people_of
from pkpd.errors import UsageError, suggestion
from pkpd.model.expression import evaluate, names
from pkpd.model.mixture import MIXNUM
from pkpd.plots.labels import plain_log
from pkpd.plots.style import COLOURS, INK, QUIET, figure
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case
    from pkpd.model import Model

__all__ = ["Forest", "of_subject"]

_ROWS = 24
#: Step of the differences by which errors are carried over, on the estimation scale.
_STEP = 1e-4
_TAILS = (5, 95)
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)


def covariate_effects(case: Case) -> str:
    """A quantity that depends on a covariate."""
    if not _covariates(case.fit.model):
        return "The model has no covariates."
    if not _moved(case.fit.model):
        return "No parameter, and nothing that is computed from parameters alone, depends on a covariate."
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest(Diagnostic):
    """Parameters of people with other covariates, as ratios to those of a reference subject, one covariate at a time.

    Effects are read off the model itself, however it states them: the parameters of a subject are evaluated at its
    covariates (factors, shifts, and assignments of parameters and covariates alone). Intervals come from draws of a
    bootstrap or of SIR where the fit holds them, else from the covariance of the estimates (delta method on the
    logarithm of the ratio).

    Parameters
    ----------
    values : mapping of str to sequence of float, optional
        Where a covariate is looked at; left out, the 5th and 95th percentiles of the subjects, or all groups.
    reference : mapping of str to float, optional
        The reference subject; left out, the references of the model, else medians, or the largest group.
    band : (float, float)
        Ratios that matter to nobody.
    level : float
        Of the intervals.
    """

    title: ClassVar[str] = "Effects of covariates"
    question: ClassVar[str] = "How far do people of other covariates differ from a reference subject?"
    needs: ClassVar = (needs.found, needs.one_for_all, needs.the_data, covariate_effects)
    source: ClassVar[str] = (
        "Menon-Andersen D, Yu B, Madabushi R, et al. Essential pharmacokinetic information for drug dosage "
        "decisions: a concise visual presentation in the drug label. Clin Pharmacol Ther 2011;90:"
        "471-474. doi:10.1038/clpt.2011.149"
    )

    values: Mapping[str, Sequence[float]] | None = None
    reference: Mapping[str, float] | None = None
    band: tuple[float, float] = (0.8, 1.25)
    level: float = 0.95

    def __post_init__(self) -> None:
        sound = isinstance(self.band, tuple) and len(self.band) == 2 and 0 < self.band[0] < self.band[1]
        for name, right, expected in (
            ("band", sound, "Two ratios above 0, the smaller one first."),
            ("level", isinstance(self.level, float) and 0 < self.level < 1, "A share between 0 and 1."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"Forest({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give the ratio of each quantity at each value of each covariate, with its interval."""
        import xarray as xr

        model, people = case.fit.model, people_of(case)
        known = _covariates(model)
        for said, where in ((self.values, "values"), (self.reference, "reference")):
            for name in said or {}:
                if name not in known:
                    raise UsageError(
                        f"`{name}` is no covariate of the model.", where=f"Forest({where}=...)",
                        expected=f"Some of {', '.join(known)}.", remedy=suggestion(name, known) or "Name one of these.",
                    )  # fmt: skip
        own = _columns(case)
        base = {name: self._reference(name, model, own, name in people.groups) for name in known}
        rows = [
            (quantity, name, float(value))
            for quantity, by in _moved(model).items()
            for name in by
            for value in self._values(name, own, base, name in people.groups)
        ]
        if not rows:
            raise UsageError(
                "no covariate differs from its reference.", where="Forest(values=...)",
                expected="Values to look at.", remedy=f"Give them: values={{{known[0]!r}: (...)}}.",
            )  # fmt: skip
        law = _Law(case, base)
        ratio, low, high = law.ratios(rows, self.level)
        share = [_share_beyond(own.get(name), value, base[name]) for _, name, value in rows]
        units = {name: tidy(model.covariates[name].unit) for name in known}
        attrs = {
            "reference": ", ".join(f"{name} {base[name]:.4g}{_unit(units[name])}" for name in known),
            "how": law.how, "level": self.level, "low": self.band[0], "high": self.band[1],
        }  # fmt: skip
        return xr.Dataset(
            {
                "quantity": ("row", np.array([row[0] for row in rows])),
                "covariate": ("row", np.array([row[1] for row in rows])),
                "value": ("row", np.array([row[2] for row in rows])),
                "unit": ("row", np.array([units[row[1]] for row in rows])),
                "ratio": ("row", ratio, {"long_name": "ratio to the reference subject", "units": "1"}),
                "lower": ("row", low),
                "upper": ("row", high),
                "beyond": ("row", np.array(share), {"long_name": "share of the subjects as far from the reference"}),
            },
            attrs=attrs,
        )

    def pages(self, found: xr.Dataset) -> int:
        """One for each 24 rows."""
        return -(-found.sizes["row"] // _ROWS)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw ratios with their intervals over the band."""
        from matplotlib.ticker import FixedLocator, NullLocator

        own = found.isel(row=slice(page * _ROWS, (page + 1) * _ROWS))
        count, ratio = own.sizes["row"], own["ratio"].values
        low, high = own["lower"].values, own["upper"].values
        drawing = figure(width=7.0, height=1.3 + 0.3 * count)
        ax, y = drawing.axes[0], np.arange(count)[::-1]
        every = np.concatenate([ratio, low, high, [found.attrs["low"], found.attrs["high"]]])
        every = every[np.isfinite(every) & (every > 0)]
        room = max((every.max() / every.min()) ** 0.06, 1.05)
        ax.set_xlim(every.min() / room, every.max() * room)
        plain_log(ax, "x")
        ax.xaxis.set_major_locator(FixedLocator(_TICKS))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.axvspan(found.attrs["low"], found.attrs["high"], color=COLOURS["sky"], alpha=0.22, linewidth=0)
        ax.axvline(1.0, color=QUIET, linewidth=0.9)
        ax.hlines(y, low, high, color=COLOURS["blue"], linewidth=2.0)
        ax.plot(ratio, y, linestyle="none", marker="o", markersize=5, color=INK)
        for k in range(count):
            said = f"{ratio[k]:.2f}"
            if np.isclose(low[k], high[k], rtol=1e-9):
                said += " fixed"
            else:
                said += f" [{low[k]:.2f}, {high[k]:.2f}]" if np.isfinite(low[k]) else " no interval"
            ax.text(1.02, y[k], said, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)
        quantity = own["quantity"].values
        for k in range(1, count):
            if quantity[k] != quantity[k - 1]:
                ax.axhline(y[k] + 0.5, color=QUIET, linewidth=0.5)
        ax.set_yticks(y, [f"{quantity[k]}:  {_value(own, k)}" for k in range(count)])
        ax.set_ylim(-0.6, count - 0.4)
        ax.grid(visible=False, axis="y")
        ax.grid(visible=True, axis="x")
        ax.set_xlabel("\n".join(textwrap.wrap(f"ratio to the reference subject ({found.attrs['reference']})", 70)))
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what matters most, and what is undecided."""
        attrs, ratio = found.attrs, found["ratio"].values
        low, high = found["lower"].values, found["upper"].values
        words = [
            f"Typical parameters of people who differ in one covariate, over those of the reference subject "
            f"({attrs['reference']}), with {100 * attrs['level']:g} % intervals ({attrs['how']}); the band is "
            f"{attrs['low']:g} to {attrs['high']:g}."
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(np.log(ratio))
        if np.isfinite(far).any():
            most = int(np.nanargmax(np.where(np.isfinite(far), far, np.nan)))
            words.append(
                f"The largest effect is that of {_value(found, most)} on {found['quantity'].values[most]}: "
                f"{ratio[most]:.2f} times the reference."
            )
        known = np.isfinite(low) & np.isfinite(high)
        inside = known & (low >= attrs["low"]) & (high <= attrs["high"])
        outside = known & ((high < attrs["low"]) | (low > attrs["high"]))
        words.append(
            f"Of {len(ratio)} intervals {int(inside.sum())} lie inside the band, {int(outside.sum())} outside, "
            f"{int((known & ~inside & ~outside).sum())} across an end of it: undecided."
        )
        if not known.all():
            words.append(f"{int((~known).sum())} have no interval: the estimates they rest on have no standard error.")
        return " ".join(words)

    def _reference(self, name: str, model: Model, own: dict[str, np.ndarray], grouped: bool) -> float:
        if self.reference is not None and name in self.reference:
            return float(self.reference[name])
        stated = model.covariates[name].reference
        if stated is not None:
            return float(stated)
        values = own.get(name, np.zeros(0))
        values = values[np.isfinite(values)]
        if not values.size:
            raise UsageError(
                f"`{name}` has no reference.", where="Forest(reference=...)",
                expected="A value in the model, or in the data.", remedy=f"Give it: reference={{{name!r}: ...}}.",
            )  # fmt: skip
        if grouped:
            levels, counts = np.unique(values, return_counts=True)
            return float(levels[np.argmax(counts)])
        return float(np.median(values))

    def _values(self, name: str, own: dict[str, np.ndarray], base: dict[str, float], grouped: bool) -> list[float]:
        if self.values is not None:
            return [float(value) for value in self.values.get(name, ())]
        values = own.get(name, np.zeros(0))
        values = values[np.isfinite(values)]
        if not values.size:
            return []
        levels = np.unique(values)
        at = levels if grouped or len(levels) <= 2 else np.unique(np.percentile(values, _TAILS))
        return [float(value) for value in at if value != base[name]]


def of_subject(model: Model, values: Mapping[str, Any], covariates: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters of a typical subject, and what is computed from parameters, constants and covariates alone.

    Parameters
    ----------
    model : Model
    values : mapping of str to float or array
        Typical values of all parameters.
    covariates : mapping of str to float or array
    """
    known: dict[str, Any] = {name: constant.value for name, constant in model.constants.items()} | dict(covariates)
    for name, parameter in sorted(model.parameters.items(), key=lambda item: item[1].shift is not None):
        own = values[name]
        if parameter.shift is not None:
            own = parameter.inverse(parameter.forward(own) + evaluate(parameter.shift, known))
        known[name] = own if parameter.times is None else own * evaluate(parameter.times, known)
    for name, expr in model.assignments:
        if names(expr) <= known.keys():
            known[name] = evaluate(expr, known)
    return known


class _Law:
    """Ratios of quantities, and how well they are known."""

    def __init__(self, case: Case, base: dict[str, float]) -> None:
        fit = case.fit
        self.model, self.base = fit.model, {**base, **({MIXNUM: 1.0} if MIXNUM in fit.model.covariates else {})}
        self.values = {name: p.typical for name, p in self.model.parameters.items()}
        table = fit.estimates
        free = table["parameter"].values[~table["fixed"].values].tolist()
        self.names = [name for name in free if name in self.values]
        self.covariance = fit.covariance["covariance"].sel(parameter=self.names, parameter_=self.names).values
        self.draws: dict[str, np.ndarray] | None = None
        groups = fit.tree.children
        source = next((name for name in ("bootstrap", "sir") if name in groups), None)
        self.how = "delta method, covariance of the estimates"
        if source is not None and "posterior" in groups:
            drawn = fit["posterior"]
            self.draws = {name: drawn[name].values.ravel() for name in self.names if name in drawn}
            self.how = f"{next(iter(self.draws.values())).size if self.draws else 0} draws of {source}"

    def ratios(self, rows: list[tuple[str, str, float]], level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the ratio of each row and its interval."""
        from scipy.stats import norm

        centre = self._at(rows, self.values)
        if self.draws is not None:
            every = self._at(rows, {**self.values, **self.draws})
            count = next(iter(self.draws.values())).size
            every = np.broadcast_to(every.T if every.ndim > 1 else every, (count, len(rows)))
            return centre, *np.nanquantile(every, (0.5 - level / 2, 0.5 + level / 2), axis=0)
        slopes = np.empty((len(rows), len(self.names)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for k, name in enumerate(self.names):
                parameter = self.model.parameters[name]
                z, size = float(parameter.forward(self.values[name])), _STEP
                if parameter.transform == "none":
                    size = _STEP * max(abs(z), 1e-3)
                up, down = (
                    self._at(rows, {**self.values, name: float(parameter.inverse(z + s * size))}) for s in (1, -1)
                )
                slopes[:, k] = (np.log(np.abs(up)) - np.log(np.abs(down))) / (2 * size)
            used = np.abs(slopes) > 1e-12
            variance = np.array([s[u] @ self.covariance[np.ix_(u, u)] @ s[u] for s, u in zip(slopes, used)])
            reach = norm.ppf(0.5 + level / 2) * np.sqrt(variance)
            ends = np.sort(np.array([centre * np.exp(-reach), centre * np.exp(reach)]), axis=0)
        return centre, ends[0], ends[1]

    def _at(self, rows: list[tuple[str, str, float]], values: Mapping[str, Any]) -> np.ndarray:
        reference = of_subject(self.model, values, self.base)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [
                of_subject(self.model, values, {**self.base, name: value})[quantity] / reference[quantity]
                for quantity, name, value in rows
            ]
        return np.array(np.broadcast_arrays(*[np.asarray(one, dtype=float) for one in found]))


def _covariates(model: Model) -> list[str]:
    return [name for name in model.covariates if name != MIXNUM]


def _moved(model: Model) -> dict[str, list[str]]:
    """The quantities that covariates move, and by which: parameters, and assignments that name a covariate."""
    covariates = _covariates(model)
    by: dict[str, list[str]] = {}
    inner = {*model.parameters, *model.constants, *model.covariates}
    for name, parameter in model.parameters.items():
        used = set().union(*(names(expr) for expr in parameter.effects.values())) if parameter.effects else set()
        for other in sorted(used & set(model.parameters)):  # a shift may rest on a parameter that has a factor
            used |= set(by.get(other, ()))
        if mine := [one for one in covariates if one in used]:
            by[name] = mine
    helpers: dict[str, set[str]] = {name: {name} for name in covariates}  # made of covariates and constants alone
    for name, expr in model.assignments:
        used = names(expr)
        if not used <= inner:
            continue
        inner.add(name)
        through = set().union(*(helpers.get(one, set()) for one in used)) if used else set()
        if used <= {*helpers, *model.constants}:
            helpers[name] = through
        elif through:
            by[name] = [one for one in covariates if one in through]
    return by


def _columns(case: Case) -> dict[str, np.ndarray]:
    """First value of each covariate of the model of each subject, where the data have it."""
    from pkpd.diagnostics.people import first_values

    return {name: first_values(case, name) for name in _covariates(case.fit.model) if name in case.data.covariates}


def _share_beyond(values: np.ndarray | None, value: float, base: float) -> float:
    """Share of the subjects that are as far from the reference on that side, or farther."""
    if values is None or not np.isfinite(values).any():
        return float("nan")
    values = values[np.isfinite(values)]
    return float((values >= value).mean() if value > base else (values <= value).mean())


def _value(found: xr.Dataset, k: int) -> str:
    name, value, unit = (found[column].values[k] for column in ("covariate", "value", "unit"))
    return f"{name} {value:.4g}{_unit(str(unit))}"


def _unit(unit: str) -> str:
    return f" {unit}" if unit not in ("", "1") else ""
