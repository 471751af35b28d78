"""Linear equations with the Jacobian of a model, written out for its pattern."""

from __future__ import annotations

from collections.abc import Mapping

from pkpd.engine.graph import Graph, Node


class Factors:
    """LU factors of ``shift I - J`` written out for the pattern of J, without pivoting.

    A small step makes ``shift`` dominate the diagonal, so that a bad pivot is cured by the step-size control: its
    non-finite or inaccurate result is an error like any other. Elimination goes in the order that fills least.

    Attributes
    ----------
    lu : list of Node
        The factors.
    known : list of Node
        Leaves in their place, from which `solution` is computed.
    right, solution : list of Node
        Leaves for b, and x.
    """

    def __init__(self, g: Graph, n: int, shift: Node, entries: Mapping[tuple[int, int], Node]) -> None:
        rows: list[dict[int, Node]] = [{i: shift} for i in range(n)]
        for (i, j), entry in entries.items():
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
