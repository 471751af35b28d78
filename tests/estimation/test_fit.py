"""The verb, and what a Fit holds."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pkpd import CannotFit, FitError, Individual, MismatchError, Pooled, fit, read_data
from pkpd.model import Model, Output
from pkpd.schema import GROUPS, VARIABLES


def test_every_group_and_variable_stands_in_the_schema(pooled, individual):
    for result in (pooled, individual):
        for name in result.tree.children:
            assert name in GROUPS
            for variable, array in result[name].data_vars.items():
                meant = VARIABLES[name, variable]
                assert array.attrs["long_name"] == meant.meaning
                lead = ("subject",) if "subject" in array.dims and "subject" not in meant.dims else ()
                assert array.dims == lead + meant.dims
                assert meant.by_subject or not lead


def test_estimates(pooled):
    table = pooled.estimates
    assert table["parameter"].values.tolist() == ["a1", "l1", "a2", "l2", "cp.add"]
    assert {"value", "se", "rse", "lower", "upper", "initial", "fixed", "unit"} <= set(table)
    np.testing.assert_allclose(table["rse"], 100 * table["se"] / table["value"])
    assert ((table["lower"] < table["value"]) & (table["value"] < table["upper"])).all()
    np.testing.assert_allclose(np.exp(table["transformed"]), table["value"])
    assert table["unit"].sel(parameter="l1").item() == "1/h"
    assert table["label"].sel(parameter="a1").item() == "fast intercept"


def test_standard_errors_of_estimates_are_those_of_the_covariance(pooled):
    covariance = pooled.covariance["covariance"].values
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), pooled.estimates["transformed_se"])
    np.testing.assert_allclose(np.diag(pooled.covariance["correlation"]), 1)


def test_records_are_an_sdtab(pooled, decline):
    table = pooled.records.to_dataframe()
    assert list(table.columns[:12]) == "ID TIME DV DVID PRED IPRED RES IRES WRES IWRES SD N".split()
    np.testing.assert_array_equal(table["DV"], decline.observations["DV"])
    np.testing.assert_allclose(table["IWRES"], (table["DV"] - table["IPRED"]) / table["SD"])
    assert pooled.records["TIME"].attrs["units"] == "h"
    assert pooled.records["DV"].attrs["units"] == "mg/L"


def test_the_parts_of_the_subjects_add_up(two_exponentials, decline):
    for estimator in (Pooled(error="estimated"), Individual(error="estimated")):
        result = fit(two_exponentials, decline, estimator)
        assert result["subjects"]["objective"].sum().item() == pytest.approx(result.ofv)


def test_attributes_say_where_it_comes_from(pooled, two_exponentials, decline):
    attrs = pooled.attrs
    assert attrs["estimator"] == "Pooled()"
    assert "interval='wald'" in attrs["estimator_options"]
    assert attrs["model_hash"] == two_exponentials.hash
    assert attrs["data_hash"] == decline.sha256
    assert "without n log(2 pi)" in attrs["objective_name"]
    assert attrs["seconds"] > 0
    assert attrs["version_lmfit"]
    assert (attrs["status"], pooled.status, pooled.ofv) == ("converged", "converged", attrs["objective"])


def test_criteria_count_the_residual_sd(pooled):
    n = 40
    minus_two_log_l = pooled.ofv + n * np.log(2 * np.pi)
    assert pooled.attrs["aic"] == pytest.approx(minus_two_log_l + 2 * 5)
    assert pooled.attrs["bic"] == pytest.approx(minus_two_log_l + 5 * np.log(n))


def test_the_model_of_a_fit_holds_the_estimates(pooled, individual, oral):
    for name, value in zip(["a1", "l1", "a2", "l2"], pooled.estimates["value"].values):
        assert pooled.model.parameters[name].typical == value
    assert pooled.model.outputs["cp"].add == pooled.estimates["value"].values[-1]
    assert individual.model == oral
    own = individual.model_of("2")
    assert own.parameters["cl"].typical == individual.estimates["value"].sel(subject="2", parameter="cl").item()
    with pytest.raises(FitError, match="no subject `7`"):
        individual.model_of("7")


def test_start_and_fixed(two_exponentials, decline):
    result = fit(two_exponentials, decline, Pooled(), start={"l2": 0.2, "cp.add": 0.5}, fixed=["l2"])
    row = result.estimates.sel(parameter="l2")
    assert (row["value"].item(), row["fixed"].item(), row["initial"].item()) == (0.2, True, 0.2)
    assert np.isnan(row["se"].item())
    assert result.estimates["initial"].sel(parameter="cp.add").item() == 0.5
    assert result.covariance["covariance"].sel(parameter="l2").values.tolist() == [0.0] * 5
    assert "fixed" in str(result)


def test_a_held_residual_parameter(two_exponentials, decline):
    model = two_exponentials.replace(outputs={"cp": Output(name="cp", unit="mg/L", add=0.01, prop=0.1)})
    result = fit(model, decline, Pooled(), fixed=["cp.add"])
    assert result.estimates["value"].sel(parameter="cp.add").item() == 0.01
    assert result.estimates["fixed"].sel(parameter="cp.add").item()
    assert not result.estimates["fixed"].sel(parameter="cp.prop").item()


@pytest.mark.parametrize("options", [{"start": {"cp.ad": 1.0}}, {"fixed": ["cp.ad"]}])
def test_an_unknown_name(two_exponentials, decline, options):
    with pytest.raises(MismatchError, match=r"`cp\.ad` is nothing that can be estimated") as caught:
        fit(two_exponentials, decline, Pooled(), **options)
    assert "a1, l1" in str(caught.value)
    assert "Did you mean `cp.add`" in str(caught.value)


def test_strict(oral, two_exponentials, decline):
    fit(two_exponentials, decline, Pooled(), strict=True)
    with pytest.raises(FitError, match="the fit is not identified"):
        fit(two_exponentials, decline, Pooled(), start={"l1": 1e-9, "l2": 1e-9}, strict=True)


@pytest.mark.parametrize("wrong", [Pooled, "pooled", None])
def test_an_estimator_is_an_object(two_exponentials, decline, wrong):
    with pytest.raises(CannotFit, match="is no estimator"):
        fit(two_exponentials, decline, wrong)


def test_censored_records_are_refused_by_name(two_exponentials):
    data = read_data({"TIME": [1, 2, 3, 4, 5, 6], "DV": [1, 0.5, 0.4, 0.3, 0.2, 0.1], "CENS": [0, 0, 0, 0, 0, 1]})
    with pytest.raises(CannotFit, match="cannot honour censored records") as caught:
        fit(two_exponentials, data, Pooled())
    assert "time 6" in str(caught.value)
    assert "MDV = 1" in str(caught.value)


def test_print(pooled, individual):
    text = str(pooled)
    for part in (
        "two_exponentials fitted to",
        "Status: converged",
        "RSE %",
        "95 % CI",
        "1/h",
        "Student" if 0 else "t with 36 df",
    ):
        assert part in text
    assert "3 of 3 subjects converged" in str(individual)
    assert "(" in str(individual)
    assert repr(pooled).startswith("Fit(two_exponentials to")
    assert pooled._repr_html_().count("<tr>") == 6


def test_many_fixed_parameters_are_listed_under_the_table(decline):
    extra = "\n".join(f"k{i} = {{ typical = 1.0, fixed = true }}" for i in range(7))
    total = " * ".join(f"k{i}" for i in range(7))
    model = Model(f"""
