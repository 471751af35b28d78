"""Normalised prediction distribution errors: the place of every observation among data drawn from the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.bins import bin_edges
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.normal_panels import against, against_time, distribution, quantiles, symmetric
from pkpd.diagnostics.normality import Normality, moments, p_text, table, words_of
from pkpd.diagnostics.placing import Placing
from pkpd.diagnostics.prediction_errors import DECORRELATIONS
from pkpd.diagnostics.records import GROUPINGS, page_of, records_of, unit_text
from pkpd.diagnostics.together import together
from pkpd.errors import UsageError
from pkpd.plots.labels import legend_above
from pkpd.plots.style import COLOURS, INK, figure
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["NPDE"]

_AXES = (("TIME", "time"), ("PRED", "typical prediction, PRED"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NPDE(Diagnostic):
    """Normalised prediction distribution errors, which are standard normal under a right model; a page for each output.

    The observations of a subject that are amounts are decorrelated together, all outputs of them, in the order of the
    records; their NPDE are then tested and drawn. Scores, levels and counts have no covariance that would make their
    shares uniform: they are not decorrelated, and their NPD are drawn (randomised within their step).

    The tests of the R package (``test_p_wilcoxon`` and so on) take the errors as independent and standard normal. Of a
    right model they are so where K is large: those of a subject with m records have an SD of about 1 / sqrt(1 - m / K),
    as the covariance of K draws is known only so well. ``test_p_drawn`` and the bands compare with other data sets
    drawn from the model that are treated as the observations are, which is right for any K, few records, and NPD.

    Parameters
    ----------
    seed : int
    n : int
        Data sets that are drawn, K. More than any subject has records; an NPDE lies between the normal quantiles of
        1 / (2 K) and 1 - 1 / (2 K).
    decorrelation : "cholesky", "eigen" or "none"
        ``"cholesky"`` is the default of the R package npde, ``"eigen"`` the symmetric root of NONMEM and Monolix. With
        ``"none"`` NPD are tested and drawn in their place: a misfit at one time then shows at that time alone, but
        records of one subject hang together.
    censored : "cdf" or "omit"
        ``"cdf"`` places a censored record at random within the share of draws beyond its limit, and draws beyond
        limits likewise (Nguyen 2012). ``"omit"`` leaves it out, which makes what remains look too large.
    by : "auto", "ARM", "PERIOD", "SEQUENCE", "OCC" or "none"
        What colours say.
    """

    title: ClassVar[str] = "Normalised prediction distribution errors"
    question: ClassVar[str] = "Do the observations lie where data drawn from the model lie, no more and no less spread?"
    needs: ClassVar = (needs.replicates,)
    source: ClassVar[str] = (
        "Brendel K, Comets E, Laffont C, Laveille C, Mentre F. Metrics for external model evaluation with an "
        "application to the population pharmacokinetics of gliclazide. Pharm Res 2006;23:2036-2049. "
        "doi:10.1007/s11095-006-9067-5. Comets E, Brendel K, Mentre F. Comput Methods Programs Biomed 2008;90:154-166. "
        "doi:10.1016/j.cmpb.2007.12.002. Nguyen THT, Comets E, Mentre F. Extension of NPDE for evaluation of nonlinear "
        "mixed effect models in presence of data below the quantification limit. J Pharmacokinet Pharmacodyn "
        "2012;39:499-518. doi:10.1007/s10928-012-9264-2"
    )

    seed: int
    n: int = 1000
    decorrelation: Literal["cholesky", "eigen", "none"] = "cholesky"
    censored: Literal["cdf", "omit"] = "cdf"
    by: Literal["auto", "ARM", "PERIOD", "SEQUENCE", "OCC", "none"] = "auto"

    def __post_init__(self) -> None:
        check_seed(self.seed, why="data are drawn at random", where="NPDE(seed=...)")
        GROUPINGS.check(self.by, "NPDE(by=...)")
        for name, right, expected in (
            ("n", isinstance(self.n, (int, np.integer)) and self.n >= 20, "20 data sets or more."),
            ("decorrelation", self.decorrelation in (*DECORRELATIONS, "none"), "One of cholesky, eigen, none."),
            ("censored", self.censored in ("cdf", "omit"), "One of cdf, omit."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"NPDE({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give PD, NPD, PDE and NPDE of every record, EPRED (the mean of what is drawn), tests, and bands in bins."""
        work = Placing.of(
            case, n=self.n, seed=self.seed, decorrelation=self.decorrelation, censored=self.censored
        ).fill()
        names = [name for name in case.outputs if name not in case.not_drawn]
        found = records_of(case, ("DV", "PRED"), by=self.by, outputs=names)
        rows = found["record"].values
        for name, long_name in (
            ("EPRED", "mean of what is drawn"),
            ("PD", "prediction discrepancy"),
            ("NPD", "normalised prediction discrepancy"),
            ("PDE", "prediction distribution error"),
            ("NPDE", "normalised prediction distribution error"),
        ):
            found[name] = ("record", work.columns[name][rows], {"long_name": long_name, "units": "1"})
        kinds = [
            "NPDE" if self.decorrelation != "none" and case.outputs[name].kind is None else "NPD" for name in names
        ]
        tests = {
            (name, kind): Normality.of(found[kind].values[found["DVID"].values == name])
            for name in names
            for kind in ("NPD", "NPDE")
            if np.isfinite(found[kind].values[found["DVID"].values == name]).any()
        }
        tests = tests or {(names[0], "NPD"): Normality.of(np.zeros(0))}
        found = found.assign(table(tests))
        shown = set(zip(names, kinds))
        beside = np.array([_beside(found, *key, work.z) if key in shown else (np.nan,) * 3 for key in tests])
        for k, name in enumerate(("p_drawn", "sd_lower", "sd_upper")):
            found[f"test_{name}"] = ("test", beside[:, k])
        found = found.assign(_bins(found, names, kinds, work.z))
        return found.assign_attrs(
            kinds="\n".join(kinds),
            n=self.n,
            seed=self.seed,
            decorrelation=self.decorrelation,
            censored=self.censored,
            unscattered=sum(work.unscattered),
            tangled=sum(work.tangled),
            bands=len(work.z),
        )

    def pages(self, found: xr.Dataset) -> int:
        """One for each output."""
        return len(found.attrs["outputs"].split("\n"))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw quantiles and distribution above, and below against time and prediction over bands of drawn data."""
        own, unit = page_of(found, page)
        name, kind = (str(found.attrs[key]).split("\n")[page] for key in ("outputs", "kinds"))
        z = own[kind].values
        drawing = figure(2, 2, width=7.0, height=6.2)
        axes = drawing.axes
        quantiles(axes[0], z)
        axes[0].set_ylabel(kind)
        distribution(axes[1], z)
        axes[1].set_xlabel(kind)
        for ax, (x, words) in zip(axes[2:], _AXES):
            its = found.attrs["time_unit"] if x == "TIME" else unit
            against(ax, own, x, kind, words + unit_text(str(its)), smooth=False)
            _bands(ax, found, name, x)
            symmetric(ax, z)
            ax.set_ylabel(kind)
        against_time(axes[2], str(found.attrs["time_unit"]))
        legend_above(drawing, axes[2])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and what the tests say."""
        own, _ = page_of(found, page)
        attrs = found.attrs
        name, kind = (str(attrs[key]).split("\n")[page] for key in ("outputs", "kinds"))
        what = (
            f"normalised prediction distribution errors (decorrelated by {attrs['decorrelation']})"
            if kind == "NPDE"
            else "normalised prediction discrepancies (not decorrelated)"
        )
        words = [
            f"{name}: {what} from {attrs['n']} data sets drawn from the model (seed {attrs['seed']}), standard "
            "normal if the model is right. Above against normal quantiles and as a distribution, with 95 % bands; "
            "below against time and prediction, with quantiles of the observations (lines) over their 95 % bands in "
            f"{attrs['bands']} drawn data sets.",
            words_of(found, name, kind, dependent=kind == "NPD"),
        ]
        row = np.flatnonzero((found["test_output"].values == name) & (found["test_kind"].values == kind))
        if row.size and np.isfinite(found["test_p_drawn"].values[row[0]]):
            p, low, high = (float(found[f"test_{c}"].values[row[0]]) for c in ("p_drawn", "sd_lower", "sd_upper"))
            words.append(
                f"Beside {attrs['bands']} other data sets drawn from the model and treated as the observations were, "
                f"mean, SD and shape together have {p_text(p)}; their SD is {low:.3g} to {high:.3g}."
            )
            if kind == "NPDE" and low > 1:
                words.append(
                    "Even of a right model they are too wide here, as few data sets were drawn for subjects with so "
                    "many records: hold to the p beside drawn data, or draw more."
                )
        low, high, seen = (found[f"bin_{c}"].values for c in ("lower", "upper", "observed"))
        mine = (found["bin_output"].values == name) & (found["bin_axis"].values == "TIME")
        both = np.isfinite(seen) & np.isfinite(low) & mine[:, None]
        if both.any():
            outside = int(((seen < low) | (seen > high))[both].sum())
            words.append(f"Against time {outside} of {int(both.sum())} quantiles lie outside their band.")
        censored = int((own["CENS"].values & np.isfinite(own[kind].values)).sum())
        if censored:
            words.append(f"Rings: {censored} censored records, placed at random within what lies beyond their limit.")
        left = int(own["CENS"].values.sum()) - censored
        if left:
            words.append(f"{left} censored records are left out: what remains looks too large (or too small).")
        if attrs["unscattered"]:
            words.append(
                f"{attrs['unscattered']} records in all have no place: their draws are all the same, or have no value."
            )
        if attrs["tangled"]:
            words.append(
                f"Records of {attrs['tangled']} subjects are left out: their draws depend on each other exactly."
            )
        return " ".join(words)


