"""The units of a model: words that are units, sums of like things, values that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pkpd.errors import Finding, UnitError
from pkpd.model.dimension import conversion, environment, is_plain, mismatch, short, unit_of
from pkpd.model.expression import Expr
from pkpd.model.finder import Finder, input_key
from pkpd.model.grammar import Place
from pkpd.model.kind import Event, Likelihood
from pkpd.units import DIMENSIONLESS, Unit, read, same

if TYPE_CHECKING:
    from pkpd.model.model import Model


def unit_findings(model: Model) -> list[Finding]:
    """Give what is wrong with units: words that are none, sums of unlike things, values that do not fit."""
    at = Finder(model.places)
    findings = list(_unknown_units(model, at))
    if findings:
        return findings
    known = environment(model, {name: state.unit for name, state in model.states.items()})

    def look(
        key: tuple[str, ...], expr: Expr, wanted: Unit | None, what: str, known: Mapping[str, Unit | None] = known
    ) -> None:
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
    findings += _look_at_outputs(model, known, at)
    return findings


def _look_at_routes(
    model: Model, known: Mapping[str, Unit | None], look: Any, at: Finder, findings: list[Finding]
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
                "rate": dose / time,
            }
            for key, expr in one.expressions():
                look(input_key(model.parts, name, number, key), expr, wanted[key], key, {**known, "dose": dose})


def _look_at_outputs(model: Model, known: Mapping[str, Unit | None], at: Finder) -> Iterator[Finding]:
    per_time = DIMENSIONLESS / read(model.time_unit)
    for key, rows in (("outputs", model.outputs), ("needs", model.needs)):
        for name, row in rows.items():
            found, said = known.get(name), read(row.unit)
            kind = getattr(row, "kind", None)
            if isinstance(kind, Likelihood):  # its unit is that of the observations
                if found is not None and found != DIMENSIONLESS:
                    parts = mismatch("a log likelihood", DIMENSIONLESS, f"`{name}` as computed", found)
                    yield at.find((key, name), "unit", **parts)
            elif isinstance(kind, Event) and said != per_time:
                yield at.find((key, name), "unit", **mismatch("a hazard", per_time, f"`{name}` as declared", said))
            elif found is not None and not same(found, said):
                yield at.find((key, name), "unit", **_declared(name, row.unit, found))


def _declared(name: str, declared: str, found: Unit) -> dict[str, Any]:
    parts = mismatch(f"`{name}` as declared", read(declared), f"`{name}` as computed", found)
    return {**parts, "remedy": f'Say unit = "{found}", or convert it in the equations by a row in [constants].'}


def _no_unit(model: Model, at: Finder, name: str) -> Finding:
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


def _unknown_units(model: Model, at: Finder) -> Iterator[Finding]:
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
