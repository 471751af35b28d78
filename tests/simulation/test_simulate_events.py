"""Times of events drawn from hazards: their laws, their records, and what a fit makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.errors import MismatchError, SolveError, UsageError

WEIBULL = """
[units]
time = "d"
[covariates]
DOSE = {}
[parameters]
scale = { typical = 8, unit = "d", shift = "slope * DOSE" }
slope = { typical = 0.3, transform = "none" }
shape = { typical = 1.7 }
[outputs]
death = { unit = "1/d", event = {} }
[dynamics]
equations = "death = shape / scale * (t / scale) ** (shape - 1)"
"""


def design(n: int, visits: list[float] | None = None, begin: float = 0.0, **more: list) -> pkpd.Dataset:
    """Everybody followed from a time on to the last visit."""
    times = [begin, *(visits or [12.0])]
    wide = len(times)
    return pkpd.read_data({
        "ID": np.repeat(np.arange(1, n + 1), wide), "TIME": times * n, "DV": [0] * (wide * n),
        "DOSE": np.repeat(np.arange(n) % 2, wide), **more,
    })  # fmt: skip


def records(data: pkpd.Dataset) -> dict[str, np.ndarray]:
    """Those of events."""
    keep = data.columns["MDV"] == 0
    return {name: data.columns[name][keep] for name in ("ID", "TIME", "DV", "CENS")}


def test_weibull_times():
    model, n = pkpd.Model(WEIBULL), 3000
    drawn = records(pkpd.simulate_events(model, design(n), seed=4))
    assert drawn["ID"].size == n
    happened = drawn["DV"] == 1
    assert (drawn["TIME"][~happened] == 12).all() and (drawn["TIME"][happened] < 12).all()
    scale = 8 * np.exp(0.3 * ((drawn["ID"].astype(int) - 1) % 2))
    # The hazard gone through is exponential, cut at the end of the follow-up.
    gone, whole = (drawn["TIME"] / scale) ** 1.7, (12 / scale) ** 1.7
    place = -np.expm1(-gone[happened]) / -np.expm1(-whole[happened])
    assert stats.kstest(place, "uniform").pvalue > 0.01
    assert stats.binomtest(int(happened.sum()), n, float(np.mean(-np.expm1(-whole)))).pvalue > 0.01


def test_times_are_where_the_hazard_reaches_the_draw():
    """Exact to the tolerance of the engine, whatever the follow-up is cut into."""
    from pkpd.streams import addresses, uniforms

    drawn = records(pkpd.simulate_events(pkpd.Model(WEIBULL), design(50), seed=4))
    names = [str(i) for i in range(1, 51)]
    goal = -np.log(uniforms(4, "simulate_events: death", addresses(names), np.zeros(50, dtype=int), 1)[:, 0])
    scale = 8 * np.exp(0.3 * (np.arange(50) % 2))
    want = scale * goal ** (1 / 1.7)
    np.testing.assert_allclose(drawn["TIME"], np.minimum(want, 12), rtol=1e-7)
    np.testing.assert_array_equal(drawn["DV"], want < 12)


def test_delayed_entry():
    """Who enters at 5 has lived until then."""
    n = 2000
    drawn = records(pkpd.simulate_events(pkpd.Model(WEIBULL), design(n, [20.0], begin=5.0), seed=9))
    happened = drawn["DV"] == 1
    scale = 8 * np.exp(0.3 * ((drawn["ID"].astype(int) - 1) % 2))
    gone, whole = (((t / scale) ** 1.7 - (5 / scale) ** 1.7) for t in (drawn["TIME"], 20.0))
    place = -np.expm1(-gone[happened]) / -np.expm1(-whole[happened])
    assert (drawn["TIME"] > 5).all()
    assert stats.kstest(place, "uniform").pvalue > 0.01


def test_visits():
    model, visits = pkpd.Model(WEIBULL), [2.0, 4.0, 8.0, 12.0]
    exact = records(pkpd.simulate_events(model, design(200, visits), seed=3))
    noted = records(pkpd.simulate_events(model, design(200, visits), seed=3, visits=True))
    for name in np.unique(exact["ID"]):
        time = exact["TIME"][(exact["ID"] == name)][-1]
        own = noted["ID"] == name
        if exact["DV"][exact["ID"] == name][-1]:
            first = next(v for v in visits if v >= time)
            assert noted["TIME"][own].tolist() == [0.0, *(v for v in visits if v <= first)]
            assert noted["DV"][own].tolist()[-1] == 1 and noted["DV"][own].sum() == 1
        else:
            assert noted["TIME"][own].tolist() == [0.0, *visits] and noted["DV"][own].sum() == 0
    np.testing.assert_array_equal(noted["CENS"], noted["DV"])


REPEATED = """
[units]
time = "d"
[parameters]
h0 = { typical = 0.5, unit = "1/d", iiv = 0.3 }
late = { typical = 0.2, unit = "1/d" }
[constants]
switch = { value = 6, unit = "d" }
[outputs]
seizure = { unit = "1/d", event = {} }
[dynamics]
equations = "seizure = h0 + (late if t > switch else 0)"
"""


def test_repeated_events_are_a_poisson_process():
    n = 2000
    model = pkpd.Model(REPEATED).set({"iiv.h0": 1e-10})
    data = design(n)
    drawn = records(pkpd.simulate_events(model, data, seed=5, repeated=True))
    count = np.bincount(drawn["ID"].astype(int), weights=drawn["DV"], minlength=n + 1)[1:]
    mean = 0.5 * 12 + 0.2 * 6
    assert abs(count.mean() - mean) < 3 * np.sqrt(mean / n)
    assert count.var() == pytest.approx(mean, rel=0.1)
    times = drawn["TIME"][drawn["DV"] == 1]
    gone = (0.5 * times + 0.2 * np.maximum(times - 6, 0)) / mean
    assert stats.kstest(gone, "uniform").pvalue > 0.01
    # Everybody's follow-up goes on to its end.
    assert ((drawn["DV"] == 0) & (drawn["TIME"] == 12)).sum() == n


def test_random_effects_and_a_fit_of_what_was_drawn():
    model = pkpd.Model(REPEATED)
    data = pkpd.simulate_events(model, design(150), seed=6, repeated=True)
    fit = pkpd.fit(model, data, pkpd.Laplace())
    for name, true in (("h0", 0.5), ("late", 0.2), ("iiv.h0", 0.3)):
        value, se = (float(fit.estimates[key].sel(parameter=name)) for key in ("value", "se"))
        assert abs(value - true) < 3 * se, name
    assert stats.kstest(fit["records"]["RQR"].values, "norm").pvalue > 0.01
    again = pkpd.simulate_events(fit, design(150), seed=6, repeated=True)
    assert again.rows != data.rows  # the estimates differ


def test_the_same_seed_gives_the_same_events_in_whatever_company():
    model, data = pkpd.Model(REPEATED), design(12)
    one = pkpd.simulate_events(model, data, seed=2, repeated=True, threads=1)
    few = pkpd.simulate_events(model, data[["7", "3"]], seed=2, repeated=True, threads=2)
    for name in ("3", "7"):
        for column in ("TIME", "DV", "EVID"):
            np.testing.assert_allclose(one[name].columns[column], few[name].columns[column], rtol=1e-12)
    other = pkpd.simulate_events(model, data, seed=2, replicate=1, repeated=True)
    assert other.digest != one.digest
    assert one.sha256 == one.digest and "simulated" in one.origin


JOINT = """
[parameters]
cl = { typical = 3, unit = "L/h", iiv = 0.1 }
v = { typical = 20, unit = "L" }
h0 = { typical = 0.1, unit = "1/h" }
[routes]
iv = { into = "a" }
[outputs]
cp = { unit = "mg/L", dvid = 1, log = 0.2 }
pain = { unit = "1/h", dvid = 2, event = {} }
[dynamics]
equations = '''
cp = a / v
pain = h0 / (1 + cp * cp / 1)
d/dt(a) = -cl * cp
'''
"""
JOINT = JOINT.replace("cp * cp / 1", "cp / one").replace(
    "h0 = {", 'one = { typical = 1, unit = "mg/L", fixed = true }\nh0 = {'
)


def test_joint_designs_are_drawn_whole():
    """Doses in the data, other units of time and of concentrations, a limit of quantification, a reset."""
    n = 300
    rows = {name: [] for name in ("ID", "TIME", "EVID", "AMT", "DVID", "DV", "LLOQ")}
    for i in range(1, n + 1):
        for row in ((0, 1, 100, ".", ".", "."), (4, 0, 0, 1, 1000, 800), (12, 0, 0, 1, 1000, 800),
                    (12, 4, 200, ".", ".", "."), (24, 0, 0, 1, 1000, 800), (24, 0, 0, 2, 0, ".")):  # fmt: skip
            for name, value in zip(rows, (i, row[0] / 24, *row[1:]), strict=True):
                rows[name].append(value)
    data = pkpd.read_data(rows, units={"TIME": "d", "DV": {"1": "ug/L"}})
    made = pkpd.simulate_events(pkpd.Model(JOINT), data, seed=1)
    seen = {name: made.columns[name][made.columns["MDV"] == 0] for name in ("TIME", "DV", "DVID", "CENS", "ID")}
    first = (seen["DVID"] == "#1") & np.isclose(seen["TIME"], 4 / 24)
    assert np.median(seen["DV"][first]) == pytest.approx(5000 * np.exp(-0.6), rel=0.05)
    low = (seen["DVID"] == "#1") & (seen["CENS"] == 1)
    assert low.any() and (seen["DV"][low] == 800).all() and (seen["DV"][(seen["DVID"] == "#1") & ~low] >= 800).all()
    pain = seen["DVID"] == "#2"
    assert pain.sum() == n and 0 < seen["DV"][pain].mean() < 1
    # Without differences between people the hazard gone through is known.
    same = pkpd.simulate_events(pkpd.Model(JOINT).set({"iiv.cl": 1e-12}), data, seed=1)
    keep = (same.columns["MDV"] == 0) & (same.columns["DVID"] == "#2")
    time, happened = 24 * same.columns["TIME"][keep], same.columns["DV"][keep] == 1

    def gone(t: np.ndarray) -> np.ndarray:
        def one(c: float, span: np.ndarray) -> np.ndarray:  # the integral of 0.1 / (1 + c exp(-k s))
            return 0.1 / 0.15 * (np.log(np.exp(0.15 * span) + c) - np.log(1 + c))

        return one(5.0, np.minimum(t, 12)) + one(10.0, np.maximum(t - 12, 0))

    place = np.expm1(-gone(time[happened])) / np.expm1(-gone(np.array(24.0)))
    assert stats.kstest(place, "uniform").pvalue > 0.01
    fit = pkpd.fit(pkpd.Model(JOINT), made, pkpd.Laplace(covariance=None))
    assert float(fit.estimates["value"].sel(parameter="h0")) == pytest.approx(0.1, rel=0.25)


def test_what_is_refused():
    model = pkpd.Model(WEIBULL)
    with pytest.raises(UsageError, match="no seed"):
        pkpd.simulate_events(model, design(2), seed=None)  # type: ignore[arg-type]
    other = pkpd.Model(WEIBULL.replace("event = {}", "add = 0.1"))
    with pytest.raises(MismatchError, match="no record of an event"):
        pkpd.simulate_events(other, design(2), seed=1)
    falls = pkpd.Model(REPEATED.replace("h0 + (late if t > switch else 0)", "h0 - 8 * late * t / switch"))
    with pytest.raises(SolveError, match="below 0"):
        pkpd.simulate_events(falls, design(3), seed=1)
