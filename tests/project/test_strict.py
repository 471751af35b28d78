"""Tables become dataclasses, and what does not fit is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pkpd.errors import Finding
from pkpd.project.strict import read_table


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    size: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    title: str
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)
    maybe: Inner | None = None
    whole: int = 1
    flag: bool = False


def test_everything_in_its_place():
    findings: list[Finding] = []
    table = {
        "title": "t",
        "kind": "b",
        "pair": [1, 2.5],
        "many": [{"name": "x"}, {"name": "y", "size": 3}],
        "named": {"z": {"name": "z"}},
        "maybe": {"name": "m"},
        "flag": True,
    }
    outer = read_table(Outer, table, "here", findings)
    assert findings == []
    assert outer is not None
    assert outer.many == (Inner(name="x"), Inner(name="y", size=3.0))
    assert (outer.pair, outer.named["z"].name, outer.maybe, outer.flag) == ((1.0, 2.5), "z", Inner(name="m"), True)


def test_all_that_is_wrong_is_said_at_once():
    findings: list[Finding] = []
    table = {
        "titel": "t",
        "kind": "c",
        "pair": [1],
        "many": [{"size": "big"}],
        "named": [1],
        "whole": 1.5,
        "flag": 1,
    }
    assert read_table(Outer, table, "here", findings) is None
    text = "\n".join(str(finding) for finding in findings)
    for piece in (
        "`titel` has no meaning here",
        "Did you mean `title`",
        "`title` is missing",
        "'c' is not known",
        "a list of 2",
        "here, many[1]",
        "`name` is missing",
        "a number",
        "a table",
        "a whole number",
        "true or false",
    ):
        assert piece in text, piece


def test_a_number_is_no_text_and_true_is_no_number():
    findings: list[Finding] = []
    assert read_table(Inner, {"name": 3, "size": True}, "here", findings) is None
    assert len(findings) == 2
