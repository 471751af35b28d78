"""Draw the figures of the pages with the package itself: ``python docs/figures.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import approximations
import event_figures
import numpy as np
import pandas as pd

import pkpd
from pkpd import plots

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "img"


def two_arms() -> Figure:
    """Draw ketamine over 40 and over 100 minutes, as in the first tutorial."""
    sim = pkpd.simulate(
        pkpd.load("ketamine_kamp2020"),
        {"over 40 min": "35 mg iv over 40 min", "over 100 min": "35 mg iv over 100 min"},
        times=np.union1d(np.linspace(0, 6, 241), [40 / 60, 100 / 60]),
        covariates={"WT": 70},
    )
    figure = plots.figure(width=6.0, height=3.4)
    plots.bands(sim["cp"], ax=figure.axes[0])
    return figure


def crowd() -> Figure:
    """Draw 200 people given midazolam."""
    sim = pkpd.simulate(
        pkpd.load("midazolam_brill2014"),
        "0.045 mg/kg iv over 40 min",
        times=np.r_[0:180:2, 180:721:10],
        n=200,
        seed=1,
        covariates={"WT": 70},
    )
    figure = plots.figure(width=7.0, height=3.4)
    plots.bands(sim["cp"], ax=figure.axes[0], time_unit="h", interval=(0.5, 0.9))
    return figure


def theophylline() -> Figure:
    """Draw the individual fits of the tutorial on fits."""
    data = pkpd.read_data(
        DOCS.parent / "fits" / "theophylline_individual" / "data.csv",
        units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"},
    )
    model = pkpd.load("theophylline_boeckmann1994")
    fit = pkpd.fit(model, data, pkpd.Individual())
    records = fit.records.to_dataframe()
    figure = plots.figure(3, 4, width=8.0, height=5.0, sharex=True, sharey=True)
    for axes, subject in zip(figure.axes, data.ids, strict=True):
        dose = data[subject].columns["AMT"].max()
        curve = pkpd.simulate(fit.model_of(subject), f"{dose:.10g} mg oral", times=np.linspace(0, 25, 251))["cp"]
        axes.plot(curve["time"], curve.squeeze(), color=plots.COLOURS["blue"])
        own = records[records["ID"] == subject]
        axes.plot(own["TIME"], own["DV"], "o", color=plots.COLOURS["vermilion"], markersize=3.2)
        axes.text(0.97, 0.9, f"subject {subject}", transform=axes.transAxes, ha="right")
    figure.supxlabel("time after the dose (h)", fontsize=9.5)
    figure.supylabel("theophylline in serum (mg/L)", fontsize=9.5)
    return figure


@cache
def held(name: str) -> pkpd.Fit:
    """Fit a model of the trial with the time of its chain held at the estimate, as the page on what-if does."""
    folder = DOCS.parent / "fits" / "ketamine_fatigue"
    table = pd.read_csv(folder / "data.csv", na_values=".")
    table.loc[table["MARK"] == "inferred", "MDV"] = 1
    table = table.drop(columns=["MARK", "SOURCE", "DRUG"]).assign(SD=25, WT=70, AGE=45, ASIAN=0, JAPANESE=0)
    data = pkpd.read_data(table, units={"TIME": "h", "AMT": "mg", "DV": "%"})
    known = pkpd.Pooled(error="known")
    free = pkpd.fit(pkpd.load(folder / "chain.toml"), data, known)
    mtt = float(free.estimates["value"].sel(parameter="mtt"))
    return pkpd.fit(pkpd.load(folder / f"{name}.toml"), data, known, start={"mtt": mtt}, fixed=["mtt"])


def imagine(arms: dict[str, str], model: str = "chain", until: int = 168, draws: int = 400) -> xr.Dataset:
    """Simulate regimens with parameter uncertainty."""
    times = range(0, until + 1, max(1, until // 420))
    return pkpd.simulate(held(model), arms, times=times, observe=["alone", "vas"], uncertainty=draws, seed=1)


def what_if(arms: dict[str, str], **options: Any) -> Figure:
    """Draw what the drug alone does, with the trial's threshold of 20 %."""
    sim = imagine(arms, **options)
    figure = plots.figure(width=7.0, height=3.2)
    (axes,) = figure.axes
    plots.bands(sim["alone"], ax=axes, time_unit="d")
    axes.axhline(80, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(0.995, 80, "20 % below ", transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=8)
    axes.set_ylabel("fatigue by the drug alone\n(% of the score before)")
    return figure


IV = "mg/kg ketamine iv over 40 min"
DOSES = {f"{dose} mg/kg": f"{dose} {IV}" for dose in (0.25, 0.5, 1)}


def window() -> Figure:
    """Draw how long fatigue stays 20 % below its score before the infusion, by dose."""
    sim = imagine(DOSES)
    figure = plots.figure(width=7.0, height=2.8)
    (axes,) = figure.axes
    for row, (score, colour, text) in enumerate(
        [("alone", "blue", "by the drug alone"), ("vas", "orange", "with the common course")]
    ):
        hours = pkpd.sustain(sim, f"{score} < 80")["total"].squeeze()
        low, middle, high = hours.quantile([0.05, 0.5, 0.95], "draw").values
        places = np.arange(len(DOSES)) + 0.15 - 0.3 * row
        reach = [middle - low, high - middle]
        axes.errorbar(
            middle, places, xerr=reach, fmt="o", color=plots.COLOURS[colour], markersize=5, capsize=3, label=text
        )
    axes.set_yticks(range(len(DOSES)), list(DOSES))
    axes.set_ylim(-0.6, len(DOSES) - 0.4)
    axes.set_xlim(left=-2)
    axes.grid(axis="x", color="#E4E4E4")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("hours in the first week at least 20 % below the score before the infusion")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        title="median, 90 % interval\nparameter uncertainty, timing held",
        title_fontsize=8,
        fontsize=8.5,
        alignment="left",
        frameon=False,
    )
    return figure


