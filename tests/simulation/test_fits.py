"""Simulations of fits, and predictions at the records of data."""

from __future__ import annotations

import io

import numpy as np
import pytest

import pkpd
from pkpd.errors import MismatchError, SolveError, UsageError

MODEL = pkpd.Model(
    """
[parameters]
cl = { typical = 4.0, unit = "L/h" }
v = { typical = 40.0, unit = "L" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", dvid = 1, prop = 0.1 }
"""
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}


def measured(subjects: int = 3, cl: float = 5.0) -> pkpd.Dataset:
    import pandas

    rng = np.random.default_rng(1)
    rows = []
    for subject in range(1, subjects + 1):
        rows.append((subject, 0.0, 100.0, np.nan, 1))
        for time in (0.5, 1, 2, 4, 8, 12):
            noise = np.exp(0.05 * rng.standard_normal())
            rows.append((subject, time, np.nan, 2 * np.exp(-(cl + subject / 10) / 50 * time) * noise, 0))
    return pkpd.read_data(pandas.DataFrame(rows, columns=["ID", "TIME", "AMT", "DV", "EVID"]), units=UNITS)


DATA = measured()
FIT = pkpd.fit(MODEL, DATA, pkpd.Pooled())


def test_a_fit_simulates_at_its_estimates() -> None:
    sim = pkpd.simulate(FIT, "100 mg iv", times=[0, 5])
    cl, v = FIT.estimates["value"].sel(parameter=["cl", "v"]).values
    assert np.allclose(sim["cp"].values.ravel(), 100 / v * np.exp(-cl / v * np.array([0, 5])), rtol=1e-7)
    assert sim.attrs["parameters_from"].startswith("fit: Pooled(")


def test_draws_have_the_covariance_of_the_fit_on_its_estimation_scale() -> None:
    sim = pkpd.simulate(FIT, "100 mg iv", times=[0, 5], uncertainty=20_000, seed=1)
    drawn = np.log(sim["individual"].values[:, 0])
    own = FIT.covariance["covariance"].sel(parameter=["cl", "v"], parameter_=["cl", "v"]).values
    assert np.allclose(np.cov(drawn.T), own, rtol=0.05, atol=0.02 * np.max(np.diag(own)))
    assert np.allclose(drawn.mean(axis=0), np.log(FIT.estimates["value"].values[:2]), atol=3e-3)
    assert sim.attrs["uncertainty"] == "parameter uncertainty"


def test_a_fixed_parameter_is_never_drawn() -> None:
    fit = pkpd.fit(MODEL, DATA, pkpd.Pooled(), fixed=["v"])
    sim = pkpd.simulate(fit, "100 mg iv", times=[0], uncertainty=10, seed=1)
    assert np.all(sim["individual"].sel(parameter="v") == 40.0)


def test_a_fit_of_each_subject_names_the_way_to_one() -> None:
    fit = pkpd.fit(MODEL, DATA, pkpd.Individual())
    with pytest.raises(UsageError, match=r'model_of\("1"\)'):
        pkpd.simulate(fit, "100 mg iv", times=[0])
    one = pkpd.simulate(fit.model_of("2"), "100 mg iv", times=[0, 5])
    assert one.attrs["uncertainty"] == "none"


def test_records_of_a_model() -> None:
    pred = pkpd.simulate(MODEL, DATA)
    assert list(pred.data_vars) == ["ID", "TIME", "DVID", "PRED", "UNIT"]
    assert pred["ID"].values.tolist() == [s for s in "123" for _ in range(6)]
    assert np.allclose(pred["PRED"], 2.5 * np.exp(-0.1 * pred["TIME"]), rtol=1e-7)
    assert pred["PRED"].attrs["units"] == "mg/L"
    assert set(pred["DVID"].values.tolist()) == {"cp"}


def test_records_of_a_fit_are_its_own_predictions() -> None:
    assert np.allclose(pkpd.simulate(FIT, DATA)["PRED"], FIT.records["PRED"], rtol=1e-9)
    each = pkpd.fit(MODEL, DATA, pkpd.Individual())
    assert np.allclose(pkpd.simulate(each, DATA)["PRED"], each.records["IPRED"], rtol=1e-9)


def test_a_subject_that_was_not_fitted() -> None:
    fit = pkpd.fit(MODEL, DATA[["1", "2"]], pkpd.Individual())
    with pytest.raises(MismatchError, match=r"Subject 3 was not fitted(.|\n)*1, 2"):
        pkpd.simulate(fit, DATA)


def test_percent_changes_from_a_reference_time() -> None:
    import pandas

    rows = [(1, 0, 100.0, np.nan, np.nan, 1), (1, 1, np.nan, np.nan, np.nan, 0), (1, 5, np.nan, -30.0, 1.0, 0)]
    frame = pandas.DataFrame(rows, columns=["ID", "TIME", "AMT", "DV", "REF", "EVID"])
    pred = pkpd.simulate(MODEL, pkpd.read_data(frame, units={"TIME": "h", "AMT": "mg"}))
    assert pred["PRED"].values[0] == pytest.approx(2.5 * np.exp(-0.1), rel=1e-7)
    assert pred["PRED"].values[1] == pytest.approx(100 * (np.exp(-0.4) - 1), rel=1e-7)
    assert pred["UNIT"].values.tolist() == ["mg/L", "%"]


def _read(rows: list[tuple[float, ...]]) -> pkpd.Dataset:
    import pandas

    frame = pandas.DataFrame(rows, columns=["ID", "TIME", "AMT", "DV", "REF", "EVID"])
    return pkpd.read_data(frame, units={"TIME": "h", "AMT": "mg"})


def test_a_record_without_a_prediction_is_named() -> None:
    logarithm = pkpd.Model(
        """
[parameters]
cl = { typical = 4.0, unit = "L/h" }
v = { typical = 40.0, unit = "L" }
[constants]
one = { value = 1.0, unit = "mg/L" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
lcp = log(central / v / one)
d/dt(central) = -cl * central / v
'''
[outputs]
lcp = { unit = "1", add = 0.1 }
"""
    )
    none = float("nan")
    data = _read([(7, 0, none, none, none, 0), (7, 1, 100, none, none, 1), (7, 2, none, none, none, 0)])
    with pytest.raises(SolveError) as told:
        pkpd.simulate(logarithm, data)
    assert "1 of 2 observations have no prediction" in str(told.value)
    assert "row 0, ID 7: `lcp` is -inf at t = 0 h" in str(told.value)


def test_a_change_from_nothing_is_named() -> None:
    none = float("nan")
    data = _read([(7, 0, none, none, none, 0), (7, 1, 100, none, none, 1), (7, 2, none, -30, 0, 0)])
    with pytest.raises(SolveError, match=r"ID 7: `cp` at t = 2 h (.|\n)* from t = 0 h, where it is 0"):
        pkpd.simulate(MODEL, data)


def test_records_need_no_observed_value() -> None:
    text = "ID,TIME,AMT,EVID\n1,0,100,1\n1,1,.,0\n1,2,.,0\n"
    import pandas

    data = pkpd.read_data(pandas.read_csv(io.StringIO(text), na_values="."), units={"TIME": "h", "AMT": "mg"})
    assert pkpd.simulate(MODEL, data).sizes["record"] == 2


@pytest.mark.parametrize(
    "option", [{"n": 3}, {"covariates": {"WT": 70}}, {"uncertainty": True}, {"observe": "cp"}, {"to": "x.nc"}]
)
def test_a_dataset_brings_its_own(option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(option))}` is given beside a Dataset"):
        pkpd.simulate(MODEL, DATA, **option)  # type: ignore[arg-type]
