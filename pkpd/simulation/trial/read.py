"""What a trial was given, made plain: texts become regimens and times; what cannot be becomes findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pkpd import units
from pkpd.data import Dose, Regimen
from pkpd.data.dose import PER_UNIT, is_number
from pkpd.data.regimen import NO_DOSE
from pkpd.data.sentence import read_time
from pkpd.errors import Finding, PkpdError, UnitError, suggestion
from pkpd.simulation.trial.check import soundness
from pkpd.simulation.trial.people import check_covariate

__all__ = ["normalised"]


def normalised(given: Mapping[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """Give the fields of a trial in their plain form, and what follows from them; add what is wrong to `findings`."""

    def wrong(code: str, place: str, what: str, expected: str | None = None, remedy: str | None = None) -> None:
        where = f"Trial, {place}" if place else "Trial"
        findings.append(Finding(code=code, where=where, what=what, expected=expected, remedy=remedy))

    def table(name: str, example: str) -> dict[str, Any]:
        value = given[name]
        if not isinstance(value, Mapping):
            wrong("type", name, f"it is {value!r}.", f"A mapping, such as {example}.", "Write it so.")
            return {}
        return {str(key): one for key, one in value.items()}

    try:
        units.factor(given["time_unit"], "h")
    except (UnitError, TypeError, AttributeError):
        wrong(
            "unit",
            "time_unit",
            f"`{given['time_unit']}` is not a unit of time.",
            "s, min, h, d or wk.",
            "Write one of these.",
        )
        return {}
    time_unit = given["time_unit"]
    arms, regimens = _arms(table("arms", '{"drug": "35 mg iv over 40 min"}'), time_unit, findings)
    sequences = {
        name: (arms_,) if isinstance(arms_, str) else tuple(arms_) if isinstance(arms_, Iterable) else (arms_,)
        for name, arms_ in table("sequences", '{"AB": ("A", "B")}').items()
    }
    for name, members in sequences.items():
        for arm in members:
            if arm not in arms:
                wrong(
                    "arm",
                    f"sequences, {name}",
                    f"there is no arm `{arm}`.",
                    f"Arms: {', '.join(arms) or 'none'}.",
                    suggestion(str(arm), arms) or "Name one of these, or add it to arms.",
                )
        if not members:
            wrong("sequence", f"sequences, {name}", "it has no period.", "At least one arm.", "Name its arms.")
    if not sequences and isinstance(given["sequences"], Mapping):
        wrong("sequence", "sequences", "there is none.", 'Such as {"AB": ("A", "B")}.', "Say who gets what, in order.")
    n = _counts(given["n"], sequences, wrong)
    visits, times = _visits(table("visits", '{"cp": [0, "40 min", 24]}'), time_unit, wrong)
    periods = max((len(members) for members in sequences.values()), default=0)
    washout, gaps = _washout(given["washout"], periods, time_unit, wrong)
    stated = table("units", '{"cp": "ng/mL", "WT": "kg"}')
    covariates = table("covariates", '{"WT": {"normal": [75, 15]}}')
    for name, value in covariates.items():
        findings += check_covariate(name, value, tuple(arms), periods)
    per = dict.fromkeys(dose.per for regimen in regimens.values() for dose in regimen if dose.per)
    for name in per:
        if name not in covariates:
            wrong(
                "covariate",
                "covariates",
                f"a dose is per {name}, which nobody has.",
                f"Covariates: {', '.join(covariates) or 'none'}.",
                f'Add covariates={{"{name}": 70}}, or {{"{name}": {{"normal": [75, 15], "within": [45, 130]}}}}.',
            )
        else:
            stated.setdefault(str(name), {v: k for k, v in PER_UNIT.items()}.get(str(name), "1"))
    for name, unit in stated.items():
        if name not in visits and name not in covariates:
            known = [*visits, *covariates]
            wrong("units", "units", f"`{name}` is no output and no covariate.", f"Known: {', '.join(known)}.",
                  suggestion(name, known) or "Name one of these.")  # fmt: skip
        try:
            units.read(unit)
        except (UnitError, TypeError, AttributeError):
            wrong("units", f"units, {name}", f"`{unit}` is not a unit.", None, "Give it as text, such as mg/L.")
    lloq = table("lloq", '{"cp": 0.1}')
    for name, limit in lloq.items():
        if name not in visits:
            wrong("lloq", "lloq", f"`{name}` is not observed.", f"Outputs: {', '.join(visits)}.", "Name one of these.")
        if not is_number(limit) or limit <= 0:
            wrong("lloq", f"lloq, {name}", f"it is {limit!r}.", "A limit greater than 0, in the unit of the output.",
                  "Correct it.")  # fmt: skip
    leaving = ("visit", "rate", "between")
    if not all(hasattr(given["dropout"], name) for name in leaving):
        wrong("dropout", "dropout", f"it is {given['dropout']!r}.", f"How people leave: {', '.join(leaving)}.",
              'Write dropout={"visit": 0.05}.')  # fmt: skip
        leaving = ()
    for name in leaving:
        value = getattr(given["dropout"], name)
        most = math.inf if name == "rate" else 1.0
        if not is_number(value) or not 0 <= value < most:
            what = "A hazard of 0 or more per unit of time." if name == "rate" else "A probability from 0 to below 1."
            wrong("dropout", f"dropout, {name}", f"it is {value!r}.", what, "Write 0 for none.")
    if not isinstance(given["reset_between_periods"], bool):
        wrong(
            "type",
            "reset_between_periods",
            f"it is {given['reset_between_periods']!r}.",
            "true or false.",
            "Write one.",
        )
    plain: dict[str, Any] = {
        "arms": arms, "regimens": regimens, "sequences": sequences, "n": n, "visits": visits, "times": times,
        "washout": washout, "gaps": gaps, "covariates": covariates, "dropout": given["dropout"],
        "lloq": {name: float(limit) if is_number(limit) else limit for name, limit in lloq.items()}, "units": stated,
    }  # fmt: skip
    if not findings:
        findings += soundness(plain, time_unit, given["reset_between_periods"])
    return plain


def _arms(
    given: Mapping[str, Any], time_unit: str, findings: list[Finding]
) -> tuple[dict[str, str], dict[str, Regimen]]:
    """Give every arm as text and as a regimen."""
    texts: dict[str, str] = {}
    regimens: dict[str, Regimen] = {}
    for name, value in given.items():
        texts[name] = NO_DOSE
        where = f"Trial, arms, {name}"
        if not isinstance(value, (str, Dose, Regimen)):
            findings.append(
                Finding(code="arm", where=where, what=f"it is {value!r}.", expected="Text, a Dose or a Regimen.",
                        remedy='Write "35 mg iv over 40 min", or "no dose".')
            )  # fmt: skip
            continue
        if isinstance(value, str):
            text = " ".join(value.split())
        else:
            doses = Regimen.of(value).in_time_unit(time_unit)
            text = "; ".join(dose.sentence(time_unit) for dose in doses) or NO_DOSE
        try:
            regimens[name] = Regimen.read(text, time_unit)
        except PkpdError as error:
            findings.append(error.as_finding("dose", where=where))
            continue
        texts[name] = text
        if not isinstance(value, str) and Regimen.of(value).in_time_unit(time_unit) != regimens[name]:
            findings.append(
                Finding(code="arm", where=where, what=f"as text it would be `{text}`, which is not quite the same.",
                        expected="A regimen that text can say in full.", remedy="Give the arm as text.")
            )  # fmt: skip
    if not given:
        findings.append(
            Finding(code="arm", where="Trial, arms", what="there is none.", expected="At least one.",
                    remedy='Write {"drug": "35 mg iv over 40 min"}; "no dose" is an arm, too.')
        )  # fmt: skip
    return texts, regimens


def _counts(given: Any, sequences: Mapping[str, Any], wrong: Any) -> dict[str, int]:
    each: dict[str, Any] = dict.fromkeys(sequences, given)
    if isinstance(given, Mapping):
        each = {str(k): v for k, v in given.items()}
    for name in each:
        if name not in sequences:
            wrong("n", "n", f"there is no sequence `{name}`.", f"Sequences: {', '.join(sequences)}.",
                  suggestion(name, sequences) or "Name one of these.")  # fmt: skip
    for name in sequences:
        value = each.get(name)
        if value is None:
            wrong("n", "n", f"it is not said for sequence {name}.", "A number of people for each.", "Add it; 0 is one.")
        elif not is_number(value) or int(value) != value or value < 0:
            wrong("n", f"n, {name}", f"it is {value!r}.", "A whole number of people, 0 or more.", "Correct it.")
    counts = {name: int(each[name]) for name in sequences if name in each and is_number(each[name])}
    if counts and not any(counts.values()):
        wrong("n", "n", "there is nobody in the trial.", "At least one person.", "Say how many there are.")
    return counts


def _time(value: Any, time_unit: str, place: str, wrong: Any) -> float | None:
    """A time in `time_unit`, from a number or a text with a unit."""
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        try:
            return read_time(value, time_unit)
        except PkpdError as error:
            wrong("time", place, f"`{value}` is no time. {error.what}", error.expected, "Write it as in `40 min`.")
            return None
    wrong("time", place, f"{value!r} is no time.", "A finite number, or text with a unit.", "Write it as in `40 min`.")
    return None


def _visits(given: Mapping[str, Any], time_unit: str, wrong: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    visits: dict[str, tuple[Any, ...]] = {}
    times: dict[str, tuple[float, ...]] = {}
    for name, value in given.items():
        if isinstance(value, str) or not isinstance(value, Iterable):
            value = (value,)
        visits[name] = tuple(float(one) if is_number(one) else one for one in value)
        read = [_time(one, time_unit, f"visits, {name}", wrong) for one in visits[name]]
        times[name] = tuple(one for one in read if one is not None)
        for before, after in zip(times[name], times[name][1:]):
            if not before < after:
                wrong("visits", f"visits, {name}", f"{after:g} {time_unit} comes after {before:g} {time_unit}.",
                      "Rising times, each once.", "Sort them.")  # fmt: skip
        if not visits[name]:
            wrong(
                "visits", f"visits, {name}", "there is none.", "At least one time.", "Add it, or leave the output out."
            )
    if not given:
        wrong("visits", "visits", "nothing is observed.", 'Such as {"cp": [0, "40 min", 24]}.', "Say what, and when.")
    return visits, times


def _washout(given: Any, periods: int, time_unit: str, wrong: Any) -> tuple[Any, tuple[float, ...]]:
    """The washout as it was given, and the gap after every period but the last."""
    if given is None:
        if periods > 1:
            wrong(
                "washout",
                "washout",
                f"it is not said, and there are {periods} periods.",
                "The time from the last dose of a period to the first of the next.",
                'Add washout="2 weeks".',
            )
        return None, ()
    several = isinstance(given, Iterable) and not isinstance(given, str)
    plain = tuple(float(one) if is_number(one) else one for one in (given if several else (given,)))
    read = [_time(one, time_unit, "washout", wrong) for one in plain]
    gaps = tuple(one for one in read if one is not None)
    if len(gaps) < len(plain):
        return given, ()
    if several and len(gaps) != periods - 1:
        wrong("washout", "washout", f"there are {len(gaps)} times for {periods} periods.", "One, or one for each gap.",
              f"Give {max(periods - 1, 0)}.")  # fmt: skip
    for one in gaps:
        if one <= 0:
            wrong("washout", "washout", f"it is {one:g} {time_unit}: the next period begins with, or before, the last "
                  "dose of this one.", "A time greater than 0.", "Say how long people wait between doses.")  # fmt: skip
    return plain if several else plain[0], gaps if several else gaps * max(periods - 1, 0)
