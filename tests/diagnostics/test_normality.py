"""Tests of standard normality, against numbers printed elsewhere and in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from pkpd.diagnostics.normality import Normality, p_text, table, words_of

#: 100 times the prediction distribution errors of theophylline with 100 data sets drawn by NONMEM, as the R package
#: npde 1.2 gives them in inst/doc/theophylline.npde.
THEOPHYLLINE = """
55 98 99 70 60 75 95 78 96 99 16 99 75 38 6 21 39 54 39 29 73 71 61 19 56 31 42 69 50 31 16 92 99 58 14 34 42 62 79 35
12 91 99 5 5 15 60 64 36 55 7 51 93 42 11 20 24 58 70 44 5 50 57 40 45 50 28 32 44 66 48 1 91 39 15 33 16 59 32 63
99 85 2 43 57 99 17 94 97 8 18 52 44 49 95 73 65 67 73 52 81 52 25 12 24 35 44 42 57 74 6 69 85 61 63 47 12 44 59 13
"""


def test_numbers_are_those_of_the_user_guide_of_npde():
    """Mean, variance, their SE, skewness and kurtosis, and four p: 0.883, 0.823, 0.00509 and 0.0153.

    The p of Wilcoxon's test depends on how numbers that are ties are rounded.
    """
    own = Normality.of(special.ndtri(np.array(THEOPHYLLINE.split(), dtype=float) / 100))
    assert own.n == 120
    assert own.mean == pytest.approx(0.05641, abs=5e-6) and own.mean_se == pytest.approx(0.092, abs=5e-4)
    assert own.variance == pytest.approx(1.024, abs=5e-4) and own.variance_se == pytest.approx(0.13, abs=5e-3)
    assert own.skewness == pytest.approx(0.4065, abs=5e-5) and own.kurtosis == pytest.approx(0.0888, abs=5e-5)
    assert own.p_wilcoxon == pytest.approx(0.883, abs=0.015)
    assert own.p_variance == pytest.approx(0.823, abs=5e-4)
    assert own.p_shape == pytest.approx(0.00509, abs=5e-6)
    assert own.p_global == pytest.approx(0.0153, abs=5e-5)


@pytest.mark.parametrize("n", [6, 30, 300, 6000])
def test_p_values_are_uniform_under_the_truth(n):
    rng = np.random.default_rng(n)
    found = [Normality.of(rng.normal(size=n)) for _ in range(200)]
    for name in ("p_t", "p_variance", "p_shape", "p_wilcoxon"):
        p = np.array([getattr(own, name) for own in found])
        assert 0.005 < (p < 0.05).mean() + (n == 6) * 0.005 < 0.11, name
        if name != "p_wilcoxon" or n > 6:  # signed ranks of six numbers take few values
            assert stats.kstest(p, "uniform").pvalue > 1e-3, name
    assert np.mean([own.p_global < 0.05 for own in found]) < 0.1


def test_what_is_wrong_is_told_apart():
    z = np.random.default_rng(1).normal(size=300)
    assert Normality.of(z + 0.4).p_wilcoxon < 1e-4 < Normality.of(z + 0.4).p_variance
    assert Normality.of(1.4 * z).p_variance < 1e-4 < Normality.of(1.4 * z).p_wilcoxon
    skew = np.random.default_rng(1).exponential(size=300) - 1
    assert Normality.of(skew).p_shape < 1e-4


def test_few_numbers_have_no_tests():
    import xarray as xr

    for z in ([], [0.3], [0.0, 0.0], [1.0, np.nan]):
        own = Normality.of(np.array(z))
        assert np.isnan(own.p_shape) and np.isnan(own.p_t)
    found = xr.Dataset(table({("y", "IWRES"): Normality.of(np.array([1.0, -1.0])),
                              ("w", "IWRES"): Normality.of(np.linspace(-1, 1, 9))}))  # fmt: skip
    assert "too few to test" in words_of(found, "y", "IWRES", dependent=False)
    assert "only large misfits" in words_of(found, "w", "IWRES", dependent=False)
    assert "a guide only" in words_of(found, "w", "IWRES", dependent=True)
    assert "No record" in words_of(found, "w", "CWRES", dependent=False)
    assert p_text(1e-9) == "p < 0.0001" and p_text(0.034) == "p = 0.034"
