"""Numerical predictive check: how many observations lie outside intervals of data drawn from the model."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.normality import p_text
from pkpd.diagnostics.records import GROUPINGS, groups_of
from pkpd.diagnostics.together import together
from pkpd.errors import MismatchError, UsageError
from pkpd.plots.style import COLOURS, INK, figure
from pkpd.streams import check_seed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["NPC"]

_STRATA = 3
_SIDES = ("below", "above")


@dataclass(frozen=True, slots=True, kw_only=True)
class NPC(Diagnostic):
    """Shares of the observations below and above prediction intervals, beside those of drawn data; as PsN's npc.

    Every record has its own intervals, from the draws of that record: nothing is put into bins. What is censored counts
    as below (or above) everything else, in the data and in what is drawn alike. The expected share is the mean of the
    drawn data sets, which of scores and counts is less than the nominal one.

    Parameters
    ----------
    seed : int
    n : int
        Data sets that are drawn.
    intervals : tuple of float
        Shares inside; 0 counts what is below and above the median.
    by : "auto", "none", "ARM", "PERIOD", "SEQUENCE", "OCC" or the name of a covariate
        Counted apart, as for :class:`VPC`.
    band : float
        Share of the drawn data sets within the bands.
    """

    title: ClassVar[str] = "Numerical predictive check"
    question: ClassVar[str] = "Do as many observations lie outside prediction intervals as should?"
    needs: ClassVar = (needs.replicates,)
    source: ClassVar[str] = (
        "Karlsson MO, Savic RM. Diagnosing model diagnostics. Clin Pharmacol Ther 2007;82:17-20. "
        "doi:10.1038/sj.clpt.6100241. Lindbom L, Pihlgren P, Jonsson EN. PsN-Toolkit. Comput Methods Programs Biomed "
        "2005;79:241-257. doi:10.1016/j.cmpb.2005.04.005"
    )

    seed: int
    n: int = 1000
    intervals: tuple[float, ...] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95)
    by: str = "auto"
    band: float = 0.95

    def __post_init__(self) -> None:
        check_seed(self.seed, why="data are drawn at random", where="NPC(seed=...)")
        sound = isinstance(self.intervals, tuple) and bool(self.intervals) and all(0 <= p < 1 for p in self.intervals)
        for name, right, expected in (
            ("n", isinstance(self.n, (int, np.integer)) and self.n >= 20, "20 data sets or more."),
            ("intervals", sound, "Shares from 0 to below 1, such as (0.0, 0.5, 0.9)."),
            ("band", isinstance(self.band, float) and 0 < self.band < 1, "A share between 0 and 1."),
        ):
            if not right:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", where=f"NPC({name}=...)", expected=expected,
                    remedy="Leave it out for what is usual.",
                )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Count, by output, stratum, side and interval, what lies outside in the data and in every drawn data set."""
        import xarray as xr

        records, (lower, upper) = case.records, case.limits
        size, levels = len(records["DV"]), np.array(sorted(set(self.intervals)))
        stratum = (groups_of(case, self.by, np.arange(size)) if self.by in ("auto", "none", *GROUPINGS.columns)
                   else case.covariate_groups(self.by, "NPC(by=...)"))  # fmt: skip
        drawable = ~np.isin(records["DVID"], case.not_drawn) & np.isfinite(records["DV"])
        below = case.censored & ~(records["DV"] > lower)
        dv = np.where(case.censored, np.where(below, -np.inf, np.inf), records["DV"])
        pairs = [(o, s) for o in case.outputs for s in dict.fromkeys(stratum[records["DVID"] == o].tolist())]
        which = np.full(size, -1)
        for k, (output, group) in enumerate(pairs):
            which[(records["DVID"] == output) & (stratum == group) & drawable] = k
        seen = np.zeros((len(pairs), 2, len(levels)))
        drawn = np.zeros((self.n, len(pairs), 2, len(levels)))
        counts = np.zeros(len(pairs), dtype=int)
        for rows, y in case.replicates_of_subjects(self.n, self.seed):
            valued = np.isfinite(y).all(axis=0) & (which[rows] >= 0)
            rows, y = rows[valued], y[:, valued]
            y = np.where(y < lower[rows], -np.inf, np.where(y > upper[rows], np.inf, y))
            ordered, own = np.sort(y, axis=0), which[rows]
            counts += np.bincount(own, minlength=len(pairs))
            for k, level in enumerate(levels.tolist()):
                place = int((1 - level) / 2 * (self.n - 1) + 1e-9)
                for side, (end, sign) in enumerate(((ordered[place], 1), (ordered[self.n - 1 - place], -1))):
                    out, mine = (y < end if sign > 0 else y > end), (dv[rows] < end if sign > 0 else dv[rows] > end)
                    for pair in np.unique(own):
                        here = own == pair
                        drawn[:, pair, side, k] += out[:, here].sum(axis=1)
                        seen[pair, side, k] += mine[here].sum()
        kept = np.flatnonzero(counts)
        if not kept.size:
            raise MismatchError(
                "no record can be drawn.", where="NPC()", expected="Records that the model has a value for.",
                remedy="Look at what the fit says of its predictions.",
            )  # fmt: skip
        whole = counts[kept][:, None, None]
        share, shares = seen[kept] / whole, drawn[:, kept] / whole
        tail = (1 - self.band) / 2
        bands = np.quantile(shares, [tail, 1 - tail], axis=0)
        p = [together(share[k].ravel(), shares[:, k].reshape(self.n, -1)) for k in range(len(kept))]
        dims = ("stratum", "side", "interval")
        return xr.Dataset(
            {
                "output": ("stratum", np.array([pairs[k][0] for k in kept])),
                "group": ("stratum", np.array([pairs[k][1] for k in kept])),
                "count": ("stratum", counts[kept]),
                "outside": (dims, seen[kept].astype(int), {"long_name": "observations outside"}),
                "observed": (dims, share, {"long_name": "share of the observations outside"}),
                "expected": (dims, shares.mean(axis=0), {"long_name": "mean share in drawn data"}),
                "lower": (dims, bands[0]),
                "upper": (dims, bands[1]),
                "p": ("stratum", np.array(p), {"long_name": "p of all shares of a stratum together"}),
            },
            {"side": list(_SIDES), "interval": levels},
            {
                "outputs": "\n".join(dict.fromkeys(pairs[k][0] for k in kept)),
                "n": self.n,
                "seed": self.seed,
                "band": self.band,
                "left_out": int(size - counts.sum()),
            },
        )

    def pages(self, found: xr.Dataset) -> int:
        """One for each output, and for each three strata of it."""
        return len(_pages(found))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw observed over expected shares, below to the left and above to the right; a row for each stratum."""
        rows = _pages(found)[page]
        drawing = figure(len(rows), 2, width=7.0, height=0.7 + 2.5 * len(rows), sharex=True)
        for k, row in enumerate(rows):
            own = found.isel(stratum=row)
            for side, ax in enumerate(drawing.axes[2 * k : 2 * k + 2]):
                _coverage(ax, own.isel(side=side))
                ax.set_ylabel("observed / expected" if side == 0 else "")
                title = f"{_SIDES[side]} the interval"
                group = str(own["group"].item())
                ax.set_title(textwrap.fill(f"{group}: {title}" if group else title, 40))
                ax.set_xlabel("prediction interval (%)" if k == len(rows) - 1 else "")
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and how many shares lie outside their band."""
        rows, attrs = _pages(found)[page], found.attrs
        own = found.isel(stratum=rows)
        outside = int(((own["observed"] < own["lower"]) | (own["observed"] > own["upper"])).sum())
        words = [
            f"{own['output'].values[0]}: observations below and above prediction intervals of their own record, over "
            f"the number expected (1, line), with the {100 * attrs['band']:g} % bands of {attrs['n']} data sets drawn "
            f"from the model (seed {attrs['seed']}). {outside} of {own['observed'].size} lie outside (marked); those "
            "of one panel count many of the same observations."
        ]
        for k in range(len(rows)):
            one = own.isel(stratum=k)
            group = f"{one['group'].item()}: " if one["group"].item() else ""
            words.append(f"{group}{one['count'].item()} observations, together {p_text(float(one['p']))}.")
        fewest = int(own["count"].values.min())
        if fewest < 20:
            words.append("So few observations show large misfits only: a large p says little.")
        if attrs["left_out"]:
            words.append(f"{attrs['left_out']} records in all cannot be drawn and are left out.")
        return " ".join(words)


