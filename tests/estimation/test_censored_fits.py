"""Fits with censored records: what is left out counts nowhere, a limit leaves no residual and lacks no constant."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.data import read_data
from pkpd.errors import CannotFit
from pkpd.estimation.population import population_of
from pkpd.likelihood import make_problem
from pkpd.likelihood.marginal import fo, foce, foce_no_interaction, laplace
from pkpd.model import Model
from tests.estimation.test_population import TEXT, model, rows

LAWS = ["add = 0.1", "prop = 0.1", "add = 0.05, prop = 0.1", "log = 0.1"]


def columns(people: int = 6, *, late: str = "kept") -> dict[str, list]:
    """The last records of everybody "kept", "gone", or "censored"."""
    table = rows(people=people)
    last = [evid == 0 and time == 16.0 for evid, time in zip(table["EVID"], table["TIME"])]
    if late == "gone":
        return {name: [v for v, is_last in zip(values, last) if not is_last] for name, values in table.items()}
    return table | ({"CENS": [int(is_last) for is_last in last]} if late == "censored" else {})


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("method", [fo, foce, foce_no_interaction, laplace], ids=lambda method: method.__name__)
def test_what_is_left_out_adds_neither_to_the_objective_nor_to_its_slopes(method, law):
    own, looks = Model(TEXT.replace("prop = 0.1", law)), []
    for late in ("censored", "gone"):
        population = population_of(
            make_problem(own, read_data(columns(late=late))), censoring="M1", threads=1, where="test"
        )
        looks.append(method(population, population.start, np.zeros((6, 2)), gradient=True))
    np.testing.assert_allclose(looks[0].each, looks[1].each, rtol=1e-12)
    np.testing.assert_allclose(looks[0].gradient, looks[1].gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("estimator", [pkpd.FO, pkpd.FOCE])
def test_without_censored_records_by_hand_or_by_m1(estimator):
    options = {"censoring": "M1", "max_iterations": 0} | ({"interaction": False} if estimator is pkpd.FOCE else {})
    found = pkpd.fit(model(), read_data(columns(late="censored")), estimator(**options))
    wanted = pkpd.fit(model(), read_data(columns(late="gone")), estimator(**options))
    for name in ("objective", "aic", "bic"):
        assert found.attrs[name] == pytest.approx(wanted.attrs[name], rel=1e-12), name
    assert found.verdict["records"].item() == wanted.verdict["records"].item() == 24


@pytest.mark.parametrize("method", ["M2", "M4"])
@pytest.mark.parametrize("estimator", [pkpd.FO, pkpd.FOCE])
def test_straight_lines_refuse_what_is_given_to_lie_in_a_range(estimator, method):
    data = read_data(columns() | {"LLOQ": [0.05] * len(columns()["ID"])})
    options = {"interaction": False} if estimator is pkpd.FOCE else {}
    with pytest.raises(CannotFit, match=f"cannot honour {method}"):
        pkpd.fit(model(), data, estimator(censoring=method, max_iterations=0, **options))


def test_a_probability_lacks_no_constant():
    data = read_data(columns(late="censored"))
    fit = pkpd.fit(model(), data, pkpd.FOCE(max_iterations=0, covariance=None))
    n, seen, free = 30, 24, 5
    whole = fit.attrs["objective"] + seen * np.log(2 * np.pi)
    assert fit.verdict["records"].item() == n and fit.verdict["probabilities"].item() == n - seen
    assert fit.attrs["aic"] == pytest.approx(whole + 2 * free, rel=1e-12)
    assert fit.attrs["bic"] == pytest.approx(whole + free * np.log(n), rel=1e-12)
    assert f"of the n records that have a density, not a probability, {seen * np.log(2 * np.pi):.4f}," in " ".join(
        str(fit).split()
    )


@pytest.mark.parametrize("censoring", ["M1", "M3"])
def test_a_limit_leaves_no_residual(censoring):
    fit = pkpd.fit(
        model(), read_data(columns(late="censored")), pkpd.FOCE(max_iterations=0, censoring=censoring, covariance=None)
    )
    records = fit.records
    late = records["TIME"].values == 16.0
    for name in ("RES", "IRES", "WRES", "IWRES", "CWRES"):
        assert np.isnan(records[name].values[late]).all() and np.isfinite(records[name].values[~late]).all(), name
    assert np.isfinite(records["IPRED"].values).all() and np.isfinite(records["DV"].values).all()


def test_who_was_never_seen_has_no_record_under_m1():
    table = columns(2)
    table["CENS"] = [int(who == "p1" and evid == 0) for who, evid in zip(table["ID"], table["EVID"])]
    fit = pkpd.fit(model(), read_data(table), pkpd.MAP(censoring="M1"))
    assert fit.verdict["records"].values.tolist() == [5, 0]
    assert "No record" in str(fit.attrs["notes"]) and "p1" in str(fit.attrs["notes"])
