"""A trial as text: TOML that is read back, and a table that is printed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkpd.data.layout import count, html_table, short, text_table
from pkpd.errors import DataError, Finding, raise_all, suggestion
from pkpd.simulation.trial.people import in_words

if TYPE_CHECKING:
    from pkpd.simulation.trial.design import Trial

__all__ = ["headline", "read_table", "to_html", "to_text", "to_toml"]

_TABLES = ("arms", "sequences", "n", "visits", "covariates", "dropout", "lloq", "units")


def read_table(source: str | Path) -> dict[str, Any]:
    """Give what a TOML file, or TOML text, says of a trial; unknown and missing keys are refused.

    Raises
    ------
    DataError
        Of whatever is wrong.
    """
    from pkpd.simulation.trial.design import Trial

    is_text = isinstance(source, str) and "\n" in source
    where = "the trial's text" if is_text else str(source)
    try:
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the trial cannot be read: {error}.", where=where, expected="A TOML file.", remedy="Check the path."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"this is not TOML: {error}.", where=where, remedy="Correct the line.") from error
    known = [one.name for one in fields(Trial) if one.init]
    found = [
        Finding(code="unknown-key", where=where, what=f"`{key}` has no meaning here.",
                expected=f"Keys: {', '.join(known)}.", remedy=suggestion(key, known) or "Leave it out.")
        for key in table if key not in known
    ]  # fmt: skip
    found += [
        Finding(code="missing-key", where=where, what=f"`{key}` is missing.", expected=f"Keys: {', '.join(known)}.",
                remedy=f"Add {key}.")
        for key in ("arms", "sequences", "n", "visits") if key not in table
    ]  # fmt: skip
    if found:
        raise_all(DataError, found)
    return table


def to_toml(trial: Trial) -> str:
    """Give a trial as TOML."""
    lines = [f"title = {_value(trial.title)}"] if trial.title else []
    lines.append(f"time_unit = {_value(trial.time_unit)}")
    if trial.washout is not None:
        lines.append(f"washout = {_value(trial.washout)}")
    lines.append(f"reset_between_periods = {_value(trial.reset_between_periods)}")
    for name in _TABLES:
        value = getattr(trial, name)
        table = value if isinstance(value, Mapping) else {k: v for k, v in asdict(value).items() if v}
        if table:
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_value(one)}" for key, one in table.items())]
    return "\n".join(lines) + "\n"


def headline(trial: Trial) -> str:
    """Give a trial in one line."""
    periods = {len(arms) for arms in trial.sequences.values()}
    if periods == {1}:
        shape = f"{count(len(trial.sequences), 'group')}"
    else:
        shape = f"{count(len(trial.sequences), 'sequence')} of {count(max(periods), 'period')}"
    people = "1 person" if trial.people == 1 else f"{trial.people} people"
    return f"{people} in {shape}"


def to_text(trial: Trial) -> str:
    """Give the schedule: who gets what when, and when they are seen."""
    lines = [f"{trial.title}: {headline(trial)}" if trial.title else f"Trial of {headline(trial)}"]
    lines.append(text_table(_schedule(trial), left=("SEQUENCE", "ARM", "DOSE")))
    return "\n".join([*lines, *_sentences(trial)])


def to_html(trial: Trial) -> str:
    """Give the same for a notebook."""
    import html

    said = "".join(f"<li>{html.escape(line)}</li>" for line in _sentences(trial))
    return html_table(_schedule(trial), f"{trial.title or 'Trial'}: {headline(trial)}") + f"<ul>{said}</ul>"


def _schedule(trial: Trial) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {name: [] for name in ("SEQUENCE", "N", "PERIOD", "START", "ARM", "DOSE")}
    for name, arms in trial.sequences.items():
        for k, (arm, start) in enumerate(zip(arms, trial.starts(name), strict=True)):
            row = (
                "" if k else name,
                "" if k else str(trial.sizes[name]),
                str(k + 1),
                short(start),
                arm,
                trial.arms[arm],
            )
            for column, cell in zip(table.values(), row, strict=True):
                column.append(cell)
    return table


def _sentences(trial: Trial) -> list[str]:
    lines = [f"START in {trial.time_unit}. Visits, counted from the start of each period:"]
    lines += [f"  {name}: {', '.join(map(_time, times))}" for name, times in trial.visits.items()]
    if any(len(arms) > 1 for arms in trial.sequences.values()):
        flows = "everything is reset" if trial.reset_between_periods else "the state flows on"
        lines.append(f"Between periods: {flows}.")
    lines += [f"{name}: {in_words(given, trial.units.get(name, ''))}" for name, given in trial.covariates.items()]
    lines += [f"Below {limit:g} {trial.units.get(name, '')}".rstrip() + f", {name} is censored."
              for name, limit in trial.lloq.items()]  # fmt: skip
    said = {"visit": "{:g} at each visit", "rate": "a hazard of {:g} per " + trial.time_unit,
            "between": "{:g} between periods"}  # fmt: skip
    leaving = [said[name].format(value) for name, value in asdict(trial.leaving).items() if value]
    lines += [f"Dropout: {', '.join(leaving)}."] if leaving else []
    return [*lines, *(f"Note: {finding.what}" for finding in trial.check())]


def _time(value: float | str) -> str:
    return value if isinstance(value, str) else short(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (int, float)):
        return repr(value)
    return "[" + ", ".join(_value(one) for one in value) + "]"
