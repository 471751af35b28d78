"""Other regimens, simulated from the chosen fit and, for comparison, from the other candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pkpd.project.plan import Case, Scenario, WhatIf
from pkpd.project.study import Fitted, Study

__all__ = ["Imagined", "imagine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagined:
    """One scenario, simulated.

    Parameters
    ----------
    scenario
        What was asked.
    times : (T,) float
        In the model's time unit.
    own, total : (A, T) float
        Change in percent at the estimates: the drug's own part alone; and with everything else.
    own_draws, total_draws : (A, D, T) float
        The same for draws of the parameters.
    others : mapping of str to (A, T) float
        The drug's own part by other candidates, by their short names.
    uncertainty : str
        What the draws hold, in words.
    fitted
        The fit it comes from.
    """

    scenario: Scenario
    times: np.ndarray
    own: np.ndarray
    total: np.ndarray
    own_draws: np.ndarray
    total_draws: np.ndarray
    others: Mapping[str, np.ndarray]
    uncertainty: str
    fitted: Fitted

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(self.scenario.arms)

    def below(self, values: np.ndarray, level: float) -> np.ndarray:
        """How long values (..., T) lie at or below a level, in the model's time unit, (...).

        Between two times the curve is taken as straight.
        """
        return time_below(self.times, values, level)


def time_below(times: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """How long a curve (..., T), straight between its times, lies at or below a level, (...).

    Examples
    --------
    >>> float(time_below(np.array([0.0, 1.0, 2.0]), np.array([0.0, -2.0, 0.0]), -1.0))
    1.0
    """
    over = values - level
    a, b = over[..., :-1], over[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = np.where(a * b < 0, a / (a - b), 0.0)
    share = np.where(
        (a <= 0) & (b <= 0), 1.0, np.where((a > 0) & (b < 0), 1 - crossing, np.where((a < 0) & (b > 0), crossing, 0.0))
    )
    return (share * np.diff(times)).sum(axis=-1)


def imagine(study: Study, chosen: Fitted, candidates: Mapping[str, Fitted]) -> list[Imagined]:
    """Simulate every scenario of a plan.

    The chosen candidate (or the one that a scenario names) is fitted once more with what `hold` names at its estimate,
    so that the draws hold the uncertainty of the rest.
    """
    asked = study.plan.what_if
    assert asked is not None
    found = []
    held: dict[str, Fitted] = {}
    for scenario in asked.scenarios:
        key = scenario.candidate or study.plan.model
        if key not in held:
            fixed = {name: float(chosen.model.parameters[name].typical) for name in asked.hold}
            near = {n: float(chosen.model.parameters[n].typical) for n in chosen.free if n not in fixed}
            held[key] = study.fit(key, case=Case(name="held", fix=fixed, start=near))
        found.append(_one(study, asked, scenario, held[key], candidates))
    return found


def _one(study: Study, asked: WhatIf, scenario: Scenario, fitted: Fitted, candidates: Mapping[str, Fitted]) -> Imagined:
    from pkpd.simulation import simulate

    observe = [asked.own, study.plan.observe]
    times = np.arange(0.0, scenario.until + asked.step / 2, asked.step)
    known = {**study.plan.data.assumed, **asked.covariates}

    def covariates(one: Fitted) -> dict[str, float]:
        return {name: known[name] for name in one.model.covariates if name in known}

    settings = {"times": times, "observe": observe}
    point = simulate(fitted.model, scenario.arms, covariates=covariates(fitted), **settings)
    drawn = simulate(
        fitted.fit,
        scenario.arms,
        covariates=covariates(fitted),
        uncertainty=asked.draws,
        seed=study.plan.seed,
        **settings,
    )
    others = {}
    for key in asked.candidates:
        one = candidates[key]
        arms = {name: text for name, text in scenario.arms.items() if _can_take(one, text)}
        if len(arms) == len(scenario.arms):
            texts = {name: _renamed(one, text) for name, text in arms.items()}
            answer = simulate(one.model, texts, covariates=covariates(one), times=times, observe=[asked.own])
            others[one.short] = answer[asked.own].values[:, 0, 0, :] - 100
    return Imagined(
        scenario=scenario,
        times=times,
        own=point[asked.own].values[:, 0, 0, :] - 100,
        total=point[study.plan.observe].values[:, 0, 0, :] - 100,
        own_draws=drawn[asked.own].values[:, :, 0, :] - 100,
        total_draws=drawn[study.plan.observe].values[:, :, 0, :] - 100,
        others=others,
        uncertainty=str(drawn.attrs.get("uncertainty", "")),
        fitted=fitted,
    )


def _renamed(fitted: Fitted, text: str) -> str:
    """A regimen in the route names of a candidate: ``ketamine iv`` becomes ``ketamine racemate``."""
    for ours, theirs in fitted.routes.items():
        text = text.replace(ours.replace(".", " "), theirs.replace(".", " "))
    return text


def _can_take(fitted: Fitted, text: str) -> bool:
    """Whether a candidate has the routes of a regimen."""
    from pkpd.data import Regimen

    regimen = Regimen.of(_renamed(fitted, text), fitted.model.time_unit)
    return all(dose.route in fitted.model.routes for dose in regimen)
