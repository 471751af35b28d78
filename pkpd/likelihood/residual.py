"""Residual laws: how far an observation may lie from its prediction.

With prediction ``f``, an observation ``y`` is normal around ``f`` with standard deviation

=================  ==========================================  =========================
law                standard deviation                          parameters
=================  ==========================================  =========================
additive           ``add``                                     ``add``
proportional       ``prop |f|``                                ``prop``
power              ``prop |f|**power``                         ``prop``, ``power``
combined, 1        ``add + prop |f|**power``                   ``add``, ``prop`` (``power``)
combined, 2        ``sqrt(add**2 + prop**2 |f|**(2 power))``   ``add``, ``prop`` (``power``)
log-normal         ``log``, of ``log y`` around ``log f``      ``log``
=================  ==========================================  =========================

where ``power`` is 1 unless given. ``add`` has the unit of the output, ``prop`` and ``log`` have none. A record that is
a mean of ``N`` people has that SD divided by ``sqrt(N)``; a record whose SD is published with it has the published one
in place of the law's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pkpd.likelihood.discrete import Discrete
from pkpd.model import Output

__all__ = ["Law", "Residuals", "Spread", "log_density"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where observations are expected and how far they scatter, with the derivatives.

    Everything is on the scale of the law: natural, or logarithmic for a log-normal one.

    Parameters
    ----------
    mean, sd : (n,) float
        Expectation and standard deviation of each record.
    mean_f, sd_f : (n,) float
        Their derivatives with respect to the prediction.
    sd_psi : (n, R) float
        Derivatives of the SD with respect to the residual parameters.
    mean_ff : (n,) float or None
        Second derivative of the expectation with respect to the prediction; None unless asked for.
    sd_vv : (n, 1 + R, 1 + R) float or None
        Second derivatives of the SD with respect to the prediction (place 0) and the residual parameters; None unless
        asked for. Where a prediction of 0 lets the SD have none (the kink of ``|f|``, a power below 2), they are 0.
    """

    mean: np.ndarray
    sd: np.ndarray
    mean_f: np.ndarray
    sd_f: np.ndarray
    sd_psi: np.ndarray
    mean_ff: np.ndarray | None = None
    sd_vv: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The residual law of one output, with the place of each of its parameters among all residual parameters.

    Parameters
    ----------
    add, prop, power, log : int or None
        Index into the residual parameters; None if the law has no such term.
    combined : int
        1 adds standard deviations, 2 adds variances.
    discrete : Discrete or None
        The law of observations that are no measured amounts, in place of all of these.
    """

    add: int | None = None
    prop: int | None = None
    power: int | None = None
    log: int | None = None
    combined: int = 2
    discrete: Discrete | None = None

    @classmethod
    def of(cls, output: Output, places: Mapping[str, int]) -> Law:
        """Give the law of an output of a model; `places` maps ``"<output>.add"`` and so on to indices."""
        at = {term: places.get(f"{output.name}.{term}") for term in ("add", "prop", "power", "log")}
        return cls(**at, combined=output.combined, discrete=Discrete.of(output, places))

    @property
    def places(self) -> tuple[int, ...]:
        """Where its parameters are among all residual ones."""
        own = (self.add, self.prop, self.power, self.log) if self.discrete is None else self.discrete.places
        return tuple(place for place in own if place is not None)

    @property
    def follows_prediction(self) -> bool:
        """Whether the SD changes with the prediction."""
        return self.prop is not None

    @np.errstate(invalid="ignore", divide="ignore", over="ignore")  # wild trials: what is no number is refused later
    def spread(self, f: np.ndarray, psi: np.ndarray, *, second: bool = False) -> Spread:
        """Give expectation and SD for predictions `f` (n,) at residual parameters `psi` (R,) or (n, R).

        With `second`, second derivatives, too.
        """
        psi = np.broadcast_to(psi, (f.size, np.shape(psi)[-1]))
        one, zero = np.ones_like(f), np.zeros_like(f)
        sd_psi = np.zeros(psi.shape)
        straight = {"mean_ff": zero, "sd_vv": np.zeros((f.size, 1 + psi.shape[1], 1 + psi.shape[1]))} if second else {}
        if self.log is not None:
            sd_psi[:, self.log] = 1.0
            mean, mean_f = np.log(f), 1 / f
            bent = straight | {"mean_ff": -(mean_f**2)} if second else {}
            return Spread(mean=mean, sd=psi[:, self.log].copy(), mean_f=mean_f, sd_f=zero, sd_psi=sd_psi, **bent)
        add = psi[:, self.add] if self.add is not None else zero
        if self.prop is None:
            if self.add is not None:
                sd_psi[:, self.add] = 1.0
            return Spread(mean=f, sd=add.copy(), mean_f=one, sd_f=zero, sd_psi=sd_psi, **straight)
        size, power = np.abs(f), psi[:, self.power] if self.power is not None else one
        grown = size if self.power is None else size**power
        grown_f = np.sign(f) * (one if self.power is None else power * size ** (power - 1))
        grown_power = np.where(size > 0, grown * np.log(size), 0.0)
        part = psi[:, self.prop] * grown
        sd = add + part if self.add is None or self.combined == 1 else np.hypot(add, part)
        if self.add is None or self.combined == 1:
            d_add, d_part = one, one
        else:  # d sqrt(a² + b²); at a = b = 0 the slope is not defined, and an SD of 0 is refused elsewhere
            safe = np.where(sd > 0, sd, 1.0)
            d_add, d_part = add / safe, part / safe
        if self.add is not None:
            sd_psi[:, self.add] = d_add
        sd_psi[:, self.prop] = d_part * grown
        if self.power is not None:
            sd_psi[:, self.power] = d_part * psi[:, self.prop] * grown_power
        sd_f = d_part * psi[:, self.prop] * grown_f
        bent = straight | {"sd_vv": self._sd_vv(f, psi, sd)} if second else {}
        return Spread(mean=f, sd=sd, mean_f=one, sd_f=sd_f, sd_psi=sd_psi, **bent)

    def _sd_vv(self, f: np.ndarray, psi: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Give the second derivatives of an SD that follows the prediction, (n, 1 + R, 1 + R)."""
        assert self.prop is not None
        size, sign, width = np.abs(f), np.sign(f), 1 + psi.shape[1]
        at_prop, prop = 1 + self.prop, psi[:, self.prop]
        power = np.ones_like(f) if self.power is None else psi[:, self.power]
        part_v, part_vv = np.zeros((f.size, width)), np.zeros((f.size, width, width))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            grown, slope = size**power, np.where(size > 0, sign * power * size ** (power - 1), 0.0)
            part_v[:, 0], part_v[:, at_prop] = prop * slope, grown
            smooth = (size > 0) | (power >= 2)
            part_vv[:, 0, 0] = np.where(smooth, prop * power * (power - 1) * size ** (power - 2), 0.0)
            part_vv[:, 0, at_prop] = part_vv[:, at_prop, 0] = slope
            if self.power is not None:
                k, log = 1 + self.power, np.where(size > 0, np.log(size), 0.0)
                mixed = np.where(size > 0, prop * sign * size ** (power - 1) * (1 + power * log), 0.0)
                part_v[:, k] = prop * grown * log
                part_vv[:, 0, k] = part_vv[:, k, 0] = mixed
                part_vv[:, at_prop, k] = part_vv[:, k, at_prop] = grown * log
                part_vv[:, k, k] = prop * grown * log**2
            if self.add is None or self.combined == 1:
                return part_vv
            # The second derivatives of s = sqrt(a² + b²) are (b, -a) (b, -a)' / s³.
            part, safe = prop * grown, np.where(sd > 0, sd, 1.0)
            turn = -(psi[:, self.add] / safe)[:, None] * part_v
            turn[:, 1 + self.add] += part / safe
            bend = turn[:, :, None] * (turn / safe[:, None])[:, None, :]
            return (part / safe)[:, None, None] * part_vv + bend


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """The residual laws of all records together.

    Parameters
    ----------
    names : tuple of str
        The residual parameters, ``"<output>.<term>"``.
    laws : tuple of Law
        One for each output.
    output : (n,) int
        Which law a record follows.
    known : (n,) float
        SD published with the record, NaN where the law decides.
    people : (n,) float
        How many people the record is a mean of.
    """

    names: tuple[str, ...]
    laws: tuple[Law, ...]
    output: np.ndarray
    known: np.ndarray
    people: np.ndarray

    @property
    def logarithmic(self) -> np.ndarray:
        """Whether each record is compared by its logarithm, (n,) bool."""
        of_law = np.array([law.log is not None for law in self.laws], dtype=bool)
        return of_law[self.output] & np.isnan(self.known)

    @property
    def used(self) -> tuple[bool, ...]:
        """Whether each residual parameter has a record that depends on it."""
        free = [self.laws[k] for k in np.unique(self.output[np.isnan(self.known)])]
        places = {place for law in free for place in law.places}
        return tuple(place in places for place in range(len(self.names)))

    @property
    def discrete(self) -> np.ndarray:
        """Whether each record follows a law of its own kind and has no SD, (n,) bool."""
        of_law = np.array([law.discrete is not None for law in self.laws], dtype=bool)
        return of_law[self.output]

    @property
    def has_known(self) -> bool:
        """Whether any record comes with its own SD."""
        return bool(np.isfinite(self.known).any())

    @property
    def follow_prediction(self) -> bool:
        """Whether the SD of any record changes with its prediction."""
        return any(self.laws[k].follows_prediction for k in np.unique(self.output[np.isnan(self.known)]))

    def observed(self, y: np.ndarray) -> np.ndarray:
        """Give the observations on the scale of their laws, (n,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.logarithmic, np.log(y), y)

    def log_jacobian(self, y: np.ndarray) -> float:
        """Give what it adds to -2 log L to speak of densities of ``y``, not of ``log y``: twice the sum of ``log y``.

        With it, objectives of log-normal and other laws on the same data can be compared.
        """
        return 2.0 * float(np.log(y[self.logarithmic]).sum())

    def spread(self, f: np.ndarray, psi: np.ndarray, *, second: bool = False) -> Spread:
        """Give expectation and SD of every record.

        Parameters
        ----------
        f : (n,) float
            Predictions, in the unit of the observations.
        psi : (R,) or (n, R) float
            Residual parameters in the order of `names`, the same for all records or each its own.
        second : bool, optional
            Whether to give second derivatives, too.
        """
        n, r = f.size, len(self.names)
        psi = np.broadcast_to(psi, (n, r))
        mean, sd, mean_f, sd_f, sd_psi = f.copy(), self.known.copy(), np.ones(n), np.zeros(n), np.zeros((n, r))
        mean_ff, sd_vv = (np.zeros(n), np.zeros((n, 1 + r, 1 + r))) if second else (None, None)
        for law, rows, root in self._by_law:
            part = law.spread(f[rows], psi[rows], second=second)
            mean[rows], mean_f[rows] = part.mean, part.mean_f
            sd[rows], sd_f[rows], sd_psi[rows] = part.sd / root, part.sd_f / root, part.sd_psi / root[:, None]
            if mean_ff is not None and sd_vv is not None and part.mean_ff is not None and part.sd_vv is not None:
                mean_ff[rows], sd_vv[rows] = part.mean_ff, part.sd_vv / root[:, None, None]
        return Spread(mean=mean, sd=sd, mean_f=mean_f, sd_f=sd_f, sd_psi=sd_psi, mean_ff=mean_ff, sd_vv=sd_vv)

    def own(self, law: Discrete, rows: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """Give the parameters of a law of its own kind for some records, of `psi` (R,) or (n, R)."""
        every = np.broadcast_to(psi, (self.output.size, len(self.names)))
        return every[np.ix_(rows, np.array(law.places, dtype=int))]

    def moments(self, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give what is predicted for every record, and expectation and SD on the scale of its law, (n,) each.

        What is predicted for a measured amount is `f` itself; for a score, a count, ... it is its expectation.
        Student's t has the SD of its scale.
        """
        at = self.spread(f, psi)
        shown, mean, sd = f.copy(), at.mean, at.sd
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for law, rows in self.by_discrete:
                own = self.own(law, rows, psi)
                shown[rows] = mean[rows] = law.mean(f[rows], own)
                sd[rows] = law.sd(f[rows], own)
        return shown, mean, sd

    @cached_property
    def by_discrete(self) -> list[tuple[Discrete, np.ndarray]]:
        """Each law of its own kind with its records."""
        found = [(law.discrete, np.flatnonzero(self.output == k)) for k, law in enumerate(self.laws) if law.discrete]
        return [(law, rows) for law, rows in found if rows.size]

    @cached_property
    def _by_law(self) -> list[tuple[Law, np.ndarray, np.ndarray]]:
        """Each law with the records whose SD it decides, and the roots of how many people they are means of."""
        each = [np.flatnonzero((self.output == k) & np.isnan(self.known)) for k in range(len(self.laws))]
        return [(law, rows, np.sqrt(self.people[rows])) for law, rows in zip(self.laws, each, strict=True) if rows.size]

    def subset(self, rows: np.ndarray | Sequence[int]) -> Residuals:
        """Give the laws of some of the records."""
        return Residuals(
            names=self.names,
            laws=self.laws,
            output=self.output[rows],
            known=self.known[rows],
            people=self.people[rows],
        )


def log_density(observed: np.ndarray, spread: Spread) -> np.ndarray:
    """Give the log density of every record on the scale of its law, without the constant ``-log(2 pi) / 2``, (n,)."""
    return -0.5 * ((observed - spread.mean) / spread.sd) ** 2 - np.log(spread.sd)
