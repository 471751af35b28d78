"""Fits under other priors, held to fits of models that have these priors; and the share of priors in print."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, FitFileError, UsageError
from pkpd.estimation import FOCE
from pkpd.model import Model
from tests.estimation.test_priors import TEXT, model, observed

room = importlib.import_module("pkpd.estimation.prior_sensitivity")
NORMAL = """
a = { value = 9.2, sd = 0.3 }
c = { value = 1.5, sd = 0.02 }
"""
ONLY = """
b = { value = 2.0, sd = 0.1 }
c = { value = 1.5, sd = 0.02 }
"iiv.b,a" = { value = [[0.4], [-0.3, 2.0]], df = 12 }
"""


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return observed()[1]


@pytest.fixture(scope="module")
def fit(data) -> pkpd.Fit:
    return pkpd.fit(model(), data, FOCE())


def test_every_variant_is_the_fit_of_a_model_with_that_prior(fit, data):
    found = pkpd.prior_sensitivity(fit, data)["prior_sensitivity"]
    own = model().priors
    assert list(own) == ["a", "c", "y.add", "iiv.b,a"]
    assert found.sizes["variant"] == 1 + 3 * 5 and found.attrs["failed"] == 0
    for name in ("a", "c", "y.add"):
        for factor in (0.5, 2.0):
            other = model().replace(priors=dict(own) | {name: replace(own[name], sd=own[name].sd * factor)})
            check(found, name, factor, pkpd.fit(other, data, FOCE(covariance="R")))
    # df + m + 1 = 15 people know as much; an SD half as wide is 60 of them.
    other = model().replace(priors=dict(own) | {"iiv.b,a": replace(own["iiv.b,a"], df=57.0)})
    check(found, "iiv.b,a", 0.5, pkpd.fit(other, data, FOCE(covariance="R")))
    without = pkpd.fit(model().replace(priors={}), data, FOCE(covariance="R"))
    check(found, "all", np.inf, without)
    gone = found.sel(variant="all priors taken out")
    assert (gone["share"] == 0).all() and float(gone["objective"]) == float(gone["likelihood"])
    first = found.isel(variant=0)
    table = fit.estimates.sel(parameter=first["parameter"])
    np.testing.assert_allclose(first["value"], table["value"], rtol=1e-3)
    np.testing.assert_allclose(first["share"], table["prior_share"], atol=0.01)
    assert np.abs(first["shift"]).max() < 0.01


def check(found, prior: str, factor: float, other: pkpd.Fit) -> None:
    (place,) = np.flatnonzero((found["prior"] == prior) & (found["scale"] == factor))
    own = found.isel(variant=place)
    table = other.estimates.sel(parameter=own["parameter"])
    assert float(own["objective"]) == pytest.approx(other.ofv, abs=1e-4)
    assert (np.abs(own["value"] - table["value"]) < 0.01 * table["se"]).all()
    np.testing.assert_allclose(own["se"], table["se"], rtol=0.02)


def test_what_moves_is_told(fit, data):
    said = str(pkpd.prior_sensitivity(fit, data, scale=()))
    assert "c taken out: " in said and "more than 1 standard error" in said


def test_a_quantity_of_which_only_its_prior_told():
    data = pkpd.read_data({"ID": [1, 1, 2, 2, 3, 3], "TIME": [0.0] * 6, "DV": [9.0, 9.5, 10.1, 10.2, 11.0, 10.7]})
    two = Model(TEXT.replace("PRIORS", ONLY))
    fit = pkpd.fit(two, data, FOCE(covariance="R"))
    found = pkpd.prior_sensitivity(fit, data, scale=())["prior_sensitivity"].sel(variant="c taken out")
    assert found["status"].item() == "not identified" and "c" in found["message"].item()
    assert np.isnan(found["shift"]).all()


def test_what_was_begun_goes_on(fit, data, tmp_path, monkeypatch):
    path, true = tmp_path / "work.npz", room.search_again
    whole = pkpd.prior_sensitivity(fit, data, scale=(2.0,), remove=False)
    assert whole["prior_sensitivity"]["variant"].values.tolist()[:3] == ["as it is", "a, SD x 2", "c, SD x 2"]
    seen = 0

    def stopped(*args, **options):
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return true(*args, **options)

    monkeypatch.setattr(room, "search_again", stopped)
    part = pkpd.prior_sensitivity(fit, data, scale=(2.0,), remove=False, checkpoint=path)
    assert "stopped by hand after 2 of 6" in str(part)
    monkeypatch.setattr(room, "search_again", true)
    again = pkpd.prior_sensitivity(fit, data, scale=(2.0,), remove=False, checkpoint=path)
    assert again["prior_sensitivity"].identical(whole["prior_sensitivity"])
    with pytest.raises(FitFileError, match="other work"):
        pkpd.prior_sensitivity(fit, data, scale=(3.0,), checkpoint=path)


def test_what_cannot_be_done(fit, data):
    for wrong in ({"scale": "wide"}, {"scale": ("2", 3)}):
        with pytest.raises(UsageError, match="scale"):
            pkpd.prior_sensitivity(fit, data, **wrong)
    for wrong in ({"scale": (0.0,)}, {"scale": (1.0,)}, {"scale": (2.0, 2.0)}, {"scale": (), "remove": False},
                  {"max_iterations": 0}):  # fmt: skip
        with pytest.raises(UsageError, match=next(iter(wrong))):
            pkpd.prior_sensitivity(fit, data, **wrong)
    bare = pkpd.fit(model().replace(priors={}), data, FOCE())
    with pytest.raises(CannotFit, match="no prior that says anything"):
        pkpd.prior_sensitivity(bare, data)


def test_the_share_of_priors_is_a_column(data):
    from pkpd.reporting.population import estimates

    fit = pkpd.fit(model(NORMAL), data, FOCE())
    share = fit.estimates["prior_share"]
    text = str(fit)
    for name in ("a", "c"):
        row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert row.split()[-1] == f"{100 * float(share.sel(parameter=name)):.0f}"
    assert text.count("prior %") == 4  # three tables, and what it means
    tables = estimates(fit).blocks
    assert all("from priors" in [column.name for column in table.columns] for table in tables)
    place = [column.name for column in tables[0].columns].index("from priors")
    assert tables[0].rows[0][place] == pytest.approx(100 * float(share.sel(parameter="a")))
    bare = pkpd.fit(model().replace(priors={}), data, FOCE())
    assert "prior %" not in str(bare)
    assert not any("from priors" in [column.name for column in table.columns] for table in estimates(bare).blocks)
