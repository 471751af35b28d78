"""Non-compartmental analysis of data and of simulations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pkpd import units
from pkpd.data import Dataset
from pkpd.diagnostics.profile_areas import Areas, drop_blq, slopes_of, start_at_zero
from pkpd.diagnostics.profiles_of import Profiles, profiles_of
from pkpd.errors import DataError, UnitError, UsageError, suggestion

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["nca"]

METHODS = ("lin-up/log-down", "linear", "lin-log")
ROUTES = ("auto", "extravascular", "bolus", "infusion")
#: What is said of a profile in `note`: fewer percent, less r2, fewer half-lives.
MOST_EXTRAPOLATED, LEAST_R2, LEAST_SPAN = 20.0, 0.9, 2.0
_WHERE = "nca()"
_NAMES = {
    "cmax": ("highest concentration", "c"),
    "tmax": ("time of the highest concentration", "t"),
    "cmin": ("lowest concentration", "c"),
    "c0": ("concentration at the dose, measured or put there", "c"),
    "tlast": ("time of the last concentration above 0", "t"),
    "clast": ("last concentration above 0", "c"),
    "clast_pred": ("the same on the terminal slope", "c"),
    "auclast": ("area to the last concentration above 0", "ct"),
    "aucall": ("area with the trapezoid down to the first 0 after it", "ct"),
    "aumclast": ("area under the first moment to the last concentration above 0", "ctt"),
    "lambda_z": ("terminal slope", "1/t"),
    "half_life": ("terminal half-life", "t"),
    "r_squared": ("r2 of the terminal slope", "1"),
    "adj_r_squared": ("adjusted r2 of the terminal slope", "1"),
    "lambda_z_n_points": ("points of the terminal slope", "1"),
    "lambda_z_time_first": ("first time of the terminal slope", "t"),
    "span_ratio": ("half-lives that the terminal slope spans", "1"),
    "aucinf_obs": ("area to infinity, from the last concentration", "ct"),
    "aucinf_pred": ("area to infinity, from the terminal slope", "ct"),
    "auc_percent_extrapolated": ("share of aucinf_obs beyond the last concentration", "%"),
    "aumcinf_obs": ("area under the first moment to infinity", "ctt"),
    "aumcinf_pred": ("the same from the terminal slope", "ctt"),
    "mrt": ("mean residence time, half the infusion taken off", "t"),
    "cl": ("clearance; CL/F where the dose was extravascular", "cl"),
    "vz": ("terminal volume; Vz/F where the dose was extravascular", "v"),
    "vss": ("volume at steady state, of intravenous doses", "v"),
    "auctau": ("area over the dosing interval", "ct"),
    "cav": ("average concentration over the dosing interval", "c"),
    "ctrough": ("concentration at the end of the dosing interval", "c"),
    "fluctuation": ("100 (cmax - cmin) / cav over the dosing interval", "%"),
    "swing": ("100 (cmax - cmin) / cmin over the dosing interval", "%"),
    "cl_tau": ("dose / auctau: the clearance at steady state", "cl"),
}


def nca(
    given: Dataset | xr.Dataset,
    *,
    output: str | None = None,
    method: Literal["lin-up/log-down", "linear", "lin-log"] = "lin-up/log-down",
    route: Literal["auto", "extravascular", "bolus", "infusion"] = "auto",
    blq: Sequence[str | float] = ("keep", "drop", "keep"),
    partial: Sequence[tuple[float, float]] = (),
    points: int = 3,
    include_tmax: bool = False,
    tie: float = 1e-4,
    tau: float | None = None,
    dose: float | None = None,
    dose_unit: str | None = None,
    dose_time: float = 0.0,
    duration: float | None = None,
) -> xr.Dataset:
    """Give areas, extremes, terminal slopes and what follows from them, for every profile.

    A profile of data is what was seen after a dose up to the next, and of people without doses from TIME 0 on; a
    profile of a simulation is a curve over its `time` from `dose_time` on. All times count from the dose.

    Parameters
    ----------
    given : Dataset or xarray.Dataset
        Data, or what :func:`pkpd.simulate` gave.
    output : str or None
        DVID of data, variable of a simulation; needed where there are several.
    method : "lin-up/log-down", "linear" or "lin-log"
        The trapezoids: logarithmic where concentrations fall; all straight; logarithmic after the highest.
    route : "auto", "extravascular", "bolus" or "infusion"
        "auto" takes a dose with a rate or duration for an infusion, one into `iv` or said to be a bolus for a bolus,
        and any other for extravascular. A simulation does not say: "auto" is extravascular.
    blq : three of "keep", "drop" or a number
        What becomes of values below the limit of quantification before the first, between, and after the last value
        above it; "keep" takes them for 0.
    partial : sequence of (start, end)
        Intervals of partial areas, after the dose.
    points : int
        Fewest points of the terminal slope.
    include_tmax : bool
        Whether the highest concentration may belong to the terminal slope.
    tie : float
        More points are taken if their adjusted r2 is less by no more than this.
    tau : float or None
        Dosing interval; of data that of the doses where it is left out.
    dose, dose_unit, dose_time, duration
        Of a simulation: the dose and its unit, when it was given, how long an infusion took. Of data these are read.

    Returns
    -------
    xarray.Dataset
        A variable for each quantity with its unit in `units`; of dim `profile` for data (with ID, ARM, PERIOD and
        dose_time), of the dims of the simulation without `time` else. `partial_auc` has the dim `interval`. `note` says
        what to think of before the numbers of a profile are used; it is empty where there is nothing.

    Raises
    ------
    UsageError
        An option is none, or does not belong to what was given.
    DataError
        A concentration is negative, two stand at one time, or there is none.

    References
    ----------
    Denney W, Duvvuri S, Buckeridge C. Simple, automatic noncompartmental analysis: the PKNCA R package. J Pharmacokinet
    Pharmacodyn 42 (2015) S65. Gabrielsson J, Weiner D. Methods Mol Biol 929 (2012) 377.
    doi:10.1007/978-1-62703-050-2_16.
    """
    import xarray as xr

    _check(method, route, blq, partial, points, tie, tau)
    if isinstance(given, Dataset):
        if any(one is not None for one in (dose, dose_unit, duration)) or dose_time:
            raise _usage("doses are given beside data", "The doses of the data.", "Give them with data.give(...).")
        name = _one(output, list(dict.fromkeys(given.observations["DVID"].tolist())))
        made = profiles_of(given, name, route)
        unit, litres = _units(given.time_unit, given.dv_unit(name), _dose_unit(given))
        dims: tuple[str, ...] = ("profile",)
        shape: tuple[int, ...] = (len(made.time),)
        coords: Mapping[str, Any] = {one: ("profile", column) for one, column in made.labels.items()}
    elif isinstance(given, xr.Dataset) and "time" in given.dims:
        name = _one(output, [str(one) for one in given.data_vars if "time" in given[one].dims])
        curve = given[name].transpose(..., "time")
        dims, shape = tuple(str(one) for one in curve.dims[:-1]), curve.shape[:-1]
        coords = {str(one): array for one, array in curve.coords.items() if "time" not in array.dims}
        made = _curves(curve, route, dose, dose_time, duration)
        unit, litres = _units(given["time"].attrs.get("units"), curve.attrs.get("units"), dose_unit)
    else:
        raise _usage(f"{type(given).__name__} was given", "A Dataset, or an xarray.Dataset with a dim time.",
                     "Give what read_data or simulate gave.")  # fmt: skip
    if not len(made.time):
        raise DataError("nothing was seen after a dose.", where=_WHERE, expected="A concentration after a dose.",
                        remedy="Look at TIME of doses and observations.")  # fmt: skip
    found, note = _measure(made, method, blq, points, include_tmax, tie, tau)
    areas = found.pop("areas")
    said = {
        one: (
            dims,
            found[one].reshape(shape) * (litres if kind in ("cl", "v") else 1),
            {"long_name": text, "units": unit.get(kind, "")},
        )
        for one, (text, kind) in _NAMES.items()
    }
    said["note"] = (dims, note.reshape(shape), {"long_name": "what to think of before these numbers are used"})
    if partial:
        parts = [
            areas.at(np.full(len(note), end))[0] - areas.at(np.full(len(note), start))[0] for start, end in partial
        ]
        said["partial_auc"] = (
            (*dims, "interval"), np.stack(parts, axis=-1).reshape(*shape, len(partial)),
            {"long_name": "area over an interval after the dose", "units": unit["ct"]},
        )  # fmt: skip
        coords = {**coords, "interval": [f"{start:g}-{end:g}" for start, end in partial]}
    attrs = {"output": name, "method": method, "left_out": ", ".join(made.left_out)}
    return xr.Dataset(said, coords, attrs)


def _measure(
    made: Profiles,
    method: str,
    blq: Sequence[str | float],
    points: int,
    include_tmax: bool,
    tie: float,
    tau: float | None,
) -> tuple[dict[str, Any], np.ndarray]:
    """Give every quantity, (n,) each, the areas to ask for more, and the notes."""
    time, conc = drop_blq(made.time, made.conc, tuple(blq))
    time, conc, put = start_at_zero(time, conc, made.bolus, made.follows)
    rows = np.arange(len(time))
    seen = np.isfinite(conc) & ~(put[:, None] & (np.arange(conc.shape[1]) == 0))
    above = np.isfinite(conc) & (conc > 0) & seen
    some = above.any(axis=1)
    high = np.argmax(np.where(seen, conc, -np.inf), axis=1)
    end = np.where(some, conc.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1), -1)
    inside = np.arange(conc.shape[1]) <= end[:, None]
    nan = np.full(len(rows), np.nan)
    cmax, tmax = (np.where(seen.any(axis=1), one[rows, high], np.nan) for one in (conc, time))
    tlast, clast = (np.where(some, one[rows, end], np.nan) for one in (time, conc))
    limit = np.where(include_tmax, tmax - 1e-12, tmax)
    usable = seen & inside & (time > limit[:, None]) & (time >= made.duration[:, None])
    slope = slopes_of(time, conc, usable, least=points, tie=tie)
    areas = Areas(time=np.where(inside, time, np.nan), conc=np.where(inside, conc, np.nan), method=method,
                  lambda_z=slope.lambda_z)  # fmt: skip
    area, moment = (np.where(some, one.sum(axis=1), np.where(seen.any(axis=1), 0.0, np.nan)) for one in areas.pieces())
    after = np.minimum(end + 1, conc.shape[1] - 1)
    tail = np.nan_to_num((time[rows, after] - tlast) * (clast + conc[rows, after]) / 2)
    lz, pred = slope.lambda_z, np.exp(slope.intercept - slope.lambda_z * tlast)
    whole, whole_pred = area + clast / lz, area + pred / lz
    moments, moments_pred = (moment + c * tlast / lz + c / lz**2 for c in (clast, pred))
    single = ~made.follows
    mrt = np.where(single, moments / whole - np.where(made.infusion, made.duration, 0.0) / 2, np.nan)
    cl = np.where(single, made.dose / whole, np.nan)
    step = made.tau if tau is None else np.full(len(rows), float(tau))
    auctau, ctrough = areas.at(step)
    ended = seen & (time <= np.where(np.isfinite(step), step, np.inf)[:, None])
    cmin = np.min(np.where(ended, conc, np.inf), axis=1, initial=np.inf)
    cmin, top = np.where(np.isfinite(cmin), cmin, np.nan), np.max(np.where(ended, conc, -np.inf), axis=1)
    start = np.where(put, conc[:, 0], np.where(time[:, 1] == 0, conc[:, 1], np.nan))
    with np.errstate(all="ignore"):
        half, cav = np.log(2) / lz, auctau / step
        found: dict[str, Any] = {
            "cmax": cmax, "tmax": tmax, "cmin": cmin, "c0": start, "tlast": tlast, "clast": clast, "clast_pred": pred,
            "auclast": area, "aucall": area + tail, "aumclast": moment, "lambda_z": lz, "half_life": half,
            "r_squared": slope.r_squared, "adj_r_squared": slope.adj_r_squared,
            "lambda_z_n_points": np.where(slope.points > 0, slope.points, nan), "lambda_z_time_first": slope.first,
            "span_ratio": (tlast - slope.first) / half, "aucinf_obs": whole, "aucinf_pred": whole_pred,
            "auc_percent_extrapolated": 100 * (1 - area / whole), "aumcinf_obs": moments, "aumcinf_pred": moments_pred,
            "mrt": mrt, "cl": cl, "vz": cl / lz, "vss": np.where(made.bolus | made.infusion, cl * mrt, np.nan),
            "auctau": auctau, "cav": cav, "ctrough": ctrough, "fluctuation": 100 * (top - cmin) / cav,
            "swing": np.where(cmin > 0, 100 * (top - cmin) / cmin, np.nan), "cl_tau": made.dose / auctau,
        }  # fmt: skip
        notes = (
            (~seen.any(axis=1), "no value after the dose"),
            (seen.any(axis=1) & ~some, "no value above the limit of quantification"),
            (some & (slope.available < points), f"fewer than {points} points for the terminal slope"),
            (some & (slope.available >= points) & ~np.isfinite(lz), "the terminal slope does not fall"),
            (found["auc_percent_extrapolated"] > MOST_EXTRAPOLATED, f"more than {MOST_EXTRAPOLATED:g} % extrapolated"),
            (slope.adj_r_squared < LEAST_R2, f"adjusted r2 of the terminal slope below {LEAST_R2:g}"),
            (found["span_ratio"] < LEAST_SPAN, f"the terminal slope spans fewer than {LEAST_SPAN:g} half-lives"),
            (some & (step > tlast), "the dosing interval ends after the last value"),
            (~np.isfinite(made.dose), "no dose"),
            (made.follows, "not the first dose: no cl, vz, vss and mrt of a single dose"),
            (put & made.bolus, "the concentration at the dose is extrapolated back"),
            (put & made.follows & ~made.bolus, "the concentration at the dose is put at the lowest of the interval"),
            (made.before > 0, "values before the first dose are left out"),
        )
    note = np.array(["; ".join(text for where, text in notes if where[k]) for k in rows], dtype=object).astype(str)
    return {**found, "areas": areas}, note


def _curves(curve: xr.DataArray, route: str, dose: float | None, dose_time: float, duration: float | None) -> Profiles:
    """Take every curve of a simulation for a profile from the dose on."""
    time, values = curve["time"].values.astype(float) - dose_time, curve.values.reshape(-1, curve.sizes["time"])
    order = np.argsort(time, kind="stable")
    order = order[time[order] >= 0]
    time, values = time[order], values[:, order].astype(float)
    if (np.diff(time) == 0).any() or (values < 0).any():
        raise DataError("a time stands twice, or a concentration is negative.", where=f"{_WHERE}: {curve.name}",
                        expected="Concentrations not below 0, one at a time.",
                        remedy="Look at the curve; observe a concentration.")  # fmt: skip
    n = len(values)
    if (route == "infusion" and not duration) or (duration and route != "infusion"):
        raise _usage(f"route is {route!r} and duration {duration!r}", "Both for an infusion, neither else.",
                     'Give route="infusion" with its duration.')  # fmt: skip
    shown = np.isfinite(values)
    fill = np.argsort(~shown, axis=1, kind="stable")
    pack = [
        np.take_along_axis(np.where(shown, one, np.nan), fill, 1)
        for one in (np.broadcast_to(time, values.shape), values)
    ]
    room = ((0, 0), (0, max(0, 2 - len(time))))
    return Profiles(
        time=np.pad(pack[0], room, constant_values=np.nan), conc=np.pad(pack[1], room, constant_values=np.nan),
        dose=np.full(n, np.nan if dose is None else float(dose)), duration=np.full(n, float(duration or 0)),
        tau=np.full(n, np.nan), bolus=np.full(n, route == "bolus"), infusion=np.full(n, route == "infusion"),
        follows=np.zeros(n, dtype=bool), labels={}, before=np.zeros(n, dtype=int),
    )  # fmt: skip


def _units(time: Any, conc: Any, dose: Any) -> tuple[dict[str, str], float]:
    """Give the units of what follows from time, concentration and dose, and what takes dose / concentration to litres.

    Where that is no volume it keeps its unit, and the factor is 1.
    """
    t, c = str(time or ""), str(conc or "")
    known = {"t": t, "c": c, "1": "1", "%": "%"}
    known["1/t"] = f"1/{t}" if t else ""
    known["ct"], known["ctt"] = (f"{c}*{t}", f"{c}*{t}**2") if t and c else ("", "")
    if t and c and dose:
        try:
            volume = units.read(dose) / units.read(c)
        except UnitError:
            return known, 1.0
        litre = units.read("L")
        if volume.dims == litre.dims:
            known["v"], known["cl"] = "L", str(litre / units.read(t))
            return known, volume.factor / litre.factor
        known["v"], known["cl"] = str(volume), str(volume / units.read(t))
    return known, 1.0


def _dose_unit(data: Dataset) -> str:
    said = {one for one in data.columns["UNIT"].tolist() if one}
    if len(said) > 1:
        raise _usage(f"doses are in {', '.join(sorted(said))}", "One unit of doses.", "Give all doses in one unit.")
    return said.pop() if said else str(data.units.get("AMT", "") or "")


def _check(method: str, route: str, blq: Sequence[str | float], partial: Sequence[tuple[float, float]], points: int,
           tie: float, tau: float | None) -> None:  # fmt: skip
    for name, value, known in (("method", method, METHODS), ("route", route, ROUTES)):
        if value not in known:
            raise _usage(f"{name} is {value!r}", f"One of {', '.join(known)}.", suggestion(value, known) or "Name one.")
    if len(blq) != 3 or any(isinstance(one, str) and one not in ("keep", "drop") for one in blq):
        raise _usage(f"blq is {blq!r}", 'Three of "keep", "drop" or a number.', 'Give ("keep", "drop", "keep").')
    if any(not isinstance(one, str) and not (np.isfinite(one) and one >= 0) for one in blq):
        raise _usage(f"blq is {blq!r}", "Numbers not below 0.", 'Give ("keep", "drop", "keep").')
    for start, end in partial:
        if not 0 <= start < end < np.inf:
            raise _usage(f"partial has ({start!r}, {end!r})", "0 <= start < end.", "Times count from the dose.")
    if points < 3 or tie < 0:
        raise _usage(f"points is {points}, tie {tie}", "3 points or more; a tie not below 0.", "Leave them out.")
    if tau is not None and not 0 < tau < np.inf:
        raise _usage(f"tau is {tau!r}", "A time above 0.", "Give the dosing interval.")


def _one(asked: str | None, known: list[str]) -> str:
    if asked is None and len(known) == 1:
        return known[0]
    if asked is None or asked not in known:
        raise _usage(f"output is {asked!r}", f"One of {', '.join(known) or 'none'}.", "Name one with output=...")
    return asked


def _usage(what: str, expected: str, remedy: str) -> UsageError:
    return UsageError(f"{what}.", where=_WHERE, expected=expected, remedy=remedy)
