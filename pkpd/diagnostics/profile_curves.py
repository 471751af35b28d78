"""Profile likelihood: how the objective rises as one quantity goes away from its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import chosen, grid_of, page_count
from pkpd.diagnostics.recalled import recalled
from pkpd.diagnostics.records import unit_text
from pkpd.errors import UsageError, suggestion
from pkpd.estimation.profiles import Profile, profile
from pkpd.plots.labels import legend_above
from pkpd.plots.style import COLOURS, INK, QUIET
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["ProfileCurves"]

_PANELS = 9
#: Places of the parabola, and how far it is followed, in standard errors.
_GRID, _REACH = 61, 3.0
#: A side of an interval is unlike that of Wald where the two differ by more than this share.
_UNLIKE = 0.25


def followed(case: Case) -> str:
    """Profiles, or a fit whose objective can be followed."""
    return "" if "profile" in case.fit.tree.children else recalled(case)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCurves(Diagnostic):
    """Profiles of the objective, beside the parabolas that standard errors stand for.

    Where the curve follows the parabola, the interval of Wald may be believed; where it bends away, the profile's ends
    are right. A curve that never reaches the level belongs to a quantity that the data leave open. Profiles that the
    fit holds (:func:`pkpd.profile`) are taken as they are; others are computed, which takes some ten times the work of
    the fit.

    Parameters
    ----------
    parameters : tuple of str, optional
        Which; left out, all that the fit holds, or all that were estimated.
    level : float
        Of profiles that are computed.
    """

    title: ClassVar[str] = "Profiles of the objective"
    question: ClassVar[str] = "How far can each estimate go before the data object?"
    needs: ClassVar = (needs.found, needs.population, followed)
    source: ClassVar[str] = (
        "Venzon DJ, Moolgavkar SH. A method for computing profile-likelihood-based confidence intervals. Applied "
        "Statistics 1988;37:87-94. doi:10.2307/2347496"
    )

    parameters: tuple[str, ...] | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        Profile(parameters=self.parameters, level=self.level)  # refuses what has no meaning

    def compute(self, case: Case) -> xr.Dataset:
        """Give the points of each curve, the ends of its interval, and the parabola of Wald."""
        import xarray as xr

        fit = case.fit
        if "profile" in fit.tree.children:
            group = fit["profile"]
        else:
            group = profile(fit, case.data, Profile(parameters=self.parameters, level=self.level))["profile"]
        names = group["parameter"].values.tolist()
        if self.parameters is not None:
            for name in self.parameters:
                if name not in names:
                    raise UsageError(
                        f"there is no profile of {name}.", where="ProfileCurves(parameters=...)",
                        expected=f"Some of {', '.join(names)}.",
                        remedy=suggestion(name, names) or "pkpd.profile(fit, fit.data) makes more.",
                    )  # fmt: skip
            names = list(self.parameters)
            group = group.sel(parameter=names)
        table = fit.estimates.sel(parameter=names)
        law = _laws(case)
        z, error = table["transformed"].values, table["transformed_se"].values
        steps = np.linspace(-_REACH, _REACH, _GRID)
        wald = np.full((len(names), _GRID), np.nan)
        for k, name in enumerate(names):
            if np.isfinite(error[k]) and error[k] > 0:
                wald[k] = law[name].inverse(z[k] + steps * error[k])
        return xr.Dataset(
            {
                "value": (("parameter", "point"), group["value"].values),
                "rise": (("parameter", "point"), group["objective"].values, {"units": "-2 log L"}),
                "lower": ("parameter", group["lower"].values),
                "upper": ("parameter", group["upper"].values),
                "lower_open": ("parameter", group["lower_open"].values),
                "upper_open": ("parameter", group["upper_open"].values),
                "estimate": ("parameter", table["value"].values),
                "wald_value": (("parameter", "step"), wald, {"long_name": "value along the parabola"}),
                "wald_rise": ("step", steps**2, {"long_name": "rise of the parabola", "units": "-2 log L"}),
                "unit": ("parameter", np.array([tidy(str(unit)) for unit in table["unit"].values])),
            },
            {"parameter": np.array(names)},
            {"level": float(group.attrs["level"]), "quantile": float(group.attrs["quantile"])},
        )

    def pages(self, found: xr.Dataset) -> int:
        """One for each nine quantities."""
        return page_count(found.sizes["parameter"], _PANELS)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw each curve over its parabola, and the level."""
        here = chosen(found.sizes["parameter"], _PANELS, page)
        columns = min(3, len(here))
        drawing, axes = grid_of(len(here), columns=columns, height=2.2 if columns > 1 else 3.0)
        for ax, k in zip(axes, here):
            self._panel(ax, found.isel(parameter=k))
            if (k - here[0]) % columns == 0:
                ax.set_ylabel("rise of -2 log L")
        legend_above(drawing, axes[0])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say which intervals are open, and which are unlike those of Wald."""
        own = found.isel(parameter=chosen(found.sizes["parameter"], _PANELS, page))
        level, quantile = 100 * found.attrs["level"], found.attrs["quantile"]
        errors = np.isfinite(own["wald_value"].values).any()
        beside = ", and the parabola of its standard error (dashes)" if errors else ""
        words = [
            "How -2 log L rises as one quantity is held away from its estimate and the others follow (points, line)"
            f"{beside}; at {quantile:.3g} stand the ends of the {level:g} % interval."
        ]
        opened, unlike, lower = [], [], []
        for k, name in enumerate(own["parameter"].values.tolist()):
            one = own.isel(parameter=k)
            sides = [side for side in ("lower", "upper") if bool(one[f"{side}_open"])]
            if sides:
                opened.append(f"{name} ({' and '.join('below' if s == 'lower' else 'above' for s in sides)})")
            elif ratio := _unlike(one, quantile):
                unlike.append(f"{name} ({ratio})")
            least = np.nanmin(one["rise"].values)
            if least < -0.01:
                lower.append(f"{name} by {-least:.2g}")
        if opened:
            words.append(f"The data set no limit to {', '.join(opened)}.")
        if unlike:
            words.append(f"Unlike the interval of Wald: {', '.join(unlike)}.")
        if not opened and not unlike and np.isfinite(own["wald_value"].values).any():
            words.append("All intervals are much like those of Wald.")
        if lower:
            words.append(f"A lower objective than that of the fit was found along {', '.join(lower)}: fit again.")
        return " ".join(words)

    def _panel(self, ax: Axes, own: xr.Dataset) -> None:
        from matplotlib.ticker import MaxNLocator
        from scipy.interpolate import PchipInterpolator

        seen = np.isfinite(own["rise"].values) & np.isfinite(own["value"].values)
        value, rise = own["value"].values[seen], own["rise"].values[seen]
        quantile, centre = float(own.attrs["quantile"]), float(own["estimate"])
        wald, parabola = own["wald_value"].values, own["wald_rise"].values
        inside = np.isfinite(wald) & (parabola <= 1.6 * quantile)
        ax.axhline(quantile, color=QUIET, linewidth=0.9)
        if inside.any():
            ax.plot(wald[inside], parabola[inside], color=COLOURS["orange"], linewidth=1.3, linestyle=(0, (4, 1.5)),
                    label="parabola of the standard error", zorder=2)  # fmt: skip
        root = np.sign(value - centre) * np.sqrt(np.clip(rise, 0, None))
        if len(np.unique(value)) > 2:
            fine = np.linspace(value.min(), value.max(), 201)
            ax.plot(fine, PchipInterpolator(value, root)(fine) ** 2, color=COLOURS["blue"], linewidth=1.6, zorder=3)
        ax.plot(value, np.clip(rise, 0, None), linestyle="none", marker="o", markersize=3.5, color=COLOURS["blue"],
                label="profile", zorder=4)  # fmt: skip
        for end, side in ((float(own["lower"]), "lower"), (float(own["upper"]), "upper")):
            if np.isfinite(end) and not bool(own[f"{side}_open"]):
                ax.plot([end, end], [0, quantile], color=INK, linewidth=0.8, linestyle=":", zorder=2)
        ax.set_ylim(-0.05 * quantile, 1.6 * quantile)
        shown = np.concatenate([value[rise < 1.6 * quantile], wald[inside]])
        if shown.size and np.ptp(shown) > 0:
            ax.set_xlim(shown.min() - 0.04 * np.ptp(shown), shown.max() + 0.04 * np.ptp(shown))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(labelsize=8)
        ax.set_xlabel(f"{own['parameter'].item()}{unit_text(str(own['unit'].item()))}")


def _unlike(own: xr.Dataset, quantile: float) -> str:
    """Say how the interval differs from that of Wald; nothing where it does not."""
    wald, rise = own["wald_value"].values, own["wald_rise"].values
    if not np.isfinite(wald).all():
        return ""
    middle = len(wald) // 2
    centre = float(own["estimate"])
    ends = np.interp(quantile, rise[middle::-1], wald[middle::-1]), np.interp(quantile, rise[middle:], wald[middle:])
    said = []
    for word, end, of_wald in (("below", float(own["lower"]), ends[0]), ("above", float(own["upper"]), ends[1])):
        ratio = (end - centre) / (of_wald - centre) if of_wald != centre else np.nan
        if np.isfinite(ratio) and not 1 / (1 + _UNLIKE) < ratio < 1 + _UNLIKE:
            said.append(f"{ratio:.1f} times as far {word}")
    return ", ".join(said)


def _laws(case: Case) -> dict:
    """The quantities of the table with their transforms, by name."""
    from pkpd.estimation.quantities import Quantities

    return {p.name: p for p in Quantities.of(case.population).coordinates.parameters}
