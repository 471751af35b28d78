"""What differs between the occasions of one subject: for each, a kappa for every parameter that has an `iov`.

On occasion m the value of such a parameter is ``inverse(forward(value) + kappa_m)``: `value` is the subject's own, and
kappa_m stands on the transformed scale. The kappas are further parameters of a program, after the model's, named
``cl@1``. Which occasion is in force, the events say, in a column that steps from row to row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pkpd.data.occasions import OCCASION
from pkpd.engine.graph import Graph, Node
from pkpd.errors import Finding

if TYPE_CHECKING:
    from pkpd.data.events import Events
    from pkpd.engine.program import Program
    from pkpd.model.model import Model
    from pkpd.model.parameter import Parameter


def varying(model: Model) -> tuple[str, ...]:
    """Parameters that differ between occasions, in the order of the model."""
    return tuple(name for name, parameter in model.parameters.items() if parameter.iov > 0)


def kappas(model: Model, occasions: int) -> tuple[str, ...]:
    """Names of the kappas, occasion by occasion: no parameter of a model can have such a name."""
    return tuple(f"{name}@{m}" for m in range(1, occasions + 1) for name in varying(model))


def in_force(g: Graph, occasion: Node, each: Mapping[int, Node]) -> Node:
    """The kappa of the occasion in force, from those of all occasions by number."""
    total = g.zero
    for m, kappa in each.items():
        total = g.add(total, g.select(g.compare("==", occasion, g.const(m)), kappa, g.zero))
    return total


def moved(g: Graph, parameter: Parameter, value: Node, kappa: Node) -> Node:
    """``inverse(forward(value) + kappa)`` in closed form: a kappa of zero leaves the value what it is."""
    if parameter.transform == "none":
        return g.add(value, kappa)
    if parameter.transform == "log":
        return g.mul(value, g.unary("exp", kappa))
    if parameter.shape is not None:  # value (1 + shape kappa value^-shape)^(1 / shape): NaN where there is none
        if not parameter.shape:
            return g.mul(value, g.unary("exp", kappa))
        shape = g.const(parameter.shape)
        powered = g.unary("exp", g.neg(g.mul(shape, g.unary("log", value))))
        logs = g.unary("log", g.add(g.one, g.mul(g.mul(shape, kappa), powered)))
        return g.mul(value, g.unary("exp", g.div(logs, shape)))
    # With a and b the distances to the bounds: lower + a (a + b) e^kappa / (a e^kappa + b), its fraction reduced so
    # that no exponential can overflow.
    lower = g.const(parameter.lower)
    a, b = g.sub(value, lower), g.sub(g.const(parameter.upper), value)
    up, small = g.compare(">=", kappa, g.zero), g.unary("exp", g.neg(g.unary("abs", kappa)))
    top = g.select(up, g.one, small)
    bottom = g.add(g.mul(g.select(up, g.one, small), a), g.mul(g.select(up, small, g.one), b))
    return g.add(lower, g.mul(a, g.mul(top, g.div(g.add(a, b), bottom))))


def column(program: Program, events: Events, findings: list[Finding]) -> npt.NDArray[np.float64]:
    """The occasion of each row, (R, 1), or (R, 0) where the program knows none; what is wrong joins the findings."""
    count = program.occasions
    if not count:
        return np.empty((len(events), 0))
    if OCCASION not in events.covariates:
        missing = Finding(
            code="occasion",
            where=events.origin,
            what="nothing says which occasion each row belongs to.",
            expected=f"Whole numbers from 1 to {count}, in the column `{OCCASION}`.",
            remedy="Add them: `pkpd.data.with_occasions(events, occasion)`.",
        )
        findings.append(missing)
        return np.ones((len(events), 1))
    found = events.covariate_values[:, [events.covariates.index(OCCASION)]]
    rows = np.flatnonzero(~((found >= 1) & (found <= count) & (found == np.floor(found)))[:, 0])
    what = "the occasion is {:g}."
    expected = f"A whole number from 1 to {count}: the program is for so many occasions."
    remedy = "Number each subject's occasions from 1, and compile the model for as many as there are."
    if not len(rows) and program.switching_occasions:
        rows = 1 + np.flatnonzero((np.diff(found[:, 0]) != 0) & (np.diff(events.subject) == 0))
        what = "occasion {:g} begins, and a comparison of time in the model depends on a parameter with an `iov`."
        expected = "A model event time is one time for a subject."
        remedy = "Take out that parameter's `iov`, or give each occasion an ID of its own."
    if len(rows):
        where = events.where(int(rows[0])) + (f" (and {len(rows) - 1} more)" if len(rows) > 1 else "")
        what = what.format(found[rows[0], 0])
        findings.append(Finding(code="occasion", where=where, what=what, expected=expected, remedy=remedy))
    return found
