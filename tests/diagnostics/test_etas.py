"""Random effects: distributions, pairs, covariates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.diagnostics import Case, EtaCovariates, EtaDistributions, EtaPairs, answer
from pkpd.errors import MismatchError, UsageError

from .conftest import fit_of
from .linear import LINE, OMEGA, fit_lines, lines, posterior


def test_draws_follow_the_exact_law_of_a_linear_model():
    fit = fit_lines(lines(people=30))
    mean, covariance = posterior(fit)
    names, drawn = Case(fit=fit).conditional(400, 3)
    assert names == ("a", "b") and drawn.shape == (400, 30, 2)
    z = (drawn - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert np.abs(z.mean(axis=(0, 1))).max() < 0.03
    assert np.allclose(np.cov(z.reshape(-1, 2).T), np.eye(2), atol=0.04)
    # neighbours in a chain hang together a little: 400 draws are worth some 150 at least
    assert np.abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(150)
    p = stats.kstest(z[::10].reshape(-1), "norm").pvalue
    assert p > 1e-3


def test_draws_do_not_depend_on_order():
    data = lines(people=8)
    whole = Case(fit=fit_lines(data)).conditional(10, 1)[1]
    place = np.argsort(np.repeat(-np.arange(8), 4), kind="stable")
    rows = {name: data.columns[name][place] for name in ("ID", "TIME", "DV")}
    other = Case(fit=fit_lines(pkpd.read_data(rows, units={"TIME": "h"}))).conditional(10, 1)[1]
    assert np.array_equal(whole, other[:, ::-1])


def test_distributions_in_numbers():
    fit = fit_lines(lines(people=50))
    found = answer(Case(fit=fit), EtaDistributions(seed=1, samples=20)).data
    mean, _ = posterior(fit)
    assert np.allclose(found["eta"].values, mean, atol=1e-6)
    assert np.allclose(found["shrinkage"], 1 - mean.std(axis=0, ddof=1) / np.sqrt(np.diag(OMEGA)), atol=1e-6)
    assert np.allclose(found["shrinkage_variance"], 1 - mean.var(axis=0, ddof=1) / np.diag(OMEGA), atol=1e-6)
    test = stats.ttest_1samp(mean, 0.0)
    assert np.allclose(found["eta_p"], test.pvalue, rtol=1e-4)
    assert np.allclose(found["sample_sd"], np.sqrt((found["sample"].values ** 2).mean(axis=(0, 1))))
    assert np.allclose(found["sample_sd"] / found["sd"], 1, atol=0.3)
    caption = EtaDistributions(seed=1).caption(found)
    assert "(SD form)" in caption and "(variance form)" in caption


def test_a_shifted_and_a_narrow_law_show():
    model = LINE.replace("typical = 10", "typical = 7").replace("iiv = 0.25", "iiv = 0.09")
    found = answer(Case(fit=fit_lines(lines(people=60), model)), EtaDistributions(seed=1)).data
    assert found["eta_p"].values[0] < 1e-6
    assert found["sample_sd"].values[0] > 1.2 * found["sd"].values[0]
    assert found["sample_sd"].values[1] > 1.08 * found["sd"].values[1]


def test_few_people_are_said_to_be_few():
    diagnostic = EtaDistributions(seed=1)
    few = answer(Case(fit=fit_lines(lines(people=8))), diagnostic)
    assert "8 subjects say little of a distribution: an SD of so few has a standard error of 27 %" in few.caption()
    many = answer(Case(fit=fit_lines(lines(people=40))), diagnostic)
    assert "say little" not in many.caption()
    one = answer(Case(fit=fit_lines(lines(people=1))), diagnostic)
    assert "One subject has no shrinkage" in one.caption()
    assert "nan" not in one.caption()
    one.figure()


def test_pairs_in_numbers():
    fit = fit_lines(lines(people=35))
    found = answer(Case(fit=fit), EtaPairs(seed=1, samples=15)).data
    eta, drawn = found["eta"].values, found["sample"].values
    r, p = stats.pearsonr(eta[:, 0], eta[:, 1])
    assert np.allclose([found["correlation"].values[0, 1], found["p"].values[1, 0]], [r, p])
    each = [np.corrcoef(one.T)[0, 1] for one in drawn]
    assert np.isclose(found["sample_correlation"].values[1, 0], np.median(each))
    assert np.allclose(found["omega_correlation"], np.eye(2))


def test_a_correlation_left_out_shows_and_one_of_shrinkage_alone_does_not():
    rng = np.random.default_rng(4)
    data = lines(people=80, seed=2)
    dv = data.columns["DV"].copy()
    _, who = np.unique(data.columns["ID"], return_inverse=True)
    shared = rng.normal(size=80)
    dv += 3 * shared[who] + 1.0 * shared[who] * data.columns["TIME"]
    rows = {name: data.columns[name] for name in ("ID", "TIME")} | {"DV": dv}
    wide = LINE.replace("iiv = 4", "iiv = 13").replace("iiv = 0.25", "iiv = 1.25")
    fit = fit_lines(pkpd.read_data(rows, units={"TIME": "h"}), wide)
    found = answer(Case(fit=fit), EtaPairs(seed=1)).data
    assert found["p"].values[0, 1] < 1e-6 and found["sample_correlation"].values[0, 1] > 0.4
    # all records at one time: EBEs go together though the effects do not; draws do not
    tight = fit_lines(lines(people=80, times=np.array([4.0, 4.0, 4.0, 4.0])))
    found = answer(Case(fit=tight), EtaPairs(seed=1)).data
    assert found["correlation"].values[0, 1] > 0.99
    assert abs(found["sample_correlation"].values[0, 1]) < 0.35


def test_one_effect_has_no_pairs():
    single = LINE.replace(", iiv = 0.25", "")
    with pytest.raises(MismatchError, match="one random effect only"):
        answer(Case(fit=fit_lines(lines(people=5), single)), EtaPairs(seed=1))


def test_a_covariate_left_out_shows():
    fit = fit_lines(lines(people=60, effect=2.0), LINE.replace("iiv = 4", "iiv = 8"))
    found = answer(Case(fit=fit), EtaCovariates(seed=1, samples=15)).data
    assert found["covariate"].values.tolist() == ["WT", "SEX"] and found["grouped"].values.tolist() == [False, True]
    assert found.attrs["constant"] == "SAME"
    p = found["p"].sel(effect="a", covariate="WT")
    assert p < 1e-6 and found["sample_p"].sel(effect="a", covariate="WT") < 1e-4
    assert found["p"].sel(effect="a", covariate="SEX") > 1e-3
    eta, weight = found["eta"].values[:, 0], found["value"].values[:, 0]
    expected = stats.linregress(weight, eta)
    one = found.sel(effect="a", covariate="WT")
    assert np.allclose([one["statistic"], one["p"], one["slope"]], [expected.rvalue, expected.pvalue, expected.slope])
    each = [stats.pearsonr(weight, draw).pvalue for draw in found["sample"].values[:, :, 0]]
    assert np.isclose(one["sample_p"], min(1, 2 * np.median(each)))
    sex = found["value"].values[:, 1]
    groups = stats.f_oneway(eta[sex == 0], eta[sex == 1])
    two = found.sel(effect="a", covariate="SEX")
    assert np.allclose([two["statistic"], two["p"]], [groups.statistic, groups.pvalue])
    assert "a and WT (p < 0.001" in EtaCovariates(seed=1).caption(found)


def test_p_of_draws_holds_its_level():
    small = [
        answer(Case(fit=fit_lines(lines(people=25, seed=seed))), EtaCovariates(seed=seed, samples=10)).data
        for seed in range(20)
    ]
    p = np.concatenate([one["sample_p"].values.ravel() for one in small])
    naive = np.concatenate([one["p"].values.ravel() for one in small])
    assert (p < 0.05).mean() <= 0.08 and 0.0 <= (naive < 0.05).mean() < 0.15


def test_missing_and_constant_covariates():
    found = answer(Case(fit=fit_lines(lines(people=30, missing=True))), EtaCovariates(seed=1)).data
    assert np.isnan(found["value"].values[1, 0])
    kept = np.isfinite(found["value"].values[:, 0])
    r = np.corrcoef(found["value"].values[kept, 0], found["eta"].values[kept, 0])[0, 1]
    assert np.isclose(found["statistic"].values[0, 0], r)
    caption = EtaCovariates(seed=1).caption(found)
    assert "Subjects without a value: WT 1." in caption and "The same for all, and not shown: SAME." in caption
    with pytest.raises(MismatchError, match="No covariate differs between people"):
        answer(Case(fit=fit_lines(lines(people=1))), EtaCovariates(seed=1))


@pytest.mark.parametrize("kind", [EtaDistributions, EtaPairs, EtaCovariates])
def test_what_has_no_meaning_is_refused(kind):
    with pytest.raises(UsageError, match="samples is 0"):
        kind(seed=1, samples=0)
    with pytest.raises(UsageError, match="seed"):
        kind(seed=-1)
    reasons = kind(seed=1).unmet(Case(fit=fit_of("population").without_data()))
    assert any("does not hold its data" in reason for reason in reasons)
    alike = LINE.replace(", iiv = 0.25", "").replace(", iiv = 4", "")
    pooled = pkpd.fit(pkpd.Model(alike), lines(people=5), pkpd.Pooled())
    assert any("no fit of a population" in reason for reason in kind(seed=1).unmet(Case(fit=pooled)))
