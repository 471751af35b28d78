"""Bring the parts of the pages that repeat what the code says up to date: ``python docs/refresh.py``.

Between ``<!-- from the code: NAME -->`` and ``<!-- end -->`` stands what the function NAME below gives.
``tests/test_docs.py`` fails when a page lags behind.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))  # the modules beside this one, wherever it is run from
PART = re.compile(r"(<!-- from the code: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
# Groups that no estimator of this version fills.
NOT_YET = ("omega", "posterior", "sample_stats")
# Groups that are no part of a fit, but results of their own.
ELSEWHERE = ("information", "choice", "study", "study_replicates", "study_tests")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Give a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def columns() -> str:
    """Give the columns of a data file."""
    from pkpd.data.columns import ALIASES, MEANING

    aliases = ", ".join(f"`{theirs}` for `{ours}`" for theirs, ours in ALIASES.items())
    rows = [(f"`{name}`", meaning) for name, meaning in MEANING.items()]
    return f"\n{table(('column', 'meaning'), rows)}\nOther programs' names are understood: {aliases}.\n\n"


def groups() -> str:
    """Give the groups of a fit."""
    from pkpd.schema import GROUPS

    rows = [(f"`{name}`", meaning) for name, meaning in GROUPS.items() if name not in (*NOT_YET, *ELSEWHERE)]
    return f"\n{table(('group', 'holds'), rows)}\n"


def variables() -> str:
    """Give every variable of a fit."""
    from pkpd.schema import DIMENSIONS, GROUPS, VARIABLES

    text = f"\n{table(('dimension', 'is'), [(f'`{name}`', meaning) for name, meaning in DIMENSIONS.items()])}\n"
    for group in GROUPS:
        rows = [
            (f"`{v.name}`", ", ".join(f"`{dim}`" for dim in v.dims) or "–", v.meaning, v.unit)
            for (where, _), v in VARIABLES.items()
            if where == group
        ]
        if rows and group not in NOT_YET:
            text += f"## `{group}`\n\n{table(('variable', 'dimensions', 'meaning', 'unit'), rows)}\n"
    return text


def models() -> str:
    """Give the shipped models."""
    from pkpd import library

    rows = [
        (
            f"`{entry.name}`",
            entry.title,
            entry.mark,
            re.sub(r"doi:(\S+)", r"[doi](https://doi.org/\1)", entry.reference),
        )
        for entry in library.catalogue()
    ]
    return f"\n{table(('name', 'what it is', 'source', 'reference'), rows)}\n"


def commands() -> str:
    """Give every command with its options, from the docstrings that `--help` shows."""
    from pkpd.cli import commands as known

    text = "\n"
    for command in known():
        body, _, parameters = (inspect.getdoc(command) or "").partition("Parameters\n----------\n")
        parameters = re.split(r"\n(?:Returns|Raises|Notes|Examples)\n-+\n", parameters)[0]
        kinds = inspect.signature(command).parameters
        rows = []
        for name, meaning in re.findall(r"^(\w+).*\n((?: .*\n?)+)", parameters, flags=re.MULTILINE):
            places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
            option = name.rstrip("_").replace("_", "-")
            shown = f"`{option.upper()}`" if kinds[name].kind in places else f"`--{option}`"
            if kinds[name].kind is inspect.Parameter.VAR_KEYWORD:
                shown = "`--<covariate>`"
            rows.append((shown, " ".join(meaning.split())))
        text += f"## `pkpd {command.__name__}`\n\n{body.strip()}\n\n{table(('', ''), rows)}\n"
    return text


def single() -> str:
    """Give the keys of a fit.toml with one fit, from the classes that it is read into."""
    from pkpd.project import references
    from pkpd.project import single as room

    own = _sections({"": room.SinglePlan, "[data]": room.SingleData, "[[reference]]": references.Reference})
    return own + _estimators(room.estimators())


def _estimators(known: dict[str, type]) -> str:
    """Give the fields of every estimator that `[estimator]` can name."""
    rows = []
    for name, cls in known.items():
        shown = ", ".join(
            f"`{field.name}`" + ("" if field.default is None else f" ({_default(field.default)[8:]})")
            for field in fields(cls)
        )
        rows.append((f"`{name}`", _markdown((inspect.getdoc(cls) or "").split("\n")[0]), shown))
    return f"### `[estimator]`\n\n{table(('name', '', 'keys, with their defaults'), rows)}\n"


def plan() -> str:
    """Give the keys of a fit.toml that compares candidates, from the classes that it is read into."""
    from pkpd.project import plan as room

    return _sections(
        {
            "": room.Plan,
            "[data]": room.Data,
            "[search]": room.Search,
            "[spread]": room.Spread,
            "[row_sets.<name>]": room.Rows,
            "[candidates.<name>]": room.Candidate,
            "[focus]": room.Focus,
            "[attribution]": room.Attribution,
            "[[sensitivity]]": room.Sensitivity,
            "[[sensitivity]] cases": room.Case,
            "[what_if]": room.WhatIf,
            "[[what_if.scenarios]]": room.Scenario,
            "[[exposure]]": room.Exposure,
            "[[assumptions]]": room.Assumption,
            "[text]": room.Texts,
        }
    )


def _sections(sections: dict[str, type]) -> str:
    names = {section.strip("[]").split(".")[0].split(" ")[0] for section in sections}
    text = "\n"
    for section, cls in sections.items():
        body, _, described = (inspect.getdoc(cls) or "").partition("Parameters\n----------\n")
        meanings = {
            name.strip(): _markdown(" ".join(meaning.split()))
            for names_, meaning in re.findall(r"^(\w[\w, ]*)\n((?: .*\n?)+)", described, flags=re.MULTILINE)
            for name in names_.split(",")
        }
        rows = []
        for field in fields(cls):
            if section == "" and field.name in names:
                continue
            needed = field.default is MISSING and field.default_factory is MISSING
            kind = "required" if needed else _default(field.default)
            rows.append((f"`{field.name}`", _kind(str(field.type)), kind, meanings.get(field.name, "")))
        title = f"### `{section}`\n\n" if section else "### Top level\n\n"
        text += f"{title}{_markdown(body.strip())}\n\n{table(('key', 'is', '', 'meaning'), rows)}\n"
    return text


def _kind(annotation: str) -> str:
    """Give a type in the words of TOML."""
    annotation = annotation.removesuffix(" | None")
    if annotation.startswith("Literal"):
        return " or ".join(f"`{word}`" for word in re.findall(r"'([^']*)'", annotation))
    if annotation == "dict[str, Any]":
        return "table"
    words = {"tuple": "list of ", "dict": "table of "}
    for start, word in words.items():
        if annotation.startswith(start):
            return word + _kind(annotation.rstrip("]").replace(", ...", "").split("[", 1)[1].split(", ")[-1]) + "s"
    plain = {"str": "text", "float": "number", "int": "whole number", "bool": "true or false", "Any": "value"}
    return plain.get(annotation, annotation)


def _default(value: object) -> str:
    """Give a default in the words of TOML; nothing where it is empty."""
    if value is MISSING or value in ("", None, ()):
        return ""
    shown = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
    return f"default {shown.lower() if isinstance(value, bool) else shown}"


def _markdown(text: str) -> str:
    """Give the reStructuredText of a docstring as Markdown."""
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")


def event(name: str) -> str:
    """Give an example of the page on events: its model where it is a new one, its rows, regimens, and its picture."""
    from event_examples import EXAMPLES
    from event_runs import BASE

    if name == "model":
        return f"\n```toml{BASE}```\n\n"
    example = EXAMPLES[name.replace("_", "-")]
    text = "" if example.model == BASE else f"\n```toml{example.model}```\n"
    text += f"\n```text\n{inspect.cleandoc(example.rows)}\n```\n"
    if example.sentences:
        several = len(example.labels) > 1
        words = [f"`{said}`" + (f" (ID {who})" if several else "") for who, said in example.sentences.items()]
        text += f"\nAs {'regimens' if len(words) > 1 else 'a regimen'}: {', '.join(words)}.\n"
    return f"{text}\n![{example.alt}](../img/event-{name.replace('_', '-')}.svg)\n\n"


MAKERS = (columns, groups, variables, models, commands, plan, single)
PARTS: dict[str, Callable[[], str]] = {make.__name__: make for make in MAKERS}


def part(name: str) -> str:
    """Give the part of this name."""
    if name.startswith("event_"):
        return event(name.removeprefix("event_"))
    if name.startswith("validation_"):
        import validation

        return validation.part(name.removeprefix("validation_"))
    return PARTS[name]()


def fresh(text: str) -> str:
    """Give a page with its parts as the code says today."""
    return PART.sub(lambda match: f"{match[1]}{part(match['name'])}{match[3]}", text)


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        old = page.read_text(encoding="utf-8")
        if (new := fresh(old)) != old:
            page.write_text(new, encoding="utf-8")
            print(f"refreshed {page.relative_to(DOCS)}")
