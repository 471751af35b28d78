"""How long until the first result, each in a process of its own with a cache directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_CHILD = """
import json, sys, time
import pkpd
from pkpd import engine
from pkpd.data import Events
from tests.benchmarks.models import BENCHES
bench = BENCHES[sys.argv[1]]
dose = "35 mg iv over 40 min" if bench.route == "iv" else "100 mg oral"
wall, cpu = time.perf_counter(), time.process_time()
program = engine.compile_model(pkpd.Model(bench.text))
events = Events.from_regimens([("1", dose, [1, 2, 4, 8], {})], time_unit="h")
typical = [parameter.typical for parameter in pkpd.Model(bench.text).parameters.values()]
answer = engine.predict(program, engine.bind(program, events), typical)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))
assert not answer.failures
"""


def _child(bench: str, cache: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, bench],
        cwd=_ROOT,
        env=os.environ | {"PKPD_CACHE_DIR": cache, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def startup(*, repeats: int = 3, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Seconds from a model's text to the first numbers, after imports.

    Returns
    -------
    dict
        ``solver``: with an empty cache, less what a new model takes; ``new``: a model never seen, the solver there;
        ``later``: the same model in a later process. Each with wall and CPU seconds; of `repeats` processes the one
        that others on the machine held up least.
    """

    def undisturbed(runs: list[dict[str, float]]) -> dict[str, float]:
        return min(runs, key=lambda run: run["wall"])

    new, later = [], []
    with tempfile.TemporaryDirectory() as cache:
        first = _child("oral", cache)
        held = {path.name: path.read_bytes() for path in Path(cache).rglob("*") if path.is_file()}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as fresh:
                for name, content in held.items():
                    (Path(fresh) / name).write_bytes(content)
                new.append(_child("nine", fresh))
                later.append(_child("nine", fresh))
    found = {"new": undisturbed(new), "later": undisturbed(later)}
    found["solver"] = {clock: first[clock] - found["new"][clock] for clock in ("wall", "cpu")}
    say(f"\nFrom text to numbers, after imports; load {os.getloadavg()[0]:.1f}")
    titles = {"solver": "the solver, once a machine", "new": "a model never seen", "later": "in a later process"}
    for name, title in titles.items():
        say(f"  {title:<28} wall {found[name]['wall']:6.2f} s, CPU {found[name]['cpu']:6.2f} s")
    return {name: {k: round(v, 3) for k, v in row.items()} for name, row in found.items()}
