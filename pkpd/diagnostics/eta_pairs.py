"""Random effects against each other: whether they go together as Omega says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.conditional import SOURCE, check_samples, correlation_test, drawable, ebe_size, effects_of
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import p_text
from pkpd.plots.points import points
from pkpd.plots.style import COLOURS, INK, QUIET, figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["EtaPairs"]

#: Random effects on one page.
_SIDE = 5


def two_effects(case: Case) -> str:
    """Two random effects or more."""
    etas = case.fit.tree.children.get("etas")
    count = 0 if etas is None else etas.sizes.get("effect", 0)
    return "There is one random effect only." if count == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtaPairs(Diagnostic):
    """A matrix of random effects against each other.

    Below the diagonal points, above it correlations: of EBEs, of draws given the data, and of Omega. EBEs of people
    whose records do not tell two effects apart go together though the effects do not; draws follow Omega where the
    model is right. The correlation of the draws is the median over draws, each one of everybody.

    Parameters
    ----------
    seed : int
        Of the draws.
    samples : int
        Draws of each subject.
    """

    title: ClassVar[str] = "Random effects against each other"
    question: ClassVar[str] = "Do random effects go together more, or less, than the model says?"
    needs: ClassVar = (needs.found, drawable, two_effects)
    source: ClassVar[str] = SOURCE

    seed: int
    samples: int = 20

    def __post_init__(self) -> None:
        check_samples(self.samples, self.seed, "EtaPairs")

    def compute(self, case: Case) -> xr.Dataset:
        """Give EBEs and draws with the correlation of every pair."""
        found = effects_of(case, self.samples, self.seed)
        d = found.sizes["effect"]
        eta, drawn = found["eta"].values, found["sample"].values
        r, p, of_draws = (np.full((d, d), np.nan) for _ in range(3))
        for i, j in combinations(range(d), 2):
            seen = ~(found["silent"].values[:, i] | found["silent"].values[:, j])
            r[i, j], p[i, j] = correlation_test(eta[seen, i], eta[seen, j])
            each = [correlation_test(one[:, i], one[:, j])[0] for one in drawn]
            of_draws[i, j] = np.median(each)
            for table in (r, p, of_draws):
                table[j, i] = table[i, j]
        found["correlation"] = (("effect", "effect_"), r, {"long_name": "correlation of EBEs"})
        found["p"] = (("effect", "effect_"), p, {"long_name": "p of no correlation of EBEs"})
        found["sample_correlation"] = (("effect", "effect_"), of_draws, {"long_name": "correlation of draws, median"})
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each two groups of five random effects."""
        return len(_blocks(found))

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw points below the diagonal, and correlations above it."""
        rows, columns = _blocks(found)[page]
        drawing = figure(len(rows), len(columns), width=7.0, height=max(2.6, 6.6 * len(rows) / max(len(columns), 2)))
        for a, i in enumerate(rows):
            for b, j in enumerate(columns):
                ax = drawing.axes[a * len(columns) + b]
                if i > j:
                    self._points(ax, found, i, j, left=b == 0, bottom=a == len(rows) - 1)
                elif i == j:
                    _words(ax, [(str(found["label"].values[i]), "bold", INK),
                                (f"SD {found['sd'].values[i]:.3g}", "normal", INK),
                                (f"({found['scale'].values[i]})", "normal", QUIET)])  # fmt: skip
                else:
                    _words(ax, [(f"EBEs {_said(found['correlation'].values[i, j])}", "normal", COLOURS["vermilion"]),
                                (p_text(float(found["p"].values[i, j])), "normal", COLOURS["vermilion"]),
                                (f"draws {_said(found['sample_correlation'].values[i, j])}", "normal", COLOURS["blue"]),
                                (f"Omega {_said(found['omega_correlation'].values[i, j])}", "normal", INK),
                                ])  # fmt: skip
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say which pair goes together most."""
        rows, columns = _blocks(found)[page]
        people = int(found.attrs["subjects"])
        pairs = [(i, j) for i in rows for j in columns if i > j]
        words = [
            f"Random effects of {people} subject{'s' * (people != 1)} against each other: EBEs (vermilion) over "
            f"{found.attrs['samples']} draws of each subject given its records (light blue, seed {found.attrs['seed']}"
            "); above the diagonal the correlations of EBEs, of draws (median over draws), and of Omega."
        ]
        known = [(i, j) for i, j in pairs if np.isfinite(found["sample_correlation"].values[i, j])]
        if known:
            gap = found["sample_correlation"].values - found["omega_correlation"].values
            i, j = max(known, key=lambda pair: abs(gap[pair]))
            words.append(
                f"Farthest from Omega are {found['effect'].values[j]} and {found['effect'].values[i]}: draws "
                f"{_said(found['sample_correlation'].values[i, j])}, Omega "
                f"{_said(found['omega_correlation'].values[i, j])}, EBEs {_said(found['correlation'].values[i, j])} "
                f"({p_text(float(found['p'].values[i, j]))})."
            )
            words.append(
                f"Of {people} subjects a correlation of 0 has a standard error of {1 / np.sqrt(people - 1):.2f}."
            )
            if len(known) > 1:
                words.append(f"{len(known)} pairs are looked at: p is of each alone.")
        else:
            words.append("So few subjects have no correlation.")
        return " ".join(words)

    def _points(self, ax: Axes, found: xr.Dataset, i: int, j: int, *, left: bool, bottom: bool) -> None:
        eta, drawn = found["eta"].values, found["sample"].values
        points(ax, drawn[:, :, j].ravel(), drawn[:, :, i].ravel(), colour=COLOURS["sky"], size=5.0)
        seen = ~(found["silent"].values[:, i] | found["silent"].values[:, j])
        names = [f"ID {who}" for who in found["subject"].values[seen]]
        points(
            ax,
            eta[seen, j],
            eta[seen, i],
            colour=COLOURS["vermilion"],
            size=ebe_size(len(eta)),
            labels=names,
            cells=False,
        )
        ax.axhline(0.0, color=QUIET, linewidth=0.7)
        ax.axvline(0.0, color=QUIET, linewidth=0.7)
        ax.grid(visible=False)
        if bottom:
            ax.set_xlabel(f"{found['label'].values[j]}\n({found['scale'].values[j]})", fontsize=8.5)
        if left:
            ax.set_ylabel(f"{found['label'].values[i]}\n({found['scale'].values[i]})", fontsize=8.5)
        ax.tick_params(labelsize=7.5)


def _blocks(found: xr.Dataset) -> list[tuple[list[int], list[int]]]:
    """Give the rows and columns of every page."""
    d = found.sizes["effect"]
    groups = [list(range(k, min(k + _SIDE, d))) for k in range(0, d, _SIDE)]
    if len(groups) > 1 and len(groups[-1]) == 1:  # one alone goes along with its neighbours
        groups[-2].append(groups.pop()[0])
    return [(rows, columns) for a, rows in enumerate(groups) for columns in groups[: a + 1]]


def _words(ax: Axes, lines: list[tuple[str, str, str]]) -> None:
    ax.set_axis_off()
    for k, (text, weight, colour) in enumerate(lines):
        ax.text(0.5, 0.5 + 0.17 * ((len(lines) - 1) / 2 - k), text, ha="center", va="center", color=colour,
                fontweight=weight, fontsize=8.5, transform=ax.transAxes)  # fmt: skip


def _said(r: float) -> str:
    return "unknown" if np.isnan(r) else f"{r:+.2f}" if abs(r) >= 0.005 else "0"
