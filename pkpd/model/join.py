"""Two models as one, names changed, time units changed: all on the mapping of a model's parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pkpd.errors import Finding, ModelError, raise_all
from pkpd.model.equation import RESERVED
from pkpd.model.expression import Call, Expr, Name, add, names, substitute, to_text
from pkpd.model.parameter import Constant
from pkpd.model.prior import renamed as renamed_priors
from pkpd.units import factor, same

Parts = dict[str, Any]
ROWS = ("covariates", "constants", "parameters", "routes", "states", "outputs", "needs")


def rename(parts: Mapping[str, Any], names_: Mapping[str, str]) -> Parts:
    """Give the parts with other names, everywhere: rows, equations, inputs, blocks, places."""

    def new(name: str) -> str:
        return names_.get(name, name)

    def put(expr: Expr | None) -> Expr | None:
        return None if expr is None else substitute(expr, values)

    # a route may be called `dose`, which in an expression is the amount given
    values: dict[str, Expr] = {old: Name(name) for old, name in names_.items() if old not in RESERVED}
    renamed = dict(parts)
    for key in ROWS:
        rows = [replace(row, name=new(name)) for name, row in parts[key].items()]
        twice = [name for name, count in Counter(row.name for row in rows).items() if count > 1]
        if twice:
            raise ModelError(f"two names would become `{min(twice)}`.", remedy="Choose another name.")
        renamed[key] = {row.name: row for row in rows}
    renamed["parameters"] = {
        n: replace(p, shift=put(p.shift), times=put(p.times)) for n, p in renamed["parameters"].items()
    }
    renamed["routes"] = {n: _map_inputs(r, put, new) for n, r in renamed["routes"].items()}
    renamed["blocks"] = tuple(
        replace(block, parameters=tuple(new(name) for name in block.parameters)) for block in parts["blocks"]
    )
    renamed["priors"] = renamed_priors(parts["priors"], new)
    renamed["assignments"] = tuple((new(name), put(expr)) for name, expr in parts["assignments"])
    for key in ("derivatives", "initials"):
        renamed[key] = {new(name): put(expr) for name, expr in parts[key].items()}
    renamed["places"] = {
        (key[0], new(key[1]), *key[2:]) if len(key) > 1 else key: place for key, place in parts["places"].items()
    }
    return renamed


def _map_inputs(route: Any, put: Callable[[Expr | None], Expr | None], new: Callable[[str], str]) -> Any:
    inputs = tuple(
        replace(
            one,
            into=new(one.into),
            scale=put(one.scale),
            lag=put(one.lag),
            bioavailability=put(one.bioavailability),
            rate=put(one.rate),
            duration=put(one.duration),
        )
        for one in route.inputs
    )
    return replace(route, inputs=inputs)


def join(first: Mapping[str, Any], second: Mapping[str, Any]) -> Parts:
    """Give the parts of two models as those of one.

    What both say must be the same, with three exceptions: derivatives of the same state add up (an absorption part
    and a disposition part both say what enters or leaves ``central``); what one needs and the other defines is
    needed no more; texts (title, reference) are joined.

    Raises
    ------
    ModelError
        They contradict each other; all contradictions are listed.
    """
    findings: list[Finding] = []
    joined: Parts = dict(first)
    for key, matters in (("time_unit", _counts_time), ("amount_unit", _counts_amounts)):
        if not matters(first):
            joined[key] = second[key]
        elif matters(second) and not same(first[key], second[key]):
            findings.append(
                Finding(
                    code="join",
                    what=f"one model counts {key[:-5]} in {first[key]}, the other in {second[key]}.",
                    remedy="Include one of them under a name instead: [include] converts, and shows it.",
                )
            )
    for key in ROWS:
        joined[key] = _join_rows(key, first[key], second[key], findings)
    joined["mixture"] = first["mixture"] or second["mixture"]
    if second["mixture"] and second["mixture"] != joined["mixture"]:
        findings.append(Finding(code="join", what="both models have a mixture, and not the same.",
                                remedy="Make them the same: a person is in one class of one mixture."))  # fmt: skip
    joined["priors"] = _join_rows("priors", first["priors"], second["priors"], findings)
    joined["blocks"] = first["blocks"] + tuple(block for block in second["blocks"] if block not in first["blocks"])
    joined["checks"] = first["checks"] + tuple(check for check in second["checks"] if check not in first["checks"])
    for key in ("title", "reference"):
        joined[key] = join_texts(first[key], second[key])
    joined["tags"] = tuple(dict.fromkeys((*first["tags"], *second["tags"])))
    joined["source"] = {**second["source"], **first["source"]}
    joined["places"] = {**second["places"], **first["places"]}
    _join_equations(first, second, joined, findings)
    if findings:
        raise_all(ModelError, findings)
    return joined


def join_texts(first: str, second: str) -> str:
    """Give both texts with a semicolon between them; what is said already is not said again."""
    return "; ".join(text for text in (first, second if second not in first else "") if text)


def _counts_time(parts: Mapping[str, Any]) -> bool:
    """Tell whether a model's unit of time means anything: it has derivatives, doses, or uses `t`."""
    used: set[str] = set()
    for _, expr in parts["assignments"]:
        used |= names(expr)
    return bool(parts["derivatives"] or parts["routes"] or "t" in used)


