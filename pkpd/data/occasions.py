"""A clock that starts again at a reset (EVID 3 or 4), and one that runs on."""

from __future__ import annotations

import numpy as np

from pkpd.data.events import Evid


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
