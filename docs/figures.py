"""Draw the figures of the pages with the package itself: ``python docs/figures.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import pkpd
from pkpd import plots

if TYPE_CHECKING:
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


FIGURES: dict[str, Callable[[], Figure]] = {
    "two-arms": two_arms,
    "crowd": crowd,
    "theophylline": theophylline,
}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        print(plots.save(draw(), IMAGES / f"{name}.svg"))
