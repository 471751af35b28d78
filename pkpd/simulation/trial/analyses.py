"""A crossover analysed in several ways, side by side: what carries over, and what the analysis makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.data.crossover import only_period, reset_periods, with_previous
from pkpd.data.dose import is_number
from pkpd.data.layout import html_table, short, text_table
from pkpd.errors import Finding, MismatchError, PkpdError, UsageError, raise_all, suggestion
from pkpd.simulation.trial.people import by_design, typical

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation import Fit
    from pkpd.estimation.base import Estimator
    from pkpd.model import Model
    from pkpd.simulation.trial.design import Trial

__all__ = ["ANALYSES", "Crossover", "crossover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What an analysis is made of."""

    model: Model
    data: Dataset
    output: str
    drug: str


def _mechanistic(case: _Case) -> tuple[Model, Dataset]:
    return case.model, case.data


def _no_carry_over(case: _Case) -> tuple[Model, Dataset]:
    return case.model, reset_periods(case.data)


def _statistical(case: _Case) -> tuple[Model, Dataset]:
    return with_terms(case.model, case.output), with_previous(reset_periods(case.data), case.drug)


def _first_period(case: _Case) -> tuple[Model, Dataset]:
    model = case.model
    parameters = {name: replace(p, iov=0.0, fixed_iov=False) for name, p in model.parameters.items()}
    blocks = tuple(block for block in model.blocks if block.kind != "iov")
    varies = any(p.iov for p in model.parameters.values())
    return (model.replace(parameters=parameters, blocks=blocks) if varies else model), only_period(case.data, 1)


#: What each analysis is, in words, and how it is made.
ANALYSES: dict[str, tuple[str, Callable[[_Case], tuple[Model, Dataset]]]] = {
    "mechanistic": ("the state flows on from one period into the next", _mechanistic),
    "no carry-over": ("every period starts anew", _no_carry_over),
    "statistical": ("every period starts anew; a period term and a carry-over term are added", _statistical),
    "drop period 2": ("the first period alone, without differences between occasions", _first_period),
}


def with_terms(model: Model, output: str) -> Model:
    """Give a model whose output has a period term and a carry-over term added (:mod:`pkpd.model.parts`)."""
    from pkpd.model import Model, parts
    from pkpd.model.model import Need

    own, row = f"{output}_by_time", model.outputs[output]
    renamed = model.rename({output: own})
    rest = renamed.replace(outputs={name: one for name, one in renamed.outputs.items() if name != own})
    terms = parts.period(unit=row.unit) + parts.left_over(unit=row.unit)
    added = Model(
        needs=[Need(name=name, unit=row.unit) for name in (own, "period_term", "left_over_term")],
        outputs=[row],
        equations=f"{output} = {own} + period_term + left_over_term",
    )
    joined = rest + terms.set(period_change=0.0, left_over=0.0) + added
    return joined.replace(name=model.name, title=model.title, reference=model.reference)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Crossover:
    """Analyses of one crossover, side by side.

    Parameters
    ----------
    fits : mapping of str to Fit
        Those that could be made, by the name of the analysis.
    table : xarray.Dataset
        By ``analysis`` and ``time`` (after the dose): ``effect``, how much more the typical person's output is after
        the first arm than after the second, without carry-over; ``se``, and the ends ``lower`` and ``upper`` of its
        interval. By ``analysis``: ``objective`` (-2 log L as the fit gives it), ``aic``, ``records``, ``comparable``
        (with the first analysis: the same observations), ``status`` and ``message``.
    """

    fits: Mapping[str, Fit]
    table: xr.Dataset

    def columns(self) -> dict[str, list[str]]:
        """Give the table that is printed, as text by column."""
        table = self.table
        shown: dict[str, list[str]] = {"ANALYSIS": table["analysis"].values.tolist()}
        for k, time in enumerate(table["time"].values):
            cells = zip(*(table[name].values[:, k] for name in ("effect", "lower", "upper")), strict=True)
            shown[f"{short(time)} {table['time'].attrs['units']}"] = [
                short(None) if np.isnan(one) else f"{short(one, 4)} ({short(low, 4)}, {short(high, 4)})"
                for one, low, high in cells
            ]
        comparable = table["comparable"].values
        shown["RECORDS"] = [str(number) for number in table["records"].values]
        shown["-2 LOG L"] = [_or_not(value, ok) for value, ok in zip(table["objective"].values, comparable)]
        shown["AIC"] = [_or_not(value, ok) for value, ok in zip(table["aic"].values, comparable)]
        shown["STATUS"] = table["status"].values.tolist()
        return shown

    def _title(self) -> str:
        attrs = self.table.attrs
        return f"{attrs['output']} after {attrs['arm']} less that after {attrs['against']} ({attrs['unit']})"

    def _remarks(self) -> list[str]:
        table = self.table
        lines = [f"{name}: {ANALYSES[name][0]}" for name in table["analysis"].values.tolist()]
        other = table["analysis"].values[~table["comparable"].values & (table["records"].values > 0)]
        if len(other):
            lines.append(f"Other data, not comparable by -2 log L or AIC: {', '.join(other)}.")
        for name, message in zip(table["analysis"].values, table["message"].values, strict=True):
            if name not in self.fits or self.fits[name].status != "converged":
                lines.append(f"{name}: {message}")
        return lines

    def __repr__(self) -> str:
        return f"Crossover({self._title()}: {', '.join(self.table['analysis'].values.tolist())})"

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self._title()}, {100 * self.table.attrs['level']:g} % intervals",
                text_table(self.columns(), left=("ANALYSIS", "STATUS")),
                *self._remarks(),
            ]
        )

    def _repr_html_(self) -> str:
        import html

        return html_table(self.columns(), self._title()) + "".join(
            f"<div>{html.escape(line)}</div>" for line in self._remarks()
        )


