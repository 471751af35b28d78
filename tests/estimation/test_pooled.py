"""Fits of all subjects together: errors, transforms, bounds, outputs, means, changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from pkpd import CannotFit, Pooled, SolveError, fit, read_data
from pkpd.model import Model, Output, Parameter

LINKED = """
name = "linked"
[parameters]
cl = { typical = 4.0, unit = "L/h" }
v = { typical = 40.0, unit = "L" }
emax = { typical = 0.5, lower = 0.0, upper = 1.0, transform = "logit" }
ec50 = { typical = 1.0, unit = "mg/L" }
e0 = { typical = 90.0, unit = "%", transform = "none" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
d/dt(central) = -cl * cp
cp = central / v
vas = e0 * (1 - emax * cp / (ec50 + cp))
'''
[outputs]
cp = { unit = "mg/L", dvid = 1, prop = 0.1 }
vas = { unit = "%", dvid = 2, add = 3.0 }
"""
TRUTH = {"cl": 5.0, "v": 30.0, "emax": 0.7, "ec50": 0.8, "e0": 100.0}


def value(result, name: str) -> float:
    return result.estimates["value"].sel(parameter=name).item()


def linked_rows(noise: float = 0.0):
    rng = np.random.default_rng(3)
    t = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24])
    cp = 100 / 30 * np.exp(-t / 6)
    vas = 100 * (1 - 0.7 * cp / (0.8 + cp))
    cp = cp * np.exp(noise * 0.1 * rng.standard_normal(t.size))
    vas = vas + noise * 3 * rng.standard_normal(t.size)
    return t, cp, vas


def linked_data(noise: float = 0.0):
    t, cp, vas = linked_rows(noise)
    rows = [(0.0, 100.0, ".", ".", 1)]
    rows += [(a, ".", c, 1, 0) for a, c in zip(t, cp)] + [(a, ".", w, 2, 0) for a, w in zip(t, vas)]
    rows.sort(key=lambda row: row[0])
    return read_data({name: [row[k] for row in rows] for k, name in enumerate(("TIME", "AMT", "DV", "DVID", "EVID"))})


def test_several_outputs_and_all_transforms():
    # scaled, since a likelihood with known proportional errors rewards lower predictions, even of data without noise
    result = fit(Model(LINKED), linked_data(), Pooled(error="scaled"))
    assert result.status == "converged"
    for name, truth in TRUTH.items():
        assert value(result, name) == pytest.approx(truth, rel=1e-6)
    assert sorted(set(result.records["DVID"].values)) == ["cp", "vas"]
    assert sorted(set(result.records["UNIT"].values)) == ["%", "mg/L"]


def test_several_outputs_with_their_errors_estimated():
    result = fit(Model(LINKED), linked_data(noise=1.0), Pooled())
    assert result.status == "converged"
    assert value(result, "cp.prop") == pytest.approx(0.1, rel=0.6)
    assert value(result, "vas.add") == pytest.approx(3, rel=0.6)
    row = result.estimates.sel(parameter="emax")
    assert 0 < row["lower"].item() < row["value"].item() < row["upper"].item() < 1


def test_what_auto_means(two_exponentials, decline):
    def notes(**law):
        model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", **law)})
        return fit(model, decline, Pooled()).attrs["notes"]

    assert "one factor" in notes(add=0.1)
    assert "one factor" in notes(log=0.1)
    assert "maximum likelihood" in notes(prop=0.1)
    assert "maximum likelihood" in notes(add=0.01, prop=0.1)
    assert "as they stand" in notes(add=0.1, fixed_error=True)


def test_scaled_proportional_weights_settle(two_exponentials, decline):
    """Generalised least squares: at the end, the curve is the weighted fit with its own predictions as weights."""
    model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=1.0)})
    result = fit(model, decline, Pooled(error="scaled"))
    assert result.status == "converged"

    def curve(t, *z):
        a1, l1, a2, l2 = np.exp(z)
        return a1 * np.exp(-l1 * t) + a2 * np.exp(-l2 * t)

    z = result.estimates["transformed"].values[:4]
    t, y = result.records["TIME"].values, result.records["DV"].values
    again, covariance = curve_fit(curve, t, y, p0=z + 0.05, sigma=result.records["PRED"].values, xtol=1e-13, ftol=1e-13)
    np.testing.assert_allclose(again, z, atol=1e-6)
    np.testing.assert_allclose(result.estimates["transformed_se"].values[:4], np.sqrt(np.diag(covariance)), rtol=1e-4)
    sd = np.sqrt(np.sum((y / result.records["PRED"].values - 1) ** 2) / 36)
    assert value(result, "cp.prop") == pytest.approx(sd)
    assert "iterated" in str(result)


def test_means_weigh_by_n_over_variance():
    """A straight line through means is the weighted regression with weights N / SD**2."""
    model = Model("""
[parameters]
a = { typical = 1.0, transform = "none" }
b = { typical = 1.0, unit = "1/h", transform = "none" }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { add = 5.0, fixed_error = true }
""")
    t, y = np.array([0, 1, 2, 4, 8.0]), np.array([1.1, 2.4, 2.6, 5.5, 9.0])
    n, sd = np.array([4, 9, 25, 16, 2.0]), np.array([1.0, 2.0, 1.5, 0.5, 3.0])
    result = fit(model, read_data({"TIME": t, "DV": y, "N": n, "SD": sd}), Pooled())
    (b, a), covariance = np.polyfit(t, y, 1, w=np.sqrt(n) / sd, cov="unscaled")
    assert (value(result, "a"), value(result, "b")) == (pytest.approx(a), pytest.approx(b))
    np.testing.assert_allclose(result.estimates["se"].values[:2], np.sqrt(np.diag(covariance))[::-1], rtol=1e-6)
    by_error = fit(model, read_data({"TIME": t, "DV": y, "N": n, "SE": sd / np.sqrt(n)}), Pooled())
    np.testing.assert_allclose(by_error.estimates["value"], result.estimates["value"])
    without_sd = fit(model, read_data({"TIME": t, "DV": y, "N": n}), Pooled(error="scaled"))
    b, a = np.polyfit(t, y, 1, w=np.sqrt(n))
    assert (value(without_sd, "a"), value(without_sd, "b")) == (pytest.approx(a), pytest.approx(b))


def test_percent_change_from_a_reference():
    t, _, vas = linked_rows()
    rows = [(0.0, 100.0, ".", ".", 1, ".")] + [(a, ".", 100 * (w / 100 - 1), 2, 0, 0.0) for a, w in zip(t, vas)]
    names = ("TIME", "AMT", "DV", "DVID", "EVID", "REF")
    data = read_data({name: [row[k] for row in rows] for k, name in enumerate(names)})
    result = fit(Model(LINKED).set(cl=5, v=30).fix("cl", "v", "e0"), data, Pooled(error="known"))
    assert value(result, "emax") == pytest.approx(0.7, rel=1e-6)
    assert value(result, "ec50") == pytest.approx(0.8, rel=1e-6)
    assert set(result.records["UNIT"].values) == {"%"}
    assert (result.records["REF"] == 0).all()


def test_a_change_says_nothing_about_the_baseline():
    t, _, vas = linked_rows()
    rows = [(0.0, 100.0, ".", ".", 1, ".")] + [(a, ".", w - 100, 2, 0, 0.0) for a, w in zip(t, vas)]
    names = ("TIME", "AMT", "DV", "DVID", "EVID", "REF")
    data = read_data({name: [row[k] for row in rows] for k, name in enumerate(names)})
    result = fit(Model(LINKED).set(cl=5, v=30).fix("v", "cl"), data, Pooled(error="known"))
    assert result.status == "not identified"
    assert "e0" in result.message
    assert np.isnan(result.estimates["se"].sel(parameter="e0").item())
    assert np.isfinite(result.estimates["se"].sel(parameter="emax").item())
    assert "NOT IDENTIFIED" in str(result)


def test_only_ratios_are_known(oral, doses):
    """Without the dose's availability known, clearance and volume are known up to it."""
    model = oral.replace(
        parameters={**oral.parameters, "f": Parameter(name="f", typical=0.9)},
        equations="cp = f * central / v\nd/dt(depot) = -ka * depot\nd/dt(central) = ka * depot - cl * central / v",
    )
    result = fit(model, doses, Pooled())
    assert result.status == "not identified"
    assert result.message.startswith("Only ratios of cl, v and f are known")
    assert (result.verdict["rank"].item(), result.verdict["free"].item()) == (3, 4)
    assert np.isfinite(result.estimates["se"].sel(parameter="ka").item())
    assert np.isnan(result.estimates["se"].sel(parameter="cl").item())


@pytest.mark.parametrize("method", ["leastsq", "least_squares"])
def test_bounds_hold(oral, doses, method):
    bounded = oral.replace(parameters={**oral.parameters, "v": replace(oral.parameters["v"], lower=45.0, typical=60.0)})
    result = fit(bounded, doses, Pooled(method=method))
    assert value(result, "v") == pytest.approx(45, rel=1e-4)
    assert result.status == "at a bound"
    assert "v is at a bound (45 to inf L)" in result.message
    assert result.estimates["at_bound"].sel(parameter="v").item()
    assert np.isnan(result.estimates["se"].sel(parameter="v").item())
    # the others are those of the fit with v held there
    held = fit(oral, doses, Pooled(), start={"v": 45.0}, fixed=["v"])
    assert value(result, "cl") == pytest.approx(value(held, "cl"), rel=1e-3)
    wide = oral.replace(parameters={**oral.parameters, "v": replace(oral.parameters["v"], lower=1.0, upper=500.0)})
    np.testing.assert_allclose(
        fit(wide, doses, Pooled(method=method)).estimates["value"],
        fit(oral, doses, Pooled()).estimates["value"],
        rtol=1e-5,
    )


def test_an_error_that_the_data_do_not_ask_for_runs_to_zero(two_exponentials):
    rng = np.random.default_rng(8)
    t = np.tile(np.geomspace(0.1, 12, 15), 3)
    y = (2.5 * np.exp(-1.7 * t) + 0.7 * np.exp(-0.25 * t)) * (1 + 0.1 * rng.standard_normal(t.size))
    order = np.argsort(t, kind="stable")
    model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", add=0.05, prop=0.1)})
    result = fit(model, read_data({"TIME": t[order], "DV": y[order]}), Pooled())
    assert result.status == "at a bound"
    assert "cp.add has run to 0" in result.message
    alone = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=0.1)})
    other = fit(alone, read_data({"TIME": t[order], "DV": y[order]}), Pooled())
    assert result.ofv == pytest.approx(other.ofv, abs=1e-4)
    assert value(result, "cp.prop") == pytest.approx(value(other, "cp.prop"), rel=1e-4)


def test_a_fit_that_cannot_move(oral):
    data = read_data({"TIME": [1, 2, 3, 4, 5], "DV": [1, 2, 3, 2, 1]})  # nobody has had a dose
    with pytest.raises(CannotFit, match="the fit cannot move") as caught:
        fit(oral, data, Pooled())
    assert "Free are ka, cl, v" in str(caught.value)
    assert "doses" in str(caught.value)


def test_a_proportional_error_where_nothing_is_predicted(oral, doses):
    model = oral.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=0.1)})
    with pytest.raises(CannotFit, match="the residual SD is 0 where 0 is predicted") as caught:
        t, amt = [0, 0, 1, 2, 4, 8], [".", 100, ".", ".", ".", "."]
        fit(model, read_data({"TIME": t, "AMT": amt, "DV": [0.1, ".", 2, 2, 1, 0.5]}), Pooled())
    assert "time 0" in str(caught.value)
    assert "additive part" in str(caught.value)


def test_nothing_is_free(oral, doses):
    with pytest.raises(CannotFit, match="nothing is left to estimate"):
        fit(oral, doses, Pooled(), fixed=["ka", "cl", "v"])


def test_a_model_that_blows_up_at_the_start(doses):
    wild = Model("""
[parameters]
k = { typical = 5.0, unit = "1/(h*mg)" }
v = { typical = 40.0, unit = "L" }
[routes]
iv = { into = "x", cmt = 1 }
[dynamics]
equations = "d/dt(x) = k * x * x\\ncp = x / v"
[outputs]
cp = { unit = "mg/L", add = 0.1 }
""")
    with pytest.raises(SolveError):
        fit(wild, doses, Pooled())


def test_a_search_that_may_not_go_on(two_exponentials, decline):
    result = fit(two_exponentials, decline, Pooled(max_evaluations=6), start={"a1": 30.0, "l2": 2.0})
    assert result.status == "not converged"
    assert "could still fall" in result.message
    assert result.verdict["decrement"] > 1e-3
    assert "NOT CONVERGED" in str(result)
    assert np.isfinite(result.ofv)
    full = fit(two_exponentials, decline, Pooled(), start={"a1": 30.0, "l2": 2.0})
    assert full.ofv < result.ofv


def test_data_without_noise(two_exponentials, decline):
    f = fit(two_exponentials, decline, Pooled()).records["IPRED"].values
    exact = read_data({"ID": decline.columns["ID"], "TIME": decline.columns["TIME"], "DV": f})
    result = fit(two_exponentials, exact, Pooled())
    assert result.status == "converged"
    assert value(result, "cp.add") < 1e-8


def test_the_path_leads_down(pooled):
    steps = pooled["trace"]["objective"].values
    assert steps[-1] < steps[0]
    np.testing.assert_allclose(pooled["trace"]["value"].values[-1, :4], pooled.estimates["value"].values[:4], rtol=1e-5)


def test_lmfit_result_of_an_extended_fit(two_exponentials, decline):
    model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", prop=0.1)})
    result = fit(model, decline, Pooled())
    own = result.lmfit["pooled"]
    assert own.var_names == ["log_a1", "log_l1", "log_a2", "log_l2", "log_cp_prop"]
    errors = result.estimates["transformed_se"].values
    np.testing.assert_allclose([own.params[name].stderr for name in own.var_names], errors)
    ends = own.conf_interval(p_names=["log_cp_prop"], sigmas=[0.95])["log_cp_prop"]
    # likelihood ratio for n records: wider upwards than downwards, and near the curvature
    assert ends[-1][1] - own.params["log_cp_prop"].value == pytest.approx(1.96 * errors[-1], rel=0.15)
