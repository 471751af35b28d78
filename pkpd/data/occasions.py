"""Occasions: their number in each row, and a clock that starts again at a reset (EVID 3 or 4) while one runs on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pkpd.data.events import Events, Evid
from pkpd.data.layout import short
from pkpd.errors import DataError

#: The covariate of events that holds the number of the occasion. No model can declare a covariate of this name.
OCCASION = "@OCC"


def with_occasions(events: Events, occasion: npt.ArrayLike) -> Events:
    """Give the same events, each row with the number of its occasion, for models whose parameters have an `iov`.

    Between two rows the occasion is that of the later one (``carry="nocb"``), else that of the earlier one: it steps,
    also where covariates go along lines.

    Parameters
    ----------
    events
        Their covariates stay; occasions that they already have are replaced.
    occasion : (R,) int array
        Whole numbers from 1, one a row; each subject counts its own.

    Raises
    ------
    DataError
        If there is not one for each row, or one is not a whole number from 1 on.

    Examples
    --------
    >>> events = Events.from_regimens([("1", "10 mg iv every 12 h x 2", [1, 13], {})])
    >>> with_occasions(events, np.where(events.time < 12, 1, 2)).columns()["@OCC"]
    ['1', '1', '2']
    """
    numbers = np.asarray(occasion, float)
    if numbers.shape != (len(events),):
        raise DataError(
            f"the occasions have the shape {numbers.shape}.",
            where=events.origin,
            expected=f"One for each row: the shape ({len(events)},).",
            remedy="Give the rows of doses and of other events their occasion, too.",
        )
    bad = np.flatnonzero(~((numbers >= 1) & (numbers == np.floor(numbers)) & np.isfinite(numbers)))
    if len(bad):
        raise DataError(
            f"the occasion is {short(numbers[bad[0]])}.",
            where=events.where(int(bad[0])),
            expected="A whole number from 1 on in every row.",
            remedy="Number the occasions of each subject 1, 2, 3, ...",
        )
    keep = [i for i, name in enumerate(events.covariates) if name != OCCASION]
    return replace(
        events,
        covariates=(*(events.covariates[i] for i in keep), OCCASION),
        covariate_values=np.column_stack([events.covariate_values[:, keep], numbers]),
        covariate_units=(*(events.covariate_units[i] for i in keep), None),
    )


def restarts(ids: np.ndarray, time: np.ndarray, evid: np.ndarray) -> np.ndarray:
    """Rows of resets whose TIME lies before that of the row before, of the same person.

    Parameters
    ----------
    ids, time, evid : (R,) arrays
        Rows of one person lie together.

    Returns
    -------
    int array
    """
    if not len(ids):
        return np.zeros(0, dtype=np.int64)
    again = (ids[1:] == ids[:-1]) & (time[1:] < time[:-1]) & np.isin(evid[1:], (Evid.RESET, Evid.RESET_DOSE))
    return 1 + np.flatnonzero(again)


def running_time(ids: np.ndarray, time: np.ndarray, evid: np.ndarray) -> np.ndarray:
    """Give a time for each row, (R,), that goes on where TIME starts again.

    A reset empties the body, so what lies between two occasions changes nothing: the new one begins on the running
    clock when the row before it ended the old one.

    Examples
    --------
    >>> running_time(np.array(["1"] * 4), np.array([0.0, 24.0, 0.0, 12.0]), np.array([1, 0, 4, 0]))
    array([ 0., 24., 24., 36.])
    """
    running = np.array(time, dtype=float)
    ends = np.append(1 + np.flatnonzero(ids[1:] != ids[:-1]), len(ids))
    for row in restarts(ids, time, evid):
        end = ends[np.searchsorted(ends, row, side="right")]
        running[row:end] = time[row:end] + (running[row - 1] - time[row])
    return running
