"""A fit in the files that NONMEM leaves behind, for tools that read these: .ext, .phi, .cov, .cor and a table.

Layout and the codes of the special iterations: NONMEM Users Guide, "Introduction to NONMEM 7", sections on additional
output files.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import CannotFit, UsageError
from pkpd.estimation.file import write_whole
from pkpd.estimation.parts import is_population

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.estimation import Fit

__all__ = ["write_nonmem"]

#: What NONMEM prints where there is no number.
_NOTHING = 1e10
_METHODS = {
    "FO": "First Order",
    "FOCE": "First Order Conditional Estimation with Interaction",
    "Laplace": "Laplacian Conditional Estimation",
    "SAEM": "Stochastic Approximation Expectation-Maximization",
    "Importance": "Objective Function Evaluation by Importance Sampling",
}


def write_nonmem(fit: Fit, stem: str | os.PathLike[str]) -> list[Path]:
    """Write a population fit as NONMEM's output files: ``run1.ext``, ``.phi``, ``.cov``, ``.cor``, ``.tab``.

    THETA are the typical values, then the residual SDs, whose SIGMA is 1; OMEGA the covariance of the random effects,
    those between occasions with an ETA for each. ``run1.names.csv`` says which is which, and what numbers stand for
    subjects, arms and other texts in the table. What was not computed is 1.00000E+10, as NONMEM prints it.

    Parameters
    ----------
    fit : Fit
        Of a population.
    stem : path
        Without an ending: ``"run1"``.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    CannotFit
        The fit is of no population.
    UsageError
        `stem` has one of these endings.
    FitFileError
        A file cannot be written.
    """
    where, target = "write_nonmem(fit, stem)", Path(stem)
    if not is_population(fit):
        raise CannotFit(
            f"the fit is by {_method(fit)}.", where=where, expected="A fit of a population, with THETA, OMEGA and ETA.",
            remedy="fit.records.to_dataframe() is the table of any fit.",
        )  # fmt: skip
    makers: dict[str, Callable[[_Named], str]] = {
        "ext": _ext, "phi": _phi, "cov": lambda named: _matrix(named, "natural"),
        "cor": lambda named: _matrix(named, "correlation"), "tab": _table, "names.csv": _names,
    }  # fmt: skip
    if target.suffix.lstrip(".") in makers:
        raise UsageError(
            f"`{target.name}` has an ending.", where=where, expected="The beginning of the names: run1.",
            remedy=f"Write {target.stem!r}.",
        )  # fmt: skip
    named = _Named(fit)
    texts = {target.with_name(f"{target.name}.{ending}"): make(named) for ending, make in makers.items()}
    for path, text in texts.items():
        write_whole(path, lambda part, text=text: part.write_text(text, encoding="utf-8"), what="the file")
    return list(texts)


@dataclass(frozen=True)
class _Named:
    """A fit and NONMEM's names for what is in it."""

    fit: Fit

    @cached_property
    def theta(self) -> list[str]:
        """Quantities that are THETA, in order."""
        names = self.fit.estimates["parameter"].values.tolist()
        return [name for name in names if not name.startswith(("iiv.", "iov.", "share."))]

    @cached_property
    def effects(self) -> list[str]:
        """Random effects, in order: those of occasions are ``cl@1``, ``cl@2``."""
        return self.fit["omega"]["effect"].values.tolist()

    @cached_property
    def omega(self) -> list[tuple[int, int, str]]:
        """Elements of OMEGA row by row with the quantity that each is, or nothing where it is 0."""
        known, found = set(self.fit.estimates["parameter"].values.tolist()), []
        for i, row in enumerate(self.effects):
            for j, column in enumerate(self.effects[: i + 1]):
                (a, _, at), (b, _, other) = row.partition("@"), column.partition("@")
                kind = "iov" if at else "iiv"
                pair = [f"{kind}.{a}" if i == j else f"{kind}.{a},{b}", f"{kind}.{b},{a}"]
                name = next((one for one in pair if one in known), "") if at == other else ""
                found.append((i, j, name))
        return found

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """NONMEM's name and ours of everything estimated or held: THETA, SIGMA, OMEGA."""
        omega = [(f"OMEGA({i + 1},{j + 1})", name) for i, j, name in self.omega]
        return [*((f"THETA{k}", name) for k, name in enumerate(self.theta, start=1)), ("SIGMA(1,1)", ""), *omega]

    def row(self, values: Mapping[str, float], sigma: float, missing: float = 0.0) -> list[float]:
        """Give values in the order of the columns."""
        return [sigma if name == "SIGMA(1,1)" else float(values.get(ours, missing)) for name, ours in self.columns]


def _method(fit: Fit) -> str:
    return str(fit.attrs["estimator"]).split("(")[0]


def _title(fit: Fit, goal: str = "") -> str:
    name = _method(fit)
    return f"TABLE NO.     1: {_METHODS.get(name, name)}: {goal}Problem=1 Subproblem=0 Superproblem1=0 Iteration1=0 " \
           "Superproblem2=0 Iteration2=0"  # fmt: skip


def _sound(value: float) -> float:
    return _NOTHING if not np.isfinite(value) else float(value)


