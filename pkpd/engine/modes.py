"""The linear part inside a non-linear model, in its modes: ``x(h) = V (e^(L h) z + phi(L, h) c)``.

A solver asks for the linear states at every stage of every step. Once the matrix is taken apart, ``A = V L V^-1``, each
answer costs an exponential a mode. That is done by LAPACK for all subjects at once, before they are solved. Where the
eigenvalues are complex, or V is too badly conditioned (repeated eigenvalues), the matrix exponential takes over:
see `pkpd.engine.linear`.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pkpd.engine.graph import Graph, Node
from pkpd.engine.workspace import HOIST, LINEAR, POINTERS, WIDTH, Sizes

if TYPE_CHECKING:
    from pkpd.engine.lanes import Lanes
    from pkpd.engine.linear import Propagator

Floats = npt.NDArray[np.float64]
#: How much larger than the result its terms may be: what is left of sixteen digits is more than any solver's.
MOST_LOST = 1e4
#: Below, (e^x - 1) / x is summed as a series.
_SMALL = 1e-4


def write(lanes: Lanes, g: Graph, linear: Propagator, inner: set[int]) -> None:
    """Write amplitudes (z and c from the state and what feeds it) and modal (the state after a time).

    ``modal`` has shorter forms: where nothing feeds the linear part (``_free``); and for the stages inside a step,
    which need only the states `inner` that the other equations contain (``_inner``).
    """
    m = linear.size
    values = [g.leaf("eigenvalue", k) for k in range(m)]
    vectors = [[g.leaf("vector", i, k) for k in range(m)] for i in range(m)]
    inverse = [[g.leaf("inverse", k, i) for i in range(m)] for k in range(m)]
    flat = [*values, *(v for row in vectors for v in row), *(v for row in inverse for v in row)]
    table = {leaf: at for at, leaf in enumerate(flat)}
    x = [g.leaf("x", i) for i in range(m)]
    fed: dict[int, Node] = {i: g.leaf("linear", 2 + at) for at, (i, j) in enumerate(linear.pattern) if j == m}
    slots = {g.leaf("linear", 2 + at): 2 + at for at in range(len(linear.pattern))}

    def product(row: list[Node], column: dict[int, Node]) -> Node:
        total = g.zero
        for i, value in column.items():
            total = g.add(total, g.mul(row[i], value))
        return total

    start = [product(row, dict(enumerate(x))) for row in inverse]
    forcing = [product(row, fed) for row in inverse]
    lanes.function("amplitudes", [table, slots, {leaf: i for i, leaf in enumerate(x)}], start + forcing)

    span = g.leaf("span")
    z, c = [g.leaf("start", k) for k in range(m)], [g.leaf("forcing", k) for k in range(m)]
    table_of = [{span: 0}, table, {leaf: k for k, leaf in enumerate(z + c)}]
    for suffix, forced in (("", bool(fed)), ("_free", False)):
        modes = [_mode(g, values[k], span, z[k], c[k] if forced else g.zero) for k in range(m)]
        found = [product(row, dict(enumerate(modes))) for row in vectors]
        lanes.function(f"modal{suffix}", table_of, found)
        lanes.function(f"modal_inner{suffix}", table_of, [n if i in inner else None for i, n in enumerate(found)])


def _mode(g: Graph, value: Node, span: Node, start: Node, forcing: Node) -> Node:
    """``e^x z + (e^x - 1) / value c`` with ``x = value span``."""
    x = g.mul(value, span)
    e = g.unary("exp", x)
    decay = g.mul(e, start)
    if forcing is g.zero:
        return decay
    series = g.one
    for n in (4, 3, 2):
        series = g.add(g.one, g.mul(g.mul(g.const(1.0 / n), x), series))
    small = g.compare("<", g.unary("abs", x), g.const(_SMALL))
    phi = g.select(small, g.mul(span, series), g.div(g.sub(e, g.one), value))
    return g.add(decay, g.mul(phi, forcing))


def length(size: int) -> int:
    """Numbers in the table of one matrix: whether it can be used, eigenvalues, eigenvectors, their inverse."""
    return 1 + size + 2 * size * size


def decompose(
    sizes: Sizes, addresses: list[int], pattern: list[list[int]], values: Floats, covariates: Floats
) -> Floats:
    """Take the matrices of many subjects apart.

    Parameters
    ----------
    sizes, addresses
        Of the generated functions.
    pattern
        Row and column of each entry of the matrix; a column beyond the matrix is what feeds it.
    values : (N, parameters) array
    covariates : (N, covariates) array

    Returns
    -------
    (N, length) array
        Each row: 1 or 0 (cannot be used), eigenvalues (m), V (m, m), its inverse (m, m).
    """
    count, m = len(values), sizes.states - sizes.solved
    matrices = _matrices(sizes, addresses, pattern, m, values, covariates)
    table = np.zeros((count, length(m)))
    good = np.isfinite(matrices).all(axis=(1, 2))
    try:
        eigenvalues, vectors = np.linalg.eig(matrices[good])
    except np.linalg.LinAlgError:  # one that does not converge: the matrix exponential will do for all
        return table
    real = ~np.iscomplex(eigenvalues).any(axis=1)
    rows = np.flatnonzero(good)[real]
    eigenvalues, vectors = np.real(eigenvalues[real]), np.real(vectors[real])
    with np.errstate(all="ignore"):
        regular = np.linalg.slogdet(vectors)[1] > -700.0
        rows, eigenvalues, vectors = rows[regular], eigenvalues[regular], vectors[regular]
        inverse = np.linalg.inv(vectors)
        lost = np.abs(vectors) @ np.abs(inverse)
        fit = ~np.any(lost > MOST_LOST * _natural(matrices[rows]), axis=(1, 2)) & np.isfinite(lost).all(axis=(1, 2))
    rows, eigenvalues, vectors, inverse = rows[fit], eigenvalues[fit], vectors[fit], inverse[fit]
    table[rows] = np.concatenate(
        [np.ones((len(rows), 1)), eigenvalues, vectors.reshape(-1, m * m), inverse.reshape(-1, m * m)], axis=1
    )
    return table


def _natural(matrices: Floats) -> Floats:
    """What one state is of another, by size: flow in over loss, and so along every path; infinite without a path."""
    diagonal = np.abs(np.einsum("...ii->...i", matrices))
    least = np.where(diagonal > 0.0, diagonal, np.inf).min(axis=-1, initial=np.inf, keepdims=True)
    loss = np.where(diagonal > 0.0, diagonal, np.where(np.isfinite(least), least, 1.0))
    paths = np.abs(matrices) / loss[..., None]
    size = matrices.shape[-1]
    paths[..., range(size), range(size)] = 1.0
    reached = np.linalg.matrix_power(paths, size)
    return np.where(reached > 0.0, reached, np.inf)


def _matrices(
    sizes: Sizes, addresses: list[int], pattern: list[list[int]], m: int, values: Floats, covariates: Floats
) -> Floats:
    """The matrices, (N, m, m), by the model's own generated functions."""
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * POINTERS)
    hoist, linear = kind(addresses[HOIST]), kind(addresses[LINEAR])
    count = len(values)
    blocks = -(-count // WIDTH)
    padded = np.minimum(np.arange(blocks * WIDTH), count - 1)
    p, c = (np.ascontiguousarray(a[padded].reshape(blocks, WIDTH, -1).transpose(0, 2, 1)) for a in (values, covariates))
    hoisted = np.zeros((sizes.hoisted, WIDTH))
    nothing = np.zeros((sizes.augmented, WIDTH))
    entries = np.zeros((blocks, 2 + len(pattern), WIDTH))
    for block in range(blocks):
        hoist(p[block].ctypes.data, c[block].ctypes.data, nothing.ctypes.data, hoisted.ctypes.data, None, None)
        linear(hoisted.ctypes.data, nothing.ctypes.data, entries[block].ctypes.data, None, None, None)
    flat = entries.transpose(0, 2, 1).reshape(blocks * WIDTH, -1)[:count, 2:]
    found = np.zeros((count, m, m))
    for at, (i, j) in enumerate(pattern):
        if j < m:
            found[:, i, j] = flat[:, at]
    return found
