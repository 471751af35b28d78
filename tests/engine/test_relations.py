"""Relations that hold for every model, regimen and parameter: what is written in two ways is one thing.

Each is shown networks of one to five compartments with cycles, saturable elimination and turnover, with random values
and records (`tests/engine/draws.py`).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkpd.engine import bind, predict
from pkpd.engine.predict import METHODS
from pkpd.errors import PkpdWarning
from pkpd.model.model import Model
from tests.engine.draws import (
    SHARED,
    Drawn,
    Row,
    any_model,
    close,
    dose_rows,
    events_of,
    examples,
    network,
    networks,
    nonlinear,
    program_of,
    regimens,
    run,
    wide,
)
from tests.reference import reference_predict

CARRIES = st.sampled_from(["nocb", "locf"])
LOOKS = [0.0, 0.3, 1.7, 5.1, 11.9]


def looks(times) -> list[Row]:
    return [{"TIME": float(t), "EVID": 0, "WT": 70.0} for t in times]


# -- doses written in two ways -----------------------------------------------------------------------------------------


@examples(25)
@given(any_model(), regimens(steady=(0,), resets=False), CARRIES)
def test_additional_doses_are_doses_written_out(drawn: Drawn, rows: list[Row], carry: str):
    """Written out, each stands before the records of its time and has the covariates in force there."""
    out: list[Row] = []
    for row in rows:
        out.append(row | {"ADDL": 0} if row.get("ADDL") else row)
    end = rows[-1]["TIME"]
    for row in rows:
        for i in range(1, int(row.get("ADDL", 0)) + 1):
            time = row["TIME"] + i * row["II"]
            if time > end:
                continue
            later = [r for r in rows if r["TIME"] >= time]
            before = [r for r in rows if r["TIME"] <= time]
            weight = later[0]["WT"] if carry == "nocb" else before[-1]["WT"]
            at = sum(r["TIME"] < time for r in out)
            # After a row of that time with another weight (locf) the doses would change it back.
            out.insert(at, row | {"TIME": time, "ADDL": 0, "WT": weight})
            if carry == "locf" and at < len(out) - 1 and out[at + 1]["TIME"] == time:
                out[at]["WT"] = out[at + 1]["WT"]
    close(run(drawn, rows, carry=carry).f, run(drawn, out, carry=carry).f, 1e-8)


@examples(25)
@given(networks(floor=0.08, fastest=5.0), st.data())
def test_steady_state_is_many_cycles(drawn: Drawn, data):
    """0.08 per h is the slowest that any state is left at: after 420 h, 1e-14 of the beginning."""
    dose = data.draw(dose_rows(steady=(1,))) | {"WT": 70.0}
    cycles = max(50, int(np.ceil(420 / dose["II"])))
    began = cycles * dose["II"]
    steady = [dose | {"TIME": began}, *looks([began + t for t in LOOKS])]
    train = [dose | {"SS": 0, "ADDL": cycles + dose["ADDL"]}, *looks([began + t for t in LOOKS])]
    before = {"TIME": 0.0, "EVID": 2, "WT": 70.0}
    drawn = drawn.but(a0=0.0)  # an initial amount would have long gone
    close(run(drawn, [before, *steady]).f, run(drawn, train).f, 1e-7)


@examples(15)
@given(any_model(start=False), st.data())
def test_steady_state_of_equations_that_are_not_linear(drawn: Drawn, data):
    """The state that a record with SS leaves is returned to by one further interval, with its infusions under way."""
    dose = data.draw(dose_rows(steady=(1,))) | {"WT": 70.0, "AMT": data.draw(wide(5.0, 60.0)), "ADDL": 6}
    if "RATE" in dose and dose["RATE"] > 0:
        dose["RATE"] = dose["AMT"] / 3.0
    times = np.array([0.2, 1.1, 3.2])
    rows = [dose, *looks(np.concatenate([times, times + dose["II"], times + 3 * dose["II"]]))]
    got = run(drawn, rows).f.reshape(3, 3)
    close(got[1], got[0], 1e-7)
    close(got[2], got[0], 1e-7)


NEARLY_FULL = {"lag": 0.5, "f": 1.0, "dur": 2.0, "rin": 20.0, "a0": 0.0, "ka": 1.0, "vmax": 1.0, "km": 30.0}
NEARLY_FULL |= {"k10": 0.0, "k12": 0.3, "k21": 0.2}


@pytest.mark.parametrize(
    ("amount", "sensitivities"),
    [(amount, flag) for amount in (11.0, 12.1, 20.0, 900.0) for flag in (False, True)],
)
def test_elimination_at_its_limit(amount: float, sensitivities: bool):
    """At most 12 are eliminated in 12 h: doses of 11 have a steady state, to which one more returns; 12.1 have none."""
    drawn = Drawn("saturable", NEARLY_FULL)
    dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": amount, "II": 12.0, "SS": 1, "ADDL": 2, "WT": 70.0}
    program = program_of(drawn.model)
    schedule = bind(program, events_of([dose, *looks([5.0, 17.0])]))
    for method in ("explicit", "rosenbrock"):
        for rtol in (1e-6, 1e-9):
            got = predict(program, schedule, drawn.vector, rtol=rtol, sensitivities=sensitivities, method=method)
            assert bool(got.failures) == (amount > 12.0), (method, rtol, got.f)
            if not got.failures:
                assert abs(got.f[1] - got.f[0]) < 1e-3 * amount, (method, rtol, got.f)


def test_infusions_that_follow_each_other_at_steady_state():
    """Three intervals long, so that three run at any time: a constant state, wherever the clock stands."""
    drawn = Drawn("network 1", {"lag": 0.0, "f": 1.0, "dur": 1.0, "rin": 1.0, "a0": 0.0, "k10": 0.055})
    dose: Row = {"EVID": 1, "CMT": 2, "AMT": 21.0, "RATE": 10.0, "II": 0.7, "SS": 1, "WT": 70.0}
    steady = left = 30 / 0.055
    for rate in (30, 20, 10):  # one after the other ends
        left = rate / 0.055 + (left - rate / 0.055) * np.exp(-0.055 * 0.7)
    for began in (0.0, 0.1, 7.3, 24.1, 100.3):
        got = run(drawn, [dose | {"TIME": began}, *looks([began, began + 2.1])]).f
        np.testing.assert_allclose(got, [steady, left], rtol=1e-8, err_msg=f"began at {began}")


@examples(20)
@given(networks(start=False), regimens())
def test_twice_the_dose_is_twice_the_amount(drawn: Drawn, rows: list[Row]):
    twice = [row | {name: 2 * row[name] for name in ("AMT", "RATE") if row.get(name, 0.0) > 0} for row in rows]
    doubled = drawn.but(rin=2 * drawn.values["rin"])
    close(run(doubled, twice).f, 2 * run(drawn, rows).f, 1e-8)


@examples(15)
@given(any_model(), st.sampled_from([1, 2]), wide(1.0, 300.0), st.sampled_from([0, 1]))
def test_a_short_infusion_is_a_bolus(drawn: Drawn, cmt: int, amount: float, ss: int):
    """The difference falls with the duration, and is all but gone at 1e-5 h."""
    drawn = drawn.but(lag=0.0)  # so that nothing is looked at while it is infused
    dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": cmt, "AMT": amount, "II": 12.0, "ADDL": 2, "SS": ss, "WT": 70.0}
    times = looks([0.0371 + t for t in LOOKS] + [30.0371])
    bolus = run(drawn, [dose | {"RATE": 0.0}, *times]).f
    for over, rtol in ((1e-2, 0.3), (1e-5, 3e-4)):
        close(run(drawn, [dose | {"RATE": amount / over}, *times]).f, bolus, rtol, f"over {over}")


@examples(20)
@given(any_model(), wide(5.0, 300.0), wide(0.2, 30.0), st.sampled_from([0, 1, 2]), CARRIES)
def test_a_rate_given_or_modelled_is_the_same(drawn: Drawn, amount: float, over: float, ss: int, carry: str):
    """With a bioavailability of 1: RATE > 0, DUR, RATE = -1 and RATE = -2."""
    drawn = drawn.but(f=1.0, dur=over, rin=amount / over)
    base: Row = {"TIME": 0.0, "EVID": 1, "AMT": amount, "II": 8.0, "ADDL": 2, "SS": ss, "WT": 70.0}
    ways = [{"CMT": 1, "RATE": amount / over}, {"CMT": 1, "DUR": over}, {"CMT": 4, "RATE": -1}, {"CMT": 3, "RATE": -2}]
    times = looks([0.0371 + t for t in LOOKS] + [17.3, 40.0])
    first, *others = (run(drawn, [base | way, *times], carry=carry).f for way in ways)
    for way, other in zip(ways[1:], others, strict=True):
        close(other, first, 1e-8, str(way))


@examples(20)
@given(any_model(), regimens(steady=(0, 1), resets=False), st.data())
def test_a_reset_with_a_dose_is_a_new_occasion(drawn: Drawn, rows: list[Row], data):
    """Whatever came before it, doses on their way and infusions that run included."""
    time = rows[-1]["TIME"] + data.draw(st.sampled_from([0.0, 0.5, 3.0]))
    anew = data.draw(dose_rows(time=time, steady=(0, 1), reset=True)) | {"WT": 70.0}
    after = looks([time + t for t in LOOKS])
    both = run(drawn, [*rows, anew, *after]).f[-len(after) :]
    alone = run(drawn, [anew | {"EVID": 1}, *after]).f
    close(both, alone, 1e-9)


@examples(20)
@given(any_model(), regimens(), CARRIES)
def test_a_lag_of_next_to_nothing_is_harmless(drawn: Drawn, rows: list[Row], carry: str):
    # At time 0 alone it can be told from no lag: an observation there is before it.
    rows = [row | {"TIME": 1.0 + row["TIME"]} for row in rows]
    none, tiny = (run(drawn.but(lag=lag), rows, carry=carry, sensitivities=True) for lag in (0.0, 1e-30))
    np.testing.assert_array_equal(tiny.f, none.f)
    np.testing.assert_array_equal(tiny.df, none.df)


@examples(20)
@given(any_model(), regimens(), CARRIES, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_looking_more_often_changes_nothing(drawn: Drawn, rows: list[Row], carry: str, where: list[float]):
    """Further observations, anywhere; by the covariates' rule they carry what is in force."""
    rtol = 1e-7
    more = [dict(row) for row in rows]
    for share in where:
        time = rows[0]["TIME"] + share * (rows[-1]["TIME"] - rows[0]["TIME"])
        at = sum(row["TIME"] <= time for row in more)
        weight = more[min(at, len(more) - 1)]["WT"] if carry == "nocb" else more[at - 1]["WT"]
        more.insert(at, {"TIME": time, "EVID": 0, "WT": weight, "NEW": 1.0})
    kept = [i for i, row in enumerate(r for r in more if not r["EVID"]) if "NEW" not in row]
    more = [{k: v for k, v in row.items() if k != "NEW"} for row in more]
    before, after = (run(drawn, r, carry=carry, rtol=rtol) for r in (rows, more))
    close(after.f[kept], before.f, 10 * rtol)
    if before.method[0] == "exact":
        np.testing.assert_array_equal(after.f[kept], before.f)


