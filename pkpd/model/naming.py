"""The names of a model: defined, once, in the right case, leading somewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pkpd.errors import Finding, suggestion
from pkpd.model.equation import RESERVED
from pkpd.model.expression import Expr, names
from pkpd.model.finder import Finder, expressions, used_names
from pkpd.model.mixture import mixture_findings
from pkpd.model.observed import OWN_DV, observation_findings
from pkpd.model.prior import prior_findings

DATA_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
OUR_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
LISTED = 40  # names in a message


def name_findings(parts: Mapping[str, Any], broken: Iterable[str] = ()) -> list[Finding]:
    """Give what is wrong with names: undefined, defined twice, not allowed, leading nowhere.

    Parameters
    ----------
    parts
        The parts of a model.
    broken
        Names whose rows could not be read; ``"*"`` if some names are not known at all.
    """
    at = Finder(parts["places"])
    broken = set(broken)
    findings = list(_twice(parts, at))
    assigned = dict(parts["assignments"])
    groups = ("parameters", "constants", "covariates", "needs")
    known = {*assigned, *parts["derivatives"], *broken, *(name for key in groups for name in parts[key])}
    if "*" not in broken:
        findings += _undefined(parts, at, known, broken)
    for name in parts["initials"]:
        if name not in parts["derivatives"]:
            findings.append(_nowhere(at, ("initial", name), f"`{name}`", "a state", parts["derivatives"]))
    for name in parts["states"]:
        if name not in parts["derivatives"] and "*" not in broken:
            findings.append(_nowhere(at, ("states", name), f"`{name}`", "a state", parts["derivatives"]))
    for name, route in parts["routes"].items():
        for one in route.inputs:
            if one.into not in parts["derivatives"] and "*" not in broken:
                findings.append(
                    _nowhere(
                        at, ("routes", name), f"`{one.into}`, where the route leads,", "a state", parts["derivatives"]
                    )
                )
    for name in parts["outputs"]:
        if name not in assigned and name not in parts["derivatives"] and name not in parts["needs"]:
            if "*" not in broken:
                observed = [*assigned, *parts["derivatives"]]
                findings.append(_nowhere(at, ("outputs", name), f"`{name}`", "computed by the equations", observed))
    for number, block in enumerate(parts["blocks"]):
        for name in block.parameters:
            if name not in parts["parameters"] and name not in parts["outputs"] and name not in broken:
                key, known_rows = ("omega", str(number)), [*parts["parameters"], *parts["outputs"]]
                findings.append(_nowhere(at, key, f"`{name}`", "a parameter or an output", known_rows))
    for name, output in parts["outputs"].items():
        if name in parts["parameters"] and output.iiv:
            what = f"`{name}` is a parameter, too, and its iiv would mean two things."
            findings.append(at.find(("outputs", name), "name", what, remedy="Observe an assignment of another name."))
    if not broken:
        findings += [*prior_findings(parts), *mixture_findings(parts), *observation_findings(parts)]
    return findings + list(_fixed_inputs(parts, at))


def _twice(parts: Mapping[str, Any], at: Finder) -> Iterator[Finding]:
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


def _undefined(parts: Mapping[str, Any], at: Finder, known: set[str], broken: set[str]) -> Iterator[Finding]:
    order = [name for name, _ in parts["assignments"]]
    everywhere = {"t", *known} - set(order)
    anywhere = everywhere | set(order)
    defined = set(everywhere)
    listed = [*order, *parts["derivatives"], *parts["parameters"], *parts["constants"], *parts["covariates"]]
    for key, expr in expressions(parts):
        here = {"assignment": defined, "routes": anywhere | {"dose"}}.get(key[0], anywhere)
        for name, place in used_names(expr, at.place(key)):
            if name in here:
                continue
            if name == OWN_DV:  # said by `observation_findings`
                continue
            if name in order:
                yield at.find(key, "order", f"`{name}` is used before it is defined.", place,
                              remedy="Move its line up.")  # fmt: skip
            else:
                yield at.find(key, "undefined", f"`{name}` is not defined.", place, **_known(name, listed))
        if key[0] == "assignment":
            defined.add(key[1])
    for name, parameter in parts["parameters"].items():
        for key, expr in parameter.effects.items():
            yield from _effect(parts, at, ("parameters", name, key), expr, broken)


def _effect(
    parts: Mapping[str, Any], at: Finder, key: tuple[str, ...], expr: Expr, broken: Collection[str]
) -> Iterator[Finding]:
    """What may stand in the effects of covariates: a factor is made of these alone, a shift of coefficients too."""
    listed = list(parts["covariates"])
    if key[2] == "shift":
        plain = [name for name, p in parts["parameters"].items() if p.shift is None]
        listed = [*listed, *plain, *parts["constants"]]
    for used, place in used_names(expr, at.place(key)):
        if used in listed or used in broken:
            continue
        said = _known(used, listed)
        if used in parts["parameters"] and key[2] == "shift":
            what = f"`{used}` has a shift of its own."
            said = {"expected": "A shift is made of covariates, constants, and parameters without a shift."}
        elif key[2] == "shift":
            what = f"`{used}` is not a covariate, constant or parameter."
        else:
            what = f"`{used}` is not a covariate, and times is made of covariates."
            if not DATA_NAME.fullmatch(used):
                said["remedy"] = said["remedy"] or "Write the rest as equations."
        yield at.find(key, "undefined", what, place, **said)


def _known(name: str, known: Iterable[str]) -> dict[str, Any]:
    known = list(dict.fromkeys(known))
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    remedy = suggestion(name, known)
    if DATA_NAME.fullmatch(name) and remedy is None:
        remedy = f"UPPER case comes from the data: declare {name} in [covariates]."
    return {
        "expected": f"Defined here: {', '.join(known[:LISTED])}{more}." if known else "Nothing is defined here.",
        "remedy": remedy,
    }


def _nowhere(at: Finder, key: tuple[str, ...], what: str, wanted: str, known: Iterable[str]) -> Finding:
    name = re.sub(r"[`,]|where the route leads", "", what).strip()
    return at.find(key, "undefined", f"{what} is not {wanted}.", **_known(name, known))


def _fixed_inputs(parts: Mapping[str, Any], at: Finder) -> Iterator[Finding]:
    """What a route models may not depend on time or states: it holds from the moment the dose is given."""
    moving = {"t", *parts["derivatives"]}
    for name, expr in parts["assignments"]:
        if names(expr) & moving:
            moving.add(name)
    for key, expr in expressions(parts):
        if key[0] == "routes":
            for name, place in used_names(expr, at.place(key)):
                if name in moving:
                    yield at.find(key, "route", f"`{name}` changes with time.", place,
                                  expected="A route is made of parameters, constants and covariates.")  # fmt: skip


def _kind_text(kind: str) -> str:
    return {"assignment": "in the equations", "derivative": "as a state"}.get(kind, f"in [{kind}]")


def naming_findings(parts: Mapping[str, Any]) -> list[Finding]:
    """Give names that mix cases: ours are lower case."""
    at = Finder(parts["places"])
    rows = [(key, list(parts[key])) for key in ("constants", "parameters", "routes", "outputs", "needs")]
    rows += [("assignment", [name for name, _ in parts["assignments"]]), ("derivative", list(parts["derivatives"]))]
    return [
        at.find((kind, name), "name", f"`{name}` is not all lower case.", severity="warning",
                expected="Names of a model are lower case.", remedy=f"Write {name.lower()}.")
        for kind, found in rows
        for name in found
        if not OUR_NAME.fullmatch(name) and not (kind == "outputs" and name in dict(parts["assignments"]))
    ]  # fmt: skip
