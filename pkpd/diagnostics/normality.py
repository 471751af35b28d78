"""Whether numbers are standard normal, as residuals should be: mean, variance and shape, with a test each."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

__all__ = ["Normality", "moments", "p_text", "table", "words_of"]

#: Fewer numbers show large departures only; more than this, the test of shape is that of D'Agostino and Pearson.
_FEW, _SHAPIRO = 20, 5000
#: Numbers of which the signed ranks are tested exactly.
_EXACT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Normality:
    """How far numbers are from a standard normal distribution.

    The tests are those of the R package npde: Student's t and Wilcoxon's signed rank test of the mean, Fisher's test of
    the variance, Shapiro and Wilk's of the shape (D'Agostino and Pearson's for more than 5000), and the smallest of
    Wilcoxon's, Fisher's and the last with the correction of Bonferroni. All take the numbers as independent. What
    there are too few numbers for is NaN.

    Comets E, Brendel K, Mentre F. Comput Methods Programs Biomed 2008;90:154-166. doi:10.1016/j.cmpb.2007.12.002

    Parameters
    ----------
    n : int
    mean, mean_se, variance, variance_se, skewness, kurtosis : float
        Kurtosis is 0 for normal numbers.
    p_t, p_wilcoxon, p_variance, p_shape, p_global : float
    """

    n: int
    mean: float
    mean_se: float
    variance: float
    variance_se: float
    skewness: float
    kurtosis: float
    p_t: float
    p_wilcoxon: float
    p_variance: float
    p_shape: float
    p_global: float

    @classmethod
    def of(cls, z: np.ndarray) -> Normality:
        """Look at some numbers (n,); those that are none are left out."""
        from scipy import stats

        z = z[np.isfinite(z)]
        n = len(z)
        nan = float("nan")
        mean = float(z.mean()) if n else nan
        variance = float(z.var(ddof=1)) if n > 1 else nan
        spread = n > 2 and variance > 0
        deviation = z - mean
        moment = float(np.mean(deviation**2)) if n else nan
        p_t = float(stats.ttest_1samp(z, 0.0)[1]) if spread else nan  # pyright: ignore[reportArgumentType]
        below = float(stats.chi2.cdf((n - 1) * variance, n - 1)) if n > 1 else nan
        p_variance = min(1.0, 2 * min(below, float(stats.chi2.sf((n - 1) * variance, n - 1)))) if n > 1 else nan
        p_shape = nan
        if spread:
            p_shape = float(stats.shapiro(z)[1] if n <= _SHAPIRO else stats.normaltest(z)[1])
        p_wilcoxon = _wilcoxon(z)
        known = [p for p in (p_wilcoxon, p_variance, p_shape) if np.isfinite(p)]
        return cls(
            n=n,
            mean=mean,
            mean_se=float(np.sqrt(variance / n)) if n > 1 else nan,
            variance=variance,
            variance_se=variance * float(np.sqrt(2 / (n - 1))) if n > 1 else nan,
            skewness=float(np.mean(deviation**3) / moment**1.5) if spread else nan,
            kurtosis=float(np.mean(deviation**4) / moment**2 - 3) if spread else nan,
            p_t=p_t,
            p_wilcoxon=p_wilcoxon,
            p_variance=p_variance,
            p_shape=p_shape,
            p_global=min(1.0, len(known) * min(known)) if known else nan,
        )

    @property
    def untested(self) -> Normality:
        """The same without tests, for numbers of which none would hold its level."""
        nan = float("nan")
        return replace(self, p_t=nan, p_wilcoxon=nan, p_variance=nan, p_shape=nan, p_global=nan)


def moments(z: np.ndarray) -> np.ndarray:
    """Give mean, logarithm of the variance, skewness and kurtosis of each row of numbers (R, n), (R, 4)."""
    mean = z.mean(axis=1, keepdims=True)
    centred = z - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.mean(centred**2, axis=1)
        return np.stack([mean[:, 0], np.log(variance), np.mean(centred**3, axis=1) / variance**1.5,
                         np.mean(centred**4, axis=1) / variance**2], axis=1)  # fmt: skip


def table(found: dict[tuple[str, str], Normality]) -> dict[str, Any]:
    """Give the variables of a Dataset, a row each: by output and kind of residual."""
    made: dict[str, Any] = {
        "test_output": ("test", np.array([output for output, _ in found], dtype=np.str_)),
        "test_kind": ("test", np.array([kind for _, kind in found], dtype=np.str_)),
    }
    for field in fields(Normality):
        made[f"test_{field.name}"] = ("test", np.array([getattr(own, field.name) for own in found.values()]))
    return made


def words_of(found: Any, output: str, kind: str, *, dependent: bool) -> str:
    """Say what the tests say of one kind of residual of an output; `found` is a Dataset with a :func:`table`."""
    rows = np.flatnonzero((found["test_output"].values == output) & (found["test_kind"].values == kind))
    if not rows.size:
        return f"No record has {kind}."
    own = Normality(**{field.name: found[f"test_{field.name}"].values[rows[0]].item() for field in fields(Normality)})
    if own.n < 3:
        return f"{own.n} record{'s' * (own.n != 1)} with {kind}: too few to test."
    if not np.isfinite(own.p_global):
        return f"{own.n} {kind}: mean {own.mean:.3g}, SD {np.sqrt(own.variance):.3g}."
    words = [
        f"{own.n} {kind}: mean {own.mean:.3g} (Wilcoxon {p_text(own.p_wilcoxon)}), SD {np.sqrt(own.variance):.3g} "
        f"(Fisher {p_text(own.p_variance)}), shape {p_text(own.p_shape)} "
        f"({'Shapiro-Wilk' if own.n <= _SHAPIRO else 'D’Agostino-Pearson'}); together {p_text(own.p_global)}."
    ]
    if own.n < _FEW:
        words.append("With so few records only large misfits would show: a large p says little.")
    elif own.n > _SHAPIRO:
        words.append("With so many records misfits too small to matter give small p: look at their size.")
    if dependent and np.isfinite(own.p_global):
        words.append("The tests take records as independent, which those of one subject are not: p is a guide only.")
    return " ".join(words)


def p_text(p: float) -> str:
    """Write a p-value."""
    if not np.isfinite(p):
        return "p unknown"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def _wilcoxon(z: np.ndarray) -> float:
    """Test by signed ranks, exactly where there are fewer than 50 and no ties, otherwise with a correction."""
    from scipy import stats

    z = np.round(z[z != 0], 12)  # shares of replicates that lie as far from a half on either side are ties
    if len(z) < 2:
        return float("nan")
    tied = len(np.unique(np.abs(z))) < len(z)
    method = "exact" if len(z) < _EXACT and not tied else "approx"
    return float(stats.wilcoxon(z, method=method, correction=method == "approx")[1])  # pyright: ignore[reportArgumentType]
