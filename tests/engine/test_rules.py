"""What does not fit between events and a model is found at the border, all of it at once."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose
from pkpd.engine import bind, compile_model
from pkpd.errors import MismatchError


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
