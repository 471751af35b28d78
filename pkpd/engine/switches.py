"""Comparisons of time with a value that is constant between events: model event times.

``if(t < tswitch, k1, k2)`` changes its answer at one moment. The solver stops there exactly, and what a parameter does
to the moment reaches the sensitivities; between events the answer is a constant like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkpd.engine.graph import Graph, Node
from pkpd.engine.linear import affine

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Threshold:
    """The answer is yes from `time` on: at that time itself already (``t >= time``), or only after (``t > time``)."""

    time: Node
    inclusive: bool


class Switches:
    """The model event times of one model; each has a leaf, 1 from its time on and 0 before."""

    def __init__(self, graph: Graph, clock: Node) -> None:
        self.graph, self.clock = graph, clock
        self.thresholds: list[Threshold] = []

    @property
    def leaves(self) -> list[Node]:
        """One for each threshold."""
        return [self.graph.leaf("switch", i) for i in range(len(self.thresholds))]

    def compare(self, op: str, a: Node, b: Node) -> Node | None:
        """The answer of a comparison of time, from a switch; None for any other comparison."""
        g = self.graph
        if op not in _MIRRORED:
            return None
        form = affine(g, [g.sub(a, b)], [self.clock])[0]
        if form is None or self.clock not in form.coefficients:
            return None
        slope = form.coefficients[self.clock]
        if slope.op != "const":
            return None
        op = op if slope.value > 0.0 else _MIRRORED[op]
        threshold = Threshold(g.div(g.neg(form.rest), slope), op in (">=", "<"))
        if threshold not in self.thresholds:
            self.thresholds.append(threshold)
        leaf = self.leaves[self.thresholds.index(threshold)]
        return leaf if op in (">", ">=") else g.unary("not", leaf)

    def outputs(self, wrt: Sequence[Node]) -> list[Node]:
        """The times, then their derivatives with respect to each parameter."""
        g = self.graph
        times = [threshold.time for threshold in self.thresholds]
        slopes = []
        for parameter in wrt:
            memo: dict[Node, Node] = {}
            slopes += [g.derivative(time, {parameter: g.one}, memo) for time in times]
        return times + slopes
