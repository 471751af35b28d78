"""How times grow with subjects, and fall with threads."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from tests.benchmarks.models import BENCHES
from tests.benchmarks.stage import Setting, Stage

_AT = Setting("explicit", 1e-8)


def _clocks(stage: Stage, threads: int) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds of the process, and CPU seconds of the thread that called."""
    wall, process, thread = time.perf_counter(), time.process_time(), time.thread_time()
    stage.ours(_AT, threads=threads)
    return time.perf_counter() - wall, time.process_time() - process, time.thread_time() - thread


def _alone(subjects: int, ready: Barrier, walls: Any, place: int) -> None:
    stage = Stage(BENCHES["nine"], subjects)
    stage.ours(_AT)
    ready.wait()
    begin = time.perf_counter()
    stage.ours(_AT)
    walls[place] = time.perf_counter() - begin


def threads(subjects: int = 4000, *, repeats: int = 5, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Two threads against one.

    The number that does not depend on who else uses the machine comes from CPU times: what the caller's thread spends
    with two threads cannot be shared, the rest is, because pieces are handed out one by one as threads become free.
    The speed-up on two idle processors is then ``cpu1 / (own + (cpu2 - own) / 2)``, where ``cpu2`` contains whatever
    the threads cost each other. The wall times are given beside it: one thread, two threads, and two processes of one
    thread with half of the subjects each, which nothing but the machine itself holds back.
    """
    stage = Stage(BENCHES["nine"], subjects)
    stage.ours(_AT)
    one, two, apart = [], [], []
    context = multiprocessing.get_context("spawn")
    for _ in range(repeats):
        one.append(_clocks(stage, 1))
        two.append(_clocks(stage, 2))
        ready, walls = context.Barrier(2), context.Array("d", 2)
        children = [context.Process(target=_alone, args=(subjects // 2, ready, walls, i)) for i in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        apart.append(max(walls[0], walls[1]))
    wall1, cpu1, _ = (statistics.median(column) for column in zip(*one, strict=True))
    wall2, cpu2, own = (statistics.median(column) for column in zip(*two, strict=True))
    wall_apart = statistics.median(apart)
    speedup = cpu1 / (own + (cpu2 - own) / 2)
    say(f"\nThreads, {subjects:,} subjects, {_AT}; load {os.getloadavg()[0]:.1f}")
    say(f"  one thread      wall {wall1:.3f} s, CPU {cpu1:.3f} s")
    say(f"  two threads     wall {wall2:.3f} s, CPU {cpu2:.3f} s, of which the caller's own {own:.3f} s")
    say(f"  two processes   wall {wall_apart:.3f} s, half of the subjects each")
    say(f"  speed-up: {speedup:.2f} by CPU accounting, {wall1 / wall2:.2f} by the wall clock")
    return {
        "subjects": subjects,
        "wall": [round(wall1, 4), round(wall2, 4)],
        "cpu": [round(cpu1, 4), round(cpu2, 4)],
        "own": round(own, 4),
        "wall_two_processes": round(wall_apart, 4),
        "speedup_cpu": round(speedup, 3),
        "speedup_wall": round(wall1 / wall2, 3),
        "load": round(os.getloadavg()[0], 2),
    }


def _sized(subjects: int, pipe: Any) -> None:
    Stage(BENCHES["nine"], 8).ours(_AT)  # machine code is loaded
    begin = time.process_time()
    stage = Stage(BENCHES["nine"], subjects)
    ready = time.process_time()
    stage.ours(_AT)
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send({"subjects": subjects, "bind": ready - begin, "predict": done - ready, "peak_mib": round(peak)})


def sizes(counts: tuple[int, ...], *, say: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Time and memory per subject for crowds of several sizes, each in a process of its own, one thread."""
    say(f"\nSize of the crowd, nine states, {_AT}, one thread")
    found = []
    context = multiprocessing.get_context("spawn")
    for subjects in counts:
        here, there = context.Pipe()
        child = context.Process(target=_sized, args=(subjects, there))
        child.start()
        there.close()
        row: dict[str, Any] = here.recv()
        child.join()
        each = {name: round(1e6 * row[name] / subjects, 2) for name in ("bind", "predict")}
        say(
            f"  {subjects:>9,} subjects: {each['predict']:.0f} us CPU each to predict, {each['bind']:.0f} us to bind,"
            f" peak memory {row['peak_mib']:,} MiB"
        )
        found.append({"subjects": subjects, "peak_mib": row["peak_mib"]} | {f"{k}_us": v for k, v in each.items()})
    return found