def _counts_amounts(parts: Mapping[str, Any]) -> bool:
    """Tell whether a model's unit of amount means anything: some route has no unit of its own."""
    return any(not route.unit for route in parts["routes"].values())


def _join_rows(
    key: str, first: Mapping[str, Any], second: Mapping[str, Any], findings: list[Finding]
) -> dict[str, Any]:
    rows = dict(first)
    for name, row in second.items():
        mine = rows.get(name)
        if mine is None or (key == "states" and not mine.unit):
            rows[name] = replace(row, label=row.label or mine.label) if mine is not None else row
        elif key == "states" and not row.unit:
            continue
        elif not _agree(key, mine, row):
            findings.append(
                Finding(
                    code="join",
                    what=f"both models have `{name}` in {key}, and not the same.",
                    expected=f"{mine} and {row}." if key != "states" else f"{mine.unit} and {row.unit}.",
                    remedy="Rename one of them: model.rename(…), or include it under a name.",
                )
            )
    return rows


def _agree(key: str, mine: Any, other: Any) -> bool:
    """Tell whether two rows of a name may stand for each other; labels may differ."""
    if key == "needs":
        return same(mine.unit, other.unit)
    if key in ("covariates", "constants"):
        return replace(mine, label="") == replace(other, label="")
    return mine == other


def _join_equations(
    first: Mapping[str, Any], second: Mapping[str, Any], joined: Parts, findings: list[Finding]
) -> None:
    assignments = dict(first["assignments"])
    for name, expr in second["assignments"]:
        if assignments.setdefault(name, expr) != expr:
            findings.append(_twice(f"`{name}`", assignments[name], expr))
    derivatives = dict(first["derivatives"])
    for name, expr in second["derivatives"].items():
        mine = derivatives.get(name)
        if mine is None:
            derivatives[name] = expr
        elif mine != expr:  # what says the same is the same, as for rows
            doubled = [term for term in _terms(expr) if term in _terms(mine)]
            if doubled:
                findings.append(_doubled(name, *doubled[0]))
            derivatives[name] = add(mine, expr)
            joined["places"].pop(("derivative", name), None)  # it now stands in no one place
    initials = dict(first["initials"])
    for name, expr in second["initials"].items():
        if initials.setdefault(name, expr) != expr:
            findings.append(_twice(f"`{name}(0)`", initials[name], expr))
    joined["assignments"] = in_order(assignments)
    joined["derivatives"] = derivatives
    joined["initials"] = initials


