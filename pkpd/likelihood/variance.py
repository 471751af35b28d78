"""Omega as numbers that a search may move freely: Cholesky factors with logarithms on the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Covariance", "Group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Random effects that go together: a block of Omega, m by m, which may stand there several times.

    Parameters
    ----------
    names : tuple of str
        m names, of the parameters they act on.
    start : (m, m) float
        Covariance matrix before the fit.
    places : (copies, m) int
        Where each copy stands among the random effects of a subject: one between people, one an occasion.
    fixed : bool
        Whether the search leaves it.
    kind : str
        ``"iiv"`` or ``"iov"``.
    """

    names: tuple[str, ...]
    start: np.ndarray
    places: np.ndarray
    fixed: bool
    kind: str

    @property
    def count(self) -> int:
        """How many numbers describe it."""
        m = len(self.names)
        return m * (m + 1) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariance:
    """The covariance matrix of the d random effects of a subject, made of groups.

    On the estimation scale a group is the lower triangle, row by row, of its Cholesky factor, with logarithms on the
    diagonal. Q is the number of these numbers over all groups that are free.
    """

    groups: tuple[Group, ...]
    size: int

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that a search moves."""
        return tuple(group for group in self.groups if not group.fixed)

    @property
    def start(self) -> np.ndarray:
        """The Q numbers before the fit."""
        return np.concatenate([_unroll(np.linalg.cholesky(g.start)) for g in self.free] or [np.zeros(0)])

    @property
    def elements(self) -> tuple[tuple[str, str, str], ...]:
        """For each of the Q numbers: kind, and the names of the row and the column of the matrix it belongs to."""
        return tuple(
            (g.kind, g.names[i], g.names[j]) for g in self.free for i in range(len(g.names)) for j in range(i + 1)
        )

    def matrices(self, x: np.ndarray) -> list[np.ndarray]:
        """Give the matrix of every group, fixed ones included, at the Q numbers `x`."""
        found, at = [], 0
        for group in self.groups:
            if group.fixed:
                found.append(group.start)
                continue
            factor = _roll(x[at : at + group.count], len(group.names))
            at += group.count
            found.append(factor @ factor.T)
        return found

    def matrix(self, x: np.ndarray) -> np.ndarray:
        """Give the whole matrix, (d, d)."""
        return self.place(self.matrices(x))

    def inverse(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Give the inverse of the whole matrix, (d, d), and the logarithm of its determinant (that of Omega)."""
        matrices = self.matrices(x)
        log_determinant = sum(
            len(g.places) * float(np.linalg.slogdet(m)[1]) for g, m in zip(self.groups, matrices, strict=True)
        )
        return self.place([np.linalg.inv(m) for m in matrices]), log_determinant

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Give the derivatives of the whole matrix with respect to the Q numbers, (Q, d, d)."""
        found = []
        at = 0
        for g, group in enumerate(self.groups):
            if group.fixed:
                continue
            m = len(group.names)
            factor = _roll(x[at : at + group.count], m)
            at += group.count
            for i in range(m):
                for j in range(i + 1):
                    slope = np.zeros((m, m))
                    slope[i, j] = factor[i, i] if i == j else 1.0
                    of_matrix = slope @ factor.T
                    parts = [np.zeros_like(other.start) for other in self.groups]
                    parts[g] = of_matrix + of_matrix.T
                    found.append(self.place(parts))
        return np.array(found).reshape(len(found), self.size, self.size)

    def natural(self, x: np.ndarray) -> np.ndarray:
        """Give variances and covariances, (Q,): of each free group the lower triangle, row by row."""
        free = [m for g, m in zip(self.groups, self.matrices(x), strict=True) if not g.fixed]
        return np.concatenate([m[np.tril_indices(len(m))] for m in free] or [np.zeros(0)])

    def numbers(self, natural: np.ndarray) -> np.ndarray:
        """Give the Q numbers of variances and covariances in the order of `elements`: the inverse of `natural`."""
        found, at = [], 0
        for group in self.free:
            m = len(group.names)
            matrix = np.zeros((m, m))
            matrix[np.tril_indices(m)] = natural[at : at + group.count]
            at += group.count
            found.append(_unroll(np.linalg.cholesky(matrix + np.tril(matrix, -1).T)))
        return np.concatenate(found or [np.zeros(0)])

    def natural_slopes(self, x: np.ndarray) -> np.ndarray:
        """Give their derivatives with respect to the Q numbers, (Q, Q)."""
        slopes, rows = self.slopes(x), []
        for group in self.free:
            first = group.places[0]
            i, j = np.tril_indices(len(first))
            rows.append(slopes[:, first[i], first[j]].T)
        return np.concatenate(rows) if rows else np.zeros((0, 0))

    def place(self, matrices: Sequence[np.ndarray]) -> np.ndarray:
        """Give the whole matrix, (d, d), from one matrix for each group."""
        whole = np.zeros((self.size, self.size))
        for group, matrix in zip(self.groups, matrices, strict=True):
            for place in group.places:
                whole[np.ix_(place, place)] = matrix
        return whole


def _unroll(factor: np.ndarray) -> np.ndarray:
    factor = factor.copy()
    np.fill_diagonal(factor, np.log(np.diagonal(factor)))
    return factor[np.tril_indices(len(factor))]


def _roll(x: np.ndarray, m: int) -> np.ndarray:
    factor = np.zeros((m, m))
    factor[np.tril_indices(m)] = x
    diagonal = np.diag_indices(m)
    # Beyond this a variance is no number any more; the search is told by its objective.
    factor[diagonal] = np.exp(np.clip(factor[diagonal], -300.0, 300.0))
    return factor
