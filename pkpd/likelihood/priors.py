"""What was known of typical values and Omega before the data, as a term of the objective.

The term is -2 log of a density, counted from its highest value: it is 0 where every quantity stands at the mode of its
prior, and positive elsewhere.

- A typical value or residual parameter is normal on its estimation scale z, with mean c and SD s: ((z - c) / s)^2.
- A block of Omega, m by m, is inverse Wishart with df degrees of freedom and the mode M, that is with the scale matrix
  (df + m + 1) M. Its density is proportional to |Omega|^(-(df + m + 1) / 2) exp(-(df + m + 1) tr(M Omega^-1) / 2), so
  the term is (df + m + 1) (log |Omega| - log |M| + tr(M Omega^-1) - m).

The density is that of the variances and covariances themselves. The numbers by which a search describes Omega bring no
Jacobian, so that the maximum does not depend on them.

Gisleskog PO, Karlsson MO, Beal SL. Use of prior information to stabilize a population data analysis. Journal of
Pharmacokinetics and Pharmacodynamics 2002;29:473-505. doi:10.1023/A:1022972420004
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pkpd.likelihood.effects import Effects

if TYPE_CHECKING:
    from pkpd.model import Model

__all__ = ["OfGroup", "Priors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfGroup:
    """The prior of one group of random effects, m by m.

    Parameters
    ----------
    group : int
        Among the groups of Omega.
    first : int
        Where its numbers begin among the outer parameters.
    mode : (m, m) float
    weight : float
        df + m + 1.
    """

    group: int
    first: int
    mode: np.ndarray
    weight: float

    @property
    def places(self) -> np.ndarray:
        """Of its numbers among the outer parameters."""
        m = len(self.mode)
        return self.first + np.arange(m * (m + 1) // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """The priors of a model as functions of the X outer parameters: K typical values, then the numbers of Omega.

    Parameters
    ----------
    names : tuple of str
        What has a prior that counts, by its names in a table of estimates.
    held : tuple of str
        What has a prior that says nothing, as it is not estimated.
    centre, precision : (K,) float
        Means and 1 / SD^2 of the normal priors; a precision of 0 is none.
    groups : tuple of OfGroup
    """

    names: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    centre: np.ndarray = field(default_factory=lambda: np.zeros(0))
    precision: np.ndarray = field(default_factory=lambda: np.zeros(0))
    groups: tuple[OfGroup, ...] = ()

    @classmethod
    def of(cls, model: Model, effects: Effects) -> Priors:
        """Give the priors of a model on what its effects leave free."""
        k = len(effects.typical)
        centre, precision = np.zeros(k), np.zeros(k)
        names, held, groups = [], [], []
        rows = {p.name: p for p in effects.parameters}
        for name, prior in model.priors.items():
            if prior.of_variance:
                found = _group(effects, name.split(".", 1)[0], prior.members)
                if found is None:
                    held.append(name)
                    continue
                g, first, order = found
                m = len(order)
                assert prior.df is not None
                mode = prior.matrix()[np.ix_(order, order)]
                groups.append(OfGroup(group=g, first=k + first, mode=mode, weight=prior.df + m + 1))
                own = effects.covariance.groups[g]
                for i, row in enumerate(own.names):
                    names += [f"{own.kind}.{row}" + ("" if i == j else f",{own.names[j]}") for j in range(i + 1)]
            elif name in effects.typical:
                place = effects.typical.index(name)
                assert prior.sd is not None
                centre[place], precision[place] = rows[name].forward(prior.value), prior.sd**-2
                names.append(name)
            else:
                held.append(name)
        return cls(names=tuple(names), held=tuple(held), centre=centre, precision=precision, groups=tuple(groups))

    @property
    def weight_of_group(self) -> dict[int, OfGroup]:
        """The priors of groups by the group's place among those of Omega."""
        return {one.group: one for one in self.groups}

    def value(self, x: np.ndarray) -> float:
        """Give -2 log density at outer parameters `x` (X,), 0 at the modes."""
        k = len(self.centre)
        total = float(self.precision @ (x[:k] - self.centre) ** 2)
        for one in self.groups:
            factor, _, scaled = _factors(one, x)
            known = np.linalg.slogdet(one.mode)[1]
            m = len(factor)
            with np.errstate(over="ignore"):
                total += one.weight * float(2 * np.log(np.diagonal(factor)).sum() - known + (scaled**2).sum() - m)
        return total

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Give its derivatives, (X,)."""
        k = len(self.centre)
        found = np.zeros(len(x))
        found[:k] = 2 * self.precision * (x[:k] - self.centre)
        for one in self.groups:
            (moved, logs), (_, _, scaled) = _moved(one, x), _factors(one, x)
            found[one.places] = one.weight * (2 * logs + 2 * np.einsum("ij,qij->q", scaled, moved @ scaled))
        return found

    def information(self, x: np.ndarray) -> np.ndarray:
        """Give what they know, (X, X), half of the second derivatives at their modes.

        Of a group it is the information of df + m + 1 people whose random effects were seen and have the covariance
        matrix Omega: a sum of squares, whose meaning does not depend on the numbers that describe Omega.
        """
        k = len(self.centre)
        found = np.zeros((len(x), len(x)))
        found[np.arange(k), np.arange(k)] = self.precision
        for one in self.groups:
            moved, _ = _moved(one, x)
            both = moved + np.swapaxes(moved, 1, 2)
            found[np.ix_(one.places, one.places)] = 0.5 * one.weight * np.einsum("pij,qij->pq", both, both)
        return found


def _group(effects: Effects, kind: str, members: tuple[str, ...]) -> tuple[int, int, list[int]] | None:
    """Which free group a prior is on, where its numbers begin, and where its rows stand in the prior."""
    first = 0
    for g, group in enumerate(effects.covariance.groups):
        if group.kind == kind and set(group.names) == set(members):
            return None if group.fixed else (g, first, [members.index(name) for name in group.names])
        first += 0 if group.fixed else group.count
    return None


def _factors(one: OfGroup, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Cholesky factor L of Omega, its inverse, and L^-1 C, where C C' is the mode."""
    m = len(one.mode)
    factor = np.zeros((m, m))
    factor[np.tril_indices(m)] = x[one.places]
    diagonal = np.diag_indices(m)
    factor[diagonal] = np.exp(np.clip(factor[diagonal], -300.0, 300.0))
    inverse = np.linalg.inv(factor)
    with np.errstate(over="ignore"):
        return factor, inverse, inverse @ np.linalg.cholesky(one.mode)


def _moved(one: OfGroup, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each number does to L^-1: d(L^-1) = `moved` L^-1, (Q, m, m); and which are logarithms, (Q,)."""
    factor, inverse, _ = _factors(one, x)
    rows, columns = np.tril_indices(len(factor))
    logs = rows == columns
    slopes = np.zeros((len(rows), *factor.shape))
    slopes[np.arange(len(rows)), rows, columns] = np.where(logs, factor[rows, columns], 1.0)
    return -inverse @ slopes, logs.astype(float)
