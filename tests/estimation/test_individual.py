"""Fits of one subject each."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pkpd import CannotFit, Dataset, Individual, fit, read_data


def without(data: Dataset, drop) -> Dataset:
    columns = {name: data.columns[name].astype(object) for name in ("ID", "TIME", "AMT", "DV", "EVID")}
    keep = [not drop(who, time) for who, time in zip(columns["ID"], columns["TIME"])]
    return read_data({name: column[keep] for name, column in columns.items()}, units=dict(data.units))


def test_every_subject_has_its_own_values(individual):
    table = individual.estimates
    assert table["value"].dims == ("subject", "parameter")
    assert table["subject"].values.tolist() == ["1", "2", "3"]
    truth = {"1": (1.2, 5.0, 35.0), "2": (0.8, 4.0, 45.0), "3": (1.6, 3.0, 40.0)}
    for subject, values in truth.items():
        got = table["value"].sel(subject=subject).values[:3]
        np.testing.assert_allclose(got, values, rtol=0.15)
    np.testing.assert_array_equal(individual["subjects"]["individual"], table["value"].values[:, :3])


def test_a_subject_alone_is_the_same_as_among_others(oral, doses, individual):
    alone = fit(oral, doses["2"], Individual())
    xr.testing.assert_identical(alone.estimates.sel(subject="2"), individual.estimates.sel(subject="2"))
    own = individual.records.where(individual.records["ID"] == "2", drop=True)
    np.testing.assert_array_equal(alone.records["IPRED"], own["IPRED"])


def test_threads_do_not_change_the_numbers(oral, doses, individual):
    for threads in (1, 3):
        again = fit(oral, doses, Individual(threads=threads, starts=1))
        xr.testing.assert_identical(again.estimates, individual.estimates)


def test_lmfit_results_by_subject(individual):
    assert set(individual.lmfit) == {"1", "2", "3"}
    result = individual.lmfit["2"]
    assert result.var_names == ["log_ka", "log_cl", "log_v"]
    assert result.params["log_cl"].value == pytest.approx(
        individual.estimates["transformed"].sel(subject="2", parameter="cl").item()
    )
    assert "log_cl" in result.ci_report()
    assert "log_cl" in result.fit_report()
    own = individual.records.where(individual.records["ID"] == "2", drop=True)
    np.testing.assert_allclose(result.best_fit, own["IPRED"])
    np.testing.assert_allclose(result.data, own["DV"])


def test_one_who_cannot_be_fitted_does_not_stop_the_others(oral, doses):
    result = fit(oral, without(doses, lambda who, time: who == "3" and time > 0.6), Individual())
    assert result.status == "failed"
    assert result.verdict["status"].values.tolist() == ["converged", "converged", "failed"]
    assert "2 records cannot give 3 estimates" in result.message
    assert np.isnan(result.estimates["value"].sel(subject="3")).all()
    assert np.isnan(result.records["IPRED"].values[result.records["ID"].values == "3"]).all()
    assert np.isfinite(result.ofv)
    assert "FAILED" in str(result)
    assert set(result.lmfit) == {"1", "2"}


def test_one_without_any_observation(oral, doses):
    result = fit(oral, without(doses, lambda who, time: who == "3" and time > 0), Individual())
    assert "0 records cannot give 3 estimates" in result.message


def test_nobody_can_be_fitted(oral, doses):
    with pytest.raises(CannotFit, match="2 records cannot give 3 estimates and a residual SD") as caught:
        fit(oral, without(doses, lambda who, time: time > 0.6), Individual())
    assert "ID 1" in str(caught.value)
    assert "several subjects together" in str(caught.value)


def test_several_starts_depend_on_the_seed_and_the_subject_alone(oral, doses):
    one = fit(oral, doses, Individual(starts=4, seed=3))
    alone = fit(oral, doses["2"], Individual(starts=4, seed=3))
    other = fit(oral, doses, Individual(starts=4, seed=4))
    group = one["starts"]["group"].values
    np.testing.assert_array_equal(one["starts"]["value"].values[group == "2"], alone["starts"]["value"].values)
    assert one["starts"].sizes["start"] == 12
    np.testing.assert_allclose(one.estimates["value"], other.estimates["value"], rtol=1e-6)
    assert (one.verdict["starts_at_best"] >= 1).all()
    assert one.attrs["seed"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": "fixed"}, "error is 'fixed'"),
        ({"method": "nelder"}, "method is 'nelder'"),
        ({"interval": "bootstrap"}, "interval is 'bootstrap'"),
        ({"level": 95}, "level is 95"),
        ({"starts": 0}, "starts is 0"),
        ({"starts": 5}, "seed is None"),
        ({"spread": -1.0, "starts": 2, "seed": 1}, "spread is -1.0"),
        ({"max_evaluations": 0}, "max_evaluations is 0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(CannotFit) as caught:
        Individual(**options)
    assert message in str(caught.value)
    assert f"Individual({next(iter(options)) if 'starts' not in options or len(options) != 1 else ''}" in str(
        caught.value
    )
    assert caught.value.expected