def overview() -> Figure:
    """Draw what the README shows: a dose, a concentration, an effect, and the published means."""
    figure = plots.figure(1, 2, width=9.0, height=3.4, width_ratios=[1, 1.55])
    left, right = figure.axes
    kinetics = pkpd.simulate(
        pkpd.load("ketamine_kamp2020"),
        {"ketamine": "0.5 mg/kg iv over 40 min"},
        times=np.union1d(np.linspace(0, 6, 241), 40 / 60),
    )
    plots.bands(kinetics["cp"] * 1000, ax=left, legend=False)
    left.set_ylabel("ketamine in arterial plasma (ng/mL)")
    left.set_title("0.5 mg/kg over 40 min", fontsize=9.5)
    arms = {
        "ketamine": "0.5 mg/kg ketamine iv over 40 min",
        "midazolam": "0.045 mg/kg midazolam iv over 40 min",
    }
    plots.bands(imagine(arms, draws=4000)["vas"], ax=right, time_unit="d", legend=False)
    means = {"ketamine": ([1, 3], [-38.7, -21.0], 4), "midazolam": ([3], [-17.7], 6)}
    for (arm, (days, change, people)), colour, shift in zip(
        means.items(), ("blue", "orange"), (-0.03, 0.03), strict=True
    ):
        right.errorbar(
            np.array(days) + shift,
            100 + np.array(change),
            yerr=25 / np.sqrt(people),
            fmt="o",
            color=plots.COLOURS[colour],
            markersize=5,
            capsize=2,
            label=f"{arm}, mean of {people}",
        )
    right.set_ylim(22, 103)
    right.set_ylabel("fatigue (% of the score before)")
    right.set_title("first period of the trial", fontsize=9.5)
    right.legend(
        loc="lower right",
        fontsize=8,
        title="lines: model, 90 % parameter uncertainty, timing held\nbars: standard error if the SD is 25 %",
        title_fontsize=7.5,
        alignment="left",
        frameon=False,
    )
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "overview": overview,
    "two-arms": two_arms,
    "crowd": crowd,
    "theophylline": theophylline,
    "approximations": approximations.draw,
    "what-if-dose": lambda: what_if(DOSES),
    "what-if-rate": lambda: what_if({"over 40 min": f"0.5 {IV}", "over 100 min": f"0.5 {IV.replace('40', '100')}"}),
    "what-if-weeks": lambda: what_if({"once": f"0.5 {IV}", "twice a week": f"0.5 {IV} every 84 h x 8"}, until=840),
    "what-if-nasal": lambda: what_if(
        {"ketamine 0.5 mg/kg iv": f"0.5 {IV}", "esketamine 56 mg nasal": "56 mg esketamine nasal"}, model="nasal"
    ),
    "what-if-window": window,
}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        print(plots.save(draw(), IMAGES / f"{name}.svg"))
    event_figures.main()
