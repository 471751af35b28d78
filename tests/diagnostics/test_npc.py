"""Numerical predictive checks."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.diagnostics import NPC, Case, answer
from pkpd.errors import UsageError

from .conftest import fit_of
from .lines import TEXT, drawn, lined


def test_numbers_are_those_of_plain_loops():
    fit = fit_of("population")
    case = Case(fit=fit)
    found = answer(case, NPC(seed=3, n=101, intervals=(0.0, 0.5, 0.9), band=0.8)).data
    y, dv = np.concatenate(list(case.replicates(101, 3))), fit.records["DV"].values
    for k, (low, high) in enumerate(((50, 50), (25, 75), (5, 95))):  # places among 101 sorted draws
        ends = np.array([(sorted(column)[low], sorted(column)[high]) for column in y.T])
        below, above = (dv < ends[:, 0]), (dv > ends[:, 1])
        for side, (seen, drawn_) in enumerate(((below, y < ends[:, 0]), (above, y > ends[:, 1]))):
            assert found["outside"].values[0, side, k] == seen.sum()
            share = drawn_.mean(axis=1)
            assert np.isclose(found["expected"].values[0, side, k], share.mean())
            assert np.isclose(found["expected"].values[0, side, k], low / 101)
            assert np.isclose(found["lower"].values[0, side, k], np.quantile(share, 0.1))
            assert np.isclose(found["upper"].values[0, side, k], np.quantile(share, 0.9))


def test_p_is_uniform_under_the_truth():
    p = np.array([float(answer(Case(fit=lined(drawn(15, seed))), NPC(seed=seed, n=100)).data["p"][0])
                  for seed in range(60)])  # fmt: skip
    assert (p < 0.05).sum() <= 8 and 0.3 < p.mean() < 0.7


@pytest.mark.parametrize(
    ("old", "new"), [("iiv = 4 }", "iiv = 0.04 }"), ("typical = 10", "typical = 7"), ("add = 1", "add = 4")]
)
def test_planted_misfits_are_rejected(old, new):
    check = NPC(seed=1, n=300)
    found = answer(Case(fit=lined(drawn(40, 7), TEXT.replace(old, new))), check).data
    assert float(found["p"][0]) <= 2 / 301
    assert "together p = 0.0033" in check.caption(found) or "together p = 0.0066" in check.caption(found)
    assert float(answer(Case(fit=lined(drawn(40, 7))), check).data["p"][0]) > 0.01


def test_censored_records_count_as_below_everything():
    y = drawn(60, 5)
    censored = y < 9.0
    fit = lined(np.where(censored, 9.0, y), CENS=censored.astype(int))
    case = Case(fit=fit)
    found = answer(case, NPC(seed=2, n=99, intervals=(0.0,))).data
    draws = np.concatenate(list(case.replicates(99, 2)))
    median = np.median(np.where(draws < 9, -np.inf, draws), axis=0)
    value = np.where(censored, -np.inf, y).ravel()
    assert found["outside"].values[0].ravel().tolist() == [(value < median).sum(), (value > median).sum()]


def test_strata_are_counted_apart():
    found = answer(Case(fit=fit_of("population")), NPC(seed=1, n=50, by="WT"))
    assert found.data["count"].values.sum() == 132 and found.data.sizes["stratum"] == 2
    kinds = answer(Case(fit=fit_of("kinds")), NPC(seed=1, n=50))
    assert kinds.pages == 3 and set(kinds.data["group"].values) == {"a", "b"}


def test_one_record_and_all_censored():
    one = answer(Case(fit=lined(drawn(1, 1)[:, :1], times=(0.0,))), NPC(seed=1, n=50))
    assert "1 observations" in one.caption() and "large misfits only" in one.caption() and one.figure()
    hidden = answer(Case(fit=lined(np.full((9, 4), 30.0), CENS=np.ones((9, 4), dtype=int))), NPC(seed=1, n=50))
    assert hidden.figure() and hidden.caption()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"n": 3}, "n is 3"), ({"intervals": (0.5, 1.0)}, "intervals is"), ({"band": 95}, "band is 95")],
)
def test_options_without_a_meaning_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        NPC(seed=1, **options)
