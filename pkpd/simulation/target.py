"""Questions asked of a simulation: how probable a target is, and how long it lasts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import DataError, suggestion

if TYPE_CHECKING:
    import xarray as xr

_CONDITION = re.compile(r"^\s*([A-Za-z_][\w.]*)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$")
_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
_NUMBERS_AT_ONCE = 4_194_304
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A comparison of one variable with one number, such as ``vas < 40``."""

    name: str
    sign: str
    level: float

    @classmethod
    def read(cls, text: str, known: Sequence[str]) -> Target:
        """Read a target of one of the variables that are known.

        Raises
        ------
        DataError
            The text is no comparison, or names no variable over time.
        """
        match = _CONDITION.match(text) if isinstance(text, str) else None
        if match is None:
            raise DataError(
                f"{text!r} is no target.",
                where="target",
                expected="A variable, one of < <= > >=, and a number.",
                remedy='Write "vas < 40".',
            )
        name, sign, level = match[1], match[2], float(match[3])
        if name not in known:
            raise DataError(
                f"`{name}` is no variable of the simulation.",
                where=f"target {text!r}",
                expected=f"Variables over time: {', '.join(known) or 'none'}.",
                remedy=suggestion(name, known) or "Simulate it: simulate(..., observe=...).",
            )
        return cls(name=name, sign=sign, level=level)

    def met(self, values: np.ndarray) -> np.ndarray:
        """Where values meet the target; NaN does not."""
        return _COMPARE[self.sign](values, self.level)

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.level:g}"


def attain(sim: xr.Dataset, target: str, *, at: float | Iterable[float] | None = None) -> xr.Dataset:
    """Give the probability that a target is met, by arm, with its Monte Carlo error.

    Parameters
    ----------
    sim : xarray.Dataset
        What :func:`simulate` gave, with subjects or draws in it.
    target : str
        A comparison in the variable's unit, such as ``"vas < 40"``.
    at : float or sequence of float, optional
        Times of the simulation, in its unit; every time when left out.

    Returns
    -------
    xarray.Dataset
        Along ``arm``, and along ``time`` unless one time was asked for: ``probability``, the share of subjects and
        draws that meet the target; ``mc_error``, the standard error of that share from the finite number simulated;
        ``mc_lower`` and ``mc_upper``, its 95 % interval. With parameter uncertainty and several subjects in each draw
        also ``lower`` and ``upper``: the interval that holds 95 % of the draws' own probabilities, which more
        simulation does not narrow.

    Raises
    ------
    DataError
        The target cannot be read, a time was not simulated, or the simulation holds one subject in one draw, which has
        no probability.

    Notes
    -----
    Independent subjects (or draws of one subject) give the error of a binomial share and the interval of Wilson, which
    stays inside 0 and 1. Several subjects in each of several draws share their typical values; the error is then the
    standard deviation of the draws' shares over the root of their number.

    Source: Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953
    """
    wanted = Target.read(target, _over_time(sim))
    values = sim[wanted.name]
    draws, subjects = values.sizes.get("draw", 1), values.sizes.get("subject", 1)
    if draws * subjects == 1:
        raise DataError(
            "The simulation holds one subject in one draw.",
            where=f"attain({str(wanted)!r})",
            expected="Several subjects (n=...) or draws (uncertainty=...): a probability is a share of them.",
            remedy="Simulate with n=1000 and a seed, or ask sustain() when the typical subject meets the target.",
        )
    if at is not None:
        values = values.isel(time=_indices(sim, at))
    each = _share_met(values, wanted)
    several = "draw" in each.dims and draws > 1
    probability = each.mean("draw") if "draw" in each.dims else each
    low, high = _wilson(probability.values, draws if several else subjects)
    if several and subjects > 1:
        error = each.std("draw", ddof=1) / np.sqrt(draws)
        wide = _Z95 * error.values
        # Where no draw differs from another the spread says nothing: Wilson's interval of as many draws stays.
        low = np.where(wide > 0, np.clip(probability.values - wide, 0, 1), low)
        high = np.where(wide > 0, np.clip(probability.values + wide, 0, 1), high)
    else:
        error = (probability * (1 - probability) / (draws * subjects)) ** 0.5
    import xarray as xr

    found: dict[str, Any] = {
        "probability": probability.assign_attrs(long_name=f"probability that {wanted}", units="1"),
        "mc_error": error.assign_attrs(long_name="Monte Carlo standard error of the probability", units="1"),
        "mc_lower": probability.copy(data=low).assign_attrs(
            long_name="lower end of its 95 % Monte Carlo interval", units="1"
        ),
        "mc_upper": probability.copy(data=high).assign_attrs(
            long_name="upper end of its 95 % Monte Carlo interval", units="1"
        ),
    }
    if several and subjects > 1:
        for name, share in (("lower", 0.025), ("upper", 0.975)):
            end = each.quantile(share, "draw").drop_vars("quantile")
            found[name] = end.assign_attrs(long_name=f"{name} end of the 95 % interval of the draws", units="1")
    result = xr.Dataset(found, attrs={**sim.attrs, "target": str(wanted), "draws": draws, "subjects": subjects})
    return result.isel(time=0) if at is not None and not isinstance(at, Iterable) else result