# -- the methods, and a slow reference ---------------------------------------------------------------------------------


def given_in(drawn: Drawn, rows: list[Row]) -> float:
    """The largest amount to begin with: what little is left of it is known to a fraction of it."""
    return max(drawn.values["a0"], *(row.get("AMT", 0.0) for row in rows))


def without_start_under_a_train(drawn: Drawn, rows: list[Row]) -> Drawn:
    """Leave out what `test_on_top_of_an_initial_amount` is about."""
    return drawn.but(a0=0.0) if any(row.get("SS") == 2 for row in rows) else drawn


def test_on_top_of_an_initial_amount():
    """SS = 2 adds the train's own steady state; an initial amount that is gone by then has no part in it."""
    drawn = Drawn("network 1", {"lag": 0.0, "f": 1.0, "dur": 1.0, "rin": 1.0, "a0": 5.0, "k10": 0.5})
    train: Row = {"TIME": 100.0, "EVID": 1, "CMT": 1, "AMT": 10.0, "II": 12.0, "SS": 2, "RATE": 0.0, "WT": 70.0}
    got = run(drawn, [*looks([0.0]), train, *looks([101.0])]).f
    np.testing.assert_allclose(got, [5.0, 10 * np.exp(-0.5) / (1 - np.exp(-6))], rtol=1e-7)