[parameters]
a = {{ typical = 2.0, unit = "mg/L" }}
b = {{ typical = 1.0, unit = "1/h" }}
{extra}
[dynamics]
equations = "cp = a * exp(-b * t) * {total}"
[outputs]
cp = {{ unit = "mg/L", add = 0.1 }}
""")
    text = str(fit(model, decline, Pooled()))
    assert "Held: k0 1, k1 1" in text
    assert "fixed" not in text


def test_groups_by_name(pooled):
    assert isinstance(pooled["records"], xr.Dataset)
    with pytest.raises(FitError, match="no group `record`") as caught:
        pooled["record"]
    assert "Did you mean `records`" in str(caught.value)


def test_the_order_of_subjects_in_the_file_does_not_matter(oral, doses, individual):
    again = fit(oral, doses[["1", "2", "3"]], Individual(threads=1))
    xr.testing.assert_identical(again.estimates, individual.estimates)
    columns = {name: doses.columns[name] for name in ("ID", "TIME", "AMT", "DV", "EVID")}
    order = np.argsort(-columns["ID"].astype(int), kind="stable")
    turned = read_data({name: column[order] for name, column in columns.items()}, units=dict(doses.units))
    other = fit(oral, turned, Individual())
    for subject in "123":
        a, b = (r.estimates["value"].sel(subject=subject).values for r in (other, individual))
        np.testing.assert_array_equal(a, b)


def test_an_interval_that_ends_at_a_bound_is_said_to_be_open():
    model = Model(
        """
        title = "decay"
        [units]
        time = "h"
        amount = "mg"
        [parameters]
        k = { typical = 0.1, unit = "1/h", lower = 0.08, upper = 0.5 }
        [routes]
        iv = { into = "a" }
        [dynamics]
        equations = "d/dt(a) = -k * a"
        [outputs]
        a = { unit = "mg", add = 20 }
        """
    )
    rows = {"ID": [1] * 4, "TIME": [0, 2, 5, 9], "AMT": [100, ".", ".", "."], "DV": [".", 80, 62, 40]}
    found = fit(model, read_data(rows), Pooled(error="known", interval="profile"))
    assert found.estimates["lower"].sel(parameter="k").item() == pytest.approx(0.08, rel=1e-6)
    assert found.open_ends() == {"k": "below"}
    assert "where the data set no limit: k below" in str(found)