def sustain(sim: xr.Dataset, target: str) -> xr.Dataset:
    """When a target is first met, how long that lasts, and for how long it is met in all.

    Parameters
    ----------
    sim : xarray.Dataset
        What :func:`simulate` gave.
    target : str
        A comparison in the variable's unit, such as ``"vas < 80"``.

    Returns
    -------
    xarray.Dataset
        Along every dimension of the simulation but time, in its time unit: ``start`` and ``end`` of the first stretch
        during which the target is met (NaN where it never is), ``duration`` of that stretch (0 where there is none),
        ``total`` of all stretches; and ``open``, true where the last simulated time still meets the target, so that
        the stretch may go on.

    Raises
    ------
    DataError
        The target cannot be read.

    Notes
    -----
    Crossings are interpolated linearly between the times of the simulation; a stretch that fits between two of them
    is not seen.
    """
    import xarray as xr

    wanted = Target.read(target, _over_time(sim))
    values = sim[wanted.name].transpose(..., "time")
    time = sim["time"].values.astype(float)
    outer = values.isel(time=0, drop=True)
    start, end, total = (np.empty(outer.shape) for _ in range(3))
    still_met = np.empty(outer.shape, dtype=bool)
    for part in _parts(values):
        block = values.isel(part).values
        table = block.reshape(-1, len(time))
        place = tuple(part.get(str(dim), slice(None)) for dim in outer.dims)
        for whole, piece in zip((start, end, total), _stretches(table, time, wanted)):
            whole[place] = piece.reshape(block.shape[:-1])
        still_met[place] = wanted.met(block[..., -1])
    unit = str(sim["time"].attrs.get("units", ""))

    def labelled(numbers: np.ndarray, meaning: str, units: str = unit) -> xr.DataArray:
        return outer.copy(data=numbers).assign_attrs(long_name=meaning, units=units)

    found: dict[str, Any] = {
        "start": labelled(start, f"first time of {wanted}"),
        "end": labelled(end, f"end of the first stretch of {wanted}"),
        "duration": labelled(np.nan_to_num(end - start), f"length of the first stretch of {wanted}"),
        "total": labelled(total, f"time of {wanted} in all"),
        "open": labelled(still_met, "the last simulated time still meets the target", ""),
    }
    return xr.Dataset(found, attrs={**sim.attrs, "target": str(wanted)})


def _over_time(sim: xr.Dataset) -> list[str]:
    return [str(variable) for variable in sim.data_vars if "time" in sim[variable].dims]