def _pages(found: xr.Dataset) -> list[list[int]]:
    pages = []
    for name in str(found.attrs["outputs"]).split("\n"):
        rows = np.flatnonzero(found["output"].values == name).tolist()
        pages += [rows[k : k + _STRATA] for k in range(0, len(rows), _STRATA)]
    return pages


def _coverage(ax: Axes, own: xr.Dataset) -> None:
    x, expected = 100 * own["interval"].values, own["expected"].values
    known = expected > 0
    x = x[known]
    seen, low, high = (own[name].values[known] / expected[known] for name in ("observed", "lower", "upper"))
    if len(x) == 1:
        ax.fill_between([x[0] - 2, x[0] + 2], np.repeat(low, 2), np.repeat(high, 2), color=COLOURS["blue"], alpha=0.25)
    ax.fill_between(x, low, high, color=COLOURS["blue"], alpha=0.25, linewidth=0)
    ax.axhline(1, color=INK, linewidth=0.9)
    ax.plot(x, seen, color=COLOURS["blue"], marker="o", markersize=4, linewidth=1.4)
    out = (seen < low) | (seen > high)
    ax.plot(x[out], seen[out], linestyle="none", marker="o", markersize=8, markerfacecolor="none",
            markeredgecolor=COLOURS["vermilion"], markeredgewidth=1.4)  # fmt: skip
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
