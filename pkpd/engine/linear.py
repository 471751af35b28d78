"""The linear part of a model: which states belong to it, and the functions that advance it exactly.

States whose equations are a constant matrix times such states, plus a constant, obey ``x' = A x + g`` between two
events (g: constant terms and infusions), so that ``x(h) = E x + c`` with ``E = exp(h A)`` and c the integral of
``exp(u A) g``. A column for g, beside A, gives both from one exponential.

The exponential is Taylor's polynomial of degree 12 (three products by Paterson and Stockmeyer's scheme after two for
the powers) of ``f (A + mu I)``, times ``exp(-f mu)``, squared s times; ``f = h / 2^s``. With mu the largest rate of
loss a compartment model has no negative entry left, hence no cancellation: every entry is accurate in itself, also the
tiny ones of a substance that has hardly begun to form. Repeated and complex eigenvalues, and ka = ke, are no special
cases. Derivatives with respect to a parameter follow the same steps by the product rule (the Frechet derivative).

All products are written out for the entries that can be nonzero: those from which a path of flows leads.

Higham NJ. Functions of Matrices, SIAM 2008, chapter 10. Paterson MS, Stockmeyer LJ. SIAM J Comput 1973;2:60-66.
Al-Mohy AH, Higham NJ. SIAM J Matrix Anal Appl 2009;30:1639-1657 (the derivative).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pkpd.engine.graph import Graph, Node, needed

if TYPE_CHECKING:
    from pkpd.engine.lanes import Lanes

#: Entries of a matrix that can be nonzero.
Matrix = dict[tuple[int, int], Node]
#: A matrix whose square takes more products is left to the solvers of differential equations.
MOST_PRODUCTS = 400
DEGREE = 12
#: Wanted relative accuracy of each entry of Taylor's polynomial.
_ACCURACY = 1e-14


@dataclass(frozen=True, slots=True)
class Affine:
    """A value as a sum: coefficients times variables, plus a rest, all constant between events."""

    coefficients: dict[Node, Node]
    rest: Node


def affine(g: Graph, nodes: Sequence[Node], variables: Sequence[Node]) -> list[Affine | None]:
    """Each node as an affine function of `variables` with static coefficients; None where it is not one.

    Judged by the form of the expression, not by its derivative: a step function has derivative 0 and is not constant.
    """
    known = set(variables)
    found: dict[Node, Affine | None] = {}
    for node in needed(nodes):
        if node.static:
            found[node] = Affine({}, node)
        elif node in known:
            found[node] = Affine({node: g.one}, g.zero)
        else:
            found[node] = _combine(g, node, [found[a] for a in node.args])
    return [found[node] for node in nodes]


def _combine(g: Graph, node: Node, args: list[Affine | None]) -> Affine | None:
    parts = [a for a in args if a is not None]
    if len(parts) < len(args) or not args:
        return None
    first, last = parts[0], parts[-1]
    if node.op in ("+", "-"):
        join = g.add if node.op == "+" else g.sub
        names = first.coefficients.keys() | last.coefficients.keys()
        sums = {
            v: join(first.coefficients.get(v, g.zero), last.coefficients.get(v, g.zero))
            for v in sorted(names, key=lambda n: n.rank)
        }
        return Affine({v: c for v, c in sums.items() if c is not g.zero}, join(first.rest, last.rest))
    if node.op == "neg":
        return _scaled(first, g.neg)
    if node.op == "*" and not first.coefficients:
        return _scaled(last, lambda n: g.mul(first.rest, n))
    if node.op == "*" and not last.coefficients:
        return _scaled(first, lambda n: g.mul(last.rest, n))
    if node.op == "/" and not last.coefficients:
        return _scaled(first, lambda n: g.div(n, last.rest))
    if node.op == "if" and not first.coefficients:
        yes, no = parts[1], parts[2]
        names = yes.coefficients.keys() | no.coefficients.keys()
        chosen = {
            v: g.select(first.rest, yes.coefficients.get(v, g.zero), no.coefficients.get(v, g.zero))
            for v in sorted(names, key=lambda n: n.rank)
        }
        return Affine(chosen, g.select(first.rest, yes.rest, no.rest))
    return None


def _scaled(a: Affine, by: Callable[[Node], Node]) -> Affine:
    return Affine({v: by(c) for v, c in a.coefficients.items()}, by(a.rest))


def linear_states(g: Graph, states: Sequence[Node], right: Sequence[Node]) -> dict[int, Affine]:
    """The largest set of states that depend, linearly, on each other only; by index, with their equations."""
    forms = affine(g, right, states)
    found = {i: form for i, form in enumerate(forms) if form is not None}
    place = {state: i for i, state in enumerate(states)}
    while True:
        open_ = [i for i, form in found.items() if any(place[v] not in found for v in form.coefficients)]
        if not open_:
            return found
        for i in open_:
            del found[i]


class Propagator:
    """The functions that advance a set of linear states over any time, written for their pattern of flows.

    ``linear`` gives, from hoisted values and infusions: the shift mu, the norm that the scaling needs, the entries of
    A with its column g, and for each active parameter the derivatives of these entries.

    Parameters
    ----------
    states
        The leaves of the linear states, in order.
    forms
        Their equations.
    fed
        By position among `states`, the leaves of the inflow and of its sensitivities (one each parameter).
    wrt
        Parameters to differentiate by.
    """

    def __init__(
        self,
        g: Graph,
        states: Sequence[Node],
        forms: Sequence[Affine],
        fed: Mapping[int, Sequence[Node]],
        wrt: Sequence[Node],
        moved: Sequence[bool],
    ) -> None:
        self.graph = g
        self.size = m = len(states)
        place = {state: i for i, state in enumerate(states)}
        matrix: Matrix = {(i, place[v]): c for i, form in enumerate(forms) for v, c in form.coefficients.items()}
        #: Whether more than infusions feeds it.
        self.fed_constantly = any(form.rest is not g.zero for form in forms)
        for i, form in enumerate(forms):
            constant = g.add(form.rest, fed[i][0]) if i in fed else form.rest
            if constant is not g.zero:
                matrix[i, m] = constant
        self.pattern = sorted(matrix)
        reach = _closure({*self.pattern, *((i, i) for i in range(m))}, m + 1)
        self.closure = sorted(reach)
        self.products = sum(1 for i, k in reach for k2, j in reach if k == k2)
        self.theta = _threshold(_depth(self.pattern, m + 1))
        self.shift, self.norm = self._measures(matrix)
        self.entries = [matrix[at] for at in self.pattern]
        # A parameter matters to E and c only if it appears in A, in g, or in how an infusion goes in.
        self._scale = g.leaf("scale")
        self._table = [g.leaf("linear", i) for i in range(2 + len(self.pattern))]
        self.active: list[int] = []
        self.slopes: list[list[Node]] = []
        for j, parameter in enumerate(wrt):
            memo: dict[Node, Node] = {}
            seed = {parameter: g.one} | {leaves[0]: leaves[1 + j] for leaves in fed.values() if moved[j]}
            along = [g.derivative(node, seed, memo) for node in self.entries]
            if any(node is not g.zero for node in along):
                self.active.append(j)
                self.slopes.append(along)

    @cached_property
    def _steps(self) -> list[Matrix]:
        """The steps of the polynomial of a scaled matrix, from the table that ``linear`` stores."""
        entries = dict(zip(self.pattern, self._table[2:], strict=True))
        return self._polynomial(self._scaled_matrix(self._scale, self._table[0], entries))

    @property
    def expanded(self) -> int:
        """Length of what ``expand`` stores: E, and for derivatives the steps that lead to it."""
        kept = 1 + sum(map(len, self._steps[:-1])) if self.active else 0
        return len(self.closure) + kept

    @property
    def outputs(self) -> list[Node]:
        """What ``linear`` stores."""
        return [self.shift, self.norm, *self.entries, *(node for column in self.slopes for node in column)]

    def _measures(self, matrix: Matrix) -> tuple[Node, Node]:
        """The shift mu; and the largest row sum of ``A + mu I`` within groups of states that exchange."""
        g, m = self.graph, self.size
        shift = g.zero
        for i in range(m):
            if (i, i) in matrix:
                shift = g.call("max", [shift, g.neg(matrix[i, i])])
        reach = {(i, j) for i, j in _closure({at for at in matrix if m not in at}, m)}
        # The constant that feeds the column is a state without flows: on the shifted diagonal stands mu.
        norm = shift if any(j == m for _, j in matrix) else g.zero
        for i in range(m):
            total = g.unary("abs", g.add(matrix.get((i, i), g.zero), shift))
            for j in range(m):
                if i != j and (i, j) in matrix and (j, i) in reach:
                    total = g.add(total, g.unary("abs", matrix[i, j]))
            norm = g.call("max", [norm, total])
        return shift, norm

    # -- functions ----------------------------------------------------------------------------------------------
    def write(self, lanes: Lanes) -> None:
        """Write expand, square and apply, and the same along a parameter."""
        g, m = self.graph, self.size
        scale, mask = self._scale, g.leaf("mask")
        steps = self._steps
        factor = g.unary("exp", g.neg(g.mul(scale, self._table[0])))
        e = [g.mul(factor, steps[-1].get(at, g.zero)) for at in self.closure]
        kept = [node for matrix in steps[:-1] for node in matrix.values()]
        table = {leaf: i for i, leaf in enumerate(self._table)}
        lanes.function("expand", [{scale: 0}, table], [*e, factor, *kept] if self.active else e)

        # Along a parameter: the steps of the polynomial are read back, its slopes follow by the product rule.
        stored = [g.leaf("expanded", i) for i in range(1 + len(kept))]
        position = iter(stored[1:])
        read = [{at: next(position) for at in matrix} for matrix in steps[:-1]]
        slope = [g.leaf("slope", i) for i in range(len(self.pattern))]
        dz = {at: g.mul(scale, node) for at, node in zip(self.pattern, slope, strict=True)}
        along = self._polynomial_along(read, dz)
        offset = len(self.closure)
        f = [g.mul(stored[0], along.get(at, g.zero)) for at in self.closure]
        there = {node: offset + i for i, node in enumerate(stored)}
        lanes.function("expand_along", [{scale: 0}, {n: i for i, n in enumerate(slope)}, there], f)

        e_leaf = {at: g.leaf("e", i) for i, at in enumerate(self.closure)}
        f_leaf = {at: g.leaf("f", i) for i, at in enumerate(self.closure)}
        slots_e = {node: i for i, node in enumerate(e_leaf.values())}
        slots_f = {node: i for i, node in enumerate(f_leaf.values())}
        one: Matrix = {(m, m): g.one}
        squared = self._product(e_leaf | one, e_leaf | one)
        lanes.function("square", [{mask: 0}, slots_e], [g.select(mask, squared[at], e_leaf[at]) for at in self.closure])
        left, right = self._product(e_leaf | one, f_leaf), self._product(f_leaf, e_leaf | one)
        both = [g.add(left[at], right[at]) for at in self.closure]
        masked = [g.select(mask, n, f_leaf[at]) for at, n in zip(self.closure, both, strict=True)]
        lanes.function("square_along", [{mask: 0}, slots_e, slots_f], masked)

        x, s = [g.leaf("x", i) for i in range(m)], [g.leaf("s", i) for i in range(m)]
        slots_x, slots_s = {n: i for i, n in enumerate(x)}, {n: i for i, n in enumerate(s)}
        lanes.function("apply", [slots_e, slots_x], self._applied(e_leaf, [*x, g.one]))
        moved = [
            g.add(p, q)
            for p, q in zip(self._applied(e_leaf, [*s, g.zero]), self._applied(f_leaf, [*x, g.one]), strict=True)
        ]
        lanes.function("apply_along", [slots_e, slots_f, slots_x, slots_s], moved)

    def _scaled_matrix(self, scale: Node, shift: Node, a: Matrix) -> Matrix:
        """``f (A + mu I)``, the constant that feeds its column included."""
        g, m = self.graph, self.size
        z = {at: g.mul(scale, node) for at, node in a.items()}
        lifted = g.mul(scale, shift)
        return z | {(i, i): g.add(z.get((i, i), g.zero), lifted) for i in range(m + 1)}

    def _polynomial(self, z: Matrix) -> list[Matrix]:
        """Z, Z^2, Z^3, and the sums of Horner's scheme in Z^3; the last is the polynomial."""
        z2 = self._product(z, z)
        z3 = self._product(z2, z)
        steps = [z, z2, z3]
        h: Matrix = {at: self._times(_coefficient(12), node) for at, node in z3.items()}
        for k in (9, 6, 3, 0):
            if k < 9:
                h = self._product(h, z3)
            for weight, matrix in zip((k, k + 1, k + 2), (self._identity(), z, z2), strict=True):
                h = self._sum(h, {at: self._times(_coefficient(weight), node) for at, node in matrix.items()})
            steps.append(h)
        return steps

    def _polynomial_along(self, steps: list[Matrix], dz: Matrix) -> Matrix:
        """The derivative of the last step."""
        z, z2, z3 = steps[:3]
        dz2 = self._sum(self._product(z, dz), self._product(dz, z))
        dz3 = self._sum(self._product(z2, dz), self._product(dz2, z))
        dh: Matrix = {at: self._times(_coefficient(12), node) for at, node in dz3.items()}
        for k, before in zip((9, 6, 3, 0), (None, *steps[3:]), strict=True):
            if before is not None:
                dh = self._sum(self._product(dh, z3), self._product(before, dz3))
            for weight, matrix in ((k + 1, dz), (k + 2, dz2)):
                dh = self._sum(dh, {at: self._times(_coefficient(weight), node) for at, node in matrix.items()})
        return dh

    # -- algebra on patterns ----------------------------------------------------------------------------------------
    def _identity(self) -> Matrix:
        return {(i, i): self.graph.one for i in range(self.size + 1)}

    def _times(self, weight: float, node: Node) -> Node:
        return self.graph.mul(self.graph.const(weight), node)

    def _sum(self, a: Matrix, b: Matrix) -> Matrix:
        zero = self.graph.zero
        return {at: self.graph.add(a.get(at, zero), b.get(at, zero)) for at in sorted(a.keys() | b.keys())}

    def _product(self, a: Matrix, b: Matrix) -> Matrix:
        g = self.graph
        rows: dict[int, list[tuple[int, Node]]] = {}
        for (k, j), node in sorted(b.items(), key=lambda item: item[0]):
            rows.setdefault(k, []).append((j, node))
        found: Matrix = {}
        for (i, k), left in sorted(a.items(), key=lambda item: item[0]):
            for j, right in rows.get(k, ()):
                found[i, j] = g.add(found.get((i, j), g.zero), g.mul(left, right))
        return {at: node for at, node in found.items() if node is not g.zero}

    def _applied(self, matrix: Matrix, x: Sequence[Node]) -> list[Node]:
        g = self.graph
        rows = [g.zero] * self.size
        for (i, j), node in sorted(matrix.items(), key=lambda item: item[0]):
            rows[i] = g.add(rows[i], g.mul(node, x[j]))
        return rows


def _coefficient(k: int) -> float:
    return 1.0 / math.factorial(k)


def _closure(pairs: set[tuple[int, int]], size: int) -> set[tuple[int, int]]:
    """Pairs joined by a path."""
    reach = set(pairs)
    for k in range(size):
        into = [i for i in range(size) if (i, k) in reach]
        out = [j for j in range(size) if (k, j) in reach]
        reach |= {(i, j) for i in into for j in out}
    return reach


def _depth(pairs: Sequence[tuple[int, int]], size: int) -> int:
    """The longest of the shortest paths between states."""
    longest = 0
    for start in range(size):
        seen, front, depth = {start}, {start}, 0
        while front:
            front = {i for i, j in pairs if j in front} - seen
            seen |= front
            depth += bool(front)
        longest = max(longest, depth)
    return longest


def _threshold(depth: int) -> float:
    """The norm up to which the polynomial gives also an entry `depth` flows away to the wanted relative accuracy."""
    terms = DEGREE + 1 - min(depth, 8)
    return (math.factorial(terms) * _ACCURACY) ** (1.0 / terms)
