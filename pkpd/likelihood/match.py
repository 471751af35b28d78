"""What has to agree between a model's outputs and the observations: names, units, signs, errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pkpd import units
from pkpd.errors import Finding, UnitError
from pkpd.likelihood.discrete import Discrete
from pkpd.likelihood.observations import Observations
from pkpd.model import Model, Output, Parameter
from pkpd.model.expression import names
from pkpd.model.kind import Event, Score
from pkpd.model.observed import OWN_DV, is_likelihood
from pkpd.model.parameter import Transform

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
            word, scale = _TERMS[term.rstrip("0123456789")]
            found.append(
                Parameter(
                    name=name,
                    typical=value,
                    unit=output.unit if _has_unit(output, term) else "1",
                    transform=scale,
                    lower=0.0 if scale == "logit" else -math.inf,
                    upper=1.0 if scale == "logit" else math.inf,
                    fixed=output.fixed_error or name in held,
                    label=f"{word} of {output.label or output.name}",
                )
            )
    return tuple(found)


#: What each residual parameter is, and on which scale it is searched; ``gap2``, ``gap3``, ... are all gaps.
_TERMS: dict[str, tuple[str, Transform]] = {
    "add": ("residual SD", "log"),
    "prop": ("residual SD relative to the prediction", "log"),
    "power": ("residual exponent of the prediction", "none"),
    "log": ("residual SD of the logarithm", "log"),
    "sd": ("residual SD", "log"),
    "precision": ("precision", "log"),
    "floor": ("share at the floor", "logit"),
    "ceiling": ("share at the ceiling", "logit"),
    "dispersion": ("dispersion", "log"),
    "zeros": ("share of zeros", "logit"),
    "cut": ("first cut", "none"),
    "gap": ("gap between cuts", "log"),
}


def _has_unit(output: Output, term: str) -> bool:
    """Whether a residual parameter is in the unit of its output."""
    return term == "add" or (term == "sd" and isinstance(output.kind, Score) and output.kind.law == "normal")


def check_records(model: Model, seen: Observations) -> list[Finding]:
    """Find the records that cannot be explained by the error of their output."""
    found: list[Finding] = []
    outputs = list(model.outputs.values())
    change, own_error = np.isfinite(seen.ref), np.isfinite(seen.error)
    for k, output in enumerate(outputs):
        of_output = (seen.output == k) & ~own_error
        if output.kind is not None:
            found += _of_its_kind(output, seen, np.flatnonzero(seen.output == k))
            if is_likelihood(output) and (seen.output == k).any():
                found += _own_likelihood(model, output)
            continue
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


def _of_its_kind(output: Output, seen: Observations, rows: np.ndarray) -> list[Finding]:
    """Find the records of a score, a count, ... that cannot be one."""
    kind, law = output.kind, Discrete.of(output, {name: k for k, name in enumerate(output.residual_names)})
    assert kind is not None and law is not None
    only = f"A record of {output.name} is one value of {kind.key} of one person."
    off = rows[~law.possible(seen.dv[rows])]
    found = _rows(seen, off, kind.key, "DV is {dv:g}, which is no value of " + f"{kind.key} {output.name}.",
                  law.expected_values, "Correct it, or leave the record out (MDV = 1).")  # fmt: skip
    event = isinstance(kind, Event)
    for flag, what, remedy in (
        (seen.censored[rows] & event & (seen.dv[rows] == 0), "CENS is 1, and DV is 0.",
         "DV 0 says by itself that none has happened yet: give CENS 0. An event at an unknown time has DV 1, CENS 1."),
        (seen.censored[rows] & event & np.isposinf(seen.upper[rows]), "CENS is -1.",
         "Give CENS 1 for an event at an unknown time since the record before, or CENS 0."),
        (np.isfinite(seen.ref[rows]), "the record is a change in percent (REF).", "Give the values themselves."),
        (seen.count[rows] != 1, "the record is a mean of several people (N).", "Give everybody's own values."),
        (np.isfinite(seen.error[rows]), "the record brings its own SD or SE.", "Take it away: the law has its own."),
        (seen.censored[rows] & (not event), "the record is censored (CENS).",
         "Give the value itself: floor and ceiling are part of the law."),
    ):  # fmt: skip
        found += _rows(seen, rows[flag], kind.key, what, only, remedy)
    return found


def _own_likelihood(model: Model, output: Output) -> list[Finding]:
    """Find a log likelihood that does not look at what was observed."""
    made = {OWN_DV}
    for name, expr in model.assignments:
        made |= {name} if names(expr) & made else set()
    if output.name in made:
        return []
    return [
        Finding(
            code="observation",
            where=f"output {output.name}",
            what=f"this log likelihood does not depend on {OWN_DV}, so that what was observed changes nothing.",
            expected=f"Such as {output.name} = {OWN_DV} * log(p) + (1 - {OWN_DV}) * log(1 - p).",
            remedy=f"Write the law of {OWN_DV}; if a covariate says what was observed, add 0 * {OWN_DV}.",
        )
    ]


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
        found.append(Finding(code=code, where=seen.origin, what=f"{rows.size - _SHOWN} more records like this.",
                             expected=expected, remedy=remedy))  # fmt: skip
    return found
