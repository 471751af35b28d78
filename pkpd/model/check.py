"""What can be said of a model without data: names, units, what is not used, what comes from nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import Finding, ModelError, ModelSyntaxError, UnitError, raise_all, suggestion
from pkpd.model.dimension import conversion, environment, is_plain, mismatch, short, unit_of
from pkpd.model.equation import RESERVED
from pkpd.model.expression import Call, Expr, Name, evaluate, names
from pkpd.model.grammar import Place
from pkpd.units import DIMENSIONLESS, Unit, read, same

if TYPE_CHECKING:
    from pkpd.model.model import Model

DATA_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
OUR_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
LISTED = 40  # names in a message
EQUATION = {"assignment": "`{}`", "derivative": "d/dt({})", "initial": "{}(0)"}


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


class _Places:
    """Makes findings that point at where a part of the model stands, or name it if that is not known."""

    def __init__(self, places: Mapping[tuple[str, ...], Any]) -> None:
        self.places = places

    def find(self, key: tuple[str, ...], code: str, what: str, place: Place | None = None, **parts: Any) -> Finding:
        parts = {name: value or None for name, value in parts.items()}
        if key in self.places and (place is None or place.line):
            source, own = self.places[key]
            return source.finding(code, what, place or own, **parts)
        kind, name = key[0], key[1] if len(key) > 1 else ""
        where = EQUATION[kind].format(name) if kind in EQUATION else f"[{kind}] {'.'.join(key[1:])}"
        return Finding(code=code, what=what, where=where, **parts)

    def place(self, key: tuple[str, ...]) -> Place:
        return self.places[key][1] if key in self.places else Place(0, 0)


def expressions(parts: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Expr]]:
    """Give (key of its place, expression) for everything that is computed, but the factors of covariates."""
    for name, expr in parts["assignments"]:
        yield ("assignment", name), expr
    for kind, key in (("derivative", "derivatives"), ("initial", "initials")):
        for name, expr in parts[key].items():
            yield (kind, name), expr
    for name, route in parts["routes"].items():
        for number, one in enumerate(route.inputs):
            for key, expr in one.expressions():
                yield input_key(parts, name, number, key), expr


def input_key(parts: Mapping[str, Any], route: str, number: int, key: str) -> tuple[str, ...]:
    """Give the key of the place of an input's expression: in the row itself, or in its list of inputs."""
    plain = ("routes", route, key)
    return plain if plain in parts["places"] else ("routes", route, "inputs", str(number), key)


def name_findings(parts: Mapping[str, Any], broken: Iterable[str] = ()) -> list[Finding]:
    """Give what is wrong with names: undefined, defined twice, not allowed, leading nowhere.

    Parameters
    ----------
    parts
        The parts of a model.
    broken
        Names whose rows could not be read; ``"*"`` if some names are not known at all.
    """
    at = _Places(parts["places"])
    broken = set(broken)
    findings = list(_twice(parts, at))
    assigned = dict(parts["assignments"])
    groups = ("parameters", "constants", "covariates", "needs")
    known = {*assigned, *parts["derivatives"], *broken, *(name for key in groups for name in parts[key])}
    if "*" not in broken:
        findings += _undefined(parts, at, known)
    for name in parts["initials"]:
        if name not in parts["derivatives"]:
            findings.append(_nowhere(at, ("initial", name), f"`{name}`", "a state", parts["derivatives"]))
    for name, route in parts["routes"].items():
        for one in route.inputs:
            if one.into not in parts["derivatives"] and "*" not in broken:
                findings.append(
                    _nowhere(
                        at, ("routes", name), f"`{one.into}`, where the route leads,", "a state", parts["derivatives"]
                    )  # fmt: skip
                )
    for name in parts["outputs"]:
        if name not in assigned and name not in parts["derivatives"] and name not in parts["needs"]:
            if "*" not in broken:
                observed = [*assigned, *parts["derivatives"]]
                findings.append(_nowhere(at, ("outputs", name), f"`{name}`", "computed by the equations", observed))
    for number, block in enumerate(parts["blocks"]):
        for name in block.parameters:
            if name not in parts["parameters"] and name not in broken:
                key = ("omega", str(number))
                findings.append(_nowhere(at, key, f"`{name}`", "a parameter", parts["parameters"]))
    return findings + list(_fixed_inputs(parts, at))


