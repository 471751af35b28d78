"""The densities of records written out once more, with as many digits as wanted, and records to try them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath as mp
import numpy as np

from pkpd.likelihood import Density, Law, Observations, Residuals
from pkpd.likelihood.observations import between
from pkpd.likelihood.standard import Student
from pkpd.model import Output

LAWS = {
    "additive": Output(name="y", add=0.3),
    "proportional": Output(name="y", prop=0.2),
    "power": Output(name="y", prop=0.2, power=0.7),
    "combined 1": Output(name="y", add=0.3, prop=0.2, combined=1),
    "combined 2": Output(name="y", add=0.3, prop=0.2),
    "combined 1, power": Output(name="y", add=0.3, prop=0.2, power=0.7, combined=1),
    "combined 2, power": Output(name="y", add=0.3, prop=0.2, power=1.4),
    "log-normal": Output(name="y", log=0.25),
}


def density(outputs: Output | Sequence[Output], *, dv: np.ndarray, cens: np.ndarray, method, df=None, **columns):
    """Give the density of records and the residual parameters of their outputs."""
    outputs = [outputs] if isinstance(outputs, Output) else list(outputs)
    n = dv.size
    values = {name: value for output in outputs for name, value in output.residual_values.items()}
    places = {name: k for k, name in enumerate(values)}
    nothing = np.full(n, np.nan)
    lloq, uloq = columns.get("lloq", nothing), columns.get("uloq", nothing)
    lower, upper = between(cens, dv, lloq, uloq)
    seen = Observations(
        origin="test", people=("1",), subject=np.zeros(n, dtype=int), time=np.arange(float(n)), dv=dv,
        output=columns.get("output", np.zeros(n, dtype=int)), count=columns.get("count", np.ones(n)),
        error=columns.get("error", nothing), ref=columns.get("ref", nothing), censored=cens != 0,
        lower=lower, upper=upper, lloq=lloq, uloq=uloq, row=np.full(n, -1), labels={},
    )  # fmt: skip
    residuals = Residuals(
        names=tuple(places), laws=tuple(Law.of(output, places) for output in outputs), output=seen.output,
        known=seen.error, people=seen.count,
    )  # fmt: skip
    return Density.of(seen, residuals, method=method, df=df), np.array(list(values.values()))


def exact(about: Density, k: int, f: float, psi: np.ndarray, digits: int = 60) -> tuple[float, np.ndarray, np.ndarray]:
    """Give value, gradient and Hessian of record k by differences with 60 digits, or more."""
    with mp.workdps(digits):
        log_density, at = reference(about, k), tuple(mp.mpf(float(x)) for x in (f, *psi))
        size = len(at)

        def flat(*v):
            return log_density(v[0], v[1:])

        def by(*places: int) -> float:
            return float(mp.diff(flat, at, tuple(places.count(i) for i in range(size)), h=mp.mpf(10) ** -14))

        hessian = np.zeros((size, size))
        for i in range(size):
            for j in range(i, size):
                hessian[i, j] = hessian[j, i] = by(i, j)
        return float(flat(*at)), np.array([by(i) for i in range(size)]), hessian


def reference(about: Density, k: int) -> Callable:
    """Give the log density of record k as a function of f and the sequence psi."""
    laws, kind = about.residuals, about.around[about.residuals.output[k]]
    law, df = laws.laws[laws.output[k]], kind.df if isinstance(kind, Student) else None

    def spread(f, psi):
        if not np.isnan(laws.known[k]):
            return f, mp.mpf(laws.known[k])
        if law.log is not None:
            return mp.log(f), psi[law.log]
        add = psi[law.add] if law.add is not None else mp.mpf(0)
        part = mp.mpf(0)
        if law.prop is not None:
            part = psi[law.prop] * (abs(f) if law.power is None else abs(f) ** psi[law.power])
        sd = add + part if law.combined == 1 else mp.sqrt(add**2 + part**2)
        return f, sd / mp.sqrt(laws.people[k])

    def log_density(f, psi):
        if about.left_out[k]:
            return mp.mpf(0)
        m, g = spread(f, psi)
        if about.censored[k]:
            value = _log_mass(about.lower[k], about.upper[k], m, g, df)
        else:
            value = _log_density((mp.mpf(about.observed[k]) - m) / g, df) - mp.log(g)
            if law.log is not None:  # of y, where the law speaks of log y
                value -= mp.mpf(about.observed[k])
        return value - _log_mass(about.floor[k], about.ceiling[k], m, g, df)

    return log_density


def _log_density(z, df):
    if df is None:
        return -(z**2) / 2
    v = mp.mpf(df)
    constant = mp.loggamma((v + 1) / 2) - mp.loggamma(v / 2) - mp.log(v * mp.pi) / 2 + mp.log(2 * mp.pi) / 2
    return constant - (v + 1) / 2 * mp.log1p(z**2 / v)


def _log_mass(lower, upper, m, g, df):
    a = (mp.mpf(lower) - m) / g if np.isfinite(lower) else -mp.inf
    b = (mp.mpf(upper) - m) / g if np.isfinite(upper) else mp.inf
    if a == -mp.inf and b == mp.inf:
        return mp.mpf(0)
    if a > -b:
        a, b = -b, -a
    return mp.log((_cdf(b, df) if b != mp.inf else 1) - (_cdf(a, df) if a != -mp.inf else 0))


def _cdf(z, df):
    if df is None:
        return mp.ncdf(z)
    v = mp.mpf(df)
    tail = mp.betainc(v / 2, mp.mpf(1) / 2, 0, v / (v + z**2), regularized=True) / 2
    return tail if z < 0 else 1 - tail
