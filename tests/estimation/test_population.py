"""Population fits: what is refused, what is said, and that order and threads change nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit, MismatchError
from pkpd.model import Model

TEXT = """
title = "a bolus, several times"
[parameters]
cl = { typical = 4.0, unit = "L/h", iiv = 0.09 }
v = { typical = 30.0, unit = "L", iiv = 0.05 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""


@lru_cache
def model(iov: float = 0.0) -> Model:
    own = Model(TEXT)
    return own.replace(parameters={name: replace(p, iov=iov) for name, p in own.parameters.items()})


def rows(people: int = 30, occasions: int = 1, *, iov: float = 0.0) -> dict[str, list]:
    """Drawn from the model, by a fixed seed."""
    rng = np.random.default_rng(4)
    found = []
    for i in range(people):
        eta = rng.standard_normal(2) * [0.3, 0.05**0.5]
        for o in range(occasions):
            cl, v = np.array([4.0, 30.0]) * np.exp(eta + rng.standard_normal(2) * iov**0.5)
            begin = 100.0 * o
            found.append((f"p{i}", begin, 4 if o else 1, 100.0, np.nan, o + 1))
            for t in (0.5, 2.0, 5.0, 9.0, 16.0):
                y = 100 / v * np.exp(-cl / v * t) * (1 + 0.1 * rng.standard_normal())
                found.append((f"p{i}", begin + t, 0, 0.0, y, o + 1))
    names = ("ID", "TIME", "EVID", "AMT", "DV", "OCC")
    return {name: [row[k] for row in found] for k, name in enumerate(names)}


@lru_cache
def seen(occasions: int = 1, iov: float = 0.0) -> Dataset:
    return read_data(rows(occasions=occasions, iov=iov))


def value(fit: pkpd.Fit, name: str, what: str = "value") -> float:
    return float(fit.estimates[what].sel(parameter=name))


def test_order_and_threads_change_no_bit():
    table = rows()
    ids = np.array(table["ID"])
    order = np.concatenate(
        [np.flatnonzero(ids == name) for name in np.random.default_rng(1).permutation(np.unique(ids))]
    )
    other = read_data({name: [column[i] for i in order] for name, column in table.items()})
    one, two = pkpd.fit(model(), seen(), pkpd.FOCE(threads=1)), pkpd.fit(model(), other, pkpd.FOCE(threads=2))
    for name in ("value", "se", "lower", "upper"):
        np.testing.assert_array_equal(one.estimates[name], two.estimates[name])
    assert one.ofv == two.ofv and one.verdict["marginal"].item() == two.verdict["marginal"].item()
    np.testing.assert_array_equal(one["etas"]["eta"].sel(subject=two["etas"]["subject"]), two["etas"]["eta"])
    first, second = (f.records.to_dataframe().set_index(["ID", "TIME"]).sort_index() for f in (one, two))
    np.testing.assert_array_equal(first[["IPRED", "CWRES"]], second[["IPRED", "CWRES"]])


def test_variances_between_people_and_between_occasions_are_told_apart():
    fit = pkpd.fit(model(0.02), seen(3, 0.04), pkpd.FOCE())
    assert fit.status == "converged"
    for name, true in {"cl": 4.0, "v": 30.0, "cp.prop": 0.1, "iov.cl": 0.04, "iov.v": 0.04, "iiv.cl": 0.09}.items():
        low, high = value(fit, name, "lower"), value(fit, name, "upper")
        assert low / 1.15 < true < high * 1.15, name
    assert fit["etas"]["effect"].values.tolist()[:4] == ["cl", "v", "cl@1", "v@1"]


def test_occasions_need_a_column():
    table = {name: column for name, column in rows().items() if name != "OCC"}
    with pytest.raises(MismatchError, match="nothing says which occasion"):
        pkpd.fit(model(0.02), read_data(table), pkpd.FOCE())


def test_a_block_is_estimated():
    own = Model(
        TEXT.replace(
            "[dynamics]", '[[omega]]\nparameters = ["cl", "v"]\ncovariance = [[0.09], [0.01, 0.05]]\n[dynamics]'
        )
    )
    fit = pkpd.fit(own, seen(), pkpd.FOCE())
    matrix = fit["omega"]["covariance"].values
    assert value(fit, "iiv.v,cl") == matrix[0, 1] == matrix[1, 0] != 0.01
    assert fit.ofv < pkpd.fit(model(), seen(), pkpd.FOCE(covariance=None)).ofv
    assert fit.model.omega.matrix(["cl", "v"]) == pytest.approx(matrix)


def test_a_fit_is_saved_and_simulated_from(tmp_path):
    fit = pkpd.fit(model(), seen(), pkpd.FOCE())
    fit.save(tmp_path / "fit.nc")
    again = pkpd.load_fit(tmp_path / "fit.nc")
    assert fit.identical(again)
    sim = pkpd.simulate(again, "100 mg iv", times=[1, 4], n=400, seed=1)
    spread = np.log(sim["cp"].sel(time=1).values).std()
    assert spread == pytest.approx(np.sqrt(value(fit, "iiv.v")), rel=0.2)


def test_nothing_is_searched_at_the_starting_values():
    fit = pkpd.fit(model(), seen(), pkpd.FOCE(max_iterations=0))
    assert fit.status == "not converged" and value(fit, "cl") == pytest.approx(4.0)


def test_too_few_iterations_say_so():
    fit = pkpd.fit(model(), seen(), pkpd.FOCE(max_iterations=1), start={"cl": 9.0})
    assert fit.status == "not converged" and "Raise max_iterations" in fit.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"covariance": "Q"}, "covariance is 'Q'"),
        ({"level": 95}, "level is 95"),
        ({"tolerance": 0}, "tolerance is 0"),
        ({"max_iterations": -1}, "max_iterations is -1"),
        ({"censoring": "M9"}, "censoring is 'M9'"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(CannotFit, match=said):
        pkpd.FOCE(**options)


def test_nobody_differs():
    own = model().replace(parameters={name: replace(p, iiv=0.0) for name, p in model().parameters.items()})
    with pytest.raises(CannotFit, match="no parameter differs between people"):
        pkpd.fit(own, seen(), pkpd.FOCE())


def test_what_straight_lines_cannot_honour():
    table = rows()
    table["CENS"] = [1 if evid == 0 and time == 16.0 else 0 for evid, time in zip(table["EVID"], table["TIME"])]
    censored = read_data(table)
    for estimator in (pkpd.FO(), pkpd.FOCE(interaction=False)):
        with pytest.raises(CannotFit, match="censored records"):
            pkpd.fit(model(), censored, estimator)
    assert pkpd.fit(model(), censored, pkpd.FOCE()).status == "converged"


def test_too_many_nodes():
    with pytest.raises(CannotFit, match="9000 nodes along each of 2"):
        pkpd.fit(model(), seen(), pkpd.Quadrature(nodes=9000))


def test_records_without_a_likelihood_are_named():
    table = rows(people=3)
    table["DV"][1] = -1.0
    own = Model(TEXT.replace("prop = 0.1", "log = 0.1"))
    with pytest.raises(MismatchError, match="DV is -1"):
        pkpd.fit(own, read_data(table), pkpd.FOCE())
