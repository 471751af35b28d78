"""Times beside true errors, for the package and for LSODA: ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pkpd
from tests.benchmarks.models import BENCHES
from tests.benchmarks.populations import populations
from tests.benchmarks.scaling import sizes, threads
from tests.benchmarks.scan import FEWER, work_precision
from tests.benchmarks.stage import Stage
from tests.benchmarks.startup import startup

RESULTS = Path(__file__).with_name("results.json")
OTHERS = ("threads", "sizes", "startup", "populations")
#: What is wanted: title, where the number is, whether more or less is better, how much.
TARGETS: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
    ("General path, times LSODA", ("nine", "ratio", "general"), ">=", 5.0),
    ("Linear kinetics into an effect, times LSODA", ("nine", "ratio", "any"), ">=", 20.0),
    ("Stiff variant, times LSODA", ("stiff", "ratio", "any"), ">=", 5.0),
    ("Sensitivities to 8 parameters, times LSODA", ("sensitivities", "ratio", "any"), ">=", 8.0),
    ("Two compartments, oral: ms per 1,000 subjects", ("oral", "ms_per_1000"), "<=", 20.0),
    ("Two threads, times one (CPU accounting)", ("threads", "speedup_cpu"), ">=", 1.7),
    ("A model never seen, s", ("startup", "new", "wall"), "<=", 1.0),
    ("The same in a later process, s", ("startup", "later", "wall"), "<=", 0.3),
    ("The solver, once a machine, CPU s", ("startup", "solver", "cpu"), "<=", 15.0),
    ("Theophylline FOCE-I with covariance, s", ("populations", "theophylline", "wall"), "<=", 0.4),
    ("Theophylline SAEM, s", ("populations", "theophylline_saem", "wall"), "<=", 2.0),
    ("80 people, 1,520 records, FOCE-I, s", ("populations", "eighty", "wall"), "<=", 3.0),
    ("Turnover, 32 people, 512 records, FOCE-I, s", ("populations", "effect", "wall"), "<=", 10.0),
    ("Turnover, SAEM, s", ("populations", "effect_saem", "wall"), "<=", 15.0),
    ("1,000 people, 10,000 records, FOCE-I, s", ("populations", "thousand", "wall"), "<=", 30.0),
    ("The same, peak memory, MiB", ("populations", "thousand", "peak_mib"), "<=", 2048.0),
)


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def circumstances() -> dict[str, Any]:
    """Date, machine and versions."""
    names = ("numpy", "scipy", "numba", "llvmlite")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {"pkpd": pkpd.__version__} | {name: version(name) for name in names},
    }


def measure(name: str, subjects: int, *, repeats: int, million: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """One case of the benchmark, as a record."""
    if name == "threads":
        found = threads(4 * subjects, repeats=repeats, say=say)
    elif name == "startup":
        found = startup(say=say)
    elif name == "populations":
        found = populations(repeats=repeats, say=say)
    elif name == "sizes":
        counts = (1_000, 10_000, 100_000) + ((1_000_000,) if million else ())
        found = {"rows": sizes(tuple(n * subjects // 1000 for n in counts), say=say)}
    else:
        stage = Stage(BENCHES[name], max(8, subjects * FEWER.get(name, 1000) // 1000))
        found = work_precision(stage, repeats=repeats, say=say)
        if "any" in found["fastest"]:
            found["ms_per_1000"] = round(1e6 * found["fastest"]["any"]["cpu"] / stage.subjects, 3)
    return found | {"measured": circumstances()}


def verdicts(cases: dict[str, Any]) -> list[dict[str, Any]]:
    """The targets beside what was measured."""
    found = []
    for title, path, sense, wanted in TARGETS:
        value: Any = cases
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        met = None if value is None else bool(value >= wanted if sense == ">=" else value <= wanted)
        found.append({"title": title, "wanted": f"{sense} {wanted:g}", "measured": value, "met": met})
    return found


def _say(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured; cases not run keep their last numbers."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--subjects", type=int, default=1000, help="size of the crowd (default 1000)")
    parser.add_argument("--only", action="append", choices=[*BENCHES, *OTHERS], help="one case; may be given again")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of the fastest settings (default 5)")
    parser.add_argument("--million", action="store_true", help="1,000,000 subjects too (about 30 GB of memory)")
    parser.add_argument("--json", type=Path, help=f"results (default: {RESULTS.name} here, for 1,000 subjects)")
    options = parser.parse_args(arguments)
    path = options.json or (RESULTS if options.subjects == 1000 else None)
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"] if path and path.exists() else {}
    for name in options.only or [*BENCHES, *OTHERS]:
        cases[name] = measure(name, options.subjects, repeats=options.repeats, million=options.million, say=_say)
        results = {"cases": cases, "targets": verdicts(cases)}
        if path:
            path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\n{'':<50}{'wanted':>10}{'measured':>12}")
    for row in verdicts(cases):
        shown = "-" if row["measured"] is None else f"{row['measured']:.4g}"
        print(f"{row['title']:<50}{row['wanted']:>10}{shown:>12}  {'' if row['met'] is not False else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
