"""Comparisons of two treatments in many trials: against SciPy, least squares, and power in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pkpd.errors import UsageError
from pkpd.simulation.studies.comparisons import baseline_adjusted, crossed_over, parallel, share

RNG_SEED = 20260217


def drawn(*shape: int, number: int = 0) -> np.ndarray:
    return np.random.default_rng([RNG_SEED, number]).normal(size=shape)


def noncentral(effect: float, se: float, df: int) -> float:
    """Power of the two-sided t test at 5 %."""
    limit = stats.t.ppf(0.975, df)
    return float(stats.nct.sf(limit, df, effect / se) + stats.nct.cdf(-limit, df, effect / se))


def test_groups_are_compared_as_scipy_does() -> None:
    first, second = drawn(3, 7) + 0.5, drawn(3, 5, number=1)
    found, known = parallel(first, second), stats.ttest_ind(first, second, axis=1)
    np.testing.assert_allclose(found.p, known.pvalue, rtol=1e-12)
    np.testing.assert_allclose(found.estimate / found.se, known.statistic, rtol=1e-12)


def test_crossover_is_the_treatment_term_of_least_squares_on_period_differences() -> None:
    first, second = drawn(1, 6) + 1, drawn(1, 4, number=1) + 2
    found = crossed_over(first, second)
    period_differences = np.concatenate([first[0], -second[0]])  # first period less second
    design = np.column_stack([np.ones(10), np.repeat([1.0, -1.0], [6, 4])])  # period, treatment
    value, residual, *_ = np.linalg.lstsq(design, period_differences, rcond=None)
    se = np.sqrt(residual[0] / 8 * np.linalg.inv(design.T @ design)[1, 1])
    assert (found.estimate[0], found.se[0], found.df) == (pytest.approx(value[1]), pytest.approx(se), 8)


def test_a_period_effect_does_not_move_the_crossover() -> None:
    first, second = drawn(2, 6), drawn(2, 4, number=1)
    plain, moved = crossed_over(first, second), crossed_over(first + 3, second - 3)
    np.testing.assert_allclose(moved.estimate, plain.estimate, atol=1e-12)
    np.testing.assert_allclose(moved.p, plain.p, atol=1e-12)


def test_covariance_is_least_squares_with_the_baseline() -> None:
    before, after = drawn(1, 12), drawn(1, 12, number=1)
    group = np.repeat([1.0, 0.0], [7, 5])
    found = baseline_adjusted(after[:, :7], after[:, 7:], before[:, :7], before[:, 7:])
    design = np.column_stack([np.ones(12), group, before[0]])
    value, residual, *_ = np.linalg.lstsq(design, after[0], rcond=None)
    se = np.sqrt(residual[0] / 9 * np.linalg.inv(design.T @ design)[1, 1])
    assert (found.estimate[0], found.se[0]) == (pytest.approx(value[1]), pytest.approx(se))
    assert found.p[0] == pytest.approx(2 * stats.t.sf(abs(value[1] / se), 9))


@pytest.mark.parametrize("effect", [0.0, 0.6])
def test_power_is_that_of_the_noncentral_t_law(effect: float) -> None:
    """Without an effect it is the error of the first kind, 5 %."""
    trials, n1, n2 = 20000, 12, 16
    groups = share(parallel(drawn(trials, n1) + effect, drawn(trials, n2, number=1)).p)
    crossed = share(crossed_over(drawn(trials, n1, number=2) + effect, drawn(trials, n2, number=3) + effect).p)
    se = np.sqrt(1 / n1 + 1 / n2)
    for found, truth in ((groups, noncentral(effect, se, 26)), (crossed, noncentral(effect, se / 2, 26))):
        assert abs(found.value - truth) < 4 * np.sqrt(truth * (1 - truth) / trials)
        assert found.lower < found.value < found.upper


def test_shares_have_exact_intervals() -> None:
    found = share(np.array([0.05, 0.01, 0.2, 1.0]))
    known = stats.binomtest(2, 4).proportion_ci(method="exact")
    assert (found.value, found.lower, found.upper) == (0.5, pytest.approx(known.low), pytest.approx(known.high))


def test_where_nothing_scatters() -> None:
    assert parallel(np.ones((1, 3)), np.ones((1, 3))).p[0] == 1
    assert parallel(np.ones((1, 3)), np.zeros((1, 3))).p[0] == 0


def test_what_cannot_be_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"(?s)first.*1 of 6 scores are missing.*second.*\(3,\)"):
        parallel(np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]), np.ones(3))
    with pytest.raises(UsageError, match="There are 2"):
        crossed_over(np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(UsageError, match=r"second.*shape"):
        parallel(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(UsageError, match="In 1 of 1 trials"):
        baseline_adjusted(drawn(1, 3), drawn(1, 3), np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(UsageError, match=r"(?s)`p` is.*`alpha` is 5"):
        share(np.array([np.nan]), alpha=5)
