"""Any fit becomes a report."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.errors import FitFileError
from pkpd.reporting import describe, report

MODEL = """
title = "A decline"
[units]
time = "h"
amount = "mg"
[parameters]
v = { typical = 10, unit = "L", label = "volume" }
k = { typical = 0.2, unit = "1/h", label = "rate constant of loss" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -k * central
'''
[outputs]
cp = { unit = "mg/L", add = 0.1, label = "concentration" }
"""


@pytest.fixture(scope="module")
def data():
    times = [0, 1, 2, 4, 8, 12]
    table: dict = {"ID": [], "TIME": [], "AMT": [], "DV": []}
    for who, scale in (("1", 1.0), ("2", 1.3)):
        for time in times:
            table["ID"].append(who)
            table["TIME"].append(time)
            table["AMT"].append(100 if time == 0 else ".")
            bump = 0.05 * np.sin(7 * time)
            table["DV"].append("." if time == 0 else 9 * scale * np.exp(-0.25 * time) + bump)
    return pkpd.read_data(table, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})


@pytest.mark.parametrize("estimator", [pkpd.Pooled(), pkpd.Individual()])
def test_a_fit_is_written_down(data, estimator, tmp_path):
    fit = pkpd.fit(pkpd.Model(MODEL), data, estimator)
    path = report(fit, tmp_path / "decline.html")
    text = path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["decline.html"]
    for piece in ("A decline", "<math", "rate constant of loss", "data:image/svg+xml", fit.attrs["model_hash"]):
        assert piece in text
    content = describe(fit)
    estimates = next(table for table in content.tables if table.name == "estimates")
    assert len(estimates.rows) == (
        2 if isinstance(estimator, pkpd.Individual) else 3
    )  # two people; v, k and the residual SD
    records = next(table for table in content.tables if table.name == "records")
    assert len(records.rows) == 10


def test_only_html_is_written_and_only_into_a_folder(data, tmp_path):
    fit = pkpd.fit(pkpd.Model(MODEL), data, pkpd.Pooled())
    with pytest.raises(FitFileError, match=r"does not end in \.html"):
        report(fit, tmp_path / "decline.pdf")
    with pytest.raises(FitFileError, match="no such folder"):
        report(fit, tmp_path / "nowhere" / "decline.html")
