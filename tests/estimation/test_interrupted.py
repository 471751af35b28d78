"""Long work that is killed, or stopped by hand: the same numbers when it goes on, and what was found so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.errors import FitFileError
from pkpd.estimation import SAEM
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.stochastic import Search
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
