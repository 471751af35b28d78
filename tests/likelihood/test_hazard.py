"""Events in time: what records add, how hazards are summed up, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import pkpd
from pkpd.errors import CannotFit, MismatchError, PkpdError, UnitError
from pkpd.likelihood.hazard import log_chance
from pkpd.likelihood.problem import make_problem


def hazard_of(parameters: str, equation: str) -> str:
    """A model of one event, in days."""
    return f"""
[units]
time = "d"
[parameters]
{parameters}
[outputs]
death = {{ unit = "1/d", event = {{}} }}
[dynamics]
equations = "death = {equation}"
"""


CONSTANT = hazard_of('h0 = { typical = 0.3, unit = "1/d" }', "h0")
WEIBULL = hazard_of(
    'scale = { typical = 8, unit = "d" }\nshape = { typical = 1.2, unit = "1" }',
    "shape / scale * (t / scale) ** (shape - 1)",
)
GOMPERTZ = hazard_of(
    'a = { typical = 0.05, unit = "1/d" }\nb = { typical = 0.1, unit = "1/d", transform = "none" }', "a * exp(b * t)"
)


def read(rows: list[str], head: str = "ID,TIME,DV,EVID", **more: str) -> pkpd.Dataset:
    """Data from lines."""
    cells = [line.split(",") for line in "\n".join(rows).split("\n")]
    return pkpd.read_data(dict(zip(head.split(","), map(list, zip(*cells, strict=True)), strict=True)), **more)


def value(fit: pkpd.Fit, name: str) -> float:
    """An estimate."""
    return float(fit.estimates["value"].sel(parameter=name))


def single(times: np.ndarray, happened: np.ndarray) -> pkpd.Dataset:
    """One record for each subject, followed from 0 on."""
    return read([f"{i},0,.,2\n{i},{t!r},{int(d)},0" for i, (t, d) in enumerate(zip(times.tolist(), happened), 1)])


def values_of(model: str, data: pkpd.Dataset, **values: float) -> tuple[np.ndarray, np.ndarray]:
    """Log likelihoods of the records and their derivatives, at values of the parameters."""
    problem = make_problem(pkpd.Model(model), data)
    names = problem.program.parameters
    row = [values.get(name, problem.model.parameters[name].typical) for name in names]
    got = problem.predict(np.tile(row, (len(problem.subjects), 1)), sensitivities=names)
    got.raise_failures()
    assert got.df is not None
    return got.f, got.df


def test_what_records_add():
    happened, censored = np.array([False, True, True]), np.array([False, False, True])
    value, slope = log_chance(
        happened, censored, np.full(3, 0.2), np.full(3, 0.7), np.full((3, 1), 3.0), np.full((3, 1), 5.0)
    )
    np.testing.assert_allclose(value, [-0.7, np.log(0.2) - 0.7, np.log(1 - np.exp(-0.7))], rtol=1e-14)
    assert slope is not None
    np.testing.assert_allclose(slope[:, 0], [-5, 15 - 5, 5 * np.exp(-0.7) / (1 - np.exp(-0.7))], rtol=1e-14)


def test_hazards_that_are_none():
    zero, one = np.zeros(1), np.ones(1)
    yes, no = np.array([True]), np.array([False])
    assert log_chance(yes, no, zero, one, None, None)[0] == -np.inf
    assert log_chance(yes, yes, one, zero, None, None)[0] == -np.inf
    assert np.isnan(log_chance(no, no, -one, one, None, None)[0])
    assert np.isnan(log_chance(no, no, one, -one, None, None)[0])
    assert log_chance(no, no, one, -1e-15 * one, None, None)[0] == 0


def test_constant_hazard_is_events_over_time():
    rng = np.random.default_rng(1)
    times, end = rng.exponential(5, 60), rng.uniform(2, 8, 60)
    happened, until = times < end, np.minimum(times, end)
    fit = pkpd.fit(pkpd.Model(CONSTANT), single(until, happened), pkpd.Laplace())
    events, total = happened.sum(), until.sum()
    rate = events / total
    assert value(fit, "h0") == pytest.approx(rate, rel=5e-4)
    assert fit.attrs["objective"] == pytest.approx(-2 * (events * np.log(rate) - events), rel=1e-7)
    assert fit.attrs["aic"] == pytest.approx(fit.attrs["objective"] + 2)
    np.testing.assert_allclose(fit["records"]["PRED"], value(fit, "h0") * until, rtol=1e-7)
    # The martingale residuals of a maximum likelihood fit sum to 0.
    assert float(fit["records"]["RES"].sum()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("model", "names", "survivor", "hazard"),
    [
        (WEIBULL, ("scale", "shape"), lambda t, a, b: (t / a) ** b, lambda t, a, b: b / a * (t / a) ** (b - 1)),
        (GOMPERTZ, ("a", "b"), lambda t, a, b: a / b * np.expm1(b * t), lambda t, a, b: a * np.exp(b * t)),
    ],
    ids=["Weibull", "Gompertz"],
)
def test_parametric_survival_is_that_of_scipy(model, names, survivor, hazard):
    rng = np.random.default_rng(4)
    times, end = 7 * rng.weibull(1.6, 80), rng.uniform(2, 12, 80)
    happened, until = times < end, np.minimum(times, end)
    data = single(until, happened)
    at = dict(zip(names, (6.0, 1.4) if model is WEIBULL else (0.04, 0.2), strict=True))
    f, df = values_of(model, data, **at)
    own = tuple(at.values())
    want = np.where(happened, np.log(hazard(until, *own)), 0) - survivor(until, *own)
    np.testing.assert_allclose(f, want, rtol=1e-7, atol=1e-9)
    for k in range(2):
        sides = [np.array(own), np.array(own)]
        sides[0][k] *= 1 + 1e-5
        sides[1][k] *= 1 - 1e-5
        difference = [np.where(happened, np.log(hazard(until, *p)), 0) - survivor(until, *p) for p in sides]
        slope = (difference[0] - difference[1]) / (2e-5 * own[k])
        np.testing.assert_allclose(df[:, k], slope, rtol=1e-5, atol=1e-7 * np.abs(slope).max())

    def minus(z: np.ndarray) -> float:
        p = (np.exp(z[0]), np.exp(z[1]) if model is WEIBULL else z[1])
        return -2 * float((np.where(happened, np.log(hazard(until, *p)), 0) - survivor(until, *p)).sum())

    best = optimize.minimize(minus, [np.log(own[0]), np.log(own[1]) if model is WEIBULL else own[1]],
                             method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})  # fmt: skip
    fit = pkpd.fit(pkpd.Model(model), data, pkpd.Laplace())
    assert fit.attrs["objective"] == pytest.approx(best.fun, abs=1e-6)
    assert value(fit, names[0]) == pytest.approx(np.exp(best.x[0]), rel=1e-3)


@pytest.mark.parametrize("shape", [0.3, 0.6, 0.9])
def test_hazards_that_are_infinite_at_first(shape):
    """A shape below 1: the sum is finite, and so is all that is said of it."""
    data = read(["1,0,.,2", "1,5,0,0", "2,0,0,0", "2,20,1,0"])
    f, df = values_of(WEIBULL, data, scale=8.0, shape=shape)
    last = np.log(shape / 8 * 2.5 ** (shape - 1)) - 2.5**shape
    np.testing.assert_allclose(f, [-((5 / 8) ** shape), 0, last], rtol=2e-5, atol=1e-12)
    slopes = [-np.log(5 / 8) * (5 / 8) ** shape, 0, 1 / shape + np.log(2.5) - np.log(2.5) * 2.5**shape]
    np.testing.assert_allclose(df[:, 1], slopes, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("start", [0.5, 1.5])
def test_a_falling_hazard_is_estimated(start):
    """From either side of a shape of 1, at which the hazard at time 0 jumps from 0 to infinity."""
    rng = np.random.default_rng(1)
    times, end = 8 * rng.weibull(0.6, 100), 30.0
    happened, until = times < end, np.minimum(times, end)

    def minus(z: np.ndarray) -> float:
        a, b = np.exp(z)
        inside = np.log(b / a) + (b - 1) * np.log(until / a)
        return -2 * float((np.where(happened, inside, 0) - (until / a) ** b).sum())

    best = optimize.minimize(minus, [2, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})
    fit = pkpd.fit(pkpd.Model(WEIBULL), single(until, happened), pkpd.Laplace(), start={"shape": start})
    assert fit.status == "converged"
    assert fit.attrs["objective"] == pytest.approx(best.fun, abs=1e-5)
    assert value(fit, "shape") == pytest.approx(np.exp(best.x[1]), rel=1e-3)


def test_intervals_repeats_and_visits():
    """Conditional on the past: each record from the one before, whatever it was."""
    data = read(["1,0,.,2,0", "1,2,0,0,0", "1,3,1,0,0", "1,5,1,0,1", "1,5,0,0,0", "1,7,1,0,0", "1,9,0,0,0"],
                "ID,TIME,DV,EVID,CENS")  # fmt: skip
    f, _ = values_of(WEIBULL, data, scale=4.0, shape=1.5)

    def total(a: float, b: float) -> float:
        return (b / 4) ** 1.5 - (a / 4) ** 1.5

    def log_hazard(t: float) -> float:
        return np.log(1.5 / 4 * (t / 4) ** 0.5)

    want = [
        -total(0, 2),
        log_hazard(3) - total(2, 3),
        np.log(-np.expm1(-total(3, 5))),
        0,
        log_hazard(7) - total(5, 7),
        -total(7, 9),
    ]
    np.testing.assert_allclose(f, want, rtol=1e-7, atol=1e-12)


def test_follow_up_begins_at_the_first_row():
    """Delayed entry: what was before is taken as given."""
    f, _ = values_of(WEIBULL, read(["1,3,.,2", "1,6,1,0"]), scale=4.0, shape=1.5)
    want = np.log(1.5 / 4 * (6 / 4) ** 0.5) - ((6 / 4) ** 1.5 - (3 / 4) ** 1.5)
    np.testing.assert_allclose(f, want, rtol=1e-7)
    # A record of none at the first time says the same.
    f, _ = values_of(WEIBULL, read(["1,3,0,0", "1,6,1,0"]), scale=4.0, shape=1.5)
    np.testing.assert_allclose(f, [0, want], rtol=1e-7, atol=1e-12)


def test_intervals_against_scipy():
    """Visits every 2 days, exponential: the interval of each event is all that is known."""
    rng = np.random.default_rng(8)
    times = rng.exponential(4, 70)
    visit = np.ceil(times / 2) * 2
    rows = [f"{i},0,.,2,0\n{i},{v - 2!r},0,0,0\n{i},{v!r},1,0,1" if v <= 8 else f"{i},0,.,2,0\n{i},8,0,0,0"
            for i, v in enumerate(visit.tolist(), 1)]  # fmt: skip

    def minus(h: float) -> float:
        inside = visit[visit <= 8]
        return -2 * float((-h * (inside - 2) + np.log(-np.expm1(-2 * h))).sum() - 8 * h * (visit > 8).sum())

    best = optimize.minimize_scalar(minus, bounds=(0.01, 2), method="bounded", options={"xatol": 1e-10})
    fit = pkpd.fit(pkpd.Model(CONSTANT), read(rows, "ID,TIME,DV,EVID,CENS"), pkpd.Laplace())
    assert fit.attrs["objective"] == pytest.approx(best.fun, abs=1e-7)
    assert value(fit, "h0") == pytest.approx(best.x, rel=1e-4)
    # M1 leaves out censored amounts; an event at an unknown time is none.
    same = pkpd.fit(pkpd.Model(CONSTANT), read(rows, "ID,TIME,DV,EVID,CENS"), pkpd.Laplace(censoring="M1"))
    assert same.attrs["objective"] == fit.attrs["objective"]


COMPETING = """
[units]
time = "d"
[parameters]
a = { typical = 0.3, unit = "1/d" }
b = { typical = 0.1, unit = "1/d/d" }
[outputs]
relapse = { unit = "1/d", dvid = 1, event = {} }
death = { unit = "1/d", dvid = 2, event = {} }
[dynamics]
equations = '''
relapse = a
death = b * t
'''
"""


def test_competing_events():
    rows = ["1,0,.,2,1", "1,1,1,0,1", "1,3,0,0,1", "1,3,1,0,2", "2,0,.,2,1", "2,4,0,0,1", "2,4,0,0,2"]
    f, _ = values_of(COMPETING, read(rows, "ID,TIME,DV,EVID,DVID"), a=0.3, b=0.1)
    np.testing.assert_allclose(f, [np.log(0.3) - 0.3, -0.6, np.log(0.3) - 0.1 * 9 / 2, -1.2, -0.1 * 16 / 2], rtol=1e-9)
    fit = pkpd.fit(pkpd.Model(COMPETING), read(rows, "ID,TIME,DV,EVID,DVID"), pkpd.Laplace())
    assert value(fit, "a") == pytest.approx(1 / 7, rel=5e-4)
    assert value(fit, "b") == pytest.approx(1 / (4.5 + 8), rel=5e-4)


PK = """
[parameters]
k = { typical = 0.2, unit = "1/h" }
h0 = { typical = 0.05, unit = "1/h" }
slope = { typical = 0.3, unit = "L/mg/h" }
v = { typical = 10, unit = "L" }
[routes]
iv = { into = "a" }
[outputs]
cp = { unit = "mg/L", dvid = 1, add = 0.1 }
nausea = { unit = "1/h", dvid = 2, event = {} }
[dynamics]
equations = '''
cp = a / v
nausea = h0 + slope * cp
d/dt(a) = -k * a
'''
"""


@pytest.mark.parametrize("carry", ["nocb", "locf", "linear"])
def test_hazards_of_concentrations_and_resets(carry):
    """Doses, a record at the time of a dose, and resets, which empty the body but not what has been gone through."""
    rows = ["1,0,.,1,100,.,3", "1,2,8,0,.,1,4", "1,4,1,0,.,2,5", "1,4,.,1,50,.,5", "1,6,0,0,.,2,5", "1,7,.,3,.,.,6",
            "1,8,.,4,80,.,6", "1,8,.,3,.,.,6", "1,9,0,0,.,2,2", "1,9,.,4,70,.,2", "1,10,0,0,.,2,3"]  # fmt: skip
    f, df = values_of(PK, read(rows, "ID,TIME,DV,EVID,AMT,DVID,WT", carry=carry))
    k, h0, slope, v = 0.2, 0.05, 0.3, 10.0

    def area(amount: float, span: float) -> float:
        return amount / v * (1 - np.exp(-k * span)) / k

    at_4 = 100 * np.exp(-0.8)
    at_6 = (at_4 + 50) * np.exp(-0.4)
    want = [
        100 / v * np.exp(-0.4),
        np.log(h0 + slope * at_4 / v) - (4 * h0 + slope * area(100, 4)),
        -(2 * h0 + slope * area(at_4 + 50, 2)),
        -(3 * h0 + slope * area(at_6, 1)),  # nothing from 7 to 9: the dose of 8 is gone at once
        -(1 * h0 + slope * area(70, 1)),
    ]
    np.testing.assert_allclose(f, want, rtol=1e-7)
    up, _ = values_of(PK, read(rows, "ID,TIME,DV,EVID,AMT,DVID,WT", carry=carry), k=k * 1.0001)
    down, _ = values_of(PK, read(rows, "ID,TIME,DV,EVID,AMT,DVID,WT", carry=carry), k=k * 0.9999)
    np.testing.assert_allclose(df[:, 0], (up - down) / (2e-4 * k), rtol=2e-5)


def test_subjects_taken_and_repeated():
    rows = ["1,0,.,1,100,.", "1,2,8,0,.,1", "1,4,1,0,.,2", "1,6,0,0,.,2",
            "2,0,.,1,50,.", "2,1,0,0,.,2", "2,1,.,3,.,.", "2,3,1,0,.,2"]  # fmt: skip
    problem = make_problem(pkpd.Model(PK), read(rows, "ID,TIME,DV,EVID,AMT,DVID"))
    values = np.tile([p.typical for p in problem.model.parameters.values()], (2, 1))
    f = problem.predict(values).f
    taken = problem.take([1, 0, 1])
    np.testing.assert_array_equal(taken.predict(values[[1, 0, 1]]).f, np.concatenate([f[3:], f[:3], f[3:]]))
    for one, part in zip(problem.split(), (f[:3], f[3:]), strict=True):
        np.testing.assert_array_equal(one.predict(values[:1]).f, part)


def test_place_of_the_next_event():
    """Randomised residuals: exact for an event, later where none has happened, earlier where the time is not known."""
    from pkpd.likelihood.discrete import Discrete

    output = pkpd.Model(CONSTANT).outputs["death"]
    law = Discrete.of(output, {})
    assert law is not None
    f = np.array([0.5, 0.5])
    less, upto = law.cdf(np.array([1.0, 0.0]), f, np.zeros((2, 0)))
    np.testing.assert_allclose(less, 1 - np.exp(-0.5))
    np.testing.assert_allclose(upto, [1 - np.exp(-0.5), 1])
    rng = np.random.default_rng(3)
    times = rng.exponential(2, 400)
    rows = []
    for i, t in enumerate(times.tolist(), 1):
        if i % 2:  # exact until 3
            rows.append(f"{i},0,.,2,0\n{i},{min(t, 3)!r},{int(t < 3)},0,0")
        else:  # visits
            seen = [v for v in (1, 2, 4) if v < t]
            rows.append("\n".join([f"{i},0,.,2,0", *(f"{i},{v},0,0,0" for v in seen)]))
            rows += [f"{i},{next(v for v in (1, 2, 4) if v >= t)},1,0,1"] if t <= 4 else []
    data = read(rows, "ID,TIME,DV,EVID,CENS")
    model = pkpd.Model(CONSTANT.replace("0.3", "0.5"))
    fit = pkpd.fit(model, data, pkpd.Laplace(max_iterations=0))
    assert stats.kstest(fit["records"]["RQR"].values, "norm").pvalue > 0.01


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (["1,5,1,0"], None, "nothing says since when death was watched"),
        (["1,5,0,0"], None, "nothing says since when death was watched"),
        (["1,5,1,0", "1,6,1,0"], None, "nothing says since when death was watched"),
        (["1,0,.,2", "1,5,2,0"], None, "no value of event death"),
        (["1,0,.,2,0", "1,5,0,0,1"], "ID,TIME,DV,EVID,CENS", "CENS|censored below 0"),
        (["1,0,.,2,0", "1,5,1,0,-1"], "ID,TIME,DV,EVID,CENS", "CENS is -1"),
        (["1,0,.,2,0", "1,3,1,0,0", "1,5,.,0,1"], "ID,TIME,DV,EVID,CENS", "DV is empty"),
        (["1,0,.,2,.", "1,5,1,0,0"], "ID,TIME,DV,EVID,REF", "REF"),
        (["1,0,.,2,.", "1,5,1,0,4"], "ID,TIME,DV,EVID,N", "N"),
    ],
)
def test_records_that_are_none(rows, head, said):
    with pytest.raises(PkpdError, match=said):
        make_problem(pkpd.Model(CONSTANT), read(rows, head or "ID,TIME,DV,EVID"))


def test_doses_at_steady_state_are_refused():
    rows = ["1,0,.,1,100,1,12,.", "1,2,8,0,.,.,.,1", "1,4,1,0,.,.,.,2"]
    with pytest.raises(MismatchError, match="steady state"):
        make_problem(pkpd.Model(PK), read(rows, "ID,TIME,DV,EVID,AMT,SS,II,DVID"))


def test_a_hazard_is_per_time():
    with pytest.raises(UnitError, match="a hazard"):
        pkpd.Model(CONSTANT.replace('unit = "1/d"', 'unit = "1/h"'))
    model = pkpd.Model(CONSTANT.replace("event = {}", "event = true"))
    assert model == pkpd.Model(CONSTANT) and pkpd.Model(model.text) == model
    with pytest.raises(UnitError, match="as computed"):
        pkpd.Model(CONSTANT.replace('typical = 0.3, unit = "1/d"', 'typical = 0.3, unit = "1"'))


def test_fits_that_have_no_answer():
    with pytest.raises(CannotFit, match="there is no event"):
        pkpd.fit(pkpd.Model(CONSTANT), read(["1,0,.,2", "1,5,0,0", "2,0,.,2", "2,5,0,0"]), pkpd.Laplace())
    late = CONSTANT.replace("death = h0", "death = h0 if t > start else 0 * h0").replace(
        "[outputs]", 'start = { typical = 4, unit = "d", fixed = true }\n[outputs]'
    )
    data = read(["1,0,.,2", "1,3,1,0", "2,0,.,2", "2,5,1,0"])
    with pytest.raises(CannotFit, match="the hazard death is 0 at its time"):
        pkpd.fit(pkpd.Model(late), data, pkpd.Laplace())
    below = CONSTANT.replace("death = h0", "death = h0 - k * t").replace(
        "[outputs]", 'k = { typical = 1, unit = "1/d/d" }\n[outputs]'
    )
    with pytest.raises(CannotFit, match="no number or below 0"):
        pkpd.fit(pkpd.Model(below), data, pkpd.Laplace(max_iterations=0))
