"""A quantity of a population fit held at a value, and the outer parameters that are still free then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.errors import CannotFit
from pkpd.estimation.outer import Look, Outer
from pkpd.estimation.quantities import Quantities

__all__ = ["Held", "HeldLook", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One of the X quantities held at c (on the estimation scale of the table), the X - 1 numbers y free.

    A typical value and a lone variance are an outer parameter each, and y is all others. In a block of Omega = L L',
    element (i, j) depends on several. The covariance of i and j is held by

        L_ij = (c - sum_k<j L_ik L_jk) / L_jj,

    the variance of i by numbering row i of L by the ratios r_k = L_ik / L_ii in place of L_ik:

        log L_ii = (c - log(1 + sum r_k^2)) / 2,

    so that every y is allowed and Omega stays positive definite.

    Parameters
    ----------
    place : int
        The outer parameter that follows from the others.
    first : int
        Where the numbers of the block begin.
    row, column : int
        In the block; -1 for a typical value.
    """

    place: int
    first: int = 0
    row: int = -1
    column: int = -1

    def split(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Give the free numbers and the held quantity at outer parameters x (X,)."""
        y, c = x.copy(), float(x[self.place])
        if self.row >= 0 and self.row == self.column:
            own, sd = self._own(), np.exp(x[self.place])
            y[own] = x[own] / sd
            c = 2 * c + float(np.log1p((y[own] ** 2).sum()))
        elif self.row >= 0:
            own, other = self._own(), self._row(self.column)
            c = float(x[own] @ x[other] + c * np.exp(x[self._diagonal(self.column)]))
        return np.delete(y, self.place), c

    def join(self, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give x (X,), and its derivatives by y (X, X - 1) and by c (X,)."""
        x, by_all, by_c = np.insert(y, self.place, c), np.eye(len(y) + 1), np.zeros(len(y) + 1)
        by_c[self.place] = 1.0
        if self.row >= 0 and self.row == self.column:
            own, at = self._own(), self.place
            ratio = x[own].copy()
            square = 1 + float((ratio**2).sum())
            x[at] = 0.5 * (c - np.log(square))
            sd = np.exp(x[at])
            x[own] = ratio * sd
            by_all[at, own] = -ratio / square
            by_all[np.ix_(own, own)] = sd * (np.eye(len(own)) - np.outer(ratio, ratio) / square)
            by_c[at], by_c[own] = 0.5, 0.5 * x[own]
        elif self.row >= 0:
            own, other, diagonal = self._own(), self._row(self.column), self._diagonal(self.column)
            sd = np.exp(x[diagonal])
            x[self.place] = (c - x[own] @ x[other]) / sd
            by_all[self.place, own], by_all[self.place, other] = -x[other] / sd, -x[own] / sd
            by_all[self.place, diagonal] = -x[self.place]
            by_c[self.place] = 1 / sd
        return x, np.delete(by_all, self.place, axis=1), by_c

    def look(self, outer: Outer, y: np.ndarray, c: float) -> HeldLook:
        """Look at the objective."""
        x, by_y, by_c = self.join(y, c)
        return HeldLook(whole=outer(x), by_y=by_y, by_c=by_c)

    def _diagonal(self, row: int) -> int:
        return self.first + row * (row + 1) // 2 + row

    def _row(self, row: int) -> np.ndarray:
        """Places of the numbers L_rk, k < column."""
        return self.first + row * (row + 1) // 2 + np.arange(self.column)

    def _own(self) -> np.ndarray:
        return self._row(self.row)


@dataclass(slots=True)
class HeldLook:
    """The objective at one place, with its slopes by what is free."""

    whole: Look
    by_y: np.ndarray
    by_c: np.ndarray

    @property
    def objective(self) -> float:
        """The objective, see `Look`."""
        return self.whole.objective

    @property
    def gradient(self) -> np.ndarray:
        """Derivatives of the objective by y, (X - 1,)."""
        return self.whole.gradient @ self.by_y

    @property
    def information(self) -> np.ndarray:
        """What half of its second derivatives may be, (X - 1, X - 1)."""
        return self.by_y.T @ self.whole.information @ self.by_y

    @property
    def slope(self) -> float:
        """Derivative of the objective by the held quantity: at the minimum over y, that of its profile."""
        return float(self.whole.gradient @ self.by_c)


def hold(quantities: Quantities, number: int) -> Held:
    """Give the way to hold one of the X quantities that a fit estimates."""
    k = len(quantities.effects.typical)
    if number < k:
        return Held(place=number)
    at = k
    for group in quantities.effects.covariance.free:
        for i in range(len(group.names)):
            for j in range(i + 1):
                place = at + i * (i + 1) // 2 + j
                if place == number:
                    return Held(place=place, first=at, row=i, column=j)
        at += group.count
    if quantities.mixture is not None and quantities.mixture.count > 1:
        raise CannotFit(
            "it cannot hold a share of a mixture of more than two classes.",
            where="Profile(parameters=...)",
            expected="Other quantities, or a mixture of two classes.",
            remedy="Name those to profile, or use bootstrap() or sir().",
        )
    return Held(place=number)
