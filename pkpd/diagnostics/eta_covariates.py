"""Random effects against covariates: whether what people are explains how they differ."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.conditional import check_samples, correlation_test, drawable, ebe_size, effects_of
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import chosen, grid_of, p_text, page_count
from pkpd.diagnostics.people import people_of
from pkpd.plots.points import points, trend
from pkpd.plots.style import COLOURS, INK, QUIET

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["EtaCovariates"]

_PANELS = 9


def told_apart(case: Case) -> str:
    """Covariates that differ between people."""
    if needs.the_data(case):
        return ""  # said already
    people = people_of(case)
    if people.covariates:
        return ""
    if people.constant:
        verb = "is" if len(people.constant) == 1 else "are"
        return f"No covariate differs between people: {', '.join(people.constant)} {verb} the same for all."
    return "The data have no covariates."


@dataclass(frozen=True, slots=True, kw_only=True)
class EtaCovariates(Diagnostic):
    """Random effects against covariates: what the model leaves unexplained, and a covariate might explain.

    EBEs shrink, and so do their slopes; draws given the data do not follow a covariate that is not in the model any
    more than the data force them to. A covariate with few values is one of groups, another one of numbers. p of EBEs is
    that of Pearson's correlation, or of one-way analysis of variance; p of draws is twice the median of those of single
    draws, at most 1, which holds whatever their dependence (Meinshausen N, Meier L, Buehlmann P. P-values for
    high-dimensional regression. J Am Stat Assoc 2009;104:1671-1681. doi:10.1198/jasa.2009.tm08647).

    Parameters
    ----------
    seed : int
        Of the draws.
    samples : int
        Draws of each subject.
    """

    title: ClassVar[str] = "Random effects against covariates"
    question: ClassVar[str] = "Does a covariate explain how people differ from the typical one?"
    needs: ClassVar = (needs.found, drawable, told_apart)
    source: ClassVar[str] = (
        "Savic RM, Karlsson MO. Importance of shrinkage in empirical Bayes estimates for diagnostics. AAPS Journal "
        "2009;11:558-569. doi:10.1208/s12248-009-9133-0. Lavielle M, Ribba B. Pharm Res 2016;33:2979-2988. "
        "doi:10.1007/s11095-016-2020-3"
    )

    seed: int
    samples: int = 20

    def __post_init__(self) -> None:
        check_samples(self.samples, self.seed, "EtaCovariates")

    def compute(self, case: Case) -> xr.Dataset:
        """Give random effects and covariates, with the correlation or the F of every pair."""
        found, people = effects_of(case, self.samples, self.seed), people_of(case)
        names = list(people.covariates)
        values = np.array([people.covariates[name] for name in names]).T
        shape = (found.sizes["effect"], len(names))
        columns: dict[str, np.ndarray] = {
            name: np.full(shape, np.nan)
            for name in ("statistic", "p", "sample_statistic", "sample_p", "slope", "sample_slope")
        }
        for i in range(shape[0]):
            for j, name in enumerate(names):
                grouped, x = name in people.groups, values[:, j]
                seen = ~found["silent"].values[:, i]
                eta, drawn = found["eta"].values[:, i], found["sample"].values[:, :, i]
                own = _tested(x[seen], eta[seen], grouped=grouped)
                each = np.array([_tested(x[seen], one[seen], grouped=grouped) for one in drawn])
                columns["statistic"][i, j], columns["p"][i, j], columns["slope"][i, j] = own
                middle = np.median(each, axis=0)
                columns["sample_statistic"][i, j], columns["sample_slope"][i, j] = middle[0], middle[2]
                columns["sample_p"][i, j] = min(1.0, 2 * middle[1]) if np.isfinite(middle[1]) else np.nan
        meaning = {
            "statistic": "correlation of EBEs, or F of groups", "p": "p of EBEs",
            "sample_statistic": "the same of draws, median", "sample_p": "p of draws",
            "slope": "slope of EBEs by the covariate", "sample_slope": "the same of draws, median",
        }  # fmt: skip
        for name, column in columns.items():
            found[name] = (("effect", "covariate"), column, {"long_name": meaning[name]})
        found["value"] = (("subject", "covariate"), values, {"long_name": "covariate, first value of the subject"})
        found["grouped"] = ("covariate", np.array([name in people.groups for name in names]))
        found["covariate_label"] = ("covariate", np.array([people.label(name) for name in names]))
        found["levels"] = ("covariate", np.array(["\n".join(people.groups.get(name, ())) for name in names]))
        found = found.assign_coords(covariate=np.array(names))
        found.attrs |= {
            "constant": ", ".join(people.constant),
            "changing": ", ".join(name for name in names if name in people.changing),
        }
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each nine pairs."""
        return page_count(found.sizes["effect"] * found.sizes["covariate"], _PANELS)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw EBEs over draws, with a trend, or groups."""
        pairs = _pairs(found)
        here = [pairs[k] for k in chosen(len(pairs), _PANELS, page)]
        drawing, axes = grid_of(len(here), columns=min(3, len(here)), height=2.65)
        for ax, (i, j) in zip(axes, here):
            own = found.isel(effect=i, effect_=i, covariate=j)
            (self._groups if bool(own["grouped"]) else self._numbers)(ax, own)
            ax.axhline(0.0, color=QUIET, linewidth=0.8)
            if own["silent"].values.all():
                ax.text(0.5, 0.6, "no record says anything of it", ha="center", transform=ax.transAxes, fontsize=8)
            ax.set_xlabel(textwrap.fill(str(own["covariate_label"].item()), 30))
            ax.set_ylabel(f"{own['label'].item()} ({own['scale'].item()})", fontsize=8.5)
            sign = f"F {float(own['statistic']):.2g}" if bool(own["grouped"]) else f"r {float(own['statistic']):+.2f}"
            sign = "" if np.isnan(own["statistic"]) else f"{sign}, "
            ax.set_title(f"EBEs {sign}{p_text(float(own['p']))}\ndraws {p_text(float(own['sample_p']))}", fontsize=8.5,
                         fontweight="bold" if float(own["p"]) < 0.05 else "normal")  # fmt: skip
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say which pairs are not chance, and how many would be by chance."""
        pairs, people = _pairs(found), int(found.attrs["subjects"])
        p = np.array([found["p"].values[pair] for pair in pairs])
        words = [
            f"Random effects of {people} subjects against covariates: EBEs (vermilion) over {found.attrs['samples']} "
            f"draws of each subject given its records (light blue, seed {found.attrs['seed']}); lines are trends of "
            "the EBEs, bars medians and quartiles of the draws."
        ]
        order = np.argsort(np.where(np.isfinite(p), p, 2.0), kind="stable")
        small = [k for k in order.tolist() if p[k] < 0.05]
        tested = int(np.isfinite(p).sum())
        if small:
            said = [_said(found, pairs[k]) for k in small[:5]]
            more = f" and {len(small) - 5} more" if len(small) > 5 else ""
            words.append(f"Not chance alone, at 5 % each: {', '.join(said)}{more}.")
        elif tested:
            words.append(f"No pair has a p below 0.05; the smallest is {p_text(float(np.nanmin(p)))}.")
        if tested:
            words.append(
                f"{tested} pair{'s are' if tested > 1 else ' is'} tested; {0.05 * tested:.1f} would have a p below "
                "0.05 by chance."
            )
        else:
            words.append("So few subjects cannot be tested.")
        worst = float(np.nanmax(np.append(found["shrinkage"].values, -np.inf)))
        if worst > 0.3:
            name = found["label"].values[int(np.nanargmax(found["shrinkage"].values))]
            words.append(f"{name} shrinks by {100 * worst:.0f} % (SD form): slopes of its EBEs are too flat.")
        missing = np.isnan(found["value"].values).sum(axis=0)
        if missing.any():
            said = [f"{name} {n}" for name, n in zip(found["covariate"].values, missing) if n]
            words.append(f"Subjects without a value: {', '.join(said)}.")
        if found.attrs["changing"]:
            words.append(f"Of what changes in time the first value counts: {found.attrs['changing']}.")
        if found.attrs["constant"]:
            words.append(f"The same for all, and not shown: {found.attrs['constant']}.")
        return " ".join(words)

    def _numbers(self, ax: Axes, own: xr.Dataset) -> None:
        x, eta, drawn = own["value"].values, own["eta"].values, own["sample"].values
        seen = ~own["silent"].values
        points(ax, np.tile(x[seen], len(drawn)), drawn[:, seen].ravel(), colour=COLOURS["sky"], size=5.0)
        points(ax, x[seen], eta[seen], colour=COLOURS["vermilion"], size=ebe_size(len(eta)), cells=False,
               labels=[f"ID {who}" for who in own["subject"].values[seen]])  # fmt: skip
        line = trend(x[seen], eta[seen], span=1.0 if seen.sum() < 40 else 0.75)
        ax.plot(*line, color=INK, linewidth=1.7, zorder=4)

    def _groups(self, ax: Axes, own: xr.Dataset) -> None:
        x, eta, drawn = own["value"].values, own["eta"].values, own["sample"].values
        levels = str(own["levels"].item()).split("\n")
        for k in range(len(levels)):
            mine = (x == k) & ~own["silent"].values
            if not mine.any():
                continue
            low, middle, high = np.quantile(drawn[:, mine], (0.25, 0.5, 0.75))
            ax.bar(k, high - low, bottom=low, width=0.62, color=COLOURS["sky"], alpha=0.5, linewidth=0, zorder=1)
            ax.plot([k - 0.31, k + 0.31], [middle, middle], color=COLOURS["blue"], linewidth=1.6, zorder=2)
            count = int(mine.sum())
            aside = 0.22 * (((np.arange(count) * 0.618034) % 1.0) - 0.5) * 2
            points(ax, k + aside, eta[mine], colour=COLOURS["vermilion"], size=ebe_size(len(eta)), cells=False,
                   labels=[f"ID {who}" for who in own["subject"].values[mine]])  # fmt: skip
        counts = [int((x == k).sum()) for k in range(len(levels))]
        ax.set_xticks(range(len(levels)), [f"{textwrap.shorten(name, 12, placeholder='…')}\nn = {n}"
                                           for name, n in zip(levels, counts)], fontsize=7.5)  # fmt: skip
        ax.set_xlim(-0.6, len(levels) - 0.4)


