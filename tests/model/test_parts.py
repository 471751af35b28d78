"""The pieces: every one reads back, every combination fits, and the equations are those of the sources."""

from __future__ import annotations

import inspect

import pytest

from pkpd.errors import ModelError
from pkpd.model import Model, parts
from pkpd.model.expression import evaluate, to_text

FIRST_ARGUMENT = {"indirect_response": (1,), "transit_transduction": (3,)}


@pytest.mark.parametrize("name", parts.__all__)
def test_each_piece_is_a_sound_model(name):
    make = getattr(parts, name)
    piece = make(*FIRST_ARGUMENT.get(name, ()))
    assert isinstance(piece, Model) and Model(piece.text) == piece
    assert all(finding.code == "open" for finding in piece.check())
    assert inspect.getdoc(make)
    assert str(piece) and piece.latex()


def pk():
    return parts.disposition(2) + parts.absorption()


CHAINS = {
    "linear": lambda: parts.linear(),
    "emax": lambda: parts.emax(),
    "sigmoid behind an effect compartment": lambda: parts.effect_compartment() + parts.sigmoid("ce"),
    "turnover 1": lambda: parts.indirect_response(1),
    "turnover 2": lambda: parts.indirect_response(2),
    "turnover 3": lambda: parts.indirect_response(3),
    "turnover 4": lambda: parts.indirect_response(4, "ce") + parts.effect_compartment(),
    "transduction": lambda: parts.transit_transduction(4) + parts.emax(),
    "tolerance": lambda: parts.linear() + parts.tolerance(),
    "placebo": lambda: parts.emax() + parts.weibull() + parts.period() + parts.carryover(),
}


@pytest.mark.parametrize("name", CHAINS)
def test_pieces_join_in_any_order(name):
    one, other = pk() + CHAINS[name](), CHAINS[name]() + pk()
    assert one.needs == {} and other.needs == {}
    assert one.check() == [] and other.check() == []
    assert set(one.derivatives) == set(other.derivatives)


def test_pieces_without_time_join_models_in_any_unit():
    model = parts.disposition(1, time="min", amount="ug", volume="mL") + parts.emax(unit="ug/mL") + parts.period()
    assert model.time_unit == "min"


def test_a_driver_without_concentrations():
    model = parts.kinetic_driver() + parts.indirect_response(1, "driving", unit="mg/h")
    assert model.needs == {} and model.check() == []


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_disposition(compartments):
    model = parts.disposition(compartments)
    assert len(model.states) == compartments and len(model.parameters) == 2 * compartments


def test_absorption_with_everything():
    model = parts.disposition() + parts.absorption("nasal", transits=2, lag=True, bioavailability=True)
    entry = model.routes["nasal"].inputs[0]
    assert (str(entry.lag), str(entry.bioavailability)) == ("tlag", "fo")
    assert to_text(model.derivatives["central"]) == "-cl * cp + ka * transit2"
    assert model.check() == []


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_indirect_responses_rest_without_drug(kind):
    model = parts.indirect_response(kind)
    values = {name: p.typical for name, p in model.parameters.items()}
    values |= {"cp": 0.0, "response": 10.0}
    values["kin"] = evaluate(dict(model.assignments)["kin"], values)
    assert evaluate(model.derivatives["response"], values) == pytest.approx(0.0, abs=1e-12)
    values["cp"] = 1e6
    moved = evaluate(model.derivatives["response"], values)
    assert (moved > 0) == (kind in (2, 3))


@pytest.mark.parametrize("make", [parts.exponential, parts.weibull, parts.inverse_bateman])
def test_courses_start_at_nothing_and_fall(make):
    model = make()
    fall = dict(model.assignments)["fall"]
    values = {name: p.typical for name, p in model.parameters.items()}
    assert evaluate(fall, {**values, "t": 0.0}) == pytest.approx(0.0, abs=1e-15)
    assert 0 < evaluate(fall, {**values, "t": 50.0}) < 0.3


@pytest.mark.parametrize(
    "call",
    [
        lambda: parts.disposition(4),
        lambda: parts.absorption(transits=-1),
        lambda: parts.indirect_response(5),
        lambda: parts.transit_transduction(0),
        lambda: parts.emax("cp; import os"),
    ],
)
def test_what_cannot_be_built(call):
    with pytest.raises(ModelError):
        call()
