"""Errors have four parts, list everything, and survive a trip between processes."""

from __future__ import annotations

import pickle

import pytest

from pkpd import errors
from pkpd.errors import (
    Finding,
    MismatchError,
    ModelError,
    PkpdError,
    PkpdWarning,
    caret,
    did_you_mean,
    raise_all,
    suggestion,
)


def test_four_parts_on_two_lines():
    error = PkpdError(
        "-3 has no meaning.",
        where="theo.csv, row 14, column RATE",
        expected="RATE is 0 or more.",
        remedy="Correct the row.",
    )
    assert str(error) == ("theo.csv, row 14, column RATE: -3 has no meaning.\n  RATE is 0 or more. Correct the row.")
    assert (error.where, error.what) == ("theo.csv, row 14, column RATE", "-3 has no meaning.")


def test_only_what_is_one_line():
    assert str(PkpdError("it is broken.")) == "it is broken."


def test_several_findings_are_all_listed():
    findings = [Finding(code="a", what="one.", where="here"), Finding(code="b", what="two.", remedy="Mend it.")]
    with pytest.raises(MismatchError) as caught:
        raise_all(MismatchError, findings)
    assert str(caught.value) == "2 things are wrong.\n\nhere: one.\n\ntwo.\n  Mend it."
    assert caught.value.findings == tuple(findings)


def test_one_finding_becomes_a_plain_error():
    with pytest.raises(ModelError) as caught:
        raise_all(ModelError, [Finding(code="a", what="one.", where="here", expected="x.", excerpt="    a\n    ^")])
    assert str(caught.value) == "here: one.\n    a\n    ^\n  x."


def test_a_flood_of_findings_is_cut_in_the_text_only():
    error = PkpdError(findings=[Finding(code="x", what=f"number {i}.") for i in range(1000)])
    assert len(error.findings) == 1000
    assert str(error).endswith("… and 980 more.")


def test_the_tree():
    assert issubclass(errors.ModelSyntaxError, ModelError) and issubclass(errors.UnitError, ModelError)
    assert issubclass(errors.CannotFit, errors.FitError) and issubclass(errors.FitFileError, errors.FitError)
    named = [getattr(errors, name) for name in errors.__all__]
    kinds = [one for one in named if isinstance(one, type) and issubclass(one, Exception) and one is not PkpdWarning]
    assert len(kinds) == 12 and all(issubclass(one, PkpdError) for one in kinds)


def test_errors_can_be_pickled():
    error = ModelError("bad.", where="x", expected="y", remedy="z", findings=[Finding(code="a", what="b")])
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [("centrl", ["depot", "central"], "central"), ("wt", ["WT"], "WT"), ("zzz", ["cl"], None), ("", [], None)],
)
def test_did_you_mean(name, known, near):
    assert did_you_mean(name, known) == near
    assert suggestion(name, known) == (f"Did you mean `{near}`?" if near else None)


def test_did_you_mean_is_quick_for_long_names():
    assert did_you_mean("x" * 1_000_000, ["cl"]) is None


def test_caret_points_at_the_column_after_the_indent():
    assert caret("    cp = centrl / v1", 10) == "    cp = centrl / v1\n         ^"


def test_caret_in_a_long_line_shows_its_surroundings():
    line = "a + " * 500 + "HERE" + " + a" * 500
    first, second = caret(line, line.index("HERE") + 1).split("\n")
    assert first[second.index("^") :].startswith("HERE")
    assert len(first) < 130
