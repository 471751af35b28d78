"""Work against precision: every method over its tolerances, then the fastest ones against each other."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from tests.benchmarks.stage import Row, Setting, Stage

#: The error at which methods are compared.
WANTED = 1e-6
#: Subjects where 1,000 would take minutes.
FEWER = {"sensitivities": 100}
GENERAL = ("explicit", "rosenbrock")

_OURS = (1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 2e-6, 1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 1e-9)
_PEER = (1e-6, 1e-7, 3e-8, 2e-8, 1e-8, 6e-9, 3e-9, 1e-9, 3e-10, 1e-10)
_PEER_ATOL = (1.0, 1e-2, 1e-3)  # times rtol; with 1e-8 and 1e-8 the defaults of mrgsolve, with 1e-6 and 1e-8 of rxode2


def settings(stage: Stage) -> list[Setting]:
    """What is tried on a bench."""
    name = stage.bench.name
    ours = ["auto", *GENERAL]
    if name == "stiff":
        ours.remove("explicit")  # it would take minutes, and says so
    if stage.knows("exact"):
        ours.append("exact")
    tried = [Setting(method, rtol) for method in ours for rtol in (_OURS if method != "exact" else (1e-8,))]
    tried += [Setting("lsoda", rtol, float(f"{rtol * by:.3g}")) for rtol in _PEER for by in _PEER_ATOL]
    if stage.bench.wrt:
        tried += [Setting("lsoda-lean", rtol, float(f"{rtol / 100:.3g}")) for rtol in _PEER]
    return tried


def fastest(rows: Iterable[Row], methods: Iterable[str], wanted: float = WANTED) -> Row | None:
    """The fastest row of some methods whose true error is small enough."""
    good = [row for row in rows if row.setting.method in tuple(methods) and row.error <= wanted]
    return min(good, key=lambda row: row.cpu, default=None)


def duel(stage: Stage, rows: list[Row], groups: dict[str, tuple[str, ...]], repeats: int) -> dict[str, dict[str, Any]]:
    """The fastest setting of each group, run in turns.

    Parameters
    ----------
    groups
        Methods of each group.
    repeats
        Rounds; in each, all groups run once, so that a busy minute meets all of them.

    Returns
    -------
    dict
        For each group that reached the wanted error: setting, error, and the median, least and largest CPU seconds.
    """
    chosen = {group: row for group, methods in groups.items() if (row := fastest(rows, methods))}
    times: dict[str, list[float]] = {group: [] for group in chosen}
    for _ in range(repeats):
        for group, row in chosen.items():
            times[group].append(stage.run(row.setting)[1])
    return {
        group: row.record()
        | {
            "cpu": round(statistics.median(times[group]), 5),
            "cpu_least": round(min(times[group]), 5),
            "cpu_most": round(max(times[group]), 5),
        }
        for group, row in chosen.items()
    }


def work_precision(stage: Stage, *, repeats: int = 5, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Every setting once, the fastest of each kind again.

    Returns
    -------
    dict
        ``rows``: one record a setting. ``fastest``: see `duel`. ``ratio``: how many times faster than LSODA each group
        is at a true error of at most 1e-6.
    """
    load = os.getloadavg()[0]
    agreement = stage.agreement
    say(f"\n{stage.bench.title}; {stage.subjects:,} subjects. LSODA at 1e-12 is {agreement:.1e} off the reference.")
    say(f"{'method':<24}{'CPU s':>9}{'true error':>13}  chosen")
    rows = []
    for setting in settings(stage):
        row = stage.measure(setting)
        rows.append(row)
        say(f"{setting!s:<24}{row.cpu:>9.4f}{row.error:>13.1e}  {row.chosen}")
    groups: dict[str, tuple[str, ...]] = {"lsoda": ("lsoda",), "general": GENERAL, "any": ("auto", "exact", *GENERAL)}
    if stage.bench.wrt:
        groups["lsoda-lean"] = ("lsoda-lean",)
    best = duel(stage, rows, groups, repeats)
    peer = best.get("lsoda")
    ratio = {group: round(peer["cpu"] / found["cpu"], 2) for group, found in best.items() if peer and group != "lsoda"}
    say(f"Fastest with a true error of at most {WANTED:g}, median of {repeats} in turns:")
    for group, found in best.items():
        shown = Setting(found["method"], found["rtol"], found["atol"])
        times = f"{ratio[group]:.1f} x LSODA" if group in ratio else ""
        say(f"  {group:<10} {shown!s:<22}{found['cpu']:>9.4f} s  error {found['error']:.1e}  {times}")
    return {
        "title": stage.bench.title,
        "subjects": stage.subjects,
        "agreement": agreement,
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "rows": [row.record() for row in rows],
        "fastest": best,
        "ratio": ratio,
    }
