"""A fit in print: what a scientist wants to see first."""

from __future__ import annotations

from html import escape
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from pkpd.estimation.layout import aligned, number
from pkpd.estimation.population_summary import population_summary

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["message", "summary", "summary_html"]

_LOUD = 0.9  # correlations from here on are named
_ROWS_OF_FIXED = 6  # more fixed parameters than this are listed under the table


def summary(fit: Fit) -> str:
    """Give the fit as text: verdict, table of estimates, strong correlations, notes."""
    if "omega" in fit.tree.children:
        return population_summary(fit)
    lines = [*_head(fit), ""]
    header, rows = _subjects_table(fit) if _by_subject(fit) else _estimates_table(fit)
    lines += aligned(header, rows)
    if _by_subject(fit):
        lines += ["", "In brackets: relative standard errors. fit.estimates holds standard errors and intervals."]
    else:
        lines += [""]
    lines += [f"Intervals: {fit.attrs['interval']}."]
    ends = fit.open_ends()
    if ends:
        said = ", ".join(f"{name} {side}" for name, side in ends.items())
        lines += [f"Intervals that end at a bound, where the data set no limit: {said}."]
    lines += _held(fit)
    if not _by_subject(fit):
        lines += _correlations(fit)
    lines += [note for note in fit.attrs["notes"].splitlines() if note]
    return "\n".join(lines)


def summary_html(fit: Fit) -> str:
    """Give the same for a notebook."""
    if "omega" in fit.tree.children:
        return f"<pre>{escape(population_summary(fit))}</pre>"
    header, rows = _subjects_table(fit) if _by_subject(fit) else _estimates_table(fit)
    head = "".join(f"<p>{escape(line)}</p>" for line in _head(fit))
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{head}<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def message(fit: Fit) -> str:
    """Say why the fit may or may not be believed."""
    verdict = fit.verdict
    if not _by_subject(fit):
        return str(verdict["message"].item())
    bad = [
        f"{subject}: {status}. {text}"
        for subject, status, text in zip(
            verdict["subject"].values.tolist(), verdict["status"].values.tolist(), verdict["message"].values.tolist()
        )
        if status != "converged"
    ]
    return "\n".join(bad) or f"All {verdict.sizes['subject']} subjects converged."


def _by_subject(fit: Fit) -> bool:
    return "subject" in fit.estimates.dims


def _head(fit: Fit) -> list[str]:
    attrs, verdict = fit.attrs, fit.verdict
    records = int(verdict["records"].sum())
    statuses = np.atleast_1d(verdict["status"].values).tolist()
    good = statuses.count("converged")
    status = attrs["status"].upper() if attrs["status"] != "converged" else "converged"
    if len(statuses) > 1:
        status = f"{good} of {len(statuses)} subjects converged" + ("" if good == len(statuses) else f": {status}")
    lines = [
        f"{attrs['model_name']} fitted to {attrs['data']}: {records} records of "
        f"{fit['subjects'].sizes['subject']} subject{'s' * (fit['subjects'].sizes['subject'] > 1)}",
        f"{attrs['estimator']}",
        f"Status: {status}",
    ]
    if attrs["status"] != "converged":
        lines += [f"  {line}" for line in message(fit).splitlines()]
    criteria = f"AIC {attrs['aic']:.2f}, BIC {attrs['bic']:.2f}"
    lines.append(f"Objective: {attrs['objective']:.4f} ({attrs['objective_name']}); {criteria}")
    if len(statuses) == 1:
        condition, rank, free = (verdict[name].item() for name in ("condition", "rank", "free"))
        lines.append(
            f"Rank {rank} of {free}; condition number {number(condition)}; "
            + (f"gradient {slope:.1e}; " if np.isfinite(slope := verdict["gradient"].item()) else "")
            + f"{verdict['evaluations'].item()} evaluations in {attrs['seconds']:.2g} s"
        )
    if "starts" in fit.tree.children:
        started = fit["starts"].sizes["start"] // len(statuses)
        at_best = np.atleast_1d(verdict["starts_at_best"].values)
        reached = f"{at_best.min()}" if at_best.min() == at_best.max() else f"{at_best.min()} to {at_best.max()}"
        lines.append(f"Starts: {started}{' each' if len(statuses) > 1 else ''}; {reached} reached the best objective")
    return lines


def _estimates_table(fit: Fit) -> tuple[list[str], list[list[str]]]:
    table = fit.estimates
    level = fit.attrs["interval"].split(" %")[0]
    header = ["parameter", "unit", "estimate", "SE", "RSE %", f"{level} % CI", "start", ""]
    rows = []
    shown = [k for k, fixed in enumerate(table["fixed"].values) if not (fixed and _many_fixed(fit))]
    for name in table["parameter"].values[shown].tolist():
        row = {key: table[key].sel(parameter=name).item() for key in table.data_vars}
        note = "fixed" if row["fixed"] else "at bound" if row["at_bound"] else "prior" if row.get("prior") else ""
        if row["at_bound"] and abs(row["value"]) < 1e-9 * abs(row["initial"]):
            row["value"] = 0.0
        interval = "" if np.isnan(row["lower"]) else f"{number(row['lower'])} – {number(row['upper'])}"
        cells = [number(row["value"]), number(row["se"]), number(row["rse"], 3), interval, number(row["initial"])]
        rows.append([name, _unit(row["unit"]), *cells, note])
    return header, rows


def _subjects_table(fit: Fit) -> tuple[list[str], list[list[str]]]:
    table, verdict = fit.estimates, fit.verdict
    shown = [name for name in table["parameter"].values.tolist() if not table["fixed"].sel(parameter=name).item()]
    units = [_unit(table["unit"].sel(parameter=name).item()) for name in shown]
    header = ["subject", *(f"{name} ({unit})" if unit else name for name, unit in zip(shown, units)), "status"]
    rows = []
    for subject in table["subject"].values.tolist():
        own = table.sel(subject=subject)
        cells = []
        for name in shown:
            value, rse = (own[key].sel(parameter=name).item() for key in ("value", "rse"))
            cells.append(number(value) + ("" if np.isnan(rse) else f" ({rse:.3g} %)"))
        rows.append([subject, *cells, str(verdict["status"].sel(subject=subject).item())])
    return header, rows


def _many_fixed(fit: Fit) -> bool:
    return int(fit.estimates["fixed"].sum()) > _ROWS_OF_FIXED


def _held(fit: Fit) -> list[str]:
    """Name what was fixed, where that is too much for rows of the table."""
    if _by_subject(fit) or not _many_fixed(fit):
        return []
    table = fit.estimates.isel(parameter=fit.estimates["fixed"].values)
    columns = (table[key].values.tolist() for key in ("parameter", "value", "unit"))
    said = ", ".join(f"{name} {number(value)} {_unit(unit)}".rstrip() for name, value, unit in zip(*columns))
    return fill(f"Held: {said}.", width=100, subsequent_indent="  ").splitlines()


def _correlations(fit: Fit) -> list[str]:
    matrix, names = fit.covariance["correlation"].values, fit.estimates["parameter"].values.tolist()
    pairs = [
        (abs(matrix[i, j]), f"{names[i]}, {names[j]}: {matrix[i, j]:+.3f}")
        for i in range(len(names))
        for j in range(i)
        if _LOUD <= abs(matrix[i, j]) < 1 - 1e-9  # 1 by construction: residual SDs that share one factor
    ]
    if not pairs:
        return []
    return [
        f"Correlations of {_LOUD} and more: " + "; ".join(text for _, text in sorted(pairs, reverse=True)[:8]) + "."
    ]


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
