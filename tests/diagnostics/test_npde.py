"""Prediction distribution errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, special

import pkpd
from pkpd.diagnostics import NPDE, Case, answer
from pkpd.diagnostics.prediction_errors import decorrelated, places, shares, with_ends
from pkpd.errors import MismatchError, UsageError

from .conftest import fit_of
from .lines import TEXT, drawn, lined, whitened


def p_of(found, kind="NPDE", test="global"):
    return float(found[f"test_p_{test}"].values[found["test_kind"].values == kind][0])


@pytest.mark.parametrize("how", ["cholesky", "eigen"])
def test_numbers_are_those_of_plain_loops(how):
    """Subject by subject as in the R package npde: cov, chol, solve, colMeans."""
    fit = fit_of("population")
    case = Case(fit=fit)
    found = answer(case, NPDE(seed=3, n=200, decorrelation=how)).data
    y, dv, ids = np.concatenate(list(case.replicates(200, 3))), fit.records["DV"].values, fit.records["ID"].values
    for who in dict.fromkeys(ids.tolist()):
        rows = np.flatnonzero(ids == who)
        drawn_, own = y[:, rows], dv[rows]
        assert np.allclose(found["EPRED"].values[rows], drawn_.mean(axis=0))
        variance = np.cov(drawn_.T)
        turn = linalg.inv(linalg.cholesky(variance)).T if how == "cholesky" else linalg.inv(linalg.sqrtm(variance).real)
        for kind, (a, b) in {"PD": (drawn_, own), "PDE": ((drawn_ - drawn_.mean(axis=0)) @ turn.T,
                                                          turn @ (own - drawn_.mean(axis=0)))}.items():  # fmt: skip
            share = np.array([np.mean([a[k, j] < b[j] for k in range(200)]) for j in range(len(rows))])
            share = np.where(share == 0, 1 / 400, np.where(share == 1, 1 - 1 / 400, share))
            assert np.allclose(found[kind].values[rows], share, atol=1e-12)
            assert np.allclose(found["N" + kind].values[rows], special.ndtri(share))


@pytest.mark.parametrize("how", ["cholesky", "eigen"])
def test_errors_of_lines_tend_to_their_closed_form(how):
    y = drawn(30, 1)
    found = answer(Case(fit=lined(y)), NPDE(seed=1, n=4000, decorrelation=how)).data
    wanted = whitened(y, symmetric=how == "eigen").ravel()
    middle = np.abs(wanted) < 2
    assert np.abs(found["NPDE"].values - wanted)[middle].max() < 0.15
    t = np.tile((0.0, 1.0, 2.0, 4.0), 30)
    plain = (y.ravel() - 10 - 2 * t) / np.sqrt(4 + 0.25 * t**2 + 1)
    middle = np.abs(plain) < 2
    assert np.abs(found["NPD"].values - plain)[middle].max() < 0.15


def test_a_right_model_is_seldom_rejected():
    p = np.array([p_of(answer(Case(fit=lined(drawn(15, seed))), NPDE(seed=seed, n=200)).data) for seed in range(60)])
    assert (p < 0.05).sum() <= 8  # 3 in the mean; 1 in 300 have more
    assert (p > 0.5).sum() >= 15


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        ("iiv = 4 }:iiv = 0.04 }", "variance"),
        ("add = 1 }:add = 2.5 }", "variance"),
        ("typical = 10:typical = 7", "wilcoxon"),
        ("slope * t:slope * t * (1 - 0.05 * slope * t)", "wilcoxon"),
    ],
    ids=["people alike", "noise too large", "level too low", "bent"],
)
def test_planted_misfits_are_rejected(wrong, test):
    old, new = wrong.split(":")
    assert old in TEXT
    found = answer(Case(fit=lined(drawn(40, 7), TEXT.replace(old, new))), NPDE(seed=1, n=500)).data
    assert p_of(found, test=test) < 1e-4
    assert p_of(found) < 1e-3
    assert p_of(answer(Case(fit=lined(drawn(40, 7))), NPDE(seed=1, n=500)).data) > 0.05
    assert "p < 0.0001" in NPDE(seed=1).caption(found)


def test_censored_records_lie_within_the_share_of_draws_beyond_their_limit():
    y = drawn(300, 5)
    limit = 9.0
    censored = y < limit
    fit = lined(np.where(censored, limit, y), CENS=censored.astype(int))
    case = Case(fit=fit)
    found = answer(case, NPDE(seed=2, n=300)).data
    draws = np.concatenate(list(case.replicates(300, 2)))
    below = (draws < limit).mean(axis=0)
    mine, pd = censored.ravel(), found["PD"].values
    assert 0.1 < mine.mean() < 0.5
    assert np.all(pd[mine] <= np.maximum(below[mine], 1 / 600))
    assert np.allclose(pd[~mine], with_ends((draws < y.ravel()).mean(axis=0), 300)[~mine])
    assert p_of(found, "NPD") > 0.01 and p_of(found) > 0.01
    omitted = answer(case, NPDE(seed=2, n=300, censored="omit")).data
    assert np.isnan(omitted["NPDE"].values[mine]).all()
    assert p_of(omitted, "NPD", "wilcoxon") < 1e-3  # what remains lies too high
    assert f"{mine.sum()} censored records are left out" in NPDE(seed=2).caption(omitted)


def test_shares_of_scores_are_drawn_within_their_step():
    fit = fit_of("kinds")
    case = Case(fit=fit)
    found = answer(case, NPDE(seed=4, n=200)).data
    draws, dv = np.concatenate(list(case.replicates(200, 4))), fit.records["DV"].values
    less, upto = (draws < dv).mean(axis=0), (draws <= dv).mean(axis=0)
    ends = (np.minimum(less, 1 - 1 / 400), np.maximum(upto, 1 / 400))
    assert np.all((found["PD"].values >= ends[0] - 1e-12) & (found["PD"].values <= ends[1] + 1e-12))
    assert np.ptp((found["PD"].values - less)[dv == 0]) > 0.05
    assert np.isnan(found["NPDE"].values).all()
    assert found.attrs["kinds"] == "NPD\nNPD\nNPD"


def test_numbers_do_not_depend_on_the_order_of_subjects():
    y = drawn(9, 3)
    limit = np.where(y < 9, 9.0, y)
    first, last = (
        answer(Case(fit=lined(limit[order], CENS=(y < 9)[order].astype(int))), NPDE(seed=1, n=50)).data
        for order in (np.arange(9), np.arange(9))
    )
    assert first.equals(last)
    rows = {"ID": np.repeat(np.arange(1, 10), 4), "TIME": np.tile((0.0, 1.0, 2.0, 4.0), 9), "DV": limit.ravel(),
            "CENS": (y < 9).ravel().astype(int)}  # fmt: skip
    back = np.concatenate([np.arange(4 * k, 4 * k + 4) for k in range(8, -1, -1)])
    turned = pkpd.read_data({name: column[back] for name, column in rows.items()})
    again = answer(Case(fit=pkpd.fit(pkpd.Model(TEXT), turned, pkpd.FOCE(max_iterations=0, covariance=None))),
                   NPDE(seed=1, n=50)).data  # fmt: skip
    assert np.array_equal(again["NPDE"].values, first["NPDE"].values[back])


def test_one_record_all_censored_and_people_alike():
    one = answer(Case(fit=lined(drawn(1, 1)[:, :1], times=(0.0,))), NPDE(seed=1, n=50))
    assert np.isfinite(one.data["NPDE"].values).all() and "too few to test" in one.caption() and one.figure()
    y = np.full((12, 4), 30.0)
    hidden = answer(Case(fit=lined(y, CENS=np.ones((12, 4), dtype=int))), NPDE(seed=1, n=50))
    assert "Rings: 48 censored records" in hidden.caption() and hidden.figure()
    gone = answer(Case(fit=lined(y, CENS=np.ones((12, 4), dtype=int))), NPDE(seed=1, n=50, censored="omit"))
    assert "No record has NPD" in gone.caption() and gone.figure()
    alike = pkpd.fit(*_theophylline(), pkpd.Pooled())
    z = answer(Case(fit=alike), NPDE(seed=1, n=200)).data["NPDE"].values
    assert 0.8 < np.nanstd(z) < 1.2  # as wide as the residuals of a fit to which nobody differs


def test_draws_of_a_subject_are_uncorrelated_afterwards_and_sound_or_said_not_to_be():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(2, 100, 3)) @ rng.normal(size=(3, 3)) + 5
    draws[1, :, 2] = draws[1, :, 0] + draws[1, :, 1]
    for how in ("cholesky", "eigen"):
        y, turned, sound = decorrelated(draws[:, :1], draws, how)
        assert sound.tolist() == [True, False] and np.isnan(turned[1]).all() and np.isnan(y[1]).all()
        assert np.allclose(np.cov(turned[0].T), np.eye(3)) and np.allclose(y[0, 0], turned[0, 0])


def test_places_and_shares():
    draws = np.array([[1.0, 3.0], [2.0, 3.0], [3.0, 3.0], [4.0, 5.0]])
    assert np.allclose(shares(np.array([2.5, 3.0]), draws), [0.5, 0.0])
    assert np.allclose(shares(np.array([2.5, 3.0]), draws, np.array([0.5, 0.5])), [0.5, 0.375])
    others = np.array([[2.5, 3.0], [0.0, 9.0]])
    assert np.allclose(special.ndtr(places(others, draws))[:, 0], [0.5, 0.125])
    chance = np.array([[0.0, 0.9], [0.0, 0.1], [0.0, 0.5], [0.0, 0.0], [0.0, 0.6], [0.0, 0.0]])
    assert np.allclose(special.ndtr(places(others, draws, chance))[:, 1], [0.5, 0.875])


@pytest.mark.parametrize("how", ["cholesky", "none"])
def test_p_beside_drawn_data_is_uniform_with_few_draws_and_dependent_records(how):
    """With 10 draws for each of 4 records the errors of a right model are too wide, and the usual tests reject it."""
    found = [answer(Case(fit=lined(drawn(30, seed))), NPDE(seed=seed, n=20, decorrelation=how)).data
             for seed in range(40)]  # fmt: skip
    kind = "NPD" if how == "none" else "NPDE"
    p = np.array([p_of(each, kind, "drawn") for each in found])
    assert (p < 0.05).sum() <= 7 and 0.3 < p.mean() < 0.7
    if how == "cholesky":
        assert np.mean([p_of(each) < 0.05 for each in found]) > 0.2
        low, high = (np.mean([float(each[f"test_sd_{end}"].values[1]) for each in found]) for end in ("lower", "upper"))
        assert low < 1 / np.sqrt(1 - 4 / 20) < high and high > 1.1
        wide = answer(Case(fit=lined(drawn(200, 1))), NPDE(seed=1, n=20))
        assert "or draw more" in wide.caption()


def test_options_without_a_meaning_are_refused():
    for options, words in (({"n": 3}, "n is 3"), ({"decorrelation": "svd"}, "decorrelation is"),
                           ({"censored": "M3"}, "censored is"), ({"by": "SEX"}, "by is")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            NPDE(seed=1, **options)
    long = lined(drawn(3, 1, times=tuple(range(25))), times=tuple(float(t) for t in range(25)))
    with pytest.raises(MismatchError, match="has 25 records, and 20 data sets"):
        answer(Case(fit=long), NPDE(seed=1, n=20))
    assert answer(Case(fit=long), NPDE(seed=1, n=20, decorrelation="none")).data.attrs["kinds"] == "NPD"


def _theophylline():
    from .conftest import theophylline

    return theophylline()
