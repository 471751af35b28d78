"""Covariates between the rows where they were written down: carried backward, forward, or on a straight line."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from pkpd.errors import DataError

Carry = Literal["nocb", "locf", "linear"]

#: Each rule in words.
MEANING: dict[str, str] = {
    "nocb": "the next value holds back to the row before, as in NONMEM",
    "locf": "the last value holds on",
    "linear": "a straight line joins the values; before the first and after the last it is level",
}


def check_carry(carry: str, where: str) -> None:
    """Refuse a rule that does not exist."""
    if carry not in get_args(Carry):
        raise DataError(
            f"`{carry}` is not a rule for covariates between rows.",
            where=where,
            expected="; ".join(f"{name}: {words}" for name, words in MEANING.items()) + ".",
            remedy='Write carry="nocb", carry="locf" or carry="linear".',
        )


def fill(values: np.ndarray, start: np.ndarray, carry: str, time: np.ndarray) -> np.ndarray:
    """Give the covariates in force at each row, gaps filled within each subject.

    Parameters
    ----------
    values : (R, C) float array
        As written down; NaN where a row says nothing.
    start : (S + 1,) int array
        Row offsets of the subjects.
    carry : "nocb", "locf" or "linear"
        ``"nocb"``: a gap takes the next value of the subject, and after the last value the last. ``"locf"``: a gap
        takes the last value, and before the first value the first. ``"linear"``: a gap takes the value at its time on
        the line from the last value to the next; before the first value it takes the first, after the last the last.
    time : (R,) float array
        In order within each subject.

    Returns
    -------
    (R, C) float array
        NaN only where a subject never has a value.
    """
    filled = np.array(values, dtype=float)
    if not np.isnan(filled).any():
        return filled
    subject = np.repeat(np.arange(len(start) - 1), np.diff(start))
    for c in range(filled.shape[1]):
        column = filled[:, c]
        before, after = _last(column, subject), _next(column, subject)
        first, second = (after, before) if carry == "nocb" else (before, after)
        either = np.where(np.isnan(first), second, first)
        if carry == "linear":
            known = np.where(np.isnan(column), np.nan, time)
            begin, end = _last(known, subject), _next(known, subject)
            span = end - begin
            between = np.isnan(column) & (span > 0)
            share = (time[between] - begin[between]) / span[between]
            either[between] = before[between] + share * (after[between] - before[between])
        filled[:, c] = either
    return filled


def at_times(knots: dict[float, float], times: np.ndarray, carry: str) -> np.ndarray:
    """Give a covariate known at some times at other times (T,), in its own unit."""
    known = np.array(sorted(knots), dtype=float)
    values = np.array([knots[t] for t in sorted(knots)], dtype=float)
    if carry == "linear":
        return np.interp(times, known, values)
    if carry == "nocb":
        index = np.searchsorted(known, times, side="left")
    else:
        index = np.searchsorted(known, times, side="right") - 1
    return values[np.clip(index, 0, len(known) - 1)]


def _last(values: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Fill each gap with the value above it, within the subject."""
    rows = np.arange(len(values))
    source = np.maximum.accumulate(np.where(np.isnan(values), -1, rows))
    usable = source >= 0
    usable[usable] = subject[source[usable]] == subject[usable]
    return np.where(usable, values[np.maximum(source, 0)], values)


def _next(values: np.ndarray, subject: np.ndarray) -> np.ndarray:
    return _last(values[::-1], subject[::-1])[::-1]
