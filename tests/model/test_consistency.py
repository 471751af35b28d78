"""Units of a model: what fits, what does not, and what is inferred."""

from __future__ import annotations

import pytest

from pkpd.errors import UnitError
from pkpd.model import Model

ROWS = """
[constants]
ng_per_mg = { value = 1e6, unit = "ng/mg" }
mm = { value = 237.73, unit = "g/mol" }
day = { value = 24, unit = "h" }
[parameters]
v = { typical = 20, unit = "L" }
k = { typical = 1, unit = "1/h" }
gamma = { typical = 2 }
ec50 = { typical = 1, unit = "mg/L" }
ec_ng = { typical = 1, unit = "ng/mL" }
e0 = { typical = 50, unit = "%" }
a = { typical = 3, unit = "mg" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -k * central
"""


def model(*lines, tail=""):
    return Model(ROWS + "\n".join(lines) + "\n'''\n" + tail)


FIT = [
    "x = cp ** gamma / (ec50 ** gamma + cp ** gamma)",
    "x = (cp / ec50) ** gamma",
    "x = e0 * (1 - cp / (ec50 + cp))",
    "x = exp(-k * t) + log(cp / ec50) + sin(t / day)",
    "x = sqrt(cp ** 2) + cp",
    "x = cp if t < day else 0",
    "x = max(cp, 0) + min(cp, ec50)",
    "x = abs(cp) - -cp",
    "x = (cp > ec50) * cp",
    "x = cp + 0",
    "x = 0 * cp + 2",
    "x = floor(t / day)",
    "x = cp ** 0.5 * cp ** 0.5 + cp",
    "x = cp and not 0 or ec50 > 0",
]


@pytest.mark.parametrize("line", FIT)
def test_what_fits(line):
    assert model(line)


MISFIT = [
    ("x = cp + ec_ng", "`cp` is in mg/L, and `ec_ng` is in ng/mL: they differ by a factor of 1000."),
    ("x = cp + 1", "`cp` is in mg/L, and `1` is a bare number."),
    ("x = cp + v", "`cp` is in mg/L, and `v` is in L."),
    ("x = exp(cp)", "`cp` is in mg/L, but exp(…) takes a bare number."),
    ("x = log(t)", "`t` is in h, but log(…) takes a bare number."),
    ("x = floor(t)", "`t` is in h, but floor(…) takes a bare number."),
    ("x = 2 ** cp", "`cp` is in mg/L, but an exponent is a bare number."),
    ("x = cp ** gamma + ec50", "is in (mg/L)**gamma"),
    ("x = cp if t < 24 else 0", "`t` is in h, and `24` is a bare number."),
    ("x = e0 + 1", "`e0` is in %, and `1` is a bare number: they differ by a factor of 100."),
    ("d/dt(y) = k * cp\ny(0) = a", "d/dt(y) is in mg/h, and `k * cp` is in mg/L/h."),
    ("d/dt(y) = k * y\ny(0) = 3\nx = y + cp", "`y` is a bare number, and `cp` is in mg/L."),
    ("d/dt(central2) = cp - central2", "`central2`"),
]


@pytest.mark.parametrize(("lines", "message"), MISFIT, ids=[lines for lines, _ in MISFIT])
def test_what_does_not_fit(lines, message):
    with pytest.raises(UnitError) as caught:
        model(lines)
    assert message in str(caught.value)


def test_a_factor_is_said_with_its_remedy():
    with pytest.raises(UnitError) as caught:
        model("x = cp + ec_ng")
    assert 'scale = { value = 0.001, unit = "mg*mL/L/ng" }' in str(caught.value)


def test_conversions_in_the_open_are_fine():
    constants = 'ng_per_mg = { value = 1e6, unit = "ng/mg" }'
    text = ROWS.replace(constants, constants + '\nml_per_l = { value = 1000, unit = "mL/L" }')
    assert Model(text + "x = cp * ng_per_mg / ml_per_l + ec_ng\n'''")


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("d/dt(ce) = k * (cp - ce)", "mg/L"),
        ("d/dt(ce) = k * (ce2 - ce)\nd/dt(ce2) = k * (cp - ce2)", "mg/L"),
        ("d/dt(ce) = -k * ce\nce(0) = e0", "%"),
        ("d/dt(ce) = cp", "mg*h/L"),
        ("d/dt(ce) = k * (cp / ec50 - ce)", "1"),
    ],
)
def test_units_of_states_are_inferred(line, unit):
    from pkpd.units import same

    assert same(model(line).states["ce"].unit, unit)


def test_a_unit_that_cannot_be_told():
    with pytest.raises(UnitError, match="the unit of `y` cannot be told"):
        model("d/dt(y) = -k * y")
    assert model("d/dt(y) = -k * y", tail="[states]\ny = { unit = 'mg' }").states["y"].unit == "mg"


def test_outputs_are_in_the_unit_they_say():
    with pytest.raises(UnitError) as caught:
        model(tail='[outputs]\ncp = { unit = "ng/mL" }')
    assert "`cp` as declared is in ng/mL, and `cp` as computed is in mg/L" in str(caught.value)
    assert 'Say unit = "mg/L"' in str(caught.value)


ROUTES = [
    ('{ into = "central", lag = "1 / k" }', None),
    ('{ into = "central", lag = "k" }', "lag is in h, and `k` is in 1/h."),
    ('{ into = "central", bioavailability = "gamma" }', None),
    ('{ into = "central", bioavailability = "v" }', "bioavailability is a bare number, and `v` is in L."),
    ('{ into = "central", duration = "day" }', None),
    ('{ into = "central", duration = "gamma" }', "duration is in h, and `gamma` is a bare number."),
    ('{ into = "central", rate = "a * k" }', None),
    ('{ into = "central", rate = "a" }', "rate is in mg/h, and `a` is in mg."),
    ('{ into = "central", bioavailability = "a / (a + dose)" }', None),
    ('{ into = "central", scale = "mm" }', "scale is a bare number, and `mm` is in g/mol."),
    ('{ into = "central", unit = "ng", scale = "1 / ng_per_mg" }', None),
    ('{ into = "central", unit = "ng" }', "the state `central` is in mg, and a dose of iv is in ng: they differ"),
    ('{ into = "central", unit = "mmol" }', "the state `central` is in mg, and a dose of iv is in mmol."),
]


@pytest.mark.parametrize(("route", "message"), ROUTES, ids=[route for route, _ in ROUTES])
def test_units_of_routes(route, message):
    text = ROWS.replace('{ into = "central" }', route) + "'''"
    if message is None:
        assert Model(text)
        return
    with pytest.raises(UnitError) as caught:
        Model(text)
    assert message in str(caught.value)


def test_mass_and_substance_ask_for_a_molar_mass():
    with pytest.raises(UnitError, match="molar mass"):
        model(tail='[states]\ncentral = { unit = "mmol" }')
