"""Bootstraps: what is drawn, what is counted, and that killed work comes back with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, FitFileError, MismatchError, UsageError
from pkpd.estimation import FOCE, replicates
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.recall import recall
from pkpd.estimation.replicates import Refit, Replicate
from pkpd.estimation.series import pack, unpack
from pkpd.estimation.spread import acceleration, bca, percentile
from tests.one_way import as_data, drawn, one_way_model

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Y = drawn(4, 10, 3)
ARM = ["a"] * 12 + ["b"] * 18


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return as_data(Y, ARM=ARM)


@pytest.fixture(scope="module")
def fit(data) -> pkpd.Fit:
    return pkpd.fit(one_way_model(), data, FOCE())


def refit(fit: pkpd.Fit, data: pkpd.Dataset, *, parametric: bool = False, strata: np.ndarray | None = None) -> Refit:
    known = recall(fit, data, "test")
    people = len(known.population.problem.subjects)
    return Refit(
        known=known,
        population=known.population,
        strata=np.zeros(people, dtype=int) if strata is None else strata,
        hessian=known.curvature()[0],
        seed=1,
        parametric=parametric,
        most=100,
    )


def same(one: pkpd.Fit, other: pkpd.Fit) -> bool:
    return all(one[group].identical(other[group]) for group in ("bootstrap", "posterior", "sample_stats"))


def test_drawn_subjects_are_subjects_of_their_own(fit, data):
    again = refit(fit, data)
    index = again.draw_subjects(0)
    population, _ = again.draw(0)
    assert len(set(population.problem.subjects)) == 10 > len(set(index.tolist()))
    np.testing.assert_array_equal(population.problem.observations.dv.reshape(10, 3), Y[index])
    outer, all_ = again.known.outer(population), again.known.outer()
    x = again.known.x
    np.testing.assert_allclose(outer(x).marginal.each, all_(x).marginal.each[index], rtol=1e-12)


def test_strata_keep_their_sizes(fit, data):
    strata = np.array([0] * 4 + [1] * 6)
    again = refit(fit, data, strata=strata)
    for number in range(5):
        index = again.draw_subjects(number)
        assert np.bincount(strata[index]).tolist() == [4, 6]
    found = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=3, stratify="ARM"))["bootstrap"]
    assert found.attrs["stratify"] == "ARM"


@pytest.mark.parametrize(
    ("column", "said"), [("DOG", "no column"), ("TIME", "values of TIME"), ("ID", "different for every subject")]
)
def test_strata_that_are_none(fit, data, column: str, said: str):
    with pytest.raises(CannotFit, match=said):
        pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=1, draws=3, stratify=column))


def test_every_draw_differs_and_does_not_hang_on_the_others(fit, data):
    ten = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=10))
    four = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=4))
    assert len(set(ten["bootstrap"]["hash"].values.tolist())) == 10
    assert ten["bootstrap"].attrs["duplicates"] == 0
    np.testing.assert_array_equal(ten["posterior"]["theta"].values[:, :4], four["posterior"]["theta"].values)
    other = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=3, draws=4))
    assert not set(other["bootstrap"]["hash"].values.tolist()) & set(ten["bootstrap"]["hash"].values.tolist())


@pytest.mark.parametrize("method", ["case", "parametric"])
def test_the_numbers_do_not_depend_on_threads(data, method: str):
    how = pkpd.Bootstrap(seed=2, draws=4, method=method)
    one, two = (pkpd.bootstrap(pkpd.fit(one_way_model(), data, FOCE(threads=threads)), data, how) for threads in (1, 2))
    assert same(one, two)


def test_the_order_of_the_file_does_not_count(fit, data):
    order = [4, 2, 9, 0, 1, 3, 8, 7, 6, 5]
    shuffled = pkpd.read_data(
        {
            "ID": np.repeat(np.array(order) + 1, 3).tolist(),
            "TIME": np.tile([0.0, 1.0, 2.0], 10).tolist(),
            "DV": Y[order].ravel().tolist(),
            "ARM": ["a" if k < 4 else "b" for k in np.repeat(order, 3)],
        }
    )
    other = pkpd.fit(one_way_model(), shuffled, FOCE())
    for method in ("case", "parametric"):
        how = pkpd.Bootstrap(seed=2, draws=4, method=method)
        mine, theirs = (pkpd.bootstrap(*pair, how)["posterior"] for pair in ((fit, data), (other, shuffled)))
        np.testing.assert_allclose(theirs["theta"].values, mine["theta"].values, rtol=1e-4)


def test_parametric_draws_follow_the_model(fit, data):
    again = refit(fit, data, parametric=True)
    y = np.array([again.draw(number)[0].problem.observations.dv for number in range(400)]).reshape(400, 10, 3)
    value = dict(zip(fit.estimates["parameter"].values.tolist(), fit.estimates["value"].values.tolist()))
    assert y.mean() == pytest.approx(value["theta"], abs=4 * (value["iiv.theta"] / 4000) ** 0.5 + 0.02)
    assert y.var(axis=2, ddof=1).mean() == pytest.approx(value["y.add"] ** 2, rel=0.07)
    between = y.mean(axis=2).var(axis=0, ddof=1).mean() - value["y.add"] ** 2 / 3
    assert between == pytest.approx(value["iiv.theta"], rel=0.12)


def test_parametric_draws_are_censored_as_the_data_are():
    y, limit = drawn(4, 10, 3), 9.5
    low = y < limit
    table = {
        "ID": np.repeat(np.arange(10), 3).tolist(),
        "TIME": np.tile([0.0, 1.0, 2.0], 10).tolist(),
        "DV": np.where(low, limit, y).ravel().tolist(),
        "CENS": low.ravel().astype(int).tolist(),
    }
    data = pkpd.read_data(table)
    again = refit(pkpd.fit(one_way_model(), data, FOCE()), data, parametric=True)
    shares = []
    for number in range(50):
        density = again.draw(number)[0].density
        np.testing.assert_array_equal(density.censored, density.observed < limit)
        assert (density.upper[density.censored] == limit).all()
        shares.append(density.censored.mean())
    assert np.mean(shares) == pytest.approx(low.mean(), abs=0.12)


def test_failures_are_counted_and_listed(fit, data, monkeypatch):
    true = replicates.search_again

    def search(known, population, **options):
        if len({name.split("#")[0] for name in population.problem.subjects}) % 2:
            raise np.linalg.LinAlgError("Singular matrix")
        return true(known, population, **options)

    monkeypatch.setattr(replicates, "search_again", search)
    found = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=12))
    failed = found["bootstrap"]["status"].values == "failed"
    assert 0 < failed.sum() == found["bootstrap"].attrs["failed"] < 12
    assert set(found["bootstrap"]["message"].values[failed].tolist()) == {"Singular matrix"}
    assert found["posterior"].sizes["draw"] == 12 - failed.sum()
    assert f"12 replicates, {failed.sum()} failed" in str(found)


def test_intervals_take_their_place_and_are_named(fit, data, tmp_path):
    for interval, name in (("percentile", "lower"), ("bca", "bca_lower")):
        found = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=20), interval=interval)
        own = found.estimates["lower"].sel(parameter=["theta", "y.add", "iiv.theta"]).values
        np.testing.assert_array_equal(own, found["bootstrap"][name].values)
        assert "bootstrap, case" in found.attrs["interval"]
    assert "Wald" in fit.attrs["interval"] and "bootstrap" not in fit.tree.children
    found.save(tmp_path / "fit.nc")
    assert pkpd.load_fit(tmp_path / "fit.nc").identical(found)


def test_a_checkpoint_goes_on_with_the_same_numbers(fit, data, tmp_path, monkeypatch):
    path, true = tmp_path / "work.npz", Refit.__call__
    undisturbed = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=14))

    def stopped(self, number):
        if number == 8:
            raise KeyboardInterrupt
        return true(self, number)

    monkeypatch.setattr(Refit, "__call__", stopped)
    part = pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=14), checkpoint=path)
    assert part["bootstrap"].sizes["replicate"] == 8 and "stopped after 8 of 14" in str(part)
    monkeypatch.setattr(Refit, "__call__", true)
    assert same(pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=14), checkpoint=path), undisturbed)
    with pytest.raises(FitFileError, match="other work"):
        pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=3, draws=14), checkpoint=path)
    path.write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(FitFileError, match="damaged"):
        pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=2, draws=14), checkpoint=path)


def test_a_checkpoint_keeps_every_bit(tmp_path):
    one = Replicate(number=3, x=np.array([0.1, np.nan]), objective=1 / 3, status="failed", message="mü", hash="ab")
    file = Checkpoint(path=tmp_path / "a", key={"work": "1"})
    assert file.load() is None
    file.save(pack([one]))
    (back,) = unpack(Replicate, file.load())
    assert back.x.tobytes() == one.x.tobytes()
    assert (back.number, back.objective, back.message, back.hash) == (3, 1 / 3, "mü", "ab")


KILLED = """
import sys
import pkpd
from tests.estimation.test_bootstrap import ARM, Y
from tests.one_way import as_data, one_way_model
data = as_data(Y, ARM=ARM)
fit = pkpd.fit(one_way_model(), data, pkpd.estimation.FOCE())
pkpd.bootstrap(fit, data, pkpd.Bootstrap(seed=7, draws=100_000), checkpoint=sys.argv[1])
"""


def test_killed_work_comes_back_with_the_same_numbers(fit, data, tmp_path):
    path = tmp_path / "work.npz"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=REPOSITORY, env={**os.environ})
    try:
        deadline = time.monotonic() + 120
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    with np.load(path) as file:
        done = len(file["number"])
    assert done >= 5
    how = pkpd.Bootstrap(seed=7, draws=done + 6)
    assert same(pkpd.bootstrap(fit, data, how, checkpoint=path), pkpd.bootstrap(fit, data, how))


def test_what_is_refused(fit, data):
    with pytest.raises(UsageError, match="seed"):
        pkpd.Bootstrap(seed=None)
    with pytest.raises(UsageError, match="method"):
        pkpd.Bootstrap(seed=1, method="wild")
    with pytest.raises(MismatchError, match="not what was fitted"):
        pkpd.bootstrap(fit, as_data(Y + 1e-9), pkpd.Bootstrap(seed=1, draws=3))
    started = pkpd.fit(one_way_model(), data, FOCE(max_iterations=0, covariance=None))
    with pytest.raises(CannotFit, match="not converged"):
        pkpd.bootstrap(started, data, pkpd.Bootstrap(seed=1, draws=3))


def test_bca_without_bias_or_acceleration_is_the_percentile():
    draws = np.linspace(-1, 1, 2001)[:, None] ** 3
    plain, corrected = percentile(draws, 0.9), bca(draws, np.zeros(1), np.zeros(1), 0.9)
    np.testing.assert_allclose(corrected, plain, rtol=1e-12)
    # The influences of a mean are the deviations: a sixth of their skewness over the root of their number.
    x = np.random.default_rng(1).exponential(size=(50, 1))
    skew = ((x - x.mean()) ** 3).mean() / x.var() ** 1.5
    assert acceleration(x, np.zeros(50, dtype=int))[0] == pytest.approx(skew / (6 * 50**0.5))
    assert np.isnan(bca(draws, np.full(1, 5.0), np.zeros(1), 0.9)).all()