def _twice(parts: Mapping[str, Any], at: _Places) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    kinds = [(key, list(parts[key])) for key in ("covariates", "constants", "parameters")]
    kinds += [("assignment", [name for name, _ in parts["assignments"]]), ("derivative", list(parts["derivatives"]))]
    for kind, found in kinds:
        for name in found:
            if name in seen:
                yield at.find((kind, name), "twice", f"`{name}` is defined twice: also {_kind_text(seen[name])}.",
                              remedy="Give one of them another name.")  # fmt: skip
            seen[name] = kind
            if name in RESERVED:
                yield at.find((kind, name), "name", f"`{name}` is a word of the language.",
                              remedy="Choose another name.")  # fmt: skip
            elif kind == "covariates" and not DATA_NAME.fullmatch(name):
                yield at.find((kind, name), "name", f"the covariate `{name}` is not in UPPER case.",
                              expected="Names in UPPER case come from the data.",
                              remedy=f"Write {name.upper()}.")  # fmt: skip
            elif kind != "covariates" and DATA_NAME.fullmatch(name):
                yield at.find((kind, name), "name", f"`{name}` is in UPPER case, but is not a covariate.",
                              expected="Names in UPPER case come from the data, and stand in [covariates].",
                              remedy=f"Write {name.lower()}, or declare it there.")  # fmt: skip
            elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", name):
                yield at.find((kind, name), "name", f"`{name[:40]}` is not a name.",
                              expected="A name is made of letters a-z, digits and `_`.")  # fmt: skip


def _undefined(parts: Mapping[str, Any], at: _Places, known: set[str]) -> Iterator[Finding]:
    order = [name for name, _ in parts["assignments"]]
    everywhere = {"t", *known} - set(order)
    defined = set(everywhere)
    listed = [*order, *parts["derivatives"], *parts["parameters"], *parts["constants"], *parts["covariates"]]
    for key, expr in expressions(parts):
        here = defined if key[0] == "assignment" else everywhere | set(order)
        for name, place in _used(expr, at.place(key)):
            if name in here:
                continue
            if name in order:
                yield at.find(key, "order", f"`{name}` is used before it is defined.", place,
                              remedy="Move its line up.")  # fmt: skip
            else:
                yield at.find(key, "undefined", f"`{name}` is not defined.", place, **_known(name, listed))
        if key[0] == "assignment":
            defined.add(key[1])
    for name, parameter in parts["parameters"].items():
        key = ("parameters", name, "times")
        for used, place in _used(parameter.times, at.place(key)) if parameter.times is not None else ():
            if used not in parts["covariates"]:
                known_parts = _known(used, parts["covariates"])
                if not DATA_NAME.fullmatch(used):
                    known_parts["remedy"] = known_parts["remedy"] or "Write the rest as equations."
                yield at.find(key, "undefined", f"`{used}` is not a covariate, and times is made of covariates.",
                              place, **known_parts)  # fmt: skip


def _used(expr: Expr, place: Place) -> Iterator[tuple[str, Place]]:
    """Give every name with its place."""
    if isinstance(expr, Name):
        yield expr.name, place
    elif isinstance(expr, Call):
        parts = place.parts if len(place.parts) == len(expr.args) else (place,) * len(expr.args)
        for arg, part in zip(expr.args, parts, strict=True):
            yield from _used(arg, part)


def _known(name: str, known: Iterable[str]) -> dict[str, str | None]:
    known = list(dict.fromkeys(known))
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    remedy = suggestion(name, known)
    if DATA_NAME.fullmatch(name) and remedy is None:
        remedy = f"UPPER case comes from the data: declare {name} in [covariates]."
    return {
        "expected": f"Defined here: {', '.join(known[:LISTED])}{more}." if known else "Nothing is defined here.",
        "remedy": remedy,
    }


def _nowhere(at: _Places, key: tuple[str, ...], what: str, wanted: str, known: Iterable[str]) -> Finding:
    name = re.sub(r"[`,]|where the route leads", "", what).strip()
    return at.find(key, "undefined", f"{what} is not {wanted}.", **_known(name, known))


