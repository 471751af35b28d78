"""Standard errors and confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, f, norm, t

from pkpd import Pooled, fit, read_data
from pkpd.estimation.uncertainty import correlation, interval_text, quantile, sigma_limits
from pkpd.model import Model, Output

LINE = """
[parameters]
a = { typical = 1.0, transform = "none" }
b = { typical = 1.0, unit = "1/h", transform = "none" }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { add = 1.0 }
"""
T = np.arange(8.0)
Y = 2 + 0.5 * T + np.array([0.3, -0.2, 0.1, 0.4, -0.5, 0.2, -0.1, 0.05])


def interval(result, name: str) -> tuple[float, float]:
    row = result.estimates.sel(parameter=name)
    return row["lower"].item(), row["upper"].item()


def line(**options):
    return fit(Model(LINE), read_data({"TIME": T, "DV": Y}), Pooled(**options))


def test_a_straight_line_has_the_textbook_intervals():
    (b, a), covariance = np.polyfit(T, Y, 1, cov=True)
    reach = t.ppf(0.975, 6) * np.sqrt(covariance[1, 1])
    result = line()
    np.testing.assert_allclose(interval(result, "a"), [a - reach, a + reach])
    df_sigma2 = np.sum((Y - a - b * T) ** 2)
    want = np.sqrt(df_sigma2 / chi2.ppf([0.975, 0.025], 6))
    np.testing.assert_allclose(interval(result, "y.add"), want)
    assert result.attrs["interval"] == "95 % Wald on the estimation scale (t with 6 df)"


@pytest.mark.parametrize("method", ["leastsq", "least_squares"])
def test_profiles_of_a_straight_line_are_its_wald_intervals(method):
    wald, profile = line(level=0.9), line(level=0.9, interval="profile", method=method)
    for name in "ab":
        np.testing.assert_allclose(interval(profile, name), interval(wald, name), rtol=2e-4)
    assert profile.attrs["interval"] == "90 % profile likelihood (F test)"


def test_profile_of_a_curve_ends_where_the_f_test_says(two_exponentials, decline):
    result = fit(two_exponentials, decline, Pooled(interval="profile"))
    allowed = 1 + f.ppf(0.95, 1, 36) / 36
    for end in interval(result, "l2"):
        held = fit(two_exponentials, decline, Pooled(), start={"l2": end}, fixed=["l2"])
        ratio = held.verdict["sum_of_squares"] / result.verdict["sum_of_squares"]
        assert ratio.item() == pytest.approx(allowed, rel=1e-3)


def test_profile_of_an_extended_fit_ends_where_the_likelihood_ratio_says(two_exponentials, decline):
    model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", add=0.02, prop=0.1, combined=1)})
    result = fit(model, decline, Pooled(interval="profile"))
    for name in ("l2", "cp.prop"):
        for end in interval(result, name):
            held = fit(model, decline, Pooled(), start={name: end}, fixed=[name])
            assert held.ofv - result.ofv == pytest.approx(chi2.ppf(0.95, 1), rel=3e-3)
    assert "likelihood ratio" in result.attrs["interval"]


def test_profile_with_one_free_parameter():
    for error, law in (("scaled", "add = 1.0"), ("known", "add = 0.3, fixed_error = true")):
        model = Model(LINE.replace("add = 1.0", law)).set(a=2.0).fix("a")
        wald, profile = (
            fit(model, read_data({"TIME": T, "DV": Y}), Pooled(error=error, interval=kind))
            for kind in ("wald", "profile")
        )
        np.testing.assert_allclose(interval(profile, "b"), interval(wald, "b"), rtol=1e-6)


def test_open_ends_are_infinite_or_the_bound():
    """Data that a straight line explains as well give the half-way point of a curve no upper end."""
    curve = """
[parameters]
top = { typical = 10.0 }
half = { typical = 50.0, unit = "h" BOUND }
[dynamics]
equations = "y = top * t / (half + t)"
[outputs]
y = { add = 0.05, fixed_error = true }
"""
    t = np.arange(1.0, 9.0)
    noise = 0.03 * np.array([1, -1, 1, 1, -1, -1, 1, -1])
    data = read_data({"TIME": t, "DV": 10 * t / (50 + t) + noise})
    for bound, end in (("", np.inf), (", upper = 5000.0", 5000.0)):
        result = fit(Model(curve.replace(" BOUND", bound)), data, Pooled(interval="profile"))
        assert result.status == "converged"
        lower, upper = interval(result, "half")
        assert 10 < lower < 50
        assert upper == pytest.approx(end)


def test_intervals_keep_to_the_scale(two_exponentials, decline):
    result = fit(two_exponentials, decline, Pooled(level=0.999999))
    assert (result.estimates["lower"].dropna("parameter") > 0).all()


def test_pieces():
    assert quantile(0.95, np.inf) == pytest.approx(norm.ppf(0.975))
    assert quantile(0.95, 4) == pytest.approx(t.ppf(0.975, 4))
    low, high = sigma_limits(0.95, 10)
    assert low < 1 < high
    held = correlation(np.array([[4.0, 0, 1.0], [0, 0, 0], [1.0, 0, 1.0]]))
    np.testing.assert_array_equal(held, [[1, np.nan, 0.5], [np.nan] * 3, [0.5, np.nan, 1]])
    assert interval_text("wald", 0.9, np.inf, scaled=False) == "90 % Wald on the estimation scale (normal)"
