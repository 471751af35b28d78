"""TwoStage(): closed forms of straight lines, the EM algorithm of the global method, and what is refused."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.errors import CannotFit
from pkpd.estimation import FOCE, TwoStage
from pkpd.estimation.two_stage import _Own
from pkpd.likelihood.variance import Covariance, Group
from pkpd.model import Model

LINE = """
title = "a line"
[parameters]
a = { typical = 1.0, unit = "mg/L", transform = "none", iiv = 2.0 }
b = { typical = 0.1, unit = "mg/L/h", transform = "none", iiv = 0.1 }
[dynamics]
equations = "y = a + b * t"
[outputs]
y = { unit = "mg/L", add = 0.5 }
"""
BLOCK = LINE.replace(", iiv = 2.0", "").replace(", iiv = 0.1", "")
BLOCK = BLOCK.replace("[dynamics]", '[[omega]]\nparameters = ["a", "b"]\ncovariance = [[2.0], [0.1, 0.1]]\n[dynamics]')
T = np.array([0.0, 1.0, 2.0, 3.0, 4.0])


@lru_cache
def lines(people: int = 15) -> tuple[Dataset, np.ndarray]:
    rng = np.random.default_rng(5)
    y = np.array([3 + 1.5 * u[0] + (0.5 + 0.3 * u[1]) * T + 0.5 * u[2:] for u in rng.standard_normal((people, 7))])
    table = {"ID": np.repeat(np.arange(people) + 1, 5), "TIME": np.tile(T, people), "DV": y.ravel()}
    return read_data({name: column.tolist() for name, column in table.items()}), y


def least_squares() -> tuple[np.ndarray, np.ndarray, float]:
    """Estimates of each line, their common covariance, and the residual variance on N - 2 S degrees of freedom."""
    _, y = lines()
    design = np.column_stack([np.ones_like(T), T])
    own = np.linalg.lstsq(design, y.T, rcond=None)[0].T
    variance = float(((y - own @ design.T) ** 2).sum() / (y.size - own.size))
    return own, variance * np.linalg.inv(design.T @ design), variance


def value(fit: pkpd.Fit, name: str, what: str = "value") -> float:
    return float(fit.estimates[what].sel(parameter=name))


@pytest.mark.parametrize("text", [LINE, BLOCK], ids=["diagonal", "block"])
def test_standard_in_closed_form(text):
    own, _, variance = least_squares()
    fit = pkpd.fit(Model(text), lines()[0], TwoStage(covariance="R"))
    assert fit.status == "converged"
    around = np.cov(own.T)
    for i, name in enumerate("ab"):
        assert value(fit, name) == pytest.approx(own[:, i].mean(), rel=1e-7)
        assert value(fit, name, "se") == pytest.approx(np.sqrt(around[i, i] / 15), rel=1e-5)
        assert value(fit, f"iiv.{name}") == pytest.approx(around[i, i], rel=1e-6)
    if text is BLOCK:
        assert value(fit, "iiv.b,a") == pytest.approx(around[0, 1], rel=1e-6)
    assert value(fit, "y.add") == pytest.approx(variance**0.5, rel=1e-5)
    # The error of an SD on f degrees of freedom: sd / sqrt(2 f), for the restricted likelihood.
    assert value(fit, "y.add", "se") == pytest.approx((variance / (2 * 45)) ** 0.5, rel=1e-4)
    np.testing.assert_allclose(fit["subjects"]["individual"], own, rtol=1e-6)
    assert value(fit, "a") + fit["etas"]["eta"][0, 0].item() == pytest.approx(own[0, 0])


@pytest.mark.parametrize("text", [LINE, BLOCK], ids=["diagonal", "block"])
def test_global_is_where_its_em_algorithm_ends(text):
    own, error, _ = least_squares()
    mean, omega, precision = own.mean(axis=0), np.cov(own.T), np.linalg.inv(error)
    for _ in range(4000):  # Steimer and others (1984)
        if text is LINE:
            omega = np.diag(np.diagonal(omega))
        within = np.linalg.inv(precision + np.linalg.inv(omega))
        drawn = (own @ precision + mean @ np.linalg.inv(omega)) @ within
        mean = drawn.mean(axis=0)
        omega = within + (drawn - mean).T @ (drawn - mean) / len(own)
    if text is LINE:
        omega = np.diag(np.diagonal(omega))
    fit = pkpd.fit(Model(text), lines()[0], TwoStage(method="global"))
    assert fit.status == "converged"
    for i, name in enumerate("ab"):
        assert value(fit, name) == pytest.approx(mean[i], rel=1e-4)
        assert value(fit, f"iiv.{name}") == pytest.approx(omega[i, i], rel=1e-3)
    if text is BLOCK:
        assert value(fit, "iiv.b,a") == pytest.approx(omega[0, 1], rel=2e-3)
    np.testing.assert_allclose(fit["subjects"]["individual"], drawn, rtol=1e-3)
    assert value(fit, "iiv.b") < value(pkpd.fit(Model(text), lines()[0], TwoStage()), "iiv.b")


def test_global_of_balanced_lines_is_the_maximum_of_the_likelihood():
    """Where everybody has the same design and all is normal, the residual variance splits off."""
    one, other = (pkpd.fit(Model(BLOCK), lines()[0], e) for e in (TwoStage(method="global"), FOCE()))
    assert one.verdict["marginal"].item() == pytest.approx(other.ofv, abs=1e-5)
    for name in ("a", "b", "iiv.a", "iiv.b", "iiv.b,a", "y.add"):
        assert value(one, name) == pytest.approx(value(other, name), rel=1e-3)
    assert np.isnan(one.attrs["aic"]) and "no likelihood of the population was maximised" in str(one)


def test_slopes():
    rng = np.random.default_rng(2)
    group = Group(names=("a", "b"), start=np.array([[1.0, 0.2], [0.2, 0.5]]), places=np.array([[0, 1]]), fixed=False,
                  kind="iiv")  # fmt: skip
    errors = np.array([0.1 * (k + 1) * np.eye(2) for k in range(4)])
    own = _Own(covariance=Covariance(groups=(group,), size=2), order=np.array([1, 0]),
               values=rng.standard_normal((4, 2)), errors=errors, known=False)  # fmt: skip
    x = np.concatenate([[0.3, -0.2], own.covariance.start])
    slopes = own(x).slopes.sum(axis=0)
    for k in range(5):
        step = 1e-6 * np.eye(5)[k]
        assert slopes[k] == pytest.approx((own(x + step).objective - own(x - step).objective) / 2e-6, abs=1e-6)


def test_order_and_threads_change_no_bit():
    data, _ = lines()
    order = np.random.default_rng(3).permutation(15)
    rows = (order[:, None] * 5 + np.arange(5)).ravel()
    other = read_data({name: data.columns[name][rows].tolist() for name in ("ID", "TIME", "DV")})
    for method in ("standard", "global"):
        one = pkpd.fit(Model(LINE), data, TwoStage(method=method, threads=1))
        two = pkpd.fit(Model(LINE), other, TwoStage(method=method, threads=2))
        np.testing.assert_array_equal(one.estimates["value"], two.estimates["value"])
        np.testing.assert_array_equal(one.estimates["se"], two.estimates["se"])


def few() -> Dataset:
    """Subject q has one record, r two of which one is below the limit."""
    rows = [("p", 0.0, 3.0, 0), ("p", 1.0, 3.5, 0), ("p", 2.0, 4.2, 0), ("q", 1.0, 3.0, 0), ("r", 0.0, 2.0, 0),
            ("r", 1.0, 1.0, 1), ("s", 0.0, 3.0, 0), ("s", 2.0, 3.9, 0), ("s", 3.0, 4.0, 0)]  # fmt: skip
    return read_data({key: [row[k] for row in rows] for k, key in enumerate(("ID", "TIME", "DV", "CENS"))})


@pytest.mark.parametrize("method", ["standard", "global"])
def test_too_few_records_are_refused_with_whose(method):
    with pytest.raises(CannotFit, match="fewer observed records than the 2 parameters: subject q, r"):
        pkpd.fit(Model(LINE), few(), TwoStage(method=method))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINE.replace(", iiv = 0.1", ", fixed = false"), "b has no variance between people"),
        (LINE.replace("iiv = 0.1", "iiv = 0.1, fixed = true"), "b is fixed, and has iiv"),
        (LINE.replace("iiv = 0.1", "iiv = 0.1, iov = 0.1"), "b differs between occasions"),
    ],
)
def test_refused(text, said):
    with pytest.raises(CannotFit, match=said):
        pkpd.fit(Model(text), lines()[0], TwoStage())
    with pytest.raises(CannotFit, match="method"):
        TwoStage(method="iterated")  # type: ignore[arg-type]


def test_too_few_people():
    _, y = lines()
    two = read_data({"ID": [1] * 5 + [2] * 5, "TIME": [*T, *T], "DV": y[:2].ravel().tolist()})
    with pytest.raises(CannotFit, match="2 subjects cannot tell a covariance matrix of 2 random effects"):
        pkpd.fit(Model(BLOCK), two, TwoStage())
