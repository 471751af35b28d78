"""Two treatments compared as a trialist does, in many trials at once: by the t test, or with the baseline as covariate.

Scores come as arrays with a trial in each row and a person in each column; there is no loop over either.

Senn S. Cross-over trials in clinical research, 2nd ed. Wiley 2002, chapter 3. doi:10.1002/0470854596
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.errors import Finding, UsageError, raise_all
from pkpd.simulation.studies.summary import binomial

__all__ = ["Compared", "Share", "baseline_adjusted", "crossed_over", "parallel", "share"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The first treatment less the second, trial by trial.

    Parameters
    ----------
    estimate, se : ndarray
        (trials,) difference and its standard error, in the unit of the scores.
    df : int
        Degrees of freedom of the t test.
    p : ndarray
        (trials,) two-sided; 1 where nothing scatters and nothing differs.
    """

    estimate: np.ndarray
    se: np.ndarray
    df: int
    p: np.ndarray


@dataclass(frozen=True, slots=True)
class Share:
    """How many trials find a difference, with the exact 95 % binomial interval of that share."""

    value: float
    lower: float
    upper: float
    trials: int


def crossed_over(first: np.ndarray, second: np.ndarray) -> Compared:
    """Compare within people, adjusted for the period: the two-sample t test by sequence.

    Parameters
    ----------
    first, second : ndarray
        (trials, people) of those who get the first treatment first, and of those who get it second: for each person
        the score under the first treatment less that under the second.

    Raises
    ------
    UsageError
        Shapes do not go together, people are too few, or scores are missing; all that is wrong is listed.
    """
    first, second = _read({"first": first, "second": second}, least=3)
    difference, scatter, df = _apart(first, -second)
    return _tested(difference / 2, scatter / 2, df)


def parallel(first: np.ndarray, second: np.ndarray) -> Compared:
    """Compare two groups by the t test with a common variance.

    Parameters
    ----------
    first, second : ndarray
        (trials, people) scores, or changes of them, of those on each treatment.

    Raises
    ------
    UsageError
        As for :func:`crossed_over`.
    """
    return _tested(*_apart(*_read({"first": first, "second": second}, least=3)))


def baseline_adjusted(
    first: np.ndarray, second: np.ndarray, first_before: np.ndarray, second_before: np.ndarray
) -> Compared:
    """Compare two groups with the score before treatment as a covariate (analysis of covariance).

    Parameters
    ----------
    first, second : ndarray
        (trials, people) scores of those on each treatment.
    first_before, second_before : ndarray
        Their scores before it.

    Raises
    ------
    UsageError
        As for :func:`crossed_over`; or everybody of a trial has the same score before treatment.
    """
    given = {"first": first, "second": second, "first_before": first_before, "second_before": second_before}
    y1, y2, x1, x2 = _read(given, least=4)
    xx, yy = _within(x1, x1) + _within(x2, x2), _within(y1, y1) + _within(y2, y2)
    xy = _within(x1, y1) + _within(x2, y2)
    if np.any(xx == 0):
        raise UsageError(
            what=f"In {np.sum(xx == 0)} of {xx.size} trials the scores before treatment do not differ within groups.",
            where="baseline_adjusted",
            expected="Scores before treatment that differ between people.",
            remedy="Compare the changes with `parallel`.",
        )
    slope, apart = xy / xx, x1.mean(axis=1) - x2.mean(axis=1)
    df = y1.shape[1] + y2.shape[1] - 3
    variance = np.maximum(yy - slope * xy, 0.0) / df
    se = np.sqrt(variance * (1 / y1.shape[1] + 1 / y2.shape[1] + apart**2 / xx))
    return _tested(y1.mean(axis=1) - y2.mean(axis=1) - slope * apart, se, df)


def share(p: np.ndarray, alpha: float = 0.05) -> Share:
    """Count the trials with a p of `alpha` or less.

    Raises
    ------
    UsageError
        There is no trial, a p is not in [0, 1], or `alpha` not between 0 and 1; all that is wrong is listed.
    """
    p = np.asarray(p, dtype=float)
    findings = []
    if p.ndim != 1 or p.size == 0 or not np.all((p >= 0) & (p <= 1)):
        findings.append(_wrong("share", f"`p` is {p!r}.", "One p between 0 and 1 for each trial.", "Give these."))
    if not 0 < alpha < 1:
        findings.append(_wrong("share", f"`alpha` is {alpha:g}.", "A number between 0 and 1.", "Give 0.05."))
    if findings:
        raise_all(UsageError, findings)
    hits, count = np.array(np.sum(p <= alpha)), np.array(p.size)
    lower, upper = binomial(hits, count)
    return Share(value=float(hits / count), lower=float(lower), upper=float(upper), trials=p.size)


def _read(given: dict[str, np.ndarray], least: int) -> list[np.ndarray]:
    """Hold the arrays against each other; `least` people are needed in both groups together."""
    found = {name: np.asarray(one, dtype=float) for name, one in given.items()}
    findings = []
    for name, one in found.items():
        like = found[name.removesuffix("_before")]
        if one.ndim != 2 or one.size == 0 or one.shape[0] != found["first"].shape[0] or one.shape != like.shape:
            findings.append(
                _wrong(
                    name, f"It has the shape {one.shape}.", "(trials, people), the same trials in all.", "Reshape it."
                )
            )
        elif not np.all(np.isfinite(one)):
            missing = int(np.sum(~np.isfinite(one)))
            findings.append(
                _wrong(name, f"{missing} of {one.size} scores are missing.", "A score of everybody.", "Leave them out.")
            )
    if not findings and found["first"].shape[1] + found["second"].shape[1] < least:
        people = found["first"].shape[1] + found["second"].shape[1]
        findings.append(_wrong("people", f"There are {people}.", f"At least {least}.", "Draw larger trials."))
    if findings:
        raise_all(UsageError, findings)
    return list(found.values())


def _wrong(where: str, what: str, expected: str, remedy: str) -> Finding:
    return Finding(code="comparison", where=where, what=what, expected=expected, remedy=remedy)


def _within(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sums of products within a group, (trials,)."""
    return np.sum((one - one.mean(axis=1, keepdims=True)) * (other - other.mean(axis=1, keepdims=True)), axis=1)


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Difference of two means, its standard error by the common variance, and the degrees of freedom."""
    df = one.shape[1] + other.shape[1] - 2
    variance = (_within(one, one) + _within(other, other)) / df
    return one.mean(axis=1) - other.mean(axis=1), np.sqrt(variance * (1 / one.shape[1] + 1 / other.shape[1])), df


def _tested(estimate: np.ndarray, se: np.ndarray, df: int) -> Compared:
    from scipy.stats import t

    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * t.sf(np.abs(estimate) / se, df)
    return Compared(estimate=estimate, se=se, df=df, p=np.where(estimate == 0, np.where(se == 0, 1.0, p), p))
