from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.clock import elapsed_hours, is_clock
from pkpd.data.findings import Findings


def hours(times, dates=None, column="DATE", ids=None):
    found = Findings("theo.csv", range(1, len(times) + 1))
    return elapsed_hours(times, dates, column, ids or ["1"] * len(times), found), found.all()


def test_recognised():
    assert is_clock(["0", "9:30"])
    assert not is_clock(["0", "9.5", None])


def test_hours_since_the_first_row_of_each_subject():
    times, wrong = hours(["9:30", "10:00", "8:00", "8:00:36"], ids=["1", "1", "2", "2"])
    assert np.allclose(times, [0, 0.5, 0, 0.01])
    assert not wrong


@pytest.mark.parametrize(
    ("column", "dates"),
    [
        ("DATE", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("DATE", ["02/28/2024", "02/29/2024", "3/1/2024"]),
        ("DAT1", ["28/02/2024", "29/02/2024", "1/3/2024"]),
        ("DAT2", ["2024/02/28", "2024/02/29", "2024/3/1"]),
        ("DAT3", ["2024/28/02", "2024/29/02", "2024/1/3"]),
        ("DATE", ["02/28/24", "2/29/24", "3/1/24"]),
        ("DAT1", ["28-02-96", "29-02-96", "1-3-96"]),
        ("DATE", ["1", "2", "3"]),
    ],
)
def test_dates(column: str, dates: list):
    times, wrong = hours(["23:00", "1:00", "1.5"], dates, column)
    assert np.allclose(times, [0, 2, 26.5])
    assert not wrong


@pytest.mark.parametrize("time", ["25:00", "9:60", "x", None, "24", "-1"])
def test_no_time_of_day(time):
    (finding,) = hours(["9:00", time])[1]
    assert finding.where == "theo.csv, row 2, column TIME"


@pytest.mark.parametrize("date", ["24-02-01", "2024-13-01", "2024-02-30", "yesterday", None, "01/02-2024"])
def test_no_date(date):
    (finding,) = hours(["9:00"], [date])[1]
    assert finding.where == "theo.csv, row 1, column DATE"
