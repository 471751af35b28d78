"""A population fit in print: objective, verdict, typical values, variability with shrinkage, residual error."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from pkpd.estimation.few import FEW, WALD_OF_FEW, is_wald, people
from pkpd.estimation.layout import aligned, number, span
from pkpd.estimation.parts import CV, Estimate, Parts, Spread, parts

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["constant", "objectives", "population_summary", "remarks", "size_in_words", "verdict_in_numbers"]

_LOUD = 0.9  # correlations of estimates from here on are named


def population_summary(fit: Fit) -> str:
    """Give a population fit as text."""
    attrs, count = fit.attrs, people(fit)
    sorted_ = parts(fit)
    level = str(attrs["interval"]).split(" %")[0]
    status, prior = str(attrs["status"]), ("prior %",) if sorted_.with_priors else ()
    lines = [
        f"{attrs['model_name']} fitted to {attrs['data']}: {int(fit.verdict['records'].item())} records of {count} "
        f"subject{'s' * (count != 1)}",
        str(attrs["estimator"]),
        *fill(
            f"Status: {status if status == 'converged' else status.upper()}. {fit.message}", width=110,
            subsequent_indent="  ",
        ).splitlines(),
        "",
        *aligned(("-2 log L", "", ""), [(what, f"{value:.4f}", f"± {error:.2g}" if error else "")
                                        for what, value, error in objectives(fit)]),
        *fill(verdict_in_numbers(fit), width=110).splitlines(),
        "",
        *aligned(("Typical values", "unit", "estimate", "SE", "RSE %", f"{level} % CI", "start", *prior, ""),
                 [_cells(row, prior) for row in sorted_.typical]),
        "",
        *_variability(sorted_, level),
        *aligned(("Residual error", "unit", "estimate", "SE", "RSE %", f"{level} % CI", "start", *prior,
                  "ε-shrinkage", ""),
                 _residual(sorted_)),
        "",
    ]  # fmt: skip
    for text in remarks(fit, sorted_):
        lines += fill(text, width=110, subsequent_indent="  ").splitlines()
    return "\n".join(lines)


def objectives(fit: Fit) -> list[tuple[str, float, float]]:
    """Give what minus two log likelihood is: in words, value, and error (0: none)."""
    attrs, verdict = fit.attrs, fit.verdict
    how = str(attrs["objective_name"]).removeprefix("-2 log L, ").removesuffix(", without n log(2 pi)")
    error, exact = float(verdict["marginal_error"].item()), float(verdict["marginal"].item())
    if float(verdict["objective"].item()) == exact:
        return [(f"by {how} (the objective; exact)", exact, error)]
    way = str(attrs["notes"]).partition("-2 log L by ")[2].partition(":")[0] or "the exact likelihood"
    return [(f"by {how} (the objective)", float(attrs["objective"]), 0.0), (f"by {way} (exact)", exact, error)]


def constant(fit: Fit) -> float:
    """Give n log(2 pi) of the n records that have a density: a probability lacks no constant."""
    verdict = fit.verdict
    whole = int(verdict["probabilities"].item()) if "probabilities" in verdict else 0
    return (int(verdict["records"].item()) - whole) * float(np.log(2 * np.pi))


def _seen(fit: Fit) -> str:
    return " that have a density, not a probability" if "probabilities" in fit.verdict else ""


def verdict_in_numbers(fit: Fit) -> str:
    """Say what stands behind the verdict."""
    attrs, verdict = fit.attrs, fit.verdict
    gradient, decrement = float(verdict["gradient"].item()), float(verdict["decrement"].item())
    said = [f"n log(2 pi) of the n records{_seen(fit)}, {constant(fit):.4f}, is left out, as NONMEM does."]
    said += ["No AIC is made of what was not minimised."] if np.isnan(attrs["aic"]) else [
        f"With it: AIC {attrs['aic']:.2f}, BIC {attrs['bic']:.2f}."
    ]  # fmt: skip
    if np.isfinite(decrement) and np.isfinite(gradient):
        said.append(
            f"Largest slope times standard error {gradient:.1e}; the objective could still fall by {decrement:.0e}."
        )
    elif np.isfinite(gradient):
        said.append(f"Last step {gradient:.1e} standard errors.")
    free, rank, condition = (verdict[name].item() for name in ("free", "rank", "condition"))
    known = f"rank {rank}, condition number {number(condition)}" if np.isfinite(condition) else "no condition number"
    said.append(
        f"{free} estimated quantities: {known}; {verdict['evaluations'].item()} evaluations in "
        f"{attrs['seconds']:.2g} s."
    )
    return " ".join(said)


def remarks(fit: Fit, sorted_: Parts) -> list[str]:
    """Say how the columns are meant, and what else must be known."""
    interval = str(fit.attrs["interval"])
    said = ["No standard errors were asked for." if "none asked for" in interval else f"CI: {interval}."]
    if any(spread.measure == CV for spread in sorted_.variability):
        said.append("CV: of a log-normal parameter, sqrt(exp(variance) - 1), with its interval from the variance's.")
    if any(spread.measure == "SD" for spread in sorted_.variability):
        said.append("SD: of a parameter that is not log-normal, sqrt(variance), in its unit or on its scale.")
    if any(spread.shrinkage for spread in sorted_.variability):
        said.append(
            "η-shrinkage: of the most probable random effects, as 1 - SD / omega and as 1 - variance / omega^2"
            + ("; κ: from the first to the last occasion" if any(len(s.shrinkage) > 1 for s in sorted_.variability)
               else "") + ". ε-shrinkage: 1 - SD of IWRES."
        )  # fmt: skip
    if any(row.note == "no SE" for row in sorted_.estimates):
        said.append("no SE: it was estimated; how well it is known cannot be said.")
    if sorted_.with_priors:
        said.append("prior %: share of the information on the estimate that is due to priors.")
    if is_wald(fit) and people(fit) < FEW:
        said.append(WALD_OF_FEW)
    ends = fit.open_ends()
    if ends:
        said.append("Intervals that end at a bound, where the data set no limit: "
                    + ", ".join(f"{name} {side}" for name, side in ends.items()) + ".")  # fmt: skip
    said += _loud(fit)
    return said + [n for n in str(fit.attrs["notes"]).splitlines() if n and not n.startswith("-2 log L by ")]


def _loud(fit: Fit) -> list[str]:
    matrix, names = fit.covariance["correlation"].values, fit.estimates["parameter"].values.tolist()
    pairs = sorted(
        ((abs(matrix[i, j]), f"{names[i]}, {names[j]}: {matrix[i, j]:+.3f}")
         for i in range(len(names)) for j in range(i) if _LOUD <= abs(matrix[i, j]) < 1 - 1e-9),
        reverse=True,
    )  # fmt: skip
    return [f"Correlations of estimates of {_LOUD} and more: {'; '.join(t for _, t in pairs[:8])}."] if pairs else []


def _cells(row: Estimate, prior: tuple[str, ...]) -> tuple[str, ...]:
    return (row.name, row.unit, number(row.value), number(row.se), number(row.rse, 3), span(row.lower, row.upper),
            number(row.initial), *(_percent(row) for _ in prior), row.note)  # fmt: skip


def _percent(row: Estimate) -> str:
    return f"{100 * row.prior_share:.0f}" if np.isfinite(row.prior_share) else ""


def _variability(sorted_: Parts, level: str) -> list[str]:
    lines: list[str] = []
    prior = ("prior %",) if sorted_.with_priors else ()
    for kind, title in (("iiv", "Between people"), ("iov", "Between occasions")):
        mine = [spread for spread in sorted_.variability if spread.kind == kind]
        if mine:
            # RSE and interval are those of the variance; beside them stands the measure that can be imagined.
            header = (title, "variance", "SE", "RSE %", f"{level} % CI", "start", *prior, "as CV or SD",
                      f"{level} % CI of it", "η-shrinkage %" if kind == "iiv" else "κ-shrinkage %", "")  # fmt: skip
            lines += [*aligned(header, [_spread_cells(spread, prior) for spread in mine]), ""]
    return lines


def _spread_cells(spread: Spread, prior: tuple[str, ...]) -> tuple[str, ...]:
    row = spread.estimate
    return (
        spread.who, number(row.value), number(row.se), number(row.rse, 3), span(row.lower, row.upper),
        number(row.initial), *(_percent(row) for _ in prior), size_in_words(spread),
        span(spread.lower, spread.upper, 3), _shrinkage(spread.shrinkage, spread.shrinkage_variance), row.note,
    )  # fmt: skip


def size_in_words(spread: Spread) -> str:
    """Write a variance as a CV or an SD, a covariance as a correlation."""
    if spread.measure == "correlation":
        return f"corr. {spread.size:+.3f}" if np.isfinite(spread.size) else ""
    if spread.measure == CV:
        return f"CV {number(spread.size, 3)} %"
    return f"SD {number(spread.size, 3)} {spread.unit}".rstrip()


def _shrinkage(by_sd: Sequence[float], by_variance: Sequence[float]) -> str:
    if not by_sd or np.isnan(by_sd[0]):
        return ""
    both = [
        "…".join(dict.fromkeys(f"{100 * value:.1f}" for value in (numbers[0], numbers[-1])))
        for numbers in (by_sd, by_variance)
    ]
    return f"{both[0]} SD, {both[1]} var."


def _residual(sorted_: Parts) -> list[tuple[str, ...]]:
    rows = []
    for row in sorted_.residual:
        *cells, note = _cells(row, ("prior %",) if sorted_.with_priors else ())
        shrunk = sorted_.epsilon.get(row.name.rpartition(".")[0])
        rows.append((*cells, "" if shrunk is None else f"{100 * shrunk:.1f} %", note))
    return rows
