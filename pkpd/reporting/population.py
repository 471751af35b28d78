"""What the report of a population fit says besides: objectives, variability with shrinkage, residuals by CWRES."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pkpd.estimation.parts import Estimate, Spread, parts
from pkpd.estimation.population_summary import constant, objectives, remarks, size_in_words
from pkpd.plots import COLOURS, figure
from pkpd.plots.style import INK, QUIET
from pkpd.reporting.content import Column, Figure, Section, Table

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from pkpd.estimation import Fit

__all__ = ["estimates", "goodness", "objective_table", "random_part"]


def objective_table(fit: Fit) -> Table:
    """Give minus two log likelihood, by the estimator and exactly."""
    rows = [(how, value, error or None) for how, value, error in objectives(fit)]
    criteria = f"AIC {fit.attrs['aic']:.2f}, BIC {fit.attrs['bic']:.2f} (of n records)"
    if np.isnan(fit.attrs["aic"]):
        criteria = "no AIC, as it was not minimised"
    return Table(
        name="objective",
        caption="−2 log L without n log 2π, as NONMEM prints it.",
        columns=(Column(name="", kind="name"), Column(name="−2 log L", decimals=4), Column(name="error", digits=2)),
        rows=tuple(rows),
        notes=(
            f"With the constant, here {constant(fit):.4f}: {criteria}. "
            "Objectives of different methods are not comparable; exact ones are.",
        ),
    )


_FROM_PRIORS = Column(name="from priors", unit="%", decimals=0)
_SCALES = {"log": "log-normal", "none": "normal", "logit": "logit-normal"}


def random_part(fit: Fit) -> str:
    """Say in words what is random: who differs how, and the law of the residuals."""
    sorted_ = parts(fit)
    transforms = dict(
        zip(fit.estimates["parameter"].values.tolist(), fit.estimates["transform"].values.tolist(), strict=True)
    )
    said = []
    for kind, words in (("iiv", "Between people"), ("iov", "Between the occasions of one person")):
        mine = [spread for spread in sorted_.variability if spread.kind == kind]
        names = [f"{s.who} ({_SCALES.get(scale := transforms.get(s.who, 'log'), f'normal on a {scale} scale')})"
                 for s in mine if s.measure != "correlation"]  # fmt: skip
        pairs = [s.who.replace(", ", " with ") for s in mine if s.measure == "correlation"]
        if names:
            together = f"correlated: {'; '.join(pairs)}" if pairs else "independently" if len(names) > 1 else ""
            said.append(f"{words} vary {', '.join(names)}" + (f", {together}" if together else "") + ".")
    laws = [f"{output.name}: {output.law}" for output in fit.model.outputs.values()]
    return " ".join([*said, f"Residual error of {'; '.join(laws)}."])


def estimates(fit: Fit) -> Section:
    """Give the section of estimates: typical values, variability, residual error."""
    sorted_ = parts(fit)
    level = str(fit.attrs["interval"]).split(" %")[0]
    blocks = [_estimates("typical", "Typical values.", sorted_.typical, level, {}, priors=sorted_.with_priors)]
    for kind, title in (("iiv", "Variability between people."), ("iov", "Variability between occasions.")):
        mine = tuple(spread for spread in sorted_.variability if spread.kind == kind)
        if mine:
            blocks.append(_variability(kind, title, mine, level, sorted_.with_priors))
    epsilon = {row.name: sorted_.epsilon.get(row.name.rpartition(".")[0]) for row in sorted_.residual}
    said = tuple(_typeset(text) for text in remarks(fit, sorted_))
    blocks.append(
        _estimates("residual", "Residual error.", sorted_.residual, level, epsilon, said, priors=sorted_.with_priors)
    )
    return Section(title="Estimates", blocks=tuple(blocks))


def _estimates(
    name: str,
    caption: str,
    rows: tuple[Estimate, ...],
    level: str,
    epsilon: dict[str, float | None],
    notes: tuple[str, ...] = (),
    *,
    priors: bool = False,
) -> Table:
    columns = [
        Column(name="parameter", kind="name"),
        Column(name="meaning", kind="text"),
        Column(name="estimate"),
        Column(name="unit", kind="name"),
        Column(name="SE", digits=3),
        Column(name="RSE", unit="%", digits=3),
        Column(name=f"{level} % CI"),
        Column(name="start"),
    ]
    if priors:
        columns.append(_FROM_PRIORS)
    if epsilon:
        columns.append(Column(name="ε-shrinkage", unit="%", decimals=1))
    cells = []
    for row in rows:
        shrunk = epsilon.get(row.name)
        cells.append(
            (
                row.name, row.label, row.value, row.unit, row.se, row.rse, _interval(row.lower, row.upper), row.initial,
                *((_share(row),) if priors else ()),
                *((None if shrunk is None else 100 * shrunk,) if epsilon else ()), row.note,
            )
        )  # fmt: skip
    columns.append(Column(name="", kind="name"))
    return Table(name=name, caption=caption, columns=tuple(columns), rows=tuple(cells), notes=notes)


def _variability(name: str, caption: str, rows: tuple[Spread, ...], level: str, priors: bool) -> Table:
    greek = "η" if name == "iiv" else "κ"
    cells = [
        (
            spread.who, size_in_words(spread), _interval(spread.lower, spread.upper), spread.estimate.value,
            spread.estimate.se, spread.estimate.rse, _interval(spread.estimate.lower, spread.estimate.upper),
            spread.estimate.initial, *((_share(spread.estimate),) if priors else ()),
            _range(spread.shrinkage), _range(spread.shrinkage_variance), spread.estimate.note,
        )
        for spread in rows
    ]  # fmt: skip
    columns = (
        Column(name="parameter", kind="name"),
        Column(name="as CV or SD", kind="name"),
        Column(name=f"its {level} % CI", digits=3),
        Column(name="variance"),
        Column(name="SE", digits=3),
        Column(name="RSE", unit="%", digits=3),
        Column(name=f"{level} % CI"),
        Column(name="start"),
        *((_FROM_PRIORS,) if priors else ()),
        Column(name=f"{greek}-shrinkage, SD", unit="%", decimals=1),
        Column(name=f"{greek}-shrinkage, variance", unit="%", decimals=1),
        Column(name="", kind="name"),
    )
    return Table(name=f"between_{name}", caption=caption, columns=columns, rows=tuple(cells))


def _share(row: Estimate) -> float | None:
    """Percent of the information that is due to priors."""
    return 100 * row.prior_share if np.isfinite(row.prior_share) else None


def _typeset(text: str) -> str:
    for plain, set_ in (("omega^2", "ω²"), ("omega", "ω"), ("sqrt", "√"), (" - ", " − ")):
        text = text.replace(plain, set_)
    return text


def _interval(lower: float, upper: float) -> tuple[float, float] | None:
    return None if np.isnan(lower) else (lower, upper)


def _range(values: tuple[float, ...]) -> float | tuple[float, float] | None:
    known = [100 * value for value in values if np.isfinite(value)]
    if not known:
        return None
    return known[0] if len(known) == 1 else (min(known), max(known))


def goodness(fit: Fit) -> Figure:
    """Give the figure of goodness of fit."""
    return Figure(
        name="goodness",
        draw=partial(_goodness, fit.records),
        caption="Observed against the typical (PRED) and the individual prediction (IPRED), with the identity line; "
        "conditional weighted residuals (CWRES) against time and PRED: most should lie between −2 and 2 (dotted).",
    )


def _goodness(records: xr.Dataset) -> Drawing:
    drawing = figure(2, 2, width=7.0, height=5.6)
    dots = {"marker": "o", "linestyle": "none", "markersize": 3.5, "color": COLOURS["blue"], "alpha": 0.7}
    unit, time = (str(records[name].attrs.get("units", "")) for name in ("DV", "TIME"))
    seen = records["DV"].values
    for ax, name, words in zip(drawing.axes, ("PRED", "IPRED"), ("typical", "individual"), strict=False):
        predicted = records[name].values
        ends = [float(np.nanmin([seen, predicted])), float(np.nanmax([seen, predicted]))]
        ax.plot(ends, ends, color=INK, linewidth=0.9)
        ax.plot(predicted, seen, **dots)
        ax.set_xlabel(f"{words} prediction ({unit})" if unit else f"{words} prediction")
        ax.set_ylabel(f"observed ({unit})" if unit else "observed")
    for ax, name, words, its in zip(
        drawing.axes[2:], ("TIME", "PRED"), ("time", "typical prediction"), (time, unit), strict=True
    ):
        ax.axhline(0, color=QUIET, linewidth=0.9)
        for edge in (-2, 2):
            ax.axhline(edge, color=QUIET, linewidth=0.8, linestyle=":")
        ax.plot(records[name].values, records["CWRES"].values, **dots)
        ax.set_xlabel(f"{words} ({its})" if its else words)
        ax.set_ylabel("CWRES")
    return drawing