def _pairs(found: xr.Dataset) -> list[tuple[int, int]]:
    return [(i, j) for i in range(found.sizes["effect"]) for j in range(found.sizes["covariate"])]


def _said(found: xr.Dataset, pair: tuple[int, int]) -> str:
    names = f"{found['effect'].values[pair[0]]} and {found['covariate'].values[pair[1]]}"
    return (
        f"{names} ({p_text(float(found['p'].values[pair]))}; of draws {p_text(float(found['sample_p'].values[pair]))})"
    )


def _tested(x: np.ndarray, y: np.ndarray, *, grouped: bool) -> tuple[float, float, float]:
    """Give the statistic, p and slope of a pair."""
    from scipy.stats import f_oneway

    nan = float("nan")
    if not grouped:
        r, p = correlation_test(x, y)
        both = np.isfinite(x) & np.isfinite(y)
        return r, p, nan if np.isnan(r) else float(r * y[both].std() / x[both].std())
    parts: list[Any] = [y[x == level] for level in np.unique(x[np.isfinite(x)])]
    if len(parts) < 2 or sum(len(part) for part in parts) <= len(parts) or np.ptp(np.concatenate(parts)) == 0:
        return nan, nan, nan
    found = f_oneway(*parts)
    return float(found.statistic), float(found.pvalue), nan
