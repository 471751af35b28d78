"""Predictions at the records of a data set: PRED beside ID, TIME and DVID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import __version__
from pkpd.errors import Finding, MismatchError, SolveError
from pkpd.likelihood.discrete import Discrete
from pkpd.likelihood.match import which_output
from pkpd.likelihood.observations import with_own_observations, with_references
from pkpd.model import Model
from pkpd.model.observed import OWN_DV, is_likelihood
from pkpd.schema import describe
from pkpd.simulation.source import read_source

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset, Events
    from pkpd.estimation import Fit

_NOTHING = {"ARM": "", "SEQUENCE": "", "PERIOD": 0, "OCC": 0}


def predict_records(
    given: Model | Fit, data: Dataset, *, threads: int | None = None, device: str = "cpu"
) -> xr.Dataset:
    """Predict every observation of a data set, those that do not count (MDV 1) among them.

    Parameters
    ----------
    given : Model or Fit
        A model predicts for the typical subject with the covariates of each; so does a fit, at its estimates. A fit in
        which every subject has parameters of its own predicts each subject with these.
    data : Dataset
    threads : int, optional
    device : str

    Returns
    -------
    xarray.Dataset
        ``ID TIME DVID PRED UNIT`` along ``record``, in the order of the file; PRED is in the unit of its output, or in
        percent where the record is a change (REF); for an event it is the hazard at
        that time. ARM, SEQUENCE, PERIOD and OCC stand beside them where the data
        have them.

    Raises
    ------
    DoseError, MismatchError
        The doses or outputs of the data are not those of the model.
    SolveError
        The equations could not be solved for somebody, or a prediction is no finite number.
    """
    import xarray as xr

    from pkpd.engine import bind, compile_model, predict

    model, values, origin = _values(given, data)
    seen, events = data.observations, data.events()
    if OWN_DV in model.covariates:
        _check_likelihoods(model, events, data)
        events = with_own_observations(events, np.zeros(0, dtype=int), np.zeros(0))
    ref = np.asarray(seen["REF"], dtype=float)
    changes = np.flatnonzero(np.isfinite(ref))
    rows = events.records
    wanted = [(int(events.subject[rows[i]]), float(ref[i]), int(events.output[rows[i]])) for i in changes]
    refs = sorted(set(wanted))
    events, kept, added = with_references(events, refs)
    program = compile_model(model)
    answer = predict(program, bind(program, events), values, threads=threads, device=device)
    answer.raise_failures()
    record = np.cumsum(events.evid == 0) - 1
    f = answer.f.reshape(len(events.records), -1)[:, 0]
    value = f[record[kept[rows]]]
    base = np.full(len(value), np.nan)
    pred = value.copy()
    if changes.size:
        base[changes] = f[record[added[[refs.index(key) for key in wanted]]]]
        with np.errstate(all="ignore"):
            pred[changes] = 100 * (value[changes] / base[changes] - 1)
    which = which_output(model, events.outputs)[events.output[kept[rows]]]
    outputs = list(model.outputs.values())
    for k in np.unique(which):
        pred[which == k] = Discrete.expectation(outputs[k], pred[which == k])
    names = np.array([outputs[k].name for k in which], dtype=str)
    _check_finite(pred, value, base, names, data, model.time_unit)
    unit = np.array([outputs[k].unit for k in which], dtype=str)
    unit[changes] = "%"
    columns: dict[str, Any] = {
        "ID": np.asarray(seen["ID"], dtype=str),
        "TIME": np.asarray(seen["TIME"], dtype=float),
        "DVID": names,
        "PRED": pred,
        "UNIT": unit,
        **{name: seen[name] for name in ("ARM", "SEQUENCE", "PERIOD", "OCC") if (seen[name] != _NOTHING[name]).any()},
    }
    only = str(unit[0]) if len(set(unit.tolist())) == 1 else None
    units = {"TIME": data.time_unit or model.time_unit, "PRED": only}
    attrs = {
        "model": model.name,
        "model_hash": model.hash,
        "parameters_from": origin,
        "uncertainty": "none",
        "data": data.origin,
        "data_hash": data.sha256,
        "source": f"pkpd {__version__}",
    }
    return xr.Dataset(
        {name: ("record", column, describe("records", name, units.get(name))) for name, column in columns.items()},
        {"record": np.arange(len(pred))},
        attrs,
    )


def _check_likelihoods(model: Model, events: Events, data: Dataset) -> None:
    """Refuse records of outputs that are their own log likelihood: there is no prediction of these."""
    which = which_output(model, events.outputs)
    for k, output in enumerate(model.outputs.values()):
        if is_likelihood(output) and (which == k).any():
            raise MismatchError(
                f"{output.name} is the log likelihood of an observation, and has no prediction.",
                where=f"simulate(data), {data.origin}",
                expected="Records of outputs whose equations say what is to be expected.",
                remedy=f"Leave out the rows of {output.name}.",
            )


def _check_finite(
    pred: np.ndarray, value: np.ndarray, base: np.ndarray, names: np.ndarray, data: Dataset, time_unit: str
) -> None:
    """Refuse predictions, one for each observation, that are no finite numbers."""
    seen = data.observations
    unit = data.time_unit or time_unit
    findings = []
    for i in np.flatnonzero(~np.isfinite(pred)):
        if not np.isfinite(value[i]):
            what = f"`{names[i]}` is {value[i]:g} at t = {seen['TIME'][i]:g} {unit}."
            remedy = (
                "Check the equations for a division by 0, or the logarithm or root of a number that is 0 or negative."
            )
        else:
            what = (
                f"`{names[i]}` at t = {seen['TIME'][i]:g} {unit} is asked for as a percent change from "
                f"t = {seen['REF'][i]:g} {unit}, where it is {base[i]:g}."
            )
            remedy = "Give a REF at which the output is finite and not 0, or none."
        row = f", row {seen['ROW'][i]}" if seen["ROW"][i] >= 0 else ""
        where = f"{data.origin}{row}, ID {seen['ID'][i]}"
        findings.append(Finding(code="not a number", where=where, what=what, remedy=remedy))
    if findings:
        raise SolveError(
            f"{len(findings)} of {len(pred)} observations have no prediction.",
            where=f"simulate(data), {data.origin}",
            expected="A finite number for every observation.",
            remedy="Change what the findings name, or leave these rows out of the data.",
            findings=findings,
        )


def _values(given: Model | Fit, data: Dataset) -> tuple[Model, np.ndarray, str]:
    """Give the model, the parameters of every subject of the data (S, P), and where they come from."""
    from pkpd.estimation import Fit

    if isinstance(given, Fit) and "subject" in given.estimates.dims:
        model = given.model
        own = given["subjects"]["individual"].sel(parameter=list(model.parameters))
        missing = [name for name in data.ids if name not in own["subject"].values]
        if missing:
            raise MismatchError(
                f"Subject {missing[0]} was not fitted.",
                where=data.origin,
                expected=f"Subjects of the fit: {', '.join(own['subject'].values.tolist())}.",
                remedy="Take the fitted subjects of the data: data[[...]].",
            )
        return model, own.sel(subject=list(data.ids)).values, f"fit: {given.attrs['estimator']}"
    source = read_source(given)
    return source.model, np.tile(source.typical.natural, (len(data.ids), 1)), source.origin
