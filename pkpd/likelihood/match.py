"""What has to agree between a model's outputs and the observations: names, units, signs, errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pkpd import units
from pkpd.errors import Finding, UnitError
from pkpd.likelihood.observations import Observations
from pkpd.model import Model, Parameter

__all__ = ["check_records", "in_output_units", "residual_parameters", "which_output"]

_SHOWN = 5  # findings of one kind


def which_output(model: Model, names: Sequence[str]) -> np.ndarray:
    """Say which output of the model each name in a column DVID means.

    Parameters
    ----------
    names : sequence of str
        ``"cp"``, ``"#1"`` for DVID 1, ``""`` for the only output.

    Returns
    -------
    (len(names),) int
        Index into the model's outputs; -1 where nothing fits, which the engine refuses with its reason.
    """
    known = {"": 0} if len(model.outputs) == 1 else {}
    for k, output in enumerate(model.outputs.values()):
        known[output.name] = k
        if output.dvid is not None:
            known[f"#{output.dvid}"] = k
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def residual_parameters(model: Model, held: Iterable[str] = ()) -> tuple[Parameter, ...]:
    """Give the residual parameters of a model: standard deviations on the log scale, exponents as they are.

    `held` names those that no fit shall move, besides those of outputs with `fixed_error`.
    """
    found = []
    for output in model.outputs.values():
        for name, value in output.residual_values.items():
            term = name.rsplit(".", 1)[1]
            found.append(
                Parameter(
                    name=name,
                    typical=value,
                    unit=output.unit if term == "add" else "1",
                    transform="none" if term == "power" else "log",
                    fixed=output.fixed_error or name in held,
                    label=f"residual {_TERMS[term]} of {output.label or output.name}",
                )
            )
    return tuple(found)


_TERMS = {
    "add": "SD",
    "prop": "SD relative to the prediction",
    "power": "exponent of the prediction",
    "log": "SD of the logarithm",
}


def check_records(model: Model, seen: Observations) -> list[Finding]:
    """Find the records that cannot be explained by the error of their output."""
    found: list[Finding] = []
    outputs = list(model.outputs.values())
    change, own_error = np.isfinite(seen.ref), np.isfinite(seen.error)
    for k, output in enumerate(outputs):
        of_output = (seen.output == k) & ~own_error
        if not output.residual_names and of_output.any():
            found.append(
                Finding(
                    code="no error",
                    where=f"output {output.name}",
                    what="it has no residual error, and its records bring none of their own.",
                    expected="An SD says how far an observation may lie from its prediction.",
                    remedy=f"Give add, prop or log to [outputs] {output.name}, or SD (or SE) to the records.",
                )
            )
        if output.log is not None:
            rows = np.flatnonzero(of_output & ~seen.censored & ~(seen.dv > 0))
            found += _rows(seen, rows, "log", "DV is {dv:g}, and the error is log-normal.",
                           "A log-normal observation is above 0.",
                           f"Leave the record out (MDV = 1), or give {output.name} another error.")  # fmt: skip
        in_percent = output.unit == "%" or units.same(output.unit, "%")
        if output.log is not None or (output.add and not in_percent):
            what = "the record is a change in percent, " + (
                "and the error is log-normal." if output.log is not None else f"and add is an SD in {output.unit}."
            )
            found += _rows(seen, np.flatnonzero(of_output & change), "change", what,
                           "The error of a change is in percentage points.",
                           "Give these records an SD or SE, or make the output one in percent.")  # fmt: skip
    return found


def in_output_units(
    model: Model, seen: Observations, stated: Mapping[int, str | None]
) -> tuple[Observations, list[Finding]]:
    """Give the observations in the units of their outputs.

    Parameters
    ----------
    stated : mapping of int to str or None
        The unit in which the data give each output; None: that of the model.
    """
    columns = {name: getattr(seen, name).copy() for name in ("dv", "error", "lower", "upper", "lloq", "uloq")}
    found: list[Finding] = []
    for k, output in enumerate(model.outputs.values()):
        unit = stated.get(k)
        rows = (seen.output == k) & ~np.isfinite(seen.ref)  # a change is in percent, whatever the unit
        if unit is None or unit == output.unit or not rows.any():
            continue
        try:
            factor = units.factor(unit, output.unit)
        except UnitError as error_:
            found.append(error_.as_finding("unit", where=f"{seen.origin}, DV of {output.name}"))
            continue
        for column in columns.values():
            column[rows] *= factor
    return replace(seen, **columns), found


def _rows(seen: Observations, rows: np.ndarray, code: str, what: str, expected: str, remedy: str) -> list[Finding]:
    """Give a finding for each of the first rows, and one that counts the rest."""
    found = [
        Finding(code=code, where=seen.where(i), what=what.format(dv=seen.dv[i]), expected=expected, remedy=remedy)
        for i in rows[:_SHOWN]
    ]
    if rows.size > _SHOWN:
        found.append(Finding(code=code, where=seen.origin, what=f"{rows.size - _SHOWN} more records like this."))
    return found
