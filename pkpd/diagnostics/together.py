"""One p for many numbers at once, from data drawn from the model."""

from __future__ import annotations

import numpy as np

__all__ = ["together"]


def together(seen: np.ndarray, drawn: np.ndarray) -> float:
    """Give p of some numbers together: how often the largest deviation in a drawn data set is as large, in its SD.

    A Monte Carlo test, which holds its level whatever the numbers have to do with each other. No p is less than 1 over
    one more than the number of data sets.
    Davison AC, Hinkley DV. Bootstrap methods and their application. Cambridge University Press, 1997. Section 4.2.

    Parameters
    ----------
    seen : (L,) float
        Of the data; what is no number is left out.
    drawn : (R, L) float
        Of the drawn data sets.
    """
    mean, sd = drawn.mean(axis=0), drawn.std(axis=0)
    known = np.isfinite(seen) & np.isfinite(sd) & (sd > 0)
    if not known.any():
        return float("nan")
    own = float((np.abs(seen - mean)[known] / sd[known]).max())
    each = (np.abs(drawn - mean)[:, known] / sd[known]).max(axis=1)
    return float((1 + (each >= own - 1e-12).sum()) / (len(drawn) + 1))
