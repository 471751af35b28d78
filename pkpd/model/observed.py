"""The record's own observation in the equations of a likelihood, and what a hazard has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pkpd.errors import Finding
from pkpd.model.expression import names
from pkpd.model.finder import Finder, expressions, used_names
from pkpd.model.kind import Likelihood
from pkpd.model.output import Output
from pkpd.model.parameter import Covariate

__all__ = ["OWN_DV", "is_likelihood", "observation_findings", "with_observation"]

#: The name by which the equations of an own likelihood know the observation of the record, as in the data.
OWN_DV = "DV"
_LABEL = "observation of the record itself"


def is_likelihood(output: Output) -> bool:
    """Tell whether an output is its own log likelihood."""
    return isinstance(output.kind, Likelihood)


def with_observation(covariates: Mapping[str, Covariate], outputs: Mapping[str, Output]) -> dict[str, Covariate]:
    """Give the covariates of a model with that of the record's own observation, if an output is a log likelihood."""
    found = {name: one for name, one in covariates.items() if name != OWN_DV or one.label != _LABEL}
    own = [output.unit for output in outputs.values() if is_likelihood(output)]
    if own:
        found.setdefault(OWN_DV, Covariate(name=OWN_DV, unit=own[0], reference=0.0, label=_LABEL))
    return found


def observation_findings(parts: Mapping[str, Any]) -> Iterator[Finding]:
    """Give what is wrong with the record's own observation: it is known to log likelihoods alone."""
    at = Finder(parts["places"])
    own = {name: output.unit for name, output in parts["outputs"].items() if is_likelihood(output)}
    declared = parts["covariates"].get(OWN_DV)
    if declared is not None and declared.label != _LABEL:
        yield at.find(("covariates", OWN_DV), "name", f"`{OWN_DV}` is the observation of a record, and no covariate.",
                      expected="An output with likelihood = true knows it without a row in [covariates].",
                      remedy="Take the row away.")  # fmt: skip
        return
    if len(set(own.values())) > 1:
        yield at.find(("outputs", list(own)[1]), "unit", f"`{OWN_DV}` would be in {' and in '.join(own.values())}.",
                      expected="Outputs that are log likelihoods have one unit, that of their observations.",
                      remedy="Give the observations of all of them in one unit.")  # fmt: skip
    made = {OWN_DV}
    for name, expr in parts["assignments"]:
        if names(expr) & made:
            made.add(name)
    if not own:
        made = {OWN_DV} - set(parts["covariates"])
    wanted = f"`{OWN_DV}`, the observation of the record, is for outputs that are their own log likelihood."
    for key, expr in expressions(parts):
        if key[0] == "assignment" and own:
            continue
        for name, place in used_names(expr, at.place(key)):
            if name in made:
                yield at.find(key, "observation", _said(name), place, expected=wanted,
                              remedy="Let an output with likelihood = true alone depend on it.")  # fmt: skip
    for name, parameter in parts["parameters"].items():
        for key, expr in parameter.effects.items():
            if own and OWN_DV in names(expr):
                yield at.find(("parameters", name, key), "observation", _said(OWN_DV), expected=wanted,
                              remedy="A covariate effect is made of covariates.")  # fmt: skip
    for name in parts["outputs"]:
        if own and name in made and name not in own:
            yield at.find(("outputs", name), "observation", f"the output `{name}` depends on {OWN_DV}.",
                          expected=wanted,
                          remedy=f"Give {name} likelihood = true, or observe something else.")  # fmt: skip


def _said(name: str) -> str:
    return f"`{name}` depends on {OWN_DV} and stands here." if name != OWN_DV else f"`{OWN_DV}` stands here."
