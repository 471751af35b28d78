"""A model becomes the functions that the solvers call.

All names turn into slots here, once. The functions, with the arrays they take (each ``[size][WIDTH]``):

============ ================================== ===================================================================
name         arrays                             result
============ ================================== ===================================================================
switches     parameters, covariates             when each comparison of time changes its answer, with its derivatives
hoist        parameters, covariates, switches   what stays constant between events, taken out of all others
initial      parameters, covariates, time       the state at the start, and its sensitivities
inputs       parameters, covariates, dose       for each way in: scale, bioavailability, lag, rate, duration, and the
                                                derivative of each with respect to each parameter
flow         time, state, hoisted, inflow       d/dt of all states
rhs          time, state, hoisted, inflow       d/dt of the states that are integrated, and of their sensitivities
observe      time, state, hoisted               the observables, and their sensitivities
jacobian     time, state, hoisted, inflow       nonzero entries of df/dy; then what time itself does to ``rhs``, unless
                                                the model is one for `pkpd.engine.collocation`
factor       shift, Jacobian                    LU factors of ``shift I - J`` (its pattern is known, zeros cost
                                                nothing)
solve        factors, b                         x of ``(shift I - J) x = b``
pair_factor  [shift, turn], Jacobian            the same for ``(shift I - J) x + turn y = a``, ``(shift I - J) y - turn
                                                x = b``
pair_solve   factors, [a, b]                    its x and y
couple       time, state, hoisted, direction    d/dy(J s_j + df/dp_j) along a direction, for each parameter j: what the
                                                Jacobian of the state-and-sensitivity system holds below its diagonal
linear       hoisted, inflow                    the linear part, see `pkpd.engine.linear`, as the six after it
expand       scale, linear                      E = exp(h A) before squaring
expand_along scale, slope, expanded             its derivative with respect to a parameter
square       mask, E                            E E where the mask is set
square_along mask, E, F                         the derivative of the square
apply        E, x                               the linear states after h
apply_along  E, F, x, s                         their sensitivities
amplitudes   modes, linear, x                   the state, and what feeds it, in modes, see `pkpd.engine.modes`
modal        span, modes, amplitudes            the linear states after a time; and its shorter forms
============ ================================== ===================================================================

The states are put in the order: those that are integrated, then those of the linear part (`Lowered.order`). With
sensitivities the state is ``[y (n), dy/dp_1 (n), ..., dy/dp_P (n)]``. A model whose linear part is not all of it is
advanced in two ways at once only without sensitivities; with them, everything is integrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pkpd.engine import modes
from pkpd.engine.factors import Factors
from pkpd.engine.graph import Graph, Node, needed
from pkpd.engine.linear import MOST_PRODUCTS, Affine, Propagator, linear_states
from pkpd.engine.occasions import in_force, kappas, moved, varying
from pkpd.engine.switches import Switches
from pkpd.engine.workspace import FUNCTIONS, Sizes
from pkpd.model.expression import Expr

if TYPE_CHECKING:
    from pkpd.engine.lanes import Lanes
    from pkpd.model.model import Model

#: Factors of a pair of systems beyond which a model is not one for collocation.
MOST_FACTORS = 2000
#: What the algebra is written for, see `pkpd.engine.algebra.write`: powers, and exponents of the control of steps.
INTEGRATED, COLLOCATED = (4, -0.14, 0.04), (7, -0.125, 0.0)
#: What an input of a route may state, in the order of the `inputs` function; with the value where it says nothing.
INPUT_FIELDS = {"scale": 1.0, "bioavailability": 1.0, "lag": 0.0, "rate": 0.0, "duration": 0.0}


class Lowered:
    """The graphs of one model.

    Parameters
    ----------
    model
        Any model without errors.
    observe, wrt
        Names of what to observe, and of the parameters to differentiate by.
    exact
        Advance the linear part exactly, where that pays; otherwise integrate everything.
    moving_covariates
        Covariates go from one row's value to the next on a straight line. Each is then three: the value, its slope,
        and (once for all) the time at which the value holds.
    occasions
        How many there are, see `pkpd.engine.occasions`; with any, the last covariate is the number of the one in force.
    """

    def __init__(
        self,
        model: Model,
        observe: Sequence[str],
        wrt: Sequence[str],
        *,
        exact: bool = True,
        moving_covariates: bool = False,
        occasions: int = 0,
    ) -> None:
        g = self.graph = Graph()
        by_name = {n: g.leaf("parameter", i) for i, n in enumerate([*model.parameters, *kappas(model, occasions)])}
        self.parameters = list(by_name.values())
        self.time = g.leaf("time")
        self.covariates, self.covariate_nodes = self._covariates(len(model.covariates), moving_covariates)
        #: Covariates that move along lines.
        self.lines = len(model.covariates) if moving_covariates else 0
        self.natural = self._natural(model, occasions, by_name)
        self.states = [g.leaf("state", i) for i in range(len(model.states))]
        self.dose = g.leaf("dose")
        self.shift, self.turn = g.leaf("shift"), g.leaf("turn")
        self.wrt = [by_name[name] for name in wrt]
        plain = self._environment(model)
        self.switches = Switches(g, self.time)
        names = self._environment(model, self.switches)

        right = [g.lower(model.derivatives[s], names, self.switches) for s in model.states]
        inflow = self._inflow(model)
        self.inputs = self._inputs(model, plain)
        linear = linear_states(g, self.states, right)
        #: Whether each state belongs to the linear part.
        self.linear = [i in linear for i in range(len(self.states))]
        #: The states in the order in which the solver keeps them.
        self.order = sorted(range(len(self.states)), key=lambda i: self.linear[i])
        self.propagator = self._propagator(linear, inflow) if exact and linear else None
        solved = [i for i in self.order if self.propagator is None or not self.linear[i]]
        self.solved = [self.states[i] for i in solved]

        # Right-hand sides, starts and observables, each followed by its sensitivities, states in the solver's order.
        ordered = [self.states[i] for i in self.order]
        slopes = [[g.leaf("sensitivity", j, i) for i in self.order] for j in range(len(self.wrt))]
        self.augmented_state = ordered + [s for column in slopes for s in column]
        directions = [{p: g.one} | dict(zip(ordered, s, strict=True)) for p, s in zip(self.wrt, slopes, strict=True)]
        initial = [g.lower(model.initials[s], plain) if s in model.initials else g.zero for s in model.states]
        initial = [initial[i] for i in self.order]
        observed = [names[name] for name in observe]
        self.right = [right[i] for i in solved]
        n = len(self.order)
        fed = {(j, i): leaf for i, leaves in inflow.items() for j, leaf in enumerate(leaves)}
        self.flow = [g.add(right[i], fed[0, i]) if (0, i) in fed else right[i] for i in self.order]
        self.inflow = {leaf: j * n + self.order.index(i) for (j, i), leaf in fed.items()}
        plain_rhs = self.right + self._along(self.right, directions)
        places = [(j, i) for j in range(1 + len(self.wrt)) for i in solved]
        self.rhs = [g.add(node, fed[at]) if at in fed else node for at, node in zip(places, plain_rhs, strict=True)]
        self.observed = observed + self._along(observed, directions)
        self.initial = initial + self._along(initial, [{p: g.one} for p in self.wrt])

        # For the implicit methods.
        self.jacobian = self._jacobian()
        self.entries = {place: g.leaf("jacobian", i) for i, place in enumerate(self.jacobian)}
        self.factors = Factors(g, len(solved), self.shift, self.entries)
        self.pair = self._pair()
        memo: dict[Node, Node] = {}
        # What is advanced exactly moves, for the rest, as time does.
        clock = {self.time: g.one} | {
            s: self.flow[at] for at, s in enumerate(ordered) if self.propagator is not None and at >= len(solved)
        }
        self.explicit = [] if self.pair else [g.derivative(node, clock, memo) for node in plain_rhs]
        self.direction = [g.leaf("direction", i) for i in range(len(solved))]
        along = dict(zip(self.solved, self.direction, strict=True))
        memo = {}
        self.coupling = [g.derivative(node, along, memo) for node in self.rhs[len(solved) :]]
        outputs = [*self.rhs, *self.flow, *self.observed, *self.jacobian.values(), *self.explicit, *self.coupling]
        self.hoisted = self._hoist(outputs + (self.propagator.outputs if self.propagator else []))

    def sizes(self) -> Sizes:
        """The lengths of all arrays."""
        g, p = self.graph, self.propagator
        return Sizes(
            states=len(self.states),
            solved=len(self.solved),
            parameters=len(self.parameters),
            covariates=len(self.covariates),
            sensitivities=len(self.wrt),
            observables=len(self.observed) // (1 + len(self.wrt)),
            inputs=len(self.inputs) // (len(INPUT_FIELDS) * (1 + len(self.wrt))),
            hoisted=len(self.hoisted),
            jacobian=len(self.jacobian),
            factors=len(self.factors.lu),
            pair=len(self.pair.lu) if self.pair else 0,
            time_dependent=int(any(node is not g.zero for node in self.explicit)),
            moving_bolus=int(self._lag_moves()),
            switches=len(self.switches.thresholds),
            lines=self.lines,
            pattern=len(p.pattern) if p else 0,
            closure=len(p.closure) if p else 0,
            expanded=p.expanded if p else 0,
            active=len(p.active) if p else 0,
            mode_length=modes.length(p.size) if p and self.solved and not self.switches.thresholds else 0,
            steady_feed=int(p.fed_constantly) if p else 0,
        )

    def table(self) -> dict[str, Any]:
        """What is kept beside the machine code."""
        p = self.propagator
        return {
            "sizes": self.sizes().to_dict(),
            "order": self.order,
            "linear": [i for i, is_linear in enumerate(self.linear) if is_linear],
            "place": [p.active.index(j) if j in p.active else -1 for j in range(len(self.wrt))] if p else [],
            "theta": p.theta if p else 1.0,
            "pattern": p.pattern if p else [],
            "inclusive": [int(t.inclusive) for t in self.switches.thresholds],
            "switching_covariates": sorted(
                {n.leaf[1] for n in needed(t.time for t in self.switches.thresholds) if n.leaf[:1] == ("covariate",)}
            ),
        }

    def write(self, lanes: Lanes) -> None:
        """Write all functions of the table above, and the algebra that goes with them."""
        lanes.write_algebra(len(self.rhs), *(COLLOCATED if self.pair else INTEGRATED))
        start = [_slots(self.parameters), _slots(self.covariates)]
        moving = [{self.time: 0}, _slots(self.augmented_state), _slots(self.hoisted)]
        lanes.function("switches", start, self.switches.outputs(self.wrt))
        lanes.function("hoist", [*start, _slots(self.switches.leaves)], self.hoisted)
        lanes.function("initial", [*start, {self.time: 0}], self.initial)
        lanes.function("inputs", [*start, {self.dose: 0, self.time: 1}], self.inputs)
        lanes.function("flow", [*moving, self.inflow], self.flow)
        lanes.function("rhs", [*moving, self.inflow], self.rhs)
        lanes.function("observe", moving, self.observed)
        lanes.function("jacobian", [*moving, self.inflow], [*self.jacobian.values(), *self.explicit])
        lanes.function("couple", [*moving, _slots(self.direction)], self.coupling)
        entries = _slots(list(self.entries.values()))
        shifts = {self.shift: 0, self.turn: 1}
        for prefix, factors in (("", self.factors), ("pair_", self.pair)):
            if factors is not None:
                lanes.function(f"{prefix}factor", [shifts, entries], factors.lu)
                lanes.function(f"{prefix}solve", [_slots(factors.known), _slots(factors.right)], factors.solution)
        if self.propagator is not None:
            lanes.function("linear", [_slots(self.hoisted), self.inflow], self.propagator.outputs)
            self.propagator.write(lanes)
            if self.solved:
                modes.write(lanes, self.graph, self.propagator, self._interface())
        for name in FUNCTIONS:
            if name not in lanes:
                lanes.function(name, [], [])

    def _interface(self) -> set[int]:
        """Places of the linear states that other equations contain."""
        used = set(needed(self.rhs))
        tail = self.augmented_state[len(self.solved) : len(self.states)]
        return {place for place, state in enumerate(tail) if state in used}

    # -- pieces ------------------------------------------------------------------------------------------------
    def _covariates(self, count: int, moving: bool) -> tuple[list[Node], list[Node]]:
        """The leaves that come from the table of covariates, and the value of each covariate."""
        g = self.graph
        leaves = [g.leaf("covariate", i) for i in range(2 * count + 1 if moving else count)]
        if not moving:
            return leaves, leaves
        since = g.sub(self.time, leaves[-1])
        return leaves, [g.add(leaves[i], g.mul(leaves[count + i], since)) for i in range(count)]

    def _natural(self, model: Model, occasions: int, leaves: dict[str, Node]) -> dict[str, Node]:
        """The value of each parameter of the model on the occasion in force; adds the occasion to the covariates."""
        found = {name: leaves[name] for name in model.parameters}
        if occasions:
            # It steps from row to row also where covariates move, so that all it decides is constant in between.
            occasion = self.graph.leaf("covariate", len(self.covariates))
            self.covariates = [*self.covariates, occasion]
            for name in varying(model):
                kappa = in_force(self.graph, occasion, {m: leaves[f"{name}@{m}"] for m in range(1, occasions + 1)})
                found[name] = moved(self.graph, model.parameters[name], leaves[name], kappa)
        return found

    def _environment(self, model: Model, switches: Switches | None = None) -> dict[str, Node]:
        g = self.graph
        names: dict[str, Node] = {"t": self.time}
        names |= dict(zip(model.covariates, self.covariate_nodes, strict=True))
        names |= {name: g.const(c.value) for name, c in model.constants.items()}
        # A shift is made of parameters without one.
        for name, parameter in sorted(model.parameters.items(), key=lambda item: item[1].shift is not None):
            value = self.natural[name]
            if parameter.shift is not None:
                value = moved(g, parameter, value, g.lower(parameter.shift, names))
            names[name] = value if parameter.times is None else g.mul(value, g.lower(parameter.times, names))
        names |= dict(zip(model.states, self.states, strict=True))
        for name, expr in model.assignments:
            names[name] = g.lower(expr, names, switches)
        return names

    def _along(self, nodes: list[Node], directions: list[dict[Node, Node]]) -> list[Node]:
        """The derivative of all nodes along each direction in turn."""
        found: list[Node] = []
        for seed in directions:
            memo: dict[Node, Node] = {}
            found += [self.graph.derivative(node, seed, memo) for node in nodes]
        return found

    def _inflow(self, model: Model) -> dict[int, list[Node]]:
        """Leaves for the rate of infusion and its sensitivities, by state; only where an infusion can go."""
        position = {name: i for i, name in enumerate(model.states)}
        into = sorted({position[i.into] for route in model.routes.values() for i in route.inputs})
        return {i: [self.graph.leaf("inflow", i, j) for j in range(1 + len(self.wrt))] for i in into}

    def _propagator(self, linear: dict[int, Affine], inflow: dict[int, list[Node]]) -> Propagator | None:
        """The functions for the linear part; None where it is too large, or not all of it with sensitivities."""
        if self.wrt and len(linear) < len(self.states):
            return None
        rows = sorted(linear)
        fed = {at: inflow[i] for at, i in enumerate(rows) if i in inflow}
        propagator = Propagator(
            self.graph, [self.states[i] for i in rows], [linear[i] for i in rows], fed, self.wrt, self._moved_inputs()
        )
        return propagator if propagator.products <= MOST_PRODUCTS else None

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

    def _moved_inputs(self) -> list[bool]:
        """For each parameter, whether it changes how any dose goes in."""
        block = len(INPUT_FIELDS)
        stride = block * (1 + len(self.wrt))
        zero = self.graph.zero
        return [
            any(
                node is not zero
                for s in range(0, len(self.inputs), stride)
                for node in self.inputs[s + block * (1 + j) : s + block * (2 + j)]
            )
            for j in range(len(self.wrt))
        ]

    def _pair(self) -> Factors | None:
        """For collocation: beside an exact part, of a rest that is linear but for what drives it."""
        g, n = self.graph, len(self.solved)
        if self.propagator is None or n == 0 or not all(node.static for node in self.jacobian.values()):
            return None
        below = {(n + i, n + j): entry for (i, j), entry in self.entries.items()}
        turns = {(i, n + i): g.neg(self.turn) for i in range(n)} | {(n + i, i): self.turn for i in range(n)}
        pair = Factors(g, 2 * n, self.shift, self.entries | below | turns)
        return pair if len(pair.lu) <= MOST_FACTORS else None

    def _jacobian(self) -> dict[tuple[int, int], Node]:
        """Entries of df/dy that are not identically zero."""
        g = self.graph
        found: dict[tuple[int, int], Node] = {}
        for j, state in enumerate(self.solved):
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


def _slots(nodes: Sequence[Node]) -> dict[Node, int]:
    return {node: index for index, node in enumerate(nodes)}
