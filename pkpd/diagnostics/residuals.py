"""Residuals: what is left of the observations, over what should be left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.bins import bin_edges
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.normal_panels import against, against_time, distribution, quantiles, settled, symmetric
from pkpd.diagnostics.normality import Normality, p_text, table, words_of
from pkpd.diagnostics.records import GROUPINGS, records_of, unit_text
from pkpd.errors import MismatchError, UsageError
from pkpd.plots.labels import legend_above
from pkpd.plots.points import points, trend
from pkpd.plots.style import COLOURS, INK, QUIET, figure
from pkpd.units import tidy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["Residuals"]

_KINDS = {
    "WRES": "weighted residuals (of the model as a straight line through the typical person)",
    "CWRES": "conditional weighted residuals (residual SD at the typical prediction)",
    "CWRESI": "conditional weighted residuals with interaction (residual SD at the individual prediction)",
    "IWRES": "individual weighted residuals",
    "RQR": "randomised quantile residuals",
}
#: Median of |z| where z is standard normal.
_HALF = 0.67449
#: Kinds that rest on a subject's own values.
_OWN = ("IWRES", "RQR")


def _residuals(case: Case) -> str:
    """Residuals of any kind."""
    seen = any(name in case.records and np.isfinite(case.records[name]).any() for name in _KINDS)
    return "" if seen else "No record has a residual."


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals(Diagnostic):
    """Residuals that are standard normal under a right model, with tests; a page for each kind of each output.

    ======  ===========================================================================================================
    kind    what it is
    ======  ===========================================================================================================
    WRES    of a population: residuals of the model linearised at the typical person, decorrelated (WRES of NONMEM)
    CWRES   the same linearised at the subject's own effects, with residual SDs of the typical person (Hooker 2007)
    CWRESI  the same with residual SDs at the subject's own effects (interaction)
    IWRES   observation less individual prediction, over the residual SD there
    RQR     the place of an observation among what might have been observed at the subject's own effects, as a normal
            quantile; drawn within its step for scores, levels, counts and censored records (Dunn and Smyth 1996)
    ======  ===========================================================================================================

    IWRES and RQR are tested where nobody has values of their own. Elsewhere no test of them would hold its level, as a
    subject's values were found from the same records; look at CWRES, or at :class:`NPDE`.

    Parameters
    ----------
    kinds : tuple of str or "auto"
        ``"auto"``: for amounts CWRES, or CWRESI where the fit was one with interaction and they differ, and IWRES, with
        RQR where records are censored; for everything else RQR.
    by : "auto", "ARM", "PERIOD", "SEQUENCE", "OCC" or "none"
        What colours say.
    """

    title: ClassVar[str] = "Residuals"
    question: ClassVar[str] = "Is what the model leaves unexplained noise of the size and shape that it says?"
    needs: ClassVar = (needs.found, needs.predictions, _residuals)
    source: ClassVar[str] = (
        "Hooker AC, Staatz CE, Karlsson MO. Conditional weighted residuals (CWRES): a model diagnostic for the FOCE "
        "method. Pharm Res 2007;24:2187-2197. doi:10.1007/s11095-007-9361-x. Dunn PK, Smyth GK. Randomized quantile "
        "residuals. J Comput Graph Stat 1996;5:236-244. doi:10.2307/1390802"
    )

    kinds: tuple[str, ...] | Literal["auto"] = "auto"
    by: Literal["auto", "ARM", "PERIOD", "SEQUENCE", "OCC", "none"] = "auto"

    def __post_init__(self) -> None:
        GROUPINGS.check(self.by, "Residuals(by=...)")
        sound = self.kinds == "auto" or (
            isinstance(self.kinds, tuple) and bool(self.kinds) and set(self.kinds) <= set(_KINDS)
        )
        if not sound:
            raise UsageError(
                f"kinds is {self.kinds!r}.", where="Residuals(kinds=...)",
                expected=f'"auto", or a tuple of some of {", ".join(_KINDS)}.', remedy='Leave it out for "auto".',
            )  # fmt: skip

    def compute(self, case: Case) -> xr.Dataset:
        """Give the residuals of every record with its group, and their tests."""
        pages = self._pages(case)
        kinds = list(dict.fromkeys(kind for _, kind in pages))
        names = list(dict.fromkeys(name for name, _ in pages))
        found = records_of(case, ("DV", "PRED", "IPRED"), by=self.by, outputs=names)
        rows = found["record"].values
        for kind in kinds:
            found[kind] = ("record", _column(case, kind)[rows], {"long_name": _KINDS[kind], "units": "1"})
        dvid = found["DVID"].values
        fitted = not needs.effects(case) or bool(needs.one_for_all(case))
        tests, more = {}, []
        for name, kind in pages:
            own = found.isel(record=np.flatnonzero(dvid == name))
            free = not (fitted and kind in _OWN)
            whole = Normality.of(own[kind].values)
            tests[name, kind] = whole if free else whole.untested
            more.append(_misfits(own, kind, tested=free))
        columns = {f"test_{name}": ("test", np.array([row[name] for row in more])) for name in more[0]}
        return (
            found.assign(table(tests))
            .assign(columns)
            .assign_attrs(
                own=int(fitted),
                page_outputs="\n".join(name for name, _ in pages),
                page_kinds="\n".join(kind for _, kind in pages),
            )
        )

    def pages(self, found: xr.Dataset) -> int:
        """One for each kind of each output."""
        return len(found.attrs["page_kinds"].split("\n"))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw residuals against time and prediction, by quantiles, as a distribution, by size, and in their order."""
        own, kind, unit, time_unit = _page(found, page)
        z, x = own[kind].values, _predicted(kind)
        drawing = figure(3, 2, width=7.0, height=8.4)
        axes = drawing.axes
        against(axes[0], own, "TIME", kind, f"time{unit_text(time_unit)}")
        against_time(axes[0], time_unit)
        words = {"PRED": "typical prediction, PRED", "IPRED": "individual prediction, IPRED"}[x] + unit_text(unit)
        against(axes[1], own, x, kind, words)
        for ax in axes[:2]:
            symmetric(ax, z)
            ax.set_ylabel(kind)
        quantiles(axes[2], z)
        axes[2].set_ylabel(kind)
        distribution(axes[3], z)
        axes[3].set_xlabel(kind)
        _sizes(axes[4], own, x, kind, words)
        _in_order(axes[5], own, kind)
        legend_above(drawing, axes[0])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say what is seen, and what the tests say."""
        own, kind, _, _ = _page(found, page)
        name = found.attrs["page_outputs"].split("\n")[page]
        words = [
            f"{name}: {_KINDS[kind]}, standard normal if the model is right: against time and prediction with a smooth "
            "line, against normal quantiles and as a distribution with 95 % bands, their size against the prediction "
            "(a line that rises or falls speaks against the residual error model), and each against the one before it.",
            words_of(found, name, kind, dependent=kind in _OWN),
        ]
        p_time, p_size, rho, following = (
            float(found[f"test_{column}"].values[page]) for column in ("p_time", "p_size", "rho_size", "following")
        )
        if np.isfinite(p_time):
            words.append(f"A mean that changes with time: {p_text(p_time)} (Kruskal-Wallis).")
        if np.isfinite(rho):
            test = f", {p_text(p_size)}" if np.isfinite(p_size) else ""
            words.append(f"Correlation of size and prediction: {rho:.2g}{test} (Spearman).")
        if np.isfinite(following):
            words.append(f"Correlation with the one before: {following:.2g}.")
        drawn = int((own["CENS"].values & np.isfinite(own[kind].values)).sum())
        if drawn:
            words.append(f"Rings: {drawn} censored records, drawn within what lies beyond their limit.")
        left = int((~np.isfinite(own[kind].values)).sum())
        if left:
            why = " (censored, or without scatter)" if own["CENS"].values.any() else " (the model has no scatter there)"
            words.append(f"{left} of {own.sizes['record']} records have none{why}.")
        if kind in _OWN and found.attrs["own"]:
            words.append(
                "They rest on each subject's own values, found from the same records, which makes them narrower than "
                "1, and not everywhere alike, under a right model, too"
                + (" (1 - SD is the ε-shrinkage)" if kind == "IWRES" else "")
                + ": they have no tests that would hold their level."
            )
        else:
            words.append("The estimates come from the same data: p are rather too large than too small.")
        return " ".join(words)

    def _pages(self, case: Case) -> list[tuple[str, str]]:
        """Give output and kind of every page; a kind that the fit does not have is refused."""
        found, dvid = [], case.records["DVID"]
        for name, output in case.outputs.items():
            mine = dvid == name
            asked = _auto(case, output.kind is None, mine) if self.kinds == "auto" else self.kinds
            found += [(name, kind) for kind in asked if np.isfinite(_column(case, kind)[mine]).any()]
        lost = [kind for kind in self.kinds if kind not in {k for _, k in found}] if self.kinds != "auto" else []
        if lost or not found:
            have = [kind for kind in _KINDS if np.isfinite(_column(case, kind)).any()]
            raise MismatchError(
                f"no record has {', '.join(lost) or 'a residual'}.",
                where="Residuals(kinds=...)",
                expected=f"One of those that the fit has: {', '.join(have) or 'none'}.",
                remedy="Conditional ones need a fit of a population; RQR one with scores, counts or censored records.",
            )
        return found


def _column(case: Case, kind: str) -> np.ndarray:
    """Give the residuals of a kind, (n,); NaN where there is none. Where CWRESI are not told apart they are CWRES."""
    nothing = np.full(len(case.records["DV"]), np.nan)
    return case.records.get(kind, case.records.get("CWRES", nothing) if kind == "CWRESI" else nothing)


def _auto(case: Case, amounts: bool, mine: np.ndarray) -> tuple[str, ...]:
    if not amounts:
        return ("RQR",) if np.isfinite(_column(case, "RQR")[mine]).any() else ("IWRES",)
    estimator = str(case.fit.attrs["estimator"])
    plain = estimator.startswith("FO(") or "interaction=False" in estimator
    conditional = "CWRES" if plain or "CWRESI" not in case.records else "CWRESI"
    return (conditional, "IWRES", "RQR") if (case.censored & mine).any() else (conditional, "IWRES")


def _predicted(kind: str) -> str:
    """On which prediction residuals of a kind rest."""
    return "IPRED" if kind in _OWN else "PRED"


def _page(found: xr.Dataset, page: int) -> tuple[xr.Dataset, str, str, str]:
    """Give the records of a page, the kind of their residuals, and the units of the output and of time."""
    name, kind = (found.attrs[key].split("\n")[page] for key in ("page_outputs", "page_kinds"))
    own = found.isel(record=np.flatnonzero(found["DVID"].values == name))
    units = np.unique(own["UNIT"].values.astype(str))
    return own, kind, tidy(str(units[0])) if len(units) == 1 else "", str(found.attrs["time_unit"])


def _misfits(own: xr.Dataset, kind: str, *, tested: bool) -> dict[str, float]:
    """Test whether the mean changes with time and the size with the prediction; correlate each with the one before."""
    from scipy import stats

    z, x, time = (own[name].values for name in (kind, _predicted(kind), "TIME"))
    seen = np.isfinite(z)
    found = {"p_time": np.nan, "p_size": np.nan, "rho_size": np.nan, "following": np.nan}
    if seen.sum() >= 10 and len(np.unique(time[seen])) > 1:
        which = np.digitize(time[seen], bin_edges(time[seen], "auto"))
        parts = [z[seen][which == k] for k in np.unique(which)]
        if len(parts) > 1:
            found["p_time"] = float(stats.kruskal(*parts)[1])
    seen &= np.isfinite(x)
    if seen.sum() >= 10 and np.ptp(x[seen]) > 0:
        rho, p = stats.spearmanr(np.abs(z[seen]), x[seen])
        found |= {"rho_size": float(rho), "p_size": float(p)}  # pyright: ignore[reportArgumentType]
    before, after = _neighbours(own, kind)
    if len(before) >= 10 and before.std() > 0 and after.std() > 0:
        found["following"] = float(np.corrcoef(before, after)[0, 1])
    return found if tested else found | {"p_time": np.nan, "p_size": np.nan}


def _neighbours(own: xr.Dataset, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Give residuals and those that follow them in the same subject."""
    z = own[kind].values
    who = np.unique(own["ID"].values, return_inverse=True)[1]
    rows = np.flatnonzero(np.isfinite(z))
    rows = rows[np.lexsort((own["TIME"].values[rows], who[rows]))]
    same = who[rows][1:] == who[rows][:-1]
    return z[rows][:-1][same], z[rows][1:][same]


def _sizes(ax: Axes, own: xr.Dataset, x: str, kind: str, label: str) -> None:
    across, size = settled(own[x].values), np.abs(own[kind].values)
    points(ax, across, size)
    ax.axhline(_HALF, color=INK, linewidth=0.9, zorder=3)
    seen = np.isfinite(across) & np.isfinite(size)
    line = trend(across[seen], np.sqrt(size[seen]))  # roots scatter evenly around their median
    ax.plot(line[0], line[1] ** 2, color=COLOURS["vermilion"], linewidth=1.7, zorder=4)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(label)
    ax.set_ylabel(f"|{kind}|")


def _in_order(ax: Axes, own: xr.Dataset, kind: str) -> None:
    before, after = _neighbours(own, kind)
    points(ax, before, after)
    for line in (ax.axhline, ax.axvline):
        line(0, color=QUIET, linewidth=0.8, zorder=1)
    seen = trend(before, after)
    ax.plot(*seen, color=COLOURS["vermilion"], linewidth=1.7, zorder=4)
    ax.set_xlabel(f"{kind} before, of the same subject")
    ax.set_ylabel(kind)
    if not len(before):
        ax.text(0.5, 0.5, "one record a subject", ha="center", va="center", color=QUIET, transform=ax.transAxes)