def _fixed_inputs(parts: Mapping[str, Any], at: _Places) -> Iterator[Finding]:
    """What a route models may not depend on time or states: it holds from the moment the dose is given."""
    moving = {"t", *parts["derivatives"]}
    for name, expr in parts["assignments"]:
        if names(expr) & moving:
            moving.add(name)
    for key, expr in expressions(parts):
        if key[0] == "routes":
            for name, place in _used(expr, at.place(key)):
                if name in moving:
                    yield at.find(key, "route", f"`{name}` changes with time.", place,
                                  expected="A route is made of parameters, constants and covariates.")  # fmt: skip


def _kind_text(kind: str) -> str:
    return {"assignment": "in the equations", "derivative": "as a state"}.get(kind, f"in [{kind}]")


# ----------------------------------------------------------------------------------------------------------- units


def unit_findings(model: Model) -> list[Finding]:
    """Give what is wrong with units: words that are none, sums of unlike things, values that do not fit."""
    at = _Places(model.places)
    findings = list(_unknown_units(model, at))
    if findings:
        return findings
    known = environment(model, {name: state.unit for name, state in model.states.items()})

    def look(key: tuple[str, ...], expr: Expr, wanted: Unit | None, what: str) -> None:
        count = len(findings)

        def report(place: Place, parts: dict[str, Any]) -> None:
            findings.append(at.find(key, "unit", place=place, **parts))

        found = unit_of(expr, known, at.place(key), report)
        if wanted is None or not isinstance(found, Unit) or found == wanted or len(findings) > count:
            return
        findings.append(at.find(key, "unit", **mismatch(what, wanted, f"`{short(expr)}`", found)))

    time = read(model.time_unit)
    for name, expr in model.assignments:
        look(("assignment", name), expr, None, "")
    for name, expr in model.derivatives.items():
        unit = known[name]
        if unit is None:
            findings.append(_no_unit(model, at, name))
        look(("derivative", name), expr, unit / time if unit is not None else None, f"d/dt({name})")
    for name, expr in model.initials.items():
        look(("initial", name), expr, known[name], f"{name}(0)")
    _look_at_routes(model, known, look, at, findings)
    for key, rows in (("outputs", model.outputs), ("needs", model.needs)):
        for name, row in rows.items():
            found = known.get(name)
            if found is not None and not same(found, row.unit):
                findings.append(at.find((key, name), "unit", **_declared(name, row.unit, found)))
    return findings


def _look_at_routes(
    model: Model, known: Mapping[str, Unit | None], look: Any, at: _Places, findings: list[Finding]
) -> None:
    time = read(model.time_unit)
    for name, route in model.routes.items():
        dose = read(route.unit or model.amount_unit)
        for number, one in enumerate(route.inputs):
            state = known[one.into]
            if state is None:
                continue
            if one.scale is None and state != dose:
                parts = mismatch(f"the state `{one.into}`", state, f"a dose of {name}", dose)
                parts["remedy"] = (
                    f"Give the route a scale of unit {conversion(state, dose)}, made of [constants] such as a molar "
                    "mass, or declare the state in [states]."
                )
                findings.append(at.find(("routes", name), "unit", **parts))
            wanted = {
                "scale": state / dose,
                "lag": time,
                "duration": time,
                "bioavailability": DIMENSIONLESS,
                "rate": state / time,
            }
            for key, expr in one.expressions():
                look(input_key(model.parts, name, number, key), expr, wanted[key], key)


def _declared(name: str, declared: str, found: Unit) -> dict[str, str]:
    parts = mismatch(f"`{name}` as declared", read(declared), f"`{name}` as computed", found)
    return {**parts, "remedy": f'Say unit = "{found}", or convert it in the equations by a row in [constants].'}


def _no_unit(model: Model, at: _Places, name: str) -> Finding:
    units = {one.name: one.unit for one in model.states.values()}
    found = unit_of(model.derivatives[name], environment(model, units))
    comes_out = ""
    if isinstance(found, Unit):
        product = found * read(model.time_unit)
        comes_out = f" (it comes out as {product})" if not is_plain(product) else ""
    return at.find(
        ("derivative", name), "unit", f"the unit of `{name}` cannot be told from the equations{comes_out}.",
        remedy=f'Declare it: [states] {name} = {{ unit = "…" }}.',
    )  # fmt: skip