def crossover(
    model: Model,
    data: Dataset,
    estimator: Estimator,
    trial: Trial,
    *,
    output: str | None = None,
    compare: tuple[str, str] | None = None,
    times: Sequence[float] | None = None,
    analyses: Sequence[str] = tuple(ANALYSES),
    covariates: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Crossover:
    """Analyse a crossover in several ways, side by side.

    Parameters
    ----------
    model : Model
    data : Dataset
        With PERIOD and ARM.
    estimator : Estimator
        The same for all.
    trial : Trial
        What the arms are, and what the people are like: the effect is that of its arms in the typical person.
    output : str, optional
        Whose effect is asked for; left out: the only one that the trial observes. The effect is on what the equations
        give: for a score on a latent scale, on that scale.
    compare : (str, str), optional
        The two arms: the effect is the first less the second. Left out: the trial's two.
    times : sequence of float, optional
        After the start of a period, in the trial's time unit; left out: its visits after 0.
    analyses : sequence of str
        Of "mechanistic" (the state flows on), "no carry-over" (a reset before every period), "statistical" (the same
        with a period term, and a carry-over term where the arm before was the first of `compare`) and "drop period 2"
        (the first period alone).
    covariates : mapping, optional
        Of the typical person; left out: the medians of the trial's distributions.
    level : float
        Of the intervals: by the covariance of the estimates and the slopes of the effect (delta method).

    Returns
    -------
    Crossover
        An analysis that cannot be made stands in the table with the reason.

    Raises
    ------
    UsageError, MismatchError
        There is no such analysis, output or arm; the data do not say PERIOD and ARM.
    """
    import xarray as xr

    from pkpd.estimation import fit

    output, compare, times = _asked(model, data, trial, output, compare, times, analyses, level)
    design = _typical_design(trial, compare, output, times, covariates)
    case = _Case(model=model, data=data, output=output, drug=compare[0])
    fits: dict[str, Fit] = {}
    size = (len(analyses), len(times))
    effect, se = np.full(size, np.nan), np.full(size, np.nan)
    messages, records = [], np.zeros(len(analyses), dtype=np.int64)
    seen: list[Any] = []
    for k, name in enumerate(analyses):
        try:
            chosen, own = ANALYSES[name][1](case)
            found = fit(chosen, own, estimator)
            effect[k], se[k] = _effect(found, design, output)
        except PkpdError as error:
            messages.append(" ".join(str(error).split()))
            seen.append(None)
            continue
        fits[name] = found
        messages.append(found.message)
        records[k] = found.records.sizes["record"]
        seen.append((found.records["ROW"].values.tolist(), found.records["DV"].values.tolist()))
    first = next((one for one in seen if one is not None), None)
    numbers = {
        what: np.array([float(fits[name].attrs[what]) if name in fits else np.nan for name in analyses])
        for what in ("objective", "aic")
    }
    from scipy.special import ndtri

    wide = float(ndtri((1 + level) / 2)) * se
    unit = model.outputs[output].unit
    both = ("analysis", "time")
    label = {"units": unit, "long_name": f"effect of {compare[0]} against {compare[1]} on {output}"}
    table = xr.Dataset(
        {
            "effect": (both, effect, label),
            "se": (both, se, {"units": unit, "long_name": "standard error of the effect"}),
            "lower": (both, effect - wide, {"units": unit, "long_name": "lower end of its interval"}),
            "upper": (both, effect + wide, {"units": unit, "long_name": "upper end of its interval"}),
            **{what: ("analysis", values) for what, values in numbers.items()},
            "records": ("analysis", records),
            "comparable": ("analysis", np.array([one is not None and one == first for one in seen])),
            "status": ("analysis", [fits[name].status if name in fits else "not made" for name in analyses]),
            "message": ("analysis", messages),
        },
        {"analysis": list(analyses), "time": ("time", list(times), {"units": trial.time_unit})},
        {"output": output, "arm": compare[0], "against": compare[1], "unit": unit, "level": level},
    )
    return Crossover(fits=fits, table=table)


def _or_not(value: float, comparable: bool) -> str:
    return short(None) if np.isnan(value) else f"{value:.2f}" if comparable else f"[{value:.2f}]"


def _asked(
    model: Model,
    data: Dataset,
    trial: Trial,
    output: str | None,
    compare: tuple[str, str] | None,
    times: Sequence[float] | None,
    analyses: Sequence[str],
    level: float,
) -> tuple[str, tuple[str, str], tuple[float, ...]]:
    """What is asked for, with what was left out filled in; everything wrong with it is said at once."""
    found: list[Finding] = []

    def wrong(code: str, what: str, expected: str, remedy: str | None = None, where: str = "crossover()") -> None:
        found.append(Finding(code=code, where=where, what=what, expected=expected, remedy=remedy))

    if not analyses:
        wrong("analysis", "there is none to make.", f"Analyses: {', '.join(ANALYSES)}.", "Name one.")
    for name in analyses:
        if name not in ANALYSES:
            wrong("analysis", f"there is no analysis `{name}`.", f"Analyses: {', '.join(ANALYSES)}.",
                  suggestion(name, ANALYSES) or "Name one of these.")  # fmt: skip
    if len(set(analyses)) < len(analyses):
        wrong("analysis", "one is named twice.", "Each once.", "Leave one out.")
    if output is None and len(trial.visits) == 1:
        output = next(iter(trial.visits))
    if output not in model.outputs:
        wrong("output", f"`{output}` is no output of {model.name}.", f"Outputs: {', '.join(model.outputs)}.",
              suggestion(str(output), model.outputs) or 'Say which: output="...".')  # fmt: skip
    arms = tuple(trial.arms)
    if compare is None and len(arms) == 2:
        compare = (arms[0], arms[1])
    if compare is None or len(compare) != 2 or compare[0] == compare[1]:
        wrong("arm", f"compare is {compare!r}.", f"Two of the arms {', '.join(arms)}.", "Say compare=(drug, control).")
    for arm in compare or ():
        if arm not in arms:
            wrong(
                "arm",
                f"there is no arm `{arm}` in the trial.",
                f"Arms: {', '.join(arms)}.",
                suggestion(arm, arms) or "Name one of these.",
            )
        elif arm not in data.columns["ARM"]:
            given = ", ".join(name for name in dict.fromkeys(data.columns["ARM"].tolist()) if name)
            wrong("arm", f"nobody has the arm `{arm}`.", f"Arms of the data: {given or 'none'}.",
                  "Name the arms of the trial as ARM does.", data.origin)  # fmt: skip
    if not (data.columns["PERIOD"] > 0).any():
        wrong("period", "there is no column PERIOD.", "The number of the period in every row.",
              "Add it; without periods, fit the model itself.", data.origin)  # fmt: skip
    if model.mixture:
        wrong("mixture", f"{model.name} has classes of people.", "A model in which there is a typical person.",
              "Leave the mixture out: model.replace(mixture={}).")  # fmt: skip
    if times is None:
        times = tuple(time for time in trial.times.get(str(output), ()) if time > 0)
    if (output in model.outputs and not len(times)) or not all(is_number(one) and one > 0 for one in times):
        wrong("time", f"times are {times!r}.", "Times after the dose, above 0.", "Give times=(24, 72).")
    if not 0 < level < 1:
        wrong("level", f"level is {level!r}.", "A share between 0 and 1.")
    if found:
        own = {"arm", "period", "output", "mixture"}
        raise_all(MismatchError if any(one.code in own for one in found) else UsageError, found)
    assert output is not None and compare is not None
    return output, compare, tuple(sorted(float(one) for one in times))


def _typical_design(
    trial: Trial,
    compare: tuple[str, str],
    output: str,
    times: tuple[float, ...],
    covariates: Mapping[str, float] | None,
) -> Dataset:
    """Give the typical person in a first period of each arm, to be predicted."""
    own: dict[str, Any] = {}
    for name, given in trial.covariates.items():
        follows = by_design(given)
        own[name] = {"period": [given["period"][0]]} if follows == "period" else given if follows else typical(given)
    groups = replace(
        trial,
        sequences={arm: (arm,) for arm in compare},
        n=1,
        visits={output: times},
        covariates={**own, **(covariates or {})},
        dropout={},
        lloq={},
        units={name: unit for name, unit in trial.units.items() if name in own or name == output},
        washout=None,
    )
    return groups.data()


def _effect(found: Fit, design: Dataset, output: str) -> tuple[np.ndarray, np.ndarray]:
    """Effect and standard error at every time, (T,) each."""
    from pkpd.engine import bind, compile_model, predict

    model = found.model
    if any(name == "PREVIOUS" for name in model.covariates) and "PREVIOUS" not in design.covariates:
        design = replace(design, covariates={**design.covariates, "PREVIOUS": np.zeros(design.rows)})
    program = compile_model(model, observe=(output,))
    names = [name for name in program.parameters if name in found.covariance["parameter"].values]
    natural = np.array([[model.parameters[name].typical for name in program.parameters]] * len(design))
    events = design.events()
    events = replace(events, output=np.where(events.output >= 0, -1, events.output))
    answer = predict(program, bind(program, events), natural, sensitivities=tuple(names))
    answer.raise_failures()
    assert answer.df is not None
    f = answer.f.reshape(2, -1)
    scale = np.array([float(_slope(model, name)) for name in names])
    slopes = answer.df.reshape(2, -1, len(names)) * scale
    covariance = found.covariance["covariance"].sel(parameter=names, parameter_=names).values
    difference = slopes[0] - slopes[1]
    # What does not move the effect may be unknown.
    moves = np.abs(difference).max(axis=0) > 0
    variance = np.einsum("ti,ij,tj->t", difference[:, moves], covariance[np.ix_(moves, moves)], difference[:, moves])
    return f[0] - f[1], np.sqrt(variance)


def _slope(model: Model, name: str) -> float:
    own = model.parameters[name]
    return own.d_inverse(own.forward(own.typical))
