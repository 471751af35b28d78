"""Long work that is killed, or stopped by hand: the same numbers when it goes on, and what was found so far."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pkpd
from pkpd import project
from pkpd.errors import FitFileError
from pkpd.estimation import SAEM, population, profiles
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.outer import Outer
from pkpd.estimation.stochastic import Search
from pkpd.estimation.verdict import BY_HAND
from pkpd.project.single import Single
from tests.estimation.test_saem import BLOCK, decline, seen

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BRIEF = SAEM(seed=4, burn=30, smooth=50)
BEGIN = """
import sys
import pkpd
from pkpd.estimation import checkpoint
from tests.estimation.test_interrupted import *
"""


def started(script: str, *words: str) -> subprocess.Popen[str]:
    """A Python of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + script, *words],
        cwd=REPOSITORY,
        env={**os.environ},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def same(one: pkpd.Fit, other: pkpd.Fit) -> bool:
    """Whether two fits agree to the bit."""
    assert set(one.tree.children) == set(other.tree.children)
    apart = {"created", "seconds"}
    attrs = [{k: v for k, v in fit.attrs.items() if k not in apart} for fit in (one, other)]
    return attrs[0] == attrs[1] and all(one[name].identical(other[name]) for name in one.tree.children)


# What SAEM remembers from iteration to iteration differs between these.
MODELS = {
    "plain": (decline(), seen(12)),
    "block, and a parameter in steps": (
        decline("fixed = false", "fixed = false", law="add = 0.3, prop = 0.3", omega=BLOCK),
        seen(12, add=0.4),
    ),
    "occasions": (decline("iiv = 0.05, iov = 0.05", "fixed = false"), seen(12, sd_k=0.0, occasions=2)),
}


@lru_cache
def undisturbed(case: str) -> pkpd.Fit:
    return pkpd.fit(*MODELS[case], BRIEF)


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("at", [1, 30, 47, 80])
def test_saem_goes_on_with_the_same_bits(case, at, tmp_path, monkeypatch):
    model, data = MODELS[case]
    iterate = Search.iterate

    def stopping(self, state):
        if state.iteration == at:
            raise KeyboardInterrupt
        return iterate(self, state)

    kept = replace(BRIEF, checkpoint=tmp_path / "work.npz")
    monkeypatch.setattr(Search, "iterate", stopping)
    part = pkpd.fit(model, data, kept)
    assert ("Stopped by hand" in part.message) is (at < 80)
    monkeypatch.setattr(Search, "iterate", iterate)
    assert same(pkpd.fit(model, data, kept), undisturbed(case))
    assert "npz" not in str(part.attrs)


def test_a_longer_end_goes_on_from_a_shorter_one(tmp_path):
    model, data = MODELS["plain"]
    path = tmp_path / "work.npz"
    pkpd.fit(model, data, replace(BRIEF, checkpoint=path))
    longer = replace(BRIEF, smooth=70)
    assert same(pkpd.fit(model, data, replace(longer, checkpoint=path)), pkpd.fit(model, data, longer))
    with pytest.raises(FitFileError, match=r"100 iterations(.|\n)*smooth=70"):
        pkpd.fit(model, data, replace(BRIEF, checkpoint=path))


KILLED = """
checkpoint._EVERY = checkpoint._TIMES = 0.0  # after every iteration
pkpd.fit(*MODELS["plain"], replace(BRIEF, smooth=200, checkpoint=sys.argv[1]))
"""


def test_killed_saem_comes_back_with_the_same_bits(tmp_path):
    path, done = tmp_path / "work.npz", [0]
    for _ in range(3):
        process = started(KILLED, str(path))
        try:
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                if path.exists() and _iterations(path) > done[-1] + 20:
                    break
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        done.append(_iterations(path))
    assert 60 < done[-1] < 230
    kept = replace(BRIEF, smooth=200, checkpoint=path)
    assert same(pkpd.fit(*MODELS["plain"], kept), pkpd.fit(*MODELS["plain"], replace(BRIEF, smooth=200)))


def _iterations(path: Path) -> int:
    with np.load(path) as file:
        return int(file["iteration"])


