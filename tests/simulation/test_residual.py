"""Observations beside predictions: the moments of every law, and numbers that depend on nobody else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.errors import MismatchError, SolveError, UsageError

MODEL = pkpd.load("theophylline_boeckmann1994")
ARMS = {"once": "320 mg oral", "half": "160 mg oral"}


def with_error(**error) -> pkpd.Model:
    return MODEL.replace(outputs={"cp": replace(MODEL.outputs["cp"], **{"add": 0.0, **error})})


def simulate(model: pkpd.Model, **changed):
    given = {"times": [1, 4, 8, 24], "n": 3000, "seed": 5, "variability": {"cl": 0.07}, "residual": True}
    return pkpd.simulate(model, ARMS, **{**given, **changed})


def test_predictions_are_what_they_are_without() -> None:
    plain, seen = simulate(MODEL, residual=False), simulate(MODEL)
    assert plain["cp"].identical(seen["cp"]) and "cp_observed" not in plain
    assert seen["cp_observed"].dims == seen["cp"].dims
    assert seen["cp_observed"].attrs["units"] == "mg/L"
    assert seen["cp_observed"].attrs["uncertainty"] == "between-subject variability and residual error"


@pytest.mark.parametrize(
    ("error", "law"),
    [
        ({"add": 0.7}, lambda f: stats.norm(f, 0.7)),
        ({"prop": 0.2}, lambda f: stats.norm(f, 0.2 * f)),
        ({"add": 0.3, "prop": 0.1}, lambda f: stats.norm(f, np.hypot(0.3, 0.1 * f))),
        ({"log": 0.3}, lambda f: stats.lognorm(0.3, scale=f)),
        ({"add": 0.5, "t": 4.0}, lambda f: stats.t(4.0, f, 0.5)),
    ],
)
def test_observations_follow_the_law_of_their_output(error, law) -> None:
    sim = simulate(with_error(**error), n=500)
    f, y = sim["cp"].values.ravel(), sim["cp_observed"].values.ravel()
    u = law(f).cdf(y)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    each = u.reshape(2, 500, 4)
    pairs = ((each[0, :, 0], each[1, :, 0]), (each[0, :, 1], each[0, :, 2]))
    assert all(abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(500) for a, b in pairs)


def test_residual_sds_that_differ_between_people_are_those_of_the_person_in_every_arm() -> None:
    sim = simulate(with_error(add=0.5, iiv=0.25), n=2000)
    error = (sim["cp_observed"] - sim["cp"]).values[:, 0] / 0.5
    log_sd = np.log(np.sqrt(np.mean(error**2, axis=-1)))  # of four records, in each arm
    noise = np.var(np.log(np.sqrt(stats.chi2(4).rvs((2, 20000), random_state=1) / 4)))
    assert abs(np.cov(log_sd)[0, 1] - 0.25) < 4.5 * (0.25 + noise) / np.sqrt(2000)


def test_numbers_depend_on_nobody_else(tmp_path) -> None:
    model = with_error(add=0.5, iiv=0.25)
    whole = simulate(model, n=50)
    assert whole.identical(simulate(model, n=50, chunk=7, threads=2))
    few = simulate(model, n=10)
    assert few["cp_observed"].equals(whole["cp_observed"].isel(subject=slice(0, 10)))
    written = simulate(model, n=50, chunk=11, to=tmp_path / "sim.nc")
    assert np.array_equal(written["cp_observed"].values, whole["cp_observed"].values)
    written.close()
    assert not np.array_equal(simulate(model, n=50, seed=6)["cp_observed"].values, whole["cp_observed"].values)


def test_draws_and_the_typical_subject_have_errors_of_their_own() -> None:
    rse = MODEL.replace(parameters={**MODEL.parameters, "cl": replace(MODEL.parameters["cl"], rse=0.1)})
    sim = simulate(rse, n=None, variability=None, uncertainty=2000)
    error = (sim["cp_observed"] - sim["cp"]).values
    assert error.shape == (2, 2000, 1, 4)
    assert abs(error.std() / MODEL.outputs["cp"].add - 1) < 4.5 / np.sqrt(2 * error.size)
    one = simulate(MODEL, n=None, variability=None)
    assert one["cp_observed"].attrs["uncertainty"] == "residual error" and one.attrs["seed"] == 5


def test_classes_of_a_mixture_do_not_stand_in_the_way() -> None:
    mixed = pkpd.Model(
        """
        [parameters]
        slow = { typical = 1, unit = "1/h" }
        fast = { typical = 5, unit = "1/h" }
        [mixture]
        low = { share = 0.3 }
        high = {}
        [dynamics]
        equations = '''
        rate = slow if MIXNUM < 1.5 else fast
        '''
        [outputs]
        rate = { unit = "1/h", add = 0.1 }
        """
    )
    sim = pkpd.simulate(mixed, {"nothing": pkpd.Regimen(())}, times=[1], n=500, seed=1, residual=True)
    error = (sim["rate_observed"] - sim["rate"]).values
    assert abs(error.std() / 0.1 - 1) < 4.5 / np.sqrt(1000)
    assert set(np.round(sim["rate"].values.ravel(), 9)) == {1.0, 5.0}


def test_what_cannot_be_observed() -> None:
    with pytest.raises(UsageError, match=r"There is no seed(.|\n)*residual error is drawn"):
        simulate(MODEL, n=None, variability=None, seed=None)
    with pytest.raises(MismatchError, match="`cp` has no residual error"):
        simulate(with_error())
    with pytest.raises(UsageError, match="No output is simulated"):
        simulate(MODEL, observe="depot")
    with pytest.raises(SolveError, match="`cp` is 0, where nothing can be observed"):
        simulate(with_error(log=0.3), times=[0, 1], n=3)
    data = pkpd.read_data({"TIME": [0, 1], "AMT": [100, "."], "DV": [".", 3]})
    with pytest.raises(UsageError, match="`residual` is given beside a Dataset"):
        pkpd.simulate(MODEL, data, residual=True)
