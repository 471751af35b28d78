"""Parameters that differ between occasions: against the same written by hand, differences and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data import Dose, Events, with_occasions
from pkpd.engine import OCCASION, Prediction, Program, bind, compile_model, predict, predict_second
from pkpd.errors import MismatchError, SolveError, UsageError
from pkpd.model.model import Model
from tests.engine.occasion_models import ONE, PARAMETERS, PEOPLE, by_hand, model, named, people

METHODS = ["auto", "explicit", "rosenbrock"]


def drawn(program: Program, subjects: int, seed: int = 1) -> np.ndarray:
    """Values around the typical ones, and kappas, of so many subjects."""
    rng = np.random.default_rng(seed)
    typical = np.array([p.typical for p in program.model.parameters.values()])
    own = typical * np.exp(0.1 * rng.standard_normal((subjects, len(typical))))
    return np.hstack([own, rng.normal(0.0, 0.25, (subjects, len(program.parameters) - len(typical)))])


def solve(program: Program, given: Events, values: np.ndarray, **options) -> Prediction:
    got = predict(program, bind(program, given), values, **options)
    got.raise_failures()
    return got


def test_the_parameters_of_a_program():
    plain, program = compile_model(model("linear")), compile_model(model("linear"), occasions=2)
    assert plain.parameters == tuple(PARAMETERS) and plain.occasions == 0
    names = [name for name, p in program.model.parameters.items() if p.iov]
    assert program.parameters == (*PARAMETERS, *(f"{name}@{m}" for m in (1, 2) for name in names))
    assert names == ["cl", "v", "lag", "f", "dur", "rin", "out", "base"]
    assert "ka@1" not in program.parameters


@pytest.mark.parametrize("carry", ["nocb", "locf", "linear"])
@pytest.mark.parametrize("kind", ["linear", "turnover"])
def test_the_same_as_written_by_hand(kind, carry):
    program, hand = compile_model(model(kind), occasions=3), compile_model(by_hand(kind, 3))
    # An additional dose at two rows of one time takes what the line leads to, which is the occasion before.
    which = [name for name in PEOPLE if carry != "linear" or name != "on the row"]
    given = people(kind, *which, carry=carry, jump=carry == "linear")
    values = drawn(program, len(which))
    places = [program.parameters.index(name) for name in map(named, hand.parameters)]
    for method in METHODS:
        got = solve(program, given, values, sensitivities=True, rtol=1e-10, method=method)
        wanted = solve(hand, given, values[:, places], sensitivities=True, rtol=1e-10, method=method)
        np.testing.assert_array_equal(got.method, wanted.method)
        np.testing.assert_allclose(got.f, wanted.f, rtol=1e-8, atol=1e-9, err_msg=method)
        largest = np.abs(wanted.df).max(axis=0)
        assert (np.abs(got.df[..., places] - wanted.df) <= 1e-7 * largest).all(), method
        assert (largest.max(axis=0) > 0).all(), "every parameter matters to somebody"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "turnover"])
@pytest.mark.parametrize("who", PEOPLE)
def test_sensitivities_are_differences(who, kind, method):
    program = compile_model(model(kind), occasions=3)
    given = bind(program, people(kind, who))
    values = drawn(program, 1, seed=2)
    got = predict(program, given, values, sensitivities=True, rtol=1e-10, method=method)
    own = len(program.model.parameters)
    # All steps of all parameters at once: subjects that differ in one value each.
    steps = np.where(np.arange(values.size) < own, 3e-4 * np.abs(values[0]), 3e-4)
    table = [values[0] + shift * np.diag(steps) for shift in (-2, -1, 1, 2)]
    many = people(kind, who).take(np.zeros(4 * values.size, int), [str(i) for i in range(4 * values.size)])
    f = solve(program, many, np.vstack(table), rtol=1e-12, method=method).f.reshape(4, values.size, given.records, -1)
    wanted = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * steps[:, None, None])
    wanted = wanted.transpose(1, 2, 0).reshape(got.df.shape)
    largest = np.maximum(np.abs(wanted).max(axis=0), 1e-3 * np.abs(got.f).max())
    assert (np.abs(got.df - wanted) <= 3e-7 * largest).all(), program.parameters


@pytest.mark.parametrize(("carry", "change"), [("nocb", 4.0), ("locf", 10.0), ("linear", 10.0)])
@pytest.mark.parametrize("method", ["exact", *METHODS])
def test_a_bolus_over_two_occasions_in_closed_form(method, carry, change):
    """The first row of the second occasion is that of 10 h, the one before it that of 4 h."""
    t = np.array([1.0, 4.0, 10.0, 13.0, 20.0])
    program = compile_model(Model(ONE), occasions=2)
    given = with_occasions(Events.from_regimens([("1", Dose(100), t, {})], carry=carry), [1, 1, 1, 2, 2, 2])
    cl, v, first, second = values = np.array([3.2, 21.0, 0.3, -0.4])
    got = solve(program, given, values, sensitivities=True, rtol=1e-11, method=method)
    before, after = cl * np.exp(first) * np.minimum(t, change), cl * np.exp(second) * np.maximum(t - change, 0.0)
    cp = 100 / v * np.exp(-(before + after) / v)
    np.testing.assert_allclose(got.f[:, 0], cp, rtol=1e-9)
    columns = [-(before + after) / v / cl, ((before + after) / v - 1) / v, -before / v, -after / v]
    np.testing.assert_allclose(got.df[:, 0], cp[:, None] * np.column_stack(columns), rtol=1e-8, atol=1e-9)


def test_second_derivatives_with_kappas_near_zero():
    t = np.array([1.0, 4.0, 10.0])
    program = compile_model(Model(ONE), occasions=2)
    schedule = bind(program, with_occasions(Events.from_regimens([("1", Dose(100), t, {})]), [1] * 4))
    got, d2f = predict_second(program, schedule, [3.0, 20.0, 1e-9, 0.0])
    cp, rate = 5 * np.exp(-0.15 * t), 0.15 * t
    np.testing.assert_allclose(d2f[:, 0, 2, 2], cp * (rate**2 - rate), rtol=1e-7)
    assert not d2f[..., 3].any() and got.df is not None


def test_the_value_of_a_parameter_is_that_of_its_transform():
    """From a kappa of nothing to those that lead to a bound; a kappa of zero changes not the last bit."""
    kappas = np.array([0.0, 1e-9, -0.3, 0.7, 5.0, -12.0, 30.0, -40.0])
    program = compile_model(model("linear"), observe=["v", "lag", "f", "out"], occasions=1)
    given = with_occasions(
        Events.from_regimens([(str(k), Dose(1, route="iv"), [1.0], {"WT": 70}) for k in kappas]), [1] * 16
    )
    for share in (1e-7, 0.3, 1 - 1e-7):
        values = np.tile([p.typical for p in program.model.parameters.values()], (len(kappas), 1))
        own = program.parameters.index("f"), program.parameters.index("out")
        values[:, own] = 0.1 + 0.8 * share, share
        values = np.hstack([values, np.tile(kappas[:, None], len(program.parameters) - values.shape[1])])
        got = solve(program, given, values, sensitivities=True)
        for i, name in enumerate(program.observables):
            p, value = program.model.parameters[name], values[0, program.parameters.index(name)]
            moved = p.forward(value) + kappas
            np.testing.assert_allclose(got.f[:, i], p.inverse(moved), rtol=1e-8, err_msg=name)
            slope = got.df[:, i, program.parameters.index(f"{name}@1")]
            np.testing.assert_allclose(slope, p.d_inverse(moved), rtol=1e-8, atol=1e-15, err_msg=name)
            assert got.f[0, i] == value


def test_a_kappa_that_leads_to_a_bound_has_numbers():
    program = compile_model(model("linear"), observe=["f"], occasions=1)
    given = with_occasions(Events.from_regimens([(n, Dose(1, route="iv"), [1.0], {"WT": 70}) for n in "ab"]), [1] * 4)
    values = np.tile(drawn(program, 1), (2, 1))
    values[:, program.parameters.index("f@1")] = 2000.0, -2000.0
    got = solve(program, given, values, sensitivities=True)
    np.testing.assert_allclose(got.f[:, 0], [0.9, 0.1], rtol=1e-15)
    assert np.isfinite(got.df).all() and not got.df[:, 0, program.parameters.index("f@1")].any()


@pytest.mark.parametrize("kind", ["linear", "turnover"])
@pytest.mark.parametrize("method", METHODS)
def test_an_occasion_that_a_subject_has_not_is_nothing_to_it(kind, method):
    program = compile_model(model(kind), occasions=3)
    given = with_occasions(people(kind), np.full(len(people(kind)), 2))
    values = drawn(program, len(PEOPLE))
    others = [j for j, name in enumerate(program.parameters) if name.endswith(("@1", "@3"))]
    elsewhere = values.copy()
    elsewhere[:, others] = 0.0
    got, same = (solve(program, given, table, sensitivities=True, method=method) for table in (values, elsewhere))
    assert not got.df[..., others].any()
    np.testing.assert_array_equal(got.f, same.f)
    np.testing.assert_array_equal(got.df, same.df)


@pytest.mark.parametrize(("kind", "method"), [("linear", "exact"), *(("turnover", method) for method in METHODS)])
def test_kappas_of_zero_are_the_model_without_occasions(kind, method):
    given = people(kind)
    plain, program = compile_model(model(kind)), compile_model(model(kind), occasions=3)
    values = drawn(program, len(PEOPLE))
    own = len(plain.parameters)
    values[:, own:] = 0.0
    got = solve(program, given, values, sensitivities=plain.parameters, method=method)
    wanted = solve(plain, given, values[:, :own], sensitivities=True, method=method)
    # The start of an occasion is a stop of the solver.
    np.testing.assert_allclose(got.f, wanted.f, rtol=1e-11 if kind == "linear" else 1e-7)
    assert (np.abs(got.df - wanted.df) <= 1e-7 * np.abs(wanted.df).max(axis=0)).all()


@pytest.mark.parametrize("sensitivities", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_nobody_depends_on_company_or_threads(method, sensitivities):
    who = np.arange(2600) % len(PEOPLE) if not sensitivities else np.arange(300) % len(PEOPLE)
    program = compile_model(model("turnover"), occasions=3)
    given = people("turnover").take(who, [str(i) for i in range(len(who))])
    values = drawn(program, len(who))
    options = {"sensitivities": sensitivities, "method": method, "rtol": 1e-6}
    one, four = (solve(program, given, values, threads=n, **options) for n in (1, 4))
    for s in (0, 8, 13, 270):
        mine = np.flatnonzero(bind(program, given).record_subject == s)
        alone = solve(program, given.take([s]), values[[s]], **options)
        np.testing.assert_array_equal(alone.f, one.f[mine])
        if sensitivities:
            np.testing.assert_array_equal(alone.df, one.df[mine])
    np.testing.assert_array_equal(one.f, four.f)
    if sensitivities:
        np.testing.assert_array_equal(one.df, four.df)


@pytest.mark.parametrize("carry", ["nocb", "locf"])
def test_within_an_occasion_nothing_moves(carry):
    """What is linear stays exact, and an effect behind it is solved by collocation."""
    linear, driven = (compile_model(model(kind), occasions=3) for kind in ("linear", "turnover"))
    assert linear.linear == ("depot", "central") and driven.linear == ("depot", "central")
    for sensitivities in (False, True):
        got = solve(linear, people("linear", carry=carry), drawn(linear, len(PEOPLE)), sensitivities=sensitivities)
        assert set(got.method) == {"exact"}
    got = solve(driven, people("turnover", carry=carry), drawn(driven, len(PEOPLE)))
    assert set(got.method) == {"exact + collocation"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "turnover"])
def test_an_occasion_steps_where_covariates_go_along_lines(kind, method):
    """With a weight that stays, lines are the last value: so it is an additional dose at the row of a new occasion."""
    found = {}
    program = compile_model(model(kind), occasions=3)
    for carry in ("locf", "linear"):
        given = people(kind, carry=carry)
        at = given.covariates.index("WT")
        still = given.covariate_values.copy()
        still[:, at] = 65.0
        columns = {name: getattr(given, name) for name in given.__dataclass_fields__} | {"covariate_values": still}
        found[carry] = solve(
            program, Events(**columns), drawn(program, len(PEOPLE)), sensitivities=True, rtol=1e-10, method=method
        )
    got, wanted = found["linear"], found["locf"]
    np.testing.assert_allclose(got.f, wanted.f, rtol=1e-8, atol=1e-9)
    assert (np.abs(got.df - wanted.df) <= 1e-7 * np.abs(wanted.df).max(axis=0)).all()


def test_on_lines_a_model_without_covariates_stays_exact():
    program = compile_model(Model(ONE), occasions=2)
    given = with_occasions(Events.from_regimens([("1", Dose(100), [1.0, 5.0], {})], carry="linear"), [1, 1, 2])
    assert solve(program, given, [3.0, 20.0, 0.1, 0.2]).method == ["exact"]


def test_a_covariate_of_the_model_may_have_a_name_like_the_occasions():
    text = ONE.replace("[parameters]", '[covariates]\nOCC = { unit = "1" }\n[parameters]').replace(
        "-cl * cp", "-cl * OCC * cp"
    )
    program = compile_model(Model(text), occasions=1)
    given = with_occasions(Events.from_regimens([("1", Dose(100), [1.0], {"OCC": 5.0})]), [1, 1])
    assert solve(program, given, [3.0, 20.0, 0.0]).f == pytest.approx(5 * np.exp(-0.75))


def test_a_model_without_iov_knows_no_occasions():
    program = compile_model(Model(ONE.replace(", iov = 0.04", "")), occasions=3)
    assert program.occasions == 0 and program.parameters == ("cl", "v")
    assert solve(program, Events.from_regimens([("1", Dose(100), [1.0], {})]), [3.0, 20.0]).f.shape == (1, 1)


def refused(program: Program, given: Events) -> str:
    with pytest.raises(MismatchError) as caught:
        bind(program, given)
    (finding,) = caught.value.findings
    assert finding.where and finding.expected and finding.remedy
    return str(finding)


def test_occasions_that_are_missing_or_wrong_are_refused():
    program = compile_model(Model(ONE), occasions=2)
    given = Events.from_regimens([("1", Dose(100), [1.0, 5.0], {})])
    assert "nothing says which occasion" in refused(program, given)
    text = refused(program, with_occasions(given, [1, 3, 4]))
    assert "ID 1, time 1 h (and 1 more): the occasion is 3. A whole number from 1 to 2" in " ".join(text.split())
    for wrong in (1.5, 0.0, np.nan):
        people = [("1", Dose(100), [1.0, 5.0], {OCCASION: {0.0: 1.0, 5.0: wrong}})]
        if np.isfinite(wrong):
            assert f"the occasion is {wrong:g}." in refused(program, Events.from_regimens(people))


def test_a_model_event_time_that_differs_between_occasions_is_refused():
    text = ONE.replace("d/dt(central) = -cl * cp", "d/dt(central) = -cl * cp if t < v else 0").replace(
        'typical = 20.0, unit = "L"', 'typical = 20.0, unit = "h", iov = 0.1'
    )
    program = compile_model(Model(text.replace('unit = "mg/L"', 'unit = "mg/h"').replace('"L/h"', '"1"')), occasions=2)
    given = Events.from_regimens([("1", Dose(100), [1.0, 5.0], {})])
    assert "occasion 2 begins, and a comparison of time" in refused(program, with_occasions(given, [1, 1, 2]))
    bind(program, with_occasions(given, [2, 2, 2]))


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "2"])
def test_a_number_of_occasions_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match="occasions is"):
        compile_model(Model(ONE), occasions=wrong)


def test_a_kappa_that_is_not_there_is_refused():
    program = compile_model(Model(ONE), occasions=1)
    schedule = bind(program, with_occasions(Events.from_regimens([("1", Dose(100), [1.0], {})]), [1, 1]))
    with pytest.raises(SolveError, match="`cl@2` is not a parameter"):
        predict(program, schedule, [3.0, 20.0, 0.0], sensitivities=["cl@2"])
