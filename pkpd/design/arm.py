"""The arms of a study: what is given, when samples are taken, and how many people there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pkpd.data import Dataset, Dose, Regimen
from pkpd.errors import DataError, Finding, PkpdError, UsageError, raise_all, suggestion
from pkpd.likelihood import Problem, make_problem
from pkpd.model import Model
from pkpd.simulation.covariates import read_covariates

__all__ = ["Arm", "Plan", "problem_of", "read_arms"]

WHERE = "information(design=...)"


@dataclass(frozen=True, slots=True)
class Arm:
    """People of a study who are given the same, and are sampled at the same times.

    Parameters
    ----------
    regimen : Regimen, Dose or str
        What everybody in it is given; ``Regimen(())`` for nothing.
    times : sequence of float, or mapping of str to sequences
        When samples are taken, in the model's time unit, from 0 on, in rising order. A time written twice is two
        samples. Of a model with several outputs, those of each output by name; an output that is left out is not seen.
    n : int
        Number of people.
    covariates : mapping of str to float, optional
        The same for everybody in it; one left out stands at the model's reference.
    occasions : sequence of float, optional
        When each occasion begins, for parameters with an `iov`: rising, the first at 0. Between two doses or samples
        the occasion is that of the later one, as it is in a fit.

    Examples
    --------
    >>> Arm("70 mg oral", [0.5, 2, 24, 120], n=32).n
    32
    """

    regimen: Regimen | Dose | str
    times: Sequence[float] | Mapping[str, Sequence[float]]
    n: int = field(kw_only=True)
    covariates: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    occasions: Sequence[float] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An arm, read and checked against a model.

    Parameters
    ----------
    name : str
    regimen : Regimen
        In the model's time unit.
    times : mapping of str to (k,) float
        By output, rising.
    n : int
    covariates : mapping of str to float
    units : mapping of str to str
        Of the covariates.
    assumed : str
        Covariates that stand at the model's reference, in words.
    occasions : (o,) float
        When they begin.
    """

    name: str
    regimen: Regimen
    times: Mapping[str, np.ndarray]
    n: int
    covariates: Mapping[str, float]
    units: Mapping[str, str]
    assumed: str
    occasions: np.ndarray

    def at(self, times: Mapping[str, np.ndarray]) -> Plan:
        """Give the same, sampled at other times."""
        return replace(self, times=times)

    @property
    def arm(self) -> Arm:
        """The arm as one writes it."""
        times = {output: at.tolist() for output, at in self.times.items()}
        return Arm(self.regimen, times, n=self.n, covariates=dict(self.covariates), occasions=self.occasions.tolist())


def read_arms(model: Model, given: Any, where: str = WHERE) -> tuple[Plan, ...]:
    """Read the arms of a design: one, or several by name.

    Raises
    ------
    UsageError
        It is no design.
    DataError
        Everything that is wrong with the arms.
    """
    arms = {"all": given} if isinstance(given, Arm) else given
    if not isinstance(arms, Mapping) or not arms or not all(isinstance(arm, Arm) for arm in arms.values()):
        raise UsageError(
            f"{given!r} is no design.",
            where=where,
            expected="An Arm, or a mapping from names to Arms.",
            remedy='Write {"low": pkpd.Arm("35 mg oral", [1, 4, 24], n=12)}.',
        )
    if not any(output.residual_names for output in model.outputs.values()):
        raise UsageError(
            "no output has a residual error.",
            where=f"{where}, model {model.name}",
            expected="An SD says how far an observation may lie from its prediction.",
            remedy="Give add, prop or log to an output.",
        )
    found: list[Finding] = []
    plans = [_read(model, str(name), arm, found, where) for name, arm in arms.items()]
    if found:
        raise_all(DataError, found)
    return tuple(plan for plan in plans if plan is not None)


def _read(model: Model, name: str, arm: Arm, found: list[Finding], where: str) -> Plan | None:
    place = f"{where}, arm `{name}`"
    before, regimen, covariates = len(found), Regimen(()), None
    try:
        regimen = Regimen.of(arm.regimen, model.time_unit).in_time_unit(model.time_unit)
        covariates = read_covariates(model, arm.covariates, doses_per=[dose.per for dose in regimen if dose.per])
    except PkpdError as error:
        found += [replace(one, where=place) for one in error.findings or [error.as_finding("arm")]]
    except TypeError:
        found.append(Finding(code="regimen", where=place, what=f"{arm.regimen!r} is no regimen.",
                             expected='A Regimen, a Dose, or text such as "35 mg iv over 40 min".',
                             remedy="Regimen(()) is an arm without a dose."))  # fmt: skip
    if isinstance(arm.n, bool) or not isinstance(arm.n, int | np.integer) or arm.n < 1:
        found.append(Finding(code="people", where=place, what=f"n is {arm.n!r}.",
                             expected="A number of people: a whole number, 1 or more.",
                             remedy="Leave the arm out if nobody is in it."))  # fmt: skip
    each = [key for key, value in arm.covariates.items() if np.ndim(value)]
    if each:
        found.append(Finding(code="covariate", where=place, what=f"{', '.join(each)} has several values.",
                             expected="People in an arm are alike: one number of each covariate.",
                             remedy="Make an arm for each value."))  # fmt: skip
    times = _times(model, arm.times, place, found)
    occasions = _occasions(model, arm.occasions, place, found)
    if len(found) > before or covariates is None:
        return None
    assumed = ", ".join(f"{one} = {covariates.shared[one]:g}" for one in covariates.assumed)
    return Plan(name=name, regimen=regimen, times=times, n=int(arm.n), covariates=covariates.shared,
                units=covariates.units, assumed=assumed, occasions=occasions)  # fmt: skip


