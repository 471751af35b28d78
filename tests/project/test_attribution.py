"""The drug's part of a change, and what is known of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pkpd.project.attribution import allowed, attribute, standard_error
from pkpd.project.plan import Case, Plan
from pkpd.project.study import Study


@pytest.fixture
def study(folder) -> Study:
    return Study(folder=folder, plan=Plan.read(folder / "fit.toml"))


def test_the_part_is_what_the_drug_adds(study):
    fitted = study.fit("linear")
    (share,) = attribute(study, fitted, study.plan.attribution)
    effect, k = (fitted.model.parameters[name].typical for name in ("effect", "k"))
    # the change is counted from the level before the dose: at time 0 nothing has been given yet
    assert share.part == pytest.approx(-100 * effect * 10 * np.exp(-6 * k), rel=1e-6)
    low, high = share.interval(0.95, 10)
    assert low < share.part < high
    wide = share.interval(0.95, 20)
    assert wide[0] < low and wide[1] > high


def test_intervals_scale_with_the_assumed_sd(study):
    wide = Study(
        folder=study.folder, plan=replace(study.plan, spread=replace(study.plan.spread, sd=20.0, others=(10.0,)))
    )
    narrow_share = attribute(study, study.fit("linear"), study.plan.attribution)[0]
    wide_share = attribute(wide, wide.fit("linear"), wide.plan.attribution)[0]
    for sd in (10.0, 20.0):
        assert narrow_share.interval(0.95, sd) == pytest.approx(wide_share.interval(0.95, sd), rel=0.02, abs=0.1)


def test_a_drug_without_effect_has_no_part(study):
    (share,) = attribute(study, study.fit("nothing"), study.plan.attribution)
    assert (share.part, share.profile) == (0.0, None)
    assert share.interval(0.95, 10) == (0.0, 0.0)


def test_what_the_data_do_not_fix_is_said(study):
    # the half-life and the size of the drift are seen at one time only, if all other rows are gone
    table = (study.folder / "data.csv").read_text().splitlines()
    kept = [line for line in table if not line.startswith("2,B,") or ",0,0.001" in line]
    (study.folder / "data.csv").write_text("\n".join(kept[:4]) + "\n" + kept[-1] + "\n")
    few = Study(folder=study.folder, plan=study.plan)
    fitted = few.fit("linear", case=Case(name="k", fix={"k": 0.12}))
    (share,) = attribute(few, fitted, few.plan.attribution)
    assert share.determined
    freed = few.fit("linear", case=Case(name="k", fix={"k": 0.12, "drift": 0.1, "half": 5.0}))
    assert attribute(few, freed, few.plan.attribution)[0].determined


def test_the_rise_that_is_allowed():
    assert allowed(0.95, 10, 10) == pytest.approx(3.8415, rel=1e-4)
    assert allowed(0.95, 10, 20) == pytest.approx(4 * 3.8415, rel=1e-4)


def test_correlated_errors_change_the_standard_error(study):
    fitted = study.fit("linear")
    (share,) = attribute(study, fitted, study.plan.attribution, profiled=False)
    groups = list(fitted.fit.records["ID"].values)
    alone = standard_error(fitted, share.slope)
    assert standard_error(fitted, share.slope, correlation=0.0, groups=groups) == pytest.approx(alone)
    assert standard_error(fitted, share.slope, correlation=0.5, groups=groups) != pytest.approx(alone, rel=1e-3)
    jacobian = fitted.objective.jacobian(fitted.z)
    assert alone == pytest.approx(np.sqrt(share.slope @ np.linalg.inv(jacobian.T @ jacobian) @ share.slope))