def _ext(named: _Named) -> str:
    fit, table = named.fit, named.fit.estimates
    names = table["parameter"].values.tolist()

    def column(name: str) -> dict[str, float]:
        return dict(zip(names, table[name].values.tolist()))

    value, se, fixed = column("value"), column("se"), column("fixed")
    se = {name: _NOTHING if fixed[name] or not np.isfinite(se[name]) else se[name] for name in names}
    spread, spread_error = dict(value), dict(se)
    omega = fit["omega"]["correlation"].values
    for i, j, name in named.omega:
        if name and i == j:
            sd = np.sqrt(value[name])
            spread[name] = sd
            spread_error[name] = _NOTHING if se[name] == _NOTHING or sd == 0 else se[name] / (2 * sd)
        elif name:
            spread[name], spread_error[name] = float(omega[i, j]), _NOTHING
    held = {name: float(fixed[name]) for name in names}
    condition = float(fit.verdict["condition"])
    special = [
        (-1000000000, named.row(value, 1.0), fit.ofv),
        (-1000000001, named.row(se, _NOTHING, _NOTHING), 0.0),
        (-1000000003, [condition, *np.zeros(len(named.columns) - 1)], 0.0),
        (-1000000004, named.row(spread, 1.0), 0.0),
        (-1000000005, named.row(spread_error, _NOTHING, _NOTHING), 0.0),
        (-1000000006, named.row(held, 1.0, 1.0), 0.0),
        (-1000000007, [float(fit.status != "converged"), *np.zeros(len(named.columns) - 1)], 0.0),
    ]
    path = []
    if "trace" in fit.tree.children:
        trace = fit["trace"]
        for k, (values, objective) in enumerate(zip(trace["value"].values, trace["objective"].values)):
            path.append((k, named.row(dict(zip(trace["parameter"].values.tolist(), values.tolist())), 1.0), objective))
    lines = [_title(fit, "Goal Function=MINIMUM VALUE OF OBJECTIVE FUNCTION: "),
             " ITERATION   " + "".join(f" {name:<12}" for name, _ in named.columns) + " OBJ"]  # fmt: skip
    for number, row, objective in (*path, *special):
        shown = f"{_sound(objective):20.12{'f' if abs(objective) < 1e9 else 'E'}}"
        lines.append(f"{number:13d}{''.join(f'{_sound(value):13.5E}' for value in row)}{shown}")
    return "\n".join(lines) + "\n"


def _phi(named: _Named) -> str:
    fit = named.fit
    etas, parts = fit["etas"], fit["subjects"]["objective"].values
    size = len(named.effects)
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    heads = ["SUBJECT_NO", "ID", *(f"ETA({k + 1})" for k in range(size)), *(f"ETC({i + 1},{j + 1})" for i, j in pairs),
             "OBJ"]  # fmt: skip
    covariance = etas["eta_covariance"].values if "eta_covariance" in etas else None
    error = etas["eta_se"].values
    lines = [_title(fit), "".join(f" {head:<12}" for head in heads)]
    for k, who in enumerate(etas["subject"].values.tolist()):
        etc = [
            covariance[k, i, j] if covariance is not None else error[k, i] ** 2 if i == j else np.nan for i, j in pairs
        ]
        row = [*etas["eta"].values[k], *etc]
        number = _numbers(etas["subject"].values.tolist())[who]
        cells = "".join(f"{_sound(value):13.5E}" for value in row)
        lines.append(f"{k + 1:13d}{number:13g}{cells}{_sound(float(parts[k])):20.12f}")
    return "\n".join(lines) + "\n"


def _matrix(named: _Named, which: str) -> str:
    """The covariance or correlation of the estimates; the diagonal of the correlation are standard errors."""
    fit = named.fit
    names = fit["covariance"]["parameter"].values.tolist()
    place, matrix = {name: k for k, name in enumerate(names)}, fit["covariance"][which].values
    error = dict(zip(names, fit.estimates["se"].values.tolist()))
    lines = [_title(fit), " NAME         " + "".join(f" {name:<12}" for name, _ in named.columns)]
    for head, row in named.columns:
        cells = []
        for _, column in named.columns:
            known = row in place and column in place
            value = matrix[place[row], place[column]] if known else 0.0
            cells.append(error[row] if which == "correlation" and known and row == column else value)
        lines.append(f" {head:<13}" + "".join(f"{_sound(0.0 if np.isnan(v) else v):13.5E}" for v in cells))
    return "\n".join(lines) + "\n"


def _table(named: _Named) -> str:
    """The records (sdtab), with numbers for texts."""
    records = named.fit.records
    texts = {name: _numbers(column.values.tolist()) for name, column in records.data_vars.items() if _is_text(column)}
    columns = {
        str(name): [texts[name][value] for value in column.values.tolist()] if name in texts else column.values
        for name, column in records.data_vars.items()
        if name != "UNIT"
    }
    lines = ["TABLE NO.  1", "".join(f" {name:<11}" for name in columns)]
    for row in zip(*columns.values()):
        lines.append("".join(f"{0.0 if np.isnan(value) else float(value):12.4E}" for value in row))
    return "\n".join(lines) + "\n"


def _names(named: _Named) -> str:
    rows = [("NONMEM", "pkpd")]
    rows += [
        (name, ours or ("the factor on residual SDs" if name == "SIGMA(1,1)" else "0")) for name, ours in named.columns
    ]
    rows += [(f"ETA({k})", name) for k, name in enumerate(named.effects, start=1)]
    for name, column in named.fit.records.data_vars.items():
        if _is_text(column) and name != "UNIT":
            rows += [(f"{name} {number:g}", text) for text, number in _numbers(column.values.tolist()).items()]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _is_text(column: xr.DataArray) -> bool:
    return column.dtype.kind in "UOT"


def _numbers(names: list[str]) -> dict[str, float]:
    """Give a number for every name: itself where all are numbers, else 1, 2, ... in order of appearance."""
    known = list(dict.fromkeys(names))
    try:
        own = [float(name) for name in known]
        if len(set(own)) == len(known) and np.isfinite(own).all():
            return dict(zip(known, own))
    except ValueError:
        pass
    return {name: float(k) for k, name in enumerate(known, start=1)}
