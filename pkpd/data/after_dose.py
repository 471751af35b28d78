"""Time after the last dose."""

from __future__ import annotations

import numpy as np

from pkpd.data.dataset import Dataset
from pkpd.data.events import Evid

__all__ = ["time_after_dose"]


def time_after_dose(data: Dataset) -> np.ndarray:
    """Give the time after the last dose for every row, (R,); NaN before the first, 0 at a dose.

    A dose counts from its own row on, an additional one (ADDL) after its own time: what is seen then is a trough. The
    clock runs on where TIME starts again at a reset.
    """
    columns, clock, rows = data.columns, data.clock, np.arange(data.rows)
    who = np.unique(columns["ID"], return_inverse=True)[1]
    given = np.flatnonzero(np.isin(columns["EVID"], (Evid.DOSE, Evid.RESET_DOSE)))
    more = columns["ADDL"][given]
    later = np.repeat(given, more)
    number = 1 + np.arange(later.size) - np.repeat(np.cumsum(more) - more, more)
    # Rows in their order, and additional doses after the rows of their time.
    subject = np.concatenate([who, who[later]])
    time = np.concatenate([clock, clock[later] + number * columns["II"][later]])
    place = np.concatenate([rows, np.full(later.size, data.rows)])
    dose = np.concatenate([np.isin(rows, given), np.ones(later.size, dtype=bool)])
    order = np.lexsort((place, time, subject))
    last = np.maximum.accumulate(np.where(dose[order], np.arange(order.size), -1))
    known = last >= 0
    known[known] = subject[order][known] == subject[order][last[known]]
    found = np.full(order.size, np.nan)
    found[order[known]] = time[order][known] - time[order][last[known]]
    return found[: data.rows]
