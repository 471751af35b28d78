"""Candidates and cases become fits."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.errors import FitFileError, PkpdError
from pkpd.project.plan import Case, Plan
from pkpd.project.study import Predictor, Study


@pytest.fixture
def study(folder) -> Study:
    return Study(folder=folder, plan=Plan.read(folder / "fit.toml"))


def test_only_the_chosen_rows_are_fitted(study):
    assert study.counts("known").sum() == 6
    assert study.counts("all").sum() == 8
    assert study.fit("linear").fit.records.sizes["record"] == 6
    assert study.fit("linear", case=Case(name="all", rows="all")).fit.records.sizes["record"] == 8


def test_the_assumed_sd_and_the_number_of_people_weight_the_rows(study):
    fitted = study.fit("linear")
    assert fitted.fit.records["SD"].values == pytest.approx(10 / np.sqrt(5))
    residuals = fitted.fit.records["RES"].values / (10 / np.sqrt(5))
    assert fitted.misfit == pytest.approx(residuals @ residuals)


def test_what_is_fixed_stays_and_what_is_freed_moves(study):
    assert study.fit("nothing").free == ("drift",)
    freed = study.fit("linear", case=Case(name="half", free=("half",), fix={"k": 0.12}, start={"half": 20}))
    assert set(freed.free) == {"effect", "drift", "half"}
    assert freed.model.parameters["k"].typical == 0.12


def test_a_case_that_changes_nothing_is_not_fitted_again(study):
    assert study.fit("linear", case=Case(name="same", fix={"half": 24})).fit is study.fit("linear").fit


def test_a_drug_can_be_taken_away(study):
    fitted = study.fit("linear")
    times = np.array([0.0, 6.0, 24.0])
    given, without = Predictor(study, fitted, "1", times, removals=((), ("iv",))).values()
    drift = fitted.model.parameters["drift"].typical
    assert without == pytest.approx(100 * (1 - drift * (1 - 2 ** (-times / 24))))
    assert given[1] < without[1]
    assert study.curve(fitted, "1", times) == pytest.approx(given)


def test_derivatives_of_a_prediction_are_those_of_differences(study):
    fitted = study.fit("linear")
    predictor = Predictor(study, fitted, "1", np.array([6.0]))
    values = np.array([p.typical for p in fitted.model.parameters.values()])
    names = list(fitted.model.parameters)
    _, slopes = predictor.at(values, by=names)
    for place in range(len(names)):
        step = np.zeros(len(names))
        step[place] = 1e-4 * values[place]
        rise = predictor.at(values + step)[0] - predictor.at(values - step)[0]
        assert slopes[0, 0, place] == pytest.approx(rise[0, 0] / (2 * step[place]), rel=1e-5, abs=1e-7)


def test_columns_that_are_not_there_are_named(study, folder):
    with pytest.raises(FitFileError, match="Did you mean `MARK`"):
        study.column("MARKS")
    (folder / "data.csv").unlink()
    with pytest.raises(FitFileError, match="cannot be read"):
        _ = Study(folder=folder, plan=study.plan).table


def test_a_parameter_that_is_not_there_is_named(study):
    with pytest.raises(PkpdError, match="`hlaf` is not a parameter"):
        study.fit("linear", case=Case(name="x", fix={"hlaf": 1}))