def _beside(found: xr.Dataset, name: str, kind: str, z: np.ndarray) -> tuple[float, float, float]:
    """Give p of mean, variance and shape beside drawn data sets treated alike, and the SDs of 95 % of these."""
    own, rows = found[kind].values, found["record"].values
    mine = np.flatnonzero((found["DVID"].values == name) & np.isfinite(own))
    if len(mine) < 3:
        return np.nan, np.nan, np.nan
    drawn = moments(z[:, rows[mine]].astype(float))
    omitted = found["CENS"].values & (found["DVID"].values == name) & ~np.isfinite(own)
    p = np.nan if omitted.any() else together(moments(own[None, mine])[0], drawn)
    low, high = np.exp(0.5 * np.quantile(drawn[:, 1], [0.025, 0.975])).tolist()
    return p, low, high


def _bins(found: xr.Dataset, names: list[str], kinds: list[str], z: np.ndarray) -> dict[str, Any]:
    """Give quantiles of the errors in bins of time and prediction, with the 95 % bands of the drawn data sets."""
    rows_of, dvid = found["record"].values, found["DVID"].values
    made: dict[str, list[Any]] = {name: [] for name in ("output", "axis", "middle", "count", "level")}
    curves: list[np.ndarray] = []
    for name, kind in zip(names, kinds):
        for axis, _ in _AXES:
            x, own = found[axis].values, found[kind].values
            mine = np.flatnonzero((dvid == name) & np.isfinite(x) & np.isfinite(own))
            if not mine.size:
                continue
            edges = bin_edges(x[mine], "auto")
            which = np.digitize(x[mine], edges)
            sizes = np.bincount(which)[np.unique(which)]
            level = 0.05 if np.median(sizes) >= 20 else 0.1
            for k in np.unique(which):
                rows = mine[which == k]
                at = [level, 0.5, 1 - level]
                drawn = np.nanquantile(z[:, rows_of[rows]], at, axis=1)
                low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
                for column, value in zip(made.values(), (name, axis, float(np.mean(x[rows])), rows.size, level)):
                    column.append(value)
                curves.append(np.stack([np.quantile(own[rows], at), low, high]))
    if not curves:  # an empty column of words would have no type in a file
        made = {"output": [""], "axis": [""], "middle": [np.nan], "count": [0], "level": [0.1]}
        curves = [np.full((3, 3), np.nan)]
    whole = np.array(curves)
    return {f"bin_{name}": ("bin", np.array(column)) for name, column in made.items()} | {
        f"bin_{name}": (("bin", "curve"), whole[:, k]) for k, name in enumerate(("observed", "lower", "upper"))
    }


