"""The model: what a drug does, with its parameters, and nothing of data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pkpd.errors import Finding, ModelError, suggestion
from pkpd.model.equation import Place, Source, parse_equations
from pkpd.model.expression import Expr
from pkpd.model.mixture import Class, shares, with_classes, with_shares
from pkpd.model.observed import with_observation
from pkpd.model.omega import (
    Block,
    Omega,
    Varying,
    omega_of,
    variance_names,
    with_block_variances,
    with_fixed,
    with_variances,
)
from pkpd.model.output import Output
from pkpd.model.parameter import Constant, Covariate, Parameter
from pkpd.model.prior import Prior
from pkpd.model.route import Route
from pkpd.model.rows import by_name
from pkpd.model.small import Check, Need, State

__all__ = ["Check", "Model", "Need", "Places", "State"]

Places = Mapping[tuple[str, ...], tuple[Source, Place]]
Resolve = Callable[[str], str]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, init=False)
class Model:
    """A model, complete and checked; two models of the same content are equal.

    Parameters
    ----------
    content
        TOML text, the path of a TOML file, or the mapping such a file holds. Without it, a model is built from
        parts, named as the attributes below; rows may be given as a mapping or just listed, and the equations as
        text: ``Model(parameters=[Parameter(name="cl", typical=3.0, unit="L/h")], equations="cp = …")``.
    resolve
        Gives the text of an included model by its name.

    Attributes
    ----------
    name, title, reference, tags, source
        What the model is called, and where it comes from.
    time_unit, amount_unit
        Units of time and of doses.
    covariates, constants, parameters, blocks, routes, states, outputs, needs, priors, mixture, checks
        The rows, in their order. `blocks` holds the correlated ETAs; see `omega`.
    assignments, derivatives, initials
        The equations; assignments in the order in which they are computed.
    places
        Where things stand in the files they came from; for messages, never compared.

    Raises
    ------
    ModelError
        Something is wrong; all that is wrong is listed.
    """

    name: str = "model"
    title: str = ""
    reference: str = ""
    tags: tuple[str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "h"
    amount_unit: str = "mg"
    covariates: Mapping[str, Covariate] = field(default_factory=dict)
    constants: Mapping[str, Constant] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    routes: Mapping[str, Route] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)
    assignments: tuple[tuple[str, Expr], ...] = ()
    derivatives: Mapping[str, Expr] = field(default_factory=dict)
    initials: Mapping[str, Expr] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    needs: Mapping[str, Need] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    mixture: Mapping[str, Class] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    places: Places = field(default_factory=dict)

    def __init__(
        self,
        content: str | Path | Mapping[str, Any] | None = None,
        /,
        *,
        resolve: Resolve | None = None,
        equations: str | None = None,
        **parts: Any,
    ) -> None:
        if content is not None:
            from pkpd.model.read import read_fields

            if equations is not None or parts:
                raise ModelError(
                    "a model is given both as content and in parts.", remedy="Read it first, then use .replace()."
                )
            parts = read_fields(content, resolve=resolve)
        elif equations is not None:
            parts = {**parts, **_read_equations(equations, parts)}
        self._fill(parts)
        from pkpd.model.check import raise_errors

        raise_errors(self)
        defined = {*self.derivatives, *self.parameters, *self.constants, *(name for name, _ in self.assignments)}
        open_needs = {name: need for name, need in self.needs.items() if name not in defined}
        object.__setattr__(self, "needs", open_needs)

    def _fill(self, parts: Mapping[str, Any]) -> None:
        """Set the attributes; unknown names are refused, rows become mappings by name."""
        known = {one.name: one for one in fields(self)}
        for key in parts:
            if key not in known:
                raise ModelError(
                    f"`{key}` is not a part of a model.",
                    expected=f"Parts: {', '.join(known)}, equations.",
                    remedy=suggestion(key, known),
                )
        rows = ("covariates", "constants", "parameters", "routes", "states", "outputs", "needs", "priors", "mixture")
        for key, one in known.items():
            value = (
                parts[key] if key in parts else one.default_factory() if callable(one.default_factory) else one.default
            )
            if key in rows:
                value = by_name(key, value)
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, key, value)
        from pkpd.model.dimension import state_units

        covariates = with_observation(with_classes(self.covariates, self.mixture), self.outputs)
        object.__setattr__(self, "covariates", covariates)
        self._set_rows(with_block_variances(self._varying, self.blocks))
        units = state_units(self)
        states = {
            name: row for name, row in self.states.items() if name not in self.derivatives
        }  # refused by the check
        states |= {
            name: State(name=name, unit=units[name], label=self.states[name].label if name in self.states else "")
            for name in self.derivatives
        }
        object.__setattr__(self, "states", states)

    @property
    def _varying(self) -> dict[str, Varying]:
        """Rows that may have random effects, by name."""
        return {**self.parameters, **{name: row for name, row in self.outputs.items() if name not in self.parameters}}

    def _set_rows(self, rows: Mapping[str, Any]) -> None:
        object.__setattr__(self, "parameters", {name: rows[name] for name in self.parameters})
        own = {name: old if name in self.parameters else rows[name] for name, old in self.outputs.items()}
        object.__setattr__(self, "outputs", own)

    def _with(self, **parts: Any) -> Model:
        """Give a copy with other values in the same structure, which needs no new check."""
        copy = object.__new__(Model)
        for one in fields(self):
            object.__setattr__(copy, one.name, parts.get(one.name, getattr(self, one.name)))
        return copy

    # ------------------------------------------------------------------------------------------------- what it holds

    @property
    def parts(self) -> dict[str, Any]:
        """The attributes as a dict, as the constructor takes them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def omega(self) -> Omega:
        """Variances and covariances of the ETAs between people."""
        return omega_of(self._varying, self.blocks, "iiv")

    @cached_property
    def omega_between_occasions(self) -> Omega:
        """Variances and covariances of the KAPPAs between the occasions of one person."""
        return omega_of(self._varying, self.blocks, "iov")

    @property
    def variance_names(self) -> dict[str, tuple[str, ...]]:
        """What is called ``"iiv.cl"``, ``"iiv.v,cl"`` (a covariance in a block) and ``"iov.cl"``: kind, row, column."""
        return variance_names(self._varying, self.blocks)

    @property
    def shares(self) -> dict[str, float]:
        """Share of every class of the mixture; a fit and `set` call them ``"share.fast"``, all but the last."""
        return shares(self.mixture)

    @cached_property
    def text(self) -> str:
        """The model as canonical TOML: includes resolved, every unit said, nothing left to chance."""
        from pkpd.model.write import write

        return write(self)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def check(self) -> list[Finding]:
        """Give what deserves a look: units, undefined and unused names, mass balance, open needs."""
        from pkpd.model.check import check

        return check(self)

    # ---------------------------------------------------------------------------------------------------- copies of it

    def replace(self, *, equations: str | None = None, **parts: Any) -> Model:
        """Give a copy with some parts replaced; `equations` replaces all equations, from text."""
        merged = {**self.parts, **parts}
        if equations is not None:
            merged.update(_read_equations(equations, merged))
        if "states" not in parts:
            merged["states"] = {name: row for name, row in self.states.items() if name in merged["derivatives"]}
        return Model(**merged)

    def set(self, values: Mapping[str, float] | None = None, /, **more: float) -> Model:
        """Give a copy with other typical values, constants, residual parameters, variances or covariances.

        Examples
        --------
        ``model.set(cl=3)``; for other names ``model.set({"ketamine.cl": 3, "cp.prop": 0.2, "iiv.cl": 0.1})``; see
        `variance_names`.
        """
        parameters, constants, outputs = dict(self.parameters), dict(self.constants), dict(self.outputs)
        residuals = [name for output in outputs.values() for name in output.residual_names]
        variances, new_shares = self.variance_names, {}
        of_classes = {f"share.{name}": name for name in list(self.mixture)[:-1]}
        changed: dict[tuple[str, ...], float] = {}
        for name, value in {**(values or {}), **more}.items():
            if name in variances:
                changed[variances[name]] = float(value)
            elif name in parameters:
                parameters[name] = replace(parameters[name], typical=float(value))
            elif name in of_classes:
                new_shares[of_classes[name]] = float(value)
            elif name in constants:
                constants[name] = replace(constants[name], value=float(value))
            elif name in residuals:
                output, _, key = name.rpartition(".")
                outputs[output] = outputs[output].with_residual(key, float(value))
            else:
                raise self._unknown(name, "parameter", [*parameters, *constants, *residuals, *variances, *of_classes])
        mixture = with_shares(self.mixture, new_shares)
        copy = self._with(parameters=parameters, constants=constants, outputs=outputs, mixture=mixture)
        rows, blocks = with_variances(copy._varying, self.blocks, changed)
        copy._set_rows(rows)
        return copy._with(blocks=blocks)

    def fix(self, *names: str) -> Model:
        """Give a copy with these parameters or variances fixed.

        ``"ketamine.*"`` stands for all parameters of an included model, ``"iiv.*"`` for all variances between people.
        """
        return self._fixed(names, True)

    def free(self, *names: str) -> Model:
        """Give a copy with these parameters or variances free again."""
        return self._fixed(names, False)

    def _fixed(self, names: tuple[str, ...], fixed: bool) -> Model:
        parameters, variances = dict(self.parameters), self.variance_names
        of_omega: dict[str, tuple[str, ...]] = {}
        for name in names:
            chosen = [one for one in parameters if fnmatchcase(one, name)]
            if not chosen:
                of_omega |= (more := {one: row for one, row in variances.items() if fnmatchcase(one, name)})
                if not more:
                    raise self._unknown(name, "parameter", [*parameters, *variances])
            for one in chosen:
                parameters[one] = replace(parameters[one], fixed=fixed)
        copy = self._with(parameters=parameters)
        rows, blocks = with_fixed(copy._varying, self.blocks, of_omega, fixed)
        copy._set_rows(rows)
        return copy._with(blocks=blocks)

    def rename(self, names: Mapping[str, str] | None = None, /, **more: str) -> Model:
        """Give a copy with other names, in the equations too: ``model.rename(cp="cven")``."""
        from pkpd.model.join import rename

        wanted = {**(names or {}), **more}
        for name in wanted:
            if name not in self.known_names:
                raise self._unknown(name, "name", self.known_names)
        return Model(**rename(self.parts, wanted))

    def __add__(self, other: Model) -> Model:
        """Give both models as one; see :func:`pkpd.model.join.join`."""
        if not isinstance(other, Model):
            return NotImplemented
        from pkpd.model.join import join

        return Model(**join(self.parts, other.parts))

    @property
    def known_names(self) -> tuple[str, ...]:
        """Every name that equations may use, but `t`; and the routes."""
        found: dict[str, None] = {}
        for rows in (self.covariates, self.constants, self.parameters, self.needs, self.derivatives, self.routes):
            found.update(dict.fromkeys(rows))
        found.update(dict.fromkeys(name for name, _ in self.assignments))
        return tuple(found)

    def _unknown(self, name: str, kind: str, known: Iterable[str]) -> ModelError:
        known = list(known)
        return ModelError(
            f"`{name}` is not a {kind}.",
            where=f"model {self.name}",
            expected=f"Known: {', '.join(known)}." if known else "It has none.",
            remedy=suggestion(name, known),
        )

    # ------------------------------------------------------------------------------------------------------- shown

    def latex(self) -> str:
        """Give the equations as LaTeX, an ``aligned`` block."""
        from pkpd.model.typeset import latex

        return latex(self)

    def mathml(self) -> str:
        """Give the equations as MathML, one ``<math>`` element."""
        from pkpd.model.presentation import mathml

        return mathml(self)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return (
            f"Model({self.name!r}: {len(self.parameters)} parameters, {len(self.derivatives)} states, "
            f"outputs {', '.join(self.outputs) or 'none'})"
        )

    def __str__(self) -> str:
        from pkpd.model.show import show

        return show(self)

    def _repr_html_(self) -> str:
        from pkpd.model.show import show_html

        return show_html(self)


def _read_equations(text: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    read = parse_equations(text)
    places = {key: value for key, value in dict(parts.get("places", {})).items() if key[0] not in EQUATION_KINDS}
    assert read.source is not None
    places.update({key: (read.source, place) for key, place in read.places.items()})
    return {
        "assignments": read.assignments,
        "derivatives": read.derivatives,
        "initials": read.initials,
        "places": places,
    }


EQUATION_KINDS = ("assignment", "derivative", "initial")