def test_a_checkpoint_of_other_work_is_refused_with_what_differs(tmp_path):
    model, data = MODELS["plain"]
    kept = SAEM(seed=4, burn=2, smooth=2, checkpoint=tmp_path / "work.npz")
    first = pkpd.fit(model, data, kept)
    other = [
        (model.set({"a": 8.0}), data, kept, {}, "model is "),
        (model, seen(13), kept, {}, "data is "),
        (model, data, replace(kept, seed=5), {}, r"options is seed=5, chains=3(.|\n)*there seed=4, chains=3"),
        (model, data, replace(kept, burn=3), {}, "options is "),
        (model, data, kept, {"fixed": ["y.prop"]}, "fixed is y.prop, there "),
    ]
    for model_, data_, estimator, options, said in other:
        with pytest.raises(FitFileError, match=said):
            pkpd.fit(model_, data_, estimator, **options)
    # What only concerns the standard errors, or the way it is computed, may change.
    again = pkpd.fit(model, data, replace(kept, covariance="R", threads=1))
    np.testing.assert_array_equal(again.estimates.value.values, first.estimates.value.values)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    """Cut anywhere, or with any byte changed, a file is refused, or holds the same numbers."""
    model, data = MODELS["plain"]
    path = tmp_path / "work.npz"
    pkpd.fit(model, data, SAEM(seed=4, burn=2, smooth=2, checkpoint=path))
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    with np.load(path) as file:
        expected = {name: file[name] for name in file.files}
    refused = 0
    for number in range(300):
        at = int(rng.integers(len(whole)))
        damaged = whole[:at] if number % 3 == 0 else whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        path.write_bytes(damaged)
        try:
            found = Checkpoint(path=path, key={}).load()
        except FitFileError as error:
            assert "damaged" in str(error)
            refused += 1
        else:
            assert found is not None
            for name, array in expected.items():
                assert name == "key" or found[name].tobytes() == array.tobytes()
    assert refused > 200


def test_a_checkpoint_that_cannot_be_written_is_told_at_once(tmp_path):
    with pytest.raises(FitFileError, match="cannot be written"):
        pkpd.fit(*MODELS["plain"], replace(BRIEF, checkpoint=tmp_path / "nowhere" / "work.npz"))


# Ctrl-C at many moments, in compiled code or not: each time all is undone or something sound is given.
STOPPED = """
import threading
def attempt(delay, work):
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    began = time.perf_counter()
    try:
        timer.start()
        found = work()
        timer.cancel(); timer.join()
        said = f"{found.status}|{found.message}|{found.ofv}|{np.isfinite(found.estimates.value.values).all()}"
    except KeyboardInterrupt:
        said = "interrupted"
    print(f"{delay}|{time.perf_counter() - began:.2f}|{said}", flush=True)
model, data = decline(), seen(int(sys.argv[2]))
estimator = eval(sys.argv[1])
pkpd.fit(model, data, estimator)
began = time.perf_counter()
pkpd.fit(model, data, estimator)
usual = time.perf_counter() - began
for share in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
    attempt(share * usual, lambda: pkpd.fit(model, data, estimator))
# After all of them the numbers are what they were.
whole = pkpd.fit(model, data, estimator)
print(repr(whole.ofv))
"""


@pytest.mark.parametrize(
    ("estimator", "people"),
    [("pkpd.FOCE(tolerance=1e-10)", 300), ("pkpd.Laplace()", 100), ("SAEM(seed=4, burn=60, smooth=40)", 30)],
)
def test_ctrl_c_gives_the_estimates_so_far(estimator, people):
    process = started(STOPPED, estimator, str(people))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    *lines, last = out.splitlines()
    said = [line.split("|", 2)[2] for line in lines]
    whole = pkpd.fit(decline(), seen(people), eval(estimator))
    assert float(last) == whole.ofv
    stops = [one.split("|") for one in said if "Stopped by hand" in one]
    assert stops, out
    for status, message, objective, finite in stops:
        assert finite == "True"
        late = "before the standard errors were known" in message
        assert status == ("converged" if late else "not converged")
        assert float(objective) >= whole.ofv - 1e-3 or "SAEM" in estimator
    for one in said:
        assert one == "interrupted" or "Stopped by hand" in one or one.startswith("converged"), one


def test_ctrl_c_in_a_search_skips_the_standard_errors(monkeypatch):
    look, looks = Outer.__call__, []

    def stopping(self, x):
        looks.append(look(self, x).objective)
        if len(looks) == 7:
            raise KeyboardInterrupt
        return look(self, x)

    monkeypatch.setattr(Outer, "__call__", stopping)
    found = pkpd.fit(*MODELS["plain"], pkpd.FOCE())
    assert found.status == "not converged"
    assert found.message.startswith("Stopped by hand after ") and "the estimates so far" in found.message
    assert found.ofv == min(looks[:6])
    assert np.isnan(found.estimates.se.values).all()


