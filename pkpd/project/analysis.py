"""Everything that a plan asks for, computed; nothing yet written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import PkpdError
from pkpd.project.attribution import Share, attribute
from pkpd.project.plan import Case, Exposure, Sensitivity
from pkpd.project.profile import Profile, profile
from pkpd.project.study import Fitted, Study
from pkpd.project.what_if import Imagined, imagine

__all__ = ["Analysis", "Concentrations", "Variant", "analyse"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are finished, and how many there are."""

_CURVE_POINTS = 337


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One case of a sensitivity analysis: what came of it, or why nothing did."""

    case: Case
    fitted: Fitted | None
    shares: tuple[Share, ...] = ()
    lowest: tuple[float, float] = (np.nan, np.nan)
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentrations:
    """Concentrations of one shipped model: at the times asked for, and as a curve."""

    model: str
    title: str
    at: np.ndarray
    times: np.ndarray
    curve: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """What came of a plan.

    Parameters
    ----------
    study
    candidates
        The fitted candidates by key, in the order of the plan; those that failed are in `failures`.
    times : (T,) float
        For the curve in focus.
    curves
        That curve by each candidate, change in percent.
    lowest
        Time and depth of its lowest point, by candidate.
    shares
        The attribution by each candidate.
    sensitivity
        For each analysis of the plan, its variants.
    profiles
        Of each free parameter of the chosen candidate, on the estimation scale.
    imagined
        The what-if scenarios.
    exposure
        Concentrations, for each table of the plan.
    """

    study: Study
    candidates: Mapping[str, Fitted]
    failures: Mapping[str, str]
    times: np.ndarray
    curves: Mapping[str, np.ndarray]
    lowest: Mapping[str, tuple[float, float]]
    shares: Mapping[str, tuple[Share, ...]]
    sensitivity: tuple[tuple[Sensitivity, tuple[Variant, ...]], ...]
    profiles: Mapping[str, Profile]
    imagined: tuple[Imagined, ...]
    exposure: tuple[tuple[Exposure, tuple[Concentrations, ...]], ...]

    @property
    def chosen(self) -> Fitted:
        """The candidate whose numbers are reported."""
        return self.candidates[self.study.plan.model]

    @property
    def compared(self) -> dict[str, Fitted]:
        """The candidates of the comparison."""
        plan = self.study.plan
        return {key: one for key, one in self.candidates.items() if plan.candidates[key].compare}


def analyse(study: Study, progress: Progress | None = None) -> Analysis:
    """Do what a plan asks for.

    Raises
    ------
    PkpdError
        The chosen candidate cannot be fitted, or the plan asks for what its models do not have. Another candidate that
        fails is reported as failed.
    """
    plan = study.plan
    compared = [key for key, one in plan.candidates.items() if one.compare]
    known: dict[tuple[int, bool], tuple[Share, ...]] = {}
    steps = _Steps(
        progress, len(compared) + sum(len(s.cases) for s in plan.sensitivity) + 1 + (plan.what_if is not None)
    )
    times = np.linspace(plan.focus.start, plan.focus.until, _CURVE_POINTS)
    candidates, failures, curves, lowest, shares = {}, {}, {}, {}, {}
    for key in sorted(compared, key=lambda k: k != plan.model):
        steps.next(f"candidate {plan.candidates[key].short or key}")
        try:
            fitted = study.fit(key, interval="profile" if key == plan.model else "wald")
            curves[key], lowest[key] = _focus(study, fitted, times)
            shares[key] = _shares(study, fitted, known, profiled=True)
            candidates[key] = fitted
        except PkpdError as error:
            if key == plan.model:
                raise
            failures[key] = error.what or str(error)
    candidates = {key: candidates[key] for key in compared if key in candidates}
    variants = tuple(
        (one, tuple(_variant(study, one, case, times, steps, known) for case in one.cases)) for one in plan.sensitivity
    )
    steps.next("profiles of the parameters")
    chosen = candidates[plan.model]
    profiles = dict(_parameter_profiles(chosen))
    imagined: tuple[Imagined, ...] = ()
    if plan.what_if is not None:
        steps.next("other regimens")
        imagined = tuple(imagine(study, chosen, candidates))
    return Analysis(
        study=study,
        candidates=candidates,
        failures=failures,
        times=times,
        curves=curves,
        lowest=lowest,
        shares=shares,
        sensitivity=variants,
        profiles=profiles,
        imagined=imagined,
        exposure=tuple((one, tuple(_exposures(one))) for one in plan.exposure),
    )


class _Steps:
    """Counts, and tells."""

    def __init__(self, tell: Progress | None, total: int) -> None:
        self.tell, self.total, self.done = tell, total, 0

    def next(self, what: str) -> None:
        if self.tell is not None:
            self.tell(what, self.done, self.total)
        self.done += 1


def _focus(study: Study, fitted: Fitted, times: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The curve in focus as change in percent, and time and depth of its lowest point."""
    level = study.curve(fitted, study.plan.focus.subject, times)
    change = 100 * (level / level[0] - 1)
    place = int(change.argmin())
    if 0 < place < len(times) - 1:  # the vertex of the parabola through three points
        left, here, right = change[place - 1 : place + 2]
        shift = 0.5 * (left - right) / (left - 2 * here + right)
        lowest = float(here - 0.25 * (left - right) * shift)
        return change, (float(times[place] - times[0] + shift * (times[1] - times[0])), lowest)
    return change, (float(times[place] - times[0]), float(change[place]))


