"""The solver on a GPU against the same solver on the processor, in numba's simulator; and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pkpd.cli import main
from pkpd.engine import bind, predict
from pkpd.engine.cuda import check_device
from pkpd.errors import UsageError
from tests.engine import gpu_cases
from tests.engine.draws import network, program_of

ROOT = Path(__file__).parents[2]


def simulated(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, in which GPU code is Python code."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def answers() -> dict:
    """Every case, on the processor and in the simulator."""
    found = simulated("-c", "from numba import cuda; cuda.to_device")
    if found.returncode:
        pytest.skip(f"numba has no CUDA simulator here: {found.stderr.strip().splitlines()[-1]}")
    run = simulated("-m", "tests.engine.gpu_cases")
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("case", gpu_cases.CASES)
def test_a_gpu_gives_the_same_numbers(answers, case):
    cpu, gpu = answers[case]["cpu"], answers[case]["cuda"]
    assert gpu["method"] == cpu["method"]
    assert gpu["failures"] == cpu["failures"]
    np.testing.assert_allclose(gpu["steps"], cpu["steps"], rtol=0.05, atol=2)
    f, wanted = np.array(gpu["f"]), np.array(cpu["f"])
    # Additions and multiplications are fused in one and not in the other; steps may end elsewhere in the last digits.
    np.testing.assert_allclose(f, wanted, rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(wanted)))
    if cpu["df"] is not None:
        df, wanted = np.array(gpu["df"]), np.array(cpu["df"])
        largest = np.nanmax(np.abs(wanted), axis=0)
        assert (np.abs(df - wanted) <= 1e-8 * largest).all()


def test_the_cases_are_of_every_method(answers):
    met = {method for case in answers.values() for method in case["cuda"]["method"]}
    parts = {f"exact + {method}" for method in ("collocation", "explicit", "rosenbrock")}
    assert met == {"exact", *parts, "explicit", "rosenbrock"}


def test_a_failure_leaves_the_others_alone(answers):
    lost = np.isnan(answers["failures"]["cuda"]["f"]).reshape(7, -1)
    assert lost.all(axis=1).tolist() == [False, True, False, True, False, True, False]
    assert len(answers["failures"]["cuda"]["failures"]) == 3


SIMULATE = """
import warnings
import numpy as np
import pkpd
warnings.simplefilter("ignore", RuntimeWarning)
model = pkpd.load("theophylline_boeckmann1994")
plan = {"once": "320 mg oral", "twice": "160 mg oral every 6 h x 2"}
given = dict(times=[1, 4, 9], n=3, seed=7)
cpu, gpu = (pkpd.simulate(model, plan, **given, device=device) for device in ("cpu", "cuda"))
np.testing.assert_allclose(gpu["cp"], cpu["cp"], rtol=1e-10)
assert gpu.attrs == cpu.attrs
"""


def test_simulate_on_a_gpu(answers):
    run = simulated("-c", SIMULATE)
    assert run.returncode == 0, run.stderr[-4000:]


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="`cdua` is not a device") as caught:
        check_device("cdua")
    assert caught.value.expected == "One of cpu, cuda."
    assert caught.value.remedy == "Did you mean `cuda`?"


def test_a_gpu_without_the_extra_is_refused(monkeypatch):
    monkeypatch.setattr("pkpd.engine.cuda._simulated", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    model = network(1)
    schedule = bind(program_of(model), gpu_cases.people("boluses"))
    with pytest.raises(UsageError, match="numba-cuda is not installed") as caught:
        predict(program_of(model), schedule, gpu_cases.with_lag(model), device="cuda")
    assert "pkpd-timecourse[gpu]" in str(caught.value.remedy)


class _NoGpu:
    def is_available(self) -> bool:
        return False

    def cuda_error(self) -> str:
        return "\nCUDA driver library cannot be found.\n"


def test_no_gpu_is_refused(monkeypatch):
    monkeypatch.setattr("pkpd.engine.cuda._simulated", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("pkpd.engine.cuda._cuda", _NoGpu)
    with pytest.raises(UsageError, match="no GPU can be used: CUDA driver library cannot be found\\."):
        check_device("cuda")


def test_the_command_line_refuses_a_device(capsys):
    given = ["simulate", "theophylline_boeckmann1994", "--dose", "320 mg oral", "--until", "4", "--device", "gpu"]
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(main(given))
    assert caught.value.code == 2
    assert "`gpu` is not a device" in capsys.readouterr().err
