"""What does not fit between events and a model is found at the border, all of it at once."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.read import read_data
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict
from pkpd.errors import MismatchError, PkpdWarning
from pkpd.model.model import Model


@pytest.fixture(scope="module")
def program(everything):
    return compile_model(everything)


def events(regimen, outputs=("cp",), covariates=None, times=(1.0, 2.0), **more):
    who = {"WT": 70.0} if covariates is None else covariates
    return Events.from_regimens([("1", regimen, times, who)], outputs=list(outputs), **more)


def test_all_findings_at_once(program):
    with pytest.raises(MismatchError) as caught:
        bind(program, events(Dose(10, route="nasal"), outputs=["cpp"], covariates={}))
    text = str(caught.value)
    assert {f.code for f in caught.value.findings} == {"route", "output", "covariate"}
    assert "`nasal` leads nowhere" in text and "oral, iv, slow, steady" in text
    assert "`cpp`" in text and "Did you mean `cp`?" in text
    assert "WT" in text and "reference is 70" in text


def test_a_route_must_be_named_where_there_are_several(program):
    with pytest.raises(MismatchError, match="no route is named"):
        bind(program, events(Dose(10)))


def test_units_of_doses_are_converted_or_refused(program):
    plain = bind(program, events(Dose(10, route="iv")))
    micro = bind(program, events(Dose(10_000, unit="ug", route="iv")))
    np.testing.assert_allclose(micro.arrays["dose_amount"], plain.arrays["dose_amount"])
    with pytest.raises(MismatchError, match="mol"):
        bind(program, events(Dose(10, unit="nmol", route="iv")))


def test_a_covariate_that_turns_a_volume_negative_is_refused(program):
    with pytest.raises(MismatchError) as caught:
        bind(program, events(Dose(10, route="iv"), covariates={"WT": -70.0}))
    text = str(caught.value)
    assert "the factor of `v`, WT / 70, is -1 at WT = -70" in text and "`cl`" in text


@pytest.mark.parametrize(
    ("cmt", "lines"),
    [
        ("p1", 'The state `p1` has no route. {} [routes]: p1 = {{ into = "p1" }}.'),
        ("3", '`p1`, state 3 of the model, has no route. {} [routes]: p1 = {{ into = "p1", cmt = 3 }}.'),
        (
            "4",
            '`ce`, state 4 of the model, has no route. {} [routes]: ce = {{ into = "ce", cmt = 4, unit = "mg/L" }} '
            'and, under [states], ce = {{ unit = "mg/L" }}.',
        ),
    ],
)
def test_a_state_without_a_route_is_refused_with_the_lines_that_give_it_one(everything, program, cmt, lines):
    """What the message says to write makes a model that takes the dose."""
    data = read_data({"ID": 1, "TIME": [0, 0, 1], "AMT": [10, 20, 0], "CMT": cmt, "DVID": "cp", "DV": 1, "WT": 70,
                      "EVID": [1, 1, 0]})  # fmt: skip
    with pytest.raises(MismatchError) as caught:
        bind(program, data.events())
    text = str(caught.value)
    said = lines.format("To give doses into it, write under")
    assert said in text and "row 0, ID 1 (and 1 more)" in text
    route, _, state = said.split("[routes]: ")[1].removesuffix(".").partition(" and, under [states], ")
    assert not state or state in everything.text, "a model as it is written out declares the units of its states"
    mended = Model(everything.text.replace("[routes]\n", f"[routes]\n{route}\n"))
    program = compile_model(mended, observe=["p1", "ce"])
    given = bind(program, Events.from_regimens([("1", _twice(cmt), [0.0], {"WT": 70.0})]))
    assert predict(program, given, [p.typical for p in mended.parameters.values()]).f.max() == pytest.approx(30)


def _twice(cmt: str) -> Regimen:
    """Two doses at one time into the state that the messages above tell of."""
    route = {"p1": "p1", "3": "p1", "4": "ce"}[cmt]
    return Dose(10, route=route) + Dose(20, route=route)


def test_a_modelled_rate_or_duration_must_be_in_the_route(program):
    table = {"TIME": [0, 1, 2], "AMT": [5, 5, 0], "RATE": [-2, -1, 0], "ROUTE": "iv", "DVID": "cp", "DV": ".", "WT": 70}
    with pytest.raises(MismatchError) as caught:
        bind(program, read_data(table).events())
    text = str(caught.value)
    assert "row 0, ID 1: RATE is -2, but the input into `central` has no duration." in text
    assert "row 1, ID 1: RATE is -1, but the input into `central` has no rate." in text
    assert 'iv = { into = "central", rate = ... }' in text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ROUTE": "slow", "RATE": 0}, "say RATE 0, a bolus; the duration that the model has for `central`"),
        ({"ROUTE": "slow", "RATE": 5}, "say their rate; the duration"),
        ({"ROUTE": "steady", "DUR": 5}, "say their duration; the rate that the model has .* Write RATE -1"),
    ],
)
def test_data_that_overrule_the_models_rate_or_duration_are_warned_of(program, given, says):
    table = {"TIME": [0, 1], "EVID": [1, 0], "AMT": [5, "."], "DVID": "cp", "DV": ".", "WT": 70} | given
    with pytest.warns(PkpdWarning, match=says):
        bind(program, read_data(table).events())


def test_a_regimen_that_overrules_the_model_means_it(program):
    bind(program, events(Dose(10, route="slow", over=2)))


def test_more_overlap_than_can_be_kept_at_steady_state_is_refused(program):
    with pytest.raises(MismatchError, match="100 of them overlap") as caught:
        bind(program, events(Dose(10, route="iv", over=100, every=1, ss=1)))
    assert "At most 64" in str(caught.value)
    bind(program, events(Dose(10, route="iv", over=60, every=1, ss=1)))


def test_several_doses_at_one_time_add_up(program, everything):
    """By one route, by several, and as one dose."""
    values = [p.typical for p in everything.parameters.values()]

    def seen(regimen):
        return predict(program, bind(program, events(regimen, times=[0.0, 1.0, 6.0])), values).f

    apart = seen(
        Dose(10, route="iv") + Dose(15, route="iv") + Dose(5, route="iv", over=2) + Dose(5, route="iv", over=2)
    )
    np.testing.assert_allclose(apart, seen(Dose(25, route="iv") + Dose(10, route="iv", over=2)), rtol=1e-9)
    linear = seen(Dose(10, route="iv") + Dose(20, route="oral"))
    np.testing.assert_allclose(linear, seen(Dose(10, route="iv")) + seen(Dose(20, route="oral")), rtol=1e-6)
