"""Problems: predictions on the scale of the observations, and everything that can be wrong between model and data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pkpd import read_data
from pkpd.data import Dataset
from pkpd.errors import MismatchError
from pkpd.likelihood import Density, Feature, make_problem
from pkpd.model import Model

MODEL = """
[parameters]
cl = { typical = 5.0, unit = "L/h" }
v = { typical = 50.0, unit = "L" }
slope = { typical = 20.0, unit = "%*L/mg" }
[constants]
hundred = { value = 100, unit = "%" }
[routes]
iv = { into = "central", cmt = 1 }
[dynamics]
equations = '''
d/dt(central) = -cl * central / v
cp = central / v
vas = hundred - slope * cp
'''
[outputs]
cp = { unit = "mg/L", dvid = 1, prop = 0.1 }
vas = { unit = "%", dvid = 2, add = 3.0 }
"""


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(MODEL)


def data(rows: list[str], header: str = "ID,TIME,AMT,DV,DVID,REF,N,SD", **units) -> Dataset:
    cells = [row.split(",") for row in rows]
    return read_data({name: [row[k] for row in cells] for k, name in enumerate(header.split(","))}, units=units)


DOSE = "1,0,100,.,.,.,.,."


def values(problem) -> np.ndarray:
    return np.array([[p.typical for p in problem.model.parameters.values()]] * len(problem.subjects))


def test_outputs_by_name_and_by_number(model):
    problem = make_problem(model, data([DOSE, "1,2,.,1.6,cp,.,.,.", "1,2,.,70,2,.,.,."]))
    cp = 2 * np.exp(-0.2)
    np.testing.assert_allclose(problem.predict(values(problem)).f, [cp, 100 - 20 * cp], rtol=1e-9)
    assert problem.features == {Feature.OUTPUTS: "cp, vas"}


def test_a_change_is_counted_from_what_was_there_before_the_dose(model):
    problem = make_problem(model, data([DOSE, "1,2,.,-30,vas,0,4,."]))
    cp = 2 * np.exp(-0.2)
    np.testing.assert_allclose(problem.predict(values(problem)).f, [-20 * cp], rtol=1e-9)
    assert set(problem.features) == {Feature.MEANS, Feature.CHANGES}


def test_a_change_from_a_later_time_and_from_before_the_first_row(model):
    rows = ["1,1,100,.,.,.,.,.", "1,3,.,5,vas,2,.,.", "1,4,.,-10,vas,0.5,.,.", "1,5,.,80,vas,.,.,."]
    problem = make_problem(model, data(rows))

    def vas(t):
        return 100 - 20 * (2 * np.exp(-0.1 * (t - 1)) if t > 1 else 0)

    want = [100 * (vas(3) / vas(2) - 1), vas(4) - 100, vas(5)]
    np.testing.assert_allclose(problem.predict(values(problem)).f, want, rtol=1e-8)


def test_sensitivities_of_changes_agree_with_differences(model):
    problem = make_problem(model, data([DOSE, "1,1,.,70,vas,.,.,.", "1,3,.,5,vas,2,.,.", "1,4,.,1,cp,.,.,."]))
    at = values(problem)
    df = problem.predict(at, sensitivities=("cl", "slope")).df
    for column, k in enumerate((0, 2)):
        step = np.zeros(3)
        step[k] = 1e-5 * at[0, k]
        difference = (problem.predict(at + step).f - problem.predict(at - step).f) / (2 * step[k])
        np.testing.assert_allclose(df[:, column], difference, rtol=1e-6, atol=1e-9)


def test_two_subjects_with_references_and_each_alone(model):
    rows = [
        DOSE,
        "1,2,.,-30,vas,1,.,.",
        "2,0,50,.,.,.,.,.",
        "2,1,.,1,cp,.,.,.",
        "2,2,.,-20,vas,0,.,.",
        "2,4,.,1,cp,.,.,.",
    ]
    problem = make_problem(model, data(rows))
    at = values(problem) * np.array([[1.0], [1.3]])
    together = problem.predict(at).f
    alone = [part.predict(at[[i]]).f for i, part in enumerate(problem.split())]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    assert [part.subjects for part in problem.split()] == [("1",), ("2",)]


def test_rows_that_do_not_count_are_left_out(model):
    rows = [row + "," + mdv for row, mdv in zip([DOSE, "1,1,.,9,cp,.,.,.", "1,2,.,1.6,cp,.,.,."], "110")]
    problem = make_problem(model, data(rows, header="ID,TIME,AMT,DV,DVID,REF,N,SD,MDV"))
    np.testing.assert_array_equal(problem.observations.time, [2])
    np.testing.assert_allclose(problem.predict(values(problem)).f, 2 * np.exp(-0.2), rtol=1e-9)


def test_observations_come_into_the_units_of_the_outputs(model):
    rows = [DOSE, "1,2,.,1600,cp,.,4,200", "1,2,.,70,vas,.,.,."]
    problem = make_problem(model, data(rows, DV={"cp": "ug/L", "vas": "%"}))
    np.testing.assert_allclose(problem.observations.dv, [1.6, 70])
    np.testing.assert_allclose(problem.residuals.known, [0.1, np.nan])


def test_everything_that_is_wrong_is_said_at_once(model):
    rows = ["1,0,100,.,.,.,.,.", "1,2,.,1,cq,.,.,.", "1,2,.,-30,cp,0,.,."]
    with pytest.raises(MismatchError) as caught:
        make_problem(model.replace(outputs={**model.outputs}), data(rows, DV="kg"))
    text = str(caught.value)
    assert "cq" in text
    assert "Outputs" in text


def test_an_output_without_error_is_refused(model):
    from dataclasses import replace

    bare = model.replace(outputs={"cp": replace(model.outputs["cp"], prop=0.0), "vas": model.outputs["vas"]})
    with pytest.raises(MismatchError, match="no residual error") as caught:
        make_problem(bare, data([DOSE, "1,2,.,1.6,cp,.,.,."]))
    assert "add, prop or log" in str(caught.value)
    # a record with its own SD needs none
    make_problem(bare, data([DOSE, "1,2,.,1.6,cp,.,9,0.3"]))


def test_log_normal_observations_are_positive(model):
    from dataclasses import replace

    logged = model.replace(outputs={"cp": replace(model.outputs["cp"], prop=0.0, log=0.2), "vas": model.outputs["vas"]})
    with pytest.raises(MismatchError, match="DV is 0, and the error is log-normal") as caught:
        make_problem(logged, data([DOSE, "1,0,.,0,cp,.,.,.", "1,1,.,2,cp,.,.,."]))
    assert "time 0" in str(caught.value)
    assert "MDV" in str(caught.value)


def test_a_change_needs_an_error_in_percent(model):
    from dataclasses import replace

    other = model.replace(outputs={"cp": replace(model.outputs["cp"], prop=0.0, add=0.2), "vas": model.outputs["vas"]})
    with pytest.raises(MismatchError, match="add is an SD in mg/L"):
        make_problem(other, data([DOSE, "1,2,.,-10,cp,1,.,."]))


def test_units_that_do_not_fit(model):
    with pytest.raises(MismatchError, match="kg"):
        make_problem(model, data([DOSE, "1,2,.,1.6,cp,.,.,."], DV="kg"))


def test_no_observation_at_all(model):
    with pytest.raises(MismatchError, match="no observation"):
        make_problem(model, data([DOSE, "1,2,.,.,cp,.,.,."]))


def test_held_residual_parameters(model):
    problem = make_problem(model, data([DOSE, "1,2,.,1.6,cp,.,.,."]), held=("cp.prop",))
    assert {p.name: p.fixed for p in problem.residual_parameters} == {"cp.prop": True, "vas.add": False}
    assert problem.residuals.used == (True, False)


def test_limits_of_censored_records_come_into_the_units_of_the_outputs(model):
    header = "ID,TIME,AMT,DV,DVID,CENS,LLOQ,ULOQ"
    rows = [DOSE, "1,2,.,1600,cp,0,500,.", "1,9,.,500,cp,1,.,.", "1,12,.,800,cp,1,500,.", "1,13,.,.,cp,-1,.,9000"]
    problem = make_problem(model, data(rows, header, DV={"cp": "ug/L"}))
    seen = problem.observations
    np.testing.assert_array_equal(seen.censored, [False, True, True, True])
    np.testing.assert_allclose(seen.lower, [1.6, -np.inf, 0.5, 9.0])
    np.testing.assert_allclose(seen.upper, [1.6, 0.5, 0.8, np.inf])
    np.testing.assert_allclose(seen.lloq, [0.5, np.nan, 0.5, np.nan])
    about = Density.of(seen, problem.residuals)
    f = problem.predict(values(problem)).f
    z = (np.array([0.5, 0.5, 0.8, 9.0]) - f[[1, 2, 2, 3]]) / (0.1 * f[[1, 2, 2, 3]])
    want = [norm.logcdf(z[0]), np.log(norm.cdf(z[2]) - norm.cdf(z[1])), norm.logsf(z[3])]
    np.testing.assert_allclose(about.terms(f, np.array([0.1, 3.0])).value[1:], want, rtol=1e-9)
    assert Feature.CENSORING in problem.features
    assert problem.split()[0].observations.upper[1] == 0.5