@examples(30)
@given(networks(), regimens(), CARRIES)
def test_methods_agree_with_the_matrix_exponential(drawn: Drawn, rows: list[Row], carry: str):
    """Every kind of record, against a reference that shares no code with the engine."""
    drawn = without_start_under_a_train(drawn, rows)
    wanted = reference_predict(drawn.model, events_of(rows, carry=carry), drawn.vector, linear=True)
    for method in METHODS:
        got = run(drawn, rows, carry=carry, method=method, rtol=1e-12)
        close(got.f, wanted, 1e-10 if method == "exact" else 1e-9, method, given_in(drawn, rows))


@examples(8)
@given(any_model(), regimens(steady=(0,)), CARRIES)
def test_equations_that_are_not_linear_agree_with_the_reference(drawn: Drawn, rows: list[Row], carry: str):
    wanted = reference_predict(drawn.model, events_of(rows, carry=carry), drawn.vector)
    for method in ("auto", "explicit", "rosenbrock"):
        close(run(drawn, rows, carry=carry, method=method, rtol=1e-11).f, wanted, 1e-7, method, given_in(drawn, rows))


@pytest.mark.parametrize("ss", [0, 1])
@pytest.mark.parametrize(
    ("ka", "k", "ke0"),
    [
        (1.0, 0.2, 1.001),
        (1.0, 0.2, 1.00001),
        (0.2, 1.0, 1.0),
        (1.0, 0.2, 1.0),
        (1.0, 1.0, 0.2),
        (1.0, 1.0, 1.0),
        (1.0, 0.2, 1.0 + 1e-12),
        (1.0, 1.0 + 1e-8, 1.0 - 1e-8),
    ],
)
def test_equal_rates_before_an_effect(ka: float, k: float, ke0: float, ss: int):
    """Absorption, elimination and the way to the effect site may be equally fast, or all but."""
    shared = {"lag": 0.0, "f": 1.0, "dur": 1.0, "rin": 1.0, "a0": 0.0, "e50": 40.0, "gamma": 1.5, "kout": 0.3}
    drawn = Drawn("turnover", shared | {"ka": ka, "k": k, "ke0": ke0, "r0": 100.0})
    dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 20.0, "II": 4.0, "SS": ss, "WT": 70.0}
    rows = [dose, *looks([0.5, 3.0, 20.0])]
    wanted = run(drawn, rows, method="explicit", rtol=1e-11).f
    for rtol in (1e-6, 1e-9):
        close(run(drawn, rows, rtol=rtol).f, wanted, 100 * rtol)


