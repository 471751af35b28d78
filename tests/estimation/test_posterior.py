"""MAP(): individual estimates, held to the minimum of a posterior that is written here, and to closed forms."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import optimize, stats

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit, FitError, UsageError
from pkpd.estimation import MAP
from pkpd.model import Model

DRUG = """
title = "a drug by infusion, monitored"
[parameters]
cl = { typical = 4.5, unit = "L/h", iiv = 0.09 }
v = { typical = 50.0, unit = "L", iiv = 0.04 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", add = 1.0, prop = 0.1 }
"""
#: Trough and peak, as they are drawn in the clinic: time, concentration; three infusions of 1 g over 1 h, every 12 h.
LEVELS = {"a": [(23.5, 17.0), (25.5, 33.0)], "b": [(23.5, 5.0)], "c": []}
VALLEYS = """
title = "two valleys"
[parameters]
x = { typical = 0.3, unit = "1", transform = "none", iiv = 4.0 }
[dynamics]
equations = "y = x * x * x * x - 4 * x * x + x + 0 * t"
[outputs]
y = { add = 0.5 }
"""
LINE = """
title = "a line, other at every occasion"
[parameters]
a = { typical = 1.0, unit = "mg/L", transform = "none", iiv = 2.0, iov = 0.5 }
[dynamics]
equations = "y = a + 0 * t"
[outputs]
y = { unit = "mg/L", add = 0.5 }
"""


@lru_cache
def levels(*names: str) -> Dataset:
    rows = []
    for name in names:
        rows += [(name, 12.0 * k, 1000.0, 1000.0, None) for k in range(3)]
        rows += [(name, t, 0.0, 0.0, y) for t, y in LEVELS[name]]
    rows.sort(key=lambda row: (row[0], row[1]))
    return read_data({key: [row[k] for row in rows] for k, key in enumerate(("ID", "TIME", "AMT", "RATE", "DV"))})


def concentration(cl: float, v: float, t: np.ndarray) -> np.ndarray:
    """Infusions of 1000 mg/h over 1 h at 0, 12 and 24 h."""
    k, total = cl / v, np.zeros_like(t)
    for begin in (0.0, 12.0, 24.0):
        on = np.clip(t - begin, 0, 1.0)
        total += np.where(t > begin, 1000 / cl * (1 - np.exp(-k * on)) * np.exp(-k * (t - begin - on)), 0.0)
    return total


def posterior(eta: np.ndarray, seen: list[tuple[float, float]], level: float | None = None) -> float:
    """Minus its logarithm; records below a level count with the probability to be there."""
    t, y = np.array([pair[0] for pair in seen]), np.array([pair[1] for pair in seen])
    f = concentration(4.5 * np.exp(eta[0]), 50 * np.exp(eta[1]), t)
    sd = np.sqrt(1.0 + (0.1 * f) ** 2)
    own = 0.5 * (eta[0] ** 2 / 0.09 + eta[1] ** 2 / 0.04)
    if level is not None:
        return own - stats.norm.logcdf((level - f) / sd).sum()
    return own + (0.5 * ((y - f) / sd) ** 2 + np.log(sd)).sum()


def best(*arguments) -> tuple[np.ndarray, np.ndarray, float]:
    """Mode, inverse of the second derivatives there, and minus the log density."""
    found = optimize.minimize(posterior, np.zeros(2), args=arguments, method="Nelder-Mead",
                              options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000})  # fmt: skip
    h, hessian = 1e-3, np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            e, g = h * np.eye(2)[i], h * np.eye(2)[j]
            corners = [posterior(found.x + p * e + q * g, *arguments) for p, q in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            hessian[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
    return found.x, np.linalg.inv(hessian), found.fun


def test_monitored_levels():
    fit = pkpd.fit(Model(DRUG), levels("a", "b", "c"), MAP(level=0.9))
    assert fit.status == "converged"
    for name in "ab":
        mode, covariance, height = best(LEVELS[name])
        own = fit["etas"].sel(subject=name)
        np.testing.assert_allclose(own["eta"], mode, atol=2e-6)
        np.testing.assert_allclose(own["eta_covariance"], covariance, rtol=2e-4, atol=1e-7)
        table = fit.estimates.sel(subject=name)
        natural = np.array([4.5, 50.0]) * np.exp(mode)
        reach = stats.norm.ppf(0.95) * np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(table["value"][:2], natural, rtol=3e-6)
        np.testing.assert_allclose(table["lower"][:2], natural * np.exp(-reach), rtol=1e-4)
        np.testing.assert_allclose(table["upper"][:2], natural * np.exp(reach), rtol=1e-4)
        assert fit["subjects"]["objective"].sel(subject=name).item() == pytest.approx(2 * height, abs=1e-8)
    assert np.isnan(fit["omega"]["shrinkage"]).all()  # of three people: none
    assert np.isnan(fit.attrs["aic"]) and "AIC" not in str(fit)


def test_without_records_the_population():
    for data in (levels("a", "c"), levels("c")):
        fit = pkpd.fit(Model(DRUG), data, MAP())
        own = fit["etas"].sel(subject="c")
        np.testing.assert_array_equal(own["eta"], 0.0)
        np.testing.assert_allclose(own["eta_se"], [0.3, 0.2], rtol=1e-12)
        assert "No record, so the population's values: c." in str(fit)
        assert fit.estimates["upper"].sel(subject="c", parameter="cl").item() == pytest.approx(
            4.5 * np.exp(1.959964 * 0.3), rel=1e-6
        )


def test_all_below_the_limit():
    rows = {"ID": ["z"] * 5, "TIME": [0.0, 12.0, 20.0, 23.5, 24.0], "AMT": [1000.0, 1000.0, 0, 0, 1000.0],
            "RATE": [1000.0, 1000.0, 0, 0, 1000.0], "DV": [None, None, 3.0, 3.0, None],
            "CENS": [0, 0, 1, 1, 0], "LLOQ": [3.0] * 5}  # fmt: skip
    fit = pkpd.fit(Model(DRUG), read_data(rows), MAP())
    mode, covariance, height = best([(20.0, 3.0), (23.5, 3.0)], 3.0)
    np.testing.assert_allclose(fit["etas"]["eta"].values[0], mode, atol=1e-5)
    np.testing.assert_allclose(fit["etas"]["eta_covariance"].values[0], covariance, rtol=1e-3, atol=1e-6)
    assert fit.ofv == pytest.approx(2 * height, abs=1e-6)


def test_a_better_mode_away_from_0_is_found_and_said():
    data = read_data({"ID": [1, 2], "TIME": [0.0, 0.0], "DV": [-5.0, 40.0]})
    fit, near = (pkpd.fit(Model(VALLEYS), data, MAP(starts=n)) for n in (8, 1))

    def height(x: float, y: float) -> float:
        return ((y - (x**4 - 4 * x * x + x)) / 0.5) ** 2 + 2 * np.log(0.5) + (x - 0.3) ** 2 / 4

    for who, y in ((0, -5.0), (1, 40.0)):
        grid = np.linspace(-6, 6, 200_001)
        assert fit["subjects"]["objective"].values[who] == pytest.approx(height(grid, y).min(), abs=1e-4)
        assert fit.estimates["value"].values[who, 0] == pytest.approx(grid[height(grid, y).argmin()], abs=1e-4)
    assert near.estimates["value"].values[0, 0] > 1 > 0 > fit.estimates["value"].values[0, 0]
    others = [n for n, a, b in zip("12", fit.estimates["value"][:, 0], near.estimates["value"][:, 0]) if abs(a - b) > 1]
    assert f"another hill than the one next to 0: {', '.join(others)}." in str(fit)
    assert "nearly as probable" in str(fit) and fit.verdict["basins"].values[0] >= 2


def test_occasions_in_closed_form():
    """Normal throughout: eta and two kappas given four records, by the formula of conditional normal laws."""
    y = np.array([2.0, 2.4, 4.0, 4.4])
    data = read_data({"ID": [1] * 4, "TIME": [0.0, 1, 2, 3], "OCC": [1, 1, 2, 2], "DV": y.tolist()})
    fit = pkpd.fit(Model(LINE), data, MAP())
    design = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1.0]])
    covariance = np.linalg.inv(design.T @ design / 0.25 + np.diag([1 / 2, 1 / 0.5, 1 / 0.5]))
    assert fit["etas"]["effect"].values.tolist() == ["a", "a@1", "a@2"]
    np.testing.assert_allclose(fit["etas"]["eta"].values[0], covariance @ design.T @ (y - 1) / 0.25, atol=1e-8)
    np.testing.assert_allclose(fit["etas"]["eta_covariance"].values[0], covariance, rtol=1e-6)


def test_the_etas_of_a_population_fit_and_order():
    from tests.estimation.test_population import model, rows, seen

    fit = pkpd.fit(model(), seen(), pkpd.FOCE(covariance=None))
    own = pkpd.fit(fit.model, seen(), MAP())
    np.testing.assert_allclose(own["etas"]["eta"], fit["etas"]["eta"], atol=1e-7)
    np.testing.assert_allclose(own["omega"]["shrinkage"], fit["omega"]["shrinkage"], atol=1e-6)
    table = rows()
    back = [k for name in dict.fromkeys(reversed(table["ID"])) for k, who in enumerate(table["ID"]) if who == name]
    other = read_data({name: [column[k] for k in back] for name, column in table.items()})
    again = pkpd.fit(fit.model, other, MAP(threads=2))
    names = own.estimates["subject"].values
    np.testing.assert_array_equal(again.estimates["value"].sel(subject=names), own.estimates["value"])
    np.testing.assert_array_equal(again.estimates["lower"].sel(subject=names), own.estimates["lower"])
    np.testing.assert_array_equal(again.verdict["objective"].sel(subject=names), own.verdict["objective"])


def test_simulating_one_of_them():
    """The individual's own values, and draws that spread as its posterior does."""
    fit = pkpd.fit(Model(DRUG), levels("a", "b"), MAP())
    one = fit.of("a")
    assert one.status == "converged" and one.records.sizes["record"] == 2
    assert not any(p.iiv for p in one.model.parameters.values())
    regimen = "1000 mg iv over 1 h"
    mode, covariance, _ = best(LEVELS["a"])
    sure = pkpd.simulate(one, regimen, times=[5.0])["cp"].item()
    k = 4.5 * np.exp(mode[0]) / (50 * np.exp(mode[1]))
    truth = 1000 / (4.5 * np.exp(mode[0])) * (1 - np.exp(-k)) * np.exp(-4 * k)
    assert sure == pytest.approx(truth, rel=1e-5)
    drawn = pkpd.simulate(one, regimen, times=[5.0], uncertainty=2000, seed=1)["individual"].values.reshape(2000, 2)
    np.testing.assert_allclose(np.cov(np.log(drawn).T), covariance, rtol=0.1, atol=1e-3)
    with pytest.raises(UsageError, match=r'fit\.of\("a"\)'):
        pkpd.simulate(fit, regimen, times=[5.0])
    with pytest.raises(FitError, match="subject"):
        fit.of("q")
    with pytest.raises(FitError, match="together"):
        pkpd.fit(Model(DRUG), levels("a", "b"), pkpd.FOCE(max_iterations=0, covariance=None)).of("a")


def test_saved_and_read(tmp_path):
    fit = pkpd.fit(Model(DRUG), levels("a", "b", "c"), MAP())
    for number, own in enumerate((fit, fit.of("b"))):
        own.save(tmp_path / f"{number}.nc")
        assert pkpd.load_fit(tmp_path / f"{number}.nc").identical(own)


def test_refused():
    with pytest.raises(CannotFit, match="no parameter differs"):
        pkpd.fit(Model(DRUG.replace(", iiv = 0.09", "").replace(", iiv = 0.04", "")), levels("a"), MAP())
    for options in ({"starts": 0}, {"level": 1.0}, {"censoring": "M5"}, {"threads": 0}):
        with pytest.raises(CannotFit, match=next(iter(options))):
            MAP(**options)
