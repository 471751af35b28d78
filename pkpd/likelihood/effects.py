"""How people differ: the random effects of a subject, and the quantities on which they act.

The *arguments* of a subject are W numbers on which the density of its records depends: its parameters on their
transformed scale, what an occasion adds to them, and its residual parameters (the logarithms of standard deviations).
They follow in straight lines from the typical values z, which all subjects share, and the subject's random effects b:

    w = base + z @ to_typical.T + b @ to_effect.T

so that derivatives with respect to z and to b are columns of those with respect to w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from pkpd.likelihood.variance import Covariance, Group
from pkpd.model import Model, Parameter

__all__ = ["Effects"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The random effects of a model, its typical values, and what both act on.

    K counts the typical values that move, d the random effects of a subject, W the arguments: U of the engine, then
    those of the residual error.

    Parameters
    ----------
    parameters : tuple of Parameter
        Of the model (P), then of the residual error (R).
    count : int
        P.
    engine : tuple of str
        The U parameters of the engine among the arguments.
    typical : tuple of str
        K names of what moves for all.
    names : tuple of str
        d names of random effects: ``"cl"``, ``"cp"`` for that on the SDs of an output, and ``"cl@2"`` for the second
        occasion.
    base : (W,) float
        Arguments where z and b are 0: those of parameters that do not move.
    to_typical : (W, K) float
    to_effect : (W, d) float
        Zeros and ones.
    start : (K,) float
        Typical values before the fit, transformed.
    covariance : Covariance
        Omega.
    """

    parameters: tuple[Parameter, ...]
    count: int
    engine: tuple[str, ...]
    typical: tuple[str, ...]
    names: tuple[str, ...]
    base: np.ndarray
    to_typical: np.ndarray
    to_effect: np.ndarray
    start: np.ndarray
    covariance: Covariance

    @classmethod
    def of(cls, model: Model, residual: Sequence[Parameter], used: Sequence[bool], occasions: int = 0) -> Effects:
        """Give the effects of a model.

        Parameters
        ----------
        model : Model
        residual : sequence of Parameter
            Its residual parameters, those that a fit shall hold fixed.
        used : sequence of bool
            Whether any record depends on each of them.
        occasions : int
            How many occasions a subject may have.
        """
        own = tuple(model.parameters.values())
        every = own + tuple(residual)
        moves = [not p.fixed for p in own] + [not p.fixed and u for p, u in zip(residual, used, strict=True)]
        between = [p.name for p in own if p.iiv > 0]
        within = [p.name for p in own if p.iov > 0]
        # One effect on the logarithms of all SDs of an output.
        scales = {
            name: [k for k, p in enumerate(residual) if p.name in output.scale_names]
            for name, output in model.outputs.items()
            if output.iiv > 0
        }
        blocked = {name for block in model.blocks if block.kind == "iiv" for name in block.parameters}
        between += [name for name, places in scales.items() if name in blocked or any(used[k] for k in places)]
        names = between + [f"{name}@{m + 1}" for m in range(occasions) for name in within]
        of_engine = [p.name for p, free in zip(own, moves, strict=False) if free or p.iiv > 0]
        arguments = [*of_engine, *names[len(between) :]]
        engine = tuple(arguments)
        arguments += [p.name for p in residual]
        at = {name: i for i, name in enumerate(arguments)}
        base, typical, start = np.zeros(len(arguments)), [], []
        to_typical = np.zeros((len(arguments), sum(moves)))
        for p, free in zip(every, moves, strict=True):
            if free:
                to_typical[at[p.name], len(typical)] = 1.0
                typical.append(p.name)
                start.append(float(p.forward(p.typical)))
            elif p.name in at:
                base[at[p.name]] = p.forward(p.typical)
        to_effect = np.zeros((len(arguments), len(names)))
        for i, name in enumerate(names):
            rows = [at[residual[k].name] for k in scales[name]] if name in scales and name in between else [at[name]]
            to_effect[rows, i] = 1.0
        return cls(
            parameters=every,
            count=len(own),
            engine=engine,
            typical=tuple(typical),
            names=tuple(names),
            base=base,
            to_typical=to_typical,
            to_effect=to_effect,
            start=np.array(start),
            covariance=Covariance(groups=_groups(model, between, within, occasions), size=len(names)),
        )

    def arguments(self, z: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Give the arguments, (S, W), at typical values `z` (K,) and random effects `b` (S, d)."""
        return self.base + self.to_typical @ z + b @ self.to_effect.T

    def natural(self, w: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give values of the engine's parameters, and the slopes of those among the arguments.

        Parameters
        ----------
        w : (S, W) float
        names : sequence of str
            The engine's parameters.

        Returns
        -------
        values : (S, len(names)) float
            Natural; NaN where that overflows.
        slopes : (S, U) float
            Derivatives of those among the arguments with respect to their argument.
        """
        by_name = {p.name: p for p in self.parameters}
        values, slopes = np.empty((len(w), len(names))), np.ones((len(w), len(self.engine)))
        at = {name: i for i, name in enumerate(self.engine)}
        with np.errstate(over="ignore"):  # a wild trial step
            for j, name in enumerate(names):
                if name not in at:
                    values[:, j] = by_name[name].typical
                elif name in by_name:
                    values[:, j] = by_name[name].inverse(w[:, at[name]])
                    slopes[:, at[name]] = by_name[name].d_inverse(w[:, at[name]])
                else:  # what an occasion adds
                    values[:, j] = w[:, at[name]]
        # What overflows is no value, though a prediction may have a limit there; nor has it a slope.
        values[np.isinf(values)], slopes[np.isinf(slopes)] = np.nan, np.nan
        return values, slopes

    def residual(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give residual parameters, their slopes and second derivatives, each (S, R), at arguments `w` (S, W)."""
        own, laws = w[:, len(self.engine) :], self.parameters[self.count :]
        plain, share = (np.array([p.transform == name for p in laws], dtype=bool) for name in ("none", "logit"))
        with np.errstate(over="ignore"):
            grown, part = np.exp(own), special.expit(own)
        slope, kinds = part * special.expit(-own), [plain, share]
        return (
            np.select(kinds, [own, part], grown),
            np.select(kinds, [np.ones_like(own), slope], grown),
            np.select(kinds, [np.zeros_like(own), slope * (1 - 2 * part)], grown),
        )


def _groups(model: Model, between: list[str], within: list[str], occasions: int) -> tuple[Group, ...]:
    """The blocks of Omega."""
    rows = {**model.outputs, **model.parameters}
    d = len(between)
    # Where the effect on each stands: one place between people, one for each occasion.
    people = {name: [i] for i, name in enumerate(between)}
    each = {name: [d + m * len(within) + k for m in range(occasions)] for k, name in enumerate(within)}
    found: list[Group] = []
    for kind, places in (("iiv", people), ("iov", each)):
        blocks = {name: block for block in model.blocks if block.kind == kind for name in block.parameters}
        done: set[str] = set()
        for name in places:
            if name in done:
                continue
            block = blocks.get(name)
            members = block.parameters if block else (name,)
            start = block.matrix() if block else np.array([[getattr(rows[name], kind)]])
            fixed = block.fixed if block else getattr(rows[name], f"fixed_{kind}")
            at = np.array([places[member] for member in members], dtype=int).T
            found.append(Group(names=tuple(members), start=start, places=at, fixed=fixed, kind=kind))
            done.update(members)
    return tuple(found)
