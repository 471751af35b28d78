"""Checks: names, what is not used, what comes from nothing."""

from __future__ import annotations

import pytest

from pkpd.errors import ModelError, ModelSyntaxError
from pkpd.model import Covariate, Model, Parameter


def codes(model):
    return [finding.code for finding in model.check()]


def test_a_sound_model_has_no_findings(text):
    assert Model(text).check() == []


def test_unused_rows(change):
    model = Model(change("[routes]", "spare = { typical = 1 }\n[routes]"))
    (finding,) = model.check()
    assert (finding.code, finding.severity, finding.where) == ("unused", "warning", "line 26, column 1")


def test_mass_that_comes_from_nothing(change):
    assert codes(Model(change("d/dt(depot)       = -ka", "d/dt(depot)       = ka"))) == ["balance"]
    assert codes(Model(change("q2 * (cp - peripheral1 / v2)\n'''", "2 * q2 * (cp - peripheral1 / v2)\n'''"))) == [
        "balance"
    ]


def test_a_conversion_is_not_a_gain():
    model = Model("""
[constants]
ratio = { value = 1.049, unit = "1" }
[parameters]
k = { typical = 1, unit = "1/h" }
[routes]
iv = { into = "a" }
[dynamics]
equations = '''
d/dt(a) = -k * a
d/dt(b) = k * a * ratio - k * b
'''
[outputs]
b = { unit = "mg" }
""")
    assert model.check() == []


NAMES = [
    (("WT", "wt"), "the covariate `wt` is not in UPPER case."),
    (("cl", "CL"), "`CL` is in UPPER case, but is not a covariate."),
    (("v1 = {", "exp = {"), "`exp` is a word of the language."),
    (("ka = {", "cp = {"), "`cp` is defined twice"),
    (("[routes]", "central = { typical = 1 }\n[routes]"), "`central` is defined twice"),
]


@pytest.mark.parametrize(("pair", "message"), NAMES, ids=[message for _, message in NAMES])
def test_names_that_cannot_be(change, pair, message):
    with pytest.raises(ModelError) as caught:
        Model(change(*pair))
    assert message in str(caught.value)


def test_mixed_case_is_a_warning(change):
    model = Model(change("ka", "kA"))
    assert [(f.code, f.severity) for f in model.check()] == [("name", "warning")]


def test_order_of_assignments(change):
    with pytest.raises(ModelError, match="`cm` is used before it is defined"):
        Model(change("cp = central / v1 ", "cp = central / v1 + 0 * cm "))


def test_an_undeclared_covariate(change):
    with pytest.raises(ModelSyntaxError, match=r"declare AGE in \[covariates\]"):
        Model(change("ka * depot -", "ka * depot * AGE / 70 -"))


def test_routes_do_not_change_with_time(change):
    with pytest.raises(ModelError, match="`t` changes with time"):
        Model(change('bioavailability = "fo"', 'bioavailability = "fo + 0 * t"'))
    with pytest.raises(ModelError, match="`cp` changes with time"):
        Model(change('bioavailability = "fo"', 'bioavailability = "fo + 0 * cp"'))


def test_dose_is_known_to_routes_only(change):
    assert Model(change('bioavailability = "fo"', 'bioavailability = "fo * dose / dose"'))
    with pytest.raises(ModelSyntaxError, match="`dose` is not defined"):
        Model(change("ka * depot -", "ka * dose -"))


def test_models_in_python_are_checked_too():
    with pytest.raises(ModelSyntaxError) as caught:
        Model(parameters=[Parameter(name="cl", typical=1.0)], equations="cp = clx")
    assert str(caught.value) == (
        "line 1, column 6: `clx` is not defined.\n    cp = clx\n         ^\n  Defined here: cp, cl. Did you mean `cl`?"
    )
    with pytest.raises(ModelError, match=r"\[covariates\] age: the covariate `age` is not in UPPER case"):
        Model(covariates=[Covariate(name="age")])


def test_a_state_that_no_output_depends_on_is_said():
    """An effect compartment that the effect does not use is a mistake that would otherwise pass unseen."""
    from pkpd.model import parts

    kinetics = parts.disposition(1)
    forgotten = (kinetics + parts.effect_compartment() + parts.emax()).check()
    assert [f.what for f in forgotten if f.code == "unused"] == ["no output depends on `ce`."]
    assert not [f for f in (kinetics + parts.effect_compartment() + parts.emax("ce")).check() if f.code == "unused"]
