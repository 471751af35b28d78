"""A model becomes the functions that the solvers call.

All names turn into slots here, once. The functions, with the arrays they take (each ``[size][WIDTH]``):

========== ================================== =====================================================================
name       arrays                             result
========== ================================== =====================================================================
hoist      parameters, covariates             what stays constant between events, taken out of all others
initial    parameters, covariates             the state at the start, and its sensitivities
inputs     parameters, covariates, amount     for each way in: scale, bioavailability, lag, rate, duration, and the
                                              derivative of each with respect to each parameter
rhs        time, state, hoisted, inflow       d/dt of the state and of its sensitivities
observe    time, state, hoisted               the observables, and their sensitivities
jacobian   time, state, hoisted               nonzero entries of df/dy, then the explicit d/dt of ``rhs``
factor     shift, Jacobian                    LU factors of ``shift I - J`` (its pattern is known, zeros cost nothing)
solve      factors, b                         x of ``(shift I - J) x = b``
couple     time, state, hoisted, direction    d/dy(J s_j + df/dp_j) along a direction, for each parameter j: what the
                                              Jacobian of the state-and-sensitivity system holds below its diagonal
========== ================================== =====================================================================

With sensitivities the state is ``[y (n), dy/dp_1 (n), ..., dy/dp_P (n)]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pkpd.engine.graph import Graph, Node, needed
from pkpd.engine.workspace import Sizes
from pkpd.model.expression import Expr

if TYPE_CHECKING:
    from pkpd.engine.lanes import Lanes
    from pkpd.model.model import Model

#: What an input of a route may state, in the order of the `inputs` function; with the value where it says nothing.
INPUT_FIELDS = {"scale": 1.0, "bioavailability": 1.0, "lag": 0.0, "rate": 0.0, "duration": 0.0}


class Lowered:
    """The graphs of one model: what to observe and with respect to which parameters to differentiate are fixed."""

    def __init__(self, model: Model, observe: Sequence[str], wrt: Sequence[str]) -> None:
        g = self.graph = Graph()
        self.parameters = [g.leaf("parameter", i) for i in range(len(model.parameters))]
        self.covariates = [g.leaf("covariate", i) for i in range(len(model.covariates))]
        self.states = [g.leaf("state", i) for i in range(len(model.states))]
        self.time = g.leaf("time")
        self.dose = g.leaf("dose")
        by_name = dict(zip(model.parameters, self.parameters, strict=True))
        self.wrt = [by_name[name] for name in wrt]
        names = self._environment(model)

        # The right-hand sides, the starts and the observables, each followed by its sensitivities.
        self.right = [g.lower(model.derivatives[s], names) for s in model.states]
        self.inflow = self._inflow(model)
        slopes = [[g.leaf("sensitivity", j, i) for i in range(len(self.states))] for j in range(len(self.wrt))]
        self.augmented_state = self.states + [s for column in slopes for s in column]
        directions = [
            {p: g.one} | dict(zip(self.states, s, strict=True)) for p, s in zip(self.wrt, slopes, strict=True)
        ]
        initial = [g.lower(model.initials[s], names) if s in model.initials else g.zero for s in model.states]
        observed = [names[name] for name in observe]
        self.rhs = self.right + self._along(self.right, directions)
        self.observed = observed + self._along(observed, directions)
        self.initial = initial + self._along(initial, [{p: g.one} for p in self.wrt])
        self.inputs = self._inputs(model, names)

        # For the stiff method.
        self.jacobian = self._jacobian()
        memo: dict[Node, Node] = {}
        self.explicit = [g.derivative(node, {self.time: g.one}, memo) for node in self.rhs]
        self.direction = [g.leaf("direction", i) for i in range(len(self.states))]
        along = dict(zip(self.states, self.direction, strict=True))
        memo = {}
        self.coupling = [g.derivative(node, along, memo) for node in self.rhs[len(self.states) :]]
        self.hoisted = self._hoist(
            self.rhs + self.observed + list(self.jacobian.values()) + self.explicit + self.coupling
        )
        self.factors = _Factors(g, len(self.states), list(self.jacobian))

    def sizes(self) -> Sizes:
        """The lengths of all arrays."""
        g = self.graph
        return Sizes(
            states=len(self.states),
            parameters=len(self.parameters),
            covariates=len(self.covariates),
            sensitivities=len(self.wrt),
            observables=len(self.observed) // (1 + len(self.wrt)),
            inputs=len(self.inputs) // (len(INPUT_FIELDS) * (1 + len(self.wrt))),
            hoisted=len(self.hoisted),
            jacobian=len(self.jacobian),
            factors=len(self.factors.lu),
            time_dependent=int(any(node is not g.zero for node in self.explicit)),
            moving_bolus=int(self._lag_moves()),
        )

    def write(self, lanes: Lanes) -> None:
        """Write all functions of the table above."""
        start = [_slots(self.parameters), _slots(self.covariates)]
        moving = [{self.time: 0}, _slots(self.augmented_state), _slots(self.hoisted)]
        lanes.function("hoist", start, self.hoisted)
        lanes.function("initial", start, self.initial)
        lanes.function("inputs", [*start, {self.dose: 0}], self.inputs)
        g = self.graph
        fed = [node if i not in self.inflow else g.add(node, self.inflow[i]) for i, node in enumerate(self.rhs)]
        inflow = {leaf: index for index, leaf in self.inflow.items()}
        lanes.function("rhs", [*moving, inflow], fed)
        lanes.function("observe", moving, self.observed)
        lanes.function("jacobian", moving, [*self.jacobian.values(), *self.explicit])
        lanes.function("couple", [*moving, _slots(self.direction)], self.coupling)
        shift, entries, b = self.factors.shift, self.factors.entries, self.factors.right
        lanes.function("factor", [{shift: 0}, _slots(entries)], self.factors.lu)
        lanes.function("solve", [_slots(self.factors.known), _slots(b)], self.factors.solution)

    # -- pieces ------------------------------------------------------------------------------------------------
    def _environment(self, model: Model) -> dict[str, Node]:
        g = self.graph
        names: dict[str, Node] = {"t": self.time}
        names |= dict(zip(model.covariates, self.covariates, strict=True))
        names |= {name: g.const(c.value) for name, c in model.constants.items()}
        for leaf, (name, parameter) in zip(self.parameters, model.parameters.items(), strict=True):
            names[name] = leaf if parameter.times is None else g.mul(leaf, g.lower(parameter.times, names))
        names |= dict(zip(model.states, self.states, strict=True))
        for name, expr in model.assignments:
            names[name] = g.lower(expr, names)
        return names

    def _along(self, nodes: list[Node], directions: list[dict[Node, Node]]) -> list[Node]:
        """The derivative of all nodes along each direction in turn."""
        found: list[Node] = []
        for seed in directions:
            memo: dict[Node, Node] = {}
            found += [self.graph.derivative(node, seed, memo) for node in nodes]
        return found

    def _inflow(self, model: Model) -> dict[int, Node]:
        """Leaves for the rate of infusion, by position in the augmented state; only where an infusion can go."""
        n = len(model.states)
        position = {name: i for i, name in enumerate(model.states)}
        into = sorted({position[i.into] for route in model.routes.values() for i in route.inputs})
        rows = [c + block * n for block in range(1 + len(self.wrt)) for c in into]
        return {row: self.graph.leaf("inflow", row) for row in rows}

    def _inputs(self, model: Model, names: dict[str, Node]) -> list[Node]:
        g = self.graph
        names = {"dose": self.dose} | names

        def lower(expr: Expr | None, default: float) -> Node:
            return g.const(default) if expr is None else g.lower(expr, names)

        found: list[Node] = []
        for route in model.routes.values():
            for way in route.inputs:
                values = [lower(getattr(way, field), default) for field, default in INPUT_FIELDS.items()]
                found += values + self._along(values, [{p: g.one} for p in self.wrt])
        return found

    def _lag_moves(self) -> bool:
        """Whether a parameter can move the time of a bolus."""
        block = len(INPUT_FIELDS)
        lag = list(INPUT_FIELDS).index("lag")
        stride = block * (1 + len(self.wrt))
        starts = range(0, len(self.inputs), stride) if self.inputs else ()
        slopes = [self.inputs[s + block * (1 + j) + lag] for s in starts for j in range(len(self.wrt))]
        return any(node is not self.graph.zero for node in slopes)

    def _jacobian(self) -> dict[tuple[int, int], Node]:
        """Entries of df/dy that are not identically zero."""
        g = self.graph
        found: dict[tuple[int, int], Node] = {}
        for j, state in enumerate(self.states):
            memo: dict[Node, Node] = {}
            for i, node in enumerate(self.right):
                entry = g.derivative(node, {state: g.one}, memo)
                if entry is not g.zero:
                    found[i, j] = entry
        return found

    def _hoist(self, outputs: list[Node]) -> list[Node]:
        """Values that stay constant between events and are used by something that does not."""
        found: dict[Node, None] = {}
        for node in needed(outputs):
            if not node.static:
                found.update(dict.fromkeys(a for a in node.args if a.static and a.op != "const"))
        found.update(dict.fromkeys(o for o in outputs if o.static and o.op != "const"))
        return list(found)


class _Factors:
    """LU factors of ``shift I - J`` written out for the pattern of J, without pivoting.

    A small step makes ``shift`` dominate the diagonal, so that a bad pivot is cured by the step-size control: its
    non-finite or inaccurate result is an error like any other. Elimination goes in the order that fills least.
    """

    def __init__(self, g: Graph, n: int, pattern: list[tuple[int, int]]) -> None:
        self.shift = g.leaf("shift")
        self.entries = [g.leaf("jacobian", i) for i in range(len(pattern))]
        rows: list[dict[int, Node]] = [{i: self.shift} for i in range(n)]
        for (i, j), entry in zip(pattern, self.entries, strict=True):
            rows[i][j] = g.sub(rows[i].get(j, g.zero), entry)
        self.right = [g.leaf("right", i) for i in range(n)]
        self.lu: list[Node] = []
        self.known: list[Node] = []

        def keep(node: Node) -> Node:
            """Store a factor; `solve` reads it back from a slot."""
            if node.op == "const":
                return node
            self.lu.append(node)
            self.known.append(g.leaf("factor", len(self.known)))
            return self.known[-1]

        x = list(self.right)
        left = set(range(n))
        upper: list[tuple[int, Node, dict[int, Node]]] = []
        while left:
            pivot = min(left, key=lambda p: (_fill(rows, left, p), p))
            left.remove(pivot)
            inverse = g.div(g.one, rows[pivot][pivot])
            for i in sorted(left):
                if pivot in rows[i]:
                    factor = g.mul(rows[i].pop(pivot), inverse)
                    x[i] = g.sub(x[i], g.mul(keep(factor), x[pivot]))
                    for j, value in rows[pivot].items():
                        if j != pivot:
                            rows[i][j] = g.sub(rows[i].get(j, g.zero), g.mul(factor, value))
            others = {j: keep(v) for j, v in rows[pivot].items() if j != pivot}
            upper.append((pivot, keep(inverse), others))
        self.solution = list(x)
        for pivot, inverse, others in reversed(upper):
            total = x[pivot]
            for j, value in others.items():
                total = g.sub(total, g.mul(value, self.solution[j]))
            self.solution[pivot] = g.mul(total, inverse)


def _fill(rows: list[dict[int, Node]], left: set[int], pivot: int) -> int:
    """How many entries elimination with this pivot touches (Markowitz' count)."""
    below = sum(1 for i in left if i != pivot and pivot in rows[i])
    beside = sum(1 for j in rows[pivot] if j in left and j != pivot)
    return below * beside


def _slots(nodes: Sequence[Node]) -> dict[Node, int]:
    return {node: index for index, node in enumerate(nodes)}