def _times(model: Model, given: Any, where: str, found: list[Finding]) -> dict[str, np.ndarray]:
    names = list(model.outputs)
    if not isinstance(given, Mapping):
        if len(names) > 1:
            found.append(Finding(code="output", where=where, what=f"times do not say which of {len(names)} outputs.",
                                 expected=f"Times of each output: {', '.join(names)}.",
                                 remedy=f'Write times={{"{names[0]}": [...]}}.'))  # fmt: skip
            return {}
        given = {names[0]: given}
    read = {}
    for name, times in given.items():
        if name not in names:
            found.append(Finding(code="output", where=where, what=f"`{name}` is no output of `{model.name}`.",
                                 expected=f"Outputs: {', '.join(names)}.",
                                 remedy=suggestion(str(name), names) or "Name one of these."))  # fmt: skip
            continue
        read[name] = check_times(times, f"{where}, output {name}", found)
    if not given:
        found.append(Finding(code="times", where=where, what="nothing is seen of it.",
                             expected=f"Times of at least one output: {', '.join(names)}.",
                             remedy="Give it times, or leave the arm out."))  # fmt: skip
    return {name: read[name] for name in names if name in read}


def check_times(times: Any, where: str, found: list[Finding], *, what: str = "time") -> np.ndarray:
    """Give times as an array (k,): at least one, finite, from 0 on, not falling; what is wrong joins the findings."""
    try:
        array = np.array(list(times) if isinstance(times, Iterable) else [times], dtype=float)
    except (TypeError, ValueError):
        array = np.zeros((0, 2))
    if array.ndim != 1 or not array.size:
        found.append(Finding(code="times", where=where, what=f"the {what}s are {times!r}.",
                             expected="At least one number, in a row.", remedy="Write [0.5, 2, 24]."))  # fmt: skip
        return np.zeros(0)
    for wrong, said in (
        (~np.isfinite(array), "is no finite number"),
        (array < 0, "is negative"),
        (np.r_[False, np.diff(array) < 0], "is earlier than the one before it"),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            found.append(Finding(code="times", where=where, what=f"{what} number {at + 1}, {array[at]:g}, {said}.",
                                 expected="Finite times from 0 on, in rising order.",
                                 remedy="Sort them; shift the regimen if a dose comes before 0."))  # fmt: skip
            break
    return array


def _occasions(model: Model, given: Any, where: str, found: list[Finding]) -> np.ndarray:
    varied = [p.name for p in model.parameters.values() if p.iov > 0]
    if not np.size(given):
        if varied:
            found.append(Finding(code="occasion", where=where,
                                 what=f"{', '.join(varied)} differ between occasions (iov), and nothing says when one "
                                 "begins.",
                                 expected="When each occasion begins, the first at 0.",
                                 remedy="Write occasions=[0, 168], or set iov = 0."))  # fmt: skip
        return np.zeros(1)
    begins = check_times(given, where, found, what="occasion")
    if begins.size and (begins[0] != 0 or (np.diff(begins) <= 0).any()):
        found.append(Finding(code="occasion", where=where, what=f"occasions begin at {begins.tolist()}.",
                             expected="The first at 0, each later than the one before.",
                             remedy="Write occasions=[0, 168]."))  # fmt: skip
    return begins


def problem_of(model: Model, plans: Sequence[Plan]) -> Problem:
    """Give one person of each arm, whose observations are still to come, as a problem.

    Raises
    ------
    MismatchError, DoseError, DataError
        The model cannot be given these doses, or be seen at these times.
    """
    of_arm = [np.concatenate([np.full(at.size, name) for name, at in plan.times.items()]) for plan in plans]
    seen = [np.concatenate(list(plan.times.values())) for plan in plans]
    size = sum(len(times) for times in seen)
    order = np.concatenate([np.argsort(times, kind="stable") + sum(map(len, seen[:k])) for k, times in enumerate(seen)])
    who = np.repeat([plan.name for plan in plans], [len(times) for times in seen])
    zeros, unsaid, none = np.zeros(size), np.full(size, np.nan), np.full(size, "")
    columns: dict[str, Any] = dict.fromkeys(("LLOQ", "ULOQ", "SD", "SE", "REF"), unsaid)
    columns |= dict.fromkeys(("AMT", "RATE", "DUR", "II", "ADDL", "SS", "MODE", "EVID", "MDV", "CENS", "PERIOD"), zeros)
    columns |= dict.fromkeys(("SEQUENCE", "ROUTE", "UNIT"), none) | dict.fromkeys(("DV", "N"), np.ones(size))
    columns |= {"ID": who, "ARM": who, "TIME": np.concatenate(seen)[order], "DVID": np.concatenate(of_arm)[order]}
    columns |= {"OCC": np.ones(size), "ROW": np.full(size, -1)}
    covariates = {name: np.repeat([plan.covariates.get(name, np.nan) for plan in plans], list(map(len, seen)))
                  for name in dict.fromkeys(name for plan in plans for name in plan.covariates)}  # fmt: skip
    units = {"TIME": model.time_unit} | {name: unit for plan in plans for name, unit in plan.units.items()}
    data = Dataset(
        columns=columns, covariates=covariates, units=units, carry="nocb", origin="the design", path=None, sha256=""
    )
    # Written out one by one, so that each dose has an occasion of its own.
    data = data.give({plan.name: plan.regimen.expand() for plan in plans})
    begins = {plan.name: plan.occasions for plan in plans}
    occasion = [np.searchsorted(begins[name], time, side="right") for name, time in zip(
        data.columns["ID"].tolist(), data.columns["TIME"].tolist(), strict=True)]  # fmt: skip
    data = replace(data, columns={**data.columns, "OCC": np.array(occasion, dtype=np.int64)})
    return make_problem(model, data, occasions=True)