# -- sensitivities -----------------------------------------------------------------------------------------------------


@examples(15)
@given(any_model(), regimens(apart=True), CARRIES)
def test_sensitivities_are_differences(drawn: Drawn, rows: list[Row], carry: str):
    """Central differences with one step of Richardson's, through every event, of a solution 1e-13 tight."""
    # A lag or an amount below zero cannot be tried. Where a dose arrives just as the weight changes there is no
    # derivative, only one from each side: both may be drawn as round numbers, so the lag is made a little longer.
    drawn = drawn.but(lag=1.00137 * drawn.values["lag"] or 0.137, a0=drawn.values["a0"] or 7.0)
    got = run(drawn, rows, carry=carry, sensitivities=True, rtol=1e-11)
    assert got.df is not None
    most = np.max(np.abs(got.f))
    for j, (name, value) in enumerate((n, drawn.values[n]) for n in drawn.model.parameters):
        wanted, error = difference(drawn, name, rows, carry, most)
        scale = np.max(np.abs(wanted)) + (1e-3 * most + 1e-7 * given_in(drawn, rows)) / max(abs(value), 1e-3) + 1e-12
        assert np.all(np.abs(got.df[:, j] - wanted) <= 1e-6 * scale + error), (name, got.df[:, j], wanted, error)


def difference(drawn: Drawn, name: str, rows: list[Row], carry: str, most: float) -> tuple[np.ndarray, np.ndarray]:
    """The derivative with respect to a parameter, from four values around it, and how well it is known.

    Its error is of the fourth order in the step: a lag of 15 h moves by 0.003 h, which is not little beside a rate of
    20 per h. Half the step tells how large, with room for one of the first order, where two events change places. And
    the values, where they are steady states, are known to some 5e-13 of themselves.
    """
    value = drawn.values[name]
    # What moves events moves little, so that none passes an observation.
    step = (2e-4 if name in SHARED else 1e-3) * abs(value) if value else 1e-5
    method = "exact" if drawn.name.startswith("network") else "explicit"

    def pair(share: float) -> np.ndarray:
        # So near to rounding, a cycle's change may reach the tolerance only by chance: some need 140 of 800 steps each.
        options = {"carry": carry, "rtol": 1e-13, "method": method, "max_steps": 1_000_000}
        above, below = (run(drawn.but(**{name: value + x * step}), rows, **options).f for x in (share, -share))
        return (above - below) / (2 * share * step)

    half, whole, twice = pair(0.5), pair(1.0), pair(2.0)
    found = (4 * whole - twice) / 3
    return found, 2.5 * np.abs(found - (4 * half - whole) / 3) + 1.5e-12 * most / step