def test_ctrl_c_in_the_covariance_step_keeps_the_minimum(monkeypatch):
    stop_after(monkeypatch, population, "find_precision", 0)
    found = pkpd.fit(*MODELS["plain"], pkpd.FOCE())
    assert found.status == "converged" and "before the standard errors were known" in found.message
    assert np.isnan(found.estimates.se.values).all()


def test_ctrl_c_before_anything_is_known(monkeypatch):
    stop_after(monkeypatch, Outer, "slopes", 0)
    with pytest.raises(KeyboardInterrupt):
        pkpd.fit(*MODELS["plain"], pkpd.FOCE())


def stop_after(monkeypatch, owner: object, name: str, calls: int) -> None:
    """Make Ctrl-C come in a call of a method."""
    true, made = getattr(owner, name), []

    def stopping(*args, **options):
        made.append(1)
        if len(made) > calls:
            raise KeyboardInterrupt
        return true(*args, **options)

    monkeypatch.setattr(owner, name, stopping)


def test_profiles_and_samples_that_are_stopped(monkeypatch):
    sir = sys.modules["pkpd.estimation.sir"]
    model, data = MODELS["plain"]
    fit = pkpd.fit(model, data, pkpd.FOCE())
    how = pkpd.Profile(parameters=("a", "k", "y.prop"), points=0)
    whole = pkpd.profile(fit, data, how)
    with monkeypatch.context() as patch:
        stop_after(patch, profiles._Side, "run", 3)
        part = pkpd.profile(fit, data, how, interval="profile")
    assert part["profile"]["parameter"].values.tolist() == ["a"]
    assert "stopped by hand after 1 of 3 quantities" in str(part)
    assert part["profile"]["lower"].item() == whole["profile"]["lower"].sel(parameter="a").item()
    assert part.estimates["lower"].sel(parameter="k").item() == fit.estimates["lower"].sel(parameter="k").item()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, profiles._Side, "run", 1)
        pkpd.profile(fit, data, how)
    sample = pkpd.SIR(seed=1, samples=60, resamples=20, rounds=2)
    first = pkpd.sir(fit, data, replace(sample, rounds=1))
    with monkeypatch.context() as patch:
        stop_after(patch, sir, "_resample", 1)
        part = pkpd.sir(fit, data, sample)
    assert "stopped by hand after 1 of 2 rounds" in str(part)
    np.testing.assert_array_equal(part["posterior"]["a"].values, first["posterior"]["a"].values)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, sir, "_resample", 0)
        pkpd.sir(fit, data, sample)


SLOW = """
fit = pkpd.fit(*MODELS["plain"], pkpd.FOCE())
print("begun", flush=True)
found = pkpd.bootstrap(fit, MODELS["plain"][1], pkpd.Bootstrap(seed=1, draws=100_000), checkpoint=sys.argv[1])
print(found["bootstrap"].sizes["replicate"], *[note for note in found.attrs["notes"].splitlines() if "stopped" in note])
"""


def test_a_bootstrap_that_is_stopped_keeps_what_it_has(tmp_path):
    path = tmp_path / "work.npz"
    process = started(SLOW, str(path))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    done = int(out.split()[0])
    assert f"stopped after {done} of 100000 replicates" in out
    with np.load(path) as file:
        assert len(file["number"]) == done


def test_ctrl_c_in_a_folder_leaves_the_old_results(tmp_path):
    folder = tmp_path / "fit"
    shutil.copytree(REPOSITORY / "fits" / "indometacin_pooled", folder)
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    script = """
import threading
from pkpd.cli import main
from pkpd.project import single
refit = single.Single.refit
def slow(self):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        refit(self)
single.Single.refit = slow
sys.exit(main(["run", sys.argv[1]]))
"""
    process = started(script, str(folder))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Stopped. Nothing was written into" in err and "Traceback" not in err
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before


def test_estimates_so_far_are_no_results_of_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "fit"
    shutil.copytree(REPOSITORY / "fits" / "indometacin_pooled", folder)
    before = (folder / "result.nc").read_bytes()
    refit = Single.refit

    def stopped(self):
        fit = refit(self)
        verdict = fit.verdict.copy()
        verdict["message"] = verdict["message"].copy(data=np.full(verdict["message"].shape, f"{BY_HAND} after 3."))
        fit.tree["verdict"] = xr.DataTree(dataset=verdict)
        return fit

    monkeypatch.setattr(Single, "refit", stopped)
    with pytest.raises(KeyboardInterrupt):
        project.run(folder)
    assert (folder / "result.nc").read_bytes() == before
