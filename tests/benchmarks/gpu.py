"""A crowd on a GPU: ``python -m tests.benchmarks.gpu``, on a machine that has one, with the extra ``gpu`` installed.

The nine-state model with its 8 infusions and 100 times, 1,000,000 subjects, in blocks that share one schedule. For
each method: how long its kernels take to compile, how long all subjects take, and how far the first thousand are from
the processor's answers at the same tolerance and from a tight one.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from pkpd import engine
from pkpd.engine.cuda import check_device
from tests.benchmarks.models import BENCHES
from tests.benchmarks.stage import Setting, Stage, true_error

METHODS = ("auto", "explicit", "rosenbrock")


def crowd(stage: Stage, subjects: int) -> np.ndarray:
    """Parameters of everybody, (subjects, parameters); the first are those of the stage."""
    typical = np.array([p.typical for p in stage.program.model.parameters.values()])
    rest = stage.bench.values(stage.names, typical, max(subjects - stage.subjects, 0), seed=2)
    return np.concatenate([stage.values, rest])[:subjects]


def measure(stage: Stage, values: np.ndarray, method: str, rtol: float, compared: int) -> dict[str, Any]:
    """Times and errors of one method.

    Parameters
    ----------
    stage
        Whose schedule serves every block of subjects.
    values : (N, parameters) array
    method, rtol
        As `pkpd.engine.predict` takes them.
    compared
        Subjects that are also solved on the processor.
    """
    options: dict[str, Any] = {"method": method, "rtol": rtol}
    block = stage.subjects

    def on_gpu(some: np.ndarray) -> engine.Prediction:
        padded = np.concatenate([some, np.repeat(some[:1], block - len(some), axis=0)])
        return engine.predict(stage.program, stage.schedule, padded, device="cuda", **options)

    begin = time.perf_counter()
    first = on_gpu(values[:block])
    compiled = time.perf_counter()
    failures = 0
    for start in range(0, len(values), block):
        failures += len(on_gpu(values[start : start + block]).failures)
    done = time.perf_counter()
    small = Stage(stage.bench, compared)
    small.values = values[:compared]
    shape = (compared, len(stage.bench.times), -1)
    on_cpu, cpu, _ = small.ours(Setting(method, rtol))
    tight, *_ = small.ours(Setting("rosenbrock", 1e-12), max_steps=10_000_000)
    found = first.f[: compared * len(stage.bench.times)].reshape(shape)
    return {
        "method": method,
        "rtol": rtol,
        "subjects": len(values),
        "block": block,
        "first_block_with_compilation_s": round(compiled - begin, 2),
        "all_s": round(done - compiled, 3),
        "us_each": round(1e6 * (done - compiled) / len(values), 3),
        "failures": failures,
        "methods": sorted(set(first.method.tolist())),
        "cpu_one_thread_us_each": round(1e6 * cpu / compared, 1),
        "from_cpu": true_error(found, on_cpu),
        "true_error": true_error(found, tight),
        "true_error_cpu": true_error(on_cpu, tight),
    }


def main() -> None:
    """Measure and print, a line of JSON for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--block", type=int, default=100_000)
    parser.add_argument("--compared", type=int, default=1000)
    parser.add_argument("--rtol", type=float, default=1e-8)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    given = parser.parse_args()
    check_device("cuda")
    block = min(given.block, given.subjects)
    stage = Stage(BENCHES["nine"], block)
    values = crowd(stage, given.subjects)
    for method in given.methods:
        print(json.dumps(measure(stage, values, method, given.rtol, min(given.compared, block))), flush=True)


if __name__ == "__main__":
    main()
