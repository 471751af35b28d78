"""Fits of events in time whose random effects are integrated out, held to integrals by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

import pkpd
from pkpd.errors import CannotFit, MismatchError

FRAILTY = """
[units]
time = "d"
[covariates]
DRUG = {}
[parameters]
h0 = { typical = 0.2, unit = "1/d", iiv = 0.5, shift = "effect * DRUG" }
effect = { typical = 0, transform = "none" }
[outputs]
relapse = { unit = "1/d", event = {} }
[dynamics]
equations = "relapse = h0"
"""


def repeated(n: int = 40, seed: int = 7) -> tuple[pkpd.Dataset, np.ndarray, np.ndarray, np.ndarray]:
    """Repeated events, how many there were and how long each was followed, by drug."""
    rng = np.random.default_rng(seed)
    drug, span = np.arange(n) % 2, rng.uniform(5, 30, n)
    rate = 0.2 * np.exp(-0.6 * drug + 0.8 * rng.standard_normal(n))
    rows: dict[str, list] = {name: [] for name in ("ID", "TIME", "DV", "DRUG")}
    count = np.zeros(n, dtype=int)
    for i in range(n):
        times = np.cumsum(rng.exponential(1 / rate[i], 200))
        times = times[times < span[i]]
        count[i] = times.size
        for time, dv in [(0.0, 0), *((t, 1) for t in times), (span[i], 0)]:
            for name, value in zip(rows, (i + 1, time, dv, drug[i]), strict=True):
                rows[name].append(value)
    return pkpd.read_data(rows), count, span, drug


def exact(x: np.ndarray, count: np.ndarray, span: np.ndarray, drug: np.ndarray) -> float:
    """-2 log L of constant hazards with a log-normal frailty, each integral by adaptive quadrature."""
    total, sd = 0.0, np.sqrt(x[2])
    for k, t, d in zip(count, span, drug, strict=True):
        rate = x[0] * np.exp(x[1] * d)
        peak = optimize.minimize_scalar(lambda e: rate * t * np.exp(e) - k * e + e**2 / (2 * x[2])).x  # noqa: B023

        def density(e: float) -> float:
            return np.exp(k * (np.log(rate) + e) - rate * t * np.exp(e)) * stats.norm.pdf(e, 0, sd)  # noqa: B023

        total += np.log(integrate.quad(density, peak - 8 * sd, peak + 8 * sd, epsabs=0, epsrel=1e-10, points=[peak])[0])
    return -2 * total


def test_frailty_by_quadrature():
    data, count, span, drug = repeated()
    model = pkpd.Model(FRAILTY)
    start = pkpd.fit(model, data, pkpd.Quadrature(nodes=21, max_iterations=0, covariance=None))
    assert start.attrs["objective"] == pytest.approx(exact(np.array([0.2, 0, 0.5]), count, span, drug), abs=1e-6)
    fit = pkpd.fit(model, data, pkpd.Quadrature())
    x = np.array([float(fit.estimates["value"].sel(parameter=name)) for name in ("h0", "effect", "iiv.h0")])
    assert fit.attrs["objective"] == pytest.approx(exact(x, count, span, drug), abs=1e-4)
    # Nothing near by is better.
    rng = np.random.default_rng(1)
    for _ in range(10):
        near = x + np.array([0.02 * x[0], 0.05, 0.05 * x[2]]) * rng.standard_normal(3)
        assert exact(near, count, span, drug) > fit.attrs["objective"]
    # A drug that lowers the hazard.
    assert x[1] == pytest.approx(-0.6, abs=3 * float(fit.estimates["se"].sel(parameter="effect")))


@pytest.mark.parametrize(
    "estimator", [pkpd.Laplace(), pkpd.FOCE(), pkpd.SAEM(seed=2), pkpd.Importance(seed=2)],
    ids=["Laplace", "FOCE", "SAEM", "importance"],
)  # fmt: skip
def test_every_estimator(estimator):
    data, *_ = repeated()
    best, fit = (pkpd.fit(pkpd.Model(FRAILTY), data, e) for e in (pkpd.Quadrature(), estimator))
    share = 0.5 if isinstance(estimator, pkpd.Laplace | pkpd.FOCE) else 0.35  # of Monte Carlo
    for name in ("h0", "effect", "iiv.h0"):
        value, se = (float(best.estimates[key].sel(parameter=name)) for key in ("value", "se"))
        assert float(fit.estimates["value"].sel(parameter=name)) == pytest.approx(value, abs=share * se), name


COUNTED = FRAILTY.replace("[covariates]", '[covariates]\nSPAN = { unit = "d" }').replace(
    'relapse = { unit = "1/d", event = {} }', "number = { count = true }"
).replace("relapse = h0", "number = h0 * SPAN")  # fmt: skip


def test_events_of_a_constant_hazard_are_a_poisson_count():
    data, count, span, drug = repeated()
    n = np.arange(len(count))
    counted = pkpd.read_data({"ID": n + 1, "TIME": 0 * n, "DV": count, "DRUG": drug, "SPAN": span})
    events = pkpd.fit(pkpd.Model(FRAILTY), data, pkpd.Laplace())
    number = pkpd.fit(pkpd.Model(COUNTED), counted, pkpd.Laplace())
    more = -2 * float((special.gammaln(count + 1) - count * np.log(span)).sum())
    assert events.attrs["objective"] - number.attrs["objective"] == pytest.approx(more, abs=1e-4)
    np.testing.assert_allclose(events.estimates["value"], number.estimates["value"], rtol=2e-3)
    np.testing.assert_allclose(events.estimates["se"], number.estimates["se"], rtol=1e-2)
    np.testing.assert_allclose(events["etas"]["eta"], number["etas"]["eta"], atol=2e-3)


def test_individual_hazards():
    """MAP of one subject: the mode of a Poisson count with a log-normal rate."""
    data, count, span, _ = repeated(n=6)
    fit = pkpd.fit(pkpd.Model(FRAILTY), data, pkpd.MAP())
    for i in range(6):
        eta = float(fit["etas"]["eta"][i, 0])
        assert count[i] - 0.2 * span[i] * np.exp(eta) - eta / 0.5 == pytest.approx(0, abs=1e-5)
    records = fit["records"].to_dataframe()
    assert records.groupby("ID", sort=False)["PRED"].sum().to_numpy() == pytest.approx(0.2 * span, rel=1e-7)
    assert (records["UNIT"] == "1").all()
    assert not np.isfinite(records["CWRES"]).any()
    assert np.isfinite(records["RQR"]).all()


JOINT = """
[parameters]
cl = { typical = 3, unit = "L/h", iiv = 0.1 }
v = { typical = 20, unit = "L" }
h0 = { typical = 0.02, unit = "1/h" }
ec50 = { typical = 1, unit = "mg/L" }
[routes]
iv = { into = "a" }
[outputs]
cp = { unit = "mg/L", prop = 0.15 }
pain = { unit = "1/h", event = {} }
[dynamics]
equations = '''
cp = a / v
pain = h0 / (1 + cp / ec50)
d/dt(a) = -cl * cp
'''
"""


def joint(n: int = 40, seed: int = 3) -> pkpd.Dataset:
    """Concentrations, and the time at which pain comes back, if it does within 24 h."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {name: [] for name in ("ID", "TIME", "EVID", "AMT", "DVID", "DV")}

    def add(*row: object) -> None:
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)

    grid = np.linspace(0, 24, 2401)
    for i in range(1, n + 1):
        k = 3 * np.exp(np.sqrt(0.1) * rng.standard_normal()) / 20
        dose = [0, 100][i % 2]
        hazard = 0.08 / (1 + dose / 20 * np.exp(-k * grid) / 1.0)
        total = np.concatenate([[0], np.cumsum(0.5 * (hazard[1:] + hazard[:-1])) * 0.01])
        when = np.interp(rng.exponential(), total, grid, right=np.inf)
        add(i, 0, 1 if dose else 2, dose, ".", ".")
        for t in (1, 4, 8, 16) if dose else ():
            if t < when:
                add(i, t, 0, 0, "cp", dose / 20 * np.exp(-k * t) * np.exp(0.15 * rng.standard_normal()))
        add(i, min(when, 24), 0, 0, "pain", int(when < 24))
    return pkpd.read_data(rows)


