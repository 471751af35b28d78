"""Distributions of the random effects: whether people differ as the model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pkpd.diagnostics import needs
from pkpd.diagnostics.conditional import SOURCE, check_samples, drawable, effects_of
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.panels import chosen, grid_of, p_text, page_count
from pkpd.plots.labels import legend_above
from pkpd.plots.points import points
from pkpd.plots.style import COLOURS, INK

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pkpd.diagnostics.case import Case

__all__ = ["EtaDistributions"]

_PANELS = 6
#: People from whom on EBEs have a histogram; fewer are dots.
_MANY = 40
#: Fewer people tell little of a distribution.
_FEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EtaDistributions(Diagnostic):
    """Random effects against their normal law: empirical Bayes estimates, and draws given the data.

    EBEs shrink towards 0 where a person's records say little; draws from the law given the data do not, and follow the
    law of the model if it is right. Shrinkage stands in both forms: 1 - SD(EBE) / omega, and 1 - variance(EBE) /
    omega^2 (Savic RM, Karlsson MO. AAPS Journal 2009;11:558-569. doi:10.1208/s12248-009-9133-0).

    Parameters
    ----------
    seed : int
        Of the draws.
    samples : int
        Draws of each subject.
    """

    title: ClassVar[str] = "Distributions of random effects"
    question: ClassVar[str] = "Do people differ as the model says?"
    needs: ClassVar = (needs.found, drawable)
    source: ClassVar[str] = SOURCE

    seed: int
    samples: int = 20

    def __post_init__(self) -> None:
        check_samples(self.samples, self.seed, "EtaDistributions")

    def compute(self, case: Case) -> xr.Dataset:
        """Give EBEs and draws with means, SDs and the p of a mean of 0 (Student's t)."""
        from scipy.stats import t

        found = effects_of(case, self.samples, self.seed)
        eta = np.where(found["silent"].values, np.nan, found["eta"].values)
        n = np.isfinite(eta).sum(axis=0)
        mean, sd = np.full(eta.shape[1], np.nan), np.full(eta.shape[1], np.nan)
        for k in range(eta.shape[1]):
            own = eta[np.isfinite(eta[:, k]), k]
            mean[k] = own.mean() if own.size else np.nan
            sd[k] = own.std(ddof=1) if own.size > 1 else np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * t.sf(np.abs(mean) / (sd / np.sqrt(n)), n - 1)
        drawn = found["sample"].values.reshape(-1, eta.shape[1])
        found["n"] = ("effect", n, {"long_name": "subjects whose records say something of it"})
        found["eta_mean"], found["eta_sd"], found["eta_p"] = ("effect", mean), ("effect", sd), ("effect", p)
        found["sample_mean"], found["sample_sd"] = (
            ("effect", drawn.mean(axis=0)),
            ("effect", np.sqrt((drawn**2).mean(axis=0))),  # around 0, the mean of the law
        )
        return found

    def pages(self, found: xr.Dataset) -> int:
        """One for each six random effects."""
        return page_count(found.sizes["effect"], _PANELS)

    def draw(self, found: xr.Dataset, page: int = 0) -> Figure:
        """Draw each random effect: the law of the model, draws, and EBEs."""
        here = chosen(found.sizes["effect"], _PANELS, page)
        drawing, axes = grid_of(len(here), columns=min(3, len(here)), height=2.75)
        for ax, k in zip(axes, here):
            self._panel(ax, found.isel(effect=k, effect_=k))
        legend_above(drawing, axes[0])
        return drawing

    def caption(self, found: xr.Dataset, page: int = 0) -> str:
        """Say shrinkage in both forms, and which means and SDs are not those of the model."""
        own = found.isel(effect=chosen(found.sizes["effect"], _PANELS, page))
        people, said = int(found.attrs["subjects"]), []
        for k, name in enumerate(own["label"].values):
            if not np.isfinite(own["shrinkage"].values[k]):
                continue
            ratio = own["sample_sd"].values[k] / own["sd"].values[k]
            said.append(
                f"{name}: shrinkage {100 * own['shrinkage'].values[k]:.0f} % (SD form), "
                f"{100 * own['shrinkage_variance'].values[k]:.0f} % (variance form); SD of draws {ratio:.2f} of omega"
                + (f", mean of EBEs {own['eta_mean'].values[k]:.2g} ({p_text(float(own['eta_p'].values[k]))})"
                   if np.isfinite(own["eta_p"].values[k]) else "")
            )  # fmt: skip
        words = [
            f"Random effects of {people} subject{'s' * (people != 1)}: empirical Bayes estimates (EBEs), "
            f"{found.attrs['samples']} draws of each subject given its records (seed {found.attrs['seed']}), and the "
            f"normal law of the model.{' ' * bool(said)}{'; '.join(said)}{'.' * bool(said)}"
        ]
        if people == 1:
            words.append("One subject has no shrinkage, and shows no distribution.")
        elif people < _FEW:
            error = 100 / np.sqrt(2 * (people - 1))
            words.append(
                f"{people} subjects say little of a distribution: an SD of so few has a standard error of {error:.0f} "
                "%, and shrinkage one of as much of what is left."
            )
        silent = own["silent"].values.sum(axis=0)
        if silent.any():
            parts = ", ".join(f"{name} {n}" for name, n in zip(own["label"].values, silent) if n)
            words.append(f"Subjects whose records say nothing of an effect are not among its EBEs: {parts}.")
        return " ".join(words)

    def _panel(self, ax: Axes, own: xr.Dataset) -> None:
        sd = float(own["sd"])
        eta = own["eta"].values[~own["silent"].values]
        drawn = own["sample"].values.ravel()
        reach = 1.06 * max(3.2 * sd, np.abs(drawn).max(), np.abs(eta).max(initial=0.0))
        x = np.linspace(-reach, reach, 201)
        law = np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        bins = np.linspace(-reach, reach, int(np.clip(np.sqrt(drawn.size), 9, 41)) // 2 * 2 + 2)
        ax.hist(drawn, bins=bins.tolist(), density=True, color=COLOURS["sky"], alpha=0.55, linewidth=0,
                label="draws given the data")  # fmt: skip
        ax.plot(x, law, color=INK, linewidth=1.5, label="law of the model")
        top = max(ax.get_ylim()[1], 1.08 * law.max())
        if len(eta) >= _MANY:
            coarse = np.linspace(-reach, reach, int(np.clip(np.sqrt(len(eta)), 8, 30)) + 2)
            ax.hist(eta, bins=coarse.tolist(), density=True, histtype="step", color=COLOURS["vermilion"], linewidth=1.6,
                    label="EBEs")  # fmt: skip
            top = max(top, ax.get_ylim()[1])
        elif eta.size:
            names = [f"ID {who}: {value:.3g}" for who, value in zip(own["subject"].values, own["eta"].values)]
            told = [name for name, no in zip(names, own["silent"].values) if not no]
            points(ax, eta, np.full(eta.size, -0.055 * top), colour=COLOURS["vermilion"], size=18.0, labels=told,
                   name="EBEs", cells=False)  # fmt: skip
            ax.axhline(0.0, color=INK, linewidth=0.6)
        ax.set_xlim(-reach, reach)
        ax.set_ylim(0.0 if len(eta) >= _MANY else -0.12 * top, 1.04 * top)
        ax.set_yticks([])
        ax.set_ylabel("density")
        ax.set_xlabel(f"{own['label'].item()} ({own['scale'].item()})")
        if np.isfinite(own["shrinkage"]):
            ax.set_title(
                f"shrinkage {100 * float(own['shrinkage']):.0f} % (SD)\n"
                f"{100 * float(own['shrinkage_variance']):.0f} % (variance)",
                fontsize=8.5, fontweight="normal",
            )  # fmt: skip
