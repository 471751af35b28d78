"""The verb ``report``: any Fit, written down in one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.estimation.parts import is_population
from pkpd.plots import COLOURS, figure
from pkpd.plots.style import INK, QUIET
from pkpd.reporting import population
from pkpd.reporting.content import Box, Column, Content, Equations, Figure, Listing, Paragraph, Section, Table
from pkpd.reporting.formats import check_target, write_report

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from pkpd.estimation import Fit

__all__ = ["describe", "report"]

_PANELS = 12  # subjects in one figure
_LOUD = 0.9  # correlations from here on are named


def report(fit: Fit, path: str | os.PathLike[str], *, share_data: bool = True) -> Path:
    """Write a fit down in one file: for the screen, for paper, for Word, or everything in a ZIP.

    Verdict, equations, estimates, observations with their predictions, residuals, what the data determine, versions and
    hashes: the same content in every format, with the same numbers of tables and figures.

    Parameters
    ----------
    fit : Fit
    path : path
        Its ending chooses. ``.html``: one self-contained file, which prints well. ``.pdf`` and ``.docx`` need the extra
        ``print``. ``.zip``: all three, with ``tables/*.csv``, ``figures/*.svg``, the model, the fit and their hashes.
    share_data : bool
        Whether HTML and ZIP carry the data beside the fit, so that :func:`pkpd.project.replay` can run it again.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    FitFileError
        The path has another ending, cannot be written, or its format needs an extra that is not installed.
    """
    target = Path(path)
    check_target(target)
    return write_report(describe(fit), target, fit if share_data else fit.without_data())


def describe(fit: Fit) -> Content:
    """Give the content of the report of a fit."""
    attrs = fit.attrs
    name = str(attrs["model_name"])
    makers: tuple[Callable[[Fit], Section | None], ...] = (_summary, _model, _estimates, _records, _determined, _origin)
    sections = [make(fit) for make in makers]
    model = fit.model
    return Content(
        title=model.title or name,
        subtitle=f"{name} fitted to {attrs['data']}, {attrs['created']}",
        sections=tuple(section for section in sections if section is not None),
        stamp=f"model {str(attrs['model_hash'])[:16]}, data {str(attrs['data_hash'])[:16]}, pkpd "
        f"{attrs['version_pkpd']}",
    )


def _by_subject(fit: Fit) -> bool:
    return "subject" in fit.estimates.dims


def _summary(fit: Fit) -> Section:
    attrs, verdict = fit.attrs, fit.verdict
    records = int(np.sum(verdict["records"].values))
    people = fit["subjects"].sizes["subject"]
    criteria = "" if np.isnan(attrs["aic"]) else f"; AIC {attrs['aic']:.2f}, BIC {attrs['bic']:.2f}"
    lines = [
        f"**{fit.status[:1].upper()}{fit.status[1:]}.** {fit.message}",
        f"{records} observations of {people} subject{'s' * (people != 1)}. {attrs['estimator']}.",
    ]
    if is_population(fit):
        words = tuple(Paragraph(line) for line in lines)
        return Section(
            title="Summary", blocks=(Box(title="Verdict", blocks=(*words, population.objective_table(fit))),)
        )
    lines += [
        f"Objective {attrs['objective']:.4f} ({attrs['objective_name']}){criteria}.",
    ]
    lines += [line for line in str(attrs.get("notes", "")).splitlines() if line]
    return Section(title="Summary", blocks=(Box(title="Verdict", blocks=tuple(Paragraph(line) for line in lines)),))


def _model(fit: Fit) -> Section:
    model = fit.model
    rows = [
        (p.name, p.label, p.typical, _unit(p.unit), "held" if p.fixed else "estimated", p.source)
        for p in model.parameters.values()
    ]
    rows += [(c.name, c.label, c.value, _unit(c.unit), "constant", c.source) for c in model.constants.values()]
    blocks: list[Any] = [Paragraph(model.reference)] if model.reference else []
    blocks.append(Equations(mathml=(model.mathml(),)))
    if is_population(fit):
        blocks.append(Paragraph(population.random_part(fit)))
    blocks.append(
        Table(
            name="parameters",
            caption="Parameters and constants"
            + (" at the starting values." if _by_subject(fit) else " at the estimates."),
            columns=(
                Column(name="name", kind="name"),
                Column(name="meaning", kind="text"),
                Column(name="value"),
                Column(name="unit", kind="name"),
                Column(name="kind", kind="name"),
                Column(name="source", kind="text"),
            ),
            rows=tuple(rows),
        )
    )
    return Section(title="Model", blocks=tuple(blocks))


def _estimates(fit: Fit) -> Section:
    if is_population(fit):
        return population.estimates(fit)
    table = fit.estimates
    names = [str(n) for n, held in zip(table["parameter"].values, table["fixed"].values, strict=True) if not held]
    note = f"Intervals: {table.attrs.get('interval', fit.attrs['interval'])}."
    if _by_subject(fit):
        columns = [Column(name="subject", kind="name")]
        for name in names:
            unit = _unit(str(table["unit"].sel(parameter=name).item()))
            columns += [Column(name=name, unit=unit), Column(name=f"SE of {name}", unit=unit, digits=3)]
        rows = [
            (
                str(who),
                *(
                    float(table[kind].sel(subject=who, parameter=name).item())
                    for name in names
                    for kind in ("value", "se")
                ),
            )
            for who in table["subject"].values
        ]
        made = Table(
            name="estimates",
            caption="Estimates of each subject.",
            columns=tuple(columns),
            rows=tuple(rows),
            notes=(note,),
        )
        return Section(title="Estimates", blocks=(made,))
    rows = []
    ends = fit.open_ends()
    if ends:
        note += " Open: the interval ends at a bound, where the data set no limit."
    for name in names:
        one = table.sel(parameter=name)
        numbers = {kind: float(one[kind].item()) for kind in ("value", "se", "rse", "lower", "upper", "initial")}
        rows.append(
            (
                name,
                str(one["label"].item()),
                numbers["value"],
                _unit(str(one["unit"].item())),
                numbers["se"],
                numbers["rse"],
                (numbers["lower"], numbers["upper"]),
                numbers["initial"],
                "at a bound" if bool(one["at_bound"].item()) else f"open {ends[name]}" if name in ends else "",
            )
        )
    made = Table(
        name="estimates",
        caption="Estimates.",
        columns=(
            Column(name="parameter", kind="name"),
            Column(name="meaning", kind="text"),
            Column(name="estimate"),
            Column(name="unit", kind="name"),
            Column(name="SE", digits=3),
            Column(name="RSE", unit="%", digits=3),
            Column(name="interval", digits=4),
            Column(name="start", digits=4),
            Column(name="", kind="name"),
        ),
        rows=tuple(rows),
        notes=(note,),
    )
    return Section(title="Estimates", blocks=(made,))


def _records(fit: Fit) -> Section:
    records = fit.records
    plain = Figure(
        name="goodness",
        draw=partial(_goodness, records),
        caption="Observed against predicted (identity line), and weighted residuals against prediction and time.",
    )
    random = is_population(fit)
    blocks: list[Any] = [population.goodness(fit) if random else plain]
    lines = "individual (lines) and typical predictions (dashed)" if random else "predictions (lines through them)"
    people = list(dict.fromkeys(str(name) for name in records["ID"].values))
    for page in range(0, len(people), _PANELS):
        chosen = people[page : page + _PANELS]
        blocks.append(
            Figure(
                name=f"subjects_{page // _PANELS + 1}",
                draw=partial(_panels, records, chosen, typical=random),
                caption=f"Observations (points) and {lines}, subject{'s' * (len(chosen) > 1)} {chosen[0]}"
                + (f" to {chosen[-1]}." if len(chosen) > 1 else "."),
            )
        )
    trial = ("ARM", "SEQUENCE", "PERIOD", "OCC")
    shown = ("ID", *trial, "TIME", "DVID", "DV", "PRED", "IPRED", "IRES", "IWRES", "CWRES", "SD", "N")
    kept = [n for n in shown if n in records]
    text = ("ID", "ARM", "SEQUENCE", "DVID")
    blocks.append(
        Table(
            name="records",
            caption="Observations, predictions and residuals.",
            columns=tuple(
                Column(name=n, kind="name" if n in text else "number", unit=str(records[n].attrs.get("units", "")))
                for n in kept
            ),
            rows=tuple(
                tuple(str(records[n].values[i]) if n in text else float(records[n].values[i]) for n in kept)
                for i in range(records.sizes["record"])
            ),
        )
    )
    return Section(title="Fit against data", blocks=tuple(blocks))


def _goodness(records: xr.Dataset) -> Drawing:
    drawing = figure(1, 3, width=7.0, height=2.6)
    seen, predicted = records["DV"].values, records["IPRED"].values
    weighted, time = records["IWRES"].values, records["TIME"].values
    unit = str(records["DV"].attrs.get("units", ""))
    first, second, third = drawing.axes
    dots = {"marker": "o", "linestyle": "none", "markersize": 3.5, "color": COLOURS["blue"], "alpha": 0.7}
    ends = [float(min(seen.min(), predicted.min())), float(max(seen.max(), predicted.max()))]
    first.plot(ends, ends, color=INK, linewidth=0.9)
    first.plot(predicted, seen, **dots)
    first.set_xlabel(f"predicted ({unit})" if unit else "predicted")
    first.set_ylabel(f"observed ({unit})" if unit else "observed")
    for ax, x, name in ((second, predicted, "predicted"), (third, time, "time")):
        ax.axhline(0, color=QUIET, linewidth=0.9)
        ax.plot(x, weighted, **dots)
        its = unit if name == "predicted" else str(records["TIME"].attrs.get("units", ""))
        ax.set_xlabel(f"{name} ({its})" if its else name)
    second.set_ylabel("weighted residual")
    return drawing


def _panels(records: xr.Dataset, people: list[str], *, typical: bool = False) -> Drawing:
    columns = min(4, len(people))
    rows = -(-len(people) // columns)
    drawing = figure(rows, columns, width=7.0, height=1.75 * rows + 0.5, sharex=True, sharey=True, squeeze=False)
    ids, outputs = records["ID"].values.astype(str), records["DVID"].values.astype(str)
    palette = list(COLOURS.values())
    kinds = list(dict.fromkeys(outputs))
    for number, (ax, who) in enumerate(zip(drawing.axes, people, strict=False)):
        for k, kind in enumerate(kinds):
            own = np.flatnonzero((ids == who) & (outputs == kind))
            order = own[np.argsort(records["TIME"].values[own], kind="stable")]
            time = records["TIME"].values[order]
            if typical:
                ax.plot(time, records["PRED"].values[order], color=QUIET, linewidth=1.0, linestyle="--")
            ax.plot(time, records["IPRED"].values[order], color=palette[k], linewidth=1.3)
            ax.plot(time, records["DV"].values[order], "o", color=INK if len(kinds) == 1 else palette[k], markersize=3)
        ax.set_title(who, fontsize=8.5, pad=3)
        if number >= len(people) - columns:
            unit = str(records["TIME"].attrs.get("units", ""))
            ax.set_xlabel(f"time ({unit})" if unit else "time")
    for ax in drawing.axes[len(people) :]:
        ax.set_visible(False)
    unit = str(records["DV"].attrs.get("units", ""))
    drawing.supylabel(f"observed ({unit})" if unit else "observed", fontsize=9)
    return drawing


def _determined(fit: Fit) -> Section | None:
    if _by_subject(fit):
        return None
    verdict, table = fit.verdict, fit.estimates
    names = [str(n) for n, held in zip(table["parameter"].values, table["fixed"].values, strict=True) if not held]
    correlation = fit.covariance["correlation"].sel(parameter=names, parameter_=names).values
    loud = [
        f"{names[i]} and {names[j]}: {correlation[i, j]:+.3f}"
        for i in range(len(names))
        for j in range(i)
        if abs(correlation[i, j]) >= _LOUD
    ]
    words = str(verdict["null_directions"].item())
    condition, gradient = float(verdict["condition"].item()), float(verdict["gradient"].item())
    text = (
        f"Rank {int(verdict['rank'].item())} of {int(verdict['free'].item())}; "
        + (f"condition number {condition:.4g}" if np.isfinite(condition) else "no condition number")
        + (f"; largest slope times standard error {gradient:.1e}." if np.isfinite(gradient) else ".")
    )
    blocks: list[Any] = [Paragraph(text)]
    blocks += [Paragraph(line) for line in words.splitlines() if line]
    if loud:
        blocks.append(Paragraph(f"Correlations of {_LOUD} and more: {'; '.join(loud)}."))
    blocks.append(
        Table(
            name="correlation",
            caption="Correlation of the estimates, on the estimation scale.",
            columns=(Column(name="", kind="name"), *(Column(name=name, decimals=2) for name in names)),
            rows=tuple((name, *map(float, row)) for name, row in zip(names, correlation, strict=True)),
        )
    )
    return Section(title="What the data determine", blocks=tuple(blocks))


def _origin(fit: Fit) -> Section:
    hidden = ("model", "notes")
    rows = tuple((name, str(value)) for name, value in sorted(fit.attrs.items()) if name not in hidden)
    table = Table(
        name="provenance",
        caption="Where the numbers come from.",
        columns=(Column(name="", kind="name"), Column(name="", kind="text")),
        rows=rows,
    )
    blocks = (
        table,
        Listing(title="The model, as text", text=str(fit.attrs["model"])),
        Listing(title="The fit, as printed", text=str(fit)),
    )
    return Section(title="Provenance", blocks=blocks)


def _unit(text: str) -> str:
    return "" if text == "1" else text