def test_concentrations_and_events_together():
    data = joint()
    fit = pkpd.fit(pkpd.Model(JOINT), data, pkpd.Laplace())
    assert fit.attrs["status"] == "converged"
    for name, true in (("cl", 3), ("v", 20), ("h0", 0.08), ("ec50", 1)):
        z, se = (float(fit.estimates[key].sel(parameter=name)) for key in ("transformed", "transformed_se"))
        assert abs(z - np.log(true)) < 3 * se, name
    # One record of each kind counts as what it is: a density has a constant, an event has none.
    n = int((fit["records"]["DVID"] == "cp").sum())
    free = int((~fit.estimates["fixed"]).sum())
    assert fit.attrs["aic"] == pytest.approx(fit.attrs["objective"] + n * np.log(2 * np.pi) + 2 * free)


def test_what_events_cannot_do():
    data, *_ = repeated(n=8)
    model = pkpd.Model(FRAILTY)
    for estimator in (pkpd.FO(), pkpd.FOCE(interaction=False), pkpd.Individual(), pkpd.Pooled(), pkpd.TwoStage()):
        with pytest.raises(CannotFit):
            pkpd.fit(model, data, estimator)
    fit = pkpd.fit(model, data, pkpd.Laplace(covariance=None))
    with pytest.raises(MismatchError, match="simulate_events"):
        pkpd.bootstrap(fit, data, pkpd.Bootstrap(draws=2, seed=1, method="parametric"))
    again = pkpd.bootstrap(fit, data, pkpd.Bootstrap(draws=4, seed=1))
    assert np.isfinite(again["bootstrap"]["objective"]).all()


def test_order_and_threads_change_nothing():
    data, *_ = repeated(n=12)
    model = pkpd.Model(FRAILTY)
    one = pkpd.fit(model, data, pkpd.Laplace(threads=1))
    other = pkpd.fit(model, data[list(reversed(data.ids))], pkpd.Laplace(threads=2))
    np.testing.assert_array_equal(one.estimates["value"], other.estimates["value"])