def _shares(
    study: Study, fitted: Fitted, known: dict[tuple[int, bool], tuple[Share, ...]], *, profiled: bool
) -> tuple[Share, ...]:
    """The attribution of a fit, asked once."""
    if study.plan.attribution is None:
        return ()
    same = id(fitted.fit), profiled
    if same not in known:
        known[same] = tuple(attribute(study, fitted, study.plan.attribution, profiled=profiled))
    return known[same]


def _variant(
    study: Study,
    one: Sensitivity,
    case: Case,
    times: np.ndarray,
    steps: _Steps,
    known: dict[tuple[int, bool], tuple[Share, ...]],
) -> Variant:
    steps.next(f"{one.title}: {case.name}")
    try:
        fitted = study.fit(one.candidate or study.plan.model, case=case)
        shares: tuple[Share, ...] = ()
        if one.attribute != "no":
            shares = _shares(study, fitted, known, profiled=one.attribute == "interval")
        return Variant(case=case, fitted=fitted, shares=shares, lowest=_focus(study, fitted, times)[1])
    except PkpdError as error:
        return Variant(case=case, fitted=None, failure=error.what or str(error))


def _parameter_profiles(fitted: Fitted) -> Iterator[tuple[str, Profile]]:
    back = np.linalg.pinv(fitted.objective.jacobian(fitted.z), rcond=1e-9)
    errors = np.sqrt((back**2).sum(axis=1))
    for place, name in enumerate(fitted.free):
        unit = np.zeros(len(fitted.free))
        unit[place] = 1.0

        def own(z: np.ndarray, place: int = place, unit: np.ndarray = unit) -> tuple[float, np.ndarray]:
            return float(z[place]), unit

        yield name, profile(fitted.objective, fitted.z, own, until=6.0, step=errors[place] / 3)


def _exposures(one: Exposure) -> Iterator[Concentrations]:
    from pkpd import library, units
    from pkpd.simulation import simulate

    for name in one.models:
        model = library.load(name)
        by = units.factor(model.time_unit, "h")
        grid = np.unique(np.concatenate([np.linspace(0, 6, 121), np.linspace(6, 72, 133), one.times]))
        covariates: dict[str, Any] = {n: v for n, v in one.covariates.items() if n in model.covariates}
        answer = simulate(model, one.dose, times=grid / by, covariates=covariates, observe=[one.output])[one.output]
        values = answer.values[0, 0, 0] * units.factor(str(answer.attrs["units"]), one.unit)
        at = values[np.searchsorted(grid, one.times)]
        yield Concentrations(model=name, title=model.title, at=at, times=grid, curve=values)