def _bands(ax: Axes, found: xr.Dataset, name: str, axis: str) -> None:
    from matplotlib.patheffects import withStroke

    here = np.flatnonzero((found["bin_output"].values == name) & (found["bin_axis"].values == axis))
    here = here[np.argsort(found["bin_middle"].values[here], kind="stable")]
    x = found["bin_middle"].values[here]
    for k in range(3):
        low, high, own = (found[f"bin_{c}"].values[here, k] for c in ("lower", "upper", "observed"))
        colour = COLOURS["vermilion"] if k == 1 else COLOURS["blue"]
        if len(x) == 1:
            ax.fill_between(ax.get_xlim(), *np.repeat([low, high], 2, axis=1), color=colour, alpha=0.28, linewidth=0)
        else:
            ax.fill_between(x, low, high, color=colour, alpha=0.28, linewidth=0, zorder=2.5)
        (line,) = ax.plot(x, own, color=INK, linewidth=1.4, linestyle="-" if k == 1 else "--", zorder=4,
                          marker="o" if len(x) == 1 else "", markersize=3)  # fmt: skip
        line.set_path_effects([withStroke(linewidth=3.0, foreground="white")])
        out = (own < low) | (own > high)
        ax.plot(x[out], own[out], linestyle="none", marker="o", markersize=7, markerfacecolor="none",
                markeredgecolor=COLOURS["vermilion"], markeredgewidth=1.3, zorder=5)  # fmt: skip
