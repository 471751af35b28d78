"""The search, the precision of the estimates, profiles, influence."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import Case, Influence, Precision, ProfileCurves, Trace, answer
from pkpd.errors import MismatchError, UsageError

from .conftest import fit_of
from .linear import LINE, fit_lines, lines

MEAN = """
[parameters]
mu = { typical = 10, unit = "1", transform = "none", iiv = 4 }
[dynamics]
equations = '''
y = mu
'''
[outputs]
y = { unit = "1", add = 1 }
"""

NEAR = """
[parameters]
a = { typical = 10, unit = "1", transform = "none", iiv = 4 }
b = { typical = 1, unit = "1", transform = "none" }
[constants]
hour = { value = 1, unit = "h" }
[dynamics]
equations = '''
y = a + b * (1 + 0.02 * t / hour)
'''
[outputs]
y = { unit = "1", add = 1 }
"""


def one_each(values):
    """One record a subject: its law is normal with the mean mu and the variance iiv.mu + 1."""
    rows = {"ID": np.arange(len(values)), "TIME": np.zeros(len(values)), "DV": values}
    return pkpd.read_data(rows)


def mean_fit(values, **options):
    return pkpd.fit(pkpd.Model(MEAN), one_each(values), pkpd.FOCE(**options), fixed=["y.add"])


def test_precision_is_that_of_the_table():
    fit = fit_of("population")
    found = answer(Case(fit=fit), Precision()).data
    own = fit.covariance["covariance"].values
    sd = np.sqrt(np.diag(own))
    eigen = np.sort(np.linalg.eigvalsh(own / np.outer(sd, sd)))[::-1]
    assert np.allclose(found["eigenvalue"], eigen) and np.isclose(found.attrs["condition"], eigen[0] / eigen[-1])
    assert np.isclose(eigen.sum(), 7)
    assert np.allclose(found["rse"], 100 * fit.estimates["se"] / fit.estimates["value"])
    assert "worst is iiv.ka (RSE 54" in Precision().caption(found) and "cl and v (+0.80)" in Precision().caption(
        found, 1
    )


def test_collinear_parameters_have_a_large_condition_number():
    fit = fit_lines(lines(people=30), NEAR, max_iterations=50, covariance="R")
    found = answer(Case(fit=fit), Precision()).data
    assert found.attrs["condition"] > 300
    assert "a and b (-" in Precision().caption(found, 1)


def test_precision_needs_standard_errors():
    with pytest.raises(MismatchError, match="No standard errors were asked for"):
        answer(Case(fit=fit_of("censored")), Precision())


def test_the_trace_is_that_of_the_search():
    fit = fit_of("individual")
    found = answer(Case(fit=fit), Trace()).data
    for who in ("1", "12"):
        mine = found["search"].values == who
        assert np.array_equal(found["number"].values[mine], np.arange(mine.sum()))
        assert np.array_equal(found["objective"].values[mine], fit["trace"]["objective"].values[mine])
    assert "12 searches" in Trace().caption(found)


def test_the_phases_of_saem_are_told_apart():
    fit = pkpd.fit(pkpd.Model(LINE), lines(people=12), pkpd.SAEM(seed=1, burn=40, smooth=40))
    found = answer(Case(fit=fit), Trace()).data
    assert found.attrs["burn"] == 40
    path = fit["trace"]["value"].values
    later = path[found["number"].values > 40]
    assert len(later) == 40
    drift = (later[20:].mean(axis=0) - later[:20].mean(axis=0)) / fit.estimates["se"].values
    assert np.allclose(found["drift"], drift)
    assert "In the first 40 iterations" in Trace().caption(found)
    drawn = answer(Case(fit=fit), Trace()).figure()
    assert any(line.get_xdata()[0] == 40 for line in drawn.axes[0].lines)


def test_the_ends_of_all_starts_are_shown():
    model, data = pkpd.Model(LINE), lines(people=12)
    fit = pkpd.fit(model, data, pkpd.FOCE(starts=2, covariance=None))
    diagnosis = answer(Case(fit=fit), Trace())
    assert np.array_equal(diagnosis.data["end_objective"], fit["starts"]["objective"])
    assert "Of 2 starts 2 ended at the best objective" in diagnosis.caption()


def test_profiles_are_those_of_the_closed_form():
    """One normal observation each: the profile of the mean is n log(S(mu) / S), all in closed form."""
    values = np.random.default_rng(3).normal(10, 3, 15)
    fit = mean_fit(values, covariance="R")
    found = answer(Case(fit=fit), ProfileCurves(parameters=("mu",))).data
    x, rise = found["value"].values[0], found["rise"].values[0]
    seen = np.isfinite(rise)
    spread = ((values[:, None] - x) ** 2).mean(axis=0)
    assert np.allclose(rise[seen], 15 * np.log(spread / values.var())[seen], atol=1e-5)
    half = np.sqrt(values.var() * np.expm1(found.attrs["quantile"] / 15))
    ends = [found["lower"].item(), found["upper"].item()]
    assert np.allclose(ends, [values.mean() - half, values.mean() + half], rtol=1e-5)
    se = np.sqrt(values.var() / 15)
    assert np.allclose(found["wald_rise"], ((found["wald_value"].values[0] - values.mean()) / se) ** 2, atol=1e-3)


def test_profiles_of_the_fit_are_taken():
    values = np.random.default_rng(3).normal(10, 3, 15)
    fit = mean_fit(values, covariance="R")
    with_profile = pkpd.profile(fit, fit.data, pkpd.Profile(parameters=("mu",)))
    found = answer(Case(fit=with_profile), ProfileCurves()).data
    assert found["parameter"].values.tolist() == ["mu"]
    assert np.array_equal(found["rise"], with_profile["profile"]["objective"], equal_nan=True)
    with pytest.raises(UsageError, match=r"no profile of iiv\.mu"):
        answer(Case(fit=with_profile), ProfileCurves(parameters=("iiv.mu",)))


def test_a_variance_that_may_be_0_is_open_below():
    values = 10 + 1.02 * np.linspace(-1.7, 1.7, 12)
    found = answer(Case(fit=mean_fit(values, covariance="R")), ProfileCurves(parameters=("iiv.mu",)))
    assert bool(found.data["lower_open"].item()) and "no limit to iiv.mu (below)" in found.caption()


def test_influence_is_that_of_the_closed_form():
    """One normal observation each: fits without one are means and variances without it."""
    values = np.random.default_rng(5).normal(10, 3, 12)
    values[4] = 30.0
    fit = mean_fit(values, covariance="R")
    diagnosis = answer(Case(fit=fit), Influence())
    found = diagnosis.data
    everybody = 12 * np.log(values.var()) + 12
    for k in range(12):
        rest = np.delete(values, k)
        at = 12 * np.log(rest.var()) + ((values - rest.mean()) ** 2).sum() / rest.var()
        assert np.isclose(found["displacement"].values[k], at - everybody, rtol=1e-3, atol=1e-3)
        assert np.isclose(found["value"].values[k, 0], rest.mean(), rtol=1e-3)
    assert "Above the line: ID 4" in diagnosis.caption()


def test_influence_of_many_is_asked_for_by_name():
    fit = fit_lines(lines(people=30), covariance=None)
    reasons = Influence().unmet(Case(fit=fit))
    assert any("pkpd.leave_one_out(fit, fit.data)" in reason for reason in reasons)
    two = fit_lines(lines(people=2))
    assert any("2 subjects" in reason for reason in Influence().unmet(Case(fit=two)))