def _terms(expr: Expr, sign: int = 1) -> list[tuple[int, Expr]]:
    """Give the terms of a sum, each with its sign."""
    if isinstance(expr, Call) and expr.op in ("+", "-"):
        return _terms(expr.args[0], sign) + _terms(expr.args[1], sign if expr.op == "+" else -sign)
    if isinstance(expr, Call) and expr.op == "neg":
        return _terms(expr.args[0], -sign)
    if (
        isinstance(expr, Call)
        and expr.op in ("*", "/")
        and isinstance(first := expr.args[0], Call)
        and first.op == "neg"
    ):
        return [(-sign, Call(expr.op, (first.args[0], expr.args[1])))]
    return [(sign, expr)]


def _doubled(name: str, sign: int, term: Expr) -> Finding:
    return Finding(
        code="join",
        what=f"both models have `{'-' if sign < 0 else '+'} {to_text(term)}` in d/dt({name}): it would count twice.",
        expected="A flow belongs to one of the models.",
        remedy="Take it out of one, or rename what it is made of: model.rename(…).",
    )


def _twice(name: str, mine: Expr, other: Expr) -> Finding:
    return Finding(
        code="join",
        what=f"both models define {name}.",
        expected=f"{to_text(mine)} and {to_text(other)}.",
        remedy="Rename one of them: model.rename(…), or include it under a name.",
    )


def in_order(assignments: Mapping[str, Expr]) -> tuple[tuple[str, Expr], ...]:
    """Give assignments so that each stands after those it uses, otherwise in their order; ModelError for a circle."""
    waiting = {name: names(expr) & set(assignments) for name, expr in assignments.items()}
    ordered: dict[str, None] = {}
    while waiting:
        ready = next((name for name, uses in waiting.items() if uses <= ordered.keys()), None)
        if ready is None:
            raise ModelError(
                f"these assignments need each other: {', '.join(waiting)}.", remedy="Break the circle with a state."
            )
        ordered[ready] = None
        del waiting[ready]
    return tuple((name, assignments[name]) for name in ordered)


def in_time_unit(parts: Mapping[str, Any], unit: str, constant: str) -> Parts:
    """Give the parts with time counted in `unit`; a constant shows the conversion.

    Derivatives and modelled rates are multiplied by it, modelled lags and durations divided, and `t` becomes
    ``t * constant``. Parameters keep their units.
    """
    old = parts["time_unit"]
    if same(old, unit):
        return dict(parts)
    per_time = Name(constant)
    own_time = {"t": Call("*", (Name("t"), per_time))}

    def put(expr: Expr | None, op: str | None = None) -> Expr | None:
        if expr is None:
            return None
        changed = substitute(expr, own_time)
        return changed if op is None else Call(op, (changed, per_time))

    changed = dict(parts)
    row = Constant(name=constant, value=factor(unit, old), unit=f"{old}/{unit}", label=f"{old} in one {unit}")
    changed["constants"] = {**parts["constants"], constant: row}
    changed["time_unit"] = unit
    changed["assignments"] = tuple((name, put(expr)) for name, expr in parts["assignments"])
    changed["derivatives"] = {name: put(expr, "*") for name, expr in parts["derivatives"].items()}
    changed["initials"] = {name: put(expr) for name, expr in parts["initials"].items()}
    changed["routes"] = {
        name: replace(
            route,
            inputs=tuple(
                replace(one, lag=put(one.lag, "/"), duration=put(one.duration, "/"), rate=put(one.rate, "*"))
                for one in route.inputs
            ),
        )
        for name, route in parts["routes"].items()
    }
    return changed


def explicit_units(parts: Mapping[str, Any]) -> Parts:
    """Give the parts with the amount unit said on every route, so that they may join a model with another one."""
    said = dict(parts)
    said["routes"] = {
        name: route if route.unit else replace(route, unit=parts["amount_unit"])
        for name, route in parts["routes"].items()
    }
    return said