def _parts(values: xr.DataArray) -> Iterator[dict[str, slice]]:
    """Cut an array along its draws and subjects, so that a file is read a part at a time."""
    draws, subjects = values.sizes.get("draw", 1), values.sizes.get("subject", 1)
    people = max(_NUMBERS_AT_ONCE * draws * subjects // max(values.size, 1), 1)
    stored = values.encoding.get("preferred_chunks", {}).get("subject", 1)
    steps = {"draw": max(people // subjects, 1), "subject": max(people // stored, 1) * stored}
    ends = {"draw": draws, "subject": subjects}
    for first in range(0, draws, steps["draw"]):
        for second in range(0, subjects, steps["subject"]):
            begins = {"draw": first, "subject": second}
            yield {
                dim: slice(begin, min(begin + steps[dim], ends[dim]))
                for dim, begin in begins.items()
                if dim in values.dims
            }


def _share_met(values: xr.DataArray, wanted: Target) -> xr.DataArray:
    """Give the share of the subjects that meet a target, along every other dimension."""
    if "subject" not in values.dims:
        return values.copy(data=wanted.met(values.values).astype(float))
    axis = values.dims.index("subject")
    each = values.isel(subject=0, drop=True)
    counts = np.zeros(each.shape)
    for part in _parts(values):
        place = tuple(part.get(str(dim), slice(None)) for dim in each.dims if dim != "subject")
        counts[place] += wanted.met(values.isel(part).values).sum(axis=axis)
    return each.copy(data=counts / values.sizes["subject"])


def _stretches(table: np.ndarray, time: np.ndarray, wanted: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First start, its end, and total length, (rows,) each, of the stretches of each row that meet the target."""
    met = wanted.met(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (wanted.level - table[:, :-1]) / np.diff(table, axis=1)
    # A comparison can flip without a crossing where a value lies on the level itself: the flip is then at that value.
    crossing = time[:-1] + np.nan_to_num(np.clip(part, 0.0, 1.0)) * np.diff(time)
    into = np.concatenate([met[:, :1], met[:, 1:] & ~met[:, :-1]], axis=1)
    out = np.concatenate([met[:, :-1] & ~met[:, 1:], met[:, -1:]], axis=1)
    entry = np.concatenate([np.broadcast_to(time[:1], (len(table), 1)), crossing], axis=1)
    leave = np.concatenate([crossing, np.broadcast_to(time[-1:], (len(table), 1))], axis=1)
    some = into.any(axis=1)
    rows = np.arange(len(table))
    start = np.where(some, entry[rows, into.argmax(axis=1)], np.nan)
    end = np.where(some, leave[rows, out.argmax(axis=1)], np.nan)
    total = np.where(out, leave, 0.0).sum(axis=1) - np.where(into, entry, 0.0).sum(axis=1)
    return start, end, total


def _wilson(share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give ends of Wilson's 95 % interval of a share of `count`."""
    z2 = _Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 / (1 + z2 / count) * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    # Exactly 0 and 1 at the ends, which rounding would miss.
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def _indices(sim: xr.Dataset, at: float | Iterable[float]) -> list[int]:
    times = sim["time"].values.astype(float)
    wanted = np.atleast_1d(np.asarray(list(at) if isinstance(at, Iterable) else at, dtype=float))
    found = []
    for moment in wanted:
        nearest = int(np.abs(times - moment).argmin()) if np.isfinite(moment) else 0
        if not np.isclose(times[nearest], moment, rtol=1e-9, atol=1e-9):
            unit = sim["time"].attrs.get("units", "")
            raise DataError(
                f"Time {moment:g} {unit} was not simulated.".replace("  ", " "),
                where="attain(at=...)",
                expected=f"One of the {len(times)} times from {times[0]:g} to {times[-1]:g} {unit}.".replace(" .", "."),
                remedy=f"The nearest is {times[nearest]:g}; or simulate with {moment:g} among the times.",
            )
        found.append(nearest)
    return found
