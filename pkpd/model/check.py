"""What can be said of a model without data: names, units, what is not used, what comes from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import Finding, ModelError, ModelSyntaxError, UnitError, raise_all
from pkpd.model.consistency import unit_findings
from pkpd.model.expression import evaluate, names
from pkpd.model.finder import Finder, expressions
from pkpd.model.naming import name_findings, naming_findings
from pkpd.model.observed import OWN_DV
from pkpd.units import read, same

if TYPE_CHECKING:
    from pkpd.model.model import Model


def check(model: Model) -> list[Finding]:
    """Give all findings: errors (which a model that exists has none of) and warnings."""
    parts = model.parts
    errors = name_findings(parts) or unit_findings(model)
    return [*errors, *naming_findings(parts), *unused_findings(model), *balance_findings(model), *open_findings(model)]


def raise_errors(model: Model) -> None:
    """Raise a ModelError with everything that is wrong; units are looked at when all names are right."""
    findings = name_findings(model.parts)
    if findings:
        raise_all(ModelSyntaxError if all(f.code == "undefined" for f in findings) else ModelError, findings)
    findings = unit_findings(model)
    if findings:
        raise_all(UnitError, findings)


def unused_findings(model: Model) -> list[Finding]:
    """Give parameters, constants and covariates that nothing uses, and states that no output depends on."""
    at = Finder(model.places)
    used = set(model.outputs)
    for _, expr in expressions(model.parts):
        used |= names(expr)
    for parameter in model.parameters.values():
        used |= {name for expr in parameter.effects.values() for name in names(expr)}
    findings = []
    for key in ("parameters", "constants", "covariates"):
        for name in getattr(model, key):
            if name == OWN_DV and name not in used:
                findings.append(at.find(("outputs", next(iter(model.outputs))), "unused",
                                        f"no log likelihood depends on `{OWN_DV}`, the observation of the record.",
                                        severity="warning",
                                        remedy=f"Write the law of {OWN_DV}."))  # fmt: skip
            elif name not in used:
                findings.append(at.find((key, name), "unused", f"`{name}` is not used.", severity="warning",
                                        remedy="Use it, or take the row away."))  # fmt: skip
    seen = _observed(model)
    for name in model.derivatives if model.outputs else ():
        if name not in seen:
            findings.append(at.find(("derivative", name), "unused", f"no output depends on `{name}`.",
                                    severity="warning", expected=f"Outputs: {', '.join(model.outputs)}.",
                                    remedy="Let an output or another equation use it, or take it away."))  # fmt: skip
    return findings


def _observed(model: Model) -> set[str]:
    """Give the names that the outputs depend on, near or far."""
    equations = {**dict(model.assignments), **model.derivatives}
    seen: set[str] = set()
    waiting = list(model.outputs)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(names(equations[name]) if name in equations else ())
    return seen


def open_findings(model: Model) -> list[Finding]:
    """Give what the model still needs from another one."""
    return [
        Finding(code="open", severity="warning", where=f"model {model.name}",
                what=f"`{name}` ({need.unit}) is needed and not defined.",
                remedy="Join this part to a model that defines it, with `+`.")
        for name, need in model.needs.items()
    ]  # fmt: skip


def balance_findings(model: Model) -> list[Finding]:
    """Give states whose outflow arrives as more than it was.

    The derivatives are differentiated by central differences at typical values: what the amounts gain together from
    one more unit in a state is what enters others minus what leaves it. Constants count as 1, since a conversion
    (a molar mass) is not a gain. Only states in the same unit, an amount, are compared.
    """
    amount = [name for name, state in model.states.items() if _is_amount(state.unit)]
    if not amount or model.needs:
        return []
    values: dict[str, Any] = dict.fromkeys(model.constants, 1.0)
    values |= {name: row.reference if row.reference is not None else 1.0 for name, row in model.covariates.items()}
    values |= {name: row.typical for name, row in model.parameters.items()}
    values["t"] = 1.0
    with np.errstate(all="ignore"):  # a value that is no number says nothing here, and is found elsewhere
        slopes = _slopes(model, values, amount)
    findings = []
    at = Finder(model.places)
    for index, name in enumerate(amount):
        slope = {one: float(slopes[one][index]) for one in amount}
        loss = -slope.pop(name)
        gains = {one: value for one, value in slope.items() if value > 0 and _same_unit(model, one, name)}
        gain = sum(gains.values())
        unit = model.states[name].unit
        if np.isfinite(gain + loss) and gain > max(loss, 0.0) * (1 + 1e-6) + 1e-12:
            what = (
                f"for each {unit} in `{name}`, {gain:.4g} {unit}/{model.time_unit} arrive in {', '.join(gains)}, "
                f"and {loss:.4g} leave it."
            )
            findings.append(
                at.find(("derivative", name), "balance", what, severity="warning",
                        expected="What enters one state leaves another.",
                        remedy="Check the signs and the names of the flows.")
            )  # fmt: skip
    return findings


def _slopes(model: Model, values: dict[str, Any], amount: list[str]) -> dict[str, Any]:
    """Give, for each amount, the slope of its derivative over every amount: arrays of shape (amounts,)."""
    step = 1e-4
    points: dict[str, Any] = {name: 1.0 + 0.1 * index for index, name in enumerate(model.derivatives)}
    for index, name in enumerate(amount):  # one point to either side in every direction
        points[name] = points[name] + step * np.concatenate([np.eye(len(amount))[index], -np.eye(len(amount))[index]])
    values = {**values, **points}
    for name, expr in model.assignments:
        values[name] = evaluate(expr, values)
    slopes = {}
    for name in amount:
        above, below = np.split(np.broadcast_to(evaluate(model.derivatives[name], values), 2 * len(amount)), 2)
        slopes[name] = (above - below) / (2 * step)
    return slopes


def _is_amount(unit: str) -> bool:
    return bool(unit) and {name: int(power) for name, power in read(unit).dims} in ({"mass": 1}, {"substance": 1})


def _same_unit(model: Model, one: str, other: str) -> bool:
    return same(model.states[one].unit, model.states[other].unit)
