"""The quantities of a population fit in the words of its table: typical values, residual parameters, variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.likelihood.effects import Effects
from pkpd.likelihood.population import Mixture, Population
from pkpd.model import Parameter

__all__ = ["Quantities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """From the outer parameters x of a search to the N quantities of its table, natural, with their derivatives.

    Variances stand on the estimation scale of the table as logarithms, covariances as they are.

    Parameters
    ----------
    effects : Effects
    coordinates : Coordinates
        N quantities: the model's parameters, the residual ones, the elements of Omega, fixed ones included, then the
        shares of a mixture but the last.
    mixture : Mixture, optional
    """

    effects: Effects
    coordinates: Coordinates
    mixture: Mixture | None = None

    @classmethod
    def of(cls, population: Population) -> Quantities:
        """Give the quantities of a population."""
        effects, mixture = population.effects, population.mixture
        rows = list(effects.parameters)
        free = [p.name in effects.typical for p in rows]
        named = {name for group in effects.covariance.groups for name in group.names}
        labels = {name: f"the logarithm of the residual SD of {name}" for name in named}
        labels |= {p.name: p.label or p.name for p in rows}
        units = {p.name: p.unit if p.transform == "none" else "1" for p in rows}
        for group in effects.covariance.groups:
            for i, row in enumerate(group.names):
                for j, column in enumerate(group.names[: i + 1]):
                    what = "between people" if group.kind == "iiv" else "between occasions"
                    name = f"{group.kind}.{row}" if i == j else f"{group.kind}.{row},{column}"
                    label = f"variance of {labels[row]}" if i == j else f"covariance of {labels[row]} and {column}"
                    transform = "log" if i == j else "none"
                    value = float(group.start[i, j])
                    unit = _product(units.get(row, "1"), units.get(column, "1"))
                    rows.append(
                        Parameter(name=name, typical=value, unit=unit, transform=transform, label=f"{label} {what}")
                    )
                    free.append(not group.fixed)
        if mixture is not None:
            for name, share in zip(mixture.names, mixture.shares(mixture.start)[:-1], strict=False):
                rows.append(Parameter(name=f"share.{name}", typical=float(share), transform="logit", lower=0, upper=1,
                                      label=f"share of the class {name}"))  # fmt: skip
                free.append(True)
        return cls(
            effects=effects,
            mixture=mixture,
            coordinates=Coordinates(parameters=tuple(rows), count=effects.count, free=np.array(free, dtype=bool)),
        )

    def natural(self, x: np.ndarray) -> np.ndarray:
        """Give the N natural values at outer parameters `x` (X,)."""
        values = self.coordinates.initial
        free = np.flatnonzero(self.coordinates.free)
        k = len(self.effects.typical)
        for place, z in zip(free[:k], x[:k], strict=True):
            values[place] = self.coordinates.parameters[place].inverse(z)
        end = k + self._of_omega
        values[free[k:end]] = self.effects.covariance.natural(x[k:end])
        if self.mixture is not None:
            values[free[end:]] = self.mixture.shares(x[end:])[:-1]
        return values

    def outer(self, values: np.ndarray) -> np.ndarray:
        """Give the outer parameters (X,) at N natural values: the inverse of `natural`."""
        k, free = len(self.effects.typical), np.flatnonzero(self.coordinates.free)
        typical, end = self.coordinates.forward(values)[free[:k]], k + self._of_omega
        shares = values[free[end:]]
        ratios = np.log(shares / (1 - shares.sum()))
        return np.concatenate([typical, self.effects.covariance.numbers(values[free[k:end]]), ratios])

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Give the derivatives of the N quantities, on the estimation scale of the table, by the X of the search."""
        k, free = len(self.effects.typical), np.flatnonzero(self.coordinates.free)
        found = np.zeros((len(self.coordinates.parameters), len(x)))
        found[free[:k], np.arange(k)] = 1.0
        omega, end = self.effects.covariance, k + self._of_omega
        natural, slopes = omega.natural(x[k:end]), omega.natural_slopes(x[k:end])
        logs = np.array([self.coordinates.parameters[place].transform == "log" for place in free[k:end]], dtype=bool)
        found[np.ix_(free[k:end], np.arange(k, end))] = slopes / np.where(logs, natural, 1.0)[:, None]
        if self.mixture is not None:  # d logit(share) by the logarithms of the ratios
            shares = self.mixture.shares(x[end:])[:-1]
            found[np.ix_(free[end:], np.arange(end, len(x)))] = (np.eye(len(shares)) - shares) / (1 - shares)[:, None]
        return found

    def size(self, x: np.ndarray) -> np.ndarray:
        """Say what counts as a change by 1 of each of the X outer parameters near x: the size of a plain value."""
        k, free = len(self.effects.typical), np.flatnonzero(self.coordinates.free)
        z = self.coordinates.forward(self.coordinates.initial)
        z[free[:k]] = x[:k]
        return np.concatenate([self.coordinates.size(z)[free[:k]], np.ones(len(x) - k)])

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the bounds of the X outer parameters; those of Omega and of shares have none."""
        k, free = len(self.effects.typical), np.flatnonzero(self.coordinates.free)
        beyond = np.full(len(free) - k, np.inf)
        lower, upper = (limit[free[:k]] for limit in self.coordinates.limits())
        return np.concatenate([lower, -beyond]), np.concatenate([upper, beyond])

    @property
    def _of_omega(self) -> int:
        """How many of the outer parameters describe Omega."""
        return len(self.effects.covariance.start)


def _product(first: str, second: str) -> str:
    """Give the unit of a variance or covariance; random effects on a transformed scale have none."""
    shown = [unit if unit.isalpha() else f"({unit})" for unit in (first, second) if unit != "1"]
    if len(shown) == 2 and first == second:
        return f"{shown[0]}^2"
    return "*".join(shown) or "1"