# -- the same numbers --------------------------------------------------------------------------------------------------


def crowd(name: str, number: int) -> tuple[Model, np.ndarray, list[list[Row]]]:
    """Many unlike people: records from a fixed seed, values a few tens of per cent apart."""
    rng = np.random.default_rng(11)
    model = network(3) if name == "network" else nonlinear(name)
    typical = np.array([p.typical for p in model.parameters.values()])
    typical[list(model.parameters).index("lag")] = 0.7
    values = typical * np.exp(0.3 * rng.standard_normal((number, len(typical))))
    subjects = []
    for _ in range(number):
        doses: list[Row] = [
            {
                "TIME": float(rng.choice([0, 1.3, 4])), "EVID": 1, "CMT": int(rng.integers(1, 6)), "AMT": 80.0,
                "II": 6.0, "ADDL": int(rng.integers(0, 3)), "SS": int(rng.choice([0, 0, 0, 1])), "WT": 70.0,
                "RATE": float(rng.choice([0, 30])),
            }
            for _ in range(rng.integers(1, 3))
        ]  # fmt: skip
        rows = doses + looks(np.sort(rng.uniform(0, 30, rng.integers(2, 6))))
        subjects.append(sorted(rows, key=lambda row: row["TIME"]))
    return model, values, subjects


def of_crowd(what: tuple[Model, list[str]], values: np.ndarray, subjects: list[list[Row]], threads: int | None = None):
    """Predict with sensitivities to some parameters; a failure must be the same one too."""
    model, wrt = what
    program = program_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        schedule = bind(program, events_of(*subjects))
    return predict(program, schedule, values, sensitivities=wrt, rtol=1e-6, threads=threads)


@pytest.fixture(scope="module", params=["turnover", "turnover, k, lag", "network", "network, k12, lag"])
def people(request) -> Any:
    """Some 600 people, three pieces of work for as many threads, and what becomes of them."""
    name, *wrt = request.param.split(", ")
    model, values, subjects = crowd(name, 600)
    return (model, wrt), values, subjects, of_crowd((model, wrt), values, subjects, threads=1)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_do_not_change_a_bit(people, threads: int):
    model, values, subjects, wanted = people
    got = of_crowd(model, values, subjects, threads)
    np.testing.assert_array_equal(got.f, wanted.f)
    if wanted.df is not None:
        np.testing.assert_array_equal(got.df, wanted.df)


@pytest.mark.parametrize("size", [1, 7, 64, 301])
def test_chunks_do_not_change_a_bit(people, size: int):
    model, values, subjects, wanted = people
    limit = 40 if size == 1 else len(subjects)
    parts = [of_crowd(model, values[i : i + size], subjects[i : i + size]) for i in range(0, limit, size)]
    f = np.concatenate([p.f for p in parts])
    np.testing.assert_array_equal(f, wanted.f[: len(f)])
    if wanted.df is not None:
        df = np.concatenate([p.df for p in parts if p.df is not None])
        np.testing.assert_array_equal(df, wanted.df[: len(f)])


def test_the_order_of_people_does_not_change_a_bit(people):
    model, values, subjects, wanted = people
    order = np.random.default_rng(5).permutation(len(subjects))
    got = of_crowd(model, values[order], [subjects[i] for i in order])
    lengths = [sum(row["EVID"] == 0 for row in rows) for rows in subjects]
    first = [0, *np.cumsum(lengths).tolist()]
    where = [row for i in order for row in range(first[i], first[i + 1])]
    np.testing.assert_array_equal(got.f, wanted.f[where])
    if wanted.df is not None:
        np.testing.assert_array_equal(got.df, wanted.df[where])
