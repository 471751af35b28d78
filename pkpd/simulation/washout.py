"""How long the effect of a dose lasts: when what is left of it has fallen below a share of its peak, for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import __version__
from pkpd.data import Regimen
from pkpd.data.dose import is_number
from pkpd.errors import DataError, MismatchError, check_options, suggestion
from pkpd.simulation.setting import check_count, describe, prepare
from pkpd.simulation.simulate import compute
from pkpd.simulation.source import Source, read_source

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dose
    from pkpd.estimation import Fit
    from pkpd.model import Model

__all__ = ["washout"]

_WITH, _WITHOUT = "with", "without"
#: Times after the last dose, on a logarithmic scale down to this share of the horizon; within a dosing interval; and
#: where it matters, the second time.
_POINTS, _SMALLEST, _BETWEEN, _CLOSER = 200, 1e-6, 24, 200
#: How often the horizon may become four times as long.
_LONGER = 12
PEOPLE = (0.05, 0.5, 0.95)


def washout(
    model: Model | Fit,
    regimen: Regimen | Dose | str,
    output: str,
    *,
    residual: float = 0.05,
    absolute: float | None = None,
    until: float | None = None,
    uncertainty: bool | int = False,
    n: int | None = None,
    seed: int | None = None,
    variability: Mapping[str, float] | None = None,
    covariates: Mapping[str, Any] | None = None,
    level: float = 0.95,
    threads: int | None = None,
) -> xr.Dataset:
    """Say how long after its last dose the effect of a regimen has fallen below a share of its peak, for good.

    The effect is what the regimen changes: the output with it, less the output of the same person without it.

    Parameters
    ----------
    model : Model or Fit
    regimen : Regimen, Dose or str
    output : str
        An output, assigned name or state.
    residual : float
        The share of the largest effect, between 0 and 1.
    absolute : float, optional
        A size of the effect, in the unit of the output, in place of the share.
    until : float, optional
        How long after the last dose to look, in the model's time unit. Left out: as long as it takes.
    uncertainty : bool or int
        Whether (and with how many draws) typical values are drawn: gives an interval. See :func:`pkpd.simulate`.
    n : int, optional
        So many people, who differ as the model says: gives the times of 5, 50 and 95 % of them.
    seed : int, optional
        Needed with `uncertainty` or `n`.
    variability, covariates
        As for :func:`pkpd.simulate`.
    level : float
        Of the interval.
    threads : int, optional
        The numbers do not depend on it.

    Returns
    -------
    xarray.Dataset
        ``time`` of the typical person, after the last dose, in the model's time unit; ``peak`` and ``peak_time`` (from
        the first dose) of the effect. With `uncertainty`, ``lower`` and ``upper`` for the typical person. With `n`,
        ``people`` by ``quantile``, the time by which that share of people is washed out; with both, also
        ``people_lower`` and ``people_upper``. Somebody who is not washed out within the horizon has an infinite time.

    Raises
    ------
    UsageError
        A share that is none, no seed, or nothing known of the uncertainty asked for.
    MismatchError
        There is no such output.
    DataError
        The regimen has no effect, or the typical person is not washed out within the horizon.

    Notes
    -----
    "For good" is within the horizon, at least eight times the answer if it is not given. Everybody is looked at twice:
    at times on a logarithmic scale and within every dosing interval, then at many more around the peaks and the
    answers. Between times the logarithm of the effect is taken to be straight, and its peak a parabola, unless a dose
    or an infusion begins or ends there.

    Examples
    --------
    >>> import pkpd
    >>> model = pkpd.load("onecompartment")
    >>> found = pkpd.washout(model, "100 mg iv bolus", "cp", residual=0.05)
    >>> k = model.parameters["cl"].typical / model.parameters["v"].typical
    >>> bool(abs(float(found["time"]) * k / 2.995732 - 1) < 1e-5)
    True
    """
    import xarray as xr

    source = read_source(model)
    check_count(n, "n", "subjects")
    _check(source, output, residual, absolute, until, level)
    plan = Regimen.of(regimen, source.model.time_unit).in_time_unit(source.model.time_unit)
    if not len(plan):
        raise DataError(
            "There is no dose.", where="washout(regimen)", expected="At least one.", remedy='"35 mg iv over 40 min".'
        )
    shared: dict[str, Any] = {"covariates": covariates}
    limit = (residual, None) if absolute is None else (None, absolute)
    looks = _Looks(source, plan, output, limit, threads)
    horizon = until
    if horizon is None:
        horizon = looks.horizon(**shared)
    typical, peak, peak_time = (each.item() for each in looks.at(horizon, **shared))
    where = f"washout({output!r})"
    unit, time_unit = describe(source.model, output)[1], source.model.time_unit
    if not peak > 0:
        raise DataError(
            f"The regimen changes `{output}` in nothing.",
            where=where,
            expected="A dose that has an effect on it.",
            remedy="Choose another output, dose or route.",
        )
    if not np.isfinite(typical):
        raise DataError(
            f"The effect on `{output}` has not fallen below the limit {horizon:g} {time_unit} after the last dose.",
            where=where,
            expected="An effect that wears off within the horizon.",
            remedy="Look longer (until=...), or allow more to be left; an effect that stays has no washout.",
        )
    said = f"{100 * residual:g} % of its peak" if absolute is None else f"{absolute:g} {unit}".strip()
    found: dict[str, Any] = {
        "time": ((), typical, {"long_name": f"time after the last dose until less than {said} is left",
                               "units": time_unit}),
        "peak": ((), peak, {"long_name": f"largest effect on {output}", "units": unit}),
        "peak_time": ((), peak_time, {"long_name": "its time after the first dose", "units": time_unit}),
    }  # fmt: skip
    ends = ((1 - level) / 2, (1 + level) / 2)
    wide = horizon if until is not None else 8 * horizon
    words = f"end of the {100 * level:g} % interval of the draws"
    if uncertainty:
        times, _, _ = looks.at(wide, uncertainty=uncertainty, seed=seed, variability=False, **shared)
        for name, end in zip(("lower", "upper"), _quantiles(times[:, 0], ends), strict=True):
            found[name] = ((), end, {"long_name": f"{name} {words}", "units": time_unit})
    if n is not None:
        drawn = {"n": n, "seed": seed, "variability": variability, "uncertainty": uncertainty}
        times, _, _ = looks.at(wide, **drawn, **shared)
        each = np.array([_quantiles(one, PEOPLE) for one in times])
        label = {"long_name": "time by which this share of people is washed out", "units": time_unit}
        found["people"] = (("quantile",), _quantiles(times.ravel(), PEOPLE), label)
        if uncertainty:
            for name, share in zip(("people_lower", "people_upper"), ends, strict=True):
                values = np.array([_quantiles(column, (share,))[0] for column in each.T])
                found[name] = (("quantile",), values, {"long_name": f"{name[7:]} {words}", "units": time_unit})
    attrs = {
        "model": source.model.name,
        "parameters_from": source.origin,
        "output": output,
        "limit": said,
        "horizon": float(horizon),
        "seed": "none" if seed is None else seed,
        "source": f"pkpd {__version__}",
    }
    return xr.Dataset(found, {"quantile": list(PEOPLE)} if n is not None else {}, attrs)


def _check(
    source: Source, output: str, residual: float, absolute: float | None, until: float | None, level: float
) -> None:
    known = source.model.known_names
    if output not in known:
        raise MismatchError(
            f"`{output}` is nothing of `{source.model.name}`.",
            where="washout(output)",
            expected=f"Outputs: {', '.join(source.model.outputs)}.",
            remedy=suggestion(output, known) or "Name one of these.",
        )
    check_options(
        "washout",
        ("residual", residual, is_number(residual) and 0 < residual < 1, "A share between 0 and 1."),
        ("level", level, is_number(level) and 0 < level < 1, "A share between 0 and 1."),
        ("absolute", absolute, absolute is None or (is_number(absolute) and absolute > 0), "A size above 0."),
        ("until", until, until is None or (is_number(until) and until > 0), "A time above 0."),
    )


class _Looks:
    """Looks at the effect of a regimen up to a horizon."""

    def __init__(
        self,
        source: Source,
        regimen: Regimen,
        output: str,
        limit: tuple[float | None, float | None],
        threads: int | None,
    ) -> None:
        self.source, self.output, self.limit, self.threads = source, output, limit, threads
        # The first dose is at 0, where the states have their initial values; a model that knows the time needs it.
        self.regimen, self.last = regimen, regimen.last
        doses = regimen.expand()
        begins = np.array([dose.time for dose in doses])
        over = [dose.over or (dose.amount / dose.rate if dose.rate and dose.amount else 0.0) for dose in doses]
        self.kinks = np.unique(np.concatenate([begins, begins + np.array(over)]))
        self.kinks = self.kinks[self.kinks >= 0]
        self.first = float(begins.min())

    def times(self, horizon: float) -> np.ndarray:
        """Where to look: within every dosing interval, and up to the horizon after the last dose."""
        begins = np.unique([dose.time for dose in self.regimen.expand()])
        steps = np.geomspace(1e-3, 1.0, _BETWEEN)
        found = [begin + steps * length for begin, length in zip(begins, np.diff(begins))]
        for kink in self.kinks[self.kinks >= self.last]:
            found.append(kink + np.geomspace(_SMALLEST * horizon, horizon, _POINTS))
        every = np.unique(np.concatenate([[0.0], self.kinks, *found]))
        return every[(every >= 0) & (every <= self.last + horizon)]

    def at(self, horizon: float, **who: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Time after the last dose, peak and its time, (draws, subjects) each."""
        times = self.times(horizon)
        after, _, when = self._look(times, **who)
        closer = [times]
        for found in (after[np.isfinite(after) & (after > 0)] + self.last, when[~np.isin(when, self.kinks)]):
            if found.size:  # from the time before the first of them to the time after the last
                ends = np.searchsorted(times, found.min()) - 2, np.searchsorted(times, found.max()) + 1
                low, high = times[max(ends[0], 0)], times[min(ends[1], len(times) - 1)]
                closer.append(np.geomspace(max(low, _SMALLEST * high), high, _CLOSER))
        after, peak, when = self._look(np.unique(np.concatenate(closer)), **who)
        return after, peak, when - self.first

    def _look(self, times: np.ndarray, **who: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same from effects at given times, the time of the peak on the clock of the regimen."""
        arms = {_WITH: self.regimen, _WITHOUT: Regimen((), time_unit=self.regimen.time_unit)}
        setting = prepare(self.source, arms, times=times, observe=self.output, **who)
        values = compute(setting, threads=self.threads).values[self.output]
        effect = np.abs(values[0] - values[1])
        flat = effect.reshape(-1, len(times))
        peak, when = _peaks(flat, times, self.kinks)
        share, absolute = self.limit
        level = np.full(len(flat), absolute) if share is None else share * peak
        after = np.maximum(_last_above(flat, times, level) - self.last, 0.0)
        shape = effect.shape[:2]
        return after.reshape(shape), peak.reshape(shape), when.reshape(shape)

    def horizon(self, **who: Any) -> float:
        """Find a horizon that is long beside the answer for the typical person, and beside the time of its peak."""
        unit = max(float(self.kinks.max() - self.kinks.min()), 1.0)
        horizon = 64.0 * unit
        for _ in range(_LONGER):
            after, peak, when = (each.item() for each in self.at(horizon, **who))
            if peak > 0 and max(after, when + self.first - self.last) <= horizon / 8:
                return horizon
            horizon *= 4
        return horizon


def _peaks(effect: np.ndarray, times: np.ndarray, kinks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest effect of every row and its time: the top of a parabola through three points, unless it is a kink."""
    at = effect.argmax(axis=1)
    rows = np.arange(len(effect))
    peak, when = effect[rows, at], times[at]
    inner = np.flatnonzero((at > 0) & (at < len(times) - 1) & ~np.isin(when, kinks))
    if inner.size:
        i, j = rows[inner], at[inner]
        t0, t1, t2 = times[j - 1], times[j], times[j + 1]
        y0, y1, y2 = effect[i, j - 1], effect[i, j], effect[i, j + 1]
        d1, d2 = (y1 - y0) / (t1 - t0), (y2 - y1) / (t2 - t1)
        bend = (d2 - d1) / (t2 - t0)
        with np.errstate(divide="ignore", invalid="ignore"):
            top = np.where(bend < 0, (t0 + t1) / 2 - d1 / (2 * bend), t1)
        top = np.clip(top, t0, t2)
        peak[inner] = np.maximum(y1, y0 + d1 * (top - t0) + bend * (top - t0) * (top - t1))
        when[inner] = top
    return peak, when


def _last_above(effect: np.ndarray, times: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Time at which every row falls below its level for good; 0 where it never is above, infinite if not by the end."""
    above = effect > level[:, None]
    last = len(times) - 1 - above[:, ::-1].argmax(axis=1)
    found = np.where(above.any(axis=1), np.inf, 0.0)
    some = np.flatnonzero(above.any(axis=1) & (last < len(times) - 1))
    i, j = some, last[some]
    high, low = effect[i, j], effect[i, j + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        straight = np.log(high / level[i]) / np.log(high / low)
    part = np.where(low > 0, straight, (high - level[i]) / (high - low))
    found[some] = times[j] + part * (times[j + 1] - times[j])
    return found


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles of numbers that may be infinite: between two, the smaller counts unless both are finite."""
    ordered = np.sort(values)
    if np.isfinite(ordered).all():
        return np.quantile(ordered, shares)
    return np.array([ordered[min(int(np.ceil(share * ordered.size)), ordered.size) - 1] for share in shares])
