"""Events become the tables of a program: units of time, steady state, additional doses, covariates in force."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import bind, compile_model, predict
from pkpd.errors import ModelError
from pkpd.model.model import Model


@pytest.fixture(scope="module")
def program(everything):
    return compile_model(everything)


def events(regimen, outputs=("cp",), covariates=None, times=(1.0, 2.0), **more):
    who = {"WT": 70.0} if covariates is None else covariates
    return Events.from_regimens([("1", regimen, times, who)], outputs=list(outputs), **more)


def test_times_are_converted_to_the_models_unit(program, everything):
    values = [p.typical for p in everything.parameters.values()]
    hours = bind(program, events(Dose(10, route="iv", over=2.0), times=[3.0, 6.0], time_unit="h"))
    minutes = bind(program, events(Dose(10, route="iv", over=120.0), times=[180.0, 360.0], time_unit="min"))
    np.testing.assert_allclose(predict(program, hours, values).f, predict(program, minutes, values).f, rtol=1e-12)


@pytest.mark.parametrize(
    "dose",
    [
        Dose(10, route="iv", ss=1, every=12),
        Dose(0, rate=5, ss=1, route="iv"),
        Dose(0, rate=5, ss=1, route="slow"),
    ],
)
def test_steady_state_is_honoured(program, dose):
    assert bind(program, events(dose)).steady


def test_additional_doses_stop_at_the_last_row(program):
    schedule = bind(program, events(Regimen.every(1.0, amount=1, n=1_000_000, route="iv"), times=[0.5, 4.0]))
    assert len(schedule.arrays["dose_time"]) == 5


@pytest.mark.parametrize("carry", ["nocb", "locf"])
def test_an_additional_dose_takes_the_covariates_of_its_own_time(program, carry):
    weights = {0.0: 50.0, 5.0: 60.0, 11.0: 70.0}
    schedule = bind(
        program,
        events(Regimen.every(6, amount=1, n=3, route="iv"), covariates={"WT": weights}, times=[20.0], carry=carry),
    )
    covariates = schedule.arrays["covariates"][:, 0]
    assert list(covariates[schedule.arrays["dose_row"]]) == (
        [50.0, 70.0, 70.0] if carry == "nocb" else [50.0, 60.0, 70.0]
    )


def test_what_is_observed_must_exist(everything):
    with pytest.raises(ModelError, match="Did you mean `inh`"):
        compile_model(everything, observe=["inhh"])
    program = compile_model(everything, observe=["inh", "ce", "cl"])
    assert program.observables == ("inh", "ce", "cl")


def test_states_start_at_time_zero():
    """A regimen's clock starts at 0, even if nothing happens until later."""
    model = Model(
        """
        title = "decay"
        [units]
        time = "h"
        amount = "mg"
        [parameters]
        k = { typical = 0.1, unit = "1/h" }
        [states]
        x = { unit = "1" }
        [dynamics]
        equations = '''
        d/dt(x) = -k * x
        x(0) = 1
        '''
        [outputs]
        x = { unit = "1" }
        """
    )
    program = compile_model(model)
    late = Events.from_regimens([("1", Regimen(()), [5.0, 10.0], {})], outputs=["x"])
    np.testing.assert_allclose(predict(program, bind(program, late), [0.1]).f, np.exp([-0.5, -1.0]), rtol=1e-7)


def test_a_copy_has_addresses_of_its_own(program):
    """What the solver reads must be the copy's arrays, not those of an original that may be gone."""
    schedule = bind(program, events(Dose(10, route="iv")))
    assert schedule.addresses["item_time"] == schedule.arrays["item_time"].ctypes.data
    for copy in (deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        for name, array in copy.arrays.items():
            assert copy.addresses[name] == array.ctypes.data
        assert copy.addresses["item_time"] != schedule.addresses["item_time"]
