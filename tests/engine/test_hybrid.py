"""Linear kinetics inside a non-linear model: advanced exactly, they change nothing but the time that it takes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.model.model import Model
from tests.engine.draws import HEAD, ROUTES, Row, events_of
from tests.reference import reference_predict

pytestmark = pytest.mark.filterwarnings("ignore:.* is not used for them:pkpd.errors.PkpdWarning")


@lru_cache
def network_with_effects(states: int) -> Model:
    """Compartments in exchange; saturable loss of a metabolite, and turnover, which are not linear."""
    pairs = [(i, j) for i in range(1, states + 1) for j in range(states + 1) if i != j]
    parameters = "".join(f'k{i}{j} = {{ typical = 0.1, unit = "1/h", transform = "none" }}\n' for i, j in pairs)
    parameters = parameters.replace(
        'k10 = { typical = 0.1, unit = "1/h"', 'k10 = { typical = 0.1, unit = "1/h", times = "WT / 70"'
    )
    parameters += 'kout = { typical = 0.3, unit = "1/h" }\nr0 = { typical = 10.0, unit = "1" }\n'
    parameters += 'half = { typical = 50.0, unit = "mg" }\nvm = { typical = 5.0, unit = "mg/h" }\n'
    lines = []
    for i in range(1, states + 1):
        gains = "".join(f" + k{j}{i} * a{j}" for j in range(1, states + 1) if j != i)
        losses = " + ".join(f"k{i}{j}" for j in range(states + 1) if j != i)
        lines.append(f"d/dt(a{i}) = -({losses}) * a{i}{gains}")
    equations = "\n".join([
        "x = " + " + ".join(f"{1 + 0.3 * i} * a{i + 1}" for i in range(states)),
        "y = r + (m + 0.01 * x) / half",
        *lines,
        "d/dt(m) = k10 * a1 - vm * m / (half + m) - kout * m",
        "d/dt(r) = kout * (r0 * (1 - 0.9 * x / (half + x)) - r)",
        "a1(0) = a0",
        "r(0) = r0",
    ])  # fmt: skip
    routes = ROUTES.replace("FIRST", "a1").replace("LAST", f"a{states}")
    return Model(
        f"{HEAD}{parameters}{routes}[dynamics]\nequations = '''\n{equations}\n'''\n[outputs]\ny = {{ unit = \"1\" }}\n"
    )


def draw_values(rng: np.random.Generator, model: Model, kind: str) -> list[float]:
    """Rates of a kind: complex eigenvalues (cyclic), states without loss (closed), one fast flow (fast)."""
    values = {name: p.typical for name, p in model.parameters.items()}
    rates = [name for name in values if name[0] == "k" and name[1:].isdigit()]
    states = max(int(name[1]) for name in rates)
    for name in rates:
        loss = name[2] == "0"
        values[name] = np.exp(rng.uniform(np.log(0.03 if loss else 1e-3), np.log(4.0))) * (loss or rng.random() < 0.5)
        if kind == "cyclic" and not loss:
            values[name] = 2.0 if int(name[2]) == int(name[1]) % states + 1 else 0.0
        if kind == "closed" and loss and rng.random() < 0.6:
            values[name] = 0.0
    if kind == "fast":
        values[str(rng.choice(rates))] = 10 ** rng.uniform(2, 4)
    values |= {
        "lag": rng.choice([0.0, 0.5, 3.3, 13.0]),
        "f": rng.choice([1.0, 0.5, 2.0]),
        "a0": rng.choice([0.0, 20.0]),
    }
    values |= {"dur": rng.uniform(0.05, 15.0), "rin": 10 ** rng.uniform(0.5, 2.5), "kout": 10 ** rng.uniform(-1.5, 0.5)}
    values |= {"vm": rng.uniform(3.0, 40.0), "half": 10 ** rng.uniform(0.5, 2.5)}
    return [float(values[name]) for name in model.parameters]


def draw_rows(rng: np.random.Generator, *, steady: bool = True, resets: bool = True) -> list[Row]:
    """Doses of every kind, resets, changes of weight, observations: often at one time."""
    rows: list[Row] = []
    time = 0.0
    for _ in range(rng.integers(1, 6)):
        time += float(rng.choice([0.0, 0.0, 1.0, 2.5, rng.uniform(0.01, 15.0)]))
        kind = str(rng.choice(["dose", "dose", "dose", "look", "reset" if resets else "look"]))
        if kind != "dose":
            rows.append({"TIME": time, "EVID": 0 if kind == "look" else 3})
            continue
        row: Row = {
            "TIME": time,
            "EVID": 1,
            "CMT": float(rng.integers(1, 6)),
            "AMT": float(10 ** rng.uniform(0.7, 2.5)),
        }
        row |= {"II": float(rng.uniform(3.5, 24.0)), "ADDL": float(rng.choice([0, 0, 3]))}
        row["SS"] = float(rng.choice([0, 0, 1, 2])) if steady else 0.0
        row["RATE"] = float(rng.choice([0.0, row["AMT"] / rng.uniform(0.1, 20.0)]))
        if row["CMT"] in (3, 4) and rng.random() < 0.5:
            row["RATE"] = {3: -2.0, 4: -1.0}[int(row["CMT"])]
        rows.append(row)
    rows += [
        {"TIME": time + float(t), "EVID": 0} for t in np.sort(rng.choice([0.0, 1.0, 6.0, *rng.uniform(0, 40, 5)], 4))
    ]
    weights = [50.0, 70.0, 95.0] if rng.random() < 0.5 else [70.0]
    return [row | {"WT": float(rng.choice(weights))} for row in rows]


def solve(model: Model, values, *subjects: list[Row], carry: str = "nocb", **options) -> Prediction:
    program = compile_model(model)
    return predict(program, bind(program, events_of(*subjects, carry=carry)), values, **options)


def crowd(seed: int, states: int, kinds: list[str], people: int = 40) -> tuple[Model, np.ndarray, list[list[Row]]]:
    rng = np.random.default_rng(seed)
    model = network_with_effects(states)
    who = [kinds[i % len(kinds)] for i in range(people)]
    values = np.array([draw_values(rng, model, kind) for kind in who])
    # Without loss there is no steady state; a train on top of an initial amount is looked at in another place.
    subjects = [draw_rows(rng, steady=kind != "closed") for kind in who]
    on_top = [any(row.get("SS") == 2 for row in rows) for rows in subjects]
    values[on_top, list(model.parameters).index("a0")] = 0.0
    return model, values, subjects


def assert_close(got: Prediction, wanted: Prediction, rtol: float) -> None:
    assert not got.failures and not wanted.failures, [*map(str, got.failures), *map(str, wanted.failures)]
    np.testing.assert_allclose(got.f, wanted.f, rtol=rtol, atol=1e-3 * rtol * float(np.abs(wanted.f).max()))


# -- it equals integrating everything ----------------------------------------------------------------------------------


@pytest.mark.parametrize("carry", ["nocb", "locf"])
@pytest.mark.parametrize("kind", ["plain", "cyclic", "closed", "fast"])
@pytest.mark.parametrize("states", [1, 3, 4])
def test_equals_the_general_path(states: int, kind: str, carry: str):
    model, values, subjects = crowd(100 + states, states, [kind])
    got = solve(model, values, *subjects, carry=carry, rtol=1e-10)
    assert all(m.startswith("exact + ") for m in got.method)
    wanted = solve(model, values, *subjects, carry=carry, rtol=1e-11, method="rosenbrock")
    refused = [f.cause for f in got.failures + wanted.failures]
    assert len(refused) <= 3 and all("no steady state" in cause for cause in refused), "see the test of steady states"
    both = np.isfinite(got.f) & np.isfinite(wanted.f)
    atol = 1e-12 * float(np.abs(wanted.f[both]).max())
    np.testing.assert_allclose(got.f[both], wanted.f[both], rtol=5e-9, atol=atol)


def test_equals_the_slow_reference():
    model, values, subjects = crowd(7, 2, ["plain", "cyclic"], people=4)
    got = solve(model, values, *subjects, rtol=1e-10)
    wanted = reference_predict(model, events_of(*subjects), values)
    np.testing.assert_allclose(got.f, wanted, rtol=1e-8)


def test_a_sound_steady_state_is_not_refused():
    model, values, subjects = crowd(102, 2, ["plain"], people=200)
    for rtol in (1e-6, 1e-8, 1e-10):
        for method in ("auto", "rosenbrock"):
            assert not solve(model, values, *subjects, rtol=rtol, method=method).failures


ORAL = """
title = "oral, into a non-linear model"
[units]
time = "h"
amount = "mg"
[parameters]
ka = { typical = 0.7, unit = "1/h" }
k = { typical = 0.7, unit = "1/h" }
vm = { typical = 10.0, unit = "mg/h" }
km = { typical = 5.0, unit = "mg" }
kout = { typical = 0.3, unit = "1/h" }
[routes]
oral = { into = "depot" }
[dynamics]
equations = '''
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - k * central
d/dt(metabolite) = k * central - vm * metabolite / (km + metabolite)
d/dt(r) = kout * (1 - central / (km + central) - r)
r(0) = 1
'''
[outputs]
metabolite = { unit = "mg" }
r = { unit = "1" }
"""
NEAR = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12, 1e-15, 0.0)


@pytest.mark.parametrize("apart", NEAR)
def test_eigenvalues_that_are_nearly_or_quite_the_same(apart: float):
    """Ka = ke, and a hair beside it: the right numbers, and no more steps than elsewhere."""
    model = Model(ORAL)
    rows: list[Row] = [{"TIME": 0.0, "EVID": 1, "AMT": 100.0}]
    rows += [{"TIME": t, "EVID": 0, "DVID": name} for t in (0.01, 1.0, 5.0, 20.0) for name in ("metabolite", "r")]
    values = [0.7, 0.7 * (1 + apart), 10.0, 5.0, 0.3]
    wanted = solve(model, values, rows, rtol=1e-12, method="explicit")
    got = solve(model, values, rows, rtol=1e-9)
    np.testing.assert_allclose(got.f, wanted.f, rtol=2e-8)
    assert got.steps[0] < 500


def test_steady_state_of_an_infusion_without_end():
    model = network_with_effects(2)
    values = draw_values(np.random.default_rng(3), model, "plain")
    rows: list[Row] = [{"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 0.0, "RATE": 10.0, "SS": 1, "WT": 70.0}]
    rows += [{"TIME": t, "EVID": 0, "WT": 70.0} for t in (0.0, 1.0, 9.0)]
    wanted = solve(model, values, rows, rtol=1e-11, method="rosenbrock")
    assert_close(solve(model, values, rows, rtol=1e-10), wanted, 1e-8)


def test_a_stiff_rest_goes_to_the_other_method():
    """A fast turnover behind slow kinetics; who is not stiff keeps the explicit pair."""
    model, values, _ = crowd(5, 3, ["plain"], people=12)
    subjects: list[list[Row]] = [
        [{"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 50.0, "WT": 70.0}, {"TIME": 24.0 + i, "EVID": 0, "WT": 70.0}]
        for i in range(12)
    ]
    kout = list(model.parameters).index("kout")
    values[:] = values[0]
    values[::2, kout] = 3e4
    got = solve(model, values, *subjects, rtol=1e-8)
    assert list(got.method) == ["exact + rosenbrock", "exact + explicit"] * 6
    assert_close(got, solve(model, values, *subjects, rtol=1e-10, method="rosenbrock"), 1e-6)


def test_with_sensitivities_all_is_integrated():
    """The numbers are the same to the tolerance."""
    model, values, subjects = crowd(6, 2, ["plain", "cyclic"], people=8)
    both = solve(model, values, *subjects, rtol=1e-10, sensitivities=["k10", "kout"])
    assert not any(m.startswith("exact") for m in both.method)
    assert_close(both, solve(model, values, *subjects, rtol=1e-10), 1e-8)


def test_fast_kinetics_do_not_shorten_the_steps():
    model = network_with_effects(2)
    values = dict(zip(model.parameters, draw_values(np.random.default_rng(1), model, "plain"), strict=True))
    rows: list[Row] = [{"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 100.0, "WT": 70.0}]
    rows += [{"TIME": 48.0, "EVID": 0, "WT": 70.0}]
    values |= {"k12": 3.0, "k21": 5.0, "lag": 0.0}
    slow = solve(model, list(values.values()), rows)
    values |= {"k12": 3e3, "k21": 5e3}
    fast = solve(model, list(values.values()), rows)
    assert slow.method[0] == fast.method[0] == "exact + explicit" and fast.steps[0] < 2 * slow.steps[0]
    assert solve(model, list(values.values()), rows, method="explicit", max_steps=2000).failures


# -- nobody touches anybody --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed():
    """Lanes whose modes can be used, beside such where the exponential takes over, with and without infusions."""
    model, values, subjects = crowd(11, 3, ["plain", "cyclic", "plain", "fast", "closed"], people=300)
    return model, values, subjects, solve(model, values, *subjects, rtol=1e-7, threads=1)


def test_alone_as_in_company(mixed):
    model, values, subjects, together = mixed
    first = np.cumsum([0, *(sum(r["EVID"] == 0 for r in rows) for rows in subjects)])
    for i in range(0, 300, 7):
        alone = solve(model, values[i], subjects[i], rtol=1e-7)
        np.testing.assert_array_equal(alone.f, together.f[first[i] : first[i + 1]])
        assert alone.method[0] == together.method[i]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_in_any_order_on_any_number_of_threads(mixed, threads: int):
    model, values, subjects, together = mixed
    order = np.random.default_rng(2).permutation(300)
    got = solve(model, values[order], *[subjects[i] for i in order], rtol=1e-7, threads=threads)
    first = np.cumsum([0, *(sum(r["EVID"] == 0 for r in rows) for rows in subjects)])
    where = [row for i in order for row in range(first[i], first[i + 1])]
    np.testing.assert_array_equal(got.f, together.f[where])


TROUBLES = {
    "a rate that is no number": ({"k12": np.nan}, "k12 is not a number"),
    "an infinite rate": ({"k21": np.inf}, "k21 is not a number"),
    "rates whose sum is infinite": ({"k12": 1e308, "k13": 1e308, "k10": 1e308}, ""),
    "a pharmacodynamic parameter that is no number": ({"kout": np.nan}, "kout is not a number"),
    "a negative lag": ({"lag": -1.0}, "a dose cannot be given"),
    "growth": ({"k10": -3000.0}, ""),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_failure_at_any_position_disturbs_nobody(trouble: str):
    """Without sensitivities, so that the linear part is advanced exactly."""
    wrong, cause = TROUBLES[trouble]
    model, values, _ = crowd(13, 3, ["plain", "cyclic"], people=19)
    values[:, list(model.parameters).index("lag")] = 0.3
    subjects: list[list[Row]] = []
    for i in range(19):
        dose: Row = {"TIME": 0.0, "EVID": 1, "CMT": 1, "AMT": 50.0 + i, "RATE": 10.0 * (i % 2), "WT": 70.0}
        subjects.append([dose, *({"TIME": 0.7 * t + i, "EVID": 0, "WT": 70.0} for t in range(1 + i % 3, 6))])
    program = compile_model(model)
    schedule = bind(program, events_of(*subjects))
    wanted = predict(program, schedule, values, rtol=1e-6, max_steps=5000)
    assert not wanted.failures
    names = list(model.parameters)
    for position in range(19):
        ill = values.copy()
        for name, value in wrong.items():
            ill[position, names.index(name)] = value
        got = predict(program, schedule, ill, rtol=1e-6, max_steps=5000)
        (failure,) = got.failures
        assert failure.subject == str(position + 1) and cause in failure.cause, str(failure)
        own = schedule.record_subject == position
        assert np.isnan(got.f[own]).all()
        np.testing.assert_array_equal(got.f[~own], wanted.f[~own], err_msg=f"position {position}")