def _unknown_units(model: Model, at: _Places) -> Iterator[Finding]:
    said = [(("units", "time"), model.time_unit), (("units", "amount"), model.amount_unit)]
    for key in ("covariates", "constants", "parameters", "states", "outputs", "needs", "routes"):
        said += [((key, name), row.unit) for name, row in getattr(model, key).items()]
    for key, text in said:
        try:
            unit = read(text)
        except UnitError as error:
            where = f"{error.where}: " if error.where else ""
            yield at.find(key, "unit", where + error.what, expected=error.expected, remedy=error.remedy)
            continue
        if key == ("units", "time") and unit.dims != read("h").dims:
            yield at.find(key, "unit", f"the unit of time is {text or 'empty'}.", expected="Such as h, min or d.")


# -------------------------------------------------------------------------------------------------------- warnings


def naming_findings(parts: Mapping[str, Any]) -> list[Finding]:
    """Give names that mix cases: ours are lower case."""
    at = _Places(parts["places"])
    rows = [(key, list(parts[key])) for key in ("constants", "parameters", "routes", "outputs", "needs")]
    rows += [("assignment", [name for name, _ in parts["assignments"]]), ("derivative", list(parts["derivatives"]))]
    return [
        at.find((kind, name), "name", f"`{name}` is not all lower case.", severity="warning",
                expected="Names of a model are lower case.", remedy=f"Write {name.lower()}.")
        for kind, found in rows
        for name in found
        if not OUR_NAME.fullmatch(name) and not (kind == "outputs" and name in dict(parts["assignments"]))
    ]  # fmt: skip


def unused_findings(model: Model) -> list[Finding]:
    """Give parameters, constants, covariates and assignments that nothing uses."""
    at = _Places(model.places)
    used = set(model.outputs)
    for _, expr in expressions(model.parts):
        used |= names(expr)
    for parameter in model.parameters.values():
        used |= names(parameter.times) if parameter.times is not None else set()
    findings = []
    for key in ("parameters", "constants", "covariates"):
        for name in getattr(model, key):
            if name not in used:
                findings.append(at.find((key, name), "unused", f"`{name}` is not used.", severity="warning",
                                        remedy="Use it, or take the row away."))  # fmt: skip
    return findings


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
    start = {name: 1.0 + 0.1 * index for index, name in enumerate(model.derivatives)}
    findings = []
    at = _Places(model.places)
    for name in amount:
        step = 1e-4
        columns = []
        for sign in (1, -1):
            columns.append(_derivatives(model, {**values, **start, name: start[name] + sign * step}))
        slope = {one: (columns[0][one] - columns[1][one]) / (2 * step) for one in amount}
        loss = -slope.pop(name)
        gains = {one: value for one, value in slope.items() if value > 0 and _same_unit(model, one, name)}
        gain = sum(gains.values())
        if np.isfinite(gain + loss) and gain > max(loss, 0.0) * (1 + 1e-6) + 1e-12:
            findings.append(
                at.find(
                    ("derivative", name),
                    "balance",
                    f"{', '.join(gains)} gain {gain:.4g} /{model.time_unit} of `{name}`, which loses {loss:.4g}.",
                    severity="warning",
                    expected="What enters one state leaves another.",
                    remedy="Check the signs and the names of the flows.",
                )  # fmt: skip
            )
    return findings


def _derivatives(model: Model, values: dict[str, Any]) -> dict[str, float]:
    for name, expr in model.assignments:
        values[name] = evaluate(expr, values)
    return {name: float(evaluate(expr, values)) for name, expr in model.derivatives.items()}


def _is_amount(unit: str) -> bool:
    return bool(unit) and {name: int(power) for name, power in read(unit).dims} in ({"mass": 1}, {"substance": 1})


def _same_unit(model: Model, one: str, other: str) -> bool:
    return same(model.states[one].unit, model.states[other].unit)
