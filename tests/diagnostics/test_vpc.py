"""Visual predictive checks."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import VPC, Case, answer
from pkpd.errors import MismatchError, UsageError

from .conftest import UNITS, fit_of

LINE = """
[parameters]
level = { typical = 10, unit = "1", transform = "none", iiv = 4 }
[covariates]
DOSE = { reference = 1 }
[dynamics]
equations = '''
y = level * DOSE
'''
[outputs]
y = { unit = "1", add = 1 }
"""


def drawn_line(model=LINE, people=40, seed=1, doses=(1.0,), times=(0, 1, 2, 3)):
    """Fits of data from the model itself, its values known."""
    rng = np.random.default_rng(seed)
    rows = {"ID": [], "TIME": [], "DV": [], "DOSE": []}
    for person in range(people):
        level, dose = rng.normal(10, 2), doses[person % len(doses)]
        for time in times:
            for name, cell in zip(rows, (person, time, level * dose + rng.normal(), dose)):
                rows[name].append(cell)
    return pkpd.fit(pkpd.Model(model), pkpd.read_data(rows), pkpd.FOCE(max_iterations=0, covariance=None))


def test_numbers_are_those_of_plain_loops():
    fit = fit_of("population")
    case = Case(fit=fit)
    check = VPC(seed=5, n=40, bins=(0, 0.1, 1.5, 6, 30), quantiles=(0.1, 0.5, 0.9), interval=0.8)
    found = answer(case, check).data
    y = np.concatenate(list(case.replicates(40, 5)))
    time, dv = fit.records["TIME"].values, fit.records["DV"].values
    for b, (left, right) in enumerate(((0, 0.1), (0.1, 1.5), (1.5, 6), (6, 30))):
        rows = [k for k in range(len(dv)) if left <= time[k] < right]
        assert found["count"].values[b] == len(rows)
        for q, level in enumerate((0.1, 0.5, 0.9)):
            assert np.isclose(found["observed"].values[b, q], np.quantile(dv[rows], level))
            each = [np.quantile(y[r, rows], level) for r in range(40)]
            assert np.isclose(found["median"].values[b, q], np.median(each))
            assert np.isclose(found["lower"].values[b, q], np.quantile(each, 0.1))
            assert np.isclose(found["upper"].values[b, q], np.quantile(each, 0.9))


def test_correction_is_that_of_bergstrand():
    fit = drawn_line(doses=(1.0, 2.0, 5.0))
    case = Case(fit=fit)
    found = answer(case, VPC(seed=2, n=30, corrected=True, bins=(-0.5, 1.5, 3.5), quantiles=(0.5,))).data
    time, dv, pred = (fit.records[name].values for name in ("TIME", "DV", "PRED"))
    y = np.concatenate(list(case.replicates(30, 2)))
    for b, rows in enumerate((time < 1.5, time > 1.5)):
        factor = np.median(pred[rows]) / pred[rows]
        assert np.isclose(found["observed"].values[b, 0], np.median(dv[rows] * factor))
        assert np.isclose(found["median"].values[b, 0], np.median(np.median(y[:, rows] * factor, axis=1)))
    plain = answer(case, VPC(seed=2, n=30, bins=(-0.5, 1.5, 3.5), quantiles=(0.5,))).data
    assert (found["upper"] - found["lower"]).sum() < 0.6 * (plain["upper"] - plain["lower"]).sum()


def test_quantiles_of_a_right_model_lie_in_their_bands():
    outside = total = 0
    for seed in range(12):
        found = answer(Case(fit=drawn_line(seed=seed)), VPC(seed=seed, n=200, bins=(-0.5, 1.5, 3.5))).data
        out = (found["observed"] < found["lower"]) | (found["observed"] > found["upper"])
        outside, total = outside + int(out.sum()), total + out.size
    assert outside / total < 0.15  # 5 % in the mean; quantiles of the same people go together


def test_a_wrong_variance_shows():
    """The outer quantiles of a model that takes people for alike lie far outside."""
    narrow = LINE.replace("iiv = 4", "iiv = 0.04")
    found = answer(Case(fit=drawn_line(narrow)), VPC(seed=1, n=200, bins=(-0.5, 1.5, 3.5), quantiles=(0.05, 0.95))).data
    out = (found["observed"] < found["lower"]) | (found["observed"] > found["upper"])
    assert out.all()
    assert "4 of 4 observed quantiles lie outside" in VPC(seed=1).caption(found)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("bins", ["auto", "none"])
def test_censored_records_count_as_below_and_have_a_panel_of_their_own(bins, corrected):
    fit = fit_of("censored")
    found = answer(Case(fit=fit), VPC(seed=1, n=50, bins=bins, corrected=corrected)).data
    below = found.isel(share=found["part"].values == "below the limit of quantification")
    share = (below["part_observed"] * below["part_count"]).sum() / below["part_count"].sum()
    if not corrected:  # without the records whose prediction is 0
        assert np.isclose(share, np.isnan(fit.records["RES"].values).mean())
    drawn = found["observed"].values[np.isfinite(found["observed"].values)]
    if not corrected and bins == "auto":
        assert drawn.min() >= 2.0  # the limit: what lies below it is not drawn
    left_out = fit.records["PRED"].values == 0 if corrected else np.zeros(fit.records.sizes["record"], dtype=bool)
    assert int(found["record_censored"].sum()) == int((np.isnan(fit.records["RES"].values) & ~left_out).sum())
    assert int(found.attrs["left_out"]) == int(left_out.sum())


def test_scores_levels_and_counts_have_shares():
    found = answer(Case(fit=fit_of("kinds")), VPC(seed=1, n=50)).data
    parts = {(o, p) for o, p in zip(found["part_output"].values, found["part"].values)}
    assert parts == {("vas", "at the floor, 0"), ("vas", "at the ceiling, 100"), ("fits", "0"), ("better", "1")}
    records = fit_of("kinds").records
    yes = records["DV"].values[records["DVID"].values == "better"]
    mine = found["part_output"].values == "better"
    weighted = (found["part_observed"] * found["part_count"]).values[mine].sum() / found["part_count"].values[
        mine
    ].sum()
    assert np.isclose(weighted, yes.mean())
    assert not np.isfinite(found["observed"].values[found["output"].values == "better"]).any()


def test_panels_by_a_covariate_and_time_after_dose():
    fit = fit_of("population")
    found = answer(Case(fit=fit), VPC(seed=1, n=30, by="WT", x="TAD")).data
    assert len(np.unique(found["stratum"].values)) == 2
    assert np.allclose(found["record_x"].values, fit.records["TIME"].values)  # one dose at time 0


def test_seeds_and_sizes_do_not_change_what_is_drawn():
    case = Case(fit=fit_of("population"))
    whole = np.concatenate(list(case.replicates(60, 3)))
    assert np.array_equal(whole[:25], np.concatenate(list(Case(fit=case.fit).replicates(25, 3))))
    for rows, own in Case(fit=case.fit).replicates_of_subjects(25, 3):
        assert np.array_equal(own, whole[:25, rows])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 3}, "n is 3"),
        ({"x": "HOUR"}, "x is 'HOUR'"),
        ({"quantiles": (0.5, 1.2)}, "quantiles is"),
        ({"interval": 95}, "interval is 95"),
        ({"bins": (3, 1)}, "bins is"),
    ],
)
def test_options_without_a_meaning_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        VPC(seed=1, **options)


def test_what_cannot_be_asked_is_said():
    case = Case(fit=fit_of("population"))
    with pytest.raises(MismatchError, match="no bin holds a record"):
        answer(case, VPC(seed=1, n=20, bins=(100, 200)))
    with pytest.raises(UsageError, match="there is no column SEX"):
        answer(case, VPC(seed=1, n=20, by="SEX"))
    with pytest.raises(MismatchError, match="fitted alone"):
        pkpd.diagnose(fit_of("individual"), VPC(seed=1))
    bare = fit_of("population").without_data()
    with pytest.raises(MismatchError, match="does not hold its data"):
        pkpd.diagnose(bare, VPC(seed=1))
    again = pkpd.read_data("fits/theophylline_foce/data.csv", units=UNITS)
    assert pkpd.diagnose(bare, VPC(seed=1, n=20), data=again).pages == 1
