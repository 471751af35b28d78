"""The log density of every record with its derivatives, whatever its residual law and however it is censored.

A record's density depends on v = (f, psi_1 ... psi_R): its prediction and the residual parameters. Its residual law
makes of them the location m(v) and the scale g(v) (:mod:`pkpd.likelihood.residual`); around them the record is normal,
or scatters as Student's t with that scale (its SD is then ``g sqrt(df / (df - 2))``). Locations, scales and limits are
on the scale of the law: of ``log y`` for a log-normal one. The density is that of ``y`` itself, so that objectives of
log-normal and other laws on the same data can be compared.

======  ================================================================================================================
method  records below or above a limit of quantification (Beal, J Pharmacokinet Pharmacodyn 2001;28:481)
======  ================================================================================================================
M1      are left out
M2      are left out, and all others have the density given that they lie within the limits
M3      have the probability of lying beyond the limit, or between two limits
M4      as M3, and everything is given that y > 0 (Bergstrand and Karlsson, AAPS J 2009;11:371)
======  ================================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from pkpd.errors import MismatchError
from pkpd.likelihood.censoring import (
    Jet,
    interval_information,
    log_interval,
    log_point,
    ranged_information,
)
from pkpd.likelihood.observations import Observations
from pkpd.likelihood.residual import Residuals, Spread
from pkpd.likelihood.standard import Normal, StandardLaw, Student
from pkpd.likelihood.terms import Terms, chain, fill

__all__ = ["CensoringMethod", "Density", "Terms"]

CensoringMethod = Literal["M1", "M2", "M3", "M4"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """The density of every record of a problem. Made by :meth:`Density.of`.

    Parameters
    ----------
    residuals : Residuals
        The residual laws of the n records.
    around : tuple of StandardLaw
        How each output scatters around its location.
    method : "M1", "M2", "M3" or "M4"
        What becomes of censored records.
    observed : (n,) float
        The records on the scale of their laws.
    lower, upper : (n,) float
        Ends of the interval in which a censored record lies, on the scale of its law.
    floor, ceiling : (n,) float
        The range in which the record is given to lie, on the scale of its law; -inf and inf for none.
    censored, left_out : (n,) bool
        Which records are known by an interval; which do not count.
    """

    residuals: Residuals
    around: tuple[StandardLaw, ...]
    method: CensoringMethod
    observed: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray
    censored: np.ndarray
    left_out: np.ndarray

    @classmethod
    def of(
        cls,
        observations: Observations,
        residuals: Residuals,
        *,
        method: CensoringMethod = "M3",
        df: float | Sequence[float | None] | None = None,
    ) -> Density:
        """Give the densities of the records of a problem.

        Parameters
        ----------
        observations, residuals
            Of the n records.
        method : "M1", "M2", "M3" or "M4"
        df : float or sequence of float or None, optional
            Degrees of freedom of Student's t, for all outputs or each; None for the normal law.

        Raises
        ------
        MismatchError
            There is no such method or no such t; or M2 is asked for and the limit of some record is not known.
        """
        if method not in get_args(CensoringMethod):
            raise MismatchError(
                f"there is no method `{method}` for censored records.",
                where=observations.origin,
                expected=f"One of {', '.join(get_args(CensoringMethod))}.",
                remedy="M3 uses all that censored records say.",
            )
        n, outputs = observations.dv.size, len(residuals.laws)
        floor, ceiling = np.full(n, -np.inf), np.full(n, np.inf)
        if method == "M2":
            floor = _limits(observations, observations.lloq, observations.upper, below=True)
            ceiling = _limits(observations, observations.uloq, observations.lower, below=False)
        elif method == "M4":
            floor[np.isnan(observations.ref)] = 0.0  # a change in percent may be negative
        lower, upper, floor, ceiling = (
            _on_scale(residuals.logarithmic, limit)
            for limit in (observations.lower, observations.upper, floor, ceiling)
        )
        given = [df] * outputs if df is None or isinstance(df, (int, float)) else list(df)
        return cls(
            residuals=residuals,
            around=tuple(_around(observations, value) for value in given),
            method=method,
            observed=residuals.observed(observations.dv),
            lower=np.maximum(lower, floor),
            upper=np.minimum(upper, ceiling),
            floor=floor,
            ceiling=ceiling,
            censored=observations.censored,
            left_out=observations.censored & (method in ("M1", "M2")) & ~residuals.discrete,
        )

    def __len__(self) -> int:
        return self.observed.size

    @property
    def points(self) -> np.ndarray:
        """Which records have a density, not a probability: those that lack the constant, (n,) bool."""
        return ~self.censored & ~self.residuals.discrete

    @property
    def follows(self) -> np.ndarray:
        """Which records have an SD that changes with the prediction, (n,) bool."""
        of_law = np.array([law.follows_prediction for law in self.residuals.laws], dtype=bool)
        return of_law[self.residuals.output] & np.isnan(self.residuals.known)

    def with_known(self, sd: np.ndarray) -> Density:
        """Give the same where SDs that follow the prediction are held at `sd` (n,)."""
        known = np.where(self.follows, sd, self.residuals.known)
        return replace(self, residuals=replace(self.residuals, known=known))

    @cached_property
    def log_jacobian(self) -> np.ndarray:
        """Logarithm of what turns a density of ``log y`` into one of ``y``, (n,): 0 where it is no density."""
        return np.where(self.points & ~self.left_out & self.residuals.logarithmic, -self.observed, 0.0)

    def subset(self, rows: np.ndarray | Sequence[int]) -> Density:
        """Give the densities of some of the records."""
        columns = ("observed", "lower", "upper", "floor", "ceiling", "censored", "left_out")
        return replace(
            self, residuals=self.residuals.subset(rows), **{name: getattr(self, name)[rows] for name in columns}
        )

    def terms(self, f: np.ndarray, psi: np.ndarray, *, order: Literal[0, 1, 2, 3] = 0) -> Terms:
        """Give the log density of every record.

        Parameters
        ----------
        f : (n,) float
            Predictions, in the unit of the observations.
        psi : (R,) or (n, R) float
            Residual parameters, the same for all records or each its own.
        order : int, optional
            0 gives values; 1 gradients, too; 2 Hessians and information; 3 the derivatives of the information.
        """
        at = self.residuals.spread(f, psi, second=order >= 2)
        counted = ~self.left_out
        sound = counted & np.isfinite(at.mean) & np.isfinite(at.sd) & (at.sd > 0) & ~self.residuals.discrete
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            jet, info, dinfo = self._by_location_and_scale(at, sound, order)
            jet.value[:] += self.log_jacobian
            terms = chain(at, jet, info, dinfo, order)
            for law, rows in self.residuals.by_discrete:
                fill(terms, law, rows, law.jets(self.observed[rows], f[rows], self.residuals.own(law, rows, psi)))
            sound |= self.residuals.discrete
            sound &= np.isfinite(terms.value)
            terms.value[counted & ~sound] = -np.inf
        for change in (terms.v, terms.vv, terms.info, terms.dinfo):
            if change is not None:
                change[counted & ~sound] = np.nan
                change[~counted] = 0.0
        return terms

    def draw(self, f: np.ndarray, psi: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Give the observations of which a share `u` is no more, before anything is censored; NaN where none exists.

        Parameters
        ----------
        f, psi
            As for :meth:`terms`.
        u : (n,) float
            Between 0 and 1; uniform ones make draws.

        Returns
        -------
        (n,) float
            In the units of the outputs.
        """
        z = np.empty(len(self))
        for k, law in enumerate(self.around):
            rows = np.flatnonzero(self.residuals.output == k)
            z[rows] = law.quantile(u[rows])
        at = self.residuals.spread(f, psi)
        with np.errstate(invalid="ignore", over="ignore"):
            drawn = at.mean + np.where(at.sd > 0, at.sd, np.nan) * z
            y = np.where(np.isfinite(at.mean), np.where(self.residuals.logarithmic, np.exp(drawn), drawn), np.nan)
        for law, rows in self.residuals.by_discrete:
            y[rows] = law.quantile(u[rows], f[rows], self.residuals.own(law, rows, psi)) if law.draws else np.nan
        return y

    def cdf(self, y: np.ndarray, f: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the probabilities that an observation, before anything is censored, is less than `y`, and at most `y`.

        They differ where an observation is no measured amount.

        Parameters
        ----------
        y : (n,) float
            On the natural scale, in the unit of the observations.
        f, psi
            As for :meth:`terms`.

        Returns
        -------
        less, at_most : (n,) float
        """
        at = self.residuals.spread(f, psi)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = (_on_scale(self.residuals.logarithmic, y) - at.mean) / np.where(at.sd > 0, at.sd, np.nan)
        upto = np.full(len(self), np.nan)
        for k, law in enumerate(self.around):
            rows = np.flatnonzero((self.residuals.output == k) & np.isfinite(at.mean))
            upto[rows] = law.cdf(z[rows])
        less = upto.copy()
        for law, rows in self.residuals.by_discrete:
            less[rows], upto[rows] = law.cdf(y[rows], f[rows], self.residuals.own(law, rows, psi))
        return less, upto

    @cached_property
    def _by_law(self) -> list[tuple[StandardLaw, bool, np.ndarray]]:
        """Each law, seen and censored, with the records that follow it and may have a density, (n,) bool."""
        possible = np.where(
            self.censored, self.lower < self.upper, (self.observed >= self.floor) & (self.observed <= self.ceiling)
        )
        found = []
        for law in dict.fromkeys(self.around):
            same = np.array([mine == law for mine in self.around], dtype=bool)[self.residuals.output]
            for censored in (False, True):
                own = possible & same & (self.censored == censored)
                found += [(law, censored, own)] if own.any() else []
        return found

    def _by_location_and_scale(
        self, at: Spread, sound: np.ndarray, order: int
    ) -> tuple[Jet, np.ndarray | None, np.ndarray | None]:
        """Give the log densities and the information by location and scale; NaN where there is none."""
        n = len(self)
        value = np.where(self.left_out, 0.0, np.nan)
        d1 = np.full((n, 2), np.nan) if order > 0 else None
        d2, info = (np.full((n, 2, 2), np.nan) for _ in range(2)) if order > 1 else (None, None)
        dinfo = np.full((n, 2, 2, 2), np.nan) if order > 2 else None
        for law, censored, own in self._by_law:
            rows = np.flatnonzero(sound & own)
            if not rows.size:
                continue
            jet, about, change = self._records(law, rows, at.mean[rows], at.sd[rows], order, censored=censored)
            value[rows] = jet.value
            for whole, part in ((d1, jet.d1), (d2, jet.d2), (info, about), (dinfo, change)):
                if whole is not None and part is not None:
                    whole[rows] = part
        return Jet(value=value, d1=d1, d2=d2), info, dinfo

    def _records(
        self, law: StandardLaw, rows: np.ndarray, m: np.ndarray, g: np.ndarray, order: int, *, censored: bool
    ) -> tuple[Jet, np.ndarray | None, np.ndarray | None]:
        """Give the same for records that are all seen, or all known by intervals, and follow one law."""
        if censored:
            jet = log_interval(law, self.lower[rows], self.upper[rows], m, g, order)
        else:
            jet = log_point(law, self.observed[rows], m, g, min(order, 2))
        floor, ceiling = self.floor[rows], self.ceiling[rows]
        ranged = np.flatnonzero(np.isfinite(floor) | np.isfinite(ceiling))
        given = floor[ranged], ceiling[ranged], m[ranged], g[ranged]
        condition = log_interval(law, *given, order) if ranged.size else None
        jet = jet.minus(condition, ranged) if condition is not None else jet
        if order < 2:
            return jet, None, None
        if censored:
            return jet, *interval_information(jet, g, order)
        location, scale = law.information
        each = np.array([[location, 0.0], [0.0, scale]])
        info = each / (g**2)[:, None, None]
        dinfo = None
        if order > 2:
            dinfo = np.zeros((g.size, 2, 2, 2))
            dinfo[..., 1] = -2 * each / (g**3)[:, None, None]
        if condition is not None:
            info[ranged], change = ranged_information(law, *given, order, condition)
            if dinfo is not None and change is not None:
                dinfo[ranged] = change
        return jet, info, dinfo


def _on_scale(logarithmic: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give values on the scale of their laws; below everything where a logarithm does not exist."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(logarithmic, np.where(y <= 0, -np.inf, np.log(y)), y)


def _around(observations: Observations, df: float | None) -> StandardLaw:
    if df is None or df == np.inf:
        return Normal()
    if not df > 0:
        raise MismatchError(
            f"the degrees of freedom are {df:g}.",
            where=observations.origin,
            expected="Above 0; an SD exists above 2.",
            remedy="Leave them out for the normal law.",
        )
    return Student(float(df))


def _limits(seen: Observations, own: np.ndarray, ends: np.ndarray, *, below: bool) -> np.ndarray:
    """Give the limit below (or above) which each record would have been left out, (n,).

    It is LLOQ (ULOQ); a record for which the data say none takes the limit at which others of its output were censored,
    if it is one. A ULOQ counts only where records above it were left out: samples above it are diluted, as a rule.
    """
    open_end = -np.inf if below else np.inf
    found = own.copy() if below else np.full(own.size, np.inf)
    beyond = seen.censored & (np.isneginf(seen.lower) if below else np.isposinf(seen.upper))
    for k in np.unique(seen.output):
        of_output = seen.output == k
        limits = np.unique(ends[of_output & beyond])
        if limits.size and not below:
            found[of_output] = own[of_output]
        missing = of_output & np.isnan(found)
        if limits.size > 1 and (missing & ~seen.censored).any():
            raise MismatchError(
                f"M2 needs the limit of every record, and records were censored at {limits.size} limits.",
                where=seen.where(int(np.flatnonzero(missing & ~seen.censored)[0])),
                expected="The limit of quantification of each record, also of those that were seen.",
                remedy=f"Write it in {'LLOQ' if below else 'ULOQ'}, or use M3.",
            )
        found[missing] = limits[0] if limits.size else open_end
    return found
