"""Identifiability, by models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import Case, Identifiability, answer
from pkpd.errors import MismatchError

from .conftest import UNITS, fit_of

ORAL = """
[parameters]
f = { typical = 0.8, unit = "1" }
ka = { typical = 1.5, unit = "1/h" }
cl = { typical = 2.8, unit = "L/h", iiv = 0.07 }
v = { typical = 32, unit = "L" }
[routes.oral]
into = "gut"
[dynamics]
equations = '''
d/dt(gut) = -ka * gut
d/dt(centre) = f * ka * gut - cl / v * centre
cp = centre / v
'''
[outputs]
cp = { unit = "mg/L", add = 0.7 }
"""
_RATES = 'k1 = { typical = 0.05, unit = "1/h" }\nk2 = { typical = 0.03, unit = "1/h" }'
SUM = ORAL.replace('f = { typical = 0.8, unit = "1" }', _RATES)
SUM = SUM.replace("f * ka", "ka").replace("cl / v * centre", "(k1 + k2) * centre")
SUM = SUM.replace('cl = { typical = 2.8, unit = "L/h", iiv = 0.07 }\n', "").replace('"L" }', '"L", iiv = 0.02 }')
TWO = """
[parameters]
cl = { typical = 2, unit = "L/h" }
v1 = { typical = 10, unit = "L" }
q = { typical = 3, unit = "L/h" }
v2 = { typical = 25, unit = "L" }
[routes.iv]
into = "a"
[dynamics]
equations = '''
d/dt(a) = -(cl + q) / v1 * a + q / v2 * b
d/dt(b) = q / v1 * a - q / v2 * b
cp = a / v1
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""


def data_of(times=(0.25, 0.5, 1, 2, 4, 8, 12, 24), people=4, amount=100.0):
    rows = {name: [] for name in ("ID", "TIME", "AMT", "EVID", "MDV", "DV")}
    for k in range(people):
        for time, dose in ((0.0, amount), *((t, 0.0) for t in times)):
            for name, cell in zip(rows, (k, time, dose, int(dose > 0), int(dose > 0), 0 if dose else 1 + 0.1 * k)):
                rows[name].append(float(cell))
    return pkpd.read_data(rows, units={name: UNITS[name] for name in ("TIME", "AMT", "DV")})


def evaluated(model, data, **options):
    return pkpd.fit(pkpd.Model(model), data, pkpd.FOCE(**({"max_iterations": 0, "covariance": None} | options)))


def test_bioavailability_from_oral_data_alone():
    diagnosis = answer(Case(fit=evaluated(ORAL, data_of())), Identifiability())
    found = diagnosis.data
    assert (found.attrs["rank_model"], found.attrs["count"]) == (3, 4)
    assert "The model itself is not identifiable" in diagnosis.caption()
    assert "Only f/v and cl/v are known." in diagnosis.caption()
    assert "all can grow by one factor" in diagnosis.caption()
    assert found["singular_model"].values[-1] < 1e-7 * found["singular_model"].values[0]
    diagnosis.figure()


def test_a_sum_of_two_rates():
    diagnosis = answer(Case(fit=evaluated(SUM, data_of())), Identifiability())
    assert diagnosis.data.attrs["rank_model"] == 3 and diagnosis.data.attrs["count"] == 4
    assert "Only the sum k1 + k2 is known." in diagnosis.caption()


def test_flip_flop_is_identifiable_locally_and_not_called_globally_so():
    flip = ORAL.replace('f = { typical = 0.8, unit = "1" }\n', "").replace("f * ka", "ka")
    flip = flip.replace("typical = 1.5", "typical = 0.05")
    found = answer(Case(fit=evaluated(flip, data_of())), Identifiability())
    assert found.data.attrs["rank_model"] == 3 == found.data.attrs["count"]
    assert "structurally identifiable, locally" in found.caption() and "not excluded" in found.caption()


def test_two_compartments_are_identifiable_and_two_times_are_too_few():
    model = TWO.replace('cl = { typical = 2, unit = "L/h" }', 'cl = { typical = 2, unit = "L/h", iiv = 0.05 }')
    rich = answer(Case(fit=evaluated(model, data_of())), Identifiability())
    assert rich.data.attrs["rank_model"] == rich.data.attrs["rank_design"] == 4
    poor = answer(Case(fit=evaluated(model, data_of(times=(1, 6)))), Identifiability())
    assert poor.data.attrs["rank_model"] == 4 and poor.data.attrs["rank_design"] == 2
    assert "The design of the data sees 2 of these 4 directions" in poor.caption()


def test_a_parameter_that_nothing_depends_on():
    model = TWO.replace("[routes.iv]", 'idle = { typical = 5, unit = "L", iiv = 0.1 }\n[routes.iv]')
    model = model.replace("cp = a / v1", "spare = idle / 2\ncp = a / v1 + 0 * spare * a / v1 / v1")
    found = answer(Case(fit=evaluated(model, data_of())), Identifiability())
    assert found.data.attrs["rank_model"] == 4 and found.data.attrs["count"] == 5
    assert "The data say nothing about idle." in found.caption()


def test_real_sensitivities_are_those_of_the_closed_form():
    fit = fit_of("pooled")
    found = answer(Case(fit=fit), Identifiability()).data
    p = {name: float(fit.estimates["value"].sel(parameter=name)) for name in ("ka", "cl", "v")}
    time, ids = fit.records["TIME"].values, fit.records["ID"].values
    data = fit.data.columns
    dose = dict(zip(data["ID"][data["EVID"] == 1], data["AMT"][data["EVID"] == 1]))
    amount = np.array([dose[who] for who in ids])

    def f(ka, cl, v):
        return amount / v * ka / (ka - cl / v) * (np.exp(-cl / v * time) - np.exp(-ka * time))

    columns = []
    for name in ("ka", "cl", "v"):
        up, down = ({**p, name: p[name] * np.exp(s * 1e-5)} for s in (1, -1))
        columns.append((f(**up) - f(**down)) / 2e-5 / fit.records["SD"].values)
    weighted = np.column_stack(columns)
    singular = np.linalg.svd(weighted / np.linalg.norm(weighted, axis=0), compute_uv=False)
    assert np.allclose(found["singular_design"], singular, rtol=1e-5)
    own = fit.covariance["covariance"].sel(parameter=["ka", "cl", "v"], parameter_=["ka", "cl", "v"]).values
    values, vectors = np.linalg.eigh(own)
    assert np.allclose(found["error"], np.sqrt(values[::-1]))
    assert np.allclose(np.abs(found["direction"].values), np.abs(vectors[:, ::-1].T))


def test_a_ratio_that_is_known_better_than_its_parts():
    """Observed at late times of a fast absorption only: the slope, cl/v, is known; v is known by the dose alone."""
    from pkpd.diagnostics.identifiability import _pairs

    rows = [pkpd.Parameter(name=name, typical=1.0) for name in ("cl", "v")]
    covariance = np.array([[0.25, 0.245], [0.245, 0.25]])
    said = _pairs(covariance, rows)
    assert said == ["cl/v is known to 10 %, cl to 50 % and v to 50 %."]
    assert _pairs(np.diag([0.25, 0.25]), rows) == []


def test_priors_say_their_share():
    model = ORAL.replace('f = { typical = 0.8, unit = "1" }\n', "").replace("f * ka", "ka")
    model += "\n[priors]\nka = { value = 1.5, sd = 0.2 }\n"
    times = (4, 8, 12, 24)
    fit = evaluated(model, data_of(times=times, people=6), max_iterations=100, covariance="R")
    found = answer(Case(fit=fit), Identifiability())
    share = fit.estimates["prior_share"].sel(parameter=["ka", "cl", "v"]).values
    assert np.array_equal(found.data["prior_share"].values, share, equal_nan=True)
    if np.isfinite(share[0]):
        assert f"due to priors: ka {100 * share[0]:.0f} %" in found.caption()


def test_what_cannot_be_asked():
    with pytest.raises(MismatchError, match="Each subject was fitted alone"):
        answer(Case(fit=fit_of("individual")), Identifiability())
